/* What the parts of hinet_load share (load.c says what it is). */
#ifndef HN_BENCH_SERVE_LOAD_H
#define HN_BENCH_SERVE_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STATUSES = 600,
    COUNTED_MAX = 8,
    BUFFER_MIN = 1 << 16,
    ANSWER_MAX = 64 << 20,
    UNIT_NS = 100,
    SLICES_MAX = 4096
};

typedef struct settings {
    const char *host, *path, *bodies, *headers;
    int port, connections, core;
    double rate, seconds, warmup, deadline_ms, timeout, slice;
    bool poisson, spin;
    uint64_t seed;
    const char *counted[COUNTED_MAX]; /* texts looked for in the bodies of answers */
    int n_counted;
} settings;

typedef struct message {
    char *bytes;
    size_t n;
} message;

typedef struct messages {
    message *items;
    size_t n;
} messages;

typedef struct samples { /* latencies in UNIT_NS */
    uint32_t *items;
    size_t n, capacity;
} samples;

typedef struct slice {
    uint64_t due, ok, refused, other, failed;
    samples ok_times;
} slice;

typedef struct results {
    uint64_t due, statuses[STATUSES], connect_failed, closed, timed_out, late, counted[COUNTED_MAX],
        most_waiting;
    samples ok, refused, lag;
    slice *slices;
    size_t n_slices;
} results;

/* ---- load_settings.c ---- */

void load_die(const char *what, const char *detail);
void *load_need(void *memory); /* ends the program on NULL */
settings load_settings_read(int argc, char **argv);
messages load_messages_read(const settings *s);

/* ---- load_results.c ---- */

void load_sample(samples *s, int64_t ns);
void load_print(const settings *s, results *r);

#endif
