/* The yardstick of every speed claim: how many float32 operations a second one core can do
 * with fused multiply-adds and nothing else, measured now, for clocks change by the minute. */
#include "kernel/kernel.h"

#include <math.h>
#include <time.h>

enum { CHAINS = 12, STEPS = 20000 }; /* 12 independent chains hide 4 cycles on 2 or 3 units */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* x ← x·0.999 + 0.001 in every lane of every chain; returns something of the result, so that
 * nothing is optimised away. */
#define HN_CHAINS(NAME, TARGET, LANES)                                                           \
    TARGET static float NAME(void) {                                                             \
        typedef float vector __attribute__((vector_size(4 * (LANES))));                          \
        vector x0 = {0}, x1 = x0 + 1, x2 = x0 + 2, x3 = x0 + 3, x4 = x0 + 4, x5 = x0 + 5;        \
        vector x6 = x0 + 6, x7 = x0 + 7, x8 = x0 + 8, x9 = x0 + 9, x10 = x0 + 10, x11 = x0 + 11; \
        const vector a = x0 + 0.999f, b = x0 + 0.001f;                                           \
        for (int32_t i = 0; i < STEPS; i++) {                                                    \
            STEP(x0)                                                                             \
            STEP(x1)                                                                             \
            STEP(x2)                                                                             \
            STEP(x3) STEP(x4) STEP(x5) STEP(x6) STEP(x7) STEP(x8) STEP(x9) STEP(x10) STEP(x11)   \
        }                                                                                        \
        x0 += x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9 + x10 + x11;                            \
        return x0[0];                                                                            \
    }

#ifdef __x86_64__
#define STEP(x) __asm__("vfmadd132ps %2, %1, %0" : "+v"(x) : "v"(b), "v"(a));
HN_CHAINS(chains_avx512, __attribute__((target("avx512f"))), 16)
HN_CHAINS(chains_avx2, __attribute__((target("avx2,fma"))), 8)
#undef STEP
#endif
#define STEP(x) x = x * a + b;
HN_CHAINS(chains_any, , 4)

double hn_kernel_peak(double seconds) {
    float (*chains)(void) = chains_any;
    int32_t lanes = 4;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f")) {
        chains = chains_avx512;
        lanes = 16;
    } else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        chains = chains_avx2;
        lanes = 8;
    }
#endif
    volatile float sink = 0;
    double best = INFINITY, start = now();
    const double end = start + seconds;
    do {
        sink = sink + chains();
        const double stop = now();
        best = fmin(best, stop - start);
        start = stop;
    } while (start < end);
    return 2.0 * CHAINS * STEPS * lanes / best;
}
