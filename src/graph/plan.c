/* Planning: which steps run, where every value lies, which products are probed.
 *
 * Training keeps every value of a tile until its backward is done. Inference leaves out
 * what no output needs, aliases dropout to its input, and lets values that do not live at
 * the same time share memory. */
#include <string.h>

#include "graph/ops.h"

static size_t padded(size_t count) { return (count + 15) / 16 * 16; } /* 64 bytes of floats */

static size_t capacity_of(const hn_storage *storage) {
    return padded((size_t)HN_CAPACITY_ROWS * (size_t)storage->width);
}

/* ---- What runs ------------------------------------------------------------------------ */

/* A mode's aliases: inference drops nothing out. */
static void alias_values(hn_plan *plan) {
    const hn_graph *graph = plan->graph;
    for (size_t i = 0; i < graph->n_nodes; i++) {
        const hn_step *step = &graph->steps[graph->nodes[i].step];
        plan->storage[i] = graph->nodes[i].storage;
        plan->column[i] = graph->nodes[i].column;
        const bool view = step->op == HN_OP_VIEW || step->op == HN_OP_STOP;
        if (view || (step->op == HN_OP_DROPOUT && plan->mode == HN_MODE_INFER)) {
            const int32_t from = step->in[0];
            plan->storage[i] = plan->storage[from];
            plan->column[i] = plan->column[from] +
                              (view ? graph->nodes[i].column - graph->nodes[from].column : 0);
        }
    }
}

static bool does_nothing(const hn_plan *plan, const hn_step *step) {
    return step->op == HN_OP_VIEW || step->op == HN_OP_STOP || step->op == HN_OP_PARAM ||
           (step->op == HN_OP_DROPOUT && plan->mode == HN_MODE_INFER);
}

static void select_steps(hn_plan *plan, uint8_t *needed) {
    const hn_graph *graph = plan->graph;
    needed[graph->logits] = 1;
    for (size_t i = 0; i < graph->n_penalties && plan->mode == HN_MODE_TRAIN; i++)
        needed[graph->penalties[i].value] = 1;
    for (size_t i = 0; i < graph->n_names; i++) needed[graph->names[i].value] = 1;
    for (size_t i = graph->n_steps; i-- > 0;) {
        const hn_step *step = &graph->steps[i];
        if (!needed[step->out]) continue;
        for (int32_t k = 0; k < step->n_in; k++)
            if (step->in[k] >= 0) needed[step->in[k]] = 1;
    }
    for (size_t i = 0; i < graph->n_steps; i++) {
        const hn_step *step = &graph->steps[i];
        if (!needed[step->out] || does_nothing(plan, step)) continue;
        if (graph->nodes[step->out].shape.param)
            plan->param_steps[plan->n_param_steps++] = (int32_t)i;
        else
            plan->row_steps[plan->n_row_steps++] = (int32_t)i;
    }
}

/* ---- Where values lie ------------------------------------------------------------------- */

static void place_params(hn_plan *plan) {
    const hn_graph *graph = plan->graph;
    size_t at = 0;
    for (int32_t leaf = 1; leaf >= 0; leaf--) {
        for (size_t i = 0; i < graph->n_storages; i++) {
            const hn_storage *storage = &graph->storages[i];
            if (!storage->param || storage->leaf != (leaf == 1)) continue;
            plan->offset[i] = at;
            at += padded(storage->count);
        }
        if (leaf) plan->leaf_count = at;
    }
    plan->block_count = at;
}

static void list_params(hn_plan *plan) {
    const hn_graph *graph = plan->graph;
    for (size_t i = 0; i < graph->n_steps; i++) {
        const hn_step *step = &graph->steps[i];
        const hn_node *node = &graph->nodes[step->out];
        if (!node->shape.param || step->op == HN_OP_VIEW || step->op == HN_OP_STOP) continue;
        const size_t offset = plan->offset[node->storage];
        if (step->op == HN_OP_PARAM)
            plan->params[plan->n_params++] = (hn_param_info){step->name,         offset,
                                                             node->shape.batch,  node->shape.rows,
                                                             node->shape.groups, node->shape.cols};
        plan->first_chunk[node->storage] = plan->n_chunks;
        const size_t count = graph->storages[node->storage].count / (size_t)node->shape.batch;
        for (int32_t b = 0; b < node->shape.batch; b++)
            plan->chunks[plan->n_chunks++] = (hn_chunk){offset + (size_t)b * count, count};
    }
}

static size_t all_chunks(const hn_graph *graph) {
    size_t n = 0;
    for (size_t i = 0; i < graph->n_steps; i++) {
        const hn_shape shape = graph->nodes[graph->steps[i].out].shape;
        if (shape.param) n += (size_t)shape.batch;
    }
    return n;
}

