/* Packs: what is written is read, to the bit; every damaged byte is noticed; every lie
 * of a header or a directory with right checksums has its own sentence. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/pack.h"
#include "base/rng.h"
#include "support.h"

static char *folder;

static int make_folder(void **state) {
    (void)state;
    folder = support_folder();
    return chdir(folder);
}

static int remove_folder(void **state) {
    (void)state;
    support_remove(folder);
    free(folder);
    return 0;
}

/* ---- Round trip ------------------------------------------------------------------ */

static const float weights[2][3] = {{1, 2, 3}, {-0.0f, 5e-45f, 6}};
static const uint64_t shape[] = {2, 3};
static const double scalar = 0.1;

static hn_status write_example(const char *path, hn_error *err) {
    hn_packer *packer = NULL;
    const uint64_t none = 0, seven = 7;
    HN_TRY(hn_packer_open(&packer, path, "TEST", err));
    hn_packer_add(packer, "weights", HN_PACK_F32, 2, shape, weights);
    hn_packer_add(packer, "empty", HN_PACK_I64, 1, &none, NULL);
    hn_packer_add_text(packer, "config", "model: hinet\n");
    hn_packer_add(packer, "scalar", HN_PACK_F64, 0, NULL, &scalar);
    hn_packer_add(packer, "bytes", HN_PACK_U8, 1, &seven, "1234567");
    hn_packer_begin(packer, "streamed", HN_PACK_U32);
    for (uint32_t i = 0; i < 100; i++) hn_packer_append(packer, &i, sizeof i);
    hn_packer_end(packer);
    hn_packer_begin(packer, "also_empty", HN_PACK_BYTES);
    hn_packer_end(packer);
    return hn_packer_commit(packer, err);
}

static const struct {
    const char *name;
    hn_pack_type type;
    int32_t dims;
    uint64_t first, n_bytes;
} expected[] = {
    {"also_empty", HN_PACK_BYTES, 1, 0, 0}, {"bytes", HN_PACK_U8, 1, 7, 7},
    {"config", HN_PACK_BYTES, 1, 13, 13},   {"empty", HN_PACK_I64, 1, 0, 0},
    {"scalar", HN_PACK_F64, 0, 0, 8},       {"streamed", HN_PACK_U32, 1, 100, 400},
    {"weights", HN_PACK_F32, 2, 2, 24},
};
enum { EXPECTED = sizeof expected / sizeof *expected };

static hn_status read_example(const char *path, hn_error *err) {
    hn_pack *pack = NULL;
    hn_status status = hn_pack_open(&pack, path, "TEST", err);
    if (status != HN_OK) assert_null(pack);
    for (size_t i = 0; status == HN_OK && i < hn_pack_sections(pack); i++) {
        const hn_section *const section = hn_pack_section(pack, i), *found = NULL;
        status = hn_pack_find(&found, pack, section->name, section->type, err);
        if (status == HN_OK)
            assert_ptr_equal(found, section);
        else
            assert_null(found);
    }
    hn_pack_close(pack);
    return status;
}

static void packs_round_trip(void **state) {
    (void)state;
    hn_error err = {0};
    hn_pack *pack = NULL;
    const hn_section *section;
    assert_ok(write_example("example", &err));
    assert_ok(hn_pack_open(&pack, "example", "TEST", &err));
    assert_string_equal(hn_pack_path(pack), "example");
    assert_int_equal(hn_pack_sections(pack), EXPECTED);
    for (size_t i = 0; i < EXPECTED; i++) {
        assert_true(hn_pack_has(pack, expected[i].name));
        for (int again = 0; again < 2; again++)
            assert_ok(hn_pack_find(&section, pack, expected[i].name, expected[i].type, &err));
        assert_ptr_equal(section, hn_pack_section(pack, i));
        assert_string_equal(section->name, expected[i].name);
        assert_int_equal(section->dims, expected[i].dims);
        assert_int_equal(section->dim[0], expected[i].first);
        assert_int_equal(section->n_bytes, expected[i].n_bytes);
        assert_int_equal((uintptr_t)section->bytes % 64, 0);
    }
    assert_ok(hn_pack_find(&section, pack, "weights", HN_PACK_F32, &err));
    assert_memory_equal(section->bytes, weights, sizeof weights);
    assert_int_equal(section->dim[1], 3);
    assert_ok(hn_pack_find(&section, pack, "scalar", HN_PACK_F64, &err));
    assert_memory_equal(section->bytes, &scalar, sizeof scalar);
    assert_ok(hn_pack_find(&section, pack, "streamed", HN_PACK_U32, &err));
    for (uint32_t i = 0; i < 100; i++) assert_int_equal(((const uint32_t *)section->bytes)[i], i);
    hn_pack_close(pack);
    hn_pack_close(NULL);
}

