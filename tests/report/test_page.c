/* The page of documents that no training would give: empty ones, ones with names full of markup,
 * with nothing measured, with more cells than are drawn. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/document.h"
#include "report/page.h"
#include "support.h"

/* ---- Documents --------------------------------------------------------------------------- */

static const char EVIL[] = "<img src=x onerror=\"alert('1')\">&amp;</script><!--";

static json_t *cell_json(const char *scenario, const char *task, int rows, bool empty) {
    if (empty)
        return json_pack("{s:s, s:s, s:n, s:n, s:i, s:i, s:[], s:[], s:b}", "scenario", scenario,
                         "task", task, "auc", "interval", "rows", 0, "positives", 0, "roc", "bins",
                         "constant", 1);
    return json_pack(
        "{s:s, s:s, s:f, s:[f, f], s:f, s:f, s:f, s:i, s:i, s:[[i, i], [f, f], [i, i]], "
        "s:[{s:f, s:f, s:n, s:f, s:f}]}",
        "scenario", scenario, "task", task, "auc", 0.75, "interval", 0.7, 0.8, "gauc", 0.7,
        "log_loss", 0.4, "error", 0.01, "rows", rows, "positives", rows / 3, "roc", 0, 0, 0.2, 0.6,
        1, 1, "bins", "predicted", 0.3, "rate", 0.31, "calibrated", "low", 0.2, "high", 0.4);
}

static json_t *run_json(const char *name, int32_t cells, bool empty) {
    json_t *const list = json_array();
    for (int32_t c = 0; c < cells; c++) {
        char scenario[300];
        snprintf(scenario, sizeof scenario, "%s%d", name, (int)c / 2);
        json_array_append_new(list, cell_json(scenario, c % 2 ? "order" : "click", 100 + c, empty));
    }
    return json_pack(
        "{s:s, s:s, s:{s:s, s:s}, s:s, s:{s:{s:f}, s:o, s:b}, s:[{s:i, s:f}], s:s, s:[s]}", "label",
        name, "bundle", "0123", "model", "title", name, "source", name, "rows_of", "test",
        "measured", "mean", "auc", 0.7, "cells", list, "by_user", 1, "history", "epoch", 1, "loss",
        0.5, "config", name, "commands", name);
}

static json_t *document_of(json_t *runs) {
    return json_pack("{s:s, s:{s:i, s:i, s:i}, s:o, s:n}", "hinet", "0", "settings", "seed", 1,
                     "sample_rows", 10, "replicates", 400, "runs", runs, "comparison");
}

static hn_text page_of(json_t *document) {
    hn_text page = {0};
    hn_page_write(&page, document);
    assert_false(page.failed);
    json_decref(document);
    return page;
}

static int count_of(const char *text, const char *word) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at += strlen(word)) n++;
    return n;
}

/* What every page must be. */
static void check_page(const hn_text *page) {
    assert_non_null(strstr(page->text, "<!DOCTYPE html>"));
    assert_int_equal(count_of(page->text, "<script"), 1);
    assert_int_equal(count_of(page->text, "</script>"), 1);
    assert_int_equal(count_of(page->text, "<h1>"), 1);
    assert_int_equal(count_of(page->text, "<table"), count_of(page->text, "</table>"));
    assert_int_equal(count_of(page->text, "<figure"), count_of(page->text, "</figure>"));
    assert_int_equal(count_of(page->text, "<svg"), count_of(page->text, "</svg>"));
    assert_int_equal(count_of(page->text, "<div"), count_of(page->text, "</div>"));
    assert_int_equal(count_of(page->text, "<section"), count_of(page->text, "</section>"));
    assert_null(strstr(page->text, "nan"));
    assert_null(strstr(page->text, "(null)"));
    assert_null(strstr(page->text, "http://"));
    assert_null(strstr(page->text, "https://"));
}

/* ---- Tests ------------------------------------------------------------------------------- */

static void markup_in_names_is_text(void **state) {
    (void)state;
    json_t *const run = run_json(EVIL, 4, false);
    json_object_set_new(run, "permutation",
                        json_pack("{s:i, s:i, s:f, s:[{s:s, s:f, s:f, s:[f, n, f, f]}]}", "rows",
                                  10, "repeats", 5, "auc", 0.7, "features", "name", EVIL, "drop",
                                  0.1, "deviation", 0.01, "cells", 0.1, 0.1, 0.1));
    json_object_set_new(run, "san",
                        json_pack("[{s:s, s:b, s:[s, s], s:[[n, f], [f, n]]}]", "name", EVIL,
                                  "by_row", 0, "scenarios", EVIL, EVIL, "weights", 1.0, 1.0));
    json_object_set_new(run, "gates",
                        json_pack("[{s:s, s:[s], s:b, s:f, s:[{s:s, s:s, s:s, s:[f], s:[b]}]}]",
                                  "name", EVIL, "columns", EVIL, "softmax", 1, "even", 1.0, "rows",
                                  "scenario", EVIL, "task", EVIL, "gate", "", "weights", 0.01,
                                  "dead", 1));
    json_object_set_new(run, "files", json_pack("{s:[s], s:[]}", "log", EVIL, "tables"));
    hn_text page = page_of(document_of(json_pack("[o]", run)));
    check_page(&page);
    assert_null(strstr(page.text, "<img"));
    assert_null(strstr(page.text, "<!--"));
    assert_non_null(
        strstr(page.text, "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;amp;"));
    assert_non_null(strstr(page.text, "1 dead"));
    hn_text_free(&page);
}

