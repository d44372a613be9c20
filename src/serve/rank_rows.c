/* The rows of a /v1/rank request: members of user, context and candidates to cells, by the
 * names of the model's columns. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "serve/answer.h"
#include "serve/ranker.h"

enum { PATH_BYTES = 200 };

static bool refuse(hn_ranking *r, const char *code, const char *path, const char *text) {
    hn_answer_fault(r->exchange, 400, code, "%s: %s", path, text);
    return false;
}

static bool no_memory(hn_ranking *r, const hn_error *err) {
    hn_answer_fault(r->exchange, 503, "no_memory", "%s", err->text);
    return false;
}

/* ---- The request's own members --------------------------------------------------------------- */

static bool check_count(hn_ranking *r, const hn_json_node *limit) {
    const int32_t most = r->ranker->parts.config->max_candidates;
    int64_t wanted;
    if (!hn_json_is(r->candidates, HN_JSON_LIST))
        return refuse(r, "bad_type", "candidates", "expected a list");
    if (r->candidates->n > (uint32_t)most) {
        hn_answer_fault(r->exchange, 413, "too_many_candidates",
                        "candidates: found %u; expected at most %d", r->candidates->n, most);
        return false;
    }
    r->n = r->limit = (int32_t)r->candidates->n;
    if (!limit || limit->kind == HN_JSON_NULL) return true;
    if (!hn_json_whole(&wanted, limit) || wanted < 0)
        return refuse(r, "bad_type", "limit", "expected a whole number of at least 0");
    if (wanted < r->limit) r->limit = (int32_t)wanted;
    return true;
}

static const char not_an_id[] = "expected a string or a number";
static bool is_id(const hn_json_node *node) {
    return !node || node->kind == HN_JSON_NULL || node->kind == HN_JSON_STRING ||
           node->kind == HN_JSON_NUMBER;
}

/* An id that says nothing is none: requests of nobody are not all one user's. */
static const hn_json_node *or_none(const hn_json_node *id) {
    return hn_json_is(id, HN_JSON_NULL) || hn_json_text_is(id, "") ? NULL : id;
}

static bool check_members(hn_ranking *r) {
    if (r->scenario && r->scenario->kind == HN_JSON_NULL) r->scenario = NULL;
    if (!is_id(r->scenario)) return refuse(r, "bad_type", "scenario", not_an_id);
    if (!is_id(r->request_id)) return refuse(r, "bad_type", "request_id", not_an_id);
    if (r->user && !hn_json_is(r->user, HN_JSON_OBJECT))
        return refuse(r, "bad_type", "user", "expected an object");
    if (r->context && !hn_json_is(r->context, HN_JSON_OBJECT))
        return refuse(r, "bad_type", "context", "expected an object");
    r->user_id = hn_json_member(r->user, "id");
    if (!is_id(r->user_id)) return refuse(r, "bad_type", "user.id", not_an_id);
    r->user_id = or_none(r->user_id);
    r->request_id = or_none(r->request_id);
    return true;
}

bool hn_rank_read(hn_ranking *r, const hn_json_node *body) {
    static const char *const names[] = {"request_id", "scenario",   "user",
                                        "context",    "candidates", "limit"};
    enum { NAMES = sizeof names / sizeof *names };
    const hn_json_node *limit = NULL,
                       **const places[NAMES] = {&r->request_id, &r->scenario,   &r->user,
                                                &r->context,    &r->candidates, &limit};
    if (!hn_json_is(body, HN_JSON_OBJECT))
        return refuse(r, "bad_type", "request", "expected an object");
    for (HN_JSON_EACH(member, body)) {
        char path[PATH_BYTES];
        size_t k = 0;
        while (k < NAMES && !hn_json_key_is(member, names[k])) k++;
        snprintf(path, sizeof path, "%.*s",
                 (int)(member->key_bytes < 100 ? member->key_bytes : 100), member->key);
        if (k == NAMES)
            return refuse(r, "unknown_field", path,
                          "expected request_id, scenario, user, context, candidates or limit");
        if (*places[k]) return refuse(r, "bad_value", path, "found a second time");
        *places[k] = member;
    }
    return check_members(r) && check_count(r, limit);
}

/* ---- Members of user, context and candidates ----------------------------------------------- */

typedef struct place { /* an object whose members are taken */
    const char *name;
    int32_t row, stamp; /* stamp: a number of its own among the request's objects */
    hn_side side;
} place;

static void show_path(char out[PATH_BYTES], const place *at, const hn_json_node *member) {
    const int n = (int)(member->key_bytes < 100 ? member->key_bytes : 100);
    if (at->row < 0)
        snprintf(out, PATH_BYTES, "%s.%.*s", at->name, n, member->key);
    else
        snprintf(out, PATH_BYTES, "%s[%d].%.*s", at->name, at->row, n, member->key);
}

static bool fault(hn_ranking *r, const place *at, const hn_json_node *member, const char *code,
                  const char *text) {
    char path[PATH_BYTES];
    show_path(path, at, member);
    return refuse(r, code, path, text);
}

