/* Configs that are wrong: each is refused with file, line, column, key, what was found
 * and what was expected. One line a case; hostile YAML at the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/config.h"
#include "support.h"

static hn_error err;

#define LOG "log: l.csv\n"
#define TASKS "tasks: {click: y}\n"
#define FEATURES "features: {u: id}\n"
#define MINIMAL LOG TASKS FEATURES                                    /* 3 lines */
#define FEATURE(text) LOG TASKS "features:\n  u: id\n  f: " text "\n" /* line 5, column 6 */

typedef struct wrong {
    const char *yaml;
    const char *begin; /* of the sentence: the place and the key */
    const char *word;  /* in it */
} wrong;

static const wrong keys[] = {
    {"", "c.yaml:1:1: log: this key is absent, but it is required", "required"},
    {LOG FEATURES, "c.yaml:1:1: tasks: this key is absent", "mapping from names"},
    {LOG TASKS, "c.yaml:1:1: features: this key is absent", ""},
    {MINIMAL "modle: ple\n", "c.yaml:4:1: modle: unknown key; did you mean \"model\"?",
     "expected one of log, tables"},
    {MINIMAL "train:\n  batch: 64\n  epoch: 3\n",
     "c.yaml:6:3: train.epoch: unknown key; did you mean \"epochs\"?", "patience"},
    {MINIMAL "zzzzzzzz: 1\n", "c.yaml:4:1: zzzzzzzz: unknown key; expected one of", ""},
    {MINIMAL "user: u\nuser: v\n",
     "c.yaml:5:1: found the key \"user\" a second time (the first is in line 4)", "remove one"},
    {MINIMAL "train: {batch: 64, batch: 64}\n",
     "c.yaml:4:20: found the key \"batch\" a second time", ""},
    {"log:\n" TASKS FEATURES, "c.yaml:1:1: log: nothing was written here", "required"},
    {"- a\n", "c.yaml:1:1: found a list; expected a mapping", ""},
    {"a\n", "c.yaml:1:1: found a single value; expected a mapping", ""},
    {MINIMAL "model: {compat: {gate_rel: true}}\n",
     "c.yaml:4:18: model.compat.gate_rel: unknown key; did you mean \"gate_relu\"?", ""},
    {MINIMAL "model: {compat: [gate_rel]}\n",
     "c.yaml:4:18: model.compat.gate_rel: unknown key; did you mean \"gate_relu\"?", ""},
    {MINIMAL "model: {compat: [gate_relu, gate_relu]}\n",
     "c.yaml:4:29: model.compat: found \"gate_relu\" twice", ""},
    {MINIMAL "model: {compat: most}\n",
     "c.yaml:4:17: model.compat: found \"most\"; expected all, none", ""},
    {MINIMAL "defaults: {widht: 3}\n",
     "c.yaml:4:12: defaults.widht: this is no default that features can have; did you mean "
     "\"width\"?",
     ""},
    {MINIMAL "defaults: {smoothing: x}\n",
     "c.yaml:4:23: defaults.smoothing: found \"x\"; expected a number above 0", ""},
};

