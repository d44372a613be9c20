/* Plain bytes out of files of every wrapping: whole, in members, padded, cut short at every
 * byte, damaged, and of kinds that are refused with advice. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/rng.h"
#include "data/bytes.h"
#include "support.h"

static hn_error err;
static char *folder;
static char path[4096];

static int setup(void **state) {
    (void)state;
    folder = support_folder();
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    support_remove(folder);
    free(folder);
    return 0;
}

/* ---- Making files --------------------------------------------------------------------- */

typedef struct buffer {
    uint8_t bytes[1 << 20];
    size_t n;
} buffer;

static void add(buffer *to, const void *bytes, size_t n) {
    assert_true(n <= sizeof to->bytes - to->n);
    if (n > 0) memcpy(to->bytes + to->n, bytes, n);
    to->n += n;
}

static void add_gzip(buffer *to, const void *bytes, size_t n) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)n;
    z.next_out = to->bytes + to->n;
    z.avail_out = (uInt)(sizeof to->bytes - to->n);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    to->n += z.total_out;
    deflateEnd(&z);
}

static void add_zstd(buffer *to, const void *bytes, size_t n) {
    ZSTD_CCtx *const context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    const size_t got =
        ZSTD_compress2(context, to->bytes + to->n, sizeof to->bytes - to->n, bytes, n);
    assert_false(ZSTD_isError(got));
    ZSTD_freeCCtx(context);
    to->n += got;
}

typedef void (*add_member)(buffer *to, const void *bytes, size_t n);
static const add_member members[] = {add, add_gzip, add_zstd};

/* ---- Reading them back ----------------------------------------------------------------- */

static hn_status read_all(buffer *out, const char *file, size_t piece, hn_error *e) {
    hn_bytes *bytes = NULL;
    out->n = 0;
    hn_status status = hn_bytes_open(&bytes, file, e);
    if (status != HN_OK) assert_null(bytes);
    for (size_t got = piece; status == HN_OK && got == piece;) {
        status = hn_bytes_read(&got, bytes, out->bytes + out->n, piece, e);
        if (status == HN_OK) out->n += got;
        assert_true(out->n + piece <= sizeof out->bytes);
    }
    hn_bytes_close(bytes);
    return status;
}

static buffer text, file, result;

/* Text that packs well and text that doesn't. */
static void make_text(size_t n, uint64_t seed) {
    text.n = n;
    for (size_t i = 0; i < n; i++)
        text.bytes[i] =
            (uint8_t)(hn_random(seed, HN_STREAM_TEST, i / (seed % 3 + 1)) % (seed % 2 ? 256 : 7));
}

static void write_file(void) { support_write(path, file.bytes, file.n); }

static void assert_reads_back(size_t piece) {
    assert_ok(read_all(&result, path, piece, &err));
    assert_int_equal(result.n, text.n);
    assert_memory_equal(result.bytes, text.bytes, text.n);
}

static void every_wrapping_gives_the_same_bytes(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 3, 7, 100, 65536, 300000},
                        pieces[] = {1 << 9, 4096, 1 << 18};
    for (int kind = 0; kind < 3; kind++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (size_t p = 0; p < 3; p++) {
                make_text(sizes[s], s + 1);
                file.n = 0;
                members[kind](&file, text.bytes, text.n);
                write_file();
                assert_reads_back(pieces[p]);
            }
}

static void members_follow_one_another(void **state) {
    (void)state;
    for (int kind = 1; kind < 3; kind++)
        for (size_t cut = 0; cut <= 3000; cut += 613) {
            make_text(3000, 2);
            file.n = 0;
            members[kind](&file, text.bytes, cut);
            members[kind](&file, text.bytes + cut, 0);
            members[kind](&file, text.bytes + cut, text.n - cut);
            write_file();
            assert_reads_back(1000);
        }
}

/* The input buffer is 256 KiB: a member's magic may be split between two fillings of it. */
static void members_may_begin_at_any_place_of_the_buffer(void **state) {
    (void)state;
    for (int extra = -3; extra <= 3; extra++) {
        make_text(1000, 2);
        file.n = 0;
        static uint8_t noise[260000];
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (uint8_t)hn_random(9, HN_STREAM_TEST, i);
        /* A stored first member of exactly the size wanted: 262144 + extra bytes of file. */
        const size_t wanted = (size_t)(262144 + extra);
        size_t n = wanted - 400;
        for (;;) {
            file.n = 0;
            if (n > sizeof noise) break;
            add_gzip(&file, noise, n);
            if (file.n >= wanted) break;
            n++;
        }
        if (file.n != wanted ||
            n > sizeof noise) { /* incompressible data grows by blocks: pad by zeros, as tapes do */
            file.n = 0;
            add_gzip(&file, noise, sizeof noise);
            n = sizeof noise;
            while (file.n < wanted) add(&file, "", 1);
        }
        add_gzip(&file, text.bytes, text.n);
        write_file();
        assert_ok(read_all(&result, path, 70000, &err));
        assert_int_equal(result.n, n + text.n);
        assert_memory_equal(result.bytes, noise, n);
        assert_memory_equal(result.bytes + n, text.bytes, text.n);
    }
}

