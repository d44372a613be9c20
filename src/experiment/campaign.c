/* A campaign's items in the order in which they are wanted: data set by data set, first what the
 * search tries, then seed by seed, so that a table of fewer seeds is whole early. */
#include "experiment/campaign.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

hn_study *hn_campaign_study(const hn_campaign *campaign, int32_t base, int32_t model) {
    return &campaign->studies[(size_t)base * (size_t)campaign->config->n_models + (size_t)model];
}

hn_study *hn_campaign_source(const hn_campaign *campaign, int32_t base, int32_t model) {
    while (campaign->config->models[model].parent >= 0)
        model = campaign->config->models[model].parent;
    return hn_campaign_study(campaign, base, model);
}

void hn_campaign_close(hn_campaign *campaign) {
    for (int32_t i = 0; i < campaign->n_items; i++) hn_child_kill(&campaign->items[i].child);
    hn_ledger_close(&campaign->ledger);
    hn_experiment_datasets_free(&campaign->datasets);
    hn_free(campaign->peaks);
    hn_arena_free(&campaign->arena);
}

/* ---- Items ------------------------------------------------------------------------------- */

static void add_trials(hn_campaign *c, int32_t base) {
    for (int32_t m = 0; m < c->config->n_models; m++) {
        hn_study *const study = hn_campaign_study(c, base, m);
        if (!study->searched) continue;
        study->items = &c->items[c->n_items];
        for (int32_t t = 0; t < c->config->trials; t++)
            c->items[c->n_items++] =
                (hn_item){.base = base, .model = m, .trial = t, .seed = c->config->search_seed};
    }
}

static void add_runs(hn_campaign *c, int32_t base) {
    for (int32_t s = 0; s < c->config->seeds.n; s++)
        for (int32_t m = 0; m < c->config->n_models; m++)
            c->items[c->n_items++] =
                (hn_item){.base = base, .model = m, .trial = -1, .seed = c->config->seeds.items[s]};
}

static hn_status make_items(hn_campaign *c, hn_error *err) {
    const hn_experiment_config *const config = c->config;
    const size_t studies = (size_t)config->n_bases * (size_t)config->n_models;
    const size_t each = (size_t)config->seeds.n + (c->options->search ? (size_t)config->trials : 0);
    c->studies = hn_arena_alloc(&c->arena, studies, sizeof *c->studies);
    c->items = hn_arena_alloc(&c->arena, studies * each, sizeof *c->items);
    if (!c->studies || !c->items || studies * each > INT32_MAX)
        return hn_no_memory(err, "the runs of an experiment");
    HN_TRY(hn_studies_make(c, err));
    for (int32_t b = 0; b < config->n_bases; b++) {
        add_trials(c, b);
        add_runs(c, b);
    }
    return HN_OK;
}

/* One that waits for a search is resolved as a copy, as if nothing were found. */
static hn_status resolve(hn_item *item, hn_campaign *c, hn_error *err) {
    const bool waits = item->trial < 0 && hn_campaign_source(c, item->base, item->model)->searched;
    hn_item as_it_stands = *item;
    if (waits) return hn_item_resolve(&as_it_stands, c, err);
    HN_TRY(hn_item_resolve(item, c, err));
    if (item->trial < 0 && item->state == HN_ITEM_WAITING) item->state = HN_ITEM_READY;
    return HN_OK;
}

/* Whatever can be wrong is told before the first run begins. */
static hn_status resolve_all(hn_campaign *c, hn_error *err) {
    for (int32_t i = 0; i < c->n_items; i++) {
        HN_TRY(resolve(&c->items[i], c, err));
        if (hn_stopped(c->run)) return hn_fail(err, HN_INTERRUPTED, "stopped by request");
    }
    for (int32_t k = 0; k < c->config->n_bases * c->config->n_models; k++) {
        hn_study *const study = &c->studies[k];
        if (study->searched)
            hn_rungs_plan(&study->rungs, c->config->trials, study->items[0].epochs,
                          c->config->halving);
    }
    return HN_OK;
}

/* ---- Life -------------------------------------------------------------------------------- */

static int32_t cores(void) {
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 256 ? 256 : (int32_t)n;
}

static hn_status set_up(hn_campaign *c, hn_error *err) {
    char *const results = hn_path_join(c->dir, "results.jsonl");
    c->datasets.dir = hn_path_join(c->dir, "data");
    const int32_t threads = c->run->threads > 0 ? c->run->threads : 1;
    c->jobs = c->options->jobs > 0 ? c->options->jobs : cores() / threads;
    if (c->jobs < 1) c->jobs = 1;
    c->memory = c->run->memory_bytes > 0 ? c->run->memory_bytes : hn_memory_machine() / 10 * 8;
    hn_status status = results && c->datasets.dir ? HN_OK : hn_no_memory(err, "a path");
    if (status == HN_OK) status = hn_ledger_open(&c->ledger, results, err);
    hn_free(results);
    if (status == HN_OK) status = make_items(c, err);
    return status == HN_OK ? resolve_all(c, err) : status;
}

hn_status hn_campaign_open(hn_campaign *out, const hn_experiment_config *config,
                           const hn_experiment_options *options, const hn_run *run, hn_error *err) {
    *out = (hn_campaign){.config = config,
                         .options = options,
                         .run = run,
                         .dir = run->out_dir ? run->out_dir : ".",
                         .ledger = {.fd = -1}};
    const hn_status status = set_up(out, err);
    if (status != HN_OK) hn_campaign_close(out);
    return status;
}
