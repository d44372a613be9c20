/* The analysis of experiments: estimates worked by hand, its failures, and what intervals
 * promise, over many cheap experiments with users of very different sizes: about 5 % false
 * alarms in A/A, about 95 % of the intervals over the true gain in A/B. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/rng.h"
#include "online/abtest.h"
#include "online/stats.h"
#include "support.h"

enum { USERS = 2000, REPETITIONS = 1000 };

/* A user's impressions: most have a few, some have hundreds (Pareto, cut). */
static int impressions_of(uint64_t run, uint64_t user) {
    const double u = hn_random_unit(run, HN_STREAM_TEST, 8 * user);
    return (int)fmin(100, 2 / pow(1 - u, 0.8));
}

/* Sizes and rates go together, and a user's rate is of the user: the naive test's trap. */
static void draw_user(hn_ab_row *row, uint64_t run, uint64_t user, double gain) {
    *row = (hn_ab_row){.arm = (int32_t)(user & 1)};
    const int n = impressions_of(run, user);
    const double liking = hn_random_unit(run, HN_STREAM_TEST, 8 * user + 1);
    const double rate = 0.02 + 0.3 * liking * liking;
    for (int k = 0; k < 2 * n; k++) {
        const bool before = k >= n;
        const double u = hn_random_unit(run ^ 0xabcdef, user + 1000, (uint64_t)k);
        const double lifted = rate * (row->arm && !before ? 1 + gain : 1);
        double *const sums = before ? row->pre : row->now;
        sums[0]++, sums[1] += u < lifted, sums[2] += u < 0.4 * lifted;
        sums[3] += u < 0.4 * lifted ? 10 + 20 * liking : 0;
    }
}

typedef struct rates {
    double alarms, covered, naive, width;
} rates;

/* What a test of impressions as units would say of the click rate. */
static bool naive_alarm(const hn_ab_row *rows) {
    double n[2] = {0}, clicks[2] = {0};
    for (int i = 0; i < USERS; i++)
        n[rows[i].arm] += rows[i].now[0], clicks[rows[i].arm] += rows[i].now[1];
    const double p = (clicks[0] + clicks[1]) / (n[0] + n[1]);
    const double z =
        (clicks[1] / n[1] - clicks[0] / n[0]) / sqrt(p * (1 - p) * (1 / n[0] + 1 / n[1]));
    return fabs(z) > 1.96;
}

static rates repeat(double gain, hn_ab_metric metric, bool cuped) {
    static hn_ab_row rows[USERS];
    rates out = {0};
    for (uint64_t run = 0; run < REPETITIONS; run++) {
        hn_ab_estimate estimates[2];
        hn_ab_comparison c;
        for (uint64_t u = 0; u < USERS; u++) draw_user(&rows[u], run * 7919 + 13, u, gain);
        hn_ab_estimate_arms(estimates, 2, rows, USERS, metric, cuped);
        hn_ab_compare(&c, &estimates[0], &estimates[1], 0.95);
        out.alarms += c.p < 0.05;
        out.covered += c.gain_low <= gain && gain <= c.gain_high;
        out.width += c.high - c.low;
        out.naive += naive_alarm(rows);
    }
    out.alarms /= REPETITIONS, out.covered /= REPETITIONS;
    out.naive /= REPETITIONS, out.width /= REPETITIONS;
    return out;
}

/* 5 % of 1,000 has a standard deviation of 0.7 %: the tolerance of 2.5 points is three of them
 * and a little for what the delta method leaves with 1,000 skewed users an arm. */
static void a_a_alarms_in_one_of_twenty(void **state) {
    (void)state;
    const rates ctr = repeat(0, HN_AB_CTR, false), orders = repeat(0, HN_AB_ORDERS, false);
    print_message("A/A: false alarms %.1f %% (CTR), %.1f %% (orders); naive %.1f %%\n",
                  100 * ctr.alarms, 100 * orders.alarms, 100 * ctr.naive);
    assert_true(fabs(ctr.alarms - 0.05) < 0.025);
    assert_true(fabs(orders.alarms - 0.05) < 0.025);
    assert_true(ctr.naive > 0.2);
}

static void a_b_intervals_cover_the_true_gain(void **state) {
    (void)state;
    const rates ctr = repeat(0.2, HN_AB_CTR, false), value = repeat(0.2, HN_AB_CTCVR, false);
    print_message("A/B: covered %.1f %% (CTR), %.1f %% (CTCVR)\n", 100 * ctr.covered,
                  100 * value.covered);
    assert_true(fabs(ctr.covered - 0.95) < 0.025);
    assert_true(fabs(value.covered - 0.95) < 0.025);
}

static void cuped_narrows_and_keeps_its_promise(void **state) {
    (void)state;
    const rates plain = repeat(0.2, HN_AB_CTR, false), cuped = repeat(0.2, HN_AB_CTR, true);
    print_message("CUPED: covered %.1f %%, width %.2f of the plain one\n", 100 * cuped.covered,
                  cuped.width / plain.width);
    assert_true(fabs(cuped.covered - 0.95) < 0.025);
    assert_true(cuped.width < 0.9 * plain.width);
}

