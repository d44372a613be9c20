/* hn_join: what rows and labels come of exposures and events, worked by hand; that order of
 * files, memory and compression change nothing. test_join_errors.c has what is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "online/joining.h"
#include "support.h"

/* ---- Labels ---------------------------------------------------------------------------------- */

static void a_row_for_each_item(void **state) {
    (void)state;
    joining f = joining_open();
    hn_error err = {0};
    joining_put(f.exposures[0],
                "{\"request_id\":\"r2\",\"time_ms\":2000,\"user\":7,\"scenario\":\"home\","
                "\"arms\":{\"rank\":\"new\","
                "\"ads\":\"a,b\"},\"model\":\"m\",\"version\":\"3\",\"user_features\":{"
                "\"age\":31,\"tags\":[1,\"b\",null]},"
                "\"context\":{\"vip\":true,\"wifi\":false},\"items\":[{\"id\":\"i1\","
                "\"position\":1,\"features\":"
                "{\"price\":9.5,\"title\":\"say "
                "\\\"hi\\\"\"}},{\"id\":2,\"position\":2,\"features\":{\"price\":1e-7,"
                "\"age\":1}}]}\n"
                "\n"
                "{\"request_id\":\"r1\",\"time_ms\":1000,\"user\":\"ü\\n\",\"scenario\":"
                "null,\"items\":[{\"id\":\"i1\"}]}");
    joining_put(f.clicks, "time_ms,item_id,request_id\n2100,2,r2\n");
    joining_put(f.orders,
                "{\"request_id\":\"r1\",\"item\":\"i1\",\"time_ms\":1500,\"revenue\":0.1}\n");
    f.options.has_now = true;
    f.options.now_ms = 100000;
    assert_ok(joining_run(&f, &err));
    assert_csv(&f,
               "request_id,time_ms,user,item,scenario,position,model,version,arm_ads,arm_rank,tags,"
               "vip,wifi,age,price,title,click,order,order_value\n"
               "r1,1000,\"ü\n\",i1,,1,,,,,,,,,,,0,1,0.1\n"
               "r2,2000,7,i1,home,1,m,3,\"a,b\",new,1|b,1,0,31,9.5,\"say \"\"hi\"\"\",0,0,0\n"
               "r2,2000,7,2,home,2,m,3,\"a,b\",new,1|b,1,0,1,1e-07,,1,0,0\n");
    assert_int_equal(joining_told(&f, -1, "rows"), 3);
    assert_int_equal(joining_told(&f, 0, "positives"), 1);
    assert_int_equal(joining_told(&f, 0, "zeros"), 2);
    assert_string_equal(f.warnings, "");
    joining_close(&f);
}

/* One item a request, shown at 10,000; click within 1000. What is the label? */
typedef struct moment {
    const char *clicks; /* lines of "time_ms" for request r, item i */
    int64_t now, skew;
    const char *label, *counted;
} moment;

static void windows_are_half_open(void **state) {
    (void)state;
    static const moment moments[] = {
        {"10000", 99999, 0, "1", "matched"},
        {"9999", 99999, 0, "0", "early"},
        {"9999", 99999, 1, "1", "matched"},
        {"9998", 99999, 1, "0", "early"},
        {"10999", 99999, 0, "1", "matched"},
        {"11000", 99999, 0, "0", "late"},
        {"10500 10400", 99999, 0, "1", "duplicates"},
        {"9000 10400", 99999, 0, "1", "early"},
        {"99999", 10999, 0, "", "late"}, /* the window is open until 11000 */
        {"99999", 11000, 0, "0", "late"},
        {"10001", 10002, 0, "1", "matched"}, /* a 1 is known at once */
        {"9999", 5, 0, "", "early"},
    };
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        const moment *const m = &moments[i];
        joining f = joining_open();
        hn_error err = {0};
        hn_text clicks = {0};
        char times[40], expected[200];
        joining_put(f.exposures[0],
                    "{\"request_id\":\"r\",\"time_ms\":10000,\"items\":[{\"id\":\"i\"}]}\n");
        hn_text_add(&clicks, "request_id,item,time_ms,value\n");
        snprintf(times, sizeof times, "%s", m->clicks);
        for (char *at = strtok(times, " "); at; at = strtok(NULL, " "))
            hn_text_add(&clicks, "r,i,%s,%s\n", at, at);
        joining_put(f.clicks, clicks.text);
        hn_text_free(&clicks);
        f.options = (hn_join_options){.has_now = true, .now_ms = m->now, .skew_ms = m->skew};
        assert_ok(joining_run(&f, &err));
        const char *const value = strcmp(m->label, "1") != 0 ? m->label
                                  : strchr(m->clicks, ' ')   ? "10400" /* the first in the window */
                                                             : m->clicks;
        snprintf(expected, sizeof expected,
                 "request_id,time_ms,user,item,scenario,position,model,version,click,click_value\n"
                 "r,10000,,i,,1,,,%s,%s\n",
                 m->label, value);
        assert_csv(&f, expected);
        assert_int_equal(joining_told(&f, 0, m->counted), 1);
        assert_int_equal(joining_told(&f, 0, "immature"), m->label[0] == '\0');
        joining_close(&f);
    }
}

