/* Sections about where it all comes from: the data card, the config with its commands, and how
 * the numbers of the page were measured. */
#include <math.h>
#include <string.h>

#include "report/gates.h"
#include "report/page.h"

/* ---- Data -------------------------------------------------------------------------------- */

bool hn_page_has_data(const hn_page *page) { return page->n_runs > 0; }

static void file_names(hn_text *out, const json_t *files) {
    for (int32_t i = 0; i < hn_count(files); i++) {
        const char *const name = json_string_value(json_array_get(files, (size_t)i));
        HN_HTML(out, "$<code>$</code>", i > 0 ? ", " : "", name ? name : "");
    }
}

static void files_list(hn_text *out, const json_t *files, const json_t *log) {
    const json_t *const tables = hn_array_at(files, "tables"), *table;
    size_t t;
    hn_html_raw(out, "<p>Log: ");
    file_names(out, hn_array_at(files, "log"));
    if (log)
        HN_HTML(out, ", $ rows in $ bytes", hn_figure_whole(hn_number_at(log, "rows")).text,
                hn_figure_whole(hn_number_at(log, "bytes")).text);
    hn_html_raw(out, ".");
    json_array_foreach(tables, t, table) {
        HN_HTML(out, " Table $: ", hn_string_at(table, "name"));
        file_names(out, hn_array_at(table, "files"));
        hn_html_raw(out, ".");
    }
    hn_html_raw(out, "</p>\n");
}

static void left_out(hn_text *out, const json_t *log) {
    static const char *const keys[] = {"filtered", "other_scenario", "duplicates", "bad"};
    static const char *const words[] = {"filtered", "of other scenarios", "duplicates", "bad"};
    int n = 0;
    for (int i = 0; i < 4; i++) {
        const double rows = hn_number_at(log, keys[i]);
        if (!(rows > 0)) continue;
        HN_HTML(out, n == 0 ? "<p>Left out: $ $" : ", $ $", hn_figure_whole(rows).text, words[i]);
        n++;
    }
    if (n > 0) hn_html_raw(out, ".</p>\n");
}

/* ---- Its cells: one row, three splits ---------------------------------------------------- */

static const char *const splits[] = {"train", "validation", "test"};

static void data_cells_head(hn_text *out) {
    static const char caption[] = "Rows and rates of each cell";
    HN_HTML(out,
            "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"$\">\n<table>\n"
            "<caption>$</caption>\n<thead><tr><th scope=\"col\" rowspan=\"2\">Cell</th>",
            caption, caption);
    for (int s = 0; s < 3; s++)
        HN_HTML(out, "<th scope=\"colgroup\" colspan=\"3\" class=\"over\">$</th>", splits[s]);
    hn_html_raw(out, "</tr>\n<tr>");
    for (int s = 0; s < 3; s++)
        hn_html_raw(out, "<th scope=\"col\">Labelled</th><th scope=\"col\">Positives</th><th "
                         "scope=\"col\">Rate</th>");
    hn_html_raw(out, "</tr></thead>\n<tbody>\n");
}

/* The card has its cells by split, then by scenario and task. */
static void data_cells(hn_text *out, const json_t *cells) {
    const int32_t n = hn_count(cells) / 3;
    if (n == 0) return;
    data_cells_head(out);
    for (int32_t c = 0; c < n; c++) {
        const json_t *const first = json_array_get(cells, (size_t)c);
        HN_HTML(out, "<tr><th scope=\"row\">$ \xc2\xb7 $</th>", hn_string_at(first, "scenario"),
                hn_string_at(first, "task"));
        for (int32_t s = 0; s < 3; s++) {
            const json_t *const cell = json_array_get(cells, (size_t)(s * n + c));
            hn_page_table_number(out, hn_figure_whole(hn_number_at(cell, "labelled")));
            hn_page_table_number(out, hn_figure_whole(hn_number_at(cell, "positives")));
            hn_page_table_number(out, hn_figure_share(hn_number_at(cell, "rate")));
        }
        hn_html_raw(out, "</tr>\n");
    }
    hn_page_table_end(out);
}

/* ---- Its features ------------------------------------------------------------------------ */

static void column_name(hn_text *out, const json_t *column) {
    hn_html_raw(out, "<td class=\"text\">");
    if (json_is_string(column)) {
        hn_html_text(out, json_string_value(column));
    } else {
        for (int32_t i = 0; i < hn_count(column); i++)
            HN_HTML(out, "$$", i > 0 ? " \xc3\x97 " : "",
                    json_string_value(json_array_get(column, (size_t)i)));
    }
    hn_html_raw(out, "</td>");
}

static void data_feature(hn_text *out, const json_t *feature) {
    const json_t *const missing = json_object_get(feature, "missing"), *const unseen =
                                                                           json_object_get(
                                                                               feature, "unseen");
    HN_HTML(out, "<tr><th scope=\"row\">$</th>", hn_string_at(feature, "name"));
    hn_page_table_text(out, hn_string_at(feature, "kind"));
    hn_page_table_text(out, hn_string_at(feature, "side"));
    column_name(out, json_object_get(feature, "column"));
    hn_page_table_number(out, hn_figure_whole(hn_number_at(feature, "cardinality")));
    hn_page_table_number(out, hn_figure_whole(hn_number_at(feature, "width")));
    hn_page_table_number(out, hn_figure_share(hn_number_at(missing, "train")));
    hn_page_table_number(out, hn_figure_share(hn_number_at(missing, "test")));
    hn_page_table_number(out, hn_figure_share(hn_number_at(unseen, "train")));
    hn_page_table_number(out, hn_figure_share(hn_number_at(unseen, "test")));
    hn_html_raw(out, "</tr>\n");
}

