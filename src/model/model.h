/* Models: one short file each, a function that records the model from x to logits. The
 * table below is the only list of models. */
#ifndef HN_MODEL_MODEL_H
#define HN_MODEL_MODEL_H

#include "base/config.h"
#include "base/pack.h"
#include "graph/plan.h"

typedef hn_value (*hn_model_build)(hn_graph *graph, const hn_config_model *config);

typedef struct hn_model_row {
    hn_model_kind kind;
    const char *title;    /* "HiNet" */
    const char *source;   /* paper or reference, one line */
    hn_model_build build; /* calls hn_input_x itself; returns the logits */
} hn_model_row;
const hn_model_row *hn_model_find(hn_model_kind kind);

/* Records the configured model for a layout. */
hn_status hn_model_record(hn_graph **out, const hn_layout *layout, const hn_config_model *config,
                          hn_error *err);

/* The last layer that all tasks share: of the parameter `name` the experts first … first +
 * count - 1 (matrices of its batch, or its groups where it has one matrix; first < 0: from the
 * end; count 0: all). false: the model has none. */
typedef struct hn_shared_layer {
    char name[48];
    int32_t first, count;
} hn_shared_layer;
bool hn_model_shared_layer(hn_shared_layer *out, const hn_config_model *config);

/* ---- Parameters in a pack: tensor sections "param/NAME", "table/NAME" ---------------------- */

void hn_params_save(const hn_params *params, const hn_plan *plan, hn_packer *packer);
/* The pack has every tensor of the model with the exact shape, and no other parameter: what
 * can be known before a plan is made and memory taken. */
hn_status hn_params_match(const hn_graph *graph, const hn_pack *pack, hn_error *err);
/* Every tensor must be there with the exact shape, and finite. Bundles of the other
 * precision are converted. */
hn_status hn_params_load(hn_params *params, const hn_plan *plan, hn_pack *pack, hn_error *err);

/* ---- The scorer: rows in any order to probabilities, the one way all doors score ------------- */

/* Immutable once created and shared by threads; the unknown-scenario rule lives here. */
typedef struct hn_scorer hn_scorer;
typedef struct hn_scratch hn_scratch; /* one worker's */
/* Takes params by reference (must outlive it; stage values must be computed).
 * scenario_rows [M]: training rows of each scenario. */
hn_status hn_scorer_create(hn_scorer **out, const hn_plan *plan, const hn_params *params,
                           const uint64_t *scenario_rows, hn_error *err);
void hn_scorer_free(hn_scorer *scorer);
hn_status hn_scratch_create(hn_scratch **out, const hn_scorer *scorer, hn_error *err);
void hn_scratch_free(hn_scratch *scratch);
/* logits [rows][T] of the rows' own scenarios (HN_SCENARIO_UNKNOWN: the weighted mean of
 * the logits as a member of each known one). Any number of rows, any order. */
hn_status hn_score(hn_real *logits, const hn_scorer *scorer, hn_scratch *scratch,
                   const hn_rows *rows, hn_error *err);
/* The same, to the bit, for the rows of one request: all are of one scenario (which may be
 * unknown) and have the same ids, lists and values in the inputs of the sides user and
 * context. What those add to the network is computed once. Rows of several scenarios go the
 * way of hn_score; other inputs are not compared. */
hn_status hn_score_request(hn_real *logits, const hn_scorer *scorer, hn_scratch *scratch,
                           const hn_rows *rows, hn_error *err);

#endif
