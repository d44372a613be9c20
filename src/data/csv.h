/* Delimited text: rows end at a line feed outside quotes, a quote opens at the first byte
 * of a field only, is doubled within a quoted field, and after the closing one the field
 * ends. A carriage return before the line feed belongs to the line end; empty lines are no
 * rows. Two readers of the same grammar: the cutter finds where rows end, fast and in one
 * thread, so that chunks can be cut; the walker takes the rows of a chunk apart, in many. */
#ifndef HN_DATA_CSV_H
#define HN_DATA_CSV_H

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/config.h"

enum { HN_DELIMITER_MAX = 16 };

typedef struct hn_dialect {
    char delimiter[HN_DELIMITER_MAX + 1];
    size_t delimiter_n; /* ≥ 1 */
    int quote;          /* a byte, or -1 */
} hn_dialect;

/* `line`: the first line, which decides between comma and tab for `auto`. */
hn_status hn_dialect_choose(hn_dialect *out, const hn_config_source *source, const char *line,
                            size_t n, const char *name, hn_error *err);
/* The delimiter as a message shows it: "a tab", "\",\"". */
const char *hn_dialect_show(const hn_dialect *dialect);

/* ---- The cutter -------------------------------------------------------------------- */

typedef struct hn_cutter {
    hn_dialect dialect;
    size_t scanned; /* text before it has been looked at */
    size_t row;     /* where the last row begins that has begun */
    size_t walk;    /* of a delimiter of several bytes: looked at up to here in this row */
    bool at_field;  /* `walk` is the first byte of a field */
    bool quoted;    /* `scanned` is within quotes … */
    size_t opened;  /* … that opened here */
} hn_cutter;

/* Looks at text[scanned, n); then `row` is the last row's begin. `last`: no more will come. */
void hn_cutter_advance(hn_cutter *cutter, const char *text, size_t n, bool last);
/* The text has moved `by` bytes down. */
void hn_cutter_shift(hn_cutter *cutter, size_t by);

/* ---- The walker -------------------------------------------------------------------- */

typedef enum hn_field_end { HN_FIELD_MORE, HN_FIELD_LAST } hn_field_end;
typedef enum hn_field_fault {
    HN_FIELD_FINE,
    HN_FIELD_AFTER_QUOTE,
    HN_FIELD_UNCLOSED
} hn_field_fault;

typedef struct hn_walker {
    const char *text; /* whole rows */
    size_t n;
    size_t at;      /* the next field's first byte */
    uint64_t line;  /* line feeds before `at` */
    size_t block;   /* the 64 bytes whose marks are: */
    uint64_t marks; /* bit i: text[block + i] may end a field, not used up yet */
    const hn_dialect *dialect;
    /* the field just read */
    const char *field;
    size_t field_n;
    size_t begin, end; /* its place in `text`, quotes included */
    hn_field_end last;
    hn_field_fault fault;
    size_t fault_at;
    /* room for unquoted fields with doubled quotes */
    char *scratch;
    size_t scratch_capacity;
    bool no_memory;
} hn_walker;

void hn_walker_begin(hn_walker *walker, const hn_dialect *dialect, const char *text, size_t n);
void hn_walker_free(hn_walker *walker); /* its scratch */
/* The slow part of hn_walker_next. By value, so that no address of the hot loop's walker
 * leaves it and its marks can live in registers. */
hn_walker hn_walker_quoted(hn_walker walker);

#define HN_HOT static inline __attribute__((always_inline))

/* Bit i: p[i] is `a` or `b`, for 64 bytes. */
HN_HOT uint64_t hn_marks64(const char *p, char a, char b) {
#if defined(__SSE2__)
    const __m128i va = _mm_set1_epi8(a), vb = _mm_set1_epi8(b);
    uint64_t marks = 0;
    for (int i = 0; i < 4; i++) {
        const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
        const __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(x, va), _mm_cmpeq_epi8(x, vb));
        marks |= (uint64_t)(uint32_t)_mm_movemask_epi8(hit) << (16 * i);
    }
    return marks;
