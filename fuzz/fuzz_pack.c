/* Fuzz target: any bytes as a pack, as they are and then with the checksums of header
 * and directory set right, so that what stands behind them is reached. Whatever is
 * accepted is read to its last byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/memory.h"
#include "base/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { HEADER_BYTES = 64 };

static void set64(uint8_t *at, uint64_t value) { memcpy(at, &value, sizeof value); }

static uint64_t get64(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* Magic, version, kind, lengths and checksums as they should be; see pack.h. */
static void seal(uint8_t *bytes, size_t n) {
    static const uint8_t start[16] = "HNPACK\r\n\1\0\0\0FUZZ";
    memcpy(bytes, start, sizeof start);
    const uint64_t offset = get64(bytes + 16);
    if (offset <= n) {
        set64(bytes + 24, n - offset);
        set64(bytes + 32, XXH3_64bits(bytes + offset, n - offset));
    }
    set64(bytes + 40, n);
    set64(bytes + 48, XXH3_64bits(bytes, 48));
    set64(bytes + 56, 0);
}

static uint64_t sum_bytes(const hn_section *section) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < section->n_bytes; i++) sum += ((const uint8_t *)section->bytes)[i];
    return sum;
}

static void read_sections(hn_pack *pack) {
    volatile uint64_t sum = 0;
    for (size_t i = 0; i < hn_pack_sections(pack); i++) {
        const hn_section *const section = hn_pack_section(pack, i), *found = NULL;
        hn_error err = {0};
        const hn_status status = hn_pack_find(&found, pack, section->name, section->type, &err);
        if (status == HN_OK ? found != section : found != NULL || err.text[0] == '\0') abort();
        sum += sum_bytes(section);
    }
    (void)sum;
}

static void open_and_read(const uint8_t *bytes, size_t n) {
    char path[64];
    hn_pack *pack = NULL;
    hn_error err = {0};
    const int fd = memfd_create("pack", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const hn_status status = hn_pack_open(&pack, path, "FUZZ", &err);
    if ((status == HN_OK) != (pack != NULL) || (status != HN_OK && err.text[0] == '\0')) abort();
    if (pack) read_sections(pack);
    hn_pack_close(pack);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    open_and_read(bytes, n);
    if (n < HEADER_BYTES) return 0;
    uint8_t *const sealed = malloc(n);
    if (!sealed) abort();
    memcpy(sealed, bytes, n);
    seal(sealed, n);
    open_and_read(sealed, n);
    free(sealed);
    return 0;
}
