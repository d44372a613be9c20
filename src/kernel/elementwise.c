/* Loops over contiguous numbers and over the rows of a matrix: sums, products, tests.
 * All are bound by memory, so they are plain loops that the compiler vectorises
 * (kernel/clones.h); see activation.c for what needs exp. */
#include "kernel/clones.h"
#include "kernel/kernel.h"
#include "kernel/math.h"

#include <string.h>

void hn_fill_rows(int64_t rows, int64_t cols, const hn_real *bias, hn_real *y, int64_t ld) {
    for (int64_t r = 0; r < rows; r++) memcpy(y + r * ld, bias, (size_t)cols * sizeof *y);
}

/* Four rows at a time, so that `bias` is read and written once for four rows; its sums are
 * still made in the order of the rows. */
HN_CLONES
void hn_sum_rows(int64_t rows, int64_t cols, const hn_real *dy, int64_t ld, hn_real *bias) {
    for (; rows >= 4; rows -= 4, dy += 4 * ld) {
        HN_IVDEP
        for (int64_t c = 0; c < cols; c++) {
            bias[c] = (((bias[c] + dy[c]) + dy[ld + c]) + dy[2 * ld + c]) + dy[3 * ld + c];
        }
    }
    for (; rows > 0; rows--, dy += ld) {
        HN_IVDEP
        for (int64_t c = 0; c < cols; c++) bias[c] += dy[c];
    }
}

HN_CLONES
void hn_add(int64_t n, const hn_real *x, hn_real *y) {
    HN_IVDEP
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

HN_CLONES
void hn_axpy(int64_t n, hn_real a, const hn_real *x, hn_real *y) {
    HN_IVDEP
    for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}

HN_CLONES
void hn_scale_to(int64_t n, hn_real a, const hn_real *x, hn_real *y) {
    HN_IVDEP
    for (int64_t i = 0; i < n; i++) y[i] = a * x[i];
}

HN_CLONES
void hn_mul_to(int64_t n, const hn_real *a, const hn_real *b, hn_real *y) {
    HN_IVDEP
    for (int64_t i = 0; i < n; i++) y[i] = a[i] * b[i];
}

HN_CLONES
void hn_mul_add(int64_t n, const hn_real *a, const hn_real *b, hn_real *y) {
    HN_IVDEP
    for (int64_t i = 0; i < n; i++) y[i] += a[i] * b[i];
}

/* Element i belongs to partial sum i mod LANES; the sums are then added in pairs. */
enum { LANES = 16 };

static inline hn_real sum_of_lanes(hn_real *sums) {
    for (int32_t width = LANES / 2; width > 0; width /= 2) {
        for (int32_t lane = 0; lane < width; lane++) sums[lane] += sums[lane + width];
    }
    return sums[0];
}

/* The sum of TERM, in which i is the number of an element. */
#define SUM_IN_LANES(n, TERM)                            \
    hn_real sums[LANES] = {0};                           \
    int64_t first = 0;                                   \
    for (; first + LANES <= (n); first += LANES) {       \
        for (int32_t lane = 0; lane < LANES; lane++) {   \
            const int64_t i = first + lane;              \
            sums[lane] += TERM;                          \
        }                                                \
    }                                                    \
    for (int32_t lane = 0; first + lane < (n); lane++) { \
        const int64_t i = first + lane;                  \
        sums[lane] += TERM;                              \
    }                                                    \
    return sum_of_lanes(sums)

HN_CLONES
hn_real hn_dot(int64_t n, const hn_real *a, const hn_real *b) { SUM_IN_LANES(n, a[i] * b[i]); }

/* ---- Norm ----------------------------------------------------------------------------------- */

HN_CLONES
static hn_real sum(int64_t n, const hn_real *x) { SUM_IN_LANES(n, x[i]); }

HN_CLONES
static hn_real squares(int64_t n, const hn_real *x, hn_real mean) {
    SUM_IN_LANES(n, (x[i] - mean) * (x[i] - mean));
}

static const hn_real NORM_EPSILON = (hn_real)1e-5;

/* 1/√(variance + ε) */
static hn_real moments(int64_t n, const hn_real *x, hn_real *mean) {
    *mean = sum(n, x) / (hn_real)n;
    return 1 / math_sqrt(squares(n, x, *mean) / (hn_real)n + NORM_EPSILON);
}

HN_CLONES
void hn_norm_to(int64_t n, const hn_real *x, hn_real *y) {
    hn_real mean;
    const hn_real inverse = moments(n, x, &mean);
    HN_IVDEP
    for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * inverse;
}

HN_CLONES
void hn_norm_backward(int64_t n, const hn_real *x, const hn_real *y, const hn_real *dy,
                      hn_real *dx) {
    hn_real mean;
    const hn_real inverse = moments(n, x, &mean);
    const hn_real level = sum(n, dy) / (hn_real)n, along = hn_dot(n, dy, y) / (hn_real)n;
    HN_IVDEP
    for (int64_t i = 0; i < n; i++) dx[i] += (dy[i] - level - y[i] * along) * inverse;
}

#ifdef HN_DOUBLE
typedef uint64_t real_bits;
static const real_bits EXPONENT = 0x7ff0000000000000u;
#else
typedef uint32_t real_bits;
static const real_bits EXPONENT = 0x7f800000u;
#endif

/* Infinities and NaNs are the numbers with all bits of the exponent set. */
HN_CLONES
static bool block_finite(int64_t n, const hn_real *x) {
    real_bits found = 0;
    for (int64_t i = 0; i < n; i++) {
        real_bits bits;
        memcpy(&bits, &x[i], sizeof bits);
        found |= (bits & EXPONENT) == EXPONENT;
    }
    return found == 0;
}

bool hn_all_finite(int64_t n, const hn_real *x) {
    enum { BLOCK = 8192 }; /* stops early, but not in the middle of a vector */
    for (int64_t i = 0; i < n; i += BLOCK) {
        if (!block_finite(n - i < BLOCK ? n - i : BLOCK, x + i)) return false;
    }
    return true;
}
