/* Parsing chunks: each needed cell of each row becomes a slot, a key or a reference's value.
 * Logs and tables go through the same code with a plan of their own: what to do with the
 * cells of each column of a file. */
#ifndef HN_DATA_PARSE_H
#define HN_DATA_PARSE_H

#include "data/chunk.h"
#include "data/refs.h"

/* ---- What to do with a file's cells --------------------------------------------------- */

typedef enum hn_use_kind {
    HN_USE_HASH,
    HN_USE_NUMBER,
    HN_USE_LIST,
    HN_USE_KEY,
    HN_USE_REF
} hn_use_kind;

typedef struct hn_use {
    int32_t column; /* of the file; `columns`: the file's name; `columns` + 1: always absent */
    hn_use_kind kind;
    int32_t to;            /* slot, key or reference */
    const char *delimiter; /* list; number: count what stands between */
    size_t delimiter_n;
    int32_t max_length;
} hn_use;

typedef struct hn_parse_plan {
    const hn_text_file *file;
    const hn_config_source *source;
    const hn_refs *refs;
    int32_t columns;
    int32_t slots, keys; /* of a row */
    hn_use *uses;        /* by column */
    size_t n_uses, uses_capacity;
    size_t *first;            /* [columns + 3] uses of column c: first[c] … first[c + 1] */
    uint64_t missing_lengths; /* bit n: a `missing` text of n bytes exists (63: of 63 or more) */
    bool identity;            /* hash whole rows */
    uint64_t header;          /* hash of the header: a line means the same only under the same */
    bool lenient;             /* what a reference cannot judge is absent (scoring) */
    bool keep_bad;    /* … is kept as such: of a table, it may not be what the config means */
    bool has_virtual; /* there are uses of the virtual columns */
    bool key_needed;  /* a row whose key 0 is absent is bad (tables) */
} hn_parse_plan;

hn_status hn_parse_plan_add(hn_parse_plan *plan, const hn_use *use, hn_error *err);
/* Adds a source's use of its column. */
hn_status hn_parse_plan_source(hn_parse_plan *plan, const hn_source *source, hn_error *err);
/* No more uses. */
hn_status hn_parse_plan_finish(hn_parse_plan *plan, hn_error *err);
void hn_parse_plan_free(hn_parse_plan *plan);

/* ---- What comes of it -------------------------------------------------------------------- */

enum { HN_BAD_EXAMPLES = 20, HN_BAD_TEXT = 320 };

typedef struct hn_bad {
    uint64_t line, column; /* 0-based line within the chunk; 1-based byte within the line */
    char text[HN_BAD_TEXT];
} hn_bad;

typedef struct hn_bads {
    uint64_t n; /* all of them */
    int32_t kept;
    bool fatal; /* a quote never closed over lines hides what follows: */
    hn_bad hides;
    hn_bad items[HN_BAD_EXAMPLES]; /* the first ones by line */
} hn_bads;

void hn_bads_add(hn_bads *bads, uint64_t line, uint64_t column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

typedef struct hn_parsed {
    size_t rows, capacity; /* good rows */
    hn_slot *slots;        /* [rows][slots] */
    uint64_t *keys;        /* [rows][keys] hash, HN_HASH_MISSING when absent */
    uint64_t *refs;        /* [rows][refs], set where the file has the column */
    uint64_t *lines;       /* [rows] line feeds before the row, in the chunk */
    size_t *begin, *bytes; /* [rows] the row's text, without line end */
    uint64_t *identity;    /* [rows][2] */
    uint64_t *lists;
    size_t n_lists, lists_capacity;
    uint64_t feeds; /* line feeds of the chunk */
    hn_bads bads;
    hn_status status; /* of the parsing itself: memory */
    char *scratch;
    size_t scratch_capacity;
} hn_parsed;

/* Starts anew but keeps the memory. The result is in out->status, too. */
hn_status hn_parse(hn_parsed *out, const hn_parse_plan *plan, const char *text, size_t n,
                   hn_error *err);
void hn_parsed_free(hn_parsed *parsed);

#endif
