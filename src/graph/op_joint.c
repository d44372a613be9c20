/* The ops of AITM and ESMM: the product of two vectors, and the logit of the probability that
 * two things both happen. */
#include <string.h>

#include "graph/ops.h"

/* dot: y_g = Σ_c a[g][c]·b[g][c];  da[g] += dy_g·b[g];  db[g] += dy_g·a[g] */
void hn_op_dot_forward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view a = hn_at(context, s->in[0]), b = hn_at(context, s->in[1]),
                  y = hn_at(context, s->out);
    const int64_t cols = hn_node_of(context, s->in[0])->shape.cols;
    for (int32_t r = 0; r < y.rows; r++)
        for (int32_t g = 0; g < y.width; g++)
            y.at[r * y.ld + g] =
                hn_dot(cols, a.at + r * a.ld + g * cols, b.at + r * b.ld + g * cols);
}

void hn_op_dot_backward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view dy = hn_grad_out(context, s->out);
    if (!dy.at) return;
    const int64_t cols = hn_node_of(context, s->in[0])->shape.cols;
    for (int32_t k = 0; k < 2; k++) {
        const hn_view other = hn_at(context, s->in[1 - k]),
                      dx = hn_grad_in(context, s->in[k], -1, NULL);
        for (int32_t r = 0; dx.at && r < dy.rows; r++)
            for (int32_t g = 0; g < dy.width; g++)
                hn_axpy(cols, dy.at[r * dy.ld + g], other.at + r * other.ld + g * cols,
                        dx.at + r * dx.ld + g * cols);
    }
}

/* joint: z = logit(σ(a)·σ(b)) = -log(e^-a + e^-b + e^(-a-b)), where a is the result of the
 * column before. With lo ≤ hi the two of them, z = lo - log(1 + (1 + e^lo)·e^-hi), of which
 * nothing overflows or cancels:
 *   dz/dhi = σ(softplus(lo) - hi) = (1 - σ(hi)) / (1 - σ(a)·σ(b))
 *   dz/dlo = 1 - σ(lo)·dz/dhi     = (1 - σ(lo)) / (1 - σ(a)·σ(b)) */
static hn_real both(hn_real a, hn_real b) {
    const hn_real lo = a < b ? a : b, hi = a < b ? b : a;
    return lo - hn_softplus(hn_softplus(lo) - hi);
}

static void both_slopes(hn_real a, hn_real b, hn_real *da, hn_real *db) {
    const hn_real lo = a < b ? a : b, hi = a < b ? b : a;
    const hn_real of_hi = hn_sigmoid(hn_softplus(lo) - hi), of_lo = 1 - hn_sigmoid(lo) * of_hi;
    *da = a < b ? of_lo : of_hi;
    *db = a < b ? of_hi : of_lo;
}

void hn_op_joint_forward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view x = hn_at(context, s->in[0]), y = hn_at(context, s->out);
    for (int32_t r = 0; r < y.rows; r++) {
        hn_real *to = y.at + r * y.ld;
        memcpy(to, x.at + r * x.ld, (size_t)y.width * sizeof *to);
        for (int32_t i = 0; i < s->count; i++) {
            const int32_t column = s->index[2 * i], before = s->index[2 * i + 1];
            to[column] = both(to[before], to[column]);
        }
    }
}

/* From the last of a chain to the first: dy of a column is complete when its turn comes, and
 * then becomes that of x. */
void hn_op_joint_backward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view x = hn_at(context, s->in[0]), y = hn_at(context, s->out),
                  dy = hn_grad_out(context, s->out);
    if (!dy.at) return;
    const hn_view dx = hn_grad_in(context, s->in[0], -1, NULL);
    for (int32_t r = 0; dx.at && r < dy.rows; r++) {
        hn_real *d = dy.at + r * dy.ld;
        for (int32_t i = s->count; i-- > 0;) {
            const int32_t column = s->index[2 * i], before = s->index[2 * i + 1];
            hn_real da, db;
            both_slopes(y.at[r * y.ld + before], x.at[r * x.ld + column], &da, &db);
            d[before] += d[column] * da;
            d[column] *= db;
        }
        hn_add(dy.width, d, dx.at + r * dx.ld);
    }
}
