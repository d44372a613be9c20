/* One training step. The batch is cut into shards; a worker carries a shard's rows through
 * the network in tiles, forward and backward, into the shard's own gradients. Shards are
 * merged in their order and embedding entries in the rows' order, so the bytes do not depend
 * on the number of threads. Nothing is updated before everything is known to be finite.
 *
 *   1  shards: forward, loss, backward │ tables: sort the touched rows
 *   2  merge the shards' gradients, backward through what has no rows
 *   3  is all finite?
 *   4  optimizer: leaves of the param block │ touched rows of the tables */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "train/trainer.h"

/* ---- Loss scale -------------------------------------------------------------------------- */

static double weight_of(const hn_rows *rows, int32_t r) {
    return rows->weights ? (double)rows->weights[r] : 1;
}

/* Σ w of the present labels of each cell. With all heads every label of every row counts. */
static void sum_weights(const hn_trainer *trainer, const hn_rows *rows, double *sum) {
    const int32_t tasks = hn_plan_layout(trainer->plan)->tasks;
    memset(sum, 0, (size_t)trainer->cells * sizeof *sum);
    for (int32_t r = 0; r < rows->rows; r++) {
        const double weight = weight_of(rows, r);
        if (hn_plan_all_heads(trainer->plan)) {
            for (int32_t c = 0; c < trainer->cells; c++) sum[c] += weight;
            continue;
        }
        for (int32_t t = 0; t < tasks; t++)
            if (rows->labels[(size_t)r * (size_t)tasks + (size_t)t] != HN_LABEL_ABSENT)
                sum[rows->scenario[r] * tasks + t] += weight;
    }
}

static double lambda_of(const hn_trainer *trainer, int32_t cell) {
    const int32_t tasks = hn_plan_layout(trainer->plan)->tasks;
    return trainer->config->tasks ? trainer->config->tasks[cell % tasks].weight : 1;
}

/* What multiplies a row's weight in each cell: λ over the batch's weight (reduce: rows) or
 * the cell's (reduce: cells); then what the task's weight makes of it. */
static void find_scale(hn_trainer *trainer, const hn_rows *rows) {
    double *const base = trainer->base, total = 0;
    const int32_t tasks = hn_plan_layout(trainer->plan)->tasks;
    sum_weights(trainer, rows, base);
    for (int32_t c = 0; c < trainer->cells; c++) total += base[c];
    for (int32_t c = 0; c < trainer->cells; c++) {
        const double over = trainer->config->train.reduce == HN_REDUCE_ROWS ? total : base[c];
        base[c] = over > 0 ? lambda_of(trainer, c) / over : 0;
        trainer->scale[c] = base[c] * hn_trainer_task_weight(trainer, c % tasks);
    }
    if (trainer->gradnorm) hn_gradnorm_begin(trainer->gradnorm, base);
}

/* ---- Shards ------------------------------------------------------------------------------ */

/* Cuts at multiples of eight, which products like. */
static int32_t cut(int32_t rows, int32_t shard, int32_t shards) {
    const int64_t at = (int64_t)rows * shard / shards;
    return shard == shards ? rows : (int32_t)(at / 8 * 8);
}

static void cut_shards(hn_trainer *trainer, int32_t rows) {
    const int32_t fit = rows / HN_SHARD_ROWS > 0 ? rows / HN_SHARD_ROWS : 1;
    trainer->n_shards = trainer->max_shards < fit ? trainer->max_shards : fit;
    for (int32_t s = 0; s < trainer->n_shards; s++) {
        hn_shard *const shard = &trainer->shards[s];
        shard->first = cut(rows, s, trainer->n_shards);
        shard->rows = cut(rows, s + 1, trainer->n_shards) - shard->first;
        shard->bad = NULL;
        shard->failed = false;
        memset(shard->loss, 0, (size_t)trainer->cells * sizeof *shard->loss);
    }
}

