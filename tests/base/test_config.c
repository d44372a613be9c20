/* Configs that are right: defaults, short forms, overrides, and the resolved YAML as a
 * fixed point. Wrong ones are in test_config_errors.c. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/file.h"
#include "support.h"

static hn_error err;

#define MINIMAL "log: log.csv\ntasks: {click: y}\nfeatures: {u: id}\n"

static hn_config *parse_with(const char *text, const char *const *overrides, size_t n) {
    hn_config *config = NULL;
    assert_ok(hn_config_parse(&config, text, strlen(text), "c.yaml", "dir", overrides, n, &err));
    return config;
}

static hn_config *parse(const char *text) { return parse_with(text, NULL, 0); }

static void assert_strings(const hn_strings *strings, const char *joined) {
    char text[500] = "";
    for (int32_t i = 0; i < strings->n; i++) {
        strcat(text, i > 0 ? "," : "");
        strcat(text, strings->items[i]);
    }
    assert_string_equal(text, joined);
}

/* ---- Defaults ---- */

static void the_defaults_are_the_papers(void **state) {
    (void)state;
    hn_config *c = parse(MINIMAL);
    assert_int_equal(c->model.kind, HN_MODEL_HINET);
    assert_int_equal(c->model.experts, 5);
    assert_int_equal(c->model.expert_units.n, 2);
    assert_int_equal(c->model.expert_units.units[0], 128);
    assert_int_equal(c->model.expert_units.units[1], 64);
    assert_int_equal(c->model.task_shared, 2);
    assert_int_equal(c->model.task_own, 2);
    assert_int_equal(c->model.tower_units.n, 2);
    assert_int_equal(c->model.scenario_width, 64);
    assert_true(c->model.san && c->model.sei && c->model.scenario_layer && c->model.shared_expert);
    assert_false(c->model.compat.san_mlp || c->model.compat.input_affine);
    assert_true(c->train.rate == 1e-3 && c->train.beta1 == 0.9 && c->train.beta2 == 0.999 &&
                c->train.epsilon == 1e-8);
    assert_int_equal(c->train.batch, 4096);
    assert_int_equal(c->train.shards, 8);
    assert_int_equal(c->train.reduce, HN_REDUCE_ROWS);
    assert_string_equal(c->train.metric, "auc");
    assert_true(c->train.keep_optimizer);
    hn_config_free(c);
}

static void what_is_absent_is_whole(void **state) {
    (void)state;
    hn_config *c = parse(MINIMAL);
    assert_strings(&c->log.files, "log.csv");
    assert_string_equal(c->log.delimiter, "auto");
    assert_string_equal(c->log.quote, "\"");
    assert_true(c->sampling == 1 && c->sampling_column == NULL);
    assert_int_equal(c->n_tables, 0);
    assert_int_equal(c->split.by, HN_SPLIT_RANDOM);
    assert_true(c->split.validation == 0.1 && c->split.test == 0.1 && c->split.seed == 1);
    assert_null(c->scenario.column);
    assert_strings(&c->scenario.names, "all");
    assert_int_equal(c->scenario.values[0].n, 0);
    assert_int_equal(c->scenario.fold_into, 0);
    assert_null(c->weight_column);
    assert_null(c->user_column);
    assert_string_equal(c->path, "c.yaml");
    assert_string_equal(c->dir, "dir");
    hn_config_free(c);
}

/* ---- Sections ---- */

