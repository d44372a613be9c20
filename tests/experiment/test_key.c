/* Keys: what changes them and what does not; and the file of scores, and the ledger. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/scores.h"
#include "experiment/key.h"
#include "experiment/ledger.h"
#include "experiment/outcome.h"
#include "support.h"

static hn_error err;

/* ---- Keys ---- */

static const char plain[] =
    "log: {files: a/log.csv, drop_duplicates: true}\n"
    "tables: {users: {files: u.csv, key: user}}\n"
    "tasks: {click: y, \"a: b\": {label: z, weight: 2}}\n"
    "features: {u: {kind: id, width: 4}, \"x: y\": {kind: number, column: x}, "
    "v: id}\n"
    "model: {name: ple, compat: [san_mlp]}\n"
    "train: {rate: 0.01}\n";

static void key_of(char out[HN_KEY_BYTES], const char *text, const char *override,
                   const char *data) {
    hn_config *c = NULL;
    assert_ok(
        hn_config_parse(&c, text, strlen(text), "c.yaml", "d", &override, override ? 1 : 0, &err));
    assert_ok(hn_experiment_key(out, c, data, &err));
    assert_int_equal(strlen(out), 32);
    hn_config_free(c);
}

static void changes_are_what_is_no_default(void **state) {
    (void)state;
    hn_config *c = NULL;
    hn_text text = {0};
    assert_ok(hn_config_parse(&c, plain, strlen(plain), "c.yaml", "d", NULL, 0, &err));
    assert_ok(hn_experiment_changes(&text, c, &err));
    assert_string_equal(text.text, "log.drop_duplicates=true\n"
                                   "tables.users.key=user\n"
                                   "tables.users.log_key=user\n"
                                   "tasks.click.label=\"y\"\n"
                                   "tasks.\"a: b\".label=z\n"
                                   "tasks.\"a: b\".weight=2\n"
                                   "features.u.kind=id\n"
                                   "features.u.column=u\n"
                                   "features.u.width=4\n"
                                   "features.\"x: y\".kind=number\n"
                                   "features.\"x: y\".column=x\n"
                                   "features.v.kind=id\n"
                                   "features.v.column=v\n"
                                   "model.name=ple\n"
                                   "model.compat.san_mlp=true\n"
                                   "train.rate=0.01\n");
    hn_text_free(&text);
    hn_config_free(c);
}

/* Other texts that mean the same, the default written out, another folder. */
static void what_means_the_same_has_one_key(void **state) {
    (void)state;
    static const char *const same[] = {"train.rate=1e-2",           "train.batch=4096",
                                       "model.experts=5",           "log.files=b/log.csv",
                                       "model.compat.san_mlp=true", "features.v.kind=id",
                                       "tables.users.files=x"};
    char key[HN_KEY_BYTES], other[HN_KEY_BYTES];
    key_of(key, plain, NULL, "d1");
    for (size_t k = 0; k < sizeof same / sizeof *same; k++) {
        key_of(other, plain, same[k], "d1");
        assert_string_equal(key, other);
    }
}

static void what_means_something_else_has_another(void **state) {
    (void)state;
    static const char *const others[] = {
        "train.rate=0.011",       "train.seed=2",         "train.batch=2048",
        "model.experts=4",        "model.name=mmoe",      "model.compat=[]",
        "features.u.width=5",     "features.v.width=4",   "features.w=id",
        "features.v=null",        "tasks.click.weight=2", "model.compat.gate_relu=true",
        "features.v.kind=number", "split.seed=2",         "user=u",
        "model.tower_units=[64]"};
    enum { N = sizeof others / sizeof *others };
    char keys[N + 2][HN_KEY_BYTES];
    key_of(keys[0], plain, NULL, "d1");
    key_of(keys[1], plain, NULL, "d2");
    for (size_t k = 0; k < N; k++) key_of(keys[k + 2], plain, others[k], "d1");
    for (size_t a = 0; a < N + 2; a++)
        for (size_t b = 0; b < a; b++) assert_string_not_equal(keys[a], keys[b]);
}

static hn_status make_key(void *user, hn_error *e) {
    char key[HN_KEY_BYTES];
    return hn_experiment_key(key, user, "d", e);
}

static void keys_without_memory(void **state) {
    (void)state;
    hn_config *c = NULL;
    assert_ok(hn_config_parse(&c, plain, strlen(plain), "c.yaml", "d", NULL, 0, &err));
    assert_true(support_fail_each(HN_FAULT_ALLOC, make_key, c) >= 3);
    hn_config_free(c);
}

