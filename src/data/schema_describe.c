/* What is in a schema, for people and reports. */
#include <string.h>

#include "data/schema_types.h"

static const char *const side_names[] = {"user", "context", "item"};
static const char *const scaling_names[] = {"none", "log1p", "zscore", "log1p-zscore", "buckets"};

static const char *kind_name(const hn_column *column) {
    switch (column->kind) {
    case HN_COLUMN_ID: return "id";
    case HN_COLUMN_LIST: return "list";
    case HN_COLUMN_NUMBER: return "number";
    case HN_COLUMN_RATE: return "rate";
    case HN_COLUMN_COUNT: return "count";
    }
    return "";
}

/* The column as resolved: "table.column" or the log's name; of a rate its key. */
static json_t *column_json(const hn_schema *schema, const hn_column *column) {
    if (column->rate >= 0) {
        json_t *const keys = json_array();
        for (int32_t k = 0; k < column->feature->keys.n; k++)
            json_array_append_new(keys, json_string(column->feature->keys.items[k]));
        return keys;
    }
    for (size_t i = 0; i < schema->n_resolved; i++) {
        const hn_resolved *const r = &schema->resolved[i];
        if (strcmp(r->written, column->feature->column) != 0) continue;
        return r->table < 0
                   ? json_string(r->column)
                   : json_sprintf("%s.%s", schema->config->tables[r->table].name, r->column);
    }
    return json_null();
}

/* Distinct values: of a vocabulary, buckets, or keys of a rate. */
static json_t *cardinality(const hn_schema *schema, const hn_column *column) {
    if (column->rate >= 0) return json_integer((json_int_t)schema->rates[column->rate].totals.n);
    if (column->kind == HN_COLUMN_NUMBER)
        return column->scale.how == HN_SCALE_BUCKETS ? json_integer(column->scale.n_cuts + 1)
                                                     : json_null();
    const hn_root *const root = &schema->roots[column->root];
    if (root->kind == HN_ROOT_HASH) return json_integer(root->feature->hash);
    if (root->kind == HN_ROOT_INTEGER) return json_integer(root->feature->integer);
    return json_integer(root->vocabulary.size);
}

json_t *hn_schema_describe_input(const hn_schema *schema, int32_t c) {
    const hn_column *const column = &schema->columns[c];
    const hn_input *const input = &schema->layout.inputs[c];
    json_t *const out =
        json_pack("{s:s, s:s, s:s, s:o, s:s, s:o, s:i}", "name", column->name, "feature",
                  column->feature->name, "kind", kind_name(column), "column",
                  column_json(schema, column), "side", side_names[column->side], "cardinality",
                  cardinality(schema, column), "width", input->width);
    if (!out) return NULL;
    if (input->table >= 0) {
        const hn_embedding *const table = &schema->layout.tables[input->table];
        json_object_set_new(out, "table", json_string(table->name));
        json_object_set_new(out, "table_rows", json_integer(table->rows));
    }
    if (column->kind == HN_COLUMN_ID || column->kind == HN_COLUMN_LIST) return out;
    json_object_set_new(out, "scaling", json_string(scaling_names[column->scale.how]));
    if (column->scale.how == HN_SCALE_ZSCORE || column->scale.how == HN_SCALE_LOG1P_ZSCORE) {
        json_object_set_new(out, "mean", json_real(column->scale.mean));
        json_object_set_new(out, "deviation", json_real(column->scale.deviation));
    }
    if (column->kind == HN_COLUMN_RATE)
        json_object_set_new(out, "base", json_real(schema->rates[column->rate].base[column->task]));
    return out;
}

json_t *hn_schema_describe(const hn_schema *schema) {
    json_t *const inputs = json_array();
    for (int32_t c = 0; c < schema->n_columns; c++)
        json_array_append_new(inputs, hn_schema_describe_input(schema, c));
    return json_pack("{s:i, s:i, s:o}", "width", schema->layout.width, "shared_width",
                     schema->layout.shared_width, "inputs", inputs);
}
