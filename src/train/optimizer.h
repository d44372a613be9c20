/* Private to train/: the optimizer's state and rule. The arithmetic is the kernels'; here
 * is which numbers are kept, with which rates and decays they move, and how they are
 * stored. */
#ifndef HN_TRAIN_OPTIMIZER_H
#define HN_TRAIN_OPTIMIZER_H

#include "train/train.h"
#include "train/weighting.h"

struct hn_state {
    const hn_plan *plan;
    hn_optimizer kind;
    int32_t moments; /* kept for each parameter: Adam 2 (m, v), Adagrad 1 (Σg²), SGD 0 */
    uint64_t step;   /* steps taken; Adam's bias correction and dropout's seed */
    size_t leaf_count;
    hn_real *block;   /* [moments][leaf_count], as the param block's leaves */
    hn_real **tables; /* [n_tables] of [rows][moments][width]: a row's are neighbours */
    int32_t n_tables;
    const hn_table *of;     /* the tables of params */
    hn_weighting weighting; /* of the tasks' losses */
};

/* What one step does to a number: rate and bias correction of the step that comes next. */
typedef struct hn_rule {
    hn_optimizer kind;
    hn_adam p; /* other optimizers use its rate, epsilon, decay and shrink */
} hn_rule;
hn_rule hn_rule_make(const hn_state *state, const hn_config_train *config, double rate_scale,
                     bool embedding);
/* m, v: what the optimizer keeps; unused ones may be NULL. */
void hn_rule_apply(const hn_rule *rule, int64_t n, const hn_real *g, hn_real *w, hn_real *m,
                   hn_real *v);
/* Applies to leaves [offset, offset + n) of the block, or to one row of a table. */
void hn_rule_leaves(const hn_rule *rule, hn_state *state, hn_params *params, size_t offset,
                    size_t n, const hn_real *g);
void hn_rule_row(const hn_rule *rule, hn_state *state, hn_params *params, int32_t table,
                 uint64_t row, const hn_real *g);

/* Whether the pack has the state of the same optimizer; then its step is taken over. For
 * a warm start, which takes what it can. */
hn_status hn_state_matches(hn_state *state, hn_pack *pack, bool *out, hn_error *err);

/* Bytes that hn_state_create takes. */
int64_t hn_state_bytes(const hn_plan *plan, size_t leaf_count, const hn_config_train *config);

#endif
