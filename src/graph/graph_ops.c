/* Recording the ops: each checks its inputs' shapes and appends one step. Leaves and ends are
 * in graph.c, what the ops do is in op_*.c. */
#include <string.h>

#include "graph/record.h"

/* What is computed column by column from `from` keeps its shared part apart; `uniform`: and
 * alike in all rows of a request. */
static void keep_apart(hn_graph *graph, hn_value result, hn_value from, bool uniform) {
    hn_graph_node(graph, result)->split = hn_graph_node(graph, from)->split;
    hn_graph_node(graph, result)->uniform = uniform && hn_graph_node(graph, from)->uniform;
}

/* ---- Products --------------------------------------------------------------------------- */

static hn_value linear(hn_graph *graph, hn_value x, hn_value w, hn_value b, hn_act act,
                       bool by_scenario) {
    const char *op = by_scenario ? "linear by scenario" : "linear";
    if (!hn_values_ready(graph, op, (hn_value[]){x, w}, 2)) return HN_NONE;
    const hn_shape xs = hn_graph_node(graph, x)->shape, ws = hn_graph_node(graph, w)->shape;
    const int32_t scenarios = by_scenario ? graph->layout.scenarios : 1;
    if (!ws.param)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "%s: the weight must be of the param stage", op);
    if (act == HN_ACT_SILU || act == HN_ACT_GELU)
        return hn_graph_fail(graph, HN_BAD_CONFIG,
                             "%s: silu and gelu are ops of their own (hn_activate)", op);
    if (xs.param && (by_scenario || xs.batch != 1 || ws.batch != 1))
        return hn_graph_fail(graph, HN_BAD_CONFIG, "%s: a param-stage input takes one plain weight",
                             op);
    const int32_t batch = ws.batch / scenarios;
    if (batch * scenarios != ws.batch || (batch != 1 && batch != xs.groups))
        return hn_graph_fail(graph, HN_BAD_CONFIG, "%s: %d matrices for %d groups and %d scenarios",
                             op, ws.batch, xs.groups, scenarios);
    const int32_t inner = batch == 1 ? hn_shape_width(xs) : xs.cols;
    if (ws.rows != inner)
        return hn_graph_fail(graph, HN_BAD_CONFIG,
                             "%s: the weight has %d rows, its input %d columns", op, ws.rows,
                             inner);
    hn_shape out = {
        .param = xs.param, .batch = 1, .rows = xs.rows, .groups = ws.groups, .cols = ws.cols};
    if (batch > 1) {
        out.groups = batch;
        out.cols = hn_shape_width(ws);
    }
    if (b.id >= 0) {
        if (!hn_values_ready(graph, op, &b, 1)) return HN_NONE;
        const hn_shape bs = hn_graph_node(graph, b)->shape;
        if (!bs.param || hn_shape_count(bs) != (size_t)hn_shape_width(out) * (size_t)scenarios)
            return hn_graph_fail(
                graph, HN_BAD_CONFIG, "%s: the bias has %zu numbers, %zu are needed", op,
                hn_shape_count(bs), (size_t)hn_shape_width(out) * (size_t)scenarios);
    }
    return hn_graph_append(
        graph,
        (hn_step){.op = HN_OP_LINEAR, .act = act, .by_scenario = by_scenario, .count = batch},
        (hn_value[]){x, w, b}, 3, out, -1, 0);
}

hn_value hn_linear(hn_graph *graph, hn_value x, hn_value w, hn_value b, hn_act act) {
    return linear(graph, x, w, b, act, false);
}

hn_value hn_linear_scenario(hn_graph *graph, hn_value x, hn_value w, hn_value b, hn_act act) {
    return linear(graph, x, w, b, act, true);
}

/* ---- Mixing ------------------------------------------------------------------------------- */

hn_value hn_softmax_of(hn_graph *graph, hn_value x, const uint8_t *mask) {
    if (!hn_values_ready(graph, "softmax", &x, 1)) return HN_NONE;
    const hn_shape shape = hn_graph_node(graph, x)->shape;
    if (mask && !shape.param)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "softmax: a mask needs a param-stage value");
    if (mask) mask = hn_graph_keep(graph, mask, hn_shape_count(shape), 1);
    return hn_graph_append(graph, (hn_step){.op = HN_OP_SOFTMAX, .mask = mask}, &x, 1, shape, -1,
                           0);
}

