/* Every loop of the kernels against the obvious one in double, for lengths around the vector
 * widths; nothing beyond n is touched, an output may be an input, and a number's bits do not
 * depend on where it stands or how long the loop is. */
#include <math.h>
#include <string.h>

#include "oracle.h"

enum { MOST = 100, BEYOND = 8 };

/* ---- Loops of the form y = f(a, b, y) ------------------------------------------------ */

static const hn_real FACTOR = (hn_real)0.3;

typedef struct loop {
    const char *name;
    void (*run)(int64_t n, const hn_real *a, const hn_real *b, hn_real *y);
    double (*right)(double a, double b, double y);
} loop;

static void run_add(int64_t n, const hn_real *a, const hn_real *b, hn_real *y) {
    (void)b, hn_add(n, a, y);
}
static void run_axpy(int64_t n, const hn_real *a, const hn_real *b, hn_real *y) {
    (void)b, hn_axpy(n, FACTOR, a, y);
}
static void run_scale(int64_t n, const hn_real *a, const hn_real *b, hn_real *y) {
    (void)b, hn_scale_to(n, FACTOR, a, y);
}
static double right_add(double a, double b, double y) { return (void)b, y + a; }
static double right_axpy(double a, double b, double y) { return (void)b, y + (double)FACTOR * a; }
static double right_scale(double a, double b, double y) {
    return (void)b, (void)y, (double)FACTOR * a;
}
static double right_mul(double a, double b, double y) { return (void)y, a * b; }
static double right_mul_add(double a, double b, double y) { return y + a * b; }

#define FORWARD(ACT)                                                                            \
    static void forward_##ACT(int64_t n, const hn_real *a, const hn_real *b, hn_real *y) {      \
        (void)b;                                                                                \
        memcpy(y, a, (size_t)n * sizeof *y);                                                    \
        hn_act_forward(HN_ACT_##ACT, 1, n, y, n);                                               \
    }                                                                                           \
    static void backward_##ACT(int64_t n, const hn_real *a, const hn_real *b, hn_real *y) {     \
        (void)b;                                                                                \
        hn_act_backward(HN_ACT_##ACT, 1, n, a, (HN_ACT_##ACT) >= HN_ACT_SILU ? a : NULL, y, n); \
    }
FORWARD(NONE)
FORWARD(RELU)
FORWARD(SIGMOID)
FORWARD(TANH)
FORWARD(SILU)
FORWARD(GELU)

static double right_none(double a, double b, double y) { return (void)b, (void)y, a; }
static double right_relu(double a, double b, double y) { return (void)b, (void)y, fmax(a, 0); }
static double right_sigmoid(double a, double b, double y) {
    return (void)b, (void)y, 1 / (1 + exp(-a));
}
static double right_tanh(double a, double b, double y) { return (void)b, (void)y, tanh(a); }
static double right_silu(double a, double b, double y) {
    return (void)b, (void)y, a / (1 + exp(-a));
}
static double back_none(double a, double b, double y) { return (void)a, (void)b, y; }
static double back_relu(double a, double b, double y) { return (void)b, a > 0 ? y : 0; }
static double back_sigmoid(double a, double b, double y) { return (void)b, y * a * (1 - a); }
static double back_tanh(double a, double b, double y) { return (void)b, y * (1 - a * a); }
static double back_silu(double a, double b, double y) {
    const double s = 1 / (1 + exp(-a));
    return (void)b, y * (s + a * s * (1 - s));
}

static const double GELU_SCALE = 1.5957691216057308, GELU_CUBE = 0.044715; /* 2√(2/π) */
static double right_gelu(double a, double b, double y) {
    return (void)b, (void)y, a / 2 * (1 + tanh(GELU_SCALE / 2 * (a + GELU_CUBE * a * a * a)));
}
static double back_gelu(double a, double b, double y) {
    const double t = tanh(GELU_SCALE / 2 * (a + GELU_CUBE * a * a * a));
    return (void)b,
           y * ((1 + t) / 2 + a / 2 * (1 - t * t) * GELU_SCALE / 2 * (1 + 3 * GELU_CUBE * a * a));
}

