/* hn_simulate end to end: the files it writes are read back with a reader of the test's
 * own, the figures of truth.json are counted again, and every way of failing is tried. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "simulate/simulate.h"
#include "support.h"

static char *folder;

static int set_up(void **state) {
    (void)state;
    folder = support_folder();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    support_remove(folder);
    free(folder);
    return 0;
}

/* folder/dir or folder/dir/name, in one of a few buffers. */
static const char *path_of(const char *dir, const char *name) {
    static char paths[8][4096];
    static int next;
    char *const path = paths[next++ % 8];
    snprintf(path, sizeof *paths, name ? "%s/%s/%s" : "%s/%s", folder, dir, name);
    return path;
}

static char *read_text(const char *path, size_t *n) {
    FILE *const file = fopen(path, "rb");
    if (!file) print_error("%s is not there\n", path);
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *n = (size_t)ftell(file);
    rewind(file);
    char *const text = malloc(*n + 1);
    assert_int_equal(fread(text, 1, *n, file), *n);
    text[*n] = '\0';
    fclose(file);
    return text;
}

static json_t *simulate(const char *dir, int64_t rows, uint64_t seed, int32_t threads) {
    hn_error err = {0};
    hn_report *report = NULL;
    hn_run run = hn_run_default();
    run.out_dir = path_of(dir, NULL);
    run.threads = threads;
    const hn_simulate_options options = {rows, seed};
    assert_ok(hn_simulate(&report, &options, &run, &err));
    assert_non_null(strstr(hn_report_text(report), "Bayes"));
    json_t *const json = json_loads(hn_report_json(report), 0, NULL);
    assert_non_null(json);
    json_t *const stored = json_load_file(path_of(dir, "truth.json"), 0, NULL);
    assert_true(json_equal(json, stored));
    json_decref(stored);
    hn_report_free(report);
    return json;
}

static void assert_same_file(const char *a, const char *b, const char *name, bool same) {
    size_t n, m;
    char *const x = read_text(path_of(a, name), &n), *const y = read_text(path_of(b, name), &m);
    assert_int_equal(n == m && memcmp(x, y, n) == 0, same);
    free(x);
    free(y);
}

static const char *const files[] = {"log.csv", "users.csv", "items.csv", "config.yaml",
                                    "truth.json"};

static void threads_change_no_byte_and_seeds_do(void **state) {
    (void)state;
    json_decref(simulate("one", 90000, 3, 1));
    json_decref(simulate("four", 90000, 3, 4));
    json_decref(simulate("other", 90000, 4, 2));
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        assert_same_file("one", "four", files[f], true);
        assert_same_file("one", "other", files[f], strcmp(files[f], "config.yaml") == 0);
    }
}

/* One line of the log, as a reader of CSV that knows nothing of the writer sees it. */
typedef struct line {
    long long request, time, date, hour, user, position, item;
    char scenario[16], recent[64];
    int click, order;
} line;

static bool next_line(line *out, const char **at) {
    int used = 0;
    const int fields =
        sscanf(*at, "%lld,%lld,%lld,%lld,%lld,%15[a-z],%63[0-9|],%lld,%lld,%d,%d\n%n",
               &out->request, &out->time, &out->date, &out->hour, &out->user, out->scenario,
               out->recent, &out->position, &out->item, &out->click, &out->order, &used);
    if (fields != 11) return false;
    *at += used;
    return true;
}

static int scenario_number(const char *name) {
    for (int i = 0; i < HN_SIM_SCENARIOS; i++)
        if (strcmp(hn_sim_scenarios[i].name, name) == 0) return i;
    fail_msg("scenario %s", name);
    return -1;
}

enum { SCORED_MAX = 20000 };
typedef struct scored {
    double p[SCORED_MAX];
    int y[SCORED_MAX];
    int n;
} scored;

static double pairwise_auc(const scored *s) {
    double won = 0, pairs = 0;
    for (int i = 0; i < s->n; i++)
        for (int j = 0; s->y[i] && j < s->n; j++) {
            if (s->y[j]) continue;
            pairs++;
            won += s->p[i] > s->p[j] ? 1 : s->p[i] == s->p[j] ? 0.5 : 0;
        }
    return pairs > 0 ? won / pairs : NAN;
}

