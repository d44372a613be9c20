/* Numbering a config's references and judging their cells. Which file a reference's column
 * is found in is decided where files are opened (columns.c, log.c). */
#include "data/refs.h"

#include <math.h>
#include <string.h>

/* ---- Numbering ---------------------------------------------------------------------- */

static void add_predicate(hn_refs *refs, int32_t at, const hn_predicate *p, const char *role,
                          const char *detail) {
    refs->items[at] = (hn_ref){HN_REF_PREDICATE, p->column, role, detail ? detail : p->text, p};
    if (!refs->items[at].detail) refs->items[at].detail = "";
}

static void add_fixed(hn_refs *refs, const hn_config *config) {
    const hn_config_split *const split = &config->split;
    const bool by_column = split->by == HN_SPLIT_COLUMN;
    const hn_predicate none = {0};
    hn_ref *const items = refs->items;
    items[HN_REF_SCENARIO_AT] =
        (hn_ref){HN_REF_SCENARIO, config->scenario.column, "the scenario", "", NULL};
    items[HN_REF_USER_AT] = (hn_ref){HN_REF_HASH, config->user_column, "the user", "", NULL};
    items[HN_REF_WEIGHT_AT] =
        (hn_ref){HN_REF_NUMBER, config->weight_column, "the weight", "", NULL};
    items[HN_REF_SAMPLING_AT] =
        (hn_ref){HN_REF_NUMBER, config->sampling_column, "the sampling rate", "", NULL};
    items[HN_REF_SPLIT_AT] = (hn_ref){
        HN_REF_HASH, split->by == HN_SPLIT_HASH ? split->column : NULL, "the split", "", NULL};
    add_predicate(refs, HN_REF_VALIDATION_AT, by_column ? &split->validation_if : &none,
                  "the validation split", NULL);
    add_predicate(refs, HN_REF_TEST_AT, by_column ? &split->test_if : &none, "the test split",
                  NULL);
    if (!by_column) items[HN_REF_VALIDATION_AT].predicate = items[HN_REF_TEST_AT].predicate = NULL;
}

/* A value listed as the empty text stands for absent cells. */
static void add_scenario_value(hn_refs *refs, const char *value, uint16_t index) {
    const size_t n = strlen(value);
    const uint64_t hash = n > 0 ? hn_cell_hash(value, n) : HN_HASH_MISSING;
    uint32_t at = (uint32_t)hash & refs->scenario_mask;
    while (refs->scenario_index[at] != HN_SCENARIO_UNKNOWN && refs->scenario_hash[at] != hash)
        at = (at + 1) & refs->scenario_mask;
    if (refs->scenario_index[at] != HN_SCENARIO_UNKNOWN) return;
    refs->scenario_hash[at] = hash;
    refs->scenario_index[at] = index;
}

static hn_status map_scenarios(hn_refs *refs, const hn_config_scenario *scenario, hn_error *err) {
    uint32_t values = 0, size = 16;
    for (int32_t i = 0; i < scenario->names.n; i++)
        values += scenario->values ? (uint32_t)scenario->values[i].n : 0;
    while (size < 2 * values) size *= 2;
    refs->scenario_mask = size - 1;
    refs->scenario_hash = hn_arena_alloc(&refs->arena, size, sizeof *refs->scenario_hash);
    refs->scenario_index = hn_arena_alloc(&refs->arena, size, sizeof *refs->scenario_index);
    if (!refs->scenario_hash || !refs->scenario_index) return hn_no_memory(err, "the scenarios");
    for (uint32_t i = 0; i < size; i++) refs->scenario_index[i] = HN_SCENARIO_UNKNOWN;
    for (int32_t i = 0; i < scenario->names.n && scenario->values; i++)
        for (int32_t v = 0; v < scenario->values[i].n; v++)
            add_scenario_value(refs, scenario->values[i].items[v], (uint16_t)i);
    return HN_OK;
}

