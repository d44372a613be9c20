/* EXPERIMENT.yaml: what it means, what is wrong with it, and that docs/experiment-config.md is
 * what the tables say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "experiment/experiment.h"
#include "support.h"

static hn_error err;

static hn_experiment_config *parse(const char *text) {
    hn_experiment_config *c = NULL;
    assert_ok(hn_experiment_config_parse(&c, text, strlen(text), "e.yaml", "dir", &err));
    return c;
}

static void assert_set(const hn_strings *set, const char *joined) {
    char text[1000] = "";
    for (int32_t i = 0; i < set->n; i++) {
        strcat(text, i > 0 ? ";" : "");
        strcat(text, set->items[i]);
    }
    assert_string_equal(text, joined);
}

static const char whole[] =
    "base:\n"
    "  kr: ../kuairand.yaml\n"
    "  ml: {config: /abs/movielens.yaml, set: {train.epochs: 2}}\n"
    "set: {train: {epochs: 4, rate: 1e-3}, model.tower_units: [64, 32], split.column: '01', "
    "features.x: null, a.b: {}}\n"
    "models:\n"
    "  hinet: {search: {model.experts: {integer: [1, 4]}}}\n"
    "  mmoe: {}\n"
    "  big ple: {model: ple, set: {model: {task_own: 4}}}\n"
    "  without SAN: {like: hinet, set: {model.san: false}}\n"
    "  mine: {}\n"
    "seeds: [3, 1]\n"
    "search:\n"
    "  train.rate: {log: [0.0001, 0.01]}\n"
    "  model.embedding_dropout: [0, 0.5]\n"
    "  model.expert_units: {choice: [[64, 32], 16, null]}\n"
    "trials: 4\n"
    "search_seed: 9\n"
    "keep: none\n";

static void everything_is_read(void **state) {
    (void)state;
    hn_experiment_config *const c = parse(whole);
    assert_int_equal(c->n_bases, 2);
    assert_string_equal(c->bases[0].name, "kr");
    assert_string_equal(c->bases[0].config, "dir/../kuairand.yaml");
    assert_string_equal(c->bases[1].config, "/abs/movielens.yaml");
    assert_set(&c->bases[1].set, "train.epochs=2");
    assert_set(&c->set,
               "train.epochs=4;train.rate=1e-3;model.tower_units=[64, 32];split.column=\"01\";"
               "features.x=null;a.b={}");
    assert_int_equal(c->n_models, 5);
    assert_string_equal(c->models[0].model, "hinet");
    assert_int_equal(c->models[0].n_ranges, 1);
    assert_int_equal(c->models[0].ranges[0].kind, HN_RANGE_INTEGER);
    assert_string_equal(c->models[2].model, "ple");
    assert_set(&c->models[2].set, "model.task_own=4");
    assert_null(c->models[3].model);
    assert_int_equal(c->models[3].parent, 0);
    assert_null(c->models[4].model); /* the config's own */
    assert_int_equal(c->models[4].parent, -1);
    assert_true(c->seeds.n == 2 && c->seeds.items[0] == 3 && c->seeds.items[1] == 1);
    assert_int_equal(c->n_ranges, 3);
    assert_int_equal(c->ranges[0].kind, HN_RANGE_LOG);
    assert_true(c->ranges[1].kind == HN_RANGE_LINEAR && c->ranges[1].linear.high == 0.5);
    assert_set(&c->ranges[2].choice, "[64, 32];16;null");
    assert_true(c->trials == 4 && c->search_seed == 9 && c->keep == HN_KEEP_NONE);
    assert_true(c->halving == 2 && c->confidence == 0.95 && c->bootstrap == 1000);
    hn_experiment_config_free(c);
}

static void short_forms(void **state) {
    (void)state;
    hn_experiment_config *c = parse("base: a/x.yaml\nmodels: [hinet, ple]\nseeds: 3\n");
    assert_true(c->n_bases == 1 && c->n_models == 2 && c->seeds.n == 3);
    assert_string_equal(c->bases[0].name, "x");
    assert_string_equal(c->models[1].model, "ple");
    assert_true(c->seeds.items[0] == 1 && c->seeds.items[2] == 3);
    hn_experiment_config_free(c);
    c = parse("base: [x.yaml, y.yml]\nmodels: [hinet]\n");
    assert_string_equal(c->bases[1].name, "y");
    assert_int_equal(c->seeds.n, 1);
    hn_experiment_config_free(c);
}

/* Reading what was printed and printing it again gives the same. */
static void printed_it_is_the_same(void **state) {
    (void)state;
    hn_text first = {0}, second = {0};
    hn_experiment_config *c = parse(whole);
    c->bases[0].config = c->bases[1].config; /* absolute: reading joins */
    hn_experiment_config_print(&first, c);
    hn_experiment_config_free(c);
    c = parse(first.text);
    hn_experiment_config_print(&second, c);
    hn_experiment_config_free(c);
    assert_string_equal(first.text, second.text);
    hn_text_free(&first);
    hn_text_free(&second);
}

#define M "base: x.yaml\nmodels: [hinet]\n"

