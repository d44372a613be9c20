/* Sections about what a model has learned: the SAN table, gates, and the cost of features. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "report/gates.h"
#include "report/page.h"

/* "LABEL: WHAT", or WHAT where there is one run only. */
static void run_heading(const hn_page *page, int32_t r, const char *what) {
    if (page->n_runs > 1)
        HN_HTML(page->out, "<h3>$$$</h3>\n", hn_string_at(hn_page_run(page, r), "label"),
                what[0] ? ": " : "", what);
    else if (what[0])
        HN_HTML(page->out, "<h3>$</h3>\n", what);
}

static bool any_has(const hn_page *page, const char *key) {
    for (int32_t r = 0; r < page->n_runs; r++)
        if (hn_count(hn_array_at(hn_page_run(page, r), key)) > 0) return true;
    return false;
}

/* ---- Heat maps --------------------------------------------------------------------------- */

typedef struct heat {
    const char **rows, **columns;
    double *cells;
    uint8_t *marked;
    int32_t n_rows, n_columns;
} heat;

static bool heat_create(heat *out, int32_t rows, int32_t columns) {
    *out = (heat){.rows = hn_alloc_zero((size_t)rows + 1, sizeof *out->rows),
                  .columns = hn_alloc_zero((size_t)columns + 1, sizeof *out->columns),
                  .cells = hn_alloc((size_t)rows * (size_t)columns + 1, sizeof(double)),
                  .marked = hn_alloc_zero((size_t)rows * (size_t)columns + 1, 1),
                  .n_rows = rows,
                  .n_columns = columns};
    return out->rows && out->columns && out->cells && out->marked;
}

static void heat_free(heat *h) {
    hn_free(h->rows);
    hn_free(h->columns);
    hn_free(h->cells);
    hn_free(h->marked);
}

static double heat_most(const heat *h) {
    double most = 0;
    for (int64_t i = 0; i < (int64_t)h->n_rows * h->n_columns; i++)
        if (h->cells[i] > most) most = h->cells[i];
    return most;
}

/* Scrolls in a box of its own where it is wider than the page. */
static void heat_draw(const hn_page *page, const heat *h, const char *title, const char *caption,
                      double most, int32_t decimals) {
    const hn_chart chart = {.kind = HN_CHART_HEAT,
                            .title = title,
                            .row_names = h->rows,
                            .column_names = h->columns,
                            .rows = h->n_rows,
                            .columns = h->n_columns,
                            .cells = h->cells,
                            .marked = h->marked,
                            .most = most,
                            .decimals = decimals};
    HN_HTML(page->out,
            "<figure><figcaption><b>$</b><span>$</span></figcaption>\n<div class=\"scroll\" "
            "role=\"region\" tabindex=\"0\" aria-label=\"$\">\n",
            title, caption, title);
    hn_chart_draw(page->out, &chart);
    hn_html_raw(page->out, "</div>\n</figure>\n");
}

/* ---- SAN --------------------------------------------------------------------------------- */

bool hn_page_has_san(const hn_page *page) { return any_has(page, "san"); }

static void san_table(const hn_page *page, const json_t *san) {
    const json_t *const names = hn_array_at(san, "scenarios"), *const weights =
                                                                   hn_array_at(san, "weights");
    const int32_t n = hn_count(names);
    heat h;
    hn_text title = {0};
    hn_text_add(&title, "SAN weights (%s%s)", hn_string_at(san, "name"),
                json_is_true(json_object_get(san, "by_row")) ? ", means over rows" : "");
    if (!heat_create(&h, n, n) || title.failed) {
        page->out->failed = true;
    } else {
        for (int32_t i = 0; i < n; i++) {
            h.rows[i] = h.columns[i] = json_string_value(json_array_get(names, (size_t)i));
            for (int32_t j = 0; j < n; j++)
                h.cells[i * n + j] =
                    hn_number_of(json_array_get(json_array_get(weights, (size_t)i), (size_t)j));
        }
        heat_draw(page, &h, title.text,
                  "row: the scenario of an impression; column: the scenario it takes from",
                  heat_most(&h), 2);
    }
    heat_free(&h);
    hn_text_free(&title);
}

