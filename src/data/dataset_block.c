/* The check of a block, when it is first read: a dataset is opened without reading its
 * rows, which may be many gigabytes. */
#include <math.h>
#include <string.h>

#include "data/dataset_types.h"

static uint32_t u32_at(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* Lists of a block lie one behind the other. */
typedef struct list_state {
    const hn_dataset *dataset;
    uint32_t lists_done; /* end of the lists of the row before */
} list_state;

static bool ids_fit(const hn_dataset *dataset, const uint8_t *record) {
    const hn_schema *const schema = dataset->schema;
    const hn_place *const log = &schema->places[0];
    for (int32_t k = 0; k < log->columns; k++) {
        const int32_t c = schema->by_place[k];
        const hn_column *const column = &schema->columns[c];
        if (!hn_column_is_id(column)) continue;
        const uint32_t id = u32_at(record + dataset->record.id + (size_t)column->slot * 4);
        if (id >= schema->layout.tables[schema->layout.inputs[c].table].rows) return false;
    }
    return true;
}

static bool tables_fit(const hn_dataset *dataset, const uint8_t *record) {
    for (int32_t t = 0; t < dataset->record.tables; t++) {
        const uint32_t row = u32_at(record + dataset->record.table_row + (size_t)t * 4);
        if (row != UINT32_MAX && row >= dataset->codes->tables[t].rows) return false;
    }
    return true;
}

static bool lists_fit(list_state *limits, const hn_block *block, const uint8_t *record) {
    const hn_dataset *const dataset = limits->dataset;
    const hn_schema *const schema = dataset->schema;
    for (int32_t l = 0; l < dataset->record.lists; l++) {
        const int32_t c = schema->list_columns[l];
        const uint32_t end = u32_at(record + dataset->record.list_end + (size_t)l * 4),
                       begin = limits->lists_done;
        if (end < begin || end > block->n_list_ids) return false;
        if (end - begin > (uint32_t)schema->columns[c].feature->max_length) return false;
        const uint32_t rows = schema->layout.tables[schema->layout.inputs[c].table].rows;
        for (uint32_t i = begin; i < end; i++)
            if (block->list_ids[i] >= rows) return false;
        limits->lists_done = end;
    }
    return true;
}

static bool rest_fits(const hn_dataset *dataset, const uint8_t *record) {
    uint16_t scenario;
    float value;
    memcpy(&scenario, record + HN_RECORD_SCENARIO, sizeof scenario);
    if (scenario >= dataset->record.scenarios) return false;
    memcpy(&value, record + HN_RECORD_WEIGHT, sizeof value);
    if (!(value >= 0) || isinf(value)) return false;
    for (int32_t v = 0; v < dataset->record.values; v++) {
        memcpy(&value, record + dataset->record.value + (size_t)v * 4, sizeof value);
        if (!isfinite(value)) return false;
    }
    for (int32_t t = 0; t < dataset->record.tasks; t++) {
        const uint8_t label = record[dataset->record.label + (size_t)t];
        if (label > 1 && label != HN_LABEL_ABSENT) return false;
    }
    return true;
}

hn_status hn_block_check(const hn_dataset *dataset, uint32_t number, hn_error *err) {
    const hn_block *const block = &dataset->blocks[number];
    const size_t record_bytes = (size_t)block->rows * dataset->record.bytes;
    bool fits = hn_block_checksum(block->records, record_bytes, block->list_ids,
                                  block->n_list_ids * 4) == block->checksum;
    list_state limits = {.dataset = dataset};
    for (uint32_t r = 0; fits && r < block->rows; r++) {
        const uint8_t *const record = block->records + (size_t)r * dataset->record.bytes;
        fits = ids_fit(dataset, record) && tables_fit(dataset, record) &&
               lists_fit(&limits, block, record) && rest_fits(dataset, record);
    }
    if (fits) return HN_OK;
    return hn_fail(err, HN_BAD_DATA,
                   "%s: block %u of its rows is damaged; remove the file to prepare it again",
                   hn_pack_path(dataset->pack), number);
}
