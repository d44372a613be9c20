/* The numbers of a model, their initial values, and the gradients of one shard. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "graph/ops.h"

/* ---- Parameters --------------------------------------------------------------------- */

static hn_status create_tables(hn_params *params, const hn_plan *plan, hn_error *err) {
    const hn_layout *layout = &plan->graph->layout;
    params->tables = hn_alloc_zero((size_t)layout->n_tables + 1, sizeof *params->tables);
    if (!params->tables) return hn_no_memory(err, "the embedding tables");
    params->n_tables = layout->n_tables;
    for (int32_t t = 0; t < layout->n_tables; t++) {
        hn_table *table = &params->tables[t];
        const uint64_t copies = plan->graph->per_scenario ? (uint64_t)layout->scenarios : 1;
        *table = (hn_table){layout->tables[t].name, layout->tables[t].rows * copies,
                            layout->tables[t].width, NULL};
        table->numbers = hn_alloc_zero((size_t)table->rows, (size_t)table->width * sizeof(hn_real));
        if (!table->numbers)
            return hn_fail(err, HN_NO_MEMORY,
                           "no memory for the embedding table \"%s\" of %llu rows of %d",
                           table->name, (unsigned long long)table->rows, table->width);
    }
    return HN_OK;
}

hn_status hn_params_create(hn_params *out, const hn_plan *plan, hn_error *err) {
    *out = (hn_params){.leaf_count = plan->leaf_count, .block_count = plan->block_count};
    out->block = hn_alloc_zero(plan->block_count + 1, sizeof *out->block);
    hn_status status =
        out->block ? create_tables(out, plan, err) : hn_no_memory(err, "the parameters");
    if (status != HN_OK) hn_params_free(out);
    return status;
}

void hn_params_free(hn_params *params) {
    for (int32_t t = 0; params->tables && t < params->n_tables; t++)
        hn_free(params->tables[t].numbers);
    hn_free(params->tables);
    hn_free(params->block);
    *params = (hn_params){0};
}

static uint64_t name_stream(const char *name) {
    uint64_t hash = HN_STREAM_INIT;
    for (; *name; name++) hash = hn_mix64(hash ^ (uint8_t)*name);
    return hash;
}

static double initial(const hn_step *step, const hn_shape shape, uint64_t seed, uint64_t stream,
                      size_t i) {
    switch (step->init) {
    case HN_INIT_ONE: return 1;
    case HN_INIT_VALUE: return step->numbers[i];
    case HN_INIT_NORMAL: return 0.05 * hn_random_normal(seed, stream, i);
    case HN_INIT_XAVIER:
        return (2 * hn_random_unit(seed, stream, i) - 1) * sqrt(6.0 / (shape.rows + shape.cols));
    case HN_INIT_ZERO: break;
    }
    return 0;
}

void hn_params_init(hn_params *params, const hn_plan *plan, uint64_t seed, double embedding_scale,
                    const uint64_t *first) {
    const hn_graph *graph = plan->graph;
    for (size_t s = 0; s < graph->n_steps; s++) {
        const hn_step *step = &graph->steps[s];
        if (step->op != HN_OP_PARAM) continue;
        const hn_node *node = &graph->nodes[step->out];
        hn_real *at = params->block + plan->offset[node->storage];
        const uint64_t stream = name_stream(step->name);
        for (size_t i = 0; i < graph->storages[node->storage].count; i++)
            at[i] = (hn_real)initial(step, node->shape, seed, stream, i);
    }
    for (int32_t t = 0; t < params->n_tables; t++) {
        hn_table *table = &params->tables[t];
        const uint64_t stream = name_stream(table->name) + 1, width = (uint64_t)table->width;
        for (uint64_t i = (first ? first[t] : 0) * width; i < table->rows * width; i++)
            table->numbers[i] = (hn_real)(embedding_scale * hn_random_normal(seed, stream, i));
    }
}

static hn_context param_context(const hn_plan *plan, hn_params *params, hn_grads *grads) {
    return (hn_context){.plan = plan, .params = params, .grads = grads};
}

bool hn_params_stage(hn_params *params, const hn_plan *plan) {
    hn_context context = param_context(plan, params, NULL);
    for (int32_t i = 0; i < plan->n_param_steps; i++) {
        const int32_t step = plan->param_steps[i];
        hn_ops[plan->graph->steps[step].op].forward(&context, step);
    }
    return !context.failed;
}

static int32_t find_named(const hn_plan *plan, const char *name) {
    for (size_t i = 0; i < plan->graph->n_names; i++)
        if (strcmp(plan->graph->names[i].name, name) == 0) return plan->graph->names[i].value;
    return -1;
}

const hn_real *hn_plan_named_param(const hn_plan *plan, const hn_params *params, const char *name,
                                   hn_shape *shape) {
    const int32_t value = find_named(plan, name);
    if (value < 0 || !plan->graph->nodes[value].shape.param) return NULL;
    *shape = plan->graph->nodes[value].shape;
    return params->block + plan->offset[plan->storage[value]] + plan->column[value];
}

const hn_real *hn_session_named(const hn_session *session, const char *name, hn_shape *shape,
                                int64_t *ld) {
    const hn_plan *plan = session->plan;
    const int32_t value = find_named(plan, name);
    if (value < 0 || plan->graph->nodes[value].shape.param) return NULL;
    *shape = plan->graph->nodes[value].shape;
    *ld = plan->graph->storages[plan->storage[value]].width;
    return session->memory + plan->offset[plan->storage[value]] + plan->column[value];
}

/* ---- Gradients ---------------------------------------------------------------------------- */

hn_status hn_grads_create(hn_grads *out, const hn_plan *plan, hn_error *err) {
    *out = (hn_grads){.block = hn_alloc_zero(plan->block_count + 1, sizeof *out->block),
                      .written = hn_alloc_zero((size_t)plan->n_chunks + 1, 1)};
    if (out->block && out->written) return HN_OK;
    hn_grads_free(out);
    return hn_no_memory(err, "a shard's gradients");
}

void hn_grads_free(hn_grads *grads) {
    hn_free(grads->block);
    hn_free(grads->written);
    *grads = (hn_grads){0};
}

void hn_grads_reset(hn_grads *grads, const hn_plan *plan) {
    memset(grads->written, 0, (size_t)plan->n_chunks);
}

void hn_grads_merge(hn_grads *shards, int32_t n, const hn_plan *plan, int32_t i, size_t from,
                    size_t to) {
    const size_t at = plan->chunks[i].offset + from;
    hn_real *sum = shards[0].block + at;
    bool have = shards[0].written[i];
    for (int32_t s = 1; s < n; s++) {
        if (!shards[s].written[i]) continue;
        if (have)
            hn_add((int64_t)(to - from), shards[s].block + at, sum);
        else
            memcpy(sum, shards[s].block + at, (to - from) * sizeof *sum);
        have = true;
    }
}

void hn_grads_mark(hn_grads *shards, int32_t n, const hn_plan *plan) {
    for (int32_t s = 1; s < n; s++)
        for (int32_t i = 0; i < plan->n_chunks; i++) shards[0].written[i] |= shards[s].written[i];
}

bool hn_grads_stage(hn_grads *grads, hn_params *params, const hn_plan *plan) {
    hn_context context = param_context(plan, params, grads);
    for (int32_t i = plan->n_param_steps; i-- > 0;) {
        const int32_t step = plan->param_steps[i];
        hn_ops[plan->graph->steps[step].op].backward(&context, step);
    }
    return !context.failed;
}
