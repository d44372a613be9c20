/* hn_join: what is said of lines, files and options that are wrong, and faults survived. */
#include <stdio.h>
#include <string.h>

#include "online/joining.h"
#include "support.h"

/* ---- What cannot be read --------------------------------------------------------------------- */

#define GOOD "{\"request_id\":\"r\",\"time_ms\":1,\"items\":[{\"id\":\"i\"}]}\n"
#define HEAD "request_id,item,time_ms,value\n"

static void bad_lines_are_named(void **state) {
    (void)state;
    static const struct {
        const char *exposures, *clicks, *words;
    } cases[] = {
        {GOOD "{\"a\":\n", HEAD, "e0.jsonl:2:"},
        {"[]\n", HEAD, "found a list; expected an exposure"},
        {"{\"request_id\":1,\"time_ms\":1,\"context\":{\"a\\nb\":1},\"items\":[]}", HEAD,
         "context: found a name of 3 bytes"},
        {"{\"request_id\":1,\"time_ms\":1,\"context\":{\"a\":1e999},\"items\":[]}", HEAD,
         "context.a: found a number"},
        {"\"r\"", HEAD, "e0.jsonl:1:"},
        {"{\"request_id\":\"\xff\"}", HEAD, "e0.jsonl:1:"},
        {GOOD "{\"request_id\":1} {}", HEAD, "e0.jsonl:2:"},
        {"{\"time_ms\":1,\"items\":[]}", HEAD, "request_id: found nothing"},
        {"{\"request_id\":\"\",\"time_ms\":1,\"items\":[]}", HEAD,
         "request_id: found an empty string"},
        {"{\"request_id\":[1],\"time_ms\":1,\"items\":[]}", HEAD, "request_id: found a list"},
        {"{\"request_id\":1,\"time_ms\":\"1\",\"items\":[]}", HEAD, "time_ms: found a string"},
        {"{\"request_id\":1,\"time_ms\":-1,\"items\":[]}", HEAD, "time_ms: found a number"},
        {"{\"request_id\":1,\"time_ms\":1.5,\"items\":[]}", HEAD, "time_ms"},
        {"{\"request_id\":1,\"time_ms\":1e300,\"items\":[]}", HEAD, "time_ms"},
        {"{\"request_id\":1,\"time_ms\":1,\"items\":{}}", HEAD, "items: found an object"},
        {"{\"request_id\":1,\"time_ms\":1,\"items\":[3]}", HEAD, "items[0]: found a number"},
        {"{\"request_id\":1,\"time_ms\":1,\"items\":[{\"id\":1},{\"id\":{}}]}", HEAD,
         "items[1].id: found an object"},
        {"{\"request_id\":1,\"time_ms\":1,\"items\":[{\"id\":1,\"position\":-1}]}", HEAD,
         "items[0].position"},
        {"{\"request_id\":1,\"time_ms\":1,\"items\":[{\"id\":1,\"features\":{\"x\":[[1]]}}]}", HEAD,
         "items[0].features.x: found a list"},
        {"{\"request_id\":1,\"time_ms\":1,\"items\":[{\"id\":1,\"features\":{\"x\":[\"a|b\"]}}]}",
         HEAD, "without \"|\""},
        {"{\"request_id\":1,\"time_ms\":1,\"items\":[{\"id\":1,\"features\":[]}]}", HEAD,
         "features: found a list"},
        {"{\"request_id\":1,\"time_ms\":1,\"user\":{},\"items\":[]}", HEAD,
         "user: found an object"},
        {"{\"request_id\":1,\"time_ms\":1,\"context\":3,\"items\":[]}", HEAD,
         "context: found a number"},
        {GOOD, HEAD "r,i\n", "clicks.csv:2:3: found 2 columns; expected 4"},
        {GOOD, HEAD "r,i,2,,\n", "clicks.csv:2:5: found 5 columns; expected 4"},
        {GOOD, HEAD "\nr,i,now,\n", "clicks.csv:3:3: time_ms: found \"now\""},
        {GOOD, HEAD "r,i,2,cheap\n", "clicks.csv:2:4: value: found \"cheap\"; expected a number"},
        {GOOD, HEAD "r,i,2,inf\n", "value: found \"inf\""},
        {GOOD, HEAD ",i,2,\n", "clicks.csv:2:1: request_id: found nothing"},
        {GOOD, HEAD "r,,2,\n", "clicks.csv:2:2: item: found nothing"},
        {GOOD, HEAD "\"a\nb\",i,2,\n\"r\"x,i,2,\n", "clicks.csv:4:1: found a quote out of place"},
        {GOOD, HEAD "r,\"i,2,\n", "clicks.csv:2:2: found a quote out of place"},
        {GOOD, "{\"request_id\":\"r\"\n", "clicks.csv:1:"},
        {GOOD, "{\"request_id\":\"r\",\"item\":\"i\",\"time_ms\":5}\n{\"request_id\":\"r\"}\n",
         "clicks.csv:2: item: found nothing"},
        {GOOD, "{\"request_id\":\"r\",\"item\":[1],\"time_ms\":5}\n",
         "clicks.csv:1: found a member"},
        {GOOD, "{}\n[]\n", "clicks.csv:1: request_id: found nothing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        joining f = joining_open();
        hn_error err = {0};
        joining_put(f.exposures[0], cases[i].exposures);
        joining_put(f.clicks, cases[i].clicks);
        assert_fails(HN_BAD_DATA, cases[i].words, joining_run(&f, &err));
        f.options.bad_lines = 2; /* and the rest is as if they were not there */
        assert_ok(joining_run(&f, &err));
        assert_true(joining_told(&f, -1, "bad_lines") >= 1);
        const json_t *const shown = json_array_get(json_object_get(f.report, "bad_examples"), 0);
        assert_non_null(strstr(json_string_value(shown), cases[i].words));
        const bool good = strncmp(cases[i].exposures, GOOD, strlen(GOOD)) == 0;
        assert_int_equal(joining_told(&f, -1, "rows"), good);
        joining_close(&f);
    }
}

/* A header that does not fit is no bad line: nothing of its file could be used. */
static void bad_files_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *clicks, *words;
    } cases[] = {
        {"request_id,time_ms\n", "clicks.csv:1: there is no column \"item\""},
        {"id,item,time_ms\n", "there is no column \"request_id\""},
        {"request_id,item,item_id,time_ms\n", "clicks.csv:1:3: found \"item_id\" beside column 2"},
        {"request_id,\"item,time_ms\n", "clicks.csv:1:2: found a quote out of place"},
        {"PAR1", "is a Parquet file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        joining f = joining_open();
        hn_error err = {0};
        joining_put(f.exposures[0], GOOD);
        joining_put(f.clicks, cases[i].clicks);
        f.options.bad_lines = 100;
        assert_fails(HN_BAD_DATA, cases[i].words, joining_run(&f, &err));
        joining_close(&f);
    }
}

