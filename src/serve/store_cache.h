/* Rows read from the store, kept in this process for a while: also that there is no such
 * row. A row is immutable and counted by references, so that finding one copies nothing and
 * evicting one pulls nothing from under a request. Sharded by key; each shard is bounded and
 * forgets what was longest unused. */
#ifndef HN_SERVE_STORE_CACHE_H
#define HN_SERVE_STORE_CACHE_H

#include <stdatomic.h>

#include "base/error.h"

typedef struct hn_store_row {
    _Atomic int32_t references;
    int32_t n;      /* cells; 0: the store has no such row */
    uint64_t table; /* which table, read for which columns (store.c) */
    int64_t expires_ns;
    size_t bytes; /* of all this */
    const char *key;
    size_t key_bytes;
    const char **cells;   /* [n] NUL-terminated; NULL where absent */
    uint32_t *cell_bytes; /* [n] */
} hn_store_row;

/* `cells` NULL: a row that is not there. Everything is copied. NULL: no memory. One reference. */
hn_store_row *hn_store_row_create(uint64_t table, const char *key, size_t key_bytes,
                                  const char *const *cells, const size_t *cell_bytes, int32_t n);
void hn_store_row_release(hn_store_row *row); /* NULL is fine */

typedef struct hn_store_cache hn_store_cache;

/* Rows larger than this are not kept, so that entries bound the memory, too. */
enum { HN_STORE_CACHED_BYTES_MAX = 64 << 10 };

hn_status hn_store_cache_create(hn_store_cache **out, int64_t entries, hn_error *err);
void hn_store_cache_free(hn_store_cache *cache);
uint64_t hn_store_key_hash(uint64_t table, const char *key, size_t key_bytes);
/* A reference to the row, or NULL: unknown, or too old at `now_ns`. */
hn_store_row *hn_store_cache_find(hn_store_cache *cache, uint64_t hash, uint64_t table,
                                  const char *key, size_t key_bytes, int64_t now_ns);
/* Keeps a reference of its own. */
void hn_store_cache_put(hn_store_cache *cache, uint64_t hash, hn_store_row *row);

#endif
