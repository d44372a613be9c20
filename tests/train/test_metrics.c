/* Metrics against brute force over all pairs, on hand-made cases and on random rows with
 * ties, weights and absent labels; and their independence of order and budget. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "kernel/kernel.h"
#include "support.h"
#include "train/train.h"

typedef struct data {
    int32_t n, scenarios, tasks;
    uint16_t *scenario;
    uint8_t *labels;
    float *weights;
    uint64_t *user;
    hn_real *logits;
} data;

static double unit(uint64_t i) { return hn_random_unit(7, HN_STREAM_TEST, i); }

/* `levels` > 0: that many distinct logits, so that there are ties. */
static data make(int32_t n, int32_t scenarios, int32_t tasks, int32_t levels, bool weighted) {
    data d = {.n = n, .scenarios = scenarios, .tasks = tasks};
    const size_t labels = (size_t)n * (size_t)tasks;
    d.scenario = malloc((size_t)n * sizeof *d.scenario);
    d.labels = malloc(labels);
    d.weights = malloc((size_t)n * sizeof *d.weights);
    d.user = malloc((size_t)n * sizeof *d.user);
    d.logits = malloc(labels * sizeof *d.logits);
    for (int32_t r = 0; r < n; r++) {
        const uint64_t at = (uint64_t)r * 100;
        d.scenario[r] = (uint16_t)(unit(at) * scenarios);
        d.user[r] = (uint64_t)(unit(at + 1) * n / 6);
        d.weights[r] = weighted ? (float)(unit(at + 2) * 3) : 1.0f;
        for (int32_t t = 0; t < tasks; t++) {
            const size_t i = (size_t)r * (size_t)tasks + (size_t)t;
            const double x = unit(at + 10 + (uint64_t)t * 3) * 6 - 3;
            d.logits[i] = (hn_real)(levels > 0 ? floor(x * levels) / levels : x);
            const double u = unit(at + 11 + (uint64_t)t * 3);
            d.labels[i] = u < 0.1 ? HN_LABEL_ABSENT : u < 0.1 + 0.9 / (1 + exp(-x)) ? 1 : 0;
        }
    }
    return d;
}

static void drop(data *d) {
    free(d->scenario), free(d->labels), free(d->weights), free(d->user), free(d->logits);
}

static hn_rows view(const data *d, int32_t first, int32_t n) {
    return (hn_rows){.rows = n,
                     .scenario = d->scenario + first,
                     .labels = d->labels + (size_t)first * (size_t)d->tasks,
                     .weights = d->weights + first,
                     .user = d->user + first};
}

static void measure(hn_cell_metrics *out, const data *d, int64_t budget, int32_t step, bool gauc) {
    hn_error err = {0};
    hn_metrics *metrics = NULL;
    char *const dir = support_folder();
    assert_ok(hn_metrics_create(&metrics, d->scenarios, d->tasks, gauc, budget, dir, &err));
    for (int32_t r = 0; r < d->n; r += step) {
        const hn_rows rows = view(d, r, d->n - r < step ? d->n - r : step);
        assert_ok(hn_metrics_add(metrics, &rows, d->logits + (size_t)r * (size_t)d->tasks, &err));
    }
    assert_ok(hn_metrics_finish(out, metrics, &err));
    hn_metrics_free(metrics);
    support_remove(dir);
    free(dir);
}

/* ---- The oracle: every pair -------------------------------------------------------------- */

typedef struct picked {
    int32_t n;
    double *p, *w, *logit;
    uint8_t *y;
    uint64_t *user;
} picked;

static picked pick(const data *d, int32_t cell) {
    picked c = {0};
    const size_t n = (size_t)d->n;
    c.p = malloc(n * 8), c.w = malloc(n * 8), c.logit = malloc(n * 8), c.y = malloc(n);
    c.user = malloc(n * 8);
    for (int32_t r = 0; r < d->n; r++) {
        const size_t i = (size_t)r * (size_t)d->tasks + (size_t)(cell % d->tasks);
        if (d->scenario[r] != cell / d->tasks || d->labels[i] == HN_LABEL_ABSENT) continue;
        c.p[c.n] = (double)hn_sigmoid(d->logits[i]);
        c.logit[c.n] = (double)d->logits[i];
        c.w[c.n] = (double)d->weights[r];
        c.y[c.n] = d->labels[i];
        c.user[c.n++] = d->user[r];
    }
    return c;
}

static void drop_picked(picked *c) {
    free(c->p), free(c->w), free(c->logit), free(c->y), free(c->user);
}