static const wrong types[] = {
    {MINIMAL "train: {epochs: three}\n",
     "c.yaml:4:17: train.epochs: found \"three\"; expected an integer from 1 to 100000", ""},
    {MINIMAL "train: {epochs: 1.5}\n", "c.yaml:4:17: train.epochs: found \"1.5\"", ""},
    {MINIMAL "train: {epochs: 0}\n", "c.yaml:4:17: train.epochs: found \"0\"", ""},
    {MINIMAL "train: {epochs: [1]}\n", "c.yaml:4:17: train.epochs: found a list", ""},
    {MINIMAL "train: {epochs: 99999999999999999999}\n",
     "c.yaml:4:17: train.epochs: found \"99999999999999999999\"", ""},
    {MINIMAL "train: {batch: 15}\n",
     "c.yaml:4:16: train.batch: found \"15\"; expected an integer from 16 to 1048576", ""},
    {MINIMAL "train: {rate: 0}\n",
     "c.yaml:4:15: train.rate: found \"0\"; expected a number above 0 to 100", ""},
    {MINIMAL "train: {rate: .inf}\n", "c.yaml:4:15: train.rate: found \".inf\"", ""},
    {MINIMAL "train: {rate: nan}\n", "c.yaml:4:15: train.rate: found \"nan\"", ""},
    {MINIMAL "train: {rate: 1e999}\n", "c.yaml:4:15: train.rate: found \"1e999\"", ""},
    {MINIMAL "train: {rate: 0x1}\n", "c.yaml:4:15: train.rate: found \"0x1\"", ""},
    {MINIMAL "train: {beta1: 1}\n",
     "c.yaml:4:16: train.beta1: found \"1\"; expected a number from 0 and below 1", ""},
    {MINIMAL "train: {seed: -1}\n",
     "c.yaml:4:15: train.seed: found \"-1\"; expected an integer from 0 to 18446744073709551615",
     ""},
    {MINIMAL "train: {seed: 18446744073709551616}\n", "c.yaml:4:15: train.seed", ""},
    {MINIMAL "train: {decoupled: yes}\n",
     "c.yaml:4:20: train.decoupled: found \"yes\"; expected true or false", ""},
    {MINIMAL "train: {optimizer: adm}\n",
     "c.yaml:4:20: train.optimizer: found \"adm\"; expected adam, adagrad or sgd; did you mean "
     "\"adam\"?",
     ""},
    {MINIMAL "train: 3\n", "c.yaml:4:8: train: found a single value; expected a mapping of options",
     ""},
    {MINIMAL "train: {window: 65536, block_rows: 1048576}\n",
     "c.yaml:4:17: train.window: found window", "1073741824"},
    {MINIMAL "train: {shards: 65}\n", "c.yaml:4:17: train.shards", "from 1 to 64"},
    {MINIMAL "model: hinett\n", "c.yaml:4:8: model.name: found \"hinett\"",
     "did you mean \"hinet\"?"},
    {MINIMAL "model: {expert_units: []}\n",
     "c.yaml:4:23: model.expert_units: found a list; expected a list of 1 to 8 layer widths", ""},
    {MINIMAL "model: {expert_units: [1,2,3,4,5,6,7,8,9]}\n", "c.yaml:4:23: model.expert_units", ""},
    {MINIMAL "model: {expert_units: [64, 0]}\n", "c.yaml:4:28: model.expert_units: found \"0\"",
     ""},
    {MINIMAL "model: {expert_units: [[64]]}\n", "c.yaml:4:24: model.expert_units: found a list",
     ""},
    {MINIMAL "model: {task_own: 0, task_shared: 0}\n", "c.yaml:4:19: model.task_own",
     "at least one expert"},
    {MINIMAL "user: [u]\n", "c.yaml:4:7: user: found a list; expected a column's name", ""},
    {MINIMAL "user: ''\n", "c.yaml:4:7: user: found \"\"; expected a column's name", ""},
    {MINIMAL "user: $fil\n", "c.yaml:4:7: user: found the column \"$fil\"", "$file"},
    {MINIMAL "user: \"a\\0b\"\n", "c.yaml:4:7: found a NUL character", ""},
};