/* Rows of each tile of a shard: as equal as may be, and a multiple of eight. */
static int32_t tile_rows(int32_t rows) {
    const int32_t tiles = (rows + HN_TILE_ROWS - 1) / HN_TILE_ROWS;
    return ((rows + tiles - 1) / tiles + 7) / 8 * 8;
}

/* A ReLU hides a NaN behind it, so the values may be finite where a parameter is not. */
static const char *bad_parameter(const hn_trainer *trainer) {
    for (int32_t i = 0; i < hn_plan_params(trainer->plan); i++) {
        const hn_param_info *const p = hn_plan_param(trainer->plan, i);
        const int64_t n = (int64_t)p->batch * p->rows * p->groups * p->cols;
        if (!hn_all_finite(n, trainer->params.block + p->offset)) return p->name;
    }
    return NULL;
}

static const char *bad_tensor(const hn_trainer *trainer, const hn_shard *shard,
                              const hn_session *session, int32_t n, const hn_real *dx) {
    bool fine = true;
    for (int32_t c = 0; c < trainer->cells; c++) fine &= isfinite(shard->loss[c]);
    const int32_t width = hn_plan_layout(trainer->plan)->width;
    if (fine && hn_all_finite((int64_t)n * width, dx)) return NULL;
    const char *name = hn_session_first_bad(session, n);
    if (!name) name = bad_parameter(trainer);
    return name ? name : fine ? "the gradient of x" : "the loss";
}

/* Between a tile's forward and its backward; true unless oneDNN is out of memory. */
static bool compare_tasks(hn_trainer *trainer, int32_t s, int32_t worker, int32_t first,
                          int32_t n) {
    const hn_tile tile = {.params = &trainer->params,
                          .rows = trainer->batch,
                          .first = first,
                          .n = n,
                          .seed = trainer->config->train.seed,
                          .step = trainer->state->step};
    return !trainer->gradnorm ||
           hn_gradnorm_tile(trainer->gradnorm, s, worker, trainer->sessions[worker], &tile);
}

static void run_shard(hn_trainer *trainer, int32_t s, int32_t worker) {
    hn_shard *const shard = &trainer->shards[s];
    hn_session *const session = trainer->sessions[worker];
    const uint64_t seed = trainer->config->train.seed, step = trainer->state->step;
    const size_t width = (size_t)hn_plan_layout(trainer->plan)->width;
    const int32_t end = shard->first + shard->rows, tile = tile_rows(shard->rows);
    hn_grads_reset(&trainer->grads[s], trainer->plan);
    if (trainer->gradnorm) hn_gradnorm_begin_shard(trainer->gradnorm, s);
    for (int32_t at = shard->first; at < end && !shard->failed && !shard->bad; at += tile) {
        const int32_t n = end - at < tile ? end - at : tile;
        hn_real *const dx = trainer->dx + (size_t)at * width;
        shard->failed =
            !hn_session_forward(session, &trainer->params, trainer->batch, at, n, seed, step) ||
            !compare_tasks(trainer, s, worker, at, n) ||
            !hn_session_backward(session, &trainer->params, trainer->batch, at, n, trainer->scale,
                                 shard->loss, &trainer->grads[s], dx, seed, step);
        if (!shard->failed) shard->bad = bad_tensor(trainer, shard, session, n, dx);
    }
}

/* Tables are sorted last: they are small and fill the wait for the last shard. */
static void shard_or_sort(void *user, int64_t item, int32_t worker) {
    hn_trainer *const trainer = user;
    if (item < trainer->n_shards)
        run_shard(trainer, (int32_t)item, worker);
    else
        hn_touch_sort(trainer->touch, (int32_t)item - trainer->n_shards, trainer->batch);
}

static hn_status not_finite(const char *what, hn_error *err) {
    return hn_fail(err, HN_NOT_FINITE,
                   "the loss is not finite; the first bad tensor is %s. Nothing was updated: train "
                   "with a smaller "
                   "rate, or look at the scale of the inputs",
                   what);
}

