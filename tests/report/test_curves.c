/* Curves, replicates and intervals of cells against slow definitions. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../train/fixture.h"
#include "base/rng.h"
#include "kernel/kernel.h"
#include "near.h"
#include "report/curves.h"

enum { ROWS = 700, CELLS = FIXTURE_SCENARIOS * FIXTURE_TASKS, SEED = 9 };

static hn_real logits[ROWS * FIXTURE_TASKS];

/* Some predictions are equal in crowds. */
static fixture_rows make_rows(void) {
    const fixture_rows made = fixture_make_rows(ROWS, 4);
    for (int32_t i = 0; i < ROWS * FIXTURE_TASKS; i++) {
        const double x = hn_random_normal(2, HN_STREAM_TEST, (uint64_t)i);
        logits[i] = (hn_real)(i % 3 == 0 ? round(2 * x) / 2 : x);
    }
    return made;
}

typedef struct settings {
    int32_t threads, pieces;
    int64_t budget;
    bool by_user;
} settings;

static hn_rows part_of(const fixture_rows *made, int32_t first, int32_t n) {
    hn_rows part = made->rows;
    part.rows = n;
    part.scenario += first;
    part.labels += (ptrdiff_t)first * FIXTURE_TASKS;
    part.weights = part.weights ? part.weights + first : NULL;
    part.ordinal += first;
    part.user += first;
    return part;
}

static hn_curves *curves_of(const fixture_rows *made, const settings *s) {
    hn_error err = {0};
    hn_pool *pool;
    hn_curves *curves;
    assert_ok(hn_pool_create(&pool, s->threads, &err));
    assert_ok(hn_curves_create(&curves, FIXTURE_SCENARIOS, FIXTURE_TASKS, s->by_user, SEED, NULL,
                               pool, s->budget, "/tmp", &err));
    /* the last pieces come first: the order of rows must not count */
    for (int32_t p = s->pieces - 1; p >= 0; p--) {
        const int32_t first = ROWS * p / s->pieces, end = ROWS * (p + 1) / s->pieces;
        const hn_rows part = part_of(made, first, end - first);
        assert_ok(hn_curves_add(curves, &part, logits + (ptrdiff_t)first * FIXTURE_TASKS, &err));
    }
    assert_ok(hn_curves_finish(curves, &err));
    hn_pool_free(pool);
    return curves;
}

/* ---- The slow way ------------------------------------------------------------------------ */

typedef struct label { /* a present label of the cell */
    double p, weight;
    uint64_t unit;
    bool positive;
} label;

static int32_t labels_of(label *out, const fixture_rows *made, int32_t cell, bool by_user) {
    int32_t n = 0;
    for (int32_t r = 0; r < ROWS; r++) {
        const int32_t t = cell % FIXTURE_TASKS, at = r * FIXTURE_TASKS + t;
        if (made->rows.scenario[r] != cell / FIXTURE_TASKS ||
            made->rows.labels[at] == HN_LABEL_ABSENT)
            continue;
        out[n++] = (label){.p = (double)hn_sigmoid(logits[at]),
                           .weight = made->rows.weights ? (double)made->rows.weights[r] : 1,
                           .unit = by_user ? made->rows.user[r] : made->rows.ordinal[r],
                           .positive = made->rows.labels[at] != 0};
    }
    return n;
}

/* Each pair of a positive and a negative. */
static double slow_auc(const label *labels, const double *times, int32_t n) {
    double right = 0, pairs = 0;
    for (int32_t i = 0; i < n; i++)
        for (int32_t j = 0; labels[i].positive && j < n; j++) {
            if (labels[j].positive) continue;
            const double w = labels[i].weight * times[i] * labels[j].weight * times[j];
            pairs += w;
            right += w * (labels[i].p > labels[j].p ? 1 : labels[i].p == labels[j].p ? 0.5 : 0);
        }
    return pairs > 0 ? right / pairs : NAN;
}

