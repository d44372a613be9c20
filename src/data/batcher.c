/* Batches of a dataset. A pass is a sequence of windows of blocks; the current window has a
 * permutation of its rows in memory, everything else is found by arithmetic, so that a pass
 * can be entered at any batch. Nothing is copied before a batch is put together. */
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "data/batch.h"
#include "data/dataset_types.h"

struct hn_batcher {
    const hn_dataset *dataset;
    uint64_t seed;
    int64_t epoch; /* -1: a plain pass */
    uint32_t batch;
    uint32_t window;        /* blocks */
    uint64_t rows;          /* of the pass */
    uint64_t at;            /* next row of the pass */
    const hn_block *blocks; /* [n_blocks] of the split */
    uint32_t first_block, n_blocks, n_windows;
    uint32_t *order;                   /* [n_blocks] blocks of the pass in order */
    uint32_t short_at;                 /* where in `order` the block that isn't full stands */
    uint8_t *checked;                  /* [n_blocks] */
    uint32_t *row_order;               /* [window × block_rows] rows of the current window */
    uint64_t window_begin, window_end; /* rows of the pass in it; empty: none */
    uint32_t window_first;             /* its first block, as a position in `order` */
    hn_batch out;
};

/* ---- Order ----------------------------------------------------------------------- */

/* The block that isn't full goes to the end of its window, so that row i of a window is
 * row i mod block_rows of its block i / block_rows. */
static void put_short_last(hn_batcher *b) {
    b->short_at = UINT32_MAX;
    if (b->n_blocks == 0 || b->blocks[b->n_blocks - 1].rows == b->dataset->block_rows) return;
    uint32_t at = 0;
    while (b->order[at] != b->n_blocks - 1) at++;
    uint32_t end = (at / b->window + 1) * b->window - 1;
    if (end > b->n_blocks - 1) end = b->n_blocks - 1;
    for (; at < end; at++) b->order[at] = b->order[at + 1];
    b->order[end] = b->n_blocks - 1;
    b->short_at = end;
}

void hn_batcher_start(hn_batcher *b, int64_t epoch) {
    b->epoch = epoch < 0 ? -1 : epoch;
    if (epoch < 0)
        for (uint32_t i = 0; i < b->n_blocks; i++) b->order[i] = i;
    else
        hn_random_permutation(b->order, b->n_blocks, b->seed, HN_STREAM_BLOCKS, (uint64_t)epoch);
    put_short_last(b);
    b->at = 0;
    b->window_begin = b->window_end = 0;
}

/* The first row of the pass that is in window w. */
static uint64_t begin_of_window(const hn_batcher *b, uint32_t w) {
    const uint32_t block_rows = b->dataset->block_rows;
    if (w >= b->n_windows) return b->rows;
    const uint64_t blocks = (uint64_t)w * b->window;
    const bool short_before = b->short_at < blocks;
    return blocks * block_rows - (short_before ? block_rows - b->blocks[b->n_blocks - 1].rows : 0);
}

static hn_status check_blocks(hn_batcher *b, uint32_t first, uint32_t n, hn_error *err) {
    for (uint32_t i = first; i < first + n; i++) {
        const uint32_t block = b->order[i];
        if (!b->checked[block]) HN_TRY(hn_block_check(b->dataset, b->first_block + block, err));
        b->checked[block] = 1;
    }
    return HN_OK;
}

/* Makes the window of row `at` the current one. */
static hn_status load_window(hn_batcher *b, hn_error *err) {
    uint32_t w = (uint32_t)(b->at / ((uint64_t)b->window * b->dataset->block_rows));
    while (begin_of_window(b, w + 1) <= b->at) w++;
    b->window_first = w * b->window;
    const uint32_t left = b->n_blocks - b->window_first;
    HN_TRY(check_blocks(b, b->window_first, left < b->window ? left : b->window, err));
    b->window_begin = begin_of_window(b, w);
    b->window_end = begin_of_window(b, w + 1);
    const uint32_t n = (uint32_t)(b->window_end - b->window_begin);
    if (b->epoch < 0)
        for (uint32_t i = 0; i < n; i++) b->row_order[i] = i;
    else
        hn_random_permutation(b->row_order, n, b->seed, HN_STREAM_ROWS,
                              (uint64_t)b->epoch * b->n_windows + w);
    return HN_OK;
}

