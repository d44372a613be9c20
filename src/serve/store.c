/* The feature store (store.h): what is not in the cache is read in one pipeline of HMGETs
 * over the worker's own connection. The cache and the counters are shared; connections are
 * not, so that no worker waits for another's. */
#include "serve/store.h"

#include <stdatomic.h>
#include <string.h>
#include <xxhash.h>

#include "base/memory.h"
#include "serve/store_cache.h"
#include "serve/store_link.h"

struct hn_store {
    hn_store_target target;
    char *prefix;
    int64_t timeout_ns, lifetime_ns;
    hn_store_cache *cache; /* NULL: none */
    _Atomic uint64_t reads, hits, absent, late, errors, reconnects;
};

typedef struct table {
    char *prefix; /* "PREFIX:TABLE:" */
    size_t prefix_bytes;
    uint64_t identity; /* of name and columns: models may read different columns of one table */
    int32_t columns;
    const char **argv; /* "HMGET", the key, columns */
    size_t *bytes;     /* of each */
} table;

struct hn_store_reader {
    hn_store *store;
    hn_arena arena;
    table *tables;
    int32_t n_tables, columns_most;
    hn_store_link link;
    uint64_t errors_told, connections_told; /* of the link's, in the store's counters */
    hn_store_row **rows;                    /* of the last fetch */
    uint64_t *hashes;
    size_t n_rows, rows_capacity, hashes_capacity;
    char *key; /* scratch for a whole key */
    size_t key_capacity;
    const char **cells; /* [columns_most] scratch for a row */
    size_t *cell_bytes;
};

/* ---- The store ----------------------------------------------------------------------------- */

static int64_t to_ns(double seconds) {
    return seconds < 1e9 ? (int64_t)(seconds * 1e9) : INT64_C(1000000000000000000);
}

hn_status hn_store_open(hn_store **out, const hn_serve_store *config, hn_error *err) {
    *out = NULL;
    hn_store *const store = hn_alloc_zero(1, sizeof *store);
    if (!store) return hn_no_memory(err, "the feature store");
    store->timeout_ns = to_ns(config->timeout_ms * 1e-3);
    store->lifetime_ns = to_ns(config->cache_seconds);
    store->prefix = hn_strdup(config->prefix ? config->prefix : "hinet");
    hn_status status = store->prefix ? hn_store_target_open(&store->target, config->url, err)
                                     : hn_no_memory(err, "the feature store");
    if (status == HN_OK && store->lifetime_ns > 0 && config->cache_entries > 0)
        status = hn_store_cache_create(&store->cache, config->cache_entries, err);
    if (status != HN_OK)
        hn_store_close(store);
    else
        *out = store;
    return status;
}

void hn_store_close(hn_store *store) {
    if (!store) return;
    hn_store_cache_free(store->cache);
    hn_store_target_close(&store->target);
    hn_free(store->prefix);
    hn_free(store);
}

void hn_store_counts_get(hn_store_counts *out, hn_store *store) {
    *out = (hn_store_counts){
        .reads = atomic_load_explicit(&store->reads, memory_order_relaxed),
        .hits = atomic_load_explicit(&store->hits, memory_order_relaxed),
        .absent = atomic_load_explicit(&store->absent, memory_order_relaxed),
        .late = atomic_load_explicit(&store->late, memory_order_relaxed),
        .errors = atomic_load_explicit(&store->errors, memory_order_relaxed),
        .reconnects = atomic_load_explicit(&store->reconnects, memory_order_relaxed),
    };
}

