/* hn_train from a log on disk to bundles and the report: what it learns and says, the same
 * bytes with any threads and memory, its ends, and what is said when something is missing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "town.h"
#include "train/results.h"
#include "train/training.h"

/* ---- What comes out ---------------------------------------------------------------------- */

static void a_training_learns_and_reports(void **state) {
    (void)state;
    char *const dir = town_new_run();
    hn_error err = {0};
    town_watch h = {0};
    json_t *const json = town_train_ok(dir, &(town_options){.watch = &h});
    assert_true(town_number(json, "test", "mean", "auc") > 0.6);
    assert_true(town_number(json, "validation", "mean", "auc") > 0.6);
    assert_true(town_number(json, "test", "mean", "gauc") > 0.5);
    const json_t *const cells = json_object_get(json_object_get(json, "test"), "cells");
    assert_int_equal(json_array_size(cells), 6);
    assert_string_equal(json_string_value(json_object_get(json_array_get(cells, 5), "scenario")),
                        "c");
    assert_string_equal(json_string_value(json_object_get(json_array_get(cells, 5), "task")),
                        "like");
    assert_int_equal(json_array_size(json_object_get(json, "epochs")), 4);
    const json_t *const first = json_array_get(json_object_get(json, "epochs"), 0);
    assert_int_equal(json_integer_value(json_object_get(first, "epoch")), 1);
    assert_true(
        town_number(first, "loss", NULL, NULL) >
        town_number(json_array_get(json_object_get(json, "epochs"), 3), "loss", NULL, NULL));
    /* the best epoch is the one with the best metric */
    double best = 0;
    for (size_t i = 0; i < 4; i++)
        best = fmax(best, town_number(json_array_get(json_object_get(json, "epochs"), i), "metric",
                                      NULL, NULL));
    assert_true(best == town_number(json, "validation", "mean", "auc"));
    assert_true(town_has_file(dir, "last.hn") && town_has_file(dir, "history.jsonl") &&
                !town_has_file(dir, "checkpoint.hn"));
    assert_non_null(strstr(h.heard, "epoch 4 of 4"));
    /* the history is JSON lines */
    char *const path = hn_path_join(dir, "history.jsonl"), *text;
    size_t n, lines = 0;
    assert_ok(hn_file_read(&text, &n, path, &err));
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        json_t *const event = json_loads(line, 0, NULL);
        assert_true(json_is_string(json_object_get(event, "event")));
        json_decref(event);
    }
    assert_int_equal(lines, 6); /* start, 4 evaluations, end */
    hn_free(path), hn_free(text), hn_free(dir);
    free(h.heard);
    json_decref(json);
}

static void threads_and_memory_change_no_byte(void **state) {
    (void)state;
    char *const a = town_new_run(), *const b = town_new_run(), *const c = town_new_run();
    json_decref(town_train_ok(a, &(town_options){.threads = 1}));
    json_decref(town_train_ok(b, &(town_options){.threads = 4}));
    json_decref(town_train_ok(c, &(town_options){.threads = 2, .memory = 100 << 20}));
    town_same_bundles(a, b);
    town_same_bundles(a, c);
    json_decref(town_train_ok(b, &(town_options){.threads = 3})); /* again in the same folder */
    town_same_bundles(a, b);
    hn_free(a), hn_free(b), hn_free(c);
}

/* ---- Ends -------------------------------------------------------------------------------- */

static void patience_ends_a_training(void **state) {
    (void)state;
    char *const dir = town_new_run();
    town_watch h = {0};
    json_t *const json = town_train_ok(
        dir, &(town_options){.sets = {"train.epochs=60", "train.patience=2", "train.rate=0.05"},
                             .watch = &h});
    const size_t n = json_array_size(json_object_get(json, "epochs"));
    assert_true(n >= 3 && n < 60);
    assert_int_equal(town_number(json, "best_epoch", NULL, NULL), n - 2);
    assert_non_null(strstr(h.heard, "no better for 2 evaluations"));
    free(h.heard);
    json_decref(json);
    hn_free(dir);
}

