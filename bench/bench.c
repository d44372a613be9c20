/* hinet_bench: how near the machine's limit training, scoring and reading come. Every figure
 * is a ratio of measurements taken in this run; the FMA peak is measured again beside each of
 * them. docs/performance.md keeps the figures and says what they mean; model.c and read.c
 * have the sections. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/kernel.h"

static const char USAGE[] =
    "usage: hinet_bench [OPTION …] [SECTION …]      sections: train, score, table, request, read; "
    "none: "
    "all\n"
    "  --json            figures as JSON on standard output\n"
    "  --seconds S       for each measurement (3)\n"
    "  --config CONFIG   the log that `read` reads; none: a simulated one of a million rows\n"
    "  --threads N       that `read` uses (2)\n"
    "  --rounds N        of reading, of which the fastest counts (3)\n"
    "  --memory MIB      the limit that `read` keeps to\n";

double bench_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void bench_die(const hn_error *err) {
    fprintf(stderr, "hinet_bench: %s\n", err->text);
    exit(1);
}

void bench_say(bench *b, const char *name, double value, const char *unit) {
    json_object_set_new(b->out, name, json_real(value));
    hn_text_add(&b->text, "%-44s %12.4g  %s\n", name, value, unit);
    fprintf(stderr, "%-44s %12.4g  %s\n", name, value, unit);
}

/* ---- The machine's limit -------------------------------------------------------------- */

static void peak_job(void *user, int64_t item, int32_t worker) {
    (void)worker;
    ((double *)user)[item] = hn_kernel_peak(0.25);
}

double bench_peak(hn_pool *pool) {
    double each[256] = {0}, sum = 0;
    hn_pool_run(pool, hn_pool_threads(pool), peak_job, each);
    for (int32_t i = 0; i < hn_pool_threads(pool); i++) sum += each[i];
    return sum;
}

/* ---- Sections and options -------------------------------------------------------------- */

static struct section {
    const char *name;
    void (*run)(bench *b);
    bool wanted;
} sections[] = {{"train", bench_train, false},
                {"score", bench_score, false},
                {"table", bench_table, false},
                {"request", bench_request, false},
                {"read", bench_read, false}};
enum { SECTIONS = sizeof sections / sizeof *sections };

static void usage(void) {
    fputs(USAGE, stderr);
    exit(2);
}

static void want(const char *name) {
    for (int32_t s = 0; s < SECTIONS; s++) {
        if (strcmp(sections[s].name, name) != 0) continue;
        sections[s].wanted = true;
        return;
    }
    usage();
}

/* Returns whether the option took `value`. */
static bool take_option(bench *b, bool *as_json, const char *name, const char *value) {
    if (strcmp(name, "--json") == 0) {
        *as_json = true;
        return false;
    }
    if (!value) usage();
    if (strcmp(name, "--seconds") == 0)
        b->seconds = atof(value);
    else if (strcmp(name, "--config") == 0)
        b->config = value;
    else if (strcmp(name, "--threads") == 0)
        b->threads = atoi(value);
    else if (strcmp(name, "--rounds") == 0)
        b->rounds = atoi(value);
    else if (strcmp(name, "--memory") == 0)
        b->memory_bytes = (int64_t)atoi(value) << 20;
    else
        usage();
    if (b->rounds < 1 || b->threads < 1) usage();
    return true;
}

static bool parse(bench *b, int argc, char **argv) {
    bool as_json = false, any = false;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-') {
            i += take_option(b, &as_json, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
            continue;
        }
        any = true;
        want(argv[i]);
    }
    for (int32_t s = 0; s < SECTIONS && !any; s++) sections[s].wanted = true;
    return as_json;
}

int main(int argc, char **argv) {
    bench b = {.seconds = 3, .threads = 2, .rounds = 3, .out = json_object()};
    const bool as_json = parse(&b, argc, argv);
    for (int32_t s = 0; s < SECTIONS; s++)
        if (sections[s].wanted) sections[s].run(&b);
    if (as_json)
        json_dumpf(b.out, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    else if (b.text.text)
        fputs(b.text.text, stdout);
    json_decref(b.out);
    hn_text_free(&b.text);
    return 0;
}
