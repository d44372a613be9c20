/* Trainings whose scenarios are sampled: how many rows they see, the same bytes on any number
 * of threads and after interruptions, and what cannot be. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "town.h"
#include "train/training.h"

static const char *const drawn = "train.sampling={a: 0.4, b: 1.5, c: 3}";

static json_t *last_epoch(const json_t *report) {
    json_t *const epochs = json_object_get(report, "epochs");
    return json_array_get(epochs, json_array_size(epochs) - 1);
}

static double steps_of(const json_t *report) {
    return json_number_value(json_object_get(last_epoch(report), "step"));
}

/* Of the rows of a, b and c the weighted number, in batches of 128, four times. */
static void epochs_have_as_many_rows_as_the_weights_say(void **state) {
    (void)state;
    char *const dir = town_new_run(), *const other = town_new_run();
    json_t *const report = town_train_ok(dir, &(town_options){.sets = {drawn}}),
                  *const whole = town_train_ok(other, &(town_options){.threads = 1});
    /* of "aaaabbc": 4/7, 2/7 and 1/7 of the training rows, each with its weight */
    const double rows = 128 * (steps_of(whole) / 4 - 0.5),
                 expected = rows * (4 * 0.4 + 2 * 1.5 + 3) / 7;
    assert_true(fabs(steps_of(report) / 4 - expected / 128) < 1.5);
    json_decref(report), json_decref(whole);
    hn_free(dir), hn_free(other);
}

static void threads_change_no_byte(void **state) {
    (void)state;
    char *const one = town_new_run(), *const four = town_new_run();
    json_decref(town_train_ok(one, &(town_options){.sets = {drawn}}));
    json_decref(
        town_train_ok(four, &(town_options){.sets = {drawn}, .threads = 4, .memory = 64 << 20}));
    town_same_bundles(one, four);
    hn_free(one), hn_free(four);
}

static void a_killed_training_goes_on_to_the_same_bytes(void **state) {
    (void)state;
    char *const whole = town_new_run();
    const town_options plain = {.sets = {"train.eval_every=3", drawn, "train.decay=cosine"}};
    json_decref(town_train_ok(whole, &plain));
    for (int32_t at = 1; at <= 7; at += 3) {
        char *const dir = town_new_run();
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            hn_error err = {0};
            hn_report *report;
            town_watch h = {.kill_at = at};
            town_options o = plain;
            o.watch = &h;
            hn_checkpoint_seconds = 0; /* after every step */
            (void)town_train(&report, dir, &o, &err);
            _exit(3);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        town_options o = plain;
        o.resume = true;
        o.threads = 2;
        json_decref(town_train_ok(dir, &o));
        town_same_bundles(whole, dir);
        hn_free(dir);
    }
    hn_free(whole);
}

static void weights_of_one_are_no_weights(void **state) {
    (void)state;
    char *const plain = town_new_run(), *const ones = town_new_run();
    json_t *const a = town_train_ok(plain, &(town_options){.threads = 1}),
                  *const b =
                      town_train_ok(ones, &(town_options){.sets = {"train.sampling={a: 1, c: 1}"}});
    assert_true(json_equal(a, b));
    json_decref(a), json_decref(b);
    hn_free(plain), hn_free(ones);
}

static void an_epoch_without_rows_is_refused(void **state) {
    (void)state;
    char *const dir = town_new_run();
    hn_error err = {0};
    hn_report *report;
    const char *const none = "train.sampling={a: 1e-9, b: 1e-9, c: 1e-9}";
    assert_fails(HN_BAD_CONFIG, "train.sampling: of the",
                 town_train(&report, dir, &(town_options){.sets = {none}}, &err));
    hn_free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_have_as_many_rows_as_the_weights_say),
        cmocka_unit_test(threads_change_no_byte),
        cmocka_unit_test(a_killed_training_goes_on_to_the_same_bytes),
        cmocka_unit_test(weights_of_one_are_no_weights),
        cmocka_unit_test(an_epoch_without_rows_is_refused),
    };
    return cmocka_run_group_tests(tests, town_set_up, town_tear_down);
}
