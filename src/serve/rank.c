/* POST /v1/rank: a user, a scenario and candidates in, ranked items out (docs/serving.md). Here is
 * the course of a request: which model, its scores, what takes their place where there are none. */
#include "serve/rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "serve/answer.h"
#include "serve/http.h"
#include "serve/ranker.h"

/* ---- The model ----------------------------------------------------------------------------- */

static void release(hn_ranking *r) {
    if (r->version) hn_shelf_release(r->ranker->parts.models, r->version);
    r->version = NULL;
    r->engine = NULL;
}

static bool acquire(hn_ranking *r, const char *model, bool previous) {
    hn_shelf *const models = r->ranker->parts.models;
    const int32_t k = hn_shelf_find(models, model);
    const hn_model_version *const version = k < 0 ? NULL : hn_shelf_acquire(models, k, previous);
    if (!version && previous) return false; /* what there is stays */
    release(r);
    r->version = version;
    r->engine = version ? version->engines[r->exchange->worker] : NULL;
    return version != NULL;
}

static void choose(hn_ranking *r) {
    hn_choose(&r->choice, r->ranker->parts.config, r->scenario_name,
              r->user_id ? r->user_id->text : NULL, r->user_id ? r->user_id->n : 0);
}

const char *hn_rank_keep_scenario(hn_rank_memory *memory, const char *name) {
    hn_text *const kept = &memory->scenario;
    if (kept->failed) hn_text_free(kept);
    kept->length = 0;
    if (name) hn_text_bytes(kept, name, strlen(name));
    return name && !kept->failed ? kept->text : NULL;
}

/* Arms depend on the scenario's name, and the name on the model that knows it: the one that
 * answers by default. */
static void name_scenario(hn_ranking *r) {
    const char *cell;
    if (!r->engine) return;
    const uint16_t found =
        hn_request_scenario(r->engine->request, r->scenario ? r->scenario->text : NULL,
                            r->scenario ? r->scenario->n : 0, &cell);
    r->scenario_name = hn_rank_keep_scenario(r->memory, hn_engine_scenario_name(r->engine, found));
}

static bool take_rows(hn_ranking *r) {
    if (!r->engine) return true;
    r->engine->calibrated = r->choice.calibrated;
    if (!hn_rank_rows(r)) return false;
    const uint16_t scenario = hn_engine_scenario(r->engine, 0);
    r->known_scenario = scenario != HN_SCENARIO_UNKNOWN;
    r->scenario_name =
        hn_rank_keep_scenario(r->memory, hn_engine_scenario_name(r->engine, scenario));
    return true;
}

/* A scenario that stands in a column is known with the rows only, and may lead to other arms. */
static bool take_model(hn_ranking *r) {
    choose(r);
    const char *model = r->choice.model;
    acquire(r, model, false);
    name_scenario(r);
    choose(r);
    for (int attempt = 0; attempt < 2; attempt++) {
        if (strcmp(model, r->choice.model) != 0) acquire(r, r->choice.model, false);
        model = r->choice.model;
        if (!take_rows(r)) return false;
        choose(r);
        if (strcmp(model, r->choice.model) == 0) break;
    }
    r->choice.model = model; /* also where the arms' own models lead in a circle */
    if (r->engine) r->engine->calibrated = r->choice.calibrated;
    return true;
}

/* ---- Scores -------------------------------------------------------------------------------- */

hn_status hn_rank_reserve(hn_rank_memory *m, int32_t rows, hn_error *err) {
    const size_t n = (size_t)rows + 1;
    HN_TRY(hn_grow(&m->score, &m->score_capacity, n, sizeof *m->score, err));
    HN_TRY(hn_grow(&m->order, &m->order_capacity, n, sizeof *m->order, err));
    HN_TRY(hn_grow(&m->parts, &m->parts_capacity, n, sizeof *m->parts, err));
    return hn_grow(&m->candidates, &m->candidates_capacity, n, sizeof *m->candidates, err);
}

static double product(const double *p, int32_t tasks) {
    double score = 1;
    for (int32_t t = 0; t < tasks; t++) score *= p[t];
    return score;
}

int32_t hn_rank_fuse(double *score, const hn_engine *engine, const hn_ranker *ranker,
                     const hn_choice *choice) {
    int32_t program = -1, scored = 0, last = -1;
    for (int32_t i = 0; i < engine->rows; i++) {
        const double *const p = engine->p + (size_t)i * (size_t)engine->tasks;
        const uint16_t scenario = hn_engine_scenario(engine, i);
        if (scenario != last) {
            const char *const name = hn_engine_scenario_name(engine, scenario);
            program = hn_programs_find(&ranker->programs, hn_choice_fusion(choice, name));
            last = scenario;
        }
        score[i] = program < 0
                       ? product(p, engine->tasks)
                       : hn_bindings_value(&engine->bindings, program,
                                           engine->encoded_rows ? engine->request : NULL, i, p);
        if (!isfinite((hn_real)score[i])) score[i] = NAN; /* it could not be shown */
        scored += !isnan(score[i]);
    }
    return scored;
}

