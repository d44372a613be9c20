/* Private to train/: the trainer's parts. trainer.c makes them, step.c runs a step,
 * evaluate.c scores a split. */
#ifndef HN_TRAIN_TRAINER_H
#define HN_TRAIN_TRAINER_H

#include "base/pool.h"
#include "train/embedding.h"
#include "train/gradnorm.h"

typedef struct hn_shard { /* a contiguous part of the batch */
    int32_t first, rows;
    double *loss;    /* [heads of all scenarios] Σ w·BCE */
    const char *bad; /* the first tensor that is not finite; NULL: none */
    bool failed;     /* oneDNN out of memory */
} hn_shard;

typedef struct hn_piece { /* some numbers of a chunk of the param block */
    int32_t chunk;
    size_t from, to; /* within the chunk */
} hn_piece;

typedef struct hn_pieces { /* work on the param block, cut into items for the pool */
    hn_piece *pieces;
    int32_t *first; /* [items + 1] of each item */
    int32_t items;
} hn_pieces;

struct hn_trainer {
    const hn_config *config;
    hn_pool *pool;
    hn_graph *graph;
    hn_plan *plan, *infer;
    hn_params params;
    hn_state *state;
    hn_session **sessions; /* [threads] */
    int32_t threads;
    int32_t max_rows; /* of a batch */
    int32_t cells;    /* M·T */
    hn_grads *grads;  /* [max_shards] */
    hn_shard *shards; /* [max_shards] */
    int32_t max_shards;
    double *losses;              /* [max_shards][cells, padded]: the shards' */
    double *base;                /* [cells] of the step, before the tasks' trained weights */
    double *scale;               /* [cells] with them */
    double *task_losses, *norms; /* [T] of the step */
    hn_gradnorm *gradnorm;       /* NULL: not wanted */
    hn_real *dx;                 /* [max_rows][width] */
    hn_touch *touch;
    hn_pieces all, leaves; /* of the param block; of its trained part */
    uint8_t *bad_items;    /* [leaves.items] */
    hn_real *zeros;        /* the gradient of what no shard wrote */
    /* the step being run, for its jobs */
    const hn_rows *batch;
    int32_t n_shards;
    int64_t touch_items;
    hn_rule dense, sparse;
};

enum { HN_PIECE_NUMBERS = 16384, HN_SHARD_ROWS = 64 /* the fewest */ };

#endif
