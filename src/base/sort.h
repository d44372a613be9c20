/* Sorting fixed-size records, in memory while they fit a budget, else by sorted runs in
 * an unnamed temporary file and a merge. Used for vocabularies, quantiles, duplicates,
 * rates and exact AUC. The sort is stable (records that compare equal keep the order of
 * adding), so the result never depends on the budget. After a failure a sorter can only
 * be freed. */
#ifndef HN_BASE_SORT_H
#define HN_BASE_SORT_H

#include "base/error.h"

typedef struct hn_sorter hn_sorter;
typedef int (*hn_compare)(const void *a, const void *b);

/* record_bytes ≥ 1; budget_bytes: memory for buffers (at least 1 MiB is used);
 * dir: where spills go. */
hn_status hn_sorter_create(hn_sorter **out, size_t record_bytes, hn_compare compare,
                           int64_t budget_bytes, const char *dir, hn_error *err);
hn_status hn_sorter_add(hn_sorter *sorter, const void *records, size_t n, hn_error *err);
/* No more records; rewinds to the first. May be called again to read once more. */
hn_status hn_sorter_finish(hn_sorter *sorter, hn_error *err);
/* The next record in order, valid until the next call; NULL at the end. */
hn_status hn_sorter_next(const void **out, hn_sorter *sorter, hn_error *err);
uint64_t hn_sorter_count(const hn_sorter *sorter);
void hn_sorter_free(hn_sorter *sorter);

#endif
