/* The epochs: steps, evaluations, early stop, checkpoints. All that decides about the rest
 * of a training is in the position, so stopping and going on at any point between two steps
 * changes nothing; times decide only about checkpoints and messages. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "train/results.h"
#include "train/training.h"

double hn_checkpoint_seconds = 180;

static const double SHOW_SECONDS = 0.2, LOG_SECONDS = 10;

double hn_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The epoch that the last step was in, from 1. */
static int64_t epoch_number(const hn_position *at) {
    return at->epoch + (at->batch > 0 || at->epoch == 0);
}

/* ---- What is shown ----------------------------------------------------------------------- */

static void show(hn_training *job, double now) {
    const hn_run *const run = job->run;
    if (!run->progress || now - job->shown_at < SHOW_SECONDS) return;
    const double rows = (double)hn_dataset_rows(job->dataset, HN_TRAIN);
    const double share = fmin((double)job->at.batch / (double)job->batches, 1);
    const hn_progress progress = {
        .phase = "train",
        .done = ((double)job->at.epoch + share) * rows,
        .total = job->config->train.epochs * rows,
        .rows_per_s = (double)(job->rows - job->shown_rows) / (now - job->shown_at),
        .loss = job->smooth_loss,
        .memory_bytes = hn_memory_own(),
        .epoch = (int32_t)epoch_number(&job->at),
        .epochs = job->config->train.epochs,
    };
    job->shown_at = now;
    job->shown_rows = job->rows;
    run->progress(run->user, &progress);
}

/* {TASK: weight} where they are trained; else NULL. */
static json_t *weights_of(const hn_training *job) {
    if (job->config->train.weighting == HN_WEIGHTING_FIXED) return NULL;
    json_t *const weights = json_object();
    for (int32_t t = 0; t < job->config->n_tasks; t++)
        json_object_set_new(weights, job->config->tasks[t].name,
                            json_real(hn_trainer_task_weight(job->trainer, t)));
    return weights;
}

static hn_status log_steps(hn_training *job, double now, hn_error *err) {
    if (now - job->logged_at < LOG_SECONDS) return HN_OK;
    job->logged_at = now;
    return hn_history_add(&job->history,
                          json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:o*}", "event", "steps",
                                    "epoch", (json_int_t)epoch_number(&job->at), "step",
                                    (json_int_t)job->at.step, "loss", job->smooth_loss,
                                    "rows_per_s", (double)job->rows / (now - job->started),
                                    "seconds", now - job->started, "weights", weights_of(job)),
                          err);
}

/* ---- Evaluation -------------------------------------------------------------------------- */

static double metric_of(const hn_training *job) {
    const int32_t n = job->config->scenario.names.n * job->config->n_tasks;
    return job->cell >= 0 ? job->cells[job->cell].auc : hn_metrics_mean_auc(job->cells, n);
}

/* The record of an evaluation, or of an epoch without one. */
static json_t *make_record(const hn_training *job) {
    const hn_position *const at = &job->at;
    const double loss = at->loss_steps > 0 ? at->loss_sum / (double)at->loss_steps : NAN;
    json_t *const record = json_pack("{s:I, s:I, s:o, s:o*}", "epoch", (json_int_t)epoch_number(at),
                                     "step", (json_int_t)at->step, "loss", hn_results_number(loss),
                                     "weights", weights_of(job));
    if (!job->validates || !record) return record;
    json_t *const result = hn_results_json(job->cells, job->config);
    json_t *const mean = json_incref(json_object_get(result, "mean"));
    json_decref(result);
    if (json_object_set_new(record, "validation", mean) == 0 &&
        json_object_set_new(record, "metric", hn_results_number(metric_of(job))) == 0)
        return record;
    json_decref(record);
    return NULL;
}

/* ", weights click 1.200, like 0.800" where they are trained. */
static void add_weights(char *buffer, size_t n, const json_t *record) {
    const char *name;
    const json_t *weight;
    size_t used = 0;
    buffer[0] = '\0';
    json_object_foreach(json_object_get(record, "weights"), name, weight) {
        if (used < n)
            used += (size_t)snprintf(buffer + used, n - used, ", %s%s %.3f",
                                     used == 0 ? "weights " : "", name, json_number_value(weight));
    }
}

