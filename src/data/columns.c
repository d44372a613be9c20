/* Header lines: names in, positions out, and messages about columns that are not there. */
#include "data/columns.h"

#include <stdio.h>

#include "base/memory.h"
#include "data/show.h"

/* ---- Reading the header -------------------------------------------------------------- */

static hn_status add_name(hn_columns *c, size_t *capacity, char ***names, hn_arena *arena,
                          const hn_walker *w, hn_error *err) {
    HN_TRY(hn_grow(names, capacity, (size_t)c->names.n + 1, sizeof **names, err));
    (*names)[c->names.n] = hn_arena_strndup(arena, w->field, w->field_n);
    return (*names)[c->names.n++] ? HN_OK : hn_no_memory(err, "a header");
}

static hn_status header_fault(const hn_walker *w, const char *file, hn_error *err) {
    const bool unclosed = w->fault == HN_FIELD_UNCLOSED;
    return hn_fail(err, HN_BAD_DATA,
                   "%s:1:%zu: found %s in the header; expected column names between delimiters",
                   file, w->fault_at + 1,
                   unclosed ? "a quote that is never closed" : "text after a closing quote");
}

static hn_status walk_header(hn_columns *c, char ***names, hn_arena *arena, hn_walker *w,
                             hn_error *err) {
    size_t capacity = 0;
    hn_field_end end = HN_FIELD_MORE;
    while (end == HN_FIELD_MORE) {
        end = hn_walker_next(w);
        if (w->no_memory) return hn_no_memory(err, "a header");
        if (w->fault != HN_FIELD_FINE) return header_fault(w, c->file, err);
        HN_TRY(add_name(c, &capacity, names, arena, w, err));
    }
    c->names.items = hn_arena_alloc(arena, (size_t)c->names.n, sizeof *c->names.items);
    if (!c->names.items) return hn_no_memory(err, "a header");
    memcpy(c->names.items, *names, (size_t)c->names.n * sizeof **names);
    return HN_OK;
}

static hn_status join_names(hn_columns *c, hn_arena *arena, hn_error *err) {
    size_t n = 0;
    for (int32_t i = 0; i < c->names.n; i++)
        n += strlen(c->names.items[i]) + c->dialect.delimiter_n;
    c->header = hn_arena_alloc(arena, n + 1, 1);
    if (!c->header) return hn_no_memory(err, "a header");
    char *to = c->header;
    for (int32_t i = 0; i < c->names.n; i++) {
        if (i > 0) to = mempcpy(to, c->dialect.delimiter, c->dialect.delimiter_n);
        to = mempcpy(to, c->names.items[i], strlen(c->names.items[i]));
    }
    c->header_n = (size_t)(to - c->header); /* the arena zeroes, so it is terminated */
    return HN_OK;
}

static size_t without_line_end(const char *text, size_t n) {
    if (n > 0 && text[n - 1] == '\n') n--;
    if (n > 0 && text[n - 1] == '\r') n--;
    return n;
}

hn_status hn_columns_read(hn_columns *out, hn_arena *arena, const hn_config_source *source,
                          const hn_dialect *dialect, const char *text, size_t n, const char *file,
                          hn_error *err) {
    *out = (hn_columns){.file = file, .dialect = *dialect, .names = source->columns};
    if (source->columns.n > 0) return join_names(out, arena, err);
    out->names = (hn_strings){0};
    out->header_n = without_line_end(text, n);
    out->header = hn_arena_strndup(arena, text, out->header_n);
    if (!out->header) return hn_no_memory(err, "a header");
    hn_walker walker = {0};
    char **names = NULL;
    hn_walker_begin(&walker, dialect, out->header, out->header_n);
    const hn_status status = walk_header(out, &names, arena, &walker, err);
    hn_walker_free(&walker);
    hn_free(names);
    return status;
}

/* ---- Finding columns -------------------------------------------------------------------- */

int32_t hn_columns_find(const hn_columns *columns, const char *name) {
    int32_t at = HN_COLUMN_NONE;
    for (int32_t i = 0; i < columns->names.n; i++) {
        if (strcmp(columns->names.items[i], name) != 0) continue;
        if (at != HN_COLUMN_NONE) return HN_COLUMN_TWICE;
        at = i;
    }
    return at;
}

/* "a, b, c, … (19 in all)" */
static void list_names(char *out, size_t size, const hn_strings *names) {
    size_t used = 0;
    int32_t i = 0;
    out[0] = '\0';
    for (; i < names->n && used + HN_SHOW_BYTES + 4 < size; i++) {
        char shown[HN_SHOW_BYTES];
        used += (size_t)snprintf(out + used, size - used, "%s%s", i > 0 ? ", " : "",
                                 hn_show(shown, names->items[i], strlen(names->items[i])));
    }
    if (i < names->n) snprintf(out + used, size - used, ", … (%d in all)", names->n);
}

hn_status hn_columns_lack(const hn_columns *columns, const char *name, int32_t at, const char *role,
                          const char *detail, hn_error *err) {
    char list[400], hint[160] = "";
    const bool has_detail = detail && detail[0];
    if (at == HN_COLUMN_TWICE)
        return hn_fail(
            err, HN_BAD_DATA,
            "%s:1: column \"%.80s\", needed for %s%s%.60s, stands twice in the header; rename one",
            columns->file, name, role, has_detail ? " " : "", has_detail ? detail : "");
    list_names(list, sizeof list, &columns->names);
    const char *const near =
        hn_did_you_mean(name, (const char *const *)columns->names.items, (size_t)columns->names.n);
    if (near)
        snprintf(hint, sizeof hint, "; did you mean \"%.100s\"?", near);
    else if (columns->names.n == 1)
        snprintf(hint, sizeof hint, "; is %s really the delimiter?",
                 hn_dialect_show(&columns->dialect));
    return hn_fail(err, HN_BAD_DATA,
                   "%s:1: found no column \"%.80s\", needed for %s%s%.60s; the columns are: %s%s",
                   columns->file, name, role, has_detail ? " " : "", has_detail ? detail : "", list,
                   hint);
}