static const char whole[] =
    "log: {files: [a/*.csv.gz, b.csv], delimiter: tab, quote: '', missing: ['NULL', \"\\\\N\"], "
    "columns: [y, tab, date, u, x, r],\n"
    "      filter: [\"date >= 20220425\", \"tab in [1, 0]\"], drop_duplicates: true, bad_rows: "
    "1e3, sampling_column: s}\n"
    "tables:\n"
    "  users: {files: users.csv, key: id, log_key: u, side: user, delimiter: '::'}\n"
    "  items: {files: items.csv, key: i}\n"
    "split: {by: column, validation: \"date >= 20220505\", test: date >= 20220507}\n"
    "scenario: {column: tab, values: {main: 1, explore: [0, 01], other: []}, others: other}\n"
    "tasks: {click: y, like: {label: r > 4, weight: 0.5}}\n"
    "weight: w\n"
    "user: u\n"
    "defaults: {width: 8, min_count: 3, fold: hash 7}\n"
    "features:\n"
    "  u: id\n"
    "  'item: hot': {kind: id, column: $file, width: 4, hash: 1000, side: item, missing: none}\n"
    "  x: number\n"
    "  b: {kind: number, column: x, scaling: buckets, buckets: 10, missing: -1.5}\n"
    "  h: {kind: list, delimiter: ' ', pooling: sum, max_length: 9, share: u}\n"
    "  r1: {kind: rate, key: [u, tab], past: date, smoothing: 5, count: false}\n"
    "  r2: {kind: rate, key: u, tasks: like, fold: date, scaling: none}\n"
    "  r3: {kind: rate, key: u}\n"
    "model: {name: mmoe, experts: 3, expert_units: 7, tower_units: []}\n"
    "train: {optimizer: adagrad, seed: 18446744073709551615, metric: explore/like, weight_decay: "
    "1e-5, decay: cosine, weighting: gradnorm, sampling: {explore: 2.5, main: {weight: 1}}}\n";

static void log_and_tables(void **state) {
    (void)state;
    hn_config *c = parse(whole);
    assert_strings(&c->log.files, "a/*.csv.gz,b.csv");
    assert_string_equal(c->log.delimiter, "\t");
    assert_string_equal(c->log.quote, "");
    assert_strings(&c->log.missing, "NULL,\\N");
    assert_strings(&c->log.columns, "y,tab,date,u,x,r");
    assert_int_equal(c->n_filters, 2);
    assert_int_equal(c->filters[1].op, HN_CMP_IN);
    assert_true(c->drop_duplicates);
    assert_int_equal(c->bad_rows, 1000);
    assert_string_equal(c->sampling_column, "s");
    assert_int_equal(c->n_tables, 2);
    assert_string_equal(c->tables[0].name, "users");
    assert_string_equal(c->tables[0].log_key, "u");
    assert_string_equal(c->tables[0].source.delimiter, "::");
    assert_int_equal(c->tables[0].side, HN_SIDE_USER);
    assert_string_equal(c->tables[1].log_key, "i");
    assert_int_equal(c->tables[1].side, HN_SIDE_ITEM);
    hn_config_free(c);
}

static void split_scenarios_tasks(void **state) {
    (void)state;
    hn_config *c = parse(whole);
    assert_int_equal(c->split.by, HN_SPLIT_COLUMN);
    assert_string_equal(c->split.test_if.column, "date");
    assert_true(c->split.test_if.numbers[0] == 20220507);
    assert_strings(&c->scenario.names, "main,explore,other");
    assert_strings(&c->scenario.values[1], "0,01");
    assert_int_equal(c->scenario.fold_into, 2);
    assert_int_equal(c->n_tasks, 2);
    assert_int_equal(c->tasks[0].label.op, HN_CMP_TRUE);
    assert_int_equal(c->tasks[1].label.op, HN_CMP_GT);
    assert_true(c->tasks[0].weight == 1 && c->tasks[1].weight == 0.5);
    assert_string_equal(c->weight_column, "w");
    assert_string_equal(c->user_column, "u");
    hn_config_free(c);
}