/* From engine->p; false: no row has a score. */
static bool fuse(hn_ranking *r) {
    const int32_t scored = hn_rank_fuse(r->memory->score, r->engine, r->ranker, &r->choice);
    r->unscored = r->n - scored;
    r->scored = scored > 0 || r->n == 0;
    if (!r->scored) r->unscored = 0;
    return r->scored;
}

static bool score(hn_ranking *r) {
    hn_error err = {0};
    if (r->engine) r->engine->encode_ns = 0;
    return r->engine && (r->n == 0 || hn_engine_score(r->engine, &err) == HN_OK) && fuse(r);
}

/* What follows in the chain is of the current version again. */
static bool score_previous(hn_ranking *r) {
    if (!acquire(r, r->choice.model, true)) return false;
    r->lenient = true;
    if (take_rows(r) && score(r)) return true;
    acquire(r, r->choice.model, false);
    (void)take_rows(r);
    return false;
}

static bool take_prior(hn_ranking *r) {
    return r->engine && hn_engine_take_prior(r->engine) && fuse(r);
}

/* False: answered. */
static bool fall_back(hn_ranking *r) {
    static const char *const names[] = {"previous", "prior", "order"};
    for (int32_t k = 0; k < r->choice.n_fallback && r->choice.fallback[k] >= 0; k++) {
        const hn_fallback kind = (hn_fallback)r->choice.fallback[k];
        r->fallback = names[kind];
        if (kind == HN_FALLBACK_PREVIOUS ? score_previous(r)
                                         : kind == HN_FALLBACK_ORDER || take_prior(r))
            return true;
    }
    r->fallback = NULL;
    hn_answer_fault(r->exchange, 503, r->version ? "no_score" : "no_model",
                    r->version ? "the model gave no score" : "no version of the model is loaded");
    return false;
}

static int compare(const void *a, const void *b, void *user) {
    const double *const all = user;
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    const double p = all[x], q = all[y];
    if (isnan(p) != isnan(q)) return isnan(p) ? 1 : -1;
    if (p != q && !isnan(p)) return p > q ? -1 : 1;
    return x - y;
}

static void sort(hn_ranking *r) {
    for (int32_t i = 0; i < r->n; i++) r->memory->order[i] = i;
    if (r->scored && r->n > 1)
        qsort_r(r->memory->order, (size_t)r->n, sizeof *r->memory->order, compare,
                r->memory->score);
}

/* ---- The whole ----------------------------------------------------------------------------- */

/* The client's, else that of the trace, so that what was shown can be joined. */
static void take_request_id(hn_ranking *r) {
    enum { TRACE_AT = 3, TRACE_ID_BYTES = 32 };
    hn_text *const id = &r->memory->request_id;
    const char *const given = r->exchange->trace;
    if (id->failed) hn_text_free(id);
    id->length = 0;
    if (r->request_id)
        hn_text_bytes(id, r->request_id->text, r->request_id->n);
    else if (given && strlen(given) > TRACE_AT + TRACE_ID_BYTES)
        hn_text_bytes(id, given + TRACE_AT, TRACE_ID_BYTES);
    else
        hn_text_bytes(id, "", 0);
}

static void rank_body(hn_ranking *r) {
    hn_error err = {0};
    const int64_t begun = hn_now_ns();
    if (!hn_rank_read(r, &r->memory->json.nodes[0])) return;
    if (hn_rank_reserve(r->memory, r->n, &err) != HN_OK) {
        hn_answer_fault(r->exchange, 503, "no_memory", "%s", err.text);
        return;
    }
    take_request_id(r);
    if (!take_model(r)) return;
    const int64_t made = hn_now_ns();
    r->trace->features_ns = made - begun;
    if (!score(r) && !fall_back(r)) return;
    sort(r);
    const int64_t scored = hn_now_ns(), encode = r->engine ? r->engine->encode_ns : 0;
    r->trace->features_ns += encode;
    r->trace->model_ns = scored - made - encode;
    hn_rank_answer(r);
    r->trace->answer_ns = hn_now_ns() - scored;
}

void hn_rank_handle(hn_ranker *ranker, hn_exchange *exchange, hn_rank_trace *trace) {
    enum { KEPT_BYTES = 16 << 20 };
    hn_rank_memory *const memory = &ranker->memory[exchange->worker];
    hn_ranking r = {.ranker = ranker, .memory = memory, .exchange = exchange, .trace = trace};
    hn_error err = {0};
    *trace = (hn_rank_trace){.scenario = -1, .scenario_name = ""};
    const int64_t begun = hn_now_ns();
    const hn_status status = hn_json_read(&memory->json, exchange->body, exchange->body_bytes,
                                          ranker->parts.config->max_depth, &err);
    trace->parse_ns = hn_now_ns() - begun;
    if (status == HN_NO_MEMORY)
        hn_answer_fault(exchange, 503, "no_memory", "%s", err.text);
    else if (status != HN_OK)
        hn_answer_fault(exchange, 400,
                        memory->json.fault == HN_JSON_TOO_DEEP ? "too_deep" : "bad_json", "%s",
                        err.text);
    else
        rank_body(&r);
    release(&r);
    hn_json_trim(&memory->json, KEPT_BYTES);
}
