/* The parts of hn_join: exposures and events become fixed-size records that sort on disk, while
 * the text of a row lies in a spool and is looked at again only when the row is written. So
 * memory does not grow with the logs.
 *   join_exposures.c  lines → spool and `shown`       join_events.c   events → `happened`
 *   join_match.c      both, by request → `rows`       join_write.c    rows and spool → CSV
 *   join_spool.c      the spool                       join_columns.c  the columns found
 *   join_report.c     what is told                    join.c          one after the other */
#ifndef HN_ONLINE_JOIN_H
#define HN_ONLINE_JOIN_H

#include "base/json.h"
#include "base/sort.h"

enum { HN_JOIN_EXAMPLES = 20, HN_JOIN_EVENTS_MAX = 32, HN_JOIN_COLUMNS_MAX = 16384 };
#define HN_JOIN_TIME_MAX (INT64_C(1) << 53) /* a double holds every millisecond below */

/* ---- Records ----------------------------------------------------------------------------- */

/* An item shown. Sorted by request, time, line, item, index: the first line of a request is
 * the one that counts. */
typedef struct hn_join_shown {
    uint64_t request[2]; /* XXH3-128 of its id */
    uint64_t item;       /* XXH3-64 of its id */
    int64_t time_ms;
    uint64_t line;        /* of all exposure lines */
    uint64_t shared, own; /* where its text is in the spool */
    int32_t position, index;
    int64_t bare; /* 1: logged without features */
} hn_join_shown;

/* Sorted by request, item, event, time, sequence. */
typedef struct hn_join_happened {
    uint64_t request[2], item;
    int64_t time_ms;
    uint64_t sequence; /* of all events */
    double value;      /* NaN: none */
    int64_t event;     /* index into the options' events */
} hn_join_happened;

typedef struct hn_join_outcome {
    double value;  /* NaN: none */
    int64_t label; /* 0, 1, -1: not known yet */
} hn_join_outcome;

/* Sorted by time, request, position, index; as many outcomes as events. */
typedef struct hn_join_row {
    int64_t time_ms;
    uint64_t request[2];
    uint64_t shared, own;
    int32_t position, index;
    hn_join_outcome outcomes[];
} hn_join_row;

void hn_join_request_hash(uint64_t out[2], const char *id, size_t n);
uint64_t hn_join_item_hash(const char *id, size_t n);

/* ---- Columns (join_columns.c) -------------------------------------------------------------- */

enum { /* always there, in this order */
       HN_JOIN_REQUEST,
       HN_JOIN_TIME,
       HN_JOIN_USER,
       HN_JOIN_ITEM,
       HN_JOIN_SCENARIO,
       HN_JOIN_POSITION,
       HN_JOIN_MODEL,
       HN_JOIN_VERSION,
       HN_JOIN_FIXED
};
extern const char *const hn_join_fixed[HN_JOIN_FIXED];

typedef enum hn_join_group {
    HN_JOIN_ARMS,
    HN_JOIN_OF_USER,
    HN_JOIN_OF_CONTEXT,
    HN_JOIN_OF_ITEM,
    HN_JOIN_GROUPS
} hn_join_group;

/* A feature of several groups is one column (the item's own wins); arms are named apart. */
typedef struct hn_join_column {
    char *name;
    hn_join_group group, kept; /* the last one in which it was found; without the line at hand */
} hn_join_column;

typedef struct hn_join_columns {
    hn_join_column *items; /* number - HN_JOIN_FIXED is the index */
    int32_t n;
    size_t capacity;
    json_t *arms, *features; /* name → index */
    bool given;              /* no features but those named before */
    bool raised;             /* the line at hand has put a column into a later group */
} hn_join_columns;

hn_status hn_join_columns_init(hn_join_columns *columns, const char *const *given, size_t n,
                               hn_error *err);
/* The column's number, made where it is new; -1: not wanted. */
hn_status hn_join_column_of(int32_t *out, hn_join_columns *columns, hn_join_group group,
                            const char *name, size_t n, hn_error *err);
/* A line was good: what it did to the columns stays. */
void hn_join_columns_keep(hn_join_columns *columns);
/* A line was bad: takes the columns from index `n` on away, and back what it did to others. */
void hn_join_columns_cut(hn_join_columns *columns, int32_t n);
/* The order of writing, hn_alloc'ed [n]: arms and features by group and name, or as given. */
hn_status hn_join_columns_order(int32_t **out, const hn_join_columns *columns, hn_error *err);
void hn_join_columns_free(hn_join_columns *columns);