static void features_with_defaults(void **state) {
    (void)state;
    hn_config *c = parse(whole);
    const hn_config_feature *f = c->features;
    assert_int_equal(c->n_features, 8);
    assert_true(f[0].kind == HN_FEATURE_ID && f[0].width == 8 && f[0].min_count == 3 &&
                !f[0].has_side && f[0].missing == NULL);
    assert_string_equal(f[0].column, "u");
    assert_string_equal(f[1].name, "item: hot");
    assert_string_equal(f[1].column, "$file");
    assert_true(f[1].width == 4 && f[1].hash == 1000 && f[1].min_count == 1 && f[1].has_side &&
                f[1].side == HN_SIDE_ITEM);
    assert_string_equal(f[1].missing, "none");
    assert_int_equal(f[2].scaling, HN_SCALE_ZSCORE);
    assert_true(f[3].scaling == HN_SCALE_BUCKETS && f[3].buckets == 10);
    assert_true(f[4].kind == HN_FEATURE_LIST && f[4].pooling == HN_POOL_SUM &&
                f[4].max_length == 9);
    assert_true(f[4].width == 8 && f[4].min_count == 3); /* u's */
    hn_config_free(c);
}

static void rates(void **state) {
    (void)state;
    hn_config *c = parse(whole);
    const hn_config_feature *f = c->features + 5;
    assert_strings(&f[0].keys, "u,tab");
    assert_strings(&f[0].rate_tasks, "click,like");
    assert_true(f[0].fold_by == HN_FOLD_PAST && f[0].smoothing == 5 && !f[0].count &&
                f[0].scaling == HN_SCALE_BUCKETS);
    assert_string_equal(f[0].fold_column, "date");
    assert_true(f[1].fold_by == HN_FOLD_COLUMN && f[1].scaling == HN_SCALE_NONE &&
                f[1].smoothing == 20);
    assert_strings(&f[1].rate_tasks, "like");
    assert_true(f[2].fold_by == HN_FOLD_HASH && f[2].folds == 7 && f[2].fold_column == NULL &&
                f[2].count);
    hn_config_free(c);
}

static void model_and_training(void **state) {
    (void)state;
    hn_config *c = parse(whole);
    assert_int_equal(c->model.kind, HN_MODEL_MMOE);
    assert_string_equal(hn_model_name(c->model.kind), "mmoe");
    assert_true(c->model.expert_units.n == 1 && c->model.expert_units.units[0] == 7 &&
                c->model.tower_units.n == 0);
    assert_true(c->train.optimizer == HN_ADAGRAD && c->train.decay == HN_DECAY_COSINE &&
                c->train.seed == UINT64_MAX);
    assert_true(c->train.embedding_decay == 1e-5); /* weight_decay's, where absent */
    assert_true(c->train.weighting == HN_WEIGHTING_GRADNORM && c->train.gradnorm_alpha == 1.5 &&
                c->train.weighting_rate == 0.01);
    assert_int_equal(c->train.n_sampling, 2);
    assert_string_equal(c->train.sampling[0].name, "explore");
    assert_true(c->train.sampling[0].weight == 2.5 && c->train.sampling[1].weight == 1);
    hn_config_free(c);
}

static void short_forms(void **state) {
    (void)state;
    hn_config *c = parse("log: [a, b]\ntasks: [click, buy]\nfeatures: {u: id}\nmodel: "
                         "ple\nscenario: {column: t, values: [3, 03], others: rest}\n");
    assert_strings(&c->log.files, "a,b");
    assert_string_equal(c->tasks[1].name, "buy");
    assert_string_equal(c->tasks[1].label.column, "buy");
    assert_int_equal(c->model.kind, HN_MODEL_PLE);
    assert_strings(&c->scenario.names, "3,03,rest");
    assert_strings(&c->scenario.values[1], "03");
    assert_int_equal(c->scenario.fold_into, 2);
    hn_config_free(c);
    c = parse(MINIMAL "model: {compat: all}\n");
    assert_true(c->model.compat.san_softmax_all && c->model.compat.cgc_global &&
                c->model.compat.input_affine);
    hn_config_free(c);
    c = parse(MINIMAL "model: {compat: [gate_relu, cgc_sum]}\n");
    assert_true(c->model.compat.gate_relu && c->model.compat.cgc_sum && !c->model.compat.san_mlp);
    hn_config_free(c);
    c = parse(
        "log: {files: '-'}\r\ntasks: {y: y}\r\nfeatures: {u: id}\r\nmodel: {compat: none}\r\n");
    assert_strings(&c->log.files, "-");
    hn_config_free(c);
}

