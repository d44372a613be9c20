/* Numeric kernels: pure functions on caller's memory. No allocation (but for oneDNN's
 * own), no status except the products' "could not". `hn_real` is float, or double in
 * the double build, where every product is the naive one.
 *
 * Names: matrices are row-major; m, n, k and leading dimensions (lda …) as in BLAS.
 * All kernels give the same bits for a row whatever the other rows are and wherever the
 * row stands, and for a tail the same bits as for a body. */
#ifndef HN_KERNEL_KERNEL_H
#define HN_KERNEL_KERNEL_H

#include <stdint.h>

#include "base/error.h"
#include "base/rows.h"

/* ---- Products ---------------------------------------------------------------- */

enum {
    HN_TILE_ROWS = 128, /* the most rows that a forward product is asked for */
    HN_TILE_SLACK = 64  /* rows beyond the asked ones that a forward product may read
                           from A and write in C: buffers are that much longer, and
                           callers order their products so that what is spilled into
                           the next rows is written again afterwards */
};

/* Forward products C[m×n] (+)= A[m×k] · B[k×n] must not depend on m or on the position
 * of a row. A GEMM library does not give that by itself, so a shape is probed once: for
 * each m the number of rows to really compute (m' ≥ m, from a few fixed counts) is
 * chosen such that every row in every position gives the same bits as in every other
 * allowed count; where none does, the naive product is used. */
typedef struct hn_product {
    int32_t n, k;
    int64_t lda, ldb, ldc;
    uint8_t padded[HN_TILE_ROWS + 1]; /* m → m'; 0: use the naive twin */
    bool row;                         /* hn_product_row gives the same bits: it does m = 1 */
} hn_product;

/* Probes (allocates scratch; remembers shapes already probed, thread-safe). */
hn_status hn_product_init(hn_product *out, int32_t n, int32_t k, int64_t lda, int64_t ldb,
                          int64_t ldc, hn_error *err);

/* C = A·B (accumulate false) or C += A·B, for 0 ≤ m ≤ HN_TILE_ROWS. May touch rows
 * m … m + HN_TILE_SLACK - 1 of A (read) and C (written). false: the library is out of
 * memory (C undefined). */
bool hn_product_run(const hn_product *product, int32_t m, const hn_real *a, const hn_real *b,
                    hn_real *c, bool accumulate);

/* Backward products; deterministic for the same arguments, any m, touch nothing beyond.
 *   dx: C[m×k] (+)= A[m×n] · B[k×n]ᵀ      dw: C[k×n] (+)= A[m×k]ᵀ · B[m×n]  */
bool hn_product_dx(int64_t m, int64_t k, int64_t n, const hn_real *a, int64_t lda, const hn_real *b,
                   int64_t ldb, hn_real *c, int64_t ldc, bool accumulate);
bool hn_product_dw(int64_t m, int64_t k, int64_t n, const hn_real *a, int64_t lda, const hn_real *b,
                   int64_t ldb, hn_real *c, int64_t ldc, bool accumulate);

/* The naive twin, C[m×n] (+)= op(A)·op(B), operands by their row and column strides: each
 * number is one chain in the order of k (fused multiply-adds where this CPU has them), so it
 * keeps the promise for any m. 0.4 to 0.85 of the library's speed. The oracle in the tests is
 * its double-precision form in tests/kernel. */
void hn_product_naive(int64_t m, int64_t n, int64_t k, const hn_real *a, int64_t a_row,
                      int64_t a_col, const hn_real *b, int64_t b_row, int64_t b_col, hn_real *c,
                      int64_t ldc, bool accumulate);

/* One row: c[n] = a[k] · B[k×n], or c + that. B is read once, from front to back, which for one
 * row is all the time there is. Each number is one chain from 0 in the order of k; c is added
 * last (the naive twin starts from c). */
void hn_product_row(int64_t n, int64_t k, const hn_real *a, const hn_real *b, int64_t ldb,
                    hn_real *c, bool accumulate);

/* Tells the calling thread's OpenMP to stay single-threaded, gives back what it was. */
int32_t hn_kernel_enter(void);
void hn_kernel_leave(int32_t saved);

/* The FMA peak of one core now, in FLOP/s (measured for about `seconds`). */
double hn_kernel_peak(double seconds);

/* ---- Elementwise, over n contiguous numbers -------------------------------------- */