/* Without --now the latest time in any log is the end; complete rows are those before it. */
static void the_end_is_the_latest_time(void **state) {
    (void)state;
    joining f = joining_open();
    hn_error err = {0};
    joining_put(
        f.exposures[0],
        "{\"request_id\":\"a\",\"time_ms\":1000,\"items\":[{\"id\":\"i\"},{\"id\":\"j\"}]}\n"
        "{\"request_id\":\"b\",\"time_ms\":1001,\"items\":[{\"id\":\"i\"},{\"id\":\"j\"}]}\n");
    joining_put(f.clicks, "request_id,item,time_ms\nnobody,i,2000\nb,j,1500\n");
    assert_ok(joining_run(&f, &err));
    assert_int_equal(joining_told(&f, -1, "now_ms"), 2000);
    assert_int_equal(joining_told(&f, -1, "open_rows"), 2);
    assert_int_equal(joining_told(&f, 0, "open_positives"), 1);
    assert_int_equal(joining_told(&f, 0, "unknown_request"), 1);
    const char head[] = "request_id,time_ms,user,item,scenario,position,model,version,click\n"
                        "a,1000,,i,,1,,,0\na,1000,,j,,2,,,0\n";
    char all[300];
    snprintf(all, sizeof all, "%sb,1001,,i,,1,,,\nb,1001,,j,,2,,,1\n", head);
    assert_csv(&f, all);
    f.options.complete = true;
    assert_ok(joining_run(&f, &err));
    assert_csv(&f, head);
    assert_int_equal(joining_told(&f, -1, "rows"), 2);
    joining_close(&f);
}

static void a_log_that_ends_early_is_told(void **state) {
    (void)state;
    joining f = joining_open();
    hn_error err = {0};
    hn_text clicks = {0};
    hn_text_add(&clicks, "request_id\titem\ttime_ms\n");
    for (int i = 0; i < 100; i++) hn_text_add(&clicks, "r\ti\t%d\n", 1000 + i);
    joining_put(f.clicks, clicks.text);
    hn_text_free(&clicks);
    joining_put(f.exposures[0],
                "{\"request_id\":\"r\",\"time_ms\":1000,\"items\":[{\"id\":\"i\"}]}\n"
                "{\"request_id\":\"s\",\"time_ms\":3000,\"items\":[{\"id\":\"i\"}]}\n");
    assert_ok(joining_run(&f, &err));
    assert_non_null(strstr(f.warnings, "--now 1099"));
    assert_int_equal(joining_told(&f, 0, "duplicates"), 99);
    joining_put(f.clicks, "request_id,item,time_ms\nx,i,1100\n");
    assert_ok(joining_run(&f, &err));
    assert_non_null(strstr(f.warnings, "not one of 1 events"));
    joining_close(&f);
}

/* ---- Duplicates and order -------------------------------------------------------------------- */

