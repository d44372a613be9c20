/* Recording a model. Builder functions append steps to a flat array; nothing is computed.
 * A model file is a list of these calls in the order of the paper's equations. Build
 * errors are sticky: after the first one every call returns an invalid value, and
 * hn_graph_status (or the plan) tells what it was.
 *
 * A value is numbers of one of two stages:
 *   row stage    for each row of a tile: `groups` blocks of `cols` numbers, memory
 *                [row][groups × cols];
 *   param stage  parameters and whatever is computed from them alone, once a step:
 *                `batch` matrices of `rows` × (`groups` × `cols`).
 *
 * What to read next: plan.h (what runs a graph), ops.h (what an op is). */
#ifndef HN_GRAPH_GRAPH_H
#define HN_GRAPH_GRAPH_H

#include "base/rows.h"
#include "kernel/kernel.h"

typedef struct hn_graph hn_graph;
typedef struct hn_value {
    int32_t id;
} hn_value; /* id < 0: none, or a build error */

#define HN_NONE ((hn_value){-1})

typedef struct hn_shape {
    bool param;          /* stage */
    int32_t batch, rows; /* param stage only (1 and 0 in the row stage) */
    int32_t groups, cols;
} hn_shape;

/* The layout is copied. */
hn_status hn_graph_create(hn_graph **out, const hn_layout *layout, hn_error *err);
void hn_graph_free(hn_graph *graph);
hn_status hn_graph_status(const hn_graph *graph, hn_error *err);
/* What a builder says that cannot go on: becomes the sticky error unless there is one. */
hn_value hn_graph_fail(hn_graph *graph, hn_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
hn_shape hn_value_shape(const hn_graph *graph, hn_value value);
int32_t hn_graph_scenarios(const hn_graph *graph);
int32_t hn_graph_tasks(const hn_graph *graph);
const hn_layout *hn_graph_layout(const hn_graph *graph);
bool hn_graph_per_scenario(const hn_graph *graph); /* embedding tables by scenario */

/* ---- Leaves ---------------------------------------------------------------------- */

/* The model input x of the layout: [1 × width]. per_scenario: every scenario has embedding
 * tables of its own (row i·rows + id). Called once for a graph. */
hn_value hn_input_x(hn_graph *graph, bool per_scenario);

/* x as blocks read it, for those that come after the first: hn_input_x's value or what was
 * set in its place (x after dropout). HN_NONE before hn_input_x. */
hn_value hn_graph_x(const hn_graph *graph);
void hn_graph_set_x(hn_graph *graph, hn_value x);

typedef enum hn_init {
    HN_INIT_ZERO,
    HN_INIT_ONE,
    HN_INIT_XAVIER, /* uniform ±√(6 / (rows + cols)): each group of columns is a matrix of its own
                     */
    HN_INIT_NORMAL, /* standard deviation 0.05 */
    HN_INIT_VALUE   /* hn_param_value's */
} hn_init;
/* A parameter; names are unique, "a.b" style, and are what bundles and warm starts go by. */
hn_value hn_param(hn_graph *graph, const char *name, int32_t batch, int32_t rows, int32_t groups,
                  int32_t cols, hn_init init);
/* The same with each number starting as values[row-major index]. */
hn_value hn_param_value(hn_graph *graph, const char *name, int32_t batch, int32_t rows,
                        int32_t groups, int32_t cols, const double *values);
/* The same numbers, never trained and not in the bundle. */
hn_value hn_constant(hn_graph *graph, int32_t rows, int32_t groups, int32_t cols,
                     const double *values);

/* ---- Products ---------------------------------------------------------------------- */

/* act(x·w + b), by the shape of w [batch][rows][groups × cols]:
 *   batch 1            all of x is one vector of length rows = x.groups × x.cols;
 *                      result [w.groups × w.cols]: a wide product for a bank of experts
 *   batch = x.groups   group g of x times matrix g, rows = x.cols;
 *                      result [x.groups × (w.groups·w.cols)]
 * b: param of as many numbers as the result has, or HN_NONE. Where x keeps user and
 * context columns before item columns the product is *defined* as
 * (b + shared part) + item part. Row or param stage by x. */
hn_value hn_linear(hn_graph *graph, hn_value x, hn_value w, hn_value b, hn_act act);
/* The same with weights of the row's own scenario: w.batch = M (times x.groups for grouped
 * ones; matrices of a scenario are contiguous), b one more row for each scenario: batch 1,
 * rows M. Rows are sorted by scenario, so that each run is one product. */
hn_value hn_linear_scenario(hn_graph *graph, hn_value x, hn_value w, hn_value b, hn_act act);

/* ---- Mixing ------------------------------------------------------------------------- */

/* Softmax over the columns of each group. mask: as many bytes as the (param-stage) value
 * has numbers, 0 = left out before the softmax; NULL: none. All left out: all 0. */
hn_value hn_softmax_of(hn_graph *graph, hn_value x, const uint8_t *mask);
/* out group o = Σ_k gate[o][k] · experts group index[o × gate.cols + k]; index NULL: group
 * o × gate.cols + k. */
hn_value hn_mix(hn_graph *graph, hn_value gate, hn_value experts, const int32_t *index);
/* The product of two vectors for each group: Σ_c a[g][c]·b[g][c]; [groups × 1]. */
hn_value hn_dot_of(hn_graph *graph, hn_value a, hn_value b);
/* Row of a param-stage table (batch 1, rows M) that belongs to the row's scenario; a table of
 * one row is the same for all. */
hn_value hn_pick(hn_graph *graph, hn_value table);
/* Groups first + scenario·count … + count - 1 of x. */
hn_value hn_select(hn_graph *graph, hn_value x, int32_t first, int32_t count);

/* ---- Shape ---------------------------------------------------------------------------- */

hn_value hn_concat(hn_graph *graph, const hn_value *values, int32_t n); /* one group */
/* Views: no copy. */
hn_value hn_groups(hn_graph *graph, hn_value x, int32_t first,
                   int32_t count); /* some groups of x */
hn_value hn_reshape(hn_graph *graph, hn_value x, int32_t groups, int32_t cols);

/* ---- Elementwise ------------------------------------------------------------------------ */

/* b is of a's shape, or one row for all (param, rows 1 in a row-stage a; for a
 * batched a fewer matrices, which are taken round and round), or one number for each group
 * (b.groups = a.groups, b.cols = 1, same stage). */
hn_value hn_sum_of(hn_graph *graph, hn_value a, hn_value b);
hn_value hn_product_of(hn_graph *graph, hn_value a, hn_value b);
hn_value hn_activate(hn_graph *graph, hn_value x, hn_act act);
hn_value hn_affine(hn_graph *graph, hn_value x, double scale, double shift); /* scale·x + shift */
/* (x - mean)/√(var + 1e-5) over the columns of each group, times gain plus bias (params of
 * one row, or HN_NONE). */
hn_value hn_norm(hn_graph *graph, hn_value x, hn_value gain, hn_value bias);
/* Training: 0 with probability p, else x/(1-p); a pure function of (seed, step, row
 * ordinal, column). Inference: x itself. */
hn_value hn_dropout(hn_graph *graph, hn_value x, double p);
hn_value hn_stop(hn_graph *graph, hn_value x); /* no gradient goes through */

/* Logits of things that happen only after others: column c is the logit of σ(y)·σ(x_c) with y
 * the result's column before[c]; before[c] < 0: x_c. No circles. x's shape, row stage. */
hn_value hn_joint(hn_graph *graph, hn_value x, const int32_t *before);

/* ---- Ends ----------------------------------------------------------------------------------- */

/* The logits: [T × 1] of the row's own scenario, or [M·T × 1] of all heads (all_heads: the
 * script's loss, every head on every row, absent labels and other scenarios read as 0). */
void hn_output(hn_graph *graph, hn_value logits, bool all_heads);
/* Adds weight · value to the loss of each head, in training only: row stage, one number ≥ 0 for
 * each logit. It counts where the head's label does, with the row's weight and the cell's scale,
 * so that it is reduced like the BCE beside it. */
void hn_penalty(hn_graph *graph, hn_value value, double weight);
/* Keeps a param- or row-stage value readable by this name (the SAN table, gates): see
 * hn_plan_named. */
void hn_name(hn_graph *graph, hn_value value, const char *name);
/* The i-th of these names, in the order of recording; NULL where there are not that many. */
const char *hn_graph_named(const hn_graph *graph, int32_t i);

#endif
