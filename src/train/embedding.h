/* Private to train/: which rows of the embedding tables a batch touches, and their update.
 * The cost goes by the batch alone, never by the size of a table. */
#ifndef HN_TRAIN_EMBEDDING_H
#define HN_TRAIN_EMBEDDING_H

#include "train/optimizer.h"

typedef struct hn_touch hn_touch; /* the touched rows of all tables */

/* Room for batches of `batch` rows; lists as long as the config lets them be. */
hn_status hn_touch_create(hn_touch **out, const hn_plan *plan, const hn_config *config,
                          int32_t batch, int32_t workers, hn_error *err);
void hn_touch_free(hn_touch *touch);
/* What hn_touch_create will take. */
int64_t hn_touch_bytes(const hn_plan *plan, const hn_config *config, int32_t batch);

/* Makes room where a batch's lists are longer than foreseen. Before the jobs below. */
hn_status hn_touch_reserve(hn_touch *touch, const hn_rows *rows, hn_error *err);
/* Job for table t: its entries of the batch sorted by row, stably. */
void hn_touch_sort(hn_touch *touch, int32_t t, const hn_rows *rows);
/* After all tables were sorted: the number of jobs of the update. */
int64_t hn_touch_items(hn_touch *touch);
/* Job `item`: sums dx [rows][width] over the entries of each of its rows, in the order of
 * the batch, and applies the rule. Each row belongs to one item. */
void hn_touch_update(hn_touch *touch, int64_t item, int32_t worker, const hn_rows *rows,
                     const hn_real *dx, const hn_rule *rule, hn_state *state, hn_params *params);

#endif
