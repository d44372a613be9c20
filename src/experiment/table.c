/* From result lines to the table. A model's figures on a data set are those of its seeds; figures
 * of a cell are null where a seed has none. */
#include "experiment/table.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "experiment/compare.h"
#include "online/abtest.h"

static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static void set(json_t *object, const char *key, json_t *value) {
    json_object_set_new(object, key, value); /* sticky: the dump of NULL fails */
}

/* ---- Numbers of result lines ------------------------------------------------------------- */

/* Runs of one model on one data set, by seed; NULL where there is no result. */
typedef struct runs {
    const hn_item **items; /* [seeds] */
    double *values;        /* [seeds] scratch */
    int32_t n, done, failed;
} runs;

static double number_at(const json_t *object, const char *key) {
    const json_t *const value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const json_t *split_of(const hn_item *item, const char *split) {
    return json_object_get(item->line, split);
}

/* A cell's figure (cell < 0: the mean's) on the test split. */
static double figure(const hn_item *item, int32_t c, const char *key) {
    const json_t *const test = split_of(item, "test");
    if (c < 0) return number_at(json_object_get(test, "mean"), key);
    return number_at(json_array_get(json_object_get(test, "cells"), (size_t)c), key);
}

static int32_t collect(double *out, const runs *r, int32_t c, const char *key) {
    int32_t n = 0;
    for (int32_t s = 0; s < r->n; s++) {
        if (!r->items[s] || !r->items[s]->line) continue;
        const double value = figure(r->items[s], c, key);
        if (!isnan(value)) out[n++] = value;
    }
    return n;
}

static json_t *spread_json(const runs *r, int32_t c, const char *key) {
    const int32_t n = collect(r->values, r, c, key);
    return json_pack("{s:o, s:o}", "mean", number(hn_mean_of(r->values, n)), "sd",
                     number(hn_deviation_of(r->values, n)));
}

static double mean_of_lines(const runs *r, const char *key) {
    int32_t n = 0;
    for (int32_t s = 0; s < r->n; s++) {
        const double value = r->items[s] ? number_at(r->items[s]->line, key) : NAN;
        if (!isnan(value)) r->values[n++] = value;
    }
    return hn_mean_of(r->values, n);
}

/* ---- Differences ------------------------------------------------------------------------- */

static json_t *difference_json(const hn_difference *d, const char *method) {
    return json_pack("{s:o, s:o, s:o, s:o, s:i, s:s}", "mean", number(d->mean), "low",
                     number(d->low), "high", number(d->high), "p", number(d->p), "n", (int)d->n,
                     "method", method);
}

/* Over the seeds that both have. */
static json_t *seeds_difference(const runs *first, const runs *other, int32_t c,
                                double confidence) {
    int32_t n = 0;
    for (int32_t s = 0; s < first->n; s++) {
        if (!first->items[s]->line || !other->items[s]->line) continue;
        const double d = figure(other->items[s], c, "auc") - figure(first->items[s], c, "auc");
        if (!isnan(d)) other->values[n++] = d;
    }
    hn_difference d;
    if (n == 0) return json_null();
    hn_compare_seeds(&d, other->values, n, confidence);
    return difference_json(&d, HN_OVER_SEEDS);
}

static hn_status load_scores(hn_scores *out, const hn_item *item, hn_error *err) {
    char *const path = hn_path_join(item->dir, "test.scores");
    if (!path) return hn_no_memory(err, "a path");
    const hn_status status = hn_scores_load(out, path, err);
    hn_free(path);
    return status;
}

static hn_status users_difference(json_t **out, const hn_item *a, const hn_item *b,
                                  const hn_experiment_config *config, hn_error *err) {
    hn_scores first, other;
    hn_difference d;
    *out = NULL;
    HN_TRY(load_scores(&first, a, err));
    hn_status status = load_scores(&other, b, err);
    if (status == HN_OK) {
        status =
            hn_compare_users(&d, &first, &other, config->bootstrap, config->confidence, 1, err);
        hn_scores_free(&other);
    }
    hn_scores_free(&first);
    if (status == HN_OK) *out = difference_json(&d, HN_BY_USER);
    return status;
}

/* The one seed that both have, when it is one. */
static int32_t only_seed(const runs *first, const runs *other) {
    int32_t found = -1;
    for (int32_t s = 0; s < first->n; s++) {
        if (!first->items[s]->line || !other->items[s]->line) continue;
        if (found >= 0) return -1;
        found = s;
    }
    return found;
}

static hn_status add_difference(json_t *row, const runs *first, const runs *other,
                                const hn_campaign *c, hn_error *err) {
    const hn_experiment_config *const config = c->config;
    json_t *difference = seeds_difference(first, other, -1, config->confidence);
    const int32_t seed = only_seed(first, other);
    hn_error why = {0};
    if (seed >= 0 && config->bootstrap > 1) {
        json_t *by_user = NULL;
        const hn_status status =
            users_difference(&by_user, first->items[seed], other->items[seed], config, &why);
        if (status == HN_NO_MEMORY) {
            json_decref(difference);
            return hn_fail(err, status, "%s", why.text);
        }
        if (status == HN_OK) {
            json_decref(difference);
            difference = by_user;
        } else {
            hn_say(c->run, HN_LOG_WARNING, "no interval for %s: %s",
                   config->models[other->items[seed]->model].name, why.text);
        }
    }
    set(row, "difference", difference);
    return HN_OK;
}

/* Holm's correction over the models of a data set. */
static hn_status correct(json_t *models, hn_error *err) {
    const size_t n = json_array_size(models);
    double *const p = hn_alloc(2 * n + 1, sizeof *p);
    if (!p) return hn_no_memory(err, "the correction");
    for (size_t m = 0; m < n; m++)
        p[m] = number_at(json_object_get(json_array_get(models, m), "difference"), "p");
    const hn_status status = hn_ab_holm(p + n, p, n, err);
    for (size_t m = 0; m < n && status == HN_OK; m++) {
        json_t *const difference = json_object_get(json_array_get(models, m), "difference");
        if (json_is_object(difference)) set(difference, "p_holm", number(p[n + m]));
    }
    hn_free(p);
    return status;
}

/* ---- Rows -------------------------------------------------------------------------------- */

static json_t *seeds_json(const runs *r) {
    json_t *const list = json_array();
    for (int32_t s = 0; s < r->n; s++)
        if (r->items[s]->line)
            json_array_append_new(list, json_integer((json_int_t)r->items[s]->seed));
    return list;
}

static json_t *cells_json(const runs *r, const runs *first, int32_t cells, double confidence) {
    static const char *const keys[] = {"auc", "gauc", "log_loss", "calibration"};
    json_t *const list = json_array();
    for (int32_t c = 0; c < cells; c++) {
        json_t *const cell = json_object();
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            set(cell, keys[k], spread_json(r, c, keys[k]));
        if (r != first) set(cell, "difference", seeds_difference(first, r, c, confidence));
        json_array_append_new(list, cell);
    }
    return list;
}

static json_t *options_json(const runs *r) {
    for (int32_t s = 0; s < r->n; s++)
        if (r->items[s]->line) return json_incref(json_object_get(r->items[s]->line, "set"));
    return json_array();
}

static json_t *network_json(const runs *r) {
    for (int32_t s = 0; s < r->n; s++) {
        json_t *const name = json_object_get(r->items[s]->line, "network");
        if (name) return json_incref(name);
    }
    return json_null();
}

static json_t *row_json(const runs *r, const runs *first, int32_t cells, const hn_campaign *c) {
    static const char *const costs[] = {"parameters",  "table_parameters", "flops_per_row",
                                        "seconds",     "epochs",           "best_epoch",
                                        "memory_bytes"};
    json_t *const row =
        json_pack("{s:s, s:o, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
                  c->config->models[r->items[0]->model].name, "network", network_json(r), "done",
                  (int)r->done, "failed", (int)r->failed, "seeds", seeds_json(r), "set",
                  options_json(r), "auc", spread_json(r, -1, "auc"), "gauc",
                  spread_json(r, -1, "gauc"), "log_loss", spread_json(r, -1, "log_loss"), "cells",
                  cells_json(r, first, cells, c->config->confidence));
    for (size_t k = 0; row && k < sizeof costs / sizeof *costs; k++)
        set(row, costs[k], number(mean_of_lines(r, costs[k])));
    return row;
}

/* 1 is the highest mean AUC; models without one have none. */
static void rank(json_t *models) {
    for (size_t m = 0; m < json_array_size(models); m++) {
        json_t *const row = json_array_get(models, m);
        const double mine = number_at(json_object_get(row, "auc"), "mean");
        int above = 0;
        for (size_t k = 0; k < json_array_size(models); k++)
            above += number_at(json_object_get(json_array_get(models, k), "auc"), "mean") > mine;
        set(row, "rank", isnan(mine) ? json_null() : json_integer(above + 1));
    }
}

/* ---- Data sets --------------------------------------------------------------------------- */

static void find_runs(runs *out, const hn_campaign *c, int32_t base, int32_t model) {
    out->n = out->done = out->failed = 0;
    for (int32_t i = 0; i < c->n_items; i++) {
        const hn_item *const item = &c->items[i];
        if (item->trial >= 0 || item->base != base || item->model != model) continue;
        out->items[out->n++] = item;
        out->done += item->line != NULL;
        out->failed += item->state == HN_ITEM_FAILED;
    }
}

/* Names, rows and positives of the cells, as the first result has them. */
static json_t *describe_cells(const hn_campaign *c, int32_t base) {
    json_t *const list = json_array();
    for (int32_t i = 0; i < c->n_items; i++) {
        const hn_item *const item = &c->items[i];
        const json_t *const cells = json_object_get(split_of(item, "test"), "cells");
        if (item->base != base || !cells) continue;
        size_t k;
        const json_t *cell;
        json_array_foreach(cells, k, cell) json_array_append_new(
            list,
            json_pack("{s:O*, s:O*, s:O*, s:O*}", "scenario", json_object_get(cell, "scenario"),
                      "task", json_object_get(cell, "task"), "rows", json_object_get(cell, "rows"),
                      "positives", json_object_get(cell, "positives")));
        break;
    }
    return list;
}

typedef struct maker {
    const hn_campaign *campaign;
    runs first, other;
} maker;

static bool make_runs(runs *out, int32_t seeds) {
    const size_t n = (size_t)seeds + 1;
    out->items = hn_alloc_zero(n, sizeof *out->items);
    out->values = hn_alloc(n, sizeof *out->values);
    return out->items && out->values;
}

static void free_runs(runs *r) {
    hn_free(r->items);
    hn_free(r->values);
}

static hn_status add_models(json_t *models, maker *m, int32_t base, int32_t cells, hn_error *err) {
    const hn_campaign *const c = m->campaign;
    find_runs(&m->first, c, base, 0);
    for (int32_t k = 0; k < c->config->n_models; k++) {
        runs *const r = k == 0 ? &m->first : &m->other;
        if (k > 0) find_runs(r, c, base, k);
        json_t *const row = row_json(r, &m->first, cells, c);
        if (!row || json_array_append_new(models, row) != 0) return hn_no_memory(err, "the table");
        if (k > 0) HN_TRY(add_difference(row, &m->first, r, c, err));
    }
    rank(models);
    return correct(models, err);
}

static hn_status add_base(json_t *data, maker *m, int32_t base, hn_error *err) {
    json_t *const models = json_array(), *const cells = describe_cells(m->campaign, base);
    const int32_t n = (int32_t)json_array_size(cells);
    json_t *const entry =
        json_pack("{s:s, s:o, s:o}", "name", m->campaign->config->bases[base].name, "cells", cells,
                  "models", models);
    if (!entry || json_array_append_new(data, entry) != 0) return hn_no_memory(err, "the table");
    return add_models(models, m, base, n, err);
}

static json_t *failures_json(const hn_campaign *c) {
    json_t *const list = json_array();
    for (int32_t i = 0; i < c->n_items; i++) {
        const hn_item *const item = &c->items[i];
        if (item->state != HN_ITEM_FAILED) continue;
        json_t *const failure =
            json_pack("{s:s, s:s, s:I, s:s, s:s*}", "data", c->config->bases[item->base].name,
                      "model", c->config->models[item->model].name, "seed", (json_int_t)item->seed,
                      "error", item->error, "folder", item->dir);
        if (failure && item->trial >= 0) set(failure, "trial", json_integer(item->trial));
        json_array_append_new(list, failure);
    }
    return list;
}

/* ---- Searches ---------------------------------------------------------------------------- */

static json_t *trial_json(const hn_study *study, int32_t t) {
    const hn_trial *const trial = &study->trials[t];
    const hn_item *const item = &study->items[t];
    json_t *const set_list = json_array(), *const values = json_array();
    for (int32_t i = 0; i < item->set.n; i++)
        json_array_append_new(set_list, json_string(item->set.items[i]));
    for (int32_t r = 0; r < trial->reached; r++)
        json_array_append_new(values, number(trial->values[r]));
    return json_pack("{s:i, s:o, s:o, s:b}", "trial", (int)t, "set", set_list, "metric", values,
                     "failed", trial->failed);
}

static json_t *searches_json(const hn_campaign *c) {
    json_t *const list = json_array();
    for (int32_t b = 0; b < c->config->n_bases; b++)
        for (int32_t m = 0; m < c->config->n_models; m++) {
            const hn_study *const study = hn_campaign_study(c, b, m);
            if (!study->searched) continue;
            json_t *const trials = json_array(), *const rungs = json_array();
            for (int32_t t = 0; t < c->config->trials; t++)
                json_array_append_new(trials, trial_json(study, t));
            for (int32_t r = 0; r < study->rungs.n; r++)
                json_array_append_new(rungs, json_integer(study->rungs.epochs[r]));
            json_t *const best = study->known ? json_integer(study->best) : json_null();
            json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o, s:o}", "data",
                                                  c->config->bases[b].name, "model",
                                                  c->config->models[m].name, "best", best, "epochs",
                                                  rungs, "trials", trials));
        }
    return list;
}

/* ---- The whole --------------------------------------------------------------------------- */

static hn_status fill(json_t *table, maker *m, hn_error *err) {
    json_t *const data = json_array();
    set(table, "data", data);
    for (int32_t b = 0; b < m->campaign->config->n_bases; b++) HN_TRY(add_base(data, m, b, err));
    if (m->campaign->options->search) set(table, "search", searches_json(m->campaign));
    set(table, "failed", failures_json(m->campaign));
    return HN_OK;
}

hn_status hn_table_make(json_t **out, const hn_campaign *campaign, hn_error *err) {
    maker m = {.campaign = campaign};
    *out = NULL;
    json_t *const table = json_pack("{s:s, s:f}", "experiment", campaign->config->path,
                                    "confidence", campaign->config->confidence);
    const bool made = make_runs(&m.first, campaign->config->seeds.n) &&
                      make_runs(&m.other, campaign->config->seeds.n) && table;
    const hn_status status = made ? fill(table, &m, err) : hn_no_memory(err, "the table");
    free_runs(&m.first);
    free_runs(&m.other);
    if (status == HN_OK)
        *out = table;
    else
        json_decref(table);
    return status;
}