/* An output may be exactly an input, but must not overlap one otherwise. Nothing is fused, so
 * that the bits are the same on every CPU. NaN stays NaN, in ReLU too. */

typedef enum hn_act {
    HN_ACT_NONE,
    HN_ACT_RELU,
    HN_ACT_SIGMOID,
    HN_ACT_TANH,
    HN_ACT_SILU, /* smooth: x·sigmoid(x) */
    HN_ACT_GELU /* smooth: x·Φ(x) by its tanh form, x·sigmoid(2√(2/π)·(x + 0.044715·x³)) */
} hn_act;

/* y[rows][ld] : y = act(y) on `cols` columns of each row, in place. */
void hn_act_forward(hn_act act, int64_t rows, int64_t cols, hn_real *y, int64_t ld);
/* dy *= act'(…) given the activation's output y (for SILU and GELU its input must be kept in
 * `pre`; other kinds take pre = NULL). */
void hn_act_backward(hn_act act, int64_t rows, int64_t cols, const hn_real *y, const hn_real *pre,
                     hn_real *dy, int64_t ld);
/* y[r][c] = bias[c] (beta of a product) */
void hn_fill_rows(int64_t rows, int64_t cols, const hn_real *bias, hn_real *y, int64_t ld);
/* bias[c] += Σ_r dy[r][c], rows in order */
void hn_sum_rows(int64_t rows, int64_t cols, const hn_real *dy, int64_t ld, hn_real *bias);
void hn_add(int64_t n, const hn_real *x, hn_real *y);                       /* y += x */
void hn_axpy(int64_t n, hn_real a, const hn_real *x, hn_real *y);           /* y += a·x */
void hn_scale_to(int64_t n, hn_real a, const hn_real *x, hn_real *y);       /* y = a·x */
void hn_mul_to(int64_t n, const hn_real *a, const hn_real *b, hn_real *y);  /* y = a·b */
void hn_mul_add(int64_t n, const hn_real *a, const hn_real *b, hn_real *y); /* y += a·b */
hn_real hn_dot(int64_t n, const hn_real *a, const hn_real *b); /* fixed order of 16 partial sums */
bool hn_all_finite(int64_t n, const hn_real *x);
/* y = (x - mean)/√(variance + 1e-5) of the n numbers, sums in hn_dot's order */
void hn_norm_to(int64_t n, const hn_real *x, hn_real *y);
/* dx += (dy - mean(dy) - y·mean(dy ⊙ y)) / √(variance + 1e-5), y being hn_norm_to's */
void hn_norm_backward(int64_t n, const hn_real *x, const hn_real *y, const hn_real *dy,
                      hn_real *dx);

/* exp, log1p(exp) and sigmoid used everywhere: one implementation, so that every door
 * gives the same bits; relative error of the float build ≤ 2e-7. */
hn_real hn_exp(hn_real x);
hn_real hn_sigmoid(hn_real x);
hn_real hn_softplus(hn_real x); /* log(1 + e^x), stable */

/* Softmax of `n` logits; mask[i] == 0 leaves i out with weight exactly 0 (mask NULL: all).
 * All left out: all 0. */
void hn_softmax(int32_t n, const hn_real *logits, const uint8_t *mask, hn_real *out);
/* dlogits += (dout - Σ dout·out)·out */
void hn_softmax_backward(int32_t n, const hn_real *out, const hn_real *dout, hn_real *dlogits);

/* ---- Optimizer steps over n contiguous numbers ----------------------------------- */

typedef struct hn_adam {
    hn_real rate;                  /* already corrected: rate·√(1-β₂ᵗ)/(1-β₁ᵗ) */
    hn_real beta1, beta2, epsilon; /* epsilon already scaled by √(1-β₂ᵗ) */
    hn_real decay;                 /* L2 in the gradient: g += decay·w */
    hn_real shrink;                /* decoupled: w -= shrink·w before the step */
} hn_adam;
void hn_adam_step(const hn_adam *adam, int64_t n, const hn_real *g, hn_real *w, hn_real *m,
                  hn_real *v);
void hn_adagrad_step(hn_real rate, hn_real epsilon, hn_real decay, hn_real shrink, int64_t n,
                     const hn_real *g, hn_real *w, hn_real *sum);
void hn_sgd_step(hn_real rate, hn_real decay, hn_real shrink, int64_t n, const hn_real *g,
                 hn_real *w);

#endif
