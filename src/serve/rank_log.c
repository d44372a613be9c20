/* The exposure of a request (online/exposure.h): what was shown to whom, why, and, in a sample,
 * the features as they were scored. */
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "online/pseudonym.h"
#include "serve/ranker.h"

static void add(hn_text *out, const char *text) { hn_text_bytes(out, text, strlen(text)); }

/* Drawn from the request's id, so that a request that is sent again is treated alike. */
static bool is_sampled(const hn_ranking *r) {
    const double rate = r->ranker->parts.config->exposures.features;
    const hn_text *const id = &r->memory->request_id;
    if (rate >= 1 || rate <= 0) return rate >= 1;
    return (double)(XXH3_64bits(id->text, id->length) >> 11) * 0x1p-53 < rate;
}

static void add_user(hn_text *out, const hn_ranking *r) {
    const char *const key = r->ranker->parts.config->exposures.user_key;
    char hash[HN_PSEUDONYM_BYTES + 1];
    if (!r->user_id) {
        add(out, "null");
    } else if (key) {
        hn_pseudonym(hash, key, strlen(key), r->user_id->text, r->user_id->n);
        hn_json_add_text(out, hash);
    } else {
        hn_json_add_string(out, r->user_id->text, r->user_id->n);
    }
}

/* ---- Features ------------------------------------------------------------------------------ */

/* Ids stand in the line by themselves; with a key, the user's stands nowhere else. */
static bool is_left_out(const hn_ranking *r, const hn_json_node *member) {
    const hn_request *const q = r->engine->request;
    const int32_t field = hn_request_field(q, member->key, member->key_bytes);
    if (hn_json_key_is(member, "id") && field < 0) return true;
    return r->ranker->parts.config->exposures.user_key && field >= 0 &&
           field == hn_request_id_field(q, HN_SIDE_USER);
}

static bool add_members(hn_text *out, const hn_ranking *r, const hn_json_node *object,
                        bool with_id) {
    bool any = false;
    if (!object) return false;
    for (HN_JSON_EACH(member, object)) {
        if ((!with_id && hn_json_key_is(member, "id")) || is_left_out(r, member)) continue;
        if (any) add(out, ",");
        any = true;
        hn_json_add_string(out, member->key, member->key_bytes);
        add(out, ":");
        hn_json_add_node(out, member);
    }
    return any;
}

/* The text that the scenario's column had, for features may read it. */
static void add_context(hn_text *out, const hn_ranking *r) {
    const hn_engine *const e = r->engine;
    const int32_t field = hn_request_scenario_field(e->request);
    add(out, ",\"context\":{");
    const bool any = add_members(out, r, r->context, true);
    if (r->scenario && field >= 0 && e->scenario_cell && hn_request_is_read(e->request, field) &&
        !hn_json_member(r->context, hn_request_field_name(e->request, field))) {
        if (any) add(out, ",");
        hn_json_add_text(out, hn_request_field_name(e->request, field));
        add(out, ":");
        hn_json_add_string(out, e->scenario_cell, e->scenario_cell_bytes);
    }
    add(out, "}");
}

static void add_shared(hn_text *out, const hn_ranking *r) {
    add(out, ",\"user_features\":{");
    const bool any = add_members(out, r, r->user, false);
    hn_engine_add_stored(out, r->engine, HN_REQUEST_SHARED, any);
    add(out, "}");
    add_context(out, r);
}

/* ---- The line ------------------------------------------------------------------------------ */

static void add_item(hn_text *out, const hn_ranking *r, int32_t rank, bool sampled) {
    const hn_rank_memory *const m = r->memory;
    const int32_t i = m->order[rank];
    const hn_json_node *const candidate = m->candidates[i];
    if (rank > 0) add(out, ",");
    add(out, "{\"id\":");
    hn_json_add_node(out, hn_json_member(candidate, "id"));
    hn_text_add(out, ",\"position\":%d,", rank + 1);
    hn_text_bytes(out, r->exchange->answer.text + m->parts[rank].begin,
                  m->parts[rank].end - m->parts[rank].begin);
    if (sampled) {
        add(out, ",\"features\":{");
        hn_engine_add_stored(out, r->engine, i, add_members(out, r, candidate, false));
        add(out, "}");
    }
    add(out, "}");
}

void hn_rank_log(hn_ranking *r, int32_t shown) {
    hn_text *const out = &r->memory->line;
    const bool sampled = r->engine && is_sampled(r);
    struct timespec now;
    if (r->exchange->answer.failed) return;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out->failed) hn_text_free(out);
    out->length = 0;
    add(out, "{\"request_id\":");
    hn_rank_add_id(out, r);
    hn_text_add(
        out, ",\"time_ms\":%lld,\"user\":", (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    add_user(out, r);
    hn_rank_add_head(out, r);
    if (sampled) add_shared(out, r);
    add(out, ",\"items\":[");
    for (int32_t k = 0; k < shown; k++) add_item(out, r, k, sampled);
    add(out, "]}");
    if (!out->failed)
        (void)hn_exposure_log_offer(r->ranker->parts.exposures, out->text, out->length);
}
