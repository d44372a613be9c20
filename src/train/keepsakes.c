/* Golden rows in the making (keepsakes.h). */
#include "train/keepsakes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/report.h"
#include "bundle/golden.h"

typedef struct keepsake {
    uint64_t ordinal;
    size_t row; /* of the dataset's samples */
} keepsake;

struct hn_keepsakes {
    const hn_dataset *dataset;
    const json_t *rows; /* the samples */
    size_t n, most, tasks;
    keepsake *order; /* [n] by ordinal */
    hn_real *logits; /* [n][T] by row */
    bool *seen;      /* [n] by row */
};

/* ---- Life ------------------------------------------------------------------------------------ */

void hn_keepsakes_free(hn_keepsakes *keepsakes) {
    if (!keepsakes) return;
    hn_free(keepsakes->order);
    hn_free(keepsakes->logits);
    hn_free(keepsakes->seen);
    hn_free(keepsakes);
}

static int by_ordinal(const void *a, const void *b) {
    const uint64_t x = ((const keepsake *)a)->ordinal, y = ((const keepsake *)b)->ordinal;
    return x < y ? -1 : x > y;
}

static hn_status set_up(hn_keepsakes *k, hn_error *err) {
    k->order = hn_alloc_zero(k->n, sizeof *k->order);
    k->logits = hn_alloc_zero(k->n * k->tasks, sizeof *k->logits);
    k->seen = hn_alloc_zero(k->n, sizeof *k->seen);
    if (!k->order || !k->logits || !k->seen) return hn_no_memory(err, "golden rows");
    for (size_t i = 0; i < k->n; i++)
        k->order[i] = (keepsake){
            (uint64_t)json_integer_value(json_object_get(json_array_get(k->rows, i), "ordinal")),
            i};
    if (k->n > 0) qsort(k->order, k->n, sizeof *k->order, by_ordinal);
    return HN_OK;
}

hn_status hn_keepsakes_create(hn_keepsakes **out, const hn_dataset *dataset, int32_t most,
                              hn_error *err) {
    *out = NULL;
    hn_keepsakes *const made = hn_alloc_zero(1, sizeof *made);
    if (!made) return hn_no_memory(err, "golden rows");
    made->dataset = dataset;
    made->rows = json_object_get(hn_dataset_samples(dataset), "rows");
    made->most = (size_t)most;
    made->n = most > 0 ? json_array_size(made->rows) : 0;
    made->tasks = (size_t)hn_schema_layout(hn_dataset_schema(dataset))->tasks;
    const hn_status status = set_up(made, err);
    if (status != HN_OK)
        hn_keepsakes_free(made);
    else
        *out = made;
    return status;
}

/* ---- Rows ---------------------------------------------------------------------------------- */

void hn_keepsakes_add(hn_keepsakes *keepsakes, const hn_rows *rows, const hn_real *logits) {
    const size_t tasks = keepsakes->tasks;
    for (size_t r = 0; keepsakes->n > 0 && r < (size_t)rows->rows; r++) {
        const keepsake wanted = {.ordinal = rows->ordinal[r]};
        const keepsake *const found =
            bsearch(&wanted, keepsakes->order, keepsakes->n, sizeof wanted, by_ordinal);
        if (!found) continue;
        memcpy(keepsakes->logits + found->row * tasks, logits + r * tasks, tasks * sizeof *logits);
        keepsakes->seen[found->row] = true;
    }
}

/* ---- The golden rows ----------------------------------------------------------------------- */

static json_t *logits_json(const hn_real *logits, size_t tasks) {
    json_t *const list = json_array();
    for (size_t t = 0; t < tasks; t++) {
        if (!isfinite(logits[t]) ||
            json_array_append_new(list, json_real((double)logits[t])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *golden_json(const hn_keepsakes *k, json_t *rows) {
    const json_t *const samples = hn_dataset_samples(k->dataset);
    return json_pack("{s:O, s:o}", "columns", json_object_get(samples, "columns"), "rows", rows);
}

/* The first `most` rows that were seen. Those whose logits are not finite are none. */
static json_t *choose(const hn_keepsakes *k) {
    json_t *const rows = json_array();
    for (size_t i = 0; i < k->n && json_array_size(rows) < k->most; i++) {
        const json_t *const row = json_array_get(k->rows, i);
        json_t *const logits = k->seen[i] ? logits_json(k->logits + i * k->tasks, k->tasks) : NULL;
        if (logits)
            json_array_append_new(rows, json_pack("{s:O, s:O, s:o}", "scenario",
                                                  json_object_get(row, "scenario"), "cells",
                                                  json_object_get(row, "cells"), "logits", logits));
    }
    return golden_json(k, rows);
}

/* Of the rows those that have the logits that they should have. */
static json_t *agreeing(const hn_keepsakes *k, const json_t *golden, const hn_real *logits,
                        size_t *differ) {
    const json_t *const rows = json_object_get(golden, "rows");
    json_t *const kept = json_array();
    for (size_t r = 0; r < json_array_size(rows); r++) {
        bool same = true;
        for (size_t t = 0; t < k->tasks; t++)
            same &= hn_golden_same((double)logits[r * k->tasks + t],
                                   hn_golden_logit(golden, r, (int32_t)t));
        *differ += !same;
        if (same) json_array_append(kept, json_array_get(rows, r));
    }
    return golden_json(k, kept);
}

static hn_status score(hn_real *logits, const hn_keepsakes *k, const json_t *golden,
                       const hn_trainer *trainer, hn_error *err) {
    const hn_schema *const schema = hn_dataset_schema(k->dataset);
    hn_scorer *scorer;
    HN_TRY(hn_scorer_create(&scorer, trainer->infer, &trainer->params,
                            hn_schema_scenario_rows(schema), err));
    const hn_golden_scorer with = {trainer->config, schema, hn_dataset_tables(k->dataset), scorer};
    const hn_status status = hn_golden_score(logits, &with, golden, err);
    hn_scorer_free(scorer);
    return status;
}

static hn_status try_them(json_t **out, const hn_keepsakes *k, const json_t *golden,
                          const hn_trainer *trainer, const hn_run *run, hn_error *err) {
    const size_t rows = json_array_size(json_object_get(golden, "rows"));
    size_t differ = 0;
    if (rows == 0) return HN_OK;
    hn_real *const logits = hn_alloc(rows * k->tasks, sizeof *logits);
    if (!logits) return hn_no_memory(err, "golden rows");
    const hn_status status = score(logits, k, golden, trainer, err);
    if (status == HN_OK) *out = agreeing(k, golden, logits, &differ);
    hn_free(logits);
    HN_TRY(status);
    if (differ > 0)
        hn_say(run, HN_LOG_WARNING,
               "%zu of %zu golden rows are scored otherwise by the way that a server scores; they "
               "are left out of the bundle (a column given twice, or text that is no UTF-8?)",
               differ, rows);
    return *out ? HN_OK : hn_no_memory(err, "golden rows");
}

hn_status hn_keepsakes_finish(json_t **out, const hn_keepsakes *keepsakes,
                              const hn_trainer *trainer, const hn_run *run, hn_error *err) {
    *out = NULL;
    if (keepsakes->n == 0) return HN_OK;
    json_t *const golden = choose(keepsakes);
    if (!golden) return hn_no_memory(err, "golden rows");
    const hn_status status = try_them(out, keepsakes, golden, trainer, run, err);
    json_decref(golden);
    return status;
}
