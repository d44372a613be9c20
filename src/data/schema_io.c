/* A schema in a pack: where its columns are (JSON), and by feature or input name its
 * vocabularies, scales and rates; loading believes nothing that does not fit the config.
 * Names rather than numbers, so that a warm start finds what it knows. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/schema_types.h"

enum { NAME_BYTES = 400 };

static const char *named(char *out, const char *kind, const char *name, const char *part) {
    snprintf(out, NAME_BYTES, "schema/%s/%s%s", kind, name, part);
    return out;
}

/* ---- Saving ---------------------------------------------------------------------- */

static json_t *plan_json(const hn_schema *schema) {
    json_t *const columns = json_array();
    for (size_t i = 0; i < schema->n_resolved; i++) {
        const hn_resolved *const r = &schema->resolved[i];
        const char *const table = r->table < 0 ? "" : schema->config->tables[r->table].name;
        if (json_array_append_new(columns, json_pack("{s:s%, s:s, s:s%}", "name", r->written,
                                                     strlen(r->written), "table", table, "column",
                                                     r->column, strlen(r->column))))
            break;
    }
    return json_pack("{s:i, s:o}", "version", 1, "columns", columns);
}

/* Written ahead of saving, which has no way to fail. */
hn_status hn_schema_write_plan(hn_schema *schema, hn_error *err) {
    json_t *const plan = plan_json(schema);
    char *const text = plan ? json_dumps(plan, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
    schema->plan = text ? hn_arena_strdup(&schema->arena, text) : NULL;
    free(text);
    json_decref(plan);
    return schema->plan ? HN_OK : hn_no_memory(err, "the plan of a schema");
}

static void save_root(const hn_root *root, hn_packer *packer) {
    char name[NAME_BYTES];
    const uint64_t n = root->vocabulary.size;
    if (root->kind == HN_ROOT_VOCABULARY)
        hn_packer_add(packer, named(name, "vocabulary", root->feature->name, ""), HN_PACK_U64, 1,
                      &n, root->vocabulary.hashes);
}

static void save_scale(const hn_column *column, hn_packer *packer) {
    char name[NAME_BYTES];
    if (column->kind == HN_COLUMN_ID || column->kind == HN_COLUMN_LIST) return;
    const uint64_t three = 3, n = (uint64_t)column->scale.n_cuts;
    const double statistics[] = {column->scale.how, column->scale.mean, column->scale.deviation};
    hn_packer_add(packer, named(name, "scale", column->name, ""), HN_PACK_F64, 1, &three,
                  statistics);
    if (column->scale.how == HN_SCALE_BUCKETS)
        hn_packer_add(packer, named(name, "cuts", column->name, ""), HN_PACK_F64, 1, &n,
                      column->scale.cuts);
}

static void save_rate(const hn_rate *rate, hn_packer *packer) {
    char name[NAME_BYTES];
    const uint64_t tasks = (uint64_t)rate->n_tasks;
    const uint64_t counts[2] = {rate->totals.n, 1 + 2 * tasks};
    const char *const feature = rate->feature->name;
    hn_packer_add(packer, named(name, "rate", feature, "/keys"), HN_PACK_U64, 1, counts,
                  rate->totals.keys);
    hn_packer_add(packer, named(name, "rate", feature, "/counts"), HN_PACK_U32, 2, counts,
                  rate->totals.counts);
    hn_packer_add(packer, named(name, "rate", feature, "/base"), HN_PACK_F64, 1, &tasks,
                  rate->base);
}

void hn_schema_save(const hn_schema *schema, hn_packer *packer) {
    const uint64_t scenarios = (uint64_t)schema->layout.scenarios;
    hn_packer_add_text(packer, "schema/plan", schema->plan);
    hn_packer_add(packer, "schema/scenario_rows", HN_PACK_U64, 1, &scenarios,
                  schema->scenario_rows);
    hn_packer_add(packer, "schema/sampling", HN_PACK_F64, 1, &scenarios, schema->sampling);
    for (int32_t i = 0; i < schema->n_roots; i++) save_root(&schema->roots[i], packer);
    for (int32_t i = 0; i < schema->n_columns; i++) save_scale(&schema->columns[i], packer);
    for (int32_t i = 0; i < schema->n_rates; i++) save_rate(&schema->rates[i], packer);
}

/* ---- Loading ------------------------------------------------------------------------------- */

static hn_status damaged(const hn_pack *pack, const char *what, hn_error *err) {
    return hn_fail(err, HN_BAD_DATA,
                   "%s: section \"%s\" does not fit the schema of its config; the file is "
                   "damaged or of another config",
                   hn_pack_path(pack), what);
}

static hn_status find_array(const hn_section **out, hn_pack *pack, const char *name,
                            hn_pack_type type, int32_t dims, hn_error *err) {
    HN_TRY(hn_pack_find(out, pack, name, type, err));
    return (*out)->dims == dims ? HN_OK : damaged(pack, name, err);
}

static int32_t table_named(const hn_config *config, const char *name) {
    for (int32_t t = 0; t < config->n_tables; t++)
        if (strcmp(config->tables[t].name, name) == 0) return t;
    return -1;
}

static hn_status load_column(hn_schema *schema, json_t *entry, const hn_pack *pack, hn_error *err) {
    const char *written, *table, *column;
    if (json_unpack(entry, "{s:s, s:s, s:s}", "name", &written, "table", &table, "column",
                    &column) != 0)
        return damaged(pack, "schema/plan", err);
    const int32_t t = *table ? table_named(schema->config, table) : -1;
    if (*table && t < 0) return damaged(pack, "schema/plan", err);
    HN_TRY(hn_grow(&schema->resolved, &schema->resolved_capacity, schema->n_resolved + 1,
                   sizeof *schema->resolved, err));
    hn_resolved *const resolved = &schema->resolved[schema->n_resolved];
    *resolved = (hn_resolved){hn_arena_strdup(&schema->arena, written), t,
                              hn_arena_strdup(&schema->arena, column)};
    if (!resolved->written || !resolved->column) return hn_no_memory(err, "column names");
    schema->n_resolved++;
    return HN_OK;
}

static hn_status load_plan(hn_schema *schema, hn_pack *pack, hn_error *err) {
    const hn_section *section;
    HN_TRY(hn_pack_find(&section, pack, "schema/plan", HN_PACK_BYTES, err));
    json_t *const plan = json_loadb(section->bytes, section->n_bytes, JSON_REJECT_DUPLICATES, NULL);
    json_t *const columns = json_object_get(plan, "columns");
    hn_status status =
        json_is_array(columns) && json_integer_value(json_object_get(plan, "version")) == 1
            ? HN_OK
            : damaged(pack, "schema/plan", err);
    for (size_t i = 0; status == HN_OK && i < json_array_size(columns); i++)
        status = load_column(schema, json_array_get(columns, i), pack, err);
    json_decref(plan);
    schema->frozen = true;
    return status;
}

static hn_status load_root(hn_root *root, hn_pack *pack, hn_error *err) {
    char name[NAME_BYTES];
    const hn_section *section;
    if (root->kind != HN_ROOT_VOCABULARY) return HN_OK;
    HN_TRY(find_array(&section, pack, named(name, "vocabulary", root->feature->name, ""),
                      HN_PACK_U64, 1, err));
    return hn_vocabulary_build(&root->vocabulary, section->bytes, section->dim[0], name, err);
}

static hn_status load_cuts(hn_scale *scale, const hn_section *section, const hn_pack *pack,
                           hn_error *err) {
    const double *const cuts = section->bytes;
    const uint64_t n = section->dim[0];
    bool fine = n < INT32_MAX;
    for (uint64_t i = 0; fine && i < n; i++)
        fine = isfinite(cuts[i]) && (i == 0 || cuts[i] > cuts[i - 1]);
    if (!fine) return damaged(pack, section->name, err);
    hn_scale_free(scale);
    scale->cuts = hn_alloc(n, sizeof *scale->cuts);
    if (!scale->cuts) return hn_no_memory(err, "quantiles");
    if (n > 0) memcpy(scale->cuts, cuts, n * sizeof *cuts);
    scale->n_cuts = (int32_t)n;
    return HN_OK;
}

static hn_status load_scale(hn_column *column, hn_pack *pack, hn_error *err) {
    char name[NAME_BYTES];
    const hn_section *section;
    if (column->kind == HN_COLUMN_ID || column->kind == HN_COLUMN_LIST) return HN_OK;
    HN_TRY(find_array(&section, pack, named(name, "scale", column->name, ""), HN_PACK_F64, 1, err));
    const double *const statistics = section->bytes; /* scaling, mean, deviation */
    if (section->dim[0] != 3 || statistics[0] != column->scale.how || !isfinite(statistics[1]) ||
        !(statistics[2] >= 0) || !isfinite(statistics[2]))
        return damaged(pack, name, err);
    column->scale.mean = statistics[1], column->scale.deviation = statistics[2];
    if (column->scale.how != HN_SCALE_BUCKETS) return HN_OK;
    HN_TRY(find_array(&section, pack, named(name, "cuts", column->name, ""), HN_PACK_F64, 1, err));
    return load_cuts(&column->scale, section, pack, err);
}

static bool counts_fit(const hn_rate_totals *totals) {
    for (uint64_t i = 0; i < totals->n; i++) {
        const uint32_t *const c = totals->counts + i * (uint64_t)totals->width;
        for (int32_t j = 1; j < totals->width; j += 2)
            if (c[j] > c[0] || c[j + 1] > c[j]) return false;
    }
    return true;
}

static hn_status load_rate(hn_rate *rate, hn_pack *pack, hn_error *err) {
    char name[NAME_BYTES];
    const hn_section *keys, *counts, *base;
    const char *const feature = rate->feature->name;
    hn_rate_totals *const totals = &rate->totals;
    HN_TRY(find_array(&base, pack, named(name, "rate", feature, "/base"), HN_PACK_F64, 1, err));
    HN_TRY(find_array(&counts, pack, named(name, "rate", feature, "/counts"), HN_PACK_U32, 2, err));
    HN_TRY(find_array(&keys, pack, named(name, "rate", feature, "/keys"), HN_PACK_U64, 1, err));
    *totals = (hn_rate_totals){.n = keys->dim[0], .width = 1 + 2 * rate->n_tasks};
    if (counts->dim[0] != totals->n || counts->dim[1] != (uint64_t)totals->width ||
        base->dim[0] != (uint64_t)rate->n_tasks)
        return damaged(pack, name, err);
    totals->keys = hn_alloc(totals->n, sizeof *totals->keys);
    totals->counts = hn_alloc(totals->n, (size_t)totals->width * sizeof *totals->counts);
    if (!totals->keys || !totals->counts) return hn_no_memory(err, "rates");
    memcpy(totals->keys, keys->bytes, keys->n_bytes);
    memcpy(totals->counts, counts->bytes, counts->n_bytes);
    memcpy(rate->base, base->bytes, base->n_bytes);
    for (int32_t i = 0; i < rate->n_tasks; i++)
        if (!(rate->base[i] >= 0 && rate->base[i] <= 1)) return damaged(pack, name, err);
    return counts_fit(totals) ? hn_rate_totals_index(totals, name, err) : damaged(pack, name, err);
}

static hn_status load_scenarios(hn_schema *schema, hn_pack *pack, hn_error *err) {
    const hn_section *rows, *sampling;
    const uint64_t scenarios = (uint64_t)schema->layout.scenarios;
    HN_TRY(find_array(&rows, pack, "schema/scenario_rows", HN_PACK_U64, 1, err));
    HN_TRY(find_array(&sampling, pack, "schema/sampling", HN_PACK_F64, 1, err));
    if (rows->dim[0] != scenarios) return damaged(pack, "schema/scenario_rows", err);
    if (sampling->dim[0] != scenarios) return damaged(pack, "schema/sampling", err);
    memcpy(schema->scenario_rows, rows->bytes, rows->n_bytes);
    memcpy(schema->sampling, sampling->bytes, sampling->n_bytes);
    for (uint64_t m = 0; m < scenarios; m++)
        if (!(schema->sampling[m] > 0 && schema->sampling[m] <= 1))
            return damaged(pack, "schema/sampling", err);
    return HN_OK;
}

static hn_status load(hn_schema *schema, hn_pack *pack, hn_error *err) {
    HN_TRY(load_plan(schema, pack, err));
    HN_TRY(hn_schema_build(schema, err));
    HN_TRY(load_scenarios(schema, pack, err));
    for (int32_t i = 0; i < schema->n_roots; i++) HN_TRY(load_root(&schema->roots[i], pack, err));
    for (int32_t i = 0; i < schema->n_columns; i++)
        HN_TRY(load_scale(&schema->columns[i], pack, err));
    for (int32_t i = 0; i < schema->n_rates; i++) HN_TRY(load_rate(&schema->rates[i], pack, err));
    hn_schema_complete(schema);
    return HN_OK;
}

hn_status hn_schema_load(hn_schema **out, const hn_config *config, hn_pack *pack, hn_error *err) {
    HN_TRY(hn_schema_create(out, config, err));
    const hn_status status = load(*out, pack, err);
    if (status != HN_OK) {
        hn_schema_free(*out);
        *out = NULL;
    }
    return status;
}

/* ---- Warm starts ----------------------------------------------------------------- */

hn_status hn_schema_old_hashes(const uint64_t **out, size_t *n, hn_pack *init, const char *feature,
                               hn_error *err) {
    char name[NAME_BYTES];
    *out = NULL, *n = 0;
    if (!init || !hn_pack_has(init, named(name, "vocabulary", feature, ""))) return HN_OK;
    const hn_section *section;
    HN_TRY(find_array(&section, init, name, HN_PACK_U64, 1, err));
    *out = section->bytes, *n = section->dim[0];
    return HN_OK;
}

hn_status hn_schema_inherit(hn_schema *schema, hn_pack *init, hn_error *err) {
    char name[NAME_BYTES];
    for (int32_t c = 0; init && c < schema->n_columns; c++) {
        hn_column *const column = &schema->columns[c];
        if (column->kind == HN_COLUMN_ID || column->kind == HN_COLUMN_LIST) continue;
        if (!hn_pack_has(init, named(name, "scale", column->name, ""))) continue;
        const hn_section *section;
        HN_TRY(find_array(&section, init, name, HN_PACK_F64, 1, err));
        if (section->dim[0] < 1 || *(const double *)section->bytes != column->scale.how) continue;
        HN_TRY(load_scale(column, init, err));
        column->kept = true;
    }
    return HN_OK;
}
