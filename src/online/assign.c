/* Buckets and the arms that own them. assign.h says what is promised and docs/experiments.md
 * why it cannot be more. */
#include "online/assign.h"

#define XXH_INLINE_ALL /* a state on the stack */
#include <string.h>
#include <xxhash.h>

int32_t hn_assign_bucket(const char *salt, const char *unit, size_t unit_bytes) {
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, salt, strlen(salt) + 1); /* the 0x00 is the text's own end */
    XXH3_64bits_update(&state, unit, unit_bytes);
    return (int32_t)(XXH3_64bits_digest(&state) % HN_BUCKETS);
}

typedef struct region { /* of a pair of arms; [from, to) */
    int32_t from, to;
    int32_t low, high; /* what the pair's arms take of it, from the bottom and from the top */
} region;

static int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }

/* An arm may always have half of the region, and more where its partner leaves it. */
static region region_of(int32_t pair, const int32_t *shares, int32_t arms, int32_t buckets) {
    const int32_t first = 2 * pair, next = least(first + 2, arms);
    region r = {.from = (int32_t)((int64_t)buckets * first / arms),
                .to = (int32_t)((int64_t)buckets * next / arms)};
    const int32_t size = r.to - r.from;
    const int32_t a = shares[first], b = next == first + 2 ? shares[first + 1] : 0;
    const int32_t half = size - b > size / 2 ? size - b : size / 2;
    r.low = least(a, half);
    r.high = least(b, size - r.low);
    return r;
}

static int32_t free_of(const region *r) { return r->to - r->from - r->low - r->high; }

/* Whose is the n-th free bucket: arms in order take there what did not fit their regions. */
static int32_t overflow_arm(int32_t n, const int32_t *shares, int32_t arms, int32_t buckets) {
    for (int32_t k = 0; k < arms; k++) {
        const region r = region_of(k / 2, shares, arms, buckets);
        n -= shares[k] - (k % 2 == 0 ? r.low : r.high);
        if (n < 0) return k;
    }
    return HN_ARM_NONE;
}

int32_t hn_assign_arm(int32_t bucket, const int32_t *shares, int32_t arms, int32_t holdout) {
    const int32_t buckets = HN_BUCKETS - holdout;
    if (bucket >= buckets) return HN_ARM_NONE;
    int32_t before = 0; /* free buckets of earlier regions */
    for (int32_t pair = 0; 2 * pair < arms; pair++) {
        const region r = region_of(pair, shares, arms, buckets);
        if (bucket >= r.to) {
            before += free_of(&r);
            continue;
        }
        if (bucket < r.from + r.low) return 2 * pair;
        if (bucket >= r.to - r.high) return 2 * pair + 1;
        return overflow_arm(before + bucket - r.from - r.low, shares, arms, buckets);
    }
    return HN_ARM_NONE;
}
