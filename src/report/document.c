/* Gathers the document: each run is opened, measured and closed in turn, so that no more than
 * one model is in memory; what is compared are the replicates that remain. */
#include "report/document.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "report/gates.h"
#include "report/measure.h"
#include "report/permute.h"
#include "train/results.h"
#include "train/scoring.h"

typedef struct gathering {
    const hn_runs_options *options;
    int64_t sample_rows;
    hn_pool *pool;
    const hn_run *run;
    hn_config *config;           /* of --data CONFIG */
    const char *dataset, *files; /* of --data */
    char **labels;               /* [n] */
    hn_compared *compared;       /* [n] */
    int32_t n, n_compared;
    json_t *runs, *without_rows; /* labels */
} gathering;

/* ---- What is known without rows ---------------------------------------------------------- */

static json_t *model_json(const hn_bundle *bundle) {
    const hn_model_row *const row = hn_model_find(bundle->config->model.kind);
    json_int_t parameters = 0, in_tables = 0;
    for (int32_t i = 0; i < hn_plan_params(bundle->plan); i++) {
        const hn_param_info *const p = hn_plan_param(bundle->plan, i);
        parameters += (json_int_t)p->batch * p->rows * p->groups * p->cols;
    }
    for (int32_t t = 0; t < bundle->params.n_tables; t++)
        in_tables += (json_int_t)bundle->params.tables[t].rows * bundle->params.tables[t].width;
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "name", hn_model_name(row->kind), "title",
                     row->title, "source", row->source, "parameters", parameters,
                     "table_parameters", in_tables, "flops_per_row",
                     (json_int_t)hn_plan_flops(bundle->plan));
}