/* The tasks' losses, from the shards in order, and the loss. */
static hn_status gather_loss(double *loss, const hn_trainer *trainer, hn_error *err) {
    const int32_t tasks = hn_plan_layout(trainer->plan)->tasks;
    memset(trainer->task_losses, 0, (size_t)tasks * sizeof *trainer->task_losses);
    for (int32_t s = 0; s < trainer->n_shards; s++) {
        const hn_shard *const shard = &trainer->shards[s];
        if (shard->failed) return hn_no_memory(err, "a matrix product");
        if (shard->bad) return not_finite(shard->bad, err);
        for (int32_t c = 0; c < trainer->cells; c++)
            trainer->task_losses[c % tasks] += trainer->base[c] * shard->loss[c];
    }
    *loss = hn_weighting_loss(&trainer->state->weighting, trainer->task_losses);
    return HN_OK;
}

/* ---- Merging ----------------------------------------------------------------------------- */

static void merge_item(void *user, int64_t item, int32_t worker) {
    hn_trainer *const trainer = user;
    (void)worker;
    for (int32_t i = trainer->all.first[item]; i < trainer->all.first[item + 1]; i++) {
        const hn_piece *const p = &trainer->all.pieces[i];
        hn_grads_merge(trainer->grads, trainer->n_shards, trainer->plan, p->chunk, p->from, p->to);
    }
}

static hn_status merge(hn_trainer *trainer, hn_error *err) {
    if (trainer->n_shards > 1) {
        hn_pool_run(trainer->pool, trainer->all.items, merge_item, trainer);
        hn_grads_mark(trainer->grads, trainer->n_shards, trainer->plan);
    }
    const int32_t saved = hn_kernel_enter();
    const bool fine = hn_grads_stage(&trainer->grads[0], &trainer->params, trainer->plan);
    hn_kernel_leave(saved);
    return fine ? HN_OK : hn_no_memory(err, "a matrix product");
}

static const hn_real *gradient_of(const hn_trainer *trainer, const hn_piece *p) {
    if (!trainer->grads[0].written[p->chunk]) return trainer->zeros;
    return trainer->grads[0].block + hn_plan_chunk(trainer->plan, p->chunk)->offset + p->from;
}

static void check_item(void *user, int64_t item, int32_t worker) {
    hn_trainer *const trainer = user;
    (void)worker;
    bool fine = true;
    for (int32_t i = trainer->leaves.first[item]; i < trainer->leaves.first[item + 1]; i++) {
        const hn_piece *const p = &trainer->leaves.pieces[i];
        if (trainer->grads[0].written[p->chunk])
            fine &= hn_all_finite((int64_t)(p->to - p->from), gradient_of(trainer, p));
    }
    trainer->bad_items[item] = !fine;
}

static const char *param_of(const hn_plan *plan, const hn_chunk *chunk) {
    const char *name = "a parameter";
    for (int32_t i = 0; i < hn_plan_params(plan); i++)
        if (hn_plan_param(plan, i)->offset <= chunk->offset) name = hn_plan_param(plan, i)->name;
    return name;
}

static hn_status name_bad_item(const hn_trainer *trainer, int64_t item, hn_error *err) {
    for (int32_t i = trainer->leaves.first[item]; i < trainer->leaves.first[item + 1]; i++) {
        const hn_piece *const p = &trainer->leaves.pieces[i];
        if (!trainer->grads[0].written[p->chunk] ||
            hn_all_finite((int64_t)(p->to - p->from), gradient_of(trainer, p)))
            continue;
        char what[300];
        snprintf(what, sizeof what, "the gradient of %s",
                 param_of(trainer->plan, hn_plan_chunk(trainer->plan, p->chunk)));
        return not_finite(what, err);
    }
    return HN_OK;
}

static hn_status check_gradients(hn_trainer *trainer, hn_error *err) {
    hn_pool_run(trainer->pool, trainer->leaves.items, check_item, trainer);
    for (int32_t i = 0; i < trainer->leaves.items; i++)
        if (trainer->bad_items[i]) HN_TRY(name_bad_item(trainer, i, err));
    return HN_OK;
}