/* What the log shows is enough to ask the truth again: its own probabilities give the
 * AUC that truth.json says. */
static void the_bayes_auc_is_that_of_the_truth_on_the_rows_written(void **state) {
    (void)state;
    enum { ROWS = 60000 };
    static scored cells[HN_SIM_CELLS];
    hn_error err = {0};
    hn_truth *truth = NULL;
    size_t n;
    memset(cells, 0, sizeof cells);
    json_t *const json = simulate("bayes", ROWS, 21, 2);
    assert_ok(hn_truth_create(&truth, 21, json_integer_value(json_object_get(json, "users")),
                              json_integer_value(json_object_get(json, "items")), &err));
    char *const text = read_text(path_of("bayes", "log.csv"), &n);
    const char *at = strchr(text, '\n') + 1;
    int64_t rows = 0;
    for (line row; next_line(&row, &at); rows++) {
        hn_sim_user user;
        double p[HN_SIM_TASKS];
        if (row.date < 20240113) continue;
        const int i = scenario_number(row.scenario);
        hn_truth_user(&user, truth, row.user - 1);
        hn_truth_probabilities(p, &user, hn_truth_item(truth, row.item - 1),
                               (hn_sim_moment){i, (double)row.hour, (int32_t)row.position});
        for (int t = 0; t < HN_SIM_TASKS; t++) {
            scored *const cell = &cells[i * HN_SIM_TASKS + t];
            cell->p[cell->n] = p[t];
            cell->y[cell->n++] = t == 0 ? row.click : row.order;
        }
    }
    assert_int_equal(rows, ROWS);
    assert_int_equal(*at, '\0');
    for (int c = 0; c < HN_SIM_CELLS; c++) {
        const json_t *const cell = json_array_get(json_object_get(json, "cells"), (size_t)c);
        const json_t *const auc = json_object_get(cell, "bayes_auc");
        const double expected = pairwise_auc(&cells[c]);
        assert_int_equal(json_integer_value(json_object_get(cell, "test_rows")), cells[c].n);
        if (isnan(expected))
            assert_true(json_is_null(auc));
        else
            assert_true(fabs(json_real_value(auc) - expected) < 1e-9);
    }
    free(text);
    hn_truth_free(truth);
    json_decref(json);
}

static int64_t lines_of(const char *path) {
    size_t n;
    int64_t lines = 0;
    char *const text = read_text(path, &n);
    for (size_t k = 0; k < n; k++) lines += text[k] == '\n';
    free(text);
    return lines;
}

/* Short last requests, and logs that end with a piece or just after one. */
static void any_number_of_rows_comes_out_even(void **state) {
    (void)state;
    static const int64_t rows[] = {1000, 1003, 20479, 20480, 20481, 40961};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        json_t *const json = simulate("even", rows[k], 1, 2);
        int64_t sum = 0;
        for (size_t c = 0; c < HN_SIM_CELLS; c += HN_SIM_TASKS)
            sum += json_integer_value(
                json_object_get(json_array_get(json_object_get(json, "cells"), c), "rows"));
        assert_int_equal(sum, rows[k]);
        assert_int_equal(lines_of(path_of("even", "log.csv")), rows[k] + 1);
        assert_int_equal(lines_of(path_of("even", "users.csv")),
                         1 + json_integer_value(json_object_get(json, "users")));
        assert_int_equal(lines_of(path_of("even", "items.csv")),
                         1 + json_integer_value(json_object_get(json, "items")));
        json_decref(json);
    }
}

