/* Private to train/: the weights of the tasks' losses, which are trained beside the network
 * (docs/tensors.md has the formulas). Numbers in float64, moved on one thread; what GradNorm
 * needs of the network is found in gradnorm.c. */
#ifndef HN_TRAIN_WEIGHTING_H
#define HN_TRAIN_WEIGHTING_H

#include "base/config.h"
#include "base/pack.h"

typedef struct hn_task_weight {
    double value; /* s_t or w_t */
    double m, v;  /* Adam's */
    double first; /* L_t(0) of gradnorm; 0: not known yet */
} hn_task_weight;

typedef struct hn_weighting {
    hn_weighting_kind kind;
    int32_t tasks;
    hn_task_weight *of; /* [tasks]; NULL: fixed */
} hn_weighting;

hn_status hn_weighting_create(hn_weighting *out, hn_weighting_kind kind, int32_t tasks,
                              hn_error *err);
void hn_weighting_free(hn_weighting *weighting);
/* What task t's loss is multiplied by. */
double hn_weighting_factor(const hn_weighting *weighting, int32_t t);
/* The loss that is minimised, from the tasks' [T]. A task without labels has 0. */
double hn_weighting_loss(const hn_weighting *weighting, const double *losses);
/* After step `step` (from 1). norms [T]: g_t of gradnorm; NULL for others. */
void hn_weighting_update(hn_weighting *weighting, const hn_config_train *config, double rate_scale,
                         uint64_t step, const double *losses, const double *norms);

/* Section "state/uncertainty" or "state/gradnorm", [T][4]; fixed has none. */
void hn_weighting_save(const hn_weighting *weighting, hn_packer *packer);
/* HN_BAD_DATA unless the pack has them for as many tasks. */
hn_status hn_weighting_load(hn_weighting *weighting, hn_pack *pack, hn_error *err);
/* For a warm start: loads them where the pack has them for as many tasks. */
hn_status hn_weighting_warm(hn_weighting *weighting, hn_pack *pack, bool *found, hn_error *err);

#endif
