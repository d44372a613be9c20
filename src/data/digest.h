/* Digested impressions: what the readers make of text, before any vocabulary.
 *
 * A *source* is a (column, use) pair that the schema asks for. Each cell becomes one
 * 8-byte slot: the XXH3-64 hash of its bytes, a number, or a list of hashes; strings are
 * not kept. (Two different values of one column share a hash with a chance of n²/2⁶⁵:
 * 3e-5 for 30 million distinct values.) The log's slots travel with the row; a table's
 * slots stay in the table, and the row carries the number of its table row: that is the
 * join. The same code digests training logs, `predict` input and requests. */
#ifndef HN_DATA_DIGEST_H
#define HN_DATA_DIGEST_H

#include "base/config.h"
#include "base/pack.h"
#include "base/pool.h"

typedef enum hn_source_kind { HN_SOURCE_HASH, HN_SOURCE_NUMBER, HN_SOURCE_LIST } hn_source_kind;

typedef struct hn_source {
    char *column;  /* name in its file; "$file" is the base name of the log file */
    int32_t table; /* index into config->tables; -1: the log */
    hn_source_kind kind;
    char *delimiter; /* list: between values; number: the slot counts the values between, NULL: it
                        is the cell */
    int32_t max_length; /* list: first ones kept */
    int32_t slot;       /* in the log row's or the table row's slots */
    bool optional; /* the column may be absent from a file (labels' columns never are sources) */
} hn_source;

typedef struct hn_sources {
    hn_source *items;
    int32_t n;
    int32_t log_slots;
    int32_t *table_slots; /* [tables] */
    int32_t tables;
} hn_sources;

enum { HN_HASH_MISSING = 0 }; /* the hash of an absent cell; a real hash of 0 becomes 1 */
enum { HN_TABLE_ROW_NONE = -1 };

typedef union hn_slot {
    uint64_t hash;
    double number; /* NaN: absent */
    struct {
        uint32_t begin, length; /* in `lists` */
    } list;
} hn_slot;

/* The hash of a cell's text: XXH3-64, never HN_HASH_MISSING. */
uint64_t hn_cell_hash(const char *text, size_t n);
/* The number a cell spells (strict: all of it, finite); false otherwise. */
bool hn_cell_number(double *out, const char *text, size_t n);

/* A block of digested rows in log order. */
typedef struct hn_impressions {
    int32_t rows;
    int32_t log_slots, tables, tasks;
    const hn_slot *slots;      /* [rows][log_slots] */
    const int32_t *table_rows; /* [rows][tables]: HN_TABLE_ROW_NONE where the key is unknown */
    const uint64_t *lists;     /* hashes of the log's lists */
    uint64_t n_lists;
    const uint16_t
        *scenario; /* [rows]; HN_SCENARIO_UNKNOWN (only when the reader keeps unknown ones) */
    const uint8_t *labels;    /* [rows][tasks] */
    const float *weights;     /* [rows] */
    const uint64_t *user;     /* [rows]; 0 without a user column */
    const uint8_t *split;     /* [rows] hn_split */
    const uint64_t *ordinal;  /* [rows] 0-based number of the row among all good rows of the log */
    const uint64_t *identity; /* [rows][2] 128-bit hash of the whole row's cells; NULL unless
                                 duplicates are dropped */
    const float *sampling; /* [rows] rate at which negatives like it were kept, (0, 1]; NULL without
                              a sampling column */
    const char *const
        *line; /* [rows] the row's raw text, without line end; NULL unless asked for */
    const uint32_t *line_bytes;
} hn_impressions;

/* The columns of the log (`table` -1) or of a table, from the config's `columns` or the
 * header of its first file; allocated in `arena`. n is 0 for standard input, whose header
 * cannot be read twice. */
hn_status hn_columns_peek(hn_strings *out, hn_arena *arena, const hn_config *config, int32_t table,
                          hn_error *err);

