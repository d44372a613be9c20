/* Encoded rows as a whole: their memory, what is carried over from the block, the lists,
 * and the chunks that encode.c fills. */
#include <string.h>

#include "base/memory.h"
#include "data/codes.h"
#include "data/encode.h"

struct hn_encoded_buffers {
    size_t rows, ids, values, begins, list_ids; /* capacities, in elements */
    uint32_t *id, *list_begin, *list_id;
    float *value, *weight;
    uint16_t *scenario;
    uint8_t *label;
    uint64_t *ordinal, *user;
    size_t labels, chosen_rows, absents;
    uint32_t *chosen;          /* the numbers of all rows, where none are given */
    hn_slot *absent;           /* absent rows of the tables, one after another */
    const hn_slot **absent_of; /* [tables] */
};

void hn_encoded_free(hn_encoded *encoded) {
    struct hn_encoded_buffers *const b = encoded->buffers;
    if (b) {
        void *const all[] = {b->id,     b->list_begin, b->list_id, b->value,
                             b->weight, b->scenario,   b->label,   b->ordinal,
                             b->user,   b->chosen,     b->absent,  b->absent_of};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) hn_free(all[i]);
        hn_free(b);
    }
    memset(encoded, 0, sizeof *encoded);
}

/* ---- Memory ---------------------------------------------------------------------- */

static hn_status make_absent(struct hn_encoded_buffers *b, const hn_schema *schema, hn_error *err) {
    const int32_t tables = schema->config->n_tables;
    size_t slots = 0;
    for (int32_t t = 0; t < tables; t++) slots += (size_t)schema->sources.table_slots[t];
    b->absent = hn_alloc_zero(slots, sizeof *b->absent);
    b->absent_of = hn_alloc_zero((size_t)tables, sizeof *b->absent_of);
    if (!b->absent || !b->absent_of) return hn_no_memory(err, "encoded rows");
    hn_slot *at = b->absent;
    for (int32_t t = 0; t < tables; t++) {
        hn_encode_absent(at, schema, 1 + t);
        b->absent_of[t] = at;
        at += schema->sources.table_slots[t];
    }
    return HN_OK;
}

/* The per-row arrays of the carried columns grow together. */
static hn_status grow_carried(struct hn_encoded_buffers *b, size_t n, size_t labels,
                              hn_error *err) {
    size_t capacity[5] = {b->rows, b->rows, b->rows, b->rows, b->labels};
    HN_TRY(hn_grow(&b->scenario, &capacity[0], n, sizeof *b->scenario, err));
    HN_TRY(hn_grow(&b->weight, &capacity[1], n, sizeof *b->weight, err));
    HN_TRY(hn_grow(&b->ordinal, &capacity[2], n, sizeof *b->ordinal, err));
    HN_TRY(hn_grow(&b->user, &capacity[3], n, sizeof *b->user, err));
    HN_TRY(hn_grow(&b->label, &capacity[4], labels, sizeof *b->label, err));
    b->rows = capacity[3];
    b->labels = capacity[4];
    return HN_OK;
}

typedef struct row_shape {
    size_t ids, values, lists;
} row_shape;

static hn_status reserve(hn_encoded *out, const hn_schema *schema, const row_shape *shape, size_t n,
                         hn_error *err) {
    if (!out->buffers) {
        out->buffers = hn_alloc_zero(1, sizeof *out->buffers);
        if (!out->buffers) return hn_no_memory(err, "encoded rows");
    }
    struct hn_encoded_buffers *const b = out->buffers;
    if (!b->absent_of) {
        /* A failed first try left halves behind. */
        hn_free(b->absent);
        b->absent = NULL;
        HN_TRY(make_absent(b, schema, err));
    }
    HN_TRY(grow_carried(b, n, n * (size_t)schema->layout.tasks, err));
    /* one more than needed: a pointer into no memory is none, whatever is added to it */
    HN_TRY(hn_grow(&b->id, &b->ids, n * shape->ids + 1, sizeof *b->id, err));
    HN_TRY(hn_grow(&b->value, &b->values, n * shape->values + 1, sizeof *b->value, err));
    return hn_grow(&b->list_begin, &b->begins, n * shape->lists + 1, sizeof *b->list_begin, err);
}

