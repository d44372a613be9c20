/* Charts: round numbers on axes, places, and pictures of what is hard to draw. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "near.h"
#include "report/chart.h"

/* ---- Ticks and axes ---------------------------------------------------------------------- */

static void ticks_are_round_numbers(void **state) {
    (void)state;
    static const struct {
        double low, high;
        int32_t most, n, decimals;
        double first, last;
    } cases[] = {
        {0, 1, 6, 6, 1, 0, 1},
        {0, 1, 5, 3, 1, 0, 1},
        {0, 10, 6, 6, 0, 0, 10},
        {1, 3, 6, 5, 1, 1, 3},
        {0.671, 0.69, 6, 4, 3, 0.675, 0.69},
        {-0.03, 0.02, 6, 6, 2, -0.03, 0.02},
        {1000, 9000, 5, 4, 0, 2000, 8000},
        {0.9, 3.1, 3, 3, 0, 1, 3},
        {99.5, 100.5, 4, 3, 1, 99.5, 100.5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double ticks[HN_TICKS_MAX];
        int32_t decimals;
        const int32_t n = hn_ticks(ticks, &decimals, cases[i].low, cases[i].high, cases[i].most);
        print_message("%g to %g\n", cases[i].low, cases[i].high);
        assert_int_equal(n, cases[i].n);
        assert_int_equal(decimals, cases[i].decimals);
        assert_near(ticks[0], cases[i].first, 1e-9);
        assert_near(ticks[n - 1], cases[i].last, 1e-9);
    }
}

/* Whatever the range: within it, rising evenly by 1, 2 or 5 times a power of ten, not too many,
 * and as many decimals as tell them apart. */
static void ticks_of_any_range_are_even(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 4000; i++) {
        const double size = pow(10, 24 * hn_random_unit(1, HN_STREAM_TEST, 3 * i) - 12),
                     low = size * (2 * hn_random_unit(1, HN_STREAM_TEST, 3 * i + 1) - 1),
                     high = low + size * (0.01 + hn_random_unit(1, HN_STREAM_TEST, 3 * i + 2));
        const int32_t most = 3 + (int32_t)(i % 8);
        double ticks[HN_TICKS_MAX];
        int32_t decimals;
        const int32_t n = hn_ticks(ticks, &decimals, low, high, most);
        assert_in_range(n, 1, most);
        for (int32_t k = 0; k < n; k++)
            assert_true(ticks[k] >= low - 1e-6 * size && ticks[k] <= high + 1e-6 * size);
        if (n < 2) continue;
        const double step = ticks[1] - ticks[0], power = pow(10, floor(log10(step) + 1e-6)),
                     factor = step / power;
        assert_true(fabs(factor - 1) < 1e-6 || fabs(factor - 2) < 1e-6 || fabs(factor - 5) < 1e-6);
        for (int32_t k = 1; k < n; k++)
            assert_true(fabs(ticks[k] - ticks[k - 1] - step) < 1e-6 * step);
        assert_true(step * pow(10, decimals) > 0.99);
        if (decimals > 0) assert_true(step * pow(10, decimals) < 5.01);
    }
}

static void there_are_no_ticks_of_no_range(void **state) {
    (void)state;
    double ticks[HN_TICKS_MAX];
    int32_t decimals;
    assert_int_equal(hn_ticks(ticks, &decimals, 1, 1, 5), 0);
    assert_int_equal(hn_ticks(ticks, &decimals, 2, 1, 5), 0);
    assert_int_equal(hn_ticks(ticks, &decimals, NAN, 1, 5), 0);
    assert_int_equal(hn_ticks(ticks, &decimals, 0, INFINITY, 5), 0);
    assert_int_equal(hn_ticks(ticks, &decimals, 0, 1, 1), 0);
    assert_int_equal(hn_ticks(ticks, &decimals, -1e308, 1e308, 5), 0); /* its size overflows */
    assert_true(hn_ticks(ticks, &decimals, 0, 1, 1000) <= HN_TICKS_MAX);
}

