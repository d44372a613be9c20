/* Training: optimizer, metrics, the trainer, evaluation, and the bundle's making. */
#ifndef HN_TRAIN_TRAIN_H
#define HN_TRAIN_TRAIN_H

#include "base/report.h"
#include "data/dataset.h"
#include "model/model.h"

/* ---- Metrics of one cell: exact, streaming, sorted on disk when large ------------------ */

typedef struct hn_cell_metrics {
    uint64_t rows, positives; /* present labels */
    double weight;            /* Σ w of them */
    double auc;      /* ties count half; weighted by sample weight; NaN with one class only */
    double gauc;     /* by user, users with both classes, each by the weight of its rows; NaN where
                        undefined */
    double log_loss; /* weighted mean */
    double calibration; /* Σ w·p / Σ w·y; NaN without positives */
    bool constant;      /* all predictions equal: dead experts */
} hn_cell_metrics;

typedef struct hn_metrics hn_metrics; /* all cells of one pass */
hn_status hn_metrics_create(hn_metrics **out, int32_t scenarios, int32_t tasks, bool gauc,
                            int64_t budget_bytes, const char *dir, hn_error *err);
/* Adds rows with their logits [rows][T]. The result does not depend on order or budget. */
hn_status hn_metrics_add(hn_metrics *metrics, const hn_rows *rows, const hn_real *logits,
                         hn_error *err);
hn_status hn_metrics_finish(hn_cell_metrics *out /* [M·T] */, hn_metrics *metrics, hn_error *err);
void hn_metrics_free(hn_metrics *metrics);
/* Mean over the cells where it is defined (NaN where none is). */
double hn_metrics_mean_auc(const hn_cell_metrics *cells, int32_t n);
double hn_metrics_mean_gauc(const hn_cell_metrics *cells, int32_t n);
double hn_metrics_mean_log_loss(const hn_cell_metrics *cells, int32_t n);

/* ---- Optimizer --------------------------------------------------------------------------- */

typedef struct hn_state hn_state; /* moments of params, and the step count */
hn_status hn_state_create(hn_state **out, const hn_plan *plan, const hn_params *params,
                          const hn_config_train *config, hn_error *err);
void hn_state_free(hn_state *state);
void hn_state_save(const hn_state *state, hn_packer *packer);
hn_status hn_state_load(hn_state *state, hn_pack *pack, hn_error *err);

/* ---- One training step ---------------------------------------------------------------------- */

typedef struct hn_trainer hn_trainer; /* plan, params, state, sessions, shards, pool */
/* config (train, model and tasks of it) and pool must outlive the trainer; the parameters
 * are initialised. memory_bytes: more than this in all is refused with the need named
 * (0: no limit). */
hn_status hn_trainer_create(hn_trainer **out, const hn_layout *layout, const hn_config *config,
                            hn_pool *pool, int64_t memory_bytes, hn_error *err);
void hn_trainer_free(hn_trainer *trainer);
hn_plan *hn_trainer_plan(hn_trainer *trainer);
hn_params *hn_trainer_params(hn_trainer *trainer);
hn_state *hn_trainer_state(hn_trainer *trainer);
/* Forward, backward, update on one batch (sorted by scenario). `*loss`: the batch's loss.
 * rate_scale multiplies the rates (warm-up and decay). HN_NOT_FINITE names the first bad
 * tensor; nothing was updated then. */
hn_status hn_trainer_step(double *loss, hn_trainer *trainer, const hn_rows *batch,
                          double rate_scale, hn_error *err);
/* Of the last step: the losses [T] of the tasks, as docs/tensors.md has L_t. */
const double *hn_trainer_task_losses(const hn_trainer *trainer);
/* What task t's loss is multiplied by in the next step; 1 unless train.weighting says so. */
double hn_trainer_task_weight(const hn_trainer *trainer, int32_t t);
/* Computes what depends on parameters alone; after parameters were set from outside. */
hn_status hn_trainer_stage(hn_trainer *trainer, hn_error *err);
/* Scores a split with the current parameters. `watch`, unless it is NULL, is shown every batch
 * with its logits [rows][T], in the dataset's order of batches. */
typedef hn_status (*hn_scored_rows)(void *user, const hn_rows *rows, const hn_real *logits,
                                    hn_error *err);
hn_status hn_trainer_evaluate(hn_cell_metrics *out, hn_trainer *trainer, const hn_dataset *dataset,
                              hn_split split, hn_scored_rows watch, void *user, const hn_run *run,
                              hn_error *err);

#endif