static void padding_and_skipped_frames_are_nothing(void **state) {
    (void)state;
    make_text(500, 2);
    file.n = 0;
    add_gzip(&file, text.bytes, text.n);
    for (int i = 0; i < 512; i++) add(&file, "", 1);
    write_file();
    assert_reads_back(100);
    file.n = 0;
    add(&file, "\x50\x2a\x4d\x18\x04\0\0\0skip", 12);
    add_zstd(&file, text.bytes, text.n);
    add(&file, "\x5f\x2a\x4d\x18\0\0\0\0", 8);
    write_file();
    assert_reads_back(100);
}

static void a_file_cut_anywhere_is_told(void **state) {
    (void)state;
    make_text(400, 2);
    for (int kind = 1; kind < 3; kind++) {
        file.n = 0;
        members[kind](&file, text.bytes, text.n);
        const size_t n = file.n;
        for (size_t cut = kind == 1 ? 2 : 4; cut < n; cut++) {
            file.n = cut;
            write_file();
            assert_fails(HN_BAD_DATA, "cut short", read_all(&result, path, 100, &err));
            assert_non_null(strstr(err.text, path));
        }
    }
}

/* Not every bit of a header matters, but what comes through must be right. */
static void damage_never_passes_for_data(void **state) {
    (void)state;
    make_text(400, 2);
    for (int kind = 1; kind < 3; kind++) {
        file.n = 0;
        members[kind](&file, text.bytes, text.n);
        int told = 0;
        for (size_t bit = 0; bit < 8 * file.n; bit++) {
            file.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            write_file();
            const hn_status status = read_all(&result, path, 100, &err);
            const bool plain = bit / 8 < 4; /* then it is no magic any more */
            if (status == HN_OK && !plain) assert_memory_equal(result.bytes, text.bytes, text.n);
            if (status != HN_OK) assert_int_equal(status, HN_BAD_DATA);
            told += status != HN_OK;
            file.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_true(told > (int)(8 * file.n) * 3 / 4);
    }
    file.n = 0;
    add_gzip(&file, text.bytes, text.n);
    add(&file, "more", 4);
    write_file();
    assert_fails(HN_BAD_DATA, "no gzip", read_all(&result, path, 100, &err));
}

static void strangers_are_refused_with_advice(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *words;
        size_t n;
    } cases[] = {{"PAR1....", "Parquet", 8},
                 {"\xff\xfe"
                  "a\0",
                  "UTF-16", 4},
                 {"\xfe\xff\0a", "UTF-16", 4},
                 {"PK\x03\x04..", "zip", 6},
                 {"\xfd"
                  "7zXZ\0",
                  "xz", 6},
                 {"BZh91AY", "bzip2", 7},
                 {"ARROW1..", "Arrow", 8},
                 {"Obj\x01", "Avro", 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        support_write(path, cases[i].bytes, cases[i].n);
        assert_fails(HN_BAD_DATA, cases[i].words, read_all(&result, path, 100, &err));
    }
    /* Text that only begins alike is text. */
    support_write(path, "PAR,PK\nBZ,1\n", 12);
    assert_ok(read_all(&result, path, 100, &err));
}

static void what_is_no_file_is_no_input(void **state) {
    (void)state;
    char absent[4200];
    snprintf(absent, sizeof absent, "%s/absent", folder);
    assert_fails(HN_NO_INPUT, "absent: cannot be opened", read_all(&result, absent, 100, &err));
    assert_fails(HN_NO_INPUT, "is a folder", read_all(&result, folder, 100, &err));
}

static void standard_input_is_unpacked_too(void **state) {
    (void)state;
    make_text(100000, 2);
    file.n = 0;
    add_gzip(&file, text.bytes, text.n);
    write_file();
    const int saved = dup(STDIN_FILENO), fd = open(path, O_RDONLY);
    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    close(fd);
    assert_ok(read_all(&result, "-", 999, &err));
    assert_int_equal(fcntl(STDIN_FILENO, F_GETFD) >= 0, 1); /* not ours to close */
    dup2(saved, STDIN_FILENO);
    close(saved);
    assert_int_equal(result.n, text.n);
    assert_memory_equal(result.bytes, text.bytes, text.n);
}

/* ---- Faults -------------------------------------------------------------------------------- */

static hn_status read_file(void *user, hn_error *e) { return read_all(&result, user, 1000, e); }

static void faults_are_told_and_nothing_leaks(void **state) {
    (void)state;
    make_text(5000, 2);
    for (int kind = 0; kind < 3; kind++) {
        file.n = 0;
        members[kind](&file, text.bytes, text.n);
        write_file();
        assert_true(support_fail_each(HN_FAULT_ALLOC, read_file, path) >= 3);
        assert_true(support_fail_each(HN_FAULT_READ, read_file, path) >= 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_wrapping_gives_the_same_bytes),
        cmocka_unit_test(members_follow_one_another),
        cmocka_unit_test(members_may_begin_at_any_place_of_the_buffer),
        cmocka_unit_test(padding_and_skipped_frames_are_nothing),
        cmocka_unit_test(a_file_cut_anywhere_is_told),
        cmocka_unit_test(damage_never_passes_for_data),
        cmocka_unit_test(strangers_are_refused_with_advice),
        cmocka_unit_test(what_is_no_file_is_no_input),
        cmocka_unit_test(standard_input_is_unpacked_too),
        cmocka_unit_test(faults_are_told_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
