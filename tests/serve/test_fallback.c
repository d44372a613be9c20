/* What /v1/rank answers when the model gives no score: the previous version, base rates, the order
 * given; also when memory runs out at any place. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "serve/answers.h"
#include "serve/doors.h"
#include "support.h"

static world the_world;

/* Shares of positives among the labelled training rows of a scenario, counted here. */
static double base_rate(const char *tab, int column) {
    char path[400], line[300];
    snprintf(path, sizeof path, "%s/log.csv", the_world.folder);
    FILE *const file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    double rows = 0, ones = 0;
    while (fgets(line, sizeof line, file)) {
        char *cell[8], *at = line;
        for (int c = 0; c < 8; c++) cell[c] = strsep(&at, ",\n");
        if (atoi(cell[3]) > 2 || (tab && strcmp(cell[2], tab) != 0) || !cell[column][0]) continue;
        rows++;
        ones += cell[column][0] == '1';
    }
    fclose(file);
    return ones / rows;
}

/* An expression that has no value for the model's probability but has one for the base rate. */
static void the_prior_is_the_base_rate(void **state) {
    (void)state;
    static const char body[] = REQUEST("search", "u1", CANDIDATE("a", "3") "," CANDIDATE("b", "3"));
    const double click = base_rate("2", 6), order = base_rate("2", 7);
    doors d;
    doors_open(&d, &the_world, "");
    json_t *answer = doors_rank(&d, 200, body);
    const double p = p_of(item_of(answer, 0), "click");
    json_decref(answer);
    doors_close(&d);
    assert_true(fabs(p - click) > 1e-4);
    char yaml[200];
    snprintf(yaml, sizeof yaml, "fusion: sqrt(%s(click - %.9f)) + price\n", p > click ? "-" : "",
             (p + click) / 2);
    doors_open(&d, &the_world, yaml);
    answer = doors_rank(&d, 200, body);
    assert_string_equal(text(answer, "fallback"), "prior");
    assert_string_equal(text(answer, "version"), "model");
    near(p_of(item_of(answer, 0), "click"), click);
    near(p_of(item_of(answer, 1), "order"), order);
    near(number(item_of(answer, 0), "score"), sqrt(fabs(p - click) / 2) + 3);
    assert_string_equal(text(item_of(answer, 0), "id"), "a"); /* ties stay in their order */
    json_decref(answer);
    doors_close(&d);
    char off[300];
    snprintf(off, sizeof off, "%sfallback: [order]\n", yaml);
    doors_open(&d, &the_world, off);
    answer = doors_rank(&d, 200, body);
    assert_string_equal(text(answer, "fallback"), "order");
    json_decref(answer);
    doors_close(&d);
}

static void without_a_model(void **state) {
    (void)state;
    hn_error err = {0};
    doors d;
    doors_open(&d, &the_world, "");
    assert_ok(hn_shelf_unload(d.shelf, "main", &err));
    json_t *answer =
        doors_rank(&d, 200, REQUEST("home", "u1", CANDIDATE("b", "3") "," CANDIDATE("a", "4")));
    assert_string_equal(text(answer, "fallback"), "order");
    assert_true(json_is_null(json_object_get(answer, "version")));
    assert_string_equal(text(item_of(answer, 1), "id"), "a");
    assert_false(has_flag(answer, "unknown_scenario")); /* nobody knows */
    assert_int_equal(d.trace.unknown_scenario, 0);
    json_decref(answer);
    doors_close(&d);
    doors_open(&d, &the_world, "fallback: [prior]\n");
    assert_ok(hn_shelf_unload(d.shelf, "main", &err));
    answer = doors_rank(&d, 503, REQUEST("home", "u1", CANDIDATE("b", "3")));
    assert_string_equal(doors_code(answer), "no_model");
    json_decref(answer);
    doors_close(&d);
}

static void copy(const char *to) {
    char *bytes;
    size_t n;
    hn_error err = {0};
    assert_ok(hn_file_read(&bytes, &n, the_world.bundle_path, &err));
    support_write(to, bytes, n);
    hn_free(bytes);
}

