/* Drift: how far the rows that are served have moved from those that the model was trained on.
 * Each worker counts a sample of its encoded rows, and their logits, in the buckets of the
 * bundle's profile; a scrape sums the workers and writes the population stability index of
 * each input and task by scenario. Counts are of the last half hour to hour. */
#ifndef HN_SERVE_DRIFT_H
#define HN_SERVE_DRIFT_H

#include "serve/shelf.h"

enum {
    HN_DRIFT_STRIDE = 16, /* one row of about so many is counted */
    HN_DRIFT_ROWS = 200   /* a scenario with fewer counted says nothing yet */
};
#define HN_DRIFT_WINDOW_NS (INT64_C(1800) * 1000000000)

typedef struct hn_drift hn_drift; /* one worker's, of one version */

/* *out is NULL, with HN_OK, where the bundle has no profile. The bundle must outlive it. */
hn_status hn_drift_create(hn_drift **out, const hn_bundle *bundle, hn_error *err);
void hn_drift_free(hn_drift *drift);
/* Counts; `drift` may be NULL. Allocates nothing, waits for nobody. */
void hn_drift_add(hn_drift *drift, const hn_rows *rows, const hn_real *logits, int64_t now_ns);

/* The counts of n workers (NULLs count nothing), by any thread: [scenarios][inputs + tasks]
 * [HN_PROFILE_MOST], and the counted rows of each scenario. */
void hn_drift_sum(double *counts, double *rows, const hn_bundle *bundle,
                  const hn_drift *const *drifts, int32_t n, int64_t now_ns);

/* The gauges hinet_drift_rows, hinet_drift_feature_psi and hinet_drift_score_psi of every
 * loaded model; `models` of them, whose engines are hn_engine. */
void hn_drift_write(hn_text *out, hn_shelf *shelf, int32_t models, int32_t workers);

#endif