/* The quantile of Poisson(1), from its definition. */
static int32_t poisson_quantile(double q) {
    double sum = 0, factorial = 1;
    for (int32_t k = 0;; k++) {
        if (k > 0) factorial *= k;
        sum += exp(-1) / factorial;
        if (q <= sum || k > 20) return k;
    }
}

static double times_of(uint64_t unit, int32_t b) {
    const uint64_t bits = hn_mix64(hn_random(SEED, HN_STREAM_REPORT, unit) + (uint64_t)b / 4);
    return poisson_quantile(((double)(bits >> (16 * (b % 4)) & 0xffff) + 0.5) / 65536);
}

/* ---- Tests ------------------------------------------------------------------------------- */

static const settings plain = {.threads = 2, .pieces = 3, .budget = 1 << 24, .by_user = true};

static void replicates_are_the_definition(void **state) {
    (void)state;
    fixture_rows made = make_rows();
    static label labels[ROWS];
    static double times[ROWS];
    for (int way = 0; way < 2; way++) {
        settings s = plain;
        s.by_user = way == 0;
        hn_curves *const curves = curves_of(&made, &s);
        for (int32_t c = 0; c < CELLS; c++) {
            const hn_cell_curves *const cell = hn_curves_cell(curves, c);
            const int32_t n = labels_of(labels, &made, c, s.by_user);
            for (int32_t i = 0; i < n; i++) times[i] = 1;
            assert_near(cell->auc, slow_auc(labels, times, n), 1e-12);
            for (int32_t b = 0; b < HN_REPLICATES; b += 57) {
                for (int32_t i = 0; i < n; i++) times[i] = times_of(labels[i].unit, b);
                assert_near(cell->replicates[b], slow_auc(labels, times, n), 1e-12);
            }
        }
        hn_curves_free(curves);
    }
    fixture_free_rows(&made);
}

/* Neither threads nor the order and size of pieces nor spills change a bit. */
static void nothing_but_rows_counts(void **state) {
    (void)state;
    fixture_rows made = make_rows();
    const settings others[] = {{1, 1, 1 << 24, true}, {3, 7, 1 << 24, true}, {2, 700, 1, true}};
    hn_curves *const curves = curves_of(&made, &plain);
    for (size_t i = 0; i < 3; i++) {
        hn_curves *const other = curves_of(&made, &others[i]);
        assert_true(hn_curves_signature(other) == hn_curves_signature(curves));
        for (int32_t c = 0; c < CELLS; c++) {
            const hn_cell_curves *const a = hn_curves_cell(curves, c), *const b =
                                                                           hn_curves_cell(other, c);
            assert_memory_equal(a->replicates, b->replicates, HN_REPLICATES * sizeof(double));
            assert_int_equal(a->n_bins, b->n_bins);
            assert_near(a->auc, b->auc, 0);
        }
        hn_curves_free(other);
    }
    hn_curves_free(curves);
    fixture_free_rows(&made);
}

static void another_label_is_another_signature(void **state) {
    (void)state;
    fixture_rows made = make_rows();
    hn_curves *const curves = curves_of(&made, &plain);
    int32_t at = 0;
    while (made.labels[at] == HN_LABEL_ABSENT) at++;
    made.labels[at] = !made.labels[at];
    hn_curves *const other = curves_of(&made, &plain);
    assert_true(hn_curves_signature(other) != hn_curves_signature(curves));
    hn_curves_free(other);
    hn_curves_free(curves);
    fixture_free_rows(&made);
}

/* Drawn by user and drawn by row are no pair. */
static void another_unit_is_another_signature(void **state) {
    (void)state;
    fixture_rows made = make_rows();
    settings by_row = plain;
    by_row.by_user = false;
    hn_curves *const curves = curves_of(&made, &plain), *const other = curves_of(&made, &by_row);
    assert_true(hn_curves_signature(other) != hn_curves_signature(curves));
    hn_curves_free(other);
    hn_curves_free(curves);
    fixture_free_rows(&made);
}

