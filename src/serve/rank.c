/* POST /v1/rank: a user, a scenario and candidates in, ranked items out (docs/serving.md). */
#include "serve/rank.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "serve/answer.h"
#include "serve/engine.h"
#include "serve/http.h"
#include "serve/ranker.h"

/* ---- The ranker -------------------------------------------------------------------------- */

hn_status hn_ranker_create(hn_ranker **out, const hn_ranker_parts *parts, hn_error *err) {
    *out = hn_alloc_zero(1, sizeof **out);
    if (!*out) return hn_no_memory(err, "the ranker");
    (*out)->parts = *parts;
    return HN_OK;
}

void hn_ranker_free(hn_ranker *ranker) { hn_free(ranker); }
void hn_ranker_attach(hn_ranker *ranker, hn_shelf *models) { ranker->parts.models = models; }

static hn_status make_engine(void *user, void **out, const hn_model_version *version, int32_t worker, hn_error *err) {
    (void)user, (void)worker;
    hn_engine *engine;
    *out = NULL;
    HN_TRY(hn_engine_create(&engine, version->bundle, err));
    *out = engine;
    return HN_OK;
}

static void free_engine(void *user, void *engine) {
    (void)user;
    hn_engine_free(engine);
}

hn_shelf_hooks hn_ranker_hooks(hn_ranker *ranker) {
    return (hn_shelf_hooks){.make_engine = make_engine, .free_engine = free_engine, .user = ranker};
}

/* ---- Reading ----------------------------------------------------------------------------- */

typedef struct ranking {
    hn_exchange *exchange;
    const json_t *body, *candidates;
    hn_engine *engine;
    const hn_model_version *version;
    hn_rank_trace *trace;
    double *score;
    int32_t *order;
    int32_t n, limit;
    uint16_t scenario;
    const char *fallback;
} ranking;

static bool refuse(ranking *r, const char *code, const char *path, const char *text) {
    hn_answer_fault(r->exchange, 400, code, "%s: %s", path, text);
    return false;
}

/* One member of user, context or a candidate. */
static bool take_field(ranking *r, int32_t row, const char *path, hn_side side, const char *key, const json_t *value) {
    char where[256];
    snprintf(where, sizeof where, "%s.%.100s", path, key);
    const bool id = strcmp(key, "id") == 0 && side != HN_SIDE_CONTEXT;
    int32_t field = id ? hn_request_id_field(r->engine->request, side) : HN_FIELD_UNKNOWN;
    if (id && field < 0 && hn_request_field(r->engine->request, key, 2) < 0) return true; /* only handed back */
    if (field < 0) field = hn_request_field(r->engine->request, key, strlen(key));
    if (field == HN_FIELD_AMBIGUOUS)
        return refuse(r, "unknown_field", where, "found a column of several files; write \"table.column\"");
    if (field < 0) return refuse(r, "unknown_field", where, "found a name that no feature of the model reads");
    hn_error err = {0};
    return hn_engine_set(r->engine, row, field, value, &err) == HN_OK || refuse(r, "bad_value", where, err.text);
}

static bool take_object(ranking *r, int32_t row, const char *path, hn_side side, const json_t *object) {
    if (!object) return true;
    if (!json_is_object(object)) return refuse(r, "bad_type", path, "expected an object");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
        if (!take_field(r, row, path, side, key, value)) return false;
    return true;
}

static bool take_scenario(ranking *r) {
    const json_t *const given = json_object_get(r->body, "scenario");
    if (given && !json_is_string(given) && !json_is_integer(given))
        return refuse(r, "bad_type", "scenario", "expected a string");
    char number[32];
    const char *text = json_string_value(given), *cell;
    if (json_is_integer(given)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(given));
        text = number;
    }
    hn_request *const q = r->engine->request;
    r->scenario = hn_request_scenario(q, text, text ? strlen(text) : 0, &cell);
    const int32_t field = hn_request_scenario_field(q);
    hn_error err = {0};
    if (cell && field >= 0 && hn_request_set(q, HN_REQUEST_SHARED, field, cell, strlen(cell), &err) != HN_OK)
        return refuse(r, "bad_value", "scenario", err.text);
    return true;
}

