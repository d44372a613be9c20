/* hinet report: runs to hn_runs_report, the page to --out or standard output; with --out the
 * summary, or the page's data, to standard output. */
#include <stdlib.h>

#include "cli/cli.h"

static hn_status write_page(hn_report **report, const cli_options *options, hn_run *run,
                            hn_error *err) {
    const hn_runs_options runs = {
        .data = options->data, .rows = options->rows, .seed = options->seed};
    if (!options->out && options->json)
        return hn_runs_report(report, options->args, options->n_args, &runs, NULL, NULL, run, err);
    cli_output *const out = malloc(sizeof *out);
    if (!out) return cli_fail(err, HN_NO_MEMORY, "no memory for the output");
    hn_status status = cli_output_open(out, options->out, err);
    if (status == HN_OK) {
        status = hn_runs_report(report, options->args, options->n_args, &runs, cli_output_write,
                                out, run, err);
        status = cli_output_close(out, status, err);
    }
    free(out);
    return status;
}

hn_status cli_run_report(const cli_options *options, hn_run *run, hn_error *err) {
    hn_report *report = NULL;
    cli_use_temp(run, options);
    hn_status status = write_page(&report, options, run, err);
    if (status == HN_OK && (options->out || options->json))
        status = cli_print(options->json ? hn_report_json(report) : hn_report_text(report), err);
    hn_report_free(report);
    return status;
}
