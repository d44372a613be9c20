/* hn_simulate: a whole platform in a folder. users.csv, items.csv, the log, config.yaml,
 * and truth.json with what only a simulation knows: the Bayes-optimal AUC of every cell
 * on the test days and how the scenarios are related. */
#include "simulate/simulate.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

static const int64_t rows_min = 1000, rows_max = 10000000000;
/* Impressions a user and an item see, while neither limit is reached. */
static const int64_t rows_a_user = 300, rows_an_item = 500;
static const int64_t users_max = 50000000, items_max = 2000000, least_entities = 100;
/* A multiple of a piece's rows (log.c), near 50 million. */
static const int64_t rows_a_file = 20480 * INT64_C(2440);

static int64_t entities(int64_t rows, int64_t rows_each, int64_t most) {
    const int64_t n = rows / rows_each;
    return n < least_entities ? least_entities : n > most ? most : n;
}

hn_status hn_sim_truth_of_rows(hn_truth **out, int64_t rows, uint64_t seed, hn_error *err) {
    return hn_truth_create(out, seed, entities(rows, rows_a_user, users_max),
                           entities(rows, rows_an_item, items_max), err);
}

/* ---- The report ------------------------------------------------------------------------ */

static json_t *real_or_null(double number) {
    return isfinite(number) ? json_real(number) : json_null();
}

/* The mean over the cells that have both classes. */
static double mean_auc(const hn_bayes_cell *cells) {
    double sum = 0;
    int n = 0;
    for (int c = 0; c < HN_SIM_CELLS; c++)
        if (isfinite(cells[c].auc)) sum += cells[c].auc, n++;
    return n > 0 ? sum / n : NAN;
}

static json_t *cells_json(const hn_sim_log *log, const hn_bayes_cell *cells) {
    json_t *const all = json_array();
    for (int c = 0; c < HN_SIM_CELLS; c++) {
        const int i = c / HN_SIM_TASKS, t = c % HN_SIM_TASKS;
        json_array_append_new(all, json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:I}", "scenario",
                                             hn_sim_scenarios[i].name, "task", hn_sim_tasks[t],
                                             "bayes_auc", real_or_null(cells[c].auc), "test_rows",
                                             (json_int_t)cells[c].rows, "test_positives",
                                             (json_int_t)cells[c].positives, "rows",
                                             (json_int_t)log->scenario_rows[i], "positives",
                                             (json_int_t)log->cell_positives[c]));
    }
    return all;
}

static json_t *relatedness_json(int32_t task) {
    json_t *const matrix = json_array();
    for (int32_t i = 0; i < HN_SIM_SCENARIOS; i++) {
        json_t *const row = json_array();
        for (int32_t j = 0; j < HN_SIM_SCENARIOS; j++)
            json_array_append_new(row, json_real(hn_sim_relatedness(task, i, j)));
        json_array_append_new(matrix, row);
    }
    return matrix;
}

static json_t *scenario_names(void) {
    json_t *const names = json_array();
    for (int32_t i = 0; i < HN_SIM_SCENARIOS; i++)
        json_array_append_new(names, json_string(hn_sim_scenarios[i].name));
    return names;
}

static json_t *truth_json(const hn_sim_log *log, const hn_bayes_cell *cells) {
    const hn_truth *const truth = log->truth;
    return json_pack("{s:I, s:s, s:I, s:I, s:I, s:o, s:o, s:{s:o}, s:{s:o, s:o}}", "rows",
                     (json_int_t)log->rows, "seed", "", "users", (json_int_t)hn_truth_users(truth),
                     "items", (json_int_t)hn_truth_items(truth), "shops",
                     (json_int_t)hn_truth_shops(truth), "scenarios", scenario_names(), "cells",
                     cells_json(log, cells), "mean", "bayes_auc", real_or_null(mean_auc(cells)),
                     "relatedness", "click", relatedness_json(0), "order_given_click",
                     relatedness_json(1));
}

/* A seed is 64 bits without a sign, JSON's integers have one: it is written as text.
 * NULL without memory, which hn_report_create reports. */
static json_t *finished_json(const hn_sim_log *log, const hn_bayes_cell *cells) {
    hn_text seed = {0};
    hn_text_add(&seed, "%" PRIu64, hn_truth_seed(log->truth));
    json_t *const json = seed.text ? truth_json(log, cells) : NULL;
    if (json) json_object_set_new(json, "seed", json_string(seed.text));
    hn_text_free(&seed);
    return json;
}

static void add_auc(hn_grid *grid, double auc) {
    if (isfinite(auc))
        hn_grid_cell(grid, "%.4f", auc);
    else
        hn_grid_cell(grid, "-");
}

static void add_cells(hn_text *text, const hn_sim_log *log, const hn_bayes_cell *cells) {
    hn_grid *const grid = hn_grid_create(7);
    const char *const head[] = {"scenario",  "task",           "rows",     "rate",
                                "test rows", "test positives", "Bayes AUC"};
    for (size_t h = 0; h < sizeof head / sizeof *head; h++) hn_grid_cell(grid, "%s", head[h]);
    for (int c = 0; c < HN_SIM_CELLS; c++) {
        const int i = c / HN_SIM_TASKS;
        const double rows = (double)log->scenario_rows[i];
        hn_grid_cell(grid, "%s", hn_sim_scenarios[i].name);
        hn_grid_cell(grid, "%s", hn_sim_tasks[c % HN_SIM_TASKS]);
        hn_grid_cell(grid, "%" PRIu64, log->scenario_rows[i]);
        hn_grid_cell(grid, "%.4f", rows > 0 ? (double)log->cell_positives[c] / rows : 0);
        hn_grid_cell(grid, "%" PRIu64, cells[c].rows);
        hn_grid_cell(grid, "%" PRIu64, cells[c].positives);
        add_auc(grid, cells[c].auc);
    }
    hn_grid_render(grid, text);
}

