/* Batches of a dataset. A pass is a sequence of windows of blocks; the current window has a
 * permutation of its rows in memory, everything else is found by arithmetic, so that a pass
 * can be entered at any batch. Nothing is copied before a batch is put together. */
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "data/batch.h"
#include "data/dataset_types.h"
#include "data/sampling.h"

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
    /* training passes with weights, whose rows are only known window by window */
    double *weights; /* [M]; NULL: every row once */
    uint32_t *drawn; /* like row_order: rows of the window, each as often as it comes */
    double expected; /* rows of a pass */
    uint32_t next_window;
    uint64_t skip; /* rows that a seek has still to go over */
    hn_batch out;
};

static bool is_weighted(const hn_batcher *b) { return b->weights && b->epoch >= 0; }

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
    b->next_window = 0;
    b->skip = 0;
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

static hn_status open_window(hn_batcher *b, uint32_t w, hn_error *err) {
    b->window_first = w * b->window;
    const uint32_t left = b->n_blocks - b->window_first;
    return check_blocks(b, b->window_first, left < b->window ? left : b->window, err);
}

/* Makes the window of row `at` the current one. */
static hn_status load_window(hn_batcher *b, hn_error *err) {
    uint32_t w = (uint32_t)(b->at / ((uint64_t)b->window * b->dataset->block_rows));
    while (begin_of_window(b, w + 1) <= b->at) w++;
    HN_TRY(open_window(b, w, err));
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

/* The block of a row of the window, and the row's number there. */
static const hn_block *block_of(const hn_batcher *b, uint32_t row) {
    return &b->blocks[b->order[b->window_first + row / b->dataset->block_rows]];
}

static uint32_t times_of(const hn_batcher *b, uint32_t row) {
    const uint8_t *const record = block_of(b, row)->records +
                                  (size_t)(row % b->dataset->block_rows) * b->dataset->record.bytes;
    uint16_t scenario;
    uint64_t ordinal;
    memcpy(&scenario, record + HN_RECORD_SCENARIO, sizeof scenario);
    memcpy(&ordinal, record + HN_RECORD_ORDINAL, sizeof ordinal);
    return hn_sampling_times(b->weights[scenario], b->seed, b->epoch, ordinal);
}

/* The rows that window w has in this epoch, permuted; their number. */
static uint32_t draw_window(hn_batcher *b, uint32_t w) {
    const uint32_t rows = (uint32_t)(begin_of_window(b, w + 1) - begin_of_window(b, w));
    uint32_t n = 0;
    for (uint32_t row = 0; row < rows; row++)
        for (uint32_t k = times_of(b, row); k > 0; k--) b->drawn[n++] = row;
    hn_random_permutation(b->row_order, n, b->seed, HN_STREAM_ROWS,
                          (uint64_t)b->epoch * b->n_windows + w);
    for (uint32_t i = 0; i < n; i++) b->row_order[i] = b->drawn[b->row_order[i]];
    return n;
}

/* The next window that has rows becomes the current one; an empty one at the end. */
static hn_status draw_next(hn_batcher *b, hn_error *err) {
    b->window_begin = b->window_end = b->at;
    while (b->window_end == b->at && b->next_window < b->n_windows) {
        HN_TRY(open_window(b, b->next_window, err));
        b->window_end = b->at + draw_window(b, b->next_window++);
    }
    return HN_OK;
}

/* Goes over what a seek asked to skip. */
static hn_status skip_rows(hn_batcher *b, hn_error *err) {
    while (b->skip > 0) {
        if (b->at == b->window_end) HN_TRY(draw_next(b, err));
        const uint64_t left = b->window_end - b->at, n = left < b->skip ? left : b->skip;
        if (n == 0) break;
        b->at += n;
        b->skip -= n;
    }
    b->skip = 0;
    return HN_OK;
}

/* ---- The interface --------------------------------------------------------------- */

void hn_batcher_free(hn_batcher *b) {
    if (!b) return;
    hn_free(b->order);
    hn_free(b->checked);
    hn_free(b->row_order);
    hn_free(b->drawn);
    hn_free(b->weights);
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

static bool all_one(const double *weights, int32_t n) {
    bool one = true;
    for (int32_t i = 0; i < n; i++) one &= weights[i] == 1;
    return one;
}

/* Room for a window whose rows all come as often as the heaviest. */
static hn_status make_room(hn_batcher *b, double heaviest, hn_error *err) {
    const uint64_t window_rows = (uint64_t)b->window * b->dataset->block_rows,
                   rows =
                       (window_rows < b->rows ? window_rows : b->rows) * (uint64_t)ceil(heaviest);
    if (rows > UINT32_MAX)
        return hn_fail(err, HN_BAD_CONFIG,
                       "train.sampling: a window has up to %llu rows, more than 2^32; use smaller "
                       "weights or a smaller train.window",
                       (unsigned long long)rows);
    hn_free(b->row_order);
    b->row_order = hn_alloc(rows, sizeof *b->row_order);
    b->drawn = hn_alloc(rows, sizeof *b->drawn);
    return b->row_order && b->drawn ? HN_OK : hn_no_memory(err, "the order of rows");
}

hn_status hn_batcher_weigh(hn_batcher *b, const double *weights, hn_error *err) {
    const int32_t m = b->dataset->record.scenarios;
    const uint64_t *const rows = hn_schema_scenario_rows(b->dataset->schema);
    double heaviest = 0;
    if (all_one(weights, m)) return HN_OK;
    b->weights = hn_alloc((size_t)m, sizeof *b->weights);
    if (!b->weights) return hn_no_memory(err, "the weights of scenarios");
    b->expected = 0;
    for (int32_t i = 0; i < m; i++) {
        b->weights[i] = weights[i];
        b->expected += weights[i] * (double)rows[i];
        heaviest = fmax(heaviest, weights[i]);
    }
    return make_room(b, heaviest, err);
}

uint64_t hn_batcher_batches(const hn_batcher *b) {
    if (b->weights) return (uint64_t)ceil(b->expected / b->batch);
    return (b->rows + b->batch - 1) / b->batch;
}

bool hn_batcher_ended(const hn_batcher *b) {
    if (!is_weighted(b)) return b->at == b->rows;
    return b->next_window == b->n_windows && b->at == b->window_end && b->skip == 0;
}

void hn_batcher_seek(hn_batcher *b, uint64_t index) {
    if (is_weighted(b)) {
        hn_batcher_start(b, b->epoch);
        b->skip = index * b->batch;
        return;
    }
    b->at = index < hn_batcher_batches(b) ? index * b->batch : b->rows;
    b->window_begin = b->window_end = 0;
}

static void take(hn_batcher *b, uint32_t i) {
    const uint32_t row = b->row_order[b->at++ - b->window_begin];
    hn_batch_take(&b->out, i, block_of(b, row), row % b->dataset->block_rows);
}

/* After a batch one looks ahead, so that its end is known. */
static hn_status next_weighted(const hn_rows **out, hn_batcher *b, hn_error *err) {
    uint32_t n = 0;
    HN_TRY(skip_rows(b, err));
    for (; n < b->batch; n++) {
        if (b->at == b->window_end) HN_TRY(draw_next(b, err));
        if (b->at == b->window_end) break;
        take(b, n);
    }
    const hn_rows *const rows = n > 0 ? hn_batch_gather(&b->out, n) : NULL;
    if (b->at == b->window_end) HN_TRY(draw_next(b, err));
    *out = rows;
    return HN_OK;
}

hn_status hn_batcher_next(const hn_rows **out, hn_batcher *b, hn_error *err) {
    *out = NULL;
    if (is_weighted(b)) return next_weighted(out, b, err);
    const uint64_t left = b->rows - b->at;
    const uint32_t n = left < b->batch ? (uint32_t)left : b->batch;
    if (n == 0) return HN_OK;
    for (uint32_t i = 0; i < n; i++) {
        if (b->at < b->window_begin || b->at >= b->window_end) HN_TRY(load_window(b, err));
        take(b, i);
    }
    *out = hn_batch_gather(&b->out, n);
    return HN_OK;
}
