/* Searches: which options a model has, trial by trial, and when it is whose turn. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "experiment/campaign.h"

/* ---- What a model's search tunes --------------------------------------------------------- */

/* Whether one of the strings is "key=…". */
static bool sets_key(const hn_strings *set, const char *key) {
    const size_t n = strlen(key);
    for (int32_t i = 0; i < set->n; i++)
        if (strncmp(set->items[i], key, n) == 0 && set->items[i][n] == '=') return true;
    return false;
}

static void add_range(hn_study *study, const hn_experiment_range *range,
                      const hn_experiment_model *model) {
    if (sets_key(&model->set, range->key)) return;
    for (int32_t k = 0; k < study->n_ranges; k++)
        if (strcmp(study->ranges[k]->key, range->key) == 0) {
            study->ranges[k] = range; /* the model's own instead of the experiment's */
            return;
        }
    study->ranges[study->n_ranges++] = range;
}

hn_status hn_studies_make(hn_campaign *c, hn_error *err) {
    const hn_experiment_config *const config = c->config;
    for (int32_t k = 0; k < config->n_bases * config->n_models; k++) {
        hn_study *const study = &c->studies[k];
        const hn_experiment_model *const model = &config->models[k % config->n_models];
        study->known = true;
        study->best = 0;
        if (!c->options->search || model->parent >= 0) continue;
        study->ranges =
            hn_arena_alloc(&c->arena, (size_t)config->n_ranges + (size_t)model->n_ranges + 1,
                           sizeof *study->ranges);
        study->trials = hn_arena_alloc(&c->arena, (size_t)config->trials, sizeof *study->trials);
        if (!study->ranges || !study->trials) return hn_no_memory(err, "a search");
        for (int32_t r = 0; r < config->n_ranges; r++) add_range(study, &config->ranges[r], model);
        for (int32_t r = 0; r < model->n_ranges; r++) add_range(study, &model->ranges[r], model);
        study->searched = study->n_ranges > 0;
        study->known = !study->searched;
    }
    return HN_OK;
}

/* ---- Options of an item ------------------------------------------------------------------ */

static void add_all(hn_strings *out, const hn_strings *set) {
    for (int32_t i = 0; i < set->n; i++) out->items[out->n++] = set->items[i];
}

static hn_status add_model_name(hn_strings *out, const char *name, hn_arena *arena, hn_error *err) {
    char text[300];
    if (!name) return HN_OK;
    snprintf(text, sizeof text, "model.name=%s", name);
    out->items[out->n] = hn_arena_strdup(arena, text);
    if (!out->items[out->n]) return hn_no_memory(err, "a run's options");
    out->n++;
    return HN_OK;
}

/* The model's own, after those of the one it is like, and what its search has found. */
static hn_status add_model(hn_strings *out, int32_t at, const hn_strings *tuned, hn_campaign *c,
                           hn_error *err) {
    const hn_experiment_model *const model = &c->config->models[at];
    if (model->parent >= 0) HN_TRY(add_model(out, model->parent, tuned, c, err));
    HN_TRY(add_model_name(out, model->model, &c->arena, err));
    add_all(out, &model->set);
    if (model->parent < 0) add_all(out, tuned);
    return HN_OK;
}

static size_t most_options(const hn_item *item, const hn_campaign *c, const hn_strings *tuned) {
    size_t n =
        (size_t)c->config->set.n + (size_t)c->config->bases[item->base].set.n + (size_t)tuned->n;
    for (int32_t m = item->model; m >= 0; m = c->config->models[m].parent)
        n += (size_t)c->config->models[m].set.n + 1;
    return n;
}

hn_status hn_item_options(hn_strings *out, const hn_item *item, hn_campaign *c, hn_error *err) {
    const hn_study *const study = hn_campaign_source(c, item->base, item->model);
    const int32_t trial = item->trial >= 0 ? item->trial : study->best;
    hn_strings tuned = {0};
    if (study->searched && trial > 0)
        HN_TRY(hn_search_propose(&tuned, study->ranges, study->n_ranges, c->config->search_seed,
                                 trial, &c->arena, err));
    *out = (hn_strings){
        .items = hn_arena_alloc(&c->arena, most_options(item, c, &tuned) + 1, sizeof *out->items)};
    if (!out->items) return hn_no_memory(err, "a run's options");
    add_all(out, &c->config->set);
    add_all(out, &c->config->bases[item->base].set);
    return add_model(out, item->model, &tuned, c, err);
}