static void place_rows_training(hn_plan *plan) {
    const hn_graph *graph = plan->graph;
    for (size_t i = 0; i < graph->n_storages; i++) {
        if (graph->storages[i].param) continue;
        plan->offset[i] = plan->session_count;
        plan->session_count += capacity_of(&graph->storages[i]);
        plan->grad_offset[i] = plan->session_grad_count;
        plan->session_grad_count += padded((size_t)HN_TILE_ROWS * (size_t)graph->storages[i].width);
    }
}

/* The last row step that reads each storage (kept for ever: outputs and named values). */
static void last_uses(const hn_plan *plan, int32_t *last) {
    const hn_graph *graph = plan->graph;
    for (size_t i = 0; i < graph->n_storages; i++) last[i] = -1;
    for (int32_t i = 0; i < plan->n_row_steps; i++) {
        const hn_step *step = &graph->steps[plan->row_steps[i]];
        last[plan->storage[step->out]] = i;
        for (int32_t k = 0; k < step->n_in; k++)
            if (step->in[k] >= 0) last[plan->storage[step->in[k]]] = i;
    }
    last[plan->storage[graph->logits]] = INT32_MAX;
    for (size_t i = 0; i < graph->n_names; i++)
        last[plan->storage[graph->names[i].value]] = INT32_MAX;
}

/* First fit: the lowest place free of every storage that lives at the same time. */
static size_t first_fit(const hn_plan *plan, const int32_t *born, const int32_t *last,
                        int32_t storage, size_t size) {
    const hn_graph *graph = plan->graph;
    size_t at = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 0; i < graph->n_storages; i++) {
            if ((int32_t)i == storage || graph->storages[i].param || born[i] < 0) continue;
            const bool together = born[i] <= born[storage] && last[i] >= born[storage];
            const size_t end = plan->offset[i] + capacity_of(&graph->storages[i]);
            if (together && at < end && plan->offset[i] < at + size) {
                at = end;
                moved = true;
            }
        }
    }
    return at;
}

static hn_status place_rows_sharing(hn_plan *plan, hn_error *err) {
    const hn_graph *graph = plan->graph;
    int32_t *last = hn_alloc(graph->n_storages, sizeof *last),
            *born = hn_alloc(graph->n_storages, sizeof *born);
    if (!last || !born) {
        hn_free(last);
        hn_free(born);
        return hn_no_memory(err, "a plan");
    }
    last_uses(plan, last);
    for (size_t i = 0; i < graph->n_storages; i++) born[i] = -1;
    for (int32_t i = 0; i < plan->n_row_steps; i++) {
        const int32_t storage = plan->storage[graph->steps[plan->row_steps[i]].out];
        if (born[storage] >= 0) continue;
        const size_t size = capacity_of(&graph->storages[storage]);
        born[storage] = i;
        plan->offset[storage] = first_fit(plan, born, last, storage, size);
        if (plan->offset[storage] + size > plan->session_count)
            plan->session_count = plan->offset[storage] + size;
    }
    hn_free(last);
    hn_free(born);
    return HN_OK;
}

/* ---- Products ------------------------------------------------------------------------------ */

static hn_status probe_linear(hn_plan *plan, int32_t index, hn_error *err) {
    const hn_graph *graph = plan->graph;
    const hn_step *step = &graph->steps[index];
    const hn_node *x = &graph->nodes[step->in[0]];
    const hn_shape w = graph->nodes[step->in[1]].shape;
    const int32_t n = w.groups * w.cols, k = w.rows, split = step->count == 1 ? x->split : 0;
    const int64_t lda = graph->storages[plan->storage[step->in[0]]].width,
                  ldc = graph->storages[plan->storage[step->out]].width;
    plan->flops += (int64_t)2 * n * k * step->count;
    HN_TRY(hn_product_init(&plan->products[2 * index], n, split ? split : k, lda, n, ldc, err));
    return split ? hn_product_init(&plan->products[2 * index + 1], n, k - split, lda, n, ldc, err)
                 : HN_OK;
}

/* Which products of a request share a part, and where a session keeps it. */
static void place_shared(hn_plan *plan) {
    const hn_graph *graph = plan->graph;
    for (size_t i = 0; i < graph->n_steps; i++) plan->shared[i] = HN_NOT_SHARED;
    if (plan->mode == HN_MODE_TRAIN) return;
    for (int32_t i = 0; i < plan->n_row_steps; i++) {
        const hn_step *step = &graph->steps[plan->row_steps[i]];
        if (step->op != HN_OP_LINEAR || step->count != 1) continue;
        const hn_node *x = &graph->nodes[step->in[0]];
        if (x->split == 0 || !x->uniform) continue;
        const hn_shape y = graph->nodes[step->out].shape;
        plan->shared[plan->row_steps[i]] = plan->shared_count;
        plan->shared_count += padded((size_t)y.groups * (size_t)y.cols);
        plan->shared_flops += (int64_t)2 * y.groups * y.cols * x->split;
    }
}

