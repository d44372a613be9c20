/* The pass over a run's rows, and its numbers as JSON. */
#include "report/measure.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "report/figures.h"
#include "train/results.h"
#include "train/scoring.h"

/* ---- The pass ---------------------------------------------------------------------------- */

typedef struct pass {
    hn_measured *out;
    const hn_measure_options *options;
    hn_scoring *scoring;
    hn_metrics *metrics;
    double total; /* rows; 0: not known */
} pass;

static hn_status advance(const pass *p, hn_error *err) {
    const hn_run *const run = p->options->run;
    if (hn_stopped(run)) return hn_fail(err, HN_INTERRUPTED, "the report was stopped by request");
    if (!run->progress) return HN_OK;
    const hn_progress progress = {.phase = "measure",
                                  .done = (double)p->out->rows,
                                  .total = p->total,
                                  .loss = NAN,
                                  .memory_bytes = hn_memory_own()};
    run->progress(run->user, &progress);
    return HN_OK;
}

static hn_status take_rows(void *user, const hn_rows *rows, hn_error *err) {
    pass *const p = user;
    HN_TRY(hn_scoring_add(p->scoring, p->metrics, rows, err));
    HN_TRY(hn_curves_add(p->out->curves, rows, hn_scoring_logits(p->scoring), err));
    HN_TRY(hn_sample_add(p->out->sample, rows, err));
    p->out->rows += (uint64_t)rows->rows;
    return advance(p, err);
}

static hn_status start(pass *p, const hn_subject *subject, const hn_config *config, hn_error *err) {
    const hn_bundle *const bundle = subject->bundle;
    const hn_layout *const layout = hn_schema_layout(bundle->schema);
    const hn_measure_options *const o = p->options;
    const int64_t budget = hn_metrics_budget(o->run) / 2;
    const char *const dir = hn_run_dir(o->run);
    hn_measured *const out = p->out;
    out->cells = layout->scenarios * layout->tasks;
    out->by_user = config->user_column != NULL;
    out->metrics = hn_alloc_zero((size_t)out->cells, sizeof *out->metrics);
    if (!out->metrics) return hn_no_memory(err, "the metrics of the cells");
    HN_TRY(hn_scoring_create(&p->scoring, bundle->scorer, layout, o->pool, err));
    HN_TRY(hn_metrics_create(&p->metrics, layout->scenarios, layout->tasks,
                             config->report.gauc && out->by_user, budget, dir, err));
    HN_TRY(hn_curves_create(&out->curves, layout->scenarios, layout->tasks, out->by_user, o->seed,
                            bundle->calibration, o->pool, budget, dir, err));
    return hn_sample_create(&out->sample, layout, o->sample_rows, o->seed, err);
}

static hn_status measure(pass *p, const hn_subject *subject, hn_error *err) {
    const hn_config *const config = subject->config ? subject->config : subject->bundle->config;
    if (subject->dataset) p->total = (double)hn_dataset_rows(subject->dataset, subject->split);
    HN_TRY(start(p, subject, config, err));
    HN_TRY(hn_subject_rows(subject, take_rows, p, p->options->pool, p->options->run, err));
    HN_TRY(hn_metrics_finish(p->out->metrics, p->metrics, err));
    return hn_curves_finish(p->out->curves, err);
}

hn_status hn_measure(hn_measured *out, const hn_subject *subject, const hn_measure_options *options,
                     hn_error *err) {
    *out = (hn_measured){0};
    pass p = {.out = out, .options = options};
    const hn_status status = measure(&p, subject, err);
    hn_metrics_free(p.metrics);
    hn_scoring_free(p.scoring);
    if (status != HN_OK) hn_measured_free(out);
    return status;
}

void hn_measured_free(hn_measured *measured) {
    hn_free(measured->metrics);
    hn_curves_free(measured->curves);
    hn_sample_free(measured->sample);
    *measured = (hn_measured){0};
}

