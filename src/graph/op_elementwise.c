/* The ops that take numbers one by one: concat, sum, product, activate, affine, norm,
 * dropout. */
#include <string.h>

#include "base/rng.h"
#include "graph/ops.h"

/* concat: y = (x₁, x₂, …) */
void hn_op_concat_forward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view y = hn_at(context, s->out);
    int64_t column = 0;
    for (int32_t i = 0; i < s->n_in; i++) {
        const hn_view x = hn_at(context, s->in[i]);
        for (int32_t r = 0; r < y.rows; r++)
            memcpy(y.at + r * y.ld + column, x.at + r * x.ld, (size_t)x.width * sizeof *y.at);
        column += x.width;
    }
}

void hn_op_concat_backward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view dy = hn_grad_out(context, s->out);
    if (!dy.at) return;
    int64_t column = 0;
    for (int32_t i = 0; i < s->n_in; i++) {
        const int32_t width = hn_at(context, s->in[i]).width;
        bool fresh;
        const hn_view dx = hn_grad_in(context, s->in[i], -1, &fresh);
        for (int32_t r = 0; dx.at && r < dy.rows; r++)
            if (fresh)
                memcpy(dx.at + r * dx.ld, dy.at + r * dy.ld + column,
                       (size_t)width * sizeof *dy.at);
            else
                hn_add(width, dy.at + r * dy.ld + column, dx.at + r * dx.ld);
        column += width;
    }
}

static hn_real *spread_row(hn_view b, int32_t how, int32_t rows, int32_t row) {
    if (how == HN_SPREAD_ROW) return b.at;
    if (how == HN_SPREAD_BATCH) return b.at + (row % (b.rows ? b.rows : rows)) * b.ld;
    return b.at + row * b.ld;
}

/* sum: y = a + b; da += dy; db += dy, summed over what b was spread over. */
void hn_op_sum_forward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view a = hn_at(context, s->in[0]), b = hn_at(context, s->in[1]),
                  y = hn_at(context, s->out);
    const int32_t cols = hn_node_of(context, s->out)->shape.cols;
    for (int32_t r = 0; r < y.rows; r++) {
        hn_real *to = y.at + r * y.ld;
        const hn_real *from = a.at + r * a.ld, *more = spread_row(b, s->count, y.rows, r);
        for (int32_t c = 0; c < y.width; c++)
            to[c] = from[c] + more[s->count == HN_SPREAD_GROUP ? c / cols : c];
    }
}

void hn_op_sum_backward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view dy = hn_grad_out(context, s->out);
    if (!dy.at) return;
    const int32_t cols = hn_node_of(context, s->out)->shape.cols;
    const hn_view da = hn_grad_in(context, s->in[0], -1, NULL),
                  db = hn_grad_in(context, s->in[1], -1, NULL);
    for (int32_t r = 0; r < dy.rows; r++) {
        const hn_real *from = dy.at + r * dy.ld;
        if (da.at) hn_add(dy.width, from, da.at + r * da.ld);
        if (!db.at) continue;
        hn_real *to = spread_row(db, s->count, dy.rows, r);
        if (s->count != HN_SPREAD_GROUP)
            hn_add(dy.width, from, to);
        else
            for (int32_t c = 0; c < dy.width; c++) to[c / cols] += from[c];
    }
}

/* product: y = a ⊙ b; da += dy ⊙ b; db += dy ⊙ a, summed over what b was spread over. */
void hn_op_product_forward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view a = hn_at(context, s->in[0]), b = hn_at(context, s->in[1]),
                  y = hn_at(context, s->out);
    const int32_t cols = hn_node_of(context, s->out)->shape.cols;
    for (int32_t r = 0; r < y.rows; r++) {
        hn_real *to = y.at + r * y.ld;
        const hn_real *from = a.at + r * a.ld, *factor = spread_row(b, s->count, y.rows, r);
        if (s->count != HN_SPREAD_GROUP)
            hn_mul_to(y.width, from, factor, to);
        else
            for (int32_t c = 0; c < y.width; c++) to[c] = from[c] * factor[c / cols];
    }
}

void hn_op_product_backward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view dy = hn_grad_out(context, s->out);
    if (!dy.at) return;
    const int32_t cols = hn_node_of(context, s->out)->shape.cols;
    const hn_view a = hn_at(context, s->in[0]), b = hn_at(context, s->in[1]);
    const hn_view da = hn_grad_in(context, s->in[0], -1, NULL),
                  db = hn_grad_in(context, s->in[1], -1, NULL);
    const bool group = s->count == HN_SPREAD_GROUP;
    for (int32_t r = 0; r < dy.rows; r++) {
        const hn_real *from = dy.at + r * dy.ld, *ar = a.at + r * a.ld,
                      *br = spread_row(b, s->count, dy.rows, r);
        for (int32_t c = 0; da.at && c < dy.width; c++)
            da.at[r * da.ld + c] += from[c] * br[group ? c / cols : c];
        if (!db.at) continue;
        hn_real *to = spread_row(db, s->count, dy.rows, r);
        if (!group)
            hn_mul_add(dy.width, from, ar, to);
        else
            for (int32_t c = 0; c < dy.width; c++) to[c / cols] += from[c] * ar[c];
    }
}

