/* Vocabularies: building the hash table from hashes in id order, and choosing from a tally
 * which values get an id and in what order. */
#include "data/vocabulary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/budget.h"
#include "data/digest.h"

enum { MOST_VALUES_SHIFT = 32, LEAST_LOG = 4 };

void hn_vocabulary_free(hn_vocabulary *vocabulary) {
    hn_free(vocabulary->keys);
    hn_free(vocabulary->ids);
    hn_free(vocabulary->hashes);
    memset(vocabulary, 0, sizeof *vocabulary);
}

static hn_status insert(hn_vocabulary *vocabulary, uint64_t hash, uint32_t id, const char *what,
                        hn_error *err) {
    if (hash == HN_HASH_MISSING)
        return hn_fail(err, HN_BAD_DATA,
                       "%s: value %u is the hash of a missing cell; the file is damaged", what, id);
    uint64_t slot = hn_vocabulary_slot(vocabulary, hash);
    for (; vocabulary->keys[slot]; slot = (slot + 1) & (vocabulary->capacity - 1))
        if (vocabulary->keys[slot] == hash)
            return hn_fail(err, HN_BAD_DATA,
                           "%s: values %u and %u are the same; the file is damaged", what,
                           vocabulary->ids[slot], id);
    vocabulary->keys[slot] = hash;
    vocabulary->ids[slot] = id;
    return HN_OK;
}

/* Slots so that at most two thirds are taken. */
static int log_of_capacity(size_t n) {
    int log = LEAST_LOG;
    while (((uint64_t)1 << log) / 3 * 2 < n) log++;
    return log;
}

hn_status hn_vocabulary_build(hn_vocabulary *out, const uint64_t *hashes, size_t n,
                              const char *what, hn_error *err) {
    memset(out, 0, sizeof *out);
    if (n == 0) return HN_OK;
    if (n > ((uint64_t)1 << MOST_VALUES_SHIFT) - 1 - HN_ID_FIRST)
        return hn_fail(err, HN_BAD_DATA,
                       "%s: %zu distinct values; ids have 32 bits: set max_size or hash", what, n);
    const int log = log_of_capacity(n);
    hn_vocabulary made = {.capacity = (uint64_t)1 << log, .shift = 64 - log, .size = (uint32_t)n};
    made.keys = hn_alloc_zero(made.capacity, sizeof *made.keys);
    made.ids = hn_alloc_zero(made.capacity, sizeof *made.ids);
    made.hashes = hn_alloc(n, sizeof *made.hashes);
    hn_status status = made.keys && made.ids && made.hashes ? HN_OK : hn_no_memory(err, what);
    if (made.hashes) memcpy(made.hashes, hashes, n * sizeof *hashes);
    for (size_t i = 0; i < n && status == HN_OK; i++)
        status = insert(&made, hashes[i], (uint32_t)(HN_ID_FIRST + i), what, err);
    if (status != HN_OK) {
        hn_vocabulary_free(&made);
        return status;
    }
    *out = made;
    return HN_OK;
}

/* ---- Fitting --------------------------------------------------------------------- */

typedef struct candidate {
    uint64_t hash, first, count;
} candidate;

typedef struct selection {
    candidate *items;
    size_t n, capacity;
    size_t most; /* SIZE_MAX: all */
} selection;

/* Both are total orders (by hash at last), so that ids never depend on the tally's order. */
static int by_first(const void *a, const void *b) {
    const candidate *const x = a, *const y = b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

static int by_count(const void *a, const void *b) {
    const candidate *const x = a, *const y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return by_first(a, b);
}

static void keep_most_frequent(selection *chosen) {
    if (chosen->n <= chosen->most) return;
    qsort(chosen->items, chosen->n, sizeof *chosen->items, by_count);
    chosen->n = chosen->most;
}

/* Memory stays within twice max_size however many candidates come. */
static hn_status choose(selection *chosen, const candidate *one, const hn_vocabulary_rule *rule,
                        const hn_run *run, hn_error *err) {
    if (chosen->most < SIZE_MAX / 2 && chosen->n >= 2 * chosen->most + 1024)
        keep_most_frequent(chosen);
    if (chosen->n == chosen->capacity) {
        char what[200];
        snprintf(what, sizeof what, "the vocabulary of feature \"%s\"", rule->name);
        /* Old and new while they grow; qsort takes as much again as it sorts. */
        HN_TRY(hn_budget_need(run, (uint64_t)chosen->capacity * 3 * sizeof *one, what, err));
    }
    HN_TRY(hn_grow(&chosen->items, &chosen->capacity, chosen->n + 1, sizeof *chosen->items, err));
    chosen->items[chosen->n++] = *one;
    return HN_OK;
}

static hn_status choose_all(selection *chosen, hn_tally *tally, const hn_vocabulary *old,
                            const hn_vocabulary_rule *rule, const hn_run *run, hn_error *err) {
    HN_TRY(hn_tally_finish(tally, false, err));
    for (;;) {
        const hn_tally_entry *entry;
        HN_TRY(hn_tally_next(&entry, tally, err));
        if (!entry) break;
        if ((int64_t)entry->counts[0] < rule->min_count) continue;
        if (hn_vocabulary_find(old, entry->key) != HN_ID_UNSEEN) continue;
        const candidate one = {entry->key, entry->first, entry->counts[0]};
        HN_TRY(choose(chosen, &one, rule, run, err));
    }
    keep_most_frequent(chosen);
    if (chosen->n > 0) qsort(chosen->items, chosen->n, sizeof *chosen->items, by_first);
    return HN_OK;
}

static hn_status build_chosen(hn_vocabulary *out, const selection *chosen,
                              const hn_vocabulary_rule *rule, const hn_run *run, hn_error *err) {
    const size_t n = rule->n_old + chosen->n;
    if (n == 0) return HN_OK;
    char what[200];
    snprintf(what, sizeof what, "the vocabulary of feature \"%s\"", rule->name);
    const uint64_t slots = (uint64_t)1 << log_of_capacity(n);
    HN_TRY(hn_budget_need(run, slots * (sizeof *out->keys + sizeof *out->ids) + n * 16, what, err));
    uint64_t *const hashes = hn_alloc(n, sizeof *hashes);
    if (!hashes) return hn_no_memory(err, what);
    if (rule->n_old > 0) memcpy(hashes, rule->old, rule->n_old * sizeof *hashes);
    for (size_t i = 0; i < chosen->n; i++) hashes[rule->n_old + i] = chosen->items[i].hash;
    const hn_status status = hn_vocabulary_build(out, hashes, n, what, err);
    hn_free(hashes);
    return status;
}

hn_status hn_vocabulary_fit(hn_vocabulary *out, hn_tally *tally, const hn_vocabulary_rule *rule,
                            const hn_run *run, hn_error *err) {
    memset(out, 0, sizeof *out);
    hn_vocabulary old;
    HN_TRY(hn_vocabulary_build(&old, rule->old, rule->n_old, rule->name, err));
    selection chosen = {.most = SIZE_MAX};
    if (rule->max_size > 0)
        chosen.most =
            (uint64_t)rule->max_size > rule->n_old ? (size_t)rule->max_size - rule->n_old : 0;
    hn_status status = choose_all(&chosen, tally, &old, rule, run, err);
    hn_vocabulary_free(&old);
    if (status == HN_OK) status = build_chosen(out, &chosen, rule, run, err);
    hn_free(chosen.items);
    return status;
}
