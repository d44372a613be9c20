/* An exposure into rows (replay.h), by the rules by which rank.c makes them of a request: the
 * logged features are what the request and the store gave, the bundle's tables fill in the
 * rest. */
#include <stdio.h>
#include <string.h>

#include "online/join.h"
#include "serve/replay.h"

typedef struct putting {
    hn_engine *engine;
    const hn_replay_line *line;
    int32_t without;
    hn_text *room;
    uint64_t *unknown;
} putting;

static hn_status bad(const putting *p, const char *where, const char *what, hn_error *err) {
    return hn_fail(err, HN_BAD_DATA, "%s:%llu:1: %s: %s", p->line->file,
                   (unsigned long long)p->line->number, where, what);
}

/* A list by the column's own delimiter; else as any cell. False: no cell can be made. */
static bool cell_of(hn_join_cell *out, const putting *p, int32_t field, const hn_json_node *value) {
    const char *const delimiter = hn_request_delimiter(p->engine->request, field);
    if (!hn_json_is(value, HN_JSON_LIST) || !delimiter)
        return hn_join_node_cell(out, p->room, value);
    hn_text joined = {0}, one = {0};
    bool fine = true;
    for (HN_JSON_EACH(item, value)) {
        if (item->kind == HN_JSON_LIST || !hn_join_node_cell(out, &one, item)) fine = false;
        if (!fine || !out->text) continue;
        if (joined.length > 0) hn_text_bytes(&joined, delimiter, strlen(delimiter));
        hn_text_bytes(&joined, out->text, out->n);
    }
    hn_text_free(&one);
    hn_text_free(p->room);
    *p->room = joined;
    *out = (hn_join_cell){joined.text, joined.length};
    return fine;
}

static hn_status put(const putting *p, int32_t row, int32_t field, const char *where,
                     const hn_json_node *value, hn_error *err) {
    hn_join_cell cell;
    hn_error why = {0};
    if (!cell_of(&cell, p, field, value))
        return bad(p, where, "found an object; expected a string, a number or a list", err);
    if (p->room->failed) return hn_no_memory(err, "a cell");
    const hn_status status =
        hn_request_set(p->engine->request, row, field, cell.text, cell.n, &why);
    if (status == HN_BAD_DATA) return bad(p, where, why.text, err);
    return status == HN_OK ? HN_OK : hn_fail(err, status, "%s", why.text);
}

static bool is_wanted(const putting *p, int32_t field) {
    if (p->without == HN_REPLAY_NO_TABLES)
        return hn_request_field_table(p->engine->request, field) < 0;
    return p->without != field;
}

static hn_status put_object(const putting *p, int32_t row, const char *where,
                            const hn_json_node *object, hn_error *err) {
    if (!object || object->kind == HN_JSON_NULL) return HN_OK;
    if (object->kind != HN_JSON_OBJECT) return bad(p, where, "expected an object", err);
    for (HN_JSON_EACH(value, object)) {
        const int32_t field = hn_request_field(p->engine->request, value->key, value->key_bytes);
        char place[300];
        if (field < 0) ++*p->unknown;
        if (field < 0 || !is_wanted(p, field)) continue;
        snprintf(place, sizeof place, "%s.%.*s", where,
                 (int)(value->key_bytes < 200 ? value->key_bytes : 200), value->key);
        HN_TRY(put(p, row, field, place, value, err));
    }
    return HN_OK;
}

static hn_status put_id(const putting *p, int32_t row, hn_side side, const char *where,
                        const hn_json_node *id, hn_error *err) {
    const int32_t field = hn_request_id_field(p->engine->request, side);
    return field < 0 || !id ? HN_OK : put(p, row, field, where, id, err);
}

/* One that the model did not know is logged as null: it was given all the same, and no table was
 * asked. */
static bool was_unknown(const hn_json_node *line) {
    const hn_json_node *const flags = hn_json_member(line, "flags");
    if (!hn_json_is(flags, HN_JSON_LIST)) return false;
    for (HN_JSON_EACH(flag, flags))
        if (hn_json_text_is(flag, "unknown_scenario")) return true;
    return false;
}

static hn_status put_scenario(const putting *p, uint16_t *scenario, bool *given, hn_error *err) {
    hn_request *const q = p->engine->request;
    hn_join_cell named;
    const char *cell;
    if (!hn_join_node_cell(&named, p->room, hn_json_member(p->line->json, "scenario")))
        return bad(p, "scenario", "expected a string", err);
    *given = named.text != NULL || was_unknown(p->line->json);
    *scenario = hn_request_scenario(q, named.text, named.n, &cell);
    const int32_t field = hn_request_scenario_field(q);
    if (!cell || field < 0 || !is_wanted(p, field)) return HN_OK;
    return hn_request_set(q, HN_REQUEST_SHARED, field, cell, strlen(cell), err);
}

hn_status hn_replay_rows(hn_engine *engine, const hn_replay_line *line, int32_t without,
                         hn_text *room, uint64_t *unknown, hn_error *err) {
    const putting p = {engine, line, without, room, unknown};
    hn_request *const q = engine->request;
    uint16_t scenario = 0;
    bool given = false;
    hn_request_begin(q);
    HN_TRY(put_scenario(&p, &scenario, &given, err));
    HN_TRY(put_id(&p, HN_REQUEST_SHARED, HN_SIDE_USER, "user", hn_json_member(line->json, "user"),
                  err));
    HN_TRY(put_object(&p, HN_REQUEST_SHARED, "user_features",
                      hn_json_member(line->json, "user_features"), err));
    HN_TRY(
        put_object(&p, HN_REQUEST_SHARED, "context", hn_json_member(line->json, "context"), err));
    HN_TRY(hn_request_rows(q, line->n, scenario, err));
    for (int32_t i = 0; i < line->n; i++) {
        const hn_json_node *const item = line->items[i];
        char where[60];
        snprintf(where, sizeof where, "items[%d].id", i);
        HN_TRY(put_id(&p, i, HN_SIDE_ITEM, where, hn_json_member(item, "id"), err));
        snprintf(where, sizeof where, "items[%d].features", i);
        HN_TRY(put_object(&p, i, where, hn_json_member(item, "features"), err));
    }
    if (!given) hn_request_join_scenario(q);
    return HN_OK;
}