/* ---- Turns ------------------------------------------------------------------------------- */

void hn_study_reached(hn_campaign *c, hn_item *item, double value) {
    hn_study *const study = hn_campaign_study(c, item->base, item->model);
    hn_trial *const trial = &study->trials[item->trial];
    if (isnan(value))
        trial->failed = true;
    else
        trial->values[trial->reached++] = value;
    item->state = trial->failed ? HN_ITEM_FAILED : HN_ITEM_WAITING;
}

/* Trials of equal options have one folder: whether a search that goes on has it, too. */
static bool is_in_use(const hn_campaign *c, const char *dir) {
    for (int32_t i = 0; i < c->n_items; i++) {
        const hn_item *const item = &c->items[i];
        if (item->trial >= 0 && !hn_campaign_study(c, item->base, item->model)->known &&
            strcmp(item->dir, dir) == 0)
            return true;
    }
    return false;
}

/* A trial's bundles have done their work. */
static void clear_up(const hn_study *study, const hn_campaign *c) {
    static const char *const names[] = {"best.hn", "last.hn", "checkpoint.hn"};
    for (int32_t t = 0; t < c->config->trials; t++) {
        if (is_in_use(c, study->items[t].dir)) continue;
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            char *const path = hn_path_join(study->items[t].dir, names[k]);
            if (path) remove(path);
            hn_free(path);
        }
    }
}

/* What was found may not go with what an entry that is `like` the model sets: that run fails,
 * the others do not. */
static hn_status release(hn_item *item, const hn_study *study, hn_campaign *c, hn_error *err) {
    hn_error why = {0};
    hn_status status = HN_BAD_CONFIG;
    if (study->best < 0)
        snprintf(why.text, sizeof why.text,
                 "all trials of its search have failed; the first: %.300s", study->items[0].error);
    else
        status = hn_item_resolve(item, c, &why);
    if (status == HN_OK && item->state == HN_ITEM_WAITING) item->state = HN_ITEM_READY;
    if (status == HN_OK) return HN_OK;
    if (status != HN_BAD_CONFIG) return hn_fail(err, status, "%s", why.text);
    item->state = HN_ITEM_FAILED;
    hn_item_blame(item, "%s", why.text);
    hn_say(c->run, HN_LOG_WARNING, "%s", item->error);
    return HN_OK;
}

static hn_status end_search(hn_study *study, hn_campaign *c, hn_error *err) {
    study->known = true;
    study->best = hn_trials_best(study->trials, c->config->trials, &study->rungs);
    clear_up(study, c);
    for (int32_t i = 0; i < c->n_items; i++) {
        hn_item *const item = &c->items[i];
        if (item->trial < 0 && hn_campaign_source(c, item->base, item->model) == study)
            HN_TRY(release(item, study, c, err));
    }
    return HN_OK;
}

static void let_go_on(hn_study *study, int32_t trials) {
    for (int32_t t = 0; t < trials; t++) {
        hn_item *const item = &study->items[t];
        const hn_trial *const trial = &study->trials[t];
        if (item->state != HN_ITEM_WAITING || trial->failed || trial->admitted <= trial->reached)
            continue;
        item->until = study->rungs.epochs[trial->reached];
        item->state = HN_ITEM_READY;
    }
}

static void say_found(const hn_study *study, const hn_campaign *c) {
    if (study->best < 0) return;
    const hn_item *const best = &study->items[study->best];
    char name[300];
    hn_item_name(name, sizeof name, best, c);
    hn_say(c->run, HN_LOG_INFO, "%s is the best of %d: validation AUC %.4f", name,
           (int)c->config->trials,
           study->trials[study->best].values[study->trials[study->best].reached - 1]);
}

hn_status hn_studies_advance(hn_campaign *c, hn_error *err) {
    for (int32_t k = 0; k < c->config->n_bases * c->config->n_models; k++) {
        hn_study *const study = &c->studies[k];
        if (study->known) continue;
        const bool over = hn_trials_advance(study->trials, c->config->trials, &study->rungs);
        let_go_on(study, c->config->trials);
        if (!over) continue;
        HN_TRY(end_search(study, c, err));
        say_found(study, c);
    }
    return HN_OK;
}
