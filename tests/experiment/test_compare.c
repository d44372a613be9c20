/* Differences: Student's t against SciPy's figures, AUC differences against counting pairs, and
 * what a bootstrap over users must be: the same every time, none without another user, wider with
 * rows that hang together. (Its size is compared with NumPy's in tests/python.) */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "experiment/compare.h"
#include "support.h"

static hn_error err;

static void assert_near(double found, double expected, double tolerance) {
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("found %.17g, expected %.17g", found, expected);
}

/* ---- Seeds ---- */

/* scipy.stats.ttest_1samp(d, 0), confidence_interval(0.95) and (0.9). */
static void seeds_are_student_t(void **state) {
    (void)state;
    static const double d[] = {0.0031, 0.0012, -0.0004, 0.0027, 0.0019};
    hn_difference x;
    hn_compare_seeds(&x, d, 5, 0.95);
    assert_int_equal(x.n, 5);
    assert_near(x.mean, 0.0017, 1e-15);
    assert_near(x.low, -1.8258409754979025e-05, 1e-12);
    assert_near(x.high, 0.0034182584097549795, 1e-12);
    assert_near(x.p, 0.051536152839164615, 1e-10);
    hn_compare_seeds(&x, d, 2, 0.9);
    assert_near(x.low, -0.0038480639389412924, 1e-12);
    assert_near(x.p, 0.2648748909241303, 1e-10);
}

static void few_or_equal_seeds(void **state) {
    (void)state;
    static const double same[] = {0.5, 0.5, 0.5}, none[] = {0, 0};
    hn_difference x;
    hn_compare_seeds(&x, same, 1, 0.95);
    assert_true(x.n == 1 && x.mean == 0.5 && isnan(x.low) && isnan(x.p));
    hn_compare_seeds(&x, same, 3, 0.95);
    assert_true(x.low == 0.5 && x.high == 0.5 && x.p == 0);
    hn_compare_seeds(&x, none, 2, 0.95);
    assert_true(x.mean == 0 && x.p == 1);
    assert_true(isnan(hn_mean_of(none, 0)) && isnan(hn_deviation_of(same, 1)));
}

/* ---- Users ---- */

enum { ROWS = 400, TASKS = 2, SCENARIOS = 2 };

typedef struct store {
    uint64_t user[ROWS];
    uint16_t scenario[ROWS];
    float weight[ROWS], logit[ROWS * TASKS];
    uint8_t label[ROWS * TASKS];
} store;

static double uniform(uint64_t stream, size_t i) {
    return hn_random_unit(9, HN_STREAM_TEST, stream * 1000000 + i);
}

/* Both models have the same rows; scores of few values, so that there are ties. */
static hn_scores make(store *s, uint64_t users, uint64_t model, double skill) {
    for (size_t r = 0; r < ROWS; r++) {
        s->user[r] = (uint64_t)(uniform(1, r) * (double)users);
        s->scenario[r] = uniform(2, r) < 0.3;
        s->weight[r] = uniform(3, r) < 0.5 ? 1 : 2.5f;
        for (size_t t = 0; t < TASKS; t++) {
            const size_t at = r * TASKS + t;
            const double u = uniform(4, at);
            s->label[at] = u < 0.1 ? HN_LABEL_ABSENT : u < 0.4;
            s->logit[at] =
                (float)floor(8 * (uniform(5 + model, at) + skill * (s->label[at] == 1))) / 8;
        }
    }
    return (hn_scores){.rows = ROWS,
                       .scenarios = SCENARIOS,
                       .tasks = TASKS,
                       .user = s->user,
                       .scenario = s->scenario,
                       .weight = s->weight,
                       .logit = s->logit,
                       .label = s->label};
}

/* Pair by pair. */
static double slow_auc(const hn_scores *s, uint16_t scenario, size_t t) {
    double right = 0, all = 0;
    for (size_t i = 0; i < s->rows; i++)
        for (size_t k = 0; k < s->rows; k++) {
            const size_t p = i * TASKS + t, q = k * TASKS + t;
            if (s->scenario[i] != scenario || s->scenario[k] != scenario || s->label[p] != 1 ||
                s->label[q] != 0)
                continue;
            const double w = (double)s->weight[i] * s->weight[k];
            all += w;
            right += w * (s->logit[p] > s->logit[q] ? 1 : s->logit[p] == s->logit[q] ? 0.5 : 0);
        }
    return right / all;
}

static void the_difference_is_of_mean_auc(void **state) {
    (void)state;
    static store one, two;
    const hn_scores a = make(&one, 50, 0, 0.1), b = make(&two, 50, 1, 0.4);
    double expected = 0;
    hn_difference x, again;
    for (uint16_t s = 0; s < SCENARIOS; s++)
        for (size_t t = 0; t < TASKS; t++)
            expected += (slow_auc(&b, s, t) - slow_auc(&a, s, t)) / (SCENARIOS * TASKS);
    assert_ok(hn_compare_users(&x, &a, &b, 500, 0.95, 1, &err));
    assert_near(x.mean, expected, 1e-12);
    assert_int_equal(x.n, 50);
    assert_true(x.low < x.mean && x.mean < x.high && x.low > 0 && x.p < 0.01);
    assert_ok(hn_compare_users(&again, &a, &b, 500, 0.95, 1, &err));
    assert_memory_equal(&x, &again, sizeof x);
    assert_ok(hn_compare_users(&again, &b, &a, 500, 0.95, 1, &err)); /* turned round */
    assert_near(again.mean, -x.mean, 1e-12);
    assert_near(again.low, -x.high, 1e-12);
    assert_near(again.p, x.p, 1e-12);
    assert_ok(hn_compare_users(&again, &a, &b, 500, 0.5, 1, &err));
    assert_true(again.high - again.low < x.high - x.low);
    assert_ok(hn_compare_users(&x, &a, &a, 500, 0.95, 1, &err));
    assert_true(x.mean == 0 && x.low == 0 && x.high == 0 && x.p == 1);
    assert_ok(hn_compare_users(&x, &a, &b, 0, 0.95, 1, &err));
    assert_near(x.mean, expected, 1e-12);
    assert_true(isnan(x.low) && isnan(x.p));
}

