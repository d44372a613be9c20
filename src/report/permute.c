/* The cost of removing features, by permutation. */
#include "report/permute.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "train/results.h"
#include "train/scoring.h"

typedef struct feature {
    const char *name;
    int32_t first; /* of its inputs, which orders equal drops */
    int32_t inputs;
    double drop[HN_PERMUTE_REPEATS], mean, deviation;
    double *cells; /* [M·T] mean drop */
} feature;

typedef struct permuting {
    const hn_bundle *bundle;
    const hn_sample *sample;
    const hn_layout *layout;
    uint64_t seed;
    hn_pool *pool;
    const hn_run *run;
    hn_scoring *scoring;
    json_t *schema; /* hn_schema_describe */
    feature *features;
    int32_t n;
    int32_t cells;
    hn_cell_metrics *whole, *other; /* [cells] */
    bool *inputs;                   /* [n_inputs] of the feature at hand */
    uint32_t *from;                 /* [rows] */
} permuting;

/* ---- Features ---------------------------------------------------------------------------- */

static const char *feature_of(const permuting *p, int32_t input) {
    const json_t *const described =
        json_array_get(json_object_get(p->schema, "inputs"), (size_t)input);
    const char *const name = json_string_value(json_object_get(described, "feature"));
    return name ? name : p->layout->inputs[input].name;
}

static hn_status find_features(permuting *p, hn_error *err) {
    p->features = hn_alloc_zero((size_t)p->layout->n_inputs + 1, sizeof *p->features);
    if (!p->features) return hn_no_memory(err, "the cost of features");
    for (int32_t i = 0; i < p->layout->n_inputs; i++) {
        const char *const name = feature_of(p, i);
        int32_t f = 0;
        while (f < p->n && strcmp(p->features[f].name, name) != 0) f++;
        if (f == p->n) {
            p->features[p->n++] = (feature){.name = name, .first = i};
            p->features[f].cells = hn_alloc_zero((size_t)p->cells, sizeof(double));
            if (!p->features[f].cells) return hn_no_memory(err, "the cost of features");
        }
        p->features[f].inputs++;
    }
    return HN_OK;
}

/* ---- Measuring --------------------------------------------------------------------------- */

static hn_status measure(hn_cell_metrics *out, permuting *p, const hn_sample *sample,
                         hn_error *err) {
    hn_metrics *metrics;
    HN_TRY(hn_metrics_create(&metrics, p->layout->scenarios, p->layout->tasks, false,
                             hn_metrics_budget(p->run), hn_run_dir(p->run), err));
    hn_status status = hn_scoring_add(p->scoring, metrics, hn_sample_rows(sample), err);
    if (status == HN_OK) status = hn_metrics_finish(out, metrics, err);
    hn_metrics_free(metrics);
    return status;
}

static hn_status measure_feature(permuting *p, feature *f, int32_t repeat, hn_error *err) {
    hn_sample *mixed;
    for (int32_t i = 0; i < p->layout->n_inputs; i++)
        p->inputs[i] = strcmp(feature_of(p, i), f->name) == 0;
    HN_TRY(hn_sample_mixed(&mixed, p->sample, p->inputs, p->from, err));
    const hn_status status = measure(p->other, p, mixed, err);
    hn_sample_free(mixed);
    if (status != HN_OK) return status;
    f->drop[repeat] =
        hn_metrics_mean_auc(p->whole, p->cells) - hn_metrics_mean_auc(p->other, p->cells);
    for (int32_t c = 0; c < p->cells; c++)
        f->cells[c] += (p->whole[c].auc - p->other[c].auc) / HN_PERMUTE_REPEATS;
    return HN_OK;
}

static hn_status show(const permuting *p, int32_t done, hn_error *err) {
    if (hn_stopped(p->run))
        return hn_fail(err, HN_INTERRUPTED, "the report was stopped by request");
    if (!p->run->progress) return HN_OK;
    const double rows = hn_sample_rows(p->sample)->rows;
    const hn_progress progress = {.phase = "permute",
                                  .done = done * rows,
                                  .total = (double)p->n * HN_PERMUTE_REPEATS * rows,
                                  .loss = NAN,
                                  .memory_bytes = hn_memory_own()};
    p->run->progress(p->run->user, &progress);
    return HN_OK;
}

