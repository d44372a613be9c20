/* Products: right against the double-precision oracle on random shapes, touching only what
 * they may, and the promise that a row's bits depend on the row alone. */
#include <string.h>

#include <math.h>

#include "oracle.h"

enum { SHAPES = 60, SENTINEL = 77 };

/* The thread sanitizer has nothing to find here and takes ten times as long. */
#ifdef __SANITIZE_THREAD__
enum { LEAST_STEP = 23 };
#else
enum { LEAST_STEP = 1 };
#endif

/* ---- The naive product ---------------------------------------------------------- */

typedef struct shape {
    int64_t m, n, k;
} shape;

static shape random_shape(int64_t most_m, int64_t most_n, int64_t most_k) {
    return (shape){oracle_integer(1, most_m), oracle_integer(1, most_n), oracle_integer(1, most_k)};
}

/* A and B stored straight or transposed, C with a gap after each row. */
static void check_naive(shape s, bool a_transposed, bool b_transposed, bool accumulate) {
    hn_real *const a = oracle_numbers(s.m * s.k), *const b = oracle_numbers(s.k * s.n);
    const int64_t ldc = s.n + 3;
    hn_real *const c = oracle_numbers(s.m * ldc), *const before = oracle_copy(c, s.m * ldc);
    const int64_t a_row = a_transposed ? 1 : s.k, a_col = a_transposed ? s.m : 1;
    const int64_t b_row = b_transposed ? 1 : s.n, b_col = b_transposed ? s.k : 1;
    oracle_product right =
        oracle_multiply(s.m, s.n, s.k, a, a_row, a_col, b, b_row, b_col, c, ldc, accumulate);
    hn_product_naive(s.m, s.n, s.k, a, a_row, a_col, b, b_row, b_col, c, ldc, accumulate);
    oracle_check(&right, s.m, s.n, s.k, c, ldc, "naive product");
    for (int64_t i = 0; i < s.m; i++)
        oracle_same_bits(c + i * ldc + s.n, before + i * ldc + s.n, 3, "gap of C");
    hn_free(a), hn_free(b), hn_free(c), hn_free(before);
}

static void test_naive_matches_the_oracle(void **state) {
    (void)state;
    for (int32_t i = 0; i < SHAPES; i++) {
        check_naive(random_shape(40, 40, i % 4 == 0 ? 700 : 60), i & 1, i & 2, i & 4);
    }
    check_naive((shape){6, 16, 256}, false, false, true);
    check_naive((shape){1, 1, 1}, false, false, false);
}

static void test_naive_of_an_empty_sum(void **state) {
    (void)state;
    hn_real c[6] = {1, 2, SENTINEL, 3, 4, SENTINEL};
    const hn_real nothing = 0;
    hn_product_naive(2, 2, 0, &nothing, 0, 1, &nothing, 2, 1, c, 3, true);
    assert_true(c[0] == 1 && c[1] == 2 && c[3] == 3 && c[4] == 4);
    hn_product_naive(2, 2, 0, &nothing, 0, 1, &nothing, 2, 1, c, 3, false);
    assert_true(c[0] == 0 && c[1] == 0 && c[3] == 0 && c[4] == 0);
    assert_true(c[2] == SENTINEL && c[5] == SENTINEL);
}

/* ---- Forward products -------------------------------------------------------------- */

typedef struct forward {
    hn_product product;
    hn_real *a, *b, *c; /* A and C have room for a tile, its slack and a shift */
    int64_t a_numbers, c_numbers;
} forward;

static forward forward_open(int32_t n, int32_t k, int64_t lda, int64_t ldb, int64_t ldc) {
    hn_error err = {0};
    forward f = {0};
    assert_ok(hn_product_init(&f.product, n, k, lda, ldb, ldc, &err));
    const int64_t rows = HN_TILE_ROWS + HN_TILE_SLACK + 1;
    f.a_numbers = rows * lda;
    f.c_numbers = rows * ldc;
    f.a = oracle_numbers(f.a_numbers);
    f.b = oracle_numbers(k * ldb);
    f.c = oracle_numbers(f.c_numbers);
    return f;
}

static void forward_close(forward *f) { hn_free(f->a), hn_free(f->b), hn_free(f->c); }

