/* The tally of tally.h: dense entries in order of appearance with an index of positions,
 * so that a spill is one pass over the entries and growth moves only the index. */
#include "data/tally.h"

#include <string.h>

#include "base/memory.h"
#include "base/sort.h"
#include "data/tally_sort.h"

enum { ENTRY_WORDS = 3, FIRST_CAPACITY = 64, PREFETCH_FROM = 1 << 14 };

struct hn_tally {
    size_t counters, words; /* words of an entry */
    uint64_t *entries;      /* [n][words] */
    size_t n, capacity, most;
    uint32_t *index;   /* position + 1; 0: free */
    size_t index_size; /* a power of 2, at least twice the capacity */
    int shift;         /* 64 - log2(index_size) */
    int64_t sorter_bytes;
    char *dir;
    hn_sorter *sorter; /* NULL until the first spill */
    bool finished, in_order;
    size_t at;             /* reading from memory */
    uint64_t *merged;      /* reading from the sorter: the entry given out … */
    const uint64_t *ahead; /* … and the record that follows it */
};

static int compare_entries(const void *a, const void *b) {
    const uint64_t *const x = a, *const y = b;
    if (x[0] != y[0]) return x[0] < y[0] ? -1 : 1;
    return (x[1] > y[1]) - (x[1] < y[1]);
}

hn_status hn_tally_create(hn_tally **out, int32_t counters, int64_t budget_bytes, const char *dir,
                          hn_error *err) {
    *out = NULL;
    hn_tally *const tally = hn_alloc_zero(1, sizeof *tally);
    if (!tally) return hn_no_memory(err, "a tally");
    tally->counters = (size_t)counters;
    tally->words = ENTRY_WORDS + (size_t)counters;
    tally->dir = hn_strdup(dir);
    tally->merged = hn_alloc_zero(tally->words, sizeof *tally->merged);
    if (!tally->dir || !tally->merged) {
        hn_tally_free(tally);
        return hn_no_memory(err, "a tally");
    }
    /* While a map grows old and new are held: 1.5 times the new one. */
    if (budget_bytes < HN_TALLY_LEAST) budget_bytes = HN_TALLY_LEAST;
    tally->sorter_bytes = budget_bytes / 2;
    const size_t entry_bytes = (tally->words + 2) * 8 * 3 / 2;
    tally->most = (size_t)(budget_bytes / 2) / entry_bytes;
    if (tally->most > UINT32_MAX / 4) tally->most = UINT32_MAX / 4;
    *out = tally;
    return HN_OK;
}

void hn_tally_free(hn_tally *tally) {
    if (!tally) return;
    hn_sorter_free(tally->sorter);
    hn_free(tally->entries);
    hn_free(tally->index);
    hn_free(tally->merged);
    hn_free(tally->dir);
    hn_free(tally);
}

/* Keys are hashes or the bits of numbers: the high bits of one product spread both. */
static size_t slot_of(const hn_tally *tally, uint64_t key, uint64_t sub) {
    return (size_t)((key ^ sub * 0xd1342543de82ef95u) * 0x9e3779b97f4a7c15u >> tally->shift);
}

static void rebuild_index(hn_tally *tally) {
    const size_t mask = tally->index_size - 1;
    memset(tally->index, 0, tally->index_size * sizeof *tally->index);
    for (size_t i = 0; i < tally->n; i++) {
        const uint64_t *const entry = tally->entries + i * tally->words;
        size_t slot = slot_of(tally, entry[0], entry[1]);
        while (tally->index[slot]) slot = (slot + 1) & mask;
        tally->index[slot] = (uint32_t)(i + 1);
    }
}

static hn_status grow(hn_tally *tally, hn_error *err) {
    size_t capacity = tally->capacity ? tally->capacity * 2 : FIRST_CAPACITY;
    if (capacity > tally->most) capacity = tally->most;
    size_t index_size = tally->index_size ? tally->index_size : FIRST_CAPACITY * 2;
    while (index_size < capacity * 2) index_size *= 2;
    if (index_size != tally->index_size) {
        uint32_t *const index = hn_alloc_zero(index_size, sizeof *index);
        if (!index) return hn_no_memory(err, "a tally");
        hn_free(tally->index);
        tally->index = index;
        tally->index_size = index_size;
        tally->shift = 64 - __builtin_ctzll(index_size);
        rebuild_index(tally);
    }
    uint64_t *const entries = hn_realloc(tally->entries, capacity, tally->words * 8);
    if (!entries) return hn_no_memory(err, "a tally");
    tally->entries = entries;
    tally->capacity = capacity;
    return HN_OK;
}

static hn_status spill(hn_tally *tally, hn_error *err) {
    if (tally->n == 0 || !tally->index) return HN_OK;
    if (!tally->sorter)
        HN_TRY(hn_sorter_create(&tally->sorter, tally->words * 8, compare_entries,
                                tally->sorter_bytes, tally->dir, err));
    HN_TRY(hn_sorter_add(tally->sorter, tally->entries, tally->n, err));
    tally->n = 0;
    memset(tally->index, 0, tally->index_size * sizeof *tally->index);
    return HN_OK;
}