static void say_record(const hn_training *job, const json_t *record) {
    const double loss = json_number_value(json_object_get(record, "loss"));
    const long long epoch = (long long)epoch_number(&job->at);
    char weights[600];
    add_weights(weights, sizeof weights, record);
    if (!job->validates) {
        hn_say(job->run, HN_LOG_INFO, "epoch %lld of %d: loss %.5f%s", epoch,
               (int)job->config->train.epochs, loss, weights);
        return;
    }
    const json_t *const mean = json_object_get(record, "validation");
    hn_say(job->run, HN_LOG_INFO,
           "epoch %lld of %d, step %lld: loss %.5f%s, validation AUC %.4f, log loss %.5f%s", epoch,
           (int)job->config->train.epochs, (long long)job->at.step, loss, weights,
           json_number_value(json_object_get(mean, "auc")),
           json_number_value(json_object_get(mean, "log_loss")), job->at.bad == 0 ? " (best)" : "");
}

/* {auc: [M·T], log_loss: [M·T]} of the last evaluation: the curves of the report. */
static json_t *curves_of(const hn_training *job) {
    json_t *const auc = json_array(), *const log_loss = json_array();
    for (int32_t c = 0; c < job->config->scenario.names.n * job->config->n_tasks; c++) {
        json_array_append_new(auc, hn_results_number(job->cells[c].auc));
        json_array_append_new(log_loss, hn_results_number(job->cells[c].log_loss));
    }
    return json_pack("{s:o, s:o}", "auc", auc, "log_loss", log_loss);
}

static hn_status log_record(hn_training *job, const json_t *record, hn_error *err) {
    json_t *const line = json_deep_copy(record);
    if (line) {
        json_object_set_new(line, "event", json_string("evaluation"));
        if (job->validates) json_object_set_new(line, "cells", curves_of(job));
        json_object_set_new(line, "seconds", json_real(hn_seconds() - job->started));
    }
    return hn_history_add(&job->history, line, err);
}

/* A better metric is kept as best.hn; too many worse ones in a row end the training. */
static hn_status judge(hn_training *job, hn_error *err) {
    hn_position *const at = &job->at;
    const double metric = metric_of(job);
    if (!(metric > at->best)) {
        at->bad++;
        at->ended = job->config->train.patience > 0 && at->bad >= job->config->train.patience;
        return HN_OK;
    }
    json_t *const metrics =
        json_pack("{s:o, s:O}", "validation", hn_results_json(job->cells, job->config), "epochs",
                  job->epochs);
    if (!metrics) return hn_no_memory(err, "the metrics");
    const hn_status status = hn_training_write_bundle(job, job->best_path, metrics, NULL, err);
    json_decref(metrics);
    if (status != HN_OK) return status;
    at->best = metric;
    at->bad = 0;
    at->best_record = (int64_t)json_array_size(job->epochs) - 1;
    return HN_OK;
}

static hn_status evaluate(hn_training *job, hn_error *err) {
    if (job->validates)
        HN_TRY(hn_trainer_evaluate(job->cells, job->trainer, job->dataset, HN_VALIDATION, NULL,
                                   NULL, job->run, err));
    json_t *const record = make_record(job);
    if (!record || json_array_append_new(job->epochs, record) != 0)
        return hn_no_memory(err, "the record of epochs");
    if (job->validates) HN_TRY(judge(job, err));
    job->at.due = 0;
    job->at.loss_sum = 0;
    job->at.loss_steps = 0;
    say_record(job, record);
    if (job->at.ended)
        hn_say(job->run, HN_LOG_INFO, "no better for %lld evaluations: training ends",
               (long long)job->at.bad);
    HN_TRY(log_record(job, record, err));
    if (!job->validates) return HN_OK;
    return hn_board_evaluation(job->board, job->at.step, "validation", job->cells, err);
}

/* ---- Steps ------------------------------------------------------------------------------- */

