/* hinet abtest: options to hn_abtest, its report to standard output. */
#include "cli/cli.h"

hn_status cli_run_abtest(const cli_options *options, hn_run *run, hn_error *err) {
    hn_report *report;
    hn_status status =
        hn_abtest(&report, options->args, options->n_args, &options->abtest, run, err);
    if (status != HN_OK) return status;
    status = cli_print(options->json ? hn_report_json(report) : hn_report_text(report), err);
    hn_report_free(report);
    return status;
}