/* Every point of a curve is the pair of rates above some threshold; it rises from 0 to 1. */
static void roc_points_are_rates_above_a_threshold(void **state) {
    (void)state;
    fixture_rows made = make_rows();
    hn_curves *const curves = curves_of(&made, &plain);
    static label labels[ROWS];
    for (int32_t c = 0; c < CELLS; c++) {
        const hn_cell_curves *const cell = hn_curves_cell(curves, c);
        const int32_t n = labels_of(labels, &made, c, true);
        double sum[2] = {0};
        for (int32_t i = 0; i < n; i++) sum[labels[i].positive] += labels[i].weight;
        assert_true(cell->n_points > 10 && cell->n_points <= HN_ROC_POINTS);
        assert_near(cell->x[0] + cell->y[0], 0, 0);
        assert_near(cell->x[cell->n_points - 1] + cell->y[cell->n_points - 1], 2, 0);
        for (int32_t k = 1; k < cell->n_points - 1; k++) {
            bool found = false;
            assert_true(cell->x[k] >= cell->x[k - 1] && cell->y[k] >= cell->y[k - 1]);
            for (int32_t i = 0; i < n && !found; i++) {
                double above[2] = {0};
                for (int32_t j = 0; j < n; j++)
                    if (labels[j].p > labels[i].p) above[labels[j].positive] += labels[j].weight;
                found = fabs(above[0] / sum[0] - cell->x[k]) < 1e-9 &&
                        fabs(above[1] / sum[1] - cell->y[k]) < 1e-9;
            }
            assert_true(found);
        }
    }
    hn_curves_free(curves);
    fixture_free_rows(&made);
}

static void bins_hold_all_rows(void **state) {
    (void)state;
    fixture_rows made = make_rows();
    hn_curves *const curves = curves_of(&made, &plain);
    static label labels[ROWS];
    for (int32_t c = 0; c < CELLS; c++) {
        const hn_cell_curves *const cell = hn_curves_cell(curves, c);
        const int32_t n = labels_of(labels, &made, c, true);
        double weight = 0, predicted = 0, positive = 0, error = 0;
        double all = 0, all_predicted = 0, all_positive = 0;
        uint64_t rows = 0;
        for (int32_t i = 0; i < n; i++) {
            all += labels[i].weight;
            all_predicted += labels[i].weight * labels[i].p;
            all_positive += labels[i].weight * labels[i].positive;
        }
        assert_in_range(cell->n_bins, HN_BINS - 3, HN_BINS);
        for (int32_t b = 0; b < cell->n_bins; b++) {
            const hn_bin *const bin = &cell->bins[b];
            rows += bin->rows;
            weight += bin->weight;
            predicted += bin->weight * bin->predicted;
            positive += bin->weight * bin->rate;
            error += bin->weight * fabs(bin->predicted - bin->rate);
            assert_true(bin->low <= bin->rate && bin->rate <= bin->high && isnan(bin->calibrated));
            if (b > 0) assert_true(bin->predicted > cell->bins[b - 1].predicted);
            assert_true(bin->weight < 0.3 * all);
            if (b + 1 < cell->n_bins) assert_true(bin->weight > 0.5 * all / HN_BINS - 1e-9);
        }
        assert_int_equal(rows, n);
        assert_near(weight, all, 1e-9);
        assert_near(predicted, all_predicted, 1e-9);
        assert_near(positive, all_positive, 1e-9);
        assert_near(cell->error, error / all, 1e-12);
    }
    hn_curves_free(curves);
    fixture_free_rows(&made);
}

/* Seven tenths of the predictions are one: it is one bin, and those above it are no crumbs. */
static void bins_after_a_crowd_are_tenths(void **state) {
    (void)state;
    fixture_rows made = make_rows();
    hn_real kept[ROWS * FIXTURE_TASKS];
    memcpy(kept, logits, sizeof kept);
    for (int32_t i = 0; i < ROWS * FIXTURE_TASKS; i++) {
        const double u = hn_random_unit(3, HN_STREAM_TEST, (uint64_t)i);
        logits[i] = (hn_real)(u > 0.1 && u < 0.8 ? 0.1 : u);
    }
    hn_curves *const curves = curves_of(&made, &plain);
    memcpy(logits, kept, sizeof kept);
    for (int32_t c = 0; c < CELLS; c++) {
        const hn_cell_curves *const cell = hn_curves_cell(curves, c);
        double all = 0, most = 0;
        for (int32_t b = 0; b < cell->n_bins; b++) {
            all += cell->bins[b].weight;
            most = fmax(most, cell->bins[b].weight);
        }
        assert_true(most > 0.5 * all && cell->n_bins <= 5);
        for (int32_t b = 0; b + 1 < cell->n_bins; b++)
            assert_true(cell->bins[b].weight > 0.5 * all / HN_BINS - 1e-9);
    }
    hn_curves_free(curves);
    fixture_free_rows(&made);
}

