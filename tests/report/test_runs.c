/* Reports of small trainings, whole: folders and bundles, data of every kind, two runs compared,
 * and what cannot be reported on. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../train/town.h"
#include "base/file.h"
#include "near.h"
#include "report/document.h"
#include "report/page.h"
#include "report/subject.h"

static char *first, *second; /* two trainings: HiNet, and another model with another feature */

static int set_up(void **state) {
    town_set_up(state);
    first = town_new_run();
    json_decref(town_train_ok(first, &(town_options){.sets = {"train.epochs=2"}}));
    second = town_new_run();
    json_decref(town_train_ok(second, &(town_options){.sets = {"train.epochs=1", "model.name=mmoe",
                                                               "train.calibration=none"}}));
    return 0;
}

static int tear_down(void **state) {
    hn_free(first);
    hn_free(second);
    return town_tear_down(state);
}

typedef struct heard {
    int warnings;
    char last[1200];
} heard;

static void on_line(void *user, hn_log_level level, const char *line) {
    heard *const h = user;
    if (level != HN_LOG_WARNING) return;
    h->warnings++;
    snprintf(h->last, sizeof h->last, "%s", line);
}

static hn_status append(void *user, const void *bytes, size_t n, hn_error *err) {
    (void)err;
    hn_text_bytes(user, bytes, n);
    return HN_OK;
}

typedef struct request {
    const char *runs[3];
    hn_runs_options options;
    int32_t threads;
} request;

static hn_status report(hn_report **out, hn_text *page, const request *r, heard *h, hn_error *err) {
    size_t n = 0;
    while (n < 3 && r->runs[n]) n++;
    hn_run run = hn_run_default();
    run.threads = r->threads ? r->threads : 1;
    run.out_dir = town_dir();
    run.log = h ? on_line : NULL;
    run.user = h;
    return hn_runs_report(out, r->runs, n, &r->options, append, page, &run, err);
}

/* The data of a report that succeeds; its page is looked at and freed. */
static json_t *report_ok(const request *r, heard *h) {
    hn_error err = {0};
    hn_report *made;
    hn_text page = {0};
    assert_ok(report(&made, &page, r, h, &err));
    json_t *const json = json_loads(hn_report_json(made), 0, NULL);
    assert_non_null(json);
    assert_non_null(strstr(page.text, "<!DOCTYPE html>"));
    assert_null(strstr(page.text, town_dir())); /* no path */
    hn_report_free(made);
    hn_text_free(&page);
    return json;
}

static const json_t *run_of(const json_t *document, size_t i) {
    return json_array_get(json_object_get(document, "runs"), i);
}

static double mean_auc(const json_t *run) {
    return town_number(json_object_get(run, "measured"), "mean", "auc", NULL);
}

/* ---- One run ----------------------------------------------------------------------------- */

static void figures_are_those_of_training(void **state) {
    (void)state;
    hn_error err = {0};
    hn_bundle *bundle;
    char *const best = hn_path_join(first, "best.hn");
    json_t *const document = report_ok(&(request){.runs = {first}, .options = {.seed = 1}}, NULL);
    const json_t *const run = run_of(document, 0), *const cells = json_object_get(
                                                       json_object_get(run, "measured"), "cells");
    assert_ok(hn_bundle_open(&bundle, best, &err));
    const json_t *const test = json_object_get(bundle->metrics, "test"), *const stored =
                                                                             json_object_get(
                                                                                 test, "cells");
    assert_int_equal(json_array_size(cells), 6);
    for (size_t c = 0; c < 6; c++) {
        static const char *const keys[] = {"auc",         "gauc", "log_loss",
                                           "calibration", "rows", "positives"};
        const json_t *const a = json_array_get(cells, c), *const b = json_array_get(stored, c);
        for (size_t k = 0; k < 6; k++)
            assert_near(json_number_value(json_object_get(a, keys[k])),
                        json_number_value(json_object_get(b, keys[k])), 1e-12);
        const json_t *const interval = json_object_get(a, "interval");
        const double auc = json_number_value(json_object_get(a, "auc")),
                     low = json_number_value(json_array_get(interval, 0)),
                     high = json_number_value(json_array_get(interval, 1));
        assert_true(low < auc && auc < high && high - low < 0.5);
    }
    assert_near(mean_auc(run), town_number(test, "mean", "auc", NULL), 1e-12);
    assert_string_equal(hn_string_at(run, "rows_of"), "test");
    const json_t *const history = hn_array_at(run, "history");
    assert_int_equal(json_array_size(history), 2);
    assert_int_equal(json_array_size(json_object_get(
                         json_object_get(json_array_get(history, 0), "cells"), "auc")),
                     6);
    hn_bundle_close(bundle);
    json_decref(document);
    hn_free(best);
}

