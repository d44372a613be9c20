/* From the config to a schema that lacks only its fit: what each feature stands on (roots),
 * which inputs it makes (columns), and where their values come from. The order of inputs
 * and their slots are schema_layout.c's. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "data/codes.h"
#include "data/schema_types.h"

enum { WHAT_MAX = 200 };

/* "features.NAME", for messages. */
static const char *what_of(char *what, const hn_config_feature *feature) {
    snprintf(what, WHAT_MAX, "features.%s", feature->name);
    return what;
}

bool hn_column_is_id(const hn_column *column) {
    if (column->kind == HN_COLUMN_ID) return true;
    return column->kind != HN_COLUMN_LIST && column->scale.how == HN_SCALE_BUCKETS;
}

bool hn_column_is_value(const hn_column *column) {
    return column->kind != HN_COLUMN_LIST && !hn_column_is_id(column);
}

/* ---- Roots ----------------------------------------------------------------------- */

static const hn_config_feature *feature_named(const hn_config *config, const char *name) {
    for (int32_t i = 0; i < config->n_features; i++)
        if (strcmp(config->features[i].name, name) == 0) return &config->features[i];
    return NULL;
}

/* The feature at the end of a chain of `share`. */
static hn_status owner_of(const hn_config_feature **out, const hn_config *config,
                          const hn_config_feature *feature, hn_error *err) {
    const hn_config_feature *at = feature;
    for (int32_t steps = 0; at->share; steps++) {
        const hn_config_feature *const next = feature_named(config, at->share);
        if (!next || (next->kind != HN_FEATURE_ID && next->kind != HN_FEATURE_LIST))
            return hn_fail(err, HN_BAD_CONFIG,
                           "features.%s.share: expected the name of an id or list feature, "
                           "found \"%s\"",
                           at->name, at->share);
        if (steps > config->n_features)
            return hn_fail(err, HN_BAD_CONFIG,
                           "features.%s.share: features share in a circle; let one "
                           "of them stand by itself",
                           feature->name);
        at = next;
    }
    *out = at;
    return HN_OK;
}

static hn_status find_root(int32_t *out, hn_schema *schema, const hn_config_feature *feature,
                           hn_error *err) {
    const hn_config_feature *owner = feature;
    HN_TRY(owner_of(&owner, schema->config, feature, err));
    for (*out = 0; *out < schema->n_roots; ++*out)
        if (schema->roots[*out].feature == owner) return HN_OK;
    const hn_root_kind kind = owner->hash > 0      ? HN_ROOT_HASH
                              : owner->integer > 0 ? HN_ROOT_INTEGER
                                                   : HN_ROOT_VOCABULARY;
    if (owner->hash > (int64_t)UINT32_MAX - HN_ID_FIRST ||
        owner->integer > (int64_t)UINT32_MAX - HN_ID_FIRST)
        return hn_fail(err, HN_BAD_CONFIG, "features.%s: ids have 32 bits; ask for fewer",
                       owner->name);
    schema->roots[schema->n_roots++] = (hn_root){.feature = owner, .kind = kind, .embedding = -1};
    return HN_OK;
}

/* ---- Columns --------------------------------------------------------------------- */

static hn_side side_of(const hn_schema *schema, const hn_resolved *column) {
    const hn_config *const config = schema->config;
    if (column->table >= 0) return config->tables[column->table].side;
    for (int32_t t = 0; t < config->n_tables; t++)
        if (strcmp(config->tables[t].log_key, column->column) == 0) return config->tables[t].side;
    return HN_SIDE_CONTEXT;
}

static hn_status set_missing(hn_column *column, const hn_config_feature *feature, hn_error *err) {
    column->missing_hash = HN_HASH_MISSING;
    column->missing_number = NAN;
    if (!feature->missing) return HN_OK;
    const size_t n = strlen(feature->missing);
    if (column->from.kind != HN_SOURCE_NUMBER)
        column->missing_hash = hn_cell_hash(feature->missing, n);
    else if (!hn_cell_number(&column->missing_number, feature->missing, n))
        return hn_fail(err, HN_BAD_CONFIG, "features.%s.missing: expected a number, found \"%s\"",
                       feature->name, feature->missing);
    return HN_OK;
}

