/* The gradients that GradNorm compares; see gradnorm.h. Those of a tile go into a worker's
 * scratch, in which only what leads to the layer is ever touched, and from there into the
 * shard's sums, which have room for these chunks alone. */
#include "train/gradnorm.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

typedef struct part {             /* of the shared layer's parameter */
    int32_t first, count;         /* matrices of its batch */
    int32_t rows, from, to, cols; /* of each: columns from … to of cols */
    size_t offset;
} part;

struct hn_gradnorm {
    const hn_plan *plan;
    int32_t threads, shards, tasks, cells;
    uint8_t *wanted, *matrices; /* hn_grads' */
    part part;
    int32_t *chunks; /* [n_chunks] that a tile may write */
    int32_t n_chunks;
    size_t *at;          /* [n_chunks] where each lies in a sum */
    size_t count;        /* numbers of a sum */
    hn_grads *scratch;   /* [threads] */
    double *losses;      /* [threads][cells]: not looked at */
    hn_real *sums;       /* [shards][tasks][count], valid only where written */
    uint8_t *written;    /* [shards][tasks][n_chunks] */
    double *scale;       /* [tasks][cells]: the task's own cells, others 0 */
    int32_t used_shards; /* of the step */
};

/* ---- Making ------------------------------------------------------------------------------ */

static hn_status no_layer(const hn_config_model *config, hn_error *err) {
    return hn_fail(err, HN_BAD_CONFIG,
                   "train.weighting: found gradnorm, but the model %s has, as it is written, no "
                   "layer that all tasks share; expected fixed or uncertainty, or another model",
                   hn_model_name(config->kind));
}

hn_status hn_gradnorm_check(const hn_config *config, hn_error *err) {
    hn_shared_layer layer;
    if (config->train.weighting != HN_WEIGHTING_GRADNORM ||
        hn_model_shared_layer(&layer, &config->model))
        return HN_OK;
    return no_layer(&config->model, err);
}

/* The experts of the layer as matrices, or as columns of the only one. */
static part part_of(const hn_param_info *info, const hn_shared_layer *layer) {
    const bool by_matrix = info->batch > 1 || info->groups == 1;
    const int32_t experts = by_matrix ? info->batch : info->groups,
                  first = layer->first < 0 ? experts + layer->first : layer->first,
                  count = layer->count > 0 ? layer->count : experts;
    part p = {.first = 0,
              .count = info->batch,
              .rows = info->rows,
              .from = 0,
              .to = info->groups * info->cols,
              .cols = info->groups * info->cols,
              .offset = info->offset};
    if (by_matrix) {
        p.first = first;
        p.count = count;
    } else {
        p.from = first * info->cols;
        p.to = (first + count) * info->cols;
    }
    return p;
}

static int32_t find_param(const hn_plan *plan, const char *name) {
    for (int32_t i = 0; i < hn_plan_params(plan); i++)
        if (strcmp(hn_plan_param(plan, i)->name, name) == 0) return i;
    return -1;
}

/* Whether a chunk is a matrix of the layer's parameter that no norm is taken of. */
static bool is_outside(const hn_gradnorm *g, const hn_param_info *info, int32_t chunk) {
    const size_t matrix = (size_t)g->part.rows * (size_t)g->part.cols,
                 at = hn_plan_chunk(g->plan, chunk)->offset;
    if (at < info->offset || at >= info->offset + (size_t)info->batch * matrix) return false;
    const size_t number = (at - info->offset) / matrix;
    return number < (size_t)g->part.first || number >= (size_t)(g->part.first + g->part.count);
}

static hn_status find_chunks(hn_gradnorm *g, const hn_param_info *info, hn_error *err) {
    const size_t all = (size_t)hn_plan_chunks(g->plan) + 1;
    g->chunks = hn_alloc_zero(all, sizeof *g->chunks);
    g->at = hn_alloc_zero(all, sizeof *g->at);
    g->matrices = hn_alloc_zero(all, 1);
    if (!g->chunks || !g->at || !g->matrices) return hn_no_memory(err, "gradnorm");
    const int32_t n = hn_plan_wanted_chunks(g->chunks, g->plan, g->wanted);
    for (int32_t c = 0; c < n; c++) {
        if (is_outside(g, info, g->chunks[c])) continue;
        g->chunks[g->n_chunks] = g->chunks[c];
        g->at[g->n_chunks++] = g->count;
        g->count += hn_plan_chunk(g->plan, g->chunks[c])->count;
        g->matrices[g->chunks[c]] = 1;
    }
    return HN_OK;
}

