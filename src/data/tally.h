/* A tally: counters by key, summed over as many additions as there are rows, in a hash map
 * while that fits a budget, else in sorted runs on disk that are merged at the end.
 * Vocabularies, quantiles and rates are fitted with it. What comes out depends neither on
 * the order of adding nor on the budget. */
#ifndef HN_DATA_TALLY_H
#define HN_DATA_TALLY_H

#include "base/error.h"

typedef struct hn_tally hn_tally;

typedef struct hn_tally_entry {
    uint64_t key, sub; /* together the key */
    uint64_t first;    /* least position it was added with */
    uint64_t counts[]; /* [counters] */
} hn_tally_entry;

enum { HN_TALLY_LEAST = 2 << 20 }; /* the least budget that is kept to, in bytes */

/* budget_bytes: what map and spill buffers may take together; dir: where spills go. */
hn_status hn_tally_create(hn_tally **out, int32_t counters, int64_t budget_bytes, const char *dir,
                          hn_error *err);
void hn_tally_free(hn_tally *tally);
/* The counters of a key, zero when new, valid until the next call. */
hn_status hn_tally_at(uint64_t **counts, hn_tally *tally, uint64_t key, uint64_t sub,
                      uint64_t position, hn_error *err);
/* Adds 1 to the first counter of each of n keys (sub 0); faster than one after another. */
enum { HN_TALLY_BATCH = 64 };
hn_status hn_tally_add_many(hn_tally *tally, const uint64_t *keys, const uint64_t *positions,
                            int32_t n, hn_error *err);
/* No more additions; rewinds to the first entry. May be called again to read once more.
 * Entries come in ascending order of (key, sub) when `sorted`, else in any order. */
hn_status hn_tally_finish(hn_tally *tally, bool sorted, hn_error *err);
/* The next entry, valid until the next call; NULL at the end. */
hn_status hn_tally_next(const hn_tally_entry **out, hn_tally *tally, hn_error *err);

#endif