static void check_forward(forward *f, int32_t m, bool accumulate) {
    const hn_product *const p = &f->product;
    hn_real *const before = oracle_copy(f->c, f->c_numbers);
    oracle_product right =
        oracle_multiply(m, p->n, p->k, f->a, p->lda, 1, f->b, p->ldb, 1, f->c, p->ldc, accumulate);
    assert_true(hn_product_run(p, m, f->a, f->b, f->c, accumulate));
    oracle_check(&right, m, p->n, p->k, f->c, p->ldc, "forward product");
    for (int64_t i = 0; i < f->c_numbers; i++) {
        const bool may_change = i / p->ldc < m + HN_TILE_SLACK && i % p->ldc < p->n;
        if (!may_change) oracle_same_bits(f->c + i, before + i, 1, "C outside the product");
    }
    hn_free(before);
}

static void test_forward_matches_the_oracle(void **state) {
    (void)state;
    for (int32_t i = 0; i < SHAPES; i++) {
        const shape s = random_shape(HN_TILE_ROWS, 70, 200);
        const int64_t gap = i & 1 ? oracle_integer(1, 50) : 0;
        forward f = forward_open((int32_t)s.n, (int32_t)s.k, s.k + gap, s.n + gap / 2, s.n + gap);
        check_forward(&f, (int32_t)s.m, i & 2);
        forward_close(&f);
    }
}

static void test_forward_of_nothing(void **state) {
    (void)state;
    forward f = forward_open(5, 0, 0, 5, 5);
    check_forward(&f, 7, true);
    check_forward(&f, 7, false);
    f.c[0] = SENTINEL;
    assert_true(hn_product_run(&f.product, 0, f.a, f.b, f.c, false));
    assert_true(f.c[0] == SENTINEL);
    forward_close(&f);
}

/* Rows first … first + m - 1 computed together, in buffers `shift` numbers off their
 * alignment, must be what each is alone, to the bit. */
static void check_rows(const forward *f, const hn_real *right, int32_t m, int32_t first,
                       int32_t shift, bool accumulate, hn_real *a, hn_real *c,
                       const hn_real *c_before) {
    const hn_product *const p = &f->product;
    memset(a, 0, (size_t)f->a_numbers * sizeof *a);
    memset(c, 0, (size_t)f->c_numbers * sizeof *c);
    for (int32_t i = 0; i < m; i++) {
        memcpy(a + shift + i * p->lda, f->a + (first + i) * p->lda, (size_t)p->k * sizeof *a);
        memcpy(c + shift + i * p->ldc, c_before + (first + i) * p->ldc, (size_t)p->n * sizeof *c);
    }
    assert_true(hn_product_run(p, m, a + shift, f->b, c + shift, accumulate));
    for (int32_t i = 0; i < m; i++) {
        oracle_same_bits(c + shift + i * p->ldc, right + (first + i) * p->ldc, p->n,
                         "a row's bits");
    }
}

/* `right` is each row computed alone. */
static void check_bits(int32_t n, int32_t k, int64_t lda, int64_t ldb, int64_t ldc, int32_t step) {
    forward f = forward_open(n, k, lda, ldb, ldc);
    hn_real *const a = oracle_numbers(f.a_numbers), *const c = oracle_numbers(f.c_numbers);
    hn_real *const right = oracle_numbers(f.c_numbers), *const before =
                                                            oracle_copy(f.c, f.c_numbers);
    for (int32_t accumulate = 0; accumulate < 2; accumulate++) {
        memcpy(right, before, (size_t)f.c_numbers * sizeof *right);
        for (int32_t i = 0; i < HN_TILE_ROWS; i++) {
            hn_real *const row = right + i * ldc;
            memcpy(c, before + i * ldc, (size_t)n * sizeof *c);
            assert_true(hn_product_run(&f.product, 1, f.a + i * lda, f.b, c, accumulate));
            memcpy(row, c, (size_t)n * sizeof *c);
        }
        for (int32_t m = HN_TILE_ROWS; m > 0; m -= step > LEAST_STEP ? step : LEAST_STEP) {
            const int32_t first = (int32_t)oracle_integer(0, HN_TILE_ROWS - m);
            const int32_t shift = (int32_t)oracle_integer(0, lda < ldc ? lda : ldc) % 17;
            check_rows(&f, right, m, first, shift, accumulate, a, c, before);
        }
    }
    forward_close(&f);
    hn_free(a), hn_free(c), hn_free(right), hn_free(before);
}

