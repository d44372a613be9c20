/* Exact duplicates of a log: which rows repeat an earlier one. */
#ifndef HN_DATA_DUPLICATES_H
#define HN_DATA_DUPLICATES_H

#include "data/digest.h"

/* All rows of a log, then the answer: sorted on disk when many. */
typedef struct hn_duplicates hn_duplicates;
hn_status hn_duplicates_create(hn_duplicates **out, int64_t budget_bytes, const char *dir,
                               hn_error *err);
/* identity: [rows][2]; rows are numbered from 0 over all calls. */
hn_status hn_duplicates_add(hn_duplicates *duplicates, const uint64_t *identity, int32_t rows,
                            hn_error *err);
/* A bit for each row, set where an earlier row is the same; NULL where none is. The caller
 * frees it. */
hn_status hn_duplicates_find(uint64_t **bits, uint64_t *n, hn_duplicates *duplicates,
                             const hn_run *run, hn_error *err);
void hn_duplicates_free(hn_duplicates *duplicates);

/* The same one row after another, for a log that is streamed: all identities are held. */
typedef struct hn_seen {
    uint64_t *slots; /* [capacity][2]; 0 0: free */
    uint64_t capacity, n;
    bool zero; /* the identity 0 0 was seen */
} hn_seen;
hn_status hn_seen_add(bool *again, hn_seen *seen, const uint64_t identity[2], const hn_run *run,
                      hn_error *err);
void hn_seen_free(hn_seen *seen);

#endif