static void count(_Atomic uint64_t *counter, uint64_t n) {
    if (n > 0) atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* ---- Readers ------------------------------------------------------------------------------- */

static uint64_t identify(const hn_store_table *t) {
    uint64_t hash = XXH3_64bits(t->name, strlen(t->name));
    for (int32_t c = 0; c < t->n_columns; c++)
        hash = XXH3_64bits_withSeed(t->columns[c], strlen(t->columns[c]), hash + 1);
    return hash;
}

static hn_status make_prefix(table *out, hn_arena *arena, const char *prefix, const char *name,
                             hn_error *err) {
    const size_t a = strlen(prefix), b = strlen(name);
    out->prefix = hn_arena_alloc(arena, a + b + 3, 1);
    if (!out->prefix) return hn_no_memory(err, "a reader of the feature store");
    memcpy(out->prefix, prefix, a);
    out->prefix[a] = ':';
    memcpy(out->prefix + a + 1, name, b);
    out->prefix[a + 1 + b] = ':';
    out->prefix_bytes = a + b + 2;
    return HN_OK;
}

static hn_status make_table(table *out, hn_arena *arena, const char *prefix,
                            const hn_store_table *from, hn_error *err) {
    const size_t args = (size_t)from->n_columns + 2;
    HN_TRY(make_prefix(out, arena, prefix, from->name, err));
    out->identity = identify(from);
    out->columns = from->n_columns;
    out->argv = hn_arena_alloc(arena, args, sizeof *out->argv);
    out->bytes = hn_arena_alloc(arena, args, sizeof *out->bytes);
    if (!out->argv || !out->bytes) return hn_no_memory(err, "a reader of the feature store");
    out->argv[0] = "HMGET";
    out->bytes[0] = 5;
    for (int32_t c = 0; c < from->n_columns; c++) {
        char *const name = hn_arena_strdup(arena, from->columns[c]);
        if (!name) return hn_no_memory(err, "a reader of the feature store");
        out->argv[c + 2] = name;
        out->bytes[c + 2] = strlen(name);
    }
    return HN_OK;
}

static hn_status make_tables(hn_store_reader *reader, const hn_store_table *tables, int32_t n,
                             hn_error *err) {
    hn_arena *const arena = &reader->arena;
    reader->tables = hn_arena_alloc(arena, (size_t)n + 1, sizeof *reader->tables);
    if (!reader->tables) return hn_no_memory(err, "a reader of the feature store");
    reader->n_tables = n;
    for (int32_t t = 0; t < n; t++) {
        HN_TRY(make_table(&reader->tables[t], arena, reader->store->prefix, &tables[t], err));
        if (tables[t].n_columns > reader->columns_most) reader->columns_most = tables[t].n_columns;
    }
    const size_t most = (size_t)reader->columns_most + 1;
    reader->cells = hn_arena_alloc(arena, most, sizeof *reader->cells);
    reader->cell_bytes = hn_arena_alloc(arena, most, sizeof *reader->cell_bytes);
    return reader->cells && reader->cell_bytes ? HN_OK
                                               : hn_no_memory(err, "a reader of the feature store");
}

hn_status hn_store_reader_create(hn_store_reader **out, hn_store *store,
                                 const hn_store_table *tables, int32_t n_tables, hn_error *err) {
    *out = NULL;
    hn_store_reader *const reader = hn_alloc_zero(1, sizeof *reader);
    if (!reader) return hn_no_memory(err, "a reader of the feature store");
    reader->store = store;
    hn_store_link_init(&reader->link, &store->target);
    const hn_status status = make_tables(reader, tables, n_tables, err);
    if (status != HN_OK)
        hn_store_reader_free(reader);
    else
        *out = reader;
    return status;
}

static void release_rows(hn_store_reader *reader) {
    for (size_t k = 0; k < reader->n_rows; k++) hn_store_row_release(reader->rows[k]);
    reader->n_rows = 0;
}

void hn_store_reader_free(hn_store_reader *reader) {
    if (!reader) return;
    release_rows(reader);
    hn_store_link_close(&reader->link);
    hn_free(reader->rows);
    hn_free(reader->hashes);
    hn_free(reader->key);
    hn_arena_free(&reader->arena);
    hn_free(reader);
}

/* ---- Fetching ------------------------------------------------------------------------------ */

static void give(hn_store_key *key, hn_store_reader *reader, size_t at, hn_store_row *row) {
    reader->rows[at] = row;
    key->late = false;
    if (row->n == 0) return;
    key->cells = row->cells;
    key->cell_bytes = row->cell_bytes;
}

/* What the cache has; gives the number of keys that are left. */
static int32_t look_up(hn_store_reader *reader, hn_store_key *keys, int32_t n, int64_t now_ns) {
    hn_store_cache *const cache = reader->store->cache;
    int32_t left = 0;
    for (int32_t k = 0; k < n && cache; k++) {
        const uint64_t identity = reader->tables[keys[k].table].identity;
        reader->hashes[k] = hn_store_key_hash(identity, keys[k].key, keys[k].key_bytes);
        hn_store_row *const row = hn_store_cache_find(cache, reader->hashes[k], identity,
                                                      keys[k].key, keys[k].key_bytes, now_ns);
        if (row)
            give(&keys[k], reader, (size_t)k, row);
        else
            left++;
    }
    return cache ? left : n;
}

static bool ask(hn_store_reader *reader, const hn_store_key *key) {
    table *const t = &reader->tables[key->table];
    const size_t bytes = t->prefix_bytes + key->key_bytes;
    if (bytes < key->key_bytes ||
        hn_grow(&reader->key, &reader->key_capacity, bytes, 1, NULL) != HN_OK) {
        hn_store_link_fail(&reader->link, "no memory for a key");
        return false;
    }
    memcpy(reader->key, t->prefix, t->prefix_bytes);
    memcpy(reader->key + t->prefix_bytes, key->key, key->key_bytes);
    t->argv[1] = reader->key;
    t->bytes[1] = bytes;
    return hn_store_link_append(&reader->link, t->columns + 2, t->argv, t->bytes);
}

/* NULL: the answer is none to an HMGET (an error, as of a key of another type), or no memory. */
static hn_store_row *row_of(hn_store_reader *reader, const hn_store_key *key,
                            const redisReply *reply) {
    const table *const t = &reader->tables[key->table];
    bool any = false;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != (size_t)t->columns) return NULL;
    for (int32_t c = 0; c < t->columns; c++) {
        const redisReply *const cell = reply->element[c];
        const bool there = cell->type == REDIS_REPLY_STRING;
        reader->cells[c] = there ? cell->str : NULL;
        reader->cell_bytes[c] = there ? (size_t)cell->len : 0;
        any |= there;
    }
    return hn_store_row_create(t->identity, key->key, key->key_bytes, any ? reader->cells : NULL,
                               reader->cell_bytes, t->columns);
}

