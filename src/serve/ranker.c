/* The ranker's life, and what the shelf asks of it for a new version: engines, and whether the
 * config can be served with it. */
#include "serve/ranker.h"

#include <stdio.h>
#include <string.h>

#include "base/config_options.h"
#include "base/memory.h"
#include "bundle/golden.h"
#include "kernel/kernel.h"

/* ---- Life ---------------------------------------------------------------------------------- */

static void free_memory(hn_rank_memory *m) {
    hn_json_free(&m->json);
    hn_text_free(&m->line);
    hn_text_free(&m->scenario);
    hn_text_free(&m->request_id);
    hn_free(m->score);
    hn_free(m->order);
    hn_free(m->names);
    hn_free(m->stamps);
    hn_free(m->parts);
    hn_free(m->candidates);
}

void hn_ranker_free(hn_ranker *ranker) {
    if (!ranker) return;
    for (int32_t w = 0; ranker->memory && w < ranker->parts.workers; w++)
        free_memory(&ranker->memory[w]);
    hn_free(ranker->memory);
    hn_programs_free(&ranker->programs);
    hn_free(ranker);
}

hn_status hn_ranker_create(hn_ranker **out, const hn_ranker_parts *parts, hn_error *err) {
    *out = NULL;
    hn_ranker *const ranker = hn_alloc_zero(1, sizeof *ranker);
    if (!ranker) return hn_no_memory(err, "the ranker");
    ranker->parts = *parts;
    ranker->memory = hn_alloc_zero((size_t)parts->workers + 1, sizeof *ranker->memory);
    const hn_status status = ranker->memory
                                 ? hn_programs_compile(&ranker->programs, parts->config, err)
                                 : hn_no_memory(err, "the ranker");
    if (status != HN_OK)
        hn_ranker_free(ranker);
    else
        *out = ranker;
    return status;
}

void hn_ranker_attach(hn_ranker *ranker, hn_shelf *models) { ranker->parts.models = models; }

/* ---- Engines ------------------------------------------------------------------------------- */

static hn_status prepare(hn_engine *engine, const hn_ranker *ranker, hn_error *err) {
    const hn_ranker_parts *const parts = &ranker->parts;
    HN_TRY(hn_bindings_make(&engine->bindings, &ranker->programs, engine->bundle->config,
                            engine->request, err));
    if (!parts->store) return HN_OK;
    return hn_engine_attach_store(engine, parts->store, &parts->config->store.tables, err);
}

/* A tile of candidates of nobody, and the bundle's golden rows: what was recorded. */
static hn_status score_recorded(hn_engine *engine, hn_error *err) {
    hn_engine_begin(engine);
    HN_TRY(hn_engine_rows(engine, HN_TILE_ROWS, err));
    HN_TRY(hn_engine_score(engine, err));
    if (json_array_size(json_object_get(engine->bundle->golden, "rows")) == 0) return HN_OK;
    hn_engine_begin(engine);
    HN_TRY(hn_golden_fill(engine->request, engine->bundle->golden, err));
    return hn_engine_score(engine, err);
}

/* Rows go all the way, so that a first request finds memory and code warm. */
static hn_status warm_up(hn_engine *engine, hn_error *err) {
    struct hn_drift *const drift = engine->drift;
    engine->drift = NULL; /* nobody asked for these rows */
    const hn_status status = score_recorded(engine, err);
    engine->drift = drift;
    return status;
}

static hn_status make_engine(void *user, void **out, const hn_model_version *version,
                             int32_t worker, hn_error *err) {
    (void)worker;
    hn_engine *engine;
    *out = NULL;
    HN_TRY(hn_engine_create(&engine, version->bundle, err));
    hn_status status = prepare(engine, user, err);
    if (status == HN_OK) status = warm_up(engine, err);
    if (status != HN_OK)
        hn_engine_free(engine);
    else
        *out = engine;
    return status;
}

static void free_engine(void *user, void *engine) {
    (void)user;
    hn_engine_free(engine);
}

/* ---- Whether a version can be served ------------------------------------------------------- */

typedef struct acceptance {
    const hn_ranker *ranker;
    const hn_model_version *version;
    hn_bindings bindings;
} acceptance;

