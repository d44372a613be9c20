/* Scoring with the pool: rows are cut into slices, each scored by one worker. A row's bits
 * depend on the row alone, so the cut and the threads change nothing. */
#include "train/scoring.h"

#include "base/memory.h"

enum { SLICE_ROWS = 4 * HN_TILE_ROWS };

struct hn_scoring {
    const hn_scorer *scorer;
    const hn_layout *layout;
    hn_pool *pool;
    int32_t threads;
    hn_scratch **scratch; /* [threads] */
    hn_error *errors;     /* [threads] */
    hn_real *logits;      /* [capacity] */
    size_t capacity;
    const hn_rows *rows; /* the rows being scored */
};

/* ---- The run's settings ------------------------------------------------------------------ */

int64_t hn_run_memory(const hn_run *run) {
    return run->memory_bytes > 0 ? run->memory_bytes : hn_memory_machine() / 10 * 8;
}

const char *hn_run_dir(const hn_run *run) { return run->out_dir ? run->out_dir : "."; }

int64_t hn_metrics_budget(const hn_run *run) {
    const int64_t least = 1 << 20, most = (int64_t)1 << 30;
    const int64_t share = (hn_run_memory(run) - hn_memory_held()) / 4;
    return share < least ? least : share > most ? most : share;
}

/* ---- Life -------------------------------------------------------------------------------- */

static hn_status fill(hn_scoring *scoring, hn_error *err) {
    scoring->scratch = hn_alloc_zero((size_t)scoring->threads, sizeof *scoring->scratch);
    scoring->errors = hn_alloc_zero((size_t)scoring->threads, sizeof *scoring->errors);
    if (!scoring->scratch || !scoring->errors) return hn_no_memory(err, "scoring");
    for (int32_t i = 0; i < scoring->threads; i++)
        HN_TRY(hn_scratch_create(&scoring->scratch[i], scoring->scorer, err));
    return HN_OK;
}

hn_status hn_scoring_create(hn_scoring **out, const hn_scorer *scorer, const hn_layout *layout,
                            hn_pool *pool, hn_error *err) {
    *out = NULL;
    hn_scoring *const scoring = hn_alloc_zero(1, sizeof *scoring);
    if (!scoring) return hn_no_memory(err, "scoring");
    *scoring = (hn_scoring){
        .scorer = scorer, .layout = layout, .pool = pool, .threads = hn_pool_threads(pool)};
    const hn_status status = fill(scoring, err);
    if (status != HN_OK) {
        hn_scoring_free(scoring);
        return status;
    }
    *out = scoring;
    return HN_OK;
}

void hn_scoring_free(hn_scoring *scoring) {
    if (!scoring) return;
    for (int32_t i = 0; scoring->scratch && i < scoring->threads; i++)
        hn_scratch_free(scoring->scratch[i]);
    hn_free(scoring->scratch);
    hn_free(scoring->errors);
    hn_free(scoring->logits);
    hn_free(scoring);
}

/* ---- Scoring ----------------------------------------------------------------------------- */

/* What a scorer reads of rows first … first+n-1. */
static hn_rows slice_of(const hn_rows *rows, const hn_layout *layout, size_t first, int32_t n) {
    return (hn_rows){
        .rows = n,
        .scenario = rows->scenario + first,
        .ids = layout->ids ? rows->ids + first * (size_t)layout->ids : NULL,
        .values = layout->values ? rows->values + first * (size_t)layout->values : NULL,
        .list_begin = layout->lists ? rows->list_begin + first * (size_t)layout->lists : NULL,
        .list_ids = rows->list_ids};
}

static void score_slice(void *user, int64_t item, int32_t worker) {
    hn_scoring *const scoring = user;
    hn_error *const err = &scoring->errors[worker];
    if (err->status != HN_OK) return;
    const size_t first = (size_t)item * SLICE_ROWS;
    const size_t left = (size_t)scoring->rows->rows - first;
    const hn_rows rows = slice_of(scoring->rows, scoring->layout, first,
                                  (int32_t)(left < SLICE_ROWS ? left : SLICE_ROWS));
    err->status = hn_score(scoring->logits + first * (size_t)scoring->layout->tasks,
                           scoring->scorer, scoring->scratch[worker], &rows, err);
}

const hn_real *hn_scoring_logits(const hn_scoring *scoring) { return scoring->logits; }

hn_status hn_scoring_add(hn_scoring *scoring, hn_metrics *metrics, const hn_rows *rows,
                         hn_error *err) {
    const size_t n = (size_t)rows->rows * (size_t)scoring->layout->tasks;
    HN_TRY(hn_grow(&scoring->logits, &scoring->capacity, n, sizeof *scoring->logits, err));
    scoring->rows = rows;
    hn_pool_run(scoring->pool, (rows->rows + SLICE_ROWS - 1) / SLICE_ROWS, score_slice, scoring);
    for (int32_t i = 0; i < scoring->threads; i++)
        if (scoring->errors[i].status != HN_OK)
            return hn_fail(err, scoring->errors[i].status, "%s", scoring->errors[i].text);
    return hn_metrics_add(metrics, rows, scoring->logits, err);
}