static const loop LOOPS[] = {
    {"add", run_add, right_add},
    {"axpy", run_axpy, right_axpy},
    {"scale_to", run_scale, right_scale},
    {"mul_to", hn_mul_to, right_mul},
    {"mul_add", hn_mul_add, right_mul_add},
    {"no activation", forward_NONE, right_none},
    {"relu", forward_RELU, right_relu},
    {"sigmoid", forward_SIGMOID, right_sigmoid},
    {"tanh", forward_TANH, right_tanh},
    {"silu", forward_SILU, right_silu},
    {"gelu", forward_GELU, right_gelu},
    {"no activation, backward", backward_NONE, back_none},
    {"relu, backward", backward_RELU, back_relu},
    {"sigmoid, backward", backward_SIGMOID, back_sigmoid},
    {"tanh, backward", backward_TANH, back_tanh},
    {"silu, backward", backward_SILU, back_silu},
    {"gelu, backward", backward_GELU, back_gelu},
};
enum { N_LOOPS = sizeof LOOPS / sizeof *LOOPS };

static void check_loop(const loop *l, int64_t n) {
    hn_real *const a = oracle_numbers(n), *const b = oracle_numbers(n),
                   *const y = oracle_numbers(n + BEYOND);
    hn_real *const before = oracle_copy(y, n + BEYOND);
    l->run(n, a, b, y);
    for (int64_t i = 0; i < n; i++) {
        oracle_near((double)y[i], l->right((double)a[i], (double)b[i], (double)before[i]),
                    4 * EPSILON, l->name, i);
    }
    oracle_same_bits(y + n, before + n, BEYOND, l->name);
    hn_free(a), hn_free(b), hn_free(y), hn_free(before);
}

static void test_loops_match_the_oracle(void **state) {
    (void)state;
    for (int32_t i = 0; i < N_LOOPS; i++) {
        for (int64_t n = 0; n <= MOST; n++) check_loop(&LOOPS[i], n);
        check_loop(&LOOPS[i], 4480);
    }
}

/* A number alone, and the same in a body, in a tail and at any alignment. */
static void check_bits(const loop *l, const hn_real *a, const hn_real *b, const hn_real *before) {
    hn_real alone[MOST], y[MOST];
    memcpy(alone, before, sizeof alone);
    for (int64_t i = 0; i < MOST; i++) l->run(1, a + i, b + i, alone + i);
    for (int64_t first = 0; first < 20; first++) {
        for (int64_t n = 0; n + first <= MOST; n++) {
            memcpy(y, before, sizeof y);
            l->run(n, a + first, b + first, y + first);
            oracle_same_bits(y + first, alone + first, n, l->name);
        }
    }
}

static void test_bits_do_not_depend_on_the_place(void **state) {
    (void)state;
    hn_real *const a = oracle_numbers(MOST), *const b = oracle_numbers(MOST),
                   *const y = oracle_numbers(MOST);
    for (int32_t i = 0; i < N_LOOPS; i++) check_bits(&LOOPS[i], a, b, y);
    hn_free(a), hn_free(b), hn_free(y);
}

static void test_an_output_may_be_an_input(void **state) {
    (void)state;
    hn_real *const a = oracle_numbers(MOST), *const b = oracle_numbers(MOST);
    hn_real *const apart = oracle_copy(a, MOST), *const in_place = oracle_copy(a, MOST);
    hn_mul_to(MOST, a, b, apart);
    hn_mul_to(MOST, in_place, b, in_place);
    oracle_same_bits(in_place, apart, MOST, "mul_to in place");
    hn_scale_to(MOST, FACTOR, a, apart);
    memcpy(in_place, a, MOST * sizeof *a);
    hn_scale_to(MOST, FACTOR, in_place, in_place);
    oracle_same_bits(in_place, apart, MOST, "scale_to in place");
    for (int32_t i = 0; i < MOST; i++) apart[i] = a[i] + a[i] * a[i];
    memcpy(in_place, a, MOST * sizeof *a);
    hn_mul_add(MOST, in_place, in_place, in_place);
    oracle_same_bits(in_place, apart, MOST, "mul_add in place");
    for (int32_t i = 0; i < MOST; i++) apart[i] = a[i] + a[i];
    memcpy(in_place, a, MOST * sizeof *a);
    hn_add(MOST, in_place, in_place);
    oracle_same_bits(in_place, apart, MOST, "add in place");
    hn_free(a), hn_free(b), hn_free(apart), hn_free(in_place);
}