static hn_status unknown_scenario(const hn_model_version *version, const char *where,
                                  const char *name, hn_error *err) {
    const hn_strings *const names = &version->bundle->config->scenario.names;
    const char *const near =
        hn_did_you_mean(name, (const char *const *)names->items, (size_t)names->n);
    return hn_fail(
        err, HN_BAD_CONFIG,
        "%.300s: found the scenario \"%.80s\", which the model \"%.80s\" (version %.80s) "
        "does not have%s%.80s%s",
        where, name, version->model, version->version, near ? "; did you mean \"" : "",
        near ? near : "", near ? "\"?" : "");
}

static bool has_scenario(const hn_model_version *version, const char *name) {
    return !name || hn_strings_find(&version->bundle->config->scenario.names, name) >= 0;
}

static hn_status check_policy(const hn_model_version *version, const hn_serve_policy *policy,
                              hn_error *err) {
    for (int32_t k = 0; k < policy->n_fusion; k++)
        if (!has_scenario(version, policy->fusion[k].scenario))
            return unknown_scenario(version, policy->fusion[k].where, policy->fusion[k].scenario,
                                    err);
    return HN_OK;
}

static hn_status check_layer(const hn_model_version *version, const hn_serve_config *config,
                             const hn_serve_layer *layer, hn_error *err) {
    char where[500];
    snprintf(where, sizeof where, "%.300s: experiments.%.80s.scenarios", config->path, layer->name);
    for (int32_t i = 0; i < layer->scenarios.n; i++)
        if (!has_scenario(version, layer->scenarios.items[i]))
            return unknown_scenario(version, where, layer->scenarios.items[i], err);
    for (int32_t a = 0; a < layer->n_arms; a++)
        HN_TRY(check_policy(version, &layer->arms[a].policy, err));
    return HN_OK;
}

static hn_status check_store(const hn_model_version *version, const hn_serve_config *config,
                             hn_error *err) {
    const hn_config *const model = version->bundle->config;
    for (int32_t i = 0; i < config->store.tables.n; i++) {
        const char *const name = config->store.tables.items[i];
        bool found = false;
        for (int32_t t = 0; t < model->n_tables; t++)
            found |= strcmp(model->tables[t].name, name) == 0;
        if (!found)
            return hn_fail(err, HN_BAD_CONFIG,
                           "%.300s: store.tables: found \"%.80s\", which is no table of the model "
                           "\"%.80s\" (version %.80s)",
                           config->path, name, version->model, version->version);
    }
    return HN_OK;
}

/* What the config names must be there in the model that answers by default; others may know
 * less, as long as their own expressions have a meaning. */
static hn_status check_names(const acceptance *a, hn_error *err) {
    const hn_serve_config *const config = a->ranker->parts.config;
    hn_choice choice;
    hn_choose(&choice, config, NULL, NULL, 0);
    if (strcmp(choice.model, a->version->model) != 0) return HN_OK;
    HN_TRY(check_policy(a->version, &config->policy, err));
    for (int32_t l = 0; l < config->n_layers; l++)
        HN_TRY(check_layer(a->version, config, &config->layers[l], err));
    return config->store.url ? check_store(a->version, config, err) : HN_OK;
}

static hn_status check_fusion(void *user, const hn_serve_expression *fusion, hn_error *err) {
    const acceptance *const a = user;
    return hn_bindings_check(&a->bindings, hn_programs_find(&a->ranker->programs, fusion),
                             a->version->bundle->config, a->version->model, err);
}

static hn_status check_fusions(acceptance *a, hn_error *err) {
    const hn_config *const model = a->version->bundle->config;
    for (int32_t m = -1; m < model->scenario.names.n; m++)
        HN_TRY(hn_choice_each_fusion(a->ranker->parts.config, a->version->model,
                                     m < 0 ? NULL : model->scenario.names.items[m], check_fusion, a,
                                     err));
    return HN_OK;
}

static hn_status accept_version(void *user, const hn_model_version *version, hn_error *err) {
    const hn_bundle *const bundle = version->bundle;
    acceptance a = {.ranker = user, .version = version};
    hn_request *request = NULL;
    HN_TRY(check_names(&a, err));
    HN_TRY(hn_request_create(&request, bundle->config, bundle->schema, bundle->tables, err));
    hn_status status =
        hn_bindings_make(&a.bindings, &a.ranker->programs, bundle->config, request, err);
    if (status == HN_OK) status = check_fusions(&a, err);
    hn_bindings_free(&a.bindings);
    hn_request_free(request);
    return status;
}

hn_shelf_hooks hn_ranker_hooks(hn_ranker *ranker) {
    return (hn_shelf_hooks){.make_engine = make_engine,
                            .free_engine = free_engine,
                            .accept = accept_version,
                            .user = ranker};
}
