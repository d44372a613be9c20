/* exp, sigmoid, softplus, tanh and softmax: relative error against libm in double over the
 * whole range, and sane at the ends. */
#include <math.h>

#include "oracle.h"

#ifdef HN_DOUBLE
static const double PROMISED = 1e-15;
#else
static const double PROMISED = 2e-7;
#endif

typedef double (*right_function)(double x);
typedef hn_real (*function)(hn_real x);

static double right_sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }
static double right_softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double right_silu(double x) { return x * right_sigmoid(x); }

/* The activations in place of functions of one number. */
static hn_real act_of(hn_act act, hn_real x) {
    hn_act_forward(act, 1, 1, &x, 1);
    return x;
}
static hn_real act_sigmoid(hn_real x) { return act_of(HN_ACT_SIGMOID, x); }
static hn_real act_tanh(hn_real x) { return act_of(HN_ACT_TANH, x); }
static hn_real act_silu(hn_real x) { return act_of(HN_ACT_SILU, x); }

static void check_function(function f, right_function right, double low, double high,
                           double promised, const char *what) {
    enum { POINTS = 400000 };
    double worst = 0;
    for (int32_t i = 0; i < POINTS; i++) {
        const hn_real x = (hn_real)(low + (high - low) * i / (POINTS - 1));
        const double expected = right((double)x), got = (double)f(x);
        oracle_near(got, expected, promised * fabs(expected), what, i);
        const double error = expected != 0 ? fabs(got / expected - 1) : 0;
        if (error > worst) worst = error;
    }
    print_message("%s on [%g, %g]: largest relative error %.2g\n", what, low, high, worst);
}

static void test_relative_errors(void **state) {
    (void)state;
    check_function(hn_exp, exp, -87.3, 88.7, PROMISED, "exp");
    check_function(hn_exp, exp, -1, 1, PROMISED, "exp");
    check_function(hn_sigmoid, right_sigmoid, -87, 87, PROMISED, "sigmoid");
    check_function(hn_sigmoid, right_sigmoid, -2, 2, PROMISED, "sigmoid");
    check_function(hn_softplus, right_softplus, -87, 200, PROMISED, "softplus");
    check_function(hn_softplus, right_softplus, -2, 2, PROMISED, "softplus");
    check_function(act_sigmoid, right_sigmoid, -87, 87, PROMISED, "sigmoid activation");
    check_function(act_tanh, tanh, -100, 100, 1.5 * PROMISED, "tanh");
    check_function(act_tanh, tanh, -1, 1, 1.5 * PROMISED, "tanh");
    check_function(act_tanh, tanh, -1e-6, 1e-6, 1.5 * PROMISED, "tanh");
    check_function(act_silu, right_silu, -80, 80, 1.5 * PROMISED, "silu");
}

static void test_ends(void **state) {
    (void)state;
    const hn_real infinite = (hn_real)INFINITY, nan = (hn_real)NAN;
    assert_true(hn_exp(0) == 1 && hn_exp(-1000) == 0 && hn_exp(-infinite) == 0);
    assert_true(hn_exp(1000) == infinite && hn_exp(infinite) == infinite && isnan(hn_exp(nan)));
    assert_true(hn_sigmoid(0) == (hn_real)0.5 && hn_sigmoid(1000) == 1 && hn_sigmoid(-1000) == 0);
    assert_true(hn_sigmoid(infinite) == 1 && hn_sigmoid(-infinite) == 0 && isnan(hn_sigmoid(nan)));
    assert_true(hn_softplus(1000) == 1000 && hn_softplus(-1000) == 0 &&
                hn_softplus(infinite) == infinite);
    assert_true(hn_softplus(-infinite) == 0 && isnan(hn_softplus(nan)));
    assert_true(act_tanh(0) == 0 && act_tanh(1000) == 1 && act_tanh(-1000) == -1 &&
                isnan(act_tanh(nan)));
    assert_true(act_tanh(infinite) == 1 && act_tanh(-infinite) == -1);
    assert_true(act_silu(0) == 0 && act_silu(1000) == 1000 && act_silu(-1000) == 0 &&
                isnan(act_silu(nan)));
}

/* Below the smallest normal number there are fewer digits: the error is half of the last. */
static void test_exp_below_the_normal_numbers(void **state) {
    (void)state;
#ifndef HN_DOUBLE
    for (int32_t i = 0; i < 2000; i++) {
        const float x = -110.0f + 0.0115f * (float)i; /* … -87 */
        oracle_near((double)hn_exp(x), exp((double)x), 1.5e-45, "small exp", i);
    }
#endif
}