static const wrong sources[] = {
    {"log: {files: []}\n" TASKS FEATURES,
     "c.yaml:1:14: log.files: found a list; expected a text or a list of at least one", ""},
    {"log: {files: ['']}\n" TASKS FEATURES, "c.yaml:1:14: log.files: found an empty path", ""},
    {"log: {files: [a, '-']}\n" TASKS FEATURES,
     "c.yaml:1:14: log.files: found \"-\" (standard input) among other files", ""},
    {"log: {files: [{a: b}]}\n" TASKS FEATURES, "c.yaml:1:15: log.files: found a mapping", ""},
    {"log: {files: a, quote: ab}\n" TASKS FEATURES,
     "c.yaml:1:24: log.quote: found \"ab\"; expected one character or \"\" for none", ""},
    {"log: {files: a, delimiter: ''}\n" TASKS FEATURES,
     "c.yaml:1:28: log.delimiter: found \"\"; expected 1 to 8 characters, tab or auto", ""},
    {"log: {files: a, delimiter: \"'\", quote: \"'\"}\n" TASKS FEATURES,
     "c.yaml:1:28: log.delimiter: found the quote character '", ""},
    {"log: {files: a, columns: [a, b, a]}\n" TASKS FEATURES,
     "c.yaml:1:26: log.columns: found \"a\" twice", ""},
    {"log: {files: a, filter: a = 3}\n" TASKS FEATURES,
     "c.yaml:1:25: log.filter: found \"a = 3\" with a single =", ""},
    {"log: {files: a, sampling: 0}\n" TASKS FEATURES,
     "c.yaml:1:27: log.sampling: found \"0\"; expected a number above 0 to 1", ""},
    {"log: {files: a, sampling: 0.5, sampling_column: b}\n" TASKS FEATURES,
     "c.yaml:1:49: log.sampling_column", "together"},
    {"log: {files: a, bad_rows: -1}\n" TASKS FEATURES, "c.yaml:1:27: log.bad_rows", ""},
    {MINIMAL "tables: {t: {files: f}}\n", "c.yaml:4:13: tables.t.key: this key is absent", ""},
    {MINIMAL "tables: {t: }\n", "c.yaml:4:10: tables.t: nothing was written here",
     "or null to leave it out"},
    {MINIMAL "tables: [t]\n", "c.yaml:4:9: tables: found a list", ""},
    {MINIMAL "tables: {t: {files: f, key: k, side: usr}}\n",
     "c.yaml:4:38: tables.t.side: found \"usr\"", "did you mean \"user\"?"},
    {MINIMAL "tables: {t: {files: '-', key: k}}\n",
     "c.yaml:4:21: tables.t.files: found \"-\" (standard input) for a table", ""},
    {MINIMAL "tables: {t: {files: f, key: k, columns: [a, b]}}\n",
     "c.yaml:4:29: tables.t.key: found \"k\", which is not among `columns`", ""},
};