static void add_relatedness(hn_text *text) {
    hn_grid *const grid = hn_grid_create(1 + HN_SIM_SCENARIOS);
    hn_grid_cell(grid, "click");
    for (int32_t i = 0; i < HN_SIM_SCENARIOS; i++)
        hn_grid_cell(grid, "%s", hn_sim_scenarios[i].name);
    for (int32_t i = 0; i < HN_SIM_SCENARIOS; i++) {
        hn_grid_cell(grid, "%s", hn_sim_scenarios[i].name);
        for (int32_t j = 0; j < HN_SIM_SCENARIOS; j++)
            hn_grid_cell(grid, "%.2f", hn_sim_relatedness(0, i, j));
    }
    hn_grid_render(grid, text);
}

static void describe(hn_text *text, const hn_sim_log *log, const hn_bayes_cell *cells) {
    const hn_truth *const truth = log->truth;
    hn_text_add(text,
                "%" PRId64 " impressions of %" PRId64 " items of %" PRId64 " shops to %" PRId64
                " users, seed %" PRIu64 ".\n\n",
                log->rows, hn_truth_items(truth), hn_truth_shops(truth), hn_truth_users(truth),
                hn_truth_seed(truth));
    add_cells(text, log, cells);
    hn_text_add(text,
                "Mean Bayes-optimal AUC of the cells on the test days: %.4f (the true "
                "probabilities' own; no model can expect more).\n\n",
                mean_auc(cells));
    hn_text_add(text,
                "How the scenarios are related (correlation of the true log-odds of a click):\n\n");
    add_relatedness(text);
    hn_text_add(text, "\nFiles are in %s; next: hinet train %s/config.yaml\n", log->dir, log->dir);
}

static hn_status save_truth(const char *dir, const hn_report *report, hn_error *err) {
    hn_writer *writer;
    char *const path = hn_path_join(dir, "truth.json");
    if (!path) return hn_no_memory(err, "a path");
    const hn_status status = hn_writer_open(&writer, path, err);
    hn_free(path);
    if (status != HN_OK) return status;
    hn_writer_write(writer, hn_report_json(report), strlen(hn_report_json(report)));
    hn_writer_write(writer, "\n", 1);
    return hn_writer_commit(writer, err);
}

/* ---- The command -------------------------------------------------------------------------- */

static hn_status finish_report(hn_report **out, const hn_sim_log *log, hn_bayes *bayes,
                               hn_error *err) {
    hn_bayes_cell cells[HN_BAYES_CELLS_MAX];
    hn_text text = {0};
    HN_TRY(hn_bayes_finish(cells, bayes, err));
    describe(&text, log, cells);
    HN_TRY(hn_report_create(out, finished_json(log, cells), &text, err));
    const hn_status status = save_truth(log->dir, *out, err);
    if (status == HN_OK) return HN_OK;
    hn_report_free(*out);
    *out = NULL;
    return status;
}

static hn_status write_platform(hn_report **out, hn_sim_log *log, hn_bayes *bayes, hn_pool *pool,
                                const hn_run *run, hn_error *err) {
    HN_TRY(hn_dir_make(log->dir, err));
    HN_TRY(hn_sim_tables_write(log->dir, log->truth, run, err));
    HN_TRY(hn_sim_log_write(log, bayes, pool, run, err));
    HN_TRY(hn_sim_config_write(log, err));
    return finish_report(out, log, bayes, err);
}

static hn_status check_rows(int64_t rows, hn_error *err) {
    if (rows >= rows_min && rows <= rows_max) return HN_OK;
    return hn_fail(err, HN_USAGE,
                   "simulate: found %" PRId64 " rows; expected %" PRId64 " to %" PRId64, rows,
                   rows_min, rows_max);
}

hn_status hn_simulate(hn_report **out, const hn_simulate_options *options, const hn_run *run,
                      hn_error *err) {
    *out = NULL;
    HN_TRY(check_rows(options->rows, err));
    const char *const dir = run && run->out_dir ? run->out_dir : ".";
    const int64_t memory = run && run->memory_bytes > 0 ? run->memory_bytes : hn_memory_machine();
    hn_sim_log log = {.rows = options->rows, .rows_a_file = rows_a_file, .dir = dir};
    hn_truth *truth = NULL;
    hn_pool *pool = NULL;
    hn_bayes *bayes = NULL;
    hn_status status;
    HN_TRY_GOTO(status, end, hn_dir_make(dir, err));
    HN_TRY_GOTO(status, end, hn_pool_create(&pool, run ? run->threads : 0, err));
    HN_TRY_GOTO(status, end, hn_sim_truth_of_rows(&truth, options->rows, options->seed, err));
    log.truth = truth;
    HN_TRY_GOTO(status, end, hn_bayes_create(&bayes, memory / 8, dir, err));
    status = write_platform(out, &log, bayes, pool, run, err);
end:
    hn_bayes_free(bayes);
    hn_truth_free(truth);
    hn_pool_free(pool);
    return status;
}
