/* One training: its config, key and folder; the command that trains it; what its end means. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "experiment/campaign.h"
#include "experiment/outcome.h"

void hn_item_name(char *out, size_t n, const hn_item *item, const hn_campaign *c) {
    const hn_experiment_config *const config = c->config;
    char what[60];
    if (item->trial >= 0)
        snprintf(what, sizeof what, "trial %d", (int)item->trial + 1);
    else
        snprintf(what, sizeof what, "seed %llu", (unsigned long long)item->seed);
    snprintf(out, n, "%s: %s, %s", config->bases[item->base].name, config->models[item->model].name,
             what);
}

void hn_item_blame(hn_item *item, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(item->error, sizeof item->error, format, args);
    va_end(args);
    hn_utf8_mend(item->error);
}

/* ---- Resolving --------------------------------------------------------------------------- */

static hn_status with_seed(hn_strings *out, const hn_item *item, hn_arena *arena, hn_error *err) {
    char seed[60];
    snprintf(seed, sizeof seed, "train.seed=%llu", (unsigned long long)item->seed);
    *out = (hn_strings){.items = hn_arena_alloc(arena, (size_t)item->set.n + 1, sizeof *out->items),
                        .n = item->set.n + 1};
    if (!out->items) return hn_no_memory(err, "a run's options");
    for (int32_t i = 0; i < item->set.n; i++) out->items[i] = item->set.items[i];
    out->items[item->set.n] = hn_arena_strdup(arena, seed);
    return out->items[item->set.n] ? HN_OK : hn_no_memory(err, "a run's options");
}

static hn_status place(hn_item *item, hn_campaign *c, hn_error *err) {
    hn_text text = {0};
    hn_text_add(&text, "%s/%s/%s", c->dir, item->trial >= 0 ? "trials" : "runs", item->key);
    item->dir = text.failed ? NULL : hn_arena_strdup(&c->arena, text.text);
    hn_text_free(&text);
    return item->dir ? HN_OK : hn_no_memory(err, "a path");
}

static hn_status identify(hn_item *item, const hn_config *config, hn_campaign *c, hn_error *err) {
    /* Stopped between two ends of epochs a trial would have a value that is of no rung. */
    if (item->trial >= 0 && config->train.eval_every > 0)
        return hn_fail(err, HN_BAD_CONFIG,
                       "train.eval_every: found %lld; a search judges whole epochs: expected 0",
                       (long long)config->train.eval_every);
    HN_TRY(hn_experiment_datasets_find(&item->dataset, &c->datasets, config, c->run, err));
    HN_TRY(hn_experiment_key(item->key, config, c->datasets.items[item->dataset].key, err));
    item->epochs = config->train.epochs;
    return place(item, c, err);
}

static void find_result(hn_item *item, const hn_campaign *c) {
    if (item->trial >= 0) return; /* rung by rung, when it is its turn */
    item->line = hn_ledger_find(&c->ledger, "run", item->key, 0);
    if (item->line) item->state = HN_ITEM_DONE;
}

hn_status hn_item_resolve(hn_item *item, hn_campaign *c, hn_error *err) {
    hn_config *config;
    hn_error why = {0};
    hn_strings all;
    char name[300];
    if (item->resolved) return HN_OK;
    HN_TRY(hn_item_options(&item->set, item, c, err));
    HN_TRY(with_seed(&all, item, &c->arena, err));
    hn_status status = hn_config_load(&config, c->config->bases[item->base].config,
                                      (const char *const *)all.items, (size_t)all.n, &why);
    if (status == HN_OK) {
        status = identify(item, config, c, &why);
        hn_config_free(config);
    }
    hn_item_name(name, sizeof name, item, c);
    if (status != HN_OK) return hn_fail(err, status, "%s: %s: %s", c->config->path, name, why.text);
    item->resolved = true;
    find_result(item, c);
    return HN_OK;
}

/* ---- Results ----------------------------------------------------------------------------- */

static json_t *options_json(const hn_item *item) {
    json_t *const list = json_array();
    for (int32_t i = 0; i < item->set.n; i++)
        json_array_append_new(list, json_string(item->set.items[i]));
    return list;
}

