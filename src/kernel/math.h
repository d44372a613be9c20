/* exp, sigmoid, tanh and log(1 + e^x) as branch-free inline functions that vectorise inside
 * the kernels' loops. They are the only ones used on numbers of a model, so every door gives
 * the same bits. The float build has polynomials of its own, for libm's functions are calls
 * that no loop can vectorise and that differ between releases; the double build, which is for
 * the tests, uses libm. */
#ifndef HN_KERNEL_MATH_H
#define HN_KERNEL_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/rows.h"

#ifdef HN_DOUBLE

static inline double math_abs(double x) { return fabs(x); }
static inline double math_sqrt(double x) { return sqrt(x); }
static inline double math_exp(double x) { return exp(x); }
static inline double math_tanh(double x) { return tanh(x); }
static inline double math_log1p_unit(double x) { return log1p(x); }

#else

static inline float math_abs(float x) { return fabsf(x); }
static inline float math_sqrt(float x) { return sqrtf(x); }

/* 2ⁿ for -126 ≤ n ≤ 127; other n give some number. */
static inline float math_power_of_two(int32_t n) {
    const uint32_t bits = ((uint32_t)n + 127u) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return power;
}

/* e^x = 2ⁿ·e^r with |r| ≤ ln2/2 (Cody and Waite: n·LN2_HIGH is exact) and
 * e^r = 1 + r + r²·P(r), P the Chebyshev fit of degree 4 (relative error 1e-8 before
 * rounding). 2ⁿ is applied in two halves, so that results below 2⁻¹²⁶ and above 2¹²⁷ come
 * out right too. NaN stays NaN: no comparison with it is true. */
static inline float math_exp(float x) {
    static const float LOG2E = 1.44269504f, LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;
    static const float ROUND = 12582912.0f; /* 1.5·2²³: adding it rounds to an integer */
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    const float shifted = x * LOG2E + ROUND;
    const float n = shifted - ROUND;
    const float r = (x - n * LN2_HIGH) - n * LN2_LOW;
    float p = 0.001392621347f;
    p = p * r + 0.008363202972f;
    p = p * r + 0.04166655444f;
    p = p * r + 0.1666657685f;
    p = p * r + 0.5f;
    p = (p * (r * r) + r) + 1.0f;
    int32_t exponent;
    memcpy(&exponent, &shifted, sizeof exponent);
    exponent -= 0x4b400000; /* the bits of ROUND: what is left is n */
    const int32_t half = exponent >> 1;
    return p * math_power_of_two(half) * math_power_of_two(exponent - half);
}

/* log(1 + x) for 0 ≤ x ≤ 1: 2·atanh(s) with s = x / (2 + x) ≤ 1/3, and
 * 2·atanh(s) = 2s + 2s³·L(s²), L the Chebyshev fit of degree 3 (1.6e-8 before rounding).
 * 2s = x - s·x is exact but for the smaller part. */
static inline float math_log1p_unit(float x) {
    const float s = x / (2.0f + x);
    const float z = s * s;
    float p = 0.1342574901f;
    p = p * z + 0.141183099f;
    p = p * z + 0.2000378032f;
    p = p * z + 0.3333332017f;
    return x - s * (x - 2.0f * z * p);
}

/* By e^(-2|x|), or near 0, where that cancels, x + x³·T(x²), T of degree 4. */
static inline float math_tanh(float x) {
    const float size = fabsf(x);
    const float e = math_exp(-2.0f * size);
    const float far = copysignf((1.0f - e) / (1.0f + e), x);
    const float z = x * x;
    float p = -0.006096714166f;
    p = p * z + 0.020997179f;
    p = p * z - 0.05385090958f;
    p = p * z + 0.1333276974f;
    p = p * z - 0.3333332894f;
    const float near = x + x * z * p;
    return size < 0.625f ? near : far;
}

#endif

/* 1 / (1 + e^-x), by e^-|x| so that nothing overflows. */
static inline hn_real math_sigmoid(hn_real x) {
    const hn_real e = math_exp(-math_abs(x));
    return (x < 0 ? e : (hn_real)1) / ((hn_real)1 + e);
}

/* log(1 + e^x) = max(x, 0) + log(1 + e^-|x|) */
static inline hn_real math_softplus(hn_real x) {
    return (x > 0 ? x : (hn_real)0) + math_log1p_unit(math_exp(-math_abs(x)));
}

#endif
