/* The answer to a /v1/rank request (docs/serving.md), and what metrics are told of it. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "serve/answer.h"
#include "serve/ranker.h"

static void add(hn_text *out, const char *text) { hn_text_bytes(out, text, strlen(text)); }

/* ---- Items --------------------------------------------------------------------------------- */

static void add_scores(hn_text *out, const hn_ranking *r, int32_t i) {
    const hn_engine *const engine = r->engine;
    add(out, "\"score\":");
    hn_answer_number(out, r->scored ? (double)(hn_real)r->memory->score[i] : (double)NAN);
    add(out, ",\"p\":{");
    for (int32_t t = 0; r->scored && t < engine->tasks; t++) {
        if (t > 0) add(out, ",");
        hn_json_add_text(out, engine->bundle->config->tasks[t].name);
        add(out, ":");
        hn_answer_number(out, engine->p[i * engine->tasks + t]);
    }
    add(out, "}");
}

static void add_item_flags(hn_text *out, const hn_ranking *r, int32_t i) {
    const hn_engine *const engine = r->engine;
    const bool flags[] = {
        engine && engine->encoded_rows && hn_request_row_missing(engine->request, i) > 0,
        engine && hn_engine_row_late(engine, i), r->scored && isnan(r->memory->score[i])};
    static const char *const names[] = {"\"missing_features\"", "\"late_features\"",
                                        "\"no_score\""};
    const char *comma = "";
    add(out, ",\"flags\":[");
    for (size_t k = 0; k < sizeof flags / sizeof *flags; k++) {
        if (!flags[k]) continue;
        add(out, comma);
        add(out, names[k]);
        comma = ",";
    }
    add(out, "]}");
}

static void add_item(hn_text *out, const hn_ranking *r, int32_t rank,
                     const hn_json_node *candidate) {
    struct hn_rank_part *const part = &r->memory->parts[rank];
    if (rank > 0) add(out, ",");
    add(out, "{\"id\":");
    hn_json_add_node(out, hn_json_member(candidate, "id"));
    hn_text_add(out, ",\"rank\":%d,", rank + 1);
    part->begin = out->length;
    add_scores(out, r, r->memory->order[rank]);
    part->end = out->length;
    add_item_flags(out, r, r->memory->order[rank]);
}

/* ---- The whole ----------------------------------------------------------------------------- */

static int32_t missing_of(const hn_ranking *r) {
    return r->engine && r->engine->encoded_rows ? hn_request_missing(r->engine->request) : 0;
}

/* Without a model nothing is known of scenarios. */
static bool is_unknown(const hn_ranking *r) { return r->engine && !r->known_scenario; }

static void add_flags(hn_text *out, const hn_ranking *r) {
    const char *comma = "";
    const struct {
        bool is;
        const char *name;
    } flags[] = {{is_unknown(r), "unknown_scenario"},
                 {missing_of(r) > 0, "missing_features"},
                 {r->engine && hn_engine_late(r->engine) > 0, "late_features"},
                 {r->unscored > 0, "no_score"},
                 {r->fallback != NULL, "fallback"}};
    add(out, ",\"flags\":[");
    for (size_t k = 0; k < sizeof flags / sizeof *flags; k++) {
        if (!flags[k].is) continue;
        hn_text_add(out, "%s\"%s\"", comma, flags[k].name);
        comma = ",";
    }
    add(out, "]");
}

static void add_arms(hn_text *out, const hn_ranking *r) {
    const hn_serve_config *const config = r->ranker->parts.config;
    const char *comma = "";
    add(out, ",\"arms\":{");
    for (int32_t l = 0; l < config->n_layers; l++) {
        if (r->choice.arm[l] < 0) continue;
        add(out, comma);
        hn_json_add_text(out, config->layers[l].name);
        add(out, ":");
        hn_json_add_text(out, config->layers[l].arms[r->choice.arm[l]].name);
        comma = ",";
    }
    add(out, "}");
}

/* As it was given, else the trace's. */
void hn_rank_add_id(hn_text *out, const hn_ranking *r) {
    const hn_text *const id = &r->memory->request_id;
    if (r->request_id)
        hn_json_add_node(out, r->request_id);
    else
        hn_json_add_string(out, id->text, id->length);
}

void hn_rank_add_head(hn_text *out, const hn_ranking *r) {
    add_arms(out, r);
    add(out, ",\"model\":");
    hn_json_add_text(out, r->choice.model);
    add(out, ",\"version\":");
    hn_json_add_text(out, r->version ? r->version->version : NULL);
    add(out, ",\"scenario\":");
    hn_json_add_text(out, r->scenario_name);
    add(out, ",\"fallback\":");
    hn_json_add_text(out, r->fallback);
}

static void trace(hn_ranking *r) {
    r->trace->scenario_name = r->scenario_name ? r->scenario_name : "";
    r->trace->scenario = r->engine && r->known_scenario ? hn_engine_scenario(r->engine, 0) : -1;
    r->trace->unknown_scenario = is_unknown(r);
    r->trace->missing_features = (uint32_t)missing_of(r);
    r->trace->items = r->n;
    r->trace->fallback = r->fallback;
}

static void add_all(hn_text *out, hn_ranking *r, const hn_json_node *const *candidates,
                    int32_t shown) {
    add(out, "{\"request_id\":");
    hn_rank_add_id(out, r);
    hn_rank_add_head(out, r);
    add_flags(out, r);
    hn_text_add(out, ",\"missing_features\":%d,\"late_features\":%d,\"items\":[", missing_of(r),
                r->engine ? hn_engine_late(r->engine) : 0);
    for (int32_t k = 0; k < shown; k++) add_item(out, r, k, candidates[r->memory->order[k]]);
    add(out, "]}");
}

void hn_rank_answer(hn_ranking *r) {
    hn_rank_memory *const m = r->memory;
    hn_text *const out = &r->exchange->answer;
    const int32_t shown = r->limit < r->n ? r->limit : r->n;
    int32_t i = 0;
    for (HN_JSON_EACH(candidate, r->candidates)) m->candidates[i++] = candidate;
    hn_text_free(out);
    add_all(out, r, m->candidates, shown);
    r->exchange->status = 200;
    r->exchange->answer_type = "application/json";
    r->exchange->answer_json_bytes = -1;
    trace(r);
    if (r->ranker->parts.exposures && shown > 0) hn_rank_log(r, shown);
}
