/* Recording: every builder checks shapes and appends one step. What the ops do with them is
 * in op_*.c; what memory they get is in plan.c. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/ops.h"

hn_value hn_graph_fail(hn_graph *graph, hn_status status, const char *format, ...) {
    if (graph->error.status == HN_OK) {
        va_list list;
        va_start(list, format);
        vsnprintf(graph->error.text, sizeof graph->error.text, format, list);
        va_end(list);
        graph->error.status = status;
    }
    return HN_NONE;
}

hn_status hn_graph_create(hn_graph **out, const hn_layout *layout, hn_error *err) {
    *out = NULL;
    hn_graph *graph = hn_alloc_zero(1, sizeof *graph);
    if (!graph) return hn_no_memory(err, "a graph");
    graph->logits = graph->x = -1;
    hn_status status = hn_layout_copy(&graph->layout, layout, err);
    if (status != HN_OK) {
        hn_free(graph);
        return status;
    }
    *out = graph;
    return HN_OK;
}

void hn_graph_free(hn_graph *graph) {
    if (!graph) return;
    hn_layout_free(&graph->layout);
    hn_free(graph->nodes);
    hn_free(graph->storages);
    hn_free(graph->steps);
    hn_free(graph->names);
    hn_free(graph->penalties);
    hn_arena_free(&graph->arena);
    hn_free(graph);
}

hn_status hn_graph_status(const hn_graph *graph, hn_error *err) {
    if (graph->error.status == HN_OK) return HN_OK;
    return hn_fail(err, graph->error.status, "%s", graph->error.text);
}

int32_t hn_graph_scenarios(const hn_graph *graph) { return graph->layout.scenarios; }
int32_t hn_graph_tasks(const hn_graph *graph) { return graph->layout.tasks; }
const hn_layout *hn_graph_layout(const hn_graph *graph) { return &graph->layout; }
bool hn_graph_per_scenario(const hn_graph *graph) { return graph->per_scenario; }

bool hn_graph_param(hn_param_info *out, const hn_graph *graph, int32_t i) {
    for (size_t s = 0; s < graph->n_steps; s++) {
        const hn_step *step = &graph->steps[s];
        if (step->op != HN_OP_PARAM || i-- > 0) continue;
        const hn_shape shape = graph->nodes[step->out].shape;
        *out = (hn_param_info){step->name, 0, shape.batch, shape.rows, shape.groups, shape.cols};
        return true;
    }
    return false;
}

hn_shape hn_value_shape(const hn_graph *graph, hn_value value) {
    if (value.id < 0 || (size_t)value.id >= graph->n_nodes)
        return (hn_shape){.groups = 1, .cols = 1};
    return graph->nodes[value.id].shape;
}

/* ---- Appending --------------------------------------------------------------------- */

static int32_t width_of(hn_shape shape) { return shape.groups * shape.cols; }
static size_t count_of(hn_shape shape) {
    return (size_t)shape.batch * (size_t)shape.rows * (size_t)shape.groups * (size_t)shape.cols;
}

static bool grow(hn_graph *graph, void *array, size_t *capacity, size_t n, size_t size) {
    hn_error err;
    if (hn_grow(array, capacity, n + 1, size, &err) == HN_OK) return true;
    hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
    return false;
}

static void *keep(hn_graph *graph, const void *bytes, size_t count, size_t size) {
    void *copy = hn_arena_alloc(&graph->arena, count ? count : 1, size);
    if (!copy)
        hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
    else if (count)
        memcpy(copy, bytes, count * size);
    return copy;
}

/* Appends `step` with its inputs and result; view_of ≥ 0: the result is a view of that
 * value's storage from `column` on. */
