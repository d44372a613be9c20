/* What a worker does with a request: JSON or OIP tensors in, encoded rows, scores, fusion,
 * and the answer out. rank.c is /v1/rank, oip.c is /v2; both go through one engine for each (model
 * version, worker), so that every door gives the same bits. No sockets, no threads. */
#ifndef HN_SERVE_RANK_H
#define HN_SERVE_RANK_H

#include "online/exposure.h"
#include "serve/exchange.h"
#include "serve/shelf.h"
#include "serve/store.h"

typedef struct hn_ranker
    hn_ranker; /* shared by the workers: config, fusion programs, experiments */

typedef struct hn_ranker_parts {
    const hn_serve_config *config;
    hn_shelf *models;           /* set by hn_ranker_attach: the hooks need the ranker first */
    hn_store *store;            /* NULL: none */
    hn_exposure_log *exposures; /* NULL: none */
    int32_t workers;
} hn_ranker_parts;

hn_status hn_ranker_create(hn_ranker **out, const hn_ranker_parts *parts, hn_error *err);
void hn_ranker_free(hn_ranker *ranker);
/* The hooks that make its engines; give them to hn_shelf_open, then attach the models. */
hn_shelf_hooks hn_ranker_hooks(hn_ranker *ranker);
void hn_ranker_attach(hn_ranker *ranker, hn_shelf *models);

/* What a handler measured, for metrics; scenario -1: unknown. */
typedef struct hn_rank_trace {
    int32_t scenario, items;
    const char *scenario_name; /* "" when unknown */
    int64_t parse_ns, features_ns, model_ns, answer_ns;
    const char *fallback; /* NULL, "previous", "prior", "order" */
    uint32_t missing_features, unknown_scenario;
} hn_rank_trace;

/* POST /v1/rank, and anything under /v2. Always fills in an answer; never fails. */
void hn_rank_handle(hn_ranker *ranker, hn_exchange *exchange, hn_rank_trace *trace);
void hn_oip_handle(hn_ranker *ranker, hn_exchange *exchange, hn_rank_trace *trace);

#endif
