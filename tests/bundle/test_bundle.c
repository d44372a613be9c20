/* Bundles: the numbers that went in score the same when they come out; what is reported
 * about them; every failure of memory, reading and writing; and contents that are sound
 * pieces of a file but do not fit together. Damage of bytes is in test_damage.c. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "bundle/world.h"

/* ---- The same numbers ---------------------------------------------------------------------- */

static void score(hn_real *out, const hn_plan *plan, const hn_params *params,
                  const uint64_t *scenario_rows, const hn_rows *rows) {
    hn_error err = {0};
    hn_scorer *scorer = NULL;
    hn_scratch *scratch = NULL;
    assert_ok(hn_scorer_create(&scorer, plan, params, scenario_rows, &err));
    assert_ok(hn_scratch_create(&scratch, scorer, &err));
    assert_ok(hn_score(out, scorer, scratch, rows, &err));
    hn_scratch_free(scratch);
    hn_scorer_free(scorer);
}

static void check_round_trip(const char *model) {
    hn_error err = {0};
    world w;
    hn_bundle *bundle = NULL;
    hn_encoded before, after;
    hn_real first[240 * WORLD_TASKS], second[240 * WORLD_TASKS];
    world_make(&w, model);
    assert_ok(hn_bundle_open(&bundle, w.bundle_path, &err));
    const hn_schema *schema = hn_dataset_schema(w.dataset);
    world_rows(&before, &w, schema, hn_dataset_tables(w.dataset));
    world_rows(&after, &w, bundle->schema, bundle->tables);
    score(first, w.plan, &w.params, hn_schema_scenario_rows(schema), &before.rows);
    score(second, bundle->plan, &bundle->params, hn_schema_scenario_rows(bundle->schema),
          &after.rows);
    assert_memory_equal(first, second, sizeof first);
    assert_string_equal(hn_config_yaml(w.config), hn_config_yaml(bundle->config));
    assert_true(json_equal(w.metrics, bundle->metrics));
    hn_encoded_free(&before);
    hn_encoded_free(&after);
    hn_bundle_close(bundle);
    world_free(&w);
}

static void test_same_numbers(void **state) {
    (void)state;
    check_round_trip(WORLD_HINET);
    check_round_trip("{name: single, bottom_units: [4], tower_units: []}");
    check_round_trip("{name: hinet, scenario_levels: 2, expert_units: [4], scenario_width: 2, "
                     "task_units: [4], tower_units: [3], compat: [all_heads]}");
}

static char *read_all(const char *path, size_t *n) {
    hn_error err = {0};
    char *bytes = NULL;
    assert_ok(hn_file_read(&bytes, n, path, &err));
    return bytes;
}

/* Nothing of the moment or the place gets in. */
static void test_same_bytes(void **state) {
    (void)state;
    world a, b;
    size_t n, m;
    world_make(&a, WORLD_HINET);
    world_make(&b, WORLD_HINET);
    char *first = read_all(a.bundle_path, &n), *second = read_all(b.bundle_path, &m);
    assert_int_equal(n, m);
    assert_memory_equal(first, second, n);
    assert_null(memmem(first, n, a.folder, strlen(a.folder)));
    hn_free(first);
    hn_free(second);
    world_free(&a);
    world_free(&b);
}

/* ---- Reports ------------------------------------------------------------------------------- */

static double number_at(const json_t *json, const char *path) {
    char copy[200];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *save = NULL, *key = strtok_r(copy, ".", &save); key;
         key = strtok_r(NULL, ".", &save))
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(key))
                                   : json_object_get(json, key);
    if (!json_is_number(json)) fail_msg("%s is not a number", path);
    return json_number_value(json);
}