static json_t *line_json(const hn_item *item, const hn_campaign *c, const char *status) {
    const time_t now = time(NULL);
    struct tm utc;
    char when[40];
    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:s, s:s, s:s*, s:s}", "kind",
                     item->trial >= 0 ? "trial" : "run", "status", status, "key", item->key, "data",
                     c->config->bases[item->base].name, "config",
                     c->config->bases[item->base].config, "model",
                     c->config->models[item->model].name, "set", options_json(item), "seed",
                     (json_int_t)item->seed, "data_key", c->datasets.items[item->dataset].key,
                     "version", HN_VERSION, "commit", c->options->commit, "finished", when);
}

static void copy(json_t *line, const char *name, const json_t *from, const char *key) {
    json_t *const value = json_object_get(from, key);
    if (value) json_object_set(line, name, value);
}

/* What the table is made of. */
static void add_report(json_t *line, const json_t *report) {
    const json_t *const model = json_object_get(report, "model");
    copy(line, "network", model, "name");
    copy(line, "parameters", model, "parameters");
    copy(line, "table_parameters", model, "table_parameters");
    copy(line, "flops_per_row", model, "flops_per_row");
    copy(line, "best_epoch", report, "best_epoch");
    copy(line, "epochs", report, "epochs_trained");
    copy(line, "validation", report, "validation");
    copy(line, "test", report, "test");
}

static void add_cost(json_t *line, const hn_item *item, const hn_campaign *c, double seconds) {
    json_object_set_new(line, "seconds", json_real(round(seconds * 100) / 100));
    if (item->child.peak_bytes > 0)
        json_object_set_new(line, "memory_bytes", json_integer(item->child.peak_bytes));
    json_object_set_new(line, "threads", json_integer(c->run->threads > 0 ? c->run->threads : 1));
}

static void remove_file(const hn_item *item, const char *name) {
    char *const path = hn_path_join(item->dir, name);
    if (path) unlink(path);
    hn_free(path);
}

static hn_status fail_item(hn_item *item, hn_campaign *c, const char *why, hn_error *err) {
    char name[300];
    hn_item_blame(item, "%s", why);
    hn_item_name(name, sizeof name, item, c);
    hn_say(c->run, HN_LOG_WARNING, "%s has failed: %s", name, item->error);
    json_t *const line = line_json(item, c, "failed");
    if (line) json_object_set_new(line, "error", json_string(item->error));
    HN_TRY(hn_ledger_add(&c->ledger, line, err));
    item->state = HN_ITEM_FAILED;
    if (item->trial >= 0) hn_study_reached(c, item, NAN);
    return HN_OK;
}

static void say_done(const hn_item *item, const hn_campaign *c, const json_t *report) {
    char name[300], left[60], auc[40] = "done";
    const json_t *const mean = json_object_get(json_object_get(report, "test"), "mean");
    const json_t *const value = json_object_get(mean, "auc");
    if (json_is_number(value)) snprintf(auc, sizeof auc, "test AUC %.4f", json_number_value(value));
    hn_item_name(name, sizeof name, item, c);
    hn_campaign_left(left, sizeof left, c);
    hn_say(c->run, HN_LOG_INFO, "%s: %s (%d of %d%s)", name, auc, (int)hn_campaign_settled(c),
           (int)c->n_items, left);
}

static hn_status take_run(hn_item *item, hn_campaign *c, const hn_outcome *outcome, hn_error *err) {
    json_t *const line = line_json(item, c, "done");
    if (line) {
        add_report(line, outcome->report);
        add_cost(line, item, c, outcome->seconds);
    }
    HN_TRY(hn_ledger_add(&c->ledger, line, err));
    find_result(item, c);
    if (c->config->keep != HN_KEEP_ALL) remove_file(item, "last.hn");
    if (c->config->keep == HN_KEEP_NONE) remove_file(item, "best.hn");
    say_done(item, c, outcome->report);
    return HN_OK;
}

