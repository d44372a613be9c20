/* Gates and the SAN table of a bundle: which values the model keeps by name, their means over a
 * sample of rows, and what their groups and columns stand for. */
#include "report/gates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernel/kernel.h"
#include "train/results.h"

/* ---- Means over rows --------------------------------------------------------------------- */

typedef struct named { /* a row-stage value that the model keeps */
    const char *name;
    hn_shape shape;
    int32_t width;
    double *sum; /* [M][width] */
} named;

typedef struct survey {
    const hn_bundle *bundle;
    int32_t scenarios;
    named *values;
    int32_t n;
    double *rows; /* [M] */
} survey;

static void free_survey(survey *s) {
    for (int32_t i = 0; s->values && i < s->n; i++) hn_free(s->values[i].sum);
    hn_free(s->values);
    hn_free(s->rows);
}

static const char *name_of(const survey *s, int32_t i) {
    return hn_graph_named(s->bundle->graph, i);
}

static hn_status find_values(survey *s, const hn_session *session, hn_error *err) {
    int32_t names = 0;
    while (name_of(s, names)) names++;
    s->values = hn_alloc_zero((size_t)names + 1, sizeof *s->values);
    s->rows = hn_alloc_zero((size_t)s->scenarios, sizeof *s->rows);
    if (!s->values || !s->rows) return hn_no_memory(err, "the means of gates");
    for (int32_t i = 0; i < names; i++) {
        named value = {.name = name_of(s, i)};
        int64_t ld;
        if (!hn_session_named(session, value.name, &value.shape, &ld)) continue;
        value.width = value.shape.groups * value.shape.cols;
        value.sum = hn_alloc_zero((size_t)s->scenarios * (size_t)value.width, sizeof(double));
        if (!value.sum) return hn_no_memory(err, "the means of gates");
        s->values[s->n++] = value;
    }
    return HN_OK;
}

static void add_tile(survey *s, const hn_session *session, const hn_rows *rows, int32_t first,
                     int32_t n) {
    for (int32_t i = 0; i < s->n; i++) {
        int64_t ld;
        hn_shape shape;
        const hn_real *const at = hn_session_named(session, s->values[i].name, &shape, &ld);
        for (int32_t r = 0; at && r < n; r++) {
            double *const sum =
                s->values[i].sum + (size_t)rows->scenario[first + r] * (size_t)s->values[i].width;
            for (int32_t k = 0; k < s->values[i].width; k++) sum[k] += (double)at[r * ld + k];
        }
    }
    for (int32_t r = 0; r < n; r++) s->rows[rows->scenario[first + r]]++;
}

static hn_status go_through(survey *s, const hn_rows *rows, hn_error *err) {
    hn_session *session;
    HN_TRY(hn_session_create(&session, s->bundle->plan, err));
    hn_status status = find_values(s, session, err);
    for (int32_t first = 0; first < rows->rows && status == HN_OK; first += HN_TILE_ROWS) {
        const int32_t left = rows->rows - first, n = left < HN_TILE_ROWS ? left : HN_TILE_ROWS;
        if (!hn_session_forward(session, &s->bundle->params, rows, first, n, 0, 0))
            status = hn_no_memory(err, "a tile of rows");
        else
            add_tile(s, session, rows, first, n);
    }
    hn_session_free(session);
    return status;
}

/* NaN where the scenario has no rows. */
static double mean_of(const survey *s, const named *value, int32_t scenario, int32_t k) {
    return value->sum[(size_t)scenario * (size_t)value->width + (size_t)k] / s->rows[scenario];
}

/* ---- Names ------------------------------------------------------------------------------- */

static const char *scenario_name(const survey *s, int32_t i) {
    return s->bundle->config->scenario.names.items[i];
}

/* Scenarios to show, by training rows and then by number, in the order of their numbers. */
static int32_t shown_scenarios(int32_t *out /* [HN_SHOWN_SCENARIOS] */, const survey *s) {
    const uint64_t *const rows = hn_schema_scenario_rows(s->bundle->schema);
    int32_t n = 0;
    for (int32_t i = 0; i < s->scenarios; i++) {
        int32_t larger = 0;
        for (int32_t j = 0; j < s->scenarios && larger < HN_SHOWN_SCENARIOS; j++)
            larger += rows[j] > rows[i] || (rows[j] == rows[i] && j < i);
        if (larger < HN_SHOWN_SCENARIOS) out[n++] = i;
    }
    return n;
}

