/* Recording: a graph's life, how a step is appended, leaves and ends. The builders of ops are
 * in graph_ops.c, what the ops do is in op_*.c, what memory they get in plan.c. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/record.h"

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

static bool grow(hn_graph *graph, void *array, size_t *capacity, size_t n, size_t size) {
    hn_error err;
    if (hn_grow(array, capacity, n + 1, size, &err) == HN_OK) return true;
    hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
    return false;
}

void *hn_graph_keep(hn_graph *graph, const void *bytes, size_t count, size_t size) {
    void *copy = hn_arena_alloc(&graph->arena, count ? count : 1, size);
    if (!copy)
        hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
    else if (count)
        memcpy(copy, bytes, count * size);
    return copy;
}

/* Appends `step` with its inputs and result; view_of ≥ 0: the result is a view of that
 * value's storage from `column` on. */
hn_value hn_graph_append(hn_graph *graph, hn_step step, const hn_value *in, int32_t n_in,
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
                         .width = hn_shape_width(shape),
                         .count = shape.param ? hn_shape_count(shape) : 0};
    }
    step.out = (int32_t)graph->n_nodes;
    step.in = inputs;
    step.n_in = n_in;
    graph->nodes[graph->n_nodes++] = node;
    graph->steps[graph->n_steps++] = step;
    return (hn_value){step.out};
}

/* All of the values are there; else the sticky error stays or becomes one. */
bool hn_values_ready(hn_graph *graph, const char *op, const hn_value *values, int32_t n) {
    for (int32_t i = 0; i < n; i++)
        if (values[i].id < 0 || (size_t)values[i].id >= graph->n_nodes) {
            hn_graph_fail(graph, HN_BAD_CONFIG, "%s: input %d is not a value", op, i);
            return false;
        }
    return graph->error.status == HN_OK;
}

/* ---- Leaves --------------------------------------------------------------------------- */

hn_value hn_input_x(hn_graph *graph, bool per_scenario) {
    if (graph->has_x)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "the model input is recorded twice");
    if (graph->layout.width < 1)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "the model has no input feature");
    graph->has_x = true;
    graph->per_scenario = per_scenario;
    hn_value x =
        hn_graph_append(graph, (hn_step){.op = HN_OP_EMBED}, NULL, 0,
                        (hn_shape){.batch = 1, .groups = 1, .cols = graph->layout.width}, -1, 0);
    if (x.id < 0) return x;
    const int32_t shared = graph->layout.shared_width;
    hn_graph_node(graph, x)->split = shared < graph->layout.width ? shared : 0;
    hn_graph_node(graph, x)->uniform = true;
    hn_graph_node(graph, x)->needs_grad = graph->layout.n_tables > 0;
    graph->x = x.id;
    return x;
}

hn_value hn_graph_x(const hn_graph *graph) { return (hn_value){graph->x}; }
void hn_graph_set_x(hn_graph *graph, hn_value x) { graph->x = x.id; }

static hn_value param(hn_graph *graph, hn_step step, hn_shape shape) {
    if (shape.batch < 1 || shape.rows < 1)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "a parameter of no rows");
    hn_value value = hn_graph_append(graph, step, NULL, 0, shape, -1, 0);
    if (value.id >= 0) hn_graph_node(graph, value)->needs_grad = step.op == HN_OP_PARAM;
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
    const double *numbers = hn_graph_keep(graph, values, hn_shape_count(shape), sizeof *values);
    return named_param(graph, name, (hn_step){.init = HN_INIT_VALUE, .numbers = numbers}, shape);
}

hn_value hn_constant(hn_graph *graph, int32_t rows, int32_t groups, int32_t cols,
                     const double *values) {
    const hn_shape shape = {true, 1, rows, groups, cols};
    const double *numbers = hn_graph_keep(graph, values, hn_shape_count(shape), sizeof *values);
    return param(graph, (hn_step){.op = HN_OP_CONSTANT, .numbers = numbers}, shape);
}

/* ---- Ends ---------------------------------------------------------------------------------- */

/* Every penalty has a number for each logit, once the logits are known. */
static void check_penalties(hn_graph *graph) {
    if (graph->logits < 0) return;
    const int32_t heads = hn_shape_width(graph->nodes[graph->logits].shape);
    for (size_t i = 0; i < graph->n_penalties; i++) {
        const hn_shape s = graph->nodes[graph->penalties[i].value].shape;
        if (s.param || hn_shape_width(s) != heads)
            hn_graph_fail(graph, HN_BAD_CONFIG, "a penalty has %d numbers, %d logits need as many",
                          hn_shape_width(s), heads);
    }
}

void hn_penalty(hn_graph *graph, hn_value value, double weight) {
    if (!hn_values_ready(graph, "penalty", &value, 1)) return;
    if (!grow(graph, &graph->penalties, &graph->penalty_capacity, graph->n_penalties,
              sizeof *graph->penalties))
        return;
    graph->penalties[graph->n_penalties++] = (hn_penalized){value.id, weight};
    check_penalties(graph);
}

void hn_output(hn_graph *graph, hn_value logits, bool all_heads) {
    if (!hn_values_ready(graph, "output", &logits, 1)) return;
    const hn_shape s = hn_graph_node(graph, logits)->shape;
    const int32_t heads = graph->layout.tasks * (all_heads ? graph->layout.scenarios : 1);
    if (s.param || hn_shape_width(s) != heads) {
        hn_graph_fail(graph, HN_BAD_CONFIG, "the model has %d logits, %d are needed",
                      hn_shape_width(s), heads);
        return;
    }
    graph->logits = logits.id;
    graph->all_heads = all_heads;
    check_penalties(graph);
}

void hn_name(hn_graph *graph, hn_value value, const char *name) {
    if (!hn_values_ready(graph, "name", &value, 1)) return;
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