static void a_request_counts_once(void **state) {
    (void)state;
    joining f = joining_open();
    hn_error err = {0};
    joining_put(f.exposures[0],
                "{\"request_id\":\"r\",\"time_ms\":1001,\"items\":[{\"id\":\"late\"}]}\n"
                "{\"request_id\":\"s\",\"time_ms\":900,\"items\":[]}\n"
                "{\"request_id\":\"s\",\"time_ms\":950,\"items\":[{\"id\":\"nothing was "
                "shown first\"}]}\n");
    joining_put(f.exposures[1], "{\"request_id\":\"r\",\"time_ms\":1000,\"items\":[{\"id\":\"i\","
                                "\"position\":2},{\"id\":\"j\","
                                "\"position\":1},{\"id\":\"i\",\"position\":3}]}\n");
    joining_put(f.clicks, "request_id,item,time_ms\nr,late,1100\nr,i,1100\n");
    const char *const one[] = {f.exposures[0], f.exposures[1]}, *const other[] = {one[1], one[0]};
    for (int i = 0; i < 2; i++) {
        f.options.has_now = true;
        f.options.now_ms = 9999;
        assert_ok(joining_files(&f, i == 0 ? one : other, 2, &err));
        assert_csv(&f, "request_id,time_ms,user,item,scenario,position,model,version,click\n"
                       "r,1000,,j,,1,,,0\nr,1000,,i,,2,,,1\n");
        assert_int_equal(joining_told(&f, -1, "duplicate_requests"), 2);
        assert_int_equal(joining_told(&f, -1, "duplicate_items"), 1);
        assert_int_equal(joining_told(&f, -1, "requests"), 2);
        assert_int_equal(joining_told(&f, 0, "unknown_item"), 1);
    }
    joining_close(&f);
}

/* A platform that is larger than the sorters' memory, in two files. */
static void write_many(const joining *f) {
    hn_text files[2] = {{0}, {0}}, clicks = {0};
    hn_text_add(&clicks, "request_id,item,time_ms,note\n");
    for (uint32_t r = 0; r < 4000; r++) {
        hn_text *const to = &files[r % 3 == 0];
        hn_text_add(to,
                    "{\"request_id\":\"r%u\",\"time_ms\":%u,\"user\":\"u%u\",\"user_features\":{"
                    "\"f%u\":%u},\"items\":[",
                    r, r * 7919 % 5000, r % 77, r % 5, r);
        for (uint32_t i = 0; i < 20; i++) {
            hn_text_add(to, "%s{\"id\":%u,\"features\":{\"x\":\"%u\"}}", i ? "," : "",
                        (r + i * 17) % 1000, i * r);
            if ((r + i) % 3 == 0)
                hn_text_add(&clicks, "r%u,%u,%u,\"a\n,\"\"b\"\n", r, (r + i * 17) % 1000,
                            r * 7919 % 5000 + i * 100);
        }
        hn_text_add(to, "]}\n");
    }
    for (int i = 0; i < 2; i++) support_write(f->exposures[i], files[i].text, files[i].length);
    support_write(f->clicks, clicks.text, clicks.length);
    for (int i = 0; i < 2; i++) hn_text_free(&files[i]);
    hn_text_free(&clicks);
}

static void memory_and_order_change_nothing(void **state) {
    (void)state;
    joining f = joining_open();
    hn_error err = {0};
    write_many(&f);
    const char *const one[] = {f.exposures[0], f.exposures[1]}, *const other[] = {one[1], one[0]};
    assert_ok(joining_files(&f, one, 2, &err));
    char *const first = strdup(f.csv.text);
    assert_int_equal(joining_told(&f, -1, "rows"), 80000);
    assert_int_equal(joining_told(&f, 0, "matched") + joining_told(&f, 0, "late"),
                     joining_told(&f, 0, "events"));
    f.run.memory_bytes = 1 << 20; /* the sorters' least: all of them spill */
    assert_ok(joining_files(&f, other, 2, &err));
    assert_true(strcmp(first, f.csv.text) == 0);
    int64_t before = -1;
    for (const char *at = strchr(first, '\n') + 1; *at; at = strchr(at, '\n') + 1) {
        const int64_t time = strtoll(strchr(at, ',') + 1, NULL, 10);
        assert_true(time >= before);
        before = time;
    }
    free(first);
    joining_close(&f);
}