static bool begins(const char *text, const char *word) {
    return strncmp(text, word, strlen(word)) == 0;
}

/* Own experts come first in the gates of a CGC. */
static bool is_cgc(const survey *s, const named *value) {
    const hn_config_model *const model = &s->bundle->config->model;
    return begins(value->name, "gate.task") && model->kind != HN_MODEL_MMOE &&
           value->shape.cols == model->task_own + model->task_shared;
}

static json_t *column_names(const survey *s, const named *value) {
    const int32_t own = s->bundle->config->model.task_own;
    const bool scenarios = value->shape.cols == s->scenarios &&
                           (strstr(value->name, "scenario") || strstr(value->name, "head"));
    json_t *const out = json_array();
    for (int32_t k = 0; k < value->shape.cols; k++) {
        json_t *name;
        if (is_cgc(s, value))
            name = k < own ? json_sprintf("own %d", (int)k + 1)
                           : json_sprintf("shared %d", (int)(k - own) + 1);
        else
            name = scenarios ? json_string(scenario_name(s, k))
                             : json_sprintf("expert %d", (int)k + 1);
        json_array_append_new(out, name);
    }
    return out;
}

/* ---- Gates ------------------------------------------------------------------------------- */

typedef struct gate_view { /* one gate being written */
    const survey *s;
    const named *value;
    json_t *rows;
    double even; /* an even share; 0: the weights are no shares */
} gate_view;

static json_t *weights_of(const gate_view *v, int32_t scenario, int32_t group, json_t *dead) {
    json_t *const weights = json_array();
    for (int32_t k = 0; k < v->value->shape.cols; k++) {
        const double mean = mean_of(v->s, v->value, scenario, group * v->value->shape.cols + k);
        json_array_append_new(weights, hn_results_number(mean));
        json_array_append_new(dead, json_boolean(v->even > 0 && mean < HN_DEAD_SHARE * v->even));
    }
    return weights;
}

/* `task` -1: the gate is of no task. */
static void add_row(const gate_view *v, int32_t scenario, int32_t task, int32_t group,
                    const char *what) {
    json_t *const dead = json_array(), *const weights = weights_of(v, scenario, group, dead);
    json_array_append_new(
        v->rows,
        json_pack("{s:s, s:s?, s:s, s:f, s:o, s:o}", "scenario", scenario_name(v->s, scenario),
                  "task", task >= 0 ? v->s->bundle->config->tasks[task].name : NULL, "gate", what,
                  "rows", v->s->rows[scenario], "weights", weights, "dead", dead));
}

/* What the groups of a gate belong to is known from their number: of tasks, of all cells, of
 * scenarios, of scenarios and one that all share; else they are only numbered. */
static void add_rows_of(const gate_view *v, int32_t scenario) {
    const int32_t groups = v->value->shape.groups, m = v->s->scenarios,
                  tasks = v->s->bundle->config->n_tasks;
    const bool sei = begins(v->value->name, "gate.sei");
    if (groups == 1) {
        add_row(v, scenario, -1, 0, strstr(v->value->name, "shared") ? "shared" : "");
    } else if (sei && (groups == m || groups == m + 1)) {
        add_row(v, scenario, -1, scenario, "own");
        if (groups == m + 1) add_row(v, scenario, -1, m, "shared");
    } else if (groups == tasks || groups == tasks * m) {
        for (int32_t t = 0; t < tasks; t++)
            add_row(v, scenario, t, groups == tasks ? t : scenario * tasks + t, "");
    } else if (groups == m) {
        add_row(v, scenario, -1, scenario, "own");
    } else {
        char what[24];
        for (int32_t g = 0; g < groups && g < HN_SHOWN_COLUMNS; g++) {
            snprintf(what, sizeof what, "gate %d", (int)g + 1);
            add_row(v, scenario, -1, g, what);
        }
    }
}

