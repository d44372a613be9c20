/* The Bayes-optimal AUC against the definition, counted pair by pair. */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "simulate/bayes.h"
#include "support.h"

typedef struct row {
    int32_t cell;
    double p;
    bool label;
} row;

static double pairwise_auc(const row *rows, int n, int32_t cell) {
    double won = 0, pairs = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            if (rows[i].cell != cell || rows[j].cell != cell || !rows[i].label || rows[j].label)
                continue;
            pairs++;
            won += rows[i].p > rows[j].p ? 1 : rows[i].p == rows[j].p ? 0.5 : 0;
        }
    return pairs > 0 ? won / pairs : NAN;
}

static void score(hn_bayes_cell *cells, const row *rows, size_t n) {
    hn_error err = {0};
    hn_bayes *bayes = NULL;
    assert_ok(hn_bayes_create(&bayes, 1 << 20, "/tmp", &err));
    for (size_t i = 0; i < n; i++) {
        const uint64_t record = hn_bayes_record(rows[i].cell, rows[i].p, rows[i].label);
        assert_ok(hn_bayes_add(bayes, &record, 1, &err));
    }
    assert_ok(hn_bayes_finish(cells, bayes, &err));
    hn_bayes_free(bayes);
}

static void agrees_with_counting_pairs(void **state) {
    (void)state;
    for (uint64_t trial = 0; trial < 40; trial++) {
        row rows[200];
        const int n = 1 + (int)(trial * 5),
                  steps = trial % 3 == 0 ? 5 : 1000000; /* few steps: many ties */
        for (int i = 0; i < n; i++) {
            const uint64_t at = trial * 1000 + (uint64_t)i;
            rows[i].cell = (int32_t)(hn_random_unit(1, HN_STREAM_TEST, at) * 4) * 5;
            rows[i].p = (1 + floor(hn_random_unit(2, HN_STREAM_TEST, at) * (steps - 1))) / steps;
            rows[i].label = hn_random_unit(3, HN_STREAM_TEST, at) < rows[i].p;
        }
        hn_bayes_cell cells[HN_BAYES_CELLS_MAX];
        score(cells, rows, (size_t)n);
        for (int32_t c = 0; c < HN_BAYES_CELLS_MAX; c++) {
            const double expected = pairwise_auc(rows, n, c);
            uint64_t of_cell = 0, positives = 0;
            for (int i = 0; i < n; i++)
                of_cell += rows[i].cell == c, positives += rows[i].cell == c && rows[i].label;
            assert_int_equal(cells[c].rows, of_cell);
            assert_int_equal(cells[c].positives, positives);
            if (isnan(expected))
                assert_true(isnan(cells[c].auc));
            else
                assert_true(fabs(cells[c].auc - expected) < 1e-12);
        }
    }
}

static void nothing_is_no_auc(void **state) {
    (void)state;
    hn_bayes_cell cells[HN_BAYES_CELLS_MAX];
    score(cells, NULL, 0);
    for (int c = 0; c < HN_BAYES_CELLS_MAX; c++) {
        assert_true(isnan(cells[c].auc));
        assert_int_equal(cells[c].rows, 0);
    }
}

/* More than the memory holds: the same figures from disk as from memory. */
static void spilling_changes_nothing(void **state) {
    (void)state;
    enum { ROWS = 400000 };
    hn_bayes_cell cells[2][HN_BAYES_CELLS_MAX];
    for (int b = 0; b < 2; b++) {
        hn_error err = {0};
        hn_bayes *bayes = NULL;
        assert_ok(hn_bayes_create(&bayes, b ? 64 << 20 : 1 << 20, "/tmp", &err));
        for (uint64_t i = 0; i < ROWS; i++) {
            const double p = hn_random_unit(4, HN_STREAM_TEST, i) * 0.5 + 1e-9;
            const uint64_t record = hn_bayes_record(0, p, hn_random_unit(5, HN_STREAM_TEST, i) < p);
            assert_ok(hn_bayes_add(bayes, &record, 1, &err));
        }
        assert_ok(hn_bayes_finish(cells[b], bayes, &err));
        hn_bayes_free(bayes);
    }
    assert_true(cells[0][0].auc == cells[1][0].auc);
    assert_int_equal(cells[0][0].positives, cells[1][0].positives);
    /* p uniform in (0, ½): AUC is 1/2 + 1/9, from ∫∫ over the classes' densities. */
    assert_true(fabs(cells[0][0].auc - (0.5 + 1.0 / 9)) < 0.15);
}

static void records_sort_like_cell_then_probability(void **state) {
    (void)state;
    static const double p[] = {1e-300, 1e-9, 0.1, 0.25, 0.5, 0.75, 0.999999, 1 - 1e-9};
    for (size_t i = 0; i + 1 < sizeof p / sizeof *p; i++) {
        assert_true(hn_bayes_record(3, p[i], true) < hn_bayes_record(3, p[i + 1], false));
        assert_true(hn_bayes_record(3, p[i + 1], true) < hn_bayes_record(4, p[i], false));
    }
    assert_true(hn_bayes_record(15, 0.5, true) >> 60 == 15);
}

static hn_status whole_life(void *user, hn_error *err) {
    (void)user;
    hn_bayes *bayes;
    hn_bayes_cell cells[HN_BAYES_CELLS_MAX];
    const uint64_t record = hn_bayes_record(0, 0.5, true);
    hn_status status = hn_bayes_create(&bayes, 1 << 20, "/tmp", err);
    if (status == HN_OK) status = hn_bayes_add(bayes, &record, 1, err);
    if (status == HN_OK) status = hn_bayes_finish(cells, bayes, err);
    hn_bayes_free(bayes);
    return status;
}

static void failed_allocations_leave_nothing(void **state) {
    (void)state;
    assert_true(support_fail_each(HN_FAULT_ALLOC, whole_life, NULL) >= 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_counting_pairs),
        cmocka_unit_test(nothing_is_no_auc),
        cmocka_unit_test(spilling_changes_nothing),
        cmocka_unit_test(records_sort_like_cell_then_probability),
        cmocka_unit_test(failed_allocations_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
