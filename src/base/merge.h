/* Merging of sorted runs of records in a temporary file: the second half of sort.c, and
 * private to it. */
#ifndef HN_BASE_MERGE_H
#define HN_BASE_MERGE_H

#include "base/sort.h"

typedef struct hn_run_of_records { /* where the sorted runs of a temporary file lie, in records */
    uint64_t begin, count;
} hn_run_of_records;

/* What all merges of one sorter share. */
typedef struct hn_merge_how {
    size_t record_bytes;
    hn_compare compare;
    const char *name; /* of the folder, for errors */
} hn_merge_how;

typedef struct hn_merge hn_merge;
/* Merges runs[0…n-1] of `fd`, equal records in the order of the runs, with buffers of
 * about budget_bytes in all. */
hn_status hn_merge_open(hn_merge **out, const hn_merge_how *how, int fd,
                        const hn_run_of_records *runs, size_t n, size_t budget_bytes,
                        hn_error *err);
/* The next record, valid until the next call; NULL at the end. */
hn_status hn_merge_next(const void **out, hn_merge *merge, hn_error *err);
void hn_merge_close(hn_merge *merge);

#endif
