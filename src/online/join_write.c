/* Joined rows to CSV (join.h): RFC 4180, a line feed at the end of each line. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "online/join.h"

enum { WRITE_BYTES = 1 << 18, NAME_BYTES = 1024 };

typedef struct writing {
    hn_join_state *join;
    int32_t *order; /* of the columns found */
    hn_join_cell *cells;
    hn_join_window shared, own;
    hn_text out;
    json_t *taken;   /* names of the header */
    json_t *renames; /* old name → new one, of those not met yet */
    hn_write write;
    void *user;
} writing;

/* ---- Cells --------------------------------------------------------------------------------- */

static void add_cell(hn_text *out, const char *text, size_t n) {
    bool quoted = false;
    for (size_t i = 0; i < n && !quoted; i++)
        quoted = text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r';
    if (!quoted) {
        if (n > 0) hn_text_bytes(out, text, n);
        return;
    }
    hn_text_bytes(out, "\"", 1);
    for (const char *const end = text + n; text < end;) {
        const char *const quote = memchr(text, '"', (size_t)(end - text));
        const size_t run = (size_t)((quote ? quote + 1 : end) - text);
        hn_text_bytes(out, text, run);
        if (quote) hn_text_bytes(out, "\"", 1);
        text += run;
    }
    hn_text_bytes(out, "\"", 1);
}

static hn_status flush(writing *w, size_t least, hn_error *err) {
    if (w->out.failed) return hn_no_memory(err, "a row");
    if (w->out.length < least || w->out.length == 0) return HN_OK;
    const size_t n = w->out.length;
    w->out.length = 0;
    return w->write(w->user, w->out.text, n, err);
}

/* ---- The header ---------------------------------------------------------------------------- */

/* The new name of a column, which `taken` has already; false: it keeps its own. */
static bool rename_to(char text[NAME_BYTES], writing *w) {
    const json_t *const to = json_object_get(w->renames, text);
    if (!to) return false;
    char old[NAME_BYTES];
    snprintf(old, sizeof old, "%s", text);
    snprintf(text, NAME_BYTES, "%s", json_string_value(to));
    (void)json_object_del(w->renames, old);
    return true;
}

/* A name that is taken gets its group before it ("item_position") and, should that be taken
 * too, underscores behind it. */
static hn_status add_name(writing *w, const char *before, const char *name, const char *after,
                          const char *group, hn_error *err) {
    char text[NAME_BYTES];
    snprintf(text, sizeof text - 64, "%s%s%s", before, name, after);
    if (!rename_to(text, w)) {
        if (json_object_get(w->taken, text))
            snprintf(text, sizeof text - 64, "%s_%s%s%s", group, before, name, after);
        for (int i = 0; i < 60 && json_object_get(w->taken, text); i++) {
            const size_t n = strlen(text);
            memcpy(text + n, "_", 2);
        }
        if (!rename_to(text, w) && json_object_set_new(w->taken, text, json_true()) != 0)
            return hn_no_memory(err, "the header");
    }
    if (w->out.length > 0) hn_text_bytes(&w->out, ",", 1);
    add_cell(&w->out, text, strlen(text));
    return HN_OK;
}

static hn_status reserve_renames(writing *w, hn_error *err) {
    const hn_join_options *const o = w->join->options;
    for (size_t i = 0; i < o->n_renames; i++) {
        const char *const equals = strchr(o->renames[i], '=');
        if (json_object_set_new(w->taken, equals + 1, json_true()) != 0 ||
            json_object_setn_new(w->renames, o->renames[i], (size_t)(equals - o->renames[i]),
                                 json_string(equals + 1)) != 0)
            return hn_no_memory(err, "the header");
    }
    return HN_OK;
}

