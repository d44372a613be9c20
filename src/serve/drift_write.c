/* The gauges of drift: one model at a time is summed and compared; then each metric is written
 * for all models, for Prometheus wants a metric's lines together. */
#include <math.h>

#include "base/memory.h"
#include "serve/drift.h"
#include "serve/engine.h"
#include "serve/http.h"
#include "serve/meters.h"

/* Above so many lines of features, only those with a PSI of at least SHOWN are written. */
enum { LINES_MOST = 4096 };
static const double SHOWN = 0.1;

typedef struct compared { /* one model */
    const hn_model_version *version;
    double *rows; /* [scenarios] */
    double *psi;  /* [scenarios][inputs + tasks]; NaN: nothing to tell */
} compared;

/* ---- Comparing ----------------------------------------------------------------------------- */

static void compare_scenario(double *psi, const hn_histogram *histograms, const double *counts,
                             size_t width, double rows) {
    for (size_t i = 0; i < width; i++)
        psi[i] = rows < HN_DRIFT_ROWS
                     ? NAN
                     : hn_histogram_psi(&histograms[i], counts + i * HN_PROFILE_MOST);
}

static void compare(compared *c, double *counts, const hn_drift **drifts, int32_t workers) {
    const hn_bundle *const bundle = c->version->bundle;
    const hn_profile *const p = bundle->profile;
    const size_t width = (size_t)p->inputs + (size_t)p->tasks;
    for (int32_t w = 0; w < workers; w++)
        drifts[w] = ((const hn_engine *)c->version->engines[w])->drift;
    hn_drift_sum(counts, c->rows, bundle, drifts, workers, hn_now_ns());
    for (size_t s = 0; s < (size_t)p->scenarios; s++)
        compare_scenario(c->psi + s * width, p->histogram + s * width,
                         counts + s * width * HN_PROFILE_MOST, width, c->rows[s]);
}

/* False without memory: the model has no gauges in this scrape. */
static bool sum_model(compared *c, int32_t workers) {
    const hn_profile *const p = c->version->bundle->profile;
    const size_t scenarios = (size_t)p->scenarios, width = (size_t)p->inputs + (size_t)p->tasks;
    double *const counts = hn_alloc(scenarios * width, HN_PROFILE_MOST * sizeof *counts);
    const hn_drift **const drifts = hn_alloc((size_t)workers, sizeof *drifts);
    c->rows = hn_alloc(scenarios, sizeof *c->rows);
    c->psi = hn_alloc(scenarios, width * sizeof *c->psi);
    const bool made = counts && drifts && c->rows && c->psi;
    if (made) compare(c, counts, drifts, workers);
    hn_free(counts);
    hn_free(drifts);
    return made;
}

/* ---- Writing ------------------------------------------------------------------------------- */

static void write_line(hn_text *out, const char *metric, const compared *c, size_t scenario,
                       const char *label, const char *name, double value) {
    hn_text labels = {0};
    hn_meters_label(&labels, "model", c->version->model);
    hn_meters_label(&labels, "scenario",
                    c->version->bundle->config->scenario.names.items[scenario]);
    if (label) hn_meters_label(&labels, label, name);
    if (labels.failed)
        out->failed = true;
    else
        hn_meters_line(out, metric, labels.text, value);
    hn_text_free(&labels);
}

static void write_counted(hn_text *out, const char *metric, const compared *c) {
    const hn_profile *const p = c->version->bundle->profile;
    for (size_t s = 0; s < (size_t)p->scenarios; s++)
        if (p->rows[s] > 0) write_line(out, metric, c, s, NULL, NULL, c->rows[s]);
}

static void write_features(hn_text *out, const char *metric, const compared *c) {
    const hn_profile *const p = c->version->bundle->profile;
    const hn_layout *const layout = hn_schema_layout(c->version->bundle->schema);
    const size_t inputs = (size_t)p->inputs, width = inputs + (size_t)p->tasks;
    const bool all = (size_t)p->scenarios * inputs <= LINES_MOST;
    for (size_t s = 0; s < (size_t)p->scenarios; s++)
        for (size_t i = 0; i < inputs; i++) {
            const double psi = c->psi[s * width + i];
            if (!isnan(psi) && (all || psi >= SHOWN))
                write_line(out, metric, c, s, "feature", layout->inputs[i].name, psi);
        }
}

static void write_scores(hn_text *out, const char *metric, const compared *c) {
    const hn_profile *const p = c->version->bundle->profile;
    const size_t inputs = (size_t)p->inputs, width = inputs + (size_t)p->tasks;
    for (size_t s = 0; s < (size_t)p->scenarios; s++)
        for (size_t t = 0; t < (size_t)p->tasks; t++) {
            const double psi = c->psi[s * width + inputs + t];
            if (!isnan(psi))
                write_line(out, metric, c, s, "task", c->version->bundle->config->tasks[t].name,
                           psi);
        }
}

typedef struct gauge {
    const char *name, *help;
    void (*write)(hn_text *out, const char *metric, const compared *c);
} gauge;

static const gauge gauges[] = {
    {"hinet_drift_feature_psi",
     "Population stability index of an input of the model against its training's held-out rows.",
     write_features},
    {"hinet_drift_rows", "Rows of the last half hour to hour that drift is computed from.",
     write_counted},
    {"hinet_drift_score_psi",
     "Population stability index of the model's logits against its training's held-out rows.",
     write_scores},
};

static void write_all(hn_text *out, const compared *all, int32_t n) {
    for (size_t g = 0; g < sizeof gauges / sizeof *gauges; g++) {
        hn_meters_head(out, gauges[g].name, "gauge", gauges[g].help);
        for (int32_t k = 0; k < n; k++)
            if (all[k].psi) gauges[g].write(out, gauges[g].name, &all[k]);
    }
}

void hn_drift_write(hn_text *out, hn_shelf *shelf, int32_t models, int32_t workers) {
    compared *const all = hn_alloc_zero((size_t)models, sizeof *all);
    int32_t n = 0;
    for (int32_t k = 0; all && k < models; k++) {
        all[n].version = hn_shelf_acquire(shelf, k, false);
        if (!all[n].version) continue;
        if (all[n].version->bundle->profile && !sum_model(&all[n], workers)) {
            hn_free(all[n].psi);
            all[n].psi = NULL;
        }
        n++;
    }
    if (all) write_all(out, all, n);
    for (int32_t k = 0; k < n; k++) {
        hn_free(all[k].rows);
        hn_free(all[k].psi);
        hn_shelf_release(shelf, all[k].version);
    }
    hn_free(all);
}
