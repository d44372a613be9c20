/* Calibration of a cell against definitions: Platt's answer has a zero gradient, the isotonic
 * curve is the min-max formula; cells that cannot be fitted keep their probabilities; what is
 * stored reads back to the bit; and hn_bundle_probability puts calibration and correction
 * together for every kind of row. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "bundle/world.h"
#include "kernel/kernel.h"
#include "support.h"

enum { N = 400 };

typedef struct rows {
    double x[N], w[N];
    uint8_t y[N];
} rows;

/* Logits that are too bold and too low: the truth is sigmoid(x/2 + 1). */
static rows some_rows(uint64_t seed, double steps) {
    rows r;
    for (uint64_t i = 0; i < N; i++) {
        const double u = 8 * hn_random_unit(seed, HN_STREAM_TEST, 3 * i) - 5;
        r.x[i] = steps > 0 ? round(u * steps) / steps : u;
        r.y[i] = hn_random_unit(seed, HN_STREAM_TEST, 3 * i + 1) < 1 / (1 + exp(-r.x[i] / 2 - 1));
        r.w[i] = i % 17 == 0 ? 0 : 0.25 + hn_random_unit(seed, HN_STREAM_TEST, 3 * i + 2);
    }
    return r;
}

static hn_calibration *fit(hn_calibrate_kind kind, const rows *r, int64_t n, bool weighted) {
    hn_error err = {0};
    hn_calibration *c;
    assert_ok(hn_calibration_create(&c, kind, 2, 3, &err));
    assert_ok(hn_calibration_fit(c, 1, 2, r->x, r->y, weighted ? r->w : NULL, n, &err));
    return c;
}

static double logit(double p) { return log(p / (1 - p)); }

/* ---- Platt -------------------------------------------------------------------------------- */

static void platt_has_a_zero_gradient(void **state) {
    (void)state;
    for (int weighted = 0; weighted < 2; weighted++) {
        const rows r = some_rows(7, 0);
        hn_calibration *const c = fit(HN_CALIBRATE_PLATT, &r, N, weighted);
        const double b = logit(hn_calibrate(c, 1, 2, 0)), a = logit(hn_calibrate(c, 1, 2, 1)) - b;
        double of[2] = {0}, da = 0, db = 0;
        for (int i = 0; i < N; i++) of[r.y[i]] += weighted ? r.w[i] : 1;
        const double target[2] = {1 / (of[0] + 2), (of[1] + 1) / (of[1] + 2)};
        for (int i = 0; i < N; i++) {
            const double slack =
                (weighted ? r.w[i] : 1) * (1 / (1 + exp(-a * r.x[i] - b)) - target[r.y[i]]);
            da += slack * r.x[i];
            db += slack;
        }
        assert_true(fabs(da) < 1e-7 * N && fabs(db) < 1e-7 * N);
        assert_true(fabs(a - 0.5) < 0.2 && fabs(b - 1) < 0.4); /* the truth, by 400 rows */
        assert_true(hn_calibration_has(c, 1, 2) && !hn_calibration_has(c, 0, 2));
        assert_true(hn_calibrate(c, 0, 0, 0.75) == (double)hn_sigmoid((hn_real)0.75));
        hn_calibration_free(c);
    }
}

static void separable_rows_have_a_finite_answer(void **state) {
    (void)state;
    rows r = some_rows(3, 0);
    for (int i = 0; i < N; i++) r.y[i] = r.x[i] > 0;
    hn_calibration *const c = fit(HN_CALIBRATE_PLATT, &r, N, false);
    assert_true(hn_calibrate(c, 1, 2, 100) <= 1 && hn_calibrate(c, 1, 2, -100) >= 0);
    assert_true(hn_calibrate(c, 1, 2, 2) > 0.95 && hn_calibrate(c, 1, 2, 2) < 1);
    hn_calibration_free(c);
}

