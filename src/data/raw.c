/* Rows straight from logs, encoded by an existing schema: evaluation and predict. A block
 * of the log is cut into pieces that the workers encode; pieces are given out in order. */
#include <string.h>

#include "base/memory.h"
#include "data/dataset.h"
#include "data/duplicates.h"
#include "data/encode.h"

enum { PIECE_ROWS = 2048, PIECES_PER_WORKER = 4 };

typedef struct piece {
    hn_encoded encoded;
    hn_status status;
    hn_error error;
} piece;

typedef struct raw_reader {
    const hn_schema *schema;
    const hn_side_tables *tables;
    const hn_raw_options *options;
    hn_pool *pool;
    const hn_run *run;
    bool drop; /* duplicates */
    hn_seen seen;
    uint32_t *rows; /* [n] numbers of the block's rows that are wanted */
    size_t n, rows_capacity;
    const hn_impressions *block;
    piece *pieces; /* [most] */
    int32_t most;
    int64_t first; /* piece of the block that pieces[0] is */
} raw_reader;

/* ---- Which rows ------------------------------------------------------------------ */

static hn_status is_wanted(bool *wanted, raw_reader *r, const hn_impressions *block, size_t row,
                           hn_error *err) {
    const hn_raw_options *const options = r->options;
    *wanted = true;
    if (options->scoring) return HN_OK;
    if (r->drop && block->identity) {
        bool again;
        HN_TRY(hn_seen_add(&again, &r->seen, block->identity + 2 * row, r->run, err));
        *wanted = !again;
    }
    if (options->only < HN_SPLITS) *wanted = *wanted && block->split[row] == options->only;
    return HN_OK;
}

static hn_status choose(raw_reader *r, const hn_impressions *block, hn_error *err) {
    r->n = 0;
    HN_TRY(hn_grow(&r->rows, &r->rows_capacity, (size_t)block->rows, sizeof *r->rows, err));
    for (size_t i = 0; i < (size_t)block->rows; i++) {
        bool wanted;
        HN_TRY(is_wanted(&wanted, r, block, i, err));
        if (wanted) r->rows[r->n++] = (uint32_t)i;
    }
    return HN_OK;
}

/* ---- Pieces ---------------------------------------------------------------------- */

static size_t piece_begin(const raw_reader *r, int64_t item) {
    return (size_t)(r->first + item) * PIECE_ROWS;
}

static int32_t piece_rows(const raw_reader *r, int64_t item) {
    const size_t left = r->n - piece_begin(r, item);
    return left < PIECE_ROWS ? (int32_t)left : PIECE_ROWS;
}

static void encode_piece(void *user, int64_t item, int32_t worker) {
    (void)worker;
    const raw_reader *const r = user;
    piece *const p = &r->pieces[item];
    const hn_encode_options options = {0};
    p->status =
        hn_encode_rows(&p->encoded, r->schema, r->tables, r->block, r->rows + piece_begin(r, item),
                       piece_rows(r, item), &options, &p->error);
}

/* Rows [begin, begin + n) of a block; what is addressed by number stays as it is. */
static hn_impressions part_of(const hn_impressions *block, size_t begin, int32_t n) {
    hn_impressions part = *block;
    part.rows = n;
    part.slots = block->slots ? block->slots + begin * (size_t)block->log_slots : NULL;
    part.table_rows = block->table_rows ? block->table_rows + begin * (size_t)block->tables : NULL;
    part.labels = block->labels ? block->labels + begin * (size_t)block->tasks : NULL;
    part.scenario = block->scenario ? block->scenario + begin : NULL;
    part.weights = block->weights ? block->weights + begin : NULL;
    part.user = block->user ? block->user + begin : NULL;
    part.split = block->split ? block->split + begin : NULL;
    part.ordinal = block->ordinal ? block->ordinal + begin : NULL;
    part.identity = block->identity ? block->identity + 2 * begin : NULL;
    part.sampling = block->sampling ? block->sampling + begin : NULL;
    part.line = block->line ? block->line + begin : NULL;
    part.line_bytes = block->line_bytes ? block->line_bytes + begin : NULL;
    return part;
}

static hn_status give_pieces(const raw_reader *r, int32_t n, hn_error *err) {
    const bool whole = r->n == (size_t)r->block->rows;
    for (int32_t i = 0; i < n; i++) {
        const piece *const p = &r->pieces[i];
        if (p->status != HN_OK) return hn_fail(err, p->status, "%s", p->error.text);
        const hn_impressions part =
            part_of(r->block, whole ? piece_begin(r, i) : 0, piece_rows(r, i));
        HN_TRY(r->options->rows(r->options->user, &p->encoded.rows, whole ? &part : NULL, err));
    }
    return HN_OK;
}

static hn_status take_header(void *user, const char *text, size_t n, const char *delimiter,
                             hn_error *err) {
    const raw_reader *const r = user;
    return r->options->header(r->options->user, text, n, delimiter, err);
}

static hn_status take_block(void *user, const hn_impressions *block, hn_error *err) {
    raw_reader *const r = user;
    r->block = block;
    HN_TRY(choose(r, block, err));
    const int64_t pieces = ((int64_t)r->n + PIECE_ROWS - 1) / PIECE_ROWS;
    for (r->first = 0; r->first < pieces; r->first += r->most) {
        const int32_t n = pieces - r->first < r->most ? (int32_t)(pieces - r->first) : r->most;
        hn_pool_run(r->pool, n, encode_piece, r);
        HN_TRY(give_pieces(r, n, err));
    }
    return HN_OK;
}

hn_status hn_raw_read(hn_log_counts *counts, const hn_config *config, const hn_schema *schema,
                      const hn_side_tables *tables, const hn_raw_options *options, hn_pool *pool,
                      const hn_run *run, hn_error *err) {
    raw_reader r = {.schema = schema,
                    .tables = tables,
                    .options = options,
                    .pool = pool,
                    .run = run,
                    .drop = config->drop_duplicates,
                    .most = hn_pool_threads(pool) * PIECES_PER_WORKER};
    memset(counts, 0, sizeof *counts);
    r.pieces = hn_alloc_zero((size_t)r.most, sizeof *r.pieces);
    if (!r.pieces) return hn_no_memory(err, "rows to encode");
    const hn_log_options log = {.files = options->files,
                                .n_files = options->n_files,
                                .scoring = options->scoring,
                                .keep_lines = options->keep_lines,
                                .header = options->header ? take_header : NULL,
                                .block = take_block,
                                .user = &r};
    const hn_status status =
        hn_log_read(counts, config, hn_schema_sources(schema), tables, &log, pool, run, err);
    for (int32_t i = 0; i < r.most; i++) hn_encoded_free(&r.pieces[i].encoded);
    hn_free(r.pieces);
    hn_free(r.rows);
    hn_seen_free(&r.seen);
    return status;
}
