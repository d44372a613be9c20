/* The second half of a preparation: window after window of the spool, each block's rows
 * are encoded and packed by split, while one worker writes the window before in order. */
#include <string.h>

#include "base/memory.h"
#include "data/prepare.h"

typedef struct block_work { /* of one block in flight */
    uint32_t *rows;         /* numbers of its rows by split, one split after another */
    size_t rows_capacity;
    hn_encoded encoded;
    hn_packed packed[HN_SPLITS];
    hn_encode_counts counts[HN_SPLITS];
    hn_status status;
    hn_error error;
} block_work;

typedef struct encoding {
    hn_preparation *p;
    hn_pass *pass;
    hn_record record;
    hn_block_writer *writer; /* NULL: rows are only counted */
    block_work *work[2];     /* [pass->most]: of the current window and the one before, in turn */
    int32_t current, n_before;
    hn_status status; /* of writing */
    hn_error error;
} encoding;

/* ---- Counts ---------------------------------------------------------------------- */

static hn_status create_counts(hn_encode_counts *counts, int32_t columns, hn_error *err) {
    const size_t n = (size_t)columns;
    counts->missing = hn_alloc_zero(n, sizeof *counts->missing);
    counts->unseen = hn_alloc_zero(n, sizeof *counts->unseen);
    counts->cells = hn_alloc_zero(n, sizeof *counts->cells);
    return counts->missing && counts->unseen && counts->cells
               ? HN_OK
               : hn_no_memory(err, "counts of columns");
}

static void free_counts(hn_encode_counts *counts) {
    hn_free(counts->missing);
    hn_free(counts->unseen);
    hn_free(counts->cells);
}

static void move_counts(hn_encode_counts *to, hn_encode_counts *from, int32_t columns) {
    for (int32_t c = 0; c < columns; c++) {
        to->missing[c] += from->missing[c], from->missing[c] = 0;
        to->unseen[c] += from->unseen[c], from->unseen[c] = 0;
        to->cells[c] += from->cells[c], from->cells[c] = 0;
    }
}

/* ---- A block --------------------------------------------------------------------- */

/* Numbers of the rows of each split, in order; `begin` has one more than there are splits. */
static hn_status sort_by_split(block_work *work, size_t begin[HN_SPLITS + 1],
                               const hn_impressions *block, hn_error *err) {
    size_t at[HN_SPLITS + 1] = {0};
    HN_TRY(
        hn_grow(&work->rows, &work->rows_capacity, (size_t)block->rows, sizeof *work->rows, err));
    for (int32_t i = 0; i < block->rows; i++)
        if (block->split[i] < HN_SPLITS) at[block->split[i] + 1]++;
    for (int32_t s = 0; s < HN_SPLITS; s++) at[s + 1] += at[s];
    memcpy(begin, at, sizeof at);
    for (int32_t i = 0; i < block->rows; i++)
        if (block->split[i] < HN_SPLITS) work->rows[at[block->split[i]]++] = (uint32_t)i;
    return HN_OK;
}

static hn_status encode_block(const encoding *e, block_work *work, const hn_impressions *block,
                              hn_error *err) {
    size_t begin[HN_SPLITS + 1];
    HN_TRY(sort_by_split(work, begin, block, err));
    for (int32_t s = 0; s < HN_SPLITS; s++) {
        const uint32_t *const rows = work->rows + begin[s];
        const hn_encode_options options = {
            .training = s == HN_TRAIN, .log_only = true, .counts = &work->counts[s]};
        HN_TRY(hn_encode_rows(&work->encoded, e->p->schema, e->p->tables, block, rows,
                              (int32_t)(begin[s + 1] - begin[s]), &options, err));
        if (e->writer)
            HN_TRY(hn_packed_fill(&work->packed[s], &e->record, &work->encoded.rows, block, rows,
                                  err));
    }
    return HN_OK;
}

/* ---- The pass -------------------------------------------------------------------- */

static hn_status write_window(encoding *e, block_work *window, int32_t n, hn_error *err) {
    for (int32_t i = 0; i < n; i++) {
        block_work *const work = &window[i];
        if (work->status != HN_OK) return hn_fail(err, work->status, "%s", work->error.text);
        for (int32_t s = 0; s < HN_SPLITS; s++) {
            move_counts(&e->p->encoded[s], &work->counts[s], e->p->schema->n_columns);
            if (e->writer)
                HN_TRY(hn_block_writer_add(e->writer, (hn_split)s, &work->packed[s], err));
        }
    }
    return HN_OK;
}

/* Item 0 writes the window before, the others encode a block each. */
static void work_job(void *user, int64_t item, int32_t worker) {
    (void)worker;
    encoding *const e = user;
    if (item == 0) {
        e->status = write_window(e, e->work[!e->current], e->n_before, &e->error);
        return;
    }
    block_work *const work = &e->work[e->current][item - 1];
    work->status = encode_block(e, work, &e->pass->blocks[item - 1].block, &work->error);
}

static hn_status create_work(encoding *e, hn_error *err) {
    for (int32_t w = 0; w < 2; w++) {
        e->work[w] = hn_alloc_zero((size_t)e->pass->most, sizeof *e->work[w]);
        if (!e->work[w]) return hn_no_memory(err, "blocks to encode");
        for (int32_t i = 0; i < e->pass->most; i++)
            for (int32_t s = 0; s < HN_SPLITS; s++)
                HN_TRY(create_counts(&e->work[w][i].counts[s], e->p->schema->n_columns, err));
    }
    return HN_OK;
}

static hn_status encode_all(encoding *e, hn_error *err) {
    HN_TRY(create_work(e, err));
    do {
        HN_TRY(hn_pass_next(e->pass, err));
        hn_pool_run(e->p->pool, 1 + e->pass->n, work_job, e);
        if (e->status != HN_OK) return hn_fail(err, e->status, "%s", e->error.text);
        e->n_before = e->pass->n;
        e->current = !e->current;
    } while (e->n_before > 0);
    return HN_OK;
}

static void free_work(block_work *window, int32_t n) {
    for (int32_t i = 0; window && i < n; i++) {
        block_work *const work = &window[i];
        hn_free(work->rows);
        hn_encoded_free(&work->encoded);
        for (int32_t s = 0; s < HN_SPLITS; s++) {
            hn_packed_free(&work->packed[s]);
            free_counts(&work->counts[s]);
        }
    }
    hn_free(window);
}

hn_status hn_preparation_encode(hn_preparation *p, hn_block_writer *writer, hn_error *err) {
    hn_pass pass;
    for (int32_t s = 0; s < HN_SPLITS; s++)
        HN_TRY(create_counts(&p->encoded[s], p->schema->n_columns, err));
    /* Encoded and packed rows of a block take about as much as the block itself, each, and
     * those of two windows are held. */
    const uint64_t worker_bytes = 5 * (uint64_t)hn_spool_block_bytes(p->spool);
    HN_TRY(hn_pass_open(&pass, p->spool, p->pool, p->run, "encode", worker_bytes, err));
    encoding e = {.p = p, .pass = &pass, .record = hn_record_of(p->schema), .writer = writer};
    const hn_status status = encode_all(&e, err);
    for (int32_t w = 0; w < 2; w++) free_work(e.work[w], pass.most);
    hn_pass_close(&pass);
    return status;
}
