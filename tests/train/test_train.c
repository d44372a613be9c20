/* hn_train and hn_evaluate from a log on disk to bundles and reports: the same bytes with
 * any threads and memory, after stops and kills at several moments; early stop, schedules,
 * warm starts, and what is said when something is missing. */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "bundle/bundle.h"
#include "support.h"
#include "train/results.h"
#include "train/training.h"

enum { ROWS = 2400, USERS = 60, ITEMS = 40 };

/* ---- A small platform ---------------------------------------------------------------------- */

static const char CONFIG[] =
    "log: {files: log.csv}\n"
    "split: {by: hash, column: row, validation: 0.2, test: 0.2}\n"
    "scenario: {column: tab, values: [a, b, c]}\n"
    "tasks: {click: click, like: {label: like, weight: 0.5}}\n"
    "user: user_id\n"
    "features:\n"
    "  user_id: {kind: id, width: 4}\n"
    "  item_id: {kind: id, width: 4}\n"
    "  price: number\n"
    "  tags: {kind: list, width: 3, delimiter: '|'}\n"
    "model: {name: hinet, experts: 2, expert_units: [8, 6], scenario_width: 4, task_units: [6],\n"
    "        task_shared: 1, task_own: 1, tower_units: [4], embedding_dropout: 0.1}\n"
    "train: {batch: 128, epochs: 4, rate: 0.01, embedding_rate: 0.02, block_rows: 64, window: 4, "
    "patience: 0, shards: 2}\n";

typedef struct world {
    char *dir;
    int32_t runs;
} world;
static world w;

static void write_log(const char *name, int32_t first, int32_t n, int32_t users) {
    char *path = hn_path_join(w.dir, name);
    FILE *const file = fopen(path, "wb");
    assert_non_null(file);
    fprintf(file, "row,tab,user_id,item_id,price,tags,click,like\n");
    for (int32_t r = first; r < first + n; r++) {
        const uint64_t c = (uint64_t)r * 16;
        const uint64_t user = hn_random(1, HN_STREAM_TEST, c) % (uint64_t)users,
                       item = hn_random(1, HN_STREAM_TEST, c + 1) % ITEMS;
        const char tab = "aaaabbc"[hn_random(1, HN_STREAM_TEST, c + 2) % 7];
        const double taste = sin((double)user * 1.7) + cos((double)item * 2.3) +
                             (tab == 'c' ? sin((double)item) : 0);
        const int click = hn_random_unit(1, HN_STREAM_TEST, c + 3) < 1 / (1 + exp(-2 * taste));
        const int like = click && hn_random_unit(1, HN_STREAM_TEST, c + 4) < 0.4;
        fprintf(file, "%d,%c,u%d,i%d,%.2f,t%d|t%d,%d,", (int)r, tab, (int)user, (int)item,
                (double)item / 7, (int)(item % 5), (int)(user % 3), click);
        if (r % 13 == 0)
            fprintf(file, "\n"); /* an absent label */
        else
            fprintf(file, "%d\n", like);
    }
    assert_int_equal(fclose(file), 0);
    hn_free(path);
}

static int set_up(void **state) {
    (void)state;
    w.dir = support_folder();
    write_log("log.csv", 0, ROWS, USERS);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    support_remove(w.dir);
    free(w.dir);
    return 0;
}

/* ---- Running --------------------------------------------------------------------------------- */

typedef struct watch { /* what the callbacks do and heard */
    char *heard;
    size_t n;
    int stop;
    int32_t stop_at, kill_at; /* log lines after which; 0: never */
    int32_t lines;
} watch;

static void on_line(void *user, hn_log_level level, const char *line) {
    watch *const h = user;
    (void)level;
    const size_t n = strlen(line);
    h->heard = realloc(h->heard, h->n + n + 2);
    memcpy(h->heard + h->n, line, n);
    h->n += n;
    h->heard[h->n++] = '\n';
    h->heard[h->n] = 0;
    if (strncmp(line, "epoch", 5) != 0) return;
    h->lines++;
    if (h->lines == h->kill_at) kill(getpid(), SIGKILL);
    if (h->lines == h->stop_at) h->stop = 1;
}

static hn_config *config_of(const char *const *sets, size_t n) {
    hn_error err = {0};
    hn_config *config;
    assert_ok(
        hn_config_parse(&config, CONFIG, strlen(CONFIG), "config.yaml", w.dir, sets, n, &err));
    return config;
}

