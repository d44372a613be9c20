/* hn_check: the data card of a config as a report. What is in the card is counted in
 * card.c; here it becomes tables. */
#include <string.h>

#include "base/report.h"
#include "data/dataset.h"

static long long whole(const json_t *object, const char *key) {
    return (long long)json_integer_value(json_object_get(object, key));
}

static const char *words(const json_t *object, const char *key) {
    const char *const text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

static void share_cell(hn_grid *grid, const json_t *value) {
    if (json_is_number(value))
        hn_grid_cell(grid, "%.2f%%", 100 * json_number_value(value));
    else
        hn_grid_cell(grid, "%s", "-");
}

static void head(hn_grid *grid, const char *const *titles, size_t n) {
    for (size_t i = 0; i < n; i++) hn_grid_cell(grid, "%s", titles[i]);
}

/* ---- The log ----------------------------------------------------------------------------- */

static void log_text(hn_text *out, const json_t *log) {
    const json_t *const examples = json_object_get(log, "bad_examples");
    size_t i;
    const json_t *example;
    hn_text_add(
        out, "log: %lld rows, %lld bad, %lld filtered, %lld of other scenarios, %lld duplicates\n",
        whole(log, "rows"), whole(log, "bad"), whole(log, "filtered"), whole(log, "other_scenario"),
        whole(log, "duplicates"));
    json_array_foreach(examples, i, example)
        hn_text_add(out, "  bad: %s\n", json_string_value(example));
    if (whole(log, "bad") > (long long)json_array_size(examples))
        hn_text_add(out, "  and %lld more bad rows\n",
                    whole(log, "bad") - (long long)json_array_size(examples));
}

/* ---- Features ---------------------------------------------------------------------------- */

/* A column, or the columns of a rate's key. */
static void column_cell(hn_grid *grid, const json_t *column) {
    hn_text text = {0};
    size_t i;
    const json_t *key;
    if (json_is_string(column)) hn_text_add(&text, "%s", json_string_value(column));
    json_array_foreach(column, i, key)
        hn_text_add(&text, "%s%s", i > 0 ? " × " : "", json_string_value(key));
    hn_grid_cell(grid, "%s", text.text ? text.text : "-");
    hn_text_free(&text);
}

static void feature_cells(hn_grid *grid, const json_t *feature) {
    const json_t *const cardinality = json_object_get(feature, "cardinality");
    const json_t *const missing = json_object_get(feature, "missing"), *const unseen =
                                                                           json_object_get(
                                                                               feature, "unseen");
    hn_grid_cell(grid, "%s", words(feature, "name"));
    hn_grid_cell(grid, "%s", words(feature, "kind"));
    column_cell(grid, json_object_get(feature, "column"));
    hn_grid_cell(grid, "%s", words(feature, "side"));
    if (json_is_integer(cardinality))
        hn_grid_cell(grid, "%lld", (long long)json_integer_value(cardinality));
    else
        hn_grid_cell(grid, "%s", "-");
    hn_grid_cell(grid, "%lld", whole(feature, "width"));
    share_cell(grid, json_object_get(missing, "train"));
    share_cell(grid, json_object_get(missing, "test"));
    share_cell(grid, json_object_get(unseen, "validation"));
    share_cell(grid, json_object_get(unseen, "test"));
}

static void features_text(hn_text *out, const json_t *features) {
    static const char *const titles[] = {"feature", "kind",    "column",
                                         "side",    "values",  "width",
                                         "missing", "in test", "unseen in validation",
                                         "in test"};
    hn_grid *const grid = hn_grid_create(10);
    size_t i;
    const json_t *feature;
    head(grid, titles, 10);
    json_array_foreach(features, i, feature) feature_cells(grid, feature);
    hn_text_add(out, "\n");
    hn_grid_render(grid, out);
}

/* ---- Cells ------------------------------------------------------------------------------- */

static void cells_text(hn_text *out, const json_t *cells) {
    static const char *const titles[] = {"split",    "scenario",  "task", "rows",
                                         "labelled", "positives", "rate"};
    hn_grid *const grid = hn_grid_create(7);
    size_t i;
    const json_t *cell;
    head(grid, titles, 7);
    json_array_foreach(cells, i, cell) {
        hn_grid_cell(grid, "%s", words(cell, "split"));
        hn_grid_cell(grid, "%s", words(cell, "scenario"));
        hn_grid_cell(grid, "%s", words(cell, "task"));
        hn_grid_cell(grid, "%lld", whole(cell, "rows"));
        hn_grid_cell(grid, "%lld", whole(cell, "labelled"));
        hn_grid_cell(grid, "%lld", whole(cell, "positives"));
        share_cell(grid, json_object_get(cell, "rate"));
    }
    hn_text_add(out, "\n");
    hn_grid_render(grid, out);
}

/* Says nothing of labels that are in order. */
static void order_text(hn_text *out, const json_t *order) {
    size_t i;
    const json_t *row;
    json_array_foreach(order, i, row) {
        const char *const task = words(row, "task"), *const after = words(row, "after");
        if (whole(row, "without") > 0)
            hn_text_add(out,
                        "\n%s comes after %s, but %lld rows have it without: look at the labels\n",
                        task, after, whole(row, "without"));
        if (whole(row, "unlabelled") > 0)
            hn_text_add(
                out,
                "\n%s comes after %s, but its label is empty in %lld rows without %s: it must "
                "be 0 there, or %s is learned of chosen rows only\n",
                task, after, whole(row, "unlabelled"), after, task);
    }
}

hn_status hn_check(hn_report **out, const hn_config *config, const hn_run *run, hn_error *err) {
    *out = NULL;
    const hn_run defaults = hn_run_default();
    hn_pool *pool = NULL;
    json_t *card = NULL;
    if (!run) run = &defaults;
    HN_TRY(hn_pool_create(&pool, run->threads, err));
    const hn_status status = hn_data_check(&card, config, pool, run, err);
    hn_pool_free(pool);
    if (status != HN_OK) return status;
    hn_text text = {0};
    log_text(&text, json_object_get(card, "log"));
    features_text(&text, json_object_get(card, "features"));
    cells_text(&text, json_object_get(card, "cells"));
    order_text(&text, json_object_get(card, "order"));
    return hn_report_create(out, card, &text, err);
}