static void axes_give_room(void **state) {
    (void)state;
    hn_range range = hn_range_empty();
    hn_range_add(&range, NAN);
    hn_range_add(&range, INFINITY);
    assert_true(hn_range_is_empty(&range));
    hn_axis axis = hn_axis_over(range, 0, 100);
    assert_near(hn_axis_at(&axis, 0.5), 50, 1e-9);
    hn_range_add(&range, 7);
    axis = hn_axis_over(range, 0, 100); /* one number */
    assert_near(hn_axis_at(&axis, 7), 50, 1e-9);
    hn_range_add(&range, 17);
    axis = hn_axis_over(range, 100, 0); /* upwards */
    assert_near(hn_axis_at(&axis, 12), 50, 1e-9);
    assert_true(hn_axis_at(&axis, 7) < 100 && hn_axis_at(&axis, 17) > 0);
    range = (hn_range){0, 0};
    axis = hn_axis_over(range, 0, 100);
    assert_near(hn_axis_at(&axis, 0), 50, 1e-9);
}

/* ---- Pictures ---------------------------------------------------------------------------- */

/* Numbers that are none must not reach a coordinate; elements must close. */
static void check_svg(const hn_text *svg) {
    assert_false(svg->failed);
    assert_non_null(strstr(svg->text, "role=\"img\" aria-label=\""));
    assert_null(strstr(svg->text, "=\"nan"));
    assert_null(strstr(svg->text, "=\"-nan"));
    assert_null(strstr(svg->text, "=\"inf"));
    assert_null(strstr(svg->text, "nan "));
    assert_null(strstr(svg->text, " nan"));
    assert_null(strstr(svg->text, "inf "));
    assert_non_null(strstr(svg->text, "</svg>"));
}

static int count_of(const char *text, const char *word) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at += strlen(word)) n++;
    return n;
}

static const char *const names[] = {"a<b", "caf\xc3\xa9",
                                    "a name that is much too long to be written"};

static hn_chart chart_of(hn_chart_kind kind, const hn_series *series, int32_t n) {
    return (hn_chart){.kind = kind,
                      .title = "AUC of <home> & \"away\"",
                      .x_label = "x",
                      .y_label = "y",
                      .series = series,
                      .n_series = n,
                      .row_names = names,
                      .column_names = names,
                      .rows = 3,
                      .columns = 3,
                      .decimals = 3,
                      .most = 1};
}

/* Every kind with nothing, with numbers that are none, with one number, with many. */
static void every_kind_draws_anything(void **state) {
    (void)state;
    static const double none[] = {NAN, INFINITY, -INFINITY}, one[] = {NAN, 0.5, NAN},
                        same[] = {0, 0, 0}, some[] = {0.1, 0.4, 0.9}, huge[] = {-1e300, 0, 1e300},
                        tiny[] = {1e-310, 2e-310, 3e-310};
    const double *const numbers[] = {none, one, same, some, huge, tiny};
    for (int kind = 0; kind < HN_CHARTS; kind++)
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
            for (int32_t n_series = 0; n_series < 3; n_series++) {
                const hn_series s = {.name = "s<1>",
                                     .n = 3,
                                     .x = numbers[i],
                                     .y = numbers[i],
                                     .low = numbers[i],
                                     .high = numbers[i]};
                const hn_series series[] = {s, s};
                hn_chart chart = chart_of((hn_chart_kind)kind, series, n_series);
                double cells[9];
                for (int c = 0; c < 9; c++) cells[c] = numbers[i][c % 3];
                chart.cells = cells;
                hn_text svg = {0};
                hn_chart_draw(&svg, &chart);
                check_svg(&svg);
                assert_non_null(strstr(svg.text, "AUC of &lt;home&gt; &amp; &quot;away&quot;"));
                assert_null(strstr(svg.text, "a<b"));
                assert_null(strstr(svg.text, "s<1>"));
                if (numbers[i] == none) assert_non_null(strstr(svg.text, "no data"));
                hn_text_free(&svg);
            }
}

