/* The names of a request's fields: every column that features, tables' keys or the config
 * itself read, found by "column" where that is clear and by "table.column" always. */
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "data/request_fields.h"

static int32_t find_column(const hn_request *r, int32_t table, const char *column) {
    for (int32_t f = 0; f < r->n_fields; f++)
        if (r->fields[f].table == table && strcmp(r->fields[f].column, column) == 0) return f;
    return HN_FIELD_UNKNOWN;
}

static int32_t add_column(hn_request *r, int32_t table, const char *column) {
    const int32_t found = find_column(r, table, column);
    if (found >= 0) return found;
    hn_request_column *const f = &r->fields[r->n_fields];
    *f = (hn_request_column){.column = column, .shown = column, .table = table};
    f->missing = table < 0 ? &r->config->log.missing : &r->config->tables[table].source.missing;
    return r->n_fields++;
}

static uint32_t slot_of(const hn_request *r, const char *text, size_t n) {
    uint32_t at = (uint32_t)XXH3_64bits(text, n) & r->names_mask;
    while (r->names[at].text && (strncmp(r->names[at].text, text, n) != 0 || r->names[at].text[n]))
        at = (at + 1) & r->names_mask;
    return at;
}

int32_t hn_request_field(const hn_request *request, const char *name, size_t n) {
    const hn_request_name *const found = &request->names[slot_of(request, name, n)];
    return found->text ? found->field : HN_FIELD_UNKNOWN;
}

static bool is_log_key(const hn_request *r, const char *column) {
    for (int32_t t = 0; t < r->config->n_tables; t++)
        if (strcmp(r->config->tables[t].log_key, column) == 0) return true;
    return false;
}

/* A plain name in two files is nobody's, but a log_key is always the log's. */
static void add_plain(hn_request *r, int32_t f) {
    const hn_request_column *const field = &r->fields[f];
    hn_request_name *const at = &r->names[slot_of(r, field->column, strlen(field->column))];
    const bool key = is_log_key(r, field->column);
    if (at->text && !(key && field->table < 0)) {
        if (!key) at->field = HN_FIELD_AMBIGUOUS;
        return;
    }
    *at = (hn_request_name){field->column, f};
}

static hn_status add_full(hn_request *r, int32_t f, hn_error *err) {
    hn_request_column *const field = &r->fields[f];
    const char *const file = field->table < 0 ? "log" : r->config->tables[field->table].name;
    const size_t n = strlen(file) + strlen(field->column) + 2;
    char *const text = hn_arena_alloc(&r->arena, n, 1);
    if (!text) return hn_no_memory(err, "the names of a request");
    snprintf(text, n, "%s.%s", file, field->column);
    if (field->table >= 0) field->shown = text;
    hn_request_name *const at = &r->names[slot_of(r, text, n - 1)];
    if (!at->text) *at = (hn_request_name){text, f};
    return HN_OK;
}

/* "table.column", "log.column" or a column of the log. */
static int32_t add_written(hn_request *r, const char *written) {
    if (!written) return HN_FIELD_UNKNOWN;
    for (int32_t t = 0; t < r->config->n_tables; t++) {
        const size_t n = strlen(r->config->tables[t].name);
        if (strncmp(written, r->config->tables[t].name, n) == 0 && written[n] == '.')
            return add_column(r, t, written + n + 1);
    }
    return add_column(r, -1, strncmp(written, "log.", 4) == 0 ? written + 4 : written);
}

static void mark_shared(hn_request *r, const hn_reference *from) {
    for (int32_t f = 0; f < r->n_fields; f++)
        for (int32_t u = 0; u < r->fields[f].uses && r->fields[f].table == from->table; u++)
            if (r->schema->sources.items[r->order[r->fields[f].first + u]].slot == from->slot)
                r->fields[f].shared_side = true;
}

