/* The fits of a cell: Platt's two numbers by Newton's method, the isotonic curve by pooling
 * adjacent violators. Both are sums in the order of the rows given, so equal rows in equal
 * order give equal bits. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "bundle/calibration_cell.h"

typedef struct sample {
    const double *x; /* logits */
    const uint8_t *y;
    const double *w; /* NULL: all 1 */
    int64_t n;
    double positives, negatives; /* Σ w of each */
} sample;

static double weight_of(const sample *s, int64_t i) { return s->w ? s->w[i] : 1; }

/* ---- Platt --------------------------------------------------------------------------------- */

typedef struct platt {
    double mean, scale;        /* z = (x - mean) / scale */
    double target_0, target_1; /* Platt's */
    bool shift_only;           /* the slope stays where it is */
} platt;

typedef struct slope { /* p = sigmoid(a·z + b) */
    double a, b;
} slope;

typedef struct derivatives {
    double loss, da, db, daa, dab, dbb;
} derivatives;

/* log(1 + e^t) - y·t, without overflow. */
static double log_loss(double t, double y) {
    return (t > 0 ? t : 0) + log1p(exp(-fabs(t))) - y * t;
}

static derivatives derive(const sample *s, const platt *f, slope at) {
    derivatives d = {0};
    for (int64_t i = 0; i < s->n; i++) {
        const double z = (s->x[i] - f->mean) / f->scale, t = at.a * z + at.b, w = weight_of(s, i);
        const double y = s->y[i] ? f->target_1 : f->target_0, p = 1 / (1 + exp(-t));
        const double slack = w * (p - y), curvature = w * p * (1 - p);
        d.loss += w * log_loss(t, y);
        d.da += slack * z;
        d.db += slack;
        d.daa += curvature * z * z;
        d.dab += curvature * z;
        d.dbb += curvature;
    }
    return d;
}

static double loss_at(const sample *s, const platt *f, slope at) {
    double loss = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const double z = (s->x[i] - f->mean) / f->scale, t = at.a * z + at.b;
        loss += weight_of(s, i) * log_loss(t, s->y[i] ? f->target_1 : f->target_0);
    }
    return loss;
}

/* The Newton step; the ridge keeps a flat Hessian (all p near 0 or 1) solvable. */
static slope newton_step(const derivatives *d, const platt *f) {
    const double ridge = 1e-12 * (d->daa + d->dbb) + DBL_MIN;
    const double daa = d->daa + ridge, dbb = d->dbb + ridge;
    if (f->shift_only) return (slope){0, -d->db / dbb};
    const double det = daa * dbb - d->dab * d->dab;
    return (slope){-(dbb * d->da - d->dab * d->db) / det, -(daa * d->db - d->dab * d->da) / det};
}

/* The objective is convex, so halving a step that does not help ends at its minimum. */
static slope newton(const sample *s, const platt *f, slope at) {
    enum { STEPS = 100, HALVINGS = 40 };
    const double enough = 1e-10 * (s->positives + s->negatives);
    for (int step = 0; step < STEPS; step++) {
        const derivatives d = derive(s, f, at);
        if (fabs(d.db) <= enough && (f->shift_only || fabs(d.da) <= enough)) break;
        const slope move = newton_step(&d, f);
        double size = 1;
        int halvings = 0;
        slope next = {at.a + move.a, at.b + move.b};
        while (!(loss_at(s, f, next) < d.loss) && ++halvings < HALVINGS) {
            size /= 2;
            next = (slope){at.a + size * move.a, at.b + size * move.b};
        }
        if (halvings == HALVINGS) break; /* the loss has no digits left */
        at = next;
    }
    return at;
}

static void standardise(platt *f, const sample *s) {
    const double total = s->positives + s->negatives;
    double sum = 0, square = 0;
    for (int64_t i = 0; i < s->n; i++) sum += weight_of(s, i) * s->x[i];
    f->mean = sum / total;
    for (int64_t i = 0; i < s->n; i++) {
        const double z = s->x[i] - f->mean;
        square += weight_of(s, i) * z * z;
    }
    f->scale = sqrt(square / total);
}

/* p = sigmoid(x + b): the mean is what is right afterwards, the order is the model's. */
static void fit_shift(hn_calibration_cell *cell, const sample *s, const platt *targets) {
    platt f = *targets;
    f.mean = 0;
    f.scale = 1;
    f.shift_only = true;
    const slope found = newton(s, &f, (slope){1, 0});
    cell->a = 1;
    cell->b = found.b;
}

static void fit_platt(hn_calibration_cell *cell, const sample *s) {
    platt f = {.target_1 = (s->positives + 1) / (s->positives + 2),
               .target_0 = 1 / (s->negatives + 2)};
    standardise(&f, s);
    if (f.scale > 1e-6 * (1 + fabs(f.mean))) {
        const slope found = newton(s, &f, (slope){f.scale, f.mean});
        cell->a = found.a / f.scale;
        cell->b = found.b - found.a * f.mean / f.scale;
    }
    if (!(cell->a > 0) || !isfinite(cell->a) || !isfinite(cell->b)) fit_shift(cell, s, &f);
    cell->fitted = isfinite(cell->a) && isfinite(cell->b);
}

