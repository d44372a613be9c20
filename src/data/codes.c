/* Encoding every row of the side tables once, and keeping the result in a pack. */
#include "data/codes.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "data/budget.h"

static void *writable(const void *array) { return (void *)(uintptr_t)array; }

void hn_codes_free(hn_codes *codes) {
    if (!codes) return;
    for (int32_t t = 0; t < codes->n && codes->owned; t++) {
        const hn_table_codes *const table = &codes->tables[t];
        hn_free(writable(table->id));
        hn_free(writable(table->value));
        hn_free(writable(table->list_begin));
        hn_free(writable(table->list_ids));
    }
    hn_free(codes->tables);
    hn_free(codes);
}

static hn_status create(hn_codes **out, const hn_schema *schema, bool owned, hn_error *err) {
    const int32_t n = schema->config->n_tables;
    hn_codes *const codes = hn_alloc_zero(1, sizeof *codes);
    if (!codes) return hn_no_memory(err, "encoded tables");
    *out = codes;
    codes->owned = owned;
    codes->tables = hn_alloc_zero((size_t)n, sizeof *codes->tables);
    if (!codes->tables) return hn_no_memory(err, "encoded tables");
    codes->n = n;
    for (int32_t t = 0; t < n; t++) {
        const hn_place *const place = &schema->places[1 + t];
        codes->tables[t].ids = place->ids;
        codes->tables[t].values = place->values;
        codes->tables[t].lists = place->lists;
    }
    return HN_OK;
}

/* ---- Making ---------------------------------------------------------------------- */

typedef struct maker { /* of one table's codes */
    const hn_schema *schema;
    const hn_side_table *table;
    int32_t place;
    hn_table_codes *codes;
    const hn_slot *absent;
} maker;

static void encode_rows_job(void *user, int64_t item, int32_t worker) {
    (void)worker;
    const maker *const m = user;
    const uint32_t begin = (uint32_t)item * HN_ENCODE_CHUNK;
    const uint32_t left = m->codes->rows - begin;
    const int32_t n = left < HN_ENCODE_CHUNK ? (int32_t)left : HN_ENCODE_CHUNK;
    const size_t ids = (size_t)m->codes->ids, values = (size_t)m->codes->values;
    uint32_t rows[HN_ENCODE_CHUNK];
    for (int32_t i = 0; i < n; i++) rows[i] = begin + (uint32_t)i;
    const hn_slot_rows from = {m->table->slot, (size_t)m->table->slots, m->table->lists};
    hn_encode_place((uint32_t *)writable(m->codes->id) + begin * ids, ids,
                    (float *)writable(m->codes->value) + begin * values, values, m->schema,
                    m->place, &from, rows, n, NULL);
}

static void encode_absent_row(const maker *m) {
    const hn_slot_rows from = {m->absent, (size_t)m->table->slots, NULL};
    const uint32_t row = 0;
    const size_t at = m->codes->rows;
    hn_encode_place((uint32_t *)writable(m->codes->id) + at * (size_t)m->codes->ids, 0,
                    (float *)writable(m->codes->value) + at * (size_t)m->codes->values, 0,
                    m->schema, m->place, &from, &row, 1, NULL);
}

static const hn_slot *list_slot(const maker *m, const hn_column *column, uint32_t row) {
    const hn_slot *const slots =
        row == m->codes->rows ? m->absent : m->table->slot + (size_t)row * (size_t)m->table->slots;
    return slots + column->from.slot;
}

static const hn_column *list_column(const maker *m, int32_t l) {
    const hn_schema *const schema = m->schema;
    return &schema->columns[schema->list_columns[schema->places[m->place].first_list + l]];
}

static hn_status make_lists(const maker *m, const hn_run *run, hn_error *err) {
    hn_table_codes *const codes = m->codes;
    const size_t rows = (size_t)codes->rows + 1, lists = (size_t)codes->lists;
    uint32_t *const begin = hn_alloc_zero(rows * lists + 1, sizeof *begin);
    codes->list_begin = begin;
    if (!begin) return hn_no_memory(err, "encoded lists");
    uint64_t total = 0;
    for (size_t i = 0; i < rows * lists; i++) {
        const hn_column *const column = list_column(m, (int32_t)(i % lists));
        total += hn_encode_list_length(column, list_slot(m, column, (uint32_t)(i / lists)));
        if (total > UINT32_MAX)
            return hn_fail(err, HN_BAD_DATA,
                           "the lists of table \"%s\" have more than %u values; set max_length",
                           m->table->name, UINT32_MAX);
        begin[i + 1] = (uint32_t)total;
    }
    HN_TRY(hn_budget_need(run, total * sizeof(uint32_t), "the encoded lists of a table", err));
    uint32_t *const ids = hn_alloc(total, sizeof *ids);
    codes->list_ids = ids;
    if (!ids) return hn_no_memory(err, "encoded lists");
    for (size_t i = 0; i < rows * lists; i++) {
        const hn_column *const column = list_column(m, (int32_t)(i % lists));
        hn_encode_list(ids + begin[i], m->schema, column,
                       list_slot(m, column, (uint32_t)(i / lists)), m->table->lists);
    }
    return HN_OK;
}