static void large_logs_are_several_files(void **state) {
    (void)state;
    hn_error err = {0};
    hn_truth *truth = NULL;
    hn_pool *pool = NULL;
    hn_bayes *bayes = NULL;
    size_t n;
    mkdir(path_of("several", NULL), 0777);
    assert_ok(hn_truth_create(&truth, 1, 500, 500, &err));
    assert_ok(hn_pool_create(&pool, 2, &err));
    assert_ok(hn_bayes_create(&bayes, 1 << 20, folder, &err));
    hn_sim_log log = {
        .rows = 50000, .rows_a_file = 20480, .dir = path_of("several", NULL), .truth = truth};
    assert_ok(hn_sim_log_write(&log, bayes, pool, NULL, &err));
    assert_ok(hn_sim_config_write(&log, &err));
    assert_int_equal(hn_sim_log_files(&log), 3);
    assert_int_equal(lines_of(path_of("several", "log-0000.csv")), 20481);
    assert_int_equal(lines_of(path_of("several", "log-0001.csv")), 20481);
    assert_int_equal(lines_of(path_of("several", "log-0002.csv")), 50000 - 2 * 20480 + 1);
    char *const config = read_text(path_of("several", "config.yaml"), &n);
    assert_non_null(strstr(config, "files: [log-0000.csv, log-0001.csv, log-0002.csv]"));
    free(config);
    hn_bayes_free(bayes);
    hn_pool_free(pool);
    hn_truth_free(truth);
}

static void wrong_wishes_are_refused(void **state) {
    (void)state;
    hn_error err = {0};
    hn_report *report = (hn_report *)&err;
    hn_run run = hn_run_default();
    static const int64_t rows[] = {-1, 0, 999, 10000000001};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const hn_simulate_options options = {rows[k], 1};
        assert_fails(HN_USAGE, "expected 1000 to 10000000000",
                     hn_simulate(&report, &options, &run, &err));
        assert_null(report);
    }
    const hn_simulate_options options = {1000, 1};
    support_write(path_of("file", NULL), "x", 1);
    run.out_dir = path_of("file", NULL);
    assert_fails(HN_CANNOT_CREATE, "file", hn_simulate(&report, &options, &run, &err));
    assert_null(report);
    run.out_dir = path_of("threads", NULL);
    run.threads = 1000;
    assert_fails(HN_USAGE, "threads", hn_simulate(&report, &options, &run, &err));
}

typedef struct watcher {
    volatile int stop;
    int calls;
    double done;
} watcher;

static void watch(void *user, const hn_progress *progress) {
    watcher *const w = user;
    assert_true(progress->done > w->done && progress->done <= progress->total);
    assert_true(isnan(progress->loss));
    w->done = progress->done;
    if (++w->calls == 2) w->stop = 1;
}

static void a_stop_is_obeyed_and_leaves_no_log(void **state) {
    (void)state;
    hn_error err = {0};
    hn_report *report = NULL;
    watcher w = {0};
    hn_run run = hn_run_default();
    run.out_dir = path_of("stopped", NULL);
    run.threads = 1;
    run.stop = &w.stop;
    run.progress = watch;
    run.user = &w;
    const hn_simulate_options options = {1000000, 1};
    assert_fails(HN_INTERRUPTED, "stopped", hn_simulate(&report, &options, &run, &err));
    assert_null(report);
    assert_int_equal(w.calls, 2);
    assert_int_not_equal(access(path_of("stopped", "log.csv"), F_OK), 0);
    assert_fails(HN_INTERRUPTED, "users.csv", hn_simulate(&report, &options, &run, &err));
}

static hn_status simulate_small(void *user, hn_error *err) {
    (void)user;
    hn_report *report;
    hn_run run = hn_run_default();
    run.out_dir = path_of("faults", NULL);
    run.threads = 2;
    const hn_simulate_options options = {1000, 1};
    const hn_status status = hn_simulate(&report, &options, &run, err);
    if (status != HN_OK) assert_null(report);
    hn_report_free(report);
    return status;
}

static void every_failed_allocation_and_write_is_told_and_leaks_nothing(void **state) {
    (void)state;
    assert_true(support_fail_each(HN_FAULT_ALLOC, simulate_small, NULL) > 20);
    assert_true(support_fail_each(HN_FAULT_WRITE, simulate_small, NULL) > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_change_no_byte_and_seeds_do),
        cmocka_unit_test(the_bayes_auc_is_that_of_the_truth_on_the_rows_written),
        cmocka_unit_test(any_number_of_rows_comes_out_even),
        cmocka_unit_test(large_logs_are_several_files),
        cmocka_unit_test(wrong_wishes_are_refused),
        cmocka_unit_test(a_stop_is_obeyed_and_leaves_no_log),
        cmocka_unit_test(every_failed_allocation_and_write_is_told_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