static void mark_sides(hn_request *r) {
    for (int32_t c = 0; c < r->schema->n_columns; c++) {
        const hn_column *const column = &r->schema->columns[c];
        if (column->side == HN_SIDE_ITEM) continue;
        if (column->rate < 0) mark_shared(r, &column->from);
        for (int32_t k = 0; column->rate >= 0 && k < r->schema->rates[column->rate].n_keys; k++)
            mark_shared(r, &r->schema->rates[column->rate].keys[k]);
        const hn_rate *const rate = column->rate >= 0 ? &r->schema->rates[column->rate] : NULL;
        for (int32_t t = 0; t < r->config->n_tables; t++) {
            bool reads = column->rate < 0 && column->from.table == t;
            for (int32_t k = 0; rate && k < rate->n_keys; k++) reads |= rate->keys[k].table == t;
            if (reads) r->fields[r->key_field[t]].shared_side = true;
        }
    }
}

static void order_sources(hn_request *r) {
    const hn_sources *const sources = &r->schema->sources;
    int32_t n = 0;
    for (int32_t f = 0; f < r->n_fields; f++) {
        r->fields[f].first = n;
        for (int32_t s = 0; s < sources->n; s++)
            if (sources->items[s].table == r->fields[f].table &&
                strcmp(sources->items[s].column, r->fields[f].column) == 0)
                r->order[n++] = s;
        r->fields[f].uses = n - r->fields[f].first;
    }
}

/* The id of a side: the log_key of its table, the config's user, else the only hashed
 * column of the log on that side. */
static int32_t find_id(const hn_request *r, hn_side side, int32_t user) {
    for (int32_t t = 0; t < r->config->n_tables; t++)
        if (r->config->tables[t].side == side) return r->key_field[t];
    if (side == HN_SIDE_USER && user >= 0) return user;
    int32_t found = HN_FIELD_UNKNOWN;
    for (int32_t c = 0; c < r->schema->n_columns; c++) {
        const hn_column *const column = &r->schema->columns[c];
        if (column->side != side || column->kind != HN_COLUMN_ID || column->from.table >= 0)
            continue;
        for (int32_t f = 0; f < r->n_fields; f++)
            for (int32_t u = 0; u < r->fields[f].uses && r->fields[f].table < 0; u++)
                if (r->schema->sources.items[r->order[r->fields[f].first + u]].slot ==
                    column->from.slot) {
                    if (found >= 0 && found != f) return HN_FIELD_UNKNOWN;
                    found = f;
                }
    }
    return found;
}

hn_status hn_request_name_fields(hn_request *r, hn_error *err) {
    const hn_sources *const sources = &r->schema->sources;
    const size_t tables = (size_t)r->config->n_tables;
    const size_t most = (size_t)sources->n + tables + 2;
    uint32_t size = 16;
    while (size < 4 * most) size *= 2;
    r->names_mask = size - 1;
    r->names = hn_arena_alloc(&r->arena, size, sizeof *r->names);
    r->fields = hn_arena_alloc(&r->arena, most, sizeof *r->fields);
    r->order = hn_arena_alloc(&r->arena, (size_t)sources->n + 1, sizeof *r->order);
    r->key_field = hn_arena_alloc(&r->arena, tables + 1, sizeof *r->key_field);
    if (!r->names || !r->fields || !r->order || !r->key_field)
        return hn_no_memory(err, "the names of a request");
    for (int32_t s = 0; s < sources->n; s++)
        add_column(r, sources->items[s].table, sources->items[s].column);
    for (int32_t t = 0; t < r->config->n_tables; t++)
        r->key_field[t] = add_column(r, -1, r->config->tables[t].log_key);
    const int32_t user = add_written(r, r->config->user_column);
    r->scenario_field = add_written(r, r->config->scenario.column);
    r->scenario_table = r->scenario_field >= 0 ? r->fields[r->scenario_field].table : -1;
    order_sources(r);
    for (int32_t f = 0; f < r->n_fields; f++) add_plain(r, f);
    for (int32_t f = 0; f < r->n_fields; f++) HN_TRY(add_full(r, f, err));
    mark_sides(r);
    r->id_field[HN_SIDE_USER] = find_id(r, HN_SIDE_USER, user);
    r->id_field[HN_SIDE_ITEM] = find_id(r, HN_SIDE_ITEM, user);
    r->id_field[HN_SIDE_CONTEXT] = HN_FIELD_UNKNOWN;
    return HN_OK;
}