/* ---- JSON -------------------------------------------------------------------------------- */

static json_t *roc_json(const hn_cell_curves *curves) {
    json_t *const points = json_array();
    for (int32_t i = 0; i < curves->n_points; i++)
        json_array_append_new(points, json_pack("[o, o]", hn_rounded_json(curves->x[i]),
                                                hn_rounded_json(curves->y[i])));
    return points;
}

static json_t *bins_json(const hn_cell_curves *curves) {
    json_t *const bins = json_array();
    for (int32_t b = 0; b < curves->n_bins; b++) {
        const hn_bin *const bin = &curves->bins[b];
        json_array_append_new(
            bins, json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "rows", (json_int_t)bin->rows,
                            "predicted", hn_rounded_json(bin->predicted), "calibrated",
                            hn_rounded_json(bin->calibrated), "rate", hn_rounded_json(bin->rate),
                            "low", hn_rounded_json(bin->low), "high", hn_rounded_json(bin->high)));
    }
    return bins;
}

static json_t *cell_json(const hn_measured *m, const hn_config *config, int32_t c) {
    const hn_cell_metrics *const cell = &m->metrics[c];
    const hn_cell_curves *const curves = hn_curves_cell(m->curves, c);
    double replicates[HN_REPLICATES];
    memcpy(replicates, curves->replicates, sizeof replicates);
    const double rate = cell->rows > 0 ? (double)cell->positives / (double)cell->rows : NAN;
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:b, s:o, s:o}",
                     "scenario", config->scenario.names.items[c / config->n_tasks], "task",
                     config->tasks[c % config->n_tasks].name, "auc", hn_results_number(cell->auc),
                     "interval", hn_interval_json(replicates, HN_REPLICATES), "gauc",
                     hn_results_number(cell->gauc), "log_loss", hn_results_number(cell->log_loss),
                     "calibration", hn_results_number(cell->calibration), "error",
                     hn_results_number(curves->error), "rows", (json_int_t)cell->rows, "positives",
                     (json_int_t)cell->positives, "rate", hn_results_number(rate), "constant",
                     (int)cell->constant, "roc", roc_json(curves), "bins", bins_json(curves));
}

/* Replicates of the mean of the cells that are defined; in those where each of these is. */
static void mean_replicates(double *out, const double *auc, const double *const *replicates,
                            int32_t cells) {
    for (int32_t b = 0; b < HN_REPLICATES; b++) {
        double sum = 0;
        int32_t n = 0;
        for (int32_t c = 0; c < cells; c++) {
            if (isnan(auc[c])) continue;
            sum += replicates[c][b];
            n++;
        }
        out[b] = n > 0 ? sum / n : NAN;
    }
}

static json_t *mean_interval(const hn_measured *m) {
    double means[HN_REPLICATES];
    double *const auc = hn_alloc((size_t)m->cells, sizeof *auc);
    const double **const replicates = hn_alloc((size_t)m->cells, sizeof *replicates);
    json_t *interval = NULL;
    if (auc && replicates) {
        for (int32_t c = 0; c < m->cells; c++) {
            auc[c] = m->metrics[c].auc;
            replicates[c] = hn_curves_cell(m->curves, c)->replicates;
        }
        mean_replicates(means, auc, replicates, m->cells);
        interval = hn_interval_json(means, HN_REPLICATES);
    }
    hn_free(auc);
    hn_free(replicates);
    return interval;
}

json_t *hn_measured_json(const hn_measured *m, const hn_config *config) {
    json_t *const cells = json_array();
    for (int32_t c = 0; c < m->cells; c++) json_array_append_new(cells, cell_json(m, config, c));
    json_t *const mean = json_pack(
        "{s:o, s:o, s:o, s:o}", "auc", hn_results_number(hn_metrics_mean_auc(m->metrics, m->cells)),
        "interval", mean_interval(m), "gauc",
        hn_results_number(hn_metrics_mean_gauc(m->metrics, m->cells)), "log_loss",
        hn_results_number(hn_metrics_mean_log_loss(m->metrics, m->cells)));
    return json_pack("{s:I, s:b, s:o, s:o}", "rows", (json_int_t)m->rows, "by_user",
                     (int)m->by_user, "mean", mean, "cells", cells);
}