/* A rung. The test split's figures are not looked at. */
static hn_status take_rung(hn_item *item, hn_campaign *c, const hn_outcome *outcome,
                           hn_error *err) {
    if (isnan(outcome->metric))
        return fail_item(item, c, "its validation split gives no AUC to search by", err);
    json_t *const line = line_json(item, c, "done");
    if (line) {
        json_object_set_new(line, "trial", json_integer(item->trial));
        json_object_set_new(line, "until", json_integer(item->until));
        json_object_set_new(line, "metric", json_real(outcome->metric));
        add_cost(line, item, c, outcome->seconds);
    }
    HN_TRY(hn_ledger_add(&c->ledger, line, err));
    char name[300];
    hn_item_name(name, sizeof name, item, c);
    hn_say(c->run, HN_LOG_INFO, "%s: validation AUC %.4f after %d of %d epochs", name,
           outcome->metric, (int)item->until, (int)item->epochs);
    hn_study_reached(c, item, outcome->metric);
    return HN_OK;
}

/* Whether the folder has what the item is to reach; then it is taken. */
static hn_status take_what_is_there(bool *taken, hn_item *item, hn_campaign *c, hn_error *err) {
    hn_outcome outcome;
    const int32_t until = item->trial >= 0 ? item->until : 0;
    HN_TRY(hn_outcome_read(&outcome, item->dir, until, err));
    *taken = outcome.ended || (until > 0 && until < item->epochs && outcome.epochs >= until);
    hn_status status = HN_OK;
    if (*taken)
        status =
            item->trial >= 0 ? take_rung(item, c, &outcome, err) : take_run(item, c, &outcome, err);
    hn_outcome_free(&outcome);
    return status;
}

/* ---- Starting ---------------------------------------------------------------------------- */

enum { FIXED_WORDS = 16 };

static hn_status make_command(const char ***out, const hn_item *item, hn_campaign *c,
                              hn_error *err) {
    hn_strings set;
    char numbers[3][40];
    HN_TRY(with_seed(&set, item, &c->arena, err));
    const char **const argv =
        hn_arena_alloc(&c->arena, FIXED_WORDS + 2 * (size_t)set.n, sizeof *argv);
    if (!argv) return hn_no_memory(err, "a command");
    size_t n = 0;
    snprintf(numbers[0], sizeof numbers[0], "--threads=%d",
             c->run->threads > 0 ? (int)c->run->threads : 1);
    snprintf(numbers[1], sizeof numbers[1], "--memory=%lld", (long long)c->memory);
    snprintf(numbers[2], sizeof numbers[2], "--until-epoch=%d", (int)item->until);
    const char *const words[] = {c->options->program,
                                 "train",
                                 c->config->bases[item->base].config,
                                 "--out",
                                 item->dir,
                                 "--resume",
                                 "--json",
                                 "--quiet"};
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) argv[n++] = words[k];
    const bool pauses = item->trial >= 0 && item->until < item->epochs;
    for (int k = 0; k < (pauses ? 3 : 2); k++) {
        argv[n] = hn_arena_strdup(&c->arena, numbers[k]);
        if (!argv[n++]) return hn_no_memory(err, "a command");
    }
    if (item->trial < 0) argv[n++] = "--scores";
    for (int32_t i = 0; i < set.n; i++) {
        argv[n++] = "--set";
        argv[n++] = set.items[i];
    }
    *out = argv;
    return HN_OK;
}

static hn_status launch(hn_item *item, hn_campaign *c, int lock, hn_error *err) {
    const char **argv = NULL;
    char *const out = hn_path_join(item->dir, "report.json"), *const log = hn_path_join(item->dir,
                                                                                        "log.txt");
    hn_status status = out && log ? HN_OK : hn_no_memory(err, "a path");
    if (status == HN_OK)
        status = hn_experiment_dataset_link(&c->datasets.items[item->dataset], item->dir, err);
    if (status == HN_OK) status = make_command(&argv, item, c, err);
    if (status == HN_OK) status = hn_child_start(&item->child, argv, out, log, lock, err);
    hn_free(out);
    hn_free(log);
    if (status == HN_OK) item->state = HN_ITEM_RUNNING;
    return status;
}