/* ---- By hand ------------------------------------------------------------------------------ */

static void estimates_are_those_worked_by_hand(void **state) {
    (void)state;
    const hn_ab_row rows[] = {{0, {4, 2, 1, 5}, {0}},
                              {0, {6, 1, 0, 0}, {0}},
                              {1, {2, 2, 2, 8}, {0}},
                              {1, {2, 1, 0, 0}, {0}},
                              {-2, {9, 9, 9, 9}, {0}}};
    hn_ab_estimate e[2];
    hn_ab_estimate_arms(e, 2, rows, 5, HN_AB_CTR, false);
    assert_true(fabs(e[0].value - 0.3) < 1e-15);
    /* z = (2 - 0.3·4)/5, (1 - 0.3·6)/5 = ±0.16; var = 2·0.0256; over 2 users */
    assert_true(fabs(e[0].variance - 0.0256) < 1e-15);
    hn_ab_estimate_arms(e, 2, rows, 5, HN_AB_VALUE, false);
    assert_true(e[0].value == 2.5 && e[1].value == 4);
    assert_true(fabs(e[1].variance - 16) < 1e-12);
}

static void what_cannot_be_told_is_not_a_number(void **state) {
    (void)state;
    const hn_ab_row rows[] = {
        {0, {4, 0, 0, 0}, {0}}, {0, {6, 0, 0, 0}, {0}}, {1, {2, 1, 1, 1}, {0}}};
    hn_ab_estimate e[2];
    hn_ab_comparison c;
    hn_ab_estimate_arms(e, 2, rows, 3, HN_AB_CVR, false);
    assert_true(isnan(e[0].value) && isnan(e[1].variance));
    hn_ab_compare(&c, &e[0], &e[1], 0.95);
    assert_true(isnan(c.p) && isnan(c.low) && isnan(c.gain) && isnan(c.mde));
    hn_ab_estimate_arms(e, 2, rows, 3, HN_AB_CTR, true);
    assert_true(e[0].value == 0 && e[0].variance == 0);
}

static void holm_steps_down(void **state) {
    (void)state;
    hn_error err = {0};
    const double p[] = {0.01, 0.04, NAN, 0.03, 0.9};
    double out[5];
    assert_ok(hn_ab_holm(out, p, 5, &err));
    assert_true(fabs(out[0] - 0.04) < 1e-15);
    assert_true(fabs(out[3] - 0.09) < 1e-15);
    assert_true(fabs(out[1] - 0.09) < 1e-15);
    assert_true(isnan(out[2]) && out[4] == 0.9);
    assert_ok(hn_ab_holm(out, p, 0, &err));
}

/* ---- Files --------------------------------------------------------------------------------- */

static const char *write_log(const char *text) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/hn-abtest-%d.csv", (int)getpid());
    FILE *const file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    return path;
}

static void refused(hn_status status, const char *words, const char *text,
                    const hn_abtest_options *options) {
    hn_error err = {0};
    hn_report *report = (hn_report *)&err;
    const char *const path = write_log(text);
    assert_int_equal(hn_abtest(&report, &path, 1, options, NULL, &err), status);
    assert_null(report);
    if (!strstr(err.text, words)) fail_msg("found: %s; expected: %s", err.text, words);
    assert_int_equal(hn_memory_held(), 0);
    unlink(path);
}

#define HEAD "request_id,time_ms,user,item,scenario,arm_x,click,order,order_value\n"

static void bad_logs_are_refused_with_reasons(void **state) {
    (void)state;
    const hn_abtest_options none = {0};
    refused(HN_BAD_DATA, "the file is empty", "", &none);
    refused(HN_BAD_DATA, "no column \"user\"", "a,b\n", &none);
    refused(HN_BAD_DATA, "no column arm_LAYER", "user,scenario,click,order\n", &none);
    refused(HN_BAD_DATA, "found 0 arms", HEAD, &none);
    refused(HN_BAD_DATA, ":2: column 7: found \"yes\"", HEAD "1,1,u,i,s,a,yes,0,\n", &none);
    refused(HN_BAD_DATA, ":2: column 9: found \"inf\"", HEAD "1,1,u,i,s,a,1,1,inf\n", &none);
    refused(HN_BAD_DATA, ":3: found 2 columns", HEAD "1,1,u,i,s,a,1,0,\n1,1\n", &none);
    refused(HN_USAGE, "--layer", "user,scenario,click,order,arm_x,arm_y\n", &none);
    const char *const two = HEAD "1,1,u,i,s,a,1,0,\n2,1,v,i,s,b,1,0,\n";
    refused(HN_USAGE, "--control", two, &(hn_abtest_options){.control = "c"});
    refused(HN_USAGE, "--shares", two, &(hn_abtest_options){.shares = "a=0.5"});
    refused(HN_USAGE, "--shares", two, &(hn_abtest_options){.shares = "a=0.5,c=1"});
    refused(HN_USAGE, "--confidence", two, &(hn_abtest_options){.confidence = 2});
    refused(HN_NO_INPUT, "/absent", two, &(hn_abtest_options){.pre = "/absent"});
}

