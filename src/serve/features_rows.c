/* Rows of a table to commands (features_rows.h). The rules of cells are the reader's: the
 * same walker, the same texts that mean "no value"; what is wrong is said in its words. */
#include "serve/features_rows.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "data/show.h"

typedef struct hn_feature_cell {
    size_t begin, n;
    bool there;
} hn_feature_cell;

typedef struct maker {
    hn_feature_rows *out;
    const hn_feature_format *format;
    const hn_columns *columns;
    uint64_t line;
    size_t begin; /* of the row at hand */
} maker;

static bool no_memory(hn_feature_rows *out) {
    out->status = HN_NO_MEMORY;
    out->n = 0; /* their text is gone */
    snprintf(out->bad, sizeof out->bad, "out of memory for the commands of a table");
    return false;
}

static bool bad(maker *m, size_t at, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool bad(maker *m, size_t at, const char *format, ...) {
    hn_feature_rows *const out = m->out;
    size_t begin = m->begin;
    out->status = HN_BAD_DATA;
    out->bad_line = m->line;
    for (size_t i = begin; i < at; i++) {
        if (out->walker.text[i] != '\n') continue;
        begin = i + 1;
        out->bad_line++;
    }
    out->bad_column = at - begin + 1;
    va_list args;
    va_start(args, format);
    vsnprintf(out->bad, sizeof out->bad, format, args);
    va_end(args);
    return false;
}

static bool bad_field(maker *m) {
    const hn_walker *const w = &m->out->walker;
    char shown[HN_SHOW_BYTES];
    if (w->fault == HN_FIELD_UNCLOSED)
        return bad(
            m, w->fault_at,
            "found a quote that is never closed; expected another before the end of the file "
            "(`quote: \"\"` reads quotes as ordinary text)");
    return bad(
        m, w->fault_at, "found \"%s\" after a closing quote; expected %s or the end of the line",
        hn_show(shown, w->text + w->fault_at, w->end - w->fault_at), hn_dialect_show(w->dialect));
}

static bool is_missing(const hn_strings *missing, const char *text, size_t n) {
    if (n == 0) return true;
    for (int32_t i = 0; i < missing->n; i++)
        if (strlen(missing->items[i]) == n && memcmp(missing->items[i], text, n) == 0) return true;
    return false;
}

/* The walker's text of a cell lives until the next one, so all are copied. */
static bool take_cells(maker *m) {
    hn_feature_rows *const out = m->out;
    hn_walker *const w = &out->walker;
    const int32_t columns = m->columns->names.n;
    int32_t column = 0;
    size_t surplus = 0;
    hn_field_end end;
    out->cells.length = 0;
    do {
        end = hn_walker_next(w);
        if (w->fault != HN_FIELD_FINE) return bad_field(m);
        if (column == columns) surplus = w->begin;
        if (column < columns) {
            const bool there = !is_missing(&m->format->source->missing, w->field, w->field_n);
            out->row[column] = (hn_feature_cell){out->cells.length, w->field_n, there};
            hn_text_bytes(&out->cells, w->field, w->field_n);
        }
        column++;
    } while (end == HN_FIELD_MORE);
    if (w->no_memory || out->cells.failed) return no_memory(out);
    if (column != columns)
        return bad(m, column > columns ? surplus : w->end,
                   "found %d field%s; expected %d, as in the %s", column, column == 1 ? "" : "s",
                   columns, m->format->source->columns.n == 0 ? "header" : "config's `columns`");
    return out->row[m->format->key].there ||
           bad(m, m->begin, "found no key; expected one in every row of a table");
}

static bool add_command(maker *m, int argc) {
    hn_feature_rows *const out = m->out;
    char *command = NULL;
    const int n = redisFormatCommandArgv(&command, argc, out->argv, out->bytes);
    if (n < 0 ||
        hn_grow(&out->items, &out->capacity, out->n + 1, sizeof *out->items, NULL) != HN_OK) {
        if (n >= 0) redisFreeCommand(command);
        return no_memory(out);
    }
    hn_text_bytes(&out->commands, command, (size_t)n);
    redisFreeCommand(command);
    out->items[out->n++] = (hn_feature_command){m->line, out->commands.length};
    return !out->commands.failed || no_memory(out);
}

static void push(hn_feature_rows *out, int *argc, const char *text, size_t n) {
    out->argv[*argc] = text;
    out->bytes[(*argc)++] = n;
}

/* HSET of the cells that are there, or HDEL of the others. */
static bool add_cells(maker *m, const char *key, size_t key_bytes, bool there) {
    hn_feature_rows *const out = m->out;
    int argc = 0;
    push(out, &argc, there ? "HSET" : "HDEL", 4);
    push(out, &argc, key, key_bytes);
    for (int32_t c = 0; c < m->columns->names.n; c++) {
        const hn_feature_cell *const cell = &out->row[c];
        if (cell->there != there) continue;
        push(out, &argc, m->columns->names.items[c], strlen(m->columns->names.items[c]));
        if (there) push(out, &argc, out->cells.text + cell->begin, cell->n);
    }
    return argc == 2 || add_command(m, argc);
}

static bool add_expiry(maker *m, const char *key, size_t key_bytes) {
    char seconds[24];
    int argc = 0;
    if (m->format->expire_seconds == 0) return true;
    const int n = snprintf(seconds, sizeof seconds, "%" PRId64, m->format->expire_seconds);
    push(m->out, &argc, "EXPIRE", 6);
    push(m->out, &argc, key, key_bytes);
    push(m->out, &argc, seconds, (size_t)n);
    return add_command(m, argc);
}

static bool add_row(maker *m) {
    hn_feature_rows *const out = m->out;
    const hn_feature_cell key = out->row[m->format->key];
    const size_t at = out->cells.length, prefix = strlen(m->format->prefix);
    hn_text_bytes(&out->cells, m->format->prefix, prefix);
    for (size_t i = 0; i < key.n; i += 256) { /* pieces: the text may move while it grows */
        char piece[256];
        const size_t n = key.n - i < sizeof piece ? key.n - i : sizeof piece;
        if (out->cells.failed) break;
        memcpy(piece, out->cells.text + key.begin + i, n);
        hn_text_bytes(&out->cells, piece, n);
    }
    if (out->cells.failed) return no_memory(out);
    out->rows++;
    const char *const name = out->cells.text + at;
    const size_t n = prefix + key.n;
    return add_cells(m, name, n, true) && add_cells(m, name, n, false) && add_expiry(m, name, n);
}

static bool reserve(maker *m) {
    hn_feature_rows *const out = m->out;
    const size_t columns = (size_t)m->columns->names.n;
    return (hn_grow(&out->row, &out->row_capacity, columns + 1, sizeof *out->row, NULL) == HN_OK &&
            hn_grow(&out->argv, &out->argv_capacity, 2 * columns + 3, sizeof *out->argv, NULL) ==
                HN_OK &&
            hn_grow(&out->bytes, &out->bytes_capacity, 2 * columns + 3, sizeof *out->bytes, NULL) ==
                HN_OK) ||
           no_memory(out);
}

void hn_feature_rows_make(hn_feature_rows *out, const hn_feature_format *format,
                          const hn_columns *columns, const char *text, size_t n) {
    maker m = {.out = out, .format = format, .columns = columns};
    hn_walker *const w = &out->walker;
    out->commands.length = out->n = 0;
    out->rows = out->lines = 0;
    out->status = HN_OK;
    hn_walker_begin(w, &columns->dialect, text, n);
    bool fine = reserve(&m);
    while (fine && w->at < w->n) {
        if (hn_walker_skip_empty(w)) continue;
        m.line = w->line;
        m.begin = w->at;
        fine = take_cells(&m) && add_row(&m);
    }
    out->lines = w->line;
}

void hn_feature_rows_free(hn_feature_rows *rows) {
    hn_text_free(&rows->commands);
    hn_text_free(&rows->cells);
    hn_free(rows->items);
    hn_free(rows->row);
    hn_free(rows->argv);
    hn_free(rows->bytes);
    hn_walker_free(&rows->walker);
}