/* ---- The spool (join_spool.c) ---------------------------------------------------------------- */

/* Parts, each a number of cells: {column, bytes, text}. Written once, then read. */
typedef struct hn_join_spool hn_join_spool;
hn_status hn_join_spool_open(hn_join_spool **out, const char *dir, hn_error *err);
void hn_join_spool_free(hn_join_spool *spool);
uint64_t hn_join_spool_end(const hn_join_spool *spool); /* where the next part will be */
/* Begins a part and tells where; its cells follow. Until the flush all can be taken back. */
uint64_t hn_join_spool_begin(hn_join_spool *spool);
void hn_join_spool_cell(hn_join_spool *spool, int32_t column, const char *text, size_t n);
void hn_join_spool_back(hn_join_spool *spool, uint64_t to);
/* To be called between lines. */
hn_status hn_join_spool_flush(hn_join_spool *spool, bool all, hn_error *err);

typedef struct hn_join_window { /* a reader's; zeroed to begin */
    char *bytes;
    size_t n, capacity;
    uint64_t at;
} hn_join_window;
typedef struct hn_join_cell {
    const char *text; /* NULL: absent */
    size_t n;
} hn_join_cell;
/* Puts the cells of a part into cells[column]; they live as long as the window stays. */
hn_status hn_join_spool_read(hn_join_cell *cells, int32_t columns, hn_join_spool *spool,
                             hn_join_window *window, uint64_t part, hn_error *err);

/* ---- The whole ----------------------------------------------------------------------------- */

typedef struct hn_join_event_counts {
    uint64_t events, matched, duplicates, early, late, unknown_request, unknown_item;
    uint64_t ones, zeros, immature;
    uint64_t open_ones; /* ones whose window is still open: no 0 of their time is known */
    double value;
    int64_t first_ms, last_ms; /* of all its events; INT64_MAX, -1: none */
    bool has_value;
} hn_join_event_counts;

typedef struct hn_join_state {
    const hn_join_options *options;
    const hn_run *run;
    hn_join_columns columns;
    hn_join_spool *spool;
    hn_sorter *shown, *happened, *rows;
    size_t row_bytes;
    int64_t now_ms;
    uint64_t lines, items, requests, duplicate_requests, duplicate_items, n_rows, open_rows,
        bare_rows, nameless, bad, sequence;
    int64_t first_ms, last_ms; /* of exposures */
    char *examples[HN_JOIN_EXAMPLES];
    int32_t n_examples;
    hn_join_event_counts counts[HN_JOIN_EVENTS_MAX];
} hn_join_state;

hn_status hn_join_read_exposures(hn_join_state *join, const char *const *files, size_t n,
                                 hn_error *err);
hn_status hn_join_read_events(hn_join_state *join, int32_t event, hn_error *err);
hn_status hn_join_match(hn_join_state *join, hn_error *err);
hn_status hn_join_write(hn_join_state *join, hn_write write, void *user, hn_error *err);
hn_status hn_join_tell(hn_report **out, const hn_join_state *join, hn_error *err);
/* Whether the event's log ends so long before `now` that, at its rate, it must be a piece only. */
bool hn_join_ends_early(const hn_join_state *join, size_t event);
/* A line that cannot be used: counted and kept as an example, or, beyond the limit, the
 * failure. `why`: its sentence. Any status but HN_BAD_DATA is passed on. */
hn_status hn_join_bad_line(hn_join_state *join, const hn_error *why, hn_error *err);
/* The event's files have a value; else TASK_value is no column. */
static inline bool hn_join_has_value(const hn_join_state *join, size_t event) {
    return join->counts[event].has_value;
}

/* ---- JSON to cells (join_cells.c) ----------------------------------------------------------- */

/* The cell's text as a request's value is read: strings as they are, numbers in their shortest
 * decimal text, true and false as 1 and 0, lists joined by |. out->text NULL: absent. `room` keeps
 * what is not the node's own. False: an object, or a list that cannot be joined. */
bool hn_join_node_cell(hn_join_cell *out, hn_text *room, const hn_json_node *node);
const char *hn_join_kind_name(const hn_json_node *node); /* "a list"; NULL: "nothing" */
/* One line; the sentence has file:line:column. */
hn_status hn_join_json_read(hn_json *json, const char *file, uint64_t number, const char *line,
                            size_t n, hn_error *err);
/* The shortest decimal text that reads back to the same number. */
int hn_number_show(char *out, size_t n, double x);
/* Whole milliseconds, 0 to HN_JOIN_TIME_MAX. */
bool hn_join_time(int64_t *out, const char *text, size_t n);

#endif
