/* The feature store: rows of side tables kept in Redis. Layout: a hash
 * PREFIX:TABLE:KEY whose fields are columns and whose values are the cells as text, as in
 * the table's CSV; an absent field is an absent cell. Others may write it the same way.
 * One pipelined read for each request within its time; a local cache with a lifetime. */
#ifndef HN_SERVE_STORE_H
#define HN_SERVE_STORE_H

#include "serve/serve_config.h"

typedef struct hn_store hn_store;               /* shared: cache, counters */
typedef struct hn_store_reader hn_store_reader; /* one worker's connection */

typedef struct hn_store_table {
    const char *name;
    const char *const *columns;
    int32_t n_columns;
} hn_store_table;

typedef struct hn_store_key {
    int32_t table; /* index into the tables of hn_store_reader_create */
    const char *key;
    size_t key_bytes;
    /* Filled: cells [columns of the table], NULL where absent; valid until the next fetch. */
    const char *const *cells; /* NULL: late, failed, or no such row */
    const uint32_t *cell_bytes;
    bool late; /* no answer in time, or no connection */
} hn_store_key;

typedef struct hn_store_counts {
    uint64_t reads, hits, absent, late, errors, reconnects;
} hn_store_counts;

hn_status hn_store_open(hn_store **out, const hn_serve_store *config, hn_error *err);
void hn_store_close(hn_store *store);
void hn_store_counts_get(hn_store_counts *out, hn_store *store);
/* Does not connect yet: a store that is down is no error, only late. */
hn_status hn_store_reader_create(hn_store_reader **out, hn_store *store,
                                 const hn_store_table *tables, int32_t n_tables, hn_error *err);
void hn_store_reader_free(hn_store_reader *reader);
/* Never fails: what could not be read by deadline_ns (CLOCK_MONOTONIC) or the store's timeout is
 * late. */
void hn_store_fetch(hn_store_reader *reader, hn_store_key *keys, int32_t n, int64_t deadline_ns);

#endif