static bool take_rows(ranking *r) {
    hn_error err = {0};
    hn_request_begin(r->engine->request);
    if (!take_scenario(r) ||
        !take_object(r, HN_REQUEST_SHARED, "user", HN_SIDE_USER, json_object_get(r->body, "user")) ||
        !take_object(r, HN_REQUEST_SHARED, "context", HN_SIDE_CONTEXT, json_object_get(r->body, "context")))
        return false;
    if (hn_request_rows(r->engine->request, r->n, r->scenario, &err) != HN_OK)
        return hn_answer_fault(r->exchange, 503, "no_memory", "%s", err.text), false;
    for (int32_t i = 0; i < r->n; i++) {
        char path[40];
        snprintf(path, sizeof path, "candidates[%d]", i);
        const json_t *const item = json_array_get(r->candidates, (size_t)i);
        if (!json_is_object(item)) return refuse(r, "bad_type", path, "expected an object");
        if (!take_object(r, i, path, HN_SIDE_ITEM, item)) return false;
    }
    if (!json_object_get(r->body, "scenario")) hn_request_join_scenario(r->engine->request);
    return true;
}

/* ---- Scores -------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b, void *user) {
    const double *const score = user;
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    if (score[x] != score[y]) return score[x] > score[y] ? -1 : 1;
    return x - y;
}

/* The product of the tasks; what is no number leaves the order as it was given. */
static bool fuse(ranking *r) {
    bool fine = true;
    for (int32_t i = 0; i < r->n; i++) {
        r->score[i] = 1;
        for (int32_t t = 0; t < r->engine->tasks; t++) r->score[i] *= r->engine->p[i * r->engine->tasks + t];
        fine &= isfinite(r->score[i]) != 0;
        r->order[i] = i;
    }
    return fine;
}

static bool score(ranking *r) {
    hn_error err = {0};
    if (hn_engine_score(r->engine, &err) != HN_OK || !fuse(r)) {
        r->fallback = "order";
        for (int32_t i = 0; i < r->n; i++) r->order[i] = i;
        return true;
    }
    r->scenario = r->n > 0 ? r->engine->encoded.rows.scenario[0] : r->scenario;
    qsort_r(r->order, (size_t)r->n, sizeof *r->order, compare, r->score);
    return true;
}

/* ---- The answer ---------------------------------------------------------------------------- */

static json_t *flags(const ranking *r) {
    json_t *const all = json_array();
    if (r->scenario == HN_SCENARIO_UNKNOWN) json_array_append_new(all, json_string("unknown_scenario"));
    if (hn_request_missing(r->engine->request) > 0) json_array_append_new(all, json_string("missing_features"));
    if (r->fallback) json_array_append_new(all, json_string("fallback"));
    return all;
}

static void add_item(hn_text *out, const ranking *r, int32_t rank) {
    const int32_t i = r->order[rank];
    const json_t *const id = json_object_get(json_array_get(r->candidates, (size_t)i), "id");
    hn_text_add(out, "%s{\"id\":", rank > 0 ? "," : "");
    hn_answer_value(out, id);
    hn_text_add(out, ",\"rank\":%d", rank + 1);
    if (!r->fallback) {
        hn_text_add(out, ",\"score\":%.9g,\"p\":{", r->score[i]);
        for (int32_t t = 0; t < r->engine->tasks; t++) {
            if (t > 0) hn_text_bytes(out, ",", 1);
            hn_answer_string(out, r->engine->bundle->config->tasks[t].name);
            hn_text_add(out, ":" HN_P_FORMAT, r->engine->p[i * r->engine->tasks + t]);
        }
        hn_text_bytes(out, "}", 1);
    }
    hn_text_add(out, ",\"flags\":[]}");
}

