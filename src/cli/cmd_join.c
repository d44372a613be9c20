/* hinet join: the events' texts to hn_join_event, the joined log to --out or standard output, the
 * report to where the log is not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

typedef struct list {
    char *text; /* cut at the commas */
    const char **items;
    size_t n;
} list;

static void free_list(list *l) {
    free(l->text);
    free(l->items);
    *l = (list){0};
}

/* The pieces between commas. */
static hn_status split(list *out, const char *text, size_t length, hn_error *err) {
    out->n = 0;
    out->text = strndup(text, length);
    out->items = calloc(length + 1, sizeof *out->items);
    if (!out->text || !out->items) return cli_fail(err, HN_NO_MEMORY, "no memory for the options");
    for (char *at = out->text; at;) {
        out->items[out->n++] = at;
        at = strchr(at, ',');
        if (at) *at++ = '\0';
    }
    return HN_OK;
}

/* TASK=FILES:WINDOW; `files` has the task at its front, too. */
static hn_status parse_event(hn_join_event *out, list *files, const char *text, hn_error *err) {
    const char *const equals = strchr(text, '='), *const colon = strrchr(text, ':');
    if (!equals || !colon || equals == text || colon < equals + 2 ||
        !cli_duration_parse(&out->window_ms, colon + 1) || out->window_ms < 1)
        return cli_fail(err, HN_USAGE,
                        "--event: found \"%s\"; expected TASK=FILES:WINDOW, as in "
                        "click=clicks.csv:30m; a window is a number with ms, s, m, h, d or w",
                        text);
    const hn_status status = split(files, text, (size_t)(colon - text), err);
    if (status != HN_OK) return status;
    files->text[equals - text] = '\0';
    files->items[0] = files->text + (equals - text) + 1;
    out->task = files->text;
    out->files = files->items;
    out->n_files = files->n;
    return HN_OK;
}

static hn_status print_report(const hn_report *report, const cli_options *options, hn_error *err) {
    const char *const text = options->json ? hn_report_json(report) : hn_report_text(report);
    if (options->out) return cli_print(text, err);
    if (!options->quiet) fprintf(stderr, "%s%s", text, options->json ? "\n" : "");
    return HN_OK;
}

static hn_status join(const hn_join_options *join_options, const cli_options *options, hn_run *run,
                      hn_error *err) {
    hn_report *report = NULL;
    cli_output *const out = malloc(sizeof *out);
    if (!out) return cli_fail(err, HN_NO_MEMORY, "no memory for the output");
    cli_use_temp(run, options);
    hn_status status = cli_output_open(out, options->out, err);
    if (status == HN_OK) {
        status = hn_join(&report, options->args, options->n_args, join_options, cli_output_write,
                         out, run, err);
        status = cli_output_close(out, status, err);
    }
    free(out);
    if (status == HN_OK) status = print_report(report, options, err);
    hn_report_free(report);
    return status;
}

hn_status cli_run_join(const cli_options *options, hn_run *run, hn_error *err) {
    hn_join_options with = options->join;
    list columns = {0};
    hn_status status = HN_OK;
    if (options->n_events == 0)
        return cli_fail(err, HN_USAGE,
                        "join: --event is missing; expected one at least, as in "
                        "--event click=clicks.csv:30m");
    hn_join_event *const events = calloc(options->n_events, sizeof *events);
    list *const files = calloc(options->n_events, sizeof *files);
    if (!events || !files) status = cli_fail(err, HN_NO_MEMORY, "no memory for the options");
    for (size_t e = 0; e < options->n_events && events && files && status == HN_OK; e++)
        status = parse_event(&events[e], &files[e], options->events[e], err);
    if (status == HN_OK && options->columns)
        status = split(&columns, options->columns, strlen(options->columns), err);
    if (status == HN_OK) {
        with.events = events;
        with.n_events = options->n_events;
        with.columns = columns.items;
        with.n_columns = columns.n;
        with.renames = options->renames;
        status = join(&with, options, run, err);
    }
    for (size_t e = 0; files && e < options->n_events; e++) free_list(&files[e]);
    free_list(&columns);
    free(files);
    free(events);
    return status;
}
