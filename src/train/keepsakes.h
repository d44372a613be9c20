/* Private to train/: golden rows in the making. The dataset has some held-out rows as text;
 * while their splits are measured, the logits of those very rows are caught by their ordinals,
 * so that what a server must give is what training's own encoding gave. */
#ifndef HN_TRAIN_KEEPSAKES_H
#define HN_TRAIN_KEEPSAKES_H

#include "data/dataset.h"
#include "train/trainer.h"

typedef struct hn_keepsakes hn_keepsakes;
/* Of at most so many rows in the end. The dataset must outlive it. */
hn_status hn_keepsakes_create(hn_keepsakes **out, const hn_dataset *dataset, int32_t most,
                              hn_error *err);
void hn_keepsakes_free(hn_keepsakes *keepsakes);
void hn_keepsakes_add(hn_keepsakes *keepsakes, const hn_rows *rows, const hn_real *logits);
/* The golden rows (golden.h); NULL with HN_OK where there are none. */
hn_status hn_keepsakes_finish(json_t **out, const hn_keepsakes *keepsakes,
                              const hn_trainer *trainer, const hn_run *run, hn_error *err);

#endif
