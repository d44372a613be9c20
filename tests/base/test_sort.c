/* The sorter against qsort with a tie-break by order of adding, in memory, with one
 * merge and with several passes. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "base/sort.h"
#include "support.h"

typedef struct record {
    uint32_t key, order;
} record;

static int compare_keys(const void *a, const void *b) {
    const record *const x = a, *const y = b;
    return (x->key > y->key) - (x->key < y->key);
}

static int compare_all(const void *a, const void *b) {
    const int order = compare_keys(a, b);
    if (order) return order;
    const record *const x = a, *const y = b;
    return (x->order > y->order) - (x->order < y->order);
}

static record *random_records(size_t n, uint32_t keys) {
    record *const records = hn_alloc(n, sizeof *records);
    assert_non_null(records);
    for (size_t i = 0; i < n; i++)
        records[i] = (record){(uint32_t)(hn_random(n, HN_STREAM_TEST, i) % keys), (uint32_t)i};
    return records;
}

static void assert_reads(hn_sorter *sorter, const record *expected, size_t n) {
    hn_error err = {0};
    const void *found;
    assert_int_equal(hn_sorter_count(sorter), n);
    for (size_t i = 0; i < n; i++) {
        assert_ok(hn_sorter_next(&found, sorter, &err));
        assert_non_null(found);
        assert_memory_equal(found, &expected[i], sizeof expected[i]);
    }
    for (int i = 0; i < 2; i++) {
        assert_ok(hn_sorter_next(&found, sorter, &err));
        assert_null(found);
    }
}

/* Stable, complete, twice readable; added in pieces of different sizes. */
static void check(size_t n, uint32_t keys, int64_t budget) {
    hn_error err = {0};
    hn_sorter *sorter = NULL;
    record *const records = random_records(n, keys);
    assert_ok(hn_sorter_create(&sorter, sizeof *records, compare_keys, budget, "/tmp", &err));
    for (size_t at = 0, piece = 1; at < n; piece = piece * 7 % 100003) {
        const size_t taken = piece < n - at ? piece : n - at;
        assert_ok(hn_sorter_add(sorter, records + at, taken, &err));
        at += taken;
    }
    if (n > 0) qsort(records, n, sizeof *records, compare_all);
    for (int i = 0; i < 2; i++) {
        assert_ok(hn_sorter_finish(sorter, &err));
        assert_reads(sorter, records, n);
    }
    hn_sorter_free(sorter);
    hn_free(records);
}

static void sorts_in_memory(void **state) {
    (void)state;
    for (size_t n = 0; n < 200; n++) check(n, 20, 0);
    check(60000, 1000, 0);
    check(60000, UINT32_MAX, 1 << 24);
}

static void sorts_with_one_merge(void **state) {
    (void)state;
    check((512 << 10) / sizeof(record), 1000, 0);     /* exactly the memory */
    check((512 << 10) / sizeof(record) + 1, 1000, 0); /* one record more */
    check(200000, 1000, 0);
    check(400000, UINT32_MAX, 2 << 20);
}

typedef struct wide {
    uint32_t key, order;
    char rest[100000];
} wide;

/* Records so wide that a few runs already need two passes: 5 in memory, 5 at once. */
static void sorts_in_several_passes(void **state) {
    (void)state;
    hn_error err = {0};
    hn_sorter *sorter = NULL;
    enum { N = 300 };
    static wide one;
    record *const records = random_records(N, 300);
    assert_ok(hn_sorter_create(&sorter, sizeof one, compare_keys, 0, "/tmp", &err));
    for (size_t i = 0; i < N; i++) {
        one.key = records[i].key, one.order = records[i].order;
        memset(one.rest, (int)(i % 100), sizeof one.rest);
        assert_ok(hn_sorter_add(sorter, &one, 1, &err));
    }
    qsort(records, N, sizeof *records, compare_all);
    assert_ok(hn_sorter_finish(sorter, &err));
    for (size_t i = 0; i < N; i++) {
        const void *found;
        assert_ok(hn_sorter_next(&found, sorter, &err));
        assert_non_null(found);
        assert_memory_equal(found, &records[i], sizeof *records);
        assert_int_equal(((const wide *)found)->rest[99999], records[i].order % 100);
    }
    hn_sorter_free(sorter);
    hn_free(records);
}

/* A record larger than the whole budget still sorts, one at a time. */
static int compare_bytes(const void *a, const void *b) { return memcmp(a, b, 1); }

static void sorts_records_of_any_size(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 3, 2000000};
    for (size_t s = 0; s < 3; s++) {
        hn_error err = {0};
        hn_sorter *sorter = NULL;
        unsigned char *const bytes = hn_alloc_zero(1, sizes[s]);
        assert_ok(hn_sorter_create(&sorter, sizes[s], compare_bytes, 0, "/tmp", &err));
        for (int i = 0; i < 9; i++) {
            bytes[0] = (unsigned char)(i * 5 % 9);
            assert_ok(hn_sorter_add(sorter, bytes, 1, &err));
        }
        assert_ok(hn_sorter_finish(sorter, &err));
        for (int i = 0; i < 9; i++) {
            const void *found;
            assert_ok(hn_sorter_next(&found, sorter, &err));
            assert_int_equal(*(const unsigned char *)found, i);
        }
        hn_sorter_free(sorter);
        hn_free(bytes);
    }
}

