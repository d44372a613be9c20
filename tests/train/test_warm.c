/* Bundles after training: hn_evaluate says what training said, warm starts carry over what
 * fits, and dead cells are named. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "bundle/bundle.h"
#include "town.h"
#include "train/results.h"
#include "train/training.h"

/* ---- Bundles ----------------------------------------------------------------------------- */

static hn_bundle *open_bundle(const char *dir, const char *name) {
    hn_error err = {0};
    hn_bundle *bundle;
    char *const path = hn_path_join(dir, name);
    assert_ok(hn_bundle_open(&bundle, path, &err));
    hn_free(path);
    return bundle;
}

static void assert_same_cells(const json_t *a, const json_t *b) {
    if (!json_equal(json_object_get(a, "test"), json_object_get(b, "test"))) {
        char *const x = json_dumps(json_object_get(a, "test"), 0), *const y = json_dumps(
                                                                       json_object_get(b, "test"),
                                                                       0);
        fail_msg("%s\n%s", x, y);
    }
}

static json_t *evaluate(const hn_bundle *bundle, const hn_config *config, const char *const *files,
                        size_t n, int32_t threads) {
    hn_error err = {0};
    hn_report *report;
    hn_run run = hn_run_default();
    run.out_dir = town_dir();
    run.threads = threads;
    assert_ok(hn_evaluate(&report, bundle, config, files, n, &run, &err));
    json_t *const json = json_loads(hn_report_json(report), 0, NULL);
    hn_report_free(report);
    return json;
}

static void a_bundle_evaluates_as_training_said(void **state) {
    (void)state;
    char *const dir = town_new_run();
    hn_error err = {0};
    json_t *const trained = town_train_ok(dir, &(town_options){.threads = 2});
    hn_bundle *const bundle = open_bundle(dir, "best.hn");
    hn_config *const config = town_config(NULL, 0);
    json_t *const again = evaluate(bundle, config, NULL, 0, 1), *const stored = evaluate(
                                                                    bundle, NULL, NULL, 0, 1);
    assert_same_cells(trained, again);
    assert_same_cells(trained, stored);
    town_write_log("more.csv", TOWN_ROWS, 700, TOWN_USERS + 20);
    char *const path = hn_path_join(town_dir(), "more.csv");
    const char *const files[] = {path};
    json_t *const one = evaluate(bundle, NULL, files, 1, 1), *const four = evaluate(bundle, NULL,
                                                                                    files, 1, 4);
    assert_same_cells(one, four);
    double rows = 0;
    size_t i;
    const json_t *cell;
    json_array_foreach(json_object_get(json_object_get(one, "test"), "cells"), i,
                       cell) if (i % 2 == 0) rows += town_number(cell, "rows", NULL, NULL);
    assert_int_equal(rows, 700);
    /* other names are refused */
    const char *const sets[] = {"tasks={click: click, buy: like}"};
    hn_config *const other = town_config(sets, 1);
    hn_report *report;
    assert_fails(HN_BAD_CONFIG, "\"buy\"",
                 hn_evaluate(&report, bundle, other, NULL, 0, NULL, &err));
    assert_null(report);
    hn_config_free(other), hn_config_free(config);
    hn_bundle_close(bundle);
    json_decref(trained), json_decref(again), json_decref(stored), json_decref(one),
        json_decref(four);
    hn_free(path), hn_free(dir);
}