/* a has 40 users and b 10; user u0 is in both. */
static char *lopsided(void) {
    hn_text text = {0};
    hn_text_add(&text, HEAD);
    for (int u = 0; u < 50; u++)
        hn_text_add(&text, "%d,%d,u%d,i,s,%s,%d,0,\n", u, u, u, u < 40 ? "a" : "b", u % 2);
    hn_text_add(&text, "99,99,\"u0\",i,s,b,1,1,\"7.5\"\n98,98,u1,i,s,,1,1,3\n97,97,u2,i,s,a,,,\n");
    assert_false(text.failed);
    return text.text;
}

static void a_mismatch_stands_first_and_is_no_failure(void **state) {
    (void)state;
    hn_error err = {0};
    hn_report *report = NULL;
    char *const text = lopsided();
    const char *const path = write_log(text);
    assert_ok(hn_abtest(&report, &path, 1, &(hn_abtest_options){0}, NULL, &err));
    assert_true(strncmp(hn_report_text(report), "WARNING: SAMPLE RATIO MISMATCH", 30) == 0);
    json_t *const json = json_loads(hn_report_json(report), 0, NULL);
    assert_true(json_is_true(json_object_get(json_object_get(json, "sample_ratio"), "mismatch")));
    assert_int_equal(json_integer_value(json_object_get(json, "users_in_several_arms")), 1);
    assert_int_equal(json_integer_value(json_object_get(json, "users")), 49);
    assert_int_equal(json_integer_value(json_object_get(json, "rows_without_arm")), 1);
    assert_int_equal(json_integer_value(json_object_get(json, "rows_immature")), 1);
    json_decref(json);
    hn_report_free(report);
    assert_ok(hn_abtest(&report, &path, 1, &(hn_abtest_options){.shares = "a=4,b=1"}, NULL, &err));
    assert_null(strstr(hn_report_text(report), "WARNING"));
    hn_report_free(report);
    unlink(path);
    hn_free(text);
}

/* A join of today's log knows what happened and not what did not. */
static void open_windows_are_warned_of(void **state) {
    (void)state;
    hn_error err = {0};
    for (int open = 3; open <= 9; open += 6) { /* 3 and 9 of 100 rows */
        hn_report *report = NULL;
        hn_text text = {0};
        hn_text_add(&text, HEAD);
        for (int u = 0; u < 100; u++)
            hn_text_add(&text, "%d,%d,u%d,i,s,%s,%s,0,\n", u, u, u, u % 2 ? "a" : "b",
                        u < open ? "" : "1");
        for (int u = 0; u < 900; u++) /* who is in no arm does not make it better */
            hn_text_add(&text, "x%d,%d,x%d,i,s,,1,0,\n", u, u, u);
        const char *const path = write_log(text.text);
        assert_ok(hn_abtest(&report, &path, 1, &(hn_abtest_options){0}, NULL, &err));
        json_t *const json = json_loads(hn_report_json(report), 0, NULL);
        assert_int_equal(json_integer_value(json_object_get(json, "rows_immature")), open);
        assert_int_equal(json_is_true(json_object_get(json, "outcomes_missing")), open > 5);
        assert_int_equal(
            strncmp(hn_report_text(report), "WARNING: OUTCOMES NOT KNOWN (of 9 %", 35) == 0,
            open > 5);
        json_decref(json);
        hn_report_free(report);
        unlink(path);
        hn_text_free(&text);
    }
}

static void every_failed_allocation_is_survived(void **state) {
    (void)state;
    char *const text = lopsided();
    const char *const path = write_log(text);
    for (int64_t n = 1;; n++) {
        hn_error err = {0};
        hn_report *report;
        hn_fault_arm(HN_FAULT_ALLOC, n);
        const hn_status status = hn_abtest(&report, &path, 1, &(hn_abtest_options){0}, NULL, &err);
        const bool reached = hn_fault_count(HN_FAULT_ALLOC) >= n;
        hn_fault_arm(HN_FAULT_ALLOC, 0);
        if (status == HN_OK) hn_report_free(report);
        if (!reached) break;
        assert_true(status == HN_NO_MEMORY || status == HN_OK);
    }
    unlink(path);
    hn_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_a_alarms_in_one_of_twenty),
        cmocka_unit_test(a_b_intervals_cover_the_true_gain),
        cmocka_unit_test(cuped_narrows_and_keeps_its_promise),
        cmocka_unit_test(estimates_are_those_worked_by_hand),
        cmocka_unit_test(what_cannot_be_told_is_not_a_number),
        cmocka_unit_test(holm_steps_down),
        cmocka_unit_test(bad_logs_are_refused_with_reasons),
        cmocka_unit_test(a_mismatch_stands_first_and_is_no_failure),
        cmocka_unit_test(open_windows_are_warned_of),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
