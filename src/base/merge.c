/* A k-way merge: each run has a buffer, a heap of run numbers keeps the run with the
 * least record on top. Ties go to the earlier run, which keeps the sort stable. */
#include "base/merge.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"

typedef struct reader {
    uint64_t next, left; /* records of the run not yet in the buffer */
    char *buffer;        /* [per_source records] */
    size_t at, filled;   /* records */
} reader;

struct hn_merge {
    hn_merge_how how;
    int fd;
    reader *sources;
    char *buffers;
    size_t per_source;
    size_t *heap, heaped;
    bool started; /* the top's record was given out */
};

static const char *head(const hn_merge *merge, size_t i) {
    const reader *const source = &merge->sources[i];
    return source->buffer + source->at * merge->how.record_bytes;
}

static bool before(const hn_merge *merge, size_t a, size_t b) {
    const int order = merge->how.compare(head(merge, a), head(merge, b));
    return order < 0 || (order == 0 && a < b);
}

static void sift_down(hn_merge *merge, size_t i) {
    size_t *const heap = merge->heap;
    const size_t moved = heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= merge->heaped) break;
        if (child + 1 < merge->heaped && before(merge, heap[child + 1], heap[child])) child++;
        if (!before(merge, heap[child], moved)) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = moved;
}

static hn_status refill(hn_merge *merge, reader *source, hn_error *err) {
    const size_t size = merge->how.record_bytes;
    const size_t n = source->left < merge->per_source ? (size_t)source->left : merge->per_source;
    HN_TRY(hn_fd_read_at(merge->fd, source->buffer, n * size, source->next * size, merge->how.name,
                         err));
    source->next += n, source->left -= n;
    source->at = 0, source->filled = n;
    return HN_OK;
}

static hn_status fill_heap(hn_merge *merge, size_t n, hn_error *err) {
    for (size_t i = 0; i < n; i++) {
        if (merge->sources[i].left == 0) continue;
        HN_TRY(refill(merge, &merge->sources[i], err));
        merge->heap[merge->heaped++] = i;
    }
    for (size_t i = merge->heaped / 2; i-- > 0;) sift_down(merge, i);
    return HN_OK;
}

hn_status hn_merge_open(hn_merge **out, const hn_merge_how *how, int fd,
                        const hn_run_of_records *runs, size_t n, size_t budget_bytes,
                        hn_error *err) {
    *out = NULL;
    hn_merge *const merge = hn_alloc_zero(1, sizeof *merge);
    if (!merge) return hn_no_memory(err, "merging sorted runs");
    merge->how = *how;
    merge->fd = fd;
    merge->per_source = budget_bytes / (n ? n : 1) / how->record_bytes;
    if (merge->per_source == 0) merge->per_source = 1;
    merge->sources = hn_alloc_zero(n, sizeof *merge->sources);
    merge->heap = hn_alloc(n, sizeof *merge->heap);
    merge->buffers = hn_alloc(n * merge->per_source, how->record_bytes);
    hn_status status = HN_OK;
    if (!merge->sources || !merge->heap || !merge->buffers)
        status = hn_no_memory(err, "merging sorted runs");
    for (size_t i = 0; status == HN_OK && i < n; i++)
        merge->sources[i] =
            (reader){.next = runs[i].begin,
                     .left = runs[i].count,
                     .buffer = merge->buffers + i * merge->per_source * how->record_bytes};
    if (status == HN_OK) status = fill_heap(merge, n, err);
    if (status != HN_OK)
        hn_merge_close(merge);
    else
        *out = merge;
    return status;
}

/* Leaves the record that was given out: its run moves on or is done. */
static hn_status advance(hn_merge *merge, hn_error *err) {
    reader *const top = &merge->sources[merge->heap[0]];
    if (top->at + 1 < top->filled)
        top->at++;
    else if (top->left > 0)
        HN_TRY(refill(merge, top, err));
    else
        merge->heap[0] = merge->heap[--merge->heaped];
    if (merge->heaped > 0) sift_down(merge, 0);
    return HN_OK;
}

hn_status hn_merge_next(const void **out, hn_merge *merge, hn_error *err) {
    *out = NULL;
    if (merge->started && merge->heaped > 0) HN_TRY(advance(merge, err));
    merge->started = true;
    if (merge->heaped > 0) *out = head(merge, merge->heap[0]);
    return HN_OK;
}

void hn_merge_close(hn_merge *merge) {
    if (!merge) return;
    hn_free(merge->sources);
    hn_free(merge->heap);
    hn_free(merge->buffers);
    hn_free(merge);
}
