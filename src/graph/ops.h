/* What an op is, and what graph, plan, session and ops share. An op's shape, forward and
 * backward stand in one place (op_*.c); the table of ops is in ops.c.
 *
 * Memory. A *storage* holds one value, or several views of it. Row-stage storages live in
 * a session: HN_TILE_ROWS + HN_TILE_SLACK rows of `width` numbers (the slack takes what
 * padded products spill). Param-stage storages live in the param block. Gradients have the
 * same shape. */
#ifndef HN_GRAPH_OPS_H
#define HN_GRAPH_OPS_H

#include "base/memory.h"
#include "graph/plan.h"

/* X(symbol, name) */
#define HN_OP_MAP(X)      \
    X(PARAM, param)       \
    X(CONSTANT, constant) \
    X(EMBED, embed)       \
    X(LINEAR, linear)     \
    X(SOFTMAX, softmax)   \
    X(MIX, mix)           \
    X(DOT, dot)           \
    X(JOINT, joint)       \
    X(PICK, pick)         \
    X(SELECT, select)     \
    X(CONCAT, concat)     \
    X(VIEW, view)         \
    X(SUM, sum)           \
    X(PRODUCT, product)   \
    X(ACTIVATE, activate) \
    X(AFFINE, affine)     \
    X(NORM, norm)         \
    X(DROPOUT, dropout)   \
    X(STOP, stop)

typedef enum hn_op_kind {
#define X(symbol, name) HN_OP_##symbol,
    HN_OP_MAP(X)
#undef X
        HN_OPS
} hn_op_kind;

/* How b of sum and product is spread over a; kept in the step's count. */
typedef enum hn_spread {
    HN_SPREAD_SAME,
    HN_SPREAD_ROW,
    HN_SPREAD_GROUP,
    HN_SPREAD_BATCH
} hn_spread;

typedef struct hn_node { /* a value */
    hn_shape shape;
    int32_t step; /* that makes it */
    int32_t storage;
    int32_t column; /* first column in the storage's rows */
    int32_t split;  /* columns of the shared (user and context) part of x; 0: not kept apart */
    bool uniform;   /* the rows of one request agree in those columns */
    bool needs_grad;
} hn_node;

typedef struct hn_storage {
    bool param, leaf, has_views;
    int64_t width; /* numbers of a row */
    size_t count;  /* param stage: all its numbers */
} hn_storage;

typedef struct hn_step {
    hn_op_kind op;
    int32_t out;       /* value */
    const int32_t *in; /* values; -1: none */
    int32_t n_in;
    char *name; /* of a parameter; else NULL */
    /* what some ops need */
    hn_act act;
    hn_init init;
    const double *numbers;
    const int32_t *index;
    const uint8_t *mask;
    double scale, shift; /* affine; dropout's p is scale */
    int32_t first, count;
    bool by_scenario;
} hn_step;

typedef struct hn_named {
    char *name;
    int32_t value;
} hn_named;

typedef struct hn_penalized {
    int32_t value;
    double weight;
} hn_penalized;

struct hn_graph {
    hn_arena arena;
    hn_layout layout;
    hn_node *nodes;
    hn_storage *storages;
    hn_step *steps;
    hn_named *names;
    hn_penalized *penalties;
    size_t n_nodes, n_storages, n_steps, n_names, n_penalties;
    size_t node_capacity, storage_capacity, step_capacity, name_capacity, penalty_capacity;
    int32_t logits, x;
    bool all_heads, has_x, per_scenario;
    hn_error error; /* sticky */
};

typedef struct hn_run_rows {
    int32_t scenario, first, n;
} hn_run_rows; /* a run of a tile */

#define HN_NOT_SHARED SIZE_MAX

struct hn_plan {
    const hn_graph *graph;
    hn_mode mode;
    int32_t *row_steps, *param_steps; /* indices of steps that run, in order */
    int32_t n_row_steps, n_param_steps;
    int32_t *storage, *column;    /* [values]: the graph's, but for values that this mode aliases */
    size_t *offset, *grad_offset; /* [storages], in numbers */
    size_t session_count, session_grad_count, leaf_count, block_count;
    hn_product *products; /* [2 × steps]: linear's shared and item part */
    size_t
        *shared; /* [steps] a linear's shared part in a session's `shared`; HN_NOT_SHARED: none */
    size_t shared_count;
    double cost[HN_TILE_ROWS + 1]; /* of a request's tile by its rows: numbers multiplied, about */
    hn_param_info *params;
    int32_t n_params;
    hn_chunk *chunks;
    int32_t n_chunks;
    int32_t *first_chunk; /* [storages]; -1: none */
    int64_t flops, shared_flops;
};

struct hn_session {
    const hn_plan *plan;
    hn_real *memory, *grads;
    uint8_t *written;  /* [storages] gradient holds something */
    hn_run_rows *runs; /* [HN_TILE_ROWS] */
    int32_t n_runs;
    hn_real *shared;    /* [shared_count] x_s·W_s of the request that runs */
    bool sharing, kept; /* the tile is of one request; `shared` is known already */
    bool failed;
};

/* Rows of a row-stage storage in a session. */
enum { HN_CAPACITY_ROWS = HN_TILE_ROWS + HN_TILE_SLACK };

/* Everything an op's forward or backward may touch. session is NULL in the param stage. */
typedef struct hn_context {
    const hn_plan *plan;
    hn_session *session;
    hn_params *params; /* row stage: read only */
    hn_grads *grads;
    const hn_rows *rows;
    int32_t first, n;
    uint64_t seed, step;
    bool failed;
} hn_context;

typedef void (*hn_op_run)(hn_context *context, int32_t step);
typedef struct hn_op {
    const char *name;
    hn_op_run forward, backward; /* NULL: nothing to do */
} hn_op;
extern const hn_op hn_ops[HN_OPS];

#define X(symbol, name)                                             \
    void hn_op_##name##_forward(hn_context *context, int32_t step); \
    void hn_op_##name##_backward(hn_context *context, int32_t step);
HN_OP_MAP(X)
#undef X

/* ---- Access ------------------------------------------------------------------------- */

/* A matrix of a value: rows × cols numbers, ld apart. */
typedef struct hn_view {
    hn_real *at;
    int64_t ld;
    int32_t rows;  /* batch × rows of the param stage, or the tile's */
    int32_t width; /* groups × cols */
} hn_view;
hn_view hn_at(const hn_context *context, int32_t value);
/* The gradient of an op's result; at = NULL when nothing flowed into it. */
hn_view hn_grad_out(const hn_context *context, int32_t value);
/* The gradient of an op's input to add into; at = NULL when it needs none. Where `fresh` is
 * given and comes back true the memory is undefined and must be set in full instead of
 * added to; without `fresh` it is zeroed first. `chunk`: which matrix of a param's batch
 * (its rows only), or -1 for the whole value. */
hn_view hn_grad_in(const hn_context *context, int32_t value, int32_t chunk, bool *fresh);

static inline const hn_node *hn_node_of(const hn_context *c, int32_t value) {
    return &c->plan->graph->nodes[value];
}
static inline const hn_step *hn_step_of(const hn_context *c, int32_t step) {
    return &c->plan->graph->steps[step];
}

/* Fills plan->cost (tiling.c). */
void hn_plan_weigh_tiles(hn_plan *plan);

/* The loss at the logits; part of backward (loss.c). */
void hn_loss_backward(hn_context *context, const double *scale, double *loss);

#endif
