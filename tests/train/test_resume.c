/* Trainings stopped, killed and resumed at several moments end with the bytes of one that was
 * left alone; checkpoints of other trainings and damaged ones are refused; every allocation,
 * write and read may fail. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "town.h"
#include "train/training.h"

/* ---- Stopping and going on --------------------------------------------------------------- */

/* After the k-th epoch's line a stop is asked for: the training ends at the next step. */
static void a_stopped_training_goes_on_to_the_same_bytes(void **state) {
    (void)state;
    char *const whole = town_new_run();
    hn_error err = {0};
    hn_report *report;
    const town_options plain = {.sets = {"train.eval_every=5"}};
    json_t *const expected = town_train_ok(whole, &plain);
    for (int32_t at = 1; at <= 5; at += 2) {
        char *const dir = town_new_run();
        town_watch h = {.stop_at = at};
        town_options o = plain;
        o.watch = &h;
        assert_fails(HN_INTERRUPTED, "--resume", town_train(&report, dir, &o, &err));
        assert_null(report);
        assert_true(town_has_file(dir, "checkpoint.hn"));
        o = plain;
        o.resume = true;
        o.threads = 2;
        json_t *const got = town_train_ok(dir, &o);
        assert_true(json_equal(expected, got));
        town_same_bundles(whole, dir);
        free(h.heard);
        json_decref(got);
        hn_free(dir);
    }
    json_decref(expected);
    hn_free(whole);
}

/* A child that kills itself with SIGKILL at the nth line of an epoch. */
static void killed(const char *dir, const town_options *plain, int32_t at_line) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        hn_error err = {0};
        hn_report *report;
        town_watch h = {.kill_at = at_line};
        town_options o = *plain;
        o.watch = &h;
        hn_checkpoint_seconds = 0; /* after every step */
        (void)town_train(&report, dir, &o, &err);
        _exit(3);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void a_killed_training_goes_on_to_the_same_bytes(void **state) {
    (void)state;
    char *const whole = town_new_run();
    const town_options plain = {.sets = {"train.eval_every=7"}};
    json_decref(town_train_ok(whole, &plain));
    for (int32_t at = 1; at <= 5; at += 2) {
        char *const dir = town_new_run();
        town_options o = plain;
        killed(dir, &o, at);
        o.resume = true;
        killed(dir, &o, 1); /* and once more on the way */
        json_decref(town_train_ok(dir, &o));
        town_same_bundles(whole, dir);
        hn_free(dir);
    }
    hn_free(whole);
}

/* From outside, at any moment at all: SIGKILL after some milliseconds, resumed and killed
 * until it is through. */
static void kills_at_any_moment_change_no_byte(void **state) {
    (void)state;
    char *const whole = town_new_run(), *const dir = town_new_run();
    const town_options plain = {.sets = {"train.eval_every=7"}};
    json_decref(town_train_ok(whole, &plain));
    int32_t kills = 0;
    for (int32_t i = 0; i < 15; i++) {
        const pid_t child = fork();
        if (child == 0) {
            hn_error err = {0};
            hn_report *report;
            town_options o = plain;
            o.resume = i > 0;
            hn_checkpoint_seconds = 0;
            _exit(town_train(&report, dir, &o, &err) == HN_OK ? 0 : 3);
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
    town_options o = plain;
    o.resume = true;
    if (town_has_file(dir, "checkpoint.hn") || !town_has_file(dir, "last.hn"))
        json_decref(town_train_ok(dir, &o));
    print_message("%d kills\n", (int)kills);
    town_same_bundles(whole, dir);
    hn_free(whole), hn_free(dir);
}

static void a_checkpoint_of_another_config_is_refused(void **state) {
    (void)state;
    char *const dir = town_new_run();
    hn_error err = {0};
    hn_report *report;
    town_watch h = {.stop_at = 1};
    assert_fails(HN_INTERRUPTED, "checkpoint",
                 town_train(&report, dir, &(town_options){.watch = &h}, &err));
    assert_fails(HN_BAD_CONFIG, "another config",
                 town_train(&report, dir,
                            &(town_options){.sets = {"train.rate=0.02"}, .resume = true}, &err));
    assert_null(report);
    /* without --resume it is left behind */
    json_decref(town_train_ok(dir, &(town_options){.sets = {"train.rate=0.02"}}));
    assert_false(town_has_file(dir, "checkpoint.hn"));
    free(h.heard);
    hn_free(dir);
}

static void resume_without_a_checkpoint_begins(void **state) {
    (void)state;
    char *const dir = town_new_run();
    town_watch h = {0};
    json_decref(town_train_ok(dir, &(town_options){.resume = true, .watch = &h}));
    assert_non_null(strstr(h.heard, "begins at the beginning"));
    free(h.heard);
    hn_free(dir);
}

/* Every byte of a damaged checkpoint is noticed. */
static void damaged_checkpoints_are_refused(void **state) {
    (void)state;
    char *const dir = town_new_run();
    hn_error err = {0};
    hn_report *report;
    town_watch h = {.stop_at = 1};
    assert_fails(HN_INTERRUPTED, "checkpoint",
                 town_train(&report, dir, &(town_options){.watch = &h}, &err));
    char *const path = hn_path_join(dir, "checkpoint.hn"), *bytes;
    size_t n;
    assert_ok(hn_file_read(&bytes, &n, path, &err));
    for (size_t i = 0; i < 12; i++) {
        const size_t at = (size_t)(hn_random(4, HN_STREAM_TEST, i) % n);
        bytes[at] ^= 0x40;
        support_write(path, bytes, n);
        assert_fails(HN_BAD_DATA, "checkpoint",
                     town_train(&report, dir, &(town_options){.resume = true}, &err));
        bytes[at] ^= 0x40;
    }
    support_write(path, bytes, n / 2);
    assert_fails(HN_BAD_DATA, "checkpoint",
                 town_train(&report, dir, &(town_options){.resume = true}, &err));
    hn_free(path), hn_free(bytes), hn_free(dir);
    free(h.heard);
}

/* ---- Faults ------------------------------------------------------------------------------ */

/* A training of one epoch with the nth event of a kind failing, for every `stride`th n until
 * none is reached: a status with a sentence, nothing held. The dataset is made once, so that
 * the faults hit training. */
static int64_t fail_some(hn_fault kind, const char *dir, int64_t stride) {
    const town_options o = {.sets = {"train.epochs=1", "log.files=small.csv",
                                     "split={by: hash, column: row, validation: 0.3, test: 0.3}"}};
    hn_error err = {0};
    hn_report *report;
    assert_ok(town_train(&report, dir, &o, &err));
    hn_report_free(report);
    hn_config *const config = town_config(o.sets, 3);
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
    char *const dir = town_new_run();
    town_write_log("small.csv", 0, 250, 20);
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
        cmocka_unit_test(a_stopped_training_goes_on_to_the_same_bytes),
        cmocka_unit_test(a_killed_training_goes_on_to_the_same_bytes),
        cmocka_unit_test(kills_at_any_moment_change_no_byte),
        cmocka_unit_test(a_checkpoint_of_another_config_is_refused),
        cmocka_unit_test(resume_without_a_checkpoint_begins),
        cmocka_unit_test(damaged_checkpoints_are_refused),
        cmocka_unit_test(faults_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, town_set_up, town_tear_down);
}