/* ---- Comparing --------------------------------------------------------------------------- */

static char *names_of_cells(const hn_config *config) {
    hn_text names = {0};
    for (int32_t i = 0; i < config->scenario.names.n; i++)
        hn_text_add(&names, "%s\n", config->scenario.names.items[i]);
    for (int32_t t = 0; t < config->n_tasks; t++)
        hn_text_add(&names, "\n%s", config->tasks[t].name);
    return names.text;
}

hn_status hn_compared_take(hn_compared *out, const hn_measured *measured, const hn_config *config,
                           const char *label, hn_error *err) {
    const size_t cells = (size_t)measured->cells;
    *out = (hn_compared){.label = label,
                         .signature = hn_curves_signature(measured->curves),
                         .cells = measured->cells,
                         .auc = hn_alloc(cells, sizeof(double)),
                         .replicates = hn_alloc(cells * HN_REPLICATES, sizeof(double)),
                         .names = names_of_cells(config)};
    if (!out->auc || !out->replicates || !out->names) {
        hn_compared_free(out);
        return hn_no_memory(err, "the comparison of runs");
    }
    for (size_t c = 0; c < cells; c++) {
        out->auc[c] = measured->metrics[c].auc;
        memcpy(out->replicates + c * HN_REPLICATES,
               hn_curves_cell(measured->curves, (int32_t)c)->replicates,
               HN_REPLICATES * sizeof(double));
    }
    return HN_OK;
}

void hn_compared_free(hn_compared *compared) {
    hn_free(compared->auc);
    hn_free(compared->replicates);
    hn_free(compared->names);
    *compared = (hn_compared){0};
}

static json_t *difference_json(double difference, double *replicates) {
    return json_pack("{s:o, s:o}", "difference", hn_results_number(difference), "interval",
                     hn_interval_json(replicates, HN_REPLICATES));
}

/* The cells' differences; the mean of those that both define. */
static json_t *run_json(const hn_compared *base, const hn_compared *run) {
    const bool comparable = run->signature == base->signature && run->cells == base->cells &&
                            strcmp(run->names, base->names) == 0;
    json_t *const cells = json_array();
    double sum = 0, sums[HN_REPLICATES] = {0}, difference[HN_REPLICATES];
    int32_t n = 0;
    for (int32_t c = 0; comparable && c < run->cells; c++) {
        const double *const a = base->replicates + (size_t)c * HN_REPLICATES, *const b =
                                                                                  run->replicates +
                                                                                  (size_t)c *
                                                                                      HN_REPLICATES;
        const double d = run->auc[c] - base->auc[c];
        for (int32_t k = 0; k < HN_REPLICATES; k++) difference[k] = b[k] - a[k];
        if (!isnan(d)) {
            sum += d;
            n++;
            for (int32_t k = 0; k < HN_REPLICATES; k++) sums[k] += difference[k];
        }
        json_array_append_new(cells, difference_json(d, difference));
    }
    for (int32_t k = 0; k < HN_REPLICATES; k++) sums[k] = n > 0 ? sums[k] / n : NAN;
    return json_pack("{s:s, s:b, s:o, s:o}", "label", run->label, "comparable", (int)comparable,
                     "mean", difference_json(n > 0 ? sum / n : NAN, sums), "cells", cells);
}

json_t *hn_compared_json(const hn_compared *runs, int32_t n) {
    json_t *const list = json_array();
    for (int32_t i = 1; i < n; i++) json_array_append_new(list, run_json(&runs[0], &runs[i]));
    return json_pack("{s:s?, s:o}", "base", n > 0 ? runs[0].label : NULL, "runs", list);
}