/* Whether each group's weights sum to 1. */
static bool are_shares(const survey *s, const named *value) {
    for (int32_t i = 0; i < s->scenarios; i++) {
        double sum = 0;
        if (s->rows[i] == 0) continue;
        for (int32_t k = 0; k < value->width; k++) sum += mean_of(s, value, i, k);
        if (fabs(sum - value->shape.groups) > 1e-3 * value->shape.groups) return false;
    }
    return true;
}

static json_t *gate_json(const survey *s, const named *value) {
    int32_t shown[HN_SHOWN_SCENARIOS];
    const int32_t n = shown_scenarios(shown, s);
    const bool shares = are_shares(s, value);
    const gate_view view = {
        .s = s, .value = value, .rows = json_array(), .even = shares ? 1.0 / value->shape.cols : 0};
    for (int32_t i = 0; i < n; i++) add_rows_of(&view, shown[i]);
    return json_pack("{s:s, s:o, s:b, s:f, s:o}", "name", value->name, "columns",
                     column_names(s, value), "softmax", shares, "even", view.even, "rows",
                     view.rows);
}

/* ---- SAN --------------------------------------------------------------------------------- */

/* weight(i, j) for the scenarios shown. */
static json_t *san_json(const survey *s, const char *name, const hn_real *fixed,
                        const named *value) {
    int32_t shown[HN_SHOWN_SCENARIOS];
    const int32_t n = shown_scenarios(shown, s);
    json_t *const names = json_array(), *const weights = json_array();
    for (int32_t a = 0; a < n; a++) {
        json_t *const row = json_array();
        const int32_t i = shown[a];
        json_array_append_new(names, json_string(scenario_name(s, i)));
        for (int32_t b = 0; b < n; b++) {
            const int32_t j = shown[b];
            const double weight = i == j ? NAN
                                  : fixed
                                      ? (double)fixed[(size_t)i * (size_t)s->scenarios + (size_t)j]
                                      : mean_of(s, value, i, j);
            json_array_append_new(row, hn_results_number(weight));
        }
        json_array_append_new(weights, row);
    }
    return json_pack("{s:s, s:b, s:o, s:o}", "name", name, "by_row", !fixed, "scenarios", names,
                     "weights", weights);
}

static bool is_san(const char *name) { return begins(name, "san") || begins(name, "gate.san"); }

static void add_fixed_tables(json_t *san, const survey *s) {
    const char *name;
    for (int32_t i = 0; (name = name_of(s, i)) != NULL; i++) {
        hn_shape shape;
        const hn_real *const table =
            hn_plan_named_param(s->bundle->plan, &s->bundle->params, name, &shape);
        if (!table || shape.batch != 1 || shape.rows != s->scenarios ||
            shape.groups * shape.cols != s->scenarios || !is_san(name))
            continue;
        json_array_append_new(san, san_json(s, name, table, NULL));
    }
}

/* A gate that a model keeps for each row over all scenarios is a SAN of its own. */
static void add_values(json_t *san, json_t *gates, const survey *s) {
    for (int32_t i = 0; i < s->n; i++) {
        const named *const value = &s->values[i];
        if (is_san(value->name) && value->width == s->scenarios)
            json_array_append_new(san, san_json(s, value->name, NULL, value));
        else if (begins(value->name, "gate.") && value->shape.cols > 1 &&
                 value->shape.cols <= HN_SHOWN_COLUMNS)
            json_array_append_new(gates, gate_json(s, value));
    }
}

hn_status hn_gates_gather(json_t **san, json_t **gates, const hn_bundle *bundle,
                          const hn_sample *sample, hn_error *err) {
    survey s = {.bundle = bundle, .scenarios = bundle->config->scenario.names.n};
    const int32_t saved = hn_kernel_enter();
    const hn_status status = sample ? go_through(&s, hn_sample_rows(sample), err) : HN_OK;
    hn_kernel_leave(saved);
    *san = *gates = NULL;
    if (status == HN_OK) {
        *san = json_array();
        *gates = json_array();
        add_fixed_tables(*san, &s);
        add_values(*san, *gates, &s);
    }
    free_survey(&s);
    return status;
}
