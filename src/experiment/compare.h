/* Differences between two models: over seeds, paired, by Student's t; or, where there is one run
 * of each, over users, by the bootstrap. The first says what training again would change, the
 * second what other users would. */
#ifndef HN_EXPERIMENT_COMPARE_H
#define HN_EXPERIMENT_COMPARE_H

#include "base/scores.h"

typedef struct hn_difference {
    int32_t n;                 /* seeds, or users that were drawn from */
    double mean, low, high, p; /* NaN where not defined */
} hn_difference;

/* Of n ≥ 1 paired differences. */
void hn_compare_seeds(hn_difference *out, const double *differences, int32_t n, double confidence);

/* Mean over the cells that have both classes of AUC(b) - AUC(a): of the rows as they are, and its
 * percentile interval over `times` resamplings of users. The p is twice the share of resamplings
 * on the other side of 0 (one added to each). Where all rows are of one user, each row is its own.
 * HN_BAD_DATA when the two are not of the same rows. */
hn_status hn_compare_users(hn_difference *out, const hn_scores *a, const hn_scores *b,
                           int32_t times, double confidence, uint64_t seed, hn_error *err);

double hn_mean_of(const double *values, int32_t n);
/* Standard deviation, n - 1; NaN for n < 2. */
double hn_deviation_of(const double *values, int32_t n);

#endif
