/* What the sections share: reading the document, and pieces of HTML. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "report/page.h"

/* ---- Reading ----------------------------------------------------------------------------- */

const json_t *hn_page_run(const hn_page *page, int32_t i) {
    return json_array_get(page->runs, (size_t)i);
}

const char *hn_string_at(const json_t *object, const char *key) {
    const char *const text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

double hn_number_of(const json_t *value) {
    return json_is_number(value) ? json_number_value(value) : NAN;
}

double hn_number_at(const json_t *object, const char *key) {
    return hn_number_of(json_object_get(object, key));
}

const json_t *hn_array_at(const json_t *object, const char *key) {
    const json_t *const value = json_object_get(object, key);
    return json_is_array(value) ? value : NULL;
}

int32_t hn_count(const json_t *array) { return (int32_t)json_array_size(array); }

void hn_interval_at(double *low, double *high, const json_t *object, const char *key) {
    const json_t *const interval = hn_array_at(object, key);
    *low = hn_number_of(json_array_get(interval, 0));
    *high = hn_number_of(json_array_get(interval, 1));
}

int32_t hn_page_cell_index(const hn_page *page, int32_t run, int32_t c) {
    const json_t *const cells =
        hn_array_at(json_object_get(hn_page_run(page, run), "measured"), "cells");
    const json_t *cell;
    size_t i;
    /* runs of one config have their cells at the same places */
    for (int pass = 0; pass < 2; pass++) json_array_foreach(cells, i, cell) {
            if (pass == 0 && i != (size_t)c) continue;
            if (strcmp(hn_string_at(cell, "scenario"), page->cells[c].scenario) == 0 &&
                strcmp(hn_string_at(cell, "task"), page->cells[c].task) == 0)
                return (int32_t)i;
        }
    return -1;
}

const json_t *hn_page_cell_of(const hn_page *page, int32_t run, int32_t c) {
    const int32_t i = hn_page_cell_index(page, run, c);
    const json_t *const measured = json_object_get(hn_page_run(page, run), "measured");
    return i < 0 ? NULL : json_array_get(json_object_get(measured, "cells"), (size_t)i);
}

static double rows_of_cell(const hn_page *page, int32_t c) {
    double most = 0;
    for (int32_t r = 0; r < page->n_runs; r++) {
        const double rows = hn_number_at(hn_page_cell_of(page, r, c), "rows");
        if (rows > most) most = rows;
    }
    return most;
}

int32_t hn_page_shown(int32_t *out, const hn_page *page) {
    int32_t n = 0;
    double *const rows = hn_alloc((size_t)page->n_cells + 1, sizeof *rows);
    if (!rows) {
        page->out->failed = true;
        return 0;
    }
    for (int32_t c = 0; c < page->n_cells; c++) rows[c] = rows_of_cell(page, c);
    for (int32_t c = 0; c < page->n_cells; c++) {
        int32_t larger = 0;
        for (int32_t d = 0; d < page->n_cells && larger < HN_SHOWN_CELLS; d++)
            larger += rows[d] > rows[c] || (rows[d] == rows[c] && d < c);
        if (larger < HN_SHOWN_CELLS) out[n++] = c;
    }
    hn_free(rows);
    return n;
}

bool hn_page_measured(const hn_page *page, int32_t run) {
    return json_is_string(json_object_get(hn_page_run(page, run), "rows_of"));
}

const char *hn_page_rows_of(const json_t *run) {
    static const struct {
        const char *word, *text;
    } words[] = {
        {"test", "the test split of its prepared dataset"},
        {"validation", "the validation split of its prepared dataset (there is no test split)"},
        {"config", "the test split of the config given"},
        {"files", "all rows of the files given"}};
    const char *const rows = hn_string_at(run, "rows_of"), *const stored =
                                                               hn_string_at(run, "stored");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(rows, words[i].word) == 0) return words[i].text;
    if (strcmp(stored, "test") == 0) return "the test split, as stored when it was trained";
    if (strcmp(stored, "validation") == 0)
        return "the validation split, as stored when it was trained";
    return "no rows: the bundle has no metrics";
}

double *hn_numbers_of(const json_t *array, const char *key) {
    const size_t n = json_array_size(array);
    double *const out = n > 0 ? hn_alloc(n, sizeof *out) : NULL;
    for (size_t i = 0; out && i < n; i++) {
        const json_t *const item = json_array_get(array, i);
        out[i] = hn_number_of(key ? json_object_get(item, key) : item);
    }
    return out;
}

/* ---- Pieces ------------------------------------------------------------------------------ */

void hn_page_legend(const hn_page *page) {
    if (page->n_runs < 2) return;
    hn_html_raw(page->out, "<ul class=\"legend\" aria-label=\"runs\">\n");
    for (int32_t r = 0; r < page->n_runs; r++) {
        const int style = (int)(r % HN_CHART_STYLES);
        hn_text_add(
            page->out,
            "<li><svg width=\"34\" height=\"12\" viewBox=\"0 0 34 12\" aria-hidden=\"true\">"
            "<path class=\"l s%d\" d=\"M0 6H34\"/>",
            style);
        hn_svg_mark(page->out, r, 17, 6, NULL);
        HN_HTML(page->out, "</svg>$</li>\n", hn_string_at(hn_page_run(page, r), "label"));
    }
    hn_html_raw(page->out, "</ul>\n");
}

void hn_page_table_begin(hn_text *out, const char *caption, const char *const *heads) {
    HN_HTML(out,
            "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"$\">\n<table>\n"
            "<caption>$</caption>\n<thead><tr>",
            caption, caption);
    for (; *heads; heads++)
        if (**heads == '|')
            HN_HTML(out, "<th scope=\"col\" class=\"text\">$</th>", *heads + 1);
        else
            HN_HTML(out, "<th scope=\"col\">$</th>", *heads);
    hn_html_raw(out, "</tr></thead>\n<tbody>\n");
}

void hn_page_table_end(hn_text *out) { hn_html_raw(out, "</tbody>\n</table>\n</div>\n"); }
void hn_page_table_number(hn_text *out, hn_figure figure) {
    HN_HTML(out, "<td>$</td>", figure.text);
}
void hn_page_table_text(hn_text *out, const char *text) {
    HN_HTML(out, "<td class=\"text\">$</td>", text);
}
