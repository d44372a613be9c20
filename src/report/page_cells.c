/* Sections about cells: their table, ROC and reliability, and the learning curves. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "report/page.h"

static hn_figure interval_text(const json_t *object) {
    double low, high;
    hn_interval_at(&low, &high, object, "interval");
    return hn_figure_range(low, high, 4, false);
}

/* ---- The table --------------------------------------------------------------------------- */

bool hn_page_has_cells(const hn_page *page) { return page->n_cells > 0; }

static void cell_row(hn_text *out, const char *name, const json_t *cell) {
    HN_HTML(out, "<tr><th scope=\"row\">$</th>", name);
    hn_page_table_number(out, hn_figure_real(hn_number_at(cell, "auc"), 4));
    hn_page_table_number(out, interval_text(cell));
    hn_page_table_number(out, hn_figure_real(hn_number_at(cell, "gauc"), 4));
    hn_page_table_number(out, hn_figure_real(hn_number_at(cell, "log_loss"), 4));
    hn_page_table_number(out, hn_figure_real(hn_number_at(cell, "calibration"), 3));
    hn_page_table_number(out, hn_figure_real(hn_number_at(cell, "error"), 4));
    hn_page_table_number(out, hn_figure_whole(hn_number_at(cell, "rows")));
    hn_page_table_number(out, hn_figure_whole(hn_number_at(cell, "positives")));
    hn_page_table_number(
        out, hn_figure_share(hn_number_at(cell, "positives") / hn_number_at(cell, "rows")));
    hn_html_raw(out, "</tr>\n");
}

static void mean_row(hn_text *out, const json_t *mean) {
    hn_html_raw(out, "<tr class=\"mean\"><th scope=\"row\">mean</th>");
    hn_page_table_number(out, hn_figure_real(hn_number_at(mean, "auc"), 4));
    hn_page_table_number(out, interval_text(mean));
    hn_page_table_number(out, hn_figure_real(hn_number_at(mean, "gauc"), 4));
    hn_page_table_number(out, hn_figure_real(hn_number_at(mean, "log_loss"), 4));
    hn_html_raw(out, "<td></td><td></td><td></td><td></td><td></td></tr>\n");
}

static void constant_note(const hn_page *page, int32_t r) {
    for (int32_t c = 0; c < page->n_cells; c++)
        if (json_is_true(json_object_get(hn_page_cell_of(page, r, c), "constant")))
            HN_HTML(
                page->out,
                "<p class=\"bad\"><b>$</b> gives every row the same prediction: its experts have "
                "died.</p>\n",
                page->cells[c].name);
}

static void cells_of_run(const hn_page *page, int32_t r) {
    static const char *const heads[] = {"Cell",
                                        "AUC",
                                        "95 % interval",
                                        "GAUC",
                                        "Log loss",
                                        "Predicted / actual",
                                        "Calibration error",
                                        "Rows",
                                        "Positives",
                                        "Rate",
                                        NULL};
    const json_t *const run = hn_page_run(page, r);
    hn_text caption = {0};
    hn_text_add(&caption, "%s: every cell", hn_string_at(run, "label"));
    hn_page_table_begin(page->out, caption.text ? caption.text : "", heads);
    for (int32_t c = 0; c < page->n_cells; c++) {
        const json_t *const cell = hn_page_cell_of(page, r, c);
        if (cell) cell_row(page->out, page->cells[c].name, cell);
    }
    mean_row(page->out, json_object_get(json_object_get(run, "measured"), "mean"));
    hn_page_table_end(page->out);
    constant_note(page, r);
    page->out->failed |= caption.failed;
    hn_text_free(&caption);
}

typedef struct point_row {
    double x[HN_SHOWN_CELLS], low[HN_SHOWN_CELLS], high[HN_SHOWN_CELLS];
} point_row;

