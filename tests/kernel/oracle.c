/* See oracle.h. */
#include "oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

static uint64_t drawn;

uint64_t oracle_seed(void) {
    static uint64_t seed;
    if (seed == 0) {
        const char *const text = getenv("HN_TEST_SEED");
        seed = text ? strtoull(text, NULL, 10) : 20240229;
    }
    return seed;
}

double oracle_uniform(double low, double high) {
    return low + (high - low) * hn_random_unit(oracle_seed(), HN_STREAM_TEST, drawn++);
}

int64_t oracle_integer(int64_t low, int64_t high) {
    return low + (int64_t)(hn_random(oracle_seed(), HN_STREAM_TEST, drawn++) %
                           (uint64_t)(high - low + 1));
}

hn_real *oracle_numbers(int64_t n) {
    hn_real *const x = hn_alloc((size_t)n + 1, sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++) x[i] = (hn_real)oracle_uniform(-1, 1);
    return x;
}

hn_real *oracle_copy(const hn_real *x, int64_t n) {
    hn_real *const copy = hn_alloc((size_t)n + 1, sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, x, (size_t)n * sizeof *x);
    return copy;
}

static void tell_seed(void) {
    print_error("HN_TEST_SEED=%llu repeats this\n", (unsigned long long)oracle_seed());
}

void oracle_near(double got, double right, double tolerance, const char *what, int64_t at) {
    if (got == right || (isnan(got) && isnan(right)) || fabs(got - right) <= tolerance) return;
    tell_seed();
    fail_msg("%s, number %lld: found %.9g; expected %.9g within %.3g", what, (long long)at, got,
             right, tolerance);
}

void oracle_same_bits(const hn_real *a, const hn_real *b, int64_t n, const char *what) {
    const uint8_t *const a_bytes = (const uint8_t *)a, *const b_bytes = (const uint8_t *)b;
    const size_t bytes = (size_t)n * sizeof *a;
    if (memcmp(a_bytes, b_bytes, bytes) == 0) return;
    size_t at = 0;
    while (a_bytes[at] == b_bytes[at]) at++;
    const int64_t i = (int64_t)(at / sizeof *a);
    tell_seed();
    fail_msg("%s: number %lld of %lld is %.9g and %.9g", what, (long long)i, (long long)n,
             (double)a[i], (double)b[i]);
}

oracle_product oracle_multiply(int64_t m, int64_t n, int64_t k, const hn_real *a, int64_t a_row,
                               int64_t a_col, const hn_real *b, int64_t b_row, int64_t b_col,
                               const hn_real *c, int64_t ldc, bool accumulate) {
    const oracle_product oracle = {hn_alloc((size_t)(m * n + 1), sizeof(double)),
                                   hn_alloc((size_t)(m * n + 1), sizeof(double))};
    assert_true(oracle.right && oracle.size);
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = accumulate ? (double)c[i * ldc + j] : 0, size = fabs(sum);
            for (int64_t p = 0; p < k; p++) {
                const double term =
                    (double)a[i * a_row + p * a_col] * (double)b[p * b_row + j * b_col];
                sum += term;
                size += fabs(term);
            }
            oracle.right[i * n + j] = sum;
            oracle.size[i * n + j] = size;
        }
    }
    return oracle;
}

/* Errors of a sum grow like the root of its length, and a few times that is allowed: a wrong
 * or a missing term is larger by orders of magnitude. */
void oracle_check(oracle_product *oracle, int64_t m, int64_t n, int64_t k, const hn_real *c,
                  int64_t ldc, const char *what) {
    const double tolerance = EPSILON * (2 + 0.5 * sqrt((double)k));
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            const int64_t at = i * n + j;
            oracle_near((double)c[i * ldc + j], oracle->right[at], tolerance * oracle->size[at],
                        what, at);
        }
    }
    hn_free(oracle->right);
    hn_free(oracle->size);
}
