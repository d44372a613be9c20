/* Passes over the spool; see spool.h. */
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/report.h"
#include "data/budget.h"
#include "data/spool.h"

enum { BLOCKS_PER_WORKER = 2 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A quarter of what is left goes into blocks in flight, but one block must do. */
static int32_t blocks_at_once(const hn_pass *pass, uint64_t worker_bytes) {
    const uint64_t each = hn_spool_block_bytes(pass->spool) + worker_bytes + 1;
    const uint64_t fit = (uint64_t)hn_budget_left(pass->run) / 4 / each;
    int64_t n = (int64_t)hn_pool_threads(pass->pool) * BLOCKS_PER_WORKER;
    if (n > hn_spool_blocks(pass->spool)) n = hn_spool_blocks(pass->spool);
    if ((uint64_t)n > fit) n = (int64_t)fit;
    return n < 1 ? 1 : (int32_t)n;
}

hn_status hn_pass_open(hn_pass *out, const hn_spool *spool, hn_pool *pool, const hn_run *run,
                       const char *phase, uint64_t worker_bytes, hn_error *err) {
    *out = (hn_pass){.spool = spool, .pool = pool, .run = run, .phase = phase, .started = now()};
    HN_TRY(
        hn_budget_need(run, hn_spool_block_bytes(spool) + worker_bytes, "a block of the log", err));
    out->most = blocks_at_once(out, worker_bytes);
    const size_t n = (size_t)out->most;
    out->blocks = hn_alloc_zero(n, sizeof *out->blocks);
    out->statuses = hn_alloc_zero(n, sizeof *out->statuses);
    out->errors = hn_alloc_zero(n, sizeof *out->errors);
    if (out->blocks && out->statuses && out->errors) return HN_OK;
    hn_pass_close(out);
    return hn_no_memory(err, "blocks of the log");
}

void hn_pass_close(hn_pass *pass) {
    for (int32_t i = 0; pass->blocks && i < pass->most; i++) hn_spool_buffer_free(&pass->blocks[i]);
    hn_free(pass->blocks);
    hn_free(pass->statuses);
    hn_free(pass->errors);
    memset(pass, 0, sizeof *pass);
}

static void read_block(void *user, int64_t item, int32_t worker) {
    (void)worker;
    hn_pass *const pass = user;
    pass->statuses[item] =
        hn_spool_read(&pass->blocks[item], pass->spool, pass->first + item, &pass->errors[item]);
}

static void tell_progress(const hn_pass *pass) {
    if (!pass->run || !pass->run->progress || pass->first >= hn_spool_blocks(pass->spool)) return;
    const double done = (double)hn_spool_first_row(pass->spool, pass->first),
                 seconds = now() - pass->started;
    const hn_progress progress = {.phase = pass->phase,
                                  .done = done,
                                  .total = (double)hn_spool_rows(pass->spool),
                                  .rows_per_s = seconds > 0 ? done / seconds : 0,
                                  .loss = __builtin_nan(""),
                                  .memory_bytes = hn_memory_resident()};
    pass->run->progress(pass->run->user, &progress);
}

hn_status hn_pass_next(hn_pass *pass, hn_error *err) {
    pass->first += pass->n;
    const int64_t left = hn_spool_blocks(pass->spool) - pass->first;
    pass->n = left < pass->most ? (int32_t)left : pass->most;
    if (hn_stopped(pass->run)) return hn_fail(err, HN_INTERRUPTED, "stopped by request");
    tell_progress(pass);
    hn_pool_run(pass->pool, pass->n, read_block, pass);
    for (int32_t i = 0; i < pass->n; i++)
        if (pass->statuses[i] != HN_OK)
            return hn_fail(err, pass->statuses[i], "%s", pass->errors[i].text);
    return HN_OK;
}