/* g_t of every task, where they are wanted. */
static hn_status find_norms(hn_trainer *trainer, hn_error *err) {
    if (!trainer->gradnorm) return HN_OK;
    if (!hn_gradnorm_finish(trainer->norms, trainer->gradnorm, trainer->n_shards, &trainer->params,
                            trainer->pool))
        return hn_no_memory(err, "a matrix product");
    for (int32_t t = 0; t < hn_plan_layout(trainer->plan)->tasks; t++)
        if (!isfinite(trainer->norms[t]))
            return not_finite("a task's gradient at the layer that all share", err);
    return HN_OK;
}

/* ---- Update ------------------------------------------------------------------------------ */

/* Leaves that no shard wrote have gradient 0: their moments decay all the same. */
static void update_leaves(hn_trainer *trainer, int64_t item) {
    for (int32_t i = trainer->leaves.first[item]; i < trainer->leaves.first[item + 1]; i++) {
        const hn_piece *const p = &trainer->leaves.pieces[i];
        hn_rule_leaves(&trainer->dense, trainer->state, &trainer->params,
                       hn_plan_chunk(trainer->plan, p->chunk)->offset + p->from, p->to - p->from,
                       gradient_of(trainer, p));
    }
}

static void update_item(void *user, int64_t item, int32_t worker) {
    hn_trainer *const trainer = user;
    if (item < trainer->touch_items)
        hn_touch_update(trainer->touch, item, worker, trainer->batch, trainer->dx, &trainer->sparse,
                        trainer->state, &trainer->params);
    else
        update_leaves(trainer, item - trainer->touch_items);
}

static hn_status update(hn_trainer *trainer, double rate_scale, hn_error *err) {
    const hn_config_train *const train = &trainer->config->train;
    trainer->dense = hn_rule_make(trainer->state, train, rate_scale, false);
    trainer->sparse = hn_rule_make(trainer->state, train, rate_scale, true);
    hn_weighting_update(&trainer->state->weighting, train, rate_scale, trainer->state->step + 1,
                        trainer->task_losses, trainer->gradnorm ? trainer->norms : NULL);
    trainer->touch_items = hn_touch_items(trainer->touch);
    hn_pool_run(trainer->pool, trainer->touch_items + trainer->leaves.items, update_item, trainer);
    trainer->state->step++;
    return hn_trainer_stage(trainer, err);
}

static hn_status check_batch(const hn_trainer *trainer, const hn_rows *batch, hn_error *err) {
    if (batch->rows < 1 || batch->rows > trainer->max_rows)
        return hn_fail(err, HN_USAGE, "a batch has %d rows; expected 1 to %d (train.batch)",
                       (int)batch->rows, (int)trainer->max_rows);
    if (!batch->labels || !batch->ordinal)
        return hn_fail(err, HN_USAGE, "a training batch has no labels or no row numbers");
    return HN_OK;
}

hn_status hn_trainer_step(double *loss, hn_trainer *trainer, const hn_rows *batch,
                          double rate_scale, hn_error *err) {
    *loss = NAN;
    HN_TRY(check_batch(trainer, batch, err));
    HN_TRY(hn_touch_reserve(trainer->touch, batch, err));
    const int32_t tables = hn_plan_layout(trainer->plan)->n_tables;
    trainer->batch = batch;
    find_scale(trainer, batch);
    cut_shards(trainer, batch->rows);
    hn_pool_run(trainer->pool, trainer->n_shards + tables, shard_or_sort, trainer);
    double sum;
    HN_TRY(gather_loss(&sum, trainer, err));
    HN_TRY(merge(trainer, err));
    HN_TRY(check_gradients(trainer, err));
    HN_TRY(find_norms(trainer, err));
    HN_TRY(update(trainer, rate_scale, err));
    *loss = sum;
    return HN_OK;
}
