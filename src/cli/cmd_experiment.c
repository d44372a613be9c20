/* hinet experiment: options to hn_experiment; the form of the table that was asked for to
 * standard output, read from where the library has written it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "commit.h"

static const struct {
    const char *name, *file;
} forms[] = {{"text", NULL},
             {"csv", "table.csv"},
             {"json", "table.json"},
             {"markdown", "table.md"},
             {"latex", "table.tex"}};
enum { FORMS = sizeof forms / sizeof *forms };

static hn_status find_form(const char **file, const char *name, hn_error *err) {
    const char *names[FORMS];
    *file = NULL;
    for (int k = 0; k < FORMS; k++) {
        names[k] = forms[k].name;
        if (!name || strcmp(forms[k].name, name) != 0) continue;
        *file = forms[k].file;
        return HN_OK;
    }
    if (!name) return HN_OK;
    const char *const near = cli_nearest(name, names, FORMS);
    return cli_fail(err, HN_USAGE,
                    "--format: found \"%s\"; expected text, csv, json, markdown or latex%s%s%s",
                    name, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static hn_status print_file(const char *dir, const char *name, hn_error *err) {
    char *path = NULL, *text = NULL;
    size_t capacity = 0;
    hn_status status = HN_OK;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        return cli_fail(err, HN_NO_MEMORY, "no memory for a path");
    FILE *const file = fopen(path, "re");
    if (!file) status = cli_fail(err, HN_NO_INPUT, "%s: cannot be opened", path);
    if (status == HN_OK && getdelim(&text, &capacity, '\0', file) < 0)
        status = cli_fail(err, HN_IO_FAILED, "%s: cannot be read", path);
    if (file) fclose(file);
    if (status == HN_OK) status = cli_print(text, err);
    free(text);
    free(path);
    return status;
}

static hn_status print_table(const hn_report *report, const cli_options *options, const char *dir,
                             const char *file, hn_error *err) {
    if (file && !options->json) return print_file(dir, file, err);
    return cli_print(options->json ? hn_report_json(report) : hn_report_text(report), err);
}

hn_status cli_run_experiment(const cli_options *options, hn_run *run, hn_error *err) {
    const hn_experiment_options with = {.jobs = options->jobs,
                                        .search = options->search,
                                        .commit = HN_COMMIT[0] ? HN_COMMIT : NULL};
    hn_report *report = NULL;
    const char *file;
    hn_status status = find_form(&file, options->format, err);
    if (status != HN_OK) return status;
    char *const dir = options->out ? strdup(options->out) : cli_default_out_dir(options->args[0]);
    if (!dir) return cli_fail(err, HN_NO_MEMORY, "no memory for a path");
    run->out_dir = dir;
    status = hn_experiment(&report, options->args[0], &with, run, err);
    if (status == HN_OK) status = print_table(report, options, dir, file, err);
    hn_report_free(report);
    free(dir);
    return status;
}
