/* Charts with a name for each row: bars from zero, points with intervals, heat maps. */
#include <math.h>
#include <string.h>

#include "report/chart_kinds.h"

enum { WIDTH = 340, RIGHT = 14, NAME_MOST = 22, LETTER = 6 /* pixels, at 11 px */ };

static double names_width(const char *const *names, int32_t n, int32_t most) {
    int32_t longest = 0;
    for (int32_t i = 0; i < n; i++) {
        const int32_t length = hn_text_characters(names[i], most);
        if (length > longest) longest = length;
    }
    return 12 + LETTER * longest;
}

static hn_range range_of(const hn_chart *chart, bool from_zero) {
    hn_range range = hn_range_empty();
    for (int32_t s = 0; s < chart->n_series; s++)
        for (int32_t i = 0; i < chart->series[s].n; i++) {
            const hn_series *const series = &chart->series[s];
            if (!isfinite(series->x[i])) continue;
            hn_range_add(&range, series->x[i]);
            if (series->low) hn_range_add(&range, series->low[i]);
            if (series->high) hn_range_add(&range, series->high[i]);
        }
    if (hn_range_is_empty(&range)) return range;
    if (from_zero) hn_range_add(&range, 0);
    if (chart->reference) hn_range_add(&range, *chart->reference);
    return range;
}

static void draw_ticks(hn_text *out, const hn_chart *chart, const hn_axis *x, double top,
                       double bottom) {
    double ticks[HN_TICKS_MAX];
    int32_t decimals;
    const int32_t n = hn_ticks(ticks, &decimals, x->low, x->high, 5);
    for (int32_t i = 0; i < n; i++) {
        const double at = hn_axis_at(x, ticks[i]);
        hn_svg_line(out, "g", at, top, at, bottom);
        hn_svg_label(out, "t mid", at, bottom + 13, hn_figure_real(ticks[i], decimals).text, 10);
    }
    hn_svg_label(out, "t mid", (x->begin + x->end) / 2, bottom + 28, chart->x_label, 44);
}

/* ---- Bars -------------------------------------------------------------------------------- */

static void draw_bar(hn_text *out, const hn_chart *chart, const hn_axis *x, int32_t row, double y) {
    const hn_series *const s = chart->series;
    const double zero = hn_axis_at(x, 0), at = hn_axis_at(x, s->x[row]);
    hn_svg_label(out, "t end name", x->begin - 6, y + 12, chart->row_names[row], NAME_MOST);
    if (!isfinite(at)) return;
    hn_text tip = {0};
    hn_text_add(&tip, "%s: %s", chart->row_names[row],
                hn_figure_signed(s->x[row], chart->decimals).text);
    hn_svg_rect(out, "b s0", fmin(zero, at), y + 3, fabs(at - zero), 10, tip.text);
    out->failed |= tip.failed;
    hn_text_free(&tip);
    if (s->low)
        hn_svg_line(out, "w ink", hn_axis_at(x, s->low[row]), y + 8, hn_axis_at(x, s->high[row]),
                    y + 8);
    hn_svg_label(out, "t end", WIDTH - 2, y + 12, hn_figure_signed(s->x[row], chart->decimals).text,
                 10);
}

void hn_chart_bars(hn_text *out, const hn_chart *chart) {
    const double row_height = 17, top = 6, numbers = 52, bottom = top + row_height * chart->rows,
                 height = bottom + 34;
    const hn_range range = chart->n_series > 0 ? range_of(chart, true) : hn_range_empty();
    if (hn_range_is_empty(&range)) {
        hn_chart_none(out, chart, WIDTH, 80);
        return;
    }
    const hn_axis x =
        hn_axis_over(range, names_width(chart->row_names, chart->rows, NAME_MOST), WIDTH - numbers);
    hn_svg_begin(out, WIDTH, height, chart->title, false);
    draw_ticks(out, chart, &x, top, bottom);
    for (int32_t r = 0; r < chart->rows; r++) draw_bar(out, chart, &x, r, top + row_height * r);
    hn_svg_line(out, "a", hn_axis_at(&x, 0), top, hn_axis_at(&x, 0), bottom);
    hn_svg_end(out);
}

/* ---- Intervals --------------------------------------------------------------------------- */

static void draw_interval(hn_text *out, const hn_chart *chart, const hn_axis *x, const hn_series *s,
                          int32_t row, double y) {
    char class_name[16];
    if (!isfinite(s->x[row])) return;
    snprintf(class_name, sizeof class_name, "w s%d", (int)(s->style % HN_CHART_STYLES));
    if (s->low)
        hn_svg_line(out, class_name, hn_axis_at(x, s->low[row]), y, hn_axis_at(x, s->high[row]), y);
    hn_text tip = {0};
    hn_text_add(&tip, "%s, %s: %s", chart->row_names[row], s->name,
                hn_figure_real(s->x[row], chart->decimals).text);
    if (s->low)
        hn_text_add(&tip, " (%s)",
                    hn_figure_range(s->low[row], s->high[row], chart->decimals, false).text);
    hn_svg_mark(out, s->style, hn_axis_at(x, s->x[row]), y, tip.text);
    out->failed |= tip.failed;
    hn_text_free(&tip);
}

