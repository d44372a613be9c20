/* hn_train, the main job: prepares the dataset, makes the trainer, trains (loop.c) and
 * ends with the report (finish.c). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/results.h"
#include "train/scoring.h"
#include "train/training.h"

static void free_job(hn_training *job) {
    hn_history_close(&job->history);
    hn_board_close(job->board);
    hn_batcher_free(job->batcher);
    hn_trainer_free(job->trainer);
    hn_dataset_close(job->dataset);
    hn_pool_free(job->pool);
    json_decref(job->epochs);
    hn_free(job->cells);
    hn_free(job->dataset_path);
    hn_free(job->best_path);
    hn_free(job->last_path);
    hn_free(job->checkpoint_path);
    hn_free(job->history_path);
    hn_free(job->scores_path);
}

static hn_status make_paths(hn_training *job, hn_error *err) {
    const char *const dir = hn_run_dir(job->run);
    HN_TRY(hn_dir_make(dir, err));
    job->dataset_path = hn_path_join(dir, "dataset.hnd");
    job->best_path = hn_path_join(dir, "best.hn");
    job->last_path = hn_path_join(dir, "last.hn");
    job->checkpoint_path = hn_path_join(dir, "checkpoint.hn");
    job->history_path = hn_path_join(dir, "history.jsonl");
    job->scores_path = hn_path_join(dir, "test.scores");
    const bool made = job->dataset_path && job->best_path && job->last_path &&
                      job->checkpoint_path && job->history_path && job->scores_path;
    return made ? HN_OK : hn_no_memory(err, "the paths");
}

/* ---- The metric to stop on --------------------------------------------------------------- */

static hn_status find_cell(hn_training *job, hn_error *err) {
    const hn_config *const config = job->config;
    const char *const metric = config->train.metric;
    job->cell = -1;
    if (!metric || strcmp(metric, "auc") == 0) return HN_OK;
    for (int32_t c = 0; c < config->scenario.names.n * config->n_tasks; c++) {
        char name[600];
        snprintf(name, sizeof name, "%s/%s", config->scenario.names.items[c / config->n_tasks],
                 config->tasks[c % config->n_tasks].name);
        if (strcmp(name, metric) == 0) job->cell = c;
    }
    if (job->cell >= 0) return HN_OK;
    return hn_fail(err, HN_BAD_CONFIG,
                   "train.metric: found \"%s\"; expected \"auc\" or a cell as \"%s/%s\"", metric,
                   config->scenario.names.items[0], config->tasks[0].name);
}

/* AUC needs both classes in a cell that counts. */
static bool can_validate(const hn_training *job) {
    const uint64_t *const labelled = hn_dataset_labelled(job->dataset, HN_VALIDATION);
    const uint64_t *const positives = hn_dataset_positives(job->dataset, HN_VALIDATION);
    if (hn_dataset_rows(job->dataset, HN_VALIDATION) == 0) return false;
    for (int32_t c = 0; c < job->config->scenario.names.n * job->config->n_tasks; c++) {
        if (job->cell >= 0 && job->cell != c) continue;
        if (positives[c] > 0 && positives[c] < labelled[c]) return true;
    }
    return false;
}

/* ---- Making ------------------------------------------------------------------------------ */

static hn_status open_data(hn_training *job, hn_pack *init, hn_error *err) {
    HN_TRY(hn_dataset_prepare(job->dataset_path, job->config, init, job->pool, job->run, err));
    HN_TRY(hn_dataset_open(&job->dataset, job->dataset_path, job->config, err));
    if (hn_dataset_rows(job->dataset, HN_TRAIN) > 0) return HN_OK;
    return hn_fail(err, HN_BAD_DATA,
                   "the log has no rows to train on: all are in other splits, filtered, or of "
                   "other scenarios; "
                   "`hinet check` shows where they went");
}

static hn_status weigh_rows(hn_training *job, hn_error *err) {
    const hn_config *const config = job->config;
    if (config->train.n_sampling == 0) return HN_OK;
    double weights[HN_SCENARIOS_MAX];
    for (int32_t i = 0; i < config->scenario.names.n; i++) weights[i] = 1;
    for (int32_t k = 0; k < config->train.n_sampling; k++) {
        const hn_config_sampling *const sampling = &config->train.sampling[k];
        for (int32_t i = 0; i < config->scenario.names.n; i++)
            if (strcmp(config->scenario.names.items[i], sampling->name) == 0)
                weights[i] = sampling->weight;
    }
    return hn_batcher_weigh(job->batcher, weights, err);
}