static hn_value append(hn_graph *graph, hn_step step, const hn_value *in, int32_t n_in,
                       hn_shape shape, int32_t view_of, int32_t column) {
    if (graph->error.status != HN_OK) return HN_NONE;
    if (shape.cols < 1 || shape.groups < 1 || (int64_t)shape.groups * shape.cols > INT32_MAX / 4)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "a layer of %d × %d numbers cannot be",
                             shape.groups, shape.cols);
    if (!grow(graph, &graph->nodes, &graph->node_capacity, graph->n_nodes, sizeof *graph->nodes) ||
        !grow(graph, &graph->storages, &graph->storage_capacity, graph->n_storages,
              sizeof *graph->storages) ||
        !grow(graph, &graph->steps, &graph->step_capacity, graph->n_steps, sizeof *graph->steps))
        return HN_NONE;
    int32_t *inputs = hn_arena_alloc(&graph->arena, (size_t)n_in + 1, sizeof *inputs);
    if (!inputs) return hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
    hn_node node = {.shape = shape, .step = (int32_t)graph->n_steps, .column = column};
    for (int32_t i = 0; i < n_in; i++) {
        inputs[i] = in[i].id;
        if (in[i].id >= 0) node.needs_grad |= graph->nodes[in[i].id].needs_grad;
    }
    if (view_of >= 0) {
        node.storage = graph->nodes[view_of].storage;
        node.column += graph->nodes[view_of].column;
        graph->storages[node.storage].has_views = true;
    } else {
        node.storage = (int32_t)graph->n_storages;
        graph->storages[graph->n_storages++] =
            (hn_storage){.param = shape.param,
                         .leaf = step.op == HN_OP_PARAM,
                         .width = width_of(shape),
                         .count = shape.param ? count_of(shape) : 0};
    }
    step.out = (int32_t)graph->n_nodes;
    step.in = inputs;
    step.n_in = n_in;
    graph->nodes[graph->n_nodes++] = node;
    graph->steps[graph->n_steps++] = step;
    return (hn_value){step.out};
}

static hn_node *node(hn_graph *graph, hn_value value) { return &graph->nodes[value.id]; }

/* All of the values are there; else the sticky error stays or becomes one. */
static bool ready(hn_graph *graph, const char *op, const hn_value *values, int32_t n) {
    for (int32_t i = 0; i < n; i++)
        if (values[i].id < 0 || (size_t)values[i].id >= graph->n_nodes) {
            hn_graph_fail(graph, HN_BAD_CONFIG, "%s: input %d is not a value", op, i);
            return false;
        }
    return graph->error.status == HN_OK;
}

/* What is computed column by column from `from` keeps its shared part apart; `uniform`: and
 * alike in all rows of a request. */
static void keep_apart(hn_graph *graph, hn_value result, hn_value from, bool uniform) {
    node(graph, result)->split = node(graph, from)->split;
    node(graph, result)->uniform = uniform && node(graph, from)->uniform;
}

/* ---- Leaves --------------------------------------------------------------------------- */

hn_value hn_input_x(hn_graph *graph, bool per_scenario) {
    if (graph->has_x)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "the model input is recorded twice");
    if (graph->layout.width < 1)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "the model has no input feature");
    graph->has_x = true;
    graph->per_scenario = per_scenario;
    hn_value x = append(graph, (hn_step){.op = HN_OP_EMBED}, NULL, 0,
                        (hn_shape){.batch = 1, .groups = 1, .cols = graph->layout.width}, -1, 0);
    if (x.id < 0) return x;
    const int32_t shared = graph->layout.shared_width;
    node(graph, x)->split = shared < graph->layout.width ? shared : 0;
    node(graph, x)->uniform = true;
    node(graph, x)->needs_grad = graph->layout.n_tables > 0;
    graph->x = x.id;
    return x;
}

hn_value hn_graph_x(const hn_graph *graph) { return (hn_value){graph->x}; }
void hn_graph_set_x(hn_graph *graph, hn_value x) { graph->x = x.id; }

static hn_value param(hn_graph *graph, hn_step step, hn_shape shape) {
    if (shape.batch < 1 || shape.rows < 1)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "a parameter of no rows");
    hn_value value = append(graph, step, NULL, 0, shape, -1, 0);
    if (value.id >= 0) node(graph, value)->needs_grad = step.op == HN_OP_PARAM;
    return value;
}

static hn_value named_param(hn_graph *graph, const char *name, hn_step step, hn_shape shape) {
    if (graph->error.status != HN_OK) return HN_NONE;
    for (size_t i = 0; i < graph->n_steps; i++)
        if (graph->steps[i].name && strcmp(graph->steps[i].name, name) == 0)
            return hn_graph_fail(graph, HN_BAD_CONFIG, "two parameters are called \"%s\"", name);
    step.op = HN_OP_PARAM;
    step.name = hn_arena_strdup(&graph->arena, name);
    if (!step.name) return hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
    return param(graph, step, shape);
}

hn_value hn_param(hn_graph *graph, const char *name, int32_t batch, int32_t rows, int32_t groups,
                  int32_t cols, hn_init init) {
    return named_param(graph, name, (hn_step){.init = init},
                       (hn_shape){true, batch, rows, groups, cols});
}

