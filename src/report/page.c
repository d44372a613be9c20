/* The page: its frame, and the overview and comparison of the runs. */
#include "report/page.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

/* ---- Overview ---------------------------------------------------------------------------- */

static hn_figure duration(double seconds) {
    hn_figure out = hn_figure_real(NAN, 0);
    if (!isfinite(seconds) || seconds < 0) return out;
    if (seconds < 100)
        snprintf(out.text, sizeof out.text, "%.1f s", seconds);
    else if (seconds < 6000)
        snprintf(out.text, sizeof out.text, "%.0f min", seconds / 60);
    else
        snprintf(out.text, sizeof out.text, "%.1f h", seconds / 3600);
    return out;
}

static void tile(hn_text *out, const char *name, const char *value, const char *more) {
    HN_HTML(out, "<div><dt>$</dt><dd>$<small>$</small></dd></div>\n", name, value, more);
}

static hn_figure epoch_text(const json_t *run) {
    hn_figure out;
    const hn_figure best = hn_figure_whole(hn_number_at(run, "best_epoch")),
                    all = hn_figure_whole(hn_number_at(run, "epochs_trained"));
    snprintf(out.text, sizeof out.text, "%.12s of %.12s", best.text, all.text);
    return out;
}

static hn_figure interval_text(const json_t *object, int32_t decimals, bool with_sign) {
    double low, high;
    hn_interval_at(&low, &high, object, "interval");
    return hn_figure_range(low, high, decimals, with_sign);
}

static void tiles(const hn_page *page) {
    const json_t *const run = hn_page_run(page, 0), *const model = json_object_get(run, "model"),
                        *const measured = json_object_get(run, "measured"),
                        *const mean = json_object_get(measured, "mean");
    hn_text *const out = page->out;
    char more[64];
    hn_html_raw(out, "<dl class=\"tiles\">\n");
    tile(out, "Mean AUC of the cells", hn_figure_real(hn_number_at(mean, "auc"), 4).text,
         hn_page_measured(page, 0) ? interval_text(mean, 4, false).text : "");
    tile(out, "Mean GAUC", hn_figure_real(hn_number_at(mean, "gauc"), 4).text, "by user");
    tile(out, "Mean log loss", hn_figure_real(hn_number_at(mean, "log_loss"), 4).text, "");
    if (hn_page_measured(page, 0))
        tile(out, "Rows measured", hn_figure_whole(hn_number_at(measured, "rows")).text, "");
    snprintf(more, sizeof more, "and %s in tables",
             hn_figure_whole(hn_number_at(model, "table_parameters")).text);
    tile(out, "Parameters", hn_figure_whole(hn_number_at(model, "parameters")).text, more);
    tile(out, "Best epoch", epoch_text(run).text, "");
    tile(out, "Training", duration(hn_number_at(run, "seconds")).text, "");
    hn_html_raw(out, "</dl>\n");
}

static void run_row(const hn_page *page, int32_t r) {
    const json_t *const run = hn_page_run(page, r), *const model = json_object_get(run, "model"),
                        *const measured = json_object_get(run, "measured"),
                        *const mean = json_object_get(measured, "mean");
    hn_text *const out = page->out;
    HN_HTML(out, "<tr><th scope=\"row\">$</th>", hn_string_at(run, "label"));
    hn_page_table_text(out, hn_string_at(model, "title"));
    hn_page_table_number(out, hn_figure_real(hn_number_at(mean, "auc"), 4));
    hn_page_table_number(out, interval_text(mean, 4, false));
    hn_page_table_number(out, hn_figure_real(hn_number_at(mean, "gauc"), 4));
    hn_page_table_number(out, hn_figure_real(hn_number_at(mean, "log_loss"), 4));
    hn_page_table_number(out, hn_figure_whole(hn_number_at(measured, "rows")));
    hn_page_table_number(out, hn_figure_whole(hn_number_at(model, "parameters")));
    hn_page_table_number(out, hn_figure_whole(hn_number_at(model, "table_parameters")));
    hn_page_table_number(out, epoch_text(run));
    hn_page_table_number(out, duration(hn_number_at(run, "seconds")));
    hn_html_raw(out, "</tr>\n");
}

bool hn_page_has_overview(const hn_page *page) { return page->n_runs > 0; }