hn_value hn_mix(hn_graph *graph, hn_value gate, hn_value experts, const int32_t *index) {
    const hn_value in[] = {gate, experts};
    if (!hn_values_ready(graph, "mix", in, 2)) return HN_NONE;
    const hn_shape g = hn_graph_node(graph, gate)->shape, e = hn_graph_node(graph, experts)->shape;
    if (g.param || e.param)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "mix: both inputs must be of the row stage");
    const int32_t n = hn_shape_width(g);
    for (int32_t i = 0; i < n; i++)
        if ((index ? index[i] : i) < 0 || (index ? index[i] : i) >= e.groups)
            return hn_graph_fail(graph, HN_BAD_CONFIG, "mix: weight %d is of expert %d of %d", i,
                                 index ? index[i] : i, e.groups);
    if (index) index = hn_graph_keep(graph, index, (size_t)n, sizeof *index);
    return hn_graph_append(graph, (hn_step){.op = HN_OP_MIX, .index = index}, in, 2,
                           (hn_shape){.batch = 1, .groups = g.groups, .cols = e.cols}, -1, 0);
}

hn_value hn_dot_of(hn_graph *graph, hn_value a, hn_value b) {
    const hn_value in[] = {a, b};
    if (!hn_values_ready(graph, "dot", in, 2)) return HN_NONE;
    const hn_shape as = hn_graph_node(graph, a)->shape, bs = hn_graph_node(graph, b)->shape;
    if (as.param || bs.param || as.groups != bs.groups || as.cols != bs.cols)
        return hn_graph_fail(graph, HN_BAD_CONFIG,
                             "dot: %d × %d and %d × %d numbers do not go together", as.groups,
                             as.cols, bs.groups, bs.cols);
    return hn_graph_append(graph, (hn_step){.op = HN_OP_DOT}, in, 2,
                           (hn_shape){.batch = 1, .groups = as.groups, .cols = 1}, -1, 0);
}

hn_value hn_pick(hn_graph *graph, hn_value table) {
    if (!hn_values_ready(graph, "pick", &table, 1)) return HN_NONE;
    const hn_shape t = hn_graph_node(graph, table)->shape;
    if (!t.param || t.batch != 1 || (t.rows != graph->layout.scenarios && t.rows != 1))
        return hn_graph_fail(graph, HN_BAD_CONFIG,
                             "pick: a table of %d rows, one for each scenario, or of one is needed",
                             graph->layout.scenarios);
    return hn_graph_append(graph, (hn_step){.op = HN_OP_PICK}, &table, 1,
                           (hn_shape){.batch = 1, .groups = t.groups, .cols = t.cols}, -1, 0);
}

hn_value hn_select(hn_graph *graph, hn_value x, int32_t first, int32_t count) {
    if (!hn_values_ready(graph, "select", &x, 1)) return HN_NONE;
    const hn_shape s = hn_graph_node(graph, x)->shape;
    if (s.param || first < 0 || count < 1 || first + count * graph->layout.scenarios > s.groups)
        return hn_graph_fail(graph, HN_BAD_CONFIG,
                             "select: %d groups of each of %d scenarios from %d on, of %d", count,
                             graph->layout.scenarios, first, s.groups);
    return hn_graph_append(graph, (hn_step){.op = HN_OP_SELECT, .first = first, .count = count}, &x,
                           1, (hn_shape){.batch = 1, .groups = count, .cols = s.cols}, -1, 0);
}

/* Pairs (column, the one before it), each after the pair that makes its second; how many, or
 * -1 where they go in a circle. */
