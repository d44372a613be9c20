/* Counter-based randomness: a value is a pure function of (seed, stream, counter), so
 * results do not depend on threads or order. */
#ifndef HN_BASE_RNG_H
#define HN_BASE_RNG_H

#include <stdint.h>

/* Streams keep uses of one seed apart. */
typedef enum hn_stream {
    HN_STREAM_INIT = 1,
    HN_STREAM_BLOCKS,
    HN_STREAM_ROWS,
    HN_STREAM_DROPOUT,
    HN_STREAM_SPLIT,
    HN_STREAM_FOLD,
    HN_STREAM_SIMULATE,
    HN_STREAM_TEST,
    HN_STREAM_PROFILE,
    HN_STREAM_CALIBRATION,
    HN_STREAM_GOLDEN,
    HN_STREAM_REPORT,
    HN_STREAM_SEARCH,
    HN_STREAM_BOOTSTRAP,
    HN_STREAM_SAMPLING
} hn_stream;

/* 64 well-mixed bits (two rounds of a splitmix64-style finaliser over the inputs). */
static inline uint64_t hn_mix64(uint64_t z) {
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
static inline uint64_t hn_random(uint64_t seed, uint64_t stream, uint64_t counter) {
    return hn_mix64(hn_mix64(hn_mix64(seed) ^ (stream * 0xd1342543de82ef95u)) ^ counter);
}
/* [0, 1) with 53 bits. */
static inline double hn_random_unit(uint64_t seed, uint64_t stream, uint64_t counter) {
    return (double)(hn_random(seed, stream, counter) >> 11) * 0x1p-53;
}
/* Standard normal (Box–Muller of counters 2c and 2c+1). */
double hn_random_normal(uint64_t seed, uint64_t stream, uint64_t counter);
/* A seeded permutation of 0…n-1 (Fisher–Yates). */
void hn_random_permutation(uint32_t *out, uint32_t n, uint64_t seed, uint64_t stream,
                           uint64_t counter);

#endif
