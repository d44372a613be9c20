/* hinet replay: the last argument is the bundle, those before it are exposures. */
#include "cli/cli.h"

hn_status cli_run_replay(const cli_options *options, hn_run *run, hn_error *err) {
    hn_replay_options replay = options->replay;
    hn_bundle *bundle;
    hn_report *report;
    const size_t last = options->n_args - 1;
    replay.bad_lines = options->join.bad_lines;
    hn_status status = hn_bundle_open(&bundle, options->args[last], err);
    if (status != HN_OK) return status;
    status = hn_replay(&report, bundle, options->args, last, &replay, run, err);
    hn_bundle_close(bundle);
    if (status != HN_OK) return status;
    status = cli_print(options->json ? hn_report_json(report) : hn_report_text(report), err);
    hn_report_free(report);
    return status;
}
