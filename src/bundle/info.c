/* What is in a bundle, as JSON and as text made from that JSON; and the list of models. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "bundle/bundle.h"

/* ---- JSON ------------------------------------------------------------------------------ */

static json_int_t numbers_of(const hn_param_info *p) {
    return (json_int_t)p->batch * p->rows * p->groups * p->cols;
}

static json_t *tensors_json(const hn_plan *plan) {
    json_t *list = json_array();
    for (int32_t i = 0; i < hn_plan_params(plan); i++) {
        const hn_param_info *p = hn_plan_param(plan, i);
        json_array_append_new(list, json_pack("{s:s, s:[i,i,i,i], s:I}", "name", p->name, "shape",
                                              p->batch, p->rows, p->groups, p->cols, "numbers",
                                              numbers_of(p)));
    }
    return list;
}

static json_t *tables_json(const hn_params *params) {
    json_t *list = json_array();
    for (int32_t t = 0; t < params->n_tables; t++)
        json_array_append_new(list, json_pack("{s:s, s:I, s:i}", "name", params->tables[t].name,
                                              "rows", (json_int_t)params->tables[t].rows, "width",
                                              params->tables[t].width));
    return list;
}

static json_t *model_json(const hn_bundle *bundle) {
    const hn_model_row *row = hn_model_find(bundle->config->model.kind);
    json_int_t parameters = 0, in_tables = 0;
    for (int32_t i = 0; i < hn_plan_params(bundle->plan); i++)
        parameters += numbers_of(hn_plan_param(bundle->plan, i));
    for (int32_t t = 0; t < bundle->params.n_tables; t++)
        in_tables += (json_int_t)bundle->params.tables[t].rows * bundle->params.tables[t].width;
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:o, s:o}", "name",
                     hn_model_name(row->kind), "title", row->title, "source", row->source,
                     "parameters", parameters, "table_parameters", in_tables, "flops_per_row",
                     (json_int_t)hn_plan_flops(bundle->plan), "numbers", HN_REAL_NAME, "tensors",
                     tensors_json(bundle->plan), "tables", tables_json(&bundle->params));
}

static json_t *scenarios_json(const hn_bundle *bundle) {
    json_t *list = json_array();
    const uint64_t *rows = hn_schema_scenario_rows(bundle->schema);
    for (int32_t i = 0; i < bundle->config->scenario.names.n; i++)
        json_array_append_new(list, json_pack("{s:s, s:I}", "name",
                                              bundle->config->scenario.names.items[i],
                                              "training_rows", (json_int_t)rows[i]));
    return list;
}

static json_t *tasks_json(const hn_config *config) {
    json_t *list = json_array();
    for (int32_t t = 0; t < config->n_tasks; t++) {
        const hn_config_task *const task = &config->tasks[t];
        json_array_append_new(list, json_pack("{s:s, s:s?, s:f, s:s*}", "name", task->name, "label",
                                              task->label.text, "weight", task->weight, "after",
                                              task->after));
    }
    return list;
}

/* a_ij with null on the diagonal. */
static json_t *attention_json(const hn_real *table, int32_t scenarios) {
    json_t *rows = json_array();
    for (int32_t i = 0; i < scenarios; i++) {
        json_t *row = json_array();
        for (int32_t j = 0; j < scenarios; j++)
            json_array_append_new(row, i == j ? json_null()
                                              : json_real((double)table[i * scenarios + j]));
        json_array_append_new(rows, row);
    }
    return rows;
}

/* One entry for each scenario level; an empty list where the model has no SAN. */
static json_t *san_json(const hn_bundle *bundle) {
    json_t *levels = json_array();
    for (int32_t level = 1; level <= bundle->config->model.scenario_levels; level++) {
        char name[24];
        snprintf(name, sizeof name, level == 1 ? "san" : "san.%d", level);
        hn_shape shape;
        const hn_real *table = hn_plan_named_param(bundle->plan, &bundle->params, name, &shape);
        if (table)
            json_array_append_new(levels, json_pack("{s:i, s:o}", "level", level, "weights",
                                                    attention_json(table, shape.rows)));
    }
    return levels;
}

static json_t *side_tables_json(const hn_bundle *bundle) {
    json_t *list = json_array();
    for (int32_t t = 0; t < bundle->config->n_tables && t < bundle->tables->n; t++)
        json_array_append_new(list, json_pack("{s:s, s:I}", "name", bundle->config->tables[t].name,
                                              "rows", (json_int_t)bundle->tables->items[t].rows));
    return list;
}

static bool keeps_optimizer(const hn_bundle *bundle) {
    for (size_t i = 0; i < hn_pack_sections(bundle->pack); i++)
        if (strncmp(hn_pack_section(bundle->pack, i)->name, "state/", 6) == 0) return true;
    return false;
}

static json_t *calibration_json(const hn_bundle *bundle) {
    static const char *const kinds[] = {"none", "platt", "isotonic"};
    const int32_t tasks = bundle->config->n_tasks, cells = bundle->config->scenario.names.n * tasks;
    const hn_calibration *const calibration = bundle->calibration;
    int32_t fitted = 0;
    for (int32_t c = 0; calibration && c < cells; c++)
        fitted += hn_calibration_has(calibration, c / tasks, c % tasks);
    return json_pack("{s:s, s:i, s:i}", "kind",
                     kinds[calibration ? hn_calibration_kind(calibration) : HN_CALIBRATE_NONE],
                     "fitted", fitted, "cells", cells);
}

