/* Events of hn_join (join.h): CSV with a header, or JSON lines, told apart by their first byte that
 * is no blank ("{"). Members or columns: request_id; item or item_id; time_ms; value or
 * revenue, which may be missing. Read in one pass, so that a pipe will do. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/bytes.h"
#include "data/csv.h"
#include "data/digest.h"
#include "online/join.h"

enum { READ_BYTES = 1 << 20, ROW_BYTES_MAX = 64 << 20, SHOWN_BYTES = 60 };
typedef enum field { REQUEST, ITEM, TIME, VALUE, FIELDS } field;

static const char *const names[FIELDS][2] = {{"request_id", "request_id"},
                                             {"item", "item_id"},
                                             {"time_ms", "time_ms"},
                                             {"value", "revenue"}};

typedef struct reading {
    hn_join_state *join;
    int32_t event;
    const char *file;
    uint64_t line;  /* of the row at hand */
    uint64_t lines; /* before the text at hand */
    bool started, is_json;
    hn_json json;
    hn_text room;
    int32_t at[FIELDS];   /* column of the file; -1: absent */
    int32_t columns;      /* 0: no header yet */
    hn_text kept[FIELDS]; /* the row's fields */
    bool has[FIELDS];
    char *text;
    size_t n, capacity;
} reading;

/* ---- An event ------------------------------------------------------------------------------ */

/* Where a field stands, for a sentence: ":3" with columns, ": time_ms" in JSON. */
static hn_status bad_field(const reading *r, field f, const char *expected, hn_error *err) {
    char found[SHOWN_BYTES + 12] = "nothing", column[24] = "";
    const hn_text *const kept = &r->kept[f];
    if (r->has[f] && kept->length > 0)
        snprintf(found, sizeof found, "\"%.*s\"", SHOWN_BYTES, kept->text);
    if (!r->is_json && r->at[f] >= 0) snprintf(column, sizeof column, ":%d", (int)r->at[f] + 1);
    return hn_fail(err, HN_BAD_DATA, "%s:%llu%s: %s: found %s; expected %s", r->file,
                   (unsigned long long)r->line, column, names[f][0], found, expected);
}

static hn_status event_of(hn_join_happened *out, const reading *r, hn_error *err) {
    const hn_text *const k = r->kept;
    *out = (hn_join_happened){.value = NAN, .event = r->event};
    if (!r->has[REQUEST] || k[REQUEST].length == 0)
        return bad_field(r, REQUEST, "the id of a request", err);
    if (!r->has[ITEM] || k[ITEM].length == 0) return bad_field(r, ITEM, "the id of an item", err);
    if (!r->has[TIME] || !hn_join_time(&out->time_ms, k[TIME].text, k[TIME].length))
        return bad_field(r, TIME, "milliseconds since 1970", err);
    if (r->has[VALUE] && k[VALUE].length > 0 &&
        !hn_cell_number(&out->value, k[VALUE].text, k[VALUE].length))
        return bad_field(r, VALUE, "a number or nothing", err);
    hn_join_request_hash(out->request, k[REQUEST].text, k[REQUEST].length);
    out->item = hn_join_item_hash(k[ITEM].text, k[ITEM].length);
    return HN_OK;
}

static hn_status take_event(const reading *r, hn_error *err) {
    hn_join_state *const join = r->join;
    hn_join_event_counts *const counts = &join->counts[r->event];
    hn_join_happened event;
    hn_error why = {0};
    for (int f = 0; f < FIELDS; f++)
        if (r->kept[f].failed) return hn_no_memory(err, "an event");
    if (event_of(&event, r, &why) != HN_OK) return hn_join_bad_line(join, &why, err);
    event.sequence = join->sequence++;
    counts->events++;
    counts->has_value |= !isnan(event.value);
    if (event.time_ms < counts->first_ms) counts->first_ms = event.time_ms;
    if (event.time_ms > counts->last_ms) counts->last_ms = event.time_ms;
    return hn_sorter_add(join->happened, &event, 1, err);
}

static void keep(reading *r, int f, const char *text, size_t n) {
    r->has[f] = text != NULL;
    r->kept[f].length = 0;
    hn_text_bytes(&r->kept[f], text ? text : "", n);
}

/* ---- JSON lines ---------------------------------------------------------------------------- */

