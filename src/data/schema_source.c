/* The sources of a schema: each (column, form) that features, rates and folds ask for is
 * digested once, whoever asks, and has a slot in the rows of its file. */
#include <string.h>

#include "data/schema_types.h"

static bool same_source(const hn_source *source, const hn_resolved *column,
                        const hn_source_want *want) {
    if (source->table != column->table || source->kind != want->kind) return false;
    if (strcmp(source->column, column->column) != 0) return false;
    if (want->kind == HN_SOURCE_HASH) return true;
    if (want->kind == HN_SOURCE_LIST && source->max_length != want->max_length) return false;
    if (!source->delimiter || !want->delimiter) return source->delimiter == want->delimiter;
    return strcmp(source->delimiter, want->delimiter) == 0;
}

static hn_status add_source(hn_schema *schema, const hn_resolved *column,
                            const hn_source_want *want, hn_error *err) {
    hn_sources *const sources = &schema->sources;
    size_t capacity = (size_t)sources->n; /* grown one by one: there are few */
    HN_TRY(hn_grow(&sources->items, &capacity, capacity + 1, sizeof *sources->items, err));
    hn_source *const source = &sources->items[sources->n];
    *source = (hn_source){.column = column->column,
                          .table = column->table,
                          .kind = want->kind,
                          .max_length = want->max_length,
                          .optional = want->optional};
    if (want->kind != HN_SOURCE_HASH && want->delimiter) {
        source->delimiter = hn_arena_strdup(&schema->arena, want->delimiter);
        if (!source->delimiter) return hn_no_memory(err, "a source");
    }
    source->slot = source->table < 0 ? sources->log_slots++ : sources->table_slots[source->table]++;
    sources->n++;
    return HN_OK;
}

hn_status hn_schema_want(hn_reference *out, hn_schema *schema, const hn_source_want *want,
                         hn_error *err) {
    const hn_resolved *column;
    HN_TRY(hn_schema_resolve(&column, schema, want->written, want->what, err));
    hn_sources *const sources = &schema->sources;
    int32_t i = 0;
    while (i < sources->n && !same_source(&sources->items[i], column, want)) i++;
    if (i == sources->n) HN_TRY(add_source(schema, column, want, err));
    hn_source *const source = &sources->items[i];
    source->optional = source->optional && want->optional;
    *out = (hn_reference){source->table, source->slot, source->kind};
    return HN_OK;
}
