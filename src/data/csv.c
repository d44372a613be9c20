/* The cutter, the walker's slow path and the choice of a dialect (csv.h). The grammar
 * stands twice, here for cutting and in csv.h for walking; the tests hold both against a
 * reader that goes character by character. */
#include "data/csv.h"

#include "base/memory.h"
#include "data/show.h"

/* ---- Dialect --------------------------------------------------------------------------- */

static size_t count_byte(const char *text, size_t n, char c) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += text[i] == c;
    return count;
}

hn_status hn_dialect_choose(hn_dialect *out, const hn_config_source *source, const char *line,
                            size_t n, const char *name, hn_error *err) {
    *out = (hn_dialect){.delimiter = ",", .delimiter_n = 1, .quote = -1};
    const char *const wanted = source->delimiter ? source->delimiter : "auto";
    if (source->quote && source->quote[0]) out->quote = (unsigned char)source->quote[0];
    if (wanted[0] == '\0' || strcmp(wanted, "auto") == 0) {
        if (count_byte(line, n, '\t') > count_byte(line, n, ',')) out->delimiter[0] = '\t';
        return HN_OK;
    }
    out->delimiter_n = strlen(wanted);
    if (out->delimiter_n > HN_DELIMITER_MAX || strpbrk(wanted, "\r\n") ||
        (out->quote > 0 && strchr(wanted, out->quote)))
        return hn_fail(err, HN_BAD_CONFIG,
                       "%s: the delimiter \"%.40s\" cannot be used; expected 1 to %d bytes without "
                       "line ends and without the quote",
                       name, wanted, HN_DELIMITER_MAX);
    memcpy(out->delimiter, wanted, out->delimiter_n + 1);
    return HN_OK;
}

const char *hn_dialect_show(const hn_dialect *dialect) {
    return strcmp(dialect->delimiter, "\t") == 0 ? "a tab" : dialect->delimiter;
}

/* ---- Cutter ------------------------------------------------------------------------------ */

void hn_cutter_shift(hn_cutter *cutter, size_t by) {
    cutter->scanned -= by;
    cutter->row -= by;
    cutter->walk = cutter->walk > by ? cutter->walk - by : 0;
    cutter->opened = cutter->opened > by ? cutter->opened - by : 0;
}

/* text[scanned, end) is outside quotes: its last line feed ends a row. */
static void pass_unquoted(hn_cutter *c, const char *text, size_t end) {
    const char *const feed = memrchr(text + c->scanned, '\n', end - c->scanned);
    if (!feed) return;
    c->row = c->walk = (size_t)(feed - text) + 1;
    c->at_field = true;
}

/* Whether the byte at `at` is the first of a field. A delimiter of several bytes must be
 * searched from the row's begin: in "a:::b" the second field is ":b". */
static bool is_field_start(hn_cutter *c, const char *text, size_t at) {
    const size_t n = c->dialect.delimiter_n;
    if (n == 1) return at == c->row || text[at - 1] == c->dialect.delimiter[0];
    while (c->walk < at) {
        const char *const found = memmem(text + c->walk, at - c->walk, c->dialect.delimiter, n);
        c->at_field = found != NULL;
        if (found) {
            c->walk = (size_t)(found - text) + n;
        } else {
            if (at - c->walk >= n) c->walk = at - n + 1; /* no delimiter begins before */
            break;
        }
    }
    return c->walk == at && c->at_field;
}

static void pass_quoted(hn_cutter *c, const char *text, size_t n, bool last) {
    const char *const found = memchr(text + c->scanned, c->dialect.quote, n - c->scanned);
    if (!found) {
        c->scanned = n;
        return;
    }
    const size_t at = (size_t)(found - text);
    if (at + 1 < n && found[1] == found[0]) {
        c->scanned = at + 2;
    } else if (at + 1 == n && !last) {
        c->scanned = at; /* the next byte will tell whether it is doubled */
    } else {
        c->quoted = false;
        c->scanned = c->walk = at + 1;
        c->at_field = false;
    }
}

