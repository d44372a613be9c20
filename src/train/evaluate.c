/* Evaluation of a split of the dataset with the trainer's current parameters, and
 * hn_evaluate, the same for a bundle on raw logs or on a config's test split. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "bundle/bundle.h"
#include "train/results.h"
#include "train/scoring.h"
#include "train/trainer.h"

enum { BATCH_ROWS = 16384 };

/* ---- Progress ---------------------------------------------------------------------------- */

typedef struct meter {
    const hn_run *run;
    double done, total, started;
} meter;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Counts the rows; HN_INTERRUPTED when a stop was asked for. */
static hn_status advance(meter *m, int32_t rows, hn_error *err) {
    m->done += rows;
    if (hn_stopped(m->run))
        return hn_fail(err, HN_INTERRUPTED, "evaluation was stopped by request");
    if (!m->run->progress) return HN_OK;
    const double seconds = now() - m->started;
    const hn_progress progress = {.phase = "evaluate",
                                  .done = m->done,
                                  .total = m->total,
                                  .rows_per_s = seconds > 0 ? m->done / seconds : 0,
                                  .loss = NAN,
                                  .memory_bytes = hn_memory_own()};
    m->run->progress(m->run->user, &progress);
    return HN_OK;
}

/* ---- A split ----------------------------------------------------------------------------- */

typedef struct watcher {
    hn_scored_rows watch; /* NULL: nobody */
    void *user;
} watcher;

static hn_status score_batches(hn_metrics *metrics, hn_scoring *scoring, hn_batcher *batcher,
                               const watcher *w, meter *m, hn_error *err) {
    hn_batcher_start(batcher, -1);
    for (;;) {
        const hn_rows *rows;
        HN_TRY(hn_batcher_next(&rows, batcher, err));
        if (!rows) return HN_OK;
        HN_TRY(hn_scoring_add(scoring, metrics, rows, err));
        if (w->watch) HN_TRY(w->watch(w->user, rows, hn_scoring_logits(scoring), err));
        HN_TRY(advance(m, rows->rows, err));
    }
}

hn_status hn_trainer_evaluate(hn_cell_metrics *out, hn_trainer *trainer, const hn_dataset *dataset,
                              hn_split split, hn_scored_rows watch, void *user, const hn_run *run,
                              hn_error *err) {
    const watcher w = {watch, user};
    const hn_layout *const layout = hn_plan_layout(trainer->infer);
    const bool gauc = trainer->config->report.gauc && trainer->config->user_column;
    hn_scorer *scorer = NULL;
    hn_scoring *scoring = NULL;
    hn_metrics *metrics = NULL;
    hn_batcher *batcher = NULL;
    hn_status status;
    HN_TRY_GOTO(status, end,
                hn_scorer_create(&scorer, trainer->infer, &trainer->params,
                                 hn_schema_scenario_rows(hn_dataset_schema(dataset)), err));
    HN_TRY_GOTO(status, end, hn_scoring_create(&scoring, scorer, layout, trainer->pool, err));
    HN_TRY_GOTO(status, end,
                hn_metrics_create(&metrics, layout->scenarios, layout->tasks, gauc,
                                  hn_metrics_budget(run), hn_run_dir(run), err));
    HN_TRY_GOTO(status, end, hn_batcher_create(&batcher, dataset, split, BATCH_ROWS, 1, 0, err));
    meter m = {.run = run, .total = (double)hn_dataset_rows(dataset, split), .started = now()};
    HN_TRY_GOTO(status, end, score_batches(metrics, scoring, batcher, &w, &m, err));
    HN_TRY_GOTO(status, end, hn_metrics_finish(out, metrics, err));
end:
    hn_batcher_free(batcher);
    hn_metrics_free(metrics);
    hn_scoring_free(scoring);
    hn_scorer_free(scorer);
    return status;
}

/* ---- A bundle on logs -------------------------------------------------------------------- */

typedef struct raw_pass {
    hn_scoring *scoring;
    hn_metrics *metrics;
    meter meter;
} raw_pass;

static hn_status add_rows(void *user, const hn_rows *rows, const hn_impressions *raw,
                          hn_error *err) {
    raw_pass *const pass = user;
    (void)raw;
    HN_TRY(hn_scoring_add(pass->scoring, pass->metrics, rows, err));
    return advance(&pass->meter, rows->rows, err);
}

static hn_status same_names(const char *what, int32_t a, int32_t b, char *const *mine,
                            char *const *theirs, hn_error *err) {
    if (a != b)
        return hn_fail(err, HN_BAD_CONFIG,
                       "the config has %d %s, the bundle has %d; they must be the same", (int)a,
                       what, (int)b);
    for (int32_t i = 0; i < a; i++)
        if (strcmp(mine[i], theirs[i]) != 0)
            return hn_fail(err, HN_BAD_CONFIG,
                           "%s %d is \"%s\" in the config and \"%s\" in the bundle; they must be "
                           "the same, in the same order",
                           what, (int)i + 1, mine[i], theirs[i]);
    return HN_OK;
}

