/* The ops that weigh and choose: softmax, mix, pick, select. */
#include <string.h>

#include "graph/ops.h"

/* softmax: y = exp(x) / Σ exp(x) over the columns of each group that the mask keeps.
 * dx += (dy - Σ dy·y)·y */
void hn_op_softmax_forward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view x = hn_at(context, s->in[0]), y = hn_at(context, s->out);
    const int32_t cols = hn_node_of(context, s->out)->shape.cols;
    for (int32_t r = 0; r < y.rows; r++)
        for (int32_t c = 0; c < y.width; c += cols)
            hn_softmax(cols, x.at + r * x.ld + c,
                       s->mask ? s->mask + (int64_t)r * y.width + c : NULL, y.at + r * y.ld + c);
}

void hn_op_softmax_backward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view y = hn_at(context, s->out), dy = hn_grad_out(context, s->out);
    if (!dy.at) return;
    const hn_view dx = hn_grad_in(context, s->in[0], -1, NULL);
    if (!dx.at) return;
    const int32_t cols = hn_node_of(context, s->out)->shape.cols;
    for (int32_t r = 0; r < y.rows; r++)
        for (int32_t c = 0; c < y.width; c += cols)
            hn_softmax_backward(cols, y.at + r * y.ld + c, dy.at + r * dy.ld + c,
                                dx.at + r * dx.ld + c);
}

/* mix: y_o = Σ_k g[o][k]·q_index[o][k];  dg[o][k] += dy_o·q;  dq += g[o][k]·dy_o */
void hn_op_mix_forward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view g = hn_at(context, s->in[0]), q = hn_at(context, s->in[1]),
                  y = hn_at(context, s->out);
    const hn_shape gs = hn_node_of(context, s->in[0])->shape;
    const int32_t cols = hn_node_of(context, s->in[1])->shape.cols;
    for (int32_t r = 0; r < y.rows; r++)
        for (int32_t o = 0, i = 0; o < gs.groups; o++) {
            hn_real *to = y.at + r * y.ld + (int64_t)o * cols;
            for (int32_t k = 0; k < gs.cols; k++, i++) {
                const hn_real *from =
                    q.at + r * q.ld + (int64_t)(s->index ? s->index[i] : i) * cols;
                const hn_real weight = g.at[r * g.ld + i];
                if (k == 0)
                    hn_scale_to(cols, weight, from, to);
                else
                    hn_axpy(cols, weight, from, to);
            }
        }
}

void hn_op_mix_backward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view dy = hn_grad_out(context, s->out);
    if (!dy.at) return;
    const hn_view g = hn_at(context, s->in[0]), q = hn_at(context, s->in[1]);
    const hn_view dg = hn_grad_in(context, s->in[0], -1, NULL);
    /* Without an index every expert is in one mix only: its gradient can be set. */
    bool fresh = false;
    const hn_view dq = hn_grad_in(
        context, s->in[1], -1,
        s->index || q.width != g.width * hn_node_of(context, s->in[1])->shape.cols ? NULL : &fresh);
    const hn_shape gs = hn_node_of(context, s->in[0])->shape;
    const int32_t cols = hn_node_of(context, s->in[1])->shape.cols;
    for (int32_t r = 0; r < dy.rows; r++)
        for (int32_t o = 0, i = 0; o < gs.groups; o++) {
            const hn_real *from = dy.at + r * dy.ld + (int64_t)o * cols;
            for (int32_t k = 0; k < gs.cols; k++, i++) {
                const int64_t at = (int64_t)(s->index ? s->index[i] : i) * cols;
                if (dg.at) dg.at[r * dg.ld + i] += hn_dot(cols, from, q.at + r * q.ld + at);
                if (dq.at && fresh)
                    hn_scale_to(cols, g.at[r * g.ld + i], from, dq.at + r * dq.ld + at);
                else if (dq.at)
                    hn_axpy(cols, g.at[r * g.ld + i], from, dq.at + r * dq.ld + at);
            }
        }
}

/* pick: y = row `scenario` of a table, or its only row; its gradient is the sum over the rows
 * that picked it. */
static hn_real *picked(const hn_context *context, hn_view table, int32_t r) {
    return table.rows == 1 ? table.at
                           : table.at + context->rows->scenario[context->first + r] * table.ld;
}

void hn_op_pick_forward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view t = hn_at(context, s->in[0]), y = hn_at(context, s->out);
    for (int32_t r = 0; r < y.rows; r++)
        memcpy(y.at + r * y.ld, picked(context, t, r), (size_t)y.width * sizeof *y.at);
}

void hn_op_pick_backward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view dy = hn_grad_out(context, s->out);
    if (!dy.at) return;
    const hn_view dt = hn_grad_in(context, s->in[0], -1, NULL);
    if (!dt.at) return;
    for (int32_t r = 0; r < dy.rows; r++)
        hn_add(dy.width, dy.at + r * dy.ld, picked(context, dt, r));
}

/* select: y = groups first + scenario·count … of x. */
static int64_t selected(const hn_context *context, const hn_step *s, int32_t r) {
    const int32_t scenario = context->rows->scenario[context->first + r];
    return (int64_t)(s->first + scenario * s->count) * hn_node_of(context, s->in[0])->shape.cols;
}

void hn_op_select_forward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view x = hn_at(context, s->in[0]), y = hn_at(context, s->out);
    for (int32_t r = 0; r < y.rows; r++)
        memcpy(y.at + r * y.ld, x.at + r * x.ld + selected(context, s, r),
               (size_t)y.width * sizeof *y.at);
}

void hn_op_select_backward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view dy = hn_grad_out(context, s->out);
    if (!dy.at) return;
    const hn_view dx = hn_grad_in(context, s->in[0], -1, NULL);
    if (!dx.at) return;
    for (int32_t r = 0; r < dy.rows; r++)
        hn_add(dy.width, dy.at + r * dy.ld, dx.at + r * dx.ld + selected(context, s, r));
}
