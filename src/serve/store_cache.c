/* The cache of rows (store_cache.h): each shard is a mutex, buckets of chains, and one list
 * from the row used last to the one longest unused, all as indices into fixed arrays. */
#include "serve/store_cache.h"

#include <pthread.h>
#include <string.h>
#include <xxhash.h>

#include "base/memory.h"

enum { SHARDS_MOST = 16, ENTRIES_A_SHARD_LEAST = 64 };
static const uint32_t none = UINT32_MAX;

typedef struct entry {
    hn_store_row *row;
    uint64_t hash;
    uint32_t chain;        /* next of the bucket, or of the free entries */
    uint32_t newer, older; /* by use */
} entry;

typedef struct shard {
    pthread_mutex_t mutex;
    entry *entries;    /* [capacity] */
    uint32_t *buckets; /* [n_buckets] */
    uint32_t capacity, n_buckets, free, newest, oldest;
} shard;

struct hn_store_cache {
    shard shards[SHARDS_MOST];
    uint32_t n;
};

/* ---- Rows ---------------------------------------------------------------------------------- */

static bool add_size(size_t *sum, size_t n) { return !__builtin_add_overflow(*sum, n, sum); }

hn_store_row *hn_store_row_create(uint64_t table, const char *key, size_t key_bytes,
                                  const char *const *cells, const size_t *cell_bytes, int32_t n) {
    const size_t count = cells ? (size_t)n : 0;
    size_t bytes = sizeof(hn_store_row) + count * (sizeof(char *) + sizeof(uint32_t));
    if (!add_size(&bytes, key_bytes + 1)) return NULL;
    for (size_t k = 0; k < count; k++)
        if (cells[k] && (cell_bytes[k] >= UINT32_MAX || !add_size(&bytes, cell_bytes[k] + 1)))
            return NULL;
    hn_store_row *const row = hn_alloc(bytes, 1);
    if (!row) return NULL;
    *row =
        (hn_store_row){.n = (int32_t)count, .table = table, .bytes = bytes, .key_bytes = key_bytes};
    atomic_init(&row->references, 1);
    row->cells = (const char **)(void *)(row + 1);
    row->cell_bytes = (uint32_t *)(void *)(row->cells + count);
    char *text = (char *)(row->cell_bytes + count);
    row->key = memcpy(text, key, key_bytes);
    text[key_bytes] = '\0';
    text += key_bytes + 1;
    for (size_t k = 0; k < count; k++) {
        row->cells[k] = NULL;
        row->cell_bytes[k] = 0;
        if (!cells[k]) continue;
        row->cells[k] = memcpy(text, cells[k], cell_bytes[k]);
        row->cell_bytes[k] = (uint32_t)cell_bytes[k];
        text[cell_bytes[k]] = '\0';
        text += cell_bytes[k] + 1;
    }
    return row;
}

void hn_store_row_release(hn_store_row *row) {
    if (row && atomic_fetch_sub_explicit(&row->references, 1, memory_order_acq_rel) == 1)
        hn_free(row);
}

/* ---- Making and freeing ---------------------------------------------------------------------- */

static uint32_t power_of_two(uint64_t least) {
    uint64_t n = 1;
    while (n < least) n *= 2;
    return (uint32_t)n;
}

static hn_status make_shard(shard *s, uint64_t capacity, hn_error *err) {
    s->capacity = (uint32_t)capacity;
    s->n_buckets = power_of_two(capacity);
    s->newest = s->oldest = none;
    s->entries = hn_alloc_zero(s->capacity, sizeof *s->entries);
    s->buckets = hn_alloc(s->n_buckets, sizeof *s->buckets);
    if (!s->entries || !s->buckets) return hn_no_memory(err, "the store's cache");
    memset(s->buckets, 0xff, s->n_buckets * sizeof *s->buckets);
    for (uint32_t k = 0; k < s->capacity; k++)
        s->entries[k].chain = k + 1 < s->capacity ? k + 1 : none;
    return HN_OK;
}

hn_status hn_store_cache_create(hn_store_cache **out, int64_t entries, hn_error *err) {
    *out = NULL;
    hn_store_cache *const cache = hn_alloc_zero(1, sizeof *cache);
    if (!cache) return hn_no_memory(err, "the store's cache");
    const int64_t wanted = entries / ENTRIES_A_SHARD_LEAST;
    cache->n = wanted >= SHARDS_MOST ? SHARDS_MOST : wanted < 1 ? 1 : (uint32_t)wanted;
    hn_status status = HN_OK;
    for (uint32_t k = 0; k < cache->n; k++) pthread_mutex_init(&cache->shards[k].mutex, NULL);
    for (uint32_t k = 0; k < cache->n && status == HN_OK; k++)
        status = make_shard(&cache->shards[k], ((uint64_t)entries + k) / cache->n, err);
    if (status != HN_OK)
        hn_store_cache_free(cache);
    else
        *out = cache;
    return status;
}

