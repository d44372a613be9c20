/* What is told while a command works: a bar that is redrawn on a terminal, a line now and
 * then elsewhere. Messages go between. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

enum { BAR_CELLS = 24 };
static const double bar_seconds = 0.1, line_seconds = 5;

static double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void cli_progress_start(cli_progress *progress, bool quiet) {
    *progress = (cli_progress){
        .quiet = quiet, .terminal = isatty(STDERR_FILENO) == 1, .last = now_seconds()};
}

void cli_progress_end(cli_progress *progress) {
    if (progress->shown) fputs("\r\033[K", stderr);
    progress->shown = false;
}

void cli_progress_log(void *user, hn_log_level level, const char *line) {
    cli_progress *const progress = user;
    if (progress->quiet && level == HN_LOG_INFO) return;
    cli_progress_end(progress);
    fprintf(stderr, "%s%s\n", level == HN_LOG_WARNING ? "warning: " : "", line);
}

/* A quantity in three digits: 950, 12.3k, 1.25M. */
static void format_quantity(char *out, size_t n, double quantity, double base, const char *units) {
    int unit = -1;
    while (quantity >= base && unit + 1 < (int)strlen(units)) quantity /= base, unit++;
    const int digits = unit < 0 || quantity >= 100 ? 0 : quantity >= 10 ? 1 : 2;
    snprintf(out, n, "%.*f%.*s", digits, quantity, unit < 0 ? 0 : 1, unit < 0 ? "" : units + unit);
}

static void format_eta(char *out, size_t n, double seconds) {
    const int64_t s = (int64_t)fmin(fmax(seconds, 0), 359999);
    if (s >= 3600)
        snprintf(out, n, "%" PRId64 ":%02d:%02d", s / 3600, (int)(s / 60 % 60), (int)(s % 60));
    else
        snprintf(out, n, "%d:%02d", (int)(s / 60), (int)(s % 60));
}

/* The figures that are known, after one another. */
static void format_figures(char *out, size_t n, const hn_progress *now) {
    char rate[16], memory[16], eta[24];
    size_t at = 0;
    out[0] = '\0';
    if (now->rows_per_s > 0) {
        format_quantity(rate, sizeof rate, now->rows_per_s, 1000, "kMG");
        at += (size_t)snprintf(out + at, n - at, "  %s rows/s", rate);
        /* done and total count what the phase counts (rows or bytes): only rows give a time. */
        if (now->total > now->done && strcmp(now->phase, "read") != 0) {
            format_eta(eta, sizeof eta, (now->total - now->done) / now->rows_per_s);
            at += (size_t)snprintf(out + at, n - at, "  ETA %s", eta);
        }
    }
    if (!isnan(now->loss)) at += (size_t)snprintf(out + at, n - at, "  loss %.4f", now->loss);
    if (now->memory_bytes > 0) {
        format_quantity(memory, sizeof memory, (double)now->memory_bytes, 1024, "KMGT");
        snprintf(out + at, n - at, "  %sB", memory);
    }
}

static void format_epoch(char *out, size_t n, const hn_progress *now) {
    if (now->epochs > 0)
        snprintf(out, n, " %d/%d", (int)now->epoch, (int)now->epochs);
    else
        out[0] = '\0';
}

static void draw_bar(const hn_progress *now, const char *epoch, const char *figures) {
    char bar[BAR_CELLS + 1];
    const double part = now->total > 0 ? fmin(fmax(now->done / now->total, 0), 1) : 0;
    for (int k = 0; k < BAR_CELLS; k++) bar[k] = k < (int)(part * BAR_CELLS + 0.5) ? '#' : '-';
    bar[BAR_CELLS] = '\0';
    if (now->total > 0)
        fprintf(stderr, "\r%s%s [%s] %3.0f %%%s\033[K", now->phase, epoch, bar, floor(100 * part),
                figures);
    else
        fprintf(stderr, "\r%s%s %.0f%s\033[K", now->phase, epoch, now->done, figures);
    fflush(stderr);
}

static void write_line(const hn_progress *now, const char *epoch, const char *figures) {
    if (now->total > 0)
        fprintf(stderr, "%s%s %.0f %%%s\n", now->phase, epoch,
                floor(100 * fmin(now->done / now->total, 1)), figures);
    else
        fprintf(stderr, "%s%s %.0f%s\n", now->phase, epoch, now->done, figures);
}

void cli_progress_show(void *user, const hn_progress *now) {
    cli_progress *const progress = user;
    if (progress->quiet || !now->phase) return;
    const double time = now_seconds();
    /* A new phase shows at once on a terminal; lines keep their distance all the same. */
    const bool new_phase =
        progress->terminal && strncmp(progress->phase, now->phase, sizeof progress->phase - 1) != 0;
    if (!new_phase && time - progress->last < (progress->terminal ? bar_seconds : line_seconds))
        return;
    progress->last = time;
    snprintf(progress->phase, sizeof progress->phase, "%s", now->phase);
    char epoch[32], figures[160];
    format_epoch(epoch, sizeof epoch, now);
    format_figures(figures, sizeof figures, now);
    if (!progress->terminal) {
        write_line(now, epoch, figures);
        return;
    }
    draw_bar(now, epoch, figures);
    progress->shown = true;
}
