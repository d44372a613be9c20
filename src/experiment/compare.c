/* The t over seeds and the bootstrap over users. For the bootstrap each cell's rows are sorted by
 * score once for each model; a resampling then is one pass with the users' multiplicities as
 * weights. */
#include "experiment/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "online/stats.h"

double hn_mean_of(const double *values, int32_t n) {
    double sum = 0;
    for (int32_t i = 0; i < n; i++) sum += values[i];
    return n > 0 ? sum / n : NAN;
}

double hn_deviation_of(const double *values, int32_t n) {
    const double mean = hn_mean_of(values, n);
    double squares = 0;
    for (int32_t i = 0; i < n; i++) squares += (values[i] - mean) * (values[i] - mean);
    return n > 1 ? sqrt(squares / (n - 1)) : NAN;
}

void hn_compare_seeds(hn_difference *out, const double *differences, int32_t n, double confidence) {
    const double mean = hn_mean_of(differences, n);
    const double error = hn_deviation_of(differences, n) / sqrt(n);
    *out = (hn_difference){.n = n, .mean = mean, .low = NAN, .high = NAN, .p = NAN};
    if (n < 2) return;
    const double half = hn_student_critical(1 - confidence, n - 1) * error;
    out->low = mean - half;
    out->high = mean + half;
    if (error > 0)
        out->p = hn_student_two_sided(mean / error, n - 1);
    else
        out->p = mean == 0 ? 1 : 0;
}

/* ---- Users ------------------------------------------------------------------------------- */

typedef struct keyed {
    uint64_t user;
    uint32_t row;
} keyed;

static int by_user(const void *a, const void *b) {
    const keyed *const x = a, *const y = b;
    return x->user != y->user ? (x->user > y->user) - (x->user < y->user)
                              : (x->row > y->row) - (x->row < y->row);
}

/* unit[row]: 0…*units-1. */
static hn_status number_users(uint32_t *unit, uint32_t *units, const hn_scores *s, hn_error *err) {
    keyed *const keys = hn_alloc(s->rows + 1, sizeof *keys);
    if (!keys) return hn_no_memory(err, "the users of a comparison");
    for (size_t r = 0; r < s->rows; r++) keys[r] = (keyed){s->user[r], (uint32_t)r};
    qsort(keys, s->rows, sizeof *keys, by_user);
    uint32_t n = 0;
    for (size_t r = 0; r < s->rows; r++) {
        if (r > 0 && keys[r].user != keys[r - 1].user) n++;
        unit[keys[r].row] = n;
    }
    *units = n + 1;
    if (n == 0) /* no user column */
        for (size_t r = 0; r < s->rows; r++) unit[r] = (uint32_t)r;
    if (n == 0) *units = (uint32_t)s->rows;
    hn_free(keys);
    return HN_OK;
}

/* ---- Cells ------------------------------------------------------------------------------- */

typedef struct scored { /* a labelled row of a cell */
    float logit, weight;
    uint32_t unit;
    uint8_t label;
} scored;

typedef struct cell { /* by both models */
    scored *rows[2];
    size_t n;
} cell;

static int by_logit(const void *a, const void *b) {
    const float x = ((const scored *)a)->logit, y = ((const scored *)b)->logit;
    return (x > y) - (x < y);
}

/* Ties count half. NaN with one class only. `times` NULL: each row once. */
static double auc_of(const scored *rows, size_t n, const uint32_t *times) {
    double below = 0, area = 0, positives = 0;
    for (size_t i = 0; i < n;) {
        double p = 0, q = 0;
        const float tie = rows[i].logit;
        for (; i < n && rows[i].logit == tie; i++) {
            const double w = times ? times[rows[i].unit] * (double)rows[i].weight : rows[i].weight;
            if (rows[i].label)
                p += w;
            else
                q += w;
        }
        area += p * (below + q / 2);
        below += q;
        positives += p;
    }
    return positives > 0 && below > 0 ? area / (positives * below) : NAN;
}

static double difference_of(const cell *cells, size_t n, const uint32_t *times) {
    double sum = 0;
    int32_t defined = 0;
    for (size_t c = 0; c < n; c++) {
        const double a = auc_of(cells[c].rows[0], cells[c].n, times),
                     b = auc_of(cells[c].rows[1], cells[c].n, times);
        if (isnan(a) || isnan(b)) continue;
        sum += b - a;
        defined++;
    }
    return defined > 0 ? sum / defined : NAN;
}

static void free_cells(cell *cells, size_t n) {
    for (size_t c = 0; cells && c < n; c++) {
        hn_free(cells[c].rows[0]);
        hn_free(cells[c].rows[1]);
    }
    hn_free(cells);
}

static size_t count_rows(const hn_scores *s, size_t c) {
    const size_t tasks = (size_t)s->tasks;
    size_t n = 0;
    for (size_t r = 0; r < s->rows; r++)
        n += s->scenario[r] == c / tasks && s->label[r * tasks + c % tasks] != HN_LABEL_ABSENT;
    return n;
}

