/* The first half of a preparation: tables, then the log into the spool, then the fit. The
 * second half, encoding, is in prepare_encode.c; datasets are put together in
 * dataset_prepare.c. */
#include "data/prepare.h"

#include <string.h>

#include "base/memory.h"
#include "base/report.h"
#include "data/budget.h"

void hn_preparation_free(hn_preparation *p) {
    hn_fit_counts_free(&p->counts);
    for (int32_t s = 0; s < HN_SPLITS; s++) {
        hn_free(p->encoded[s].missing);
        hn_free(p->encoded[s].unseen);
        hn_free(p->encoded[s].cells);
    }
    hn_log_counts_free(&p->log);
    hn_samples_free(p->samples);
    hn_duplicates_free(p->finder);
    hn_spool_free(p->spool);
    hn_schema_free(p->schema);
    hn_side_tables_free(p->tables);
    hn_free(p->dir);
    memset(p, 0, sizeof *p);
}

static hn_status take_block(void *user, const hn_impressions *block, hn_error *err) {
    hn_preparation *const p = user;
    if (p->finder && block->identity)
        HN_TRY(hn_duplicates_add(p->finder, block->identity, block->rows, err));
    return hn_spool_add(p->spool, block, p->pool, err);
}

static hn_status read_log(hn_preparation *p, hn_error *err) {
    if (p->wants_samples)
        HN_TRY(hn_samples_create(&p->samples, p->config, hn_schema_sources(p->schema), err));
    const hn_log_options options = {.block = take_block, .user = p, .samples = p->samples};
    HN_TRY(hn_spool_create(&p->spool, p->dir, err));
    hn_spool_keep(p->spool, (uint64_t)hn_budget_left(p->run) / 4);
    if (p->config->drop_duplicates)
        HN_TRY(hn_duplicates_create(&p->finder, hn_budget_left(p->run) / 4, p->dir, err));
    return hn_log_read(&p->log, p->config, hn_schema_sources(p->schema), p->tables, &options,
                       p->pool, p->run, err);
}

static hn_status drop_duplicates(hn_preparation *p, hn_error *err) {
    uint64_t *bits;
    if (!p->finder) return HN_OK;
    HN_TRY(hn_duplicates_find(&bits, &p->duplicates, p->finder, p->run, err));
    hn_spool_drop(p->spool, bits);
    hn_duplicates_free(p->finder);
    p->finder = NULL;
    return HN_OK;
}

/* A schema can be fitted on few rows, but not on none. */
static hn_status check_rows(const hn_preparation *p, hn_error *err) {
    uint64_t rows[HN_SPLITS] = {0};
    for (int32_t i = 0; i < HN_SPLITS * p->counts.scenarios; i++)
        rows[i / p->counts.scenarios] += p->counts.rows[i];
    if (rows[HN_TRAIN] > 0) return HN_OK;
    return hn_fail(
        err, HN_BAD_DATA,
        "the training split has no rows (validation %llu, test %llu; of %llu rows of the log %llu "
        "are "
        "bad, %llu filtered, %llu of other scenarios); check split, log.filter and scenario",
        (unsigned long long)rows[HN_VALIDATION], (unsigned long long)rows[HN_TEST],
        (unsigned long long)p->log.rows, (unsigned long long)p->log.bad,
        (unsigned long long)p->log.filtered, (unsigned long long)p->log.other_scenario);
}

hn_status hn_preparation_read(hn_preparation *p, hn_error *err) {
    HN_TRY(hn_schema_plan(&p->schema, p->config, err));
    HN_TRY(hn_side_tables_read(&p->tables, p->config, hn_schema_sources(p->schema), p->pool, p->run,
                               err));
    HN_TRY(read_log(p, err));
    HN_TRY(drop_duplicates(p, err));
    const hn_fit_options options = {p->tables, p->init, p->dir, p->pool, p->run};
    HN_TRY(hn_schema_fit(&p->counts, p->schema, p->spool, &options, err));
    HN_TRY(check_rows(p, err));
    return hn_schema_bind(p->schema, p->tables, p->pool, p->run, err);
}
