/* The optimizers' steps against their formulas in double, over several steps; a number's bits
 * do not depend on where it stands; what is beyond n stays. */
#include <math.h>
#include <string.h>

#include "oracle.h"

enum { N = 77, BEYOND = 5, STEPS = 20 };

/* Rate, momenta and decays of a real run, and of one without decay. */
static const hn_adam ADAMS[] = {
    {.rate = (hn_real)1e-3,
     .beta1 = (hn_real)0.9,
     .beta2 = (hn_real)0.999,
     .epsilon = (hn_real)1e-8},
    {.rate = (hn_real)0.1,
     .beta1 = (hn_real)0.8,
     .beta2 = (hn_real)0.95,
     .epsilon = (hn_real)1e-3,
     .decay = (hn_real)0.1,
     .shrink = (hn_real)0.01},
};

/* Runs one of the optimizers for a step; `w`, `m`, `v` are its state. */
typedef void (*step)(int64_t n, const hn_real *g, hn_real *w, hn_real *m, hn_real *v);
typedef void (*right_step)(double g, double *w, double *m, double *v);

static void adam0(int64_t n, const hn_real *g, hn_real *w, hn_real *m, hn_real *v) {
    hn_adam_step(&ADAMS[0], n, g, w, m, v);
}
static void adam1(int64_t n, const hn_real *g, hn_real *w, hn_real *m, hn_real *v) {
    hn_adam_step(&ADAMS[1], n, g, w, m, v);
}
static void right_adam(const hn_adam *p, double g, double *w, double *m, double *v) {
    g += (double)p->decay * *w;
    *m = (double)p->beta1 * *m + (1 - (double)p->beta1) * g;
    *v = (double)p->beta2 * *v + (1 - (double)p->beta2) * g * g;
    *w = *w * (1 - (double)p->shrink) - (double)p->rate * *m / (sqrt(*v) + (double)p->epsilon);
}
static void right_adam0(double g, double *w, double *m, double *v) {
    right_adam(&ADAMS[0], g, w, m, v);
}
static void right_adam1(double g, double *w, double *m, double *v) {
    right_adam(&ADAMS[1], g, w, m, v);
}

static const hn_real RATE = (hn_real)0.05, TINY = (hn_real)1e-6, DECAY = (hn_real)0.02,
                     SHRINK = (hn_real)0.003;

static void adagrad(int64_t n, const hn_real *g, hn_real *w, hn_real *m, hn_real *v) {
    (void)m;
    hn_adagrad_step(RATE, TINY, DECAY, SHRINK, n, g, w, v);
}
static void right_adagrad(double g, double *w, double *m, double *v) {
    (void)m;
    g += (double)DECAY * *w;
    *v += g * g;
    *w = *w * (1 - (double)SHRINK) - (double)RATE * g / (sqrt(*v) + (double)TINY);
}
static void sgd(int64_t n, const hn_real *g, hn_real *w, hn_real *m, hn_real *v) {
    (void)m, (void)v;
    hn_sgd_step(RATE, DECAY, SHRINK, n, g, w);
}
static void right_sgd(double g, double *w, double *m, double *v) {
    (void)m, (void)v;
    *w = *w * (1 - (double)SHRINK) - (double)RATE * (g + (double)DECAY * *w);
}

typedef struct optimizer {
    const char *name;
    step run;
    right_step right;
} optimizer;

static const optimizer OPTIMIZERS[] = {
    {"adam", adam0, right_adam0},
    {"adam with decays", adam1, right_adam1},
    {"adagrad", adagrad, right_adagrad},
    {"sgd", sgd, right_sgd},
};
enum { N_OPTIMIZERS = sizeof OPTIMIZERS / sizeof *OPTIMIZERS };

/* The oracle starts each step from the numbers that the kernel has, so that errors don't add
 * up. */
