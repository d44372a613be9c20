/* Private to graph*.c: how a step is appended. */
#ifndef HN_GRAPH_RECORD_H
#define HN_GRAPH_RECORD_H

#include "graph/ops.h"

static inline int32_t hn_shape_width(hn_shape shape) { return shape.groups * shape.cols; }
static inline size_t hn_shape_count(hn_shape shape) {
    return (size_t)shape.batch * (size_t)shape.rows * (size_t)hn_shape_width(shape);
}
static inline hn_node *hn_graph_node(hn_graph *graph, hn_value value) {
    return &graph->nodes[value.id];
}

/* A copy in the graph's arena; NULL: the sticky error says so. */
void *hn_graph_keep(hn_graph *graph, const void *bytes, size_t count, size_t size);
/* All of the values are there; else the sticky error stays or becomes one. */
bool hn_values_ready(hn_graph *graph, const char *op, const hn_value *values, int32_t n);
/* Appends `step` with its inputs and result; view_of ≥ 0: the result is a view of that
 * value's storage from `column` on. */
hn_value hn_graph_append(hn_graph *graph, hn_step step, const hn_value *in, int32_t n_in,
                         hn_shape shape, int32_t view_of, int32_t column);

#endif