/* ---- Isotonic ------------------------------------------------------------------------------ */

typedef struct block {  /* neighbours that have one value */
    double first, last; /* logits */
    double y, w;        /* Σ w·y, Σ w */
} block;

typedef struct place {
    double x;
    int64_t row;
} place;

static int by_logit(const void *a, const void *b) {
    const place *const p = a, *const q = b;
    if (p->x != q->x) return p->x < q->x ? -1 : 1;
    return p->row < q->row ? -1 : p->row > q->row;
}

static bool falls(const block *a, const block *b) { return a->y * b->w >= b->y * a->w; }

static size_t pool_neighbours(block *blocks, const place *order, const sample *s) {
    size_t n = 0;
    for (int64_t i = 0; i < s->n;) {
        block next = {.first = order[i].x, .last = order[i].x};
        for (; i < s->n && order[i].x == next.first; i++) { /* equal logits have one value */
            const double w = weight_of(s, order[i].row);
            next.w += w;
            next.y += s->y[order[i].row] ? w : 0;
        }
        if (next.w <= 0) continue;
        while (n > 0 && falls(&blocks[n - 1], &next)) {
            n--;
            next.first = blocks[n].first;
            next.y += blocks[n].y;
            next.w += blocks[n].w;
        }
        blocks[n++] = next;
    }
    return n;
}

static void add_knot(hn_calibration_cell *cell, double x, double p, double least) {
    cell->x[cell->n] = x;
    cell->p[cell->n++] = p < least ? least : p > 1 - least ? 1 - least : p;
}

static hn_status keep_knots(hn_calibration_cell *cell, const block *blocks, size_t n, double least,
                            hn_error *err) {
    if (n < 1 || 2 * n > HN_CALIBRATION_KNOTS_MAX)
        return hn_fail(err, HN_FAILED, "a calibration curve of %zu steps is too long", n);
    cell->x = hn_alloc(2 * n, sizeof *cell->x);
    cell->p = hn_alloc(2 * n, sizeof *cell->p);
    if (!cell->x || !cell->p) return hn_no_memory(err, "a calibration");
    for (size_t i = 0; i < n; i++) {
        add_knot(cell, blocks[i].first, blocks[i].y / blocks[i].w, least);
        if (blocks[i].last > blocks[i].first)
            add_knot(cell, blocks[i].last, blocks[i].y / blocks[i].w, least);
    }
    cell->fitted = true;
    return HN_OK;
}

static hn_status fit_isotonic(hn_calibration_cell *cell, const sample *s, hn_error *err) {
    place *const order = hn_alloc((size_t)s->n, sizeof *order);
    block *const blocks = hn_alloc((size_t)s->n, sizeof *blocks);
    hn_status status = order && blocks ? HN_OK : hn_no_memory(err, "a calibration");
    if (status == HN_OK) {
        for (int64_t i = 0; i < s->n; i++) order[i] = (place){s->x[i], i};
        qsort(order, (size_t)s->n, sizeof *order, by_logit);
        const size_t n = pool_neighbours(blocks, order, s);
        status = keep_knots(cell, blocks, n, 1 / ((double)s->n + 2), err);
    }
    hn_free(order);
    hn_free(blocks);
    return status;
}

/* ---- The interface ------------------------------------------------------------------------- */

hn_status hn_calibration_fit(hn_calibration *calibration, int32_t scenario, int32_t task,
                             const double *logits, const uint8_t *labels, const double *weights,
                             int64_t n, hn_error *err) {
    hn_calibration_cell *const cell =
        &calibration->cells[(size_t)scenario * (size_t)calibration->tasks + (size_t)task];
    sample s = {.x = logits, .y = labels, .w = weights, .n = n};
    int64_t rows[2] = {0};
    bool finite = true;
    for (int64_t i = 0; i < n; i++) {
        const double w = weight_of(&s, i);
        *(labels[i] ? &s.positives : &s.negatives) += w;
        rows[labels[i] != 0] += w > 0;
        finite = finite && isfinite(logits[i]);
    }
    hn_free(cell->x);
    hn_free(cell->p);
    *cell = (hn_calibration_cell){0};
    if (!finite || rows[0] < HN_CALIBRATION_ROWS || rows[1] < HN_CALIBRATION_ROWS) return HN_OK;
    if (calibration->kind == HN_CALIBRATE_PLATT) fit_platt(cell, &s);
    if (calibration->kind == HN_CALIBRATE_ISOTONIC) return fit_isotonic(cell, &s, err);
    return HN_OK;
}
