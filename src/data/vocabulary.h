/* A vocabulary: the distinct values of a feature, by hash, and their ids (HN_ID_FIRST and
 * up). Saved as the array of hashes in id order. */
#ifndef HN_DATA_VOCABULARY_H
#define HN_DATA_VOCABULARY_H

#include "base/rows.h"
#include "data/tally.h"

typedef struct hn_vocabulary {
    uint64_t *keys;    /* [capacity] open addressing; HN_HASH_MISSING: free */
    uint32_t *ids;     /* [capacity] */
    uint64_t capacity; /* a power of 2; 0: empty */
    int shift;         /* 64 - log2(capacity) */
    uint32_t size;     /* distinct values */
    uint64_t *hashes;  /* [size] in id order */
} hn_vocabulary;

/* From hashes in id order. HN_BAD_DATA when one is twice there or is that of a missing
 * cell. `what` names it in messages. */
hn_status hn_vocabulary_build(hn_vocabulary *out, const uint64_t *hashes, size_t n,
                              const char *what, hn_error *err);
void hn_vocabulary_free(hn_vocabulary *vocabulary);
typedef struct hn_vocabulary_rule {
    const char *name;    /* of the feature, for messages */
    const uint64_t *old; /* [n_old] values that keep their ids (a warm start) */
    size_t n_old;
    int64_t min_count;
    int64_t max_size; /* 0: all */
} hn_vocabulary_rule;
/* From a tally of training rows by hash (one counter), which is finished here: ids by first
 * appearance; of more than max_size the most frequent (ties by first appearance). */
hn_status hn_vocabulary_fit(hn_vocabulary *out, hn_tally *tally, const hn_vocabulary_rule *rule,
                            const hn_run *run, hn_error *err);

static inline uint64_t hn_vocabulary_slot(const hn_vocabulary *vocabulary, uint64_t hash) {
    return (hash * 0x9e3779b97f4a7c15u) >> vocabulary->shift;
}
/* HN_ID_UNSEEN where it isn't there. `hash` is not HN_HASH_MISSING. */
static inline uint32_t hn_vocabulary_find(const hn_vocabulary *vocabulary, uint64_t hash) {
    if (vocabulary->capacity == 0) return HN_ID_UNSEEN;
    uint64_t slot = hn_vocabulary_slot(vocabulary, hash);
    for (;; slot = (slot + 1) & (vocabulary->capacity - 1)) {
        if (vocabulary->keys[slot] == hash) return vocabulary->ids[slot];
        if (vocabulary->keys[slot] == 0) return HN_ID_UNSEEN;
    }
}

#endif