static void count_step(hn_training *job, double loss, int32_t rows) {
    hn_position *const at = &job->at;
    const hn_config_train *const train = &job->config->train;
    at->loss_sum += loss;
    at->loss_steps++;
    at->step++;
    at->batch++;
    job->rows += (uint64_t)rows;
    job->smooth_loss = isnan(job->smooth_loss) ? loss : 0.98 * job->smooth_loss + 0.02 * loss;
    if (train->eval_every > 0 && at->step % train->eval_every == 0) at->due = 1;
    if (!hn_batcher_ended(job->batcher)) return;
    at->batch = 0;
    at->epoch++;
    if (train->eval_every == 0 || at->epoch == train->epochs) at->due = 1;
}

static hn_status next_batch(const hn_rows **out, hn_training *job, hn_error *err) {
    if (job->at.batch == 0) hn_batcher_start(job->batcher, job->at.epoch);
    HN_TRY(hn_batcher_next(out, job->batcher, err));
    if (*out) return HN_OK;
    if (job->config->train.n_sampling > 0 && job->at.batch == 0)
        return hn_fail(err, HN_BAD_CONFIG,
                       "train.sampling: of the %llu training rows none was drawn in epoch %lld; "
                       "give greater weights",
                       (unsigned long long)hn_dataset_rows(job->dataset, HN_TRAIN),
                       (long long)job->at.epoch + 1);
    return hn_fail(err, HN_FAILED, "%s: the data ended at batch %lld of %lld", job->dataset_path,
                   (long long)job->at.batch, (long long)job->batches);
}

static hn_status step(hn_training *job, hn_error *err) {
    const hn_rows *batch;
    double loss;
    HN_TRY(next_batch(&batch, job, err));
    const double scale = hn_schedule_scale(&job->config->train, job->at.step, job->steps);
    hn_error cause = {0};
    const hn_status status = hn_trainer_step(&loss, job->trainer, batch, scale, &cause);
    if (status != HN_OK)
        return hn_fail(err, status, "epoch %lld, step %lld: %s", (long long)job->at.epoch + 1,
                       (long long)job->at.step + 1, cause.text);
    count_step(job, loss, batch->rows);
    return hn_board_step(job->board, job->at.step, loss, scale * job->config->train.rate,
                         batch->rows, job->trainer, err);
}

/* ---- The loop ---------------------------------------------------------------------------- */

static hn_status interrupted(hn_training *job, hn_error *err) {
    HN_TRY(hn_training_save(job, err));
    return hn_fail(err, HN_INTERRUPTED,
                   "stopped by request in epoch %lld after step %lld; the checkpoint is %s: go on "
                   "with --resume",
                   (long long)epoch_number(&job->at), (long long)job->at.step,
                   job->checkpoint_path);
}

/* A search (hinet experiment) lets a training pause between two epochs, whole and judged. */
static bool pauses(const hn_training *job) {
    const int64_t until = job->run->until_epoch;
    return until > 0 && job->at.epoch >= until && job->at.batch == 0 && !job->at.due &&
           job->at.epoch < job->config->train.epochs && !job->at.ended;
}

static hn_status evaluate_or_stop(hn_training *job, hn_error *err) {
    const hn_status status = evaluate(job, err);
    return status == HN_INTERRUPTED ? interrupted(job, err) : status;
}

hn_status hn_training_loop(hn_training *job, hn_error *err) {
    const int64_t epochs = job->config->train.epochs;
    if (job->at.batch > 0) {
        hn_batcher_start(job->batcher, job->at.epoch);
        hn_batcher_seek(job->batcher, (uint64_t)job->at.batch);
    }
    while (job->at.due || (job->at.epoch < epochs && !job->at.ended)) {
        if (hn_stopped(job->run) || pauses(job)) return interrupted(job, err);
        if (job->at.due) {
            HN_TRY(evaluate_or_stop(job, err));
            HN_TRY(hn_training_save(job, err));
            continue;
        }
        HN_TRY(step(job, err));
        const double now = hn_seconds();
        show(job, now);
        HN_TRY(log_steps(job, now, err));
        const bool late = now - job->saved_at > hn_checkpoint_seconds;
        if (late || (job->at.batch == 0 && !job->at.due)) HN_TRY(hn_training_save(job, err));
    }
    return HN_OK;
}