static void take(hn_store_reader *reader, hn_store_key *key, size_t at, redisReply *reply,
                 int64_t now_ns) {
    hn_store *const store = reader->store;
    hn_store_row *const row = row_of(reader, key, reply);
    freeReplyObject(reply);
    if (!row) {
        count(&store->errors, 1);
        return;
    }
    give(key, reader, at, row);
    if (!store->cache) return;
    row->expires_ns = now_ns + store->lifetime_ns; /* before anybody else can see it */
    hn_store_cache_put(store->cache, reader->hashes[at], row);
}

/* HMGETs of all keys that have no row yet, until the limit. */
static void read_rows(hn_store_reader *reader, hn_store_key *keys, int32_t n, int64_t limit_ns) {
    hn_store_link *const link = &reader->link;
    if (!hn_store_link_ready(link, limit_ns)) return;
    for (int32_t k = 0; k < n; k++)
        if (!reader->rows[k] && !ask(reader, &keys[k])) return;
    for (int32_t k = 0; k < n; k++) {
        if (reader->rows[k]) continue;
        redisReply *const reply = hn_store_link_reply(link, limit_ns);
        if (!reply) return;
        take(reader, &keys[k], (size_t)k, reply, hn_store_now_ns());
    }
}

static void tell_link(hn_store_reader *reader) {
    const hn_store_link *const link = &reader->link;
    count(&reader->store->errors, link->errors - reader->errors_told);
    count(&reader->store->reconnects, link->connections - reader->connections_told);
    reader->errors_told = link->errors;
    reader->connections_told = link->connections;
}

/* A request that came with hardly any time left says nothing about the store. */
static void forgive(hn_store_link *link, int32_t failures) {
    if (link->redis || link->failures <= failures) return;
    link->failures = failures;
    link->retry_ns = 0;
}

static bool reserve(hn_store_reader *reader, int32_t n) {
    return hn_grow(&reader->rows, &reader->rows_capacity, (size_t)n, sizeof *reader->rows, NULL) ==
               HN_OK &&
           hn_grow(&reader->hashes, &reader->hashes_capacity, (size_t)n, sizeof *reader->hashes,
                   NULL) == HN_OK;
}

void hn_store_fetch(hn_store_reader *reader, hn_store_key *keys, int32_t n, int64_t deadline_ns) {
    hn_store *const store = reader->store;
    const int64_t now = hn_store_now_ns(), own = now + store->timeout_ns,
                  limit = deadline_ns < own ? deadline_ns : own;
    uint64_t late = 0, absent = 0;
    release_rows(reader);
    for (int32_t k = 0; k < n; k++) {
        keys[k].cells = NULL;
        keys[k].cell_bytes = NULL;
        keys[k].late = true;
    }
    count(&store->reads, n > 0 ? (uint64_t)n : 0);
    if (n > 0 && reserve(reader, n)) {
        reader->n_rows = (size_t)n;
        memset(reader->rows, 0, (size_t)n * sizeof *reader->rows);
        const int32_t left = look_up(reader, keys, n, now), failures = reader->link.failures;
        count(&store->hits, (uint64_t)(n - left));
        if (left > 0 && limit > now) read_rows(reader, keys, n, limit);
        if (limit < own && hn_store_now_ns() >= limit) forgive(&reader->link, failures);
    }
    for (int32_t k = 0; k < n; k++) {
        late += keys[k].late;
        absent += !keys[k].late && !keys[k].cells;
    }
    count(&store->late, late);
    count(&store->absent, absent);
    tell_link(reader);
}