static void a_warm_start_keeps_what_fits(void **state) {
    (void)state;
    char *const first = town_new_run(), *const second = town_new_run(),
                *const third = town_new_run();
    json_decref(town_train_ok(first, &(town_options){0}));
    char *const init = hn_path_join(first, "best.hn");
    /* a day later: new users, another tower */
    town_write_log("next.csv", TOWN_ROWS, 1500, TOWN_USERS + 25);
    town_watch h = {0};
    json_t *const json = town_train_ok(
        second,
        &(town_options){.sets = {"log.files=next.csv", "train.epochs=1", "model.tower_units=[5]"},
                        .init = init,
                        .watch = &h});
    assert_non_null(strstr(h.heard, "warm start from"));
    assert_non_null(strstr(h.heard, "with the optimizer's state"));
    assert_non_null(strstr(h.heard, "table user_id keeps 62 rows and gains 25"));
    assert_non_null(strstr(h.heard, "tower.w1"));
    assert_true(town_number(json, "test", "mean", "auc") > 0.6); /* after one epoch of few rows */
    json_decref(json);
    free(h.heard);
    /* another optimizer: parameters without the state */
    h = (town_watch){0};
    json_decref(
        town_train_ok(third, &(town_options){.sets = {"train.optimizer=adagrad", "train.epochs=1"},
                                             .init = init,
                                             .watch = &h}));
    assert_non_null(
        strstr(h.heard, "0 new, 0 of another shape, without the state of another optimizer"));
    free(h.heard);
    /* other scenarios: refused */
    hn_error err = {0};
    hn_report *report;
    assert_fails(HN_BAD_CONFIG, "scenarios",
                 town_train(&report, third,
                            &(town_options){.sets = {"scenario.values=[b, a, c]"}, .init = init},
                            &err));
    assert_fails(HN_NO_INPUT, "none.hn",
                 town_train(&report, third, &(town_options){.init = "none.hn"}, &err));
    hn_free(init), hn_free(first), hn_free(second), hn_free(third);
}

/* A training of 0 rate after a warm start is the bundle's: everything was carried over. */
static void a_warm_start_carries_every_number(void **state) {
    (void)state;
    char *const first = town_new_run(), *const second = town_new_run();
    const char *const none = "train.optimizer=sgd";
    json_decref(town_train_ok(first, &(town_options){.sets = {none, "train.rate=0.1"}}));
    char *const init = hn_path_join(first, "last.hn");
    json_decref(town_train_ok(
        second, &(town_options){.sets = {none, "train.rate=1e-30", "train.embedding_rate=1e-30",
                                         "train.epochs=1"},
                                .init = init}));
    hn_bundle *const a = open_bundle(first, "last.hn"), *const b = open_bundle(second, "last.hn");
    assert_memory_equal(a->params.block, b->params.block, a->params.leaf_count * sizeof(hn_real));
    for (int32_t t = 0; t < a->params.n_tables; t++)
        assert_memory_equal(a->params.tables[t].numbers, b->params.tables[t].numbers,
                            (size_t)a->params.tables[t].rows * (size_t)a->params.tables[t].width *
                                sizeof(hn_real));
    hn_bundle_close(a), hn_bundle_close(b);
    hn_free(init), hn_free(first), hn_free(second);
}

/* Cells whose experts died are named. */
static void dead_cells_are_named(void **state) {
    (void)state;
    town_watch h = {0};
    hn_run run = hn_run_default();
    run.log = town_on_line;
    run.user = &h;
    hn_config *const config = town_config(NULL, 0);
    hn_cell_metrics cells[6] = {[1].constant = true, [4].constant = true};
    assert_int_equal(hn_results_warn(cells, config, "test", &run), 2);
    assert_non_null(strstr(h.heard, "a/like gives every row of the test rows the same prediction"));
    assert_non_null(strstr(h.heard, "c/click gives"));
    assert_null(strstr(h.heard, "b/"));
    hn_config_free(config);
    free(h.heard);
}

static void without_rows_there_is_no_training(void **state) {
    (void)state;
    char *const dir = town_new_run();
    hn_error err = {0};
    hn_report *report;
    assert_fails(HN_BAD_DATA, "rows",
                 town_train(&report, dir,
                            &(town_options){.sets = {"log.filter=[\"user_id == nobody\"]"}}, &err));
    hn_free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_evaluates_as_training_said),
        cmocka_unit_test(a_warm_start_keeps_what_fits),
        cmocka_unit_test(a_warm_start_carries_every_number),
        cmocka_unit_test(dead_cells_are_named),
        cmocka_unit_test(without_rows_there_is_no_training),
    };
    return cmocka_run_group_tests(tests, town_set_up, town_tear_down);
}
