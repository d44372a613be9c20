/* The second half of a preparation: window after window of the spool, each block's rows
 * are encoded and packed by split on all workers, then written in order by one. */
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
    block_work *work; /* [pass->most] */
    bool keep;        /* rows are written */
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
        if (e->keep)
            HN_TRY(hn_packed_fill(&work->packed[s], &e->record, &work->encoded.rows, block, rows,
                                  err));
    }
    return HN_OK;
}

static void encode_job(void *user, int64_t item, int32_t worker) {
    (void)worker;
    const encoding *const e = user;
    block_work *const work = &e->work[item];
    work->status = encode_block(e, work, &e->pass->blocks[item].block, &work->error);
}

/* ---- The pass -------------------------------------------------------------------- */

static hn_status write_window(encoding *e, hn_block_writer *writer, hn_error *err) {
    for (int32_t i = 0; i < e->pass->n; i++) {
        block_work *const work = &e->work[i];
        if (work->status != HN_OK) return hn_fail(err, work->status, "%s", work->error.text);
        for (int32_t s = 0; s < HN_SPLITS; s++) {
            move_counts(&e->p->encoded[s], &work->counts[s], e->p->schema->n_columns);
            if (writer) HN_TRY(hn_block_writer_add(writer, (hn_split)s, &work->packed[s], err));
        }
    }
    return HN_OK;
}

static hn_status encode_all(encoding *e, hn_block_writer *writer, hn_error *err) {
    e->work = hn_alloc_zero((size_t)e->pass->most, sizeof *e->work);
    if (!e->work) return hn_no_memory(err, "blocks to encode");
    for (int32_t i = 0; i < e->pass->most; i++)
        for (int32_t s = 0; s < HN_SPLITS; s++)
            HN_TRY(create_counts(&e->work[i].counts[s], e->p->schema->n_columns, err));
    for (;;) {
        HN_TRY(hn_pass_next(e->pass, err));
        if (e->pass->n == 0) return HN_OK;
        hn_pool_run(e->p->pool, e->pass->n, encode_job, e);
        HN_TRY(write_window(e, writer, err));
    }
}

static void free_work(encoding *e) {
    for (int32_t i = 0; e->work && i < e->pass->most; i++) {
        block_work *const work = &e->work[i];
        hn_free(work->rows);
        hn_encoded_free(&work->encoded);
        for (int32_t s = 0; s < HN_SPLITS; s++) {
            hn_packed_free(&work->packed[s]);
            free_counts(&work->counts[s]);
        }
    }
    hn_free(e->work);
}

hn_status hn_preparation_encode(hn_preparation *p, hn_block_writer *writer, hn_error *err) {
    hn_pass pass;
    for (int32_t s = 0; s < HN_SPLITS; s++)
        HN_TRY(create_counts(&p->encoded[s], p->schema->n_columns, err));
    /* Encoded and packed rows of a block take about as much as the block itself, each. */
    const uint64_t worker_bytes = 3 * (uint64_t)hn_spool_block_bytes(p->spool);
    HN_TRY(hn_pass_open(&pass, p->spool, p->pool, p->run, "encode", worker_bytes, err));
    encoding e = {.p = p, .pass = &pass, .record = hn_record_of(p->schema), .keep = writer != NULL};
    const hn_status status = encode_all(&e, writer, err);
    free_work(&e);
    hn_pass_close(&pass);
    return status;
}