static hn_source_kind source_kind(const hn_schema *schema, const hn_column *column) {
    if (column->kind == HN_COLUMN_LIST) return HN_SOURCE_LIST;
    if (column->kind == HN_COLUMN_NUMBER) return HN_SOURCE_NUMBER;
    return schema->roots[column->root].kind == HN_ROOT_INTEGER ? HN_SOURCE_NUMBER : HN_SOURCE_HASH;
}

static hn_status plan_plain(hn_schema *schema, const hn_config_feature *feature, hn_error *err) {
    char what[WHAT_MAX];
    hn_column *const column = &schema->columns[schema->n_columns];
    *column = (hn_column){.name = feature->name,
                          .feature = feature,
                          .root = -1,
                          .rate = -1,
                          .kind = feature->kind == HN_FEATURE_ID     ? HN_COLUMN_ID
                                  : feature->kind == HN_FEATURE_LIST ? HN_COLUMN_LIST
                                                                     : HN_COLUMN_NUMBER};
    if (column->kind == HN_COLUMN_NUMBER)
        column->scale.how = feature->scaling;
    else
        HN_TRY(find_root(&column->root, schema, feature, err));
    if (column->kind == HN_COLUMN_LIST && schema->roots[column->root].kind == HN_ROOT_INTEGER)
        return hn_fail(err, HN_BAD_CONFIG,
                       "features.%s: a list cannot have the integers of \"%s\" as ids; "
                       "use a vocabulary or hash",
                       feature->name, schema->roots[column->root].feature->name);
    const hn_source_want want = {.written = feature->column,
                                 .what = what_of(what, feature),
                                 .kind = source_kind(schema, column),
                                 .delimiter = column->kind == HN_COLUMN_NUMBER ? feature->counts
                                                                               : feature->delimiter,
                                 .max_length = feature->max_length};
    HN_TRY(hn_schema_want(&column->from, schema, &want, err));
    HN_TRY(set_missing(column, feature, err));
    const hn_resolved *resolved;
    HN_TRY(hn_schema_resolve(&resolved, schema, feature->column, what, err));
    column->side = feature->has_side ? feature->side : side_of(schema, resolved);
    column->place = 1 + column->from.table;
    schema->n_columns++;
    return HN_OK;
}

/* ---- Rates ----------------------------------------------------------------------- */

/* A key that some list feature reads as a list is that list: its first value counts. */
static hn_status want_key(hn_reference *out, hn_side *side, hn_schema *schema, const char *written,
                          const char *what, hn_error *err) {
    const hn_resolved *found;
    HN_TRY(hn_schema_resolve(&found, schema, written, what, err));
    const hn_resolved key = *found;
    hn_source_want want = {.written = written, .what = what, .kind = HN_SOURCE_HASH};
    for (int32_t i = 0; i < schema->config->n_features && want.kind == HN_SOURCE_HASH; i++) {
        const hn_config_feature *const feature = &schema->config->features[i];
        if (feature->kind != HN_FEATURE_LIST) continue;
        HN_TRY(hn_schema_resolve(&found, schema, feature->column, what, err));
        if (found->table != key.table || strcmp(found->column, key.column) != 0) continue;
        want.kind = HN_SOURCE_LIST;
        want.delimiter = feature->delimiter, want.max_length = feature->max_length;
    }
    const hn_side own = side_of(schema, &key);
    if (own > *side) *side = own;
    return hn_schema_want(out, schema, &want, err);
}

static hn_status find_task(int32_t *out, const hn_config *config, const char *name,
                           const char *what, hn_error *err) {
    for (*out = 0; *out < config->n_tasks; ++*out)
        if (strcmp(config->tasks[*out].name, name) == 0) return HN_OK;
    return hn_fail(err, HN_BAD_CONFIG, "%s: found no task \"%s\"", what, name);
}

