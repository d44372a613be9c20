/* The making of a trainer: the model's plans, parameters, optimizer, and all the memory
 * that a step needs, so that a step allocates nothing. What a step does is in step.c. */
#include "train/trainer.h"

#include "base/memory.h"

/* ---- Pieces: the param block as work for the pool ---------------------------------------- */

static size_t pieces_of(size_t count) { return (count + HN_PIECE_NUMBERS - 1) / HN_PIECE_NUMBERS; }

static void cut_chunk(hn_pieces *out, int32_t *n, size_t *filled, int32_t chunk, size_t count) {
    for (size_t from = 0; from < count; from += HN_PIECE_NUMBERS) {
        const size_t to = from + HN_PIECE_NUMBERS < count ? from + HN_PIECE_NUMBERS : count;
        if (*filled >= HN_PIECE_NUMBERS) {
            out->first[++out->items] = *n;
            *filled = 0;
        }
        out->pieces[(*n)++] = (hn_piece){chunk, from, to};
        *filled += to - from;
    }
}

/* Chunks that begin before `limit`; small ones share an item. */
static hn_status make_pieces(hn_pieces *out, const hn_plan *plan, size_t limit, hn_error *err) {
    size_t most = 1;
    for (int32_t i = 0; i < hn_plan_chunks(plan); i++)
        most += pieces_of(hn_plan_chunk(plan, i)->count);
    out->pieces = hn_alloc_zero(most, sizeof *out->pieces);
    out->first = hn_alloc_zero(most + 1, sizeof *out->first);
    if (!out->pieces || !out->first) return hn_no_memory(err, "the trainer");
    int32_t n = 0;
    size_t filled = 0;
    for (int32_t i = 0; i < hn_plan_chunks(plan); i++)
        if (hn_plan_chunk(plan, i)->offset < limit)
            cut_chunk(out, &n, &filled, i, hn_plan_chunk(plan, i)->count);
    if (filled > 0) out->first[++out->items] = n;
    return HN_OK;
}

static void free_pieces(hn_pieces *pieces) {
    hn_free(pieces->pieces);
    hn_free(pieces->first);
}

/* ---- Memory ------------------------------------------------------------------------------ */

static double mib(int64_t bytes) { return (double)bytes / (1 << 20); }

static hn_status check_memory(const hn_trainer *trainer, size_t leaf_count, size_t block_count,
                              int64_t limit, hn_error *err) {
    if (limit <= 0) return HN_OK;
    const hn_plan *const plan = trainer->plan;
    const hn_layout *const layout = hn_plan_layout(plan);
    int64_t tables = 0;
    for (int32_t t = 0; t < layout->n_tables; t++)
        tables += (int64_t)layout->tables[t].rows * layout->tables[t].width *
                  (int64_t)sizeof(hn_real) * (hn_plan_per_scenario(plan) ? layout->scenarios : 1);
    const int64_t state = hn_state_bytes(plan, leaf_count, &trainer->config->train);
    const int64_t blocks = (int64_t)(block_count * sizeof(hn_real)) * (1 + trainer->max_shards) +
                           hn_gradnorm_bytes(trainer->gradnorm);
    const int64_t rows = (int64_t)trainer->max_rows * layout->width * (int64_t)sizeof(hn_real) +
                         hn_touch_bytes(plan, trainer->config, trainer->max_rows);
    const int64_t sessions = (int64_t)hn_session_bytes(plan) * trainer->threads;
    const int64_t need = tables + state + blocks + rows + sessions, held = hn_memory_held();
    if (need + held <= limit) return HN_OK;
    return hn_fail(
        err, HN_NO_MEMORY,
        "training needs %.0f MiB (embedding tables %.0f, optimizer state %.0f, parameters and "
        "gradients %.0f, batch %.0f, threads %.0f) beside the %.0f in use; the limit is %.0f MiB: "
        "raise it (--memory), or use smaller tables (min_count, max_size, width), fewer shards or "
        "a "
        "smaller batch",
        mib(need), mib(tables), mib(state), mib(blocks), mib(rows), mib(sessions), mib(held),
        mib(limit));
}

/* ---- Making ------------------------------------------------------------------------------ */