/* No labels at all, and labels of one class. */
static void cells_without_a_class_have_no_curve(void **state) {
    (void)state;
    fixture_rows made = make_rows();
    for (int32_t r = 0; r < ROWS; r++) {
        made.labels[r * FIXTURE_TASKS] = HN_LABEL_ABSENT;
        made.labels[r * FIXTURE_TASKS + 1] = 1;
    }
    hn_curves *const curves = curves_of(&made, &plain);
    for (int32_t c = 0; c < CELLS; c++) {
        const hn_cell_curves *const cell = hn_curves_cell(curves, c);
        assert_true(isnan(cell->auc) && isnan(cell->replicates[0]));
        assert_int_equal(cell->n_points, 0);
        if (c % FIXTURE_TASKS == 0)
            assert_int_equal(cell->n_bins, 0);
        else
            assert_in_range(cell->n_bins, HN_BINS - 3, HN_BINS);
    }
    hn_curves_free(curves);
    fixture_free_rows(&made);
}

static void intervals_are_numpys_quantiles(void **state) {
    (void)state;
    double low, high, numbers[201];
    for (int32_t i = 0; i <= 200; i++) numbers[i] = (i * 83) % 201; /* 0…200, mixed */
    hn_interval(&low, &high, numbers, 201);
    assert_near(low, 5, 1e-12);
    assert_near(high, 195, 1e-12);
    double few[] = {NAN, 1, NAN, 2, 3}; /* numpy.quantile([1, 2, 3], [0.025, 0.975]) */
    hn_interval(&low, &high, few, 5);
    assert_near(low, 1.05, 1e-12);
    assert_near(high, 2.95, 1e-12);
    double fewer[] = {NAN, 1, NAN, NAN, 3};
    hn_interval(&low, &high, fewer, 5);
    assert_true(isnan(low) && isnan(high));
    hn_interval(&low, &high, fewer, 0);
    assert_true(isnan(low) && isnan(high));
}

static hn_status make_and_fill(void *user, hn_error *err) {
    const fixture_rows *const made = user;
    hn_pool *pool;
    hn_curves *curves = NULL;
    HN_TRY(hn_pool_create(&pool, 1, err));
    hn_status status = hn_curves_create(&curves, FIXTURE_SCENARIOS, FIXTURE_TASKS, true, SEED, NULL,
                                        pool, 1 << 20, "/tmp", err);
    if (status == HN_OK) status = hn_curves_add(curves, &made->rows, logits, err);
    if (status == HN_OK) status = hn_curves_finish(curves, err);
    hn_curves_free(curves);
    hn_pool_free(pool);
    return status;
}

static void every_failed_allocation_is_reported(void **state) {
    (void)state;
    fixture_rows made = make_rows();
    assert_true(support_fail_each(HN_FAULT_ALLOC, make_and_fill, &made) > 5);
    fixture_free_rows(&made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicates_are_the_definition),
        cmocka_unit_test(nothing_but_rows_counts),
        cmocka_unit_test(another_label_is_another_signature),
        cmocka_unit_test(another_unit_is_another_signature),
        cmocka_unit_test(roc_points_are_rates_above_a_threshold),
        cmocka_unit_test(bins_hold_all_rows),
        cmocka_unit_test(bins_after_a_crowd_are_tenths),
        cmocka_unit_test(cells_without_a_class_have_no_curve),
        cmocka_unit_test(intervals_are_numpys_quantiles),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