static void test_rows_have_the_same_bits_in_any_company(void **state) {
    (void)state;
    check_bits(64, 128, 128, 64, 64, 1);
    check_bits(64, 128, 4480, 64, 2240, 1); /* one expert of a bank */
    check_bits(768, 192, 192, 768, 768, 7);
    check_bits(35, 320, 320, 35, 35, 1);
    check_bits(5, 64, 64, 5, 7, 1);
    check_bits(1, 64, 64, 1, 1, 1);
    check_bits(1, 1, 1, 1, 1, 1);
    check_bits(4480, 160, 320, 4480, 4480, 61);
    for (int32_t i = 0; i < 12; i++) {
        const shape s = random_shape(1, 150, 500);
        check_bits((int32_t)s.n, (int32_t)s.k, s.k + i % 3, s.n, s.n + i % 5, 5);
    }
}

/* A model in memory of another layout (serving shares buffers that training does not) must
 * give the same numbers. */
static void check_layouts(int32_t n, int32_t k, int64_t lda, int64_t ldc) {
    forward dense = forward_open(n, k, k, n, n), wide = forward_open(n, k, lda, n, ldc);
    for (int32_t i = 0; i < 30; i++)
        memcpy(wide.a + i * lda, dense.a + i * k, (size_t)k * sizeof *dense.a);
    assert_true(hn_product_run(&dense.product, 30, dense.a, dense.b, dense.c, false));
    assert_true(hn_product_run(&wide.product, 30, wide.a, dense.b, wide.c, false));
    for (int32_t i = 0; i < 30; i++)
        oracle_same_bits(wide.c + i * ldc, dense.c + i * n, n, "another layout");
    forward_close(&dense);
    forward_close(&wide);
}

static void test_layouts_give_the_same_bits(void **state) {
    (void)state;
    check_layouts(64, 128, 4480, 2240);
    check_layouts(64, 128, 1024, 1024); /* strides of whole pages */
    check_layouts(128, 192, 1024, 2048);
    check_layouts(35, 300, 320, 64);
    check_layouts(1, 64, 128, 12);
    for (int32_t i = 0; i < 10; i++) {
        const shape s = random_shape(1, 150, 500);
        check_layouts((int32_t)s.n, (int32_t)s.k, s.k + oracle_integer(0, 600),
                      s.n + oracle_integer(0, 600));
    }
}

/* A row of NaN or infinity stays alone. */
static void test_bad_rows_do_not_spread(void **state) {
    (void)state;
    forward f = forward_open(20, 30, 30, 20, 20);
    hn_real *const right = oracle_copy(f.c, f.c_numbers);
    assert_true(hn_product_run(&f.product, 50, f.a, f.b, right, false));
    for (int32_t j = 0; j < 30; j++) f.a[17 * 30 + j] = (hn_real)(0.0 / 0.0);
    assert_true(hn_product_run(&f.product, 50, f.a, f.b, f.c, false));
    for (int32_t i = 0; i < 50; i++) {
        if (i != 17)
            oracle_same_bits(f.c + i * 20, right + i * 20, 20, "a neighbour of NaN");
        else
            assert_true(f.c[i * 20] != f.c[i * 20]);
    }
    hn_free(right);
    forward_close(&f);
}

/* ---- Backward products --------------------------------------------------------------- */

typedef bool (*backward)(int64_t m, int64_t k, int64_t n, const hn_real *a, int64_t lda,
                         const hn_real *b, int64_t ldb, hn_real *c, int64_t ldc, bool accumulate);

/* dx: C[m×k] = A[m×n]·Bᵀ; dw: C[k×n] = A[m×k]ᵀ·B[m×n]. Nothing but C's numbers changes, and a
 * second call gives the same bits. */
