/* The hot loop of all reading: rows, fields, cells (parse.h). A row is written into the
 * output as its fields come by, and taken back when one of them is wrong. */
#include "data/parse.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "data/cell_hash.h"
#include "data/show.h"

/* ---- Bad rows --------------------------------------------------------------------------- */

void hn_bads_add(hn_bads *bads, uint64_t line, uint64_t column, const char *format, ...) {
    bads->n++;
    int32_t at = bads->kept;
    while (at > 0 && bads->items[at - 1].line > line) at--;
    if (at == HN_BAD_EXAMPLES) return;
    if (bads->kept < HN_BAD_EXAMPLES) bads->kept++;
    for (int32_t i = bads->kept - 1; i > at; i--) bads->items[i] = bads->items[i - 1];
    bads->items[at].line = line;
    bads->items[at].column = column;
    va_list args;
    va_start(args, format);
    vsnprintf(bads->items[at].text, sizeof bads->items[at].text, format, args);
    va_end(args);
}

/* ---- Output --------------------------------------------------------------------------------- */

typedef struct parser {
    hn_parsed *out;
    const hn_parse_plan *plan;
    hn_walker walker;
    int32_t n_refs;
    hn_error *err;
    /* the row at hand */
    uint64_t row_line;
    size_t row_begin;
    hn_slot *slots;
    uint64_t *keys, *refs;
    size_t lists_before;
    size_t cell_at; /* where the cell at hand begins */
    bool bad;
} parser;

static hn_status grow_array(void *array_address, size_t capacity, size_t per_row, size_t size,
                            hn_error *err) {
    size_t count;
    if (__builtin_mul_overflow(capacity, per_row, &count)) return hn_no_memory(err, "rows");
    if (count == 0) count = 1;
    void *old;
    memcpy(&old, array_address, sizeof old);
    void *const grown = hn_realloc(old, count, size);
    if (!grown) return hn_no_memory(err, "rows");
    memcpy(array_address, &grown, sizeof grown);
    return HN_OK;
}

static hn_status grow_rows(parser *p) {
    hn_parsed *const out = p->out;
    const size_t capacity = out->capacity < 256 ? 256 : out->capacity * 2;
    HN_TRY(grow_array(&out->slots, capacity, (size_t)p->plan->slots, sizeof *out->slots, p->err));
    HN_TRY(grow_array(&out->keys, capacity, (size_t)p->plan->keys, sizeof *out->keys, p->err));
    HN_TRY(grow_array(&out->refs, capacity, (size_t)p->n_refs, sizeof *out->refs, p->err));
    HN_TRY(grow_array(&out->lines, capacity, 1, sizeof *out->lines, p->err));
    HN_TRY(grow_array(&out->begin, capacity, 1, sizeof *out->begin, p->err));
    HN_TRY(grow_array(&out->bytes, capacity, 1, sizeof *out->bytes, p->err));
    HN_TRY(grow_array(&out->identity, capacity, p->plan->identity ? 2 : 0, sizeof *out->identity,
                      p->err));
    out->capacity = capacity;
    return HN_OK;
}

/* ---- Faults -------------------------------------------------------------------------------- */

/* Line and column of text[at], which lies in the row at hand. */
static void locate(const parser *p, size_t at, uint64_t *line, uint64_t *column) {
    const char *const text = p->walker.text;
    size_t begin = p->row_begin;
    *line = p->row_line;
    for (size_t i = begin; i < at; i++) {
        if (text[i] != '\n') continue;
        begin = i + 1;
        ++*line;
    }
    *column = at - begin + 1;
}

#define ROW_BAD(p, at, ...)                                            \
    do {                                                               \
        uint64_t line_, column_;                                       \
        if (!(p)->bad) {                                               \
            locate((p), (at), &line_, &column_);                       \
            hn_bads_add(&(p)->out->bads, line_, column_, __VA_ARGS__); \
        }                                                              \
        (p)->bad = true;                                               \
    } while (0)

static const char *column_name(const parser *p, int32_t column) {
    const hn_strings *const names = &p->plan->file->columns.names;
    return column < names->n ? names->items[column] : "$file";
}