/* Rows of weights sum to 1; each input's feature has its cost. */
static void san_gates_and_features_are_there(void **state) {
    (void)state;
    json_t *const document = report_ok(&(request){.runs = {first}, .options = {.seed = 1}}, NULL);
    const json_t *const run = run_of(document, 0),
                        *const san = json_array_get(hn_array_at(run, "san"), 0), *row, *gate,
                        *feature;
    size_t i, j, k;
    assert_int_equal(hn_count(hn_array_at(san, "weights")), 3);
    json_array_foreach(hn_array_at(san, "weights"), i, row) {
        double sum = 0;
        for (j = 0; j < 3; j++)
            if (j != i) sum += json_number_value(json_array_get(row, j));
        assert_true(json_is_null(json_array_get(row, i)));
        assert_near(sum, 1, 1e-6);
    }
    const json_t *const gates = hn_array_at(run, "gates");
    assert_int_equal(json_array_size(gates), 2);
    json_array_foreach(gates, k, gate) {
        assert_int_equal(hn_count(hn_array_at(gate, "rows")), 6);
        json_array_foreach(hn_array_at(gate, "rows"), i, row) {
            double sum = 0;
            for (j = 0; j < json_array_size(hn_array_at(row, "weights")); j++)
                sum += json_number_value(json_array_get(hn_array_at(row, "weights"), j));
            assert_near(sum, 1, 1e-5);
        }
    }
    const json_t *const features = hn_array_at(json_object_get(run, "permutation"), "features");
    assert_int_equal(hn_count(features), 4);
    double before = INFINITY;
    json_array_foreach(features, i, feature) {
        assert_true(hn_number_at(feature, "drop") <= before);
        assert_true(hn_number_at(feature, "deviation") >= 0);
        before = hn_number_at(feature, "drop");
    }
    /* what the log was made of: tastes of users and items */
    const char *const best = hn_string_at(json_array_get(features, 0), "name");
    assert_true(strcmp(best, "user_id") == 0 || strcmp(best, "item_id") == 0 ||
                strcmp(best, "tags") == 0);
    json_decref(document);
}

static void threads_change_no_byte(void **state) {
    (void)state;
    hn_error err = {0};
    hn_text pages[2] = {{0}, {0}};
    for (int i = 0; i < 2; i++) {
        const request r = {
            .runs = {first, second}, .options = {.rows = 200, .seed = 3}, .threads = i ? 3 : 1};
        hn_report *made;
        assert_ok(report(&made, &pages[i], &r, NULL, &err));
        hn_report_free(made);
    }
    assert_string_equal(pages[0].text, pages[1].text);
    hn_text_free(&pages[0]);
    hn_text_free(&pages[1]);
}

/* ---- Where rows come from ---------------------------------------------------------------- */

static void assert_command(const json_t *run, size_t i, const char *expected) {
    assert_string_equal(json_string_value(json_array_get(json_object_get(run, "commands"), i)),
                        expected);
}

static void runs_beside_it_are_compared(const char *alone) {
    json_t *const document =
        report_ok(&(request){.runs = {alone, first, second}, .options = {.seed = 1}}, NULL);
    const json_t *const comparison = json_object_get(document, "comparison");
    const json_t *const runs = hn_array_at(comparison, "runs");
    assert_string_equal(hn_string_at(comparison, "base"),
                        hn_string_at(run_of(document, 1), "label"));
    assert_int_equal(hn_count(runs), 1);
    assert_string_equal(hn_string_at(json_array_get(runs, 0), "label"),
                        hn_string_at(run_of(document, 2), "label"));
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(comparison, "without_rows"), 0)), "alone");
    json_decref(document);
}

