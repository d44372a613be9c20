/* Drift (drift.h): counting on the workers, with two generations of counts of which the older
 * is cleared and begun anew every half hour. A worker is the only writer of its counts, so
 * relaxed loads and stores do; how they are shown is in drift_write.c. */
#include "serve/drift.h"

#include <stdatomic.h>

#include "base/memory.h"
#include "base/rng.h"

typedef _Atomic uint32_t count;

typedef struct generation {
    _Atomic int64_t began_ns; /* 0: empty */
    count *counts;            /* [scenarios][inputs + tasks][HN_PROFILE_MOST] */
    count *rows;              /* [scenarios] */
} generation;

struct hn_drift {
    const hn_profile *profile;
    const hn_layout *layout;
    size_t width; /* inputs + tasks */
    generation generations[2];
    int32_t at;       /* the one being written */
    uint64_t draws;   /* of the rows to leave out */
    uint64_t skip;    /* rows until the next one that counts */
    int32_t *buckets; /* [width] */
};

static size_t counts_of(const hn_drift *drift) {
    return (size_t)drift->profile->scenarios * drift->width * HN_PROFILE_MOST;
}

void hn_drift_free(hn_drift *drift) {
    if (!drift) return;
    for (int g = 0; g < 2; g++) {
        hn_free(drift->generations[g].counts);
        hn_free(drift->generations[g].rows);
    }
    hn_free(drift->buckets);
    hn_free(drift);
}

static hn_status fill(hn_drift *drift, hn_error *err) {
    bool made = (drift->buckets = hn_alloc(drift->width, sizeof *drift->buckets)) != NULL;
    for (int g = 0; g < 2; g++) {
        generation *const to = &drift->generations[g];
        to->counts = hn_alloc_zero(counts_of(drift), sizeof *to->counts);
        to->rows = hn_alloc_zero((size_t)drift->profile->scenarios, sizeof *to->rows);
        made = made && to->counts && to->rows;
    }
    return made ? HN_OK : hn_no_memory(err, "the counts of drift");
}

hn_status hn_drift_create(hn_drift **out, const hn_bundle *bundle, hn_error *err) {
    *out = NULL;
    if (!bundle->profile) return HN_OK;
    hn_drift *const drift = hn_alloc_zero(1, sizeof *drift);
    if (!drift) return hn_no_memory(err, "the counts of drift");
    drift->profile = bundle->profile;
    drift->layout = hn_schema_layout(bundle->schema);
    drift->width = (size_t)bundle->profile->inputs + (size_t)bundle->profile->tasks;
    const hn_status status = fill(drift, err);
    if (status != HN_OK)
        hn_drift_free(drift);
    else
        *out = drift;
    return status;
}

/* ---- Counting ------------------------------------------------------------------------------ */

static uint32_t get(const count *at) { return atomic_load_explicit(at, memory_order_relaxed); }
static void set(count *at, uint32_t to) { atomic_store_explicit(at, to, memory_order_relaxed); }
static void increase(count *at) { set(at, get(at) + 1); }

static int64_t began(const generation *g) {
    return atomic_load_explicit(&g->began_ns, memory_order_relaxed);
}

static void begin(hn_drift *drift, generation *g, int64_t now_ns) {
    const size_t n = counts_of(drift);
    for (size_t i = 0; i < n; i++) set(&g->counts[i], 0);
    for (int32_t s = 0; s < drift->profile->scenarios; s++) set(&g->rows[s], 0);
    atomic_store_explicit(&g->began_ns, now_ns > 0 ? now_ns : 1, memory_order_relaxed);
}

/* The generation that `now_ns` belongs to. What is older than two windows is left out by
 * hn_drift_sum, so that it need not be cleared here. */
static generation *generation_at(hn_drift *drift, int64_t now_ns) {
    generation *now = &drift->generations[drift->at];
    if (began(now) == 0) {
        begin(drift, now, now_ns);
    } else if (now_ns - began(now) >= HN_DRIFT_WINDOW_NS) {
        drift->at = 1 - drift->at;
        now = &drift->generations[drift->at];
        begin(drift, now, now_ns);
    }
    return now;
}

/* Strides are drawn, for one of a fixed length would look at the same places of every list. */
static uint64_t next_skip(hn_drift *drift) {
    return hn_mix64(++drift->draws) % (2 * HN_DRIFT_STRIDE - 1);
}

static void count_row(hn_drift *drift, generation *to, const hn_rows *rows, int32_t r,
                      const hn_real *logits) {
    const uint16_t s = rows->scenario[r];
    if (s >= drift->profile->scenarios || drift->profile->rows[s] == 0) return;
    hn_profile_row(drift->buckets, drift->profile, drift->layout, rows, r, logits);
    count *const counts = to->counts + s * drift->width * HN_PROFILE_MOST;
    for (size_t i = 0; i < drift->width; i++)
        increase(&counts[i * HN_PROFILE_MOST + (size_t)drift->buckets[i]]);
    increase(&to->rows[s]);
}

void hn_drift_add(hn_drift *drift, const hn_rows *rows, const hn_real *logits, int64_t now_ns) {
    if (!drift) return;
    const uint64_t n = (uint64_t)rows->rows, tasks = (uint64_t)drift->profile->tasks;
    uint64_t r = drift->skip;
    if (r < n) {
        generation *const to = generation_at(drift, now_ns);
        for (; r < n; r += 1 + next_skip(drift))
            count_row(drift, to, rows, (int32_t)r, logits + r * tasks);
    }
    drift->skip = r - n;
}

/* ---- Summing ------------------------------------------------------------------------------- */

static void add_generation(double *counts, double *rows, const hn_drift *drift,
                           const generation *g) {
    const size_t n = counts_of(drift);
    for (size_t i = 0; i < n; i++) counts[i] += (double)get(&g->counts[i]);
    for (int32_t s = 0; s < drift->profile->scenarios; s++) rows[s] += (double)get(&g->rows[s]);
}

void hn_drift_sum(double *counts, double *rows, const hn_bundle *bundle,
                  const hn_drift *const *drifts, int32_t n, int64_t now_ns) {
    const hn_profile *const p = bundle->profile;
    const size_t width = (size_t)p->inputs + (size_t)p->tasks;
    for (size_t i = 0; i < (size_t)p->scenarios * width * HN_PROFILE_MOST; i++) counts[i] = 0;
    for (int32_t s = 0; s < p->scenarios; s++) rows[s] = 0;
    for (int32_t k = 0; k < n; k++)
        for (int g = 0; drifts[k] && g < 2; g++) {
            const generation *const from = &drifts[k]->generations[g];
            if (began(from) != 0 && now_ns - began(from) < 2 * HN_DRIFT_WINDOW_NS)
                add_generation(counts, rows, drifts[k], from);
        }
}