static char *new_run(void) {
    char name[32];
    snprintf(name, sizeof name, "run%d", (int)w.runs++);
    return hn_path_join(w.dir, name);
}

typedef struct options {
    const char *sets[6];
    int32_t threads;
    int64_t memory;
    bool resume;
    const char *init;
    watch *watch;
} options;

static hn_status train(hn_report **out, const char *dir, const options *o, hn_error *err) {
    size_t n = 0;
    while (n < 6 && o->sets[n]) n++;
    hn_config *const config = config_of(o->sets, n);
    hn_run run = hn_run_default();
    run.out_dir = dir;
    run.threads = o->threads ? o->threads : 1;
    run.memory_bytes = o->memory;
    run.resume = o->resume;
    run.init_bundle = o->init;
    if (o->watch) {
        run.log = on_line;
        run.user = o->watch;
        run.stop = &o->watch->stop;
    }
    const hn_status status = hn_train(out, config, &run, err);
    hn_config_free(config);
    return status;
}

static json_t *train_ok(const char *dir, const options *o) {
    hn_error err = {0};
    hn_report *report;
    assert_ok(train(&report, dir, o, &err));
    json_t *const json = json_loads(hn_report_json(report), 0, NULL);
    assert_non_null(json);
    hn_report_free(report);
    return json;
}

static bool has_file(const char *dir, const char *name) {
    char *const path = hn_path_join(dir, name);
    const bool has = hn_file_exists(path);
    hn_free(path);
    return has;
}

static void assert_same_file(const char *a, const char *b, const char *name) {
    hn_error err = {0};
    char *bytes[2], *paths[2] = {hn_path_join(a, name), hn_path_join(b, name)};
    size_t n[2];
    for (int i = 0; i < 2; i++) assert_ok(hn_file_read(&bytes[i], &n[i], paths[i], &err));
    if (n[0] != n[1] || memcmp(bytes[0], bytes[1], n[0]) != 0)
        fail_msg("%s and %s differ", paths[0], paths[1]);
    for (int i = 0; i < 2; i++) hn_free(bytes[i]), hn_free(paths[i]);
}

static void assert_same_bundles(const char *a, const char *b) {
    assert_same_file(a, b, "best.hn");
    assert_same_file(a, b, "last.hn");
}

static double number(const json_t *json, const char *a, const char *b, const char *c) {
    const json_t *at = json_object_get(json, a);
    if (b) at = json_object_get(at, b);
    if (c) at = json_object_get(at, c);
    assert_true(json_is_number(at));
    return json_number_value(at);
}

/* ---- What comes out -----------------------------------------------------------------------------
 */

static void a_training_learns_and_reports(void **state) {
    (void)state;
    char *const dir = new_run();
    hn_error err = {0};
    watch h = {0};
    json_t *const json = train_ok(dir, &(options){.watch = &h});
    assert_true(number(json, "test", "mean", "auc") > 0.6);
    assert_true(number(json, "validation", "mean", "auc") > 0.6);
    assert_true(number(json, "test", "mean", "gauc") > 0.5);
    const json_t *const cells = json_object_get(json_object_get(json, "test"), "cells");
    assert_int_equal(json_array_size(cells), 6);
    assert_string_equal(json_string_value(json_object_get(json_array_get(cells, 5), "scenario")),
                        "c");
    assert_string_equal(json_string_value(json_object_get(json_array_get(cells, 5), "task")),
                        "like");
    assert_int_equal(json_array_size(json_object_get(json, "epochs")), 4);
    const json_t *const first = json_array_get(json_object_get(json, "epochs"), 0);
    assert_int_equal(json_integer_value(json_object_get(first, "epoch")), 1);
    assert_true(number(first, "loss", NULL, NULL) >
                number(json_array_get(json_object_get(json, "epochs"), 3), "loss", NULL, NULL));
    /* the best epoch is the one with the best metric */
    double best = 0;
    for (size_t i = 0; i < 4; i++)
        best = fmax(
            best, number(json_array_get(json_object_get(json, "epochs"), i), "metric", NULL, NULL));
    assert_true(best == number(json, "validation", "mean", "auc"));
    assert_true(has_file(dir, "last.hn") && has_file(dir, "history.jsonl") &&
                !has_file(dir, "checkpoint.hn"));
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
    char *const a = new_run(), *const b = new_run(), *const c = new_run();
    json_decref(train_ok(a, &(options){.threads = 1}));
    json_decref(train_ok(b, &(options){.threads = 4}));
    json_decref(train_ok(c, &(options){.threads = 2, .memory = 100 << 20}));
    assert_same_bundles(a, b);
    assert_same_bundles(a, c);
    json_decref(train_ok(b, &(options){.threads = 3})); /* again in the same folder */
    assert_same_bundles(a, b);
    hn_free(a), hn_free(b), hn_free(c);
}

