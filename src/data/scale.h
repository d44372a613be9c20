/* How a number becomes model input: a value (as is, log1p, z-score) or the id of a
 * quantile bucket; and the statistics fitted for that. */
#ifndef HN_DATA_SCALE_H
#define HN_DATA_SCALE_H

#include "base/config.h"
#include "data/tally.h"

typedef struct hn_scale {
    hn_scaling how;
    double mean, deviation; /* of log1p of the number where `how` says so; deviation 0: constant */
    double *cuts; /* [n_cuts] ascending; a value is in the bucket that counts the cuts ≤ it */
    int32_t n_cuts;
} hn_scale;
void hn_scale_free(hn_scale *scale);

/* sign(x) · log(1 + |x|): log1p for what is counted or measured, and still monotone (and
 * odd) for negative numbers. */
double hn_log1p_signed(double x);
/* The value of a number; NaN (missing) gives 0: the mean, where there is one. Finite. */
float hn_scale_value(const hn_scale *scale, double x);
/* The id of its bucket; NaN gives HN_ID_MISSING. */
uint32_t hn_scale_bucket(const hn_scale *scale, double x);

/* Weighted mean and deviation by compensated sums, in the order of adding. */
typedef struct hn_moments {
    double shift; /* the first number: sums of differences lose less */
    double weight;
    double sum, sum_lost, squares, squares_lost;
} hn_moments;
void hn_moments_add(hn_moments *moments, double x, double weight); /* NaN: nothing */
double hn_moments_mean(const hn_moments *moments);
double hn_moments_deviation(const hn_moments *moments); /* of the population */

/* Bits whose order as integers is the order of numbers (not for NaN), and back. */
uint64_t hn_number_order(double x);
double hn_number_of_order(uint64_t bits);

/* Cuts for at most `buckets` buckets from a tally of numbers by hn_number_order (one
 * counter), which is finished here: the weighted quantiles, each once, and none that would
 * leave a bucket without a training value; every distinct value its own bucket where they
 * are few enough. */
hn_status hn_scale_fit_cuts(hn_scale *scale, hn_tally *tally, int32_t buckets, hn_error *err);

#endif