hn_value hn_param_value(hn_graph *graph, const char *name, int32_t batch, int32_t rows,
                        int32_t groups, int32_t cols, const double *values) {
    const hn_shape shape = {true, batch, rows, groups, cols};
    const double *numbers = keep(graph, values, count_of(shape), sizeof *values);
    return named_param(graph, name, (hn_step){.init = HN_INIT_VALUE, .numbers = numbers}, shape);
}

hn_value hn_constant(hn_graph *graph, int32_t rows, int32_t groups, int32_t cols,
                     const double *values) {
    const hn_shape shape = {true, 1, rows, groups, cols};
    const double *numbers = keep(graph, values, count_of(shape), sizeof *values);
    return param(graph, (hn_step){.op = HN_OP_CONSTANT, .numbers = numbers}, shape);
}

/* ---- Products --------------------------------------------------------------------------- */

static hn_value linear(hn_graph *graph, hn_value x, hn_value w, hn_value b, hn_act act,
                       bool by_scenario) {
    const char *op = by_scenario ? "linear by scenario" : "linear";
    if (!ready(graph, op, (hn_value[]){x, w}, 2)) return HN_NONE;
    const hn_shape xs = node(graph, x)->shape, ws = node(graph, w)->shape;
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
    const int32_t inner = batch == 1 ? width_of(xs) : xs.cols;
    if (ws.rows != inner)
        return hn_graph_fail(graph, HN_BAD_CONFIG,
                             "%s: the weight has %d rows, its input %d columns", op, ws.rows,
                             inner);
    hn_shape out = {
        .param = xs.param, .batch = 1, .rows = xs.rows, .groups = ws.groups, .cols = ws.cols};
    if (batch > 1) {
        out.groups = batch;
        out.cols = width_of(ws);
    }
    if (b.id >= 0) {
        if (!ready(graph, op, &b, 1)) return HN_NONE;
        const hn_shape bs = node(graph, b)->shape;
        if (!bs.param || count_of(bs) != (size_t)width_of(out) * (size_t)scenarios)
            return hn_graph_fail(graph, HN_BAD_CONFIG,
                                 "%s: the bias has %zu numbers, %zu are needed", op, count_of(bs),
                                 (size_t)width_of(out) * (size_t)scenarios);
    }
    return append(
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
    if (!ready(graph, "softmax", &x, 1)) return HN_NONE;
    const hn_shape shape = node(graph, x)->shape;
    if (mask && !shape.param)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "softmax: a mask needs a param-stage value");
    if (mask) mask = keep(graph, mask, count_of(shape), 1);
    return append(graph, (hn_step){.op = HN_OP_SOFTMAX, .mask = mask}, &x, 1, shape, -1, 0);
}

hn_value hn_mix(hn_graph *graph, hn_value gate, hn_value experts, const int32_t *index) {
    const hn_value in[] = {gate, experts};
    if (!ready(graph, "mix", in, 2)) return HN_NONE;
    const hn_shape g = node(graph, gate)->shape, e = node(graph, experts)->shape;
    if (g.param || e.param)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "mix: both inputs must be of the row stage");
    const int32_t n = width_of(g);
    for (int32_t i = 0; i < n; i++)
        if ((index ? index[i] : i) < 0 || (index ? index[i] : i) >= e.groups)
            return hn_graph_fail(graph, HN_BAD_CONFIG, "mix: weight %d is of expert %d of %d", i,
                                 index ? index[i] : i, e.groups);
    if (index) index = keep(graph, index, (size_t)n, sizeof *index);
    return append(graph, (hn_step){.op = HN_OP_MIX, .index = index}, in, 2,
                  (hn_shape){.batch = 1, .groups = g.groups, .cols = e.cols}, -1, 0);
}

hn_value hn_dot_of(hn_graph *graph, hn_value a, hn_value b) {
    const hn_value in[] = {a, b};
    if (!ready(graph, "dot", in, 2)) return HN_NONE;
    const hn_shape as = node(graph, a)->shape, bs = node(graph, b)->shape;
    if (as.param || bs.param || as.groups != bs.groups || as.cols != bs.cols)
        return hn_graph_fail(graph, HN_BAD_CONFIG,
                             "dot: %d × %d and %d × %d numbers do not go together", as.groups,
                             as.cols, bs.groups, bs.cols);
    return append(graph, (hn_step){.op = HN_OP_DOT}, in, 2,
                  (hn_shape){.batch = 1, .groups = as.groups, .cols = 1}, -1, 0);
}