/* ---- Columns --------------------------------------------------------------------------------- */

static void names_that_are_taken_get_others(void **state) {
    (void)state;
    joining f = joining_open();
    hn_error err = {0};
    joining_put(f.exposures[0],
                "{\"request_id\":\"r\",\"time_ms\":1,\"arms\":{\"x\":\"A\"},\"user_"
                "features\":{\"user\":1,\"a\\\"b\":2},\"context\":"
                "{\"arm_x\":3,\"scenario\":4,\"context_scenario\":5},\"items\":[{\"id\":"
                "\"i\",\"features\":{\"click\":6,\"position\":7,"
                "\"p,q\":8}}]}\n");
    joining_put(f.clicks, "request_id,item,time_ms\n");
    assert_ok(joining_run(&f, &err));
    assert_csv(&f, "request_id,time_ms,user,item,scenario,position,model,version,arm_x,\"a\"\"b\","
                   "user_user,context_arm_x,"
                   "context_scenario,context_scenario_,item_click,\"p,q\",item_position,click\n"
                   "r,1,,i,,1,,,A,2,1,3,5,4,6,8,7,\n");
    joining_close(&f);
}

static void only_columns_asked_for(void **state) {
    (void)state;
    static const char *const columns[] = {"b", "never", "a"};
    joining f = joining_open();
    hn_error err = {0};
    joining_put(f.exposures[0], "{\"request_id\":\"r\",\"time_ms\":1,\"arms\":{\"x\":\"A\"},\"user_"
                                "features\":{\"a\":1,\"c\":{}},"
                                "\"items\":[{\"id\":\"i\",\"features\":{\"b\":2,\"d\":3}}]}\n");
    joining_put(f.clicks, "request_id,item,time_ms\n");
    f.options.columns = columns;
    f.options.n_columns = 3;
    assert_ok(joining_run(&f, &err));
    assert_csv(
        &f, "request_id,time_ms,user,item,scenario,position,model,version,arm_x,b,never,a,click\n"
            "r,1,,i,,1,,,A,2,,1,\n");
    f.options.n_columns = 0; /* none at all */
    assert_ok(joining_run(&f, &err));
    assert_csv(&f, "request_id,time_ms,user,item,scenario,position,model,version,arm_x,click\nr,1,,"
                   "i,,1,,,A,\n");
    joining_close(&f);
}

/* A sample of lines has features; candidates may come without an id. */
static void rows_without_features_can_be_left_out(void **state) {
    (void)state;
    joining f = joining_open();
    hn_error err = {0};
    joining_put(f.exposures[0],
                "{\"request_id\":\"r\",\"time_ms\":1,\"items\":[{\"id\":\"i\"},{\"id\":null}]}\n"
                "{\"request_id\":\"s\",\"time_ms\":2,\"user_features\":{},\"items\":[{\"id\":null},"
                "{\"id\":\"j\"}]}\n");
    joining_put(f.clicks, "request_id,item,time_ms\nr,i,3\n");
    f.options.with_features = true;
    assert_ok(joining_run(&f, &err));
    assert_csv(
        &f, "request_id,time_ms,user,item,scenario,position,model,version,click\ns,2,,j,,2,,,\n");
    assert_int_equal(joining_told(&f, -1, "rows_without_features"), 1);
    assert_int_equal(joining_told(&f, -1, "items_without_id"), 2);
    assert_int_equal(joining_told(&f, 0, "matched"), 1);
    f.options.with_features = false;
    assert_ok(joining_run(&f, &err));
    assert_int_equal(joining_told(&f, -1, "rows"), 2);
    joining_close(&f);
}

