/* What runs a graph.
 *   hn_plan     immutable, shared by threads: steps, memory offsets, probed products.
 *   hn_params   the numbers: the param block and the embedding tables.
 *   hn_grads    one shard's gradient of the param block.
 *   hn_session  one worker's memory for one tile of up to HN_TILE_ROWS rows.
 * Only *_create may allocate and fail; running allocates nothing of its own. */
#ifndef HN_GRAPH_PLAN_H
#define HN_GRAPH_PLAN_H

#include "graph/graph.h"

typedef struct hn_plan hn_plan;
typedef enum hn_mode { HN_MODE_TRAIN, HN_MODE_INFER } hn_mode;

/* The graph must outlive the plan. Reports the graph's sticky error, if any. */
hn_status hn_plan_create(hn_plan **out, const hn_graph *graph, hn_mode mode, hn_error *err);
void hn_plan_free(hn_plan *plan);
const hn_graph *hn_plan_graph(const hn_plan *plan);
const hn_layout *hn_plan_layout(const hn_plan *plan);
int32_t hn_plan_heads(const hn_plan *plan); /* logits of a row: T, or M·T with all_heads */
bool hn_plan_all_heads(const hn_plan *plan);
bool hn_plan_per_scenario(const hn_plan *plan); /* embedding tables by scenario */
int64_t hn_plan_flops(const hn_plan *plan); /* of the products, forward, one row, own heads only */
int64_t
hn_plan_shared_flops(const hn_plan *plan); /* of these, those that a request computes once */

/* ---- Parameters --------------------------------------------------------------------- */

typedef struct hn_param_info {
    const char *name;
    size_t offset; /* in the param block */
    int32_t batch, rows, groups, cols;
} hn_param_info;
int32_t hn_plan_params(const hn_plan *plan);
const hn_param_info *hn_plan_param(const hn_plan *plan, int32_t i);
/* The same without a plan (no offset), so that sizes can be compared before anything is
 * made: parameter `i` in the order of recording; false when there are not that many. */
bool hn_graph_param(hn_param_info *out, const hn_graph *graph, int32_t i);

typedef struct hn_table { /* an embedding table */
    const char *name;     /* of the layout */
    uint64_t rows;        /* times M with per_scenario */
    int32_t width;
    hn_real *numbers; /* [rows][width] */
} hn_table;

typedef struct hn_params {
    hn_real *block; /* [block_count]: leaves, each 64-byte aligned, then computed values */
    size_t leaf_count, block_count;
    hn_table *tables;
    int32_t n_tables;
} hn_params;
hn_status hn_params_create(hn_params *out, const hn_plan *plan, hn_error *err); /* zeroed */
/* Initial values: a pure function of (seed, name, index). Table rows from `first[t]` on only
 * (first NULL: all), so that a warm start fills new rows. embedding_scale: standard
 * deviation of table entries. */
void hn_params_init(hn_params *params, const hn_plan *plan, uint64_t seed, double embedding_scale,
                    const uint64_t *first);
void hn_params_free(hn_params *params);
/* Computes the param-stage values; after each change of parameters, before any session.
 * false: oneDNN out of memory. */
bool hn_params_stage(hn_params *params, const hn_plan *plan);
/* A param-stage value kept by hn_name, or NULL: its numbers in the block. */
const hn_real *hn_plan_named_param(const hn_plan *plan, const hn_params *params, const char *name,
                                   hn_shape *shape);

/* ---- Gradients ------------------------------------------------------------------------ */

typedef struct hn_grads {
    hn_real *block;          /* [block_count], valid only where written */
    uint8_t *written;        /* [chunks] a chunk is one matrix of a parameter's batch */
    const uint8_t *wanted;   /* [values] hn_plan_wanted's: backward goes there only; NULL: all */
    const uint8_t *matrices; /* [chunks] of wanted parameters that are used by matrix, those whose
                                gradient is computed; NULL: all */
} hn_grads;
typedef struct hn_chunk {
    size_t offset, count;
} hn_chunk;
int32_t hn_plan_chunks(const hn_plan *plan);
const hn_chunk *hn_plan_chunk(const hn_plan *plan, int32_t i);
hn_status hn_grads_create(hn_grads *out, const hn_plan *plan, hn_error *err);
void hn_grads_free(hn_grads *grads);
void hn_grads_reset(hn_grads *grads, const hn_plan *plan); /* forgets: nothing written */
/* Adds numbers [from, to) of chunk `i` of shards 0…n-1 in shard order into shard 0 (which
 * becomes written where any was). Disjoint ranges may run in parallel; mark with
 * hn_grads_mark when all ranges are done. */