hn_status hn_config_same_cells(const hn_config *config, const hn_config *bundle, hn_error *err) {
    HN_TRY(same_names("scenarios", config->scenario.names.n, bundle->scenario.names.n,
                      config->scenario.names.items, bundle->scenario.names.items, err));
    char *mine[HN_TASKS_MAX], *theirs[HN_TASKS_MAX];
    for (int32_t t = 0; t < config->n_tasks; t++) mine[t] = config->tasks[t].name;
    for (int32_t t = 0; t < bundle->n_tasks; t++) theirs[t] = bundle->tasks[t].name;
    return same_names("tasks", config->n_tasks, bundle->n_tasks, mine, theirs, err);
}

hn_status hn_config_same_tables(const hn_config *config, const hn_config *bundle, hn_error *err) {
    char *mine[64], *theirs[64];
    const int32_t a = config->n_tables < 64 ? config->n_tables : 64,
                  b = bundle->n_tables < 64 ? bundle->n_tables : 64;
    for (int32_t t = 0; t < a; t++) mine[t] = config->tables[t].name;
    for (int32_t t = 0; t < b; t++) theirs[t] = bundle->tables[t].name;
    return same_names("tables", a, b, mine, theirs, err);
}

/* The log is read by `config`, the rows are encoded by the bundle's schema and tables. */
static hn_status pass_over(hn_cell_metrics *out, const hn_bundle *bundle, const hn_config *config,
                           hn_raw_options *options, hn_pool *pool, const hn_run *run,
                           hn_error *err) {
    const hn_layout *const layout = hn_schema_layout(bundle->schema);
    const bool gauc = config->report.gauc && config->user_column;
    raw_pass pass = {.meter = {.run = run, .started = now()}};
    hn_log_counts counts = {0};
    hn_status status;
    HN_TRY_GOTO(status, end, hn_scoring_create(&pass.scoring, bundle->scorer, layout, pool, err));
    HN_TRY_GOTO(status, end,
                hn_metrics_create(&pass.metrics, layout->scenarios, layout->tasks, gauc,
                                  hn_metrics_budget(run), hn_run_dir(run), err));
    options->rows = add_rows;
    options->user = &pass;
    HN_TRY_GOTO(
        status, end,
        hn_raw_read(&counts, config, bundle->schema, bundle->tables, options, pool, run, err));
    HN_TRY_GOTO(status, end, hn_metrics_finish(out, pass.metrics, err));
end:
    hn_log_counts_free(&counts);
    hn_metrics_free(pass.metrics);
    hn_scoring_free(pass.scoring);
    return status;
}

static hn_status measure(hn_report **out, const hn_bundle *bundle, const hn_config *config,
                         hn_raw_options *options, const hn_run *run, hn_error *err) {
    const hn_layout *const layout = hn_schema_layout(bundle->schema);
    hn_pool *pool = NULL;
    hn_cell_metrics *const cells =
        hn_alloc_zero((size_t)layout->scenarios * (size_t)layout->tasks, sizeof *cells);
    if (!cells) return hn_no_memory(err, "evaluation");
    hn_status status = hn_pool_create(&pool, run->threads, err);
    if (status == HN_OK) status = pass_over(cells, bundle, config, options, pool, run, err);
    hn_pool_free(pool);
    if (status == HN_OK) hn_results_warn(cells, bundle->config, "evaluated", run);
    json_t *const result = status == HN_OK ? hn_results_json(cells, bundle->config) : NULL;
    hn_free(cells);
    if (status != HN_OK) return status;
    return hn_results_report(out, json_pack("{s:o}", "test", result), err);
}

hn_status hn_evaluate(hn_report **out, const hn_bundle *bundle, const hn_config *config,
                      const char *const *files, size_t n_files, const hn_run *run, hn_error *err) {
    *out = NULL;
    const hn_run defaults = hn_run_default();
    if (!run) run = &defaults;
    if (!config && n_files == 0) {
        hn_say(run, HN_LOG_INFO, "these are the metrics stored when the bundle was trained");
        return hn_results_report(out, json_deep_copy(bundle->metrics), err);
    }
    hn_raw_options options = {.files = files, .n_files = n_files, .only = HN_NO_SPLIT};
    if (!config) return measure(out, bundle, bundle->config, &options, run, err);
    HN_TRY(hn_config_same_cells(config, bundle->config, err));
    HN_TRY(hn_config_same_tables(config, bundle->config, err));
    if (n_files == 0) {
        options.files = NULL;
        options.only = HN_TEST;
    }
    return measure(out, bundle, config, &options, run, err);
}
