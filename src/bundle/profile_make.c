/* How a profile is made: a reservoir of each scenario's rows, drawn by counters so that the
 * same rows give the same sample, then quantiles and frequencies of it. The sample bounds
 * both memory and time, whatever the split's size. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "bundle/profile.h"

/* Rows of all samples together, and of one. With n rows on either side, PSI of equal
 * distributions is about (buckets - 1)·2/n. */
enum { SAMPLES = 1 << 16, SAMPLE_MOST = 2048, SAMPLE_LEAST = 256 };

struct hn_profiler {
    const hn_layout *layout;
    int32_t width;  /* inputs + tasks */
    uint32_t rows;  /* of a sample, at most */
    uint64_t *seen; /* [scenarios] */
    double **cells; /* [scenarios][rows][width]; NULL until a row comes */
    bool failed;    /* no memory: told by finish */
};

void hn_profiler_free(hn_profiler *profiler) {
    if (!profiler) return;
    for (int32_t s = 0; profiler->cells && s < profiler->layout->scenarios; s++)
        hn_free(profiler->cells[s]);
    hn_free(profiler->cells);
    hn_free(profiler->seen);
    hn_free(profiler);
}

hn_status hn_profiler_create(hn_profiler **out, const hn_layout *layout, hn_error *err) {
    *out = NULL;
    hn_profiler *const made = hn_alloc_zero(1, sizeof *made);
    if (!made) return hn_no_memory(err, "a profile");
    const size_t scenarios = (size_t)layout->scenarios;
    const int32_t share = SAMPLES / layout->scenarios;
    made->layout = layout;
    made->width = layout->n_inputs + layout->tasks;
    made->rows = (uint32_t)(share > SAMPLE_MOST    ? SAMPLE_MOST
                            : share < SAMPLE_LEAST ? SAMPLE_LEAST
                                                   : share);
    made->seen = hn_alloc_zero(scenarios, sizeof *made->seen);
    made->cells = hn_alloc_zero(scenarios, sizeof *made->cells);
    if (!made->seen || !made->cells) {
        hn_profiler_free(made);
        return hn_no_memory(err, "a profile");
    }
    *out = made;
    return HN_OK;
}

/* ---- The sample ------------------------------------------------------------------------------ */

/* Ids are exact in a double. */
static double cell_of(const hn_rows *rows, size_t r, const hn_input *input,
                      const hn_layout *layout) {
    const size_t slot = (size_t)input->slot;
    if (input->kind == HN_INPUT_VALUE)
        return (double)rows->values[r * (size_t)layout->values + slot];
    if (input->kind == HN_INPUT_ID) return (double)rows->ids[r * (size_t)layout->ids + slot];
    const size_t list = r * (size_t)layout->lists + slot;
    const uint32_t begin = rows->list_begin[list];
    return (double)(rows->list_begin[list + 1] > begin ? rows->list_ids[begin] : HN_ID_MISSING);
}

/* Where the next row of a scenario goes; `rows` or more: nowhere. */
static uint64_t place_of(hn_profiler *profiler, uint16_t scenario) {
    const uint64_t i = profiler->seen[scenario]++;
    return i < profiler->rows ? i : hn_random(scenario, HN_STREAM_PROFILE, i) % (i + 1);
}

void hn_profiler_add(hn_profiler *profiler, const hn_rows *rows, const hn_real *logits) {
    const hn_layout *const layout = profiler->layout;
    const size_t width = (size_t)profiler->width, tasks = (size_t)layout->tasks;
    for (size_t r = 0; r < (size_t)rows->rows; r++) {
        const uint16_t s = rows->scenario[r];
        if (s >= layout->scenarios) continue;
        const uint64_t place = place_of(profiler, s);
        if (place >= profiler->rows) continue;
        if (!profiler->cells[s])
            profiler->cells[s] = hn_alloc(profiler->rows, width * sizeof **profiler->cells);
        if (!profiler->cells[s]) {
            profiler->failed = true;
            return;
        }
        double *const cell = profiler->cells[s] + place * width;
        for (int32_t i = 0; i < layout->n_inputs; i++)
            cell[i] = cell_of(rows, r, &layout->inputs[i], layout);
        for (size_t t = 0; t < tasks; t++)
            cell[(size_t)layout->n_inputs + t] = (double)logits[r * tasks + t];
    }
}

