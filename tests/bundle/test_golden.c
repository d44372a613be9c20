/* Golden rows: a bundle that computes what was trained passes, through names, joins, lists and
 * rates; any other one is refused with the row named. The stored logits come from the log's
 * own reader, so the check is of one door against another. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/golden.h"
#include "bundle/world.h"
#include "support.h"

static world w;

static int set_up(void **state) {
    (void)state;
    world_make(&w, WORLD_HINET);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    world_free(&w);
    return 0;
}

static hn_bundle *with_golden(const json_t *golden) {
    hn_error err = {0};
    hn_bundle *bundle;
    char path[400];
    snprintf(path, sizeof path, "%s/golden.hn", w.folder);
    hn_bundle_parts parts = world_parts(&w);
    parts.golden = golden;
    assert_ok(hn_bundle_write(path, &parts, &err));
    assert_ok(hn_bundle_open(&bundle, path, &err));
    return bundle;
}

static json_t *row_of(const json_t *golden, size_t row) {
    return json_array_get(json_object_get(golden, "rows"), row);
}

static void a_sound_bundle_passes(void **state) {
    (void)state;
    hn_error err = {0};
    json_t *const golden = world_golden(&w);
    const size_t rows = json_array_size(json_object_get(golden, "rows"));
    assert_true(rows > 60); /* of 240, half are held out */
    hn_bundle *const bundle = with_golden(golden);
    assert_ok(hn_bundle_verify(bundle, &err));
    /* to the bit, on this machine */
    hn_real *const logits = calloc(rows * WORLD_TASKS, sizeof *logits);
    const hn_golden_scorer with = {bundle->config, bundle->schema, bundle->tables, bundle->scorer};
    assert_ok(hn_golden_score(logits, &with, golden, &err));
    for (size_t r = 0; r < rows; r++)
        for (int32_t t = 0; t < WORLD_TASKS; t++)
            assert_true((double)logits[r * WORLD_TASKS + (size_t)t] ==
                        hn_golden_logit(golden, r, t));
    free(logits);
    hn_report *report;
    assert_ok(hn_info(&report, bundle, &err));
    assert_non_null(strstr(hn_report_text(report), "scored as when it was trained"));
    hn_report_free(report);
    hn_bundle_close(bundle);
    json_decref(golden);
}

static void one_without_golden_rows_passes(void **state) {
    (void)state;
    hn_error err = {0};
    hn_bundle *bundle;
    assert_ok(hn_bundle_open(&bundle, w.bundle_path, &err));
    assert_null(bundle->golden);
    assert_ok(hn_bundle_verify(bundle, &err));
    hn_bundle_close(bundle);
}

static void move_logit(const json_t *golden, double by) {
    json_t *const logits = json_object_get(row_of(golden, 7), "logits");
    json_array_set_new(logits, 1, json_real(hn_golden_logit(golden, 7, 1) + by));
}

static void other_scores_are_refused(void **state) {
    (void)state;
    hn_error err = {0};
    json_t *const golden = world_golden(&w);
    const double size = fmax(1, fabs(hn_golden_logit(golden, 7, 1)));
    move_logit(golden, 0.5e-4 * size);
    hn_bundle *bundle = with_golden(golden);
    assert_ok(hn_bundle_verify(bundle, &err));
    hn_bundle_close(bundle);
    move_logit(golden, 1e-4 * size);
    bundle = with_golden(golden);
    assert_fails(HN_BAD_DATA, "golden row 8", hn_bundle_verify(bundle, &err));
    assert_non_null(strstr(err.text, "logit of order"));
    hn_report *report;
    assert_ok(hn_info(&report, bundle, &err));
    assert_non_null(strstr(hn_report_text(report), "golden row 8"));
    hn_report_free(report);
    hn_bundle_close(bundle);
    json_decref(golden);
}

