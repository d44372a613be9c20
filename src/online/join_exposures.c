/* Exposures of hn_join (join.h): each line is taken apart into a part of the spool that its
 * items share, a part for each item, and a record for each. A line is used whole or not at all. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "online/join.h"
#include "online/lines.h"

typedef struct taking {
    hn_join_state *join;
    hn_join_shown *shown; /* of the line at hand */
    size_t n, capacity;
    uint64_t nameless; /* of its items */
    hn_text room;      /* cells that are no JSON string */
    const char *file;
    uint64_t number;
} taking;

/* The sentence names file, line and where in the object. */
#define bad(t, err, format, ...)                                                              \
    hn_fail(err, HN_BAD_DATA, "%s:%llu: " format, (t)->file, (unsigned long long)(t)->number, \
            __VA_ARGS__)

/* ---- Cells ----------------------------------------------------------------------------------- */

static const char *kind_of(const json_t *value) {
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list",  [JSON_STRING] = "a string",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a number", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null"};
    return value ? names[json_typeof(value)] : "nothing";
}

static hn_status take_cell(taking *t, int32_t column, const char *where, const json_t *value,
                           hn_error *err) {
    const char *text;
    size_t n;
    if (!hn_json_cell(&text, &n, &t->room, value))
        return bad(t, err,
                   "%.200s: found %s; expected a string, a number, true, false, null, or a "
                   "list of them without \"|\"",
                   where, kind_of(value));
    if (t->room.failed) return hn_no_memory(err, "a cell");
    if (text) hn_join_spool_cell(t->join->spool, column, text, n);
    return HN_OK;
}

/* A string or a whole number, for an id. */
static hn_status id_of(const char **text, size_t *n, taking *t, const char *where,
                       const json_t *value, hn_error *err) {
    if ((json_is_string(value) && json_string_length(value) > 0) || json_is_integer(value))
        if (hn_json_cell(text, n, &t->room, value) && !t->room.failed) return HN_OK;
    if (t->room.failed) return hn_no_memory(err, "a cell");
    return bad(t, err, "%s: found %s; expected a string that is not empty, or a whole number",
               where, json_is_string(value) ? "an empty string" : kind_of(value));
}

static hn_status take_object(taking *t, hn_join_group group, const char *where,
                             const json_t *object, hn_error *err) {
    const char *key;
    json_t *value;
    if (!object || json_is_null(object)) return HN_OK;
    if (!json_is_object(object))
        return bad(t, err, "%s: found %s; expected an object", where, kind_of(object));
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        int32_t column;
        HN_TRY(hn_join_column_of(&column, &t->join->columns, group, key, err));
        if (column < 0) continue;
        char place[300];
        snprintf(place, sizeof place, "%s.%.200s", where, key);
        HN_TRY(take_cell(t, column, place, value, err));
    }
    return HN_OK;
}

/* ---- A line ------------------------------------------------------------------------------------
 */

static hn_status take_time(int64_t *out, taking *t, const json_t *value, hn_error *err) {
    const char *text;
    size_t n;
    if (json_is_number(value) && hn_json_cell(&text, &n, &t->room, value) && !t->room.failed &&
        hn_join_time(out, text, n)) {
        hn_join_spool_cell(t->join->spool, HN_JOIN_TIME, text, n);
        return HN_OK;
    }
    return bad(t, err, "time_ms: found %s; expected milliseconds since 1970", kind_of(value));
}

/* What its items share; `shown` becomes their record, but for the item. */
static hn_status take_shared(taking *t, hn_join_shown *shown, const json_t *line, hn_error *err) {
    static const struct {
        const char *name;
        int32_t column;
    } plain[] = {{"user", HN_JOIN_USER},
                 {"scenario", HN_JOIN_SCENARIO},
                 {"model", HN_JOIN_MODEL},
                 {"version", HN_JOIN_VERSION}};
    const char *id;
    size_t n;
    shown->shared = hn_join_spool_begin(t->join->spool);
    HN_TRY(id_of(&id, &n, t, "request_id", json_object_get(line, "request_id"), err));
    hn_join_request_hash(shown->request, id, n);
    hn_join_spool_cell(t->join->spool, HN_JOIN_REQUEST, id, n);
    HN_TRY(take_time(&shown->time_ms, t, json_object_get(line, "time_ms"), err));
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        HN_TRY(take_cell(t, plain[i].column, plain[i].name, json_object_get(line, plain[i].name),
                         err));
    HN_TRY(take_object(t, HN_JOIN_ARMS, "arms", json_object_get(line, "arms"), err));
    HN_TRY(take_object(t, HN_JOIN_OF_USER, "user_features", json_object_get(line, "user_features"),
                       err));
    return take_object(t, HN_JOIN_OF_CONTEXT, "context", json_object_get(line, "context"), err);
}