/* activate: y = act(x); dx += dy ⊙ act'(x) */
void hn_op_activate_forward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view x = hn_at(context, s->in[0]), y = hn_at(context, s->out);
    for (int32_t r = 0; r < y.rows; r++) {
        memcpy(y.at + r * y.ld, x.at + r * x.ld, (size_t)y.width * sizeof *y.at);
        hn_act_forward(s->act, 1, y.width, y.at + r * y.ld, y.ld);
    }
}

void hn_op_activate_backward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view x = hn_at(context, s->in[0]), y = hn_at(context, s->out),
                  dy = hn_grad_out(context, s->out);
    if (!dy.at) return;
    const hn_view dx = hn_grad_in(context, s->in[0], -1, NULL);
    for (int32_t r = 0; dx.at && r < dy.rows; r++) {
        hn_act_backward(s->act, 1, dy.width, y.at + r * y.ld, x.at + r * x.ld, dy.at + r * dy.ld,
                        dy.ld);
        hn_add(dy.width, dy.at + r * dy.ld, dx.at + r * dx.ld);
    }
}

/* affine: y = scale·x + shift */
void hn_op_affine_forward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view x = hn_at(context, s->in[0]), y = hn_at(context, s->out);
    const hn_real scale = (hn_real)s->scale, shift = (hn_real)s->shift;
    for (int32_t r = 0; r < y.rows; r++)
        for (int32_t c = 0; c < y.width; c++)
            y.at[r * y.ld + c] = scale * x.at[r * x.ld + c] + shift;
}

void hn_op_affine_backward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view dy = hn_grad_out(context, s->out);
    if (!dy.at) return;
    const hn_view dx = hn_grad_in(context, s->in[0], -1, NULL);
    for (int32_t r = 0; dx.at && r < dy.rows; r++)
        hn_axpy(dy.width, (hn_real)s->scale, dy.at + r * dy.ld, dx.at + r * dx.ld);
}

/* norm: y = (x - μ)/σ, σ² = var + 1e-5, over the n columns of each group.
 * dx += (dy - mean(dy) - y·mean(dy ⊙ y)) / σ */
void hn_op_norm_forward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view x = hn_at(context, s->in[0]), y = hn_at(context, s->out);
    const int32_t cols = hn_node_of(context, s->out)->shape.cols;
    for (int32_t r = 0; r < y.rows; r++)
        for (int32_t first = 0; first < y.width; first += cols)
            hn_norm_to(cols, x.at + r * x.ld + first, y.at + r * y.ld + first);
}

void hn_op_norm_backward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view x = hn_at(context, s->in[0]), y = hn_at(context, s->out),
                  dy = hn_grad_out(context, s->out);
    if (!dy.at) return;
    const hn_view dx = hn_grad_in(context, s->in[0], -1, NULL);
    const int32_t cols = hn_node_of(context, s->out)->shape.cols;
    for (int32_t r = 0; dx.at && r < dy.rows; r++)
        for (int32_t first = 0; first < dy.width; first += cols)
            hn_norm_backward(cols, x.at + r * x.ld + first, y.at + r * y.ld + first,
                             dy.at + r * dy.ld + first, dx.at + r * dx.ld + first);
}

/* dropout: y = x·keep/(1-p), keep drawn from (seed; op and step; row, column). Four columns
 * share one 64-bit draw of 16 bits each, so p is a multiple of 2⁻¹⁶. */
enum { FACTORS = 256 };

/* to (+)= from ⊙ factor, a stretch of columns at a time. */
static void drop(const hn_context *context, int32_t step, hn_view from, hn_view to, bool add) {
    const double p = hn_step_of(context, step)->scale;
    const uint32_t threshold = (uint32_t)(p * 65536 + 0.5);
    const hn_real scale = (hn_real)(65536.0 / (65536.0 - threshold));
    for (int32_t r = 0; r < from.rows; r++) {
        hn_real *tr = to.at + r * to.ld;
        const hn_real *fr = from.at + r * from.ld;
        const uint64_t row = hn_random(hn_mix64(context->seed) + context->step,
                                       HN_STREAM_DROPOUT + ((uint64_t)step << 8),
                                       context->rows->ordinal[context->first + r]);
        hn_real factor[FACTORS];
        for (int32_t first = 0; first < from.width; first += FACTORS) {
            const int32_t n = from.width - first < FACTORS ? from.width - first : FACTORS;
            for (int32_t c = 0; c < n; c += 4) {
                const uint64_t bits = hn_mix64(row + (uint64_t)(first + c));
                for (int32_t i = 0; i < 4; i++)
                    factor[c + i] = ((bits >> (16 * i)) & 0xffff) < threshold ? 0 : scale;
            }
            if (add)
                hn_mul_add(n, fr + first, factor, tr + first);
            else
                hn_mul_to(n, fr + first, factor, tr + first);
        }
    }
}

void hn_op_dropout_forward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    drop(context, step, hn_at(context, s->in[0]), hn_at(context, s->out), false);
}

void hn_op_dropout_backward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view dy = hn_grad_out(context, s->out);
    if (!dy.at) return;
    bool fresh;
    const hn_view dx = hn_grad_in(context, s->in[0], -1, &fresh);
    if (dx.at) drop(context, step, dy, dx, !fresh);
}
