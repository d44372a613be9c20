/* Assignment of users to the arms of an experiment (a layer), a pure function of the unit and of
 * the shares as they stand now: nothing is stored.
 *
 * A unit's bucket in a layer is XXH3-64(salt, 0x00, unit) mod 10,000, so layers with different
 * salts are independent. The last `holdout` buckets get no arm. The others are cut into one
 * region for each pair of arms (0 and 1, 2 and 3, …), as large as the pair's equal share: the
 * first arm of a pair fills it from the bottom, the second from the top. What an arm has beyond
 * its region goes into the free buckets of the others, in order; buckets left over get no arm.
 *
 * What is promised (n arms; salt, hold-out and the list of arms unchanged; shares that fit):
 *  - n ≤ 2: whatever is raised, users are only added to arms; lowering only takes away.
 *  - n > 2: raising one arm to any share only adds users to it and changes no other arm, as long
 *    as each *other* pair's shares fit the region of that pair (2/n of what the hold-out leaves,
 *    1/n for a last arm without a partner) and the raised arm's partner has at most half of theirs
 *    or fits beside it.
 * No rule without a memory can promise it for all ramps of three arms: docs/experiments.md has
 * the proof, and the published test vectors. */
#ifndef HN_ONLINE_ASSIGN_H
#define HN_ONLINE_ASSIGN_H

#include <stddef.h>
#include <stdint.h>

enum { HN_BUCKETS = 10000, HN_ARM_NONE = -1 };
int32_t hn_assign_bucket(const char *salt, const char *unit, size_t unit_bytes);
/* The arm of a bucket: shares [arms] in buckets, which together with the hold-out are at most
 * HN_BUCKETS (the config checks it). */
int32_t hn_assign_arm(int32_t bucket, const int32_t *shares, int32_t arms, int32_t holdout);

#endif
