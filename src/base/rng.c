/* The random values that need more than a line: normal deviates and permutations.
 * Like those of the header they are pure functions of (seed, stream, counter). */
#include "base/rng.h"

#include <math.h>

double hn_random_normal(uint64_t seed, uint64_t stream, uint64_t counter) {
    const double two_pi = 6.283185307179586476925286766559;
    /* 1 - [0, 1) is never 0, so the logarithm is finite. */
    const double radius = sqrt(-2.0 * log(1.0 - hn_random_unit(seed, stream, 2 * counter)));
    return radius * cos(two_pi * hn_random_unit(seed, stream, 2 * counter + 1));
}

void hn_random_permutation(uint32_t *out, uint32_t n, uint64_t seed, uint64_t stream,
                           uint64_t counter) {
    const uint64_t key = hn_random(seed, stream, counter);
    for (uint32_t i = 0; i < n; i++) out[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        /* The high half of 64 × 32 bits: uniform up to a bias below 2^-32. */
        const uint64_t bits = hn_random(key, stream, i);
        const uint32_t j = (uint32_t)(((unsigned __int128)bits * i) >> 64);
        const uint32_t swapped = out[i - 1];
        out[i - 1] = out[j];
        out[j] = swapped;
    }
}