/* AUC with its interval, a row for each cell, a point for each run. */
static void cells_chart(const hn_page *page) {
    int32_t shown[HN_SHOWN_CELLS];
    const char *names[HN_SHOWN_CELLS];
    const int32_t n = hn_page_shown(shown, page);
    point_row *const all = hn_alloc((size_t)page->n_runs, sizeof *all);
    hn_series *const series = hn_alloc_zero((size_t)page->n_runs, sizeof *series);
    if (!all || !series) page->out->failed = true;
    for (int32_t r = 0; all && series && r < page->n_runs; r++) {
        for (int32_t i = 0; i < n; i++) {
            const json_t *const cell = hn_page_cell_of(page, r, shown[i]);
            all[r].x[i] = hn_number_at(cell, "auc");
            hn_interval_at(&all[r].low[i], &all[r].high[i], cell, "interval");
        }
        series[r] = (hn_series){.name = hn_string_at(hn_page_run(page, r), "label"),
                                .n = n,
                                .style = r,
                                .x = all[r].x,
                                .low = all[r].low,
                                .high = all[r].high};
    }
    for (int32_t i = 0; i < n; i++) names[i] = page->cells[shown[i]].name;
    const hn_chart chart = {.kind = HN_CHART_INTERVALS,
                            .title = "AUC by cell, with 95 % intervals",
                            .x_label = "AUC",
                            .series = series,
                            .n_series = page->n_runs,
                            .row_names = names,
                            .rows = n,
                            .decimals = 4};
    hn_html_raw(page->out,
                "<figure class=\"half\"><figcaption><b>AUC by cell</b><span>whiskers are 95 % "
                "intervals</span></figcaption>\n");
    if (all && series) hn_chart_draw(page->out, &chart);
    hn_html_raw(page->out, "</figure>\n");
    hn_free(all);
    hn_free(series);
}

void hn_page_cells(const hn_page *page) {
    hn_page_legend(page);
    cells_chart(page);
    for (int32_t r = 0; r < page->n_runs; r++) cells_of_run(page, r);
}

/* ---- ROC and reliability ----------------------------------------------------------------- */

bool hn_page_has_curves(const hn_page *page) {
    for (int32_t r = 0; r < page->n_runs; r++)
        if (hn_page_measured(page, r)) return true;
    return false;
}

/* The series of one picture and the numbers that they point to. */
typedef struct series_list {
    hn_series *items;
    double **numbers;
    int32_t n, n_numbers;
    bool failed;
} series_list;

enum { NUMBERS_EACH = 4 };

static series_list list_create(int32_t most) {
    series_list list = {.items = hn_alloc_zero((size_t)most + 1, sizeof *list.items),
                        .numbers =
                            hn_alloc_zero((size_t)(most + 1) * NUMBERS_EACH, sizeof *list.numbers)};
    list.failed = !list.items || !list.numbers;
    return list;
}

static void list_free(series_list *list) {
    for (int32_t i = 0; list->numbers && i < list->n_numbers; i++) hn_free(list->numbers[i]);
    hn_free(list->numbers);
    hn_free(list->items);
}

static const double *keep(series_list *list, double *numbers) {
    if (!list->failed && numbers) list->numbers[list->n_numbers++] = numbers;
    if (list->failed) hn_free(numbers);
    list->failed |= numbers == NULL;
    return list->failed ? NULL : numbers;
}

static double *column(const json_t *points, size_t k) {
    const size_t n = json_array_size(points);
    double *const out = n > 0 ? hn_alloc(n, sizeof *out) : NULL;
    for (size_t i = 0; out && i < n; i++)
        out[i] = hn_number_of(json_array_get(json_array_get(points, i), k));
    return out;
}

static void draw_list(const hn_page *page, series_list *list, hn_chart chart) {
    chart.series = list->items;
    chart.n_series = list->n;
    if (list->failed)
        page->out->failed = true;
    else
        hn_chart_draw(page->out, &chart);
    list_free(list);
}

static void draw_roc(const hn_page *page, int32_t c) {
    hn_text title = {0};
    series_list list = list_create(page->n_runs);
    hn_text_add(&title, "ROC curve of %s", page->cells[c].name);
    for (int32_t r = 0; r < page->n_runs && !list.failed; r++) {
        const json_t *const cell = hn_page_cell_of(page, r, c), *const roc =
                                                                    hn_array_at(cell, "roc");
        hn_text_add(&title, "; %s: AUC %s", hn_string_at(hn_page_run(page, r), "label"),
                    hn_figure_real(hn_number_at(cell, "auc"), 4).text);
        if (hn_count(roc) == 0) continue;
        const double *const x = keep(&list, column(roc, 0)), *const y = keep(&list, column(roc, 1));
        list.items[list.n++] = (hn_series){.name = hn_string_at(hn_page_run(page, r), "label"),
                                           .n = hn_count(roc),
                                           .style = r,
                                           .x = x,
                                           .y = y};
    }
    draw_list(page, &list,
              (hn_chart){.kind = HN_CHART_ROC,
                         .title = title.text ? title.text : "",
                         .x_label = "false positive rate",
                         .y_label = "true positive rate",
                         .decimals = 3});
    page->out->failed |= title.failed;
    hn_text_free(&title);
}