void hn_cutter_advance(hn_cutter *c, const char *text, size_t n, bool last) {
    while (c->scanned < n) {
        if (c->quoted) {
            const size_t before = c->scanned;
            pass_quoted(c, text, n, last);
            if (c->quoted && c->scanned == before) return;
            continue;
        }
        const char *const quote = c->dialect.quote < 0
                                      ? NULL
                                      : memchr(text + c->scanned, c->dialect.quote, n - c->scanned);
        const size_t end = quote ? (size_t)(quote - text) : n;
        pass_unquoted(c, text, end);
        c->scanned = end;
        if (!quote) return;
        c->quoted = is_field_start(c, text, end);
        if (c->quoted) c->opened = end;
        c->scanned = end + 1;
    }
}

/* ---- Walker -------------------------------------------------------------------------------- */

void hn_walker_begin(hn_walker *w, const hn_dialect *dialect, const char *text, size_t n) {
    w->text = text;
    w->n = n;
    w->at = 0;
    w->line = 0;
    w->block = 0;
    w->dialect = dialect;
    w->no_memory = false;
    w->marks = n > 0 ? hn_walker_marks(w) : 0;
}

void hn_walker_free(hn_walker *w) {
    hn_free(w->scratch);
    *w = (hn_walker){0};
}

/* Copies text[begin, end) with doubled quotes made single into the scratch. */
static void undouble(hn_walker *w, size_t begin, size_t end) {
    w->field = "";
    w->field_n = 0;
    if (hn_grow(&w->scratch, &w->scratch_capacity, end - begin, 1, NULL) != HN_OK) {
        w->no_memory = true;
        return;
    }
    size_t n = 0;
    for (size_t i = begin; i < end; i++) {
        w->scratch[n++] = w->text[i];
        i += (unsigned char)w->text[i] == w->dialect->quote;
    }
    w->field = w->scratch;
    w->field_n = n;
}

/* Where the quote closes that opened before `from`; n when it doesn't. */
static size_t find_close(const hn_walker *w, size_t from, bool *doubled) {
    *doubled = false;
    while (from < w->n) {
        const char *const found = memchr(w->text + from, w->dialect->quote, w->n - from);
        if (!found) break;
        const size_t at = (size_t)(found - w->text);
        if (at + 1 >= w->n || found[1] != found[0]) return at;
        *doubled = true;
        from = at + 2;
    }
    return w->n;
}

static uint64_t count_lines(const char *text, size_t n) {
    uint64_t lines = 0;
    for (const char *end = text + n; (text = memchr(text, '\n', (size_t)(end - text))) != NULL;
         text++)
        lines++;
    return lines;
}

/* Whether the row or the field ends at `at`, a carriage return before the line end aside. */
static bool ends_cleanly(const hn_walker *w, size_t at) {
    if (at < w->n && w->text[at] == '\r' && (at + 1 == w->n || w->text[at + 1] == '\n'))
        return true;
    if (at == w->n || w->text[at] == '\n') return true;
    return w->n - at >= w->dialect->delimiter_n &&
           memcmp(w->text + at, w->dialect->delimiter, w->dialect->delimiter_n) == 0;
}

static void read_quoted(hn_walker *w) {
    bool doubled;
    const size_t inner = w->at + 1, close = find_close(w, inner, &doubled);
    w->field = w->text + inner;
    w->field_n = close - inner;
    w->line += count_lines(w->text + inner, close - inner);
    if (doubled) undouble(w, inner, close);
    if (close == w->n) {
        w->fault = HN_FIELD_UNCLOSED;
        w->fault_at = w->begin;
        w->end = w->at = w->n;
        w->last = HN_FIELD_LAST;
        return;
    }
    if (!ends_cleanly(w, close + 1)) {
        w->fault = HN_FIELD_AFTER_QUOTE;
        w->fault_at = close + 1;
    }
    hn_walker_seek(w, close + 1);
    size_t end;
    do {
        end = hn_walker_mark(w);
    } while (!hn_walker_is_end(w, end));
    w->end = end;
    w->last = hn_walker_finish(w, end);
}

hn_walker hn_walker_quoted(hn_walker walker) {
    read_quoted(&walker);
    return walker;
}