static const wrong splits[] = {
    {MINIMAL "split: {by: date}\n",
     "c.yaml:4:13: split.by: found \"date\"; expected column, hash or random", ""},
    {MINIMAL "split: {validation: 0.5, test: 0.5}\n",
     "c.yaml:4:32: split.test: found validation + test = 1; expected less than 1", ""},
    {MINIMAL "split: {validation: 1}\n", "c.yaml:4:21: split.validation: found \"1\"", ""},
    {MINIMAL "split: {by: hash}\n", "c.yaml:4:8: split.column: this key is absent", ""},
    {MINIMAL "split: {by: column}\n", "c.yaml:4:8: split.validation: neither", ""},
    {MINIMAL "split: {by: column, test: date >= 3, seed: 1}\n",
     "c.yaml:4:38: split.seed: this is no option where `by` is column", ""},
    {MINIMAL "split: {by: column, column: day, test: date >= 3}\n",
     "c.yaml:4:40: split.test: found a comparison of \"date\"", ""},
    {MINIMAL "split: {by: column, test: date >=}\n",
     "c.yaml:4:27: split.test: found no value after the operator", ""},
    {MINIMAL "scenario: {values: [1]}\n", "c.yaml:4:11: scenario.column: this key is absent", ""},
    {MINIMAL "scenario: {column: t}\n", "c.yaml:4:11: scenario.values: this key is absent", ""},
    {MINIMAL "scenario: {column: t, values: []}\n",
     "c.yaml:4:31: scenario.values: found 0 scenarios; expected 1 to 1024", ""},
    {MINIMAL "scenario: {column: t, values: [a, a]}\n",
     "c.yaml:4:31: scenario.values: found the scenario \"a\" twice", ""},
    {MINIMAL "scenario: {column: t, values: {a: 1, b: [2, 1]}}\n",
     "c.yaml:4:31: scenario.values: found the value \"1\" twice", ""},
    {MINIMAL "scenario: {column: t, values: {a: 1, b: []}}\n",
     "c.yaml:4:31: scenario.values: the scenario \"b\" has no values", ""},
    {MINIMAL "scenario: {column: t, values: {a: 1, b: }}\n",
     "c.yaml:4:38: scenario.values: nothing was written for \"b\"", ""},
    {MINIMAL "scenario: {column: t, values: 3}\n", "c.yaml:4:31: scenario.values: found \"3\"", ""},
    {MINIMAL "scenario: {column: t, values: {drop: 1}}\n",
     "c.yaml:4:32: scenario.values: found the scenario name \"drop\"", ""},
    {MINIMAL "scenario: {others: rest}\n",
     "c.yaml:4:20: scenario.others: found \"rest\", but there are no scenarios", ""},
    {"log: l\ntasks: {}\n" FEATURES, "c.yaml:2:8: tasks: found 0 entries; expected 1 to 32", ""},
    {"log: l\ntasks: {click: a, order: {label: b, after: clik}}\n" FEATURES,
     "c.yaml:2:44: tasks.order.after: found \"clik\", which is no task; did you mean \"click\"?",
     ""},
    {"log: l\ntasks: {a: a, b: {label: b, after: \"\"}}\n" FEATURES,
     "c.yaml:2:36: tasks.b.after: found \"\"", ""},
    {"log: l\ntasks: {a: a, b: {label: b, after: b}}\n" FEATURES,
     "c.yaml:2:36: tasks.b.after: found \"b\", which itself comes after \"b\"", "a first task"},
    {"log: l\ntasks:\n  d: {label: d, after: c}\n  a: {label: a, after: c}\n  b: {label: b, after: "
     "a}\n  c: {label: c, after: b}\n" FEATURES,
     "c.yaml:4:24: tasks.a.after: found \"c\", which itself comes after \"a\"", "a first task"},
    {"log: l\ntasks: {a: {weight: 2}}\n" FEATURES, "c.yaml:2:12: tasks.a.label: this key is absent",
     ""},
    {"log: l\ntasks: {a: {label: a, weight: 0}}\n" FEATURES,
     "c.yaml:2:31: tasks.a.weight: found \"0\"", ""},
    {"log: l\ntasks: [a, a]\n" FEATURES, "c.yaml:2:12: tasks: found \"a\" twice", ""},
    {"log: l\ntasks: {a: }\n" FEATURES, "c.yaml:2:9: tasks.a: nothing was written here", ""},
    {MINIMAL "train: {metric: click}\n",
     "c.yaml:4:17: train.metric: found \"click\"; expected auc, or SCENARIO/TASK like "
     "\"all/click\"",
     ""},
    {MINIMAL "train: {sampling: {al: 2}}\n",
     "c.yaml:4:24: train.sampling.al: found \"al\", which is no scenario", "did you mean \"all\"?"},
    {MINIMAL "train: {sampling: {all: 0}}\n",
     "c.yaml:4:25: train.sampling.all.weight: found \"0\"; expected a number above 0 to 100", ""},
    {MINIMAL "train: {sampling: {all: {}}}\n",
     "c.yaml:4:25: train.sampling.all.weight: this key is absent", ""},
};