/* Turned round, or all alike: the order of the logits stays, the mean is right. */
static void where_a_slope_makes_no_sense_only_the_mean_is_fitted(void **state) {
    (void)state;
    for (int alike = 0; alike < 2; alike++) {
        rows r = some_rows(5, 0);
        double positives = 0, sum = 0;
        for (int i = 0; i < N; i++) {
            if (alike)
                r.x[i] = -3.25;
            else
                r.y[i] = !r.y[i];
            positives += r.y[i];
        }
        hn_calibration *const c = fit(HN_CALIBRATE_PLATT, &r, N, false);
        for (int i = 0; i < N; i++) sum += hn_calibrate(c, 1, 2, r.x[i]);
        assert_true(fabs(sum - positives) < 2); /* Platt's targets pull by less than a row */
        assert_true(fabs(logit(hn_calibrate(c, 1, 2, 1)) - logit(hn_calibrate(c, 1, 2, 0)) - 1) <
                    1e-9);
        hn_calibration_free(c);
    }
}

static void few_rows_or_one_class_keep_their_probabilities(void **state) {
    (void)state;
    hn_error err = {0};
    for (hn_calibrate_kind kind = HN_CALIBRATE_PLATT; kind <= HN_CALIBRATE_ISOTONIC; kind++) {
        rows r = some_rows(5, 0);
        hn_calibration *c = fit(kind, &r, 2 * HN_CALIBRATION_ROWS - 1, false);
        assert_false(hn_calibration_has(c, 1, 2));
        hn_calibration_free(c);
        c = fit(kind, &r, N, false);
        assert_true(hn_calibration_has(c, 1, 2));
        memset(r.y, 1, sizeof r.y);
        assert_ok(hn_calibration_fit(c, 1, 2, r.x, r.y, NULL, N, &err)); /* fitted anew */
        assert_false(hn_calibration_has(c, 1, 2));
        assert_true(hn_calibrate(c, 1, 2, -2) == (double)hn_sigmoid((hn_real)-2));
        r = some_rows(5, 0);
        r.x[9] = NAN;
        assert_ok(hn_calibration_fit(c, 1, 2, r.x, r.y, NULL, N, &err));
        assert_false(hn_calibration_has(c, 1, 2));
        hn_calibration_free(c);
    }
}

/* ---- Isotonic ------------------------------------------------------------------------------ */