/* ---- Stopping and going on
 * -------------------------------------------------------------------------- */

/* After the k-th epoch's line a stop is asked for: the training ends at the next step. */
static void a_stopped_training_goes_on_to_the_same_bytes(void **state) {
    (void)state;
    char *const whole = new_run();
    hn_error err = {0};
    hn_report *report;
    const options plain = {.sets = {"train.eval_every=5"}};
    json_t *const expected = train_ok(whole, &plain);
    for (int32_t at = 1; at <= 5; at += 2) {
        char *const dir = new_run();
        watch h = {.stop_at = at};
        options o = plain;
        o.watch = &h;
        assert_fails(HN_INTERRUPTED, "--resume", train(&report, dir, &o, &err));
        assert_null(report);
        assert_true(has_file(dir, "checkpoint.hn"));
        o = plain;
        o.resume = true;
        o.threads = 2;
        json_t *const got = train_ok(dir, &o);
        assert_true(json_equal(expected, got));
        assert_same_bundles(whole, dir);
        free(h.heard);
        json_decref(got);
        hn_free(dir);
    }
    json_decref(expected);
    hn_free(whole);
}

/* A child that kills itself with SIGKILL at the nth line of an epoch. */
static void killed(const char *dir, const options *plain, int32_t at_line) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        hn_error err = {0};
        hn_report *report;
        watch h = {.kill_at = at_line};
        options o = *plain;
        o.watch = &h;
        hn_checkpoint_seconds = 0; /* after every step */
        (void)train(&report, dir, &o, &err);
        _exit(3);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void a_killed_training_goes_on_to_the_same_bytes(void **state) {
    (void)state;
    char *const whole = new_run();
    const options plain = {.sets = {"train.eval_every=7"}};
    json_decref(train_ok(whole, &plain));
    for (int32_t at = 1; at <= 5; at += 2) {
        char *const dir = new_run();
        options o = plain;
        killed(dir, &o, at);
        o.resume = true;
        killed(dir, &o, 1); /* and once more on the way */
        json_decref(train_ok(dir, &o));
        assert_same_bundles(whole, dir);
        hn_free(dir);
    }
    hn_free(whole);
}

/* From outside, at any moment at all: SIGKILL after some milliseconds, resumed and killed
 * until it is through. */
static void kills_at_any_moment_change_no_byte(void **state) {
    (void)state;
    char *const whole = new_run(), *const dir = new_run();
    const options plain = {.sets = {"train.eval_every=7"}};
    json_decref(train_ok(whole, &plain));
    int32_t kills = 0;
    for (int32_t i = 0; i < 15; i++) {
        const pid_t child = fork();
        if (child == 0) {
            hn_error err = {0};
            hn_report *report;
            options o = plain;
            o.resume = i > 0;
            hn_checkpoint_seconds = 0;
            _exit(train(&report, dir, &o, &err) == HN_OK ? 0 : 3);
        }
        usleep((useconds_t)(20000 + hn_random(3, HN_STREAM_TEST, (uint64_t)i) % 80000));
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            break;
        }
        kills++;
    }
    options o = plain;
    o.resume = true;
    if (has_file(dir, "checkpoint.hn") || !has_file(dir, "last.hn")) json_decref(train_ok(dir, &o));
    print_message("%d kills\n", (int)kills);
    assert_same_bundles(whole, dir);
    hn_free(whole), hn_free(dir);
}