static void a_pack_without_sections_is_one(void **state) {
    (void)state;
    hn_error err = {0};
    hn_packer *packer = NULL;
    assert_ok(hn_packer_open(&packer, "nothing", "TEST", &err));
    assert_ok(hn_packer_commit(packer, &err));
    assert_ok(read_example("nothing", &err));
}

static void absent_and_mistyped_sections_are_named(void **state) {
    (void)state;
    hn_error err = {0};
    hn_pack *pack = NULL;
    const hn_section *section = (const hn_section *)&err;
    assert_ok(write_example("example", &err));
    assert_ok(hn_pack_open(&pack, "example", "TEST", &err));
    assert_false(hn_pack_has(pack, "weight"));
    assert_fails(HN_BAD_DATA, "example: has no section 'weight'",
                 hn_pack_find(&section, pack, "weight", HN_PACK_F32, &err));
    assert_null(section);
    assert_fails(HN_BAD_DATA, "'weights' is float32; expected float64",
                 hn_pack_find(&section, pack, "weights", HN_PACK_F64, &err));
    hn_pack_close(pack);
}

static void the_same_sections_give_the_same_bytes(void **state) {
    (void)state;
    hn_error err = {0};
    char *a, *b;
    size_t na, nb;
    assert_ok(write_example("one", &err));
    assert_ok(write_example("two", &err));
    assert_ok(hn_file_read(&a, &na, "one", &err));
    assert_ok(hn_file_read(&b, &nb, "two", &err));
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    hn_free(a);
    hn_free(b);
}

static void *sum_section(void *section) {
    const hn_section *const found = section;
    uint64_t *const sum = malloc(sizeof *sum);
    *sum = 0;
    for (uint64_t i = 0; i < found->dim[0]; i++) *sum += ((const uint32_t *)found->bytes)[i];
    return sum;
}

static void what_was_found_is_read_by_several_threads(void **state) {
    (void)state;
    hn_error err = {0};
    hn_pack *pack = NULL;
    const hn_section *section;
    pthread_t threads[4];
    assert_ok(write_example("example", &err));
    assert_ok(hn_pack_open(&pack, "example", "TEST", &err));
    assert_ok(hn_pack_find(&section, pack, "streamed", HN_PACK_U32, &err));
    hn_section copy = *section;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sum_section, &copy), 0);
    for (int i = 0; i < 4; i++) {
        void *sum;
        pthread_join(threads[i], &sum);
        assert_int_equal(*(uint64_t *)sum, 99 * 50);
        free(sum);
    }
    hn_pack_close(pack);
}

/* ---- Damage ------------------------------------------------------------------------ */

static void every_changed_byte_is_noticed(void **state) {
    (void)state;
    hn_error err = {0};
    char *bytes;
    size_t n;
    assert_ok(write_example("example", &err));
    assert_ok(hn_file_read(&bytes, &n, "example", &err));
    for (size_t i = 0; i < n; i++) {
        const char flip = (char)(1 << (i % 8));
        bytes[i] ^= flip;
        support_write("damaged", bytes, n);
        assert_fails(HN_BAD_DATA, "damaged: ", read_example("damaged", &err));
        bytes[i] ^= flip;
    }
    hn_free(bytes);
}

static void every_other_length_is_noticed(void **state) {
    (void)state;
    hn_error err = {0};
    char *bytes;
    size_t n;
    assert_ok(write_example("example", &err));
    assert_ok(hn_file_read(&bytes, &n, "example", &err));
    for (size_t i = 0; i < n; i++) {
        support_write("cut", bytes, i);
        assert_fails(HN_BAD_DATA, "cut: ", read_example("cut", &err));
    }
    support_write("longer", bytes, n + 1); /* hn_file_read's NUL */
    assert_fails(HN_BAD_DATA, "its header says", read_example("longer", &err));
    hn_free(bytes);
}