/* All users with any = NULL, else rows of that user. */
static double pairs_auc(const picked *c, const uint64_t *user) {
    double area = 0, all = 0;
    for (int32_t i = 0; i < c->n; i++) {
        if (!c->y[i] || (user && c->user[i] != *user)) continue;
        for (int32_t j = 0; j < c->n; j++) {
            if (c->y[j] || (user && c->user[j] != *user)) continue;
            const double w = c->w[i] * c->w[j];
            all += w;
            area += w * (c->p[i] > c->p[j] ? 1 : c->p[i] == c->p[j] ? 0.5 : 0);
        }
    }
    return all > 0 ? area / all : NAN;
}

static double pairs_gauc(const picked *c) {
    double sum = 0, weights = 0;
    for (int32_t i = 0; i < c->n; i++) {
        int32_t first = 0;
        while (c->user[first] != c->user[i]) first++;
        if (first != i) continue;
        const double auc = pairs_auc(c, &c->user[i]);
        double w = 0;
        for (int32_t j = 0; j < c->n; j++)
            if (c->user[j] == c->user[i]) w += c->w[j];
        if (isnan(auc)) continue;
        sum += w * auc;
        weights += w;
    }
    return weights > 0 ? sum / weights : NAN;
}

static void assert_near(double got, double expected, double tolerance) {
    if (isnan(expected) && isnan(got)) return;
    if (!(fabs(got - expected) <= tolerance)) {
        print_error("found %.17g, expected %.17g\n", got, expected);
        fail();
    }
}

static void check_cell(const hn_cell_metrics *m, const data *d, int32_t cell, bool gauc) {
    picked c = pick(d, cell);
    double loss = 0, weight = 0, predicted = 0, positive = 0;
    uint64_t positives = 0;
    for (int32_t i = 0; i < c.n; i++) {
        const double p = 1 / (1 + exp(-c.logit[i]));
        loss -= c.w[i] * (c.y[i] ? log(p) : log1p(-p));
        weight += c.w[i];
        predicted += c.w[i] * c.p[i];
        positive += c.y[i] ? c.w[i] : 0;
        positives += c.y[i];
    }
    assert_int_equal(m->rows, c.n);
    assert_int_equal(m->positives, positives);
    assert_near(m->weight, weight, 1e-9 * weight);
    assert_near(m->auc, pairs_auc(&c, NULL), 1e-12);
    assert_near(m->gauc, gauc ? pairs_gauc(&c) : NAN, 1e-12);
    assert_near(m->log_loss, loss / weight, 1e-12);
    assert_near(m->calibration, predicted / positive, 1e-12);
    drop_picked(&c);
}

