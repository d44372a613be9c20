/* Held-out rows as text (samples.h). */
#include "data/samples.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/rng.h"

typedef struct sample {
    uint64_t key, ordinal;
    int32_t scenario, rank; /* rank: among those of its scenario */
    json_t *cells;
} sample;

struct hn_samples {
    const char **columns; /* [n_columns] of the log, without "log." */
    int32_t n_columns;
    sample *rows;  /* [M][each] */
    int32_t *kept; /* [M] */
    int32_t scenarios, each;
};

/* ---- Which columns ------------------------------------------------------------------------- */

static void want(hn_samples *s, const char *column) {
    for (int32_t c = 0; c < s->n_columns; c++)
        if (strcmp(s->columns[c], column) == 0) return;
    s->columns[s->n_columns++] = column;
}

static hn_status choose_columns(hn_samples *s, const hn_config *config, const hn_sources *sources,
                                hn_error *err) {
    s->columns =
        hn_alloc_zero((size_t)sources->n + (size_t)config->n_tables + 1, sizeof *s->columns);
    if (!s->columns) return hn_no_memory(err, "samples of the log");
    for (int32_t i = 0; i < sources->n; i++)
        if (sources->items[i].table < 0) want(s, sources->items[i].column);
    for (int32_t t = 0; t < config->n_tables; t++)
        want(s, config->tables[t].log_key ? config->tables[t].log_key : config->tables[t].key);
    return HN_OK;
}

/* ---- Life ---------------------------------------------------------------------------------- */

void hn_samples_free(hn_samples *samples) {
    if (!samples) return;
    for (int32_t i = 0; samples->rows && i < samples->scenarios * samples->each; i++)
        json_decref(samples->rows[i].cells);
    hn_free(samples->rows);
    hn_free(samples->kept);
    hn_free(samples->columns);
    hn_free(samples);
}

hn_status hn_samples_create(hn_samples **out, const hn_config *config, const hn_sources *sources,
                            hn_error *err) {
    *out = NULL;
    hn_samples *const made = hn_alloc_zero(1, sizeof *made);
    if (!made) return hn_no_memory(err, "samples of the log");
    made->scenarios = config->scenario.names.n;
    made->each = HN_SAMPLES_MOST / made->scenarios > 1 ? HN_SAMPLES_MOST / made->scenarios : 1;
    made->kept = hn_alloc_zero((size_t)made->scenarios, sizeof *made->kept);
    made->rows = hn_alloc_zero((size_t)made->scenarios * (size_t)made->each, sizeof *made->rows);
    hn_status status = made->kept && made->rows ? choose_columns(made, config, sources, err)
                                                : hn_no_memory(err, "samples of the log");
    if (status != HN_OK)
        hn_samples_free(made);
    else
        *out = made;
    return status;
}

/* ---- Rows ---------------------------------------------------------------------------------- */

/* The cell under each wanted column; null where the file has no such column, or where the text is
 * no UTF-8 or has a 0. */
static void put_cell(json_t *cells, const hn_samples *s, const char *column, const char *text,
                     size_t n) {
    for (int32_t c = 0; c < s->n_columns; c++)
        if (strcmp(s->columns[c], column) == 0 && !memchr(text, '\0', n))
            json_array_set_new(cells, (size_t)c, json_stringn(text, n));
}

static json_t *absent_cells(int32_t n) {
    json_t *const cells = json_array();
    for (int32_t c = 0; c < n; c++) json_array_append_new(cells, json_null());
    if (json_array_size(cells) == (size_t)n) return cells;
    json_decref(cells);
    return NULL;
}

static hn_status read_cells(json_t **out, const hn_samples *s, const char *line, size_t n,
                            const hn_columns *columns, const char *base, hn_error *err) {
    *out = absent_cells(s->n_columns);
    if (!*out) return hn_no_memory(err, "samples of the log");
    hn_walker walker = {0}; /* its scratch is kept from use to use */
    hn_walker_begin(&walker, &columns->dialect, line, n);
    hn_field_end end = HN_FIELD_MORE;
    for (int32_t c = 0; end == HN_FIELD_MORE && c < columns->names.n; c++) {
        end = hn_walker_next(&walker);
        put_cell(*out, s, columns->names.items[c], walker.field, walker.field_n);
    }
    put_cell(*out, s, "$file", base, strlen(base));
    const bool failed = walker.no_memory;
    hn_walker_free(&walker);
    if (!failed) return HN_OK;
    json_decref(*out);
    *out = NULL;
    return hn_no_memory(err, "samples of the log");
}

