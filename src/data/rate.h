/* Rate features: the smoothed share of positives and the number of rows of a key, and the
 * tables they are looked up in.
 *
 * A key's *counts* are [0] rows, then for each task rows with a label and positives. The
 * *totals* are what every door but training sees, and all that a bundle keeps. The *others*
 * are what a training row sees: the totals without its own fold, or only earlier folds. */
#ifndef HN_DATA_RATE_H
#define HN_DATA_RATE_H

#include "base/config.h"
#include "data/tally.h"

/* Keys in ascending order with their counts; found by the key's top bits, then by
 * bisection, so that it can lie in a mapped file. */
typedef struct hn_rate_totals {
    uint64_t n;
    uint64_t *keys;   /* [n] */
    uint32_t *counts; /* [n][width] */
    uint64_t *start;  /* [2^bits + 1] first key of each top-bits value */
    int bits;
    int32_t width;
} hn_rate_totals;
void hn_rate_totals_free(hn_rate_totals *totals);
/* Makes `start`; HN_BAD_DATA when keys are not ascending. */
hn_status hn_rate_totals_index(hn_rate_totals *totals, const char *what, hn_error *err);
/* Position of a key, or -1. */
int64_t hn_rate_totals_find(const hn_rate_totals *totals, uint64_t key);

/* What the training rows of each (key, fold) see, in the order of (key, fold): in memory,
 * or in a mapped temporary file where the memory limit is tight. */
typedef struct hn_rate_folds {
    uint64_t *begin; /* [keys + 1] */
    uint64_t n;
    const uint64_t *folds;  /* [n] */
    const uint32_t *others; /* [n][width] */
    void *mapped;           /* of a file: both arrays */
    size_t mapped_bytes;
} hn_rate_folds;
void hn_rate_folds_free(hn_rate_folds *folds);
/* The counts that a training row of the key at `position` and of `fold` sees; NULL when it
 * is not there. */
const uint32_t *hn_rate_others_find(const hn_rate_folds *folds, int32_t width, uint64_t position,
                                    uint64_t fold);

/* Folds as ordered integers: see hn_config_feature.fold_by. */
uint64_t hn_rate_fold_of_ordinal(uint64_t ordinal, int32_t folds);
uint64_t hn_rate_fold_of_number(double x); /* `past`; no number: HN_RATE_FOLD_UNKNOWN */
#define HN_RATE_FOLD_UNKNOWN UINT64_MAX

/* Keys of several columns: start with 0, add each column's hash in turn. */
uint64_t hn_rate_key_add(uint64_t key, uint64_t hash);

/* (positives + smoothing · base) / (labelled + smoothing). `counts` NULL: an unknown key. */
double hn_rate_value(const uint32_t *counts, int32_t task, double smoothing, double base);

typedef struct hn_rate_fit_options {
    const char *name; /* of the feature */
    int32_t width;    /* counts of a key */
    bool past;        /* only earlier folds are seen, else all but the own one */
    const char *dir;  /* where the folds' file goes when memory is short */
    const hn_run *run;
} hn_rate_fit_options;
/* From a tally by (key, fold) with `width` counters, which is finished here. */
hn_status hn_rate_fit(hn_rate_totals *totals, hn_rate_folds *folds, hn_tally *tally,
                      const hn_rate_fit_options *options, hn_error *err);

#endif
