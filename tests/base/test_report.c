/* Text, tables, reports, the run's callbacks, and layouts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/report.h"
#include "base/rows.h"
#include "support.h"

static void text_grows(void **state) {
    (void)state;
    hn_text text = {0};
    size_t expected = 0;
    for (int i = 0; i < 3000; i++) {
        hn_text_add(&text, "%d,", i);
        hn_text_bytes(&text, "ab", 2);
        expected += (size_t)snprintf(NULL, 0, "%d,ab", i);
    }
    assert_int_equal(text.length, expected);
    assert_int_equal(strlen(text.text), expected);
    assert_memory_equal(text.text, "0,ab1,ab2,ab", 12);
    hn_text_free(&text);
    assert_null(text.text);
}

static void a_failed_text_stays_failed(void **state) {
    (void)state;
    const int64_t held = hn_memory_held();
    hn_text text = {0};
    hn_text_add(&text, "something");
    hn_fault_arm(HN_FAULT_ALLOC, 1);
    for (int i = 0; i < 100; i++) hn_text_add(&text, "something more");
    hn_fault_arm(HN_FAULT_ALLOC, 0);
    hn_text_add(&text, "and on");
    assert_true(text.failed);
    assert_null(text.text);
    assert_int_equal(hn_memory_held(), held);
}

static void table_aligns(void **state) {
    (void)state;
    hn_text text = {0};
    hn_grid *const grid = hn_grid_create(3);
    static const char *const cells[] = {"scenario", "task", "auc", "caf\xc3\xa9", "click", "0.5",
                                        "a",        "buy",  "-",   "bb",          "x",     "12.25"};
    for (size_t i = 0; i < 12; i++) hn_grid_cell(grid, "%s", cells[i]);
    hn_grid_render(grid, &text);
    assert_string_equal(text.text, "scenario  task     auc\n"
                                   "----------------------\n"
                                   "caf\xc3\xa9      click    0.5\n"
                                   "a         buy        -\n"
                                   "bb        x      12.25\n");
    hn_text_free(&text);
}

static void words_and_numbers_mixed_align_left(void **state) {
    (void)state;
    hn_text text = {0};
    hn_grid *const grid = hn_grid_create(2);
    static const char *const cells[] = {"what", "n", "1", "1234 rows", "two", "5"};
    for (size_t i = 0; i < 6; i++) hn_grid_cell(grid, "%s", cells[i]);
    hn_grid_render(grid, &text);
    assert_string_equal(text.text, "what  n\n---------------\n1     1234 rows\ntwo   5\n");
    hn_text_free(&text);
}

static void an_unfinished_or_empty_table_is_fine(void **state) {
    (void)state;
    hn_text text = {0};
    hn_grid *grid = hn_grid_create(2);
    hn_grid_render(grid, &text);
    assert_int_equal(text.length, 0);
    grid = hn_grid_create(2);
    for (int i = 0; i < 3; i++) hn_grid_cell(grid, "%d", i);
    hn_grid_render(grid, &text);
    assert_string_equal(text.text, "0  1\n----\n2\n");
    hn_text_free(&text);
    assert_null(hn_grid_create(0));
    hn_grid_cell(NULL, "x");
    hn_grid_render(NULL, &text);
    assert_true(text.failed);
}

static hn_status report_of_everything(void *user, hn_error *err) {
    (void)user;
    hn_text text = {0};
    hn_grid *const grid = hn_grid_create(2);
    for (int i = 0; i < 40; i++) hn_grid_cell(grid, "%d", i);
    hn_text_add(&text, "title\n");
    hn_grid_render(grid, &text);
    hn_report *report = NULL;
    const hn_status status =
        hn_report_create(&report, json_pack("{s:f,s:[i,i]}", "auc", 0.1, "n", 1, 2), &text, err);
    if (status == HN_OK) {
        assert_int_equal(strncmp(hn_report_text(report), "title\n", 6), 0);
        json_t *const json = json_loads(hn_report_json(report), 0, NULL);
        assert_non_null(json);
        assert_true(json_real_value(json_object_get(json, "auc")) == 0.1);
        assert_non_null(strstr(hn_report_json(report), "0.1,"));
        json_decref(json);
    } else {
        assert_null(report);
    }
    hn_report_free(report);
    return status;
}

static void reports_hold_text_and_json(void **state) {
    (void)state;
    hn_error err = {0};
    assert_ok(report_of_everything(NULL, &err));
    hn_text nothing = {0};
    hn_report *report = NULL;
    assert_ok(hn_report_create(&report, json_object(), &nothing, &err));
    assert_string_equal(hn_report_text(report), "");
    assert_string_equal(hn_report_json(report), "{}");
    hn_report_free(report);
    hn_report_free(NULL);
    hn_text text = {0};
    hn_text_add(&text, "taken over also on failure");
    assert_fails(HN_NO_MEMORY, "report", hn_report_create(&report, NULL, &text, &err));
    assert_null(report);
    assert_null(text.text);
}

static void reports_survive_failing_allocations(void **state) {
    (void)state;
    assert_true(support_fail_each(HN_FAULT_ALLOC, report_of_everything, NULL) >= 6);
}

static char said[3000];
static hn_log_level said_level;
static void listen(void *user, hn_log_level level, const char *line) {
    assert_ptr_equal(user, said);
    said_level = level;
    snprintf(said, sizeof said, "%s", line);
}

static void the_run_is_spoken_to(void **state) {
    (void)state;
    hn_run run = hn_run_default();
    assert_int_equal(run.threads, 0);
    assert_null(run.out_dir);
    hn_say(NULL, HN_LOG_INFO, "nobody");
    hn_say(&run, HN_LOG_INFO, "nobody");
    assert_false(hn_stopped(NULL));
    assert_false(hn_stopped(&run));
    run.log = listen;
    run.user = said;
    hn_say(&run, HN_LOG_WARNING, "cell %s is dead", "(1, click)");
    assert_string_equal(said, "cell (1, click) is dead");
    assert_int_equal(said_level, HN_LOG_WARNING);
    volatile int stop = 0;
    run.stop = &stop;
    assert_false(hn_stopped(&run));
    stop = 1;
    assert_true(hn_stopped(&run));
}

static hn_status copy_layout(void *user, hn_error *err) {
    const hn_layout *const layout = user;
    hn_layout copy;
    memset(&copy, 0xff, sizeof copy);
    const hn_status status = hn_layout_copy(&copy, layout, err);
    if (status != HN_OK) {
        assert_null(copy.inputs);
        assert_null(copy.tables);
        return status;
    }
    assert_int_equal(copy.n_inputs, layout->n_inputs);
    assert_int_equal(copy.width, layout->width);
    assert_int_equal(copy.tasks, layout->tasks);
    for (int32_t i = 0; i < copy.n_inputs; i++) {
        assert_string_equal(copy.inputs[i].name, layout->inputs[i].name);
        assert_ptr_not_equal(copy.inputs[i].name, layout->inputs[i].name);
        assert_int_equal(copy.inputs[i].column, layout->inputs[i].column);
    }
    for (int32_t i = 0; i < copy.n_tables; i++) {
        assert_string_equal(copy.tables[i].name, layout->tables[i].name);
        assert_int_equal(copy.tables[i].rows, layout->tables[i].rows);
    }
    hn_layout_free(&copy);
    hn_layout_free(&copy);
    return status;
}

static void layouts_are_copied_deeply(void **state) {
    (void)state;
    char user_id[] = "user_id", age[] = "age";
    hn_input inputs[] = {{.name = user_id, .width = 8},
                         {.name = age, .width = 1, .column = 8, .table = -1}};
    hn_embedding tables[] = {{.name = user_id, .rows = 100, .width = 8}};
    hn_layout layout = {.inputs = inputs,
                        .n_inputs = 2,
                        .tables = tables,
                        .n_tables = 1,
                        .width = 9,
                        .shared_width = 9,
                        .scenarios = 2,
                        .tasks = 3};
    assert_int_equal(support_fail_each(HN_FAULT_ALLOC, copy_layout, &layout), 5);
    layout.n_inputs = layout.n_tables = 0;
    hn_error err = {0};
    assert_ok(copy_layout(&layout, &err));
    hn_layout zero = {0};
    hn_layout_free(&zero);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows),
        cmocka_unit_test(a_failed_text_stays_failed),
        cmocka_unit_test(table_aligns),
        cmocka_unit_test(words_and_numbers_mixed_align_left),
        cmocka_unit_test(an_unfinished_or_empty_table_is_fine),
        cmocka_unit_test(reports_hold_text_and_json),
        cmocka_unit_test(reports_survive_failing_allocations),
        cmocka_unit_test(the_run_is_spoken_to),
        cmocka_unit_test(layouts_are_copied_deeply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
