/* The order of inputs in x (by side, else as in the config), their slots (those made of one
 * table's rows next to each other, so that they are copied at once) and the layout. */
#include <string.h>

#include "base/memory.h"
#include "data/schema_types.h"

/* Stable: insertion sort of a few dozen columns. */
static void sort_by_side(hn_column *columns, int32_t n) {
    for (int32_t i = 1; i < n; i++) {
        const hn_column moved = columns[i];
        int32_t j = i;
        for (; j > 0 && columns[j - 1].side > moved.side; j--) columns[j] = columns[j - 1];
        columns[j] = moved;
    }
}

static void number_place(hn_schema *schema, int32_t p) {
    hn_place *const place = &schema->places[p];
    for (int32_t c = 0; c < schema->n_columns; c++) {
        hn_column *const column = &schema->columns[c];
        if (column->place != p) continue;
        schema->by_place[place->first_column + place->columns++] = c;
        if (hn_column_is_id(column)) {
            column->slot = place->ids++;
        } else if (hn_column_is_value(column)) {
            column->slot = place->values++;
        } else {
            schema->list_columns[place->first_list + place->lists] = c;
            column->slot = place->lists++;
        }
    }
}

static void number_slots(hn_schema *schema) {
    hn_place *const places = schema->places;
    const int32_t n = 1 + schema->config->n_tables;
    for (int32_t p = 0; p < n; p++) {
        if (p > 0)
            places[p] =
                (hn_place){.first_id = places[p - 1].first_id + places[p - 1].ids,
                           .first_list = places[p - 1].first_list + places[p - 1].lists,
                           .first_value = places[p - 1].first_value + places[p - 1].values,
                           .first_column = places[p - 1].first_column + places[p - 1].columns};
        number_place(schema, p);
    }
    hn_layout *const layout = &schema->layout;
    layout->ids = places[n - 1].first_id + places[n - 1].ids;
    layout->lists = places[n - 1].first_list + places[n - 1].lists;
    layout->values = places[n - 1].first_value + places[n - 1].values;
}

/* The embedding table of a column, made at its first use. */
static hn_status embedding_of(int32_t *out, int32_t *width, hn_schema *schema,
                              const hn_column *column, hn_error *err) {
    hn_layout *const layout = &schema->layout;
    hn_root *const root = column->root >= 0 ? &schema->roots[column->root] : NULL;
    const hn_config_feature *const feature = root ? root->feature : column->feature;
    *width = feature->width;
    if (root && root->embedding >= 0) {
        *out = root->embedding;
        return HN_OK;
    }
    *out = layout->n_tables;
    hn_embedding *const table = &layout->tables[layout->n_tables++];
    table->name = hn_strdup(root ? feature->name : column->name);
    table->width = feature->width;
    if (root) root->embedding = *out;
    return table->name ? HN_OK : hn_no_memory(err, "a layout");
}

static hn_status add_input(hn_schema *schema, const hn_column *column, hn_error *err) {
    hn_layout *const layout = &schema->layout;
    const hn_place *const place = &schema->places[column->place];
    hn_input *const input = &layout->inputs[layout->n_inputs++];
    *input = (hn_input){.name = hn_strdup(column->name),
                        .side = column->side,
                        .table = -1,
                        .width = 1,
                        .column = layout->width,
                        .pooling = column->feature->pooling,
                        .kind = HN_INPUT_VALUE,
                        .slot = place->first_value + column->slot};
    if (!input->name) return hn_no_memory(err, "a layout");
    if (!hn_column_is_value(column)) {
        const bool list = column->kind == HN_COLUMN_LIST;
        input->kind = list ? HN_INPUT_LIST : HN_INPUT_ID;
        input->slot = (list ? place->first_list : place->first_id) + column->slot;
        HN_TRY(embedding_of(&input->table, &input->width, schema, column, err));
    }
    if (input->width < 1 || input->width > INT32_MAX - layout->width)
        return hn_fail(err, HN_BAD_CONFIG,
                       "features.%s.width: expected at least 1 and less than 2^31 in all, "
                       "found %d",
                       column->feature->name, input->width);
    layout->width += input->width;
    if (input->side != HN_SIDE_ITEM) layout->shared_width = layout->width;
    return HN_OK;
}

hn_status hn_schema_arrange(hn_schema *schema, hn_error *err) {
    const size_t n = (size_t)schema->n_columns;
    hn_layout *const layout = &schema->layout;
    sort_by_side(schema->columns, schema->n_columns);
    schema->by_place = hn_arena_alloc(&schema->arena, n, sizeof *schema->by_place);
    schema->list_columns = hn_arena_alloc(&schema->arena, n, sizeof *schema->list_columns);
    layout->inputs = hn_alloc_zero(n, sizeof *layout->inputs);
    layout->tables = hn_alloc_zero(n, sizeof *layout->tables);
    if (!schema->by_place || !schema->list_columns || !layout->inputs || !layout->tables)
        return hn_no_memory(err, "a layout");
    number_slots(schema);
    layout->scenarios = schema->config->scenario.names.n > 0 ? schema->config->scenario.names.n : 1;
    layout->tasks = schema->config->n_tasks;
    for (int32_t c = 0; c < schema->n_columns; c++)
        HN_TRY(add_input(schema, &schema->columns[c], err));
    return HN_OK;
}

static uint32_t rows_of_root(const hn_root *root) {
    switch (root->kind) {
    case HN_ROOT_VOCABULARY: return HN_ID_FIRST + root->vocabulary.size;
    case HN_ROOT_HASH: return HN_ID_FIRST + (uint32_t)root->feature->hash;
    case HN_ROOT_INTEGER: return HN_ID_FIRST + (uint32_t)root->feature->integer;
    }
    return HN_ID_FIRST;
}

void hn_schema_complete(hn_schema *schema) {
    for (int32_t c = 0; c < schema->n_columns; c++) {
        const hn_column *const column = &schema->columns[c];
        const int32_t table = schema->layout.inputs[c].table;
        if (table < 0) continue;
        schema->layout.tables[table].rows = column->root >= 0
                                                ? rows_of_root(&schema->roots[column->root])
                                                : HN_ID_FIRST + 1 + (uint32_t)column->scale.n_cuts;
    }
}