void hn_page_overview(const hn_page *page) {
    static const char *const heads[] = {"Run",       "|Model",        "Mean AUC", "95 % interval",
                                        "Mean GAUC", "Mean log loss", "Rows",     "Parameters",
                                        "In tables", "Best epoch",    "Training", NULL};
    for (int32_t r = 0; r < page->n_runs; r++) {
        const json_t *const run = hn_page_run(page, r), *const model =
                                                            json_object_get(run, "model");
        HN_HTML(page->out, "<p><b>$</b>: $ ($), measured on $.</p>\n", hn_string_at(run, "label"),
                hn_string_at(model, "title"), hn_string_at(model, "source"), hn_page_rows_of(run));
    }
    if (page->n_runs == 1) {
        tiles(page);
        return;
    }
    hn_page_table_begin(page->out, "The runs", heads);
    for (int32_t r = 0; r < page->n_runs; r++) run_row(page, r);
    hn_page_table_end(page->out);
}

/* ---- Comparison -------------------------------------------------------------------------- */

bool hn_page_has_comparison(const hn_page *page) {
    return json_is_object(json_object_get(page->document, "comparison"));
}

/* What a difference says, in words and a mark, so that colour is not needed to read it. */
static void difference_cell(hn_text *out, const json_t *cell) {
    double low, high;
    hn_interval_at(&low, &high, cell, "interval");
    const bool better = low > 0, worse = high < 0;
    hn_text_add(out, "<td%s>%s",
                better  ? " class=\"good\""
                : worse ? " class=\"bad\""
                        : "",
                better  ? "\xe2\x96\xb2 "
                : worse ? "\xe2\x96\xbc "
                        : "");
    HN_HTML(out, "$</td><td>$</td>", hn_figure_signed(hn_number_at(cell, "difference"), 4).text,
            hn_figure_range(low, high, 4, true).text);
}

static void comparison_rows(const hn_page *page, const json_t *run) {
    const json_t *const cells = hn_array_at(run, "cells");
    hn_text *const out = page->out;
    hn_html_raw(out, "<tr class=\"mean\"><th scope=\"row\">mean of the cells</th>");
    difference_cell(out, json_object_get(run, "mean"));
    hn_html_raw(out, "</tr>\n");
    for (int32_t c = 0; c < page->n_cells && c < hn_count(cells); c++) {
        HN_HTML(out, "<tr><th scope=\"row\">$</th>", page->cells[c].name);
        difference_cell(out, json_array_get(cells, (size_t)c));
        hn_html_raw(out, "</tr>\n");
    }
}

static double difference_at(const json_t *run, int32_t row, double *low, double *high) {
    const json_t *const cell = row == 0
                                   ? json_object_get(run, "mean")
                                   : json_array_get(hn_array_at(run, "cells"), (size_t)row - 1);
    hn_interval_at(low, high, cell, "interval");
    return hn_number_at(cell, "difference");
}

enum { COMPARED_ROWS = HN_SHOWN_CELLS + 1 };

typedef struct differences {
    double x[COMPARED_ROWS], low[COMPARED_ROWS], high[COMPARED_ROWS];
} differences;

/* Of the run of this label, as everywhere on the page. */
static int32_t style_of(const hn_page *page, const char *label) {
    for (int32_t r = 0; r < page->n_runs; r++)
        if (strcmp(hn_string_at(hn_page_run(page, r), "label"), label) == 0) return r;
    return 0;
}