static void test_info(void **state) {
    (void)state;
    hn_error err = {0};
    world w;
    hn_bundle *bundle = NULL;
    hn_report *report = NULL;
    world_make(&w, WORLD_HINET);
    assert_ok(hn_bundle_open(&bundle, w.bundle_path, &err));
    assert_ok(hn_info(&report, bundle, &err));
    json_t *json = json_loads(hn_report_json(report), 0, NULL);
    const char *text = hn_report_text(report);
    assert_non_null(json);
    int64_t parameters = 0;
    for (int32_t i = 0; i < hn_plan_params(w.plan); i++) {
        const hn_param_info *p = hn_plan_param(w.plan, i);
        parameters += (int64_t)p->batch * p->rows * p->groups * p->cols;
    }
    assert_true(number_at(json, "model.parameters") == (double)parameters);
    assert_true(number_at(json, "model.flops_per_row") == (double)hn_plan_flops(w.plan));
    assert_true(number_at(json, "model.flops_per_row") > 0);
    assert_true(number_at(json, "model.tables.0.rows") > 0);
    assert_true(number_at(json, "metrics.test.mean.auc") == 0.625);
    assert_true(number_at(json, "side_tables.0.rows") == 12);
    assert_true(fabs(number_at(json, "san.0.weights.0.1") + number_at(json, "san.0.weights.0.2") -
                     1) < 1e-6);
    assert_true(json_is_null(json_array_get(
        json_array_get(json_object_get(json_array_get(json_object_get(json, "san"), 0), "weights"),
                       1),
        1)));
    assert_true(json_is_false(json_object_get(json, "keeps_optimizer")));
    double rows = 0;
    for (int i = 0; i < WORLD_SCENARIOS; i++) {
        char path[60];
        snprintf(path, sizeof path, "scenarios.%d.training_rows", i);
        rows += number_at(json, path);
    }
    assert_true(rows == (double)hn_dataset_rows(w.dataset, HN_TRAIN));
    const char *const words[] = {"HiNet",
                                 "home",
                                 "search",
                                 "user_rate",
                                 "click",
                                 "0.6250",
                                 "what the scenario of a row takes"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strstr(text, words[i])) fail_msg("the text does not tell of %s:\n%s", words[i], text);
    json_decref(json);
    hn_report_free(report);
    hn_bundle_close(bundle);
    world_free(&w);
}

static void test_models(void **state) {
    (void)state;
    hn_error err = {0};
    hn_report *report = NULL;
    assert_ok(hn_models(&report, &err));
    json_t *json = json_loads(hn_report_json(report), 0, NULL);
    assert_int_equal(json_array_size(json_object_get(json, "models")), HN_MODELS);
    for (int kind = 0; kind < HN_MODELS; kind++)
        assert_non_null(strstr(hn_report_text(report), hn_model_name((hn_model_kind)kind)));
    json_decref(json);
    hn_report_free(report);
}

/* ---- Parts that do not fit ----------------------------------------------------------------- */

typedef enum wrong {
    CONFIG_OF_OTHER_MODEL,
    CONFIG_BROKEN,
    NO_CONFIG,
    NO_METRICS,
    METRICS_BROKEN,
    METRICS_A_LIST,
    NO_TABLES
} wrong;

/* Copies the bundle's sections into another pack, but for what is wrong. */
static void copy_with(const world *w, const char *to, wrong what, const char *config) {
    hn_error err = {0};
    hn_pack *pack = NULL;
    hn_packer *packer = NULL;
    assert_ok(hn_pack_open(&pack, w->bundle_path, "BNDL", &err));
    assert_ok(hn_packer_open(&packer, to, "BNDL", &err));
    for (size_t i = 0; i < hn_pack_sections(pack); i++) {
        const hn_section *s = hn_pack_section(pack, i);
        const bool is_config = strcmp(s->name, "config") == 0,
                   is_metrics = strcmp(s->name, "metrics") == 0;
        if ((is_config && what == NO_CONFIG) || (is_metrics && what == NO_METRICS) ||
            (strcmp(s->name, "tables") == 0 && what == NO_TABLES))
            continue;
        if (is_config && (what == CONFIG_OF_OTHER_MODEL || what == CONFIG_BROKEN))
            hn_packer_add_text(packer, s->name, config);
        else if (is_metrics && what == METRICS_BROKEN)
            hn_packer_add_text(packer, s->name, "{\"test\": ");
        else if (is_metrics && what == METRICS_A_LIST)
            hn_packer_add_text(packer, s->name, "[1]");
        else
            hn_packer_add(packer, s->name, s->type, s->dims, s->dim, s->bytes);
    }
    assert_ok(hn_packer_commit(packer, &err));
    hn_pack_close(pack);
}

