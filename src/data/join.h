/* From parsed rows to impressions: tables joined, filters applied, scenario, labels, weight,
 * user and split decided, and rows that are not wanted left out. A chunk at a time, by any
 * worker; what depends on the rows before (ordinals, the random split) is left to log.c. */
#ifndef HN_DATA_JOIN_H
#define HN_DATA_JOIN_H

#include "data/parse.h"

/* Where a reference's values come from in one file. */
enum { HN_FROM_NOWHERE = -2, HN_FROM_LOG = -1 /* else the table's index */ };

typedef struct hn_join_plan {
    const hn_config *config;
    const hn_refs *refs;
    const hn_side_tables *tables; /* may be NULL: none */
    int32_t *from;                /* [refs->n] */
    bool scoring, keep_lines;
    bool splits; /* false: all rows are HN_NO_SPLIT */
} hn_join_plan;

typedef struct hn_joined {
    int32_t rows;
    size_t capacity;
    uint64_t good, filtered, other_scenario;
    int32_t *table_rows;
    uint16_t *scenario;
    uint8_t *labels, *split;
    float *weights, *sampling;
    uint64_t *user, *ordinal; /* ordinal: among the chunk's good rows */
    const char **line;
    uint32_t *line_bytes;
} hn_joined;

/* `parsed` loses the rows that are left out; rows that prove bad go to its `bads`. */
hn_status hn_join_tables(hn_joined *out, hn_parsed *parsed, const hn_parse_plan *plan,
                         const hn_join_plan *join, const char *text, hn_error *err);
void hn_joined_free(hn_joined *joined);
/* The split of a row of `random` splits. */
hn_split hn_split_random(const hn_config_split *split, uint64_t ordinal);

#endif
