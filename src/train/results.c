/* Metrics as JSON, and the text made from that JSON: the table scenario × task with its
 * mean, the same after training, from `eval` and from what a bundle has stored. */
#include "train/results.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

/* ---- JSON -------------------------------------------------------------------------------- */

json_t *hn_results_number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *cell_json(const hn_cell_metrics *cell, const char *scenario, const char *task) {
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:I, s:I}", "scenario", scenario, "task", task,
                     "auc", hn_results_number(cell->auc), "gauc", hn_results_number(cell->gauc),
                     "log_loss", hn_results_number(cell->log_loss), "calibration",
                     hn_results_number(cell->calibration), "rows", (json_int_t)cell->rows,
                     "positives", (json_int_t)cell->positives);
}

json_t *hn_results_json(const hn_cell_metrics *cells, const hn_config *config) {
    const int32_t n = config->scenario.names.n * config->n_tasks;
    json_t *const list = json_array();
    for (int32_t c = 0; c < n; c++)
        if (json_array_append_new(list, cell_json(&cells[c],
                                                  config->scenario.names.items[c / config->n_tasks],
                                                  config->tasks[c % config->n_tasks].name)) != 0) {
            json_decref(list);
            return NULL;
        }
    json_t *const mean =
        json_pack("{s:o, s:o, s:o}", "auc", hn_results_number(hn_metrics_mean_auc(cells, n)),
                  "gauc", hn_results_number(hn_metrics_mean_gauc(cells, n)), "log_loss",
                  hn_results_number(hn_metrics_mean_log_loss(cells, n)));
    return json_pack("{s:o, s:o}", "mean", mean, "cells", list);
}

/* ---- Text -------------------------------------------------------------------------------- */

static void number_cell(hn_grid *grid, const json_t *object, const char *key, const char *format) {
    const json_t *const value = json_object_get(object, key);
    char text[40] = "-";
    if (json_is_number(value)) {
        if (strcmp(format, "%d") == 0)
            snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
        else
            snprintf(text, sizeof text, "%.4f", json_number_value(value));
    }
    hn_grid_cell(grid, "%s", text);
}

static void table_text(hn_text *out, const char *split, const json_t *result) {
    static const char *const titles[] = {"scenario", "task",        "AUC",  "GAUC",
                                         "log loss", "calibration", "rows", "positives"};
    hn_grid *const grid = hn_grid_create(8);
    size_t i;
    const json_t *cell;
    for (i = 0; i < 8; i++) hn_grid_cell(grid, "%s", titles[i]);
    json_array_foreach(json_object_get(result, "cells"), i, cell) {
        const char *const scenario = json_string_value(json_object_get(cell, "scenario"));
        const char *const task = json_string_value(json_object_get(cell, "task"));
        hn_grid_cell(grid, "%s", scenario ? scenario : "?");
        hn_grid_cell(grid, "%s", task ? task : "?");
        number_cell(grid, cell, "auc", "%f");
        number_cell(grid, cell, "gauc", "%f");
        number_cell(grid, cell, "log_loss", "%f");
        number_cell(grid, cell, "calibration", "%f");
        number_cell(grid, cell, "rows", "%d");
        number_cell(grid, cell, "positives", "%d");
    }
    const json_t *const mean = json_object_get(result, "mean");
    hn_grid_cell(grid, "mean");
    hn_grid_cell(grid, "%s", "");
    number_cell(grid, mean, "auc", "%f");
    number_cell(grid, mean, "gauc", "%f");
    number_cell(grid, mean, "log_loss", "%f");
    for (i = 0; i < 3; i++) hn_grid_cell(grid, "%s", "");
    hn_text_add(out, "%s%s\n", out->length > 0 ? "\n" : "", split);
    hn_grid_render(grid, out);
}

static void heading(hn_text *out, const json_t *results) {
    const json_t *const model = json_object_get(results, "model");
    const char *const name = json_string_value(json_object_get(model, "name"));
    if (name)
        hn_text_add(out, "%s: %lld parameters and %lld in embedding tables\n", name,
                    (long long)json_integer_value(json_object_get(model, "parameters")),
                    (long long)json_integer_value(json_object_get(model, "table_parameters")));
    const json_t *const epoch = json_object_get(results, "best_epoch");
    if (json_is_integer(epoch))
        hn_text_add(out, "best epoch %lld of %lld\n", (long long)json_integer_value(epoch),
                    (long long)json_integer_value(json_object_get(results, "epochs_trained")));
}

hn_status hn_results_report(hn_report **out, json_t *results, hn_error *err) {
    *out = NULL;
    hn_text text = {0};
    if (!results) return hn_no_memory(err, "a report");
    heading(&text, results);
    const json_t *const validation = json_object_get(results, "validation");
    const json_t *const test = json_object_get(results, "test");
    if (json_is_object(validation)) table_text(&text, "validation", validation);
    if (json_is_object(test)) table_text(&text, "test", test);
    return hn_report_create(out, results, &text, err);
}

int32_t hn_results_warn(const hn_cell_metrics *cells, const hn_config *config, const char *split,
                        const hn_run *run) {
    int32_t dead = 0;
    for (int32_t c = 0; c < config->scenario.names.n * config->n_tasks; c++) {
        if (!cells[c].constant) continue;
        dead++;
        hn_say(run, HN_LOG_WARNING,
               "cell %s/%s gives every row of the %s rows the same prediction: its experts have "
               "died; lower "
               "weight_decay or rate, or try another seed",
               config->scenario.names.items[c / config->n_tasks],
               config->tasks[c % config->n_tasks].name, split);
    }
    return dead;
}
