/* Curves and replicates of every cell: one sorted pass, each record seen once, in order of its
 * cell and probability; every sum is taken in that order, so threads change no bit. */
#include "report/curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "base/sort.h"
#include "kernel/kernel.h"

typedef struct score { /* one present label */
    uint64_t unit;
    uint32_t cell_label; /* cell × 2 + label */
    float weight;
    hn_real p, logit; /* p as the metrics have it */
} score;

enum { PENDING = 512, CHUNK = 4096, BLOCKS = HN_REPLICATES / HN_REPLICATE_BLOCK };

typedef struct replicate { /* areas of all replicates, as metrics.c counts one */
    double positive[HN_REPLICATES], negative[HN_REPLICATES], area[HN_REPLICATES],
        tie_positive[HN_REPLICATES], tie_negative[HN_REPLICATES];
} replicate;

struct hn_curves {
    int32_t scenarios, tasks, cells;
    bool by_user;
    uint64_t seed, signature;
    const hn_calibration *calibration;
    hn_pool *pool;
    hn_sorter *sorter;
    int32_t pending;
    score waiting[PENDING];
    double *weight[2];      /* [cells] Σ w of negatives, of positives */
    hn_cell_curves *out;    /* [cells] */
    uint8_t times[1 << 16]; /* a unit's count for 16 random bits */
    /* the cell being read */
    replicate sums;
    score chunk[CHUNK];
    uint64_t key[CHUNK];
    bool new_tie[CHUNK]; /* its p is not that of the record before */
    int32_t n;
};

/* ---- Life -------------------------------------------------------------------------------- */

#define COMPARE(a, b)                              \
    do {                                           \
        if ((a) != (b)) return (a) < (b) ? -1 : 1; \
    } while (0)

static int compare_scores(const void *left, const void *right) {
    const score *const a = left, *const b = right;
    COMPARE(a->cell_label >> 1, b->cell_label >> 1);
    COMPARE(a->p, b->p);
    COMPARE(a->cell_label, b->cell_label);
    COMPARE(a->unit, b->unit);
    COMPARE(a->weight, b->weight);
    COMPARE(a->logit, b->logit);
    return 0;
}

/* Quantiles of Poisson(1) for every 16 bits. */
static void fill_times(uint8_t *times) {
    double mass = exp(-1), below = mass;
    uint8_t k = 0;
    for (uint32_t u = 0; u < 1 << 16; u++) {
        while ((u + 0.5) / 65536 > below) {
            mass /= ++k;
            below += mass;
        }
        times[u] = k;
    }
}

static hn_status fill(hn_curves *curves, int64_t budget_bytes, const char *dir, hn_error *err) {
    const size_t cells = (size_t)curves->cells;
    curves->weight[0] = hn_alloc_zero(cells, sizeof(double));
    curves->weight[1] = hn_alloc_zero(cells, sizeof(double));
    curves->out = hn_alloc_zero(cells, sizeof *curves->out);
    if (!curves->weight[0] || !curves->weight[1] || !curves->out)
        return hn_no_memory(err, "the curves of the cells");
    for (size_t c = 0; c < cells; c++) {
        curves->out[c].auc = curves->out[c].error = NAN;
        curves->out[c].replicates = hn_alloc(HN_REPLICATES, sizeof(double));
        if (!curves->out[c].replicates) return hn_no_memory(err, "the replicates of the cells");
        for (int32_t b = 0; b < HN_REPLICATES; b++) curves->out[c].replicates[b] = NAN;
    }
    return hn_sorter_create(&curves->sorter, sizeof(score), compare_scores, budget_bytes, dir, err);
}

hn_status hn_curves_create(hn_curves **out, int32_t scenarios, int32_t tasks, bool by_user,
                           uint64_t seed, const hn_calibration *calibration, hn_pool *pool,
                           int64_t budget_bytes, const char *dir, hn_error *err) {
    *out = NULL;
    hn_curves *const curves = hn_alloc_zero(1, sizeof *curves);
    if (!curves) return hn_no_memory(err, "the curves of the cells");
    curves->scenarios = scenarios;
    curves->tasks = tasks;
    curves->cells = scenarios * tasks;
    curves->by_user = by_user;
    curves->seed = seed;
    curves->calibration = calibration;
    curves->pool = pool;
    fill_times(curves->times);
    const hn_status status = fill(curves, budget_bytes, dir, err);
    if (status != HN_OK)
        hn_curves_free(curves);
    else
        *out = curves;
    return status;
}

