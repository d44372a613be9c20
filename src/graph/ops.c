/* The table of ops, and access to values and their gradients. */
#include <string.h>

#include "graph/ops.h"

const hn_op hn_ops[HN_OPS] = {
#define X(symbol, name) [HN_OP_##symbol] = {#name, hn_op_##name##_forward, hn_op_##name##_backward},
    HN_OP_MAP(X)
#undef X
};

/* Steps that compute nothing: parameters are there, views share their input's memory. */
#define NOTHING(name)                                      \
    void hn_op_##name(hn_context *context, int32_t step) { \
        (void)context;                                     \
        (void)step;                                        \
    }
NOTHING(param_forward)
NOTHING(param_backward)
NOTHING(constant_backward)
NOTHING(view_forward)
NOTHING(view_backward)
NOTHING(stop_forward)
NOTHING(stop_backward)

void hn_op_constant_forward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view y = hn_at(context, s->out);
    for (int64_t i = 0; i < (int64_t)y.rows * y.width; i++) y.at[i] = (hn_real)s->numbers[i];
}

static const hn_storage *storage_of(const hn_context *context, int32_t value) {
    return &context->plan->graph->storages[context->plan->storage[value]];
}

static hn_view view_at(const hn_context *context, int32_t value, hn_real *base) {
    const hn_node *node = hn_node_of(context, value);
    const hn_storage *storage = storage_of(context, value);
    return (hn_view){.at = base + context->plan->column[value],
                     .ld = storage->width,
                     .rows = storage->param ? node->shape.batch * node->shape.rows : context->n,
                     .width = node->shape.groups * node->shape.cols};
}

hn_view hn_at(const hn_context *context, int32_t value) {
    hn_real *memory =
        storage_of(context, value)->param ? context->params->block : context->session->memory;
    return view_at(context, value, memory + context->plan->offset[context->plan->storage[value]]);
}

static int32_t chunks_of(const hn_plan *plan, int32_t storage) {
    const int32_t first = plan->first_chunk[storage];
    int32_t n = 0;
    const size_t end = plan->offset[storage] + plan->graph->storages[storage].count;
    while (first + n < plan->n_chunks && plan->chunks[first + n].offset < end &&
           plan->chunks[first + n].offset >= plan->offset[storage])
        n++;
    return n;
}

static bool any_written(const hn_context *context, int32_t storage) {
    const int32_t first = context->plan->first_chunk[storage],
                  n = chunks_of(context->plan, storage);
    for (int32_t i = 0; i < n; i++)
        if (context->grads->written[first + i]) return true;
    return false;
}

static void zero_chunk(const hn_context *context, int32_t chunk) {
    const hn_chunk *c = &context->plan->chunks[chunk];
    if (context->grads->written[chunk]) return;
    memset(context->grads->block + c->offset, 0, c->count * sizeof(hn_real));
    context->grads->written[chunk] = 1;
}

static bool needs_grad(const hn_context *context, int32_t value) {
    const uint8_t *wanted = context->grads ? context->grads->wanted : NULL;
    return wanted ? wanted[value] != 0 : hn_node_of(context, value)->needs_grad;
}

hn_view hn_grad_out(const hn_context *context, int32_t value) {
    const int32_t storage = context->plan->storage[value];
    if (!needs_grad(context, value)) return (hn_view){0};
    if (storage_of(context, value)->param) {
        if (!any_written(context, storage)) return (hn_view){0};
        const int32_t first = context->plan->first_chunk[storage],
                      n = chunks_of(context->plan, storage);
        for (int32_t i = 0; i < n; i++) zero_chunk(context, first + i);
        return view_at(context, value, context->grads->block + context->plan->offset[storage]);
    }
    if (!context->session->written[storage]) return (hn_view){0};
    return view_at(context, value, context->session->grads + context->plan->grad_offset[storage]);
}

static hn_view param_grad(const hn_context *context, int32_t value, int32_t chunk, bool *fresh) {
    const int32_t storage = context->plan->storage[value],
                  first = context->plan->first_chunk[storage];
    hn_view view = view_at(context, value, context->grads->block + context->plan->offset[storage]);
    if (chunk < 0) {
        const int32_t n = chunks_of(context->plan, storage);
        for (int32_t i = 0; i < n; i++) zero_chunk(context, first + i);
        if (fresh) *fresh = false;
        return view;
    }
    const uint8_t *matrices = context->grads->matrices;
    if (matrices && !matrices[first + chunk]) return (hn_view){0};
    const int32_t rows = hn_node_of(context, value)->shape.rows;
    view.at += (int64_t)chunk * rows * view.ld;
    view.rows = rows;
    if (fresh) {
        *fresh = !context->grads->written[first + chunk];
        context->grads->written[first + chunk] = 1;
    } else {
        zero_chunk(context, first + chunk);
    }
    return view;
}

hn_view hn_grad_in(const hn_context *context, int32_t value, int32_t chunk, bool *fresh) {
    if (fresh) *fresh = false;
    if (value < 0 || !needs_grad(context, value)) return (hn_view){0};
    const hn_storage *storage = storage_of(context, value);
    if (storage->param) return param_grad(context, value, chunk, fresh);
    const int32_t id = context->plan->storage[value];
    hn_real *base = context->session->grads + context->plan->grad_offset[id];
    const hn_view view = view_at(context, value, base);
    if (context->session->written[id]) return view;
    context->session->written[id] = 1;
    if (fresh && !storage->has_views)
        *fresh = true;
    else
        memset(base, 0, (size_t)context->n * (size_t)storage->width * sizeof(hn_real));
    return view;
}
