/* The kinds of charts: a table of how each is drawn. Those with two axes of numbers are here;
 * those with a name for each row are in chart_rows.c. */
#include "report/chart.h"

#include <math.h>
#include <string.h>

#include "report/chart_kinds.h"

/* ---- Axes -------------------------------------------------------------------------------- */

typedef struct frame {
    double width, height;
    hn_axis x, y;
} frame;

enum { WIDTH = 320, LEFT = 46, RIGHT = 10, TOP = 20, BOTTOM = 34 };

static void draw_x_ticks(hn_text *out, const frame *f, const char *label, bool whole) {
    double ticks[HN_TICKS_MAX];
    int32_t decimals;
    const int32_t n = hn_ticks(ticks, &decimals, f->x.low, f->x.high, 6);
    for (int32_t i = 0; i < n; i++) {
        const double at = hn_axis_at(&f->x, ticks[i]);
        if (whole && decimals > 0 && ticks[i] != floor(ticks[i])) continue;
        hn_svg_line(out, "g", at, f->y.end, at, f->y.begin);
        hn_svg_label(out, "t mid", at, f->y.begin + 13,
                     hn_figure_real(ticks[i], whole ? 0 : decimals).text, 12);
    }
    hn_svg_label(out, "t mid", (f->x.begin + f->x.end) / 2, f->height - 5, label, 44);
}

static void draw_y_ticks(hn_text *out, const frame *f) {
    double ticks[HN_TICKS_MAX];
    int32_t decimals;
    const int32_t n = hn_ticks(ticks, &decimals, f->y.low, f->y.high, 6);
    for (int32_t i = 0; i < n; i++) {
        const double at = hn_axis_at(&f->y, ticks[i]);
        hn_svg_line(out, "g", f->x.begin, at, f->x.end, at);
        hn_svg_label(out, "t end", f->x.begin - 5, at + 3.5,
                     hn_figure_real(ticks[i], decimals).text, 9);
    }
}

static void draw_axes(hn_text *out, const frame *f, const hn_chart *chart, bool whole) {
    draw_x_ticks(out, f, chart->x_label, whole);
    draw_y_ticks(out, f);
    hn_svg_line(out, "a", f->x.begin, f->y.begin, f->x.end, f->y.begin);
    hn_svg_line(out, "a", f->x.begin, f->y.begin, f->x.begin, f->y.end);
    hn_svg_label(out, "t", 4, 11, chart->y_label, 44);
}

/* ---- Lines ------------------------------------------------------------------------------- */

/* A gap where a number is missing. */
static void draw_path(hn_text *out, const frame *f, const hn_series *s) {
    bool pen = false;
    hn_text_add(out, "<path class=\"l s%d\" d=\"", (int)(s->style % HN_CHART_STYLES));
    for (int32_t i = 0; i < s->n; i++) {
        const double x = hn_axis_at(&f->x, s->x[i]), y = hn_axis_at(&f->y, s->y[i]);
        if (isfinite(x) && isfinite(y)) hn_text_add(out, "%c%.1f %.1f", pen ? 'L' : 'M', x, y);
        pen = isfinite(x) && isfinite(y);
    }
    hn_text_add(out, "\"/>\n");
}

static void draw_marks(hn_text *out, const frame *f, const hn_chart *chart, const hn_series *s) {
    for (int32_t i = 0; i < s->n; i++) {
        hn_text tip = {0};
        hn_text_add(&tip, "%s: %s %s, %s %s", s->name, chart->x_label,
                    hn_figure_real(s->x[i], s->x[i] == floor(s->x[i]) ? 0 : chart->decimals).text,
                    chart->y_label, hn_figure_real(s->y[i], chart->decimals).text);
        hn_svg_mark(out, s->style, hn_axis_at(&f->x, s->x[i]), hn_axis_at(&f->y, s->y[i]),
                    tip.text);
        out->failed |= tip.failed;
        hn_text_free(&tip);
    }
}

static hn_range range_of(const hn_chart *chart, bool along_x) {
    hn_range range = hn_range_empty();
    for (int32_t s = 0; s < chart->n_series; s++)
        for (int32_t i = 0; i < chart->series[s].n; i++)
            if (isfinite(chart->series[s].x[i]) && isfinite(chart->series[s].y[i]))
                hn_range_add(&range, along_x ? chart->series[s].x[i] : chart->series[s].y[i]);
    return range;
}