static hn_status take_position(hn_join_shown *shown, taking *t, const char *where,
                               const json_t *value, hn_error *err) {
    char text[24];
    shown->position = shown->index + 1;
    if (json_is_integer(value) && json_integer_value(value) >= 0 &&
        json_integer_value(value) <= INT32_MAX)
        shown->position = (int32_t)json_integer_value(value);
    else if (value && !json_is_null(value))
        return bad(t, err, "%s.position: found %s; expected a whole number from 0", where,
                   kind_of(value));
    const int n = snprintf(text, sizeof text, "%d", shown->position);
    hn_join_spool_cell(t->join->spool, HN_JOIN_POSITION, text, (size_t)n);
    return HN_OK;
}

static hn_status take_item(taking *t, hn_join_shown shown, const json_t *item, hn_error *err) {
    char where[40], place[60];
    const char *id;
    size_t n;
    snprintf(where, sizeof where, "items[%d]", shown.index);
    if (!json_is_object(item))
        return bad(t, err, "%s: found %s; expected an object", where, kind_of(item));
    /* a candidate that was sent without an id: no event can be its */
    if (json_is_null(json_object_get(item, "id"))) return t->nameless++, HN_OK;
    snprintf(place, sizeof place, "%s.id", where);
    HN_TRY(id_of(&id, &n, t, place, json_object_get(item, "id"), err));
    shown.own = hn_join_spool_begin(t->join->spool);
    shown.item = hn_join_item_hash(id, n);
    hn_join_spool_cell(t->join->spool, HN_JOIN_ITEM, id, n);
    HN_TRY(take_position(&shown, t, where, json_object_get(item, "position"), err));
    snprintf(place, sizeof place, "%s.features", where);
    shown.bare = shown.bare && !json_object_get(item, "features");
    HN_TRY(take_object(t, HN_JOIN_OF_ITEM, place, json_object_get(item, "features"), err));
    HN_TRY(hn_grow(&t->shown, &t->capacity, t->n + 1, sizeof *t->shown, err));
    t->shown[t->n++] = shown;
    return HN_OK;
}

static hn_status take_parsed(taking *t, const json_t *line, hn_error *err) {
    const json_t *const items = json_object_get(line, "items");
    hn_join_shown shown = {.line = t->join->lines};
    size_t index;
    const json_t *item;
    if (!json_is_object(line))
        return bad(t, err, "found %s; expected an exposure, {\"request_id\": …}", kind_of(line));
    if (!json_is_array(items))
        return bad(t, err, "items: found %s; expected a list", kind_of(items));
    HN_TRY(take_shared(t, &shown, line, err));
    shown.bare = !json_object_get(line, "user_features") && !json_object_get(line, "context");
    json_array_foreach(items, index, item) {
        shown.index = (int32_t)index;
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
    json_error_t why;
    json_t *const json = json_loadb(line, n, JSON_REJECT_DUPLICATES, &why);
    if (!json)
        return hn_fail(err, HN_BAD_DATA, "%s:%llu:%d: %s; expected one JSON object a line", t->file,
                       (unsigned long long)t->number, why.column, why.text);
    const hn_status status = take_parsed(t, json, err);
    json_decref(json);
    return status;
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
    const hn_join_shown *const first = t->shown;
    join->lines++;
    join->nameless += t->nameless;
    join->items += first->index < 0 ? 0 : t->n;
    if (first->time_ms < join->first_ms) join->first_ms = first->time_ms;
    if (first->time_ms > join->last_ms) join->last_ms = first->time_ms;
    HN_TRY(hn_join_spool_flush(join->spool, false, err));
    return hn_sorter_add(join->shown, t->shown, t->n, err);
}

/* ---- The files
 * ----------------------------------------------------------------------------------- */

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
    hn_free(t.shown);
    return status;
}