static void without_validation_the_last_is_the_best(void **state) {
    (void)state;
    char *const dir = town_new_run();
    town_watch h = {0};
    json_t *const json = town_train_ok(
        dir, &(town_options){.sets = {"split={by: hash, column: row, validation: 0, test: 0.3}",
                                      "train.patience=1"},
                             .watch = &h});
    assert_non_null(strstr(h.heard, "cannot give train.metric"));
    assert_int_equal(json_array_size(json_object_get(json, "epochs")), 4);
    assert_true(json_is_null(json_object_get(json, "validation")));
    assert_int_equal(town_number(json, "best_epoch", NULL, NULL), 4);
    assert_true(town_number(json, "test", "mean", "auc") > 0.55);
    free(h.heard);
    json_decref(json);
    hn_free(dir);
}

static void the_metric_may_be_a_cells(void **state) {
    (void)state;
    char *const dir = town_new_run();
    json_t *const json = town_train_ok(dir, &(town_options){.sets = {"train.metric=b/click"}});
    const json_t *const cell =
        json_array_get(json_object_get(json_object_get(json, "validation"), "cells"), 2);
    double best = 0;
    for (size_t i = 0; i < 4; i++)
        best = fmax(best, town_number(json_array_get(json_object_get(json, "epochs"), i), "metric",
                                      NULL, NULL));
    assert_true(best == town_number(cell, "auc", NULL, NULL));
    json_decref(json);
    hn_free(dir);
}

static void a_diverging_training_stops_and_says_where(void **state) {
    (void)state;
    char *const dir = town_new_run();
    hn_error err = {0};
    hn_report *report;
    assert_fails(HN_NOT_FINITE, "first bad tensor",
                 town_train(&report, dir,
                            &(town_options){.sets = {"train.optimizer=sgd", "train.rate=100",
                                                     "train.weight_decay=100"}},
                            &err));
    assert_non_null(strstr(err.text, "step "));
    assert_null(report);
    hn_free(dir);
}

static void memory_is_refused_naming_the_need(void **state) {
    (void)state;
    char *const dir = town_new_run();
    hn_error err = {0};
    hn_report *report;
    assert_fails(HN_NO_MEMORY, "MiB",
                 town_train(&report, dir,
                            &(town_options){.memory = 3 << 20, .sets = {"train.batch=131072"}},
                            &err));
    hn_free(dir);
}

static void schedules(void **state) {
    (void)state;
    hn_config_train t = {.warmup = 4};
    assert_true(hn_schedule_scale(&t, 0, 20) == 0.25 && hn_schedule_scale(&t, 3, 20) == 1 &&
                hn_schedule_scale(&t, 19, 20) == 1);
    t.decay = HN_DECAY_LINEAR;
    assert_true(hn_schedule_scale(&t, 1, 20) == 0.5 && hn_schedule_scale(&t, 4, 20) == 1);
    assert_true(fabs(hn_schedule_scale(&t, 12, 20) - 0.5) < 1e-15 &&
                hn_schedule_scale(&t, 20, 20) == 0);
    t.decay = HN_DECAY_COSINE;
    assert_true(hn_schedule_scale(&t, 4, 20) == 1 &&
                fabs(hn_schedule_scale(&t, 12, 20) - 0.5) < 1e-15);
    assert_true(fabs(hn_schedule_scale(&t, 8, 20) - 0.5 * (1 + cos(M_PI / 4))) < 1e-15);
    t.warmup = 30; /* longer than the training */
    assert_true(hn_schedule_scale(&t, 19, 20) == 20.0 / 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_training_learns_and_reports),
        cmocka_unit_test(threads_and_memory_change_no_byte),
        cmocka_unit_test(patience_ends_a_training),
        cmocka_unit_test(without_validation_the_last_is_the_best),
        cmocka_unit_test(the_metric_may_be_a_cells),
        cmocka_unit_test(a_diverging_training_stops_and_says_where),
        cmocka_unit_test(memory_is_refused_naming_the_need),
        cmocka_unit_test(schedules),
    };
    return cmocka_run_group_tests(tests, town_set_up, town_tear_down);
}