/* ---- The interface --------------------------------------------------------------- */

void hn_batcher_free(hn_batcher *b) {
    if (!b) return;
    hn_free(b->order);
    hn_free(b->checked);
    hn_free(b->row_order);
    hn_batch_free(&b->out);
    hn_free(b);
}

static hn_status set_up(hn_batcher *b, hn_split split, int32_t window, hn_error *err) {
    const hn_dataset *const dataset = b->dataset;
    b->first_block = dataset->first[split];
    b->n_blocks = dataset->first[split + 1] - b->first_block;
    b->blocks = dataset->blocks + b->first_block;
    b->rows = dataset->rows[split];
    b->window = (uint32_t)window < b->n_blocks ? (uint32_t)window : b->n_blocks;
    if (b->window == 0) b->window = 1;
    /* Windows as equal as may be: a few blocks left for the last one would end every epoch
     * with steps on a poor sample of the log. */
    b->n_windows = (b->n_blocks + b->window - 1) / b->window;
    if (b->n_windows > 0) b->window = (b->n_blocks + b->n_windows - 1) / b->n_windows;
    b->n_windows = (b->n_blocks + b->window - 1) / b->window;
    const uint64_t window_rows = (uint64_t)b->window * dataset->block_rows;
    if (window_rows > UINT32_MAX)
        return hn_fail(err, HN_BAD_CONFIG,
                       "train.window: %u blocks of %u rows are more than 2^32 rows; use fewer",
                       b->window, dataset->block_rows);
    b->order = hn_alloc_zero(b->n_blocks, sizeof *b->order);
    b->checked = hn_alloc_zero(b->n_blocks, 1);
    b->row_order = hn_alloc(window_rows < b->rows ? window_rows : b->rows, sizeof *b->row_order);
    if (!b->order || !b->checked || !b->row_order) return hn_no_memory(err, "the order of rows");
    HN_TRY(hn_batch_create(&b->out, dataset, b->batch, err));
    hn_batcher_start(b, -1);
    return HN_OK;
}

hn_status hn_batcher_create(hn_batcher **out, const hn_dataset *dataset, hn_split split,
                            int32_t batch, int32_t window, uint64_t seed, hn_error *err) {
    *out = NULL;
    if (batch < 1 || window < 1)
        return hn_fail(err, HN_USAGE,
                       "batches of %d rows from windows of %d blocks: expected at least 1 of both",
                       batch, window);
    hn_batcher *const b = hn_alloc_zero(1, sizeof *b);
    if (!b) return hn_no_memory(err, "batches");
    b->dataset = dataset;
    b->batch = (uint32_t)batch;
    b->seed = seed;
    const hn_status status = set_up(b, split, window, err);
    if (status != HN_OK) {
        hn_batcher_free(b);
        return status;
    }
    *out = b;
    return HN_OK;
}

uint64_t hn_batcher_batches(const hn_batcher *b) { return (b->rows + b->batch - 1) / b->batch; }

void hn_batcher_seek(hn_batcher *b, uint64_t index) {
    b->at = index < hn_batcher_batches(b) ? index * b->batch : b->rows;
    b->window_begin = b->window_end = 0;
}

hn_status hn_batcher_next(const hn_rows **out, hn_batcher *b, hn_error *err) {
    const uint64_t left = b->rows - b->at;
    const uint32_t n = left < b->batch ? (uint32_t)left : b->batch;
    *out = NULL;
    if (n == 0) return HN_OK;
    for (uint32_t i = 0; i < n; i++, b->at++) {
        if (b->at < b->window_begin || b->at >= b->window_end) HN_TRY(load_window(b, err));
        const uint32_t row = b->row_order[b->at - b->window_begin],
                       block_rows = b->dataset->block_rows;
        const hn_block *const block = &b->blocks[b->order[b->window_first + row / block_rows]];
        hn_batch_take(&b->out, i, block, row % block_rows);
    }
    *out = hn_batch_gather(&b->out, n);
    return HN_OK;
}