/* A row for the mean and for each shown cell, a point for each run but the first. */
static void comparison_chart(const hn_page *page, const json_t *runs, const char *base) {
    int32_t shown[HN_SHOWN_CELLS];
    const char *names[COMPARED_ROWS] = {"mean of the cells"};
    const int32_t n = hn_page_shown(shown, page), n_runs = hn_count(runs);
    differences *const all = hn_alloc((size_t)n_runs, sizeof *all);
    hn_series *const series = hn_alloc_zero((size_t)n_runs, sizeof *series);
    if (!all || !series) page->out->failed = true;
    for (int32_t r = 0; all && series && r < n_runs; r++) {
        const json_t *const run = json_array_get(runs, (size_t)r);
        for (int32_t i = 0; i <= n; i++)
            all[r].x[i] =
                difference_at(run, i == 0 ? 0 : shown[i - 1] + 1, &all[r].low[i], &all[r].high[i]);
        series[r] = (hn_series){.name = hn_string_at(run, "label"),
                                .n = n + 1,
                                .style = style_of(page, hn_string_at(run, "label")),
                                .x = all[r].x,
                                .low = all[r].low,
                                .high = all[r].high};
    }
    for (int32_t i = 0; i < n; i++) names[i + 1] = page->cells[shown[i]].name;
    static const double zero = 0;
    const hn_chart chart = {.kind = HN_CHART_INTERVALS,
                            .title = "Difference in AUC by cell",
                            .x_label = "AUC difference",
                            .series = series,
                            .n_series = n_runs,
                            .row_names = names,
                            .rows = n + 1,
                            .reference = &zero,
                            .decimals = 4};
    HN_HTML(
        page->out,
        "<figure class=\"half\"><figcaption><b>Difference in AUC to $</b><span>points right of the "
        "line are better; whiskers are 95 % intervals</span></figcaption>\n",
        base);
    if (all && series) hn_chart_draw(page->out, &chart);
    hn_html_raw(page->out, "</figure>\n");
    hn_free(all);
    hn_free(series);
}

static void without_rows(hn_text *out, const json_t *labels) {
    if (hn_count(labels) == 0) return;
    hn_html_raw(out, "<p class=\"note\">Not compared, for they have no rows to be measured on: ");
    for (int32_t i = 0; i < hn_count(labels); i++) {
        const char *const label = json_string_value(json_array_get(labels, (size_t)i));
        HN_HTML(out, "$<b>$</b>", i > 0 ? ", " : "", label ? label : "");
    }
    hn_html_raw(out, ". With --data all can be measured on the same.</p>\n");
}

static void comparison_of_runs(const hn_page *page, const json_t *comparison) {
    const json_t *const runs = hn_array_at(comparison, "runs"), *run;
    const char *const base = hn_string_at(comparison, "base");
    static const char *const heads[] = {"Cell", "AUC difference", "95 % interval", NULL};
    size_t i;
    HN_HTML(page->out,
            "<p>AUC of each run less that of <b>$</b>, measured on the same rows. Intervals are "
            "paired: both runs see the same users (or rows) drawn anew. They do not know of "
            "another seed's training, and are not corrected for the number of comparisons.</p>\n",
            base);
    hn_page_legend(page);
    hn_html_raw(page->out, "<div class=\"flow\">\n");
    comparison_chart(page, runs, base);
    json_array_foreach(runs, i, run) {
        hn_text caption = {0};
        hn_text_add(&caption, "%s less %s", hn_string_at(run, "label"), base);
        if (!json_is_true(json_object_get(run, "comparable"))) {
            HN_HTML(page->out,
                    "<p class=\"note\">$: not comparable, for the two were measured on different "
                    "rows, labels or cells. Give both the same --data.</p>\n",
                    caption.text);
        } else {
            hn_page_table_begin(page->out, caption.text ? caption.text : "", heads);
            comparison_rows(page, run);
            hn_page_table_end(page->out);
        }
        page->out->failed |= caption.failed;
        hn_text_free(&caption);
    }
    hn_html_raw(page->out, "</div>\n");
}

void hn_page_comparison(const hn_page *page) {
    const json_t *const comparison = json_object_get(page->document, "comparison");
    without_rows(page->out, hn_array_at(comparison, "without_rows"));
    if (hn_count(hn_array_at(comparison, "runs")) > 0) comparison_of_runs(page, comparison);
}

/* ---- The frame --------------------------------------------------------------------------- */

typedef struct section {
    const char *id, *heading;
    bool (*has)(const hn_page *page);
    void (*write)(const hn_page *page);
} section;

static const section sections[] = {
#define X(id, heading) {#id, heading, hn_page_has_##id, hn_page_##id},
    HN_PAGE_SECTIONS(X)
#undef X
};
enum { SECTIONS = sizeof sections / sizeof *sections };

static void title_of(hn_text *out, const hn_page *page) {
    const json_t *const run = hn_page_run(page, 0), *const model = json_object_get(run, "model");
    if (page->n_runs == 1)
        HN_HTML(out, "$: $", hn_string_at(run, "label"), hn_string_at(model, "title"));
    else
        hn_text_add(out, "%d runs compared", (int)page->n_runs);
}