static hn_status measure_all(permuting *p, hn_error *err) {
    const uint32_t n = (uint32_t)hn_sample_rows(p->sample)->rows;
    for (int32_t r = 0; r < HN_PERMUTE_REPEATS; r++) {
        hn_random_permutation(p->from, n, p->seed, HN_STREAM_REPORT, (uint64_t)r);
        for (int32_t f = 0; f < p->n; f++) {
            HN_TRY(measure_feature(p, &p->features[f], r, err));
            HN_TRY(show(p, r * p->n + f + 1, err));
        }
    }
    return HN_OK;
}

static void summarise(feature *f) {
    double sum = 0, squares = 0;
    for (int32_t r = 0; r < HN_PERMUTE_REPEATS; r++) sum += f->drop[r];
    f->mean = sum / HN_PERMUTE_REPEATS;
    for (int32_t r = 0; r < HN_PERMUTE_REPEATS; r++)
        squares += (f->drop[r] - f->mean) * (f->drop[r] - f->mean);
    f->deviation = sqrt(squares / (HN_PERMUTE_REPEATS - 1));
}

static int compare_features(const void *left, const void *right) {
    const feature *const a = left, *const b = right;
    if (a->mean != b->mean) return a->mean > b->mean ? -1 : 1;
    return a->first < b->first ? -1 : 1;
}

/* ---- JSON -------------------------------------------------------------------------------- */

static json_t *feature_json(const permuting *p, const feature *f) {
    json_t *const cells = json_array();
    for (int32_t c = 0; c < p->cells; c++)
        json_array_append_new(cells, hn_results_number(f->cells[c]));
    return json_pack("{s:s, s:i, s:o, s:o, s:o}", "name", f->name, "inputs", (int)f->inputs, "drop",
                     hn_results_number(f->mean), "deviation", hn_results_number(f->deviation),
                     "cells", cells);
}

static json_t *result_json(const permuting *p) {
    json_t *const features = json_array();
    for (int32_t f = 0; f < p->n; f++)
        json_array_append_new(features, feature_json(p, &p->features[f]));
    return json_pack("{s:i, s:i, s:o, s:o}", "rows", (int)hn_sample_rows(p->sample)->rows,
                     "repeats", HN_PERMUTE_REPEATS, "auc",
                     hn_results_number(hn_metrics_mean_auc(p->whole, p->cells)), "features",
                     features);
}

static hn_status permute(json_t **out, permuting *p, hn_error *err) {
    const size_t cells = (size_t)p->cells, rows = (size_t)hn_sample_rows(p->sample)->rows;
    p->schema = hn_schema_describe(p->bundle->schema);
    p->whole = hn_alloc_zero(cells, sizeof *p->whole);
    p->other = hn_alloc_zero(cells, sizeof *p->other);
    p->inputs = hn_alloc_zero((size_t)p->layout->n_inputs + 1, sizeof *p->inputs);
    p->from = hn_alloc(rows + 1, sizeof *p->from);
    if (!p->schema || !p->whole || !p->other || !p->inputs || !p->from)
        return hn_no_memory(err, "the cost of features");
    HN_TRY(find_features(p, err));
    HN_TRY(hn_scoring_create(&p->scoring, p->bundle->scorer, p->layout, p->pool, err));
    HN_TRY(measure(p->whole, p, p->sample, err));
    if (isnan(hn_metrics_mean_auc(p->whole, p->cells))) return HN_OK;
    HN_TRY(measure_all(p, err));
    for (int32_t f = 0; f < p->n; f++) summarise(&p->features[f]);
    qsort(p->features, (size_t)p->n, sizeof *p->features, compare_features);
    *out = result_json(p);
    return *out ? HN_OK : hn_no_memory(err, "the cost of features");
}

hn_status hn_permute_gather(json_t **out, const hn_bundle *bundle, const hn_sample *sample,
                            uint64_t seed, hn_pool *pool, const hn_run *run, hn_error *err) {
    const hn_layout *const layout = hn_schema_layout(bundle->schema);
    permuting p = {.bundle = bundle,
                   .sample = sample,
                   .layout = layout,
                   .seed = seed,
                   .pool = pool,
                   .run = run,
                   .cells = layout->scenarios * layout->tasks};
    *out = NULL;
    const hn_status status = permute(out, &p, err);
    for (int32_t f = 0; f < p.n; f++) hn_free(p.features[f].cells);
    hn_free(p.features);
    hn_scoring_free(p.scoring);
    json_decref(p.schema);
    hn_free(p.whole);
    hn_free(p.other);
    hn_free(p.inputs);
    hn_free(p.from);
    return status;
}