/* How to make it again: with the rows that were given, and the bundle that was. */
static void commands_are_those_that_were_given(void **state) {
    (void)state;
    char *const last = hn_path_join(first, "last.hn"), *const log =
                                                           hn_path_join(town_dir(), "log.csv");
    const char *const label = strrchr(first, '/') + 1;
    char expected[300];
    json_t *const document = report_ok(
        &(request){.runs = {last}, .options = {.data = log, .seed = 3, .rows = 50}}, NULL);
    snprintf(expected, sizeof expected, "hinet eval runs/%s/last.hn log.csv", label);
    assert_command(run_of(document, 0), 1, expected);
    snprintf(expected, sizeof expected,
             "hinet report runs/%s/last.hn --data log.csv --rows 50 --seed 3 -o report.html",
             label);
    assert_command(run_of(document, 0), 2, expected);
    json_decref(document);
    hn_free(last);
    hn_free(log);
}

static void a_bundle_alone_has_what_was_stored(void **state) {
    (void)state;
    heard h = {0};
    size_t n;
    char *bytes, *const best = hn_path_join(first, "best.hn"),
                        *const alone = hn_path_join(town_dir(), "alone.hn");
    hn_error err = {0};
    assert_ok(hn_file_read(&bytes, &n, best, &err));
    support_write(alone, bytes, n);
    json_t *const document = report_ok(&(request){.runs = {alone}, .options = {.seed = 1}}, &h);
    const json_t *const run = run_of(document, 0);
    assert_int_equal(h.warnings, 1);
    assert_non_null(strstr(h.last, "--data"));
    assert_string_equal(hn_string_at(run, "label"), "alone");
    assert_string_equal(hn_string_at(run, "stored"), "test");
    assert_true(json_is_null(json_object_get(run, "rows_of")));
    assert_true(mean_auc(run) > 0.5);
    assert_int_equal(hn_count(hn_array_at(run, "san")), 1); /* a function of parameters alone */
    assert_int_equal(hn_count(hn_array_at(run, "gates")), 0);
    assert_true(json_is_null(json_object_get(run, "permutation")));
    assert_int_equal(hn_count(hn_array_at(run, "history")), 2); /* from the metrics */
    assert_command(run, 1, "hinet eval alone.hn config.yaml");
    assert_command(run, 2, "hinet report alone.hn --rows 20000 --seed 1 -o report.html");
    json_decref(document);
    runs_beside_it_are_compared(alone);
    hn_free(bytes);
    hn_free(best);
    hn_free(alone);
}

static char *write_config(void) {
    hn_config *const config = town_config(NULL, 0);
    char *const path = hn_path_join(town_dir(), "town.yaml");
    support_write(path, hn_config_yaml(config), strlen(hn_config_yaml(config)));
    hn_config_free(config);
    return path;
}

/* Four doors to the same rows; the files' door has all rows of the log. */
static void the_same_rows_through_every_door(void **state) {
    (void)state;
    char *const config = write_config(), *const log = hn_path_join(town_dir(), "log.csv"),
                *const dataset = hn_path_join(second, "dataset.hnd");
    const char *const doors[] = {NULL, config, dataset, log};
    static const char *const words[] = {"test", "config", "test", "files"};
    json_t *documents[4];
    for (int i = 0; i < 4; i++) {
        documents[i] =
            report_ok(&(request){.runs = {first}, .options = {.data = doors[i], .seed = 1}}, NULL);
        assert_string_equal(hn_string_at(run_of(documents[i], 0), "rows_of"), words[i]);
    }
    for (int i = 1; i < 3; i++) {
        static const char *const keys[] = {"measured", "gates", "permutation"};
        for (int k = 0; k < 3; k++)
            assert_true(json_equal(json_object_get(run_of(documents[0], 0), keys[k]),
                                   json_object_get(run_of(documents[i], 0), keys[k])));
    }
    assert_near(town_number(run_of(documents[3], 0), "measured", "rows", NULL), TOWN_ROWS, 0);
    for (int i = 0; i < 4; i++) json_decref(documents[i]);
    hn_free(config);
    hn_free(log);
    hn_free(dataset);
}

