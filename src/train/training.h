/* Private to train/: one training, hn_train's. run.c opens and closes it, loop.c goes
 * through the epochs, checkpoint.c keeps it on disk, warm.c starts it from a bundle, finish.c
 * ends it. */
#ifndef HN_TRAIN_TRAINING_H
#define HN_TRAIN_TRAINING_H

#include "base/pool.h"
#include "train/board.h"
#include "train/trainer.h"

/* Where a training stands; with the parameters and the optimizer's state all that its rest
 * depends on. */
typedef struct hn_position {
    int64_t epoch;   /* whole epochs done */
    int64_t batch;   /* batches of the next epoch done */
    int64_t step;    /* steps of this training */
    double loss_sum; /* since the last record in `epochs` */
    int64_t loss_steps;
    double best;         /* best value of the metric; -∞: none */
    int64_t best_record; /* its index in `epochs`; -1: none */
    int64_t bad;         /* evaluations since without a better one */
    int64_t due;         /* an evaluation is due before the next step */
    int64_t ended;       /* early stop */
} hn_position;

typedef struct hn_history { /* history.jsonl: one JSON object a line */
    int fd;                 /* -1: closed */
    uint64_t bytes;
    const char *path;
} hn_history;

typedef struct hn_training {
    const hn_config *config;
    const hn_run *run;
    hn_pool *pool;
    hn_dataset *dataset;
    hn_trainer *trainer;
    hn_batcher *batcher;
    char *dataset_path, *best_path, *last_path, *checkpoint_path, *history_path, *scores_path;
    hn_position at;
    json_t *epochs;         /* a record for each evaluation */
    hn_cell_metrics *cells; /* [M·T] of the last evaluation */
    hn_history history;
    hn_board *board;        /* NULL: none */
    int64_t steps, batches; /* in all; of an epoch */
    uint64_t identity;      /* of config and data */
    bool validates;         /* the validation split can give the metric */
    int32_t cell;           /* of the metric; -1: the mean */
    double saved_at;        /* seconds; when the last checkpoint was written */
    double started, shown_at, logged_at;
    uint64_t shown_rows, rows; /* trained by this process */
    double smooth_loss;
} hn_training;

/* The seconds between checkpoints within an epoch; a test may lower it. */
extern double hn_checkpoint_seconds;
double hn_seconds(void);

/* loop.c: trains to the end. HN_INTERRUPTED: a checkpoint was written. */
hn_status hn_training_loop(hn_training *job, hn_error *err);
/* schedule.c: the factor of the rates at `step` (from 0) of `steps`. */
double hn_schedule_scale(const hn_config_train *train, int64_t step, int64_t steps);

/* checkpoint.c */
hn_status hn_training_save(hn_training *job, hn_error *err);
/* Goes on from the checkpoint; `*found` false where there is none. */
hn_status hn_training_load(hn_training *job, bool *found, hn_error *err);
void hn_training_identify(hn_training *job);
/* `heldout` NULL: without what only the end of a training knows. */
struct hn_heldout;
hn_status hn_training_write_bundle(hn_training *job, const char *path, const json_t *metrics,
                                   const struct hn_heldout *heldout, hn_error *err);
/* The parameters (and state, when kept) of a bundle of this training. */
hn_status hn_training_read_bundle(hn_training *job, const char *path, hn_error *err);

/* warm.c: parameters and state that the bundle has by name and shape. */
hn_status hn_training_warm(hn_training *job, hn_pack *bundle, hn_error *err);

/* history.c: `keep` bytes of the file stay, what is behind them goes. */
hn_status hn_history_open(hn_history *history, const char *path, uint64_t keep, hn_error *err);
void hn_history_close(hn_history *history);
/* Takes `line` over. */
hn_status hn_history_add(hn_history *history, json_t *line, hn_error *err);

/* finish.c: last.hn, best.hn with all metrics, and the report. */
hn_status hn_training_finish(hn_report **out, hn_training *job, hn_error *err);

#endif