static void data_features(hn_text *out, const json_t *features) {
    static const char *const heads[] = {
        "Input",          "|Kind",         "|Side",         "|Column",      "Distinct", "Width",
        "Missing, train", "Missing, test", "Unseen, train", "Unseen, test", NULL};
    const json_t *feature;
    size_t i;
    if (hn_count(features) == 0) return;
    hn_page_table_begin(out, "Features", heads);
    json_array_foreach(features, i, feature) data_feature(out, feature);
    hn_page_table_end(out);
}

/* The first run with the same card and files. */
static int32_t first_alike(const hn_page *page, int32_t r) {
    const json_t *const run = hn_page_run(page, r);
    for (int32_t i = 0; i < r; i++) {
        const json_t *const other = hn_page_run(page, i);
        if (json_equal(json_object_get(run, "card"), json_object_get(other, "card")) &&
            json_equal(json_object_get(run, "files"), json_object_get(other, "files")))
            return i;
    }
    return r;
}

static void data_heading(const hn_page *page, int32_t r) {
    int32_t n = 0;
    if (page->n_runs < 2) return;
    hn_html_raw(page->out, "<h3>");
    for (int32_t i = r; i < page->n_runs; i++)
        if (first_alike(page, i) == r)
            HN_HTML(page->out, "$$", n++ > 0 ? ", " : "",
                    hn_string_at(hn_page_run(page, i), "label"));
    hn_html_raw(page->out, "</h3>\n");
}

void hn_page_data(const hn_page *page) {
    for (int32_t r = 0; r < page->n_runs; r++) {
        const json_t *const run = hn_page_run(page, r), *const card = json_object_get(run, "card"),
                            *const log = json_object_get(card, "log");
        if (first_alike(page, r) != r) continue;
        data_heading(page, r);
        files_list(page->out, json_object_get(run, "files"), log);
        left_out(page->out, log);
        data_cells(page->out, hn_array_at(card, "cells"));
        data_features(page->out, hn_array_at(card, "features"));
    }
}

/* ---- Making it again --------------------------------------------------------------------- */

bool hn_page_has_reproduce(const hn_page *page) { return page->n_runs > 0; }

void hn_page_reproduce(const hn_page *page) {
    hn_text_add(
        page->out,
        "<p>With a run's config below kept as <code>config.yaml</code> where its paths lead to "
        "the data, hinet %s gives the same bundle to the byte, on any number of threads "
        "of the same kind of CPU. A warm start or options on the command line that are "
        "not in the config are not known here.</p>\n",
        HN_VERSION);
    for (int32_t r = 0; r < page->n_runs; r++) {
        const json_t *const run = hn_page_run(page, r), *const commands =
                                                            hn_array_at(run, "commands");
        if (page->n_runs > 1) HN_HTML(page->out, "<h3>$</h3>\n", hn_string_at(run, "label"));
        HN_HTML(page->out,
                "<p>Bundle <code>$</code> (XXH3-64 of the file).</p>\n<pre tabindex=\"0\" "
                "aria-label=\"commands\">",
                hn_string_at(run, "bundle"));
        for (int32_t i = 0; i < hn_count(commands); i++) {
            const char *const command = json_string_value(json_array_get(commands, (size_t)i));
            HN_HTML(page->out, "$\n", command ? command : "");
        }
        HN_HTML(page->out, "</pre>\n<pre tabindex=\"0\" aria-label=\"config of $\">$</pre>\n",
                hn_string_at(run, "label"), hn_string_at(run, "config"));
    }
}

/* ---- How it was measured ----------------------------------------------------------------- */

bool hn_page_has_methods(const hn_page *page) { return hn_page_has_curves(page); }

static void measured_by(const hn_page *page) {
    bool users = false, rows = false;
    for (int32_t r = 0; r < page->n_runs; r++) {
        if (!hn_page_measured(page, r)) continue;
        const json_t *const measured = json_object_get(hn_page_run(page, r), "measured");
        *(json_is_true(json_object_get(measured, "by_user")) ? &users : &rows) = true;
    }
    hn_text_add(page->out, "%s",
                users && rows ? "users (rows, where the config names no user)"
                : users       ? "users"
                              : "rows (the config names no user)");
}

void hn_page_methods(const hn_page *page) {
    const json_t *const settings = json_object_get(page->document, "settings");
    hn_text *const out = page->out;
    hn_html_raw(
        out,
        "<ul class=\"plain\">\n<li>AUC, GAUC, log loss and predicted / actual are exact over all "
        "rows, as <code>hinet eval</code> gives them; the mean of the cells counts every "
        "cell alike.</li>\n<li>Intervals are the 2.5 % and 97.5 % quantiles of ");
    hn_text_add(out, "%d bootstrap replicates, in each of which ",
                (int)hn_number_at(settings, "replicates"));
    measured_by(page);
    HN_HTML(out,
            " count Poisson(1) times (seed $). They tell how the numbers would change with other "
            "users, not with another seed of training.</li>\n",
            hn_figure_real(hn_number_at(settings, "seed"), 0).text);
    hn_html_raw(
        out,
        "<li>Calibration error: the mean distance of predicted and actual rate over tenths of a "
        "cell's rows, before the bundle's calibration. The whiskers are Wilson's "
        "intervals.</li>\n");
    HN_HTML(out,
            "<li>Gates and the cost of features are of a sample of at most $ rows, chosen by a "
            "hash of the "
            "row's number and the seed. All inputs of a feature are dealt anew together, over all "
            "scenarios, by the same permutation for every feature.</li>\n",
            hn_figure_whole(hn_number_at(settings, "sample_rows")).text);
    hn_text_add(out,
                "<li>Of more than %d scenarios those with the most training rows stand in the SAN "
                "table and "
                "the gates.</li>\n</ul>\n",
                HN_SHOWN_SCENARIOS);
}
