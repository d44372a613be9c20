/* Probing: refused shapes, memory that fails (ours and oneDNN's), what is remembered, and
 * several threads that ask at once. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"

static hn_error err;

/* ---- oneDNN out of memory ------------------------------------------------------------ */

/* This program's posix_memalign stands before libc's for oneDNN too (not under sanitizers,
 * which bring their own). */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(HN_DOUBLE)
#define HAS_LIBRARY_FAULTS 1
static _Thread_local int64_t library_fault; /* > 0: counts down, and fails when it reaches 0 */

__attribute__((visibility("default"))) int posix_memalign(void **memory, size_t alignment,
                                                          size_t bytes) {
    if (library_fault > 0 && --library_fault == 0) return 12;
    *memory = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    return *memory ? 0 : 12;
}
#else
#define HAS_LIBRARY_FAULTS 0
static _Thread_local int64_t library_fault;
#endif

/* A call whose first allocation failed says so; which products make one depends on the CPU. */
static void check_told(bool done) {
    assert_int_equal(done, library_fault > 0);
    library_fault = 1;
}

static void test_library_out_of_memory(void **state) {
    (void)state;
    if (!HAS_LIBRARY_FAULTS) {
        print_message("skipped: oneDNN's allocations cannot be made to fail in this build\n");
        skip();
    }
    enum { N = 61, K = 67, ROWS = HN_TILE_ROWS + HN_TILE_SLACK };
    hn_product p;
    assert_ok(hn_product_init(&p, N, K, K, N, N, &err));
    hn_real *const a = oracle_numbers(ROWS * K), *const b = oracle_numbers(K * N),
                   *const c = oracle_numbers(ROWS * N);
    library_fault = 1;
    check_told(hn_product_run(&p, 100, a, b, c, false));
    check_told(hn_product_dx(100, K, N, c, N, b, N, a, K, false));
    check_told(hn_product_dw(100, K, N, a, K, c, N, b, N, false));
    library_fault = 0;
    assert_true(hn_product_run(&p, 100, a, b, c, false));
    hn_free(a), hn_free(b), hn_free(c);
}

/* The matrices are six of our allocations; then oneDNN's fail in turn. */
static void test_probe_reports_the_librarys_memory(void **state) {
    (void)state;
    if (!HAS_LIBRARY_FAULTS) skip();
    const int64_t held = hn_memory_held();
    for (int32_t nth = 7; nth < 30; nth++) {
        hn_product p;
        library_fault = nth;
        const hn_status status = hn_product_init(&p, 62, 68, 68, 62, 62, &err);
        const bool reached = library_fault == 0;
        library_fault = 0;
        if (!reached) break; /* on this CPU the library allocates less, or nothing */
        assert_fails(HN_NO_MEMORY, "oneDNN", status);
        assert_int_equal(hn_memory_held(), held);
    }
    hn_product p;
    assert_ok(hn_product_init(&p, 62, 68, 68, 62, 62, &err));
}

/* ---- Ours -------------------------------------------------------------------------- */

/* A shape of its own each time, for a known one is not probed. */
static hn_status init_new_shape(void *user, hn_error *error) {
    int64_t *const lda = user;
    hn_product p;
    return hn_product_init(&p, 3, 5, ++*lda, 3, 3, error);
}

static void test_each_allocation_may_fail(void **state) {
    (void)state;
    int64_t lda = 1000;
#ifdef HN_DOUBLE
    assert_int_equal(support_fail_each(HN_FAULT_ALLOC, init_new_shape, &lda), 0);
#else
    assert_int_equal(support_fail_each(HN_FAULT_ALLOC, init_new_shape, &lda), 6);
#endif
}

