/* Backward to one parameter alone: which values lead from the loss to it. Ops leave out what
 * is not wanted, so that such a pass costs what lies between the two and no more. */
#include "graph/ops.h"

static bool leads(const hn_graph *graph, const hn_step *step, const uint8_t *wanted) {
    if (!graph->nodes[step->out].needs_grad) return false;
    for (int32_t k = 0; k < step->n_in; k++)
        if (step->in[k] >= 0 && wanted[step->in[k]]) return true;
    return false;
}

hn_status hn_plan_wanted(uint8_t **out, const hn_plan *plan, int32_t param, hn_error *err) {
    const hn_graph *const graph = plan->graph;
    *out = NULL;
    uint8_t *const wanted = hn_alloc_zero(graph->n_nodes + 1, 1);
    if (!wanted) return hn_no_memory(err, "a way backward");
    const char *const name = plan->params[param].name;
    for (size_t i = 0; i < graph->n_steps; i++) {
        const hn_step *const step = &graph->steps[i];
        const bool itself = step->op == HN_OP_PARAM && step->name == name;
        wanted[step->out] = itself || leads(graph, step, wanted);
    }
    *out = wanted;
    return HN_OK;
}

/* Every wanted value of the param stage that has chunks of its own. */
int32_t hn_plan_wanted_chunks(int32_t *chunks, const hn_plan *plan, const uint8_t *wanted) {
    const hn_graph *const graph = plan->graph;
    int32_t n = 0;
    for (size_t i = 0; i < graph->n_steps; i++) {
        const hn_step *const step = &graph->steps[i];
        const hn_shape shape = graph->nodes[step->out].shape;
        if (!shape.param || !wanted[step->out] || step->op == HN_OP_VIEW || step->op == HN_OP_STOP)
            continue;
        const int32_t first = plan->first_chunk[graph->nodes[step->out].storage];
        for (int32_t b = 0; b < shape.batch; b++) chunks[n++] = first + b;
    }
    return n;
}