static void a_checkpoint_of_another_config_is_refused(void **state) {
    (void)state;
    char *const dir = new_run();
    hn_error err = {0};
    hn_report *report;
    watch h = {.stop_at = 1};
    assert_fails(HN_INTERRUPTED, "checkpoint", train(&report, dir, &(options){.watch = &h}, &err));
    assert_fails(
        HN_BAD_CONFIG, "another config",
        train(&report, dir, &(options){.sets = {"train.rate=0.02"}, .resume = true}, &err));
    assert_null(report);
    /* without --resume it is left behind */
    json_decref(train_ok(dir, &(options){.sets = {"train.rate=0.02"}}));
    assert_false(has_file(dir, "checkpoint.hn"));
    free(h.heard);
    hn_free(dir);
}

static void resume_without_a_checkpoint_begins(void **state) {
    (void)state;
    char *const dir = new_run();
    watch h = {0};
    json_decref(train_ok(dir, &(options){.resume = true, .watch = &h}));
    assert_non_null(strstr(h.heard, "begins at the beginning"));
    free(h.heard);
    hn_free(dir);
}

/* Every byte of a damaged checkpoint is noticed. */
static void damaged_checkpoints_are_refused(void **state) {
    (void)state;
    char *const dir = new_run();
    hn_error err = {0};
    hn_report *report;
    watch h = {.stop_at = 1};
    assert_fails(HN_INTERRUPTED, "checkpoint", train(&report, dir, &(options){.watch = &h}, &err));
    char *const path = hn_path_join(dir, "checkpoint.hn"), *bytes;
    size_t n;
    assert_ok(hn_file_read(&bytes, &n, path, &err));
    for (size_t i = 0; i < 12; i++) {
        const size_t at = (size_t)(hn_random(4, HN_STREAM_TEST, i) % n);
        bytes[at] ^= 0x40;
        support_write(path, bytes, n);
        assert_fails(HN_BAD_DATA, "checkpoint",
                     train(&report, dir, &(options){.resume = true}, &err));
        bytes[at] ^= 0x40;
    }
    support_write(path, bytes, n / 2);
    assert_fails(HN_BAD_DATA, "checkpoint", train(&report, dir, &(options){.resume = true}, &err));
    hn_free(path), hn_free(bytes), hn_free(dir);
    free(h.heard);
}

/* ---- Ends
 * -------------------------------------------------------------------------------------------- */

static void patience_ends_a_training(void **state) {
    (void)state;
    char *const dir = new_run();
    watch h = {0};
    json_t *const json =
        train_ok(dir, &(options){.sets = {"train.epochs=60", "train.patience=2", "train.rate=0.05"},
                                 .watch = &h});
    const size_t n = json_array_size(json_object_get(json, "epochs"));
    assert_true(n >= 3 && n < 60);
    assert_int_equal(number(json, "best_epoch", NULL, NULL), n - 2);
    assert_non_null(strstr(h.heard, "no better for 2 evaluations"));
    free(h.heard);
    json_decref(json);
    hn_free(dir);
}

static void without_validation_the_last_is_the_best(void **state) {
    (void)state;
    char *const dir = new_run();
    watch h = {0};
    json_t *const json =
        train_ok(dir, &(options){.sets = {"split={by: hash, column: row, validation: 0, test: 0.3}",
                                          "train.patience=1"},
                                 .watch = &h});
    assert_non_null(strstr(h.heard, "cannot give train.metric"));
    assert_int_equal(json_array_size(json_object_get(json, "epochs")), 4);
    assert_true(json_is_null(json_object_get(json, "validation")));
    assert_int_equal(number(json, "best_epoch", NULL, NULL), 4);
    assert_true(number(json, "test", "mean", "auc") > 0.55);
    free(h.heard);
    json_decref(json);
    hn_free(dir);
}

static void the_metric_may_be_a_cells(void **state) {
    (void)state;
    char *const dir = new_run();
    json_t *const json = train_ok(dir, &(options){.sets = {"train.metric=b/click"}});
    const json_t *const cell =
        json_array_get(json_object_get(json_object_get(json, "validation"), "cells"), 2);
    double best = 0;
    for (size_t i = 0; i < 4; i++)
        best = fmax(
            best, number(json_array_get(json_object_get(json, "epochs"), i), "metric", NULL, NULL));
    assert_true(best == number(cell, "auc", NULL, NULL));
    json_decref(json);
    hn_free(dir);
}

