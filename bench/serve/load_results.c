/* Latencies and the report of hinet_load. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "load.h"

void load_sample(samples *s, int64_t ns) {
    if (s->n == s->capacity)
        s->items =
            load_need(realloc(s->items, (s->capacity = 2 * s->capacity + 1024) * sizeof *s->items));
    const int64_t units = ns < 0 ? 0 : ns / UNIT_NS;
    s->items[s->n++] = units > UINT32_MAX ? UINT32_MAX : (uint32_t)units;
}

static int compare_samples(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Milliseconds; the samples are sorted. */
static double quantile(const samples *s, double q) {
    if (s->n == 0) return 0;
    const size_t at = (size_t)ceil(q * (double)s->n);
    return (double)s->items[at > 0 ? at - 1 : 0] * UNIT_NS * 1e-6;
}

static void print_samples(const char *name, samples *s) {
    if (s->n > 0) qsort(s->items, s->n, sizeof *s->items, compare_samples);
    double sum = 0;
    for (size_t k = 0; k < s->n; k++) sum += (double)s->items[k] * UNIT_NS * 1e-6;
    printf("\"%s\": {\"n\": %zu, \"mean_ms\": %.4f, \"p50_ms\": %.4f, \"p90_ms\": %.4f, "
           "\"p99_ms\": %.4f, \"p999_ms\": %.4f, \"max_ms\": %.4f}",
           name, s->n, s->n > 0 ? sum / (double)s->n : 0, quantile(s, 0.5), quantile(s, 0.9),
           quantile(s, 0.99), quantile(s, 0.999), quantile(s, 1));
}

static void print_text(const char *text) {
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') putchar('\\');
        if ((unsigned char)*text >= 32) putchar(*text);
    }
    putchar('"');
}

static void print_slices(results *r, double seconds) {
    printf(",\n \"slices\": [");
    for (size_t k = 0; k < r->n_slices; k++) {
        slice *const s = &r->slices[k];
        if (s->ok_times.n > 0)
            qsort(s->ok_times.items, s->ok_times.n, sizeof *s->ok_times.items, compare_samples);
        printf("%s\n  {\"at\": %.3f, \"due\": %lu, \"ok\": %lu, \"refused\": %lu, \"other\": %lu, "
               "\"failed\": %lu, \"p50_ms\": %.3f, \"p99_ms\": %.3f}",
               k ? "," : "", (double)k * seconds, s->due, s->ok, s->refused, s->other, s->failed,
               quantile(&s->ok_times, 0.5), quantile(&s->ok_times, 0.99));
    }
    printf("]");
}

void load_print(const settings *s, results *r) {
    uint64_t answered = 0;
    bool first = true;
    printf("{\"rate\": %g, \"arrival\": \"%s\", \"seconds\": %g, \"connections\": %d, \"due\": "
           "%lu,\n \"statuses\": {",
           s->rate, s->poisson ? "poisson" : "fixed", s->seconds, s->connections, r->due);
    for (int k = 0; k < STATUSES; k++) {
        if (r->statuses[k] == 0) continue;
        printf("%s\"%d\": %lu", first ? "" : ", ", k, r->statuses[k]);
        answered += r->statuses[k];
        first = false;
    }
    printf("}, \"answered\": %lu, \"late\": %lu, \"failed\": %lu, \"closed\": %lu, \"timed_out\": "
           "%lu, \"connect_failed\": %lu, \"most_waiting\": %lu,\n ",
           answered, r->late, r->closed + r->timed_out, r->closed, r->timed_out, r->connect_failed,
           r->most_waiting);
    print_samples("accepted", &r->ok);
    printf(",\n ");
    print_samples("refused", &r->refused);
    printf(",\n ");
    print_samples("send_lag", &r->lag);
    printf(",\n \"counted\": {");
    for (int k = 0; k < s->n_counted; k++) {
        printf("%s", k ? ", " : "");
        print_text(s->counted[k]);
        printf(": %lu", r->counted[k]);
    }
    printf("}");
    if (r->n_slices > 0) print_slices(r, s->slice);
    printf("}\n");
}
