/* Assignment of users to the arms of experiments. A unit's bucket in a layer is
 * XXH3-64(salt, 0x00, unit) mod 10,000: layers with different salts are independent. Arms take buckets from
 * the bottom in the config's order, each arm its own region that starts where the shares
 * of equal split would put it, so that raising an arm's share only ever adds users to it
 * (assign.c says how). Published test vectors: docs/experiments.md. */
#ifndef HN_ONLINE_ASSIGN_H
#define HN_ONLINE_ASSIGN_H

#include <stddef.h>
#include <stdint.h>

enum { HN_BUCKETS = 10000, HN_ARM_NONE = -1 };
int32_t hn_assign_bucket(const char *salt, const char *unit, size_t unit_bytes);
/* The arm of a bucket: shares [arms] in buckets, holdout buckets at the top get HN_ARM_NONE. */
int32_t hn_assign_arm(int32_t bucket, const int32_t *shares, int32_t arms, int32_t holdout);

#endif
