/* Scaling of numbers and the fits behind it; see scale.h for what is promised. */
#include "data/scale.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"

void hn_scale_free(hn_scale *scale) {
    hn_free(scale->cuts);
    scale->cuts = NULL;
    scale->n_cuts = 0;
}

double hn_log1p_signed(double x) { return copysign(log1p(fabs(x)), x); }

static float to_float(double x) {
    if (x > FLT_MAX) return FLT_MAX;
    if (x < -FLT_MAX) return -FLT_MAX;
    return (float)x;
}

float hn_scale_value(const hn_scale *scale, double x) {
    if (isnan(x)) return 0;
    if (scale->how == HN_SCALE_LOG1P || scale->how == HN_SCALE_LOG1P_ZSCORE) x = hn_log1p_signed(x);
    if (scale->how == HN_SCALE_ZSCORE || scale->how == HN_SCALE_LOG1P_ZSCORE)
        x = scale->deviation > 0 ? (x - scale->mean) / scale->deviation : 0;
    return to_float(x);
}

uint32_t hn_scale_bucket(const hn_scale *scale, double x) {
    if (isnan(x)) return HN_ID_MISSING;
    /* Bisection without branches that nobody could predict: cuts[0…below-1] ≤ x, and those
     * from below + n on are not. */
    int32_t below = 0, n = scale->n_cuts;
    while (n > 0) {
        const int32_t half = (n + 1) / 2;
        below += scale->cuts[below + half - 1] <= x ? half : 0;
        n -= half;
    }
    return (uint32_t)(HN_ID_FIRST + below);
}

/* ---- Moments --------------------------------------------------------------------- */

/* Neumaier's sum: what is lost in each addition is kept aside. */
static void add_compensated(double *sum, double *lost, double x) {
    const double total = *sum + x;
    *lost += fabs(*sum) >= fabs(x) ? (*sum - total) + x : (x - total) + *sum;
    *sum = total;
}

void hn_moments_add(hn_moments *moments, double x, double weight) {
    if (isnan(x) || !(weight > 0)) return;
    if (moments->weight == 0) moments->shift = x;
    moments->weight += weight; /* whole numbers: exact */
    const double d = x - moments->shift;
    add_compensated(&moments->sum, &moments->sum_lost, weight * d);
    add_compensated(&moments->squares, &moments->squares_lost, weight * d * d);
}

double hn_moments_mean(const hn_moments *moments) {
    if (moments->weight == 0) return 0;
    return moments->shift + (moments->sum + moments->sum_lost) / moments->weight;
}

double hn_moments_deviation(const hn_moments *moments) {
    if (moments->weight == 0) return 0;
    const double mean = (moments->sum + moments->sum_lost) / moments->weight;
    const double square = (moments->squares + moments->squares_lost) / moments->weight;
    const double variance = square - mean * mean;
    /* Below what the subtraction can resolve, the numbers are all the same. */
    if (!(variance > square * 1e-14)) return 0;
    return sqrt(variance);
}

/* ---- Quantiles ------------------------------------------------------------------- */

uint64_t hn_number_order(double x) {
    x += 0.0; /* -0 and 0 are one value */
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

double hn_number_of_order(uint64_t bits) {
    bits = bits >> 63 ? bits & ~((uint64_t)1 << 63) : ~bits;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static hn_status count_values(uint64_t *values, uint64_t *weight, hn_tally *tally, hn_error *err) {
    *values = *weight = 0;
    HN_TRY(hn_tally_finish(tally, true, err));
    for (;;) {
        const hn_tally_entry *entry;
        HN_TRY(hn_tally_next(&entry, tally, err));
        if (!entry) return HN_OK;
        *values += 1;
        *weight += entry->counts[0];
    }
}

/* A value is a cut when one of the ranks ⌊j · weight / buckets⌋, j = 1…, is among its own.
 * With as many values as buckets or fewer, each is. The least value never is: nothing
 * would be below it. */
static hn_status find_cuts(hn_scale *scale, hn_tally *tally, uint64_t values, uint64_t weight,
                           uint64_t buckets, hn_error *err) {
    HN_TRY(hn_tally_finish(tally, true, err));
    uint64_t passed = 0, j = 1;
    for (;;) {
        const hn_tally_entry *entry;
        HN_TRY(hn_tally_next(&entry, tally, err));
        if (!entry) return HN_OK;
        const bool least = passed == 0;
        bool cut = values <= buckets;
        passed += entry->counts[0];
        for (; j < buckets && (uint64_t)((unsigned __int128)j * weight / buckets) < passed; j++)
            cut = true;
        if (cut && !least) scale->cuts[scale->n_cuts++] = hn_number_of_order(entry->key);
    }
}

hn_status hn_scale_fit_cuts(hn_scale *scale, hn_tally *tally, int32_t buckets, hn_error *err) {
    uint64_t values, weight;
    hn_scale_free(scale);
    HN_TRY(count_values(&values, &weight, tally, err));
    scale->cuts = hn_alloc_zero((size_t)buckets, sizeof *scale->cuts);
    if (!scale->cuts) return hn_no_memory(err, "quantiles");
    return find_cuts(scale, tally, values, weight, (uint64_t)buckets, err);
}
