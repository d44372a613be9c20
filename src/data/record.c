/* Packing encoded rows into the records of a dataset. */
#include "data/record.h"

#include <string.h>
#include <xxhash.h>

#include "base/memory.h"

hn_record hn_record_of(const hn_schema *schema) {
    const hn_place *const log = &schema->places[0];
    hn_record record = {.tables = schema->config->n_tables,
                        .lists = log->lists,
                        .ids = log->ids,
                        .values = log->values,
                        .tasks = schema->layout.tasks,
                        .scenarios = schema->layout.scenarios};
    record.table_row = HN_RECORD_FIXED;
    record.list_end = record.table_row + (size_t)record.tables * 4;
    record.id = record.list_end + (size_t)record.lists * 4;
    record.value = record.id + (size_t)record.ids * 4;
    record.label = record.value + (size_t)record.values * 4;
    record.bytes = (record.label + (size_t)record.tasks + 7) / 8 * 8;
    return record;
}

static void fill_record(uint8_t *to, const hn_record *record, const hn_rows *rows, size_t i,
                        const hn_impressions *block, uint32_t from) {
    const size_t lists = (size_t)record->lists, ids = (size_t)record->ids,
                 values = (size_t)record->values;
    memset(to + HN_RECORD_SCENARIO + 2, 0, 2);
    memset(to + record->label, 0, record->bytes - record->label);
    memcpy(to + HN_RECORD_ORDINAL, &rows->ordinal[i], 8);
    memcpy(to + HN_RECORD_USER, &rows->user[i], 8);
    memcpy(to + HN_RECORD_WEIGHT, &rows->weights[i], 4);
    memcpy(to + HN_RECORD_SCENARIO, &rows->scenario[i], 2);
    if (record->tables > 0)
        memcpy(to + record->table_row, block->table_rows + (size_t)from * (size_t)record->tables,
               (size_t)record->tables * 4);
    if (lists > 0) memcpy(to + record->list_end, rows->list_begin + i * lists + 1, lists * 4);
    if (ids > 0) memcpy(to + record->id, rows->ids + i * ids, ids * 4);
    if (values > 0) memcpy(to + record->value, rows->values + i * values, values * 4);
    memcpy(to + record->label, rows->labels + i * (size_t)record->tasks, (size_t)record->tasks);
}

hn_status hn_packed_fill(hn_packed *out, const hn_record *record, const hn_rows *rows,
                         const hn_impressions *block, const uint32_t *from, hn_error *err) {
    const size_t n = (size_t)rows->rows, lists = (size_t)record->lists;
    out->rows = 0;
    out->n_list_ids = rows->list_begin[n * lists];
    HN_TRY(hn_grow(&out->records, &out->records_capacity, n * record->bytes, 1, err));
    HN_TRY(
        hn_grow(&out->list_ids, &out->list_capacity, out->n_list_ids, sizeof *out->list_ids, err));
    for (size_t i = 0; i < n; i++)
        fill_record(out->records + i * record->bytes, record, rows, i, block, from[i]);
    if (out->n_list_ids > 0)
        memcpy(out->list_ids, rows->list_ids, out->n_list_ids * sizeof *out->list_ids);
    out->rows = n;
    return HN_OK;
}

void hn_packed_free(hn_packed *packed) {
    hn_free(packed->records);
    hn_free(packed->list_ids);
    memset(packed, 0, sizeof *packed);
}

uint64_t hn_block_checksum(const uint8_t *records, size_t n_record_bytes, const uint32_t *list_ids,
                           size_t n_list_bytes) {
    return XXH3_64bits_withSeed(list_ids, n_list_bytes, XXH3_64bits(records, n_record_bytes));
}
