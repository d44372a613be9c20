/* Private to train/: what TensorBoard is told of a training (hn_run.tensorboard): scalars of the
 * steps, at most some thousand points, and of the evaluations. Beside the bundle and never in
 * it; nothing of a training depends on it. */
#ifndef HN_TRAIN_BOARD_H
#define HN_TRAIN_BOARD_H

#include "train/train.h"

typedef struct hn_board hn_board;

/* steps: of the whole training, step: those done (a resumed one); NULL dir: no board, which all
 * other calls accept. */
hn_status hn_board_open(hn_board **out, const char *dir, const hn_config *config, int64_t steps,
                        int64_t step, hn_error *err);
void hn_board_close(hn_board *board);
/* After step `step` with `rows` rows; rate: the learning rate that it had. */
hn_status hn_board_step(hn_board *board, int64_t step, double loss, double rate, int32_t rows,
                        const hn_trainer *trainer, hn_error *err);
/* The cells' metrics of a split, "validation" or "test". */
hn_status hn_board_evaluation(hn_board *board, int64_t step, const char *split,
                              const hn_cell_metrics *cells, hn_error *err);

#endif
