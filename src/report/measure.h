/* One run measured on its rows: metrics, curves and a sample in a single pass. */
#ifndef HN_REPORT_MEASURE_H
#define HN_REPORT_MEASURE_H

#include "report/curves.h"
#include "report/sample.h"
#include "report/subject.h"
#include "train/train.h"

typedef struct hn_measured {
    int32_t cells;            /* M·T */
    uint64_t rows;            /* of known scenarios */
    bool by_user;             /* intervals are of users drawn anew, else of rows */
    hn_cell_metrics *metrics; /* [cells] */
    hn_curves *curves;
    hn_sample *sample;
} hn_measured;

typedef struct hn_measure_options {
    int64_t sample_rows;
    uint64_t seed;
    hn_pool *pool;
    const hn_run *run;
} hn_measure_options;
hn_status hn_measure(hn_measured *out, const hn_subject *subject, const hn_measure_options *options,
                     hn_error *err);
void hn_measured_free(hn_measured *measured);

/* {rows, by_user, mean: {auc, interval, gauc, log_loss}, cells: [{scenario, task, auc, interval,
 *   gauc, log_loss, calibration, error, rows, positives, rate, constant, roc: [[x, y]],
 *   bins: [{rows, predicted, calibrated, rate, low, high}]}]} */
json_t *hn_measured_json(const hn_measured *measured, const hn_config *config);

/* What of a measurement is kept to compare it with others. */
typedef struct hn_compared {
    const char *label; /* of the caller */
    uint64_t signature;
    int32_t cells;
    double *auc;        /* [cells] */
    double *replicates; /* [cells][HN_REPLICATES] */
    char *names;        /* of all cells, to see whether they are the same */
} hn_compared;
hn_status hn_compared_take(hn_compared *out, const hn_measured *measured, const hn_config *config,
                           const char *label, hn_error *err);
void hn_compared_free(hn_compared *compared);
/* Each run against the first (no runs: base is null): {base, runs: [{label, comparable, mean:
 * {difference, interval}, cells: [{difference, interval}]}]}. */
json_t *hn_compared_json(const hn_compared *runs, int32_t n);

#endif