/* ---- Rows of a wider matrix ------------------------------------------------------------ */

/* Rows with a gap get what each row alone gets, and the gaps keep what they had. */
static void check_act_rows(hn_act act, int64_t rows, int64_t cols, int64_t gap) {
    const int64_t ld = cols + gap, n = rows * ld;
    hn_real *const y = oracle_numbers(n), *const dy = oracle_numbers(n);
    hn_real *const y_right = oracle_copy(y, n), *const dy_right = oracle_copy(dy, n),
                   *const pre = oracle_copy(y, n);
    hn_act_forward(act, rows, cols, y, ld);
    hn_act_backward(act, rows, cols, y, pre, dy, ld);
    for (int64_t r = 0; r < rows; r++) {
        hn_act_forward(act, 1, cols, y_right + r * ld, cols);
        hn_act_backward(act, 1, cols, y_right + r * ld, pre + r * ld, dy_right + r * ld, cols);
    }
    oracle_same_bits(y, y_right, n, "rows of an activation");
    oracle_same_bits(dy, dy_right, n, "rows of an activation's gradient");
    hn_free(y), hn_free(dy), hn_free(y_right), hn_free(dy_right), hn_free(pre);
}

static void test_activations_of_rows(void **state) {
    (void)state;
    for (int32_t act = HN_ACT_NONE; act <= HN_ACT_GELU; act++) {
        for (int32_t i = 0; i < 20; i++) {
            check_act_rows((hn_act)act, oracle_integer(0, 9), oracle_integer(1, 70),
                           i & 1 ? oracle_integer(1, 9) : 0);
        }
    }
}

/* NaN must come through, or nobody would notice that a model is broken. */
static void test_activations_keep_nan(void **state) {
    (void)state;
    for (int32_t act = HN_ACT_NONE; act <= HN_ACT_GELU; act++) {
        hn_real y[20];
        for (int32_t i = 0; i < 20; i++) y[i] = (hn_real)NAN;
        hn_act_forward((hn_act)act, 2, 9, y, 10);
        for (int32_t i = 0; i < 20; i++) assert_true(isnan(y[i]));
    }
}

static void check_rows(int64_t rows, int64_t cols, int64_t gap) {
    const int64_t ld = cols + gap;
    hn_real *const y = oracle_numbers(rows * ld), *const y_right = oracle_copy(y, rows * ld);
    hn_real *const bias = oracle_numbers(cols + BEYOND), *const bias_right =
                                                             oracle_copy(bias, cols + BEYOND);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < cols; c++)
            bias_right[c] += y[r * ld + c]; /* in order, so to the bit */
    }
    hn_sum_rows(rows, cols, y, ld, bias);
    oracle_same_bits(bias, bias_right, cols + BEYOND, "sum of rows");
    hn_fill_rows(rows, cols, bias, y, ld);
    for (int64_t r = 0; r < rows; r++) memcpy(y_right + r * ld, bias, (size_t)cols * sizeof *bias);
    oracle_same_bits(y, y_right, rows * ld, "fill rows");
    hn_free(y), hn_free(y_right), hn_free(bias), hn_free(bias_right);
}

static void test_rows(void **state) {
    (void)state;
    for (int64_t rows = 0; rows < 10; rows++)
        check_rows(rows, oracle_integer(1, 70), oracle_integer(0, 5));
    check_rows(128, 4480, 0);
    check_rows(3, 0, 2);
}

/* ---- Dot and finiteness ------------------------------------------------------------------ */

static void test_dot(void **state) {
    (void)state;
    hn_real *const a = oracle_numbers(5000), *const b = oracle_numbers(5000);
    for (int64_t n = 0; n < 5000; n += n < 70 ? 1 : 977) {
        double right = 0, size = 0;
        for (int64_t i = 0; i < n; i++) {
            right += (double)a[i] * (double)b[i];
            size += fabs((double)a[i] * (double)b[i]);
        }
        oracle_near((double)hn_dot(n, a, b), right, size * EPSILON * (6 + 0.1 * sqrt((double)n)),
                    "dot", n);
    }
    hn_free(a), hn_free(b);
}