hn_value hn_pick(hn_graph *graph, hn_value table) {
    if (!ready(graph, "pick", &table, 1)) return HN_NONE;
    const hn_shape t = node(graph, table)->shape;
    if (!t.param || t.batch != 1 || (t.rows != graph->layout.scenarios && t.rows != 1))
        return hn_graph_fail(graph, HN_BAD_CONFIG,
                             "pick: a table of %d rows, one for each scenario, or of one is needed",
                             graph->layout.scenarios);
    return append(graph, (hn_step){.op = HN_OP_PICK}, &table, 1,
                  (hn_shape){.batch = 1, .groups = t.groups, .cols = t.cols}, -1, 0);
}

hn_value hn_select(hn_graph *graph, hn_value x, int32_t first, int32_t count) {
    if (!ready(graph, "select", &x, 1)) return HN_NONE;
    const hn_shape s = node(graph, x)->shape;
    if (s.param || first < 0 || count < 1 || first + count * graph->layout.scenarios > s.groups)
        return hn_graph_fail(graph, HN_BAD_CONFIG,
                             "select: %d groups of each of %d scenarios from %d on, of %d", count,
                             graph->layout.scenarios, first, s.groups);
    return append(graph, (hn_step){.op = HN_OP_SELECT, .first = first, .count = count}, &x, 1,
                  (hn_shape){.batch = 1, .groups = count, .cols = s.cols}, -1, 0);
}

/* ---- Shape ---------------------------------------------------------------------------------- */

hn_value hn_concat(hn_graph *graph, const hn_value *values, int32_t n) {
    if (n < 1 || !ready(graph, "concat", values, n)) return HN_NONE;
    hn_shape out = node(graph, values[0])->shape;
    out.groups = 1;
    out.cols = 0;
    for (int32_t i = 0; i < n; i++) {
        const hn_shape s = node(graph, values[i])->shape;
        if (s.param != out.param || s.rows != out.rows || s.batch != out.batch)
            return hn_graph_fail(graph, HN_BAD_CONFIG, "concat: input %d has other rows", i);
        out.cols += width_of(s);
    }
    hn_value result = append(graph, (hn_step){.op = HN_OP_CONCAT}, values, n, out, -1, 0);
    /* what follows the shared part of x keeps it apart: concat(x, more) */
    if (result.id >= 0) keep_apart(graph, result, values[0], true);
    return result;
}

hn_value hn_groups(hn_graph *graph, hn_value x, int32_t first, int32_t count) {
    if (!ready(graph, "groups", &x, 1)) return HN_NONE;
    hn_shape s = node(graph, x)->shape;
    if (first < 0 || count < 1 || first + count > s.groups)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "groups: %d … %d of %d", first,
                             first + count - 1, s.groups);
    s.groups = count;
    return append(graph, (hn_step){.op = HN_OP_VIEW}, &x, 1, s, x.id, first * s.cols);
}

hn_value hn_reshape(hn_graph *graph, hn_value x, int32_t groups, int32_t cols) {
    if (!ready(graph, "reshape", &x, 1)) return HN_NONE;
    hn_shape s = node(graph, x)->shape;
    if ((int64_t)groups * cols != width_of(s))
        return hn_graph_fail(graph, HN_BAD_CONFIG, "reshape: %d × %d of %d numbers", groups, cols,
                             width_of(s));
    s.groups = groups;
    s.cols = cols;
    hn_value result = append(graph, (hn_step){.op = HN_OP_VIEW}, &x, 1, s, x.id, 0);
    if (result.id >= 0) keep_apart(graph, result, x, true);
    return result;
}

/* ---- Elementwise --------------------------------------------------------------------------------
 */

static int32_t spread(hn_shape a, hn_shape b) {
    if (a.param == b.param && a.batch == b.batch && a.rows == b.rows && a.groups == b.groups &&
        a.cols == b.cols)
        return HN_SPREAD_SAME;
    if (b.param && b.batch == 1 && b.rows == 1 && width_of(a) == width_of(b)) return HN_SPREAD_ROW;
    if (a.param == b.param && a.batch == b.batch && a.rows == b.rows && a.groups == b.groups &&
        b.cols == 1)
        return HN_SPREAD_GROUP;
    if (a.param && b.param && a.batch % b.batch == 0 && a.rows == b.rows &&
        width_of(a) == width_of(b))
        return HN_SPREAD_BATCH;
    return -1;
}