static void test_refused_shapes(void **state) {
    (void)state;
    hn_product p;
    assert_fails(HN_FAILED, "n = 0", hn_product_init(&p, 0, 5, 5, 5, 5, &err));
    assert_fails(HN_FAILED, "k = -1", hn_product_init(&p, 5, -1, 5, 5, 5, &err));
    assert_fails(HN_FAILED, "dimensions 4, 6, 6", hn_product_init(&p, 6, 5, 4, 6, 6, &err));
    assert_fails(HN_FAILED, "dimensions 5, 5, 6", hn_product_init(&p, 6, 5, 5, 5, 6, &err));
    assert_fails(HN_FAILED, "ldc ≥ n", hn_product_init(&p, 6, 5, 5, 6, 5, &err));
    assert_int_equal(hn_product_init(&p, 0, 5, 5, 5, 5, NULL), HN_FAILED);
#ifndef HN_DOUBLE
    assert_fails(HN_NO_MEMORY, "product", hn_product_init(&p, 6, 5, INT64_MAX / 2, 6, 6, &err));
    assert_fails(HN_NO_MEMORY, "product", hn_product_init(&p, 6, 5, 5, 6, INT64_MAX - 8, &err));
#endif
    assert_int_equal(hn_memory_held(), 0);
}

/* ---- What is found ------------------------------------------------------------------- */

static void test_counts_cover_every_row(void **state) {
    (void)state;
    hn_product p;
    assert_ok(hn_product_init(&p, 64, 128, 128, 64, 64, &err));
    bool naive = p.padded[1] == 0;
    for (int32_t m = 1; m <= HN_TILE_ROWS; m++) {
        if (naive) {
            assert_int_equal(p.padded[m], 0);
            continue;
        }
        assert_in_range(p.padded[m], m, m + HN_TILE_SLACK);
        assert_true(p.padded[m] >= p.padded[m - 1]);
        assert_int_equal(p.padded[p.padded[m] > HN_TILE_ROWS ? m : p.padded[m]], p.padded[m]);
    }
#ifndef HN_DOUBLE
    if (naive)
        print_message("note: this CPU's products are not steady; the naive product is used\n");
#endif
}

/* A known shape costs no allocation; one forgotten is found again the same. */
static void test_shapes_are_remembered_and_forgotten(void **state) {
    (void)state;
    hn_product first, again;
    assert_ok(hn_product_init(&first, 16, 8, 9, 16, 16, &err));
    hn_fault_arm(HN_FAULT_ALLOC, 1);
    assert_ok(hn_product_init(&again, 16, 8, 9, 16, 16, &err));
    hn_fault_arm(HN_FAULT_ALLOC, 0);
    assert_memory_equal(&first, &again, sizeof first);
    for (int32_t i = 0; i < 300; i++) {
        hn_product other;
        assert_ok(hn_product_init(&other, 16, 8, 10 + i, 16, 16, &err));
    }
    assert_ok(hn_product_init(&again, 16, 8, 9, 16, 16, &err));
    assert_memory_equal(&first, &again, sizeof first);
}

typedef struct asker {
    pthread_t thread;
    hn_product found[8];
    hn_status status;
} asker;

static void *ask(void *user) {
    asker *const a = user;
    for (int32_t i = 0; i < 8 && a->status == HN_OK; i++) {
        a->status = hn_product_init(&a->found[i], 24 + i, 40, 41, 24 + i, 50, NULL);
    }
    return NULL;
}

static void test_threads_find_the_same(void **state) {
    (void)state;
    static asker askers[4];
    for (int32_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
    for (int32_t i = 0; i < 4; i++) assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
    for (int32_t i = 0; i < 4; i++) {
        assert_int_equal(askers[i].status, HN_OK);
        assert_memory_equal(askers[i].found, askers[0].found, sizeof askers[0].found);
    }
}

int main(void) {
    const int32_t saved = hn_kernel_enter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_shapes),
        cmocka_unit_test(test_library_out_of_memory),
        cmocka_unit_test(test_probe_reports_the_librarys_memory),
        cmocka_unit_test(test_each_allocation_may_fail),
        cmocka_unit_test(test_counts_cover_every_row),
        cmocka_unit_test(test_shapes_are_remembered_and_forgotten),
        cmocka_unit_test(test_threads_find_the_same),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    hn_kernel_leave(saved);
    return failed;
}