static void check_refused(const world *w, wrong what, const char *config, const char *words) {
    hn_error err = {0};
    hn_bundle *bundle = NULL;
    char path[400];
    snprintf(path, sizeof path, "%s/wrong.hn", w->folder);
    copy_with(w, path, what, config);
    assert_fails(HN_BAD_DATA, words, hn_bundle_open(&bundle, path, &err));
    assert_non_null(strstr(err.text, path)); /* the sentence names the file */
    assert_null(bundle);
}

static char *replaced(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    assert_non_null(at);
    hn_text out = {0};
    hn_text_add(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out.text;
}

static void test_parts_that_do_not_fit(void **state) {
    (void)state;
    world w;
    world_make(&w, WORLD_HINET);
    check_refused(&w, CONFIG_BROKEN, "log: [", "the config in the bundle cannot be read");
    check_refused(&w, NO_CONFIG, NULL, "config");
    check_refused(&w, NO_METRICS, NULL, "metrics");
    check_refused(&w, METRICS_BROKEN, NULL, "\"metrics\" is not a JSON object");
    check_refused(&w, METRICS_A_LIST, NULL, "another value");
    check_refused(&w, NO_TABLES, NULL, "tables");
    char *config = replaced(hn_config_yaml(w.config), "name: hinet", "name: mmoe");
    check_refused(&w, CONFIG_OF_OTHER_MODEL, config, "experts.w1");
    hn_free(config);
    config = replaced(hn_config_yaml(w.config), "experts: 2", "experts: 3");
    check_refused(&w, CONFIG_OF_OTHER_MODEL, config, "has the shape");
    hn_free(config);
    world_free(&w);
}

static void test_no_file(void **state) {
    (void)state;
    hn_error err = {0};
    hn_bundle *bundle = NULL;
    assert_fails(HN_NO_INPUT, "/nowhere/model.hn",
                 hn_bundle_open(&bundle, "/nowhere/model.hn", &err));
    assert_null(bundle);
    hn_bundle_close(NULL);
}

/* ---- Faults -------------------------------------------------------------------------------- */

static hn_status open_and_close(void *user, hn_error *err) {
    const world *w = user;
    hn_bundle *bundle = NULL;
    const hn_status status = hn_bundle_open(&bundle, w->bundle_path, err);
    if (status != HN_OK) assert_null(bundle);
    hn_bundle_close(bundle);
    return status;
}

static hn_status tell(void *user, hn_error *err) {
    hn_report *report = NULL;
    const hn_status status = hn_info(&report, user, err);
    hn_report_free(report);
    return status;
}

static hn_status write_again(void *user, hn_error *err) {
    const world *w = user;
    const hn_bundle_parts parts = world_parts(w);
    return hn_bundle_write(w->bundle_path, &parts, err);
}

static void test_faults(void **state) {
    (void)state;
    hn_error err = {0};
    world w;
    size_t n, m;
    world_make(&w, WORLD_HINET);
    char *before = read_all(w.bundle_path, &n);
    assert_true(support_fail_each(HN_FAULT_ALLOC, open_and_close, &w) > 30);
    support_fail_each(HN_FAULT_READ, open_and_close, &w);
    assert_true(support_fail_each(HN_FAULT_WRITE, write_again, &w) > 0);
    assert_true(support_fail_each(HN_FAULT_ALLOC, write_again, &w) > 0);
    char *after = read_all(w.bundle_path, &m); /* whole, whatever failed */
    assert_int_equal(n, m);
    assert_memory_equal(before, after, n);
    hn_free(before);
    hn_free(after);
    hn_bundle *bundle = NULL;
    assert_ok(hn_bundle_open(&bundle, w.bundle_path, &err));
    assert_true(support_fail_each(HN_FAULT_ALLOC, tell, bundle) > 0);
    hn_bundle_close(bundle);
    world_free(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_numbers),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_parts_that_do_not_fit),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests_name("bundle/bundle", tests, NULL, NULL);
}
