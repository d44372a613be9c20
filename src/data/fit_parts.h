/* The parts of a fit, each of which takes the training rows of block after block and is
 * finished at the end. Parts run beside each other, one worker each, so none needs locks
 * and what a part computes cannot depend on threads. */
#ifndef HN_DATA_FIT_PARTS_H
#define HN_DATA_FIT_PARTS_H

#include "data/encode.h"
#include "data/fit.h"

typedef struct hn_fit hn_fit;
typedef struct hn_fit_part hn_fit_part;

typedef struct hn_fit_block { /* what parts are given */
    const hn_impressions *rows;
    uint64_t first_row;       /* its number in the spool */
    const uint32_t *training; /* [n_training] rows of the training split */
    int32_t n_training;
} hn_fit_block;

struct hn_fit_part {
    hn_status (*add)(hn_fit *fit, hn_fit_part *part, const hn_fit_block *block, hn_error *err);
    hn_status (*finish)(hn_fit *fit, hn_fit_part *part, hn_error *err); /* may be NULL */
    int32_t index; /* of the root, column, rate or table */
    hn_tally *tally;
    hn_moments moments;
    hn_status status;
    hn_error error;
};

struct hn_fit {
    hn_schema *schema;
    const hn_fit_options *options;
    hn_fit_counts *counts;
    uint64_t *
        *table_first; /* [tables] arrays of [rows + 1]: first training row of each table row */
    hn_fit_part *parts;
    int32_t n_parts;
    int64_t tally_bytes; /* memory for each tally */
};

/* fit_counts.c */
hn_status hn_fit_counts_create(hn_fit *fit, hn_error *err);
hn_status hn_fit_add_cells(hn_fit *fit, hn_fit_part *part, const hn_fit_block *block,
                           hn_error *err);
hn_status hn_fit_add_table(hn_fit *fit, hn_fit_part *part, const hn_fit_block *block,
                           hn_error *err);
/* fit_ids.c: vocabularies */
hn_status hn_fit_add_root(hn_fit *fit, hn_fit_part *part, const hn_fit_block *block, hn_error *err);
hn_status hn_fit_finish_root(hn_fit *fit, hn_fit_part *part, hn_error *err);
/* fit_numbers.c */
bool hn_scale_needs_fit(const hn_scale *scale);
/* Adds a number that `weight` training rows have to the tally (buckets) or the moments;
 * NaN: nothing. */
hn_status hn_fit_number(hn_tally *tally, hn_moments *moments, const hn_scale *scale, double x,
                        uint64_t weight, hn_error *err);
hn_status hn_fit_scale(hn_scale *scale, hn_tally *tally, const hn_moments *moments, int32_t buckets,
                       hn_error *err);
hn_status hn_fit_add_number(hn_fit *fit, hn_fit_part *part, const hn_fit_block *block,
                            hn_error *err);
hn_status hn_fit_finish_number(hn_fit *fit, hn_fit_part *part, hn_error *err);
/* fit_rates.c */
hn_status hn_fit_add_rate(hn_fit *fit, hn_fit_part *part, const hn_fit_block *block, hn_error *err);
hn_status hn_fit_finish_rate(hn_fit *fit, hn_fit_part *part, hn_error *err);

#endif
