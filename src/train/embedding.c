/* The update of embedding tables. An *entry* is one use of a table row by a batch row (an
 * id, or an element of a list). A table's entries are numbered in row order and sorted by
 * table row with a stable radix sort, so that equal ids lie together in row order; the
 * sorted entries are cut into items for the workers, and an item owns the rows whose first
 * entry it holds. Nothing here is as long as a table. */
#include "train/embedding.h"

#include <string.h>

#include "base/memory.h"

enum { ITEM_ENTRIES = 1024, AHEAD = 8, DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS };

typedef struct source { /* where an entry's gradient comes from */
    uint32_t row;       /* of the batch */
    uint32_t input;     /* of the table's inputs */
} source;

typedef struct touched {     /* one table's */
    const hn_input **inputs; /* [n_inputs] that read this table */
    int32_t n_inputs;
    int32_t row_bits; /* of a table row's number */
    size_t n, capacity;
    uint64_t *keys, *spare; /* [capacity] table row << 32 | entry */
    source *sources;        /* [capacity] by entry; not filled where an entry is its row */
    int64_t first_item;
} touched;

struct hn_touch {
    const hn_plan *plan;
    const hn_layout *layout;
    touched *tables;
    int32_t n_tables;
    hn_real *sums; /* [workers][widest]: one row's gradient */
    size_t widest;
};

/* One id a row: entry r is row r. */
static bool entries_are_rows(const touched *table) {
    return table->n_inputs == 1 && table->inputs[0]->kind == HN_INPUT_ID;
}

/* ---- Room -------------------------------------------------------------------------------- */

static int64_t longest_list(const hn_config *config, const hn_input *input) {
    for (int32_t f = 0; f < config->n_features; f++)
        if (config->features[f].name && strcmp(config->features[f].name, input->name) == 0)
            return config->features[f].max_length > 0 ? config->features[f].max_length : 1;
    return 1;
}

/* The most entries that a row makes in table t. */
static int64_t entries_of_row(const hn_layout *layout, const hn_config *config, int32_t t) {
    int64_t n = 0;
    for (int32_t i = 0; i < layout->n_inputs; i++) {
        const hn_input *const input = &layout->inputs[i];
        if (input->table != t || input->kind == HN_INPUT_VALUE) continue;
        n += input->kind == HN_INPUT_LIST ? longest_list(config, input) : 1;
    }
    return n;
}

int64_t hn_touch_bytes(const hn_plan *plan, const hn_config *config, int32_t batch) {
    const hn_layout *const layout = hn_plan_layout(plan);
    int64_t entries = 0;
    for (int32_t t = 0; t < layout->n_tables; t++)
        entries += batch * entries_of_row(layout, config, t);
    return entries * (int64_t)(2 * sizeof(uint64_t) + sizeof(source));
}

static hn_status make_room(touched *table, size_t entries, hn_error *err) {
    if (entries <= table->capacity) return HN_OK;
    if (entries > UINT32_MAX)
        return hn_fail(
            err, HN_NO_MEMORY,
            "a batch uses one embedding table more than 2^32 times; use a smaller batch");
    hn_free(table->keys), hn_free(table->spare), hn_free(table->sources);
    table->keys = hn_alloc(entries, sizeof *table->keys);
    table->spare = hn_alloc(entries, sizeof *table->spare);
    table->sources = entries_are_rows(table) ? NULL : hn_alloc(entries, sizeof *table->sources);
    table->capacity = 0;
    if (!table->keys || !table->spare || (!table->sources && !entries_are_rows(table)))
        return hn_no_memory(err, "the batch's embedding entries");
    table->capacity = entries;
    return HN_OK;
}

static size_t count_entries(const hn_touch *touch, const touched *table, const hn_rows *rows) {
    size_t n = 0;
    for (int32_t k = 0; k < table->n_inputs; k++) {
        const hn_input *const input = table->inputs[k];
        if (input->kind == HN_INPUT_ID) {
            n += (size_t)rows->rows;
            continue;
        }
        for (int32_t r = 0; r < rows->rows; r++) {
            const uint32_t *const at =
                rows->list_begin + (size_t)r * (size_t)touch->layout->lists + input->slot;
            n += at[1] - at[0];
        }
    }
    return n;
}

hn_status hn_touch_reserve(hn_touch *touch, const hn_rows *rows, hn_error *err) {
    for (int32_t t = 0; t < touch->n_tables; t++) {
        touched *const table = &touch->tables[t];
        HN_TRY(make_room(table, count_entries(touch, table, rows), err));
    }
    return HN_OK;
}

/* ---- Life -------------------------------------------------------------------------------- */

static int32_t bits_of(uint64_t largest) {
    int32_t bits = 0;
    while (bits < 64 && largest >> bits) bits++;
    return bits;
}

