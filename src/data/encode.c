/* The only code that turns digested rows into ids and values. Columns are encoded one
 * after another for a chunk of rows, small enough that the chunk stays in cache; what is
 * made of a side table alone is copied from its codes, or encoded here when there are none. */
#include "data/encode.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "data/codes.h"

enum { PREFETCH_FROM = 4096 }; /* slots of a vocabulary beyond which it isn't in cache */

/* ---- Ids ------------------------------------------------------------------------- */

static uint32_t id_of_hash(const hn_root *root, const hn_column *column, uint64_t hash) {
    if (hash == HN_HASH_MISSING) hash = column->missing_hash;
    if (hash == HN_HASH_MISSING) return HN_ID_MISSING;
    if (root->kind == HN_ROOT_HASH)
        return HN_ID_FIRST + (uint32_t)(hn_mix64(hash) % (uint64_t)root->feature->hash);
    return hn_vocabulary_find(&root->vocabulary, hash);
}

static uint32_t id_of_integer(const hn_root *root, const hn_column *column, double x) {
    if (isnan(x)) x = column->missing_number;
    if (isnan(x)) return HN_ID_MISSING;
    const bool within = x >= 0 && x < (double)root->feature->integer;
    return within && x == floor(x) ? HN_ID_FIRST + (uint32_t)x : HN_ID_UNSEEN;
}

/* A chunk of rows of one column: slots at stride from each other, given by row number. */
typedef struct strided {
    const hn_slot *slots;
    size_t stride;
    const uint32_t *rows;
    int32_t n;
} strided;

static const hn_slot *slot_at(const strided *from, int32_t i) {
    return from->slots + from->rows[i] * from->stride;
}

/* Many columns repeat their value from row to row. */
static void encode_hashes(uint32_t *out, size_t stride, const hn_root *root,
                          const hn_column *column, const strided *from) {
    uint64_t last = HN_HASH_MISSING;
    uint32_t id = id_of_hash(root, column, last);
    for (int32_t i = 0; i < from->n; i++) {
        const uint64_t hash = slot_at(from, i)->hash;
        if (hash != last) id = id_of_hash(root, column, hash);
        out[(size_t)i * stride] = id;
        last = hash;
    }
}

static void encode_ids(uint32_t *out, size_t stride, const hn_root *root, const hn_column *column,
                       const strided *from) {
    const hn_vocabulary *const vocabulary = &root->vocabulary;
    if (vocabulary->capacity > PREFETCH_FROM)
        for (int32_t i = 0; i < from->n; i++)
            __builtin_prefetch(
                &vocabulary->keys[hn_vocabulary_slot(vocabulary, slot_at(from, i)->hash)]);
    if (root->kind == HN_ROOT_INTEGER)
        for (int32_t i = 0; i < from->n; i++)
            out[(size_t)i * stride] = id_of_integer(root, column, slot_at(from, i)->number);
    else
        encode_hashes(out, stride, root, column, from);
}

static double number_of(const hn_column *column, const hn_slot *slot) {
    return isnan(slot->number) ? column->missing_number : slot->number;
}

static void encode_buckets(uint32_t *out, size_t stride, const hn_column *column,
                           const strided *from) {
    for (int32_t i = 0; i < from->n; i++)
        out[(size_t)i * stride] =
            hn_scale_bucket(&column->scale, number_of(column, slot_at(from, i)));
}

/* Missing numbers leave no trace in their value, so they are counted here. */
static void encode_values(float *out, size_t stride, const hn_column *column, const strided *from,
                          uint64_t *missing) {
    for (int32_t i = 0; i < from->n; i++) {
        const double x = number_of(column, slot_at(from, i));
        out[(size_t)i * stride] = hn_scale_value(&column->scale, x);
        if (missing && isnan(x)) ++*missing;
    }
}

static void count_ids(hn_encode_counts *counts, int32_t column, const uint32_t *ids, size_t stride,
                      int32_t n) {
    uint64_t missing = 0, unseen = 0;
    for (int32_t i = 0; i < n; i++) {
        missing += ids[(size_t)i * stride] == HN_ID_MISSING;
        unseen += ids[(size_t)i * stride] == HN_ID_UNSEEN;
    }
    counts->missing[column] += missing;
    counts->unseen[column] += unseen;
}

void hn_encode_place(uint32_t *id, size_t id_stride, float *value, size_t value_stride,
                     const hn_schema *schema, int32_t place, const hn_slot_rows *from,
                     const uint32_t *rows, int32_t n, hn_encode_counts *counts) {
    const hn_place *const here = &schema->places[place];
    for (int32_t k = 0; k < here->columns; k++) {
        const int32_t c = schema->by_place[here->first_column + k];
        const hn_column *const column = &schema->columns[c];
        if (column->kind == HN_COLUMN_LIST || column->rate >= 0) continue;
        const strided cells = {from->slots + column->from.slot, from->stride, rows, n};
        if (counts) counts->cells[c] += (uint64_t)n;
        if (hn_column_is_value(column)) {
            encode_values(value + column->slot, value_stride, column, &cells,
                          counts ? &counts->missing[c] : NULL);
            continue;
        }
        if (column->kind == HN_COLUMN_ID)
            encode_ids(id + column->slot, id_stride, &schema->roots[column->root], column, &cells);
        else
            encode_buckets(id + column->slot, id_stride, column, &cells);
        if (counts) count_ids(counts, c, id + column->slot, id_stride, n);
    }
}

