/* The naive product: every number of C is one chain of additions in the order of k, so its
 * bits do not depend on m, n or its place. The float build falls back to it for shapes where
 * the library's products cannot promise that; the double build uses nothing else. Only the
 * order of the loops and the packing of B into panels are there for speed. This file alone is
 * compiled with -ffp-contract=fast: where the CPU can, a step of the chain is a fused
 * multiply-add. */
#include "kernel/clones.h"
#include "kernel/kernel.h"

#include <string.h>

/* Numbers of one register, as they stand in C, at any address. */
typedef hn_real lanes __attribute__((vector_size(32), may_alias));
typedef hn_real lanes_anywhere
    __attribute__((vector_size(32), aligned(sizeof(hn_real)), may_alias));

/* A block of C, in registers: ROWS × (2 vectors); a panel of B, in the nearest cache. */
enum { ROWS = 6, LANES = 32 / sizeof(hn_real), COLS = 2 * LANES, DEPTH = 256 };

typedef struct operand {
    const hn_real *x;
    int64_t row, col; /* strides */
} operand;

/* panel[p][j] = b[p][j], zero beyond `cols`, so that a tail is computed like a body. */
static void pack(hn_real *panel, operand b, int64_t depth, int64_t cols) {
    for (int64_t p = 0; p < depth; p++) {
        for (int64_t j = 0; j < COLS; j++)
            panel[p * COLS + j] = j < cols ? b.x[p * b.row + j * b.col] : 0;
    }
}

/* C[rows × COLS] = (C or 0) + A[rows × depth] · panel; `rows` is a constant where it is
 * inlined. */
__attribute__((always_inline)) static inline void block(const int64_t rows, int64_t depth,
                                                        operand a, const hn_real *panel, hn_real *c,
                                                        int64_t ldc, bool load) {
    lanes left[ROWS], right[ROWS]; /* the halves of each row */
    for (int64_t i = 0; i < rows; i++) {
        left[i] = right[i] = (lanes){0};
        if (load) {
            left[i] = *(const lanes_anywhere *)(c + i * ldc);
            right[i] = *(const lanes_anywhere *)(c + i * ldc + LANES);
        }
    }
    for (int64_t p = 0; p < depth; p++, panel += COLS) {
        const lanes b0 = *(const lanes *)panel, b1 = *(const lanes *)(panel + LANES);
        for (int64_t i = 0; i < rows; i++) {
            const hn_real x = a.x[i * a.row + p * a.col];
            left[i] += x * b0;
            right[i] += x * b1;
        }
    }
    for (int64_t i = 0; i < rows; i++) {
        *(lanes_anywhere *)(c + i * ldc) = left[i];
        *(lanes_anywhere *)(c + i * ldc + LANES) = right[i];
    }
}

/* All rows of C for one panel of COLS columns. */
HN_CLONES
static void stripe(int64_t m, int64_t depth, operand a, const hn_real *panel, hn_real *c,
                   int64_t ldc, bool load) {
    for (; m >= ROWS; m -= ROWS, a.x += ROWS * a.row, c += ROWS * ldc)
        block(ROWS, depth, a, panel, c, ldc, load);
    for (; m > 0; m--, a.x += a.row, c += ldc) block(1, depth, a, panel, c, ldc, load);
}

/* The same for fewer columns, by way of rows that have them all. */
static void stripe_tail(int64_t m, int64_t cols, int64_t depth, operand a, const hn_real *panel,
                        hn_real *c, int64_t ldc, bool load) {
    hn_real wide[ROWS * COLS] = {0};
    const size_t bytes = (size_t)cols * sizeof *c;
    for (int64_t i = 0; i < m; i += ROWS) {
        const int64_t rows = m - i < ROWS ? m - i : ROWS;
        const operand here = {a.x + i * a.row, a.row, a.col};
        for (int64_t r = 0; load && r < rows; r++)
            memcpy(wide + r * COLS, c + (i + r) * ldc, bytes);
        stripe(rows, depth, here, panel, wide, COLS, load);
        for (int64_t r = 0; r < rows; r++) memcpy(c + (i + r) * ldc, wide + r * COLS, bytes);
    }
}

void hn_product_naive(int64_t m, int64_t n, int64_t k, const hn_real *a, int64_t a_row,
                      int64_t a_col, const hn_real *b, int64_t b_row, int64_t b_col, hn_real *c,
                      int64_t ldc, bool accumulate) {
    _Alignas(32) hn_real panel[DEPTH * COLS];
    for (int64_t j = 0; j < n; j += COLS) {
        const int64_t cols = n - j < COLS ? n - j : COLS;
        for (int64_t p = 0; p == 0 || p < k; p += DEPTH) { /* once for k = 0: C = 0 */
            const int64_t depth = k - p < DEPTH ? k - p : DEPTH;
            const operand left = {a + p * a_col, a_row, a_col};
            const operand right = {b + p * b_row + j * b_col, b_row, b_col};
            pack(panel, right, depth, cols);
            if (cols == COLS) {
                stripe(m, depth, left, panel, c + j, ldc, accumulate || p > 0);
            } else {
                stripe_tail(m, cols, depth, left, panel, c + j, ldc, accumulate || p > 0);
            }
        }
    }
}

/* ---- One row ------------------------------------------------------------------------ */

enum { ROW_COLS = 8192, ROW_DEPTH = 8 };

/* sum[cols] += a[0]·b₀ + … + a[7]·b₇, in this order. */
HN_CLONES
static void row_step(int64_t cols, const hn_real *a, const hn_real *restrict b, int64_t ldb,
                     hn_real *restrict sum) {
    for (int64_t j = 0; j < cols; j++) {
        hn_real s = sum[j];
        for (int64_t p = 0; p < ROW_DEPTH; p++) s += a[p] * b[p * ldb + j];
        sum[j] = s;
    }
}

HN_CLONES
static void row_step_one(int64_t cols, hn_real a, const hn_real *restrict b,
                         hn_real *restrict sum) {
    for (int64_t j = 0; j < cols; j++) sum[j] += a * b[j];
}

void hn_product_row(int64_t n, int64_t k, const hn_real *a, const hn_real *b, int64_t ldb,
                    hn_real *c, bool accumulate) {
    hn_real sum[ROW_COLS];
    for (int64_t j = 0; j < n; j += ROW_COLS) {
        const int64_t cols = n - j < ROW_COLS ? n - j : ROW_COLS;
        int64_t p = 0;
        memset(sum, 0, (size_t)cols * sizeof *sum);
        for (; p + ROW_DEPTH <= k; p += ROW_DEPTH) row_step(cols, a + p, b + p * ldb + j, ldb, sum);
        for (; p < k; p++) row_step_one(cols, a[p], b + p * ldb + j, sum);
        for (int64_t i = 0; i < cols; i++) c[j + i] = accumulate ? c[j + i] + sum[i] : sum[i];
    }
}