void hn_chart_intervals(hn_text *out, const hn_chart *chart) {
    const double each = 10, row_height = 8 + each * chart->n_series, top = 6,
                 bottom = top + row_height * chart->rows, height = bottom + 34;
    const hn_range range = range_of(chart, false);
    if (hn_range_is_empty(&range)) {
        hn_chart_none(out, chart, WIDTH, 80);
        return;
    }
    const hn_axis x =
        hn_axis_over(range, names_width(chart->row_names, chart->rows, NAME_MOST), WIDTH - RIGHT);
    hn_svg_begin(out, WIDTH, height, chart->title, false);
    draw_ticks(out, chart, &x, top, bottom);
    if (chart->reference)
        hn_svg_line(out, "a", hn_axis_at(&x, *chart->reference), top,
                    hn_axis_at(&x, *chart->reference), bottom);
    for (int32_t r = 0; r < chart->rows; r++) {
        const double y = top + row_height * r;
        if (r > 0) hn_svg_line(out, "g", 0, y, WIDTH, y);
        hn_svg_label(out, "t end name", x.begin - 6, y + row_height / 2 + 4, chart->row_names[r],
                     NAME_MOST);
        for (int32_t s = 0; s < chart->n_series; s++)
            draw_interval(out, chart, &x, &chart->series[s], r, y + 4 + each * (s + 0.5));
    }
    hn_svg_end(out);
}

/* ---- Heat maps --------------------------------------------------------------------------- */

enum { SHADES = 9, CELL_WIDTH = 44, CELL_HEIGHT = 26, COLUMN_NAME_MOST = 16 };

static void draw_cell(hn_text *out, const hn_chart *chart, int32_t r, int32_t c, double x,
                      double y) {
    const size_t at = (size_t)r * (size_t)chart->columns + (size_t)c;
    const double value = chart->cells[at];
    const bool marked = chart->marked && chart->marked[at];
    char rect[16], label[24];
    if (!isfinite(value)) {
        hn_svg_rect(out, "none", x, y, CELL_WIDTH - 2, CELL_HEIGHT - 2, NULL);
        return;
    }
    const double share = chart->most > 0 ? fmin(fmax(value / chart->most, 0), 1) : 0;
    const int shade = (int)(share * (SHADES - 1) + 0.5);
    snprintf(rect, sizeof rect, marked ? "h%d dead" : "h%d", shade);
    snprintf(label, sizeof label, "t mid k%d", shade);
    hn_text tip = {0};
    hn_text_add(&tip, "%s, %s: %s%s", chart->row_names[r], chart->column_names[c],
                hn_figure_real(value, chart->decimals + 1).text, marked ? " (dead)" : "");
    hn_svg_rect(out, rect, x, y, CELL_WIDTH - 2, CELL_HEIGHT - 2, tip.text);
    out->failed |= tip.failed;
    hn_text_free(&tip);
    hn_text number = {0};
    hn_text_add(&number, "%s%s", hn_figure_real(value, chart->decimals).text,
                marked ? "\xc3\x97" : "");
    if (number.failed)
        out->failed = true;
    else
        hn_svg_label(out, label, x + CELL_WIDTH / 2 - 1, y + CELL_HEIGHT / 2 + 3, number.text, 9);
    hn_text_free(&number);
}

/* Slanted, so that names of any length stand over narrow columns. */
static void draw_column_name(hn_text *out, double x, double y, const char *name) {
    hn_text_add(out, "<g transform=\"translate(%.1f %.1f) rotate(-40)\">", x, y);
    hn_svg_label(out, "t", 0, 0, name, COLUMN_NAME_MOST);
    hn_text_add(out, "</g>\n");
}

void hn_chart_heat(hn_text *out, const hn_chart *chart) {
    hn_range range = hn_range_empty();
    for (int64_t i = 0; i < (int64_t)chart->rows * chart->columns; i++)
        hn_range_add(&range, chart->cells[i]);
    if (hn_range_is_empty(&range)) {
        hn_chart_none(out, chart, WIDTH, 80);
        return;
    }
    const double left = names_width(chart->row_names, chart->rows, 28),
                 slant = names_width(chart->column_names, chart->columns, COLUMN_NAME_MOST),
                 top = 12 + 0.66 * slant, width = left + CELL_WIDTH * chart->columns + 0.6 * slant,
                 height = top + CELL_HEIGHT * chart->rows + 4;
    hn_svg_begin(out, width, height, chart->title, true);
    for (int32_t c = 0; c < chart->columns; c++)
        draw_column_name(out, left + CELL_WIDTH * (c + 0.4), top - 5, chart->column_names[c]);
    for (int32_t r = 0; r < chart->rows; r++) {
        const double y = top + CELL_HEIGHT * r;
        hn_svg_label(out, "t end name", left - 7, y + CELL_HEIGHT / 2 + 3, chart->row_names[r], 28);
        for (int32_t c = 0; c < chart->columns; c++)
            draw_cell(out, chart, r, c, left + CELL_WIDTH * c, y);
    }
    hn_svg_end(out);
}
