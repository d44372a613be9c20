/* hn_runs_report: the document is gathered, the page is drawn from it, and a short table says at
 * the terminal what stands in it. */
#include <math.h>
#include <string.h>

#include "report/document.h"
#include "report/page.h"

static void summary_cell(hn_grid *grid, hn_figure figure) { hn_grid_cell(grid, "%s", figure.text); }

void hn_summary_write(hn_text *out, const json_t *document) {
    static const char *const heads[] = {"run",           "model",         "mean AUC",
                                        "95 % interval", "mean log loss", "rows"};
    hn_grid *const grid = hn_grid_create(6);
    const json_t *run;
    size_t i;
    for (i = 0; i < 6; i++) hn_grid_cell(grid, "%s", heads[i]);
    json_array_foreach(json_object_get(document, "runs"), i, run) {
        const json_t *const measured = json_object_get(run, "measured"), *const mean =
                                                                             json_object_get(
                                                                                 measured, "mean");
        double low, high;
        hn_interval_at(&low, &high, mean, "interval");
        hn_grid_cell(grid, "%s", hn_string_at(run, "label"));
        hn_grid_cell(grid, "%s", hn_string_at(json_object_get(run, "model"), "title"));
        summary_cell(grid, hn_figure_real(hn_number_at(mean, "auc"), 4));
        summary_cell(grid, hn_figure_range(low, high, 4, false));
        summary_cell(grid, hn_figure_real(hn_number_at(mean, "log_loss"), 4));
        summary_cell(grid, hn_figure_whole(hn_number_at(measured, "rows")));
    }
    hn_grid_render(grid, out);
}

static hn_status write_page(const json_t *document, hn_write write, void *user, hn_error *err) {
    hn_text page = {0};
    hn_page_write(&page, document);
    const hn_status status = page.failed
                                 ? hn_fail(err, HN_NO_MEMORY, "no memory for the report's page")
                                 : write(user, page.text, page.length, err);
    hn_text_free(&page);
    return status;
}

hn_status hn_runs_report(hn_report **out, const char *const *runs, size_t n_runs,
                         const hn_runs_options *options, hn_write write, void *user,
                         const hn_run *run, hn_error *err) {
    const hn_run defaults = hn_run_default();
    const hn_runs_options plain = {.seed = 1};
    json_t *document;
    hn_text text = {0};
    *out = NULL;
    if (n_runs == 0)
        return hn_fail(err, HN_USAGE,
                       "no run is given; expected a folder that training wrote, or a bundle");
    if (options && options->seed > INT64_MAX) /* it stands in the document */
        return hn_fail(err, HN_USAGE, "the seed %llu: expected at most %lld",
                       (unsigned long long)options->seed, (long long)INT64_MAX);
    HN_TRY(hn_document_gather(&document, runs, n_runs, options ? options : &plain,
                              run ? run : &defaults, err));
    const hn_status status = write ? write_page(document, write, user, err) : HN_OK;
    if (status != HN_OK) {
        json_decref(document);
        return status;
    }
    hn_summary_write(&text, document);
    return hn_report_create(out, document, &text, err);
}