static hn_status make_sessions(hn_trainer *trainer, hn_error *err) {
    trainer->sessions = hn_alloc_zero((size_t)trainer->threads, sizeof *trainer->sessions);
    if (!trainer->sessions) return hn_no_memory(err, "the trainer");
    for (int32_t i = 0; i < trainer->threads; i++)
        HN_TRY(hn_session_create(&trainer->sessions[i], trainer->plan, err));
    return HN_OK;
}

static hn_status make_shards(hn_trainer *trainer, hn_error *err) {
    const size_t n = (size_t)trainer->max_shards, scales = (size_t)trainer->cells,
                 tasks = (size_t)hn_plan_layout(trainer->plan)->tasks;
    const size_t cells = (scales + 7) / 8 * 8; /* workers write to cache lines of their own */
    trainer->grads = hn_alloc_zero(n, sizeof *trainer->grads);
    trainer->shards = hn_alloc_zero(n, sizeof *trainer->shards);
    trainer->losses = hn_alloc_zero(n * cells, sizeof *trainer->losses);
    trainer->base = hn_alloc_zero(scales, sizeof *trainer->base);
    trainer->scale = hn_alloc_zero(scales, sizeof *trainer->scale);
    trainer->task_losses = hn_alloc_zero(tasks, sizeof *trainer->task_losses);
    trainer->norms = hn_alloc_zero(tasks, sizeof *trainer->norms);
    if (!trainer->grads || !trainer->shards || !trainer->losses || !trainer->base ||
        !trainer->scale || !trainer->task_losses || !trainer->norms)
        return hn_no_memory(err, "the trainer");
    for (size_t s = 0; s < n; s++) {
        trainer->shards[s].loss = trainer->losses + s * cells;
        HN_TRY(hn_grads_create(&trainer->grads[s], trainer->plan, err));
    }
    return HN_OK;
}

static hn_status make_buffers(hn_trainer *trainer, hn_error *err) {
    const hn_layout *const layout = hn_plan_layout(trainer->plan);
    HN_TRY(make_pieces(&trainer->all, trainer->plan, SIZE_MAX, err));
    HN_TRY(make_pieces(&trainer->leaves, trainer->plan, trainer->params.leaf_count, err));
    trainer->bad_items = hn_alloc_zero((size_t)trainer->leaves.items + 1, 1);
    trainer->zeros = hn_alloc_zero(HN_PIECE_NUMBERS, sizeof *trainer->zeros);
    trainer->dx = hn_alloc((size_t)trainer->max_rows * (size_t)layout->width, sizeof *trainer->dx);
    if (!trainer->bad_items || !trainer->zeros || !trainer->dx)
        return hn_no_memory(err, "the trainer");
    return hn_touch_create(&trainer->touch, trainer->plan, trainer->config, trainer->max_rows,
                           trainer->threads, err);
}

static hn_status make_plans(hn_trainer *trainer, const hn_layout *layout, hn_error *err) {
    const int32_t saved = hn_kernel_enter();
    hn_status status = hn_model_record(&trainer->graph, layout, &trainer->config->model, err);
    if (status == HN_OK)
        status = hn_plan_create(&trainer->plan, trainer->graph, HN_MODE_TRAIN, err);
    if (status == HN_OK)
        status = hn_plan_create(&trainer->infer, trainer->graph, HN_MODE_INFER, err);
    hn_kernel_leave(saved);
    return status;
}

/* Numbers of the param block before anything is allocated: all chunks, and the leaves'. */
static void count_block(const hn_plan *plan, size_t *leaves, size_t *all) {
    *leaves = *all = 0;
    for (int32_t i = 0; i < hn_plan_chunks(plan); i++) *all += hn_plan_chunk(plan, i)->count;
    for (int32_t i = 0; i < hn_plan_params(plan); i++) {
        const hn_param_info *const p = hn_plan_param(plan, i);
        *leaves += (size_t)p->batch * (size_t)p->rows * (size_t)p->groups * (size_t)p->cols;
    }
}

/* With one task there is nothing to balance. */
static hn_status find_gradnorm(hn_trainer *trainer, int32_t tasks, hn_error *err) {
    HN_TRY(hn_gradnorm_check(trainer->config, err));
    if (trainer->config->train.weighting != HN_WEIGHTING_GRADNORM || tasks < 2) return HN_OK;
    return hn_gradnorm_create(&trainer->gradnorm, trainer->plan, &trainer->config->model,
                              trainer->threads, trainer->max_shards, err);
}