static void bad_lines_have_a_limit(void **state) {
    (void)state;
    joining f = joining_open();
    hn_error err = {0};
    joining_put(f.exposures[0],
                "{\"request_id\":9,\"time_ms\":1,\"arms\":{\"no\":1},\"context\":{\"no\":1}"
                ",\"items\":[8]}\n" GOOD "x\ny\n");
    joining_put(f.clicks, HEAD);
    f.options.bad_lines = 2;
    assert_fails(HN_BAD_DATA, "and 2 lines before", joining_run(&f, &err));
    f.options.bad_lines = 3;
    assert_ok(joining_run(&f, &err));
    assert_int_equal(joining_told(&f, -1, "bad_lines"), 3);
    assert_csv(&f, "request_id,time_ms,user,item,scenario,position,model,version,click,click_"
                   "value\nr,1,,i,,1,,,,\n");
    joining_close(&f);
}

/* What a server answers, it logs; what it logs can be joined. */
static void odd_ids_are_joined(void **state) {
    (void)state;
    joining f = joining_open();
    hn_error err = {0};
    joining_put(f.exposures[0], "{\"request_id\":1.50,\"time_ms\":1,\"items\":[{\"id\":\"\"},"
                                "{\"id\":2.5},{\"id\":123456789012345678901234}]}\n");
    joining_put(f.clicks, HEAD "1.5,2.5,2,\n");
    f.options.has_now = true;
    f.options.now_ms = 1 << 30;
    assert_ok(joining_run(&f, &err));
    assert_csv(&f, "request_id,time_ms,user,item,scenario,position,model,version,click,click_"
                   "value\n1.5,1,,2.5,,2,,,1,\n"
                   "1.5,1,,123456789012345678901234,,3,,,0,0\n");
    joining_close(&f);
}

