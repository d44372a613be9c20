/* Fuzz target: any bytes as a log. The first byte chooses the dialect, the size of the
 * chunks and whether gzip or zstd may be met; the rest is the file. Whatever the cut, the
 * rows must be the same, so the text is read twice: in small chunks and in one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/chunk.h"
#include "data/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const char *const configs[] = {
    "log: {files: x, bad_rows: 1000000000}\ntasks: {y: a}\nfeatures: {z: id}\n",
    "log: {files: x, bad_rows: 1000000000, columns: [a, b, c], missing: [a, NULL]}\ntasks: {y: 'b "
    "> 3'}\nfeatures: {z: id}\nweight: c\n",
    "log: {files: x, bad_rows: 1000000000, columns: [a, b], delimiter: '::'}\ntasks: {y: "
    "a}\nfeatures: {z: id}\nscenario: {column: b, values: [1, 2], others: drop}\n",
    "log: {files: x, bad_rows: 1000000000, columns: [a, b, c], delimiter: ';', quote: ''}\ntasks: "
    "{y: a}\nfeatures: {z: id}\n",
};
enum { CONFIGS = sizeof configs / sizeof *configs };

typedef struct sum {
    uint64_t hash, rows, last;
} sum;

static uint64_t mix(uint64_t a, uint64_t b) { return (a ^ b) * 0x9e3779b97f4a7c15u; }

/* Every byte that is given out is touched, so that a sanitizer sees it. */
static hn_status add_block(void *user, const hn_impressions *b, hn_error *err) {
    sum *const s = user;
    (void)err;
    for (int32_t r = 0; r < b->rows; r++) {
        if (s->rows > 0 && b->ordinal[r] <= s->last) abort();
        s->last = b->ordinal[r];
        s->hash = mix(s->hash, b->ordinal[r]);
        for (int32_t i = 0; i < 2; i++) s->hash = mix(s->hash, b->slots[r * b->log_slots + i].hash);
        const hn_slot list = b->slots[r * b->log_slots + 2];
        for (uint32_t i = 0; i < list.list.length; i++)
            s->hash = mix(s->hash, b->lists[list.list.begin + i]);
        for (uint32_t i = 0; i < b->line_bytes[r]; i++)
            s->hash = mix(s->hash, (uint8_t)b->line[r][i]);
        s->hash = mix(s->hash, b->labels[r]);
        s->rows++;
    }
    return HN_OK;
}

static hn_status read_once(sum *s, hn_log_counts *counts, const hn_config *config,
                           const hn_sources *sources, const char *path, hn_error *err) {
    const hn_log_options options = {
        .files = &path, .n_files = 1, .keep_lines = true, .block = add_block, .user = s};
    *s = (sum){0};
    return hn_log_read(counts, config, sources, NULL, &options, NULL, NULL, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static char a[] = "a", b[] = "b", bar[] = "|";
    hn_source items[] = {
        {.column = a, .table = -1, .kind = HN_SOURCE_HASH},
        {.column = b, .table = -1, .kind = HN_SOURCE_HASH, .slot = 1, .optional = true},
        {.column = a,
         .table = -1,
         .kind = HN_SOURCE_LIST,
         .slot = 2,
         .delimiter = bar,
         .max_length = 5}};
    const hn_sources sources = {.items = items, .n = 3, .log_slots = 3};
    const uint8_t choice = n > 0 ? bytes[0] : 0;
    hn_config *config = NULL;
    const char *const yaml = configs[choice % CONFIGS];
    if (hn_config_parse(&config, yaml, strlen(yaml), "fuzz.yaml", ".", NULL, 0, NULL) != HN_OK)
        abort();
    const int fd = memfd_create("log", 0);
    if (fd < 0 || (n > 1 && write(fd, bytes + 1, n - 1) != (ssize_t)(n - 1))) abort();
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    sum small, whole;
    hn_log_counts counts, again;
    hn_error err = {0};
    hn_chunk_bytes_set(1 + choice / CONFIGS);
    const hn_status status = read_once(&small, &counts, config, &sources, path, &err);
    if (status != HN_OK && (err.text[0] == '\0' || err.status != status)) abort();
    hn_chunk_bytes_set(0);
    if (read_once(&whole, &again, config, &sources, path, NULL) != status) abort();
    if (status == HN_OK && (small.hash != whole.hash || small.rows != whole.rows ||
                            counts.bad != again.bad || counts.rows != again.rows))
        abort();
    hn_log_counts_free(&counts);
    hn_log_counts_free(&again);
    close(fd);
    hn_config_free(config);
    return 0;
}