void hn_curves_free(hn_curves *curves) {
    if (!curves) return;
    for (int32_t c = 0; curves->out && c < curves->cells; c++) hn_free(curves->out[c].replicates);
    hn_free(curves->out);
    hn_free(curves->weight[0]);
    hn_free(curves->weight[1]);
    hn_sorter_free(curves->sorter);
    hn_free(curves);
}

const hn_cell_curves *hn_curves_cell(const hn_curves *curves, int32_t cell) {
    return &curves->out[cell];
}
uint64_t hn_curves_signature(const hn_curves *curves) { return curves->signature; }

/* ---- Adding ------------------------------------------------------------------------------ */

static hn_status flush(hn_curves *curves, hn_error *err) {
    const size_t n = (size_t)curves->pending;
    curves->pending = 0;
    return hn_sorter_add(curves->sorter, curves->waiting, n, err);
}

static hn_status add_label(hn_curves *curves, const hn_rows *rows, int32_t r, int32_t task,
                           hn_real logit, hn_error *err) {
    const uint8_t label = rows->labels[(size_t)r * (size_t)curves->tasks + (size_t)task];
    if (label == HN_LABEL_ABSENT) return HN_OK;
    const uint32_t cell = (uint32_t)rows->scenario[r] * (uint32_t)curves->tasks + (uint32_t)task,
                   cell_label = cell * 2 + (label != 0);
    const uint64_t ordinal = rows->ordinal ? rows->ordinal[r] : 0,
                   unit = curves->by_user && rows->user ? rows->user[r] : ordinal;
    const float weight = rows->weights ? rows->weights[r] : 1.0f;
    curves->waiting[curves->pending] = (score){
        .unit = unit,
        .cell_label = cell_label,
        .weight = weight,
        .p = hn_sigmoid(logit),
        .logit = logit,
    };
    curves->weight[label != 0][cell] += (double)weight;
    /* a sum, so that the order of rows does not count */
    curves->signature += hn_mix64(hn_mix64(hn_mix64(ordinal) ^ unit) ^ cell_label);
    return ++curves->pending == PENDING ? flush(curves, err) : HN_OK;
}

hn_status hn_curves_add(hn_curves *curves, const hn_rows *rows, const hn_real *logits,
                        hn_error *err) {
    for (int32_t r = 0; r < rows->rows; r++) {
        if (rows->scenario[r] >= curves->scenarios) continue;
        for (int32_t t = 0; t < curves->tasks; t++)
            HN_TRY(add_label(curves, rows, r, t,
                             logits[(size_t)r * (size_t)curves->tasks + (size_t)t], err));
    }
    return HN_OK;
}

/* ---- Replicates -------------------------------------------------------------------------- */

static void end_ties(replicate *s, int32_t from) {
    for (int32_t b = from; b < from + HN_REPLICATE_BLOCK; b++) {
        s->area[b] += s->tie_positive[b] * (s->negative[b] + s->tie_negative[b] / 2);
        s->positive[b] += s->tie_positive[b];
        s->negative[b] += s->tie_negative[b];
        s->tie_positive[b] = s->tie_negative[b] = 0;
    }
}

/* One block of replicates over the records of the chunk. */
static void replicate_chunk(void *user, int64_t item, int32_t worker) {
    hn_curves *const curves = user;
    const int32_t from = (int32_t)item * HN_REPLICATE_BLOCK;
    (void)worker;
    for (int32_t i = 0; i < curves->n; i++) {
        const score *const s = &curves->chunk[i];
        if (curves->new_tie[i]) end_ties(&curves->sums, from);
        double *const tie =
            (s->cell_label & 1 ? curves->sums.tie_positive : curves->sums.tie_negative) + from;
        for (int32_t q = 0; q < HN_REPLICATE_BLOCK / 4; q++) {
            const uint64_t bits = hn_mix64(curves->key[i] + (uint64_t)(from / 4 + q));
            for (int32_t k = 0; k < 4; k++)
                tie[4 * q + k] += curves->times[bits >> (16 * k) & 0xffff] * (double)s->weight;
        }
    }
}