static hn_status check_renames(const writing *w, hn_error *err) {
    const char *name;
    json_t *to;
    json_object_foreach(w->renames, name, to) {
        const char *const near =
            hn_did_you_mean(name, hn_join_fixed, sizeof hn_join_fixed / sizeof *hn_join_fixed);
        return hn_fail(err, HN_USAGE, "join: the log has no column \"%.200s\" to rename%s%s%s",
                       name, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    return HN_OK;
}

/* The tasks' names stand last in the header and come first when names are given out, and so do
 * new names. */
static hn_status reserve(writing *w, hn_error *err) {
    const hn_join_options *const o = w->join->options;
    for (size_t e = 0; e < o->n_events; e++) {
        char value[NAME_BYTES];
        snprintf(value, sizeof value, "%s_value", o->events[e].task);
        if (json_object_set_new(w->taken, o->events[e].task, json_true()) != 0 ||
            json_object_set_new(w->taken, value, json_true()) != 0)
            return hn_no_memory(err, "the header");
    }
    return reserve_renames(w, err);
}

static hn_status write_head(writing *w, hn_error *err) {
    static const char *const groups[HN_JOIN_GROUPS] = {"arm", "user", "context", "item"};
    const hn_join_state *const join = w->join;
    HN_TRY(reserve(w, err));
    for (int c = 0; c < HN_JOIN_FIXED; c++) HN_TRY(add_name(w, "", hn_join_fixed[c], "", "", err));
    for (int32_t i = 0; i < join->columns.n; i++) {
        const hn_join_column *const column = &join->columns.items[w->order[i]];
        HN_TRY(add_name(w, column->group == HN_JOIN_ARMS ? "arm_" : "", column->name, "",
                        groups[column->group], err));
    }
    HN_TRY(check_renames(w, err));
    for (size_t e = 0; e < join->options->n_events; e++) {
        hn_text_bytes(&w->out, ",", 1);
        const char *const task = join->options->events[e].task;
        add_cell(&w->out, task, strlen(task));
        if (!hn_join_has_value(join, e)) continue;
        char value[NAME_BYTES];
        snprintf(value, sizeof value, "%s_value", task);
        hn_text_bytes(&w->out, ",", 1);
        add_cell(&w->out, value, strlen(value));
    }
    hn_text_bytes(&w->out, "\n", 1);
    return HN_OK;
}

/* ---- Rows ---------------------------------------------------------------------------------- */

static void add_outcome(writing *w, size_t event, const hn_join_outcome *outcome) {
    hn_text *const out = &w->out;
    hn_text_bytes(out, ",", 1);
    if (outcome->label >= 0) hn_text_bytes(out, outcome->label ? "1" : "0", 1);
    if (!hn_join_has_value(w->join, event)) return;
    hn_text_bytes(out, ",", 1);
    if (outcome->label == 0) hn_text_bytes(out, "0", 1);
    if (outcome->label != 1 || isnan(outcome->value)) return;
    char number[40];
    const int n = hn_number_show(number, sizeof number, outcome->value);
    hn_text_bytes(out, number, (size_t)n);
}

static hn_status write_row(writing *w, const hn_join_row *row, hn_error *err) {
    const hn_join_state *const join = w->join;
    const int32_t columns = HN_JOIN_FIXED + join->columns.n;
    memset(w->cells, 0, (size_t)columns * sizeof *w->cells);
    HN_TRY(hn_join_spool_read(w->cells, columns, join->spool, &w->shared, row->shared, err));
    HN_TRY(hn_join_spool_read(w->cells, columns, join->spool, &w->own, row->own, err));
    for (int32_t c = 0; c < columns; c++) {
        const int32_t from = c < HN_JOIN_FIXED ? c : HN_JOIN_FIXED + w->order[c - HN_JOIN_FIXED];
        if (c > 0) hn_text_bytes(&w->out, ",", 1);
        add_cell(&w->out, w->cells[from].text, w->cells[from].n);
    }
    for (size_t e = 0; e < join->options->n_events; e++) add_outcome(w, e, &row->outcomes[e]);
    hn_text_bytes(&w->out, "\n", 1);
    return flush(w, WRITE_BYTES, err);
}

static hn_status write_all(writing *w, hn_error *err) {
    hn_join_state *const join = w->join;
    const void *row;
    HN_TRY(hn_join_columns_order(&w->order, &join->columns, err));
    w->cells = hn_alloc((size_t)HN_JOIN_FIXED + (size_t)join->columns.n, sizeof *w->cells);
    w->taken = json_object();
    w->renames = json_object();
    if (!w->cells || !w->taken || !w->renames) return hn_no_memory(err, "the header");
    HN_TRY(write_head(w, err));
    for (uint64_t i = 0;; i++) {
        if (i % 4096 == 0 && hn_stopped(join->run))
            return hn_fail(err, HN_INTERRUPTED, "join: stopped by request");
        HN_TRY(hn_sorter_next(&row, join->rows, err));
        if (!row) break;
        HN_TRY(write_row(w, row, err));
    }
    return flush(w, 0, err);
}

hn_status hn_join_write(hn_join_state *join, hn_write write, void *user, hn_error *err) {
    writing w = {.join = join, .write = write, .user = user};
    const hn_status status = write_all(&w, err);
    hn_free(w.order);
    hn_free(w.cells);
    hn_free(w.shared.bytes);
    hn_free(w.own.bytes);
    hn_text_free(&w.out);
    json_decref(w.taken);
    json_decref(w.renames);
    return status;
}
