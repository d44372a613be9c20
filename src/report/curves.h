/* What one pass over a run's rows gives for each cell beside its metrics: the ROC curve, the
 * reliability of its probabilities, and replicates of its AUC for intervals. Rows are kept as
 * small records in a sorter that spills to disk, so that memory is bounded whatever their number.
 *
 * The bootstrap is by unit, a user or (without users) a row: in replicate b each unit counts
 * Poisson(1) times, a pure function of (seed, unit, b). So two runs that are measured on the same
 * rows have the same units drawn in the same replicate, and the difference of their replicates
 * is the paired bootstrap of their difference. With U = hn_random(seed, HN_STREAM_REPORT, unit),
 * replicate b uses the 16 bits from 16·(b mod 4) on of hn_mix64(U + b / 4); u of them stands for
 * the quantile (u + 1/2) / 65536 of Poisson(1). */
#ifndef HN_REPORT_CURVES_H
#define HN_REPORT_CURVES_H

#include "base/pool.h"
#include "base/rows.h"
#include "bundle/calibration.h"

enum {
    HN_REPLICATES = 400, /* a multiple of HN_REPLICATE_BLOCK */
    HN_REPLICATE_BLOCK = 16,
    HN_ROC_STEPS = 60, /* a curve has at most about twice as many points */
    HN_ROC_POINTS = 2 * HN_ROC_STEPS + 4,
    HN_BINS = 10
};

/* A tenth of a cell's weight, in order of its probabilities; equal ones stand together, so that one
 * bin may have more and there may be fewer bins. */
typedef struct hn_bin {
    uint64_t rows;
    double weight, predicted, rate; /* Σ w, and the weighted means of p and of the label */
    double calibrated;              /* of p as the bundle's calibration has it; NaN: none */
    double low, high;               /* Wilson's 95 % interval of the rate */
} hn_bin;

typedef struct hn_cell_curves {
    double auc;         /* as hn_cell_metrics has it */
    double *replicates; /* [HN_REPLICATES] of the AUC; NaN where a class is absent */
    double x[HN_ROC_POINTS], y[HN_ROC_POINTS]; /* false and true positive rate, rising */
    int32_t n_points;
    hn_bin bins[HN_BINS];
    int32_t n_bins;
    double error; /* expected calibration error: Σ share of the bin · |predicted - rate| */
} hn_cell_curves;

typedef struct hn_curves hn_curves;
/* `calibration` may be NULL; with the pool it must outlive the curves. `dir`: for spills. */
hn_status hn_curves_create(hn_curves **out, int32_t scenarios, int32_t tasks, bool by_user,
                           uint64_t seed, const hn_calibration *calibration, hn_pool *pool,
                           int64_t budget_bytes, const char *dir, hn_error *err);
void hn_curves_free(hn_curves *curves);
/* Rows of unknown scenarios are left out, as metrics leave them out. */
hn_status hn_curves_add(hn_curves *curves, const hn_rows *rows, const hn_real *logits,
                        hn_error *err);
hn_status hn_curves_finish(hn_curves *curves, hn_error *err);
const hn_cell_curves *hn_curves_cell(const hn_curves *curves, int32_t cell);
/* The same for two runs that were measured on the same rows with the same labels, by the same
 * units. */
uint64_t hn_curves_signature(const hn_curves *curves);

/* The 2.5 % and 97.5 % quantiles (linear between order statistics) of the defined numbers; NaN
 * where less than half are. Changes the order of `numbers`. */
void hn_interval(double *low, double *high, double *numbers, int32_t n);

#endif