static void end_replicates(hn_curves *curves, hn_cell_curves *cell) {
    replicate *const s = &curves->sums;
    for (int32_t from = 0; from < HN_REPLICATES; from += HN_REPLICATE_BLOCK) end_ties(s, from);
    for (int32_t b = 0; b < HN_REPLICATES; b++)
        cell->replicates[b] = s->positive[b] > 0 && s->negative[b] > 0
                                  ? s->area[b] / (s->positive[b] * s->negative[b])
                                  : NAN;
}

/* ---- One cell ---------------------------------------------------------------------------- */

typedef struct reading { /* of a cell, in order of p */
    double positive, negative, area, tie_positive, tie_negative;
    double bin_p, bin_q, bin_y, bin_weight, before; /* Σ of the open bin; weight of closed ones */
    uint64_t bin_rows;
} reading;

/* From the highest probability on this would rise; the reading comes from the lowest. */
static void add_point(hn_cell_curves *cell, double x, double y, bool must) {
    const int32_t n = cell->n_points;
    const bool far =
        n == 0 || fabs(x - cell->x[n - 1]) + fabs(y - cell->y[n - 1]) >= 1.0 / HN_ROC_STEPS;
    if ((!far && !must) || n >= HN_ROC_POINTS) return;
    cell->x[n] = x;
    cell->y[n] = y;
    cell->n_points++;
}

static void wilson(hn_bin *bin) {
    const double z = 1.959963984540054, n = (double)bin->rows, p = bin->rate,
                 centre = (p + z * z / (2 * n)) / (1 + z * z / n),
                 half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    bin->low = fmax(centre - half, 0);
    bin->high = fmin(centre + half, 1);
}

static void close_bin(hn_cell_curves *cell, reading *r, bool calibrated) {
    if (r->bin_weight > 0 && cell->n_bins < HN_BINS) {
        hn_bin *const bin = &cell->bins[cell->n_bins++];
        *bin = (hn_bin){.rows = r->bin_rows,
                        .weight = r->bin_weight,
                        .predicted = r->bin_p / r->bin_weight,
                        .rate = r->bin_y / r->bin_weight,
                        .calibrated = calibrated ? r->bin_q / r->bin_weight : NAN};
        wilson(bin);
    }
    r->before += r->bin_weight;
    r->bin_p = r->bin_q = r->bin_y = r->bin_weight = 0;
    r->bin_rows = 0;
}

/* All records of one p have been read. */
static void end_tie(hn_curves *curves, hn_cell_curves *cell, int32_t c, reading *r) {
    const double positives = curves->weight[1][c], negatives = curves->weight[0][c];
    r->area += r->tie_positive * (r->negative + r->tie_negative / 2);
    r->positive += r->tie_positive;
    r->negative += r->tie_negative;
    r->tie_positive = r->tie_negative = 0;
    if (positives > 0 && negatives > 0)
        add_point(cell, fmax(1 - r->negative / negatives, 0), fmax(1 - r->positive / positives, 0),
                  false);
    /* A tie may have filled several tenths: on to the end of the next one that is nearly whole. */
    const double tenth = (positives + negatives) / HN_BINS,
                 end = floor(r->before / tenth + 0.5) + 1 - 1e-9;
    if ((r->before + r->bin_weight) / tenth >= end && cell->n_bins < HN_BINS - 1)
        close_bin(cell, r, curves->calibration != NULL);
}

static void read_score(const hn_curves *curves, reading *r, const score *s) {
    const double w = (double)s->weight;
    const bool label = s->cell_label & 1;
    const int32_t cell = (int32_t)(s->cell_label >> 1);
    *(label ? &r->tie_positive : &r->tie_negative) += w;
    r->bin_rows++;
    r->bin_weight += w;
    r->bin_p += w * (double)s->p;
    r->bin_y += w * label;
    if (curves->calibration)
        r->bin_q += w * hn_calibrate(curves->calibration, cell / curves->tasks,
                                     cell % curves->tasks, (double)s->logit);
}