static void check_step(const optimizer *o, int64_t n, hn_real *w, hn_real *m, hn_real *v) {
    hn_real *const g = oracle_numbers(n), *const w0 = oracle_copy(w, n);
    hn_real *const m0 = oracle_copy(m, n), *const v0 = oracle_copy(v, n);
    o->run(n, g, w, m, v);
    for (int64_t i = 0; i < n; i++) {
        double wr = (double)w0[i], mr = (double)m0[i], vr = (double)v0[i];
        o->right((double)g[i], &wr, &mr, &vr);
        oracle_near((double)m[i], mr, 4 * EPSILON, o->name, i);
        oracle_near((double)v[i], vr, 4 * EPSILON * fmax(1, vr), o->name, i);
        oracle_near((double)w[i], wr, 8 * EPSILON, o->name, i);
    }
    hn_free(g), hn_free(w0), hn_free(m0), hn_free(v0);
}

static void check_optimizer(const optimizer *o, int64_t n) {
    hn_real *const w = oracle_numbers(n + BEYOND), *const m = oracle_numbers(n + BEYOND);
    hn_real *const v = oracle_numbers(n + BEYOND);
    memset(m, 0, (size_t)n * sizeof *m);
    memset(v, 0, (size_t)n * sizeof *v);
    hn_real *const beyond[3] = {oracle_copy(w + n, BEYOND), oracle_copy(m + n, BEYOND),
                                oracle_copy(v + n, BEYOND)};
    for (int32_t i = 0; i < STEPS; i++) check_step(o, n, w, m, v);
    oracle_same_bits(w + n, beyond[0], BEYOND, o->name);
    oracle_same_bits(m + n, beyond[1], BEYOND, o->name);
    oracle_same_bits(v + n, beyond[2], BEYOND, o->name);
    for (int32_t i = 0; i < 3; i++) hn_free(beyond[i]);
    hn_free(w), hn_free(m), hn_free(v);
}

static void test_steps_match_the_formulas(void **state) {
    (void)state;
    for (int32_t i = 0; i < N_OPTIMIZERS; i++) {
        for (int64_t n = 0; n < 40; n++) check_optimizer(&OPTIMIZERS[i], n);
        check_optimizer(&OPTIMIZERS[i], 1000);
    }
}

/* All numbers at once, and one by one: a row of a table, a shard of columns. */
static void test_bits_do_not_depend_on_the_place(void **state) {
    (void)state;
    for (int32_t i = 0; i < N_OPTIMIZERS; i++) {
        const optimizer *const o = &OPTIMIZERS[i];
        hn_real *const g = oracle_numbers(N), *const w = oracle_numbers(N),
                       *const m = oracle_numbers(N);
        hn_real *const v = oracle_numbers(N);
        for (int32_t j = 0; j < N; j++) v[j] = (hn_real)fabs((double)v[j]);
        hn_real *const w1 = oracle_copy(w, N), *const m1 = oracle_copy(m, N),
                       *const v1 = oracle_copy(v, N);
        o->run(N, g, w, m, v);
        for (int32_t j = 0; j < N; j++) o->run(1, g + j, w1 + j, m1 + j, v1 + j);
        oracle_same_bits(w, w1, N, o->name);
        oracle_same_bits(m, m1, N, o->name);
        oracle_same_bits(v, v1, N, o->name);
        hn_free(g), hn_free(w), hn_free(m), hn_free(v), hn_free(w1), hn_free(m1), hn_free(v1);
    }
}

/* Weights that no gradient ever reached stay where they are. */
static void test_no_gradient_no_step(void **state) {
    (void)state;
    hn_real *const w = oracle_numbers(N), *const before = oracle_copy(w, N);
    hn_real zero[3][N] = {{0}};
    hn_adam_step(&ADAMS[0], N, zero[0], w, zero[1], zero[2]);
    hn_adagrad_step(RATE, TINY, 0, 0, N, zero[0], w, zero[2]);
    hn_sgd_step(RATE, 0, 0, N, zero[0], w);
    oracle_same_bits(w, before, N, "weights without a gradient");
    hn_free(w), hn_free(before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_match_the_formulas),
        cmocka_unit_test(test_bits_do_not_depend_on_the_place),
        cmocka_unit_test(test_no_gradient_no_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
