/* Rows of a table as the commands that write them into the feature store (layout: store.h).
 * For internal use of `hinet features push`. */
#ifndef HN_SERVE_FEATURES_ROWS_H
#define HN_SERVE_FEATURES_ROWS_H

#include "base/report.h"
#include "data/chunk.h"

typedef struct hn_feature_command {
    uint64_t line; /* line feeds before its row, in the chunk */
    size_t end;    /* of its bytes in `commands` */
} hn_feature_command;

typedef struct hn_feature_rows { /* of one chunk; reused for the next */
    hn_text commands;
    hn_feature_command *items;
    size_t n, capacity; /* commands */
    uint64_t rows, lines;
    hn_status status; /* of the first row that is wrong, or of memory: */
    uint64_t bad_line, bad_column;
    char bad[400];
    /* scratch for a row */
    hn_text cells;
    struct hn_feature_cell *row;
    const char **argv;
    size_t *bytes;
    size_t row_capacity, argv_capacity, bytes_capacity;
    hn_walker walker;
} hn_feature_rows;

typedef struct hn_feature_format {
    const hn_config_source *source;
    const char *prefix;     /* "PREFIX:TABLE:" */
    int32_t key;            /* column */
    int64_t expire_seconds; /* 0: never */
} hn_feature_format;

/* For each row an HSET of the cells that are there, and an HDEL of those that are not, so
 * that a row that was written before with more cells is right, too; then its lifetime. */
void hn_feature_rows_make(hn_feature_rows *out, const hn_feature_format *format,
                          const hn_columns *columns, const char *text, size_t n);
void hn_feature_rows_free(hn_feature_rows *rows);

#endif
