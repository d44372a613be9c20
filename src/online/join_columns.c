/* The columns of a joined log (join.h): the arms and features that the exposures have, numbered as
 * they are met and written in an order that does not depend on that. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "online/join.h"

const char *const hn_join_fixed[HN_JOIN_FIXED] = {"request_id", "time_ms",  "user",  "item",
                                                  "scenario",   "position", "model", "version"};

static hn_status add(int32_t *out, hn_join_columns *columns, hn_join_group group, const char *name,
                     size_t n, hn_error *err) {
    json_t *const names = group == HN_JOIN_ARMS ? columns->arms : columns->features;
    if (columns->n == HN_JOIN_COLUMNS_MAX)
        return hn_fail(err, HN_BAD_DATA,
                       "join: found more than %d features in the exposures; name those that are "
                       "wanted with --columns",
                       HN_JOIN_COLUMNS_MAX);
    HN_TRY(hn_grow(&columns->items, &columns->capacity, (size_t)columns->n + 1,
                   sizeof *columns->items, err));
    char *const copy = hn_strndup(name, n);
    if (!copy || json_object_setn_new(names, name, n, json_integer(columns->n)) != 0) {
        hn_free(copy);
        return hn_no_memory(err, "the columns of the log");
    }
    columns->items[columns->n] = (hn_join_column){copy, group, group};
    *out = HN_JOIN_FIXED + columns->n++;
    return HN_OK;
}

hn_status hn_join_column_of(int32_t *out, hn_join_columns *columns, hn_join_group group,
                            const char *name, size_t n, hn_error *err) {
    const json_t *const names = group == HN_JOIN_ARMS ? columns->arms : columns->features;
    const json_t *const known = json_object_getn(names, name, n);
    *out = -1;
    if (!known)
        return columns->given && group != HN_JOIN_ARMS ? HN_OK
                                                       : add(out, columns, group, name, n, err);
    hn_join_column *const column = &columns->items[json_integer_value(known)];
    if (column->group < group && !columns->given) {
        column->group = group;
        columns->raised = true;
    }
    *out = HN_JOIN_FIXED + (int32_t)json_integer_value(known);
    return HN_OK;
}

void hn_join_columns_keep(hn_join_columns *columns) {
    for (int32_t i = 0; i < columns->n && columns->raised; i++)
        columns->items[i].kept = columns->items[i].group;
    columns->raised = false;
}

void hn_join_columns_cut(hn_join_columns *columns, int32_t n) {
    for (int32_t i = 0; i < n && columns->raised; i++)
        columns->items[i].group = columns->items[i].kept;
    columns->raised = false;
    while (columns->n > n) {
        hn_join_column *const last = &columns->items[--columns->n];
        (void)json_object_del(last->group == HN_JOIN_ARMS ? columns->arms : columns->features,
                              last->name);
        hn_free(last->name);
    }
}

hn_status hn_join_columns_init(hn_join_columns *columns, const char *const *given, size_t n,
                               hn_error *err) {
    *columns = (hn_join_columns){.arms = json_object(), .features = json_object()};
    if (!columns->arms || !columns->features) return hn_no_memory(err, "the columns of the log");
    for (size_t i = 0; i < n; i++) {
        int32_t number;
        if (json_object_get(columns->features, given[i]))
            return hn_fail(err, HN_USAGE, "join: column \"%s\" is named twice", given[i]);
        HN_TRY(add(&number, columns, HN_JOIN_OF_USER, given[i], strlen(given[i]), err));
    }
    columns->given = given != NULL;
    return HN_OK;
}

/* ---- The order ------------------------------------------------------------------------------ */

static int by_group_and_name(const void *a, const void *b, void *user) {
    const hn_join_columns *const columns = user;
    const hn_join_column *const x = &columns->items[*(const int32_t *)a];
    const hn_join_column *const y = &columns->items[*(const int32_t *)b];
    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    if (columns->given && x->group != HN_JOIN_ARMS) return x < y ? -1 : 1;
    return strcmp(x->name, y->name);
}

hn_status hn_join_columns_order(int32_t **out, const hn_join_columns *columns, hn_error *err) {
    const size_t n = (size_t)columns->n;
    int32_t *const order = hn_alloc(n + 1, sizeof *order);
    *out = order;
    if (!order) return hn_no_memory(err, "the columns of the log");
    for (int32_t i = 0; i < columns->n; i++) order[i] = i;
    qsort_r(order, n, sizeof *order, by_group_and_name, (void *)(uintptr_t)columns);
    return HN_OK;
}

void hn_join_columns_free(hn_join_columns *columns) {
    for (int32_t i = 0; i < columns->n; i++) hn_free(columns->items[i].name);
    hn_free(columns->items);
    json_decref(columns->arms);
    json_decref(columns->features);
    *columns = (hn_join_columns){0};
}