static void bad_number(parser *p, const hn_use *use, const char *text, size_t n) {
    char shown[HN_SHOW_BYTES];
    ROW_BAD(p, p->cell_at,
            "found \"%s\" in column \"%.60s\"; expected a number (or list it under `missing` if it "
            "stands for none)",
            hn_show(shown, text, n), column_name(p, use->column));
}

static void bad_ref(parser *p, const hn_use *use, const char *text, size_t n) {
    char shown[HN_SHOW_BYTES];
    const hn_ref *const ref = &p->plan->refs->items[use->to];
    ROW_BAD(
        p, p->cell_at,
        "found \"%s\" in column \"%.60s\"; expected %s for %s%s%.60s (or list it under `missing`)",
        hn_show(shown, text, n), column_name(p, use->column),
        hn_ref_expected(p->plan->refs, use->to), ref->role, ref->detail[0] ? " " : "", ref->detail);
}

/* One line without its end is an ordinary bad row (a writer was stopped); over several
 * lines it may hide any number of rows, which no limit of bad rows may excuse. */
static void bad_unclosed(parser *p) {
    const hn_walker *const w = &p->walker;
    static const char message[] =
        "found a quote that is never closed; expected another before the end of the file "
        "(`quote: \"\"` reads quotes as ordinary text)";
    hn_bads *const bads = &p->out->bads;
    const size_t end = w->text[w->n - 1] == '\n' ? w->n - 1 : w->n;
    if (memchr(w->text + w->fault_at, '\n', end - w->fault_at)) {
        bads->fatal = true;
        locate(p, w->fault_at, &bads->hides.line, &bads->hides.column);
        memcpy(bads->hides.text, message, sizeof message);
    }
    ROW_BAD(p, w->fault_at, "%s", message);
}

static void bad_field(parser *p) {
    const hn_walker *const w = &p->walker;
    char shown[HN_SHOW_BYTES];
    if (w->fault == HN_FIELD_UNCLOSED)
        bad_unclosed(p);
    else
        ROW_BAD(p, w->fault_at,
                "found \"%s\" after a closing quote; expected %s or the end of the line "
                "(write \"\" for a quote within quotes, or set `quote: \"\"`)",
                hn_show(shown, w->text + w->fault_at, w->end - w->fault_at),
                hn_dialect_show(w->dialect));
}

static void bad_count(parser *p, int32_t found, size_t at) {
    const bool header = p->plan->source->columns.n == 0;
    ROW_BAD(p, at, "found %d field%s; expected %d, as in the %s", found, found == 1 ? "" : "s",
            p->plan->columns, header ? "header" : "config's `columns`");
}

/* ---- Cells --------------------------------------------------------------------------------- */

static bool is_missing(const hn_parse_plan *plan, const char *text, size_t n) {
    if (n == 0) return true;
    if (!(plan->missing_lengths >> (n < 63 ? n : 63) & 1)) return false;
    const hn_strings *const missing = &plan->source->missing;
    for (int32_t i = 0; i < missing->n; i++)
        if (strlen(missing->items[i]) == n && memcmp(missing->items[i], text, n) == 0) return true;
    return false;
}

/* Where the value that begins at `text` ends. */
static const char *value_end(const hn_use *use, const char *text, const char *end) {
    const size_t left = (size_t)(end - text);
    const char *const found = use->delimiter_n == 0 ? NULL
                              : use->delimiter_n == 1
                                  ? memchr(text, use->delimiter[0], left)
                                  : memmem(text, left, use->delimiter, use->delimiter_n);
    return found ? found : end;
}

static double count_values(const hn_use *use, const char *text, size_t n) {
    const char *const end = text + n;
    int64_t count = 0;
    for (;;) {
        const char *const to = value_end(use, text, end);
        count += to > text;
        if (to == end) return (double)count;
        text = to + use->delimiter_n;
    }
}