static void add_bins(series_list *list, const json_t *bins, const char *name, const char *x_key,
                     int32_t style, bool whiskers) {
    hn_series s = {.name = name, .n = hn_count(bins), .style = style};
    if (s.n == 0 || list->failed) return;
    s.x = keep(list, hn_numbers_of(bins, x_key));
    s.y = keep(list, hn_numbers_of(bins, "rate"));
    if (whiskers) {
        s.low = keep(list, hn_numbers_of(bins, "low"));
        s.high = keep(list, hn_numbers_of(bins, "high"));
    }
    if (!list->failed) list->items[list->n++] = s;
}

static bool is_calibrated(const json_t *bins) {
    return json_is_number(json_object_get(json_array_get(bins, 0), "calibrated"));
}

/* One run: the model's probabilities and the calibrated ones; several: the model's of each. */
static void draw_reliability(const hn_page *page, int32_t c) {
    hn_text title = {0};
    series_list list = list_create(page->n_runs + 1);
    hn_text_add(&title, "Calibration of %s: actual rate against predicted probability",
                page->cells[c].name);
    for (int32_t r = 0; r < page->n_runs && !list.failed; r++) {
        const json_t *const cell = hn_page_cell_of(page, r, c), *const bins =
                                                                    hn_array_at(cell, "bins");
        const bool alone = page->n_runs == 1;
        hn_text_add(&title, "; %s: calibration error %s",
                    hn_string_at(hn_page_run(page, r), "label"),
                    hn_figure_real(hn_number_at(cell, "error"), 4).text);
        add_bins(&list, bins, alone ? "model" : hn_string_at(hn_page_run(page, r), "label"),
                 "predicted", r, alone);
        if (alone && is_calibrated(bins))
            add_bins(&list, bins, "calibrated", "calibrated", 1, false);
    }
    draw_list(page, &list,
              (hn_chart){.kind = HN_CHART_RELIABILITY,
                         .title = title.text ? title.text : "",
                         .x_label = "predicted",
                         .y_label = "actual",
                         .decimals = 4});
    page->out->failed |= title.failed;
    hn_text_free(&title);
}

/* With one run its series are the model and its calibration. */
static void curves_legend(const hn_page *page) {
    hn_page_legend(page);
    if (page->n_runs > 1) return;
    hn_html_raw(page->out, "<ul class=\"legend\" aria-label=\"calibration\">\n");
    static const char *const names[] = {"as the model says, with 95 % intervals of the rate",
                                        "after the bundle's calibration, where it has one"};
    for (int32_t i = 0; i < 2; i++) {
        hn_text_add(
            page->out,
            "<li><svg width=\"34\" height=\"12\" viewBox=\"0 0 34 12\" aria-hidden=\"true\">"
            "<path class=\"l s%d\" d=\"M0 6H34\"/>",
            (int)i);
        hn_svg_mark(page->out, i, 17, 6, NULL);
        HN_HTML(page->out, "</svg>$</li>\n", names[i]);
    }
    hn_html_raw(page->out, "</ul>\n");
}

static void curves_caption(const hn_page *page, int32_t c) {
    HN_HTML(page->out, "<figure><figcaption><b>$</b>", page->cells[c].name);
    if (page->n_runs == 1) {
        const json_t *const cell = hn_page_cell_of(page, 0, c);
        HN_HTML(page->out, "<span>AUC $, calibration error $, $ rows</span>",
                hn_figure_real(hn_number_at(cell, "auc"), 4).text,
                hn_figure_real(hn_number_at(cell, "error"), 4).text,
                hn_figure_whole(hn_number_at(cell, "rows")).text);
    }
    hn_html_raw(page->out, "</figcaption>\n<div class=\"two\">\n");
}

void hn_page_curves(const hn_page *page) {
    int32_t shown[HN_SHOWN_CELLS];
    const int32_t n = hn_page_shown(shown, page);
    hn_html_raw(
        page->out,
        "<p>For each cell, left: the ROC curve; right: the actual rate against the predicted "
        "probability, in tenths of the cell's rows. The dotted line is chance, and "
        "perfect calibration.</p>\n");
    if (n < page->n_cells)
        hn_text_add(
            page->out,
            "<p class=\"note\">Of %d cells the %d with the most rows are drawn; the data has "
            "all.</p>\n",
            (int)page->n_cells, (int)n);
    curves_legend(page);
    hn_html_raw(page->out, "<div class=\"pairs\">\n");
    for (int32_t i = 0; i < n; i++) {
        curves_caption(page, shown[i]);
        draw_roc(page, shown[i]);
        draw_reliability(page, shown[i]);
        hn_html_raw(page->out, "</div>\n</figure>\n");
    }
    hn_html_raw(page->out, "</div>\n");
}

