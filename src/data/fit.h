/* Fitting a schema on the training rows of a spooled log, and counting what the data card
 * and the dataset say about all of its rows. */
#ifndef HN_DATA_FIT_H
#define HN_DATA_FIT_H

#include "data/schema_types.h"
#include "data/spool.h"

typedef struct hn_fit_counts {
    int32_t scenarios, tasks, tables;
    uint64_t *rows;      /* [HN_SPLITS][M] */
    uint64_t *labelled;  /* [HN_SPLITS][M][T] rows with a present label */
    uint64_t *positives; /* [HN_SPLITS][M][T] */
    /* Rows of all splits where the task that this one comes after (`after`) did not happen:
     * those that have this one all the same, and those without its label. [T] */
    uint64_t *without, *unlabelled;
    /* Training rows without a positive label: their number and Σ 1/rate at which such rows
     * were kept. [M] */
    double *negatives, *negatives_before;
    /* [tables] arrays of [HN_SPLITS][rows + 1]: rows of the log joined to each row of the
     * table; the last is those of an unknown key. */
    uint64_t **table_rows;
} hn_fit_counts;
void hn_fit_counts_free(hn_fit_counts *counts);

typedef struct hn_fit_options {
    const hn_side_tables *tables;
    hn_pack *init;   /* of a warm start; NULL */
    const char *dir; /* for spills */
    hn_pool *pool;
    const hn_run *run;
} hn_fit_options;
hn_status hn_schema_fit(hn_fit_counts *counts, hn_schema *schema, const hn_spool *spool,
                        const hn_fit_options *options, hn_error *err);

#endif
