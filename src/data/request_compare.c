/* What a request gave beside what the tables have: is a feature, as it was served, still the one
 * that the model was trained on? Used offline only (hinet replay). */
#include <math.h>
#include <string.h>

#include "data/request.h"
#include "data/request_fields.h"

static bool same_list(const hn_slot *a, const uint64_t *of_a, const hn_slot *b,
                      const uint64_t *of_b) {
    return a->list.length == b->list.length &&
           (a->list.length == 0 ||
            memcmp(of_a + a->list.begin, of_b + b->list.begin, a->list.length * sizeof *of_a) == 0);
}

static bool same_slot(const hn_slot *given, const uint64_t *given_lists, const hn_slot *had,
                      const uint64_t *had_lists, hn_source_kind kind) {
    switch (kind) {
    case HN_SOURCE_NUMBER:
        return given->number == had->number || (isnan(given->number) && isnan(had->number));
    case HN_SOURCE_LIST: return same_list(given, given_lists, had, had_lists);
    default: return given->hash == had->hash;
    }
}

hn_given hn_request_compare(double *had, const hn_request *r, int32_t row, int32_t field) {
    const hn_request_column *const f = &r->fields[field];
    *had = NAN;
    if (f->table < 0 || f->uses == 0) return HN_GIVEN_NOT;
    const hn_request_table *const over = &r->over[f->table];
    const hn_side_table *const table = &r->tables->items[f->table];
    const size_t at = row < 0 ? 0 : 1 + (size_t)row, slots = (size_t)table->slots;
    const uint64_t key = r->keys[at * (size_t)r->config->n_tables + (size_t)f->table];
    const int32_t found = hn_side_table_find(table, key);
    hn_given given = HN_GIVEN_SAME;
    for (int32_t u = 0; u < f->uses; u++) {
        const size_t s = (size_t)r->schema->sources.items[r->order[f->first + u]].slot;
        if (!over->given[at * slots + s]) return HN_GIVEN_NOT;
        if (found < 0) return HN_GIVEN_NEW;
        const hn_slot *const own = &table->slot[(size_t)found * slots + s];
        const hn_source_kind kind = (hn_source_kind)table->kinds[s];
        if (kind == HN_SOURCE_NUMBER) *had = own->number;
        if (!same_slot(&over->slots[at * slots + s], over->lists, own, table->lists, kind))
            given = HN_GIVEN_OTHER;
    }
    return given;
}