static hn_status make_table(hn_touch *touch, int32_t t, const hn_config *config, int32_t batch,
                            hn_error *err) {
    const hn_layout *const layout = touch->layout;
    touched *const table = &touch->tables[t];
    const uint64_t rows = (uint64_t)layout->tables[t].rows *
                          (hn_plan_per_scenario(touch->plan) ? (uint64_t)layout->scenarios : 1);
    if (rows > (uint64_t)1 << 32)
        return hn_fail(err, HN_BAD_CONFIG,
                       "the embedding table \"%s\" has %llu rows (a copy for each scenario); at "
                       "most 2^32 can be "
                       "trained: raise min_count or set max_size",
                       layout->tables[t].name, (unsigned long long)rows);
    table->row_bits = rows > 1 ? bits_of(rows - 1) : 1;
    table->inputs = hn_alloc_zero((size_t)layout->n_inputs, sizeof *table->inputs);
    if (!table->inputs) return hn_no_memory(err, "the embedding inputs");
    for (int32_t i = 0; i < layout->n_inputs; i++)
        if (layout->inputs[i].kind != HN_INPUT_VALUE && layout->inputs[i].table == t)
            table->inputs[table->n_inputs++] = &layout->inputs[i];
    if ((size_t)layout->tables[t].width > touch->widest)
        touch->widest = (size_t)layout->tables[t].width;
    return make_room(table, (size_t)(batch * entries_of_row(layout, config, t)), err);
}

static hn_status fill(hn_touch *touch, const hn_config *config, int32_t batch, int32_t workers,
                      hn_error *err) {
    touch->tables = hn_alloc_zero((size_t)touch->layout->n_tables, sizeof *touch->tables);
    if (!touch->tables) return hn_no_memory(err, "the embedding entries");
    touch->n_tables = touch->layout->n_tables;
    for (int32_t t = 0; t < touch->n_tables; t++) HN_TRY(make_table(touch, t, config, batch, err));
    touch->widest = (touch->widest + 15) / 16 * 16; /* workers write to cache lines of their own */
    touch->sums = hn_alloc_zero((size_t)workers * touch->widest, sizeof *touch->sums);
    return touch->sums ? HN_OK : hn_no_memory(err, "the embedding gradients");
}

hn_status hn_touch_create(hn_touch **out, const hn_plan *plan, const hn_config *config,
                          int32_t batch, int32_t workers, hn_error *err) {
    *out = NULL;
    hn_touch *const touch = hn_alloc_zero(1, sizeof *touch);
    if (!touch) return hn_no_memory(err, "the embedding entries");
    touch->plan = plan;
    touch->layout = hn_plan_layout(plan);
    const hn_status status = fill(touch, config, batch, workers, err);
    if (status != HN_OK) {
        hn_touch_free(touch);
        return status;
    }
    *out = touch;
    return HN_OK;
}

void hn_touch_free(hn_touch *touch) {
    if (!touch) return;
    for (int32_t t = 0; t < touch->n_tables; t++) {
        touched *const table = &touch->tables[t];
        hn_free(table->inputs);
        hn_free(table->keys), hn_free(table->spare), hn_free(table->sources);
    }
    hn_free(touch->tables);
    hn_free(touch->sums);
    hn_free(touch);
}

/* ---- Collecting and sorting -------------------------------------------------------------- */

static void collect_ids(hn_touch *touch, touched *table, const hn_rows *rows) {
    const hn_input *const input = table->inputs[0];
    const uint32_t *id = rows->ids + input->slot;
    for (int32_t r = 0; r < rows->rows; r++, id += touch->layout->ids)
        table->keys[r] =
            hn_plan_table_row(touch->plan, input, *id, rows->scenario[r]) << 32 | (uint32_t)r;
    table->n = (size_t)rows->rows;
}

static void add_entry(const hn_touch *touch, touched *table, const hn_rows *rows, int32_t r,
                      int32_t k, uint32_t id) {
    const uint64_t row = hn_plan_table_row(touch->plan, table->inputs[k], id, rows->scenario[r]);
    table->keys[table->n] = row << 32 | table->n;
    table->sources[table->n++] = (source){(uint32_t)r, (uint32_t)k};
}

static void collect_all(const hn_touch *touch, touched *table, const hn_rows *rows) {
    table->n = 0;
    for (int32_t r = 0; r < rows->rows; r++) {
        for (int32_t k = 0; k < table->n_inputs; k++) {
            const hn_input *const input = table->inputs[k];
            if (input->kind == HN_INPUT_ID) {
                const size_t at = (size_t)r * (size_t)touch->layout->ids + (size_t)input->slot;
                add_entry(touch, table, rows, r, k, rows->ids[at]);
                continue;
            }
            const uint32_t *const at =
                rows->list_begin + (size_t)r * (size_t)touch->layout->lists + input->slot;
            for (uint32_t i = at[0]; i < at[1]; i++)
                add_entry(touch, table, rows, r, k, rows->list_ids[i]);
        }
    }
}