#else
    uint64_t marks = 0;
    for (int i = 0; i < 64; i++) marks |= (uint64_t)(p[i] == a || p[i] == b) << i;
    return marks;
#endif
}

HN_HOT uint64_t hn_walker_marks(const hn_walker *w) {
    const char a = w->dialect->delimiter[0];
    if (w->n - w->block >= 64) return hn_marks64(w->text + w->block, a, '\n');
    char tail[64] = {0};
    const size_t left = w->n - w->block;
    memcpy(tail, w->text + w->block, left);
    return hn_marks64(tail, a, '\n') & ~(~UINT64_C(0) << left);
}

/* Forgets the marks before `at`. */
HN_HOT void hn_walker_seek(hn_walker *w, size_t at) {
    if (at >= w->n) {
        w->block = w->n;
        w->marks = 0;
        return;
    }
    if (at - w->block >= 64) {
        w->block = at & ~(size_t)63;
        w->marks = hn_walker_marks(w);
    }
    w->marks &= ~UINT64_C(0) << (at - w->block);
}

/* The next byte that may end a field; n at the end. */
HN_HOT size_t hn_walker_mark(hn_walker *w) {
    while (w->marks == 0) {
        if (w->n - w->block <= 64) return w->n;
        w->block += 64;
        w->marks = hn_walker_marks(w);
    }
    const size_t at = w->block + (size_t)__builtin_ctzll(w->marks);
    w->marks &= w->marks - 1;
    return at;
}

/* The field ends at `end`, which is a delimiter, a line feed or the end of the text. */
HN_HOT hn_field_end hn_walker_finish(hn_walker *w, size_t end) {
    if (end < w->n && w->text[end] != '\n') {
        w->at = end + w->dialect->delimiter_n;
        if (w->dialect->delimiter_n > 1) hn_walker_seek(w, w->at);
        return HN_FIELD_MORE;
    }
    w->at = end < w->n ? end + 1 : w->n;
    w->line += end < w->n;
    return HN_FIELD_LAST;
}

HN_HOT bool hn_walker_is_end(const hn_walker *w, size_t at) {
    if (at >= w->n || w->dialect->delimiter_n == 1 || w->text[at] == '\n') return true;
    return w->n - at >= w->dialect->delimiter_n &&
           memcmp(w->text + at, w->dialect->delimiter, w->dialect->delimiter_n) == 0;
}

/* Takes the next field; HN_FIELD_LAST when it ends its row. Not to be called with
 * `at` == `n` except right after a delimiter. */
HN_HOT hn_field_end hn_walker_next(hn_walker *w) {
    w->begin = w->at;
    w->fault = HN_FIELD_FINE;
    if (w->at < w->n && (unsigned char)w->text[w->at] == w->dialect->quote) {
        *w = hn_walker_quoted(*w);
        return w->last;
    }
    size_t end;
    do {
        end = hn_walker_mark(w);
    } while (!hn_walker_is_end(w, end));
    w->end = end;
    if ((end == w->n || w->text[end] == '\n') && end > w->begin && w->text[end - 1] == '\r')
        w->end--;
    w->field = w->text + w->begin;
    w->field_n = w->end - w->begin;
    return hn_walker_finish(w, end);
}

/* Steps over an empty line, true when there was one. At the begin of a row only. */
HN_HOT bool hn_walker_skip_empty(hn_walker *w) {
    const size_t left = w->n - w->at;
    const char *const p = w->text + w->at;
    if (p[0] != '\n' && p[0] != '\r') return false;
    const size_t taken = p[0] == '\n' ? 1 : left == 1 ? 1 : p[1] == '\n' ? 2 : 0;
    if (taken == 0) return false;
    w->line += p[taken - 1] == '\n';
    w->at += taken;
    hn_walker_seek(w, w->at);
    return true;
}

#endif
