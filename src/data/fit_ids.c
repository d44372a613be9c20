/* The fit of vocabularies. A log column is counted row by row; a table's column is counted
 * at the end, once for each of the table's rows with the number of training rows joined to
 * it. Features that share a vocabulary are counted together. */
#include "base/report.h"
#include "data/fit_parts.h"

/* The order of first appearance as one number: the row, then the column and the place in
 * its list; where those overflow their bits, ties are broken by hash. */
enum { COLUMN_BITS = 8, LIST_BITS = 12 };
static uint64_t position(uint64_t row, uint32_t column, uint32_t in_list) {
    const uint32_t most_columns = (1u << COLUMN_BITS) - 1, most_in_list = (1u << LIST_BITS) - 1;
    if (column > most_columns) column = most_columns;
    if (in_list > most_in_list) in_list = most_in_list;
    return row << (COLUMN_BITS + LIST_BITS) | (uint64_t)column << LIST_BITS | in_list;
}

static hn_status count(hn_tally *tally, uint64_t hash, uint64_t at, uint64_t rows, hn_error *err) {
    if (hash == HN_HASH_MISSING) return HN_OK;
    uint64_t *counts;
    HN_TRY(hn_tally_at(&counts, tally, hash, 0, at, err));
    *counts += rows;
    return HN_OK;
}

/* One cell that `rows` training rows have. */
static hn_status count_cell(hn_tally *tally, const hn_column *column, uint32_t nth,
                            const hn_slot *slot, const uint64_t *lists, uint64_t row, uint64_t rows,
                            hn_error *err) {
    if (column->kind != HN_COLUMN_LIST) {
        const uint64_t hash = slot->hash == HN_HASH_MISSING ? column->missing_hash : slot->hash;
        return count(tally, hash, position(row, nth, 0), rows, err);
    }
    const uint32_t length = slot->list.length;
    if (length == 0) return count(tally, column->missing_hash, position(row, nth, 0), rows, err);
    for (uint32_t i = 0; i < length; i++) {
        const uint64_t value = lists[slot->list.begin + i];
        const uint64_t hash = value == HN_HASH_MISSING ? column->missing_hash : value;
        HN_TRY(count(tally, hash, position(row, nth, i), rows, err));
    }
    return HN_OK;
}

static hn_status count_log_lists(hn_tally *tally, const hn_column *column, uint32_t nth,
                                 const hn_fit_block *block, hn_error *err) {
    const hn_impressions *const rows = block->rows;
    const hn_slot *const slots = rows->slots + column->from.slot;
    for (int32_t i = 0; i < block->n_training; i++) {
        const uint32_t row = block->training[i];
        HN_TRY(count_cell(tally, column, nth, slots + (size_t)row * (size_t)rows->log_slots,
                          rows->lists, block->first_row + row, 1, err));
    }
    return HN_OK;
}

static hn_status count_log_ids(hn_tally *tally, const hn_column *column, uint32_t nth,
                               const hn_fit_block *block, hn_error *err) {
    const hn_impressions *const rows = block->rows;
    const hn_slot *const slots = rows->slots + column->from.slot;
    uint64_t hashes[HN_TALLY_BATCH], positions[HN_TALLY_BATCH];
    int32_t n = 0;
    for (int32_t i = 0; i < block->n_training; i++) {
        const uint32_t row = block->training[i];
        const uint64_t hash = slots[(size_t)row * (size_t)rows->log_slots].hash;
        hashes[n] = hash == HN_HASH_MISSING ? column->missing_hash : hash;
        positions[n] = position(block->first_row + row, nth, 0);
        n += hashes[n] != HN_HASH_MISSING;
        if (n < HN_TALLY_BATCH) continue;
        HN_TRY(hn_tally_add_many(tally, hashes, positions, n, err));
        n = 0;
    }
    return hn_tally_add_many(tally, hashes, positions, n, err);
}

hn_status hn_fit_add_root(hn_fit *fit, hn_fit_part *part, const hn_fit_block *block,
                          hn_error *err) {
    const hn_schema *const schema = fit->schema;
    for (int32_t c = 0, nth = 0; c < schema->n_columns; c++) {
        const hn_column *const column = &schema->columns[c];
        if (column->root != part->index) continue;
        if (column->place == 0)
            HN_TRY(column->kind == HN_COLUMN_LIST
                       ? count_log_lists(part->tally, column, (uint32_t)nth, block, err)
                       : count_log_ids(part->tally, column, (uint32_t)nth, block, err));
        nth++;
    }
    return HN_OK;
}

static hn_status count_table_column(hn_fit *fit, hn_tally *tally, const hn_column *column,
                                    uint32_t nth, hn_error *err) {
    const int32_t t = column->from.table;
    const hn_side_table *const table = &fit->options->tables->items[t];
    const uint64_t *const rows = fit->counts->table_rows[t], *const first = fit->table_first[t];
    for (uint32_t r = 0; r < table->rows; r++) {
        if (rows[r] == 0) continue; /* of the training split, which comes first */
        const hn_slot *const slot =
            table->slot + (size_t)r * (size_t)table->slots + column->from.slot;
        HN_TRY(count_cell(tally, column, nth, slot, table->lists, first[r], rows[r], err));
    }
    if (rows[table->rows] == 0) return HN_OK;
    return count(tally, column->missing_hash, position(first[table->rows], nth, 0),
                 rows[table->rows], err);
}

static hn_status count_table_columns(hn_fit *fit, hn_fit_part *part, hn_error *err) {
    const hn_schema *const schema = fit->schema;
    for (int32_t c = 0, nth = 0; c < schema->n_columns; c++) {
        const hn_column *const column = &schema->columns[c];
        if (column->root != part->index) continue;
        if (column->place > 0)
            HN_TRY(count_table_column(fit, part->tally, column, (uint32_t)nth, err));
        nth++;
    }
    return HN_OK;
}

/* Old values were looked up before the parts ran beside each other: packs are for one
 * thread. */
hn_status hn_fit_finish_root(hn_fit *fit, hn_fit_part *part, hn_error *err) {
    hn_root *const root = &fit->schema->roots[part->index];
    HN_TRY(count_table_columns(fit, part, err));
    const hn_vocabulary_rule rule = {.name = root->feature->name,
                                     .old = root->old,
                                     .n_old = root->n_old,
                                     .min_count = root->feature->min_count,
                                     .max_size = root->feature->max_size};
    hn_vocabulary_free(&root->vocabulary);
    HN_TRY(hn_vocabulary_fit(&root->vocabulary, part->tally, &rule, fit->options->run, err));
    root->fresh = root->vocabulary.size - (uint32_t)root->n_old;
    return HN_OK;
}