/* The text of one cell is another one's: what the encoding makes of it is checked too. */
static void another_encoding_is_refused(void **state) {
    (void)state;
    hn_error err = {0};
    json_t *const golden = world_golden(&w), *const columns = json_object_get(golden, "columns");
    for (size_t c = 0; c < json_array_size(columns); c++) {
        json_t *const cells = json_object_get(row_of(golden, 3), "cells"), *const old = json_incref(
                                                                               json_array_get(cells,
                                                                                              c));
        const char *const name = json_string_value(json_array_get(columns, c));
        const bool number = strcmp(name, "log.price") == 0;
        json_array_set_new(cells, c, json_string(number ? "49.75" : "nobody"));
        hn_bundle *const bundle = with_golden(golden);
        if (hn_bundle_verify(bundle, &err) == HN_OK) fail_msg("%s is not checked", name);
        hn_bundle_close(bundle);
        json_array_set_new(cells, c, json_string(number ? "dear" : ""));
        hn_bundle *const other = with_golden(golden);
        if (number)
            assert_fails(HN_BAD_DATA, "golden row 4, column \"log.price\"",
                         hn_bundle_verify(other, &err));
        hn_bundle_close(other);
        json_array_set_new(cells, c, old);
    }
    json_decref(golden);
}

static void a_column_that_is_not_read_is_told(void **state) {
    (void)state;
    hn_error err = {0};
    json_t *const golden = world_golden(&w);
    json_array_set_new(json_object_get(golden, "columns"), 0, json_string("log.shoe_size"));
    hn_bundle *const bundle = with_golden(golden);
    assert_fails(HN_BAD_DATA, "shoe_size", hn_bundle_verify(bundle, &err));
    hn_bundle_close(bundle);
    json_decref(golden);
}

static void wrong_forms_are_refused_when_opened(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{}",
        "{\"columns\": [], \"rows\": 3}",
        "{\"columns\": [3], \"rows\": []}",
        "{\"columns\": [\"log.a\"], \"rows\": [{\"scenario\": 0, \"cells\": [], \"logits\": [0, "
        "0]}]}",
        "{\"columns\": [\"log.a\"], \"rows\": [{\"scenario\": 3, \"cells\": [null], \"logits\": "
        "[0, 0]}]}",
        "{\"columns\": [\"log.a\"], \"rows\": [{\"scenario\": -1, \"cells\": [null], \"logits\": "
        "[0, 0]}]}",
        "{\"columns\": [\"log.a\"], \"rows\": [{\"scenario\": 0, \"cells\": [1], \"logits\": [0, "
        "0]}]}",
        "{\"columns\": [\"log.a\"], \"rows\": [{\"scenario\": 0, \"cells\": [null], \"logits\": "
        "[0]}]}",
        "{\"columns\": [\"log.a\"], \"rows\": [{\"scenario\": 0, \"cells\": [null], \"logits\": "
        "[0, \"1\"]}]}",
        "{\"columns\": [\"log.a\"], \"rows\": [{\"scenario\": 0, \"cells\": [null]}]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        hn_error err = {0};
        json_t *const json = json_loads(texts[i], 0, NULL);
        assert_non_null(json);
        assert_fails(HN_BAD_DATA, "golden",
                     hn_golden_check(json, WORLD_SCENARIOS, WORLD_TASKS, &err));
        json_decref(json);
    }
}

static hn_status verify(void *user, hn_error *err) { return hn_bundle_verify(user, err); }

static void every_failed_allocation_is_told(void **state) {
    (void)state;
    json_t *const golden = world_golden(&w);
    hn_bundle *const bundle = with_golden(golden);
    assert_true(support_fail_each(HN_FAULT_ALLOC, verify, bundle) > 10);
    hn_bundle_close(bundle);
    json_decref(golden);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_bundle_passes),
        cmocka_unit_test(one_without_golden_rows_passes),
        cmocka_unit_test(other_scores_are_refused),
        cmocka_unit_test(another_encoding_is_refused),
        cmocka_unit_test(a_column_that_is_not_read_is_told),
        cmocka_unit_test(wrong_forms_are_refused_when_opened),
        cmocka_unit_test(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