static const wrong features[] = {
    {FEATURE("{width: 3}"), "c.yaml:5:6: features.f.kind: this key is absent",
     "id, number, list or rate"},
    {FEATURE("ids"), "c.yaml:5:6: features.f.kind: found \"ids\"", "did you mean \"id\"?"},
    {FEATURE("{kind: id, smoothing: 3}"),
     "c.yaml:5:17: features.f.smoothing: this is no option where `kind` is id", ""},
    {FEATURE("{kind: number, widht: 3}"),
     "c.yaml:5:21: features.f.widht: unknown key; did you mean \"width\"?", ""},
    {FEATURE("{kind: id, hash: 3, integer: 4}"), "c.yaml:5:35: features.f.integer", "together"},
    {FEATURE("{kind: id, hash: 3, min_count: 4}"),
     "c.yaml:5:37: features.f.min_count: there is no vocabulary with `hash`", ""},
    {FEATURE("{kind: id, integer: 3, missing: 3}"),
     "c.yaml:5:38: features.f.missing: found \"3\"; expected an integer from 0 to 2", ""},
    {FEATURE("{kind: number, missing: none}"),
     "c.yaml:5:30: features.f.missing: found \"none\"; expected a number", ""},
    {FEATURE("{kind: id, share: v}"),
     "c.yaml:5:24: features.f.share: found \"v\", which is no feature", ""},
    {FEATURE("{kind: id, share: vide}\n  video: id"),
     "c.yaml:5:24: features.f.share: found \"vide\", which is no feature; did you mean \"video\"?",
     ""},
    {FEATURE("{kind: id, share: f}"),
     "c.yaml:5:24: features.f.share: found \"f\", which is this feature itself", ""},
    {FEATURE("{kind: id, share: u, width: 16}"),
     "c.yaml:5:34: features.f.width: this is \"u\"'s to say", ""},
    {FEATURE("{kind: id, share: u}\n  g: {kind: list, share: f}"),
     "c.yaml:6:26: features.g.share: found \"f\", which shares another's table", ""},
    {FEATURE("{kind: id, share: n}\n  n: number"),
     "c.yaml:5:24: features.f.share: found \"n\", which has no ids", ""},
    {FEATURE("{kind: number, column: y}"),
     "c.yaml:5:29: features.f.column: found the column \"y\", from which the label of task "
     "\"click\" is made",
     "leak"},
    {LOG TASKS "features: {y: number}\n", "c.yaml:3:15: features.y.column: found the column \"y\"",
     "leak"},
    {LOG "tasks: {good: r > 3}\nfeatures: {x: {kind: number, column: r}}\n",
     "c.yaml:3:38: features.x.column: found the column \"r\"", "leak"},
    {FEATURE("{kind: rate, key: [u, y]}"), "c.yaml:5:24: features.f.key: found the column \"y\"",
     "leak"},
    {FEATURE("{kind: rate, key: u, fold: y}"),
     "c.yaml:5:33: features.f.fold: found the column \"y\"", "leak"},
    {FEATURE("{kind: rate, key: u, past: y}"),
     "c.yaml:5:33: features.f.past: found the column \"y\"", "leak"},
    {FEATURE("rate"), "c.yaml:5:6: features.f.key: this key is absent", "names"},
    {FEATURE("{kind: rate, key: []}"),
     "c.yaml:5:24: features.f.key: found a list; expected a list of 1 to 8 names", ""},
    {FEATURE("{kind: rate, key: [u, u]}"), "c.yaml:5:24: features.f.key: found \"u\" twice", ""},
    {FEATURE("{kind: rate, key: u, tasks: clik}"),
     "c.yaml:5:34: features.f.tasks: found \"clik\", which is no task; did you mean \"click\"?",
     ""},
    {FEATURE("{kind: rate, key: u, fold: hash 1}"),
     "c.yaml:5:33: features.f.fold: found \"hash 1\"; expected hash N with N from 2 to 1024", ""},
    {FEATURE("{kind: rate, key: u, fold: hash}"), "c.yaml:5:33: features.f.fold: found \"hash\"",
     ""},
    {FEATURE("{kind: rate, key: u, fold: d, past: d}"),
     "c.yaml:5:42: features.f.past: found `fold` and `past` together", ""},
    {FEATURE("{kind: rate, key: u, smoothing: 0}"),
     "c.yaml:5:38: features.f.smoothing: found \"0\"", ""},
    {FEATURE("{kind: rate, key: u, column: u}"),
     "c.yaml:5:27: features.f.column: this is no option where `kind` is rate", ""},
    {FEATURE("{kind: list, delimiter: ''}"), "c.yaml:5:30: features.f.delimiter: found \"\"", ""},
    {LOG TASKS "features: {$f: id}\n", "c.yaml:3:16: features.$f.column: found the column \"$f\"",
     "$file"},
    {FEATURE("{kind: rate, key: [u, $f]}"), "c.yaml:5:24: features.f.key: found the column \"$f\"",
     ""},
    {FEATURE("{kind: rate, key: u, fold: $f}"),
     "c.yaml:5:33: features.f.fold: found the column \"$f\"", ""},
    {LOG TASKS "features: [u]\n", "c.yaml:3:11: features: found a list", ""},
    {LOG TASKS "features: {'': id}\n", "c.yaml:3:12: features.: found the name \"\"", ""},
};