static void check_backward(bool is_dx, shape s, int64_t gap, bool accumulate) {
    const int64_t a_cols = is_dx ? s.n : s.k, b_rows = is_dx ? s.k : s.m;
    const int64_t c_rows = is_dx ? s.m : s.k, c_cols = is_dx ? s.k : s.n;
    const int64_t lda = a_cols + gap, ldb = s.n + gap / 2, ldc = c_cols + gap;
    hn_real *const a = oracle_numbers(s.m * lda), *const b = oracle_numbers(b_rows * ldb);
    hn_real *const c = oracle_numbers(c_rows * ldc), *const again = oracle_copy(c, c_rows * ldc);
    hn_real *const before = oracle_copy(c, c_rows * ldc);
    oracle_product right =
        is_dx ? oracle_multiply(s.m, s.k, s.n, a, lda, 1, b, 1, ldb, c, ldc, accumulate)
              : oracle_multiply(s.k, s.n, s.m, a, 1, lda, b, ldb, 1, c, ldc, accumulate);
    const backward run = is_dx ? hn_product_dx : hn_product_dw;
    assert_true(run(s.m, s.k, s.n, a, lda, b, ldb, c, ldc, accumulate));
    assert_true(run(s.m, s.k, s.n, a, lda, b, ldb, again, ldc, accumulate));
    oracle_check(&right, c_rows, c_cols, is_dx ? s.n : s.m, c, ldc, is_dx ? "dx" : "dw");
    oracle_same_bits(c, again, c_rows * ldc, "a second call");
    for (int64_t i = 0; i < c_rows; i++) {
        oracle_same_bits(c + i * ldc + c_cols, before + i * ldc + c_cols, ldc - c_cols, "gap of C");
    }
    hn_free(a), hn_free(b), hn_free(c), hn_free(again), hn_free(before);
}

static void test_backward_matches_the_oracle(void **state) {
    (void)state;
    for (int32_t i = 0; i < SHAPES; i++) {
        check_backward(i & 1, random_shape(150, 80, 90), i & 2 ? oracle_integer(1, 40) : 0, i & 4);
    }
    check_backward(true, (shape){0, 3, 4}, 1, false);
    for (int32_t accumulate = 0; accumulate < 2; accumulate++) {
        check_backward(true, (shape){4, 3, 0}, 1, accumulate);  /* dx of no outputs: zeros */
        check_backward(false, (shape){0, 3, 4}, 1, accumulate); /* dw of no rows: zeros */
        check_backward(false, (shape){4, 0, 4}, 1, accumulate);
    }
}

/* ---- One row ------------------------------------------------------------------------- */

static void check_row(int32_t n, int32_t k, bool accumulate) {
    hn_real *const a = oracle_numbers(k + 1), *const b = oracle_numbers((int64_t)k * n + 1),
                   *const c = oracle_numbers(n), *const start = oracle_numbers(n);
    memcpy(start, c, (size_t)n * sizeof *c);
    hn_product_row(n, k, a, b, n, c, accumulate);
    for (int32_t j = 0; j < n; j++) {
        double sum = 0, size = 1;
        for (int32_t p = 0; p < k; p++) {
            const double term = (double)a[p] * (double)b[(int64_t)p * n + j];
            sum += term;
            size += fabs(term);
        }
        if (accumulate) sum += (double)start[j];
        if (fabs((double)c[j] - sum) > 1e-6 * size)
            fail_msg("row of n %d, k %d: number %d is %g, expected %g", n, k, j, (double)c[j], sum);
    }
    hn_free(a), hn_free(b), hn_free(c), hn_free(start);
}

/* Steps of 8 in k, stretches of 8192 in n, and what is left of both. */
static void test_one_row_matches_the_oracle(void **state) {
    (void)state;
    static const int32_t ns[] = {1, 3, 64, 8191, 8193}, ks[] = {0, 1, 7, 8, 9, 33};
    for (size_t i = 0; i < sizeof ns / sizeof *ns; i++)
        for (size_t j = 0; j < sizeof ks / sizeof *ks; j++) {
            check_row(ns[i], ks[j], false);
            check_row(ns[i], ks[j], true);
        }
}

int main(void) {
    const int32_t saved = hn_kernel_enter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_naive_matches_the_oracle),
        cmocka_unit_test(test_naive_of_an_empty_sum),
        cmocka_unit_test(test_forward_matches_the_oracle),
        cmocka_unit_test(test_forward_of_nothing),
        cmocka_unit_test(test_rows_have_the_same_bits_in_any_company),
        cmocka_unit_test(test_layouts_give_the_same_bits),
        cmocka_unit_test(test_bad_rows_do_not_spread),
        cmocka_unit_test(test_backward_matches_the_oracle),
        cmocka_unit_test(test_one_row_matches_the_oracle),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    hn_kernel_leave(saved);
    return failed;
}
