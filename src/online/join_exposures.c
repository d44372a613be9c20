/* Exposures of hn_join (join.h): each line is taken apart into a part of the spool that its
 * items share, a part for each item, and a record for each. A line is used whole or not at all. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "online/join.h"
#include "online/lines.h"

typedef struct taking {
    hn_join_state *join;
    hn_json json;
    hn_join_shown *shown; /* of the line at hand */
    size_t n, capacity;
    uint64_t nameless; /* of its items */
    hn_text room;      /* cells that are not as they stand in the line */
    const char *file;
    uint64_t number;
} taking;

/* The sentence names file, line and where in the object. */
#define bad(t, err, format, ...)                                                              \
    hn_fail(err, HN_BAD_DATA, "%s:%llu: " format, (t)->file, (unsigned long long)(t)->number, \
            __VA_ARGS__)

/* ---- Cells ----------------------------------------------------------------------------------- */

static hn_status take_cell(taking *t, int32_t column, const char *where, const hn_json_node *value,
                           hn_error *err) {
    enum { NAME_SHOWN = 100 };
    hn_join_cell cell;
    if (!hn_join_node_cell(&cell, &t->room, value)) {
        const uint32_t n = value->key_bytes < NAME_SHOWN ? value->key_bytes : NAME_SHOWN;
        return bad(t, err,
                   "%s%s%.*s: found %s; expected a string, a number, true, false, null, or a "
                   "list of them without \"|\"",
                   where, where[0] ? "." : "", (int)n, value->key, hn_join_kind_name(value));
    }
    if (t->room.failed) return hn_no_memory(err, "a cell");
    if (cell.text) hn_join_spool_cell(t->join->spool, column, cell.text, cell.n);
    return HN_OK;
}

/* A string or a number, for an id, as the server reads one. */
static hn_status id_of(hn_join_cell *out, taking *t, const char *where, const hn_json_node *value,
                       hn_error *err) {
    const bool empty = hn_json_is(value, HN_JSON_STRING) && value->n == 0;
    *out = (hn_join_cell){0};
    const bool fits = hn_json_is(value, HN_JSON_STRING) || hn_json_is(value, HN_JSON_NUMBER);
    if (fits && !empty && hn_join_node_cell(out, &t->room, value))
        return t->room.failed ? hn_no_memory(err, "an id") : HN_OK;
    return bad(t, err, "%s: found %s; expected a string that is not empty, or a number", where,
               empty ? "an empty string" : hn_join_kind_name(value));
}

static bool is_column_name(const char *name, size_t n) {
    enum { NAME_BYTES_MAX = 200 };
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < ' ') return false;
    return n > 0 && n <= NAME_BYTES_MAX;
}

static hn_status take_object(taking *t, hn_join_group group, const char *where,
                             const hn_json_node *object, hn_error *err) {
    if (!object || object->kind == HN_JSON_NULL) return HN_OK;
    if (object->kind != HN_JSON_OBJECT)
        return bad(t, err, "%s: found %s; expected an object", where, hn_join_kind_name(object));
    for (HN_JSON_EACH(member, object)) {
        int32_t column;
        if (!is_column_name(member->key, member->key_bytes))
            return bad(t, err,
                       "%s: found a name of %u bytes; expected 1 to 200 without control characters",
                       where, (unsigned)member->key_bytes);
        HN_TRY(hn_join_column_of(&column, &t->join->columns, group, member->key, member->key_bytes,
                                 err));
        if (column >= 0) HN_TRY(take_cell(t, column, where, member, err));
    }
    return HN_OK;
}

/* ---- A line -------------------------------------------------------------------------------- */

static hn_status take_time(int64_t *out, taking *t, const hn_json_node *value, hn_error *err) {
    char text[24];
    if (!hn_json_is(value, HN_JSON_NUMBER) || !hn_join_time(out, value->text, value->n))
        return bad(t, err, "time_ms: found %s; expected milliseconds since 1970",
                   hn_join_kind_name(value));
    const int n = snprintf(text, sizeof text, "%lld", (long long)*out);
    hn_join_spool_cell(t->join->spool, HN_JOIN_TIME, text, (size_t)n);
    return HN_OK;
}

/* What its items share; `shown` becomes their record, but for the item. */
static hn_status take_shared(taking *t, hn_join_shown *shown, const hn_json_node *line,
                             hn_error *err) {
    static const int32_t plain[] = {HN_JOIN_USER, HN_JOIN_SCENARIO, HN_JOIN_MODEL, HN_JOIN_VERSION};
    const hn_json_node *const user = hn_json_member(line, "user_features"), *const context =
                                                                                hn_json_member(
                                                                                    line,
                                                                                    "context");
    hn_join_cell id;
    shown->shared = hn_join_spool_begin(t->join->spool);
    shown->bare = !user && !context;
    HN_TRY(id_of(&id, t, "request_id", hn_json_member(line, "request_id"), err));
    hn_join_request_hash(shown->request, id.text, id.n);
    hn_join_spool_cell(t->join->spool, HN_JOIN_REQUEST, id.text, id.n);
    HN_TRY(take_time(&shown->time_ms, t, hn_json_member(line, "time_ms"), err));
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        const hn_json_node *const value = hn_json_member(line, hn_join_fixed[plain[i]]);
        if (value) HN_TRY(take_cell(t, plain[i], "", value, err));
    }
    HN_TRY(take_object(t, HN_JOIN_ARMS, "arms", hn_json_member(line, "arms"), err));
    HN_TRY(take_object(t, HN_JOIN_OF_USER, "user_features", user, err));
    return take_object(t, HN_JOIN_OF_CONTEXT, "context", context, err);
}