static hn_status put_list(parser *p, const hn_use *use, const char *text, size_t n) {
    hn_parsed *const out = p->out;
    const size_t begin = out->n_lists;
    const char *const end = text + n;
    while (text <= end && out->n_lists - begin < (size_t)use->max_length) {
        const char *const to = value_end(use, text, end);
        const size_t item = (size_t)(to - text);
        if (item > 0) {
            if (out->n_lists == out->lists_capacity)
                HN_TRY(hn_grow(&out->lists, &out->lists_capacity, out->n_lists + 1,
                               sizeof *out->lists, p->err));
            out->lists[out->n_lists++] = hn_cell_hash_inline(text, item);
        }
        if (to == end) break;
        text = to + use->delimiter_n;
    }
    if (out->n_lists > UINT32_MAX) return hn_no_memory(p->err, "the lists of a chunk");
    p->slots[use->to].list.begin = (uint32_t)begin;
    p->slots[use->to].list.length = (uint32_t)(out->n_lists - begin);
    return HN_OK;
}

static void put_absent(parser *p, const hn_use *use) {
    switch (use->kind) {
    case HN_USE_HASH: p->slots[use->to].hash = HN_HASH_MISSING; break;
    case HN_USE_NUMBER: p->slots[use->to].number = use->delimiter_n > 0 ? 0 : NAN; break;
    case HN_USE_LIST:
        p->slots[use->to].list.begin = (uint32_t)p->out->n_lists;
        p->slots[use->to].list.length = 0;
        break;
    case HN_USE_KEY: p->keys[use->to] = HN_HASH_MISSING; break;
    case HN_USE_REF: p->refs[use->to] = hn_ref_default(p->plan->refs, use->to); break;
    }
}

static void put_ref(parser *p, const hn_use *use, const char *text, size_t n) {
    uint64_t value = hn_ref_read(p->plan->refs, use->to, text, n);
    if (value == HN_REF_BAD && p->plan->refs->items[use->to].kind != HN_REF_HASH &&
        !p->plan->keep_bad) {
        if (p->plan->lenient)
            value = HN_REF_ABSENT;
        else
            bad_ref(p, use, text, n);
    }
    p->refs[use->to] = value;
}

static hn_status put_other(parser *p, const hn_use *use, const char *text, size_t n,
                           uint64_t hash) {
    switch (use->kind) {
    case HN_USE_KEY: p->keys[use->to] = hash != 0 ? hash : hn_cell_hash_inline(text, n); break;
    case HN_USE_NUMBER:
        if (use->delimiter_n > 0)
            p->slots[use->to].number = count_values(use, text, n);
        else if (!hn_cell_number(&p->slots[use->to].number, text, n))
            bad_number(p, use, text, n);
        break;
    case HN_USE_LIST: return put_list(p, use, text, n);
    case HN_USE_REF: put_ref(p, use, text, n); break;
    case HN_USE_HASH: break;
    }
    return HN_OK;
}

/* The uses of a column are sorted with hashes first, so that keys share what they find. */
HN_HOT hn_status put_cell(parser *p, const hn_use *use, const hn_use *end, const char *text,
                          size_t n) {
    if (is_missing(p->plan, text, n)) {
        for (; use < end; use++) put_absent(p, use);
        return HN_OK;
    }
    uint64_t hash = 0;
    for (; use < end; use++) {
        if (use->kind == HN_USE_HASH) {
            if (hash == 0) hash = hn_cell_hash_inline(text, n);
            p->slots[use->to].hash = hash;
        } else {
            HN_TRY(put_other(p, use, text, n, hash));
        }
    }
    return HN_OK;
}

/* ---- Rows ---------------------------------------------------------------------------------- */

static hn_status put_virtual(parser *p) {
    const hn_parse_plan *const plan = p->plan;
    const size_t *const first = plan->first + plan->columns;
    HN_TRY(put_cell(p, plan->uses + first[0], plan->uses + first[1], plan->file->base,
                    strlen(plan->file->base)));
    return put_cell(p, plan->uses + first[1], plan->uses + first[2], "", 0);
}