static hn_status find_layer(hn_gradnorm *g, const hn_config_model *config, hn_error *err) {
    hn_shared_layer layer;
    if (!hn_model_shared_layer(&layer, config)) return no_layer(config, err);
    const int32_t param = find_param(g->plan, layer.name);
    if (param < 0)
        return hn_fail(err, HN_FAILED, "the model %s has no tensor %s", hn_model_name(config->kind),
                       layer.name);
    g->part = part_of(hn_plan_param(g->plan, param), &layer);
    HN_TRY(hn_plan_wanted(&g->wanted, g->plan, param, err));
    return find_chunks(g, hn_plan_param(g->plan, param), err);
}

hn_status hn_gradnorm_create(hn_gradnorm **out, const hn_plan *plan, const hn_config_model *config,
                             int32_t threads, int32_t shards, hn_error *err) {
    *out = NULL;
    const hn_layout *const layout = hn_plan_layout(plan);
    hn_gradnorm *const g = hn_alloc_zero(1, sizeof *g);
    if (!g) return hn_no_memory(err, "gradnorm");
    g->plan = plan;
    g->threads = threads;
    g->shards = shards;
    g->tasks = layout->tasks;
    g->cells = layout->scenarios * layout->tasks;
    const hn_status status = find_layer(g, config, err);
    if (status != HN_OK) {
        hn_gradnorm_free(g);
        return status;
    }
    *out = g;
    return HN_OK;
}

static size_t block_count(const hn_plan *plan) {
    size_t n = 0;
    for (int32_t i = 0; i < hn_plan_chunks(plan); i++) {
        const hn_chunk *const chunk = hn_plan_chunk(plan, i);
        if (chunk->offset + chunk->count > n) n = chunk->offset + chunk->count;
    }
    return n;
}

int64_t hn_gradnorm_bytes(const hn_gradnorm *g) {
    if (!g) return 0;
    return (int64_t)((block_count(g->plan) * (size_t)g->threads +
                      g->count * (size_t)g->tasks * (size_t)g->shards) *
                     sizeof(hn_real));
}

hn_status hn_gradnorm_reserve(hn_gradnorm *g, hn_error *err) {
    const size_t sums = (size_t)g->shards * (size_t)g->tasks, cells = (size_t)g->cells;
    g->scratch = hn_alloc_zero((size_t)g->threads, sizeof *g->scratch);
    g->losses = hn_alloc_zero((size_t)g->threads, cells * sizeof *g->losses);
    g->scale = hn_alloc_zero((size_t)g->tasks, cells * sizeof *g->scale);
    g->written = hn_alloc_zero(sums, (size_t)g->n_chunks);
    g->sums = hn_alloc(sums, g->count * sizeof *g->sums);
    if (!g->scratch || !g->losses || !g->scale || !g->written || !g->sums)
        return hn_no_memory(err, "gradnorm");
    for (int32_t i = 0; i < g->threads; i++) {
        HN_TRY(hn_grads_create(&g->scratch[i], g->plan, err));
        g->scratch[i].wanted = g->wanted;
        g->scratch[i].matrices = g->matrices;
    }
    return HN_OK;
}

void hn_gradnorm_free(hn_gradnorm *g) {
    if (!g) return;
    for (int32_t i = 0; g->scratch && i < g->threads; i++) hn_grads_free(&g->scratch[i]);
    hn_free(g->scratch);
    hn_free(g->losses);
    hn_free(g->scale);
    hn_free(g->written);
    hn_free(g->sums);
    hn_free(g->wanted);
    hn_free(g->matrices);
    hn_free(g->chunks);
    hn_free(g->at);
    hn_free(g);
}

/* ---- A step ------------------------------------------------------------------------------ */

void hn_gradnorm_begin(hn_gradnorm *g, const double *scale) {
    for (int32_t t = 0; t < g->tasks; t++)
        for (int32_t c = 0; c < g->cells; c++)
            g->scale[t * g->cells + c] = c % g->tasks == t ? scale[c] : 0;
}

static size_t sum_of(const hn_gradnorm *g, int32_t shard, int32_t task) {
    return (size_t)shard * (size_t)g->tasks + (size_t)task;
}

void hn_gradnorm_begin_shard(hn_gradnorm *g, int32_t shard) {
    memset(g->written + sum_of(g, shard, 0) * (size_t)g->n_chunks, 0,
           (size_t)g->tasks * (size_t)g->n_chunks);
}

/* to += from, or to = from where nothing was there. */
static void add_chunk(size_t n, const hn_real *from, hn_real *to, uint8_t *written) {
    if (*written)
        hn_add((int64_t)n, from, to);
    else
        memcpy(to, from, n * sizeof *to);
    *written = 1;
}

