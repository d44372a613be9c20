/* For train/ and report/: scoring many rows with the pool, and the metrics of them. */
#ifndef HN_TRAIN_SCORING_H
#define HN_TRAIN_SCORING_H

#include "base/pool.h"
#include "train/train.h"

typedef struct hn_scoring hn_scoring; /* a scorer with a scratch for each worker */

/* scorer and pool must outlive it. */
hn_status hn_scoring_create(hn_scoring **out, const hn_scorer *scorer, const hn_layout *layout,
                            hn_pool *pool, hn_error *err);
void hn_scoring_free(hn_scoring *scoring);
/* Scores rows in any order and adds them to the metrics. */
hn_status hn_scoring_add(hn_scoring *scoring, hn_metrics *metrics, const hn_rows *rows,
                         hn_error *err);
/* The logits [rows][T] of the rows added last. */
const hn_real *hn_scoring_logits(const hn_scoring *scoring);

/* A share of the run's memory for the metrics' sorting. */
int64_t hn_metrics_budget(const hn_run *run);
/* The run's limit in bytes. */
int64_t hn_run_memory(const hn_run *run);
const char *hn_run_dir(const hn_run *run);

#endif