static void answer(ranking *r) {
    hn_text *const out = &r->exchange->answer;
    const hn_config_scenario *const s = &r->engine->bundle->config->scenario;
    json_t *const all = flags(r);
    hn_text_add(out, "{\"request_id\":");
    hn_answer_value(out, json_object_get(r->body, "request_id"));
    hn_text_add(out, ",\"model\":");
    hn_answer_string(out, r->version->model);
    hn_text_add(out, ",\"version\":");
    hn_answer_string(out, r->version->version);
    hn_text_add(out, ",\"arms\":{},\"scenario\":");
    hn_answer_string(out, r->scenario < s->names.n ? s->names.items[r->scenario] : NULL);
    hn_text_add(out, ",\"flags\":");
    hn_answer_value(out, all);
    hn_text_add(out, ",\"missing_features\":%d,\"fallback\":", hn_request_missing(r->engine->request));
    hn_answer_string(out, r->fallback);
    hn_text_add(out, ",\"items\":[");
    for (int32_t k = 0; k < r->n && k < r->limit; k++) add_item(out, r, k);
    hn_text_add(out, "]}");
    json_decref(all);
    r->exchange->status = 200;
    r->exchange->answer_type = "application/json";
    r->exchange->answer_json_bytes = -1;
    r->trace->scenario = r->scenario == HN_SCENARIO_UNKNOWN ? -1 : r->scenario;
    r->trace->scenario_name = r->scenario < s->names.n ? s->names.items[r->scenario] : "";
    r->trace->unknown_scenario = r->scenario == HN_SCENARIO_UNKNOWN;
    r->trace->missing_features = (uint32_t)hn_request_missing(r->engine->request);
    r->trace->items = r->n;
    r->trace->fallback = r->fallback;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static bool check_body(ranking *r, const hn_serve_config *config) {
    if (!json_is_object(r->body)) return refuse(r, "bad_type", "request", "expected an object");
    r->candidates = json_object_get(r->body, "candidates");
    if (!json_is_array(r->candidates)) return refuse(r, "bad_type", "candidates", "expected a list");
    const size_t n = json_array_size(r->candidates);
    if (n > (size_t)config->max_candidates) {
        hn_answer_fault(r->exchange, 413, "too_many_candidates", "candidates: found %zu; expected at most %d", n,
                        config->max_candidates);
        return false;
    }
    r->n = r->limit = (int32_t)n;
    const json_t *const limit = json_object_get(r->body, "limit");
    if (!limit || json_is_null(limit)) return true;
    if (!json_is_integer(limit) || json_integer_value(limit) < 0)
        return refuse(r, "bad_type", "limit", "expected a whole number of at least 0");
    if (json_integer_value(limit) < r->limit) r->limit = (int32_t)json_integer_value(limit);
    return true;
}

static void rank_body(hn_ranker *ranker, ranking *r) {
    const int64_t begun = hn_now_ns();
    if (!check_body(r, ranker->parts.config)) return;
    r->version = hn_shelf_acquire(ranker->parts.models, 0, false);
    if (!r->version) {
        hn_answer_fault(r->exchange, 503, "no_model", "no version of the model is loaded");
        return;
    }
    r->engine = r->version->engines[r->exchange->worker];
    r->score = hn_alloc((size_t)r->n + 1, sizeof *r->score);
    r->order = hn_alloc((size_t)r->n + 1, sizeof *r->order);
    if (!r->score || !r->order) {
        hn_answer_fault(r->exchange, 503, "no_memory", "out of memory for the scores");
    } else if (take_rows(r)) {
        const int64_t made = hn_now_ns();
        if (r->n > 0) score(r);
        const int64_t scored = hn_now_ns();
        answer(r);
        r->trace->features_ns = made - begun;
        r->trace->model_ns = scored - made;
        r->trace->answer_ns = hn_now_ns() - scored;
    }
    hn_free(r->score);
    hn_free(r->order);
    hn_shelf_release(ranker->parts.models, r->version);
}

void hn_rank_handle(hn_ranker *ranker, hn_exchange *exchange, hn_rank_trace *trace) {
    *trace = (hn_rank_trace){.scenario = -1, .scenario_name = ""};
    const int64_t begun = hn_now_ns();
    json_t *const body = hn_answer_parse(exchange, exchange->body_bytes, ranker->parts.config->max_depth);
    trace->parse_ns = hn_now_ns() - begun;
    if (!body) return;
    ranking r = {.exchange = exchange, .body = body, .trace = trace};
    rank_body(ranker, &r);
    json_decref(body);
}