/* ---- Lies with right checksums --------------------------------------------------------- */

typedef struct forged {
    uint8_t bytes[4096];
    size_t n;
    uint64_t directory;
} forged;

static void put(forged *f, const void *bytes, size_t n) {
    memcpy(f->bytes + f->n, bytes, n);
    f->n += n;
}

static void put64(forged *f, uint64_t value) { put(f, &value, sizeof value); }

/* Sections "a" (64 bytes at 64) and "b" (5 bytes at 128) as written by hand. */
static void put_entry(forged *f, const char *name, size_t name_bytes, uint8_t type, uint8_t dims,
                      const uint64_t *dim, uint64_t offset, uint64_t n, uint64_t xxh3) {
    const uint16_t length = (uint16_t)name_bytes;
    put(f, &length, 2);
    put(f, &type, 1);
    put(f, &dims, 1);
    put(f, dim, 8 * (size_t)dims);
    put64(f, offset);
    put64(f, n);
    put64(f, xxh3);
    put(f, name, name_bytes);
}

static void begin_forged(forged *f) {
    memset(f, 0, sizeof *f);
    memset(f->bytes + 64, 'a', 64);
    memset(f->bytes + 128, 'b', 5);
    f->n = f->directory = 192;
}

static void set64(forged *f, size_t at, uint64_t value) {
    memcpy(f->bytes + at, &value, sizeof value);
}

static void end_forged(forged *f) {
    const uint32_t version = 1;
    memcpy(f->bytes, "HNPACK\r\n", 8);
    memcpy(f->bytes + 8, &version, 4);
    memcpy(f->bytes + 12, "TEST", 4);
    set64(f, 16, f->directory);
    set64(f, 24, f->n - f->directory);
    set64(f, 32, XXH3_64bits(f->bytes + f->directory, f->n - f->directory));
    set64(f, 40, f->n);
}

static hn_status read_forged(forged *f, hn_error *err) {
    set64(f, 48, XXH3_64bits(f->bytes, 48));
    support_write("forged", f->bytes, f->n);
    return read_example("forged", err);
}

static const uint64_t d64[] = {64}, d5[] = {5}, d8[] = {8};
static uint64_t sum_a, sum_b;

static void put_a(forged *f) { put_entry(f, "a", 1, HN_PACK_U8, 1, d64, 64, 64, sum_a); }
static void put_b(forged *f) { put_entry(f, "b", 1, HN_PACK_U8, 1, d5, 128, 5, sum_b); }

/* The base case is accepted, so that the refusals below are for their own reasons. It
 * also freezes the format: these bytes were not made by the writer. */
static void a_pack_made_by_hand_is_read(void **state) {
    (void)state;
    hn_error err = {0};
    forged f;
    begin_forged(&f);
    sum_a = XXH3_64bits(f.bytes + 64, 64);
    sum_b = XXH3_64bits(f.bytes + 128, 5);
    put_a(&f);
    put_b(&f);
    end_forged(&f);
    assert_ok(read_forged(&f, &err));
}

static void headers_that_lie_are_refused(void **state) {
    (void)state;
    hn_error err = {0};
    forged good, f;
    begin_forged(&good);
    put_a(&good);
    put_b(&good);
    end_forged(&good);
#define REFUSED(words, change)                                   \
    do {                                                         \
        f = good;                                                \
        change;                                                  \
        assert_fails(HN_BAD_DATA, words, read_forged(&f, &err)); \
    } while (0)
    REFUSED("not a file of hinet's", f.bytes[0] = 'h');
    REFUSED("format version 2; this program reads version 1", f.bytes[8] = 2);
    REFUSED("of kind 'BEST'; expected 'TEST'", memcpy(f.bytes + 12, "BEST", 4));
    REFUSED("its header says 12345", set64(&f, 40, 12345));
    REFUSED("of the header are not zero", f.bytes[60] = 1);
    REFUSED("does not end the file", set64(&f, 16, 128));
    REFUSED("does not end the file", set64(&f, 16, 0));
    REFUSED("does not end the file", set64(&f, 16, UINT64_MAX - 63));
    REFUSED("does not end the file", set64(&f, 24, UINT64_MAX));
    REFUSED("the directory's checksum", set64(&f, 32, 0));
#undef REFUSED
}

