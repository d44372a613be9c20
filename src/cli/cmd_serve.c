/* hinet serve: signals become the stop request, log lines go to standard error as they are
 * (each is a JSON object), and the limit of open files is raised as far as it may be. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/cli.h"

/* One write for a line, so that lines of several threads do not mix. */
static void log_line(void *user, hn_log_level level, const char *line) {
    (void)user, (void)level;
    fprintf(stderr, "%s\n", line);
}

static void raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

hn_status cli_run_serve(const cli_options *options, hn_run *run, hn_error *err) {
    const hn_serve_options serve = {.listen = options->listen,
                                    .ready_file = options->ready_file,
                                    .access_log = options->access_log};
    run->log = log_line;
    run->progress = NULL;
    raise_file_limit();
    return hn_serve(options->args[0], &serve, run, err);
}