static int by_number(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* max over starts ≤ x of min over ends ≥ x of the weighted mean: the definition. */
static double min_max(const rows *r, bool weighted, double x, const double *levels, int n) {
    double most = -1;
    for (int s = 0; s < n && levels[s] <= x; s++) {
        double least = 2;
        for (int e = n - 1; e >= 0 && levels[e] >= x; e--) {
            double y = 0, w = 0;
            for (int i = 0; i < N; i++) {
                if (r->x[i] < levels[s] || r->x[i] > levels[e]) continue;
                w += weighted ? r->w[i] : 1;
                y += r->y[i] ? weighted ? r->w[i] : 1 : 0;
            }
            if (w > 0) least = fmin(least, y / w);
        }
        most = fmax(most, least);
    }
    return most;
}

static void isotonic_is_the_min_max_formula(void **state) {
    (void)state;
    for (int weighted = 0; weighted < 2; weighted++) {
        const rows r = some_rows(11, 8); /* ties */
        double levels[N];
        int n = 0;
        memcpy(levels, r.x, sizeof levels);
        qsort(levels, N, sizeof *levels, by_number);
        for (int i = 0; i < N; i++)
            if (n == 0 || levels[i] > levels[n - 1]) levels[n++] = levels[i];
        hn_calibration *const c = fit(HN_CALIBRATE_ISOTONIC, &r, N, weighted);
        double before = 0;
        for (int i = 0; i < n; i++) {
            double expected = min_max(&r, weighted, levels[i], levels, n);
            expected = fmin(fmax(expected, 1.0 / (N + 2)), 1 - 1.0 / (N + 2));
            const double found = hn_calibrate(c, 1, 2, levels[i]);
            if (fabs(found - expected) > 1e-12)
                fail_msg("at %g found %.17g, expected %.17g", levels[i], found, expected);
            assert_true(found >= before);
            before = found;
            if (i == 0) continue;
            const double between = hn_calibrate(c, 1, 2, (levels[i - 1] + levels[i]) / 2);
            assert_true(fabs(between - (hn_calibrate(c, 1, 2, levels[i - 1]) + found) / 2) < 1e-12);
        }
        assert_true(hn_calibrate(c, 1, 2, 1e9) == hn_calibrate(c, 1, 2, levels[n - 1]));
        assert_true(hn_calibrate(c, 1, 2, -1e9) == hn_calibrate(c, 1, 2, levels[0]));
        assert_true(hn_calibrate(c, 1, 2, -INFINITY) > 0 && isnan(hn_calibrate(c, 1, 2, NAN)));
        hn_calibration_free(c);
    }
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void what_is_stored_reads_back_to_the_bit(void **state) {
    (void)state;
    hn_error err = {0};
    for (hn_calibrate_kind kind = HN_CALIBRATE_PLATT; kind <= HN_CALIBRATE_ISOTONIC; kind++) {
        const rows r = some_rows(13, 4);
        hn_calibration *const c = fit(kind, &r, N, true), *again;
        json_t *const json = hn_calibration_json(c);
        char *const text = json_dumps(json, JSON_COMPACT);
        json_t *const read = json_loads(text, 0, NULL);
        assert_ok(hn_calibration_parse(&again, read, 2, 3, &err));
        assert_int_equal(hn_calibration_kind(again), kind);
        for (int i = 0; i < N; i++)
            assert_true(hn_calibrate(c, 1, 2, r.x[i]) == hn_calibrate(again, 1, 2, r.x[i]));
        assert_false(hn_calibration_has(again, 1, 1));
        free(text);
        json_decref(read);
        json_decref(json);
        hn_calibration_free(again);
        hn_calibration_free(c);
    }
}

static void wrong_json_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{}",
        "{\"kind\": \"none\", \"cells\": [null]}",
        "{\"kind\": \"platt\", \"cells\": []}",
        "{\"kind\": \"platt\", \"cells\": [null, null]}",
        "{\"kind\": \"platt\", \"cells\": [{\"a\": 1}]}",
        "{\"kind\": \"platt\", \"cells\": [{\"a\": 0, \"b\": 1}]}",
        "{\"kind\": \"platt\", \"cells\": [{\"a\": \"1\", \"b\": 1}]}",
        "{\"kind\": \"platt\", \"cells\": [3]}",
        "{\"kind\": \"isotonic\", \"cells\": [{\"x\": [], \"p\": []}]}",
        "{\"kind\": \"isotonic\", \"cells\": [{\"x\": [1, 1], \"p\": [0, 1]}]}",
        "{\"kind\": \"isotonic\", \"cells\": [{\"x\": [1, 2], \"p\": [0.5, 0.25]}]}",
        "{\"kind\": \"isotonic\", \"cells\": [{\"x\": [1, 2], \"p\": [0.5, 1.5]}]}",
        "{\"kind\": \"isotonic\", \"cells\": [{\"x\": [1, 2], \"p\": [0.5]}]}",
        "{\"kind\": \"isotonic\", \"cells\": [{\"x\": [1, null], \"p\": [0.5, 0.6]}]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        hn_error err = {0};
        hn_calibration *c;
        json_t *const json = json_loads(texts[i], 0, NULL);
        assert_non_null(json);
        assert_fails(HN_BAD_DATA, "calibration", hn_calibration_parse(&c, json, 1, 1, &err));
        assert_null(c);
        json_decref(json);
    }
}

static void allocations_that_fail_are_told(void **state) {
    (void)state;
    const rows r = some_rows(3, 0);
    for (int64_t nth = 1; nth <= 6; nth++) {
        hn_error err = {0};
        hn_calibration *c;
        const int64_t held = hn_memory_held();
        hn_fault_arm(HN_FAULT_ALLOC, nth);
        hn_status status = hn_calibration_create(&c, HN_CALIBRATE_ISOTONIC, 1, 1, &err);
        if (status == HN_OK) status = hn_calibration_fit(c, 0, 0, r.x, r.y, NULL, N, &err);
        hn_fault_arm(HN_FAULT_ALLOC, 0);
        assert_int_equal(status, HN_NO_MEMORY);
        hn_calibration_free(c);
        assert_int_equal(hn_memory_held(), held);
    }
}