static void expect_directory(const char *words, const forged *f) {
    hn_error err = {0};
    forged copy = *f;
    end_forged(&copy);
    assert_fails(HN_BAD_DATA, words, read_forged(&copy, &err));
}

#define WITH_A(entry) (begin_forged(&f), put_a(&f), (entry))
#define ALONE(entry) (begin_forged(&f), (entry))

static void entries_that_lie_are_refused(void **state) {
    (void)state;
    forged f;
    const uint64_t huge[] = {UINT64_MAX / 2, 4, 8, 1, 1};
    WITH_A(put_entry(&f, "b", 1, HN_PACK_U8, 1, d5, 130, 5, sum_b));
    expect_directory("'b' starts at 130, which is not aligned", &f);
    WITH_A(put_entry(&f, "b", 1, HN_PACK_U8, 1, d5, 192, 5, sum_b));
    expect_directory("'b' (5 bytes at 192) lies outside the file", &f);
    WITH_A(put_entry(&f, "b", 1, HN_PACK_U8, 1, d5, 0, 5, sum_b));
    expect_directory("lies outside the file", &f);
    WITH_A(put_entry(&f, "b", 1, HN_PACK_U8, 1, d5, UINT64_MAX - 63, 5, sum_b));
    expect_directory("lies outside the file", &f);
    WITH_A(put_entry(&f, "b", 1, HN_PACK_U8, 1, d5, 64, 5, sum_b));
    expect_directory("overlaps the one before it", &f);
    WITH_A(put_entry(&f, "b", 1, HN_PACK_U8, 1, d8, 128, 5, sum_b));
    expect_directory("is not its shape's size", &f);
    WITH_A(put_entry(&f, "b", 1, HN_PACK_U8, 4, huge, 128, 5, sum_b));
    expect_directory("is not its shape's size", &f);
    WITH_A(put_entry(&f, "b", 1, HN_PACK_F64, 1, d5, 128, 5, sum_b));
    expect_directory("is not its shape's size", &f);
    WITH_A(put_entry(&f, "b", 1, 99, 1, d5, 128, 5, sum_b));
    expect_directory("type 99 and 1 dimensions", &f);
    WITH_A(put_entry(&f, "b", 1, HN_PACK_U8, 5, huge, 128, 5, sum_b));
    expect_directory("and 5 dimensions", &f);
    WITH_A(put_entry(&f, "a", 1, HN_PACK_U8, 1, d5, 128, 5, sum_b));
    expect_directory("'a' comes twice or out of order", &f);
    WITH_A(put_entry(&f, "A", 1, HN_PACK_U8, 1, d5, 128, 5, sum_b));
    expect_directory("'A' comes twice or out of order", &f);
    WITH_A(put_entry(&f, "", 0, HN_PACK_U8, 1, d5, 128, 5, sum_b));
    expect_directory("impossible name", &f);
    WITH_A(put_entry(&f, "b\0c", 3, HN_PACK_U8, 1, d5, 128, 5, sum_b));
    expect_directory("impossible name", &f);
    WITH_A(put_entry(&f, "b", 1, HN_PACK_U8, 1, d5, 128, 5, sum_b + 1));
    expect_directory("'b' has a wrong checksum", &f);
}

static void directories_that_leave_gaps_are_refused(void **state) {
    (void)state;
    forged f;
    ALONE(put_b(&f));
    expect_directory("foreign bytes before section 'b'", &f);
    ALONE(put_a(&f));
    expect_directory("foreign bytes before section '(directory)'", &f);
    WITH_A(put_b(&f));
    f.bytes[140] = 1;
    expect_directory("foreign bytes before section '(directory)'", &f);
    WITH_A(put(&f, "\1", 1));
    expect_directory("ends within entry 1", &f);
    begin_forged(&f);
    put_a(&f);
    f.n -= 1; /* the name */
    expect_directory("ends within entry 0", &f);
    f.n -= 10;
    expect_directory("ends within entry 0", &f);
}

/* Random bytes with right checksums never crash the reader. */
static void random_directories_are_refused(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        forged f;
        hn_error err = {0};
        begin_forged(&f);
        put_a(&f);
        put_b(&f);
        for (uint64_t j = 0; j <= i % 4; j++) {
            const uint64_t bits = hn_random(i, HN_STREAM_TEST, j);
            f.bytes[192 + bits % (f.n - 192)] ^= (uint8_t)((bits >> 32) % 255 + 1);
        }
        end_forged(&f);
        const hn_status status = read_forged(&f, &err);
        assert_true(status == HN_OK || status == HN_BAD_DATA); /* a changed name is no damage */
    }
}