static hn_status make_table(maker *m, hn_pool *pool, const hn_run *run, hn_error *err) {
    hn_table_codes *const codes = m->codes;
    const size_t rows = (size_t)m->table->rows + 1;
    const size_t ids = (size_t)codes->ids, values = (size_t)codes->values;
    HN_TRY(hn_budget_need(run, rows * (ids + values + (size_t)codes->lists) * 4, "an encoded table",
                          err));
    codes->rows = m->table->rows;
    codes->id = hn_alloc_zero(rows, ids * sizeof *codes->id);
    codes->value = hn_alloc_zero(rows, values * sizeof *codes->value);
    if (!codes->id || !codes->value) return hn_no_memory(err, "an encoded table");
    hn_pool_run(pool, ((int64_t)codes->rows + HN_ENCODE_CHUNK - 1) / HN_ENCODE_CHUNK,
                encode_rows_job, m);
    encode_absent_row(m);
    return make_lists(m, run, err);
}

static hn_status make_all(hn_codes *codes, const hn_schema *schema, const hn_side_tables *tables,
                          hn_pool *pool, const hn_run *run, hn_error *err) {
    for (int32_t t = 0; t < codes->n; t++) {
        hn_slot *const absent =
            hn_alloc_zero((size_t)schema->sources.table_slots[t], sizeof *absent);
        if (!absent) return hn_no_memory(err, "encoded tables");
        hn_encode_absent(absent, schema, 1 + t);
        maker m = {schema, &tables->items[t], 1 + t, &codes->tables[t], absent};
        const hn_status status = make_table(&m, pool, run, err);
        hn_free(absent);
        if (status != HN_OK) return status;
    }
    return HN_OK;
}

hn_status hn_codes_make(hn_codes **out, const hn_schema *schema, const hn_side_tables *tables,
                        hn_pool *pool, const hn_run *run, hn_error *err) {
    *out = NULL;
    hn_status status = create(out, schema, true, err);
    if (status == HN_OK && *out) status = make_all(*out, schema, tables, pool, run, err);
    if (status != HN_OK) {
        hn_codes_free(*out);
        *out = NULL;
    }
    return status;
}

hn_status hn_schema_bind(hn_schema *schema, const hn_side_tables *tables, hn_pool *pool,
                         const hn_run *run, hn_error *err) {
    hn_codes_free(schema->codes);
    schema->codes = NULL, schema->bound = NULL;
    if (!tables) return HN_OK;
    HN_TRY(hn_codes_make(&schema->codes, schema, tables, pool, run, err));
    schema->bound = tables;
    return HN_OK;
}

/* ---- In a pack ----------------------------------------------------------------------------- */

enum { NAME_MAX_BYTES = 300 };

static const char *section_name(char *out, const hn_schema *schema, int32_t t, const char *array) {
    snprintf(out, NAME_MAX_BYTES, "codes/%s/%s", schema->config->tables[t].name, array);
    return out;
}

void hn_codes_save(const hn_codes *codes, const hn_schema *schema, hn_packer *packer) {
    char name[NAME_MAX_BYTES];
    for (int32_t t = 0; t < codes->n; t++) {
        const hn_table_codes *const table = &codes->tables[t];
        const uint64_t rows = (uint64_t)table->rows + 1;
        const uint64_t id[] = {rows, (uint64_t)table->ids},
                       value[] = {rows, (uint64_t)table->values};
        const uint64_t begin = rows * (uint64_t)table->lists + 1,
                       ids = table->list_begin[begin - 1];
        hn_packer_add(packer, section_name(name, schema, t, "id"), HN_PACK_U32, 2, id, table->id);
        hn_packer_add(packer, section_name(name, schema, t, "value"), HN_PACK_F32, 2, value,
                      table->value);
        hn_packer_add(packer, section_name(name, schema, t, "list_begin"), HN_PACK_U32, 1, &begin,
                      table->list_begin);
        hn_packer_add(packer, section_name(name, schema, t, "list_ids"), HN_PACK_U32, 1, &ids,
                      table->list_ids);
    }
}

