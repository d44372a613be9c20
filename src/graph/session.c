/* Running: one worker's memory, one tile through all row steps and back. */
#include <string.h>

#include "graph/ops.h"

size_t hn_session_bytes(const hn_plan *plan) {
    return (plan->session_count + plan->session_grad_count + plan->shared_count) * sizeof(hn_real);
}

hn_status hn_session_create(hn_session **out, const hn_plan *plan, hn_error *err) {
    *out = NULL;
    hn_session *session = hn_alloc_zero(1, sizeof *session);
    if (!session) return hn_no_memory(err, "a session");
    session->plan = plan;
    session->memory = hn_alloc_zero(plan->session_count + 1, sizeof(hn_real));
    session->grads = hn_alloc_zero(plan->session_grad_count + 1, sizeof(hn_real));
    session->written = hn_alloc_zero(plan->graph->n_storages + 1, 1);
    session->runs = hn_alloc_zero(HN_TILE_ROWS, sizeof *session->runs);
    session->shared = hn_alloc_zero(plan->shared_count + 1, sizeof(hn_real));
    if (!session->memory || !session->grads || !session->written || !session->runs ||
        !session->shared) {
        hn_session_free(session);
        return hn_no_memory(err, "a session");
    }
    *out = session;
    return HN_OK;
}

void hn_session_free(hn_session *session) {
    if (!session) return;
    hn_free(session->memory);
    hn_free(session->grads);
    hn_free(session->written);
    hn_free(session->runs);
    hn_free(session->shared);
    hn_free(session);
}

static void find_runs(hn_session *session, const hn_rows *rows, int32_t first, int32_t n) {
    session->n_runs = 0;
    for (int32_t r = 0; r < n; r++) {
        const int32_t scenario = rows->scenario[first + r];
        hn_run_rows *run = session->n_runs ? &session->runs[session->n_runs - 1] : NULL;
        if (run && run->scenario == scenario)
            run->n++;
        else
            session->runs[session->n_runs++] = (hn_run_rows){scenario, r, 1};
    }
}

/* Params are only read in the row stage; the context is one type for both stages. */
static hn_context row_context(hn_session *session, const hn_params *params, const hn_rows *rows,
                              int32_t first, int32_t n) {
    hn_context context = {
        .plan = session->plan, .session = session, .rows = rows, .first = first, .n = n};
    memcpy(&context.params, &params, sizeof params);
    return context;
}

static const hn_real *run_steps(hn_session *session, const hn_params *params, const hn_rows *rows,
                                int32_t first, int32_t n, uint64_t seed, uint64_t step) {
    const hn_plan *plan = session->plan;
    if (session->failed) return NULL;
    find_runs(session, rows, first, n);
    hn_context context = row_context(session, params, rows, first, n);
    context.seed = seed;
    context.step = step;
    for (int32_t i = 0; i < plan->n_row_steps; i++)
        hn_ops[plan->graph->steps[plan->row_steps[i]].op].forward(&context, plan->row_steps[i]);
    session->failed = context.failed;
    return session->failed ? NULL : hn_at(&context, plan->graph->logits).at;
}

const hn_real *hn_session_forward(hn_session *session, const hn_params *params, const hn_rows *rows,
                                  int32_t first, int32_t n, uint64_t seed, uint64_t step) {
    session->sharing = false;
    return run_steps(session, params, rows, first, n, seed, step);
}

const hn_real *hn_session_forward_request(hn_session *session, const hn_params *params,
                                          const hn_rows *rows, int32_t first, int32_t n,
                                          bool again) {
    session->sharing = true;
    session->kept = again;
    return run_steps(session, params, rows, first, n, 0, 0);
}

/* The gradient of x, to the caller's rows; 0 where nothing flowed. */
static void hand_over_dx(hn_context *context, hn_real *dx) {
    const hn_graph *graph = context->plan->graph;
    for (size_t i = 0; i < graph->n_steps; i++) {
        if (graph->steps[i].op != HN_OP_EMBED) continue;
        const hn_view from = hn_grad_out(context, graph->steps[i].out);
        const size_t width = (size_t)graph->layout.width;
        for (int32_t r = 0; r < context->n; r++)
            if (from.at)
                memcpy(dx + (size_t)r * width, from.at + r * from.ld, width * sizeof *dx);
            else
                memset(dx + (size_t)r * width, 0, width * sizeof *dx);
        return;
    }
}

bool hn_session_backward(hn_session *session, const hn_params *params, const hn_rows *rows,
                         int32_t first, int32_t n, const double *scale, double *loss,
                         hn_grads *grads, hn_real *dx, uint64_t seed, uint64_t step) {
    const hn_plan *plan = session->plan;
    if (session->failed) return false;
    hn_context context = row_context(session, params, rows, first, n);
    context.grads = grads;
    context.seed = seed;
    context.step = step;
    memset(session->written, 0, plan->graph->n_storages);
    hn_loss_backward(&context, scale, loss);
    for (int32_t i = plan->n_row_steps; i-- > 0;)
        hn_ops[plan->graph->steps[plan->row_steps[i]].op].backward(&context, plan->row_steps[i]);
    if (dx) hand_over_dx(&context, dx);
    session->failed = context.failed;
    return !session->failed;
}

static const char *name_of(const hn_graph *graph, const hn_step *step) {
    for (int32_t k = 0; k < step->n_in; k++) {
        if (step->in[k] < 0) continue;
        const hn_step *input = &graph->steps[graph->nodes[step->in[k]].step];
        if (input->name) return input->name;
    }
    return hn_ops[step->op].name;
}

const char *hn_session_first_bad(const hn_session *session, int32_t n) {
    const hn_plan *plan = session->plan;
    const hn_graph *graph = plan->graph;
    for (int32_t i = 0; i < plan->n_row_steps; i++) {
        const hn_step *step = &graph->steps[plan->row_steps[i]];
        const hn_node *node = &graph->nodes[step->out];
        const int32_t storage = plan->storage[step->out];
        const int64_t ld = graph->storages[storage].width;
        const hn_real *at = session->memory + plan->offset[storage] + plan->column[step->out];
        for (int32_t r = 0; r < n; r++)
            if (!hn_all_finite(node->shape.groups * node->shape.cols, at + r * ld))
                return name_of(graph, step);
    }
    return NULL;
}