static void reverse(double *numbers, int32_t n) {
    for (int32_t i = 0; i < n / 2; i++) {
        const double first = numbers[i];
        numbers[i] = numbers[n - 1 - i];
        numbers[n - 1 - i] = first;
    }
}

static void end_cell(hn_curves *curves, int32_t c, reading *r) {
    hn_cell_curves *const cell = &curves->out[c];
    double error = 0;
    end_tie(curves, cell, c, r);
    close_bin(cell, r, curves->calibration != NULL);
    if (r->positive > 0 && r->negative > 0) {
        cell->auc = r->area / (r->positive * r->negative);
        if (cell->x[cell->n_points - 1] != 0 || cell->y[cell->n_points - 1] != 0)
            add_point(cell, 0, 0, true);
    }
    reverse(cell->x, cell->n_points);
    reverse(cell->y, cell->n_points);
    for (int32_t b = 0; b < cell->n_bins; b++)
        error += cell->bins[b].weight * fabs(cell->bins[b].predicted - cell->bins[b].rate);
    if (r->before > 0) cell->error = error / r->before;
    end_replicates(curves, cell);
}

/* ---- The sorted pass --------------------------------------------------------------------- */

static void take_chunk(hn_curves *curves) {
    hn_pool_run(curves->pool, BLOCKS, replicate_chunk, curves);
    curves->n = 0;
}

/* The record is one of the cell at hand; `new_tie`: its p is higher than that of the last. */
static void take_score(hn_curves *curves, reading *r, const score *s, bool new_tie) {
    const int32_t cell = (int32_t)(s->cell_label >> 1);
    if (new_tie) end_tie(curves, &curves->out[cell], cell, r);
    curves->chunk[curves->n] = *s;
    curves->key[curves->n] = hn_random(curves->seed, HN_STREAM_REPORT, s->unit);
    curves->new_tie[curves->n] = new_tie;
    read_score(curves, r, s);
    if (++curves->n == CHUNK) take_chunk(curves);
}

static void start_cell(hn_curves *curves, reading *r, int64_t cell) {
    *r = (reading){0};
    curves->sums = (replicate){0};
    if (curves->weight[0][cell] > 0 && curves->weight[1][cell] > 0)
        add_point(&curves->out[cell], 1, 1, true);
}

hn_status hn_curves_finish(hn_curves *curves, hn_error *err) {
    reading r = {0};
    int64_t cell = -1;
    hn_real last = 0;
    HN_TRY(flush(curves, err));
    HN_TRY(hn_sorter_finish(curves->sorter, err));
    for (;;) {
        const void *record;
        HN_TRY(hn_sorter_next(&record, curves->sorter, err));
        const score *const s = record;
        const int64_t next = s ? (int64_t)(s->cell_label >> 1) : -1;
        const bool first = next != cell;
        if (first && cell >= 0) {
            take_chunk(curves);
            end_cell(curves, (int32_t)cell, &r);
        }
        if (!s) return HN_OK;
        if (first) start_cell(curves, &r, next);
        take_score(curves, &r, s, !first && s->p != last);
        last = s->p;
        cell = next;
    }
}

/* ---- Intervals --------------------------------------------------------------------------- */

static int compare_numbers(const void *left, const void *right) {
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double quantile(const double *sorted, int32_t n, double q) {
    const double at = q * (n - 1);
    const int32_t i = (int32_t)at;
    return i + 1 < n ? sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

void hn_interval(double *low, double *high, double *numbers, int32_t n) {
    int32_t defined = 0;
    for (int32_t i = 0; i < n; i++)
        if (isfinite(numbers[i])) numbers[defined++] = numbers[i];
    *low = *high = NAN;
    if (defined == 0 || 2 * defined < n) return;
    qsort(numbers, (size_t)defined, sizeof *numbers, compare_numbers);
    *low = quantile(numbers, defined, 0.025);
    *high = quantile(numbers, defined, 0.975);
}
