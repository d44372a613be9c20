/* Counters and histograms in shards, and their text form. A shard's numbers are written by
 * one thread with relaxed atomics (the last shard by any); the scrape may see one number of a
 * request and not yet another, which Prometheus allows. */
#include "serve/meters.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

enum { BOUNDS = 17, STATUS_MIN = 100, STATUSES = 500, SCENARIOS = 1025, NAME_BYTES = 128 };

/* Upper bounds in seconds: from 0.1 ms to 5 s. */
static const double bounds[BOUNDS] = {0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003,
                                      0.005,  0.0075,  0.01,   0.015, 0.025, 0.05,
                                      0.1,    0.25,    0.5,    1,     5};
static const char *const phase_names[HN_PHASES] = {
#define X(symbol, label) label,
    HN_PHASE_MAP(X)
#undef X
};
static const char *const fallbacks[] = {"previous", "prior", "order"};
enum { FALLBACKS = sizeof fallbacks / sizeof *fallbacks };

typedef _Atomic uint64_t number;

typedef struct histogram {
    number counts[BOUNDS + 1]; /* not cumulative; the last: above all bounds */
    number sum_ns;
} histogram;

typedef struct scenario {
    char name[NAME_BYTES];
    histogram phases[HN_PHASES];
} scenario;

typedef struct shard {
    _Alignas(HN_ALIGN) number counters[HN_METRICS];
    number statuses[STATUSES], fallbacks[FALLBACKS];
    _Atomic(scenario *) scenarios[SCENARIOS]; /* filled from the front by the shard's writer */
} shard;

struct hn_meters {
    int32_t n;
    shard *shards; /* [n] */
};

hn_status hn_meters_create(hn_meters **out, int32_t shards, hn_error *err) {
    *out = NULL;
    hn_meters *const m = hn_alloc_zero(1, sizeof *m);
    if (m) m->shards = hn_alloc_zero((size_t)shards, sizeof *m->shards);
    if (!m || !m->shards) {
        hn_free(m);
        return hn_no_memory(err, "the metrics");
    }
    m->n = shards;
    *out = m;
    return HN_OK;
}

void hn_meters_free(hn_meters *m) {
    if (!m) return;
    for (int32_t k = 0; k < m->n; k++)
        for (int32_t s = 0; s < SCENARIOS; s++) hn_free(atomic_load(&m->shards[k].scenarios[s]));
    hn_free(m->shards);
    hn_free(m);
}

/* ---- Counting -------------------------------------------------------------------------- */

static void add(number *to, uint64_t n) { atomic_fetch_add_explicit(to, n, memory_order_relaxed); }
static uint64_t get(const number *from) { return atomic_load_explicit(from, memory_order_relaxed); }

void hn_meters_add(hn_meters *m, int32_t k, hn_metric metric, uint64_t n) {
    if (n > 0) add(&m->shards[k].counters[metric], n);
}

void hn_meters_status(hn_meters *m, int32_t k, int32_t status) {
    if (status >= STATUS_MIN && status < STATUS_MIN + STATUSES)
        add(&m->shards[k].statuses[status - STATUS_MIN], 1);
}

void hn_meters_fallback(hn_meters *m, int32_t k, const char *fallback) {
    for (int32_t f = 0; fallback && f < FALLBACKS; f++)
        if (strcmp(fallback, fallbacks[f]) == 0) add(&m->shards[k].fallbacks[f], 1);
}

/* The shard's histograms of a scenario, made at its first request. The last place is for all
 * that find none. NULL without memory. */
static scenario *find(shard *s, const char *name) {
    for (int32_t k = 0; k < SCENARIOS; k++) {
        const bool last = k + 1 == SCENARIOS;
        scenario *const there = atomic_load_explicit(&s->scenarios[k], memory_order_relaxed);
        if (there && (last || strncmp(there->name, name, NAME_BYTES - 1) == 0)) return there;
        if (there) continue;
        scenario *const made = hn_alloc_zero(1, sizeof *made);
        if (!made) return NULL;
        snprintf(made->name, sizeof made->name, "%s", last ? "(others)" : name);
        atomic_store_explicit(&s->scenarios[k], made, memory_order_release);
        return made;
    }
    return NULL;
}

static void observe(histogram *h, int64_t ns) {
    int32_t k = 0;
    while (k < BOUNDS && (double)ns > bounds[k] * 1e9) k++;
    add(&h->counts[k], 1);
    add(&h->sum_ns, (uint64_t)ns);
}

void hn_meters_phases(hn_meters *m, int32_t k, const char *name, const int64_t *ns) {
    scenario *const s = find(&m->shards[k], name);
    for (int32_t p = 0; s && p < HN_PHASES; p++)
        if (ns[p] >= 0) observe(&s->phases[p], ns[p]);
}

uint64_t hn_meters_sum(const hn_meters *m, hn_metric metric) {
    uint64_t sum = 0;
    for (int32_t k = 0; k < m->n; k++) sum += get(&m->shards[k].counters[metric]);
    return sum;
}

/* ---- Text ---------------------------------------------------------------------------------- */

