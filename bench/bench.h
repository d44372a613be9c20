/* What the sections of hinet_bench share: the clock, the machine's limit, and where figures
 * go. A section is a function that measures and says; bench.c runs those that are asked for. */
#ifndef HN_BENCH_H
#define HN_BENCH_H

#include <jansson.h>

#include "base/pool.h"
#include "base/report.h"

typedef struct bench {
    double seconds;       /* for each measurement */
    const char *config;   /* of the log to read; NULL: a simulated one */
    int32_t threads;      /* that read */
    int32_t rounds;       /* of reading; the fastest counts */
    int64_t memory_bytes; /* they may use; 0: the usual limit */
    json_t *out;
    hn_text text;
} bench;

double bench_now(void);
void bench_die(const hn_error *err) __attribute__((noreturn));
/* Keeps a figure and shows it at once. */
void bench_say(bench *b, const char *name, double value, const char *unit);
/* FLOP/s of a pool's cores together, now. */
double bench_peak(hn_pool *pool);

void bench_train(bench *b);
void bench_score(bench *b);
void bench_table(bench *b);
void bench_request(bench *b);
void bench_read(bench *b);

#endif