/* ---- Tables -------------------------------------------------------------------- */

typedef struct hn_side_table {
    const char *name;
    uint32_t rows;
    int32_t slots;
    const uint8_t *kinds; /* [slots] hn_source_kind */
    const hn_slot *slot;  /* [rows][slots] */
    const uint64_t *lists;
    uint64_t n_lists;
    const uint64_t *keys; /* [rows] hash of the key */
    /* open addressing over keys */
    const uint32_t *index; /* row, or UINT32_MAX */
    uint64_t index_size;   /* a power of 2 */
    /* What the config's own columns (scenario, labels, filters …) are in this table's rows;
     * [n_refs] arrays of [rows], NULL where the table has no such column (refs.h). */
    const uint64_t **refs;
    int32_t n_refs;
    hn_strings columns; /* names, for messages; empty when loaded from a pack */
} hn_side_table;

typedef struct hn_side_tables {
    hn_side_table *items;
    int32_t n;
    hn_pack *pack;  /* the pack the memory belongs to, when loaded from one (not owned) */
    hn_arena arena; /* names and the small arrays */
} hn_side_tables;

/* Reads and digests every table of the config. Duplicate keys: error naming both lines. */
hn_status hn_side_tables_read(hn_side_tables **out, const hn_config *config,
                              const hn_sources *sources, hn_pool *pool, const hn_run *run,
                              hn_error *err);
void hn_side_tables_save(const hn_side_tables *tables, hn_packer *packer);
hn_status hn_side_tables_load(hn_side_tables **out, hn_pack *pack, hn_error *err);
void hn_side_tables_free(hn_side_tables *tables);
int32_t hn_side_table_find(const hn_side_table *table, uint64_t key_hash);

/* ---- The log --------------------------------------------------------------------- */

typedef struct hn_bad_row {
    char *text; /* "log/a.csv:12:7: expected a number, found \"x\"" */
} hn_bad_row;

typedef struct hn_log_counts {
    uint64_t rows;           /* data rows seen */
    uint64_t bad;            /* of them unusable (wrong number of fields, unreadable number, …) */
    uint64_t filtered;       /* by `filter` */
    uint64_t other_scenario; /* dropped with `others: drop` */
    uint64_t bytes;
    hn_bad_row examples[20]; /* the first bad rows in file order; freed by hn_log_counts_free */
    int32_t n_examples;
} hn_log_counts;
void hn_log_counts_free(hn_log_counts *counts);

struct hn_samples; /* samples.h */

typedef struct hn_log_options {
    /* Explicit paths instead of config->log.files; NULL: the config's. Such files may lack the
     * columns of the split: their rows are then of HN_NO_SPLIT. */
    const char *const *files;
    size_t n_files;
    bool scoring;    /* labels, weight, user and split columns are optional; filters, duplicates and
                        splits do not apply; unknown scenarios are kept as HN_SCENARIO_UNKNOWN */
    bool keep_lines; /* fill `line` */
    /* called once before the first block with the header line (or the joined column names) */
    hn_status (*header)(void *user, const char *text, size_t n, const char *delimiter,
                        hn_error *err);
    hn_status (*block)(void *user, const hn_impressions *block,
                       hn_error *err); /* in log order, on the calling thread */
    void *user;
    struct hn_samples *samples; /* takes the text of some held-out rows; may be NULL */
} hn_log_options;

/* Streams the log through `block` with bounded memory: files are cut into chunks that the
 * pool's workers inflate, split, filter, join and digest; blocks come out in order and
 * their content does not depend on threads. More than config->bad_rows bad rows is
 * HN_BAD_DATA with the first of them named (when scoring, any bad row is an error). */
hn_status hn_log_read(hn_log_counts *counts, const hn_config *config, const hn_sources *sources,
                      const hn_side_tables *tables, const hn_log_options *options, hn_pool *pool,
                      const hn_run *run, hn_error *err);

#endif
