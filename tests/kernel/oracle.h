/* What the tests of the kernels share: seeded numbers, and the naive double-precision twins
 * that say what is right. Every test prints its seed when it fails (HN_TEST_SEED=N repeats
 * it). */
#ifndef HN_TESTS_KERNEL_ORACLE_H
#define HN_TESTS_KERNEL_ORACLE_H

#include "base/rows.h"
#include "kernel/kernel.h"
#include "support.h"

#ifdef HN_DOUBLE
#define EPSILON 2.220446e-16
#else
#define EPSILON 1.1920929e-07
#endif

/* The seed of this run, and the numbers that follow from it. */
uint64_t oracle_seed(void);
double oracle_uniform(double low, double high);
int64_t oracle_integer(int64_t low, int64_t high); /* both included */

/* A new array (hn_free) of numbers in [-1, 1), `extra` numbers longer. */
hn_real *oracle_numbers(int64_t n);
hn_real *oracle_copy(const hn_real *x, int64_t n);

/* |got - right| ≤ tolerance, or both infinite alike, or both NaN; else fails with `what`. */
void oracle_near(double got, double right, double tolerance, const char *what, int64_t at);
void oracle_same_bits(const hn_real *a, const hn_real *b, int64_t n, const char *what);

/* right[m×n] = (C if accumulate) + op(A)·op(B) in double, strides as in hn_product_naive;
 * size[m×n] the same of absolute values, which bounds the rounding errors. */
typedef struct oracle_product {
    double *right, *size;
} oracle_product;
oracle_product oracle_multiply(int64_t m, int64_t n, int64_t k, const hn_real *a, int64_t a_row,
                               int64_t a_col, const hn_real *b, int64_t b_row, int64_t b_col,
                               const hn_real *c, int64_t ldc, bool accumulate);
/* Compares c[m×n] and frees the oracle. */
void oracle_check(oracle_product *oracle, int64_t m, int64_t n, int64_t k, const hn_real *c,
                  int64_t ldc, const char *what);

#endif