static const wrong syntax[] = {
    {"log: [a\n", "c.yaml:2:1: this is not YAML: flow sequence without a closing bracket", ""},
    {"log: *a\n", "c.yaml:1:6: found an alias", ""},
    {"log: &a b\n", "c.yaml:1:6: found an anchor", ""},
    {"log: !!str b\n", "c.yaml:1:6: found a tag", ""},
    {MINIMAL "---\na: b\n", "c.yaml:4:1: found a second YAML document", ""},
    {"[a]: b\n", "c.yaml:1:1: found a list or a mapping as a key", ""},
    {"a: \x01\n", "c.yaml:1:4: found the byte 0x01", ""},
    {"a: b\nc: \xff\n", "c.yaml:2:4: found the byte 0xff", "UTF-8"},
    {"a: \xc0\x80\n", "c.yaml:1:4: found the byte 0xc0", ""},
    {"a: \xed\xa0\x80\n", "c.yaml:1:4: found the byte 0xed", ""},
    {"a: \xe2\x82", "c.yaml:1:4: found the byte 0xe2", ""},
    {"a: [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]\n", "c.yaml:1:19: found more than 16 levels", ""},
};

static void refuse(const wrong *cases, size_t n) {
    for (size_t i = 0; i < n; i++) {
        hn_config *config = NULL;
        const int64_t held = hn_memory_held();
        const hn_status status = hn_config_parse(&config, cases[i].yaml, strlen(cases[i].yaml),
                                                 "c.yaml", "", NULL, 0, &err);
        if (status != HN_BAD_CONFIG ||
            strncmp(err.text, cases[i].begin, strlen(cases[i].begin)) != 0 ||
            strstr(err.text, cases[i].word) == NULL)
            fail_msg("%s\ngave %d: %s\nexpected: %s … %s", cases[i].yaml, (int)status, err.text,
                     cases[i].begin, cases[i].word);
        assert_null(config);
        assert_int_equal(hn_memory_held(), held);
    }
}

#define REFUSE(cases)                                   \
    static void refuses_##cases(void **state) {         \
        (void)state;                                    \
        refuse(cases, sizeof(cases) / sizeof *(cases)); \
    }
REFUSE(keys)
REFUSE(types)
REFUSE(sources)
REFUSE(splits)
REFUSE(features)
REFUSE(syntax)

