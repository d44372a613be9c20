/* Engines (engine.h): their life, rows to probabilities. What a JSON value is as a cell is in
 * engine_value.c. */
#include "serve/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "serve/http.h"
#include "serve/prior.h"

/* ---- Life ---------------------------------------------------------------------------------- */

void hn_engine_free(hn_engine *engine) {
    if (!engine) return;
    hn_request_free(engine->request);
    hn_encoded_free(&engine->encoded);
    hn_scratch_free(engine->scratch);
    hn_drift_free(engine->drift);
    hn_engine_store_free(engine->store);
    hn_bindings_free(&engine->bindings);
    hn_text_free(&engine->joined);
    hn_arena_free(&engine->kept);
    hn_free(engine->prior);
    hn_free(engine->logits);
    hn_free(engine->p);
    hn_free(engine);
}

static hn_status make(hn_engine *engine, const hn_bundle *bundle, hn_error *err) {
    HN_TRY(
        hn_request_create(&engine->request, bundle->config, bundle->schema, bundle->tables, err));
    HN_TRY(hn_scratch_create(&engine->scratch, bundle->scorer, err));
    HN_TRY(hn_drift_create(&engine->drift, bundle, err));
    return hn_prior_make(&engine->prior, bundle, err);
}

hn_status hn_engine_create(hn_engine **out, const hn_bundle *bundle, hn_error *err) {
    *out = NULL;
    hn_engine *const engine = hn_alloc_zero(1, sizeof *engine);
    if (!engine) return hn_no_memory(err, "an engine");
    engine->bundle = bundle;
    engine->tasks = bundle->config->n_tasks;
    engine->calibrated = true;
    const hn_status status = make(engine, bundle, err);
    if (status != HN_OK)
        hn_engine_free(engine);
    else
        *out = engine;
    return status;
}

/* ---- Rows ---------------------------------------------------------------------------------- */

void hn_engine_begin(hn_engine *engine) {
    const char *cell;
    hn_request_begin(engine->request);
    hn_arena_free(&engine->kept);
    engine->rows = 0;
    engine->encoded_rows = false;
    engine->scenario = hn_request_scenario(engine->request, NULL, 0, &cell);
    engine->scenario_given = false;
    engine->scenario_cell = NULL;
    engine->scenario_cell_bytes = 0;
    if (engine->store) hn_engine_store_begin(engine->store);
}

const char *hn_engine_keep(hn_engine *engine, const char *text, size_t n) {
    return hn_arena_strndup(&engine->kept, text, n);
}

/* The cell of a scenario's name is the first text of that scenario. */
static void take_scenario(hn_engine *engine, int32_t row, const char **text, size_t *n) {
    const char *cell;
    const uint16_t found = hn_request_scenario(engine->request, *text, *n, &cell);
    engine->scenario_given = true;
    if (cell && cell != *text) *n = strlen(cell);
    if (cell) *text = cell;
    if (row >= 0) {
        hn_request_set_scenario(engine->request, row, found);
        return;
    }
    engine->scenario = found;
    engine->scenario_cell = *text;
    engine->scenario_cell_bytes = *n;
}

hn_status hn_engine_set_text(hn_engine *engine, int32_t row, int32_t field, const char *text,
                             size_t n, hn_error *err) {
    if (field == hn_request_scenario_field(engine->request)) take_scenario(engine, row, &text, &n);
    HN_TRY(hn_request_set(engine->request, row, field, text, n, err));
    if (engine->store && hn_engine_store_note(engine->store, row, field, text, n) != HN_OK)
        return hn_no_memory(err, "a request's keys");
    return HN_OK;
}

hn_status hn_engine_set_scenario(hn_engine *engine, const char *text, size_t n, hn_error *err) {
    const int32_t field = hn_request_scenario_field(engine->request);
    if (field >= 0) return hn_engine_set_text(engine, HN_REQUEST_SHARED, field, text, n, err);
    take_scenario(engine, HN_REQUEST_SHARED, &text, &n);
    return HN_OK;
}

