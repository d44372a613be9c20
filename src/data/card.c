/* The data card: what was read and what it became, as JSON. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "data/prepare.h"

static const char *const split_names[HN_SPLITS] = {"train", "validation", "test"};

static json_t *rate_of(uint64_t part, uint64_t whole) {
    return whole > 0 ? json_real((double)part / (double)whole) : json_null();
}

static json_t *log_json(const hn_preparation *p) {
    json_t *const examples = json_array();
    for (int32_t i = 0; i < p->log.n_examples; i++) {
        hn_utf8_mend(p->log.examples[i].text);
        json_array_append_new(examples, json_string(p->log.examples[i].text));
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "rows", (json_int_t)p->log.rows, "bad",
                     (json_int_t)p->log.bad, "filtered", (json_int_t)p->log.filtered,
                     "other_scenario", (json_int_t)p->log.other_scenario, "duplicates",
                     (json_int_t)p->duplicates, "bytes", (json_int_t)p->log.bytes, "bad_examples",
                     examples);
}

/* ---- Features -------------------------------------------------------------------- */

typedef struct cell_counts {
    uint64_t rows, missing, cells, unseen; /* cells: rows, or the values of lists */
} cell_counts;

static uint64_t rows_of_split(const hn_fit_counts *counts, int32_t split) {
    uint64_t rows = 0;
    for (int32_t m = 0; m < counts->scenarios; m++)
        rows += counts->rows[split * counts->scenarios + m];
    return rows;
}

/* A table's number is missing where its slot has none; its value alone does not tell. */
static bool number_missing(const hn_preparation *p, const hn_column *column, uint32_t row) {
    const hn_side_table *const table = &p->tables->items[column->from.table];
    if (!isnan(column->missing_number)) return false;
    if (row == table->rows) return true;
    return isnan(
        table->slot[(size_t)row * (size_t)table->slots + (size_t)column->from.slot].number);
}

/* One row of a table, which `rows` rows of the log are joined to. */
static void count_table_row(cell_counts *counts, const hn_preparation *p, const hn_column *column,
                            uint32_t row, uint64_t rows) {
    const hn_table_codes *const codes = &p->schema->codes->tables[column->from.table];
    counts->rows += rows;
    if (column->kind == HN_COLUMN_LIST) {
        const uint32_t *const begin =
            codes->list_begin + (size_t)row * (size_t)codes->lists + column->slot;
        counts->missing += begin[0] == begin[1] ? rows : 0;
        counts->cells += rows * (begin[1] - begin[0]);
        for (uint32_t i = begin[0]; i < begin[1]; i++)
            counts->unseen += codes->list_ids[i] == HN_ID_UNSEEN ? rows : 0;
        return;
    }
    counts->cells += rows;
    if (hn_column_is_value(column)) {
        counts->missing += number_missing(p, column, row) ? rows : 0;
        return;
    }
    const uint32_t id = codes->id[(size_t)row * (size_t)codes->ids + (size_t)column->slot];
    counts->missing += id == HN_ID_MISSING ? rows : 0;
    counts->unseen += id == HN_ID_UNSEEN ? rows : 0;
}

static cell_counts count_cells(const hn_preparation *p, int32_t c, int32_t split) {
    const hn_column *const column = &p->schema->columns[c];
    cell_counts counts = {0};
    if (column->place == 0) {
        const hn_encode_counts *const encoded = &p->encoded[split];
        return (cell_counts){rows_of_split(&p->counts, split), encoded->missing[c],
                             encoded->cells[c], encoded->unseen[c]};
    }
    const int32_t t = column->from.table;
    const size_t n = (size_t)p->tables->items[t].rows + 1;
    const uint64_t *const rows = p->counts.table_rows[t] + (size_t)split * n;
    for (uint32_t r = 0; r < n; r++)
        if (rows[r] > 0) count_table_row(&counts, p, column, r, rows[r]);
    return counts;
}

static json_t *feature_json(const hn_preparation *p, int32_t c) {
    json_t *const feature = hn_schema_describe_input(p->schema, c);
    json_t *const missing = json_object(), *const unseen = json_object();
    for (int32_t s = 0; s < HN_SPLITS; s++) {
        const cell_counts counts = count_cells(p, c, s);
        json_object_set_new(missing, split_names[s], rate_of(counts.missing, counts.rows));
        json_object_set_new(unseen, split_names[s], rate_of(counts.unseen, counts.cells));
    }
    json_object_set_new(feature, "missing", missing);
    json_object_set_new(feature, "unseen", unseen);
    return feature;
}

/* ---- Cells ----------------------------------------------------------------------- */

static json_t *cell_json(const hn_preparation *p, int32_t m, int32_t t, int32_t s) {
    const hn_fit_counts *const counts = &p->counts;
    const hn_config *const config = p->config;
    const size_t scenario = (size_t)s * (size_t)counts->scenarios + (size_t)m,
                 cell = scenario * (size_t)counts->tasks + (size_t)t;
    const char *const name = config->scenario.names.n > 0 ? config->scenario.names.items[m] : "all";
    return json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "scenario", name, "task", config->tasks[t].name,
        "split", split_names[s], "rows", (json_int_t)counts->rows[scenario], "labelled",
        (json_int_t)counts->labelled[cell], "positives", (json_int_t)counts->positives[cell],
        "rate", rate_of(counts->positives[cell], counts->labelled[cell]));
}

/* Whether labels keep the order of the tasks that come after others. */
static json_t *order_json(const hn_preparation *p) {
    json_t *const order = json_array();
    for (int32_t t = 0; t < p->counts.tasks; t++) {
        const hn_config_task *const task = &p->config->tasks[t];
        if (task->after)
            json_array_append_new(order, json_pack("{s:s, s:s, s:I, s:I}", "task", task->name,
                                                   "after", task->after, "without",
                                                   (json_int_t)p->counts.without[t], "unlabelled",
                                                   (json_int_t)p->counts.unlabelled[t]));
    }
    return order;
}

json_t *hn_preparation_card(const hn_preparation *p) {
    json_t *const features = json_array(), *const cells = json_array();
    for (int32_t c = 0; c < p->schema->n_columns; c++)
        json_array_append_new(features, feature_json(p, c));
    for (int32_t s = 0; s < HN_SPLITS; s++)
        for (int32_t m = 0; m < p->counts.scenarios; m++)
            for (int32_t t = 0; t < p->counts.tasks; t++)
                json_array_append_new(cells, cell_json(p, m, t, s));
    return json_pack("{s:o, s:o, s:o, s:o}", "log", log_json(p), "features", features, "cells",
                     cells, "order", order_json(p));
}