/* Where a row of this key goes; NULL: nowhere. */
static sample *place_of(hn_samples *s, uint16_t scenario, uint64_t key) {
    sample *const rows = s->rows + (size_t)scenario * (size_t)s->each;
    if (s->kept[scenario] < s->each) return &rows[s->kept[scenario]++];
    sample *worst = rows;
    for (int32_t i = 1; i < s->each; i++)
        if (rows[i].key > worst->key) worst = &rows[i];
    return key < worst->key ? worst : NULL;
}

static hn_status take(hn_samples *s, const hn_impressions *block, int32_t r,
                      const hn_columns *columns, const char *base, hn_error *err) {
    const uint16_t scenario = block->scenario[r];
    const uint64_t key = hn_random(0, HN_STREAM_GOLDEN, block->ordinal[r]);
    sample *const to = place_of(s, scenario, key);
    if (!to) return HN_OK;
    json_decref(to->cells);
    *to = (sample){.key = key, .ordinal = block->ordinal[r], .scenario = scenario};
    return read_cells(&to->cells, s, block->line[r], block->line_bytes[r], columns, base, err);
}

hn_status hn_samples_take(hn_samples *samples, const hn_impressions *block,
                          const hn_columns *columns, const char *base, hn_error *err) {
    for (int32_t r = 0; r < block->rows; r++) {
        if (block->split[r] != HN_VALIDATION && block->split[r] != HN_TEST) continue;
        if (block->line_bytes[r] > HN_SAMPLE_BYTES_MAX || block->scenario[r] >= samples->scenarios)
            continue;
        HN_TRY(take(samples, block, r, columns, base, err));
    }
    return HN_OK;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b) {
    const sample *const x = a, *const y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->ordinal < y->ordinal ? -1 : x->ordinal > y->ordinal;
}

static int by_rank(const void *a, const void *b) {
    const sample *const x = a, *const y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    return x->scenario < y->scenario ? -1 : x->scenario > y->scenario;
}

/* All rows in the order in which they are to be used; they own nothing. NULL without memory. */
static sample *in_order(int32_t *n, const hn_samples *s) {
    sample *const all = hn_alloc((size_t)s->scenarios * (size_t)s->each, sizeof *all);
    *n = 0;
    for (int32_t m = 0; all && m < s->scenarios; m++) {
        sample *const own = all + *n;
        memcpy(own, s->rows + (size_t)m * (size_t)s->each, (size_t)s->kept[m] * sizeof *own);
        qsort(own, (size_t)s->kept[m], sizeof *own, by_key);
        for (int32_t i = 0; i < s->kept[m]; i++) own[i].rank = i;
        *n += s->kept[m];
    }
    if (all) qsort(all, (size_t)*n, sizeof *all, by_rank);
    if (*n > HN_SAMPLES_MOST) *n = HN_SAMPLES_MOST;
    return all;
}

static json_t *columns_json(const hn_samples *s) {
    json_t *const list = json_array();
    for (int32_t c = 0; c < s->n_columns; c++)
        json_array_append_new(list, json_sprintf("log.%s", s->columns[c]));
    return list;
}

json_t *hn_samples_json(const hn_samples *samples) {
    int32_t n;
    sample *const all = in_order(&n, samples);
    if (!all) return NULL;
    json_t *const rows = json_array();
    for (int32_t i = 0; i < n; i++)
        json_array_append_new(rows,
                              json_pack("{s:I, s:i, s:O}", "ordinal", (json_int_t)all[i].ordinal,
                                        "scenario", (int)all[i].scenario, "cells", all[i].cells));
    hn_free(all);
    return json_pack("{s:o, s:o}", "columns", columns_json(samples), "rows", rows);
}

static bool row_fits(const json_t *row, size_t columns, int32_t scenarios) {
    const json_t *const scenario = json_object_get(row, "scenario"), *const cells = json_object_get(
                                                                         row, "cells");
    if (!json_is_integer(scenario) || json_integer_value(scenario) < 0 ||
        json_integer_value(scenario) >= scenarios || json_array_size(cells) != columns)
        return false;
    for (size_t i = 0; i < columns; i++) {
        const json_t *const cell = json_array_get(cells, i);
        if (!json_is_string(cell) && !json_is_null(cell)) return false;
    }
    return true;
}

bool hn_samples_fit(const json_t *json, int32_t scenarios) {
    const json_t *const columns = json_object_get(json, "columns"), *const rows = json_object_get(
                                                                        json, "rows");
    if (!json_is_array(columns) || !json_is_array(rows) || json_array_size(rows) > HN_SAMPLES_MOST)
        return false;
    for (size_t i = 0; i < json_array_size(columns); i++)
        if (!json_is_string(json_array_get(columns, i))) return false;
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (!row_fits(json_array_get(rows, i), json_array_size(columns), scenarios)) return false;
    return true;
}