static hn_status make_batcher(hn_training *job, hn_error *err) {
    const hn_config_train *const train = &job->config->train;
    HN_TRY(hn_batcher_create(&job->batcher, job->dataset, HN_TRAIN, train->batch, train->window,
                             train->seed, err));
    HN_TRY(weigh_rows(job, err));
    hn_batcher_start(job->batcher, 0);
    job->batches = (int64_t)hn_batcher_batches(job->batcher);
    if (__builtin_mul_overflow(job->batches, (int64_t)train->epochs, &job->steps))
        return hn_fail(err, HN_BAD_CONFIG,
                       "train.epochs: %d epochs of %lld batches cannot be counted",
                       (int)train->epochs, (long long)job->batches);
    return HN_OK;
}

static hn_status make_trainer(hn_training *job, hn_error *err) {
    const hn_layout *const layout = hn_schema_layout(hn_dataset_schema(job->dataset));
    HN_TRY(hn_trainer_create(&job->trainer, layout, job->config, job->pool, hn_run_memory(job->run),
                             err));
    job->cells =
        hn_alloc_zero((size_t)layout->scenarios * (size_t)layout->tasks, sizeof *job->cells);
    job->epochs = json_array();
    if (!job->cells || !job->epochs) return hn_no_memory(err, "the training");
    job->validates = can_validate(job);
    if (!job->validates)
        hn_say(job->run, HN_LOG_WARNING,
               "the validation split cannot give train.metric (%s): all %d epochs are trained, and "
               "the last is the best",
               hn_dataset_rows(job->dataset, HN_VALIDATION) > 0 ? "no cell of it has both classes"
                                                                : "it has no rows",
               (int)job->config->train.epochs);
    return HN_OK;
}

/* From the checkpoint, from a bundle, or from the beginning. */
static hn_status set_out(hn_training *job, hn_pack *init, hn_error *err) {
    bool resumed = false;
    job->at = (hn_position){.best = -INFINITY, .best_record = -1};
    hn_training_identify(job);
    if (job->run->resume) {
        HN_TRY(hn_training_load(job, &resumed, err));
        if (!resumed)
            hn_say(job->run, HN_LOG_INFO, "%s is not there: training begins at the beginning",
                   job->checkpoint_path);
    } else {
        remove(job->checkpoint_path);
    }
    if (!resumed && init) HN_TRY(hn_training_warm(job, init, err));
    if (resumed)
        hn_say(job->run, HN_LOG_INFO, "going on after epoch %lld, step %lld",
               (long long)job->at.epoch, (long long)job->at.step);
    HN_TRY(
        hn_history_open(&job->history, job->history_path, resumed ? job->history.bytes : 0, err));
    const double rows = (double)hn_dataset_rows(job->dataset, HN_TRAIN);
    return hn_history_add(&job->history,
                          json_pack("{s:s, s:s, s:f, s:I, s:I}", "event",
                                    resumed ? "resume" : "start", "model",
                                    hn_model_name(job->config->model.kind), "rows", rows, "steps",
                                    (json_int_t)job->steps, "step", (json_int_t)job->at.step),
                          err);
}

static hn_status work(hn_report **out, hn_training *job, hn_pack *init, hn_error *err) {
    HN_TRY(make_paths(job, err));
    HN_TRY(find_cell(job, err));
    HN_TRY(hn_gradnorm_check(job->config, err));
    HN_TRY(hn_pool_create(&job->pool, job->run->threads, err));
    HN_TRY(open_data(job, init, err));
    HN_TRY(make_batcher(job, err));
    HN_TRY(make_trainer(job, err));
    HN_TRY(set_out(job, init, err));
    HN_TRY(hn_board_open(&job->board, job->run->tensorboard, job->config, job->steps, job->at.step,
                         err));
    job->started = job->saved_at = job->shown_at = job->logged_at = hn_seconds();
    job->smooth_loss = NAN;
    HN_TRY(hn_training_loop(job, err));
    return hn_training_finish(out, job, err);
}

hn_status hn_train(hn_report **out, const hn_config *config, const hn_run *run, hn_error *err) {
    *out = NULL;
    const hn_run defaults = hn_run_default();
    hn_training job = {.config = config, .run = run ? run : &defaults, .history = {.fd = -1}};
    hn_pack *init = NULL;
    hn_status status = HN_OK;
    if (job.run->init_bundle) status = hn_pack_open(&init, job.run->init_bundle, "BNDL", err);
    if (status == HN_OK) status = work(out, &job, init, err);
    free_job(&job);
    hn_pack_close(init);
    return status;
}