/* Without its folders, which are of this machine. */
static const char *file_name(const char *path) {
    const char *const slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Names of files as the config has them. */
static json_t *names_json(const hn_strings *files) {
    json_t *const names = json_array();
    for (int32_t i = 0; i < files->n; i++)
        json_array_append_new(names, json_string(file_name(files->items[i])));
    return names;
}

static json_t *files_json(const hn_config *config) {
    json_t *const tables = json_array();
    for (int32_t t = 0; t < config->n_tables; t++)
        json_array_append_new(tables,
                              json_pack("{s:s, s:o}", "name", config->tables[t].name, "files",
                                        names_json(&config->tables[t].source.files)));
    return json_pack("{s:o, s:o}", "log", names_json(&config->log.files), "tables", tables);
}

static json_t *scenarios_json(const hn_bundle *bundle) {
    json_t *const names = json_array();
    for (int32_t i = 0; i < bundle->config->scenario.names.n; i++)
        json_array_append_new(names, json_string(bundle->config->scenario.names.items[i]));
    return names;
}

static json_t *tasks_json(const hn_config *config) {
    json_t *const names = json_array();
    for (int32_t t = 0; t < config->n_tasks; t++)
        json_array_append_new(names, json_string(config->tasks[t].name));
    return names;
}

/* What training stored of the split that is nearest to what is measured. */
static json_t *stored_json(const hn_bundle *bundle, const char **split) {
    static const char *const splits[] = {"test", "validation"};
    for (int i = 0; i < 2; i++) {
        const json_t *const result = json_object_get(bundle->metrics, splits[i]);
        *split = splits[i];
        if (json_is_object(result)) return json_deep_copy(result);
    }
    *split = NULL;
    return json_null();
}

static json_t *copy_of(const json_t *value) { return value ? json_deep_copy(value) : json_null(); }

/* Spaces and what a shell would read stand in quotes. */
static void add_word(hn_text *out, const char *word) {
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
    if (word[0] && strspn(word, plain) == strlen(word)) {
        hn_text_add(out, " %s", word);
        return;
    }
    hn_text_add(out, " '");
    for (const char *at = word; *at; at++)
        if (*at == '\'')
            hn_text_add(out, "'\\''");
        else
            hn_text_bytes(out, at, 1);
    hn_text_add(out, "'");
}

static json_t *command_json(const char *const *words) {
    hn_text text = {0};
    hn_text_add(&text, "hinet");
    for (; *words; words++) add_word(&text, *words);
    json_t *const command = text.failed ? NULL : json_string(text.text);
    hn_text_free(&text);
    return command;
}

/* Where the commands have a bundle: in the folder of its training, or alone as it was given. */
static void place_bundle(hn_text *out, const char *folder, const hn_subject *subject) {
    const char *const name = file_name(subject->bundle_path);
    const bool trained = strcmp(name, "best.hn") == 0 || strcmp(name, "last.hn") == 0;
    hn_text_add(out, "%s%s%s", trained ? folder : "", trained ? "/" : "", name);
}

static json_t *report_command(const gathering *g, const char *run) {
    char seed[24], rows[24];
    const char *words[12] = {"report", run};
    size_t n = 2;
    snprintf(seed, sizeof seed, "%" PRIu64, g->options->seed);
    snprintf(rows, sizeof rows, "%" PRId64, g->sample_rows);
    if (g->options->data) {
        words[n++] = "--data";
        words[n++] = file_name(g->options->data);
    }
    const char *const others[] = {"--rows", rows, "--seed", seed, "-o", "report.html"};
    for (size_t k = 0; k < sizeof others / sizeof *others; k++) words[n++] = others[k];
    return command_json(words);
}

static json_t *commands_json(const gathering *g, const hn_subject *subject) {
    hn_text folder = {0}, bundle = {0};
    hn_text_add(&folder, "runs/%s", subject->label);
    if (!folder.failed) place_bundle(&bundle, folder.text, subject);
    json_t *const list = json_array();
    if (!folder.failed && !bundle.failed) {
        const bool best = strcmp(file_name(bundle.text), "best.hn") == 0;
        const char *const rows =
            g->options->data && !g->dataset ? file_name(g->options->data) : "config.yaml";
        json_array_append_new(list, command_json((const char *const[]){
                                        "train", "config.yaml", "--out", folder.text, NULL}));
        json_array_append_new(list,
                              command_json((const char *const[]){"eval", bundle.text, rows, NULL}));
        json_array_append_new(list, report_command(g, best ? folder.text : bundle.text));
    }
    hn_text_free(&folder);
    hn_text_free(&bundle);
    return list;
}

static hn_status describe(json_t *to, const gathering *g, const hn_subject *subject,
                          hn_error *err) {
    const hn_bundle *const bundle = subject->bundle;
    char hash[24];
    snprintf(hash, sizeof hash, "%016" PRIx64, subject->hash);
    json_t *const known =
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:O, s:s, s:o}", "label",
                  subject->label, "bundle", hash, "model", model_json(bundle), "scenarios",
                  scenarios_json(bundle), "tasks", tasks_json(bundle->config), "files",
                  files_json(bundle->config), "card", copy_of(subject->card), "best_epoch",
                  copy_of(json_object_get(bundle->metrics, "best_epoch")), "epochs_trained",
                  copy_of(json_object_get(bundle->metrics, "epochs_trained")), "seconds",
                  hn_results_number(subject->seconds), "history", subject->history, "config",
                  hn_config_yaml(bundle->config), "commands", commands_json(g, subject));
    const bool made = known && json_object_update(to, known) == 0;
    json_decref(known);
    return made ? HN_OK
                : hn_fail(err, HN_FAILED,
                          "%s: its names are not UTF-8, or there is no memory for them",
                          subject->label);
}

/* ---- What rows tell ---------------------------------------------------------------------- */

static hn_status put(json_t *to, const char *key, json_t *value, hn_error *err) {
    return json_object_set_new(to, key, value) == 0 ? HN_OK : hn_no_memory(err, "the report");
}

