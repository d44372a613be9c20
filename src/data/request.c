/* Rows of a request (request.h). Cells are kept as slots at once; a table row with cells of
 * its own is merged when all is known, and encoded like any table row. */
#include "data/request.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "data/request_fields.h"
#include "data/show.h"

enum { GIVEN = 1, FILLED = 2 }; /* hn_request_table.given */

/* ---- Life --------------------------------------------------------------------------- */

void hn_request_free(hn_request *r) {
    if (!r) return;
    for (int32_t t = 0; r->over && t < r->config->n_tables; t++) {
        hn_free(r->over[t].slots);
        hn_free(r->over[t].given);
        hn_free(r->over[t].merged);
        hn_free(r->over[t].lists);
    }
    hn_free(r->slots);
    hn_free(r->keys);
    hn_free(r->table_rows);
    hn_free(r->row_missing);
    hn_free(r->scenario);
    hn_free(r->lists);
    hn_refs_free(&r->refs);
    hn_arena_free(&r->arena);
    hn_free(r);
}

static hn_status prepare(hn_request *r, hn_error *err) {
    HN_TRY(hn_refs_create(&r->refs, r->config, err));
    HN_TRY(hn_request_name_fields(r, err));
    const size_t tables = (size_t)r->config->n_tables + 1;
    r->given = hn_arena_alloc(&r->arena, (size_t)r->n_fields + 1, 1);
    r->items = hn_arena_alloc(&r->arena, tables, sizeof *r->items);
    r->over = hn_arena_alloc(&r->arena, tables, sizeof *r->over);
    if (!r->given || !r->items || !r->over) return hn_no_memory(err, "a request's rows");
    for (int32_t t = 0; t < r->config->n_tables; t++) {
        r->over[t].absent = hn_arena_alloc(&r->arena, (size_t)r->schema->sources.table_slots[t] + 1,
                                           sizeof(hn_slot));
        if (!r->over[t].absent) return hn_no_memory(err, "a request's rows");
        hn_encode_absent(r->over[t].absent, r->schema, 1 + t);
    }
    return hn_request_rows(r, 0, 0, err);
}

hn_status hn_request_create(hn_request **out, const hn_config *config, const hn_schema *schema,
                            const hn_side_tables *tables, hn_error *err) {
    *out = NULL;
    hn_request *const r = hn_alloc_zero(1, sizeof *r);
    if (!r) return hn_no_memory(err, "a request");
    r->config = config;
    r->schema = schema;
    r->tables = tables;
    const hn_status status = prepare(r, err);
    if (status != HN_OK)
        hn_request_free(r);
    else
        hn_request_begin(*out = r);
    return status;
}

/* ---- Questions -------------------------------------------------------------------------- */

int32_t hn_request_fields(const hn_request *r) { return r->n_fields; }
const char *hn_request_field_name(const hn_request *r, int32_t field) {
    return r->fields[field].shown;
}
const char *hn_request_field_column(const hn_request *r, int32_t field) {
    return r->fields[field].column;
}
int32_t hn_request_field_table(const hn_request *r, int32_t field) {
    return r->fields[field].table;
}
int32_t hn_request_key_field(const hn_request *r, int32_t table) { return r->key_field[table]; }
int32_t hn_request_id_field(const hn_request *r, hn_side side) { return r->id_field[side]; }
int32_t hn_request_scenario_field(const hn_request *r) { return r->scenario_field; }

const char *hn_request_delimiter(const hn_request *r, int32_t field) {
    const hn_request_column *const f = &r->fields[field];
    for (int32_t u = 0; u < f->uses; u++) {
        const char *const delimiter = r->schema->sources.items[r->order[f->first + u]].delimiter;
        if (delimiter) return delimiter;
    }
    return NULL;
}

uint16_t hn_request_scenario(const hn_request *r, const char *text, size_t n, const char **cell) {
    const hn_config_scenario *const s = &r->config->scenario;
    *cell = NULL;
    const uint16_t found = (uint16_t)hn_ref_read(&r->refs, HN_REF_SCENARIO_AT, text, n);
    if (s->column && found != HN_SCENARIO_UNKNOWN) {
        *cell = text;
        return found;
    }
    for (int32_t m = 0; m < s->names.n; m++) {
        if (!text || strlen(s->names.items[m]) != n || memcmp(s->names.items[m], text, n) != 0)
            continue;
        if (s->values && s->values[m].n > 0) *cell = s->values[m].items[0];
        return (uint16_t)m;
    }
    if (!s->column) return 0;
    *cell = text;
    return s->fold_into >= 0 ? (uint16_t)s->fold_into : HN_SCENARIO_UNKNOWN;
}