/* ---- Scores ---- */

enum { ROWS = 3, TASKS = 2 };
static const uint16_t scenario[ROWS] = {0, 1, 1};
static const uint8_t labels[ROWS * TASKS] = {0, 1, HN_LABEL_ABSENT, 0, 1, 1};
static const uint64_t users[ROWS] = {7, 0, UINT64_MAX};
static const float weights[ROWS] = {1, 0.5f, 2};
static const hn_real logits[ROWS * TASKS] = {0.5f, -1, 2, -3, 0, 100};

static hn_status write_scores(void *path, hn_error *e) {
    const hn_rows rows = {
        .rows = ROWS, .scenario = scenario, .labels = labels, .user = users, .weights = weights};
    hn_scores_writer *writer;
    HN_TRY(hn_scores_create(&writer, path, 2, TASKS, e));
    hn_scores_add(writer, &rows, logits);
    hn_scores_add(writer, &rows, logits);
    return hn_scores_commit(writer, e);
}

static hn_status read_scores(void *path, hn_error *e) {
    hn_scores s;
    HN_TRY(hn_scores_load(&s, path, e));
    hn_scores_free(&s);
    return HN_OK;
}

static void scores_come_back(void **state) {
    (void)state;
    char *const folder = support_folder();
    char path[4096];
    hn_scores s;
    snprintf(path, sizeof path, "%s/test.scores", folder);
    assert_ok(write_scores(path, &err));
    assert_ok(hn_scores_load(&s, path, &err));
    assert_true(s.rows == 2 * ROWS && s.tasks == TASKS && s.scenarios == 2);
    for (size_t r = 0; r < s.rows; r++) {
        assert_true(s.user[r] == users[r % ROWS] && s.scenario[r] == scenario[r % ROWS] &&
                    s.weight[r] == weights[r % ROWS]);
        assert_memory_equal(&s.label[r * TASKS], &labels[r % ROWS * TASKS], TASKS);
        for (size_t t = 0; t < TASKS; t++)
            assert_true(s.logit[r * TASKS + t] == (float)logits[r % ROWS * TASKS + t]);
    }
    hn_scores_free(&s);
    assert_true(support_fail_each(HN_FAULT_ALLOC, write_scores, path) >= 2);
    assert_true(support_fail_each(HN_FAULT_ALLOC, read_scores, path) >= 5);
    assert_true(support_fail_each(HN_FAULT_WRITE, write_scores, path) >= 1);
    support_remove(folder);
    free(folder);
}

/* No byte of the file can be changed without being told. */
static void damaged_scores_are_told(void **state) {
    (void)state;
    char *const folder = support_folder(), *bytes = NULL;
    char path[4096];
    size_t n = 0;
    hn_scores s;
    snprintf(path, sizeof path, "%s/test.scores", folder);
    assert_ok(write_scores(path, &err));
    assert_ok(hn_file_read(&bytes, &n, path, &err));
    for (size_t k = 0; k < n; k++) {
        bytes[k] ^= 0x20;
        support_write(path, bytes, n);
        assert_fails(HN_BAD_DATA, path, hn_scores_load(&s, path, &err));
        assert_null(s.user);
        bytes[k] ^= 0x20;
    }
    hn_free(bytes);
    support_remove(folder);
    free(folder);
}

/* ---- The ledger ---- */

static json_t *line(const char *kind, const char *key, const char *status, int until) {
    return json_pack("{s:s, s:s, s:s, s:i, s:f}", "kind", kind, "key", key, "status", status,
                     "until", until, "x", 0.1);
}