static hn_status find(const hn_section **out, hn_pack *pack, const hn_schema *schema, int32_t t,
                      const char *array, hn_pack_type type, hn_error *err) {
    char name[NAME_MAX_BYTES];
    return hn_pack_find(out, pack, section_name(name, schema, t, array), type, err);
}

static hn_status damaged(const hn_pack *pack, const hn_schema *schema, int32_t t, hn_error *err) {
    return hn_fail(err, HN_BAD_DATA,
                   "%s: the encoded rows of table \"%s\" do not fit the schema; "
                   "prepare the dataset again",
                   hn_pack_path(pack), schema->config->tables[t].name);
}

/* The rows of the embedding table that ids of a column index. */
static uint32_t id_limit(const hn_schema *schema, int32_t c) {
    return schema->layout.tables[schema->layout.inputs[c].table].rows;
}

static bool ids_fit(const hn_table_codes *codes, const hn_schema *schema, int32_t place_index) {
    const hn_place *const place = &schema->places[place_index];
    const size_t rows = (size_t)codes->rows + 1;
    for (int32_t k = 0; k < place->columns; k++) {
        const int32_t c = schema->by_place[place->first_column + k];
        const hn_column *const column = &schema->columns[c];
        if (!hn_column_is_id(column)) continue;
        const uint32_t limit = id_limit(schema, c);
        for (size_t r = 0; r < rows; r++)
            if (codes->id[r * (size_t)codes->ids + (size_t)column->slot] >= limit) return false;
    }
    return true;
}

static bool lists_fit(const hn_table_codes *codes, const hn_schema *schema, int32_t place_index,
                      uint64_t n_ids) {
    const size_t lists = (size_t)codes->lists, n = ((size_t)codes->rows + 1) * lists;
    const int32_t first = schema->places[place_index].first_list;
    if (codes->list_begin[0] != 0 || codes->list_begin[n] != n_ids) return false;
    for (size_t i = 0; i < n; i++) {
        const uint32_t begin = codes->list_begin[i], end = codes->list_begin[i + 1];
        if (end < begin || end > n_ids) return false;
        const int32_t c = schema->list_columns[first + (int32_t)(i % lists)];
        if (end - begin > (uint32_t)schema->columns[c].feature->max_length) return false;
        const uint32_t limit = id_limit(schema, c);
        for (uint32_t j = begin; j < end; j++)
            if (codes->list_ids[j] >= limit) return false;
    }
    return true;
}

static hn_status load_table(hn_table_codes *codes, const hn_schema *schema, int32_t t,
                            hn_pack *pack, hn_error *err) {
    const hn_section *id, *value, *begin, *ids;
    HN_TRY(find(&id, pack, schema, t, "id", HN_PACK_U32, err));
    HN_TRY(find(&value, pack, schema, t, "value", HN_PACK_F32, err));
    HN_TRY(find(&begin, pack, schema, t, "list_begin", HN_PACK_U32, err));
    HN_TRY(find(&ids, pack, schema, t, "list_ids", HN_PACK_U32, err));
    const uint64_t rows = id->dim[0];
    const bool shaped = id->dims == 2 && value->dims == 2 && begin->dims == 1 && ids->dims == 1 &&
                        rows >= 1 && rows <= INT32_MAX && id->dim[1] == (uint64_t)codes->ids &&
                        value->dim[0] == rows && value->dim[1] == (uint64_t)codes->values &&
                        begin->dim[0] == rows * (uint64_t)codes->lists + 1;
    if (!shaped) return damaged(pack, schema, t, err);
    codes->rows = (uint32_t)(rows - 1);
    codes->id = id->bytes, codes->value = value->bytes;
    codes->list_begin = begin->bytes, codes->list_ids = ids->bytes;
    const bool fit = ids_fit(codes, schema, 1 + t) && lists_fit(codes, schema, 1 + t, ids->dim[0]);
    return fit ? HN_OK : damaged(pack, schema, t, err);
}

hn_status hn_codes_load(hn_codes **out, const hn_schema *schema, hn_pack *pack, hn_error *err) {
    *out = NULL;
    hn_codes *codes = NULL;
    hn_status status = create(&codes, schema, false, err);
    for (int32_t t = 0; status == HN_OK && codes && t < codes->n; t++)
        status = load_table(&codes->tables[t], schema, t, pack, err);
    if (status != HN_OK) {
        hn_codes_free(codes);
        return status;
    }
    *out = codes;
    return HN_OK;
}