hn_status hn_refs_create(hn_refs *out, const hn_config *config, hn_error *err) {
    hn_refs refs = {.n = HN_REF_FILTER_AT + config->n_filters + config->n_tasks,
                    .first_label = HN_REF_FILTER_AT + config->n_filters};
    *out = (hn_refs){0};
    refs.items = hn_arena_alloc(&refs.arena, (size_t)refs.n, sizeof *refs.items);
    hn_status status = refs.items ? map_scenarios(&refs, &config->scenario, err)
                                  : hn_no_memory(err, "the config's columns");
    if (status != HN_OK) {
        hn_arena_free(&refs.arena);
        return status;
    }
    add_fixed(&refs, config);
    for (int32_t i = 0; i < config->n_filters; i++)
        add_predicate(&refs, HN_REF_FILTER_AT + i, &config->filters[i], "the filter", NULL);
    for (int32_t t = 0; t < config->n_tasks; t++)
        add_predicate(&refs, refs.first_label + t, &config->tasks[t].label, "the label of task",
                      config->tasks[t].name);
    *out = refs;
    return HN_OK;
}

void hn_refs_free(hn_refs *refs) {
    hn_arena_free(&refs->arena);
    *refs = (hn_refs){0};
}

const char *hn_ref_in_table(const hn_ref *ref, const char *name) {
    const size_t n = strlen(name);
    if (!ref->column || strncmp(ref->column, name, n) != 0 || ref->column[n] != '.') return NULL;
    return ref->column + n + 1;
}

/* ---- Judging cells -------------------------------------------------------------------- */

static uint64_t find_scenario(const hn_refs *refs, uint64_t hash) {
    uint32_t at = (uint32_t)hash & refs->scenario_mask;
    while (refs->scenario_index[at] != HN_SCENARIO_UNKNOWN && refs->scenario_hash[at] != hash)
        at = (at + 1) & refs->scenario_mask;
    return refs->scenario_index[at];
}

/* A weight is any finite number ≥ 0; a sampling rate lies in (0, 1]. */
static uint64_t read_number(int32_t ref, const char *text, size_t n) {
    double value;
    if (!hn_cell_number(&value, text, n) || value < 0) return HN_REF_BAD;
    if (ref == HN_REF_SAMPLING_AT && (value < (double)__FLT_MIN__ || value > 1)) return HN_REF_BAD;
    if (value > (double)__FLT_MAX__) return HN_REF_BAD;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static bool names_empty(const hn_predicate *p) {
    if (!p) return false;
    if (p->op != HN_CMP_EQ && p->op != HN_CMP_NE && p->op != HN_CMP_IN) return false;
    for (int32_t i = 0; i < p->values.n; i++)
        if (p->values.items[i][0] == '\0') return true;
    return false;
}

/* Of a label an empty cell is absent; a filter or a split may ask for one by ''. */
uint64_t hn_ref_default(const hn_refs *refs, int32_t ref) {
    switch (refs->items[ref].kind) {
    case HN_REF_SCENARIO: return find_scenario(refs, HN_HASH_MISSING);
    case HN_REF_HASH: return HN_HASH_MISSING;
    case HN_REF_PREDICATE:
        if (ref < refs->first_label && names_empty(refs->items[ref].predicate))
            return (uint64_t)hn_predicate_test(refs->items[ref].predicate, "", 0);
        break;
    case HN_REF_NUMBER: break;
    }
    return HN_REF_ABSENT;
}

uint64_t hn_ref_read(const hn_refs *refs, int32_t ref, const char *text, size_t n) {
    if (!text) return hn_ref_default(refs, ref);
    const hn_ref *const item = &refs->items[ref];
    switch (item->kind) {
    case HN_REF_SCENARIO: return find_scenario(refs, hn_cell_hash(text, n));
    case HN_REF_HASH: return hn_cell_hash(text, n);
    case HN_REF_NUMBER: return read_number(ref, text, n);
    case HN_REF_PREDICATE: break;
    }
    const hn_truth truth = hn_predicate_test(item->predicate, text, n);
    return truth == HN_UNREADABLE ? HN_REF_BAD : (uint64_t)truth;
}

const char *hn_ref_expected(const hn_refs *refs, int32_t ref) {
    if (ref == HN_REF_SAMPLING_AT) return "a number above 0 and at most 1";
    if (ref == HN_REF_WEIGHT_AT) return "a number of at least 0";
    return refs->items[ref].predicate->op == HN_CMP_TRUE ? "1 or 0, true or false, or a number"
                                                         : "a number";
}