/* The previous version was tried in vain: what comes then is the current one's. */
static void after_the_previous_version(void **state) {
    (void)state;
    hn_error err = {0};
    char path[420];
    snprintf(path, sizeof path, "%s/two", the_world.folder);
    assert_ok(hn_dir_make(path, &err));
    snprintf(path, sizeof path, "%s/two/1.hn", the_world.folder);
    copy(path);
    doors d;
    doors_open(&d, &the_world,
               "models: {main: \"%s/two\"}\nfusion: \"if(click > 0 * order, log(-click), 0)\"\n");
    snprintf(path, sizeof path, "%s/two/2.hn", the_world.folder);
    copy(path);
    assert_ok(hn_shelf_reload(d.shelf, "main", &err));
    json_t *const answer =
        doors_rank(&d, 200, REQUEST("home", "u1", CANDIDATE("b", "3") "," CANDIDATE("a", "4")));
    assert_string_equal(text(answer, "fallback"), "order");
    assert_string_equal(text(answer, "version"), "2");
    assert_string_equal(text(answer, "scenario"), "home");
    assert_string_equal(text(item_of(answer, 1), "id"), "a");
    json_decref(answer);
    doors_close(&d);
}

/* Each allocation of a request fails in turn: an answer comes in any case, and where the model's
 * own memory is at fault the previous version gives it. */
static void memory_fails(void **state) {
    (void)state;
    hn_error err = {0};
    char folder[400], path[420];
    snprintf(folder, sizeof folder, "%s/versions", the_world.folder);
    assert_ok(hn_dir_make(folder, &err));
    snprintf(path, sizeof path, "%s/1.hn", folder);
    copy(path);
    hn_text body = {0};
    hn_text_add(&body, "{\"scenario\":\"home\",\"user\":{\"id\":\"u1\"},\"candidates\":[");
    for (int i = 0; i < 300; i++)
        hn_text_add(&body, "%s" CANDIDATE("i%d", "%d"), i ? "," : "", i, i, i);
    hn_text_add(&body, "]}");
    int fallbacks = 0, refused = 0, nth = 1;
    for (bool hit = true; hit; nth++) {
        doors d;
        doors_open(&d, &the_world, "models: {main: \"%s/versions\"}\n");
        snprintf(path, sizeof path, "%s/2.hn", folder);
        copy(path);
        assert_ok(hn_shelf_reload(d.shelf, "main", &err));
        hn_fault_arm(HN_FAULT_ALLOC, nth);
        hn_exchange e = {.method = "POST",
                         .path = "/v1/rank",
                         .body = body.text,
                         .body_bytes = body.length,
                         .deadline_ns = INT64_MAX,
                         .answer_json_bytes = -1};
        hn_rank_handle(d.ranker, &e, &d.trace);
        hit = hn_fault_count(HN_FAULT_ALLOC) >= nth;
        hn_fault_arm(HN_FAULT_ALLOC, 0);
        if (!e.answer.failed) {
            json_t *const answer = json_loadb(e.answer.text, e.answer.length, 0, NULL);
            assert_non_null(answer);
            assert_true(e.status == 200 || e.status == 503);
            refused += e.status == 503;
            const char *const fallback = text(answer, "fallback");
            if (fallback) {
                assert_string_equal(fallback, "previous");
                assert_string_equal(text(answer, "version"), "1");
                assert_true(p_of(item_of(answer, 0), "click") > 0);
            }
            fallbacks += fallback != NULL;
            json_decref(answer);
        }
        hn_text_free(&e.answer);
        unlink(path);
        doors_close(&d);
    }
    assert_true(fallbacks >= 3 && refused >= 3);
    hn_text_free(&body);
}

static int setup(void **state) {
    (void)state;
    world_make(&the_world, WORLD_HINET);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    world_free(&the_world);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_prior_is_the_base_rate),
        cmocka_unit_test(without_a_model),
        cmocka_unit_test(after_the_previous_version),
        cmocka_unit_test(memory_fails),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