/* ---- Cells ------------------------------------------------------------------------------ */

void hn_request_begin(hn_request *r) {
    r->rows = 0;
    r->varied = false;
    r->n_lists = 0;
    r->missing = 0;
    memset(r->given, 0, (size_t)r->n_fields);
    hn_encode_absent(r->slots, r->schema, 0);
    for (int32_t s = 0; s < r->schema->sources.n; s++) { /* an empty cell has no values to count */
        const hn_source *const source = &r->schema->sources.items[s];
        const bool counts =
            source->kind == HN_SOURCE_NUMBER && source->delimiter && source->delimiter[0];
        if (source->table < 0 && counts) r->slots[source->slot].number = 0;
    }
    for (int32_t t = 0; t < r->config->n_tables; t++) {
        r->keys[t] = HN_HASH_MISSING;
        r->over[t].used = false;
        r->over[t].n_lists = 0;
        memset(r->over[t].given, 0, (size_t)r->schema->sources.table_slots[t]);
    }
}

static bool is_missing(const hn_strings *missing, const char *text, size_t n) {
    if (!text || n == 0) return true;
    for (int32_t i = 0; i < missing->n; i++)
        if (strlen(missing->items[i]) == n && memcmp(missing->items[i], text, n) == 0) return true;
    return false;
}

typedef struct list_memory {
    uint64_t **items;
    size_t *n, *capacity;
} list_memory;

/* Calls for each value that is not empty, as parse.c does; the number of values. */
static hn_status put_values(const list_memory *to, uint32_t *length, const hn_source *source,
                            const char *text, size_t n, hn_error *err) {
    const char *const end = text + n;
    const size_t delimiter_n = source->delimiter ? strlen(source->delimiter) : 0;
    const bool hashed = source->kind == HN_SOURCE_LIST;
    *length = 0;
    while (text <= end && (!hashed || *length < (uint32_t)source->max_length)) {
        const char *const found =
            delimiter_n > 0 ? memmem(text, (size_t)(end - text), source->delimiter, delimiter_n)
                            : NULL;
        const char *const stop = found ? found : end;
        if (stop > text) {
            if (hashed) {
                HN_TRY(hn_grow(to->items, to->capacity, *to->n + 1, sizeof **to->items, err));
                (*to->items)[(*to->n)++] = hn_cell_hash(text, (size_t)(stop - text));
            }
            ++*length;
        }
        if (stop == end) break;
        text = stop + delimiter_n;
    }
    return HN_OK;
}

static hn_status put(hn_slot *slot, const list_memory *lists, const hn_source *source,
                     const char *text, size_t n, bool missing, hn_error *err) {
    memset(slot, 0, sizeof *slot);
    const bool counted =
        source->kind == HN_SOURCE_NUMBER && source->delimiter && source->delimiter[0];
    if (missing) {
        if (source->kind == HN_SOURCE_NUMBER && !counted) slot->number = NAN;
        return HN_OK;
    }
    uint32_t length;
    const size_t begin = *lists->n;
    if (source->kind == HN_SOURCE_HASH) {
        slot->hash = hn_cell_hash(text, n);
    } else if (source->kind == HN_SOURCE_LIST || counted) {
        HN_TRY(put_values(lists, &length, source, text, n, err));
        if (counted)
            slot->number = length;
        else
            slot->list.begin = (uint32_t)begin, slot->list.length = length;
    } else if (!hn_cell_number(&slot->number, text, n)) {
        char shown[HN_SHOW_BYTES];
        return hn_fail(err, HN_BAD_DATA, "found \"%s\"; expected a number (or null)",
                       hn_show(shown, text, n));
    }
    return HN_OK;
}