static void null_is_as_if_absent(void **state) {
    (void)state;
    hn_config *c = parse("log: l.csv\ntasks: {click: y, buy: null}\nfeatures: {u: id, v: ~}\nuser: "
                         "null\nweight:\ntrain: {epochs: null}\nreport:\n");
    assert_int_equal(c->n_tasks, 1);
    assert_int_equal(c->n_features, 1);
    assert_null(c->user_column);
    assert_int_equal(c->train.epochs, 8);
    hn_config_free(c);
    c = parse("log: {files: l.csv, missing: NULL}\ntasks: {null: 'null'}\nfeatures: {u: id}\n");
    assert_strings(&c->log.missing, "NULL");
    assert_string_equal(c->tasks[0].label.column, "null");
    hn_config_free(c);
}

/* libfyaml 0.7.12 reads these wrong (''''' pairs are kept double now and then) and leaks. */
static void single_quoted_texts_are_read_as_yaml_says(void **state) {
    (void)state;
    static const struct {
        const char *yaml, *text;
    } cases[] = {
        {"'it''s'", "it's"},
        {"''''''''''''''", "''''''"},
        {"'a ''\n  b'", "a ' b"},
        {"'  a \n\n\n b'", "  a\n\nb"},
        {"'a\r\n b'", "a b"},
        {"'  \n '", " "},
        {"''", ""},
        {"'\xc3\xbc''\xc3\xbc'", "\xc3\xbc'\xc3\xbc"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        snprintf(text, sizeof text,
                 "log: {files: f, missing: [%s]}\ntasks: [y]\nfeatures: {u: id}\n", cases[i].yaml);
        hn_config *c = parse(text);
        assert_strings(&c->log.missing, cases[i].text);
        hn_config_free(c);
    }
}

/* ---- --set ---- */

static void overrides_reach_every_depth(void **state) {
    (void)state;
    static const char *const set[] = {"train.epochs=3",
                                      "features.u.width=4",
                                      "features.price=number",
                                      "features.price.scaling=log1p",
                                      "user=u",
                                      "model={name: ple}",
                                      "model.task_levels=2",
                                      "tasks.click.weight=2",
                                      "log.filter=[\"a == b=c\", d]",
                                      "scenario={column: t, values: [0, 1]}",
                                      "train.warmup="};
    hn_config *c = parse_with(MINIMAL "model: {experts: 9}\ntrain: {warmup: 7}\n", set,
                              sizeof set / sizeof *set);
    assert_int_equal(c->train.epochs, 3);
    assert_int_equal(c->train.warmup, 0);
    assert_int_equal(c->features[0].width, 4);
    assert_int_equal(c->features[1].scaling, HN_SCALE_LOG1P);
    assert_true(c->model.kind == HN_MODEL_PLE && c->model.experts == 5 &&
                c->model.task_levels == 2);
    assert_true(c->tasks[0].weight == 2);
    assert_string_equal(c->tasks[0].label.column, "y");
    assert_int_equal(c->n_filters, 2);
    assert_string_equal(c->filters[0].values.items[0], "b=c");
    assert_strings(&c->scenario.names, "0,1");
    hn_config_free(c);
}

static void overrides_remove_and_find_dots(void **state) {
    (void)state;
    static const char *const set[] = {"features.a.b.width=2", "features.u=null", "tasks=[x, y]"};
    hn_config *c =
        parse_with("log: l\ntasks: {click: y}\nfeatures: {u: id, a.b: id, a: id}\n", set, 3);
    assert_int_equal(c->n_features, 2);
    assert_string_equal(c->features[0].name, "a.b");
    assert_int_equal(c->features[0].width, 2);
    assert_int_equal(c->n_tasks, 2);
    hn_config_free(c);
}

/* ---- Resolved YAML ---- */

static void assert_fixed_point(const char *text) {
    hn_config *first = parse(text), *second = parse(hn_config_yaml(first));
    assert_string_equal(hn_config_yaml(first), hn_config_yaml(second));
    hn_config_free(first);
    hn_config_free(second);
}

static void norms_of_experts(void **state) {
    (void)state;
    static const struct {
        const char *model;
        bool norm;
    } cases[] = {{"m3oe", true},
                 {"{name: m3oe}", true},
                 {"{name: m3oe, expert_norm: null}", true},
                 {"{name: m3oe, expert_norm: false}", false},
                 {"{name: m3oe, expert_norm: true}", true},
                 {"{name: mmoe}", false},
                 {"{name: mmoe, expert_norm: true}", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        snprintf(text, sizeof text, "log: l\ntasks: {y: y}\nfeatures: {u: id}\nmodel: %s\n",
                 cases[i].model);
        hn_config *c = parse(text);
        assert_true(c->model.expert_norm == cases[i].norm);
        assert_fixed_point(hn_config_yaml(c));
        hn_config_free(c);
    }
}

/* HiNet+ is HiNet but for what its name turns on, and all of that can be said otherwise. */
static void defaults_of_hinet_plus(void **state) {
    (void)state;
    static const struct {
        const char *model;
        hn_wide wide;
        int32_t gate, side;
    } cases[] = {{"hinet", HN_WIDE_NONE, 0, 0},
                 {"ple", HN_WIDE_NONE, 0, 0},
                 {"hinet+", HN_WIDE_TASK, 16, 0},
                 {"{name: hinet+}", HN_WIDE_TASK, 16, 0},
                 {"{name: hinet+, wide: null, tower_gate: null}", HN_WIDE_TASK, 16, 0},
                 {"{name: hinet+, wide: none}", HN_WIDE_NONE, 16, 0},
                 {"{name: hinet+, tower_gate: 0}", HN_WIDE_TASK, 0, 0},
                 {"{name: hinet+, side_units: [8], wide: cell}", HN_WIDE_CELL, 16, 8},
                 {"{name: ple, wide: task, tower_gate: 4, side_units: [5]}", HN_WIDE_TASK, 4, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        snprintf(text, sizeof text, "log: l\ntasks: {y: y}\nfeatures: {u: id}\nmodel: %s\n",
                 cases[i].model);
        hn_config *c = parse(text);
        assert_int_equal(c->model.wide, cases[i].wide);
        assert_int_equal(c->model.tower_gate, cases[i].gate);
        assert_int_equal(c->model.side_units.n, cases[i].side > 0);
        if (cases[i].side > 0) assert_int_equal(c->model.side_units.units[0], cases[i].side);
        assert_int_equal(c->model.pairs, HN_PAIRS_NONE);
        assert_int_equal(c->model.san_input, HN_SAN_SCENARIO);
        assert_false(c->model.expert_norm);
        assert_fixed_point(hn_config_yaml(c));
        hn_config_free(c);
    }
}

/* The tasks' names become numbers for the model, in whatever order they stand. */
static void tasks_after_tasks(void **state) {
    (void)state;
    hn_config *c =
        parse("log: l\ntasks:\n  pay: {label: p, after: order}\n  click: c\n  order: {label: "
              "o, after: click}\n  like: {label: l, after: click}\nfeatures: {u: id}\n");
    assert_string_equal(c->tasks[0].after, "order");
    assert_null(c->tasks[1].after);
    const int32_t expected[HN_TASKS_MAX] = {3, 0, 2, 2};
    assert_memory_equal(c->model.after, expected, sizeof expected);
    assert_non_null(strstr(hn_config_yaml(c), "after: order"));
    assert_fixed_point(hn_config_yaml(c));
    hn_config_free(c);
    c = parse(whole);
    for (int32_t t = 0; t < HN_TASKS_MAX; t++) assert_int_equal(c->model.after[t], 0);
    hn_config_free(c);
}

static void resolved_is_a_fixed_point(void **state) {
    (void)state;
    assert_fixed_point(MINIMAL);
    assert_fixed_point(whole);
    assert_fixed_point("log: 'a: b # c'\ntasks: {\"t\\\"\\\\q\": \"y\"}\nfeatures: {'null': id, "
                       "'true': id, '~': id, \"\xc3\xbc \xe2\x80\xa8\": id, '- a': id}\n");
    assert_fixed_point(MINIMAL "split: {by: hash, column: u, validation: 0.3333333333333333, test: "
                               "1e-300, seed: 9}\nscenario: {column: t, values: {\"a \": [' ', "
                               "'01', \"\\t\", ''], ' b': 7}, others: '  x'}\n");
    assert_fixed_point(MINIMAL "model: {compat: all, embedding_dropout: 0.1}\ntrain: {rate: 0.1, "
                               "weight_decay: 2.5e-7, embedding_decay: 0}\n");
}

static void resolved_names_every_option_and_no_path(void **state) {
    (void)state;
    hn_config *c = NULL;
    assert_ok(hn_config_parse(&c, whole, strlen(whole), "/somewhere/c.yaml", "/somewhere", NULL, 0,
                              &err));
    static const char *const words[] = {"\nmodel:\n  name: mmoe\n",
                                        "  compat:\n    san_softmax_all: false\n",
                                        "train:\n  reduce: rows\n",
                                        "  explore: [0, \"01\"]\n",
                                        "log_key: u\n",
                                        "missing: [\"NULL\", \"\\\\N\"]\n",
                                        "    share: u\n",
                                        "    past: date\n",
                                        "    fold: hash 7\n",
                                        "seed: 18446744073709551615\n",
                                        "  sampling:\n    explore:\n      weight: 2.5\n",
                                        "report:\n  gauc: true\n"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(hn_config_yaml(c), words[i]) == NULL)
            fail_msg("no \"%s\" in\n%s", words[i], hn_config_yaml(c));
    assert_null(strstr(hn_config_yaml(c), "somewhere"));
    hn_config_free(c);
}

static void another_locale_changes_nothing(void **state) {
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"};
    const char *set = NULL;
    for (size_t i = 0; i < 3 && set == NULL; i++) set = setlocale(LC_ALL, names[i]);
    if (set == NULL) print_message("skipped: no locale with a decimal comma is installed\n");
    if (set == NULL) skip();
    hn_config *c = parse(MINIMAL "train: {rate: 0.25}\n");
    const bool fine = c->train.rate == 0.25 && strstr(hn_config_yaml(c), "rate: 0.25\n") != NULL;
    hn_config_free(c);
    setlocale(LC_ALL, "C");
    assert_true(fine);
}

/* ---- Files, memory, the reference ---- */

static void load_reads_files(void **state) {
    (void)state;
    char *folder = support_folder(), path[300];
    static const char *const set[] = {"train.epochs=2"};
    hn_config *c = NULL;
    snprintf(path, sizeof path, "%s/c.yaml", folder);
    support_write(path, MINIMAL, strlen(MINIMAL));
    assert_ok(hn_config_load(&c, path, set, 1, &err));
    assert_string_equal(c->dir, folder);
    assert_int_equal(c->train.epochs, 2);
    hn_config_free(c);
    hn_config_free(NULL);
    assert_fails(HN_IO_FAILED, folder, hn_config_load(&c, folder, NULL, 0, &err));
    assert_null(c);
    snprintf(path, sizeof path, "%s/none.yaml", folder);
    assert_fails(HN_NO_INPUT, path, hn_config_load(&c, path, NULL, 0, &err));
    assert_fails(HN_BAD_CONFIG, "1 MiB", hn_config_load(&c, "/dev/zero", NULL, 0, &err));
    assert_int_equal(hn_config_load(&c, path, NULL, 0, NULL), HN_NO_INPUT);
    support_remove(folder);
    free(folder);
}

static hn_status load_whole(void *path, hn_error *e) {
    static const char *const set[] = {"features.u.width=3", "features.z={kind: rate, key: [u]}"};
    hn_config *c = NULL;
    const hn_status status = hn_config_load(&c, path, set, 2, e);
    if (status != HN_OK) assert_null(c);
    hn_config_free(c);
    return status;
}

static void every_failing_allocation_and_read(void **state) {
    (void)state;
    char *folder = support_folder(), path[300];
    snprintf(path, sizeof path, "%s/c.yaml", folder);
    support_write(path, whole, strlen(whole));
    assert_true(support_fail_each(HN_FAULT_ALLOC, load_whole, path) >= 5);
    assert_true(support_fail_each(HN_FAULT_READ, load_whole, path) >= 2);
    support_remove(folder);
    free(folder);
}

static hn_status make_reference(void *user, hn_error *e) {
    (void)user;
    hn_report *report = NULL;
    const hn_status status = hn_config_reference(&report, e);
    hn_report_free(report);
    return status;
}

static void docs_are_the_reference(void **state) {
    (void)state;
    hn_report *report = NULL;
    char *docs = NULL;
    size_t n = 0;
    static const char path[] = HN_SOURCE_DIR "/docs/config.md";
    assert_ok(hn_config_reference(&report, &err));
    assert_non_null(strstr(hn_report_json(report), "\"train.rate\""));
    if (getenv("HN_UPDATE_DOCS") != NULL)
        support_write(path, hn_report_text(report), strlen(hn_report_text(report)));
    assert_ok(hn_file_read(&docs, &n, path, &err));
    const bool same = strcmp(docs, hn_report_text(report)) == 0;
    hn_free(docs);
    hn_report_free(report);
    if (!same)
        fail_msg("docs/config.md is not what the tables say: run this test with HN_UPDATE_DOCS=1 "
                 "and look at the difference");
    assert_true(support_fail_each(HN_FAULT_ALLOC, make_reference, NULL) >= 3);
}

static void examples_are_right(void **state) {
    (void)state;
    static const char *const pattern = "examples/*.yaml";
    hn_paths paths = {0};
    assert_ok(hn_paths_glob(&paths, HN_SOURCE_DIR, &pattern, 1, &err));
    for (size_t i = 0; i < paths.n; i++) {
        hn_config *c = NULL;
        assert_ok(hn_config_load(&c, paths.paths[i], NULL, 0, &err));
        assert_fixed_point(hn_config_yaml(c));
        hn_config_free(c);
    }
    hn_paths_free(&paths);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_the_papers),
        cmocka_unit_test(what_is_absent_is_whole),
        cmocka_unit_test(log_and_tables),
        cmocka_unit_test(split_scenarios_tasks),
        cmocka_unit_test(tasks_after_tasks),
        cmocka_unit_test(norms_of_experts),
        cmocka_unit_test(defaults_of_hinet_plus),
        cmocka_unit_test(features_with_defaults),
        cmocka_unit_test(rates),
        cmocka_unit_test(model_and_training),
        cmocka_unit_test(short_forms),
        cmocka_unit_test(null_is_as_if_absent),
        cmocka_unit_test(single_quoted_texts_are_read_as_yaml_says),
        cmocka_unit_test(overrides_reach_every_depth),
        cmocka_unit_test(overrides_remove_and_find_dots),
        cmocka_unit_test(resolved_is_a_fixed_point),
        cmocka_unit_test(resolved_names_every_option_and_no_path),
        cmocka_unit_test(another_locale_changes_nothing),
        cmocka_unit_test(load_reads_files),
        cmocka_unit_test(every_failing_allocation_and_read),
        cmocka_unit_test(docs_are_the_reference),
        cmocka_unit_test(examples_are_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
