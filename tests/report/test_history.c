/* The history of a training: what is taken from its lines, and lines that are none. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "near.h"
#include "report/history.h"

typedef struct fixture {
    char *dir, *path;
    int warnings;
} fixture;
static fixture f;

static int set_up(void **state) {
    (void)state;
    f.dir = support_folder();
    f.path = hn_path_join(f.dir, "history.jsonl");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    support_remove(f.dir);
    free(f.dir);
    hn_free(f.path);
    return 0;
}

static void on_line(void *user, hn_log_level level, const char *line) {
    (void)user;
    if (level == HN_LOG_WARNING && strstr(line, "no JSON")) f.warnings++;
}

static json_t *read_text(const char *text, double *seconds) {
    hn_error err = {0};
    json_t *history;
    const hn_run run = {.log = on_line};
    support_write(f.path, text, strlen(text));
    assert_ok(hn_history_read(&history, seconds, f.path, &run, &err));
    return history;
}

static void evaluations_are_taken(void **state) {
    (void)state;
    double seconds;
    json_t *const history = read_text(
        "{\"event\":\"start\",\"model\":\"hinet\"}\n"
        "{\"epoch\":1,\"step\":10,\"loss\":0.5,\"validation\":{\"auc\":0.7,\"log_loss\":0.4},"
        "\"event\":\"evaluation\",\"cells\":{\"auc\":[0.7,null],\"log_loss\":[0.4,0.3]}}\n"
        "{\"event\":\"steps\",\"loss\":0.1}\n"
        "{\"epoch\":2,\"step\":20,\"loss\":null,\"event\":\"evaluation\"}\n"
        "{\"event\":\"end\",\"seconds\":12.5}\n",
        &seconds);
    assert_int_equal(json_array_size(history), 2);
    assert_near(seconds, 12.5, 0);
    const json_t *const first = json_array_get(history, 0), *const second =
                                                                json_array_get(history, 1);
    assert_near(json_number_value(json_object_get(first, "auc")), 0.7, 1e-12);
    assert_int_equal(json_integer_value(json_object_get(first, "step")), 10);
    const json_t *const auc = json_object_get(json_object_get(first, "cells"), "auc");
    assert_int_equal(json_array_size(auc), 2);
    assert_true(json_is_null(json_array_get(auc, 1)));
    assert_true(json_is_null(json_object_get(second, "loss")));
    assert_true(json_is_null(json_object_get(second, "auc")));
    assert_null(json_object_get(second, "cells"));
    json_decref(history);
}

/* A training that was gone on with has taken what all its sessions took. */
static void sessions_add_up(void **state) {
    (void)state;
    double seconds;
    json_decref(read_text("{\"event\":\"start\"}\n"
                          "{\"event\":\"evaluation\",\"epoch\":1,\"seconds\":5}\n"
                          "{\"event\":\"resume\"}\n"
                          "{\"event\":\"evaluation\",\"epoch\":2,\"seconds\":2}\n"
                          "{\"event\":\"end\",\"seconds\":3.5}\n",
                          &seconds));
    assert_near(seconds, 8.5, 1e-12);
}

/* A killed training may leave half a line; an empty file is a training that has just begun. */
static void broken_lines_are_left_out(void **state) {
    (void)state;
    double seconds;
    f.warnings = 0;
    json_t *history =
        read_text("{\"event\":\"evaluation\",\"epoch\":1}\n\xff\xfe\n{\"event\":\"eval", &seconds);
    assert_int_equal(json_array_size(history), 1);
    assert_true(isnan(seconds));
    assert_int_equal(f.warnings, 1); /* one line about both */
    json_decref(history);
    history = read_text("", &seconds);
    assert_int_equal(json_array_size(history), 0);
    json_decref(history);
    history = read_text("[1]\n3\n\"x\"\n{}\n", &seconds); /* JSON, but no records */
    assert_int_equal(json_array_size(history), 0);
    json_decref(history);
}

static void metrics_have_the_means(void **state) {
    (void)state;
    hn_error err = {0};
    json_t *history, *const metrics =
                         json_pack("{s:[{s:i, s:i, s:f, s:{s:f}}]}", "epochs", "epoch", 1, "step",
                                   7, "loss", 0.3, "validation", "auc", 0.6);
    assert_ok(hn_history_of_metrics(&history, metrics, &err));
    assert_int_equal(json_array_size(history), 1);
    assert_near(json_number_value(json_object_get(json_array_get(history, 0), "auc")), 0.6, 1e-12);
    json_decref(history);
    json_decref(metrics);
    assert_ok(hn_history_of_metrics(&history, NULL, &err));
    assert_int_equal(json_array_size(history), 0);
    json_decref(history);
}

static void an_absent_file_is_an_error(void **state) {
    (void)state;
    hn_error err = {0};
    json_t *history;
    double seconds;
    const hn_run run = {0};
    assert_fails(HN_NO_INPUT, "nowhere.jsonl",
                 hn_history_read(&history, &seconds, "nowhere.jsonl", &run, &err));
    assert_null(history);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evaluations_are_taken),      cmocka_unit_test(sessions_add_up),
        cmocka_unit_test(broken_lines_are_left_out),  cmocka_unit_test(metrics_have_the_means),
        cmocka_unit_test(an_absent_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