void hn_page_san(const hn_page *page) {
    hn_html_raw(page->out,
                "<p>The share that a scenario takes from each other one's specific expert in the "
                "scenario-aware attentive network. Each row sums to 1; a scenario takes "
                "nothing from itself here, for its own expert stands beside it.</p>\n");
    for (int32_t r = 0; r < page->n_runs; r++) {
        const json_t *const list = hn_array_at(hn_page_run(page, r), "san"), *san;
        size_t i;
        if (hn_count(list) == 0) continue;
        run_heading(page, r, "");
        hn_html_raw(page->out, "<div class=\"flow\">\n");
        json_array_foreach(list, i, san) san_table(page, san);
        hn_html_raw(page->out, "</div>\n");
    }
}

/* ---- Gates ------------------------------------------------------------------------------- */

bool hn_page_has_gates(const hn_page *page) { return any_has(page, "gates"); }

/* "home · click", "home · own": what the row's gate belongs to. */
static char *gate_row_name(const json_t *row) {
    hn_text name = {0};
    const char *const task = hn_string_at(row, "task"), *const gate = hn_string_at(row, "gate");
    hn_text_add(&name, "%s%s%s%s%s", hn_string_at(row, "scenario"), task[0] ? " \xc2\xb7 " : "",
                task, gate[0] ? " \xc2\xb7 " : "", gate);
    return name.text;
}

static int32_t fill_gate_row(heat *h, int32_t i, const json_t *row) {
    const json_t *const weights = hn_array_at(row, "weights"), *const dead =
                                                                   hn_array_at(row, "dead");
    int32_t n_dead = 0;
    for (int32_t k = 0; k < h->n_columns; k++) {
        const size_t at = (size_t)i * (size_t)h->n_columns + (size_t)k;
        h->cells[at] = hn_number_of(json_array_get(weights, (size_t)k));
        h->marked[at] = json_is_true(json_array_get(dead, (size_t)k));
        n_dead += h->marked[at];
    }
    return n_dead;
}

static const char *gate_title(const char *name) {
    if (strcmp(name, "gate.sei") == 0) return "Sub-experts (gate.sei)";
    if (strcmp(name, "gate.task") == 0) return "Task experts (gate.task)";
    return name;
}

static void gate_caption(hn_text *out, const json_t *gate, int32_t dead) {
    if (json_is_true(json_object_get(gate, "softmax")))
        hn_text_add(out, "an even share would be %s; ",
                    hn_figure_real(hn_number_at(gate, "even"), 2).text);
    else
        hn_html_raw(out, "these weights do not sum to 1; ");
    if (dead > 0)
        hn_text_add(out, "%d dead, marked with a cross", (int)dead);
    else
        hn_html_raw(out, "none is dead");
}

static void gate_map(const hn_page *page, const json_t *gate) {
    const json_t *const rows = hn_array_at(gate, "rows"), *const columns =
                                                              hn_array_at(gate, "columns");
    heat h;
    hn_text caption = {0};
    int32_t dead = 0;
    bool made = heat_create(&h, hn_count(rows), hn_count(columns));
    for (int32_t k = 0; made && k < h.n_columns; k++)
        h.columns[k] = json_string_value(json_array_get(columns, (size_t)k));
    for (int32_t i = 0; made && i < h.n_rows; i++) {
        const json_t *const row = json_array_get(rows, (size_t)i);
        h.rows[i] = gate_row_name(row);
        made = h.rows[i] != NULL;
        dead += fill_gate_row(&h, i, row);
    }
    gate_caption(&caption, gate, dead);
    if (made && !caption.failed)
        heat_draw(page, &h, gate_title(hn_string_at(gate, "name")), caption.text, heat_most(&h), 2);
    else
        page->out->failed = true;
    for (int32_t i = 0; h.rows && i < h.n_rows; i++) hn_free((void *)(uintptr_t)h.rows[i]);
    heat_free(&h);
    hn_text_free(&caption);
}

void hn_page_gates(const hn_page *page) {
    hn_text_add(
        page->out,
        "<p>Mean weight of each expert over the sampled rows of a scenario. An expert that gets "
        "less than %g %% of an even share is marked as dead: the gate could as well do "
        "without it.</p>\n",
        100 * HN_DEAD_SHARE);
    for (int32_t r = 0; r < page->n_runs; r++) {
        const json_t *const list = hn_array_at(hn_page_run(page, r), "gates"), *gate;
        size_t i;
        if (hn_count(list) == 0) continue;
        run_heading(page, r, "");
        hn_html_raw(page->out, "<div class=\"flow\">\n");
        json_array_foreach(list, i, gate) gate_map(page, gate);
        hn_html_raw(page->out, "</div>\n");
    }
}

/* ---- Features ---------------------------------------------------------------------------- */