static void a_gap_lifts_the_pen(void **state) {
    (void)state;
    const double x[] = {1, 2, 3, 4, 5}, y[] = {1, 2, NAN, 4, 5};
    const hn_series s = {.name = "s", .n = 5, .x = x, .y = y};
    const hn_chart chart = chart_of(HN_CHART_LINES, &s, 1);
    hn_text svg = {0};
    hn_chart_draw(&svg, &chart);
    const char *const path = strstr(svg.text, "class=\"l s0\" d=\"");
    assert_non_null(path);
    char d[200];
    snprintf(d, sizeof d, "%.*s", (int)strcspn(path + 16, "\""), path + 16);
    assert_int_equal(count_of(d, "M"), 2);
    assert_int_equal(count_of(d, "L"), 2);
    assert_int_equal(count_of(svg.text, "class=\"m s0\""), 4);
    hn_text_free(&svg);
}

/* The bar's place and length, from the numbers: zero line, then the drop to scale. */
static void bars_are_to_scale(void **state) {
    (void)state;
    const double x[] = {0.04, 0.02, -0.01};
    const hn_series s = {.name = "s", .n = 3, .x = x};
    const hn_chart chart = chart_of(HN_CHART_BARS, &s, 1);
    double at[3], width[3];
    hn_text svg = {0};
    hn_chart_draw(&svg, &chart);
    const char *from = svg.text;
    for (int i = 0; i < 3; i++) {
        from = strstr(from, "<rect class=\"b s0\"");
        assert_non_null(from);
        at[i] = strtod(strstr(from, " x=\"") + 4, NULL);
        width[i] = strtod(strstr(from, " width=\"") + 8, NULL);
        from++;
    }
    assert_near(width[0], 2 * width[1], 0.11);
    assert_near(width[1], 2 * width[2], 0.11);
    assert_near(at[0], at[1], 0.11);
    assert_near(at[2] + width[2], at[0], 0.11); /* the negative one ends at zero */
    hn_text_free(&svg);
}

static void long_names_are_cut_between_characters(void **state) {
    (void)state;
    hn_text out = {0};
    hn_svg_label(&out, "t", 0, 0, "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f<x>", 5);
    assert_string_equal(out.text,
                        "<text class=\"t\" x=\"0.0\" y=\"0.0\">\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f"
                        "\xe2\x80\xa6<title>\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f&lt;x&gt;</title>"
                        "</text>\n");
    hn_text_free(&out);
    out = (hn_text){0};
    hn_svg_label(&out, "t", 0, 0, "abcde", 5);
    assert_non_null(strstr(out.text, ">abcde<"));
    hn_text_free(&out);
    assert_int_equal(hn_text_characters("\xc3\xa4\xc3\xb6", 9), 2);
}

static void heat_maps_mark_the_dead_and_leave_holes(void **state) {
    (void)state;
    const double cells[] = {NAN, 1, 0.5, 0, NAN, 2, -1, 0.01, NAN};
    const uint8_t marked[9] = {[3] = 1, [8] = 1};
    hn_chart chart = chart_of(HN_CHART_HEAT, NULL, 0);
    chart.cells = cells;
    chart.marked = marked;
    hn_text svg = {0};
    hn_chart_draw(&svg, &chart);
    check_svg(&svg);
    assert_int_equal(count_of(svg.text, "class=\"none\""), 3);
    assert_int_equal(count_of(svg.text, "dead\""), 1); /* a hole is not dead */
    assert_int_equal(count_of(svg.text, "0.000\xc3\x97"), 1);
    assert_int_equal(count_of(svg.text, "class=\"h8\""), 2); /* 1, and 2 beyond the scale */
    assert_int_equal(count_of(svg.text, "class=\"h4\""), 1);
    hn_text_free(&svg);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_are_round_numbers),
        cmocka_unit_test(ticks_of_any_range_are_even),
        cmocka_unit_test(there_are_no_ticks_of_no_range),
        cmocka_unit_test(axes_give_room),
        cmocka_unit_test(every_kind_draws_anything),
        cmocka_unit_test(a_gap_lifts_the_pen),
        cmocka_unit_test(bars_are_to_scale),
        cmocka_unit_test(long_names_are_cut_between_characters),
        cmocka_unit_test(heat_maps_mark_the_dead_and_leave_holes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