static void test_exp_never_falls(void **state) {
    (void)state;
    hn_real before = 0;
    for (int32_t i = 0; i < 200000; i++) {
        const hn_real now = hn_exp((hn_real)(-110 + 0.001 * i));
        assert_true(now >= before);
        before = now;
    }
}

/* ---- Softmax ------------------------------------------------------------------------ */

static void check_softmax(int32_t n, const hn_real *x, const uint8_t *mask) {
    double largest = -INFINITY, sum = 0;
    for (int32_t i = 0; i < n; i++) {
        if ((!mask || mask[i]) && (double)x[i] > largest) largest = (double)x[i];
    }
    for (int32_t i = 0; i < n; i++) sum += !mask || mask[i] ? exp((double)x[i] - largest) : 0;
    hn_real out[64];
    hn_softmax(n, x, mask, out);
    for (int32_t i = 0; i < n; i++) {
        const double right = !mask || mask[i] ? exp((double)x[i] - largest) / sum : 0;
        /* x - largest is rounded, and e^x makes of that a relative error. */
        const double tolerance = EPSILON * (8 + n / 2.0 + largest - (double)x[i]) * right;
        oracle_near((double)out[i], right, fmax(tolerance, 1e-44), "softmax", i);
        if (mask && !mask[i]) assert_true(out[i] == 0);
    }
}

static void test_softmax(void **state) {
    (void)state;
    for (int32_t trial = 0; trial < 500; trial++) {
        hn_real x[64];
        uint8_t mask[64];
        const int32_t n = (int32_t)oracle_integer(1, 64);
        const double range = trial % 3 == 0 ? 80 : 2;
        for (int32_t i = 0; i < n; i++) {
            x[i] = (hn_real)oracle_uniform(-range, range);
            mask[i] = oracle_integer(0, 2) > 0;
        }
        mask[0] = 1;
        check_softmax(n, x, NULL);
        check_softmax(n, x, mask);
    }
}

static void test_softmax_ends(void **state) {
    (void)state;
    const hn_real huge[3] = {10000, 10000, -10000};
    const uint8_t none[3] = {0, 0, 0}, last[3] = {0, 0, 1};
    hn_real out[3] = {7, 7, 7};
    hn_softmax(3, huge, NULL, out);
    assert_true(out[0] == (hn_real)0.5 && out[1] == (hn_real)0.5 && out[2] == 0);
    hn_softmax(3, huge, last, out);
    assert_true(out[0] == 0 && out[1] == 0 && out[2] == 1);
    hn_softmax(3, huge, none, out); /* one scenario has no others */
    assert_true(out[0] == 0 && out[1] == 0 && out[2] == 0);
    const hn_real bad[3] = {0, (hn_real)NAN, 0};
    hn_softmax(3, bad, NULL, out);
    assert_true(isnan(out[0]) && isnan(out[1]) && isnan(out[2]));
    hn_softmax(3, bad, (const uint8_t[]){1, 0, 1}, out); /* what is left out has no say */
    assert_true(out[0] == (hn_real)0.5 && out[1] == 0 && out[2] == (hn_real)0.5);
}

/* dlogits += J·dout with J_ij = out_i·([i = j] - out_j), which is symmetric. */
static void test_softmax_backward(void **state) {
    (void)state;
    for (int32_t trial = 0; trial < 100; trial++) {
        enum { MOST = 40 };
        const int32_t n = (int32_t)oracle_integer(1, MOST);
        hn_real *const x = oracle_numbers(n), *const dout = oracle_numbers(n),
                       *const dx = oracle_numbers(n);
        hn_real *const before = oracle_copy(dx, n), out[MOST];
        hn_softmax(n, x, NULL, out);
        hn_softmax_backward(n, out, dout, dx);
        for (int32_t i = 0; i < n; i++) {
            double right = (double)before[i];
            for (int32_t j = 0; j < n; j++)
                right += (double)dout[j] * (double)out[i] * ((i == j) - (double)out[j]);
            oracle_near((double)dx[i], right, 8 * EPSILON, "softmax backward", i);
        }
        hn_free(x), hn_free(dout), hn_free(dx), hn_free(before);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relative_errors),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_exp_below_the_normal_numbers),
        cmocka_unit_test(test_exp_never_falls),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_softmax_ends),
        cmocka_unit_test(test_softmax_backward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
