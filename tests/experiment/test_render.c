/* The table's forms: how numbers are shown, and what LaTeX and Markdown must not take for
 * their own. */
#include <string.h>

#include "experiment/table.h"
#include "support.h"

static json_t *one_model(const char *name, double parameters) {
    return json_pack("{s:f, s:[{s:s, s:[{s:s, s:s}], s:[{s:s, s:[{s:{s:f}}], s:{s:f, s:f}, s:i, "
                     "s:f, s:i, s:i}]}]}",
                     "confidence", 0.95, "data", "name", "shop", "cells", "scenario", "home",
                     "task", "click", "models", "name", name, "cells", "auc", "mean", 0.75, "auc",
                     "mean", 0.75, "sd", 0.002, "done", 5, "parameters", parameters,
                     "table_parameters", 0, "failed", 0);
}

static void assert_shown(void (*form)(hn_text *, const json_t *), const char *name,
                         double parameters, const char *expected) {
    hn_text text = {0};
    json_t *const table = one_model(name, parameters);
    assert_non_null(table);
    form(&text, table);
    if (!text.text || !strstr(text.text, expected))
        fail_msg("no \"%s\" in: %s", expected, text.text ? text.text : "");
    json_decref(table);
    hn_text_free(&text);
}

static void counts_have_three_digits(void **state) {
    (void)state;
    assert_shown(hn_table_markdown, "m", 9999, "| 9999 |");
    assert_shown(hn_table_markdown, "m", 77123, "| 77.1k |");
    assert_shown(hn_table_markdown, "m", 999400, "| 999k |");
    assert_shown(hn_table_markdown, "m", 1273000, "| 1.27M |");
    assert_shown(hn_table_markdown, "m", 2.5e9, "| 2.5G |");
}

static void names_are_only_names(void **state) {
    (void)state;
    assert_shown(hn_table_markdown, "a|b", 1, "| a\\|b |");
    assert_shown(hn_table_latex, "a_b & 5 %", 1, "a\\_b \\& 5 \\%");
    assert_shown(hn_table_text, "a|b", 1, "a|b");
    assert_shown(hn_table_markdown, "_a_b_ *`<i>\\", 1, "| \\_a_b\\_ \\*\\`\\<i>\\\\ |");
    assert_shown(hn_table_latex, "[b]", 1, "\n{}[b] & ");
    assert_shown(hn_table_latex, "*", 1, "\n{}* & ");
}

static json_t *differing(const char *method) {
    return json_pack("{s:s, s:{s:f, s:s}}", "name", "b", "difference", "mean", 0.1, "method",
                     method);
}

/* Of all rows, and of the names only what they are. */
static void the_note_says_how_it_was_judged(void **state) {
    (void)state;
    hn_text text = {0}, markdown = {0};
    json_t *const table =
        json_pack("{s:f, s:[{s:s, s:[], s:[{s:s}, o, o]}], s:[{s:s, s:s, s:I, s:s}]}", "confidence",
                  0.975, "data", "name", "my_shop", "cells", "models", "name", "a_b",
                  differing(HN_OVER_SEEDS), differing(HN_BY_USER), "failed", "data", "my_shop",
                  "model", "a_b", "seed", (json_int_t)9007199254740993, "error", "no <b>");
    assert_non_null(table);
    hn_table_text(&text, table);
    assert_non_null(strstr(text.text, "97.5 % intervals (t over seeds; where one seed is in "
                                      "common, bootstrap by user)"));
    assert_non_null(strstr(text.text, "seed 9007199254740993"));
    hn_table_markdown(&markdown, table);
    assert_non_null(strstr(markdown.text, "## my_shop\n"));
    assert_non_null(strstr(markdown.text, "mean AUC to a_b: paired"));
    assert_non_null(strstr(markdown.text, "\n- my_shop: a_b, seed 9007199254740993: no \\<b>"));
    json_decref(table);
    hn_text_free(&text);
    hn_text_free(&markdown);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_have_three_digits),
                                       cmocka_unit_test(names_are_only_names),
                                       cmocka_unit_test(the_note_says_how_it_was_judged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