void hn_store_cache_free(hn_store_cache *cache) {
    if (!cache) return;
    for (uint32_t k = 0; k < cache->n; k++) {
        shard *const s = &cache->shards[k];
        for (uint32_t e = 0; e < s->capacity && s->entries; e++)
            hn_store_row_release(s->entries[e].row);
        hn_free(s->entries);
        hn_free(s->buckets);
        pthread_mutex_destroy(&s->mutex);
    }
    hn_free(cache);
}

/* ---- Lists --------------------------------------------------------------------------------- */

static void unlink_use(shard *s, uint32_t at) {
    const entry *const e = &s->entries[at];
    if (e->newer != none) s->entries[e->newer].older = e->older;
    if (e->older != none) s->entries[e->older].newer = e->newer;
    if (s->newest == at) s->newest = e->older;
    if (s->oldest == at) s->oldest = e->newer;
}

static void link_newest(shard *s, uint32_t at) {
    entry *const e = &s->entries[at];
    e->newer = none;
    e->older = s->newest;
    if (s->newest != none) s->entries[s->newest].newer = at;
    s->newest = at;
    if (s->oldest == none) s->oldest = at;
}

static uint32_t *bucket_of(const shard *s, uint64_t hash) {
    return &s->buckets[(hash >> 8) & (s->n_buckets - 1)];
}

static uint32_t look(const shard *s, uint64_t hash, uint64_t table, const char *key,
                     size_t key_bytes) {
    for (uint32_t at = *bucket_of(s, hash); at != none; at = s->entries[at].chain) {
        const entry *const e = &s->entries[at];
        if (e->hash == hash && e->row->table == table && e->row->key_bytes == key_bytes &&
            memcmp(e->row->key, key, key_bytes) == 0)
            return at;
    }
    return none;
}

/* The entry becomes a free one. */
static void drop(shard *s, uint32_t at) {
    entry *const e = &s->entries[at];
    uint32_t *from = bucket_of(s, e->hash);
    while (*from != at) from = &s->entries[*from].chain;
    *from = e->chain;
    unlink_use(s, at);
    hn_store_row_release(e->row);
    e->row = NULL;
    e->chain = s->free;
    s->free = at;
}

/* ---- Use ----------------------------------------------------------------------------------- */

uint64_t hn_store_key_hash(uint64_t table, const char *key, size_t key_bytes) {
    return XXH3_64bits_withSeed(key, key_bytes, table);
}

static shard *shard_of(hn_store_cache *cache, uint64_t hash) {
    return &cache->shards[hash % 256 % cache->n];
}

hn_store_row *hn_store_cache_find(hn_store_cache *cache, uint64_t hash, uint64_t table,
                                  const char *key, size_t key_bytes, int64_t now_ns) {
    shard *const s = shard_of(cache, hash);
    hn_store_row *found = NULL;
    pthread_mutex_lock(&s->mutex);
    const uint32_t at = look(s, hash, table, key, key_bytes);
    if (at != none && s->entries[at].row->expires_ns <= now_ns) {
        drop(s, at);
    } else if (at != none) {
        found = s->entries[at].row;
        atomic_fetch_add_explicit(&found->references, 1, memory_order_relaxed);
        unlink_use(s, at);
        link_newest(s, at);
    }
    pthread_mutex_unlock(&s->mutex);
    return found;
}

void hn_store_cache_put(hn_store_cache *cache, uint64_t hash, hn_store_row *row) {
    if (row->bytes > HN_STORE_CACHED_BYTES_MAX) return;
    shard *const s = shard_of(cache, hash);
    pthread_mutex_lock(&s->mutex);
    const uint32_t old = look(s, hash, row->table, row->key, row->key_bytes);
    if (old != none) drop(s, old);
    if (s->free == none) drop(s, s->oldest);
    const uint32_t at = s->free;
    entry *const e = &s->entries[at];
    uint32_t *const bucket = bucket_of(s, hash);
    s->free = e->chain;
    e->row = row;
    e->hash = hash;
    e->chain = *bucket;
    *bucket = at;
    link_newest(s, at);
    atomic_fetch_add_explicit(&row->references, 1, memory_order_relaxed);
    pthread_mutex_unlock(&s->mutex);
}