static hn_status choose_all(const uint32_t **rows, struct hn_encoded_buffers *b, size_t n,
                            hn_error *err) {
    const size_t before = b->chosen_rows;
    HN_TRY(hn_grow(&b->chosen, &b->chosen_rows, n, sizeof *b->chosen, err));
    for (size_t i = before; i < b->chosen_rows; i++) b->chosen[i] = (uint32_t)i;
    *rows = b->chosen;
    return HN_OK;
}

/* ---- Lists ----------------------------------------------------------------------- */

typedef struct list_source { /* a row's list column: codes, or a slot to encode */
    const uint32_t *coded;
    uint32_t length;
    const hn_slot *slot;
    const uint64_t *lists;
} list_source;

static list_source find_list(const hn_schema *schema, const hn_side_tables *tables,
                             const hn_impressions *block, const hn_column *column, uint32_t row,
                             const hn_slot *const *absent) {
    const int32_t t = column->from.table;
    list_source found = {.slot = block->slots + (size_t)row * (size_t)block->log_slots +
                                 column->from.slot,
                         .lists = block->lists};
    if (t >= 0) {
        const int32_t at = block->table_rows[(size_t)row * (size_t)block->tables + (size_t)t];
        const hn_side_table *const table = &tables->items[t];
        if (schema->codes && schema->bound == tables) {
            const hn_table_codes *const codes = &schema->codes->tables[t];
            const size_t coded_row = at == HN_TABLE_ROW_NONE ? codes->rows : (size_t)at;
            const uint32_t *const begin =
                codes->list_begin + coded_row * (size_t)codes->lists + column->slot;
            return (list_source){.coded = codes->list_ids + begin[0],
                                 .length = begin[1] - begin[0]};
        }
        found.slot = at == HN_TABLE_ROW_NONE
                         ? absent[t] + column->from.slot
                         : table->slot + (size_t)at * (size_t)table->slots + column->from.slot;
        found.lists = table->lists;
    }
    found.length = hn_encode_list_length(column, found.slot);
    return found;
}

static void count_list(hn_encode_counts *counts, int32_t c, const uint32_t *ids, uint32_t length) {
    if (!counts) return;
    counts->missing[c] += length == 0;
    counts->cells[c] += length;
    for (uint32_t i = 0; i < length; i++) counts->unseen[c] += ids[i] == HN_ID_UNSEEN;
}

static hn_status encode_lists(hn_encoded *out, const hn_schema *schema,
                              const hn_side_tables *tables, const hn_impressions *block,
                              const uint32_t *rows, int32_t n, const hn_encode_options *options,
                              hn_error *err) {
    struct hn_encoded_buffers *const b = out->buffers;
    const int32_t lists = options->log_only ? schema->places[0].lists : schema->layout.lists;
    size_t at = 0, end = 0;
    for (int32_t i = 0; i < n && lists > 0; i++) {
        for (int32_t l = 0; l < lists; l++) {
            const int32_t c = schema->list_columns[l];
            const hn_column *const column = &schema->columns[c];
            const list_source from =
                find_list(schema, tables, block, column, rows[i], b->absent_of);
            if (end + from.length > UINT32_MAX)
                return hn_fail(err, HN_BAD_DATA,
                               "lists of %d rows have more than %u values; set max_length", n,
                               UINT32_MAX);
            const size_t need = end + from.length + 1; /* also where all lists are empty */
            HN_TRY(hn_grow(&b->list_id, &b->list_ids, need, sizeof *b->list_id, err));
            b->list_begin[at++] = (uint32_t)end;
            uint32_t *const ids = b->list_id + end;
            if (from.length > 0 && from.coded)
                memcpy(ids, from.coded, from.length * sizeof *ids);
            else if (from.length > 0)
                hn_encode_list(ids, schema, column, from.slot, from.lists);
            count_list(column->place == 0 ? options->counts : NULL, c, ids, from.length);
            end += from.length;
        }
    }
    b->list_begin[at] = (uint32_t)end;
    return HN_OK;
}

/* ---- The whole ------------------------------------------------------------------- */