static hn_status plan_rate_tasks(hn_rate *rate, hn_schema *schema, const char *what,
                                 hn_error *err) {
    const hn_config *const config = schema->config;
    const hn_strings *const names = &rate->feature->rate_tasks;
    rate->n_tasks = names->n > 0 ? names->n : config->n_tasks;
    rate->tasks = hn_arena_alloc(&schema->arena, (size_t)rate->n_tasks, sizeof *rate->tasks);
    rate->base = hn_arena_alloc(&schema->arena, (size_t)rate->n_tasks, sizeof *rate->base);
    if (!rate->tasks || !rate->base) return hn_no_memory(err, what);
    for (int32_t i = 0; i < rate->n_tasks; i++) {
        rate->tasks[i] = i;
        if (names->n > 0) HN_TRY(find_task(&rate->tasks[i], config, names->items[i], what, err));
    }
    return HN_OK;
}

static hn_status plan_fold(hn_rate *rate, hn_schema *schema, const char *what, hn_error *err) {
    const hn_config_feature *const feature = rate->feature;
    if (feature->fold_by == HN_FOLD_HASH) return HN_OK;
    /* Optional: only training has folds, so files to be scored may lack the column. */
    const hn_source_want want = {.written = feature->fold_column,
                                 .what = what,
                                 .optional = true,
                                 .kind = feature->fold_by == HN_FOLD_PAST ? HN_SOURCE_NUMBER
                                                                          : HN_SOURCE_HASH};
    return hn_schema_want(&rate->fold, schema, &want, err);
}

static hn_status add_rate_column(hn_schema *schema, int32_t task, hn_side side, hn_error *err) {
    const hn_rate *const rate = &schema->rates[schema->n_rates];
    const hn_config_feature *const feature = rate->feature;
    const bool count = task == rate->n_tasks;
    const char *const tail = count ? "count" : schema->config->tasks[rate->tasks[task]].name;
    const size_t length = strlen(feature->name) + strlen(tail) + 2;
    char *const name = hn_arena_alloc(&schema->arena, length, 1);
    if (!name) return hn_no_memory(err, feature->name);
    snprintf(name, length, "%s.%s", feature->name, tail);
    hn_column *const column = &schema->columns[schema->n_columns++];
    *column = (hn_column){.name = name,
                          .feature = feature,
                          .root = -1,
                          .side = side,
                          .kind = count ? HN_COLUMN_COUNT : HN_COLUMN_RATE,
                          .missing_number = NAN,
                          .rate = schema->n_rates,
                          .task = task,
                          .scale.how = feature->scaling};
    /* A count is always in log1p (buckets are the same either way). */
    if (count && feature->scaling == HN_SCALE_NONE) column->scale.how = HN_SCALE_LOG1P;
    if (count && feature->scaling == HN_SCALE_ZSCORE) column->scale.how = HN_SCALE_LOG1P_ZSCORE;
    return HN_OK;
}

