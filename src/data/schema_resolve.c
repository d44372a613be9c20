/* Which file a column name of the config belongs to: "table.column" and "log.column" say
 * it, a plain name is looked for in the headers of the log and of the tables and must be
 * in one of them only. The key that joins a table is always the log's. */
#include <stdio.h>
#include <string.h>

#include "data/schema_types.h"

static hn_status columns_of(const hn_strings **out, hn_schema *schema, int32_t table,
                            hn_error *err) {
    hn_strings **const slot = &schema->peeked[1 + table];
    if (!*slot) {
        hn_strings *const columns = hn_arena_alloc(&schema->arena, 1, sizeof *columns);
        if (!columns) return hn_no_memory(err, "column names");
        HN_TRY(hn_columns_peek(columns, &schema->arena, schema->config, table, err));
        *slot = columns;
    }
    *out = *slot;
    return HN_OK;
}

static bool contains(const hn_strings *strings, const char *name) {
    for (int32_t i = 0; i < strings->n; i++)
        if (strcmp(strings->items[i], name) == 0) return true;
    return false;
}

static bool is_log_key(const hn_config *config, const char *name) {
    for (int32_t t = 0; t < config->n_tables; t++)
        if (strcmp(config->tables[t].log_key, name) == 0) return true;
    return false;
}

static const char *file_name(const hn_config *config, int32_t table) {
    return table < 0 ? "log" : config->tables[table].name;
}

/* ---- Names that say their file --------------------------------------------------- */

/* The table named before the dot and the column after it; false where no table is. */
static bool split_name(int32_t *table, const char **column, const hn_config *config,
                       const char *written) {
    const char *const dot = strchr(written, '.');
    if (!dot) return false;
    const size_t length = (size_t)(dot - written);
    *column = dot + 1;
    for (*table = 0; *table < config->n_tables; ++*table) {
        const char *const name = config->tables[*table].name;
        if (strlen(name) == length && strncmp(name, written, length) == 0) return true;
    }
    *table = -1;
    return length == 3 && strncmp(written, "log", 3) == 0;
}

static hn_status not_there(const hn_strings *columns, const char *column, int32_t table,
                           const hn_schema *schema, const char *what, hn_error *err) {
    const char *const near =
        hn_did_you_mean(column, (const char *const *)columns->items, (size_t)columns->n);
    return hn_fail(err, HN_BAD_CONFIG, "%s: found no column \"%s\" in %s%s%s%s%s", what, column,
                   table < 0 ? "the log" : "table ",
                   table < 0 ? "" : file_name(schema->config, table),
                   near ? "; did you mean \"" : "", near ? near : "",
                   near ? "\"?" : "; name one of its columns");
}

static hn_status check_there(hn_schema *schema, int32_t table, const char *column, const char *what,
                             hn_error *err) {
    const hn_strings *columns;
    if (column[0] == '$' && table < 0) return HN_OK;
    HN_TRY(columns_of(&columns, schema, table, err));
    if (columns->n == 0 || contains(columns, column)) return HN_OK;
    return not_there(columns, column, table, schema, what, err);
}

/* ---- Plain names ----------------------------------------------------------------- */

static hn_status ambiguous(const hn_schema *schema, int32_t a, int32_t b, const char *name,
                           const char *what, hn_error *err) {
    const char *const one = file_name(schema->config, a), *const two = file_name(schema->config, b);
    return hn_fail(err, HN_BAD_CONFIG,
                   "%s: column \"%s\" is in %s and in %s; write \"%s.%s\" or \"%s.%s\"", what, name,
                   one, two, one, name, two, name);
}

static hn_status nowhere(hn_schema *schema, const char *name, const char *what, hn_error *err) {
    const char *near = NULL;
    int32_t table = -1;
    for (; table < schema->config->n_tables && !near; table++) {
        const hn_strings *columns;
        HN_TRY(columns_of(&columns, schema, table, err));
        near = hn_did_you_mean(name, (const char *const *)columns->items, (size_t)columns->n);
    }
    if (!near)
        return hn_fail(
            err, HN_BAD_CONFIG,
            "%s: found no column \"%s\" in the log or a table; name one of their columns", what,
            name);
    return hn_fail(err, HN_BAD_CONFIG,
                   "%s: found no column \"%s\" in the log or a table; did you mean \"%s\" of %s?",
                   what, name, near, file_name(schema->config, table - 1));
}

static hn_status find_plain(int32_t *table, hn_schema *schema, const char *name, const char *what,
                            hn_error *err) {
    const hn_strings *columns;
    *table = -1;
    if (name[0] == '$' || is_log_key(schema->config, name)) return HN_OK;
    HN_TRY(columns_of(&columns, schema, -1, err));
    const bool log_known = columns->n > 0, in_log = log_known && contains(columns, name);
    bool found = in_log;
    for (int32_t t = 0; t < schema->config->n_tables; t++) {
        HN_TRY(columns_of(&columns, schema, t, err));
        if (!contains(columns, name)) continue;
        if (found) return ambiguous(schema, *table, t, name, what, err);
        found = true;
        *table = t;
    }
    return found || !log_known ? HN_OK : nowhere(schema, name, what, err);
}

/* ---- The interface --------------------------------------------------------------- */

static hn_status add_resolved(const hn_resolved **out, hn_schema *schema, const char *written,
                              int32_t table, const char *column, hn_error *err) {
    HN_TRY(hn_grow(&schema->resolved, &schema->resolved_capacity, schema->n_resolved + 1,
                   sizeof *schema->resolved, err));
    hn_resolved *const resolved = &schema->resolved[schema->n_resolved];
    resolved->written = hn_arena_strdup(&schema->arena, written);
    resolved->column = hn_arena_strdup(&schema->arena, column);
    resolved->table = table;
    if (!resolved->written || !resolved->column) return hn_no_memory(err, "column names");
    schema->n_resolved++;
    *out = resolved;
    return HN_OK;
}

hn_status hn_schema_resolve(const hn_resolved **out, hn_schema *schema, const char *written,
                            const char *what, hn_error *err) {
    for (size_t i = 0; i < schema->n_resolved; i++) {
        *out = &schema->resolved[i];
        if (strcmp((*out)->written, written) == 0) return HN_OK;
    }
    *out = NULL;
    if (schema->frozen)
        return hn_fail(err, HN_BAD_DATA,
                       "%s: the schema does not say where column \"%s\" is; "
                       "it was made for another config",
                       what, written);
    int32_t table;
    const char *column;
    if (split_name(&table, &column, schema->config, written)) {
        HN_TRY(check_there(schema, table, column, what, err));
    } else {
        column = written;
        HN_TRY(find_plain(&table, schema, written, what, err));
    }
    return add_resolved(out, schema, written, table, column, err);
}
