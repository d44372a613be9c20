/* Plans: which uses each column of a file has, sorted by column, so that the parser finds
 * those of the cell at hand in one step. */
#include <stdlib.h>

#include "base/memory.h"
#include "data/parse.h"

hn_status hn_parse_plan_add(hn_parse_plan *plan, const hn_use *use, hn_error *err) {
    HN_TRY(hn_grow(&plan->uses, &plan->uses_capacity, plan->n_uses + 1, sizeof *plan->uses, err));
    plan->uses[plan->n_uses++] = *use;
    return HN_OK;
}

/* The virtual columns behind the file's own: its name, and one that is always absent. */
static int32_t find_column(const hn_parse_plan *plan, const char *name) {
    return strcmp(name, "$file") == 0 ? plan->columns : hn_columns_find(&plan->file->columns, name);
}

hn_status hn_parse_plan_source(hn_parse_plan *plan, const hn_source *source, hn_error *err) {
    static const hn_use_kind kinds[] = {[HN_SOURCE_HASH] = HN_USE_HASH,
                                        [HN_SOURCE_NUMBER] = HN_USE_NUMBER,
                                        [HN_SOURCE_LIST] = HN_USE_LIST};
    int32_t column = find_column(plan, source->column);
    if (column == HN_COLUMN_NONE && source->optional) column = plan->columns + 1;
    if (column < 0)
        return hn_columns_lack(&plan->file->columns, source->column, column, "a feature", "", err);
    const hn_use use = {.column = column,
                        .kind = kinds[source->kind],
                        .to = source->slot,
                        .delimiter = source->delimiter ? source->delimiter : "",
                        .delimiter_n = source->delimiter ? strlen(source->delimiter) : 0,
                        .max_length = source->max_length};
    return hn_parse_plan_add(plan, &use, err);
}

static int compare_uses(const void *a, const void *b) {
    const hn_use *const x = a, *const y = b;
    if (x->column != y->column) return (x->column > y->column) - (x->column < y->column);
    if (x->kind != y->kind) return (x->kind > y->kind) - (x->kind < y->kind);
    return (x->to > y->to) - (x->to < y->to);
}

hn_status hn_parse_plan_finish(hn_parse_plan *plan, hn_error *err) {
    const size_t columns = (size_t)plan->columns + 2;
    if (plan->n_uses > 0) qsort(plan->uses, plan->n_uses, sizeof *plan->uses, compare_uses);
    plan->first = hn_alloc_zero(columns + 1, sizeof *plan->first);
    if (!plan->first) return hn_no_memory(err, "the columns of a file");
    size_t use = 0;
    for (size_t c = 0; c < columns; c++) {
        plan->first[c] = use;
        while (use < plan->n_uses && plan->uses[use].column == (int32_t)c) use++;
    }
    plan->first[columns] = use;
    plan->has_virtual = use > plan->first[plan->columns];
    for (int32_t i = 0; i < plan->source->missing.n; i++) {
        const size_t n = strlen(plan->source->missing.items[i]);
        plan->missing_lengths |= UINT64_C(1) << (n < 63 ? n : 63);
    }
    return HN_OK;
}

void hn_parse_plan_free(hn_parse_plan *plan) {
    if (!plan) return;
    hn_free(plan->uses);
    hn_free(plan->first);
    hn_free(plan);
}