static hn_status plan_rate(hn_schema *schema, const hn_config_feature *feature, hn_error *err) {
    char what[WHAT_MAX];
    hn_rate *const rate = &schema->rates[schema->n_rates];
    *rate = (hn_rate){.feature = feature, .n_keys = feature->keys.n};
    what_of(what, feature);
    rate->keys = hn_arena_alloc(&schema->arena, (size_t)rate->n_keys, sizeof *rate->keys);
    if (!rate->keys) return hn_no_memory(err, what);
    hn_side side = HN_SIDE_USER;
    for (int32_t k = 0; k < rate->n_keys; k++)
        HN_TRY(want_key(&rate->keys[k], &side, schema, feature->keys.items[k], what, err));
    HN_TRY(plan_rate_tasks(rate, schema, what, err));
    HN_TRY(plan_fold(rate, schema, what, err));
    if (feature->has_side) side = feature->side;
    const int32_t inputs = rate->n_tasks + feature->count;
    for (int32_t task = 0; task < inputs; task++) HN_TRY(add_rate_column(schema, task, side, err));
    schema->n_rates++;
    return HN_OK;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static hn_status check_names(const hn_schema *schema, hn_error *err) {
    for (int32_t i = 0; i < schema->n_columns; i++)
        for (int32_t j = 0; j < i; j++)
            if (strcmp(schema->columns[i].name, schema->columns[j].name) == 0)
                return hn_fail(err, HN_BAD_CONFIG,
                               "features: two inputs are named \"%s\"; rename a feature",
                               schema->columns[i].name);
    return HN_OK;
}

hn_status hn_schema_build(hn_schema *schema, hn_error *err) {
    const hn_config *const config = schema->config;
    for (int32_t i = 0; i < config->n_features; i++) {
        const hn_config_feature *const feature = &config->features[i];
        HN_TRY(feature->kind == HN_FEATURE_RATE ? plan_rate(schema, feature, err)
                                                : plan_plain(schema, feature, err));
    }
    HN_TRY(check_names(schema, err));
    HN_TRY(hn_schema_write_plan(schema, err));
    return hn_schema_arrange(schema, err);
}

static size_t most_columns(const hn_config *config) {
    size_t n = 0;
    for (int32_t i = 0; i < config->n_features; i++) {
        const int32_t named = config->features[i].rate_tasks.n;
        const bool rate = config->features[i].kind == HN_FEATURE_RATE;
        n += rate ? (size_t)(named > 0 ? named : config->n_tasks) + 1 : 1;
    }
    return n;
}

static bool reserve(hn_schema *schema) {
    const hn_config *const config = schema->config;
    const size_t features = (size_t)config->n_features, tables = (size_t)config->n_tables;
    hn_arena *const arena = &schema->arena;
    schema->columns = hn_alloc_zero(most_columns(config), sizeof *schema->columns);
    schema->roots = hn_alloc_zero(features, sizeof *schema->roots);
    schema->rates = hn_alloc_zero(features, sizeof *schema->rates);
    schema->peeked = hn_arena_alloc(arena, 1 + tables, sizeof(hn_strings *));
    schema->places = hn_arena_alloc(arena, 1 + tables, sizeof *schema->places);
    schema->sources.table_slots = hn_arena_alloc(arena, 1 + tables, sizeof(int32_t));
    schema->scenario_rows =
        hn_arena_alloc(arena, (size_t)config->scenario.names.n + 1, sizeof(uint64_t));
    schema->sampling = hn_arena_alloc(arena, (size_t)config->scenario.names.n + 1, sizeof(double));
    schema->sources.tables = config->n_tables;
    return schema->columns && schema->roots && schema->rates && schema->peeked && schema->places &&
           schema->sources.table_slots && schema->scenario_rows && schema->sampling;
}

hn_status hn_schema_create(hn_schema **out, const hn_config *config, hn_error *err) {
    *out = NULL;
    if (config->n_features < 1)
        return hn_fail(err, HN_BAD_CONFIG, "features: expected at least one feature, found none");
    hn_schema *const schema = hn_alloc_zero(1, sizeof *schema);
    if (!schema) return hn_no_memory(err, "a schema");
    schema->config = config;
    if (!reserve(schema)) {
        hn_schema_free(schema);
        return hn_no_memory(err, "a schema");
    }
    *out = schema;
    return HN_OK;
}

hn_status hn_schema_plan(hn_schema **out, const hn_config *config, hn_error *err) {
    HN_TRY(hn_schema_create(out, config, err));
    const hn_status status = hn_schema_build(*out, err);
    if (status != HN_OK) {
        hn_schema_free(*out);
        *out = NULL;
    }
    return status;
}

void hn_schema_free(hn_schema *schema) {
    if (!schema) return;
    for (int32_t i = 0; i < schema->n_roots; i++) hn_vocabulary_free(&schema->roots[i].vocabulary);
    for (int32_t i = 0; i < schema->n_columns; i++) hn_scale_free(&schema->columns[i].scale);
    for (int32_t i = 0; i < schema->n_rates; i++) {
        hn_rate_totals_free(&schema->rates[i].totals);
        hn_rate_folds_free(&schema->rates[i].folds);
    }
    hn_codes_free(schema->codes);
    hn_layout_free(&schema->layout);
    hn_free(schema->sources.items);
    hn_free(schema->resolved);
    hn_free(schema->columns);
    hn_free(schema->roots);
    hn_free(schema->rates);
    hn_arena_free(&schema->arena);
    hn_free(schema);
}

const hn_sources *hn_schema_sources(const hn_schema *schema) { return &schema->sources; }
const hn_layout *hn_schema_layout(const hn_schema *schema) { return &schema->layout; }
const uint64_t *hn_schema_scenario_rows(const hn_schema *schema) { return schema->scenario_rows; }
const double *hn_schema_sampling(const hn_schema *schema) { return schema->sampling; }