/* ---- Lists ----------------------------------------------------------------------- */

uint32_t hn_encode_list_length(const hn_column *column, const hn_slot *slot) {
    if (slot->list.length == 0) return column->missing_hash != HN_HASH_MISSING;
    return slot->list.length;
}

uint32_t hn_encode_list(uint32_t *out, const hn_schema *schema, const hn_column *column,
                        const hn_slot *slot, const uint64_t *lists) {
    const hn_root *const root = &schema->roots[column->root];
    const uint32_t length = slot->list.length;
    if (length == 0 && column->missing_hash == HN_HASH_MISSING) return 0;
    if (length == 0) {
        out[0] = id_of_hash(root, column, HN_HASH_MISSING);
        return 1;
    }
    for (uint32_t i = 0; i < length; i++)
        out[i] = id_of_hash(root, column, lists[slot->list.begin + i]);
    return length;
}

void hn_encode_absent(hn_slot *out, const hn_schema *schema, int32_t place) {
    for (int32_t i = 0; i < schema->sources.n; i++) {
        const hn_source *const source = &schema->sources.items[i];
        if (source->table != place - 1) continue;
        hn_slot *const slot = &out[source->slot];
        memset(slot, 0, sizeof *slot); /* an empty list, or the hash of nothing */
        if (source->kind == HN_SOURCE_NUMBER) slot->number = NAN;
    }
}

/* ---- Rates ----------------------------------------------------------------------- */

static uint64_t key_part(const hn_reference *from, const hn_side_tables *tables,
                         const hn_impressions *block, uint32_t row) {
    const hn_slot *slot = block->slots + (size_t)row * (size_t)block->log_slots + from->slot;
    const uint64_t *lists = block->lists;
    if (from->table >= 0) {
        const int32_t at =
            block->table_rows[(size_t)row * (size_t)block->tables + (size_t)from->table];
        const hn_side_table *const table = &tables->items[from->table];
        if (at == HN_TABLE_ROW_NONE) return HN_HASH_MISSING;
        slot = table->slot + (size_t)at * (size_t)table->slots + from->slot;
        lists = table->lists;
    }
    if (from->kind != HN_SOURCE_LIST) return slot->hash;
    return slot->list.length > 0 ? lists[slot->list.begin] : HN_HASH_MISSING;
}

uint64_t hn_encode_rate_key(const hn_rate *rate, const hn_side_tables *tables,
                            const hn_impressions *block, uint32_t row) {
    uint64_t key = 0;
    for (int32_t k = 0; k < rate->n_keys; k++)
        key = hn_rate_key_add(key, key_part(&rate->keys[k], tables, block, row));
    return key;
}

static double fold_number(const hn_reference *from, const hn_side_tables *tables,
                          const hn_impressions *block, uint32_t row) {
    if (from->table < 0)
        return block->slots[(size_t)row * (size_t)block->log_slots + (size_t)from->slot].number;
    const int32_t at = block->table_rows[(size_t)row * (size_t)block->tables + (size_t)from->table];
    const hn_side_table *const table = &tables->items[from->table];
    return at == HN_TABLE_ROW_NONE
               ? NAN
               : table->slot[(size_t)at * (size_t)table->slots + (size_t)from->slot].number;
}

uint64_t hn_encode_rate_fold(const hn_rate *rate, const hn_side_tables *tables,
                             const hn_impressions *block, uint32_t row) {
    switch (rate->feature->fold_by) {
    case HN_FOLD_HASH: return hn_rate_fold_of_ordinal(block->ordinal[row], rate->feature->folds);
    case HN_FOLD_COLUMN: return key_part(&rate->fold, tables, block, row);
    case HN_FOLD_PAST: return hn_rate_fold_of_number(fold_number(&rate->fold, tables, block, row));
    }
    return 0;
}

double hn_encode_rate_number(const hn_schema *schema, const hn_column *column,
                             const uint32_t *counts) {
    const hn_rate *const rate = &schema->rates[column->rate];
    if (column->kind == HN_COLUMN_COUNT) return counts ? counts[0] : 0;
    return hn_rate_value(counts, column->task, rate->feature->smoothing, rate->base[column->task]);
}

/* The counts each row of a chunk sees; NULL: its key is unknown. */
static void find_counts(const uint32_t **out, const hn_rate *rate, const hn_side_tables *tables,
                        const hn_impressions *block, const uint32_t *rows, int32_t n,
                        bool training) {
    for (int32_t i = 0; i < n; i++) {
        const int64_t at =
            hn_rate_totals_find(&rate->totals, hn_encode_rate_key(rate, tables, block, rows[i]));
        const uint64_t width = (uint64_t)rate->totals.width;
        if (at < 0)
            out[i] = NULL;
        else if (!training)
            out[i] = rate->totals.counts + (uint64_t)at * width;
        else
            out[i] = hn_rate_others_find(&rate->folds, rate->totals.width, (uint64_t)at,
                                         hn_encode_rate_fold(rate, tables, block, rows[i]));
    }
}