/* One stable pass by eight bits; false where all keys share them and nothing was moved. */
static bool radix_pass(const uint64_t *from, uint64_t *to, size_t n, int32_t shift) {
    uint32_t count[DIGITS] = {0};
    for (size_t i = 0; i < n; i++) count[from[i] >> shift & (DIGITS - 1)]++;
    if (count[from[0] >> shift & (DIGITS - 1)] == n) return false;
    for (uint32_t d = 0, sum = 0; d < DIGITS; d++) {
        const uint32_t here = count[d];
        count[d] = sum;
        sum += here;
    }
    for (size_t i = 0; i < n; i++) to[count[from[i] >> shift & (DIGITS - 1)]++] = from[i];
    return true;
}

void hn_touch_sort(hn_touch *touch, int32_t t, const hn_rows *rows) {
    touched *const table = &touch->tables[t];
    if (entries_are_rows(table))
        collect_ids(touch, table, rows);
    else
        collect_all(touch, table, rows);
    if (table->n == 0) return;
    for (int32_t shift = 32; shift < 32 + table->row_bits; shift += DIGIT_BITS) {
        if (!radix_pass(table->keys, table->spare, table->n, shift)) continue;
        uint64_t *const sorted = table->spare;
        table->spare = table->keys;
        table->keys = sorted;
    }
}

int64_t hn_touch_items(hn_touch *touch) {
    int64_t items = 0;
    for (int32_t t = 0; t < touch->n_tables; t++) {
        touch->tables[t].first_item = items;
        items += (int64_t)((touch->tables[t].n + ITEM_ENTRIES - 1) / ITEM_ENTRIES);
    }
    return items;
}

/* ---- Summing and updating ---------------------------------------------------------------- */

typedef struct update { /* what an item's work reads */
    const hn_touch *touch;
    const touched *table;
    int32_t t;
    const hn_rows *rows;
    const hn_real *dx;
} update;

static uint32_t row_of(const touched *table, uint64_t key) {
    const uint32_t entry = (uint32_t)key;
    return table->sources ? table->sources[entry].row : entry;
}

/* The weight of a list's element in the pooled embedding, as the embed op's. */
static hn_real weight_of(const update *u, const hn_input *input, uint32_t row) {
    if (input->kind != HN_INPUT_LIST || input->pooling != HN_POOL_MEAN) return 1;
    const uint32_t *const at =
        u->rows->list_begin + (size_t)row * (size_t)u->touch->layout->lists + input->slot;
    return 1 / (hn_real)(at[1] - at[0]);
}

static void add_gradient(const update *u, uint64_t key, hn_real *sum) {
    const touched *const table = u->table;
    const uint32_t row = row_of(table, key);
    const hn_input *const input =
        table->inputs[table->sources ? table->sources[(uint32_t)key].input : 0];
    const hn_real *const from =
        u->dx + (size_t)row * (size_t)u->touch->layout->width + input->column;
    const hn_real weight = weight_of(u, input, row);
    for (int32_t c = 0; c < input->width; c++) sum[c] += weight * from[c];
}

/* What the entry `i` will need is far away and in no order that a CPU foresees. */
static void prefetch(const update *u, size_t i, const hn_state *state, const hn_params *params) {
    const touched *const table = u->table;
    if (i >= table->n) return;
    const uint64_t key = table->keys[i], row = key >> 32;
    const size_t width = (size_t)params->tables[u->t].width, moments = (size_t)state->moments;
    const hn_input *const input = table->inputs[0];
    __builtin_prefetch(u->dx + (size_t)row_of(table, key) * (size_t)u->touch->layout->width +
                       input->column);
    __builtin_prefetch(params->tables[u->t].numbers + row * width, 1);
    for (size_t c = 0; c < width * moments; c += HN_ALIGN / sizeof(hn_real))
        __builtin_prefetch(state->tables[u->t] + row * width * moments + c, 1);
}

static const touched *table_of(const hn_touch *touch, int64_t item, int32_t *t) {
    *t = touch->n_tables - 1;
    while (touch->tables[*t].first_item > item) --*t;
    return &touch->tables[*t];
}

void hn_touch_update(hn_touch *touch, int64_t item, int32_t worker, const hn_rows *rows,
                     const hn_real *dx, const hn_rule *rule, hn_state *state, hn_params *params) {
    int32_t t;
    const touched *const table = table_of(touch, item, &t);
    const update u = {touch, table, t, rows, dx};
    hn_real *const sum = touch->sums + (size_t)worker * touch->widest;
    const size_t width = (size_t)params->tables[t].width;
    const size_t begin = (size_t)(item - table->first_item) * ITEM_ENTRIES;
    const size_t end = begin + ITEM_ENTRIES < table->n ? begin + ITEM_ENTRIES : table->n;
    size_t i = begin;
    /* The row that begins before this item is the item's before. */
    while (i > 0 && i < end && table->keys[i] >> 32 == table->keys[i - 1] >> 32) i++;
    while (i < end) {
        const uint64_t row = table->keys[i] >> 32;
        memset(sum, 0, width * sizeof *sum);
        for (; i < table->n && table->keys[i] >> 32 == row; i++) {
            prefetch(&u, i + AHEAD, state, params);
            add_gradient(&u, table->keys[i], sum);
        }
        hn_rule_row(rule, state, params, t, row, sum);
    }
}