/* ---- Histograms ---------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Deciles of sorted numbers; a cut at or below the least would leave an empty bucket. */
static void cut_numbers(hn_histogram *h, const double *x, uint32_t n) {
    for (uint32_t j = 1; j < HN_PROFILE_BUCKETS; j++) {
        const double cut = x[(uint64_t)j * n / HN_PROFILE_BUCKETS];
        if (cut > (h->n > 0 ? h->cuts[h->n - 1] : x[0])) h->cuts[h->n++] = cut;
    }
    h->buckets = h->n + 1;
    for (uint32_t i = 0; i < n; i++) h->counts[hn_histogram_number(h, x[i])]++;
}

typedef struct frequency {
    uint32_t id, n;
} frequency;

/* Keeps the most frequent, of equal ones the first; `top` stays in order of frequency. */
static void offer(frequency *top, int32_t *n, frequency f) {
    if (f.id < HN_ID_FIRST) return;
    int32_t at = *n < HN_PROFILE_IDS ? (*n)++ : HN_PROFILE_IDS;
    while (at > 0 && top[at - 1].n < f.n) {
        if (at < HN_PROFILE_IDS) top[at] = top[at - 1];
        at--;
    }
    if (at < HN_PROFILE_IDS) top[at] = f;
}

/* Of sorted ids. */
static void cut_ids(hn_histogram *h, const double *x, uint32_t n) {
    frequency top[HN_PROFILE_IDS] = {{0, 0}};
    for (uint32_t i = 0, from = 0; i < n; i++)
        if (i + 1 == n || x[i + 1] != x[i]) {
            offer(top, &h->n, (frequency){(uint32_t)x[i], i + 1 - from});
            from = i + 1;
        }
    double ids[HN_PROFILE_IDS];
    for (int32_t i = 0; i < h->n; i++) ids[i] = (double)top[i].id;
    qsort(ids, (size_t)h->n, sizeof *ids, by_size);
    for (int32_t i = 0; i < h->n; i++) h->ids[i] = (uint32_t)ids[i];
    h->buckets = h->n + HN_ID_FIRST + 1;
    for (uint32_t i = 0; i < n; i++) h->counts[hn_histogram_id(h, (uint32_t)x[i])]++;
}

static void fill_scenario(hn_profile *profile, const hn_profiler *from, int32_t s, double *column) {
    const uint32_t n = from->seen[s] < from->rows ? (uint32_t)from->seen[s] : from->rows;
    const size_t width = (size_t)from->width;
    if (n < HN_PROFILE_ROWS) return;
    profile->rows[s] = n;
    for (size_t i = 0; i < width; i++) {
        hn_histogram *const h = &profile->histogram[(size_t)s * width + i];
        for (size_t r = 0; r < n; r++) column[r] = from->cells[s][r * width + i];
        qsort(column, n, sizeof *column, by_size);
        h->numbers = i >= (size_t)profile->inputs || from->layout->inputs[i].kind == HN_INPUT_VALUE;
        if (h->numbers)
            cut_numbers(h, column, n);
        else
            cut_ids(h, column, n);
    }
}

hn_status hn_profiler_finish(hn_profile **out, const hn_profiler *profiler, hn_error *err) {
    *out = NULL;
    double *const column = hn_alloc(profiler->rows, sizeof *column);
    if (!column || profiler->failed) {
        hn_free(column);
        return hn_no_memory(err, "a profile");
    }
    const hn_status status = hn_profile_create(out, profiler->layout, err);
    for (int32_t s = 0; status == HN_OK && s < profiler->layout->scenarios; s++)
        fill_scenario(*out, profiler, s, column);
    hn_free(column);
    return status;
}