void hn_grads_merge(hn_grads *shards, int32_t n, const hn_plan *plan, int32_t i, size_t from,
                    size_t to);
void hn_grads_mark(hn_grads *shards, int32_t n, const hn_plan *plan);
/* Backward through the param-stage steps: from computed values into leaves. */
bool hn_grads_stage(hn_grads *grads, hn_params *params, const hn_plan *plan);

/* The values through which the loss depends on parameter `param`, itself included: with these
 * as a hn_grads' `wanted`, hn_session_backward and hn_grads_stage give the gradient of that
 * parameter and do no work for others. hn_free it. */
hn_status hn_plan_wanted(uint8_t **out, const hn_plan *plan, int32_t param, hn_error *err);
/* The chunks that hn_session_backward may write then: `chunks` has room for all; their number. */
int32_t hn_plan_wanted_chunks(int32_t *chunks, const hn_plan *plan, const uint8_t *wanted);

/* ---- Sessions ---------------------------------------------------------------------------- */

typedef struct hn_session hn_session;
hn_status hn_session_create(hn_session **out, const hn_plan *plan, hn_error *err);
void hn_session_free(hn_session *session);
size_t hn_session_bytes(const hn_plan *plan);

/* Rows first … first+n-1 (n ≤ HN_TILE_ROWS) of `rows`, sorted by scenario. `seed` and
 * `step` feed dropout (training plans). Logits: [n][heads], valid until the next call;
 * NULL: oneDNN out of memory (sticky until the session is freed). */
const hn_real *hn_session_forward(hn_session *session, const hn_params *params, const hn_rows *rows,
                                  int32_t first, int32_t n, uint64_t seed, uint64_t step);
/* The same for rows of one request (inference plans only): they agree in scenario and in all
 * inputs of the sides user and context. What the shared columns of x add to each product is
 * computed for one row and given to all; the bits are those of hn_session_forward. again: the
 * rows are more of the request of the call before, so that even that row is known. */
const hn_real *hn_session_forward_request(hn_session *session, const hn_params *params,
                                          const hn_rows *rows, int32_t first, int32_t n,
                                          bool again);
/* How many rows each tile of a request of `rows` rows should have (the last one: what is
 * left), so that the least is computed beyond them. */
int32_t hn_plan_tile(const hn_plan *plan, int32_t rows);
/* After forward of the same rows, seed and step. scale [M·T] multiplies a row's weight in each cell
 * (λ over the batch's sum; one for each head with all_heads). Adds Σ w·BCE to loss [M·T] (by head
 * with all_heads), writes dx [n][width] at the caller's rows, adds to grads. */
bool hn_session_backward(hn_session *session, const hn_params *params, const hn_rows *rows,
                         int32_t first, int32_t n, const double *scale, double *loss,
                         hn_grads *grads, hn_real *dx, uint64_t seed, uint64_t step);
/* The name of the first value with a non-finite number after forward, or NULL. */
const char *hn_session_first_bad(const hn_session *session, int32_t n);
/* A row-stage value kept by hn_name after forward: its numbers ([n] rows, `*ld` apart), or NULL. */
const hn_real *hn_session_named(const hn_session *session, const char *name, hn_shape *shape,
                                int64_t *ld);

/* ---- Embedding gradients ------------------------------------------------------------------ */

/* The table row that id `id` of input `input` means for a row of scenario `scenario`. */
uint64_t hn_plan_table_row(const hn_plan *plan, const hn_input *input, uint32_t id,
                           int32_t scenario);

#endif