static void a_diverging_training_stops_and_says_where(void **state) {
    (void)state;
    char *const dir = new_run();
    hn_error err = {0};
    hn_report *report;
    assert_fails(HN_NOT_FINITE, "first bad tensor",
                 train(&report, dir,
                       &(options){.sets = {"train.optimizer=sgd", "train.rate=100",
                                           "train.weight_decay=100"}},
                       &err));
    assert_non_null(strstr(err.text, "step "));
    assert_null(report);
    hn_free(dir);
}

static void memory_is_refused_naming_the_need(void **state) {
    (void)state;
    char *const dir = new_run();
    hn_error err = {0};
    hn_report *report;
    assert_fails(
        HN_NO_MEMORY, "MiB",
        train(&report, dir, &(options){.memory = 3 << 20, .sets = {"train.batch=131072"}}, &err));
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

/* ---- Bundles
 * ------------------------------------------------------------------------------------------- */

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
    run.out_dir = w.dir;
    run.threads = threads;
    assert_ok(hn_evaluate(&report, bundle, config, files, n, &run, &err));
    json_t *const json = json_loads(hn_report_json(report), 0, NULL);
    hn_report_free(report);
    return json;
}

static void a_bundle_evaluates_as_training_said(void **state) {
    (void)state;
    char *const dir = new_run();
    hn_error err = {0};
    json_t *const trained = train_ok(dir, &(options){.threads = 2});
    hn_bundle *const bundle = open_bundle(dir, "best.hn");
    hn_config *const config = config_of(NULL, 0);
    json_t *const again = evaluate(bundle, config, NULL, 0, 1), *const stored = evaluate(
                                                                    bundle, NULL, NULL, 0, 1);
    assert_same_cells(trained, again);
    assert_same_cells(trained, stored);
    write_log("more.csv", ROWS, 700, USERS + 20);
    char *const path = hn_path_join(w.dir, "more.csv");
    const char *const files[] = {path};
    json_t *const one = evaluate(bundle, NULL, files, 1, 1), *const four = evaluate(bundle, NULL,
                                                                                    files, 1, 4);
    assert_same_cells(one, four);
    double rows = 0;
    size_t i;
    const json_t *cell;
    json_array_foreach(json_object_get(json_object_get(one, "test"), "cells"), i,
                       cell) if (i % 2 == 0) rows += number(cell, "rows", NULL, NULL);
    assert_int_equal(rows, 700);
    /* other names are refused */
    const char *const sets[] = {"tasks={click: click, buy: like}"};
    hn_config *const other = config_of(sets, 1);
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
    char *const first = new_run(), *const second = new_run(), *const third = new_run();
    json_decref(train_ok(first, &(options){0}));
    char *const init = hn_path_join(first, "best.hn");
    /* a day later: new users, another tower */
    write_log("next.csv", ROWS, 1500, USERS + 25);
    watch h = {0};
    json_t *const json = train_ok(
        second,
        &(options){.sets = {"log.files=next.csv", "train.epochs=1", "model.tower_units=[5]"},
                   .init = init,
                   .watch = &h});
    assert_non_null(strstr(h.heard, "warm start from"));
    assert_non_null(strstr(h.heard, "with the optimizer's state"));
    assert_non_null(strstr(h.heard, "table user_id keeps 62 rows and gains 25"));
    assert_non_null(strstr(h.heard, "tower.w1"));
    assert_true(number(json, "test", "mean", "auc") > 0.6); /* after one epoch of few rows */
    json_decref(json);
    free(h.heard);
    /* another optimizer: parameters without the state */
    h = (watch){0};
    json_decref(train_ok(third, &(options){.sets = {"train.optimizer=adagrad", "train.epochs=1"},
                                           .init = init,
                                           .watch = &h}));
    assert_non_null(
        strstr(h.heard, "0 new, 0 of another shape, without the state of another optimizer"));
    free(h.heard);
    /* other scenarios: refused */
    hn_error err = {0};
    hn_report *report;
    assert_fails(HN_BAD_CONFIG, "scenarios",
                 train(&report, third,
                       &(options){.sets = {"scenario.values=[b, a, c]"}, .init = init}, &err));
    assert_fails(HN_NO_INPUT, "none.hn",
                 train(&report, third, &(options){.init = "none.hn"}, &err));
    hn_free(init), hn_free(first), hn_free(second), hn_free(third);
}

