/* How often a row is trained on in an epoch: a pure function of the row's scenario and number, so
 * that it streams and does not depend on threads, memory or where a training was resumed. */
#ifndef HN_DATA_SAMPLING_H
#define HN_DATA_SAMPLING_H

#include <math.h>

#include "base/rng.h"

/* The whole part of the weight always, its fraction by chance. */
static inline uint32_t hn_sampling_times(double weight, uint64_t seed, int64_t epoch,
                                         uint64_t ordinal) {
    const double whole = floor(weight);
    const uint64_t key = hn_random(seed, HN_STREAM_SAMPLING, (uint64_t)epoch);
    return (uint32_t)whole + (hn_random_unit(key, HN_STREAM_SAMPLING, ordinal) < weight - whole);
}

#endif
