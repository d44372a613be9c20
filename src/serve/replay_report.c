/* What hn_replay tells (replay.h). */
#include <math.h>

#include "serve/replay.h"

enum { PARTS = 10 };

/* The scores' tenths are those of the log; a tenth that is one bin's alone stays whole. Half a
 * row more in every part, so that an empty one is finite, as in a bundle's profile. */
double hn_replay_psi(const uint64_t *was, const uint64_t *is) {
    double p[PARTS] = {0}, q[PARTS] = {0}, n = 0, m = 0, sum = 0;
    int parts = 1;
    for (int b = 0; b < HN_REPLAY_BINS; b++) n += (double)was[b], m += (double)is[b];
    if (n == 0 || m == 0) return NAN;
    for (int b = 0; b < HN_REPLAY_BINS; b++) {
        p[parts - 1] += (double)was[b];
        q[parts - 1] += (double)is[b];
        if (parts < PARTS && p[parts - 1] >= n / PARTS && b + 1 < HN_REPLAY_BINS) parts++;
    }
    for (int i = 0; i < parts; i++) {
        const double a = (p[i] + 0.5) / (n + 0.5 * parts), c = (q[i] + 0.5) / (m + 0.5 * parts);
        sum += (c - a) * log(c / a);
    }
    return sum;
}

static const char *task_name(const hn_replaying *r, int32_t task) {
    return r->bundle->config->tasks[task].name;
}

static const char *scenario_name(const hn_replaying *r, int32_t scenario) {
    const hn_strings *const names = &r->bundle->config->scenario.names;
    return scenario < names->n ? names->items[scenario] : "(unknown)";
}

static double psi_of(const hn_replaying *r, int32_t scenario, int32_t task) {
    return hn_replay_psi(hn_replay_bins(r, scenario, task, false),
                         hn_replay_bins(r, scenario, task, true));
}