static void write_head(const hn_page *page) {
    hn_text *const out = page->out;
    hn_html_raw(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<meta name=\"color-scheme\" content=\"light dark\">\n<title>hinet report, ");
    title_of(out, page);
    hn_text_add(out, "</title>\n<style>\n%s</style>\n</head>\n", hn_page_style);
}

static void write_header(const hn_page *page) {
    hn_text *const out = page->out;
    hn_html_raw(out, "<a class=\"skip\" href=\"#main\">Skip to the report</a>\n<header>\n<h1>");
    title_of(out, page);
    hn_text_add(out,
                "</h1>\n<p>Made by hinet %s.</p>\n</header>\n<nav aria-label=\"sections\">\n<ul>\n",
                HN_VERSION);
    for (int i = 0; i < SECTIONS; i++)
        if (sections[i].has(page))
            HN_HTML(out, "<li><a href=\"#$\">$</a></li>\n", sections[i].id, sections[i].heading);
    hn_html_raw(out, "</ul>\n</nav>\n");
}

static void write_sections(const hn_page *page) {
    hn_text *const out = page->out;
    hn_html_raw(out, "<main id=\"main\">\n");
    for (int i = 0; i < SECTIONS; i++) {
        if (!sections[i].has(page)) continue;
        HN_HTML(out,
                "<section id=\"$\" aria-labelledby=\"$-heading\">\n<h2 id=\"$-heading\">$</h2>\n",
                sections[i].id, sections[i].id, sections[i].id, sections[i].heading);
        sections[i].write(page);
        hn_html_raw(out, "</section>\n");
    }
    hn_html_raw(out, "</main>\n");
}

/* ---- Cells of all runs ------------------------------------------------------------------- */

static bool knows_cell(const hn_page *page, const char *scenario, const char *task, int32_t guess) {
    if (guess < page->n_cells && strcmp(page->cells[guess].scenario, scenario) == 0 &&
        strcmp(page->cells[guess].task, task) == 0)
        return true;
    for (int32_t c = 0; c < page->n_cells; c++)
        if (strcmp(page->cells[c].scenario, scenario) == 0 &&
            strcmp(page->cells[c].task, task) == 0)
            return true;
    return false;
}

static bool add_cell(hn_page *page, const json_t *cell, int32_t place) {
    const char *const scenario = hn_string_at(cell, "scenario"), *const task =
                                                                     hn_string_at(cell, "task");
    hn_text name = {0};
    if (knows_cell(page, scenario, task, place)) return true;
    hn_text_add(&name, "%s \xc2\xb7 %s", scenario, task);
    if (name.failed) return false;
    page->cells[page->n_cells++] = (hn_page_cell){scenario, task, name.text};
    return true;
}

static bool find_cells(hn_page *page) {
    size_t most = 0, c;
    const json_t *cell;
    for (int32_t r = 0; r < page->n_runs; r++)
        most += json_array_size(
            hn_array_at(json_object_get(hn_page_run(page, r), "measured"), "cells"));
    page->cells = hn_alloc_zero(most + 1, sizeof *page->cells);
    if (!page->cells) return false;
    for (int32_t r = 0; r < page->n_runs; r++)
        json_array_foreach(hn_array_at(json_object_get(hn_page_run(page, r), "measured"), "cells"),
                           c, cell) if (!add_cell(page, cell, (int32_t)c)) return false;
    return true;
}

void hn_page_write(hn_text *out, const json_t *document) {
    hn_page page = {.out = out, .document = document, .runs = json_object_get(document, "runs")};
    page.n_runs = hn_count(page.runs);
    if (!find_cells(&page)) out->failed = true;
    if (!out->failed) {
        write_head(&page);
        hn_html_raw(out, "<body>\n<div class=\"page\">\n");
        write_header(&page);
        write_sections(&page);
        hn_html_raw(out,
                    "<footer>The numbers of every table and picture stand in this file as JSON, in "
                    "the element <code>#document</code>.</footer>\n</div>\n"
                    "<script type=\"application/json\" id=\"document\">");
        hn_html_json(out, document);
        hn_html_raw(out, "</script>\n</body>\n</html>\n");
    }
    for (int32_t c = 0; page.cells && c < page.n_cells; c++) hn_free(page.cells[c].name);
    hn_free(page.cells);
}