/* The order is promised: element i in partial sum i mod 16, then pairs. */
static void test_dot_keeps_its_order(void **state) {
    (void)state;
    for (int64_t n = 0; n < 200; n++) {
        hn_real *const a = oracle_numbers(n), *const b = oracle_numbers(n), sums[16] = {0};
        for (int64_t i = 0; i < n; i++) sums[i % 16] += a[i] * b[i];
        for (int32_t width = 8; width > 0; width /= 2) {
            for (int32_t i = 0; i < width; i++) sums[i] += sums[i + width];
        }
        const hn_real got = hn_dot(n, a, b);
        oracle_same_bits(&got, sums, 1, "dot's order");
        hn_free(a), hn_free(b);
    }
}

/* By definition in double; dx by the chain rule written out, ∂y_i/∂x_j = (δ_ij - 1/n -
 * y_i·y_j/n)/σ. */
static void check_norm(int64_t n, double scale) {
    hn_real *const x = oracle_numbers(n), *const y = oracle_numbers(n + BEYOND),
                   *const dy = oracle_numbers(n), *const dx = oracle_numbers(n + BEYOND);
    hn_real *const y_before = oracle_copy(y, n + BEYOND), *const dx_before =
                                                              oracle_copy(dx, n + BEYOND);
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < n; i++) x[i] = (hn_real)(scale * (double)x[i]);
    for (int64_t i = 0; i < n; i++) mean += (double)x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
    const double sigma = sqrt(variance + 1e-5);
    hn_norm_to(n, x, y);
    hn_norm_backward(n, x, y, dy, dx);
    for (int64_t i = 0; i < n; i++) {
        const double right = ((double)x[i] - mean) / sigma;
        oracle_near((double)y[i], right, 8 * EPSILON * (1 + scale / sigma), "norm", i);
        double slope = (double)dx_before[i];
        for (int64_t k = 0; k < n; k++)
            slope += (double)dy[k] *
                     ((i == k) - 1 / (double)n - (double)y[i] * (double)y[k] / (double)n) / sigma;
        oracle_near((double)dx[i], slope, 40 * EPSILON * (1 + 1 / sigma), "norm, backward", i);
    }
    oracle_same_bits(y + n, y_before + n, BEYOND, "norm");
    oracle_same_bits(dx + n, dx_before + n, BEYOND, "norm, backward");
    hn_free(x), hn_free(y), hn_free(dy), hn_free(dx), hn_free(y_before), hn_free(dx_before);
}

static void test_norm(void **state) {
    (void)state;
    for (int64_t n = 1; n <= MOST; n++) {
        check_norm(n, 1);
        check_norm(n, 100);
        check_norm(n, 1e-4); /* the variance is lost in ε */
    }
    check_norm(700, 1);
    hn_real same[20], y[20]; /* no variance at all */
    for (int32_t i = 0; i < 20; i++) same[i] = (hn_real)0.25;
    hn_norm_to(20, same, y);
    for (int32_t i = 0; i < 20; i++) assert_true(y[i] == 0);
}

static void test_all_finite(void **state) {
    (void)state;
    enum { N = 20000 };
    hn_real *const x = oracle_numbers(N);
    const hn_real bad[3] = {(hn_real)INFINITY, -(hn_real)INFINITY, (hn_real)NAN};
    assert_true(hn_all_finite(N, x) && hn_all_finite(0, x));
    x[5] = sizeof(hn_real) == 4 ? (hn_real)3.4e38 : (hn_real)1.7e308;
    x[6] = (hn_real)1e-44;
    assert_true(hn_all_finite(N, x));
    for (int32_t i = 0; i < 300; i++) {
        const int64_t at = i < 100 ? i : oracle_integer(0, N - 1);
        const hn_real saved = x[at];
        x[at] = bad[i % 3];
        assert_false(hn_all_finite(at + 1, x));
        assert_false(hn_all_finite(N, x));
        assert_true(hn_all_finite(at, x) && hn_all_finite(N - at - 1, x + at + 1));
        x[at] = saved;
    }
    hn_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loops_match_the_oracle),
        cmocka_unit_test(test_bits_do_not_depend_on_the_place),
        cmocka_unit_test(test_an_output_may_be_an_input),
        cmocka_unit_test(test_activations_of_rows),
        cmocka_unit_test(test_activations_keep_nan),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_dot),
        cmocka_unit_test(test_dot_keeps_its_order),
        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_all_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
