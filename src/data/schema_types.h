/* The inside of a schema, for the files that plan, fit, save and apply it. Everything is
 * immutable once fitted, so that any number of threads may encode with it. */
#ifndef HN_DATA_SCHEMA_TYPES_H
#define HN_DATA_SCHEMA_TYPES_H

#include "data/rate.h"
#include "data/scale.h"
#include "data/schema.h"
#include "data/vocabulary.h"

/* Which column a name of the config means; kept in bundles, where no header can be read. */
typedef struct hn_resolved {
    char *written; /* as in the config */
    int32_t table; /* -1: the log */
    char *column;  /* in its file */
} hn_resolved;

/* Where a value is found: a slot of the log's or of a table's row. */
typedef struct hn_reference {
    int32_t table; /* -1: the log */
    int32_t slot;
    hn_source_kind kind;
} hn_reference;

/* What an embedding table of ids stands on: a feature of its own, or one that shares. */
typedef enum hn_root_kind { HN_ROOT_VOCABULARY, HN_ROOT_HASH, HN_ROOT_INTEGER } hn_root_kind;
typedef struct hn_root {
    const hn_config_feature *feature;
    hn_root_kind kind;
    hn_vocabulary vocabulary;
    const uint64_t *old; /* [n_old] while fitting: the values of a warm start */
    size_t n_old;
    uint32_t fresh;    /* values that a warm start had not */
    int32_t embedding; /* index into layout.tables; -1: no input uses it */
} hn_root;

typedef enum hn_column_kind {
    HN_COLUMN_ID,
    HN_COLUMN_LIST,
    HN_COLUMN_NUMBER,
    HN_COLUMN_RATE,
    HN_COLUMN_COUNT
} hn_column_kind;

/* How one input of the layout is made. Where the number of a column is bucketed it is an
 * id of the layout. */
typedef struct hn_column {
    char *name; /* of the input */
    const hn_config_feature *feature;
    hn_column_kind kind;
    hn_side side;
    hn_reference from;     /* not of rates */
    int32_t place;         /* 0: made of log rows; 1 + t: of rows of table t alone */
    int32_t root;          /* ids and lists: index into roots; else -1 */
    uint64_t missing_hash; /* what an absent cell stands for; HN_HASH_MISSING: nothing */
    double missing_number; /* NaN: nothing */
    hn_scale scale;        /* numbers, rates and counts */
    bool kept;             /* the scale is that of a warm start */
    int32_t rate, task;    /* index into rates, and into that rate's tasks */
    int32_t slot;          /* among the ids, lists or values of its place */
} hn_column;

typedef struct hn_rate {
    const hn_config_feature *feature;
    hn_reference *keys; /* [n_keys] */
    int32_t n_keys;
    int32_t *tasks; /* [n_tasks] indices into the config's tasks */
    int32_t n_tasks;
    double *base;      /* [n_tasks] overall rate of the training split */
    hn_reference fold; /* fold_by column and past */
    hn_rate_totals totals;
    hn_rate_folds folds; /* only while a dataset is prepared */
} hn_rate;

/* The inputs that are made in one place lie next to each other in a row. */
typedef struct hn_place {
    int32_t first_id, ids;
    int32_t first_list, lists;
    int32_t first_value, values;
    int32_t first_column, columns; /* of schema->by_place */
} hn_place;

struct hn_schema {
    const hn_config *config;
    hn_arena arena; /* names and small arrays */
    hn_resolved *resolved;
    size_t n_resolved, resolved_capacity;
    bool frozen;         /* loaded: names that are not resolved are an error */
    hn_strings **peeked; /* [1 + tables] columns of the log and of each table; NULL: not read yet */
    char *plan;          /* the saved form of `resolved`, as JSON */
    hn_sources sources;
    hn_root *roots;
    int32_t n_roots;
    hn_rate *rates;
    int32_t n_rates;
    hn_column *columns; /* [n_columns] in the order of the layout's inputs */
    int32_t n_columns;
    int32_t *by_place;           /* [n_columns] indices into columns, ordered by place */
    int32_t *list_columns;       /* [layout.lists] the column of each list of a row */
    hn_place *places;            /* [1 + tables] */
    hn_layout layout;            /* sizes of embedding tables once fitted */
    uint64_t *scenario_rows;     /* [M] */
    double *sampling;            /* [M] */
    const hn_side_tables *bound; /* the tables of `codes` */
    struct hn_codes *codes;
};

bool hn_column_is_id(const hn_column *column);    /* in a row's ids */
bool hn_column_is_value(const hn_column *column); /* in a row's values */

/* schema_resolve.c: finds the column that `written` names for `what` ("features.age"). */
hn_status hn_schema_resolve(const hn_resolved **out, hn_schema *schema, const char *written,
                            const char *what, hn_error *err);
/* schema_source.c: the reference to a column in a form, shared by all that ask the same. */
typedef struct hn_source_want {
    const char *written, *what;
    hn_source_kind kind;
    const char *delimiter; /* lists */
    int32_t max_length;
    bool optional;
} hn_source_want;
hn_status hn_schema_want(hn_reference *out, hn_schema *schema, const hn_source_want *want,
                         hn_error *err);

/* schema_plan.c: all but the fit, from `resolved` where it is filled. */
hn_status hn_schema_create(hn_schema **out, const hn_config *config, hn_error *err);
hn_status hn_schema_build(hn_schema *schema, hn_error *err);
/* schema_layout.c: places, slots and the layout; then the embedding tables once fitted. */
hn_status hn_schema_arrange(hn_schema *schema, hn_error *err);
void hn_schema_complete(hn_schema *schema);
/* schema_io.c: the text of `plan`; what a warm start brings: statistics of the inputs (the
 * vocabularies' old values are read where they are fitted). */
hn_status hn_schema_write_plan(hn_schema *schema, hn_error *err);
hn_status hn_schema_inherit(hn_schema *schema, hn_pack *init, hn_error *err);
hn_status hn_schema_old_hashes(const uint64_t **out, size_t *n, hn_pack *init, const char *feature,
                               hn_error *err);

/* schema_describe.c: one input, for hn_schema_describe and the data card. */
json_t *hn_schema_describe_input(const hn_schema *schema, int32_t c);

#endif