/* Ten copies of each row by the same user tell no more than one. */
static void rows_of_a_user_hang_together(void **state) {
    (void)state;
    static store one, two;
    const hn_scores a = make(&one, 1000, 0, 0.1), b = make(&two, 1000, 1, 0.2);
    hn_difference apart, together, without;
    for (size_t r = 0; r < ROWS; r++) one.user[r] = two.user[r] = r;
    assert_ok(hn_compare_users(&apart, &a, &b, 1000, 0.95, 1, &err));
    assert_int_equal(apart.n, ROWS);
    for (size_t r = 0; r < ROWS; r++) one.user[r] = two.user[r] = 7; /* no user column */
    assert_ok(hn_compare_users(&without, &a, &b, 1000, 0.95, 1, &err));
    assert_true(without.n == ROWS && without.low == apart.low && without.high == apart.high);
    for (size_t r = 0; r < ROWS; r++) {
        const size_t from = r - r % 10;
        one.user[r] = two.user[r] = from;
        store *const both[] = {&one, &two};
        for (int m = 0; m < 2; m++) {
            both[m]->scenario[r] = both[m]->scenario[from];
            both[m]->weight[r] = both[m]->weight[from];
            memcpy(&both[m]->label[r * TASKS], &both[m]->label[from * TASKS], TASKS);
            memcpy(&both[m]->logit[r * TASKS], &both[m]->logit[from * TASKS],
                   TASKS * sizeof(float));
        }
    }
    assert_ok(hn_compare_users(&together, &a, &b, 1000, 0.95, 1, &err));
    assert_int_equal(together.n, ROWS / 10);
    assert_true(together.high - together.low > 2 * (apart.high - apart.low));
}

/* A cell with one class only is in no mean. */
static void cells_with_one_class_do_not_count(void **state) {
    (void)state;
    static store one, two;
    const hn_scores a = make(&one, 50, 0, 0.1), b = make(&two, 50, 1, 0.4);
    hn_difference x;
    for (size_t r = 0; r < ROWS; r++)
        if (one.scenario[r] == 1 && one.label[r * TASKS] != HN_LABEL_ABSENT)
            one.label[r * TASKS] = two.label[r * TASKS] = 1;
    double expected = 0;
    for (int c = 1; c < 4; c++) { /* cells (0, 0), (0, 1), (1, 1) */
        const uint16_t s = c == 3;
        const size_t t = c != 1;
        expected += (slow_auc(&b, s, t) - slow_auc(&a, s, t)) / 3;
    }
    assert_ok(hn_compare_users(&x, &a, &b, 100, 0.95, 1, &err));
    assert_near(x.mean, expected, 1e-12);
    for (size_t r = 0; r < ROWS * TASKS; r++) one.label[r] = two.label[r] = 0;
    assert_ok(hn_compare_users(&x, &a, &b, 100, 0.95, 1, &err));
    assert_true(isnan(x.mean) && isnan(x.low) && isnan(x.p));
}

static void other_rows_are_refused(void **state) {
    (void)state;
    static store one, two;
    const hn_scores a = make(&one, 50, 0, 0.1);
    hn_scores b = make(&two, 50, 1, 0.4);
    hn_difference x;
    two.label[3] ^= 1;
    assert_fails(HN_BAD_DATA, "not of the same rows",
                 hn_compare_users(&x, &a, &b, 100, 0.95, 1, &err));
    two.label[3] ^= 1;
    two.user[0]++;
    assert_fails(HN_BAD_DATA, "not of the same rows",
                 hn_compare_users(&x, &a, &b, 100, 0.95, 1, &err));
    two.user[0]--;
    b.rows--;
    assert_fails(HN_BAD_DATA, "not of the same rows",
                 hn_compare_users(&x, &a, &b, 100, 0.95, 1, &err));
    hn_scores none = a;
    none.rows = b.rows = 0;
    assert_fails(HN_BAD_DATA, "the test split has no rows",
                 hn_compare_users(&x, &none, &b, 100, 0.95, 1, &err));
}

static hn_status compare_both(void *user, hn_error *e) {
    const hn_scores *const both = user;
    hn_difference x;
    return hn_compare_users(&x, &both[0], &both[1], 10, 0.95, 1, e);
}

static void no_memory(void **state) {
    (void)state;
    static store one, two;
    hn_scores both[] = {make(&one, 50, 0, 0.1), make(&two, 50, 1, 0.4)};
    assert_true(support_fail_each(HN_FAULT_ALLOC, compare_both, both) >= 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_are_student_t),
        cmocka_unit_test(few_or_equal_seeds),
        cmocka_unit_test(the_difference_is_of_mean_auc),
        cmocka_unit_test(rows_of_a_user_hang_together),
        cmocka_unit_test(cells_with_one_class_do_not_count),
        cmocka_unit_test(other_rows_are_refused),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