static hn_status keep_members(reading *r, const hn_json_node *event, hn_error *err) {
    bool fine = event->kind == HN_JSON_OBJECT;
    for (int f = 0; f < FIELDS; f++) {
        const hn_json_node *value = hn_json_member(event, names[f][0]);
        hn_join_cell cell;
        if (!value) value = hn_json_member(event, names[f][1]);
        fine =
            fine && !hn_json_is(value, HN_JSON_LIST) && hn_join_node_cell(&cell, &r->room, value);
        if (fine) keep(r, f, cell.text, cell.n);
    }
    if (r->room.failed) return hn_no_memory(err, "an event");
    if (fine) return HN_OK;
    return hn_fail(err, HN_BAD_DATA,
                   "%s:%llu: found a member that is a list or an object; expected an event, "
                   "{\"request_id\": …, \"item\": …, \"time_ms\": …}",
                   r->file, (unsigned long long)r->line);
}

static hn_status take_json(reading *r, const char *line, size_t n, hn_error *err) {
    hn_error why = {0};
    hn_status status = hn_join_json_read(&r->json, r->file, r->line, line, n, &why);
    if (status == HN_OK) status = keep_members(r, r->json.nodes, &why);
    return status == HN_OK ? take_event(r, err) : hn_join_bad_line(r->join, &why, err);
}

static hn_status take_lines(reading *r, const char *text, size_t n, hn_error *err) {
    for (const char *const end = text + n; text < end;) {
        const char *const newline = memchr(text, '\n', (size_t)(end - text));
        const char *const stop = newline ? newline : end;
        r->line = ++r->lines;
        const size_t length = (size_t)(stop - text);
        const bool blank = length == 0 || (length == 1 && text[0] == '\r');
        if (!blank) HN_TRY(take_json(r, text, length, err));
        text = newline ? newline + 1 : end;
    }
    return HN_OK;
}

/* ---- CSV ----------------------------------------------------------------------------------- */

static bool is_text(const char *name, size_t n, const char *text) {
    return strlen(text) == n && memcmp(name, text, n) == 0;
}

static hn_status take_head(reading *r, const char *name, size_t n, int32_t at, hn_error *err) {
    for (int f = 0; f < FIELDS; f++) {
        if (!is_text(name, n, names[f][0]) && !is_text(name, n, names[f][1])) continue;
        if (r->at[f] >= 0)
            return hn_fail(err, HN_BAD_DATA,
                           "%s:%llu:%d: found \"%.*s\" beside column %d; expected "
                           "one column for it",
                           r->file, (unsigned long long)r->line, (int)at + 1, (int)n, name,
                           (int)r->at[f] + 1);
        r->at[f] = at;
    }
    return HN_OK;
}

static hn_status check_head(const reading *r, hn_error *err) {
    for (int f = 0; f < VALUE; f++)
        if (r->at[f] < 0)
            return hn_fail(err, HN_BAD_DATA,
                           "%s:%llu: there is no column \"%s\" in the header; expected request_id, "
                           "item (or item_id), time_ms, and perhaps value (or revenue)",
                           r->file, (unsigned long long)r->line, names[f][0]);
    return HN_OK;
}

static hn_status end_row(reading *r, int32_t columns, const hn_error *fault, hn_error *err) {
    hn_error why = *fault;
    if (r->columns == 0) {
        if (why.status != HN_OK) return *err = why, why.status;
        r->columns = columns;
        return check_head(r, err);
    }
    if (why.status == HN_OK && columns != r->columns)
        (void)hn_fail(
            &why, HN_BAD_DATA, "%s:%llu:%d: found %d columns; expected %d as in the header",
            r->file, (unsigned long long)r->line,
            (int)(columns < r->columns ? columns : r->columns) + 1, (int)columns, (int)r->columns);
    if (why.status != HN_OK) return hn_join_bad_line(r->join, &why, err);
    return take_event(r, err);
}

static hn_status take_row(reading *r, hn_walker *w, hn_error *err) {
    const bool head = r->columns == 0;
    hn_error fault = {0};
    hn_field_end end;
    int32_t at = 0;
    r->line = r->lines + w->line + 1;
    do {
        end = hn_walker_next(w);
        if (w->no_memory) return hn_no_memory(err, "a field");
        if (w->fault != HN_FIELD_FINE && fault.status == HN_OK)
            (void)hn_fail(&fault, HN_BAD_DATA,
                          "%s:%llu:%d: found a quote out of place; expected it "
                          "around the whole field, doubled within",
                          r->file, (unsigned long long)r->line, (int)at + 1);
        if (head && at < HN_JOIN_COLUMNS_MAX) HN_TRY(take_head(r, w->field, w->field_n, at, err));
        for (int f = 0; f < FIELDS && !head; f++)
            if (r->at[f] == at) keep(r, f, w->field, w->field_n);
        at++;
    } while (end == HN_FIELD_MORE);
    return end_row(r, at, &fault, err);
}