static hn_status fill(hn_trainer *trainer, const hn_layout *layout, int64_t limit, hn_error *err) {
    const hn_config_train *const train = &trainer->config->train;
    HN_TRY(make_plans(trainer, layout, err));
    HN_TRY(find_gradnorm(trainer, layout->tasks, err));
    size_t leaves, all;
    count_block(trainer->plan, &leaves, &all);
    HN_TRY(check_memory(trainer, leaves, all, limit, err));
    HN_TRY(hn_params_create(&trainer->params, trainer->plan, err));
    hn_params_init(&trainer->params, trainer->plan, train->seed, train->embedding_scale, NULL);
    HN_TRY(hn_state_create(&trainer->state, trainer->plan, &trainer->params, train, err));
    HN_TRY(make_sessions(trainer, err));
    HN_TRY(make_shards(trainer, err));
    if (trainer->gradnorm) HN_TRY(hn_gradnorm_reserve(trainer->gradnorm, err));
    HN_TRY(make_buffers(trainer, err));
    return hn_trainer_stage(trainer, err);
}

hn_status hn_trainer_stage(hn_trainer *trainer, hn_error *err) {
    const int32_t saved = hn_kernel_enter();
    const bool fine = hn_params_stage(&trainer->params, trainer->plan);
    hn_kernel_leave(saved);
    return fine ? HN_OK : hn_no_memory(err, "a matrix product");
}

hn_status hn_trainer_create(hn_trainer **out, const hn_layout *layout, const hn_config *config,
                            hn_pool *pool, int64_t memory_bytes, hn_error *err) {
    *out = NULL;
    const hn_config_train *const train = &config->train;
    if (train->batch < 1 || train->shards < 1)
        return hn_fail(err, HN_BAD_CONFIG,
                       "train: batch is %d and shards %d; both must be at least 1",
                       (int)train->batch, (int)train->shards);
    hn_trainer *const trainer = hn_alloc_zero(1, sizeof *trainer);
    if (!trainer) return hn_no_memory(err, "the trainer");
    trainer->config = config;
    trainer->pool = pool;
    trainer->threads = hn_pool_threads(pool);
    trainer->cells = layout->scenarios * layout->tasks;
    trainer->max_rows = train->batch;
    const int32_t fit = train->batch / HN_SHARD_ROWS;
    trainer->max_shards = train->shards < fit ? train->shards : fit > 0 ? fit : 1;
    const hn_status status = fill(trainer, layout, memory_bytes, err);
    if (status != HN_OK) {
        hn_trainer_free(trainer);
        return status;
    }
    *out = trainer;
    return HN_OK;
}

void hn_trainer_free(hn_trainer *trainer) {
    if (!trainer) return;
    for (int32_t i = 0; trainer->sessions && i < trainer->threads; i++)
        hn_session_free(trainer->sessions[i]);
    for (int32_t s = 0; trainer->grads && s < trainer->max_shards; s++)
        hn_grads_free(&trainer->grads[s]);
    hn_free(trainer->sessions);
    hn_free(trainer->grads);
    hn_free(trainer->shards);
    hn_free(trainer->losses);
    hn_free(trainer->base);
    hn_free(trainer->scale);
    hn_free(trainer->task_losses);
    hn_free(trainer->norms);
    hn_gradnorm_free(trainer->gradnorm);
    hn_free(trainer->bad_items);
    hn_free(trainer->zeros);
    hn_free(trainer->dx);
    free_pieces(&trainer->all);
    free_pieces(&trainer->leaves);
    hn_touch_free(trainer->touch);
    hn_state_free(trainer->state);
    hn_params_free(&trainer->params);
    hn_plan_free(trainer->infer);
    hn_plan_free(trainer->plan);
    hn_graph_free(trainer->graph);
    hn_free(trainer);
}

hn_plan *hn_trainer_plan(hn_trainer *trainer) { return trainer->plan; }
hn_params *hn_trainer_params(hn_trainer *trainer) { return &trainer->params; }
hn_state *hn_trainer_state(hn_trainer *trainer) { return trainer->state; }

const double *hn_trainer_task_losses(const hn_trainer *trainer) { return trainer->task_losses; }

double hn_trainer_task_weight(const hn_trainer *trainer, int32_t t) {
    return hn_weighting_factor(&trainer->state->weighting, t);
}