bool hn_page_has_features(const hn_page *page) {
    for (int32_t r = 0; r < page->n_runs; r++)
        if (json_is_object(json_object_get(hn_page_run(page, r), "permutation"))) return true;
    return false;
}

static void features_bars(const hn_page *page, const json_t *features, int32_t n) {
    const char *names[HN_SHOWN_FEATURES];
    double x[HN_SHOWN_FEATURES], low[HN_SHOWN_FEATURES], high[HN_SHOWN_FEATURES];
    for (int32_t f = 0; f < n; f++) {
        const json_t *const feature = json_array_get(features, (size_t)f);
        const double deviation = hn_number_at(feature, "deviation");
        names[f] = hn_string_at(feature, "name");
        x[f] = hn_number_at(feature, "drop");
        low[f] = x[f] - deviation;
        high[f] = x[f] + deviation;
    }
    const hn_series series = {.name = "drop", .n = n, .x = x, .low = low, .high = high};
    const hn_chart chart = {.kind = HN_CHART_BARS,
                            .title = "Drop of the mean AUC by feature",
                            .x_label = "drop of the mean AUC",
                            .series = &series,
                            .n_series = 1,
                            .row_names = names,
                            .rows = n,
                            .decimals = 4};
    hn_html_raw(page->out,
                "<figure class=\"half\"><figcaption><b>Drop of the mean AUC</b><span>whiskers: one "
                "standard deviation over the repeats</span></figcaption>\n");
    hn_chart_draw(page->out, &chart);
    hn_html_raw(page->out, "</figure>\n");
}

/* Features × the run's cells. */
static void features_heat(const hn_page *page, int32_t r, const json_t *features, int32_t n) {
    const json_t *const cells =
        hn_array_at(json_object_get(hn_page_run(page, r), "measured"), "cells");
    int32_t shown[HN_SHOWN_CELLS], n_shown = hn_page_shown(shown, page), n_columns = 0;
    int32_t index[HN_SHOWN_CELLS];
    heat h;
    if (!heat_create(&h, n, n_shown)) page->out->failed = true;
    for (int32_t i = 0; h.columns && i < n_shown; i++) {
        index[n_columns] = hn_page_cell_index(page, r, shown[i]);
        if (index[n_columns] >= 0 && index[n_columns] < hn_count(cells))
            h.columns[n_columns++] = page->cells[shown[i]].name;
    }
    h.n_columns = n_columns;
    for (int32_t f = 0; !page->out->failed && f < n; f++) {
        const json_t *const feature = json_array_get(features, (size_t)f), *const drops =
                                                                               hn_array_at(feature,
                                                                                           "cells");
        h.rows[f] = hn_string_at(feature, "name");
        for (int32_t i = 0; i < n_columns; i++)
            h.cells[f * n_columns + i] = hn_number_of(json_array_get(drops, (size_t)index[i]));
    }
    if (!page->out->failed && n_columns > 0)
        heat_draw(page, &h, "Drop of each cell's AUC", "row: the feature; column: the cell",
                  heat_most(&h), 3);
    heat_free(&h);
}

void hn_page_features(const hn_page *page) {
    hn_html_raw(
        page->out,
        "<p>The values of one feature are dealt anew among the sampled rows, and the model is "
        "measured again: how much AUC is lost is what the trained model gets from it. "
        "Features that say the same stand in for each other, so that each looks "
        "cheap.</p>\n");
    for (int32_t r = 0; r < page->n_runs; r++) {
        const json_t *const found = json_object_get(hn_page_run(page, r), "permutation"),
                            *const features = hn_array_at(found, "features");
        const int32_t all = hn_count(features),
                      n = all < HN_SHOWN_FEATURES ? all : HN_SHOWN_FEATURES;
        if (n == 0) continue;
        run_heading(page, r, "");
        HN_HTML(page->out,
                "<p class=\"note\">$ rows, mean AUC $ with all features, $ repeats.</p>\n",
                hn_figure_whole(hn_number_at(found, "rows")).text,
                hn_figure_real(hn_number_at(found, "auc"), 4).text,
                hn_figure_whole(hn_number_at(found, "repeats")).text);
        if (n < all)
            hn_text_add(page->out,
                        "<p class=\"note\">The %d costliest of %d features are drawn; the data has "
                        "all.</p>\n",
                        (int)n, (int)all);
        hn_html_raw(page->out, "<div class=\"flow\">\n");
        features_bars(page, features, n);
        features_heat(page, r, features, n);
        hn_html_raw(page->out, "</div>\n");
    }
}