/* A dataset with another vocabulary beside the bundle is not the bundle's. */
static void another_dataset_is_not_used(void **state) {
    (void)state;
    hn_error err = {0};
    heard h = {0};
    hn_report *made;
    hn_text page = {0};
    char *const other = town_new_run();
    json_decref(town_train_ok(
        other, &(town_options){.sets = {"train.epochs=1", "features.user_id.min_count=30"}}));
    char *const dataset = hn_path_join(other, "dataset.hnd"),
                *const own = hn_path_join(first, "dataset.hnd"),
                *const kept = hn_path_join(first, "kept.hnd");
    const request given = {.runs = {first}, .options = {.data = dataset, .seed = 1}};
    assert_fails(HN_BAD_DATA, "was prepared with other features",
                 report(&made, &page, &given, NULL, &err));
    assert_null(made);
    assert_int_equal(rename(own, kept), 0);
    assert_int_equal(symlink(dataset, own), 0);
    json_t *const document = report_ok(&(request){.runs = {first}, .options = {.seed = 1}}, &h);
    assert_int_equal(h.warnings, 1);
    assert_non_null(strstr(h.last, "left out"));
    assert_true(json_is_null(json_object_get(run_of(document, 0), "rows_of")));
    assert_int_equal(unlink(own), 0);
    assert_int_equal(rename(kept, own), 0);
    json_decref(document);
    hn_free(dataset);
    hn_free(own);
    hn_free(kept);
    hn_free(other);
    hn_text_free(&page);
}

/* ---- Several runs ------------------------------------------------------------------------ */

static void runs_are_compared_on_the_same_rows(void **state) {
    (void)state;
    json_t *const document =
        report_ok(&(request){.runs = {first, second, first}, .options = {.seed = 1}}, NULL);
    const json_t *const compared = hn_array_at(json_object_get(document, "comparison"), "runs"),
                        *const other = json_array_get(compared, 0),
                        *const same = json_array_get(compared, 1);
    assert_int_equal(hn_count(compared), 2);
    assert_true(json_is_true(json_object_get(other, "comparable")));
    assert_near(town_number(other, "mean", "difference", NULL),
                mean_auc(run_of(document, 1)) - mean_auc(run_of(document, 0)), 1e-12);
    double low, high;
    hn_interval_at(&low, &high, json_object_get(other, "mean"), "interval");
    assert_true(low < high);
    /* a run less itself: nothing, in every replicate */
    hn_interval_at(&low, &high, json_object_get(same, "mean"), "interval");
    assert_near(low, 0, 0);
    assert_near(high, 0, 0);
    /* its name is taken */
    char expected[300];
    snprintf(expected, sizeof expected, "%s (2)", hn_string_at(run_of(document, 0), "label"));
    assert_string_equal(hn_string_at(run_of(document, 2), "label"), expected);
    json_decref(document);
}

static void other_rows_are_not_compared(void **state) {
    (void)state;
    char *const other = town_new_run();
    json_decref(
        town_train_ok(other, &(town_options){.sets = {"train.epochs=1", "split.test=0.3"}}));
    json_t *const document =
        report_ok(&(request){.runs = {first, other}, .options = {.seed = 1}}, NULL);
    const json_t *const run =
        json_array_get(hn_array_at(json_object_get(document, "comparison"), "runs"), 0);
    assert_true(json_is_false(json_object_get(run, "comparable")));
    assert_int_equal(hn_count(hn_array_at(run, "cells")), 0);
    json_decref(document);
    hn_free(other);
}

/* ---- What cannot be ---------------------------------------------------------------------- */

static void what_cannot_be_is_told(void **state) {
    (void)state;
    hn_error err = {0};
    hn_report *made;
    hn_text page = {0};
    char *const log = hn_path_join(town_dir(), "log.csv");
    const request empty = {.runs = {town_dir()}, .options = {.seed = 1}},
                  nowhere = {.runs = {"/nowhere/best.hn"}, .options = {.seed = 1}},
                  none = {.options = {.seed = 1}}, csv = {.runs = {log}, .options = {.seed = 1}},
                  config = {.runs = {first}, .options = {.data = "/nowhere.yaml", .seed = 1}},
                  files = {.runs = {first}, .options = {.data = "/nowhere/*.csv", .seed = 1}},
                  rows = {.runs = {first}, .options = {.rows = INT64_MAX, .seed = 1}},
                  seed = {.runs = {first}, .options = {.seed = (uint64_t)INT64_MAX + 1}};
    assert_fails(HN_USAGE, "at most 9223372036854775807", report(&made, &page, &seed, NULL, &err));
    assert_fails(HN_NO_INPUT, "has no best.hn", report(&made, &page, &empty, NULL, &err));
    assert_fails(HN_NO_INPUT, "is not there", report(&made, &page, &nowhere, NULL, &err));
    assert_fails(HN_USAGE, "no run is given", report(&made, &page, &none, NULL, &err));
    assert_fails(HN_BAD_DATA, "log.csv", report(&made, &page, &csv, NULL, &err));
    assert_fails(HN_NO_INPUT, "/nowhere.yaml", report(&made, &page, &config, NULL, &err));
    assert_fails(HN_NO_INPUT, "/nowhere/*.csv", report(&made, &page, &files, NULL, &err));
    assert_fails(HN_USAGE, "expected 1 to", report(&made, &page, &rows, NULL, &err));
    assert_null(made);
    assert_int_equal(page.length, 0);
    hn_free(log);
}