static void equals_all_pairs(void **state) {
    (void)state;
    static const struct {
        int32_t n, scenarios, tasks, levels;
        bool weighted, gauc;
    } cases[] = {{1500, 1, 1, 0, false, true}, {1500, 3, 2, 0, true, true},
                 {1200, 2, 2, 2, true, true},  {900, 4, 3, 1, false, true},
                 {600, 2, 1, 4, true, false},  {3, 1, 1, 0, false, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        data d = make(cases[i].n, cases[i].scenarios, cases[i].tasks, cases[i].levels,
                      cases[i].weighted);
        hn_cell_metrics m[12];
        measure(m, &d, 1 << 20, 100, cases[i].gauc);
        for (int32_t c = 0; c < d.scenarios * d.tasks; c++) check_cell(&m[c], &d, c, cases[i].gauc);
        drop(&d);
    }
}

/* Reverses the rows. */
static void turn_round(data *d) {
    for (int32_t i = 0, j = d->n - 1; i < j; i++, j--) {
#define SWAP(type, array, width)                             \
    for (int32_t k = 0; k < (width); k++) {                  \
        const type kept = (array)[i * (width) + k];          \
        (array)[i * (width) + k] = (array)[j * (width) + k]; \
        (array)[j * (width) + k] = kept;                     \
    }
        SWAP(uint16_t, d->scenario, 1)
        SWAP(uint8_t, d->labels, d->tasks)
        SWAP(float, d->weights, 1)
        SWAP(uint64_t, d->user, 1)
        SWAP(hn_real, d->logits, d->tasks)
    }
}

static void neither_order_nor_budget_changes_a_bit(void **state) {
    (void)state;
    data d = make(120000, 3, 2, 50, true);
    hn_cell_metrics large[6], small[6];
    measure(large, &d, (int64_t)1 << 30, 1000, true);
    turn_round(&d);
    measure(small, &d, 1 << 20, 77, true);
    for (int32_t c = 0; c < 6; c++) /* without the padding behind the last member */
        assert_memory_equal(&large[c], &small[c],
                            offsetof(hn_cell_metrics, constant) + sizeof large[c].constant);
    drop(&d);
}

static void by_hand(void **state) {
    (void)state;
    /* cell 0: perfect; 1: one class; 2: nothing; 3: constant */
    uint16_t scenario[] = {0, 0, 0, 1, 1, 1};
    uint8_t labels[] = {1, 1, 0, 1, 0, 1, 255, 1, 255, 0, 255, 0};
    float weights[] = {1, 1, 1, 1, 1, 1};
    uint64_t user[] = {1, 1, 1, 2, 3, 3};
    hn_real logits[] = {3, 1, -1, 2, -2, 3, 1, (hn_real)0.25, 1, (hn_real)0.25, 1, (hn_real)0.25};
    const data d = {6, 2, 2, scenario, labels, weights, user, logits};
    hn_cell_metrics m[4];
    measure(m, &d, 1 << 20, 6, true);
    assert_near(m[0].auc, 1, 0);
    assert_near(m[0].gauc, 1, 0);
    assert_true(isnan(m[1].auc) && isnan(m[1].gauc) && !isnan(m[1].log_loss));
    assert_int_equal(m[1].positives, 3);
    assert_int_equal(m[2].rows, 0);
    assert_true(isnan(m[2].auc) && isnan(m[2].log_loss) && isnan(m[2].calibration));
    assert_false(m[2].constant || m[0].constant);
    assert_true(m[3].constant);
    assert_near(m[3].auc, 0.5, 0);
    assert_true(isnan(m[3].gauc)); /* no user with both */
    assert_near(hn_metrics_mean_auc(m, 4), 0.75, 1e-15);
    assert_near(hn_metrics_mean_gauc(m, 4), 1, 0);
    assert_true(isnan(hn_metrics_mean_auc(m + 1, 2)));
}

/* The loss is taken from the logit: a saturated probability costs nothing. */
static void extreme_logits_have_exact_losses(void **state) {
    (void)state;
    uint16_t scenario[] = {0, 0};
    uint8_t labels[] = {0, 1};
    float weights[] = {1, 3};
    uint64_t user[] = {1, 1};
    hn_real logits[] = {100, -60};
    const data d = {2, 1, 1, scenario, labels, weights, user, logits};
    hn_cell_metrics m;
    measure(&m, &d, 1 << 20, 2, true);
    assert_near(m.log_loss, (100 + 3 * 60.0) / 4, 1e-12);
    assert_near(m.auc, 0, 0);
}

static void not_finite_is_refused(void **state) {
    (void)state;
    hn_error err = {0};
    hn_metrics *metrics;
    data d = make(10, 2, 2, 0, false);
    memset(d.labels, 1, 20);
    d.logits[7] = (hn_real)NAN;
    hn_rows rows = view(&d, 0, 10);
    assert_ok(hn_metrics_create(&metrics, 2, 2, true, 1 << 20, "/tmp", &err));
    assert_fails(HN_NOT_FINITE, "task 1", hn_metrics_add(metrics, &rows, d.logits, &err));
    rows.labels = NULL;
    assert_fails(HN_USAGE, "no labels", hn_metrics_add(metrics, &rows, d.logits, &err));
    hn_metrics_free(metrics);
    drop(&d);
}

static hn_status whole_pass(void *user, hn_error *err) {
    const data *const d = user;
    hn_metrics *metrics = NULL;
    hn_cell_metrics m[4];
    HN_TRY(hn_metrics_create(&metrics, d->scenarios, d->tasks, true, 1 << 20, "/tmp", err));
    const hn_rows rows = view(d, 0, d->n);
    hn_status status = hn_metrics_add(metrics, &rows, d->logits, err);
    if (status == HN_OK) status = hn_metrics_finish(m, metrics, err);
    hn_metrics_free(metrics);
    return status;
}

static void faults_leak_nothing(void **state) {
    (void)state;
    data d = make(40000, 2, 2, 0, true);
    assert_true(support_fail_each(HN_FAULT_ALLOC, whole_pass, &d) > 5);
    assert_true(support_fail_each(HN_FAULT_WRITE, whole_pass, &d) > 0);
    assert_true(support_fail_each(HN_FAULT_READ, whole_pass, &d) > 0);
    drop(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_all_pairs),
        cmocka_unit_test(neither_order_nor_budget_changes_a_bit),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(extreme_logits_have_exact_losses),
        cmocka_unit_test(not_finite_is_refused),
        cmocka_unit_test(faults_leak_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
