/* Private to train/: what a bundle learns from held-out rows when training ends, with the best
 * parameters, in the same pass that measures them: each cell's calibration and the profile, both
 * from the validation split, and the golden rows, from validation and test. Every row is looked at
 * once, in the dataset's order; samples bound the memory and are functions of the rows alone, so
 * that threads change no byte. */
#ifndef HN_TRAIN_HELDOUT_H
#define HN_TRAIN_HELDOUT_H

#include "bundle/bundle.h"
#include "train/trainer.h"

typedef struct hn_heldout hn_heldout;

/* Both must outlive it. */
hn_status hn_heldout_create(hn_heldout **out, const hn_config *config, const hn_dataset *dataset,
                            hn_error *err);
void hn_heldout_free(hn_heldout *heldout);
/* An hn_scored_rows (train.h) for the rows of the validation split; `heldout` is the user. */
hn_status hn_heldout_add(void *heldout, const hn_rows *rows, const hn_real *logits, hn_error *err);
/* The same for the rows of the test split: nothing is fitted on them. */
hn_status hn_heldout_see(void *heldout, const hn_rows *rows, const hn_real *logits, hn_error *err);
/* The fits, once all rows have been added. Golden rows that a server's way of scoring does not
 * give the same are left out with a warning. */
hn_status hn_heldout_finish(hn_heldout *heldout, const hn_trainer *trainer, const hn_run *run,
                            hn_error *err);
/* NULL where the config asks for none. */
const hn_calibration *hn_heldout_calibration(const hn_heldout *heldout);
const hn_profile *hn_heldout_profile(const hn_heldout *heldout);
const json_t *hn_heldout_golden(const hn_heldout *heldout);

#endif