static int32_t order_columns(int32_t *pairs, uint8_t *done, const int32_t *before, int32_t n) {
    int32_t count = 0, wanted = 0;
    for (int32_t c = 0; c < n; c++) {
        done[c] = before[c] < 0;
        wanted += !done[c];
    }
    for (int32_t last = -1; last < count && count < wanted;) {
        last = count;
        for (int32_t c = 0; c < n; c++) {
            if (done[c] || !done[before[c]]) continue;
            pairs[2 * count] = c;
            pairs[2 * count++ + 1] = before[c];
            done[c] = 1;
        }
    }
    return count == wanted ? count : -1;
}

hn_value hn_joint(hn_graph *graph, hn_value x, const int32_t *before) {
    if (!hn_values_ready(graph, "joint", &x, 1)) return HN_NONE;
    const hn_shape shape = hn_graph_node(graph, x)->shape;
    const int32_t n = hn_shape_width(shape);
    int32_t *pairs = hn_arena_alloc(&graph->arena, 2 * (size_t)n, sizeof *pairs);
    uint8_t *done = hn_arena_alloc(&graph->arena, (size_t)n, 1);
    if (!pairs || !done) return hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
    for (int32_t c = 0; c < n; c++)
        if (before[c] >= n)
            return hn_graph_fail(graph, HN_BAD_CONFIG, "joint: column %d comes after %d of %d", c,
                                 before[c], n);
    const int32_t count = order_columns(pairs, done, before, n);
    if (shape.param || count < 0)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "joint: %s",
                             shape.param ? "of row-stage values only" : "columns go in a circle");
    return hn_graph_append(graph, (hn_step){.op = HN_OP_JOINT, .index = pairs, .count = count}, &x,
                           1, shape, -1, 0);
}

/* ---- Shape ---------------------------------------------------------------------------------- */

hn_value hn_concat(hn_graph *graph, const hn_value *values, int32_t n) {
    if (n < 1 || !hn_values_ready(graph, "concat", values, n)) return HN_NONE;
    hn_shape out = hn_graph_node(graph, values[0])->shape;
    out.groups = 1;
    out.cols = 0;
    for (int32_t i = 0; i < n; i++) {
        const hn_shape s = hn_graph_node(graph, values[i])->shape;
        if (s.param != out.param || s.rows != out.rows || s.batch != out.batch)
            return hn_graph_fail(graph, HN_BAD_CONFIG, "concat: input %d has other rows", i);
        out.cols += hn_shape_width(s);
    }
    hn_value result = hn_graph_append(graph, (hn_step){.op = HN_OP_CONCAT}, values, n, out, -1, 0);
    /* what follows the shared part of x keeps it apart: concat(x, more) */
    if (result.id >= 0) keep_apart(graph, result, values[0], true);
    return result;
}

hn_value hn_groups(hn_graph *graph, hn_value x, int32_t first, int32_t count) {
    if (!hn_values_ready(graph, "groups", &x, 1)) return HN_NONE;
    hn_shape s = hn_graph_node(graph, x)->shape;
    if (first < 0 || count < 1 || first + count > s.groups)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "groups: %d … %d of %d", first,
                             first + count - 1, s.groups);
    s.groups = count;
    return hn_graph_append(graph, (hn_step){.op = HN_OP_VIEW}, &x, 1, s, x.id, first * s.cols);
}

hn_value hn_reshape(hn_graph *graph, hn_value x, int32_t groups, int32_t cols) {
    if (!hn_values_ready(graph, "reshape", &x, 1)) return HN_NONE;
    hn_shape s = hn_graph_node(graph, x)->shape;
    if ((int64_t)groups * cols != hn_shape_width(s))
        return hn_graph_fail(graph, HN_BAD_CONFIG, "reshape: %d × %d of %d numbers", groups, cols,
                             hn_shape_width(s));
    s.groups = groups;
    s.cols = cols;
    hn_value result = hn_graph_append(graph, (hn_step){.op = HN_OP_VIEW}, &x, 1, s, x.id, 0);
    if (result.id >= 0) keep_apart(graph, result, x, true);
    return result;
}

/* ---- Elementwise --------------------------------------------------------------------------- */