static void a_stop_ends_it(void **state) {
    (void)state;
    hn_error err = {0};
    hn_report *made;
    const volatile int stop = 1;
    hn_run run = hn_run_default();
    run.out_dir = town_dir();
    run.stop = &stop;
    run.threads = 1;
    const char *const runs[] = {first};
    assert_fails(HN_INTERRUPTED, "stopped by request",
                 hn_runs_report(&made, runs, 1, NULL, NULL, NULL, &run, &err));
    assert_null(made);
}

static void names_of_runs(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"runs/a", "a"},       {"runs/a/", "a"},     {"a//", "a"},        {"runs/a/best.hn", "a"},
        {"/x/y/last.hn", "y"}, {"models/7.hn", "7"}, {"best.hn", "best"}, {"./best.hn", "."},
        {"/", "run"},          {".hn", ".hn"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *const name = hn_subject_name(cases[i][0]);
        assert_string_equal(name, cases[i][1]);
        hn_free(name);
    }
}

static hn_status make_report(void *user, hn_error *err) {
    const request *const r = user;
    hn_report *made;
    hn_text page = {0};
    const hn_status status = report(&made, &page, r, NULL, err);
    assert_true((made != NULL) == (status == HN_OK));
    hn_report_free(made);
    hn_text_free(&page);
    return status;
}

/* Reads, and of the many allocations one in so many, so that the test stays short. */
static void every_failed_read_is_reported(void **state) {
    (void)state;
    request r = {.runs = {first}, .options = {.rows = 40, .seed = 1}};
    assert_true(support_fail_each(HN_FAULT_READ, make_report, &r) >= 1);
}

static void failed_allocations_leave_nothing(void **state) {
    (void)state;
    request r = {.runs = {first}, .options = {.rows = 20, .seed = 1}};
    hn_error err = {0};
    hn_fault_arm(HN_FAULT_ALLOC, INT64_MAX);
    assert_ok(make_report(&r, &err));
    const int64_t all = hn_fault_count(HN_FAULT_ALLOC), step = all / 60 + 1;
    hn_fault_arm(HN_FAULT_ALLOC, 0);
    for (int64_t nth = 1; nth <= all; nth += step) {
        const int64_t held = hn_memory_held();
        err = (hn_error){0};
        hn_fault_arm(HN_FAULT_ALLOC, nth);
        const hn_status status = make_report(&r, &err);
        hn_fault_arm(HN_FAULT_ALLOC, 0);
        assert_int_equal(hn_memory_held(), held);
        if (status != HN_OK) assert_true(err.text[0] != '\0');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_those_of_training),
        cmocka_unit_test(san_gates_and_features_are_there),
        cmocka_unit_test(threads_change_no_byte),
        cmocka_unit_test(a_bundle_alone_has_what_was_stored),
        cmocka_unit_test(commands_are_those_that_were_given),
        cmocka_unit_test(the_same_rows_through_every_door),
        cmocka_unit_test(another_dataset_is_not_used),
        cmocka_unit_test(runs_are_compared_on_the_same_rows),
        cmocka_unit_test(other_rows_are_not_compared),
        cmocka_unit_test(what_cannot_be_is_told),
        cmocka_unit_test(a_stop_ends_it),
        cmocka_unit_test(names_of_runs),
        cmocka_unit_test(every_failed_read_is_reported),
        cmocka_unit_test(failed_allocations_leave_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