/* Gates, SAN and the cost of features, from the sample (NULL: none). */
static hn_status explain(json_t *to, const gathering *g, const hn_bundle *bundle,
                         const hn_sample *sample, hn_error *err) {
    hn_sample *sorted = NULL;
    json_t *san = NULL, *gates = NULL, *permutation = NULL;
    hn_status status = sample ? hn_sample_sorted(&sorted, sample, true, err) : HN_OK;
    if (status == HN_OK) status = hn_gates_gather(&san, &gates, bundle, sorted, err);
    hn_sample_free(sorted);
    sorted = NULL;
    if (status == HN_OK && sample) status = hn_sample_sorted(&sorted, sample, false, err);
    if (status == HN_OK && sample)
        status =
            hn_permute_gather(&permutation, bundle, sorted, g->options->seed, g->pool, g->run, err);
    hn_sample_free(sorted);
    if (status != HN_OK) {
        json_decref(san);
        json_decref(gates);
        return status;
    }
    HN_TRY(put(to, "permutation", permutation ? permutation : json_null(), err));
    status = put(to, "san", san, err);
    return status == HN_OK ? put(to, "gates", gates, err) : status;
}

static const char *rows_of(const hn_subject *subject) {
    if (subject->dataset) return subject->split == HN_TEST ? "test" : "validation";
    return subject->config ? "config" : "files";
}

static hn_status measure(json_t *to, gathering *g, const hn_subject *subject, hn_error *err) {
    const hn_bundle *const bundle = subject->bundle;
    const hn_measure_options options = {
        .sample_rows = g->sample_rows, .seed = g->options->seed, .pool = g->pool, .run = g->run};
    hn_measured measured;
    HN_TRY(hn_measure(&measured, subject, &options, err));
    hn_results_warn(measured.metrics, bundle->config, "measured", g->run);
    if (measured.rows == 0)
        hn_say(g->run, HN_LOG_WARNING, "%s: there are no rows to measure it on", subject->label);
    hn_status status = put(to, "measured", hn_measured_json(&measured, bundle->config), err);
    if (status == HN_OK) status = put(to, "rows_of", json_string(rows_of(subject)), err);
    if (status == HN_OK) status = explain(to, g, bundle, measured.sample, err);
    if (status == HN_OK) {
        status = hn_compared_take(&g->compared[g->n_compared], &measured, bundle->config,
                                  g->labels[g->n - 1], err);
        g->n_compared += status == HN_OK;
    }
    hn_measured_free(&measured);
    return status;
}

static hn_status use_stored(json_t *to, const gathering *g, const hn_subject *subject,
                            hn_error *err) {
    const char *split;
    HN_TRY(put(to, "measured", stored_json(subject->bundle, &split), err));
    HN_TRY(put(to, "rows_of", json_null(), err));
    HN_TRY(put(to, "stored", split ? json_string(split) : json_null(), err));
    if (json_array_append_new(g->without_rows, json_string(subject->label)) != 0)
        return hn_no_memory(err, "the report");
    return explain(to, g, subject->bundle, NULL, err);
}

static hn_status find_rows(hn_subject *subject, const gathering *g, hn_error *err) {
    subject->config = g->config;
    subject->files = g->files;
    if (g->config) {
        HN_TRY(hn_config_same_cells(g->config, subject->bundle->config, err));
        return hn_config_same_tables(g->config, subject->bundle->config, err);
    }
    if (g->dataset) return hn_subject_dataset_rows(subject, g->dataset, err);
    return g->files ? HN_OK : hn_subject_own_rows(subject, g->run, err);
}

/* ---- Runs -------------------------------------------------------------------------------- */

/* Two runs of one name are told apart by a number. */
static hn_status name_run(gathering *g, hn_subject *subject, hn_error *err) {
    hn_text name = {0};
    for (int32_t try = 1;; try++) {
        bool taken = false;
        hn_text_free(&name);
        hn_text_add(&name, try > 1 ? "%s (%d)" : "%s", subject->label, (int)try);
        if (name.failed) return hn_no_memory(err, "the name of a run");
        for (int32_t i = 0; i < g->n; i++) taken |= strcmp(g->labels[i], name.text) == 0;
        if (!taken) break;
    }
    hn_free(subject->label);
    subject->label = name.text;
    g->labels[g->n] = hn_strdup(name.text);
    if (!g->labels[g->n]) return hn_no_memory(err, "the name of a run");
    g->n++;
    return HN_OK;
}

