/* Charts as inline SVG. A chart is numbers with names; its kind says how they are drawn, and
 * each kind is one row of the table in chart.c. Colours and fonts are classes of the page's
 * style (style.c), so that light, dark and print need no second picture. A chart without a
 * finite number says so and draws nothing; no coordinate is ever NaN. */
#ifndef HN_REPORT_CHART_H
#define HN_REPORT_CHART_H

#include "report/html.h"

/* X(symbol, what it is) */
#define HN_CHART_MAP(X)                                                        \
    X(LINES, "y over x, a line for each series")                               \
    X(ROC, "lines in the unit square, with its diagonal")                      \
    X(RELIABILITY, "points with whiskers against the diagonal, on equal axes") \
    X(BARS, "a bar with a whisker for each row name, from zero")               \
    X(INTERVALS, "a point with a whisker for each row name and series")        \
    X(HEAT, "rows × columns, a shade and a number each")
typedef enum hn_chart_kind {
#define X(symbol, what) HN_CHART_##symbol,
    HN_CHART_MAP(X)
#undef X
        HN_CHARTS
} hn_chart_kind;

enum { HN_CHART_STYLES = 8 /* of series: colour, dash and mark */ };

typedef struct hn_series {
    const char *name;
    int32_t n, style;
    const double *x, *y;      /* [n]; of BARS and INTERVALS only x, one for each row */
    const double *low, *high; /* [n] of a whisker, along y (RELIABILITY) or x; NULL: none */
    const double *shown;      /* [n] BARS: the numbers written beside, where not x; NULL */
} hn_series;

typedef struct hn_chart {
    hn_chart_kind kind;
    const char *title; /* what a screen reader says */
    const char *x_label, *y_label;
    const hn_series *series;
    int32_t n_series;
    const char *const *row_names, *const *column_names;
    int32_t rows, columns;
    const double *cells;     /* [rows][columns] of HEAT; NaN: empty */
    const uint8_t *marked;   /* [rows][columns] of HEAT, gets a cross; NULL: none */
    double most;             /* HEAT: the number of the darkest shade */
    const double *reference; /* a line at this x (INTERVALS) or y (LINES); NULL: none */
    int32_t decimals;        /* of the numbers written in it */
} hn_chart;

void hn_chart_draw(hn_text *out, const hn_chart *chart);

/* ---- Scales (scale.c) ---------------------------------------------------------------------- */

typedef struct hn_axis {
    double low, high;  /* numbers; low < high */
    double begin, end; /* where they are drawn */
} hn_axis;
double hn_axis_at(const hn_axis *axis, double value);
/* Takes in `value` unless it is not finite. An empty range is {INFINITY, -INFINITY}. */
typedef struct hn_range {
    double low, high;
} hn_range;
hn_range hn_range_empty(void);
void hn_range_add(hn_range *range, double value);
bool hn_range_is_empty(const hn_range *range);
/* An axis over the range and 4 % on either side; a single number gets room around it. */
hn_axis hn_axis_over(hn_range range, double begin, double end);

enum { HN_TICKS_MAX = 12 };
/* Round numbers (1, 2 or 5 times a power of ten apart) within [low, high], at most `most` of
 * them; their number, and how many decimals they need. 0 where there is no such range. */
int32_t hn_ticks(double *ticks /* [HN_TICKS_MAX] */, int32_t *decimals, double low, double high,
                 int32_t most);

/* ---- Pieces (svg.c) ------------------------------------------------------------------------- */

/* <svg role="img"> with the title as its label, and its end. `fixed`: at its natural size, to be
 * scrolled; else it shrinks with the page. */
void hn_svg_begin(hn_text *out, double width, double height, const char *title, bool fixed);
void hn_svg_end(hn_text *out);
void hn_svg_line(hn_text *out, const char *class_name, double x1, double y1, double x2, double y2);
void hn_svg_rect(hn_text *out, const char *class_name, double x, double y, double width,
                 double height, const char *tip);
/* A text cut to `most` characters with an ellipsis, whole in its tip. */
void hn_svg_label(hn_text *out, const char *class_name, double x, double y, const char *text,
                  int32_t most);
/* The mark of a series' style at a place. */
void hn_svg_mark(hn_text *out, int32_t style, double x, double y, const char *tip);
/* How many characters a text has, at most `most`. */
int32_t hn_text_characters(const char *text, int32_t most);

#endif