static void add_tile(hn_gradnorm *g, const hn_grads *from, size_t sum) {
    for (int32_t c = 0; c < g->n_chunks; c++) {
        const hn_chunk *const chunk = hn_plan_chunk(g->plan, g->chunks[c]);
        if (from->written[g->chunks[c]])
            add_chunk(chunk->count, from->block + chunk->offset,
                      g->sums + sum * g->count + g->at[c],
                      &g->written[sum * (size_t)g->n_chunks + (size_t)c]);
    }
}

bool hn_gradnorm_tile(hn_gradnorm *g, int32_t shard, int32_t worker, hn_session *session,
                      const hn_tile *tile) {
    hn_grads *const scratch = &g->scratch[worker];
    double *const losses = g->losses + (size_t)worker * (size_t)g->cells;
    for (int32_t t = 0; t < g->tasks; t++) {
        hn_grads_reset(scratch, g->plan);
        if (!hn_session_backward(session, tile->params, tile->rows, tile->first, tile->n,
                                 g->scale + (size_t)t * (size_t)g->cells, losses, scratch, NULL,
                                 tile->seed, tile->step))
            return false;
        add_tile(g, scratch, sum_of(g, shard, t));
    }
    return true;
}

/* Item: a chunk of a task. All shards' into the first one's, in their order. */
static void merge_item(void *user, int64_t item, int32_t worker) {
    hn_gradnorm *const g = user;
    const int32_t task = (int32_t)(item / g->n_chunks), c = (int32_t)(item % g->n_chunks);
    const size_t n = hn_plan_chunk(g->plan, g->chunks[c])->count, chunks = (size_t)g->n_chunks,
                 into = sum_of(g, 0, task);
    (void)worker;
    for (int32_t s = 1; s < g->used_shards; s++) {
        const size_t from = sum_of(g, s, task);
        if (g->written[from * chunks + (size_t)c])
            add_chunk(n, g->sums + from * g->count + g->at[c], g->sums + into * g->count + g->at[c],
                      &g->written[into * chunks + (size_t)c]);
    }
}

/* The merged gradients of a task as a hn_grads, through what has no rows. */
static bool lay_out(hn_grads *to, const hn_gradnorm *g, int32_t task, hn_params *params) {
    const size_t sum = sum_of(g, 0, task);
    hn_grads_reset(to, g->plan);
    for (int32_t c = 0; c < g->n_chunks; c++) {
        const hn_chunk *const chunk = hn_plan_chunk(g->plan, g->chunks[c]);
        if (!g->written[sum * (size_t)g->n_chunks + (size_t)c]) continue;
        memcpy(to->block + chunk->offset, g->sums + sum * g->count + g->at[c],
               chunk->count * sizeof *to->block);
        to->written[g->chunks[c]] = 1;
    }
    return hn_grads_stage(to, params, g->plan);
}

static bool is_written(const hn_gradnorm *g, const hn_grads *grads, size_t offset) {
    for (int32_t c = 0; c < g->n_chunks; c++)
        if (hn_plan_chunk(g->plan, g->chunks[c])->offset == offset)
            return grads->written[g->chunks[c]];
    return false;
}

/* The root of the sum of squares of the layer's gradient. */
static double norm_of(const hn_gradnorm *g, const hn_grads *grads) {
    const part *const p = &g->part;
    const size_t matrix = (size_t)p->rows * (size_t)p->cols;
    double sum = 0;
    for (int32_t b = p->first; b < p->first + p->count; b++) {
        const size_t offset = p->offset + (size_t)b * matrix;
        if (!is_written(g, grads, offset)) continue;
        for (int32_t r = 0; r < p->rows; r++)
            for (int32_t c = p->from; c < p->to; c++) {
                const double v =
                    (double)grads->block[offset + (size_t)r * (size_t)p->cols + (size_t)c];
                sum += v * v;
            }
    }
    return sqrt(sum);
}

bool hn_gradnorm_finish(double *norms, hn_gradnorm *g, int32_t shards, hn_params *params,
                        hn_pool *pool) {
    g->used_shards = shards;
    hn_pool_run(pool, (int64_t)g->tasks * g->n_chunks, merge_item, g);
    const int32_t saved = hn_kernel_enter();
    bool fine = true;
    for (int32_t t = 0; t < g->tasks && fine; t++) {
        fine = lay_out(&g->scratch[0], g, t, params);
        norms[t] = fine ? norm_of(g, &g->scratch[0]) : NAN;
    }
    hn_kernel_leave(saved);
    return fine;
}
