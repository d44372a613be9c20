/* Judging rows one by one (join.h). A reference's value is looked up in the log row or in
 * the joined table's row; from there on it makes no difference where it came from. */
#include "data/join.h"

#include "base/memory.h"
#include "base/rng.h"

/* ---- Output ------------------------------------------------------------------------------- */

static hn_status fit(void *array_address, size_t count, size_t size, hn_error *err) {
    void *old;
    memcpy(&old, array_address, sizeof old);
    hn_free(old);
    void *const fresh = hn_alloc(count > 0 ? count : 1, size);
    memcpy(array_address, &fresh, sizeof fresh);
    return fresh ? HN_OK : hn_no_memory(err, "rows");
}

/* Contents are not kept: every chunk fills them anew. */
static hn_status make_room(hn_joined *out, size_t rows, const hn_join_plan *join, hn_error *err) {
    if (rows <= out->capacity) return HN_OK;
    const size_t capacity = rows + rows / 8 + 64;
    out->capacity = 0;
    HN_TRY(fit(&out->table_rows, capacity * (size_t)join->config->n_tables, sizeof *out->table_rows,
               err));
    HN_TRY(fit(&out->scenario, capacity, sizeof *out->scenario, err));
    HN_TRY(fit(&out->labels, capacity * (size_t)join->config->n_tasks, sizeof *out->labels, err));
    HN_TRY(fit(&out->split, capacity, sizeof *out->split, err));
    HN_TRY(fit(&out->weights, capacity, sizeof *out->weights, err));
    HN_TRY(fit(&out->user, capacity, sizeof *out->user, err));
    HN_TRY(fit(&out->ordinal, capacity, sizeof *out->ordinal, err));
    HN_TRY(fit(&out->sampling, join->config->sampling_column ? capacity : 0, sizeof *out->sampling,
               err));
    HN_TRY(fit(&out->line, join->keep_lines ? capacity : 0, sizeof *out->line, err));
    HN_TRY(fit(&out->line_bytes, join->keep_lines ? capacity : 0, sizeof *out->line_bytes, err));
    out->capacity = capacity;
    return HN_OK;
}

void hn_joined_free(hn_joined *joined) {
    hn_free(joined->table_rows);
    hn_free(joined->scenario);
    hn_free(joined->labels);
    hn_free(joined->split);
    hn_free(joined->weights);
    hn_free(joined->user);
    hn_free(joined->ordinal);
    hn_free(joined->sampling);
    hn_free(joined->line);
    hn_free(joined->line_bytes);
    *joined = (hn_joined){0};
}

/* ---- Tables --------------------------------------------------------------------------------- */

enum { AHEAD = 8 };

/* The index of a large table is not in the cache: the places of later rows are asked for
 * while the row at hand is found. */
static void join_table(int32_t *rows, size_t stride, const hn_side_table *table,
                       const uint64_t *keys, size_t n) {
    const uint64_t mask = table->index_size - 1;
    for (size_t r = 0; r < n; r++) {
        if (r + AHEAD < n) __builtin_prefetch(&table->index[keys[(r + AHEAD) * stride] & mask]);
        rows[r * stride] = hn_side_table_find(table, keys[r * stride]);
    }
}

/* ---- One row ------------------------------------------------------------------------------- */

typedef enum verdict { KEPT, FILTERED, OTHER_SCENARIO, BAD } verdict;

typedef struct judge {
    const hn_join_plan *join;
    hn_parsed *parsed;
    hn_joined *out;
    size_t n_refs, n_tables, n_tasks;
    /* the row at hand */
    size_t row;
    const int32_t *table_rows;
    int32_t bad_ref; /* a table's value that cannot be judged; -1: none */
} judge;

static uint64_t value_of(judge *j, int32_t ref) {
    const int32_t from = j->join->from[ref];
    if (from == HN_FROM_LOG) return j->parsed->refs[j->row * j->n_refs + (size_t)ref];
    const int32_t row = from < 0 ? HN_TABLE_ROW_NONE : j->table_rows[from];
    if (row == HN_TABLE_ROW_NONE) return hn_ref_default(j->join->refs, ref);
    const uint64_t value = j->join->tables->items[from].refs[ref][row];
    if (value != HN_REF_BAD || j->join->refs->items[ref].kind == HN_REF_HASH) return value;
    if (!j->join->scoring && j->bad_ref < 0) j->bad_ref = ref;
    return HN_REF_ABSENT;
}

static double number_of(judge *j, int32_t ref) {
    const uint64_t bits = value_of(j, ref);
    double number = 1;
    if (bits != HN_REF_ABSENT) memcpy(&number, &bits, sizeof number);
    return number;
}

static bool passes_filters(judge *j) {
    bool passes = true;
    for (int32_t i = HN_REF_FILTER_AT; i < j->join->refs->first_label; i++)
        passes &= value_of(j, i) == 1;
    return passes;
}

static uint16_t scenario_of(judge *j) {
    const hn_config_scenario *const scenario = &j->join->config->scenario;
    if (!scenario->column) return 0;
    const uint16_t found = (uint16_t)value_of(j, HN_REF_SCENARIO_AT);
    return found == HN_SCENARIO_UNKNOWN && scenario->fold_into >= 0 ? (uint16_t)scenario->fold_into
                                                                    : found;
}