/* ---- Learning ---------------------------------------------------------------------------- */

bool hn_page_has_learning(const hn_page *page) {
    for (int32_t r = 0; r < page->n_runs; r++)
        if (hn_count(hn_array_at(hn_page_run(page, r), "history")) > 0) return true;
    return false;
}

/* Epochs are too coarse where a run evaluates more than once in one. */
static bool by_step(const hn_page *page) {
    for (int32_t r = 0; r < page->n_runs; r++) {
        const json_t *const history = hn_array_at(hn_page_run(page, r), "history");
        for (int32_t i = 1; i < hn_count(history); i++)
            if (hn_number_at(json_array_get(history, (size_t)i), "epoch") ==
                hn_number_at(json_array_get(history, (size_t)i - 1), "epoch"))
                return true;
    }
    return false;
}

/* history[i][key], or history[i].cells[key][cell] where cell ≥ 0; NULL without records or memory.
 */
static double *history_numbers(const json_t *history, const char *key, int32_t cell) {
    const size_t n = json_array_size(history);
    double *const out = n > 0 ? hn_alloc(n, sizeof *out) : NULL;
    for (size_t i = 0; out && i < n; i++) {
        const json_t *const record = json_array_get(history, i);
        out[i] = cell < 0 ? hn_number_at(record, key)
                          : hn_number_of(json_array_get(
                                hn_array_at(json_object_get(record, "cells"), key), (size_t)cell));
    }
    return out;
}

static void learning_chart(const hn_page *page, const char *name, const char *key,
                           const char *y_label, int32_t c) {
    const bool steps = by_step(page);
    series_list list = list_create(page->n_runs);
    hn_text title = {0};
    hn_text_add(&title, "%s by %s", name, steps ? "step" : "epoch");
    for (int32_t r = 0; r < page->n_runs && !list.failed; r++) {
        const json_t *const history = hn_array_at(hn_page_run(page, r), "history");
        const int32_t cell = c < 0 ? -1 : hn_page_cell_index(page, r, c), n = hn_count(history);
        if (n == 0 || (c >= 0 && cell < 0)) continue;
        const double *const x = keep(&list, hn_numbers_of(history, steps ? "step" : "epoch")),
                            *const y = keep(&list, history_numbers(history, key, cell));
        list.items[list.n++] = (hn_series){.name = hn_string_at(hn_page_run(page, r), "label"),
                                           .n = n,
                                           .style = r,
                                           .x = x,
                                           .y = y};
    }
    HN_HTML(page->out, "<figure><figcaption><b>$</b></figcaption>\n", name);
    draw_list(page, &list,
              (hn_chart){.kind = HN_CHART_LINES,
                         .title = title.text ? title.text : "",
                         .x_label = steps ? "step" : "epoch",
                         .y_label = y_label,
                         .decimals = 4});
    hn_html_raw(page->out, "</figure>\n");
    page->out->failed |= title.failed;
    hn_text_free(&title);
}

static bool has_cell_curves(const hn_page *page) {
    for (int32_t r = 0; r < page->n_runs; r++) {
        const json_t *const first = json_array_get(hn_array_at(hn_page_run(page, r), "history"), 0);
        if (json_is_object(json_object_get(first, "cells"))) return true;
    }
    return false;
}

void hn_page_learning(const hn_page *page) {
    int32_t shown[HN_SHOWN_CELLS];
    const int32_t n = hn_page_shown(shown, page);
    hn_page_legend(page);
    hn_html_raw(page->out, "<div class=\"grid\">\n");
    learning_chart(page, "Training loss", "loss", "loss", -1);
    learning_chart(page, "Validation: mean AUC", "auc", "AUC", -1);
    learning_chart(page, "Validation: mean log loss", "log_loss", "log loss", -1);
    hn_html_raw(page->out, "</div>\n");
    if (!has_cell_curves(page)) {
        hn_html_raw(
            page->out,
            "<p class=\"note\">Curves of cells need the history.jsonl that training writes beside "
            "the bundle.</p>\n");
        return;
    }
    hn_html_raw(page->out, "<h3>Validation AUC of each cell</h3>\n<div class=\"grid\">\n");
    for (int32_t i = 0; i < n; i++)
        learning_chart(page, page->cells[shown[i]].name, "auc", "AUC", shown[i]);
    hn_html_raw(page->out, "</div>\n");
}