/* A rung that an earlier execution has seen. */
static bool know_rung(hn_item *item, hn_campaign *c) {
    if (item->trial < 0) return false;
    const json_t *const line = hn_ledger_find(&c->ledger, "trial", item->key, item->until);
    const json_t *const metric = json_object_get(line, "metric");
    if (!json_is_number(metric)) return false;
    hn_study_reached(c, item, json_number_value(metric));
    return true;
}

hn_status hn_item_start(hn_item_began *how, hn_item *item, hn_campaign *c, hn_error *err) {
    int lock;
    bool taken = false;
    *how = HN_START_KNOWN;
    find_result(item, c); /* another item of the same config may have ended */
    if (item->state == HN_ITEM_DONE || know_rung(item, c)) return HN_OK;
    *how = HN_START_LOCKED;
    HN_TRY(hn_folder_lock(&lock, item->dir, err));
    if (lock < 0) return HN_OK;
    hn_status status = take_what_is_there(&taken, item, c, err);
    *how = taken ? HN_START_KNOWN : HN_START_RUNS;
    if (status == HN_OK && !taken) {
        item->expected_bytes = hn_item_expected(item, c);
        status = launch(item, c, lock, err);
    }
    close(lock); /* the child has it */
    return status;
}

int64_t hn_item_expected(const hn_item *item, const hn_campaign *c) {
    if (item->dataset < c->n_peaks && c->peaks[item->dataset] > 0) return c->peaks[item->dataset];
    return c->memory / c->jobs;
}

/* ---- The end ----------------------------------------------------------------------------- */

static hn_status note_peak(const hn_item *item, hn_campaign *c, hn_error *err) {
    HN_TRY(hn_grow(&c->peaks, &c->peaks_capacity, item->dataset + 1, sizeof *c->peaks, err));
    while (c->n_peaks <= item->dataset) c->peaks[c->n_peaks++] = 0;
    if (item->child.peak_bytes > c->peaks[item->dataset])
        c->peaks[item->dataset] = item->child.peak_bytes;
    return HN_OK;
}

static bool has_checkpoint(const hn_item *item) {
    char *const path = hn_path_join(item->dir, "checkpoint.hn");
    const bool found = path && hn_file_exists(path);
    hn_free(path);
    return found;
}

static bool ended_with(const hn_child *child, hn_status status) {
    return child->signal == 0 && child->code == hn_status_exit_code(status);
}

/* A checkpoint that cannot be gone on from is no reason to give up: without it, once more. One
 * that a stop from elsewhere has left is gone on from. */
static bool try_again(hn_item *item) {
    const hn_child *const child = &item->child;
    const bool refused = ended_with(child, HN_BAD_DATA) || ended_with(child, HN_BAD_CONFIG);
    if (item->again || !has_checkpoint(item)) return false;
    if (refused) remove_file(item, "checkpoint.hn");
    item->again = refused || ended_with(child, HN_INTERRUPTED);
    return item->again;
}

/* Asked before it had installed its handler, it ends by the signal itself. */
static bool ended_as_asked(const hn_item *item, const hn_campaign *c) {
    const hn_child *const child = &item->child;
    return c->asked && (child->signal == SIGTERM || ended_with(child, HN_OK) ||
                        ended_with(child, HN_INTERRUPTED));
}

hn_status hn_item_end(hn_item *item, hn_campaign *c, hn_error *err) {
    const hn_child *const child = &item->child;
    char words[300], why[400];
    bool taken = false;
    HN_TRY(note_peak(item, c, err));
    item->state = HN_ITEM_READY;
    if (ended_with(child, HN_OK) || ended_with(child, HN_INTERRUPTED))
        HN_TRY(take_what_is_there(&taken, item, c, err));
    if (taken || ended_as_asked(item, c)) return HN_OK;
    hn_outcome_last_words(words, sizeof words, item->dir);
    if (child->signal != 0)
        snprintf(why, sizeof why, "it was ended by signal %d%s%s", child->signal,
                 words[0] ? "; its last words: " : "", words);
    else if (child->code == 127)
        snprintf(why, sizeof why, "%s cannot be run", c->options->program);
    else
        snprintf(why, sizeof why, "%s", words[0] ? words : "it has left no report");
    return try_again(item) ? HN_OK : fail_item(item, c, why, err);
}