/* ---- Together ------------------------------------------------------------------------------ */

static bool allocate(hn_plan *plan) {
    const hn_graph *graph = plan->graph;
    const size_t steps = graph->n_steps + 1, nodes = graph->n_nodes + 1,
                 storages = graph->n_storages + 1;
    plan->row_steps = hn_alloc_zero(steps, sizeof *plan->row_steps);
    plan->param_steps = hn_alloc_zero(steps, sizeof *plan->param_steps);
    plan->storage = hn_alloc_zero(nodes, sizeof *plan->storage);
    plan->column = hn_alloc_zero(nodes, sizeof *plan->column);
    plan->offset = hn_alloc_zero(storages, sizeof *plan->offset);
    plan->grad_offset = hn_alloc_zero(storages, sizeof *plan->grad_offset);
    plan->first_chunk = hn_alloc_zero(storages, sizeof *plan->first_chunk);
    plan->products = hn_alloc_zero(2 * steps, sizeof *plan->products);
    plan->shared = hn_alloc_zero(steps, sizeof *plan->shared);
    plan->params = hn_alloc_zero(steps, sizeof *plan->params);
    plan->chunks = hn_alloc_zero(all_chunks(graph) + 1, sizeof *plan->chunks);
    return plan->row_steps && plan->param_steps && plan->storage && plan->column && plan->offset &&
           plan->grad_offset && plan->first_chunk && plan->products && plan->shared &&
           plan->params && plan->chunks;
}

static hn_status fill(hn_plan *plan, hn_error *err) {
    const hn_graph *graph = plan->graph;
    uint8_t *needed = hn_alloc_zero(graph->n_nodes, 1);
    if (!needed || !allocate(plan)) {
        hn_free(needed);
        return hn_no_memory(err, "a plan");
    }
    alias_values(plan);
    select_steps(plan, needed);
    hn_free(needed);
    place_params(plan);
    list_params(plan);
    if (plan->mode == HN_MODE_TRAIN)
        place_rows_training(plan);
    else
        HN_TRY(place_rows_sharing(plan, err));
    for (int32_t i = 0; i < plan->n_row_steps; i++)
        if (graph->steps[plan->row_steps[i]].op == HN_OP_LINEAR)
            HN_TRY(probe_linear(plan, plan->row_steps[i], err));
    place_shared(plan);
    hn_plan_weigh_tiles(plan);
    return HN_OK;
}

hn_status hn_plan_create(hn_plan **out, const hn_graph *graph, hn_mode mode, hn_error *err) {
    *out = NULL;
    HN_TRY(hn_graph_status(graph, err));
    if (graph->logits < 0) return hn_fail(err, HN_BAD_CONFIG, "the model has no output");
    hn_plan *plan = hn_alloc_zero(1, sizeof *plan);
    if (!plan) return hn_no_memory(err, "a plan");
    plan->graph = graph;
    plan->mode = mode;
    const hn_status status = fill(plan, err);
    if (status != HN_OK) {
        hn_plan_free(plan);
        return status;
    }
    *out = plan;
    return HN_OK;
}

void hn_plan_free(hn_plan *plan) {
    if (!plan) return;
    hn_free(plan->row_steps);
    hn_free(plan->param_steps);
    hn_free(plan->storage);
    hn_free(plan->column);
    hn_free(plan->offset);
    hn_free(plan->grad_offset);
    hn_free(plan->first_chunk);
    hn_free(plan->products);
    hn_free(plan->shared);
    hn_free(plan->params);
    hn_free(plan->chunks);
    hn_free(plan);
}

const hn_graph *hn_plan_graph(const hn_plan *plan) { return plan->graph; }
const hn_layout *hn_plan_layout(const hn_plan *plan) { return &plan->graph->layout; }
bool hn_plan_all_heads(const hn_plan *plan) { return plan->graph->all_heads; }
bool hn_plan_per_scenario(const hn_plan *plan) { return plan->graph->per_scenario; }
int64_t hn_plan_flops(const hn_plan *plan) { return plan->flops; }
int64_t hn_plan_shared_flops(const hn_plan *plan) { return plan->shared_flops; }
int32_t hn_plan_params(const hn_plan *plan) { return plan->n_params; }
const hn_param_info *hn_plan_param(const hn_plan *plan, int32_t i) { return &plan->params[i]; }
int32_t hn_plan_chunks(const hn_plan *plan) { return plan->n_chunks; }
const hn_chunk *hn_plan_chunk(const hn_plan *plan, int32_t i) { return &plan->chunks[i]; }

int32_t hn_plan_heads(const hn_plan *plan) {
    return plan->graph->layout.tasks * (plan->graph->all_heads ? plan->graph->layout.scenarios : 1);
}