/* Beyond the caller's records: the budget and little more. */
static void memory_stays_within_the_budget(void **state) {
    (void)state;
    hn_error err = {0};
    hn_sorter *sorter = NULL;
    const int64_t budget = 4 << 20, before = hn_memory_held();
    int64_t most = 0;
    assert_ok(hn_sorter_create(&sorter, sizeof(record), compare_keys, budget, "/tmp", &err));
    for (uint32_t i = 0; i < 1000000; i++) {
        const record one = {(uint32_t)hn_mix64(i), i};
        assert_ok(hn_sorter_add(sorter, &one, 1, &err));
        if (hn_memory_held() - before > most) most = hn_memory_held() - before;
    }
    assert_ok(hn_sorter_finish(sorter, &err));
    if (hn_memory_held() - before > most) most = hn_memory_held() - before;
    assert_true(most <= budget + 65536);
    assert_true(most >= budget / 4);
    hn_sorter_free(sorter);
    assert_int_equal(hn_memory_held(), before);
}

static hn_status sort_some(void *user, hn_error *err) {
    const size_t n = *(const size_t *)user;
    hn_sorter *sorter = NULL;
    hn_status status = hn_sorter_create(&sorter, sizeof(record), compare_keys, 0, "/tmp", err);
    if (status != HN_OK) assert_null(sorter);
    for (uint32_t i = 0; i < n && status == HN_OK; i++) {
        const record one = {(uint32_t)hn_mix64(i), i};
        status = hn_sorter_add(sorter, &one, 1, err);
    }
    const void *found = sorter;
    if (status == HN_OK) status = hn_sorter_finish(sorter, err);
    while (status == HN_OK && found) status = hn_sorter_next(&found, sorter, err);
    hn_sorter_free(sorter);
    return status;
}

static void every_failure_is_reported(void **state) {
    (void)state;
    static const hn_fault kinds[] = {HN_FAULT_ALLOC, HN_FAULT_READ, HN_FAULT_WRITE};
    size_t n = 1000;
    assert_true(support_fail_each(HN_FAULT_ALLOC, sort_some, &n) >= 4);
    assert_int_equal(support_fail_each(HN_FAULT_READ, sort_some, &n), 0);
    n = 150000;
    for (int i = 0; i < 3; i++) assert_true(support_fail_each(kinds[i], sort_some, &n) >= 3);
}

/* The same in the middle of a pass over many runs. */
static hn_status sort_wide(void *user, hn_error *err) {
    hn_sorter *sorter = NULL;
    static wide one;
    (void)user;
    hn_status status = hn_sorter_create(&sorter, sizeof one, compare_keys, 0, "/tmp", err);
    for (uint32_t i = 0; i < 60 && status == HN_OK; i++) {
        one.key = (uint32_t)hn_mix64(i);
        status = hn_sorter_add(sorter, &one, 1, err);
    }
    if (status == HN_OK) status = hn_sorter_finish(sorter, err);
    hn_sorter_free(sorter);
    return status;
}

static void failures_within_a_pass_are_reported(void **state) {
    (void)state;
    assert_true(support_fail_each(HN_FAULT_ALLOC, sort_wide, NULL) >= 10);
    hn_error err = {0};
    for (int64_t nth = 1; nth < 200; nth += 17) {
        hn_fault_arm(HN_FAULT_READ, nth);
        const hn_status status = sort_wide(NULL, &err);
        assert_int_equal(status, hn_fault_count(HN_FAULT_READ) >= nth ? HN_IO_FAILED : HN_OK);
        hn_fault_arm(HN_FAULT_READ, 0);
    }
}

static void misuse_is_refused(void **state) {
    (void)state;
    hn_error err = {0};
    hn_sorter *sorter = NULL;
    const void *found;
    assert_fails(HN_FAILED, "no bytes",
                 hn_sorter_create(&sorter, 0, compare_keys, 0, "/tmp", &err));
    assert_ok(hn_sorter_create(&sorter, 4, compare_keys, 0, "/tmp", &err));
    assert_fails(HN_FAILED, "before the end", hn_sorter_next(&found, sorter, &err));
    assert_null(found);
    assert_ok(hn_sorter_finish(sorter, &err));
    assert_fails(HN_FAILED, "after the end", hn_sorter_add(sorter, "1234", 1, &err));
    hn_sorter_free(sorter);
    hn_sorter_free(NULL);
    size_t n = 150000;
    assert_ok(hn_sorter_create(&sorter, 8, compare_keys, 0, "/no/such/folder", &err));
    hn_status status = HN_OK;
    for (size_t i = 0; i < n && status == HN_OK; i++)
        status = hn_sorter_add(sorter, "12345678", 1, &err);
    assert_fails(HN_CANNOT_CREATE, "/no/such/folder: no temporary file", status);
    hn_sorter_free(sorter);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorts_in_memory),
        cmocka_unit_test(sorts_with_one_merge),
        cmocka_unit_test(sorts_in_several_passes),
        cmocka_unit_test(sorts_records_of_any_size),
        cmocka_unit_test(memory_stays_within_the_budget),
        cmocka_unit_test(every_failure_is_reported),
        cmocka_unit_test(failures_within_a_pass_are_reported),
        cmocka_unit_test(misuse_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
