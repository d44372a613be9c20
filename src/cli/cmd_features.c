/* hinet features push: a config and the name of one of its tables to hn_features_push. */
#include <string.h>

#include "cli/cli.h"

hn_status cli_run_features(const cli_options *options, hn_run *run, hn_error *err) {
    hn_config *config;
    hn_report *report;
    if (strcmp(options->args[0], "push") != 0)
        return cli_fail(err, HN_USAGE, "features: found \"%s\"; expected push", options->args[0]);
    if (!options->redis)
        return cli_fail(err, HN_USAGE,
                        "features push: --redis URL is missing; see hinet features --help");
    hn_status status =
        hn_config_load(&config, options->args[1], options->sets, options->n_sets, err);
    if (status != HN_OK) return status;
    status = hn_features_push(&report, config, options->args[2], options->redis, &options->features,
                              run, err);
    hn_config_free(config);
    if (status != HN_OK) return status;
    status = cli_print(options->json ? hn_report_json(report) : hn_report_text(report), err);
    hn_report_free(report);
    return status;
}