static const struct {
    const char *text, *words;
} wrong[] = {
    {"models: [hinet]", "base: this key is absent"},
    {"base: x.yaml", "models: this key is absent"},
    {M "seed: 3", "e.yaml:3:1: seed: unknown key; did you mean \"seeds\"?"},
    {M "seeds: 0", "seeds: found \"0\""},
    {M "seeds: [1, 2, 1]", "3:15: seeds: found the seed 1 twice"},
    {M "seeds: []", "seeds: found"},
    {M "seeds: [-1]", "seeds: found"},
    {M "seeds: [1, 0]", "the seed of the search"},
    {M "seeds: [1, 3]\nsearch_seed: 3", "seeds: found 3, the seed of the search"},
    {M "seeds: [1, 9223372036854775808]", "seeds from 0 to 9223372036854775807"},
    {M "search_seed: 9223372036854775808", "an integer from 0 to 9223372036854775807"},
    {M "set: {train: {seed: 3}}", "3:15: set: found train.seed"},
    {"base: x.yaml\nmodels: {a: {set: {train.seed: 3}}}", "models.a.set: found train.seed"},
    {M "search: {train.seed: {integer: [1, 9]}}", "3:10: search.train.seed: found the seed"},
    {M "search: {train.epochs: [1, 9]}", "3:10: search.train.epochs: found the epochs"},
    {"base: [a/x.yaml, b/x.yaml]\nmodels: [hinet]", "two configs named \"x\""},
    {"base: {x: {config: a, sets: {}}}\nmodels: [hinet]", "did you mean \"set\"?"},
    {"base: x.yaml\nmodels: {a: {model: hinett}}", "models.a.model: found \"hinett\""},
    {"base: x.yaml\nmodels: {a: {model: hinett}}", "did you mean \"hinet\"?"},
    {"base: x.yaml\nmodels: {a: {like: b}, b: {}}",
     "models.a.like: found \"b\"; expected an entry before"},
    {"base: x.yaml\nmodels: {hinet: {}, a: {like: hinte}}", "did you mean \"hinet\"?"},
    {"base: x.yaml\nmodels: {hinet: {}, a: {like: hinet, search: {x: [0, 1]}}}", "beside `like`"},
    {"base: x.yaml\nmodels: {}", "found 0 entries"},
    {M "set: [a]", "set: found a list"},
    {M "set: {a: {b: 1}, a.b: 2}", "3:18: set: found a.b twice"},
    {M "set: {a: {b=c: 1}}", "found the key \"b=c\""},
    {M "set: {a=b: 1}", "found the key \"a=b\""},
    {M "search: {train.rate: [1, 0]}", "search.train.rate.linear: found a list"},
    {M "search: {train.rate: {log: [0, 1]}}", "log: found a range from 0"},
    {M "search: {train.rate: {log: [1, 2], linear: [1, 2]}}", "found 2 ways"},
    {M "search: {train.rate: {}}", "found 0 ways"},
    {M "search: {train.rate: {lag: [1, 2]}}", "did you mean \"log\"?"},
    {M "search: {x: {integer: [1.5, 2]}}", "expected whole numbers"},
    {M "search: {x: {choice: []}}", "choice: found a list"},
    {M "trials: 1", "trials: found \"1\""},
    {M "halving: 1", "halving: found"},
    {M "keep: some", "keep: found \"some\""},
    {M "confidence: 1", "confidence: found"},
};

static void errors_name_their_place(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        hn_experiment_config *c = NULL;
        assert_fails(HN_BAD_CONFIG, wrong[k].words,
                     hn_experiment_config_parse(&c, wrong[k].text, strlen(wrong[k].text), "e.yaml",
                                                "", &err));
        assert_null(c);
    }
}

static void files_are_read(void **state) {
    (void)state;
    hn_experiment_config *c = NULL;
    assert_fails(HN_NO_INPUT, "none.yaml: the config cannot be opened",
                 hn_experiment_config_load(&c, "none.yaml", &err));
    assert_null(c);
    static const char *const examples[] = {"quick", "kuairand", "movielens", "simulated"};
    for (size_t k = 0; k < sizeof examples / sizeof *examples; k++) {
        char path[4096];
        snprintf(path, sizeof path, HN_SOURCE_DIR "/examples/experiments/%s.yaml", examples[k]);
        assert_ok(hn_experiment_config_load(&c, path, &err));
        hn_experiment_config_free(c);
    }
}

static hn_status load_whole(void *user, hn_error *e) {
    hn_experiment_config *c = NULL;
    (void)user;
    const hn_status status =
        hn_experiment_config_parse(&c, whole, strlen(whole), "e.yaml", "dir", e);
    hn_experiment_config_free(c);
    return status;
}

static void no_memory(void **state) {
    (void)state;
    assert_true(support_fail_each(HN_FAULT_ALLOC, load_whole, NULL) >= 3);
}

static void docs_are_the_reference(void **state) {
    (void)state;
    static const char path[] = HN_SOURCE_DIR "/docs/experiment-config.md";
    hn_report *report = NULL;
    char *docs = NULL;
    size_t n = 0;
    assert_ok(hn_experiment_config_reference(&report, &err));
    if (getenv("HN_UPDATE_DOCS") != NULL)
        support_write(path, hn_report_text(report), strlen(hn_report_text(report)));
    assert_ok(hn_file_read(&docs, &n, path, &err));
    const bool same = strcmp(docs, hn_report_text(report)) == 0;
    hn_report_free(report);
    if (!same)
        fail_msg("docs/experiment-config.md is not what the tables say: run this test with "
                 "HN_UPDATE_DOCS=1 and look at the difference");
    char *const begin = strstr(docs, "```yaml\n"), *const end = strstr(begin + 8, "```");
    *end = '\0';
    hn_experiment_config *const c = parse(begin + 8); /* its example is right */
    assert_int_equal(c->n_models, 4);
    hn_experiment_config_free(c);
    hn_free(docs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read),     cmocka_unit_test(short_forms),
        cmocka_unit_test(printed_it_is_the_same), cmocka_unit_test(errors_name_their_place),
        cmocka_unit_test(files_are_read),         cmocka_unit_test(no_memory),
        cmocka_unit_test(docs_are_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