hn_status hn_request_set(hn_request *r, int32_t row, int32_t field, const char *text, size_t n,
                         hn_error *err) {
    const hn_request_column *const f = &r->fields[field];
    const size_t at = row < 0 ? 0 : 1 + (size_t)row, tables = (size_t)r->config->n_tables;
    const bool missing = is_missing(f->missing, text, n);
    const size_t slots = (size_t)(f->table < 0 ? r->schema->sources.log_slots
                                               : r->schema->sources.table_slots[f->table]);
    hn_request_table *const over = f->table < 0 ? NULL : &r->over[f->table];
    const list_memory lists =
        over ? (list_memory){&over->lists, &over->n_lists, &over->lists_capacity}
             : (list_memory){&r->lists, &r->n_lists, &r->lists_capacity};
    hn_slot *const to = (over ? over->slots : r->slots) + at * slots;
    for (int32_t u = 0; u < f->uses; u++) {
        const hn_source *const source = &r->schema->sources.items[r->order[f->first + u]];
        HN_TRY(put(&to[source->slot], &lists, source, text, n, missing, err));
        if (over) over->given[at * slots + (size_t)source->slot] = GIVEN, over->used = true;
    }
    for (size_t t = 0; t < tables && !over; t++)
        if (r->key_field[t] == field)
            r->keys[at * tables + t] = missing ? HN_HASH_MISSING : hn_cell_hash(text, n);
    r->given[field] |= !missing;
    r->varied |= row >= 0 && f->shared_side;
    return HN_OK;
}

hn_status hn_request_fill(hn_request *r, int32_t row, int32_t field, const char *text, size_t n,
                          hn_error *err) {
    const hn_request_column *const f = &r->fields[field];
    hn_request_table *const over = &r->over[f->table];
    const size_t at = row < 0 ? 0 : 1 + (size_t)row,
                 slots = (size_t)r->schema->sources.table_slots[f->table];
    const list_memory lists = {&over->lists, &over->n_lists, &over->lists_capacity};
    const bool missing = is_missing(f->missing, text, n);
    for (int32_t u = 0; u < f->uses; u++) {
        const hn_source *const source = &r->schema->sources.items[r->order[f->first + u]];
        const size_t s = (size_t)source->slot, k = at * slots + s;
        hn_slot *const to = &over->slots[k];
        if (over->given[k] == GIVEN || over->given[s] == GIVEN) return HN_OK;
        const hn_status status = put(to, &lists, source, text, n, missing, NULL);
        if (status == HN_NO_MEMORY) return hn_no_memory(err, "a request's cells");
        if (status != HN_OK) to->number = NAN;
        over->given[k] = FILLED;
        over->used = true;
    }
    r->given[field] |= !missing;
    return HN_OK;
}

bool hn_request_filled(const hn_request *r, int32_t row, int32_t field) {
    const hn_request_column *const f = &r->fields[field];
    if (f->table < 0 || f->uses == 0) return false;
    const size_t at = row < 0 ? 0 : 1 + (size_t)row,
                 slots = (size_t)r->schema->sources.table_slots[f->table];
    const int32_t slot = r->schema->sources.items[r->order[f->first]].slot;
    return r->over[f->table].given[at * slots + (size_t)slot] == FILLED;
}

/* ---- Rows ------------------------------------------------------------------------------- */

hn_status hn_request_rows(hn_request *r, int32_t rows, uint16_t scenario, hn_error *err) {
    const size_t n = (size_t)rows + 1, tables = (size_t)r->config->n_tables;
    const size_t log = (size_t)r->schema->sources.log_slots;
    HN_TRY(hn_grow(&r->slots, &r->slots_capacity, n * log + 1, sizeof *r->slots, err));
    HN_TRY(hn_grow(&r->keys, &r->keys_capacity, n * tables + 1, sizeof *r->keys, err));
    HN_TRY(hn_grow(&r->table_rows, &r->table_rows_capacity, n * tables + 1, sizeof *r->table_rows,
                   err));
    HN_TRY(hn_grow(&r->scenario, &r->scenario_capacity, n, sizeof *r->scenario, err));
    for (size_t t = 0; t < tables; t++) {
        hn_request_table *const over = &r->over[t];
        const size_t slots = (size_t)r->schema->sources.table_slots[t];
        HN_TRY(
            hn_grow(&over->slots, &over->slots_capacity, n * slots + 1, sizeof *over->slots, err));
        HN_TRY(hn_grow(&over->given, &over->given_capacity, n * slots + 1, 1, err));
        memset(over->given + slots, 0, (n - 1) * slots);
    }
    for (size_t i = 0; i + 1 < n; i++) {
        if (log > 0) memcpy(r->slots + (1 + i) * log, r->slots, log * sizeof *r->slots);
        if (tables > 0) memcpy(r->keys + (1 + i) * tables, r->keys, tables * sizeof *r->keys);
        r->scenario[i] = scenario;
    }
    r->rows = rows;
    return HN_OK;
}

void hn_request_set_scenario(hn_request *r, int32_t row, uint16_t scenario) {
    r->scenario[row] = scenario;
}

