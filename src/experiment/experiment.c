/* hn_experiment: the lock, the campaign, the table. */
#include "experiment/experiment.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "experiment/campaign.h"
#include "experiment/table.h"

static hn_status report(hn_report **out, const hn_campaign *campaign, hn_error *err) {
    json_t *table;
    hn_text text = {0};
    HN_TRY(hn_table_make(&table, campaign, err));
    const hn_status status = hn_table_write(table, campaign->dir, err);
    if (status != HN_OK) {
        json_decref(table);
        return status;
    }
    hn_table_text(&text, table);
    return hn_report_create(out, table, &text, err);
}

/* What is done so far, for whoever has stopped it; the stop is what is told. */
static void write_so_far(const hn_campaign *campaign) {
    json_t *table;
    if (hn_table_make(&table, campaign, NULL) != HN_OK) return;
    if (hn_table_write(table, campaign->dir, NULL) != HN_OK)
        hn_say(campaign->run, HN_LOG_WARNING, "the table of what is done cannot be written");
    json_decref(table);
}

/* Names of files stand in the results, which are JSON; better told now than after a training. */
static hn_status check_names(const hn_experiment_config *config, const char *dir, hn_error *err) {
    const char *wrong = !hn_utf8_is(dir, strlen(dir))                     ? dir
                        : !hn_utf8_is(config->path, strlen(config->path)) ? config->path
                                                                          : NULL;
    if (!wrong) return HN_OK;
    return hn_fail(err, HN_BAD_CONFIG,
                   "%s: the name is not UTF-8, and the results name it; rename the file or folder",
                   wrong);
}

static hn_status run_campaign(hn_report **out, const hn_experiment_config *config,
                              const hn_experiment_options *options, const hn_run *run,
                              hn_error *err) {
    hn_campaign campaign;
    HN_TRY(hn_campaign_open(&campaign, config, options, run, err));
    hn_status status = hn_campaign_execute(&campaign, err);
    if (status == HN_OK) status = report(out, &campaign, err);
    if (status == HN_INTERRUPTED) write_so_far(&campaign);
    hn_campaign_close(&campaign);
    return status;
}

hn_status hn_experiment(hn_report **out, const char *path, const hn_experiment_options *options,
                        const hn_run *run, hn_error *err) {
    const hn_run default_run = hn_run_default();
    hn_experiment_options with = options ? *options : (hn_experiment_options){0};
    hn_experiment_config *config;
    int lock = -1;
    *out = NULL;
    if (!run) run = &default_run;
    if (!with.program) with.program = "/proc/self/exe";
    HN_TRY(hn_experiment_config_load(&config, path, err));
    const char *const dir = run->out_dir ? run->out_dir : ".";
    hn_status status = check_names(config, dir, err);
    if (status == HN_OK) status = hn_folder_lock(&lock, dir, err);
    if (status == HN_OK && lock < 0)
        status = hn_fail(err, HN_FAILED,
                         "%s: another hinet experiment is at work there; wait for it, or give "
                         "another --out",
                         dir);
    if (status == HN_OK) status = run_campaign(out, config, &with, run, err);
    if (lock >= 0) close(lock);
    hn_experiment_config_free(config);
    return status;
}