hn_status hn_engine_rows(hn_engine *engine, int32_t rows, hn_error *err) {
    HN_TRY(hn_request_rows(engine->request, rows, engine->scenario, err));
    engine->rows = rows;
    return engine->store ? hn_engine_store_rows(engine->store, rows, err) : HN_OK;
}

hn_status hn_engine_complete(hn_engine *engine, int64_t deadline_ns, hn_error *err) {
    if (!engine->scenario_given) hn_request_join_scenario(engine->request);
    return engine->store ? hn_engine_store_fetch(engine, deadline_ns, err) : HN_OK;
}

/* ---- Scores -------------------------------------------------------------------------------- */

static hn_status reserve(hn_engine *engine, hn_error *err) {
    const size_t n = (size_t)engine->rows * (size_t)engine->tasks;
    HN_TRY(hn_grow(&engine->logits, &engine->logits_capacity, n, sizeof *engine->logits, err));
    return hn_grow(&engine->p, &engine->p_capacity, n, sizeof *engine->p, err);
}

/* What is shown is an hn_real, through every door. */
static void take_logits(hn_engine *engine) {
    const hn_rows *const rows = &engine->encoded.rows;
    const size_t tasks = (size_t)engine->tasks;
    for (size_t i = 0; i < (size_t)rows->rows; i++)
        for (size_t t = 0; t < tasks; t++)
            engine->p[i * tasks + t] = (double)(hn_real)hn_bundle_probability(
                engine->bundle, rows->scenario[i], (int32_t)t,
                (double)engine->logits[i * tasks + t], engine->calibrated);
}

hn_status hn_engine_score(hn_engine *engine, hn_error *err) {
    bool uniform;
    const int64_t begun = hn_now_ns();
    engine->encode_ns = 0;
    HN_TRY(hn_request_encode(&engine->encoded, &uniform, engine->request, err));
    engine->encode_ns = hn_now_ns() - begun;
    engine->encoded_rows = true;
    const hn_rows *const rows = &engine->encoded.rows;
    engine->rows = rows->rows;
    HN_TRY(reserve(engine, err));
    HN_TRY((uniform ? hn_score_request : hn_score)(engine->logits, engine->bundle->scorer,
                                                   engine->scratch, rows, err));
    take_logits(engine);
    hn_drift_add(engine->drift, rows, engine->logits, hn_now_ns());
    return HN_OK;
}

bool hn_engine_take_prior(hn_engine *engine) {
    const size_t tasks = (size_t)engine->tasks;
    const uint16_t scenarios = (uint16_t)hn_schema_layout(engine->bundle->schema)->scenarios;
    if (!engine->prior || reserve(engine, NULL) != HN_OK) return false;
    for (int32_t i = 0; i < engine->rows; i++) {
        const uint16_t s = hn_engine_scenario(engine, i);
        const size_t at = s == HN_SCENARIO_UNKNOWN ? scenarios : s;
        memcpy(engine->p + (size_t)i * tasks, engine->prior + at * tasks,
               tasks * sizeof *engine->p);
    }
    return true;
}

/* ---- Questions ----------------------------------------------------------------------------- */

uint16_t hn_engine_scenario(const hn_engine *engine, int32_t row) {
    return row < engine->rows ? hn_request_row_scenario(engine->request, row) : engine->scenario;
}

const char *hn_engine_scenario_name(const hn_engine *engine, uint16_t scenario) {
    const hn_strings *const names = &engine->bundle->config->scenario.names;
    if (scenario == HN_SCENARIO_UNKNOWN) return NULL;
    return scenario < names->n ? names->items[scenario] : "all";
}

const char *hn_engine_suggest(const hn_engine *engine, const char *name, size_t n) {
    const int32_t fields = hn_request_fields(engine->request);
    const char **const names = hn_alloc((size_t)fields + 1, sizeof *names);
    char *const word = hn_strndup(name, n);
    const char *near = NULL;
    if (names && word) {
        const bool full = strchr(word, '.') != NULL;
        for (int32_t f = 0; f < fields; f++)
            names[f] = full ? hn_request_field_name(engine->request, f)
                            : hn_request_field_column(engine->request, f);
        near = hn_did_you_mean(word, names, (size_t)fields);
    }
    hn_free(names);
    hn_free(word);
    return near;
}