static double mean(const hn_replay_difference *d) { return d->n ? d->sum / (double)d->n : 0; }
static json_t *real(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static double most(const hn_replaying *r) {
    double max = 0;
    for (int32_t t = 0; t < r->tasks; t++) max = fmax(max, r->task[t].max);
    return max;
}

static bool is_compared(const hn_replay_feature *f) {
    return f->compared + f->new_keys + f->causes > 0;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *tasks_json(const hn_replaying *r) {
    json_t *const all = json_array();
    for (int32_t t = 0; t < r->tasks; t++)
        json_array_append_new(
            all, json_pack("{s:s, s:I, s:f, s:f, s:f, s:f}", "task", task_name(r, t), "differing",
                           (json_int_t)r->task[t].differing, "max_difference", r->task[t].max,
                           "mean_difference", mean(&r->task[t]), "tables_max_difference",
                           r->tables[t].max, "tables_mean_difference", mean(&r->tables[t])));
    return all;
}

static json_t *scenarios_json(const hn_replaying *r) {
    json_t *const all = json_array();
    for (int32_t s = 0; s < r->scenarios; s++) {
        json_t *const psi = json_object();
        if (r->rows_of[s] == 0) {
            json_decref(psi);
            continue;
        }
        for (int32_t t = 0; t < r->tasks; t++)
            json_object_set_new(psi, task_name(r, t), real(psi_of(r, s, t)));
        json_array_append_new(all, json_pack("{s:s, s:I, s:o}", "scenario", scenario_name(r, s),
                                             "rows", (json_int_t)r->rows_of[s], "psi", psi));
    }
    return all;
}

static json_t *versions_json(const hn_replaying *r) {
    json_t *const all = json_array();
    for (int32_t i = 0; i < r->n_versions; i++)
        json_array_append_new(
            all,
            json_pack("{s:s, s:s, s:I, s:I, s:f}", "model", r->versions[i].model, "version",
                      r->versions[i].version, "rows", (json_int_t)r->versions[i].rows, "differing",
                      (json_int_t)r->versions[i].differing, "max_difference", r->versions[i].max));
    return all;
}

static json_t *features_json(const hn_replaying *r) {
    json_t *const all = json_array();
    for (int32_t f = 0; f < hn_request_fields(r->engine->request); f++)
        if (is_compared(&r->features[f]))
            json_array_append_new(all, json_pack("{s:s, s:I, s:I, s:I, s:I}", "feature",
                                                 hn_request_field_name(r->engine->request, f),
                                                 "compared", (json_int_t)r->features[f].compared,
                                                 "differing", (json_int_t)r->features[f].differing,
                                                 "new_keys", (json_int_t)r->features[f].new_keys,
                                                 "causes", (json_int_t)r->features[f].causes));
    return all;
}

static json_t *counts_json(const hn_replaying *r) {
    json_t *const bad = json_array();
    for (int32_t i = 0; i < r->n_examples; i++)
        json_array_append_new(bad, json_string(r->examples[i]));
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "lines", (json_int_t)r->lines,
        "scored", (json_int_t)r->scored, "rows", (json_int_t)r->rows, "other_models",
        (json_int_t)r->other, "without_features", (json_int_t)r->without_features, "without_scores",
        (json_int_t)r->fallbacks, "unknown_fields", (json_int_t)r->unknown, "uncalibrated",
        (json_int_t)r->uncalibrated_lines, "bad_lines", (json_int_t)r->bad, "bad_examples", bad);
}

static json_t *report_json(const hn_replaying *r) {
    const char *const first =
        r->first.text ? hn_request_field_name(r->engine->request, r->first.field) : NULL;
    return json_pack("{s:o, s:f, s:f, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:s?, s:s?}", "counts",
                     counts_json(r), "tolerance", r->tolerance, "max_difference", most(r),
                     "differing_rows", (json_int_t)r->differing_rows, "looked_into",
                     (json_int_t)r->looked_into, "unexplained", (json_int_t)r->unexplained, "tasks",
                     tasks_json(r), "scenarios", scenarios_json(r), "versions", versions_json(r),
                     "features", features_json(r), "first_differing_feature", first,
                     "first_difference", r->first.text);
}

/* ---- Text ------------------------------------------------------------------------------------ */

static void tell_tasks(hn_text *text, const hn_replaying *r) {
    static const char *const head[] = {
        "task",          "largest difference", "mean", "beyond tolerance", "largest by tables",
        "mean by tables"};
    hn_grid *const grid = hn_grid_create(sizeof head / sizeof *head);
    for (size_t h = 0; h < sizeof head / sizeof *head; h++) hn_grid_cell(grid, "%s", head[h]);
    for (int32_t t = 0; t < r->tasks; t++) {
        hn_grid_cell(grid, "%s", task_name(r, t));
        hn_grid_cell(grid, "%.3g", r->task[t].max);
        hn_grid_cell(grid, "%.3g", mean(&r->task[t]));
        hn_grid_cell(grid, "%llu", (unsigned long long)r->task[t].differing);
        hn_grid_cell(grid, "%.3g", r->tables[t].max);
        hn_grid_cell(grid, "%.3g", mean(&r->tables[t]));
    }
    hn_grid_render(grid, text);
}

static void tell_scenarios(hn_text *text, const hn_replaying *r) {
    hn_grid *const grid = hn_grid_create(2 + r->tasks);
    hn_grid_cell(grid, "scenario");
    hn_grid_cell(grid, "rows");
    for (int32_t t = 0; t < r->tasks; t++) hn_grid_cell(grid, "PSI %s", task_name(r, t));
    for (int32_t s = 0; s < r->scenarios; s++) {
        if (r->rows_of[s] == 0) continue;
        hn_grid_cell(grid, "%s", scenario_name(r, s));
        hn_grid_cell(grid, "%llu", (unsigned long long)r->rows_of[s]);
        for (int32_t t = 0; t < r->tasks; t++) hn_grid_cell(grid, "%.4f", psi_of(r, s, t));
    }
    hn_grid_render(grid, text);
}

static void tell_versions(hn_text *text, const hn_replaying *r) {
    hn_grid *const grid = hn_grid_create(5);
    hn_grid_cell(grid, "model");
    hn_grid_cell(grid, "version");
    hn_grid_cell(grid, "rows");
    hn_grid_cell(grid, "differing");
    hn_grid_cell(grid, "largest");
    for (int32_t i = 0; i < r->n_versions; i++) {
        hn_grid_cell(grid, "%s", r->versions[i].model);
        hn_grid_cell(grid, "%s", r->versions[i].version);
        hn_grid_cell(grid, "%llu", (unsigned long long)r->versions[i].rows);
        hn_grid_cell(grid, "%llu", (unsigned long long)r->versions[i].differing);
        hn_grid_cell(grid, "%.3g", r->versions[i].max);
    }
    hn_grid_render(grid, text);
}

static void tell_features(hn_text *text, const hn_replaying *r) {
    static const char *const head[] = {"feature", "served and in a table", "another value",
                                       "key not in the table", "cause of a difference"};
    const int32_t fields = hn_request_fields(r->engine->request);
    bool any = false;
    for (int32_t f = 0; f < fields; f++) any |= is_compared(&r->features[f]);
    if (!any) return;
    hn_grid *const grid = hn_grid_create(sizeof head / sizeof *head);
    for (size_t h = 0; h < sizeof head / sizeof *head; h++) hn_grid_cell(grid, "%s", head[h]);
    for (int32_t f = 0; f < fields; f++) {
        const hn_replay_feature *const feature = &r->features[f];
        if (!is_compared(feature)) continue;
        hn_grid_cell(grid, "%s", hn_request_field_name(r->engine->request, f));
        hn_grid_cell(grid, "%llu", (unsigned long long)feature->compared);
        hn_grid_cell(grid, "%llu", (unsigned long long)feature->differing);
        hn_grid_cell(grid, "%llu", (unsigned long long)feature->new_keys);
        hn_grid_cell(grid, "%llu", (unsigned long long)feature->causes);
    }
    hn_text_bytes(text, "\n", 1);
    hn_grid_render(grid, text);
}

static void tell_head(hn_text *text, const hn_replaying *r) {
    hn_text_add(text,
                "%llu items of %llu exposures were scored again. Left out: %llu exposures without "
                "features, %llu without the model's scores, %llu of other models, %llu bad "
                "lines.\n",
                (unsigned long long)r->rows, (unsigned long long)r->scored,
                (unsigned long long)r->without_features, (unsigned long long)r->fallbacks,
                (unsigned long long)r->other, (unsigned long long)r->bad);
    hn_text_add(text,
                "The largest difference of a probability is %.3g; %llu items differ by more "
                "than %.3g.\n",
                most(r), (unsigned long long)r->differing_rows, r->tolerance);
    if (r->uncalibrated_lines > 0)
        hn_text_add(text, "%llu exposures were served without the bundle's calibration.\n",
                    (unsigned long long)r->uncalibrated_lines);
    if (r->unexplained > 0)
        hn_text_add(text,
                    "Of %llu differences looked into, %llu are no single feature's: is this the "
                    "bundle that served?\n",
                    (unsigned long long)r->looked_into, (unsigned long long)r->unexplained);
    if (r->first.text)
        hn_text_add(text, "The first feature that is not the table's: %s.\n", r->first.text);
    else
        hn_text_add(text, "No feature served differs from the tables of the bundle.\n");
}

hn_status hn_replay_tell(hn_report **out, const hn_replaying *r, hn_error *err) {
    hn_text text = {0};
    tell_head(&text, r);
    if (r->rows > 0) {
        hn_text_bytes(&text, "\n", 1);
        tell_tasks(&text, r);
        hn_text_bytes(&text, "\n", 1);
        tell_scenarios(&text, r);
        hn_text_bytes(&text, "\n", 1);
        tell_versions(&text, r);
        tell_features(&text, r);
    }
    for (int32_t i = 0; i < r->n_examples; i++)
        hn_text_add(&text, "%s%s\n", i == 0 ? "\nBad lines:\n" : "", r->examples[i]);
    return hn_report_create(out, report_json(r), &text, err);
}