/* A training of 0 rate after a warm start is the bundle's: everything was carried over. */
static void a_warm_start_carries_every_number(void **state) {
    (void)state;
    char *const first = new_run(), *const second = new_run();
    const char *const none = "train.optimizer=sgd";
    json_decref(train_ok(first, &(options){.sets = {none, "train.rate=0.1"}}));
    char *const init = hn_path_join(first, "last.hn");
    json_decref(
        train_ok(second, &(options){.sets = {none, "train.rate=1e-30", "train.embedding_rate=1e-30",
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
    watch h = {0};
    hn_run run = hn_run_default();
    run.log = on_line;
    run.user = &h;
    hn_config *const config = config_of(NULL, 0);
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
    char *const dir = new_run();
    hn_error err = {0};
    hn_report *report;
    assert_fails(
        HN_BAD_DATA, "rows",
        train(&report, dir, &(options){.sets = {"log.filter=[\"user_id == nobody\"]"}}, &err));
    hn_free(dir);
}

/* ---- Faults
 * ---------------------------------------------------------------------------------------------- */

/* A training of one epoch with the nth event of a kind failing, for every `stride`th n until
 * none is reached: a status with a sentence, nothing held. The dataset is made once, so that
 * the faults hit training. */
static int64_t fail_some(hn_fault kind, const char *dir, int64_t stride) {
    const options o = {.sets = {"train.epochs=1", "log.files=small.csv",
                                "split={by: hash, column: row, validation: 0.3, test: 0.3}"}};
    hn_error err = {0};
    hn_report *report;
    assert_ok(train(&report, dir, &o, &err));
    hn_report_free(report);
    hn_config *const config = config_of(o.sets, 3);
    hn_run run = hn_run_default();
    run.out_dir = dir;
    run.threads = 1;
    int64_t failed = 0;
    for (int64_t nth = 1;; nth += stride) {
        const int64_t held = hn_memory_held();
        err = (hn_error){0};
        hn_fault_arm(kind, nth);
        const hn_status status = hn_train(&report, config, &run, &err);
        const bool reached = hn_fault_count(kind) >= nth;
        hn_fault_arm(kind, 0);
        if (!reached)
            assert_ok(status);
        else if (status == HN_OK || err.text[0] == 0)
            fail_msg("event %d: status %d, \"%s\"", (int)nth, (int)status, err.text);
        hn_report_free(status == HN_OK ? report : NULL);
        if (hn_memory_held() != held) fail_msg("event %d leaks: %s", (int)nth, err.text);
        if (!reached) break;
        failed++;
    }
    hn_config_free(config);
    return failed;
}

static void faults_leave_nothing_behind(void **state) {
    (void)state;
    char *const dir = new_run();
    write_log("small.csv", 0, 250, 20);
    const int64_t memory = fail_some(HN_FAULT_ALLOC, dir, 11),
                  writes = fail_some(HN_FAULT_WRITE, dir, 1);
    const int64_t reads = fail_some(HN_FAULT_READ, dir, 1);
    print_message("%d allocations, %d writes, %d reads failed\n", (int)memory, (int)writes,
                  (int)reads);
    assert_true(memory > 20 && writes > 5);
    hn_free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules),
        cmocka_unit_test(a_training_learns_and_reports),
        cmocka_unit_test(threads_and_memory_change_no_byte),
        cmocka_unit_test(a_stopped_training_goes_on_to_the_same_bytes),
        cmocka_unit_test(a_killed_training_goes_on_to_the_same_bytes),
        cmocka_unit_test(kills_at_any_moment_change_no_byte),
        cmocka_unit_test(a_checkpoint_of_another_config_is_refused),
        cmocka_unit_test(resume_without_a_checkpoint_begins),
        cmocka_unit_test(damaged_checkpoints_are_refused),
        cmocka_unit_test(patience_ends_a_training),
        cmocka_unit_test(without_validation_the_last_is_the_best),
        cmocka_unit_test(the_metric_may_be_a_cells),
        cmocka_unit_test(a_diverging_training_stops_and_says_where),
        cmocka_unit_test(memory_is_refused_naming_the_need),
        cmocka_unit_test(a_bundle_evaluates_as_training_said),
        cmocka_unit_test(a_warm_start_keeps_what_fits),
        cmocka_unit_test(a_warm_start_carries_every_number),
        cmocka_unit_test(dead_cells_are_named),
        cmocka_unit_test(without_rows_there_is_no_training),
        cmocka_unit_test(faults_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
