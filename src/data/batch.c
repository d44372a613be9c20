/* Gathering a batch from the records of blocks and the codes of tables. Every row was
 * checked when its block was first read (dataset_block.c). */
#include "data/batch.h"

#include <string.h>

#include "base/memory.h"

/* ---- Memory ---------------------------------------------------------------------- */

/* The longest that the lists of one row can be together: those of the log as the config
 * says, those of a table as they are. */
static uint64_t most_list_ids(const hn_dataset *dataset) {
    const hn_schema *const schema = dataset->schema;
    uint64_t most = 0;
    for (int32_t l = 0; l < schema->places[0].lists; l++)
        most += (uint64_t)schema->columns[schema->list_columns[l]].feature->max_length;
    for (int32_t t = 0; t < dataset->codes->n; t++) {
        const hn_table_codes *const codes = &dataset->codes->tables[t];
        const size_t lists = (size_t)codes->lists;
        uint64_t longest = 0;
        for (size_t r = 0; r <= codes->rows; r++) {
            const uint32_t length =
                codes->list_begin[(r + 1) * lists] - codes->list_begin[r * lists];
            if (length > longest) longest = length;
        }
        most += longest;
    }
    return most;
}

hn_status hn_batch_create(hn_batch *out, const hn_dataset *dataset, uint32_t batch, hn_error *err) {
    const hn_layout *const layout = &dataset->schema->layout;
    const uint64_t list_ids = most_list_ids(dataset) * batch;
    *out = (hn_batch){.dataset = dataset};
    if (list_ids > UINT32_MAX)
        return hn_fail(err, HN_BAD_CONFIG,
                       "train.batch: the lists of %u rows may have more than 2^32 values; use "
                       "smaller batches or shorter lists",
                       batch);
    out->block = hn_alloc(batch, sizeof *out->block);
    out->row = hn_alloc(batch, sizeof *out->row);
    out->sorted = hn_alloc(batch, sizeof *out->sorted);
    out->count = hn_alloc((size_t)layout->scenarios + 1, sizeof *out->count);
    out->scenario = hn_alloc(batch, sizeof *out->scenario);
    out->id = hn_alloc(batch, (size_t)layout->ids * sizeof *out->id);
    out->value = hn_alloc(batch, (size_t)layout->values * sizeof *out->value);
    out->list_begin = hn_alloc((size_t)batch * (size_t)layout->lists + 1, sizeof *out->list_begin);
    out->list_id = hn_alloc(list_ids, sizeof *out->list_id);
    out->weight = hn_alloc(batch, sizeof *out->weight);
    out->label = hn_alloc(batch, (size_t)layout->tasks);
    out->ordinal = hn_alloc(batch, sizeof *out->ordinal);
    out->user = hn_alloc(batch, sizeof *out->user);
    if (out->block && out->row && out->sorted && out->count && out->scenario && out->id &&
        out->value && out->list_begin && out->list_id && out->weight && out->label &&
        out->ordinal && out->user)
        return HN_OK;
    hn_batch_free(out);
    return hn_no_memory(err, "a batch");
}

void hn_batch_free(hn_batch *batch) {
    void *const all[] = {batch->block,    batch->row,    batch->sorted, batch->count,
                         batch->scenario, batch->id,     batch->value,  batch->list_begin,
                         batch->list_id,  batch->weight, batch->label,  batch->ordinal,
                         batch->user};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) hn_free(all[i]);
    memset(batch, 0, sizeof *batch);
}

/* ---- Gathering ------------------------------------------------------------------- */

static const uint8_t *record_of(const hn_batch *batch, uint32_t taken) {
    return batch->block[taken]->records + (size_t)batch->row[taken] * batch->dataset->record.bytes;
}

void hn_batch_take(hn_batch *batch, uint32_t i, const hn_block *block, uint32_t row) {
    batch->block[i] = block;
    batch->row[i] = row;
    __builtin_prefetch(record_of(batch, i));
}

/* A counting sort; batch->scenario is sorted when it is done. */
static void sort_by_scenario(hn_batch *batch, uint32_t n) {
    const size_t m = (size_t)batch->dataset->record.scenarios;
    memset(batch->count, 0, (m + 1) * sizeof *batch->count);
    for (uint32_t i = 0; i < n; i++) {
        uint16_t scenario;
        memcpy(&scenario, record_of(batch, i) + HN_RECORD_SCENARIO, sizeof scenario);
        batch->scenario[i] = scenario;
        batch->count[scenario + 1]++;
    }
    for (size_t s = 0; s < m; s++) batch->count[s + 1] += batch->count[s];
    for (uint32_t i = 0; i < n; i++) batch->sorted[batch->count[batch->scenario[i]]++] = i;
    for (size_t s = 0, i = 0; s < m; s++)
        for (; i < batch->count[s]; i++) batch->scenario[i] = (uint16_t)s;
}

