/* Run settings: their defaults, and the messages and the stop request that pass through
 * them. */
#include <stdarg.h>
#include <stdio.h>

#include "base/report.h"

hn_run hn_run_default(void) {
    const hn_run run = {0};
    return run;
}

void hn_say(const hn_run *run, hn_log_level level, const char *format, ...) {
    if (!run || !run->log) return;
    char line[2000];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    run->log(run->user, level, line);
}

bool hn_stopped(const hn_run *run) { return run && run->stop && *run->stop != 0; }