/* "problem": null where all rows are scored as they should be. */
static json_t *golden_json(const hn_bundle *bundle) {
    hn_error found = {0};
    const bool fine = hn_bundle_verify(bundle, &found) == HN_OK;
    return json_pack("{s:I, s:s?}", "rows",
                     (json_int_t)json_array_size(json_object_get(bundle->golden, "rows")),
                     "problem", fine ? NULL : found.text);
}

static json_t *profile_json(const hn_bundle *bundle) {
    const hn_profile *const profile = bundle->profile;
    int32_t scenarios = 0;
    for (int32_t i = 0; profile && i < profile->scenarios; i++) scenarios += profile->rows[i] > 0;
    return json_pack("{s:i}", "scenarios", scenarios);
}

static json_t *info_json(const hn_bundle *bundle) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:O, s:o, s:b, s:o, s:o, s:o, s:s}", "model",
                     model_json(bundle), "scenarios", scenarios_json(bundle), "tasks",
                     tasks_json(bundle->config), "side_tables", side_tables_json(bundle), "schema",
                     hn_schema_describe(bundle->schema), "metrics", bundle->metrics, "san",
                     san_json(bundle), "keeps_optimizer", keeps_optimizer(bundle), "calibration",
                     calibration_json(bundle), "golden", golden_json(bundle), "profile",
                     profile_json(bundle), "config", hn_config_yaml(bundle->config));
}

/* ---- Text --------------------------------------------------------------------------------- */