/* ---- A bundle with one --------------------------------------------------------------------- */

static void a_bundle_gives_probabilities(void **state) {
    (void)state;
    hn_error err = {0};
    world w;
    hn_bundle *bundle;
    hn_calibration *c;
    const rows r = some_rows(17, 0);
    world_make(&w, WORLD_HINET);
    assert_ok(hn_calibration_create(&c, HN_CALIBRATE_PLATT, WORLD_SCENARIOS, WORLD_TASKS, &err));
    assert_ok(hn_calibration_fit(c, 2, 1, r.x, r.y, NULL, N, &err));
    hn_bundle_parts parts = world_parts(&w);
    parts.calibration = c;
    assert_ok(hn_bundle_write(w.bundle_path, &parts, &err));
    assert_ok(hn_bundle_open(&bundle, w.bundle_path, &err));
    for (int i = 0; i < N; i++) {
        const double plain = (double)hn_sigmoid((hn_real)r.x[i]);
        assert_true(hn_bundle_probability(bundle, 2, 1, r.x[i], false) == plain);
        assert_true(hn_bundle_probability(bundle, 2, 1, r.x[i], true) ==
                    (double)(hn_real)hn_calibrate(c, 2, 1, r.x[i]));
        assert_true(hn_bundle_probability(bundle, 2, 0, r.x[i], true) == plain);
        assert_true(hn_bundle_probability(bundle, HN_SCENARIO_UNKNOWN, 1, r.x[i], true) == plain);
    }
    hn_bundle_close(bundle);
    hn_calibration_free(c);
    world_free(&w);
}

/* Negatives kept at rate r: the corrected odds are r times the odds. */
static void sampled_negatives_are_corrected_for(void **state) {
    (void)state;
    hn_error err = {0};
    world w;
    hn_bundle *bundle;
    assert_true(hn_unsample(0.25, 1) == 0.25);
    assert_true(fabs(hn_unsample(0.5, 0.25) - 0.2) < 1e-15);
    assert_true(fabs(hn_unsample(1, 0.1) - 1) < 1e-15 && hn_unsample(0, 0.1) == 0);
    assert_true(hn_unsample(1, 1e-17) == 1 && hn_unsample(0.5, 1e-300) <= 1);
    const char *const sampled[] = {"log={files: log.csv, sampling: 0.1}"};
    world_make_with(&w, WORLD_HINET, sampled, 1);
    assert_ok(hn_bundle_open(&bundle, w.bundle_path, &err));
    const double p = (double)hn_sigmoid((hn_real)-0.5), odds = 0.1 * p / (1 - p);
    const double right = odds / (1 + odds);
    assert_true(fabs(hn_bundle_probability(bundle, 0, 0, -0.5, false) - (double)(hn_real)right) <
                1e-15);
    assert_true(hn_bundle_uncorrected(bundle, 0, 0, -0.5, false) == p);
    assert_true(fabs(hn_bundle_probability(bundle, HN_SCENARIO_UNKNOWN, 0, -0.5, true) - right) <
                1e-7);
    hn_bundle_close(bundle);
    world_free(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(platt_has_a_zero_gradient),
        cmocka_unit_test(separable_rows_have_a_finite_answer),
        cmocka_unit_test(where_a_slope_makes_no_sense_only_the_mean_is_fitted),
        cmocka_unit_test(few_rows_or_one_class_keep_their_probabilities),
        cmocka_unit_test(isotonic_is_the_min_max_formula),
        cmocka_unit_test(what_is_stored_reads_back_to_the_bit),
        cmocka_unit_test(wrong_json_is_refused),
        cmocka_unit_test(allocations_that_fail_are_told),
        cmocka_unit_test(a_bundle_gives_probabilities),
        cmocka_unit_test(sampled_negatives_are_corrected_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