static const hn_table_codes *codes_row(size_t *row, const hn_batch *batch, const uint8_t *record,
                                       int32_t t) {
    const hn_table_codes *const codes = &batch->dataset->codes->tables[t];
    uint32_t joined;
    memcpy(&joined, record + batch->dataset->record.table_row + (size_t)t * 4, sizeof joined);
    *row = joined == UINT32_MAX ? codes->rows : joined;
    return codes;
}

static void gather_tables(hn_batch *batch, const uint8_t *record, uint32_t *id, float *value) {
    const hn_schema *const schema = batch->dataset->schema;
    for (int32_t t = 0; t < batch->dataset->record.tables; t++) {
        size_t row;
        const hn_table_codes *const codes = codes_row(&row, batch, record, t);
        const hn_place *const place = &schema->places[1 + t];
        const size_t ids = (size_t)codes->ids, values = (size_t)codes->values;
        if (ids > 0) memcpy(id + place->first_id, codes->id + row * ids, ids * sizeof *id);
        if (values > 0)
            memcpy(value + place->first_value, codes->value + row * values, values * sizeof *value);
    }
}

static void gather_row(hn_batch *batch, size_t i, const uint8_t *record) {
    const hn_record *const r = &batch->dataset->record;
    const hn_layout *const layout = &batch->dataset->schema->layout;
    uint32_t *const id = batch->id + i * (size_t)layout->ids;
    float *const value = batch->value + i * (size_t)layout->values;
    memcpy(&batch->ordinal[i], record + HN_RECORD_ORDINAL, 8);
    memcpy(&batch->user[i], record + HN_RECORD_USER, 8);
    memcpy(&batch->weight[i], record + HN_RECORD_WEIGHT, 4);
    memcpy(batch->label + i * (size_t)r->tasks, record + r->label, (size_t)r->tasks);
    if (r->ids > 0) memcpy(id, record + r->id, (size_t)r->ids * 4);
    if (r->values > 0) memcpy(value, record + r->value, (size_t)r->values * 4);
    gather_tables(batch, record, id, value);
}

static uint32_t end_of_lists(const hn_record *r, const uint8_t *record) {
    uint32_t end;
    memcpy(&end, record + r->list_end + (size_t)(r->lists - 1) * 4, sizeof end);
    return end;
}

/* Copies one list and notes where it begins. */
static uint32_t add_list(hn_batch *batch, size_t list, uint32_t at, const uint32_t *ids,
                         uint32_t n) {
    batch->list_begin[list] = at;
    if (n > 0) memcpy(batch->list_id + at, ids, (size_t)n * sizeof *ids);
    return at + n;
}

/* The lists of a row, from `at`; returns where the next row's begin. */
static uint32_t gather_lists(hn_batch *batch, size_t i, uint32_t taken, uint32_t at) {
    const hn_record *const r = &batch->dataset->record;
    const uint8_t *const record = record_of(batch, taken);
    const hn_block *const block = batch->block[taken];
    size_t list = i * (size_t)batch->dataset->schema->layout.lists;
    uint32_t begin = r->lists > 0 && batch->row[taken] > 0 ? end_of_lists(r, record - r->bytes) : 0;
    for (int32_t l = 0; l < r->lists; l++) {
        uint32_t end;
        memcpy(&end, record + r->list_end + (size_t)l * 4, sizeof end);
        at = add_list(batch, list++, at, block->list_ids + begin, end - begin);
        begin = end;
    }
    for (int32_t t = 0; t < r->tables; t++) {
        size_t row;
        const hn_table_codes *const codes = codes_row(&row, batch, record, t);
        for (int32_t l = 0; l < codes->lists; l++) {
            const uint32_t *const ends = codes->list_begin + row * (size_t)codes->lists + (size_t)l;
            at = add_list(batch, list++, at, codes->list_ids + ends[0], ends[1] - ends[0]);
        }
    }
    return at;
}

const hn_rows *hn_batch_gather(hn_batch *batch, uint32_t n) {
    const int32_t lists = batch->dataset->schema->layout.lists;
    uint32_t at = 0;
    sort_by_scenario(batch, n);
    for (uint32_t i = 0; i < n; i++) {
        gather_row(batch, i, record_of(batch, batch->sorted[i]));
        if (lists > 0) at = gather_lists(batch, i, batch->sorted[i], at);
    }
    batch->list_begin[(size_t)n * (size_t)lists] = at;
    batch->rows = (hn_rows){.rows = (int32_t)n,
                            .scenario = batch->scenario,
                            .ids = batch->id,
                            .values = batch->value,
                            .list_begin = batch->list_begin,
                            .list_ids = batch->list_id,
                            .labels = batch->label,
                            .weights = batch->weight,
                            .ordinal = batch->ordinal,
                            .user = batch->user};
    return &batch->rows;
}