static hn_split split_by_hash(const hn_config_split *split, uint64_t hash) {
    const double unit = hn_random_unit(split->seed, HN_STREAM_SPLIT, hash);
    if (unit < split->test) return HN_TEST;
    return unit < split->test + split->validation ? HN_VALIDATION : HN_TRAIN;
}

hn_split hn_split_random(const hn_config_split *split, uint64_t ordinal) {
    return split_by_hash(split, ordinal);
}

static hn_split split_of(judge *j) {
    const hn_config_split *const split = &j->join->config->split;
    if (!j->join->splits) return HN_NO_SPLIT;
    if (split->by == HN_SPLIT_HASH) return split_by_hash(split, value_of(j, HN_REF_SPLIT_AT));
    if (split->by == HN_SPLIT_RANDOM) return HN_TRAIN; /* decided with the ordinal */
    if (split->test_if.column && value_of(j, HN_REF_TEST_AT) == 1) return HN_TEST;
    return split->validation_if.column && value_of(j, HN_REF_VALIDATION_AT) == 1 ? HN_VALIDATION
                                                                                 : HN_TRAIN;
}

/* Fills row `to` of the output from parsed row j->row. */
static verdict judge_row(judge *j, size_t to) {
    const hn_refs *const refs = j->join->refs;
    hn_joined *const out = j->out;
    j->bad_ref = -1;
    const bool passes = j->join->scoring || passes_filters(j);
    out->scenario[to] = scenario_of(j);
    for (size_t t = 0; t < j->n_tasks; t++) {
        const uint64_t label = value_of(j, refs->first_label + (int32_t)t);
        out->labels[to * j->n_tasks + t] =
            label == HN_REF_ABSENT ? HN_LABEL_ABSENT : (uint8_t)label;
    }
    out->weights[to] = (float)number_of(j, HN_REF_WEIGHT_AT);
    out->user[to] = value_of(j, HN_REF_USER_AT);
    out->split[to] = (uint8_t)split_of(j);
    if (j->join->config->sampling_column)
        out->sampling[to] = (float)number_of(j, HN_REF_SAMPLING_AT);
    if (j->bad_ref >= 0) return BAD;
    if (!passes) return FILTERED;
    return out->scenario[to] == HN_SCENARIO_UNKNOWN && !j->join->scoring ? OTHER_SCENARIO : KEPT;
}

static void tell_bad(judge *j) {
    const hn_ref *const ref = &j->join->refs->items[j->bad_ref];
    hn_bads_add(&j->parsed->bads, j->parsed->lines[j->row], 1,
                "the row's entry in table \"%.60s\" has a value that is not %s, as is expected for "
                "%s%s%.60s",
                j->join->tables->items[j->join->from[j->bad_ref]].name,
                hn_ref_expected(j->join->refs, j->bad_ref), ref->role, ref->detail[0] ? " " : "",
                ref->detail);
}

/* ---- A chunk ------------------------------------------------------------------------------- */

static void keep_row(judge *j, const hn_parse_plan *plan, size_t to, const char *text) {
    hn_parsed *const p = j->parsed;
    const size_t row = j->row, slots = (size_t)plan->slots;
    hn_joined *const out = j->out;
    out->ordinal[to] = out->good;
    if (j->join->keep_lines) {
        out->line[to] = text + p->begin[row];
        out->line_bytes[to] = (uint32_t)p->bytes[row];
    }
    if (to == row) return;
    if (slots > 0) memcpy(p->slots + to * slots, p->slots + row * slots, slots * sizeof *p->slots);
    if (j->n_tables > 0)
        memcpy(out->table_rows + to * j->n_tables, out->table_rows + row * j->n_tables,
               j->n_tables * sizeof *out->table_rows);
    if (plan->identity)
        memcpy(p->identity + 2 * to, p->identity + 2 * row, 2 * sizeof *p->identity);
}

static void judge_rows(judge *j, const hn_parse_plan *plan, const char *text) {
    hn_joined *const out = j->out;
    size_t to = 0;
    for (j->row = 0; j->row < j->parsed->rows; j->row++) {
        j->table_rows = out->table_rows + j->row * j->n_tables;
        const verdict v = judge_row(j, to);
        if (v == KEPT) keep_row(j, plan, to++, text);
        if (v == BAD) tell_bad(j);
        out->good += v != BAD;
        out->filtered += v == FILTERED;
        out->other_scenario += v == OTHER_SCENARIO;
    }
    out->rows = (int32_t)to;
    j->parsed->rows = to;
}

hn_status hn_join_tables(hn_joined *out, hn_parsed *parsed, const hn_parse_plan *plan,
                         const hn_join_plan *join, const char *text, hn_error *err) {
    const size_t n_tables = (size_t)join->config->n_tables;
    judge j = {.join = join,
               .parsed = parsed,
               .out = out,
               .n_refs = (size_t)join->refs->n,
               .n_tables = n_tables,
               .n_tasks = (size_t)join->config->n_tasks};
    out->rows = 0;
    out->good = out->filtered = out->other_scenario = 0;
    if (parsed->rows > INT32_MAX)
        return hn_fail(err, HN_BAD_DATA, "a chunk has more than 2^31 rows");
    HN_TRY(make_room(out, parsed->rows, join, err));
    for (size_t t = 0; t < n_tables; t++)
        join_table(out->table_rows + t, n_tables, &join->tables->items[t], parsed->keys + t,
                   parsed->rows);
    judge_rows(&j, plan, text);
    return HN_OK;
}
