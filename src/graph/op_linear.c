/* linear: y = act(x·W + b), the op in which nearly all time goes.
 *
 * forward   for each run of rows (one run, or one a scenario) and each group g:
 *             y_g = x_g·W_g, where x keeps a shared part apart: (x_s·W_s) + x_i·W_i;
 *           then b and the activation in one pass. For rows of one request x_s·W_s is the
 *           same in all: computed for one row, kept for the request's next tiles.
 * backward  dy ← dy ⊙ act'(y);  db += Σ dy;  dW_g += x_gᵀ·dy_g;  dx_g += dy_g·W_gᵀ
 *
 * A padded product spills into the rows behind its run; runs go in row order, and each run
 * first overwrites its own rows, so what was spilled into them is gone. */
#include <string.h>

#include "graph/ops.h"
#include "kernel/clones.h"

typedef struct part { /* how one step's numbers lie */
    int32_t groups;   /* products of a run */
    int32_t k, n;     /* of each: x columns, y columns */
    int64_t matrix;   /* numbers of one W */
    int32_t split;    /* rows of W that belong to the shared part; 0: not kept apart */
    const hn_product *products;
} part;

static part part_of(const hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_shape x = hn_node_of(context, s->in[0])->shape,
                   w = hn_node_of(context, s->in[1])->shape;
    part p = {
        .groups = s->count, .k = s->count > 1 ? x.cols : x.groups * x.cols, .n = w.groups * w.cols};
    p.matrix = (int64_t)w.rows * p.n;
    p.split = p.groups == 1 ? hn_node_of(context, s->in[0])->split : 0;
    p.products = &context->plan->products[2 * step];
    return p;
}

HN_CLONES static void bias_relu(int64_t rows, int64_t cols, const hn_real *bias, hn_real *y,
                                int64_t ld) {
    for (int64_t r = 0; r < rows; r++, y += ld)
        for (int64_t c = 0; c < cols; c++) {
            const hn_real v = y[c] + bias[c];
            y[c] = v > 0 ? v : 0;
        }
}

HN_CLONES static void bias_only(int64_t rows, int64_t cols, const hn_real *bias, hn_real *y,
                                int64_t ld) {
    for (int64_t r = 0; r < rows; r++, y += ld)
        for (int64_t c = 0; c < cols; c++) y[c] += bias[c];
}

static void finish(hn_act act, int64_t rows, int64_t cols, const hn_real *bias, hn_real *y,
                   int64_t ld) {
    if (bias && act == HN_ACT_RELU) {
        bias_relu(rows, cols, bias, y, ld);
        return;
    }
    if (bias) bias_only(rows, cols, bias, y, ld);
    if (act != HN_ACT_NONE) hn_act_forward(act, rows, cols, y, ld);
}

/* dy ⊙ [y > 0] and its column sums in one pass. */
HN_CLONES static void relu_back_sum(int64_t rows, int64_t cols, const hn_real *y, int64_t ld,
                                    hn_real *dy, int64_t dld, hn_real *restrict db) {
    for (int64_t r = 0; r < rows; r++, y += ld, dy += dld)
        for (int64_t c = 0; c < cols; c++) {
            const hn_real v = y[c] > 0 ? dy[c] : 0;
            dy[c] = v;
            db[c] += v;
        }
}

/* ---- Rows of one request: x_s·W_s is one row ------------------------------------------- */

HN_CLONES static void shared_bias_relu(int64_t rows, int64_t cols, const hn_real *shared,
                                       const hn_real *bias, hn_real *y, int64_t ld) {
    for (int64_t r = 0; r < rows; r++, y += ld)
        for (int64_t c = 0; c < cols; c++) {
            const hn_real v = (shared[c] + y[c]) + bias[c];
            y[c] = v > 0 ? v : 0;
        }
}

static void finish_shared(hn_act act, int64_t rows, int64_t cols, const hn_real *shared,
                          const hn_real *bias, hn_real *y, int64_t ld) {
    if (bias && act == HN_ACT_RELU) {
        shared_bias_relu(rows, cols, shared, bias, y, ld);
        return;
    }
    bias_only(rows, cols, shared, y, ld);
    finish(act, rows, cols, bias, y, ld);
}