static int32_t spread(hn_shape a, hn_shape b) {
    if (a.param == b.param && a.batch == b.batch && a.rows == b.rows && a.groups == b.groups &&
        a.cols == b.cols)
        return HN_SPREAD_SAME;
    if (b.param && b.batch == 1 && b.rows == 1 && hn_shape_width(a) == hn_shape_width(b))
        return HN_SPREAD_ROW;
    if (a.param == b.param && a.batch == b.batch && a.rows == b.rows && a.groups == b.groups &&
        b.cols == 1)
        return HN_SPREAD_GROUP;
    if (a.param && b.param && a.batch % b.batch == 0 && a.rows == b.rows &&
        hn_shape_width(a) == hn_shape_width(b))
        return HN_SPREAD_BATCH;
    return -1;
}

static hn_value binary(hn_graph *graph, hn_op_kind op, hn_value a, hn_value b) {
    const hn_value in[] = {a, b};
    if (!hn_values_ready(graph, hn_ops[op].name, in, 2)) return HN_NONE;
    const hn_shape as = hn_graph_node(graph, a)->shape, bs = hn_graph_node(graph, b)->shape;
    const int32_t how = spread(as, bs);
    if (how < 0)
        return hn_graph_fail(graph, HN_BAD_CONFIG,
                             "%s: %d × %d and %d × %d numbers do not go together", hn_ops[op].name,
                             as.groups, as.cols, bs.groups, bs.cols);
    hn_value result = hn_graph_append(graph, (hn_step){.op = op, .count = how}, in, 2, as, -1, 0);
    if (result.id >= 0) keep_apart(graph, result, a, bs.param);
    return result;
}

hn_value hn_sum_of(hn_graph *graph, hn_value a, hn_value b) {
    return binary(graph, HN_OP_SUM, a, b);
}
hn_value hn_product_of(hn_graph *graph, hn_value a, hn_value b) {
    return binary(graph, HN_OP_PRODUCT, a, b);
}

static hn_value unary(hn_graph *graph, hn_step step, hn_value x) {
    if (!hn_values_ready(graph, hn_ops[step.op].name, &x, 1)) return HN_NONE;
    hn_value result = hn_graph_append(graph, step, &x, 1, hn_graph_node(graph, x)->shape, -1, 0);
    /* a norm's mean is of all columns, so that it carries the item's into the shared ones */
    if (result.id >= 0) keep_apart(graph, result, x, step.op != HN_OP_NORM);
    return result;
}

hn_value hn_activate(hn_graph *graph, hn_value x, hn_act act) {
    return unary(graph, (hn_step){.op = HN_OP_ACTIVATE, .act = act}, x);
}

hn_value hn_affine(hn_graph *graph, hn_value x, double scale, double shift) {
    return unary(graph, (hn_step){.op = HN_OP_AFFINE, .scale = scale, .shift = shift}, x);
}

hn_value hn_norm(hn_graph *graph, hn_value x, hn_value gain, hn_value bias) {
    hn_value result = unary(graph, (hn_step){.op = HN_OP_NORM}, x);
    if (gain.id >= 0) result = hn_product_of(graph, result, gain);
    if (bias.id >= 0) result = hn_sum_of(graph, result, bias);
    return result;
}

hn_value hn_dropout(hn_graph *graph, hn_value x, double p) {
    if (!(p >= 0 && p < 1))
        return hn_graph_fail(graph, HN_BAD_CONFIG, "dropout: %g is not in [0, 1)", p);
    if (p == 0) return x;
    if (hn_values_ready(graph, "dropout", &x, 1) && hn_graph_node(graph, x)->shape.param)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "dropout: of row-stage values only");
    return unary(graph, (hn_step){.op = HN_OP_DROPOUT, .scale = p}, x);
}

hn_value hn_stop(hn_graph *graph, hn_value x) {
    if (!hn_values_ready(graph, "stop", &x, 1)) return HN_NONE;
    hn_value result = hn_graph_append(graph, (hn_step){.op = HN_OP_STOP}, &x, 1,
                                      hn_graph_node(graph, x)->shape, x.id, 0);
    if (result.id >= 0) {
        hn_graph_node(graph, result)->needs_grad = false;
        keep_apart(graph, result, x, true);
    }
    return result;
}
