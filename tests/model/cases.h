/* Every model with every option, ablation and switch, as rows of one table that the
 * tests of models go through. To add a model or an option: a row in cases.c. */
#ifndef HN_TESTS_MODEL_CASES_H
#define HN_TESTS_MODEL_CASES_H

#include "graph/fixture.h"
#include "model/model.h"

typedef struct model_case {
    const char *name;
    void (*set)(hn_config_model *config); /* changes the small HiNet of model_case_config */
} model_case;
extern const model_case model_cases[];
extern const size_t n_model_cases;

/* Small layers of unlike widths, so that a mixed-up dimension cannot pass. */
hn_config_model model_case_config(const model_case *row);

/* A recorded model with its plan and numbers; model_free accepts a zeroed one. */
typedef struct model {
    hn_graph *graph;
    hn_plan *plan;
    hn_params params;
} model;
hn_status model_make(model *out, const hn_layout *layout, const hn_config_model *config,
                     hn_mode mode, uint64_t seed, hn_error *err);
/* The same of a recorded m->graph, the rest zeroed. On failure m is freed whole. */
hn_status model_plan(model *m, hn_mode mode, uint64_t seed, hn_error *err);
void model_free(model *m);

#endif
