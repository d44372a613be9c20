/* Between hn_kernel_enter and hn_kernel_leave no product makes a thread, and afterwards
 * OpenMP is as it was; the yardstick of speed gives a believable number. */
#include <dirent.h>
#include <pthread.h>

#include "oracle.h"

int omp_get_max_threads(void);
void omp_set_num_threads(int threads);

static int32_t count_threads(void) {
    DIR *const folder = opendir("/proc/self/task");
    if (!folder) return -1;
    int32_t n = 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(folder);
    return n;
}

static void run_products(void) {
    enum { N = 512, K = 256 };
    const int64_t rows = HN_TILE_ROWS + HN_TILE_SLACK;
    hn_error err = {0};
    hn_product p;
    assert_ok(hn_product_init(&p, N, K, K, N, N, &err));
    hn_real *const a = oracle_numbers(rows * K), *const b = oracle_numbers(K * N),
                   *const c = oracle_numbers(rows * N);
    for (int32_t i = 0; i < 5; i++) {
        assert_true(hn_product_run(&p, 128 - 20 * i, a, b, c, false));
        assert_true(hn_product_dx(128, K, N, c, N, b, N, a, K, false));
        assert_true(hn_product_dw(128, K, N, a, K, c, N, b, N, true));
    }
    hn_free(a), hn_free(b), hn_free(c);
}

static void test_products_make_no_thread(void **state) {
    (void)state;
    const int32_t before = count_threads();
    if (before < 0) {
        print_message("skipped: no /proc/self/task here\n");
        skip();
    }
    omp_set_num_threads(4);
    const int32_t saved = hn_kernel_enter();
    run_products();
    assert_int_equal(count_threads(), before);
    hn_kernel_leave(saved);
    assert_int_equal(omp_get_max_threads(), 4);
}

/* Probing takes care of itself: it may be called from a thread of the user's. */
static void test_probing_makes_no_thread(void **state) {
    (void)state;
    const int32_t before = count_threads();
    if (before < 0) skip();
    omp_set_num_threads(4);
    hn_product p;
    hn_error err = {0};
    assert_ok(hn_product_init(&p, 300, 200, 200, 300, 300, &err));
    assert_int_equal(count_threads(), before);
    assert_int_equal(omp_get_max_threads(), 4);
}

static void test_enter_and_leave_nest(void **state) {
    (void)state;
    omp_set_num_threads(3);
    const int32_t outer = hn_kernel_enter();
    const int32_t inner = hn_kernel_enter();
    assert_int_equal(outer, 3);
    assert_int_equal(inner, 1);
    hn_kernel_leave(inner);
    assert_int_equal(omp_get_max_threads(), 1);
    hn_kernel_leave(outer);
    assert_int_equal(omp_get_max_threads(), 3);
}

static void *check_own_setting(void *user) {
    omp_set_num_threads(5);
    const int32_t saved = hn_kernel_enter();
    *(bool *)user = saved == 5 && omp_get_max_threads() == 1;
    hn_kernel_leave(saved);
    return NULL;
}

static void test_the_setting_is_each_threads_own(void **state) {
    (void)state;
    omp_set_num_threads(3);
    bool right = false;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, check_own_setting, &right), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(right);
    assert_int_equal(omp_get_max_threads(), 3);
}

static void test_peak(void **state) {
    (void)state;
    const double peak = hn_kernel_peak(0.05);
    print_message("FMA peak of this core: %.1f GFLOP/s\n", peak * 1e-9);
    assert_true(peak > 1e8 && peak < 1e12);
    assert_true(hn_kernel_peak(0) > 0); /* once at least */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_make_no_thread),
        cmocka_unit_test(test_probing_makes_no_thread),
        cmocka_unit_test(test_enter_and_leave_nest),
        cmocka_unit_test(test_the_setting_is_each_threads_own),
        cmocka_unit_test(test_peak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