/* x_s·W_s of the first row, which stays for the request's next tiles. y: of the tile. */
static bool keep_shared(const hn_context *context, int32_t step, const part *p, const hn_real *x,
                        const hn_real *w, hn_real *y) {
    hn_session *session = context->session;
    if (session->kept) return true;
    if (!hn_product_run(&p->products[0], 1, x, w, y, false)) return false;
    memcpy(session->shared + context->plan->shared[step], y, (size_t)p->n * sizeof *y);
    return true;
}

/* Where the library's C += A·B is known to add C last (hn_product's row) the shared row is
 * added in the pass of bias and activation; else it goes into C first. */
static bool request_forward(const hn_context *context, int32_t step, const part *p, int32_t n,
                            const hn_real *x, const hn_real *w, const hn_real *bias, hn_view y) {
    const hn_act act = hn_step_of(context, step)->act;
    const hn_real *kept = context->session->shared + context->plan->shared[step];
    const hn_product *item = &p->products[1];
    if (!keep_shared(context, step, p, x, w, y.at)) return false;
    x += p->split;
    w += (int64_t)p->split * p->n;
    for (int32_t r = 0; r < n && !item->row; r++)
        memcpy(y.at + r * y.ld, kept, (size_t)p->n * sizeof *kept);
    if (!hn_product_run(item, n, x, w, y.at, !item->row)) return false;
    if (item->row)
        finish_shared(act, n, p->n, kept, bias, y.at, y.ld);
    else
        finish(act, n, p->n, bias, y.at, y.ld);
    return true;
}

/* The run of scenario `scenario` (or the whole tile) forward. */
static bool run_forward(const hn_context *context, int32_t step, int32_t scenario, int32_t first,
                        int32_t n) {
    const hn_step *s = hn_step_of(context, step);
    const part p = part_of(context, step);
    const hn_view x = hn_at(context, s->in[0]), w = hn_at(context, s->in[1]),
                  y = hn_at(context, s->out);
    const hn_real *xr = x.at + first * x.ld, *wr = w.at + (int64_t)scenario * p.groups * p.matrix;
    const hn_real *bias =
        s->in[2] < 0 ? NULL : hn_at(context, s->in[2]).at + (int64_t)scenario * y.width;
    hn_real *yr = y.at + first * y.ld;
    if (context->session->sharing && context->plan->shared[step] != HN_NOT_SHARED)
        return request_forward(context, step, &p, n, xr, wr, bias, (hn_view){.at = yr, .ld = y.ld});
    bool ok = true;
    for (int32_t g = 0; g < p.groups; g++) {
        const hn_real *xg = xr + (int64_t)g * p.k, *wg = wr + g * p.matrix;
        hn_real *yg = yr + (int64_t)g * p.n;
        ok &= hn_product_run(&p.products[0], n, xg, wg, yg, false);
        if (p.split)
            ok &= hn_product_run(&p.products[1], n, xg + p.split, wg + (int64_t)p.split * p.n, yg,
                                 true);
    }
    finish(s->act, n, y.width, bias, yr, y.ld);
    return ok;
}

/* A param-stage product (the SAN gate) is tiny: the naive one. */
static void param_forward(const hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view x = hn_at(context, s->in[0]), w = hn_at(context, s->in[1]),
                  y = hn_at(context, s->out);
    hn_product_naive(x.rows, y.width, x.width, x.at, x.ld, 1, w.at, w.ld, 1, y.at, y.ld, false);
    finish(s->act, y.rows, y.width, s->in[2] < 0 ? NULL : hn_at(context, s->in[2]).at, y.at, y.ld);
}

void hn_op_linear_forward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    if (hn_node_of(context, s->out)->shape.param) {
        param_forward(context, step);
        return;
    }
    if (!s->by_scenario) {
        context->failed |= !run_forward(context, step, 0, 0, context->n);
        return;
    }
    const hn_session *session = context->session;
    for (int32_t i = 0; i < session->n_runs; i++) {
        const hn_run_rows *run = &session->runs[i];
        context->failed |= !run_forward(context, step, run->scenario, run->first, run->n);
    }
}

