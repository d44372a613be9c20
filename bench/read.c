/* Reading: a config's log and tables from text to an encoded dataset on disk; the same without
 * the writing; and the log's text alone, every cell split and hashed. Without a config a
 * simulated platform is read. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/file.h"
#include "base/memory.h"
#include "bench.h"
#include "data/dataset.h"

enum { SIMULATED_ROWS = 1000000 };

static hn_error err;

static void check(hn_status status) {
    if (status != HN_OK) bench_die(&err);
}

/* ---- Time -------------------------------------------------------------------------------- */

typedef struct watch {
    double wall, cpu;
} watch;

static double seconds_of(struct timeval t) { return (double)t.tv_sec + 1e-6 * (double)t.tv_usec; }

static watch watch_now(void) {
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (watch){bench_now(), seconds_of(use.ru_utime) + seconds_of(use.ru_stime)};
}

/* The fastest of all rounds, each figure by itself. */
static void watch_stop(watch *best, watch began) {
    const watch ended = watch_now();
    const watch took = {ended.wall - began.wall, ended.cpu - began.cpu};
    if (best->wall == 0 || took.wall < best->wall) best->wall = took.wall;
    if (best->cpu == 0 || took.cpu < best->cpu) best->cpu = took.cpu;
}

static double peak_mb(void) {
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)use.ru_maxrss / 1024;
}

/* ---- A folder, and something to read ------------------------------------------------------ */

static char *path_in(const char *dir, const char *name) {
    char *const path = hn_path_join(dir, name);
    if (!path) check(hn_no_memory(&err, "a path"));
    return path;
}

static char *make_dir(void) {
    const char *const tmp = getenv("TMPDIR");
    char *const dir = path_in(tmp && *tmp ? tmp : "/tmp", "hinet-bench-XXXXXX");
    if (!mkdtemp(dir))
        check(hn_fail(&err, HN_CANNOT_CREATE, "%s: this folder cannot be made", dir));
    return dir;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where) {
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

static void remove_dir(char *dir) {
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    hn_free(dir);
}

static char *simulate(const char *dir) {
    const hn_simulate_options options = {.rows = SIMULATED_ROWS, .seed = 1};
    hn_run run = hn_run_default();
    hn_report *report;
    run.out_dir = dir;
    check(hn_simulate(&report, &options, &run, &err));
    hn_report_free(report);
    return path_in(dir, "config.yaml");
}

/* ---- What is measured ---------------------------------------------------------------------- */

typedef struct reading {
    hn_config *config;
    hn_pool *pool;
    hn_run run;
    char *dir, *data;
    hn_log_counts counts;
} reading;

static void prepare(watch *best, const reading *r) {
    remove(r->data);
    const watch began = watch_now();
    check(hn_dataset_prepare(r->data, r->config, NULL, r->pool, &r->run, &err));
    watch_stop(best, began);
}

/* As `hinet check` does it: encoded, counted and forgotten. */
static void encode(watch *best, const reading *r) {
    json_t *card;
    const watch began = watch_now();
    check(hn_data_check(&card, r->config, r->pool, &r->run, &err));
    watch_stop(best, began);
    json_decref(card);
}

/* Every column of the log as a hash, no tables. */
static hn_sources every_column(hn_arena *arena, const hn_config *config) {
    hn_strings columns;
    check(hn_columns_peek(&columns, arena, config, -1, &err));
    hn_sources sources = {.n = columns.n, .log_slots = columns.n};
    sources.items = hn_arena_alloc(arena, (size_t)columns.n, sizeof *sources.items);
    if (!sources.items) check(hn_no_memory(&err, "columns"));
    for (int32_t c = 0; c < columns.n; c++)
        sources.items[c] = (hn_source){.column = columns.items[c], .table = -1, .slot = c};
    return sources;
}

/* What the config makes of a table's columns is left out, or it could not be read without. */
static void read_bare(watch *best, reading *r) {
    hn_config bare = *r->config;
    hn_arena arena = {0};
    const hn_sources sources = every_column(&arena, &bare);
    const hn_log_options options = {.block = NULL};
    bare.n_tables = 0;
    bare.drop_duplicates = false;
    hn_log_counts_free(&r->counts);
    const watch began = watch_now();
    check(hn_log_read(&r->counts, &bare, &sources, NULL, &options, r->pool, &r->run, &err));
    watch_stop(best, began);
    hn_arena_free(&arena);
}

static void open_reading(reading *r, const bench *b) {
    *r = (reading){.dir = make_dir(), .run = hn_run_default()};
    char *const config = b->config ? hn_strdup(b->config) : simulate(r->dir);
    r->data = path_in(r->dir, "data.hnd");
    r->run.memory_bytes = b->memory_bytes;
    check(hn_config_load(&r->config, config, NULL, 0, &err));
    check(hn_pool_create(&r->pool, b->threads, &err));
    hn_free(config);
}

static void close_reading(reading *r) {
    hn_log_counts_free(&r->counts);
    hn_pool_free(r->pool);
    hn_config_free(r->config);
    hn_free(r->data);
    remove_dir(r->dir);
}

/* Peak memory is the process's, so it means something when this is the only section. */
void bench_read(bench *b) {
    reading r;
    watch whole = {0, 0}, encoded = {0, 0}, bare = {0, 0};
    open_reading(&r, b);
    for (int32_t round = 0; round < b->rounds; round++) prepare(&whole, &r);
    const double mb = peak_mb();
    for (int32_t round = 0; round < b->rounds; round++) encode(&encoded, &r);
    for (int32_t round = 0; round < b->rounds; round++) read_bare(&bare, &r);
    const double log_mb = 1e-6 * (double)r.counts.bytes;
    bench_say(b, "read.log", log_mb, "MB of log");
    bench_say(b, "read.rows", (double)r.counts.rows, "rows");
    bench_say(b, "read.prepare", whole.wall, "s: read, join, fit, encode, write");
    bench_say(b, "read.prepare_cpu", whole.cpu, "s of all threads' time");
    bench_say(b, "read.prepare_rate", log_mb / whole.wall, "MB/s of log");
    bench_say(b, "read.encode", encoded.wall, "s: all but the writing");
    bench_say(b, "read.encode_cpu", encoded.cpu, "s of all threads' time");
    bench_say(b, "read.encode_rate", log_mb / encoded.wall, "MB/s of log");
    bench_say(b, "read.bare", bare.wall, "s: cells split and hashed");
    bench_say(b, "read.bare_cpu", bare.cpu, "s of all threads' time");
    bench_say(b, "read.bare_rate", log_mb / bare.wall, "MB/s of log");
    bench_say(b, "read.peak_memory", mb, "MiB resident at most");
    close_reading(&r);
}