/* Labels, weights, users and ordinals are absent from a block that is only scored. */
static void carry(hn_encoded *out, const hn_impressions *block, const uint32_t *rows, int32_t n) {
    struct hn_encoded_buffers *const b = out->buffers;
    const size_t tasks = (size_t)block->tasks;
    for (int32_t i = 0; i < n; i++) {
        const uint32_t row = rows[i];
        b->scenario[i] = block->scenario[row];
        if (block->weights) b->weight[i] = block->weights[row];
        if (block->ordinal) b->ordinal[i] = block->ordinal[row];
        if (block->user) b->user[i] = block->user[row];
        if (block->labels) memcpy(b->label + (size_t)i * tasks, block->labels + row * tasks, tasks);
    }
    out->rows = (hn_rows){.rows = n,
                          .scenario = b->scenario,
                          .ids = b->id,
                          .values = b->value,
                          .list_begin = b->list_begin,
                          .list_ids = b->list_id,
                          .labels = block->labels ? b->label : NULL,
                          .weights = block->weights ? b->weight : NULL,
                          .ordinal = block->ordinal ? b->ordinal : NULL,
                          .user = block->user ? b->user : NULL};
}

static hn_status check_block(const hn_schema *schema, const hn_side_tables *tables,
                             const hn_impressions *block, const hn_encode_options *options,
                             hn_error *err) {
    if (block->log_slots != schema->sources.log_slots || block->tables != schema->config->n_tables)
        return hn_fail(err, HN_FAILED,
                       "rows with %d slots and %d tables were digested for another schema, "
                       "which has %d and %d",
                       block->log_slots, block->tables, schema->sources.log_slots,
                       schema->config->n_tables);
    for (int32_t t = 0; t < schema->config->n_tables; t++)
        if (!tables || tables->n <= t || tables->items[t].slots != schema->sources.table_slots[t])
            return hn_fail(err, HN_FAILED, "table \"%s\" was digested for another schema",
                           schema->config->tables[t].name);
    for (int32_t r = 0; r < schema->n_rates && options->training; r++)
        if (!schema->rates[r].folds.begin)
            return hn_fail(err, HN_FAILED,
                           "features.%s: training rows can only be encoded while the schema "
                           "is fitted; its folds are not kept",
                           schema->rates[r].feature->name);
    return HN_OK;
}

hn_status hn_encode_rows(hn_encoded *out, const hn_schema *schema, const hn_side_tables *tables,
                         const hn_impressions *block, const uint32_t *rows, int32_t n,
                         const hn_encode_options *options, hn_error *err) {
    memset(&out->rows, 0, sizeof out->rows);
    HN_TRY(check_block(schema, tables, block, options, err));
    const hn_layout *const layout = &schema->layout;
    const hn_place *const log = &schema->places[0];
    const row_shape all = {(size_t)layout->ids, (size_t)layout->values, (size_t)layout->lists};
    const row_shape part = {(size_t)log->ids, (size_t)log->values, (size_t)log->lists};
    const row_shape *const shape = options->log_only ? &part : &all;
    HN_TRY(reserve(out, schema, shape, (size_t)n, err));
    struct hn_encoded_buffers *const b = out->buffers;
    if (!rows) HN_TRY(choose_all(&rows, b, (size_t)n, err));
    for (int32_t i = 0; i < n; i += HN_ENCODE_CHUNK) {
        const int32_t m = n - i < HN_ENCODE_CHUNK ? n - i : HN_ENCODE_CHUNK;
        hn_encode_chunk(b->id + (size_t)i * shape->ids, shape->ids,
                        b->value + (size_t)i * shape->values, shape->values, schema, tables, block,
                        rows + i, m, options, b->absent_of);
    }
    HN_TRY(encode_lists(out, schema, tables, block, rows, n, options, err));
    carry(out, block, rows, n);
    return HN_OK;
}

hn_status hn_schema_encode(hn_encoded *out, const hn_schema *schema, const hn_side_tables *tables,
                           const hn_impressions *block, bool training, hn_error *err) {
    const hn_encode_options options = {.training = training};
    return hn_encode_rows(out, schema, tables, block, NULL, block->rows, &options, err);
}
