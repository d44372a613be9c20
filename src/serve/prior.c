/* Base rates from the data card (prior.h). */
#include "serve/prior.h"

#include <string.h>

#include "base/memory.h"

typedef struct counts { /* [scenarios + 1][tasks]; the last are sums */
    double *labelled, *positives;
    const hn_config *config;
    int32_t scenarios;
    bool any;
} counts;

static int32_t scenario_of(const counts *c, const char *name) {
    const hn_strings *const names = &c->config->scenario.names;
    if (names->n == 0) return 0;
    for (int32_t m = 0; name && m < names->n; m++)
        if (strcmp(names->items[m], name) == 0) return m;
    return -1;
}

static int32_t task_of(const counts *c, const char *name) {
    for (int32_t t = 0; name && t < c->config->n_tasks; t++)
        if (strcmp(c->config->tasks[t].name, name) == 0) return t;
    return -1;
}

static const char *text_of(const json_t *cell, const char *key) {
    return json_string_value(json_object_get(cell, key));
}

static void add_cell(counts *c, const json_t *cell) {
    const char *const split = text_of(cell, "split");
    const int32_t m = scenario_of(c, text_of(cell, "scenario")),
                  t = task_of(c, text_of(cell, "task"));
    if (!split || strcmp(split, "train") != 0 || m < 0 || t < 0) return;
    const double labelled = json_number_value(json_object_get(cell, "labelled")),
                 positives = json_number_value(json_object_get(cell, "positives"));
    const int32_t places[] = {m * c->config->n_tasks + t, c->scenarios * c->config->n_tasks + t};
    for (int k = 0; k < 2; k++) {
        c->labelled[places[k]] += labelled;
        c->positives[places[k]] += positives;
    }
    c->any = true;
}

static void read_card(counts *c, hn_pack *pack) {
    const hn_section *section = NULL;
    if (hn_pack_find(&section, pack, "card", HN_PACK_BYTES, NULL) != HN_OK) return;
    json_t *const card = json_loadb(section->bytes, section->n_bytes, 0, NULL);
    const json_t *cell;
    size_t index;
    json_array_foreach(json_object_get(card, "cells"), index, cell) add_cell(c, cell);
    json_decref(card);
}

static void make_rates(double *out, const counts *c, const hn_bundle *bundle) {
    const int32_t tasks = c->config->n_tasks;
    for (int32_t m = 0; m <= c->scenarios; m++)
        for (int32_t t = 0; t < tasks; t++) {
            const int32_t own = m * tasks + t, all = c->scenarios * tasks + t;
            const int32_t from = c->labelled[own] > 0 ? own : all;
            const double rate = c->labelled[from] > 0 ? c->positives[from] / c->labelled[from] : 0;
            out[own] = (double)(hn_real)hn_unsample(
                rate, m < c->scenarios ? hn_schema_sampling(bundle->schema)[m]
                                       : bundle->unknown_sampling);
        }
}

hn_status hn_prior_make(double **out, const hn_bundle *bundle, hn_error *err) {
    counts c = {.config = bundle->config, .scenarios = hn_schema_layout(bundle->schema)->scenarios};
    const size_t n = (size_t)(c.scenarios + 1) * (size_t)bundle->config->n_tasks;
    *out = NULL;
    c.labelled = hn_alloc_zero(n, sizeof *c.labelled);
    c.positives = hn_alloc_zero(n, sizeof *c.positives);
    double *const rates = hn_alloc(n, sizeof *rates);
    const bool fine = c.labelled && c.positives && rates;
    if (fine) read_card(&c, bundle->pack);
    if (fine && c.any) make_rates(rates, &c, bundle);
    hn_free(c.labelled);
    hn_free(c.positives);
    if (fine && c.any)
        *out = rates;
    else
        hn_free(rates);
    return fine ? HN_OK : hn_no_memory(err, "base rates");
}