static void overrides_are_named(void **state) {
    (void)state;
    static const struct {
        const char *set, *begin;
        hn_status status;
    } cases[] = {
        {"train.epoch=3",
         "--set 'train.epoch=3': train.epoch: unknown key; did you mean \"epochs\"?",
         HN_BAD_CONFIG},
        {"train.epochs=x", "--set 'train.epochs=x': train.epochs: found \"x\"; expected an integer",
         HN_BAD_CONFIG},
        {"modle.name=ple", "--set 'modle.name=ple': modle: unknown key; did you mean \"model\"?",
         HN_BAD_CONFIG},
        {"model={nam: ple}",
         "--set 'model={nam: ple}': model.nam: unknown key; did you mean \"name\"?", HN_BAD_CONFIG},
        {"train.epochs", "--set: found 'train.epochs'; expected key.path=value", HN_USAGE},
        {"=3", "--set: found '=3'; expected key.path=value", HN_USAGE},
        {"train.=3", "--set 'train.=3': found a path that ends with a dot", HN_BAD_CONFIG},
        {".train=3", "--set '.train=3': found an empty key", HN_BAD_CONFIG},
        {"user.x=3", "--set 'user.x=3': a key on the way holds a single value", HN_BAD_CONFIG},
        {"log.files.0=3", "--set 'log.files.0=3': a key on the way holds a single value",
         HN_BAD_CONFIG},
        {"train.rate=[", "--set 'train.rate=[': this is not YAML", HN_BAD_CONFIG},
        {"features.u=", "--set 'features.u=': features.u: nothing was written here", HN_BAD_CONFIG},
        {"features=null",
         "--set 'features=null': features: nothing was written here, but it is required",
         HN_BAD_CONFIG},
        {"a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a=1",
         "--set 'a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a=1': found more than 16 keys", HN_BAD_CONFIG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hn_config *config = NULL;
        const hn_status status =
            hn_config_parse(&config, MINIMAL "user: u\n", strlen(MINIMAL "user: u\n"), "c.yaml", "",
                            &cases[i].set, 1, &err);
        if (status != cases[i].status ||
            strncmp(err.text, cases[i].begin, strlen(cases[i].begin)) != 0)
            fail_msg("%s\ngave %d: %s\nexpected: %s", cases[i].set, (int)status, err.text,
                     cases[i].begin);
        assert_null(config);
    }
}

enum { HOSTILE_BYTES = 1 << 18 };

/* Nothing but one pattern: nothing crashes, nothing takes long, whatever is said. */
static void hostile_yaml_is_bounded(void **state) {
    (void)state;
    static const char *const patterns[] = {"[",    "{a: ",  "- ",      "? ",   "a",
                                           "&a ",  "*a ",   "\"a",     "a: ",  "!a ",
                                           "'a\n", "|\n a", "#a",      "a\n",  "[a,",
                                           "{a,",  "- a\n", "--- a\n", "%a\n", "\t",
                                           "[a: ", "\"\\x", "- [",     "...",  "log.files: "};
    char *text = malloc(HOSTILE_BYTES);
    assert_non_null(text);
    const clock_t begin = clock();
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        hn_config *config = NULL;
        for (size_t k = 0, n = strlen(patterns[i]); k < HOSTILE_BYTES; k++)
            text[k] = patterns[i][k % n];
        assert_int_equal(hn_config_parse(&config, text, HOSTILE_BYTES, "c.yaml", "", NULL, 0, &err),
                         HN_BAD_CONFIG);
        assert_null(config);
    }
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC <
                60); /* about 2 s, far more under sanitizers */
    free(text);
}

static void many_keys_and_values_are_bounded(void **state) {
    (void)state;
    hn_config *config = NULL;
    char *text = malloc(1 << 20);
    assert_non_null(text);
    size_t n = 0;
    for (int i = 0; i < 9000; i++) n += (size_t)sprintf(text + n, "k%d: 1\n", i);
    assert_fails(HN_BAD_CONFIG, "8192 keys",
                 hn_config_parse(&config, text, n, "c.yaml", "", NULL, 0, &err));
    n = (size_t)sprintf(text, MINIMAL "scenario:\n  column: t\n  values: [");
    for (int i = 0; i < 1025; i++) n += (size_t)sprintf(text + n, "%d, ", i);
    n += (size_t)sprintf(text + n, "]\n");
    assert_fails(HN_BAD_CONFIG, "1025 scenarios",
                 hn_config_parse(&config, text, n, "c.yaml", "", NULL, 0, &err));
    n = (size_t)sprintf(text, MINIMAL "tables:\n");
    for (int i = 0; i < 65; i++) n += (size_t)sprintf(text + n, "  t%d: {files: f, key: k}\n", i);
    assert_fails(HN_BAD_CONFIG, "65 entries; expected 0 to 64",
                 hn_config_parse(&config, text, n, "c.yaml", "", NULL, 0, &err));
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_keys),
        cmocka_unit_test(refuses_types),
        cmocka_unit_test(refuses_sources),
        cmocka_unit_test(refuses_splits),
        cmocka_unit_test(refuses_features),
        cmocka_unit_test(refuses_syntax),
        cmocka_unit_test(overrides_are_named),
        cmocka_unit_test(hostile_yaml_is_bounded),
        cmocka_unit_test(many_keys_and_values_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