static void lines_are_added_and_found(void **state) {
    (void)state;
    char *const folder = support_folder(), *text = NULL;
    char path[4096];
    size_t n = 0;
    hn_ledger l;
    snprintf(path, sizeof path, "%s/results.jsonl", folder);
    assert_ok(hn_ledger_open(&l, path, &err));
    assert_null(hn_ledger_find(&l, "run", "a", 0));
    assert_ok(hn_ledger_add(&l, line("run", "a", "failed", 0), &err));
    assert_null(hn_ledger_find(&l, "run", "a", 0));
    assert_ok(hn_ledger_add(&l, line("run", "a", "done", 1), &err));
    assert_ok(hn_ledger_add(&l, line("run", "a", "done", 2), &err));
    assert_ok(hn_ledger_add(&l, line("trial", "a", "done", 3), &err));
    hn_ledger_close(&l);
    /* A line that was cut. */
    FILE *const file = fopen(path, "a");
    fputs("{\"kind\":\"run\",\"key\":\"b\",\"stat", file);
    fclose(file);
    assert_ok(hn_ledger_open(&l, path, &err));
    assert_int_equal(json_array_size(l.lines), 4);
    const json_t *const found = hn_ledger_find(&l, "run", "a", 0);
    assert_int_equal(json_integer_value(json_object_get(found, "until")), 2); /* the last */
    assert_non_null(hn_ledger_find(&l, "trial", "a", 3));
    assert_null(hn_ledger_find(&l, "trial", "a", 2));
    assert_ok(hn_ledger_add(&l, line("run", "c", "done", 0), &err));
    hn_ledger_close(&l);
    assert_ok(hn_file_read(&text, &n, path, &err));
    assert_null(strstr(text, "\"b\""));
    assert_true(text[n - 1] == '\n' && strstr(text, "\"x\":0.1}") != NULL);
    hn_free(text);
    /* A whole last line without its newline, as some editors leave it. */
    static const char whole[] = "{\"kind\":\"run\",\"key\":\"d\",\"status\":\"done\"}";
    support_write(path, whole, strlen(whole));
    assert_ok(hn_ledger_open(&l, path, &err));
    assert_non_null(hn_ledger_find(&l, "run", "d", 0));
    assert_ok(hn_ledger_add(&l, line("run", "e", "done", 0), &err));
    hn_ledger_close(&l);
    assert_ok(hn_ledger_open(&l, path, &err));
    assert_true(json_array_size(l.lines) == 2 && hn_ledger_find(&l, "run", "d", 0) != NULL);
    hn_ledger_close(&l);
    support_write(path, "{}\n[1]\n", 7);
    assert_fails(HN_BAD_DATA, "results.jsonl:2: this is no JSON object",
                 hn_ledger_open(&l, path, &err));
    support_remove(folder);
    free(folder);
}

/* ---- What a run has left ---- */

static void write_in(const char *folder, const char *name, const char *text) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    support_write(path, text, strlen(text));
}

static void outcomes(void **state) {
    (void)state;
    char *const folder = support_folder();
    char words[100];
    hn_outcome o;
    assert_ok(hn_outcome_read(&o, folder, 0, &err));
    assert_true(!o.ended && o.epochs == 0 && isnan(o.metric) && o.seconds == 0);
    hn_outcome_free(&o);
    hn_outcome_last_words(words, sizeof words, folder);
    assert_string_equal(words, "");
    write_in(
        folder, "history.jsonl",
        "{\"event\":\"start\"}\n{\"event\":\"evaluation\",\"epoch\":1,\"metric\":0.7,\"seconds\":5}"
        "\n"
        "{\"event\":\"resume\"}\n{\"event\":\"evaluation\",\"epoch\":2,\"metric\":0.6,\"seconds\":"
        "2}\n"
        "{\"event\":\"evaluation\",\"epoch\":3,\"metric\":0.9,\"seconds\":4.5}\n{\"event\":\"eval");
    write_in(folder, "report.json", "{\"model\": {\"name\"");
    write_in(folder, "log.txt", "warning: a\nhinet: it is broken\n");
    assert_ok(hn_outcome_read(&o, folder, 2, &err));
    assert_true(!o.ended && o.epochs == 2 && o.metric == 0.7 && o.seconds == 9.5);
    hn_outcome_free(&o);
    write_in(folder, "report.json", "{\"model\": {\"name\": \"x\"}}\n");
    assert_ok(hn_outcome_read(&o, folder, 0, &err));
    assert_true(o.ended && o.epochs == 3 && o.metric == 0.9);
    hn_outcome_free(&o);
    hn_outcome_last_words(words, sizeof words, folder);
    assert_string_equal(words, "it is broken");
    hn_outcome_last_words(words, 6, folder);
    assert_string_equal(words, "it is");
    write_in(folder, "log.txt", "no \xc3\xa9t\xc3\xa9, no \xff\n");
    hn_outcome_last_words(words, sizeof words, folder);
    assert_string_equal(words, "no \xc3\xa9t\xc3\xa9, no ?");
    hn_outcome_last_words(words, 5, folder); /* within the first é */
    assert_string_equal(words, "no ");
    support_remove(folder);
    free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_what_is_no_default),
        cmocka_unit_test(what_means_the_same_has_one_key),
        cmocka_unit_test(what_means_something_else_has_another),
        cmocka_unit_test(keys_without_memory),
        cmocka_unit_test(scores_come_back),
        cmocka_unit_test(damaged_scores_are_told),
        cmocka_unit_test(lines_are_added_and_found),
        cmocka_unit_test(outcomes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