static hn_status gather_run(gathering *g, hn_subject *subject, hn_error *err) {
    json_t *const to = json_object();
    if (!to || json_array_append_new(g->runs, to) != 0) return hn_no_memory(err, "the report");
    HN_TRY(name_run(g, subject, err));
    HN_TRY(describe(to, g, subject, err));
    HN_TRY(find_rows(subject, g, err));
    const bool rows = subject->dataset || subject->config || subject->files;
    return rows ? measure(to, g, subject, err) : use_stored(to, g, subject, err);
}

static hn_status gather_runs(gathering *g, const char *const *runs, size_t n, hn_error *err) {
    for (size_t i = 0; i < n; i++) {
        hn_subject subject;
        hn_say(g->run, HN_LOG_INFO, "run %zu of %zu: %s", i + 1, n, runs[i]);
        HN_TRY(hn_subject_open(&subject, runs[i], g->run, err));
        const hn_status status = gather_run(g, &subject, err);
        hn_subject_close(&subject);
        if (status != HN_OK) return status;
    }
    return HN_OK;
}

/* ---- The document ------------------------------------------------------------------------ */

static bool ends_with(const char *text, const char *end) {
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_dataset(const char *path) {
    hn_pack *pack;
    if (!hn_file_exists(path) || hn_pack_open(&pack, path, "DATA", NULL) != HN_OK) return false;
    hn_pack_close(pack);
    return true;
}

static hn_status open_data(gathering *g, hn_error *err) {
    const char *const data = g->options->data;
    if (!data) return HN_OK;
    if (ends_with(data, ".yaml") || ends_with(data, ".yml"))
        return hn_config_load(&g->config, data, NULL, 0, err);
    if (is_dataset(data))
        g->dataset = data;
    else
        g->files = data;
    return HN_OK;
}

static json_t *settings_json(const gathering *g) {
    const char *const data = g->options->data ? file_name(g->options->data) : NULL;
    return json_pack("{s:I, s:I, s:i, s:i, s:s?}", "seed", (json_int_t)g->options->seed,
                     "sample_rows", (json_int_t)g->sample_rows, "replicates", HN_REPLICATES,
                     "repeats", HN_PERMUTE_REPEATS, "data", data);
}

/* Of those that have rows; the others are named. */
static json_t *comparison_json(const gathering *g) {
    if (g->n < 2) return json_null();
    json_t *const comparison = hn_compared_json(g->compared, g->n_compared);
    json_object_set(comparison, "without_rows", g->without_rows);
    return comparison;
}

static hn_status gather(json_t **out, gathering *g, const char *const *runs, size_t n,
                        hn_error *err) {
    g->runs = json_array();
    g->without_rows = json_array();
    g->labels = hn_alloc_zero(n, sizeof *g->labels);
    g->compared = hn_alloc_zero(n, sizeof *g->compared);
    if (!g->runs || !g->without_rows || !g->labels || !g->compared)
        return hn_no_memory(err, "the report");
    HN_TRY(open_data(g, err));
    HN_TRY(hn_pool_create(&g->pool, g->run->threads, err));
    HN_TRY(gather_runs(g, runs, n, err));
    *out = json_pack("{s:s, s:o, s:O, s:o}", "hinet", HN_VERSION, "settings", settings_json(g),
                     "runs", g->runs, "comparison", comparison_json(g));
    return *out ? HN_OK : hn_no_memory(err, "the report");
}

hn_status hn_document_gather(json_t **out, const char *const *runs, size_t n_runs,
                             const hn_runs_options *options, const hn_run *run, hn_error *err) {
    gathering g = {.options = options,
                   .sample_rows = options->rows > 0 ? options->rows : HN_SAMPLE_ROWS,
                   .run = run};
    *out = NULL;
    const hn_status status = gather(out, &g, runs, n_runs, err);
    for (int32_t i = 0; i < g.n; i++) hn_free(g.labels[i]);
    for (int32_t i = 0; i < g.n_compared; i++) hn_compared_free(&g.compared[i]);
    hn_free(g.labels);
    hn_free(g.compared);
    json_decref(g.runs);
    json_decref(g.without_rows);
    hn_config_free(g.config);
    hn_pool_free(g.pool);
    return status;
}