static hn_status take_rows(reading *r, const hn_dialect *dialect, const char *text, size_t n,
                           hn_error *err) {
    hn_walker w = {0};
    hn_status status = HN_OK;
    hn_walker_begin(&w, dialect, text, n);
    while (status == HN_OK && w.at < n)
        if (!hn_walker_skip_empty(&w)) status = take_row(r, &w, err);
    r->lines += w.line;
    hn_walker_free(&w);
    return status;
}

/* ---- Files --------------------------------------------------------------------------------- */

static size_t mark_bytes(const char *text, size_t n) {
    return n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

/* What the file is, from its first bytes; a mark of the byte order is taken away. */
static void start(reading *r, hn_cutter *cutter) {
    const size_t mark = mark_bytes(r->text, r->n);
    memmove(r->text, r->text + mark, r->n - mark);
    r->n -= mark;
    size_t i = 0;
    while (i < r->n && strchr(" \t\r\n", r->text[i]) && r->text[i]) i++;
    r->is_json = i < r->n && r->text[i] == '{';
    const char *const newline = memchr(r->text, '\n', r->n);
    const size_t first = newline ? (size_t)(newline - r->text) : r->n;
    const bool tabs = memchr(r->text, '\t', first) && !memchr(r->text, ',', first);
    *cutter = (hn_cutter){.dialect = {.delimiter_n = 1, .quote = '"'}, .at_field = true};
    cutter->dialect.delimiter[0] = tabs ? '\t' : ',';
    r->started = true;
}

/* The bytes of whole rows. */
static size_t whole_rows(const reading *r, hn_cutter *cutter, bool last) {
    if (!r->is_json) hn_cutter_advance(cutter, r->text, r->n, last);
    if (last) return r->n;
    if (!r->is_json) return cutter->row;
    const char *const newline = memrchr(r->text, '\n', r->n);
    return newline ? (size_t)(newline - r->text) + 1 : 0;
}

static hn_status read_stream(reading *r, hn_bytes *bytes, hn_error *err) {
    hn_cutter cutter;
    for (bool last = false; !last;) {
        size_t got;
        if (hn_stopped(r->join->run))
            return hn_fail(err, HN_INTERRUPTED, "join: stopped by request");
        HN_TRY(hn_grow(&r->text, &r->capacity, r->n + READ_BYTES, 1, err));
        HN_TRY(hn_bytes_read(&got, bytes, r->text + r->n, READ_BYTES, err));
        r->n += got;
        last = got < READ_BYTES;
        if (!r->started) start(r, &cutter);
        const size_t whole = whole_rows(r, &cutter, last);
        if (whole > 0)
            HN_TRY(r->is_json ? take_lines(r, r->text, whole, err)
                              : take_rows(r, &cutter.dialect, r->text, whole, err));
        memmove(r->text, r->text + whole, r->n - whole);
        r->n -= whole;
        if (!last && !r->is_json) hn_cutter_shift(&cutter, whole);
        if (r->n > ROW_BYTES_MAX)
            return hn_fail(err, HN_BAD_DATA,
                           "%s:%llu: found a row of more than %d MiB; is a quote "
                           "not closed?",
                           r->file, (unsigned long long)r->lines + 1, ROW_BYTES_MAX >> 20);
    }
    return HN_OK;
}

static hn_status read_file(hn_join_state *join, int32_t event, const char *file, hn_error *err) {
    hn_bytes *bytes;
    reading r = {.join = join, .event = event, .file = file, .at = {-1, -1, -1, -1}};
    HN_TRY(hn_bytes_open(&bytes, file, err));
    const hn_status status = read_stream(&r, bytes, err);
    if (r.at[VALUE] >= 0) join->counts[event].has_value = true;
    for (int f = 0; f < FIELDS; f++) hn_text_free(&r.kept[f]);
    hn_text_free(&r.room);
    hn_json_free(&r.json);
    hn_free(r.text);
    hn_bytes_close(bytes);
    return status;
}

hn_status hn_join_read_events(hn_join_state *join, int32_t event, hn_error *err) {
    const hn_join_event *const e = &join->options->events[event];
    hn_paths paths;
    HN_TRY(hn_paths_glob(&paths, ".", e->files, e->n_files, err));
    hn_status status = HN_OK;
    for (size_t i = 0; i < paths.n && status == HN_OK; i++)
        status = read_file(join, event, paths.paths[i], err);
    hn_paths_free(&paths);
    return status;
}