/* db and dy ⊙ act' of `cols` columns of one run. */
static void bias_columns(hn_act act, int32_t n, int64_t cols, const hn_real *y, int64_t ld,
                         hn_real *dy, int64_t dld, hn_real *db) {
    if (db && act == HN_ACT_RELU) {
        relu_back_sum(n, cols, y, ld, dy, dld, db);
        return;
    }
    if (act != HN_ACT_NONE)
        for (int32_t r = 0; r < n; r++)
            hn_act_backward(act, 1, cols, y + r * ld, NULL, dy + r * dld, ld);
    if (db) hn_sum_rows(n, cols, dy, dld, db);
}

/* The same for columns first … first + cols of group-wise or blocked work: a block's sums
 * stay in the first-level cache. The bias' gradient is one row of its param. */
static void bias_backward(const hn_context *context, int32_t step, int32_t scenario,
                          int32_t first_row, int32_t n, hn_view dy, int64_t first, int64_t cols) {
    enum { BLOCK = 512 };
    const hn_step *s = hn_step_of(context, step);
    const hn_view y = hn_at(context, s->out);
    const hn_view db = hn_grad_in(context, s->in[2], -1, NULL);
    for (int64_t c = first; c < first + cols; c += BLOCK) {
        const int64_t width = first + cols - c < BLOCK ? first + cols - c : BLOCK;
        bias_columns(s->act, n, width, y.at + first_row * y.ld + c, y.ld,
                     dy.at + first_row * dy.ld + c, dy.ld,
                     db.at ? db.at + (int64_t)scenario * y.width + c : NULL);
    }
}

static bool run_backward(const hn_context *context, int32_t step, int32_t scenario, int32_t first,
                         int32_t n, hn_view dy, hn_view dx, bool dx_fresh) {
    const hn_step *s = hn_step_of(context, step);
    const part p = part_of(context, step);
    const hn_view x = hn_at(context, s->in[0]), w = hn_at(context, s->in[1]);
    bool ok = true;
    for (int32_t g = 0; g < p.groups; g++) {
        const int32_t matrix = scenario * p.groups + g;
        const hn_real *xg = x.at + first * x.ld + (int64_t)g * p.k, *wg = w.at + matrix * p.matrix;
        const hn_real *dyg = dy.at + first * dy.ld + (int64_t)g * p.n;
        bias_backward(context, step, scenario, first, n, dy, (int64_t)g * p.n, p.n);
        bool fresh;
        const hn_view dw = hn_grad_in(context, s->in[1], matrix, &fresh);
        if (dw.at) ok &= hn_product_dw(n, p.k, p.n, xg, x.ld, dyg, dy.ld, dw.at, p.n, !fresh);
        if (dx.at)
            ok &= hn_product_dx(n, p.k, p.n, dyg, dy.ld, wg, p.n,
                                dx.at + first * dx.ld + (int64_t)g * p.k, dx.ld, !dx_fresh);
    }
    return ok;
}

static void param_backward(const hn_context *context, int32_t step, hn_view dy) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view x = hn_at(context, s->in[0]), w = hn_at(context, s->in[1]);
    bias_backward(context, step, 0, 0, dy.rows, dy, 0, dy.width);
    const hn_view dw = hn_grad_in(context, s->in[1], 0, NULL),
                  dx = hn_grad_in(context, s->in[0], -1, NULL);
    if (dw.at)
        hn_product_naive(x.width, dy.width, x.rows, x.at, 1, x.ld, dy.at, dy.ld, 1, dw.at, dw.ld,
                         true);
    if (dx.at)
        hn_product_naive(x.rows, x.width, dy.width, dy.at, dy.ld, 1, w.at, 1, w.ld, dx.at, dx.ld,
                         true);
}

void hn_op_linear_backward(hn_context *context, int32_t step) {
    const hn_step *s = hn_step_of(context, step);
    const hn_view dy = hn_grad_out(context, s->out);
    if (!dy.at) return;
    if (hn_node_of(context, s->out)->shape.param) {
        param_backward(context, step, dy);
        return;
    }
    bool fresh;
    const hn_view dx = hn_grad_in(context, s->in[0], -1, &fresh);
    if (!s->by_scenario) {
        context->failed |= !run_backward(context, step, 0, 0, context->n, dy, dx, fresh);
        return;
    }
    const hn_session *session = context->session;
    for (int32_t i = 0; i < session->n_runs; i++) {
        const hn_run_rows *run = &session->runs[i];
        context->failed |=
            !run_backward(context, step, run->scenario, run->first, run->n, dy, dx, fresh);
    }
}
