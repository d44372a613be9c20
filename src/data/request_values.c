/* What became of a request's rows: which columns nobody gave, and the numbers that a server
 * asks for by name. */
#include <math.h>
#include <string.h>

#include "data/request_fields.h"

/* ---- Missing columns ------------------------------------------------------------------------- */

static bool is_absent(const hn_source *source, const hn_slot *slot) {
    switch (source->kind) {
    case HN_SOURCE_HASH: return slot->hash == HN_HASH_MISSING;
    case HN_SOURCE_LIST: return slot->list.length == 0;
    case HN_SOURCE_NUMBER: break;
    }
    const bool counts = source->delimiter && source->delimiter[0];
    return counts ? slot->number == 0 : isnan(slot->number);
}

static const hn_source *source_of(const hn_request *r, const hn_request_column *field) {
    return &r->schema->sources.items[r->order[field->first]];
}

static bool lacks_log(const hn_request *r, const hn_source *source, int32_t row) {
    const size_t slots = (size_t)r->schema->sources.log_slots;
    return is_absent(source, &r->slots[(1 + (size_t)row) * slots + (size_t)source->slot]);
}

/* A table's own row is never called missing: its empty cells were so in training, too. */
static bool lacks_table(const hn_request *r, const hn_source *source, int32_t row) {
    const size_t t = (size_t)source->table, s = (size_t)source->slot,
                 slots = (size_t)r->schema->sources.table_slots[t],
                 k = (1 + (size_t)row) * slots + s;
    const hn_request_table *const over = &r->over[t];
    if (r->table_rows[(size_t)row * (size_t)r->config->n_tables + t] >= 0) return false;
    if (over->given[k]) return is_absent(source, &over->slots[k]);
    return !over->given[s] || is_absent(source, &over->slots[s]);
}

/* What training alone reads, as the column of a rate's folds, is never missed. */
static bool is_needed(const hn_request *r, const hn_request_column *field) {
    return field->uses > 0 && !source_of(r, field)->optional;
}

static bool any_without_row(const hn_request *r, int32_t table) {
    for (int32_t i = 0; i < r->rows; i++)
        if (r->table_rows[i * r->config->n_tables + table] < 0) return true;
    return false;
}

static bool lacks(const hn_request *r, const hn_request_column *field, int32_t row) {
    const hn_source *const source = source_of(r, field);
    return field->table < 0 ? lacks_log(r, source, row) : lacks_table(r, source, row);
}

/* What all rows lack of the user or the context is nothing that an item lacks. */
static bool count_field(hn_request *r, const hn_request_column *field) {
    if (field->shared_side && !r->varied) return lacks(r, field, 0);
    int32_t n = 0;
    for (int32_t i = 0; i < r->rows; i++) n += lacks(r, field, i);
    if (n == 0 || (n == r->rows && field->shared_side)) return n > 0;
    for (int32_t i = 0; i < r->rows; i++) r->row_missing[i] += lacks(r, field, i);
    return true;
}

hn_status hn_request_count_missing(hn_request *r, hn_error *err) {
    const size_t n = (size_t)r->rows;
    r->missing = 0;
    HN_TRY(hn_grow(&r->row_missing, &r->row_missing_capacity, n + 1, sizeof *r->row_missing, err));
    memset(r->row_missing, 0, (n + 1) * sizeof *r->row_missing);
    if (n == 0) return HN_OK;
    for (int32_t t = -1; t < r->config->n_tables; t++) {
        if (t >= 0 && !any_without_row(r, t)) continue;
        for (int32_t f = 0; f < r->n_fields; f++) {
            const hn_request_column *const field = &r->fields[f];
            if (field->table != t || !is_needed(r, field)) continue;
            r->missing += count_field(r, field);
        }
    }
    return HN_OK;
}

uint16_t hn_request_row_scenario(const hn_request *r, int32_t row) { return r->scenario[row]; }
int32_t hn_request_missing(const hn_request *r) { return r->missing; }
int32_t hn_request_row_missing(const hn_request *r, int32_t row) { return r->row_missing[row]; }

bool hn_request_is_read(const hn_request *r, int32_t field) { return r->fields[field].uses > 0; }

bool hn_request_takes_text(const hn_request *r, int32_t field) {
    const hn_request_column *const f = &r->fields[field];
    for (int32_t u = 0; u < f->uses; u++)
        if (r->schema->sources.items[r->order[f->first + u]].kind != HN_SOURCE_NUMBER) return true;
    for (int32_t t = 0; t < r->config->n_tables; t++)
        if (r->key_field[t] == field) return true;
    return f->uses == 0 || field == r->scenario_field;
}

/* ---- Numbers ------------------------------------------------------------------------------- */

static bool find_feature(hn_request_number *out, const hn_request *r, const char *name) {
    for (int32_t c = 0; c < r->schema->n_columns; c++) {
        const hn_column *const column = &r->schema->columns[c];
        if (column->rate >= 0 || column->from.kind != HN_SOURCE_NUMBER ||
            strcmp(column->feature->name, name) != 0)
            continue;
        *out = (hn_request_number){column->from.table, column->from.slot, column->missing_number};
        return true;
    }
    return false;
}

bool hn_request_number_find(hn_request_number *out, const hn_request *r, const char *name) {
    if (find_feature(out, r, name)) return true;
    const int32_t f = hn_request_field(r, name, strlen(name));
    for (int32_t u = 0; f >= 0 && u < r->fields[f].uses; u++) {
        const hn_source *const source = &r->schema->sources.items[r->order[r->fields[f].first + u]];
        const bool counts = source->delimiter && source->delimiter[0];
        if (source->kind != HN_SOURCE_NUMBER || counts) continue;
        *out = (hn_request_number){source->table, source->slot, NAN};
        return true;
    }
    return false;
}

double hn_request_number_of(const hn_request *r, const hn_request_number *number, int32_t row) {
    const size_t slot = (size_t)number->slot;
    double found = NAN;
    if (number->table < 0) {
        const size_t slots = (size_t)r->schema->sources.log_slots;
        found = r->slots[(1 + (size_t)row) * slots + slot].number;
    } else {
        const hn_side_table *const table = &r->items[number->table];
        const int32_t at = r->table_rows[row * r->config->n_tables + number->table];
        if (at >= 0) found = table->slot[(size_t)at * (size_t)table->slots + slot].number;
    }
    return isnan(found) ? number->missing : found;
}