/* A line that is left out leaves nothing behind, not even the group of a known column. */
static void bad_lines_move_no_columns(void **state) {
    (void)state;
    joining f = joining_open();
    hn_error err = {0};
    joining_put(
        f.exposures[0],
        "{\"request_id\":1,\"time_ms\":1,\"user_features\":{\"z\":1},\"items\":[{\"id\":1,"
        "\"features\":{\"a\":2}}]}\n"
        "{\"request_id\":2,\"time_ms\":1,\"items\":[{\"id\":1,\"features\":{\"z\":1}},8]}\n");
    joining_put(f.clicks, HEAD);
    f.options.bad_lines = 1;
    assert_ok(joining_run(&f, &err));
    assert_csv(&f, "request_id,time_ms,user,item,scenario,position,model,version,z,a,click,click_"
                   "value\n1,1,,1,,1,,,1,2,,\n");
    joining_close(&f);
}

static hn_status fail_to_write(void *user, const void *bytes, size_t n, hn_error *err) {
    (void)user, (void)bytes, (void)n;
    return hn_fail(err, HN_IO_FAILED, "the disk is full");
}

static void wrong_use_is_told(void **state) {
    (void)state;
    joining f = joining_open();
    hn_error err = {0};
    hn_report *report;
    joining_put(f.exposures[0], GOOD);
    joining_put(f.clicks, HEAD);
    const char *const exposures = f.exposures[0], *const clicks = f.clicks,
                      *const none = "no-such-*";
    static const char *const twice[] = {"a", "a"};
    hn_join_event events[2] = {{"click", &clicks, 1, 1}, {"click", &clicks, 1, 1}};
    hn_join_options o = {.events = events, .n_events = 0};
#define refused(status, words)  \
    assert_fails(status, words, \
                 hn_join(&report, &exposures, 1, &o, joining_collect, &f.csv, &f.run, &err))
    f.run.user = &f;
    refused(HN_USAGE, "found 0 events");
    o.n_events = 2;
    refused(HN_USAGE, "\"click\" is given twice");
    events[1].task = "user";
    refused(HN_USAGE, "cannot be called \"user\"");
    events[1].task = "";
    refused(HN_USAGE, "no usable name");
    o.n_events = 1;
    events[0].window_ms = 0;
    refused(HN_USAGE, "a window of 0 ms");
    events[0].window_ms = 1;
    o.skew_ms = -1;
    refused(HN_USAGE, "negative");
    o.skew_ms = 0;
    o.columns = twice, o.n_columns = 2;
    refused(HN_USAGE, "\"a\" is named twice");
    o.columns = NULL, o.n_columns = 0;
    events[0].files = &none;
    refused(HN_NO_INPUT, "no-such-*");
    events[0].files = &clicks;
    const int stop = 1;
    f.run.stop = &stop;
    refused(HN_INTERRUPTED, "stopped");
    f.run.stop = NULL;
    assert_fails(HN_IO_FAILED, "the disk is full",
                 hn_join(&report, &exposures, 1, &o, fail_to_write, NULL, &f.run, &err));
    joining_close(&f);
}

static hn_status join_again(void *user, hn_error *err) {
    joining *const f = user;
    const char *const exposures = f->exposures[0], *const clicks = f->clicks,
                      *const orders = f->orders;
    const hn_join_event events[] = {{"click", &clicks, 1, 1000}, {"order", &orders, 1, 5000}};
    const hn_join_options o = {.events = events, .n_events = 2, .bad_lines = 9};
    hn_report *report;
    hn_text csv = {0};
    const hn_status status =
        hn_join(&report, &exposures, 1, &o, joining_collect, &csv, &f->run, err);
    hn_report_free(report);
    hn_text_free(&csv);
    if (status == HN_NO_MEMORY && !err->text[0]) return hn_fail(err, status, "collecting");
    return status;
}

static void every_fault_is_survived(void **state) {
    (void)state;
    joining f = joining_open();
    f.run.log = NULL;
    joining_put(f.exposures[0],
                GOOD "bad\n{\"request_id\":2,\"time_ms\":7,\"arms\":{\"x\":1},\"user_"
                     "features\":{\"l\":[1,2]},\"items\":[{\"id\":3}]}\n");
    joining_put(f.clicks, HEAD "r,\"i\",3,\n2,3,9,1\n");
    joining_put(f.orders, "{\"request_id\":2,\"item\":3,\"time_ms\":8,\"value\":2.5}\n");
    assert_true(support_fail_each(HN_FAULT_ALLOC, join_again, &f) > 20);
    assert_true(support_fail_each(HN_FAULT_READ, join_again, &f) > 3);
    assert_true(support_fail_each(HN_FAULT_WRITE, join_again, &f) >= 1);
    joining_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_lines_are_named),       cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(bad_lines_have_a_limit),    cmocka_unit_test(odd_ids_are_joined),
        cmocka_unit_test(bad_lines_move_no_columns), cmocka_unit_test(wrong_use_is_told),
        cmocka_unit_test(every_fault_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
