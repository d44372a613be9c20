/* Private to train/: what GradNorm asks of the network: for each task the norm of its loss'
 * gradient at the layer that all tasks share. A tile goes backward once more for each task, from
 * the loss to that layer only; the gradients of shards are summed apart and merged in shard
 * order, so that threads change no byte. */
#ifndef HN_TRAIN_GRADNORM_H
#define HN_TRAIN_GRADNORM_H

#include "base/pool.h"
#include "model/model.h"

typedef struct hn_gradnorm hn_gradnorm;

/* Finds the layer (HN_BAD_CONFIG where the model has none) and takes no room yet. */
hn_status hn_gradnorm_create(hn_gradnorm **out, const hn_plan *plan, const hn_config_model *config,
                             int32_t threads, int32_t shards, hn_error *err);
void hn_gradnorm_free(hn_gradnorm *gradnorm);
/* What hn_gradnorm_reserve takes. 0 for NULL. */
int64_t hn_gradnorm_bytes(const hn_gradnorm *gradnorm);
hn_status hn_gradnorm_reserve(hn_gradnorm *gradnorm, hn_error *err);
/* The config error alone, before anything is made. */
hn_status hn_gradnorm_check(const hn_config *config, hn_error *err);

/* A step: begin with the scale [M·T] of L_t = Σ scale · loss, then the tiles of each shard after
 * the session's forward (false: oneDNN out of memory), then the norms [T]. */
void hn_gradnorm_begin(hn_gradnorm *gradnorm, const double *scale);
void hn_gradnorm_begin_shard(hn_gradnorm *gradnorm, int32_t shard);
typedef struct hn_tile {
    const hn_params *params;
    const hn_rows *rows;
    int32_t first, n;
    uint64_t seed, step;
} hn_tile;
bool hn_gradnorm_tile(hn_gradnorm *gradnorm, int32_t shard, int32_t worker, hn_session *session,
                      const hn_tile *tile);
bool hn_gradnorm_finish(double *norms, hn_gradnorm *gradnorm, int32_t shards, hn_params *params,
                        hn_pool *pool);

#endif