static hn_status add_entry(uint64_t **counts, hn_tally *tally, uint64_t key, uint64_t sub,
                           uint64_t position, hn_error *err) {
    if (tally->finished) return hn_fail(err, HN_FAILED, "a tally is added to after its end");
    if (tally->n == tally->capacity)
        HN_TRY(tally->capacity < tally->most ? grow(tally, err) : spill(tally, err));
    if (!tally->index) return hn_no_memory(err, "a tally"); /* never: grow made it */
    const size_t mask = tally->index_size - 1;
    size_t slot = slot_of(tally, key, sub);
    while (tally->index[slot]) slot = (slot + 1) & mask;
    uint64_t *const entry = tally->entries + tally->n * tally->words;
    tally->index[slot] = (uint32_t)++tally->n;
    memset(entry, 0, tally->words * 8);
    entry[0] = key, entry[1] = sub, entry[2] = position;
    *counts = entry + ENTRY_WORDS;
    return HN_OK;
}

hn_status hn_tally_at(uint64_t **counts, hn_tally *tally, uint64_t key, uint64_t sub,
                      uint64_t position, hn_error *err) {
    if (!tally->index) return add_entry(counts, tally, key, sub, position, err);
    const size_t mask = tally->index_size - 1;
    for (size_t slot = slot_of(tally, key, sub); tally->index[slot]; slot = (slot + 1) & mask) {
        uint64_t *const entry = tally->entries + (tally->index[slot] - 1) * tally->words;
        if (entry[0] != key || entry[1] != sub) continue;
        if (position < entry[2]) entry[2] = position;
        *counts = entry + ENTRY_WORDS;
        return HN_OK;
    }
    return add_entry(counts, tally, key, sub, position, err);
}

/* A large map is not in cache: the index, then the entries of a batch are asked for ahead. */
static void prefetch(const hn_tally *tally, const uint64_t *keys, int32_t n) {
    size_t slots[HN_TALLY_BATCH];
    for (int32_t i = 0; i < n; i++) {
        slots[i] = slot_of(tally, keys[i], 0);
        __builtin_prefetch(&tally->index[slots[i]]);
    }
    for (int32_t i = 0; i < n; i++) {
        const uint32_t at = tally->index[slots[i]];
        if (at) __builtin_prefetch(tally->entries + (at - 1) * tally->words, 1);
    }
}

hn_status hn_tally_add_many(hn_tally *tally, const uint64_t *keys, const uint64_t *positions,
                            int32_t n, hn_error *err) {
    if (tally->index_size > PREFETCH_FROM) prefetch(tally, keys, n);
    uint64_t *counts = NULL;
    for (int32_t i = 0; i < n; i++) {
        /* Many columns repeat their value from row to row; a later position is never the first. */
        const bool again = i > 0 && keys[i] == keys[i - 1] && positions[i] >= positions[i - 1];
        if (!again) HN_TRY(hn_tally_at(&counts, tally, keys[i], 0, positions[i], err));
        ++*counts;
    }
    return HN_OK;
}

/* Once something was spilled, everything goes through the sorter. */
hn_status hn_tally_finish(hn_tally *tally, bool sorted, hn_error *err) {
    tally->finished = true;
    tally->at = 0;
    tally->ahead = NULL;
    if (!tally->sorter) {
        if (sorted && !tally->in_order && tally->n > 0)
            hn_tally_sort(tally->entries, tally->n, tally->words);
        tally->in_order = tally->in_order || sorted;
        hn_free(tally->index); /* not needed any more */
        tally->index = NULL;
        return HN_OK;
    }
    HN_TRY(spill(tally, err));
    hn_free(tally->entries);
    hn_free(tally->index);
    tally->entries = NULL, tally->index = NULL;
    tally->capacity = 0;
    HN_TRY(hn_sorter_finish(tally->sorter, err));
    const void *record = NULL;
    HN_TRY(hn_sorter_next(&record, tally->sorter, err));
    tally->ahead = record;
    return HN_OK;
}

static void merge_into(hn_tally *tally, const uint64_t *record) {
    if (record[2] < tally->merged[2]) tally->merged[2] = record[2];
    for (size_t i = ENTRY_WORDS; i < tally->words; i++) tally->merged[i] += record[i];
}

/* Adds up the spilled records of one key. */
static hn_status next_spilled(const hn_tally_entry **out, hn_tally *tally, hn_error *err) {
    if (!tally->ahead) return HN_OK;
    memcpy(tally->merged, tally->ahead, tally->words * 8);
    for (;;) {
        const void *record = NULL;
        HN_TRY(hn_sorter_next(&record, tally->sorter, err));
        tally->ahead = record;
        if (!record || compare_entries(record, tally->merged) != 0) break;
        merge_into(tally, record);
    }
    *out = (const hn_tally_entry *)tally->merged;
    return HN_OK;
}

hn_status hn_tally_next(const hn_tally_entry **out, hn_tally *tally, hn_error *err) {
    *out = NULL;
    if (tally->sorter) return next_spilled(out, tally, err);
    if (tally->at < tally->n)
        *out = (const hn_tally_entry *)(tally->entries + tally->at++ * tally->words);
    return HN_OK;
}