/* Numbers are as a server reads them: whole ones as they are, others in their shortest text. */
static void numbers_have_one_text(void **state) {
    (void)state;
    static const struct {
        const char *json, *cell;
    } cases[] = {
        {"1.50", "1.5"},
        {"1.0", "1"},
        {"-0", "0"},
        {"-0.0", "-0"},
        {"0.0001", "0.0001"},
        {"0.00001", "1e-05"},
        {"-0.00025", "-0.00025"},
        {"1E3", "1000"},
        {"12345678901234567890123", "12345678901234567890123"},
        {"123456789.123456", "123456789.123456"},
        {"0.1234567890123456789", "0.12345678901234568"},
        {"9007199254740993.0", "9007199254740992"},
        {"1e15", "1e+15"},
        {"123456789012345.5", "123456789012345.5"},
        {"0.30000000000000004", "0.30000000000000004"},
        {"[1.50,\"a\",null,true]", "1.5|a|1"},
        {"[]", ""},
        {"\"\"", ""},
        {"false", "0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        joining f = joining_open();
        hn_error err = {0};
        char text[300];
        snprintf(text, sizeof text,
                 "{\"request_id\":18446744073709551615,\"time_ms\":1.5e1,\"items\":[{\"id\":-7,"
                 "\"features\":{\"x\":%s}}]}",
                 cases[i].json);
        joining_put(f.exposures[0], text);
        joining_put(f.clicks, "request_id,item,time_ms\n18446744073709551615,-7,16\n");
        assert_ok(joining_run(&f, &err));
        snprintf(text, sizeof text,
                 "request_id,time_ms,user,item,scenario,position,model,version,x,"
                 "click\n18446744073709551615,15,,-7,,1,,,%s,1\n",
                 cases[i].cell);
        assert_csv(&f, text);
        joining_close(&f);
    }
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* A server's file under way: whole frames, and the begin of one. */
static void a_part_is_read_to_its_last_frame(void **state) {
    (void)state;
    joining f = joining_open();
    hn_error err = {0};
    static const char good[] = "{\"request_id\":\"r\",\"time_ms\":1,\"items\":[{\"id\":\"i\"}]}\n";
    char frames[1000], path[300];
    const size_t first = ZSTD_compress(frames, sizeof frames, good, strlen(good), 3);
    const size_t second =
        ZSTD_compress(frames + first, sizeof frames - first, good, strlen(good), 3);
    assert_false(ZSTD_isError(first) || ZSTD_isError(second));
    snprintf(path, sizeof path, "%s/x.jsonl.zst.part", f.dir);
    support_write(path, frames, first + second - 7);
    joining_put(f.clicks, "\xef\xbb\xbfrequest_id,item,time_ms\r\nr,i,1\r\n");
    const char *const part = path;
    assert_ok(joining_files(&f, &part, 1, &err));
    assert_int_equal(joining_told(&f, -1, "lines"), 1);
    assert_csv(
        &f, "request_id,time_ms,user,item,scenario,position,model,version,click\nr,1,,i,,1,,,1\n");
    support_write(f.exposures[0], frames, first + second - 7); /* a finished file must be whole */
    err = (hn_error){0};
    assert_true(joining_run(&f, &err) != HN_OK);
    assert_non_null(strstr(err.text, "e0.jsonl"));
    joining_close(&f);
}

static void empty_logs_give_a_header(void **state) {
    (void)state;
    joining f = joining_open();
    hn_error err = {0};
    joining_put(f.exposures[0], "");
    joining_put(f.clicks, "");
    joining_put(f.orders, "\n\n");
    assert_ok(joining_run(&f, &err));
    assert_csv(&f, "request_id,time_ms,user,item,scenario,position,model,version,click,order\n");
    assert_int_equal(joining_told(&f, -1, "rows"), 0);
    joining_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_for_each_item),
        cmocka_unit_test(windows_are_half_open),
        cmocka_unit_test(the_end_is_the_latest_time),
        cmocka_unit_test(a_log_that_ends_early_is_told),
        cmocka_unit_test(a_request_counts_once),
        cmocka_unit_test(memory_and_order_change_nothing),
        cmocka_unit_test(names_that_are_taken_get_others),
        cmocka_unit_test(only_columns_asked_for),
        cmocka_unit_test(rows_without_features_can_be_left_out),
        cmocka_unit_test(numbers_have_one_text),
        cmocka_unit_test(a_part_is_read_to_its_last_frame),
        cmocka_unit_test(empty_logs_give_a_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