static hn_status take_position(hn_join_shown *shown, taking *t, const char *where,
                               const hn_json_node *value, hn_error *err) {
    char text[24];
    int64_t position = (int64_t)shown->index + 1;
    if (value && value->kind != HN_JSON_NULL &&
        (!hn_json_whole(&position, value) || position < 0 || position > INT32_MAX))
        return bad(t, err, "%s.position: found %s; expected a whole number from 0", where,
                   hn_join_kind_name(value));
    shown->position = (int32_t)position;
    const int n = snprintf(text, sizeof text, "%d", shown->position);
    hn_join_spool_cell(t->join->spool, HN_JOIN_POSITION, text, (size_t)n);
    return HN_OK;
}

static hn_status take_item(taking *t, hn_join_shown shown, const hn_json_node *item,
                           hn_error *err) {
    const hn_json_node *const name = hn_json_member(item, "id"), *const features = hn_json_member(
                                                                     item, "features");
    char where[40], place[60];
    hn_join_cell id;
    snprintf(where, sizeof where, "items[%d]", shown.index);
    if (item->kind != HN_JSON_OBJECT)
        return bad(t, err, "%s: found %s; expected an object", where, hn_join_kind_name(item));
    /* a candidate that was sent without an id: no event can be its */
    if (hn_json_is(name, HN_JSON_NULL) || hn_json_text_is(name, "")) return t->nameless++, HN_OK;
    snprintf(place, sizeof place, "%s.id", where);
    HN_TRY(id_of(&id, t, place, name, err));
    shown.own = hn_join_spool_begin(t->join->spool);
    shown.item = hn_join_item_hash(id.text, id.n);
    hn_join_spool_cell(t->join->spool, HN_JOIN_ITEM, id.text, id.n);
    HN_TRY(take_position(&shown, t, where, hn_json_member(item, "position"), err));
    snprintf(place, sizeof place, "%s.features", where);
    shown.bare = shown.bare && !features;
    HN_TRY(take_object(t, HN_JOIN_OF_ITEM, place, features, err));
    HN_TRY(hn_grow(&t->shown, &t->capacity, t->n + 1, sizeof *t->shown, err));
    t->shown[t->n++] = shown;
    return HN_OK;
}

static hn_status take_parsed(taking *t, const hn_json_node *line, hn_error *err) {
    const hn_json_node *const items = hn_json_member(line, "items");
    hn_join_shown shown = {.line = t->join->lines, .index = -1};
    if (line->kind != HN_JSON_OBJECT)
        return bad(t, err, "found %s; expected an exposure, {\"request_id\": …}",
                   hn_join_kind_name(line));
    if (!hn_json_is(items, HN_JSON_LIST))
        return bad(t, err, "items: found %s; expected a list", hn_join_kind_name(items));
    HN_TRY(take_shared(t, &shown, line, err));
    for (HN_JSON_EACH(item, items)) {
        shown.index++;
        HN_TRY(take_item(t, shown, item, err));
    }
    /* a request that showed nothing still makes later ones with its id duplicates */
    if (t->n > 0) return HN_OK;
    HN_TRY(hn_grow(&t->shown, &t->capacity, 1, sizeof *t->shown, err));
    shown.index = -1;
    t->shown[t->n++] = shown;
    return HN_OK;
}

static hn_status parse(taking *t, const char *line, size_t n, hn_error *err) {
    HN_TRY(hn_join_json_read(&t->json, t->file, t->number, line, n, err));
    return take_parsed(t, t->json.nodes, err);
}

static hn_status take_line(void *user, const char *line, size_t n, const char *file,
                           uint64_t number, hn_error *err) {
    taking *const t = user;
    hn_join_state *const join = t->join;
    const int32_t columns = join->columns.n;
    hn_error why = {0};
    if (hn_stopped(join->run)) return hn_fail(err, HN_INTERRUPTED, "join: stopped by request");
    t->file = file;
    t->number = number;
    t->n = t->nameless = 0;
    const uint64_t begin = hn_join_spool_end(join->spool);
    const hn_status status = parse(t, line, n, &why);
    if (status != HN_OK) {
        hn_join_spool_back(join->spool, begin);
        hn_join_columns_cut(&join->columns, columns);
        return hn_join_bad_line(join, &why, err);
    }
    hn_join_columns_keep(&join->columns);
    const hn_join_shown *const first = t->shown;
    join->lines++;
    join->nameless += t->nameless;
    join->items += first->index < 0 ? 0 : t->n;
    if (first->time_ms < join->first_ms) join->first_ms = first->time_ms;
    if (first->time_ms > join->last_ms) join->last_ms = first->time_ms;
    HN_TRY(hn_join_spool_flush(join->spool, false, err));
    return hn_sorter_add(join->shown, t->shown, t->n, err);
}

/* ---- The files ----------------------------------------------------------------------------- */

static bool is_part(const char *file) {
    const size_t n = strlen(file);
    return n >= 5 && memcmp(file + n - 5, ".part", 5) == 0;
}

/* The file that a server writes, or was killed over, ends anywhere. */
hn_status hn_join_read_exposures(hn_join_state *join, const char *const *files, size_t n,
                                 hn_error *err) {
    taking t = {.join = join};
    hn_status status = HN_OK;
    for (size_t i = 0; i < n && status == HN_OK; i++)
        status = hn_lines_read(&files[i], 1, is_part(files[i]), take_line, &t, err);
    if (status == HN_OK) status = hn_join_spool_flush(join->spool, true, err);
    hn_text_free(&t.room);
    hn_json_free(&t.json);
    hn_free(t.shown);
    return status;
}