static hn_status fill_cell(cell *out, const hn_scores *const s[2], const uint32_t *unit, size_t c,
                           hn_error *err) {
    const size_t tasks = (size_t)s[0]->tasks;
    out->n = count_rows(s[0], c);
    for (int m = 0; m < 2; m++) {
        size_t n = 0;
        out->rows[m] = hn_alloc(out->n + 1, sizeof *out->rows[m]);
        if (!out->rows[m]) return hn_no_memory(err, "the rows of a comparison");
        for (size_t r = 0; r < s[m]->rows; r++) {
            const uint8_t label = s[m]->label[r * tasks + c % tasks];
            if (s[m]->scenario[r] != c / tasks || label == HN_LABEL_ABSENT) continue;
            out->rows[m][n++] =
                (scored){s[m]->logit[r * tasks + c % tasks], s[m]->weight[r], unit[r], label};
        }
        qsort(out->rows[m], n, sizeof *out->rows[m], by_logit);
    }
    return HN_OK;
}

/* ---- The bootstrap ----------------------------------------------------------------------- */

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between the two nearest of n sorted values (NumPy's default). */
static double quantile(const double *sorted, int32_t n, double q) {
    const double at = q * (n - 1);
    const int32_t k = (int32_t)floor(at);
    return k + 1 < n ? sorted[k] + (at - k) * (sorted[k + 1] - sorted[k]) : sorted[n - 1];
}

static void draw(uint32_t *times, uint32_t units, uint64_t seed, int32_t sample) {
    memset(times, 0, units * sizeof *times);
    for (uint32_t i = 0; i < units; i++) {
        const uint64_t counter = (uint64_t)sample * units + i;
        times[(uint32_t)(hn_random_unit(seed, HN_STREAM_BOOTSTRAP, counter) * units)]++;
    }
}

/* Takes the samples in which a cell was defined. */
static void summarise(hn_difference *out, double *samples, int32_t n, double confidence) {
    if (n < 2) return;
    int32_t at_most = 0, at_least = 0;
    for (int32_t i = 0; i < n; i++) {
        at_most += samples[i] <= 0;
        at_least += samples[i] >= 0;
    }
    qsort(samples, (size_t)n, sizeof *samples, by_value);
    out->low = quantile(samples, n, (1 - confidence) / 2);
    out->high = quantile(samples, n, (1 + confidence) / 2);
    out->p = fmin(1, 2.0 * (1 + (at_most < at_least ? at_most : at_least)) / (n + 1));
}

typedef struct resampling {
    uint32_t *unit, *times, units;
    cell *cells;
    size_t n_cells;
    double *samples;
} resampling;

static hn_status resample(hn_difference *out, resampling *b, const hn_scores *const s[2],
                          int32_t times, double confidence, uint64_t seed, hn_error *err) {
    b->n_cells = (size_t)s[0]->scenarios * (size_t)s[0]->tasks;
    b->unit = hn_alloc(s[0]->rows + 1, sizeof *b->unit);
    b->cells = hn_alloc_zero(b->n_cells, sizeof *b->cells);
    b->samples = hn_alloc((size_t)times + 1, sizeof *b->samples);
    if (!b->unit || !b->cells || !b->samples) return hn_no_memory(err, "a comparison");
    HN_TRY(number_users(b->unit, &b->units, s[0], err));
    b->times = hn_alloc((size_t)b->units + 1, sizeof *b->times);
    if (!b->times) return hn_no_memory(err, "a comparison");
    for (size_t c = 0; c < b->n_cells; c++) HN_TRY(fill_cell(&b->cells[c], s, b->unit, c, err));
    *out = (hn_difference){.n = (int32_t)b->units, .low = NAN, .high = NAN, .p = NAN};
    out->mean = difference_of(b->cells, b->n_cells, NULL);
    int32_t n = 0;
    for (int32_t k = 0; k < times; k++) {
        draw(b->times, b->units, seed, k);
        b->samples[n] = difference_of(b->cells, b->n_cells, b->times);
        n += !isnan(b->samples[n]);
    }
    summarise(out, b->samples, n, confidence);
    return HN_OK;
}

static bool same_rows(const hn_scores *a, const hn_scores *b) {
    const size_t labels = a->rows * (size_t)a->tasks;
    return a->rows == b->rows && a->tasks == b->tasks && a->scenarios == b->scenarios &&
           a->rows > 0 && memcmp(a->user, b->user, a->rows * sizeof *a->user) == 0 &&
           memcmp(a->scenario, b->scenario, a->rows * sizeof *a->scenario) == 0 &&
           memcmp(a->label, b->label, labels) == 0;
}

hn_status hn_compare_users(hn_difference *out, const hn_scores *a, const hn_scores *b,
                           int32_t times, double confidence, uint64_t seed, hn_error *err) {
    const hn_scores *const both[2] = {a, b};
    resampling work = {0};
    *out = (hn_difference){.mean = NAN, .low = NAN, .high = NAN, .p = NAN};
    if (a->rows == 0 && b->rows == 0)
        return hn_fail(err, HN_BAD_DATA, "the test split has no rows to compare the models on");
    if (!same_rows(a, b))
        return hn_fail(err, HN_BAD_DATA,
                       "the two files of scores are not of the same rows; expected two models on "
                       "one test split");
    const hn_status status = resample(out, &work, both, times, confidence, seed, err);
    free_cells(work.cells, work.n_cells);
    hn_free(work.unit);
    hn_free(work.times);
    hn_free(work.samples);
    return status;
}