static void join(hn_request *r) {
    const size_t tables = (size_t)r->config->n_tables;
    for (size_t i = 0; i < (size_t)r->rows; i++)
        for (size_t t = 0; t < tables; t++)
            r->table_rows[i * tables + t] =
                hn_side_table_find(&r->tables->items[t], r->keys[(1 + i) * tables + t]);
}

void hn_request_join_scenario(hn_request *r) {
    if (r->scenario_table < 0) return;
    join(r);
    const hn_side_table *const table = &r->tables->items[r->scenario_table];
    const uint64_t *const refs =
        table->n_refs > HN_REF_SCENARIO_AT ? table->refs[HN_REF_SCENARIO_AT] : NULL;
    for (int32_t i = 0; i < r->rows; i++) {
        const int32_t row = r->table_rows[i * r->config->n_tables + r->scenario_table];
        uint16_t found =
            (uint16_t)(row < 0 || !refs ? hn_ref_default(&r->refs, HN_REF_SCENARIO_AT) : refs[row]);
        if (found == HN_SCENARIO_UNKNOWN && r->config->scenario.fold_into >= 0)
            found = (uint16_t)r->config->scenario.fold_into;
        r->scenario[i] = found;
    }
}

/* One slot of a merged row: given for the row, given for all, or the table's own. */
static hn_status merge_slot(hn_slot *out, hn_request_table *over, const hn_side_table *table,
                            size_t row, size_t slots, size_t s, int32_t at, bool list,
                            hn_error *err) {
    for (size_t k = (1 + row) * slots + s;; k = s) {
        if (over->given[k]) {
            *out = over->slots[k];
            return HN_OK;
        }
        if (k == s) break;
    }
    *out = at < 0 ? over->absent[s] : table->slot[(size_t)at * slots + s];
    if (!list || out->list.length == 0) return HN_OK;
    const size_t n = out->list.length, begin = over->n_lists;
    HN_TRY(hn_grow(&over->lists, &over->lists_capacity, begin + n, sizeof *over->lists, err));
    memcpy(over->lists + begin, table->lists + out->list.begin, n * sizeof *over->lists);
    over->n_lists += n;
    out->list.begin = (uint32_t)begin;
    return HN_OK;
}

/* Table t with a row for each of ours. */
static hn_status merge(hn_request *r, int32_t t, hn_error *err) {
    hn_request_table *const over = &r->over[t];
    const hn_side_table *const table = &r->tables->items[t];
    const size_t slots = (size_t)table->slots, tables = (size_t)r->config->n_tables;
    HN_TRY(hn_grow(&over->merged, &over->merged_capacity, (size_t)r->rows * slots + 1,
                   sizeof *over->merged, err));
    for (size_t i = 0; i < (size_t)r->rows; i++) {
        int32_t *const at = &r->table_rows[i * tables + (size_t)t];
        for (size_t s = 0; s < slots; s++)
            HN_TRY(merge_slot(&over->merged[i * slots + s], over, table, i, slots, s, *at,
                              table->kinds[s] == HN_SOURCE_LIST, err));
        *at = (int32_t)i;
    }
    r->items[t].rows = (uint32_t)r->rows;
    r->items[t].slot = over->merged;
    r->items[t].lists = over->lists;
    r->items[t].n_lists = over->n_lists;
    return HN_OK;
}

hn_status hn_request_encode(hn_encoded *out, bool *uniform, hn_request *r, hn_error *err) {
    bool given = false;
    join(r);
    HN_TRY(hn_request_count_missing(r, err));
    for (int32_t t = 0; t < r->config->n_tables; t++) {
        r->items[t] = r->tables->items[t];
        if (r->over[t].used) HN_TRY(merge(r, t, err));
        given |= r->over[t].used;
    }
    r->overlay = (hn_side_tables){.items = r->items, .n = r->config->n_tables};
    const hn_impressions block = {.rows = r->rows,
                                  .log_slots = r->schema->sources.log_slots,
                                  .tables = r->config->n_tables,
                                  .tasks = r->config->n_tasks,
                                  .slots = r->slots + r->schema->sources.log_slots,
                                  .table_rows = r->table_rows,
                                  .lists = r->lists,
                                  .n_lists = r->n_lists,
                                  .scenario = r->scenario};
    *uniform = !r->varied;
    return hn_schema_encode(out, r->schema, given ? &r->overlay : r->tables, &block, false, err);
}