/* All fields of a row; where their number is wrong, the row is still walked to its end. */
HN_HOT hn_status put_fields(parser *p, hn_walker *w) {
    const hn_parse_plan *const plan = p->plan;
    const size_t *const first = plan->first;
    const hn_use *const uses = plan->uses;
    int32_t column = 0;
    size_t surplus = 0;
    hn_field_end end;
    do {
        end = hn_walker_next(w);
        if (w->fault != HN_FIELD_FINE) {
            p->walker = *w;
            bad_field(p);
        }
        if (column < plan->columns) {
            p->cell_at = w->begin;
            if (first[column] < first[column + 1])
                HN_TRY(put_cell(p, uses + first[column], uses + first[column + 1], w->field,
                                w->field_n));
        } else if (column == plan->columns) {
            surplus = w->begin;
        }
        column++;
    } while (end == HN_FIELD_MORE);
    if (w->no_memory) return hn_no_memory(p->err, "a quoted field");
    if (column != plan->columns) bad_count(p, column, column > plan->columns ? surplus : w->end);
    return plan->has_virtual ? put_virtual(p) : HN_OK;
}

/* The row ends before `at`. */
static void end_row(parser *p, size_t at) {
    hn_parsed *const out = p->out;
    const char *const text = p->walker.text;
    if (p->plan->key_needed && !p->bad && p->keys[0] == HN_HASH_MISSING)
        ROW_BAD(p, p->row_begin, "found no key; expected one in every row of a table");
    if (p->bad) {
        out->n_lists = p->lists_before;
        return;
    }
    size_t end = at;
    if (end > p->row_begin && text[end - 1] == '\n') end--;
    if (end > p->row_begin && text[end - 1] == '\r') end--;
    const size_t row = out->rows++;
    out->lines[row] = p->row_line;
    out->begin[row] = p->row_begin;
    out->bytes[row] = end - p->row_begin;
    if (p->plan->identity)
        hn_cell_identity(out->identity + 2 * row, text + p->row_begin, end - p->row_begin,
                         p->plan->header);
}

static void begin_row(parser *p, size_t at, uint64_t line) {
    hn_parsed *const out = p->out;
    p->slots = out->slots + out->rows * (size_t)p->plan->slots;
    p->keys = out->keys + out->rows * (size_t)p->plan->keys;
    p->refs = out->refs + out->rows * (size_t)p->n_refs;
    p->row_line = line;
    p->row_begin = at;
    p->lists_before = out->n_lists;
    p->bad = false;
}

/* The walker of the loop is a copy whose address stays here (csv.h). */
static hn_status parse_rows(parser *p) {
    hn_walker w = p->walker;
    hn_status status = HN_OK;
    while (w.at < w.n && status == HN_OK) {
        if (hn_walker_skip_empty(&w)) continue;
        if (p->out->rows == p->out->capacity) status = grow_rows(p);
        if (status != HN_OK) break;
        begin_row(p, w.at, w.line);
        status = put_fields(p, &w);
        if (status == HN_OK) end_row(p, w.at);
    }
    p->walker = w;
    return status;
}

hn_status hn_parse(hn_parsed *out, const hn_parse_plan *plan, const char *text, size_t n,
                   hn_error *err) {
    parser p = {.out = out, .plan = plan, .n_refs = plan->refs ? plan->refs->n : 0, .err = err};
    out->rows = out->n_lists = 0;
    out->bads.n = 0;
    out->bads.kept = 0;
    out->bads.fatal = false;
    p.walker.scratch = out->scratch;
    p.walker.scratch_capacity = out->scratch_capacity;
    hn_walker_begin(&p.walker, &plan->file->columns.dialect, text, n);
    out->status = parse_rows(&p);
    out->feeds = p.walker.line;
    out->scratch = p.walker.scratch;
    out->scratch_capacity = p.walker.scratch_capacity;
    return out->status;
}

void hn_parsed_free(hn_parsed *parsed) {
    hn_free(parsed->slots);
    hn_free(parsed->keys);
    hn_free(parsed->refs);
    hn_free(parsed->lines);
    hn_free(parsed->begin);
    hn_free(parsed->bytes);
    hn_free(parsed->identity);
    hn_free(parsed->lists);
    hn_free(parsed->scratch);
    *parsed = (hn_parsed){0};
}