static const char *string_at(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

static long long integer_at(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

/* What a server needs besides the model. */
static void serving_text(hn_text *out, const json_t *info) {
    const json_t *calibration = json_object_get(info, "calibration"),
                 *golden = json_object_get(info, "golden");
    const char *const problem = json_string_value(json_object_get(golden, "problem"));
    hn_text_add(out, "calibration: %s", string_at(calibration, "kind"));
    if (integer_at(calibration, "fitted") > 0)
        hn_text_add(out, ", %lld of %lld cells", integer_at(calibration, "fitted"),
                    integer_at(calibration, "cells"));
    hn_text_add(out, "\ngolden rows: %lld", integer_at(golden, "rows"));
    if (problem)
        hn_text_add(out, "; %s", problem);
    else if (integer_at(golden, "rows") > 0)
        hn_text_add(out, ", scored as when it was trained");
    hn_text_add(out, "\nprofile for drift: of %lld scenarios\n",
                integer_at(json_object_get(info, "profile"), "scenarios"));
}

static void model_text(hn_text *out, const json_t *info) {
    const json_t *model = json_object_get(info, "model"), *scenario, *task;
    size_t i;
    hn_text_add(out, "%s (%s)\n", string_at(model, "title"), string_at(model, "source"));
    hn_text_add(out, "%lld parameters and %lld in %zu embedding tables, %s; %.3f MFLOP a row\n",
                integer_at(model, "parameters"), integer_at(model, "table_parameters"),
                json_array_size(json_object_get(model, "tables")), string_at(model, "numbers"),
                (double)integer_at(model, "flops_per_row") / 1e6);
    hn_text_add(out, "optimizer state for warm starts: %s\n",
                json_is_true(json_object_get(info, "keeps_optimizer")) ? "kept" : "not kept");
    serving_text(out, info);
    hn_text_add(out, "scenarios (training rows):");
    json_array_foreach(json_object_get(info, "scenarios"), i, scenario)
        hn_text_add(out, "%s %s (%lld)", i ? "," : "", string_at(scenario, "name"),
                    integer_at(scenario, "training_rows"));
    hn_text_add(out, "\ntasks (label):");
    json_array_foreach(json_object_get(info, "tasks"), i, task) {
        const char *const after = json_string_value(json_object_get(task, "after"));
        hn_text_add(out, "%s %s (%s%s%s)", i ? "," : "", string_at(task, "name"),
                    string_at(task, "label"), after ? "; after " : "", after ? after : "");
    }
    hn_text_add(out, "\n");
}

static void number_cell(hn_grid *grid, const json_t *value, const char *absent) {
    if (json_is_integer(value))
        hn_grid_cell(grid, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        hn_grid_cell(grid, "%.4f", json_real_value(value));
    else
        hn_grid_cell(grid, "%s", absent);
}

static void features_text(hn_text *out, const json_t *schema) {
    static const char *const titles[] = {"input", "kind",  "side", "cardinality",
                                         "width", "table", "rows"};
    hn_grid *grid = hn_grid_create(7);
    const json_t *input;
    size_t i;
    for (i = 0; i < 7; i++) hn_grid_cell(grid, "%s", titles[i]);
    json_array_foreach(json_object_get(schema, "inputs"), i, input) {
        for (size_t k = 0; k < 3; k++)
            hn_grid_cell(grid, "%s", string_at(input, k == 0 ? "name" : titles[k]));
        number_cell(grid, json_object_get(input, "cardinality"), "");
        number_cell(grid, json_object_get(input, "width"), "");
        const char *table = json_string_value(json_object_get(input, "table"));
        hn_grid_cell(grid, "%s", table ? table : "");
        number_cell(grid, json_object_get(input, "table_rows"), "");
    }
    hn_text_add(out,
                "\nfeatures (width of the model input: %lld, of them user and context: %lld)\n",
                integer_at(schema, "width"), integer_at(schema, "shared_width"));
    hn_grid_render(grid, out);
}

static void cells_text(hn_text *out, const char *split, const json_t *result) {
    static const char *const keys[] = {"auc",         "gauc", "log_loss",
                                       "calibration", "rows", "positives"};
    static const char *const titles[] = {"AUC",         "GAUC", "log loss",
                                         "calibration", "rows", "positives"};
    if (!json_is_object(result)) return;
    hn_grid *grid = hn_grid_create(8);
    const json_t *cell, *mean = json_object_get(result, "mean");
    size_t i;
    hn_grid_cell(grid, "scenario");
    hn_grid_cell(grid, "task");
    for (i = 0; i < 6; i++) hn_grid_cell(grid, "%s", titles[i]);
    json_array_foreach(json_object_get(result, "cells"), i, cell) {
        hn_grid_cell(grid, "%s", string_at(cell, "scenario"));
        hn_grid_cell(grid, "%s", string_at(cell, "task"));
        for (size_t k = 0; k < 6; k++) number_cell(grid, json_object_get(cell, keys[k]), "-");
    }
    hn_grid_cell(grid, "mean");
    hn_grid_cell(grid, "%s", "");
    for (i = 0; i < 6; i++) number_cell(grid, json_object_get(mean, keys[i]), "");
    hn_text_add(out, "\n%s\n", split);
    hn_grid_render(grid, out);
}

static void san_text(hn_text *out, const json_t *info) {
    const json_t *scenarios = json_object_get(info, "scenarios"), *level, *row, *weight;
    const size_t n = json_array_size(scenarios);
    size_t l, i, j;
    json_array_foreach(json_object_get(info, "san"), l, level) {
        hn_grid *grid = hn_grid_create((int32_t)n + 1);
        hn_grid_cell(grid, "%s", "");
        for (j = 0; j < n; j++)
            hn_grid_cell(grid, "%s", string_at(json_array_get(scenarios, j), "name"));
        json_array_foreach(json_object_get(level, "weights"), i, row) {
            hn_grid_cell(grid, "%s", string_at(json_array_get(scenarios, i), "name"));
            json_array_foreach(row, j, weight) number_cell(grid, weight, "");
        }
        hn_text_add(
            out, "\nwhat the scenario of a row takes from each other one (scenario level %lld)\n",
            integer_at(level, "level"));
        hn_grid_render(grid, out);
    }
}

/* Weights that depend on the row make no table. */
static void row_san_text(hn_text *out, const hn_bundle *bundle) {
    const hn_config_model *model = &bundle->config->model;
    for (int32_t i = 0; hn_graph_named(bundle->graph, i); i++)
        if (strcmp(hn_graph_named(bundle->graph, i), "gate.san") == 0)
            hn_text_add(out,
                        "\nwhat the scenario of a row takes from each other one depends on the "
                        "%s (model.san_input); `hinet report` shows its means\n",
                        model->san_input == HN_SAN_USER ? "user" : "row");
}

hn_status hn_info(hn_report **out, const hn_bundle *bundle, hn_error *err) {
    *out = NULL;
    json_t *info = info_json(bundle);
    if (!info) return hn_no_memory(err, "a report");
    hn_text text = {0};
    model_text(&text, info);
    features_text(&text, json_object_get(info, "schema"));
    cells_text(&text, "validation", json_object_get(bundle->metrics, "validation"));
    cells_text(&text, "test", json_object_get(bundle->metrics, "test"));
    san_text(&text, info);
    row_san_text(&text, bundle);
    return hn_report_create(out, info, &text, err);
}

/* ---- Models -------------------------------------------------------------------------------- */

hn_status hn_models(hn_report **out, hn_error *err) {
    *out = NULL;
    hn_text text = {0};
    hn_grid *grid = hn_grid_create(3);
    json_t *list = json_array();
    hn_grid_cell(grid, "name");
    hn_grid_cell(grid, "model");
    hn_grid_cell(grid, "source");
    for (int32_t kind = 0; kind < HN_MODELS; kind++) {
        const hn_model_row *row = hn_model_find((hn_model_kind)kind);
        hn_grid_cell(grid, "%s", hn_model_name(row->kind));
        hn_grid_cell(grid, "%s", row->title);
        hn_grid_cell(grid, "%s", row->source);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", hn_model_name(row->kind),
                                              "title", row->title, "source", row->source));
    }
    hn_grid_render(grid, &text);
    json_t *json = json_pack("{s:o}", "models", list);
    if (json) return hn_report_create(out, json, &text, err);
    hn_text_free(&text);
    return hn_no_memory(err, "a report");
}