void hn_meters_head(hn_text *out, const char *name, const char *type, const char *help) {
    hn_text_add(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void hn_meters_line(hn_text *out, const char *name, const char *labels, double value) {
    if (labels[0])
        hn_text_add(out, "%s{%s} %.17g\n", name, labels, value);
    else
        hn_text_add(out, "%s %.17g\n", name, value);
}

void hn_meters_label(hn_text *out, const char *name, const char *value) {
    hn_text_add(out, "%s%s=\"", out->length > 0 ? "," : "", name);
    for (const char *c = value; *c; c++) {
        if (*c == '\n')
            hn_text_add(out, "\\n");
        else
            hn_text_add(out, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
    }
    hn_text_add(out, "\"");
}

static void write_counters(hn_text *out, const hn_meters *m) {
    static const struct {
        const char *name, *type, *help;
    } rows[HN_METRICS] = {
#define X(symbol, name, type, help) {name, type, help},
        HN_METRIC_MAP(X)
#undef X
    };
    for (int32_t k = 0; k < HN_METRICS; k++) {
        hn_meters_head(out, rows[k].name, rows[k].type, rows[k].help);
        hn_meters_line(out, rows[k].name, "", (double)hn_meters_sum(m, (hn_metric)k));
    }
}

static void write_statuses(hn_text *out, const hn_meters *m) {
    static const char name[] = "hinet_requests_total";
    hn_meters_head(out, name, "counter", "Requests answered, by HTTP status.");
    for (int32_t s = 0; s < STATUSES; s++) {
        uint64_t sum = 0;
        for (int32_t k = 0; k < m->n; k++) sum += get(&m->shards[k].statuses[s]);
        if (sum > 0 || s + STATUS_MIN == 200)
            hn_text_add(out, "%s{code=\"%d\"} %.17g\n", name, (int)s + STATUS_MIN, (double)sum);
    }
}

static void write_fallbacks(hn_text *out, const hn_meters *m) {
    static const char name[] = "hinet_fallbacks_total";
    hn_meters_head(out, name, "counter",
                   "Answers not given by the current model, by what gave them.");
    for (int32_t f = 0; f < FALLBACKS; f++) {
        uint64_t sum = 0;
        for (int32_t k = 0; k < m->n; k++) sum += get(&m->shards[k].fallbacks[f]);
        hn_text_add(out, "%s{to=\"%s\"} %.17g\n", name, fallbacks[f], (double)sum);
    }
}

/* The scenario of that name in a shard; NULL: none. */
static const scenario *look(const shard *s, const char *name) {
    for (int32_t k = 0; k < SCENARIOS; k++) {
        const scenario *const there = atomic_load_explicit(&s->scenarios[k], memory_order_acquire);
        if (!there || strcmp(there->name, name) == 0) return there;
    }
    return NULL;
}

static void write_histogram(hn_text *out, const hn_meters *m, const char *name, hn_phase phase) {
    uint64_t counts[BOUNDS + 1] = {0}, sum_ns = 0, seen = 0;
    for (int32_t k = 0; k < m->n; k++) {
        const scenario *const s = look(&m->shards[k], name);
        if (!s) continue;
        for (int32_t b = 0; b <= BOUNDS; b++) counts[b] += get(&s->phases[phase].counts[b]);
        sum_ns += get(&s->phases[phase].sum_ns);
    }
    hn_text labels = {0};
    hn_meters_label(&labels, "scenario", name[0] ? name : "(unknown)");
    hn_meters_label(&labels, "phase", phase_names[phase]);
    const char *const text = labels.failed ? "" : labels.text;
    for (int32_t b = 0; b <= BOUNDS; b++) {
        seen += counts[b];
        if (b < BOUNDS)
            hn_text_add(out, "hinet_phase_seconds_bucket{%s,le=\"%g\"} %.17g\n", text, bounds[b],
                        (double)seen);
        else
            hn_text_add(out, "hinet_phase_seconds_bucket{%s,le=\"+Inf\"} %.17g\n", text,
                        (double)seen);
    }
    hn_text_add(out, "hinet_phase_seconds_sum{%s} %.9g\n", text, (double)sum_ns * 1e-9);
    hn_text_add(out, "hinet_phase_seconds_count{%s} %.17g\n", text, (double)seen);
    if (labels.failed) out->failed = true;
    hn_text_free(&labels);
}

/* Whether an earlier shard has written the scenario. */
static bool is_written(const hn_meters *m, int32_t before, const char *name) {
    for (int32_t k = 0; k < before; k++)
        if (look(&m->shards[k], name)) return true;
    return false;
}

void hn_meters_write(hn_text *out, const hn_meters *m) {
    write_counters(out, m);
    write_statuses(out, m);
    write_fallbacks(out, m);
    hn_meters_head(out, "hinet_phase_seconds", "histogram",
                   "Time of a request, by scenario and phase; total is from its last byte read to "
                   "its answer made.");
    for (int32_t k = 0; k < m->n; k++)
        for (int32_t s = 0; s < SCENARIOS; s++) {
            const scenario *const there =
                atomic_load_explicit(&m->shards[k].scenarios[s], memory_order_acquire);
            if (!there) break;
            if (is_written(m, k, there->name)) continue;
            for (int32_t p = 0; p < HN_PHASES; p++)
                write_histogram(out, m, there->name, (hn_phase)p);
        }
}