/* ---- Misuse and failures ---------------------------------------------------------------- */

static void misuse_of_the_packer_is_reported(void **state) {
    (void)state;
    hn_error err = {0};
    const uint64_t one = 1, huge[] = {UINT64_MAX / 4, 16};
    hn_packer *packer = NULL;
#define PACKED(words, calls)                                            \
    do {                                                                \
        assert_ok(hn_packer_open(&packer, "misused", "TEST", &err));    \
        calls;                                                          \
        assert_fails(HN_FAILED, words, hn_packer_commit(packer, &err)); \
        assert_false(hn_file_exists("misused"));                        \
    } while (0)
    PACKED("'x' was written twice",
           (hn_packer_add_text(packer, "x", "1"), hn_packer_add_text(packer, "x", "2")));
    PACKED("'x' has not ended", hn_packer_begin(packer, "x", HN_PACK_U8));
    PACKED("before the one before it",
           (hn_packer_begin(packer, "x", HN_PACK_U8), hn_packer_begin(packer, "y", HN_PACK_U8)));
    PACKED("appended to before", hn_packer_append(packer, "x", 1));
    PACKED("ends before it has begun", hn_packer_end(packer));
    PACKED("ends within an element", (hn_packer_begin(packer, "x", HN_PACK_U32),
                                      hn_packer_append(packer, "abc", 3), hn_packer_end(packer)));
    PACKED("impossible shape", hn_packer_add(packer, "x", HN_PACK_U8, 2, huge, NULL));
    PACKED("impossible shape", hn_packer_add(packer, "x", HN_PACK_U8, 5, huge, NULL));
    PACKED("too short or long a name", hn_packer_add(packer, "", HN_PACK_U8, 1, &one, "x"));
#undef PACKED
    assert_ok(hn_packer_open(&packer, "misused", "TEST", &err));
    hn_packer_abandon(packer);
    hn_packer_abandon(NULL);
    assert_false(hn_file_exists("misused"));
    assert_fails(HN_CANNOT_CREATE, "none/x", hn_packer_open(&packer, "none/x", "TEST", &err));
    assert_null(packer);
    hn_pack *pack = NULL;
    assert_fails(HN_NO_INPUT, "absent", hn_pack_open(&pack, "absent", "TEST", &err));
    support_write("void", "", 0);
    assert_fails(HN_BAD_DATA, "not a file of hinet's", hn_pack_open(&pack, "void", "TEST", &err));
}

static hn_status write_work(void *path, hn_error *err) { return write_example(path, err); }
static hn_status read_work(void *path, hn_error *err) { return read_example(path, err); }

static void every_failure_is_reported(void **state) {
    (void)state;
    char path[] = "faulty";
    assert_true(support_fail_each(HN_FAULT_ALLOC, write_work, path) >= 8);
    assert_true(support_fail_each(HN_FAULT_WRITE, write_work, path) >= 5);
    assert_true(support_fail_each(HN_FAULT_ALLOC, read_work, path) >= 4);
    assert_int_equal(support_fail_each(HN_FAULT_READ, read_work, path), 1 + EXPECTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packs_round_trip),
        cmocka_unit_test(a_pack_without_sections_is_one),
        cmocka_unit_test(absent_and_mistyped_sections_are_named),
        cmocka_unit_test(the_same_sections_give_the_same_bytes),
        cmocka_unit_test(what_was_found_is_read_by_several_threads),
        cmocka_unit_test(every_changed_byte_is_noticed),
        cmocka_unit_test(every_other_length_is_noticed),
        cmocka_unit_test(a_pack_made_by_hand_is_read),
        cmocka_unit_test(headers_that_lie_are_refused),
        cmocka_unit_test(entries_that_lie_are_refused),
        cmocka_unit_test(directories_that_leave_gaps_are_refused),
        cmocka_unit_test(random_directories_are_refused),
        cmocka_unit_test(misuse_of_the_packer_is_reported),
        cmocka_unit_test(every_failure_is_reported),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