void hn_chart_none(hn_text *out, const hn_chart *chart, double width, double height) {
    hn_svg_begin(out, width, height, chart->title, false);
    hn_svg_label(out, "t mid", width / 2, height / 2, "no data", 20);
    hn_svg_end(out);
}

enum { MARKS_MOST = 24 /* more points than this are a line alone */ };

static void draw_lines(hn_text *out, const hn_chart *chart) {
    const double height = 200;
    const hn_range x = range_of(chart, true), y = range_of(chart, false);
    if (hn_range_is_empty(&x)) {
        hn_chart_none(out, chart, WIDTH, height);
        return;
    }
    const frame f = {WIDTH, height, hn_axis_over(x, LEFT, WIDTH - RIGHT),
                     hn_axis_over(y, height - BOTTOM, TOP)};
    hn_svg_begin(out, WIDTH, height, chart->title, false);
    draw_axes(out, &f, chart, true);
    for (int32_t s = 0; s < chart->n_series; s++) {
        draw_path(out, &f, &chart->series[s]);
        if (chart->series[s].n <= MARKS_MOST) draw_marks(out, &f, chart, &chart->series[s]);
    }
    hn_svg_end(out);
}

static void draw_roc(hn_text *out, const hn_chart *chart) {
    const double height = 262;
    const frame f = {WIDTH, height, {0, 1, LEFT, WIDTH - RIGHT}, {0, 1, height - BOTTOM, TOP}};
    const hn_range x = range_of(chart, true);
    if (hn_range_is_empty(&x)) {
        hn_chart_none(out, chart, WIDTH, height);
        return;
    }
    hn_svg_begin(out, WIDTH, height, chart->title, false);
    draw_axes(out, &f, chart, false);
    hn_svg_line(out, "d", f.x.begin, f.y.begin, f.x.end, f.y.end);
    for (int32_t s = 0; s < chart->n_series; s++) draw_path(out, &f, &chart->series[s]);
    hn_svg_end(out);
}

static void draw_whiskers(hn_text *out, const frame *f, const hn_series *s) {
    char class_name[16];
    snprintf(class_name, sizeof class_name, "w s%d", (int)(s->style % HN_CHART_STYLES));
    for (int32_t i = 0; s->low && i < s->n; i++) {
        const double x = hn_axis_at(&f->x, s->x[i]);
        hn_svg_line(out, class_name, x, hn_axis_at(&f->y, s->low[i]), x,
                    hn_axis_at(&f->y, s->high[i]));
    }
}

/* Both axes from 0 to what the points and whiskers need. */
static void draw_reliability(hn_text *out, const hn_chart *chart) {
    const double height = 262;
    hn_range range = range_of(chart, true);
    if (hn_range_is_empty(&range)) {
        hn_chart_none(out, chart, WIDTH, height);
        return;
    }
    const hn_range y = range_of(chart, false);
    hn_range_add(&range, y.high);
    for (int32_t s = 0; s < chart->n_series; s++)
        for (int32_t i = 0; chart->series[s].high && i < chart->series[s].n; i++)
            hn_range_add(&range, chart->series[s].high[i]);
    const double most = range.high > 0 ? fmin(1.0, 1.04 * range.high) : 1.0;
    const frame f = {
        WIDTH, height, {0, most, LEFT, WIDTH - RIGHT}, {0, most, height - BOTTOM, TOP}};
    hn_svg_begin(out, WIDTH, height, chart->title, false);
    draw_axes(out, &f, chart, false);
    hn_svg_line(out, "d", f.x.begin, f.y.begin, f.x.end, f.y.end);
    for (int32_t s = 0; s < chart->n_series; s++) {
        draw_whiskers(out, &f, &chart->series[s]);
        draw_path(out, &f, &chart->series[s]);
        draw_marks(out, &f, chart, &chart->series[s]);
    }
    hn_svg_end(out);
}

/* ---- The table --------------------------------------------------------------------------- */

static void (*const kinds[HN_CHARTS])(hn_text *out, const hn_chart *chart) = {
    [HN_CHART_LINES] = draw_lines,
    [HN_CHART_ROC] = draw_roc,
    [HN_CHART_RELIABILITY] = draw_reliability,
    [HN_CHART_BARS] = hn_chart_bars,
    [HN_CHART_INTERVALS] = hn_chart_intervals,
    [HN_CHART_HEAT] = hn_chart_heat,
};

void hn_chart_draw(hn_text *out, const hn_chart *chart) {
    if ((unsigned)chart->kind < HN_CHARTS) kinds[chart->kind](out, chart);
}