static void nothing_to_say_is_a_page(void **state) {
    (void)state;
    json_t *const documents[] = {
        document_of(json_array()),
        document_of(json_pack("[{}]")),
        document_of(json_pack("[{s:n, s:n}]", "measured", "history")),
        document_of(
            json_pack("[{s:{s:[]}, s:i, s:[i]}]", "measured", "cells", "history", 3, "san", 1)),
        document_of(json_pack("[o]", run_json("r", 0, true))),
        document_of(json_pack("[o]", run_json("r", 3, true))),
        document_of(json_pack("[o, o]", run_json("r", 3, true), run_json("s", 2, false))),
        json_pack("{}"),
        json_array(),
    };
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        hn_text page = page_of(documents[i]);
        check_page(&page);
        hn_text_free(&page);
    }
}

static void cells_of_other_runs_are_cells_too(void **state) {
    (void)state;
    hn_text page =
        page_of(document_of(json_pack("[o, o]", run_json("a", 2, false), run_json("b", 2, false))));
    check_page(&page);
    assert_non_null(strstr(page.text, "ROC curve of a0 \xc2\xb7 click"));
    assert_non_null(strstr(page.text, "ROC curve of b0 \xc2\xb7 order"));
    hn_text_free(&page);
}

static void the_largest_cells_are_drawn(void **state) {
    (void)state;
    hn_text page = page_of(document_of(json_pack("[o]", run_json("r", 60, false))));
    check_page(&page);
    assert_int_equal(count_of(page.text, "aria-label=\"ROC curve of "), HN_SHOWN_CELLS);
    assert_null(strstr(page.text, "ROC curve of r5 \xc2\xb7")); /* cell c has 100 + c rows */
    assert_non_null(strstr(page.text, "ROC curve of r6 \xc2\xb7 click"));
    assert_non_null(strstr(page.text, "Of 60 cells the 48 with the most rows are drawn"));
    assert_int_equal(count_of(page.text, "<tr><th scope=\"row\">r"), 60); /* the table has all */
    hn_text_free(&page);
}

static json_t *difference_json(double d, double low, double high) {
    return json_pack("{s:f, s:[f, f]}", "difference", d, "interval", low, high);
}

static void differences_are_told_without_colour(void **state) {
    (void)state;
    json_t *const document = document_of(json_pack(
        "[o, o, o]", run_json("a", 2, false), run_json("a", 2, false), run_json("c", 2, false)));
    json_object_set_new(
        document, "comparison",
        json_pack("{s:s, s:[{s:s, s:b, s:o, s:[o, o]}, {s:s, s:b, s:[]}]}", "base", "a", "runs",
                  "label", "b", "comparable", 1, "mean", difference_json(0.001, -0.001, 0.003),
                  "cells", difference_json(0.01, 0.005, 0.015),
                  difference_json(-0.01, -0.015, -0.005), "label", "c", "comparable", 0, "cells"));
    hn_text page = page_of(document);
    check_page(&page);
    assert_non_null(strstr(
        page.text, "<td class=\"good\">\xe2\x96\xb2 +0.0100</td><td>+0.0050 to +0.0150</td>"));
    assert_non_null(strstr(page.text, "<td class=\"bad\">\xe2\x96\xbc \xe2\x88\x92"
                                      "0.0100</td>"));
    assert_non_null(strstr(page.text, "<td>+0.0010</td>"));
    assert_non_null(strstr(page.text, "c less a: not comparable"));
    hn_text_free(&page);
}

static void runs_without_rows_are_named(void **state) {
    (void)state;
    json_t *document =
        document_of(json_pack("[o, o]", run_json("a", 2, false), run_json("b", 2, false)));
    json_object_set_new(
        document, "comparison",
        json_pack("{s:n, s:[], s:[s, s]}", "base", "runs", "without_rows", "a", "b"));
    hn_text page = page_of(document);
    check_page(&page);
    assert_non_null(strstr(page.text, "no rows to be measured on: <b>a</b>, <b>b</b>"));
    assert_null(strstr(page.text, "Difference in AUC"));
    hn_text_free(&page);
}

static void the_same_document_is_the_same_page(void **state) {
    (void)state;
    hn_text a = page_of(document_of(json_pack("[o]", run_json("r", 8, false)))),
            b = page_of(document_of(json_pack("[o]", run_json("r", 8, false))));
    assert_string_equal(a.text, b.text);
    hn_text_free(&a);
    hn_text_free(&b);
}

static hn_status write_page(void *user, hn_error *err) {
    hn_text page = {0};
    hn_page_write(&page, user);
    const bool failed = page.failed;
    hn_text_free(&page);
    return failed ? hn_no_memory(err, "the page") : HN_OK;
}

static void every_failed_allocation_is_reported(void **state) {
    (void)state;
    json_t *const document =
        document_of(json_pack("[o, o]", run_json("r", 2, false), run_json("s", 1, true)));
    assert_true(support_fail_each(HN_FAULT_ALLOC, write_page, document) > 20);
    json_decref(document);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markup_in_names_is_text),
        cmocka_unit_test(nothing_to_say_is_a_page),
        cmocka_unit_test(cells_of_other_runs_are_cells_too),
        cmocka_unit_test(the_largest_cells_are_drawn),
        cmocka_unit_test(differences_are_told_without_colour),
        cmocka_unit_test(runs_without_rows_are_named),
        cmocka_unit_test(the_same_document_is_the_same_page),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