typedef struct target { /* where a chunk's rows go */
    uint32_t *id;
    size_t id_stride;
    float *value;
    size_t value_stride;
} target;

static void encode_rate_column(const target *to, const hn_schema *schema, int32_t c,
                               const uint32_t *const *seen, int32_t n, hn_encode_counts *counts) {
    const hn_column *const column = &schema->columns[c];
    const bool is_id = hn_column_is_id(column);
    uint64_t unknown = 0;
    for (int32_t i = 0; i < n; i++) {
        const double x = hn_encode_rate_number(schema, column, seen[i]);
        if (is_id)
            to->id[(size_t)i * to->id_stride + (size_t)column->slot] =
                hn_scale_bucket(&column->scale, x);
        else
            to->value[(size_t)i * to->value_stride + (size_t)column->slot] =
                hn_scale_value(&column->scale, x);
        unknown += !seen[i];
    }
    if (!counts) return;
    counts->cells[c] += (uint64_t)n;
    counts->unseen[c] += unknown;
}

static void encode_rates(const target *to, const hn_schema *schema, const hn_side_tables *tables,
                         const hn_impressions *block, const uint32_t *rows, int32_t n,
                         const hn_encode_options *options) {
    const uint32_t *seen[HN_ENCODE_CHUNK];
    const hn_place *const here = &schema->places[0];
    int32_t last = -1;
    for (int32_t k = 0; k < here->columns; k++) {
        const int32_t c = schema->by_place[here->first_column + k];
        const int32_t rate = schema->columns[c].rate;
        if (rate < 0) continue;
        /* A rate's columns follow each other: its keys are looked up once. */
        if (rate != last)
            find_counts(seen, &schema->rates[rate], tables, block, rows, n, options->training);
        last = rate;
        encode_rate_column(to, schema, c, seen, n, options->counts);
    }
}

/* ---- Rows: their places -------------------------------------------------------------------- */

static void copy_codes(const target *to, const hn_place *place, const hn_table_codes *codes,
                       uint32_t row) {
    if (place->ids > 0)
        memcpy(to->id + place->first_id, codes->id + (size_t)row * (size_t)codes->ids,
               (size_t)codes->ids * sizeof *to->id);
    if (place->values > 0)
        memcpy(to->value + place->first_value, codes->value + (size_t)row * (size_t)codes->values,
               (size_t)codes->values * sizeof *to->value);
}

static int32_t table_row(const hn_impressions *block, uint32_t row, int32_t table) {
    return block->table_rows[(size_t)row * (size_t)block->tables + (size_t)table];
}

/* What a chunk takes from table t. Without codes each row is encoded as its table row is. */
static void encode_table(const target *to, const hn_schema *schema, const hn_side_tables *tables,
                         const hn_impressions *block, const uint32_t *rows, int32_t n, int32_t t,
                         const hn_slot *absent) {
    const hn_place *const place = &schema->places[1 + t];
    const hn_side_table *const table = &tables->items[t];
    const bool coded = schema->codes && schema->bound == tables;
    for (int32_t i = 0; i < n; i++) {
        const target here = {to->id + (size_t)i * to->id_stride, to->id_stride,
                             to->value + (size_t)i * to->value_stride, to->value_stride};
        const int32_t row = table_row(block, rows[i], t);
        if (coded) {
            const hn_table_codes *const codes = &schema->codes->tables[t];
            copy_codes(&here, place, codes, row == HN_TABLE_ROW_NONE ? codes->rows : (uint32_t)row);
            continue;
        }
        const bool none = row == HN_TABLE_ROW_NONE;
        const hn_slot_rows from = {none ? absent : table->slot, (size_t)table->slots, table->lists};
        const uint32_t at = none ? 0 : (uint32_t)row;
        hn_encode_place(here.id + place->first_id, 0, here.value + place->first_value, 0, schema,
                        1 + t, &from, &at, 1, NULL);
    }
}

void hn_encode_chunk(uint32_t *id, size_t id_stride, float *value, size_t value_stride,
                     const hn_schema *schema, const hn_side_tables *tables,
                     const hn_impressions *block, const uint32_t *rows, int32_t n,
                     const hn_encode_options *options, const hn_slot *const *absent) {
    const target to = {id, id_stride, value, value_stride};
    const hn_slot_rows log = {block->slots, (size_t)block->log_slots, block->lists};
    hn_encode_place(id, id_stride, value, value_stride, schema, 0, &log, rows, n, options->counts);
    encode_rates(&to, schema, tables, block, rows, n, options);
    for (int32_t t = 0; t < schema->config->n_tables && !options->log_only; t++)
        encode_table(&to, schema, tables, block, rows, n, t, absent[t]);
}
