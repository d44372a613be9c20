/* The end of a training: last.hn as the parameters are, then the best parameters again, the
 * metrics of validation and test with them, best.hn, and the report. All of it can be done
 * again after an interruption: it changes nothing that it reads. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/scores.h"
#include "train/heldout.h"
#include "train/results.h"
#include "train/training.h"

static json_t *model_json(const hn_training *job) {
    const hn_plan *const plan = job->trainer->plan;
    int64_t parameters = 0, in_tables = 0;
    for (int32_t i = 0; i < hn_plan_params(plan); i++) {
        const hn_param_info *const p = hn_plan_param(plan, i);
        parameters += (int64_t)p->batch * p->rows * p->groups * p->cols;
    }
    for (int32_t t = 0; t < job->trainer->params.n_tables; t++)
        in_tables +=
            (int64_t)job->trainer->params.tables[t].rows * job->trainer->params.tables[t].width;
    return json_pack("{s:s, s:I, s:I, s:I}", "name", hn_model_name(job->config->model.kind),
                     "parameters", (json_int_t)parameters, "table_parameters",
                     (json_int_t)in_tables, "flops_per_row", (json_int_t)hn_plan_flops(plan));
}

/* Adds the metrics of a split, or null where it has no rows. */
static hn_status add_split(json_t *results, hn_training *job, hn_split split, const char *name,
                           hn_scored_rows watch, void *user, hn_error *err) {
    json_t *result = json_null();
    if (hn_dataset_rows(job->dataset, split) > 0) {
        HN_TRY(hn_trainer_evaluate(job->cells, job->trainer, job->dataset, split, watch, user,
                                   job->run, err));
        hn_results_warn(job->cells, job->config, name, job->run);
        if (split == HN_TEST)
            HN_TRY(hn_board_evaluation(job->board, job->at.step, name, job->cells, err));
        result = hn_results_json(job->cells, job->config);
    }
    return json_object_set_new(results, name, result) == 0 ? HN_OK
                                                           : hn_no_memory(err, "the metrics");
}

/* Who looks at the test split: the held-out rows, and the file of scores where it is wanted. */
typedef struct test_watch {
    hn_heldout *heldout;
    hn_scores_writer *scores; /* NULL: not wanted */
} test_watch;

static hn_status see_test(void *user, const hn_rows *rows, const hn_real *logits, hn_error *err) {
    const test_watch *const watch = user;
    if (watch->scores) hn_scores_add(watch->scores, rows, logits);
    return hn_heldout_see(watch->heldout, rows, logits, err);
}

static hn_status add_test(json_t *results, hn_training *job, hn_heldout *heldout, hn_error *err) {
    test_watch watch = {.heldout = heldout};
    const hn_layout *const layout = hn_schema_layout(hn_dataset_schema(job->dataset));
    if (job->run->scores)
        HN_TRY(hn_scores_create(&watch.scores, job->scores_path, layout->scenarios, layout->tasks,
                                err));
    const hn_status status = add_split(results, job, HN_TEST, "test", see_test, &watch, err);
    if (status == HN_OK) return watch.scores ? hn_scores_commit(watch.scores, err) : HN_OK;
    hn_scores_abandon(watch.scores);
    return status;
}

static json_t *record_number(const hn_training *job, int64_t record, const char *key) {
    return json_incref(json_object_get(json_array_get(job->epochs, (size_t)record), key));
}

static hn_status best_results(json_t **out, hn_training *job, hn_heldout *heldout, hn_error *err) {
    const int64_t last = (int64_t)json_array_size(job->epochs) - 1;
    const int64_t best = job->at.best_record >= 0 ? job->at.best_record : last;
    *out = json_pack("{s:O, s:o, s:o*, s:o*, s:o*}", "epochs", job->epochs, "model",
                     model_json(job), "best_epoch", record_number(job, best, "epoch"), "best_step",
                     record_number(job, best, "step"), "epochs_trained",
                     record_number(job, last, "epoch"));
    if (!*out) return hn_no_memory(err, "the results");
    HN_TRY(add_split(*out, job, HN_VALIDATION, "validation", hn_heldout_add, heldout, err));
    return add_test(*out, job, heldout, err);
}

/* The metrics in last.hn are the last evaluation's: the test split is read with the best
 * parameters only. */
static hn_status write_last(hn_training *job, hn_error *err) {
    json_t *const metrics =
        json_pack("{s:O, s:o}", "epochs", job->epochs, "model", model_json(job));
    if (!metrics) return hn_no_memory(err, "the results");
    const hn_status status = hn_training_write_bundle(job, job->last_path, metrics, NULL, err);
    json_decref(metrics);
    return status;
}

static hn_status log_end(hn_training *job, const json_t *results, hn_error *err) {
    const json_t *const mean = json_object_get(json_object_get(results, "test"), "mean");
    return hn_history_add(&job->history,
                          json_pack("{s:s, s:I, s:O*, s:f}", "event", "end", "step",
                                    (json_int_t)job->at.step, "test", mean, "seconds",
                                    hn_seconds() - job->started),
                          err);
}

static hn_status finish_with(json_t **results, hn_training *job, hn_heldout *heldout,
                             hn_error *err) {
    HN_TRY(write_last(job, err));
    if (job->at.best_record >= 0) HN_TRY(hn_training_read_bundle(job, job->best_path, err));
    HN_TRY(best_results(results, job, heldout, err));
    HN_TRY(hn_heldout_finish(heldout, job->trainer, job->run, err));
    HN_TRY(hn_training_write_bundle(job, job->best_path, *results, heldout, err));
    return log_end(job, *results, err);
}

static hn_status finish(json_t **results, hn_training *job, hn_error *err) {
    hn_heldout *heldout;
    HN_TRY(hn_heldout_create(&heldout, job->config, job->dataset, err));
    const hn_status status = finish_with(results, job, heldout, err);
    hn_heldout_free(heldout);
    return status;
}

hn_status hn_training_finish(hn_report **out, hn_training *job, hn_error *err) {
    HN_TRY(hn_training_save(job,
                            err)); /* killed from here on, a resumed training has only this to do */
    json_t *results = NULL;
    const hn_status status = finish(&results, job, err);
    if (status == HN_INTERRUPTED)
        hn_fail(
            err, status,
            "stopped by request after training, before its last evaluation; go on with --resume");
    if (status != HN_OK) {
        json_decref(results);
        return status;
    }
    HN_TRY(hn_results_report(out, results, err));
    remove(job->checkpoint_path);
    return HN_OK;
}