static hn_value binary(hn_graph *graph, hn_op_kind op, hn_value a, hn_value b) {
    const hn_value in[] = {a, b};
    if (!ready(graph, hn_ops[op].name, in, 2)) return HN_NONE;
    const hn_shape as = node(graph, a)->shape, bs = node(graph, b)->shape;
    const int32_t how = spread(as, bs);
    if (how < 0)
        return hn_graph_fail(graph, HN_BAD_CONFIG,
                             "%s: %d × %d and %d × %d numbers do not go together", hn_ops[op].name,
                             as.groups, as.cols, bs.groups, bs.cols);
    hn_value result = append(graph, (hn_step){.op = op, .count = how}, in, 2, as, -1, 0);
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
    if (!ready(graph, hn_ops[step.op].name, &x, 1)) return HN_NONE;
    hn_value result = append(graph, step, &x, 1, node(graph, x)->shape, -1, 0);
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
    if (ready(graph, "dropout", &x, 1) && node(graph, x)->shape.param)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "dropout: of row-stage values only");
    return unary(graph, (hn_step){.op = HN_OP_DROPOUT, .scale = p}, x);
}

hn_value hn_stop(hn_graph *graph, hn_value x) {
    if (!ready(graph, "stop", &x, 1)) return HN_NONE;
    hn_value result =
        append(graph, (hn_step){.op = HN_OP_STOP}, &x, 1, node(graph, x)->shape, x.id, 0);
    if (result.id >= 0) {
        node(graph, result)->needs_grad = false;
        keep_apart(graph, result, x, true);
    }
    return result;
}

/* ---- Ends
 * ------------------------------------------------------------------------------------------- */

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
    if (!ready(graph, "joint", &x, 1)) return HN_NONE;
    const hn_shape shape = node(graph, x)->shape;
    const int32_t n = width_of(shape);
    int32_t *pairs = hn_arena_alloc(&graph->arena, 2 * (size_t)n, sizeof *pairs);
    uint8_t *done = hn_arena_alloc(&graph->arena, (size_t)n, 1);
    if (!pairs || !done)
        return hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
    for (int32_t c = 0; c < n; c++)
        if (before[c] >= n)
            return hn_graph_fail(graph, HN_BAD_CONFIG, "joint: column %d comes after %d of %d", c,
                                 before[c], n);
    const int32_t count = order_columns(pairs, done, before, n);
    if (shape.param || count < 0)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "joint: %s",
                             shape.param ? "of row-stage values only" : "columns go in a circle");
    return append(graph, (hn_step){.op = HN_OP_JOINT, .index = pairs, .count = count}, &x, 1, shape,
                  -1, 0);
}

/* Every penalty has a number for each logit, once the logits are known. */
static void check_penalties(hn_graph *graph) {
    if (graph->logits < 0) return;
    const int32_t heads = width_of(graph->nodes[graph->logits].shape);
    for (size_t i = 0; i < graph->n_penalties; i++) {
        const hn_shape s = graph->nodes[graph->penalties[i].value].shape;
        if (s.param || width_of(s) != heads)
            hn_graph_fail(graph, HN_BAD_CONFIG, "a penalty has %d numbers, %d logits need as many",
                          width_of(s), heads);
    }
}

void hn_penalty(hn_graph *graph, hn_value value, double weight) {
    if (!ready(graph, "penalty", &value, 1)) return;
    if (!grow(graph, &graph->penalties, &graph->penalty_capacity, graph->n_penalties,
              sizeof *graph->penalties))
        return;
    graph->penalties[graph->n_penalties++] = (hn_penalized){value.id, weight};
    check_penalties(graph);
}

void hn_output(hn_graph *graph, hn_value logits, bool all_heads) {
    if (!ready(graph, "output", &logits, 1)) return;
    const hn_shape s = node(graph, logits)->shape;
    const int32_t heads = graph->layout.tasks * (all_heads ? graph->layout.scenarios : 1);
    if (s.param || width_of(s) != heads) {
        hn_graph_fail(graph, HN_BAD_CONFIG, "the model has %d logits, %d are needed", width_of(s),
                      heads);
        return;
    }
    graph->logits = logits.id;
    graph->all_heads = all_heads;
    check_penalties(graph);
}

void hn_name(hn_graph *graph, hn_value value, const char *name) {
    if (!ready(graph, "name", &value, 1)) return;
    if (!grow(graph, &graph->names, &graph->name_capacity, graph->n_names, sizeof *graph->names))
        return;
    char *copy = hn_arena_strdup(&graph->arena, name);
    if (!copy) {
        hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
        return;
    }
    graph->names[graph->n_names++] = (hn_named){copy, value.id};
}

const char *hn_graph_named(const hn_graph *graph, int32_t i) {
    return i >= 0 && (size_t)i < graph->n_names ? graph->names[i].name : NULL;
}