static bool unknown(hn_ranking *r, const place *at, const hn_json_node *member, int32_t field) {
    if (field == HN_FIELD_AMBIGUOUS)
        return fault(r, at, member, "unknown_field",
                     "found a column of several files; write \"table.column\"");
    char text[300];
    const char *const near = hn_engine_suggest(r->engine, member->key, member->key_bytes);
    snprintf(text, sizeof text, "found a name that no feature of the model reads%s%.150s%s",
             near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return fault(r, at, member, "unknown_field", text);
}

/* An id that no column stands for is only handed back. */
enum { ONLY_AN_ID = -3 };
static int32_t find_field(const hn_ranking *r, const place *at, const hn_json_node *member) {
    const hn_request *const q = r->engine->request;
    const bool id = at->side != HN_SIDE_CONTEXT && hn_json_key_is(member, "id");
    int32_t field = id ? hn_request_id_field(q, at->side) : HN_FIELD_UNKNOWN;
    if (field < 0) field = hn_request_field(q, member->key, member->key_bytes);
    return id && field == HN_FIELD_UNKNOWN ? ONLY_AN_ID : field;
}

/* Candidates have the same names in the same order, or nearly so. */
static int32_t find_again(hn_ranking *r, const place *at, const hn_json_node *member, size_t k) {
    hn_rank_memory *const m = r->memory;
    if (hn_grow(&m->names, &m->names_capacity, k + 1, sizeof *m->names, NULL) != HN_OK)
        return find_field(r, at, member);
    hn_rank_name *const name = &m->names[k];
    const bool same = k < m->n_names && name->key_bytes == member->key_bytes &&
                      memcmp(name->key, member->key, member->key_bytes) == 0;
    if (!same) *name = (hn_rank_name){member->key, member->key_bytes, find_field(r, at, member)};
    if (k >= m->n_names) m->n_names = k + 1;
    return name->field;
}

static bool take_member(hn_ranking *r, const place *at, const hn_json_node *member, int32_t field) {
    hn_error err; /* not cleared: a kilobyte for each member */
    if (field == ONLY_AN_ID) return true;
    if (field < 0) return r->lenient || unknown(r, at, member, field);
    if (r->memory->stamps[field] == at->stamp)
        return fault(r, at, member, "bad_value", "found a second time");
    r->memory->stamps[field] = at->stamp;
    const hn_status status = hn_engine_set(r->engine, at->row, field, member, &err);
    if (status == HN_BAD_DATA) return r->lenient || fault(r, at, member, "bad_value", err.text);
    return status == HN_OK || no_memory(r, &err);
}

static bool take_object(hn_ranking *r, const place *at, const hn_json_node *object) {
    if (!object) return true;
    for (HN_JSON_EACH(member, object))
        if (!take_member(r, at, member, find_field(r, at, member))) return false;
    return true;
}

static bool take_candidate(hn_ranking *r, int32_t row, const hn_json_node *candidate) {
    const place at = {"candidates", row, row + 3, HN_SIDE_ITEM};
    size_t k = 0;
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "candidates[%d]", row);
    if (!hn_json_is(candidate, HN_JSON_OBJECT))
        return refuse(r, "bad_type", path, "expected an object");
    for (HN_JSON_EACH(member, candidate)) {
        if (hn_json_key_is(member, "id") && !is_id(member))
            return fault(r, &at, member, "bad_type", not_an_id);
        if (!take_member(r, &at, member, find_again(r, &at, member, k++))) return false;
    }
    return true;
}

static bool begin(hn_ranking *r, hn_error *err) {
    hn_rank_memory *const m = r->memory;
    const size_t fields = (size_t)hn_request_fields(r->engine->request);
    if (hn_grow(&m->stamps, &m->stamps_capacity, fields + 1, sizeof *m->stamps, err) != HN_OK)
        return false;
    memset(m->stamps, 0, fields * sizeof *m->stamps);
    m->n_names = 0;
    hn_engine_begin(r->engine);
    return !r->scenario ||
           hn_engine_set_scenario(r->engine, r->scenario->text, r->scenario->n, err) == HN_OK;
}

/* A request, its answer and its exposure have one scenario. */
static bool check_scenarios(hn_ranking *r) {
    const uint16_t first = r->n > 0 ? hn_engine_scenario(r->engine, 0) : 0;
    for (int32_t i = 1; i < r->n && !r->lenient; i++) {
        const uint16_t other = hn_engine_scenario(r->engine, i);
        if (other == first) continue;
        const char *const a = hn_engine_scenario_name(r->engine, first),
                          *const b = hn_engine_scenario_name(r->engine, other);
        char path[PATH_BYTES], text[300];
        snprintf(path, sizeof path, "candidates[%d]", (int)i);
        snprintf(text, sizeof text,
                 "found scenario %.100s, and %.100s before it; a request has one scenario",
                 b ? b : "(unknown)", a ? a : "(unknown)");
        return refuse(r, "bad_value", path, text);
    }
    return true;
}

bool hn_rank_rows(hn_ranking *r) {
    static const place user = {"user", HN_REQUEST_SHARED, 1, HN_SIDE_USER},
                       context = {"context", HN_REQUEST_SHARED, 2, HN_SIDE_CONTEXT};
    hn_error err = {0};
    int32_t row = 0;
    if (!begin(r, &err))
        return err.status == HN_BAD_DATA ? refuse(r, "bad_value", "scenario", err.text)
                                         : no_memory(r, &err);
    if (!take_object(r, &user, r->user) || !take_object(r, &context, r->context)) return false;
    if (hn_engine_rows(r->engine, r->n, &err) != HN_OK) return no_memory(r, &err);
    for (HN_JSON_EACH(candidate, r->candidates))
        if (!take_candidate(r, row++, candidate)) return false;
    if (hn_engine_complete(r->engine, r->exchange->deadline_ns, &err) != HN_OK)
        return no_memory(r, &err);
    return check_scenarios(r);
}
