/* One engine for each (model version, worker): the memory in which a request's rows are
 * made and scored. Every door of the server goes through it. */
#ifndef HN_SERVE_ENGINE_H
#define HN_SERVE_ENGINE_H

#include "data/request.h"
#include "serve/drift.h"
#include "serve/rank.h"

typedef struct hn_engine {
    const hn_bundle *bundle;
    hn_request *request;
    hn_encoded encoded;
    hn_scratch *scratch;
    hn_real *logits; /* [rows][tasks] */
    double *p;       /* likewise */
    size_t logits_capacity, p_capacity;
    int32_t tasks;
    hn_drift *drift; /* NULL: the bundle has no profile */
} hn_engine;

hn_status hn_engine_create(hn_engine **out, const hn_bundle *bundle, hn_error *err);
void hn_engine_free(hn_engine *engine);
/* Encodes and scores the request's rows: engine->p. */
hn_status hn_engine_score(hn_engine *engine, hn_error *err);
/* Sets a field from a JSON value; `code` of the fault ("unknown_field" …) and a sentence
 * without the path in `err`. */
hn_status hn_engine_set(hn_engine *engine, int32_t row, int32_t field, const json_t *value, hn_error *err);

/* The one way from a logit to a probability, for every door: the correction for sampled
 * negatives comes last. */
double hn_served_probability(const hn_bundle *bundle, uint16_t scenario, int32_t task, hn_real logit);

#endif
