/* The profile: what rows looked like when a model was trained, kept in the bundle ("profile",
 * JSON) so that a server can tell when they no longer do. For each scenario, a histogram of
 * each input and of each task's logits, over a sample of the validation split, which is encoded
 * as a server encodes.
 *
 * Buckets. Numbers and logits: those between the deciles (fewer where deciles fall together);
 * x is of bucket i when i cuts are at most x, NumPy's searchsorted(cuts, x, side="right").
 * Ids: missing, unseen, each of the most frequent ids, and all others. A list counts by its
 * first value, an empty one as missing. Logits are compared rather than probabilities: a
 * monotone curve between them (calibration, correction) changes no share of a bucket. */
#ifndef HN_BUNDLE_PROFILE_H
#define HN_BUNDLE_PROFILE_H

#include <jansson.h>

#include "base/rows.h"

enum {
    HN_PROFILE_BUCKETS = 10, /* of numbers */
    HN_PROFILE_IDS = 8,      /* most frequent ids with a bucket of their own */
    HN_PROFILE_MOST = 12,    /* buckets of a histogram */
    HN_PROFILE_ROWS = 100    /* a scenario with fewer has no profile */
};

typedef struct hn_histogram {
    bool numbers;                   /* else ids */
    int32_t n;                      /* cuts or ids */
    double cuts[HN_PROFILE_MOST];   /* [n] rising */
    uint32_t ids[HN_PROFILE_MOST];  /* [n] rising, ≥ HN_ID_FIRST */
    int32_t buckets;                /* n + 1, or n + 3 */
    double counts[HN_PROFILE_MOST]; /* [buckets] rows of the sample */
} hn_histogram;

typedef struct hn_profile {
    int32_t scenarios, inputs, tasks;
    uint32_t *rows;          /* [scenarios] of the sample; 0: no profile */
    hn_histogram *histogram; /* [scenarios][inputs + tasks] */
} hn_profile;

/* The bucket of a number (NaN: the last), of an id. */
int32_t hn_histogram_number(const hn_histogram *histogram, double x);
int32_t hn_histogram_id(const hn_histogram *histogram, uint32_t id);
/* The bucket of row r, of a known scenario with a profile, in each of its histograms:
 * [inputs + tasks]. `logits` are the row's own. */
void hn_profile_row(int32_t *buckets, const hn_profile *profile, const hn_layout *layout,
                    const hn_rows *rows, int32_t r, const hn_real *logits);
/* Population stability index Σ (q - p)·log(q / p) of counts against the profile's, with half a
 * row more in every bucket on both sides, so that an empty one is finite. NaN without rows. */
double hn_histogram_psi(const hn_histogram *histogram, const double *counts);

/* {inputs: [name], scenarios: [null | {rows, histograms: [{cuts | ids: […], counts: […]}]}]}.
 * NULL without memory. */
json_t *hn_profile_json(const hn_profile *profile, const hn_layout *layout);
/* Of no rows yet. */
hn_status hn_profile_create(hn_profile **out, const hn_layout *layout, hn_error *err);
/* HN_BAD_DATA where it is none of this layout. */
hn_status hn_profile_parse(hn_profile **out, const json_t *json, const hn_layout *layout,
                           hn_error *err);
void hn_profile_free(hn_profile *profile);

/* ---- Making one: a sample of each scenario's rows, the same for any number of threads ---- */

typedef struct hn_profiler hn_profiler;
hn_status hn_profiler_create(hn_profiler **out, const hn_layout *layout, hn_error *err);
/* Rows in a fixed order; logits [rows][tasks]. Rows of unknown scenarios are left out. */
void hn_profiler_add(hn_profiler *profiler, const hn_rows *rows, const hn_real *logits);
hn_status hn_profiler_finish(hn_profile **out, const hn_profiler *profiler, hn_error *err);
void hn_profiler_free(hn_profiler *profiler);

#endif
