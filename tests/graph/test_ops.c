/* Every op has a row in one table: what it computes against a plain double-precision
 * oracle, and (in the double build) its gradient against central differences. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "graph/fixture.h"

enum { SCENARIOS = 3, TASKS = 2, ROWS = 41, WIDE = 256 };

typedef struct operand { /* one row's numbers of "a" or "b", or a whole param */
    hn_shape shape;
    double at[WIDE * 8];
} operand;

typedef struct op_case {
    const char *name;
    hn_value (*build)(hn_graph *g, hn_value x); /* names its inputs "a" and "b", returns y */
    void (*oracle)(const operand *a, const operand *b, int32_t scenario, double *y);
} op_case;

/* ---- Helpers of the builders ---------------------------------------------------------- */

static hn_value named(hn_graph *g, hn_value value, const char *name) {
    hn_name(g, value, name);
    return value;
}
static hn_value weight(hn_graph *g, const char *name, int32_t batch, int32_t rows, int32_t groups,
                       int32_t cols) {
    return hn_param(g, name, batch, rows, groups, cols, HN_INIT_XAVIER);
}
/* groups × cols numbers that depend on x and on parameters. */
static hn_value features(hn_graph *g, hn_value x, const char *name, int32_t groups, int32_t cols) {
    return hn_linear(g, x, weight(g, name, 1, 11, groups, cols), HN_NONE, HN_ACT_TANH);
}

/* ---- The cases ---------------------------------------------------------------------------- */

static hn_value build_wide(hn_graph *g, hn_value x) {
    return hn_linear(g, named(g, x, "a"), named(g, weight(g, "w", 1, 11, 3, 4), "b"), HN_NONE,
                     HN_ACT_SIGMOID);
}
static void oracle_wide(const operand *a, const operand *b, int32_t scenario, double *y) {
    (void)scenario;
    for (int c = 0; c < 12; c++) {
        double sum = 0;
        for (int k = 0; k < 11; k++) sum += a->at[k] * b->at[k * 12 + c];
        y[c] = 1 / (1 + exp(-sum));
    }
}

static hn_value build_grouped(hn_graph *g, hn_value x) {
    hn_value h = named(g, features(g, x, "h", 3, 5), "a");
    return hn_linear(g, h, named(g, weight(g, "w", 3, 5, 1, 4), "b"), HN_NONE, HN_ACT_NONE);
}
static void oracle_grouped(const operand *a, const operand *b, int32_t scenario, double *y) {
    (void)scenario;
    for (int group = 0; group < 3; group++)
        for (int c = 0; c < 4; c++) {
            y[group * 4 + c] = 0;
            for (int k = 0; k < 5; k++)
                y[group * 4 + c] += a->at[group * 5 + k] * b->at[(group * 5 + k) * 4 + c];
        }
}

static hn_value build_by_scenario(hn_graph *g, hn_value x) {
    hn_value h = named(g, features(g, x, "h", 2, 5), "a");
    return hn_linear_scenario(g, h, named(g, weight(g, "w", SCENARIOS * 2, 5, 1, 3), "b"), HN_NONE,
                              HN_ACT_TANH);
}
static void oracle_by_scenario(const operand *a, const operand *b, int32_t scenario, double *y) {
    for (int group = 0; group < 2; group++)
        for (int c = 0; c < 3; c++) {
            double sum = 0;
            for (int k = 0; k < 5; k++)
                sum += a->at[group * 5 + k] * b->at[(((scenario * 2 + group) * 5) + k) * 3 + c];
            y[group * 3 + c] = tanh(sum);
        }
}

static hn_value build_bias(hn_graph *g, hn_value x) {
    hn_value h = named(g, features(g, x, "h", 1, 5), "a");
    hn_value bias = hn_param(g, "bias", 1, SCENARIOS, 1, 4, HN_INIT_NORMAL);
    static const double eye[20] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0};
    double all[60];
    for (int i = 0; i < 60; i++) all[i] = eye[i % 20];
    hn_value w = hn_param_value(g, "w", SCENARIOS, 5, 1, 4, all);
    return hn_linear_scenario(g, h, w, named(g, bias, "b"), HN_ACT_RELU);
}
static void oracle_bias(const operand *a, const operand *b, int32_t scenario, double *y) {
    for (int c = 0; c < 4; c++) y[c] = fmax(0, a->at[c] + b->at[scenario * 4 + c]);
}

static hn_value build_softmax(hn_graph *g, hn_value x) {
    return hn_softmax_of(g, named(g, features(g, x, "h", 2, 4), "a"), NULL);
}
static void oracle_softmax(const operand *a, const operand *b, int32_t scenario, double *y) {
    (void)b, (void)scenario;
    for (int group = 0; group < 2; group++) {
        double sum = 0;
        for (int c = 0; c < 4; c++) sum += exp(a->at[group * 4 + c]);
        for (int c = 0; c < 4; c++) y[group * 4 + c] = exp(a->at[group * 4 + c]) / sum;
    }
}

/* The SAN table: a masked softmax of a param-stage product, picked by scenario. */
static hn_value build_table(hn_graph *g, hn_value x) {
    (void)x;
    static const uint8_t mask[9] = {0, 1, 1, 1, 0, 1, 1, 1, 0};
    hn_value e = hn_param(g, "e", 1, SCENARIOS, 1, 4, HN_INIT_XAVIER);
    hn_value logits = hn_linear(g, e, weight(g, "w", 1, 4, 1, SCENARIOS),
                                hn_param(g, "c", 1, 1, 1, SCENARIOS, HN_INIT_NORMAL), HN_ACT_NONE);
    return hn_pick(g, hn_softmax_of(g, named(g, logits, "a"), mask));
}
static void oracle_table(const operand *a, const operand *b, int32_t scenario, double *y) {
    (void)b;
    double sum = 0;
    for (int c = 0; c < 3; c++) sum += c == scenario ? 0 : exp(a->at[scenario * 3 + c]);
    for (int c = 0; c < 3; c++) y[c] = c == scenario ? 0 : exp(a->at[scenario * 3 + c]) / sum;
}

static const int32_t mix_index[6] = {0, 1, 3, 2, 1, 3};
static hn_value build_mix_index(hn_graph *g, hn_value x) {
    return hn_mix(g, named(g, features(g, x, "g", 2, 3), "a"),
                  named(g, features(g, x, "h", 4, 5), "b"), mix_index);
}
static void oracle_mix_index(const operand *a, const operand *b, int32_t scenario, double *y) {
    (void)scenario;
    for (int o = 0; o < 2; o++)
        for (int c = 0; c < 5; c++) {
            y[o * 5 + c] = 0;
            for (int k = 0; k < 3; k++)
                y[o * 5 + c] += a->at[o * 3 + k] * b->at[mix_index[o * 3 + k] * 5 + c];
        }
}
static hn_value build_mix(hn_graph *g, hn_value x) {
    return hn_mix(g, named(g, features(g, x, "g", 2, 2), "a"),
                  named(g, features(g, x, "h", 4, 5), "b"), NULL);
}
static void oracle_mix(const operand *a, const operand *b, int32_t scenario, double *y) {
    (void)scenario;
    for (int o = 0; o < 2; o++)
        for (int c = 0; c < 5; c++)
            y[o * 5 + c] =
                a->at[o * 2] * b->at[o * 10 + c] + a->at[o * 2 + 1] * b->at[o * 10 + 5 + c];
}

static hn_value build_select(hn_graph *g, hn_value x) {
    return hn_select(g, named(g, features(g, x, "h", 7, 3), "a"), 1, 2);
}
static void oracle_select(const operand *a, const operand *b, int32_t scenario, double *y) {
    (void)b;
    for (int c = 0; c < 6; c++) y[c] = a->at[(1 + 2 * scenario) * 3 + c];
}

static hn_value build_concat(hn_graph *g, hn_value x) {
    hn_value a = named(g, features(g, x, "g", 2, 3), "a"),
             b = named(g, features(g, x, "h", 1, 4), "b");
    return hn_concat(g, (hn_value[]){a, b, a}, 3);
}
static void oracle_concat(const operand *a, const operand *b, int32_t scenario, double *y) {
    (void)scenario;
    for (int c = 0; c < 16; c++) y[c] = c < 6 ? a->at[c] : c < 10 ? b->at[c - 6] : a->at[c - 10];
}

static hn_value build_views(hn_graph *g, hn_value x) {
    hn_value h = named(g, features(g, x, "h", 4, 3), "a");
    return hn_concat(
        g, (hn_value[]){hn_groups(g, h, 2, 2), hn_reshape(g, hn_groups(g, h, 0, 2), 3, 2)}, 2);
}
static void oracle_views(const operand *a, const operand *b, int32_t scenario, double *y) {
    (void)b, (void)scenario;
    for (int c = 0; c < 12; c++) y[c] = a->at[c < 6 ? 6 + c : c - 6];
}

#define BINARY(op, sign)                                                                         \
    static hn_value build_##op##_same(hn_graph *g, hn_value x) {                                 \
        return hn_##op##_of(g, named(g, features(g, x, "g", 2, 3), "a"),                         \
                            named(g, features(g, x, "h", 2, 3), "b"));                           \
    }                                                                                            \
    static void oracle_##op##_same(const operand *a, const operand *b, int32_t s, double *y) {   \
        (void)s;                                                                                 \
        for (int c = 0; c < 6; c++) y[c] = a->at[c] sign b->at[c];                               \
    }                                                                                            \
    static hn_value build_##op##_row(hn_graph *g, hn_value x) {                                  \
        return hn_##op##_of(g, named(g, features(g, x, "g", 2, 3), "a"),                         \
                            named(g, hn_param(g, "b", 1, 1, 1, 6, HN_INIT_XAVIER), "b"));        \
    }                                                                                            \
    static hn_value build_##op##_group(hn_graph *g, hn_value x) {                                \
        return hn_##op##_of(g, named(g, features(g, x, "g", 2, 3), "a"),                         \
                            named(g, features(g, x, "h", 2, 1), "b"));                           \
    }                                                                                            \
    static void oracle_##op##_group(const operand *a, const operand *b, int32_t s, double *y) {  \
        (void)s;                                                                                 \
        for (int c = 0; c < 6; c++) y[c] = a->at[c] sign b->at[c / 3];                           \
    }                                                                                            \
    static hn_value build_##op##_batch(hn_graph *g,                                              \
                                       hn_value x) { /* STAR: a weight of the row's scenario */  \
        hn_value w =                                                                             \
            hn_##op##_of(g, weight(g, "wi", SCENARIOS, 11, 1, 4), weight(g, "ws", 1, 11, 1, 4)); \
        return hn_linear_scenario(g, named(g, x, "a"), named(g, w, "b"), HN_NONE, HN_ACT_NONE);  \
    }
BINARY(sum, +)
BINARY(product, *)
static void oracle_batch(const operand *a, const operand *b, int32_t scenario, double *y) {
    for (int c = 0; c < 4; c++) {
        y[c] = 0;
        for (int k = 0; k < 11; k++) y[c] += a->at[k] * b->at[(scenario * 11 + k) * 4 + c];
    }
}

/* Two matrices, taken in turn by the six of three scenarios and two groups: (W_i ⊙ W)[g],
 * here with one input of 1 so that y is a row of the product itself. */
static hn_value build_product_batches(hn_graph *g, hn_value x) {
    hn_value own = named(g, weight(g, "own", 2 * SCENARIOS, 1, 1, 4), "a");
    hn_value shared = named(g, weight(g, "shared", 2, 1, 1, 4), "b");
    hn_value one = hn_affine(g, features(g, x, "h", 2, 1), 0, 1);
    return hn_linear_scenario(g, one, hn_product_of(g, own, shared), HN_NONE, HN_ACT_NONE);
}
static void oracle_batches(const operand *a, const operand *b, int32_t scenario, double *y) {
    for (int i = 0; i < 8; i++) y[i] = a->at[8 * scenario + i] * b->at[i];
}

/* A table of one row is picked by all. */
static hn_value build_pick_one(hn_graph *g, hn_value x) {
    (void)x;
    return hn_pick(g, named(g, hn_param(g, "t", 1, 1, 2, 3, HN_INIT_NORMAL), "a"));
}
static void oracle_pick_one(const operand *a, const operand *b, int32_t scenario, double *y) {
    (void)b, (void)scenario;
    for (int c = 0; c < 6; c++) y[c] = a->at[c];
}

static hn_value build_square(hn_graph *g, hn_value x) {
    const hn_value a = named(g, features(g, x, "g", 2, 3), "a");
    return hn_product_of(g, a, a);
}
static void oracle_square(const operand *a, const operand *b, int32_t scenario, double *y) {
    (void)b, (void)scenario;
    for (int c = 0; c < 6; c++) y[c] = a->at[c] * a->at[c];
}

#define ACTIVATION(kind, symbol, formula)                                                        \
    static hn_value build_##kind(hn_graph *g, hn_value x) {                                      \
        return hn_activate(g, named(g, features(g, x, "h", 2, 3), "a"), HN_ACT_##symbol);        \
    }                                                                                            \
    static void oracle_##kind(const operand *a, const operand *b, int32_t scenario, double *y) { \
        (void)b, (void)scenario;                                                                 \
        for (int c = 0; c < 6; c++) {                                                            \
            const double v = a->at[c];                                                           \
            y[c] = formula;                                                                      \
        }                                                                                        \
    }
ACTIVATION(relu, RELU, v > 0 ? v : 0)
ACTIVATION(sigmoid, SIGMOID, 1 / (1 + exp(-v)))
ACTIVATION(tanh, TANH, tanh(v))
ACTIVATION(silu, SILU, v / (1 + exp(-v)))
ACTIVATION(gelu, GELU,
           v / 2 * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (v + 0.044715 * v * v * v))))

static hn_value build_dot(hn_graph *g, hn_value x) {
    return hn_dot_of(g, named(g, features(g, x, "g", 3, 4), "a"),
                     named(g, features(g, x, "h", 3, 4), "b"));
}
static void oracle_dot(const operand *a, const operand *b, int32_t scenario, double *y) {
    (void)scenario;
    for (int group = 0; group < 3; group++) {
        y[group] = 0;
        for (int c = 0; c < 4; c++) y[group] += a->at[group * 4 + c] * b->at[group * 4 + c];
    }
}
static hn_value build_dot_itself(hn_graph *g, hn_value x) {
    const hn_value a = named(g, features(g, x, "g", 2, 3), "a");
    return hn_dot_of(g, a, a);
}
static void oracle_dot_itself(const operand *a, const operand *b, int32_t scenario, double *y) {
    (void)b, (void)scenario;
    for (int group = 0; group < 2; group++) {
        y[group] = 0;
        for (int c = 0; c < 3; c++) y[group] += a->at[group * 3 + c] * a->at[group * 3 + c];
    }
}

/* 4 comes after 1, 1 after 3, 3 after 0; 2 after 3 too; 5 alone. */
static const int32_t joint_before[6] = {-1, 3, 3, 0, 1, -1};
static hn_value build_joint(hn_graph *g, hn_value x) {
    const hn_value h = hn_affine(g, features(g, x, "h", 3, 2), 4, 0.5);
    return hn_joint(g, named(g, h, "a"), joint_before);
}
static double logit_of_both(double p, double q) { return log(p * q) - log1p(-p * q); }
static void oracle_joint(const operand *a, const operand *b, int32_t scenario, double *y) {
    static const int order[] = {0, 5, 3, 1, 2, 4};
    (void)b, (void)scenario;
    for (int i = 0; i < 6; i++) {
        const int c = order[i], before = joint_before[c];
        y[c] = before < 0 ? a->at[c]
                          : logit_of_both(1 / (1 + exp(-y[before])), 1 / (1 + exp(-a->at[c])));
    }
}

static hn_value build_affine(hn_graph *g, hn_value x) {
    return hn_affine(g, named(g, features(g, x, "h", 2, 3), "a"), -1.5, 0.25);
}
static void oracle_affine(const operand *a, const operand *b, int32_t scenario, double *y) {
    (void)b, (void)scenario;
    for (int c = 0; c < 6; c++) y[c] = -1.5 * a->at[c] + 0.25;
}

static hn_value build_norm(hn_graph *g, hn_value x) {
    return hn_norm(g, named(g, features(g, x, "h", 2, 5), "a"), HN_NONE, HN_NONE);
}
static void oracle_norm(const operand *a, const operand *b, int32_t scenario, double *y) {
    (void)b, (void)scenario;
    for (int group = 0; group < 2; group++) {
        const double *v = a->at + group * 5;
        double mean = 0, variance = 0;
        for (int c = 0; c < 5; c++) mean += v[c] / 5;
        for (int c = 0; c < 5; c++) variance += (v[c] - mean) * (v[c] - mean) / 5;
        for (int c = 0; c < 5; c++) y[group * 5 + c] = (v[c] - mean) / sqrt(variance + 1e-5);
    }
}

static hn_value build_stop(hn_graph *g, hn_value x) {
    hn_value h = named(g, features(g, x, "h", 1, 4), "a");
    return hn_sum_of(
        g, h, hn_stop(g, hn_affine(g, hn_constant(g, 1, 1, 4, (double[]){1, 2, 3, 4}), 1, 0)));
}
static void oracle_stop(const operand *a, const operand *b, int32_t scenario, double *y) {
    (void)b, (void)scenario;
    for (int c = 0; c < 4; c++) y[c] = a->at[c] + c + 1;
}

static const op_case CASES[] = {
    {"linear, wide", build_wide, oracle_wide},
    {"linear, grouped", build_grouped, oracle_grouped},
    {"linear by scenario", build_by_scenario, oracle_by_scenario},
    {"linear, bias by scenario", build_bias, oracle_bias},
    {"softmax", build_softmax, oracle_softmax},
    {"softmax of a table, pick", build_table, oracle_table},
    {"mix", build_mix, oracle_mix},
    {"mix by index", build_mix_index, oracle_mix_index},
    {"dot", build_dot, oracle_dot},
    {"dot with itself", build_dot_itself, oracle_dot_itself},
    {"joint", build_joint, oracle_joint},
    {"select", build_select, oracle_select},
    {"concat", build_concat, oracle_concat},
    {"views", build_views, oracle_views},
    {"sum", build_sum_same, oracle_sum_same},
    {"sum with a row", build_sum_row, oracle_sum_same},
    {"sum by group", build_sum_group, oracle_sum_group},
    {"sum over a batch", build_sum_batch, oracle_batch},
    {"product", build_product_same, oracle_product_same},
    {"product with a row", build_product_row, oracle_product_same},
    {"product by group", build_product_group, oracle_product_group},
    {"product with itself", build_square, oracle_square},
    {"product over a batch", build_product_batch, oracle_batch},
    {"product of batches", build_product_batches, oracle_batches},
    {"pick of one row", build_pick_one, oracle_pick_one},
    {"relu", build_relu, oracle_relu},
    {"sigmoid", build_sigmoid, oracle_sigmoid},
    {"tanh", build_tanh, oracle_tanh},
    {"silu", build_silu, oracle_silu},
    {"gelu", build_gelu, oracle_gelu},
    {"affine", build_affine, oracle_affine},
    {"norm", build_norm, oracle_norm},
    {"stop", build_stop, oracle_stop},
};

/* ---- Running a case ------------------------------------------------------------------------ */

typedef struct world {
    fixture f;
    hn_graph *graph;
    hn_plan *plan;
    hn_params params;
    hn_session *session;
    hn_grads grads;
} world;

static void open_world(world *w, const op_case *c, hn_mode mode) {
    hn_error err = {0};
    memset(w, 0, sizeof *w);
    fixture_make(&w->f, ROWS, SCENARIOS, TASKS, 7);
    assert_int_equal(hn_graph_create(&w->graph, &w->f.layout, &err), HN_OK);
    hn_value x = hn_input_x(w->graph, false), y = c->build(w->graph, x);
    hn_name(w->graph, y, "y");
    const hn_shape shape = hn_value_shape(w->graph, y);
    hn_value out =
        hn_param(w->graph, "out", 1, shape.groups * shape.cols, 1, TASKS, HN_INIT_XAVIER);
    hn_output(w->graph, hn_linear(w->graph, y, out, HN_NONE, HN_ACT_NONE), false);
    if (hn_plan_create(&w->plan, w->graph, mode, &err) != HN_OK)
        fail_msg("%s: %s", c->name, err.text);
    assert_int_equal(hn_params_create(&w->params, w->plan, &err), HN_OK);
    hn_params_init(&w->params, w->plan, 3, 0.5, NULL);
    assert_true(hn_params_stage(&w->params, w->plan));
    assert_int_equal(hn_session_create(&w->session, w->plan, &err), HN_OK);
    assert_int_equal(hn_grads_create(&w->grads, w->plan, &err), HN_OK);
}

static void close_world(world *w) {
    hn_grads_free(&w->grads);
    hn_session_free(w->session);
    hn_params_free(&w->params);
    hn_plan_free(w->plan);
    hn_graph_free(w->graph);
}

/* "a" or "b" for one row; whole when it is of the param stage. */
static void operand_of(operand *out, const world *w, const char *name, int32_t row) {
    int64_t ld = 0;
    memset(out, 0, sizeof *out);
    const hn_real *at = hn_session_named(w->session, name, &out->shape, &ld);
    int64_t n = 0;
    if (at) {
        at += row * ld;
        n = out->shape.groups * out->shape.cols;
    } else if ((at = hn_plan_named_param(w->plan, &w->params, name, &out->shape))) {
        n = (int64_t)out->shape.batch * out->shape.rows * out->shape.groups * out->shape.cols;
    }
    for (int64_t i = 0; i < n; i++) out->at[i] = (double)at[i];
}

static void check_forward(const op_case *c, hn_mode mode) {
    const double tolerance = sizeof(hn_real) == 8 ? 1e-12 : 2e-6;
    world w;
    open_world(&w, c, mode);
    assert_non_null(hn_session_forward(w.session, &w.params, &w.f.rows, 0, ROWS, 0, 0));
    for (int32_t r = 0; r < ROWS; r++) {
        operand a, b, y;
        double expected[WIDE] = {0};
        operand_of(&a, &w, "a", r);
        operand_of(&b, &w, "b", r);
        operand_of(&y, &w, "y", r);
        c->oracle(&a, &b, w.f.scenario[r], expected);
        for (int32_t i = 0; i < y.shape.groups * y.shape.cols; i++)
            if (!(fabs(y.at[i] - expected[i]) <= tolerance * (1 + fabs(expected[i]))))
                fail_msg("%s: row %d, column %d: %.9g, expected %.9g", c->name, r, i, y.at[i],
                         expected[i]);
    }
    close_world(&w);
}

static void test_forward(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        check_forward(&CASES[i], HN_MODE_TRAIN);
        check_forward(&CASES[i], HN_MODE_INFER);
    }
}

static const double SCALE[SCENARIOS * TASKS] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6};

static double loss_of(world *w) {
    double loss[SCENARIOS * TASKS] = {0}, sum = 0;
    assert_true(hn_params_stage(&w->params, w->plan));
    assert_non_null(hn_session_forward(w->session, &w->params, &w->f.rows, 0, ROWS, 5, 6));
    hn_grads_reset(&w->grads, w->plan);
    assert_true(hn_session_backward(w->session, &w->params, &w->f.rows, 0, ROWS, SCALE, loss,
                                    &w->grads, NULL, 5, 6));
    for (int i = 0; i < SCENARIOS * TASKS; i++) sum += SCALE[i] * loss[i];
    return sum;
}

static void near(const char *what, const char *name, size_t i, double found, double expected) {
    if (!(fabs(found - expected) <= 1e-7 * (1 + fabs(expected))))
        fail_msg("%s: d%s[%zu] is %.12g, central differences say %.12g", what, name, i, found,
                 expected);
}

static double difference(world *w, hn_real *at) {
    const hn_real kept = *at, step = (hn_real)1e-5;
    *at = kept + step;
    const double above = loss_of(w);
    *at = kept - step;
    const double below = loss_of(w);
    *at = kept;
    return (above - below) / (2 * (double)step);
}

/* dx against differences of the table rows, through the merge that a trainer does. */
static void check_tables(world *w, const char *what, const hn_real *dx) {
    const fixture *f = &w->f;
    for (int32_t i = 0; i < f->layout.n_inputs; i++) {
        const hn_input *input = &f->layout.inputs[i];
        if (input->table < 0) continue;
        hn_table *table = &w->params.tables[input->table];
        for (uint64_t id = 0; id < table->rows; id += 3)
            for (int32_t c = 0; c < table->width; c++) {
                double sum = 0;
                for (int32_t r = 0; r < ROWS; r++) {
                    const double d = (double)dx[r * f->layout.width + input->column + c];
                    if (input->kind == HN_INPUT_ID) {
                        if (f->ids[2 * r + input->slot] == id) sum += d;
                        continue;
                    }
                    const uint32_t begin = f->list_begin[r], end = f->list_begin[r + 1];
                    for (uint32_t k = begin; k < end; k++)
                        if (f->list_ids[k] == id) sum += d / (end - begin);
                }
                const size_t at = id * (uint64_t)table->width + (uint64_t)c;
                near(what, table->name, at, sum, difference(w, &table->numbers[at]));
            }
    }
}

static void check_gradient(const op_case *c) {
    static hn_real dx[ROWS * 11], grads[1 << 14];
    double loss[SCENARIOS * TASKS] = {0};
    world w;
    open_world(&w, c, HN_MODE_TRAIN);
    assert_non_null(hn_session_forward(w.session, &w.params, &w.f.rows, 0, ROWS, 5, 6));
    assert_true(hn_session_backward(w.session, &w.params, &w.f.rows, 0, ROWS, SCALE, loss, &w.grads,
                                    dx, 5, 6));
    assert_true(hn_grads_stage(&w.grads, &w.params, w.plan));
    memset(grads, 0, sizeof grads);
    for (int32_t i = 0; i < hn_plan_chunks(w.plan); i++)
        if (w.grads.written[i])
            memcpy(grads + hn_plan_chunk(w.plan, i)->offset,
                   w.grads.block + hn_plan_chunk(w.plan, i)->offset,
                   hn_plan_chunk(w.plan, i)->count * sizeof *grads);
    for (int32_t p = 0; p < hn_plan_params(w.plan); p++) {
        const hn_param_info *info = hn_plan_param(w.plan, p);
        const size_t count =
            (size_t)info->batch * (size_t)info->rows * (size_t)info->groups * (size_t)info->cols;
        for (size_t i = 0; i < count; i += 1 + count / 40)
            near(c->name, info->name, i, (double)grads[info->offset + i],
                 difference(&w, &w.params.block[info->offset + i]));
    }
    check_tables(&w, c->name, dx);
    close_world(&w);
}

static hn_value build_dropout(hn_graph *g, hn_value x) {
    return hn_dropout(g, named(g, features(g, x, "h", 3, 5), "a"), 0.3);
}

static void test_gradients(void **state) {
    (void)state;
    if (sizeof(hn_real) != 8) skip(); /* central differences need the double build */
    const op_case dropout = {"dropout", build_dropout, NULL};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) check_gradient(&CASES[i]);
    check_gradient(&dropout);
}

static void test_dropout(void **state) {
    (void)state;
    const op_case c = {"dropout", build_dropout, NULL};
    world w;
    open_world(&w, &c, HN_MODE_TRAIN);
    int64_t kept = 0, all = 0, changed = 0;
    for (uint64_t step = 0; step < 40; step++) {
        operand a, y;
        assert_non_null(hn_session_forward(w.session, &w.params, &w.f.rows, 0, ROWS, 5, step));
        for (int32_t r = 0; r < ROWS; r++) {
            operand_of(&a, &w, "a", r);
            operand_of(&y, &w, "y", r);
            for (int i = 0; i < 15; i++, all++) {
                kept += y.at[i] != 0;
                changed += y.at[i] != 0 && fabs(y.at[i] - a.at[i] / 0.7) > 1e-4 * fabs(a.at[i]);
            }
        }
    }
    assert_int_equal(changed, 0);
    assert_true(fabs((double)kept / (double)all - 0.7) < 0.01); /* standard error 0.003 */
    close_world(&w);
}

static void test_build_errors(void **state) {
    (void)state;
    fixture f;
    hn_error err = {0};
    hn_graph *g;
    hn_plan *plan;
    fixture_make(&f, 4, SCENARIOS, TASKS, 1);
    assert_int_equal(hn_graph_create(&g, &f.layout, &err), HN_OK);
    hn_value x = hn_input_x(g, false);
    hn_value bad =
        hn_linear(g, x, hn_param(g, "w", 1, 10, 1, 4, HN_INIT_XAVIER), HN_NONE, HN_ACT_NONE);
    assert_true(bad.id < 0);
    assert_true(hn_activate(g, bad, HN_ACT_RELU).id < 0);
    assert_int_equal(hn_plan_create(&plan, g, HN_MODE_TRAIN, &err), HN_BAD_CONFIG);
    assert_null(plan);
    assert_string_equal(err.text, "linear: the weight has 10 rows, its input 11 columns");
    hn_graph_free(g);
}

/* Every allocation of create fails in turn: a clean error each time. */
static void test_allocation_faults(void **state) {
    (void)state;
    fixture f;
    fixture_make(&f, 4, SCENARIOS, TASKS, 1);
    const int64_t held = hn_memory_held();
    bool done = false;
    for (int64_t nth = 1; !done; nth++) {
        assert_true(nth < 500);
        hn_error err = {0};
        hn_graph *g = NULL;
        hn_plan *plan = NULL;
        hn_params params = {0};
        hn_session *session = NULL;
        hn_fault_arm(HN_FAULT_ALLOC, nth);
        hn_status status = hn_graph_create(&g, &f.layout, &err);
        if (status == HN_OK) {
            hn_value x = hn_input_x(g, false);
            hn_output(g,
                      hn_linear(g, x, hn_param(g, "w", 1, 11, 1, TASKS, HN_INIT_XAVIER), HN_NONE,
                                HN_ACT_NONE),
                      false);
            status = hn_plan_create(&plan, g, HN_MODE_INFER, &err);
        }
        if (status == HN_OK) status = hn_params_create(&params, plan, &err);
        if (status == HN_OK) status = hn_session_create(&session, plan, &err);
        done = hn_fault_count(HN_FAULT_ALLOC) < nth;
        hn_fault_arm(HN_FAULT_ALLOC, 0);
        if (done)
            assert_int_equal(status, HN_OK);
        else
            assert_int_equal(status, HN_NO_MEMORY);
        hn_session_free(session);
        hn_params_free(&params);
        hn_plan_free(plan);
        hn_graph_free(g);
        assert_int_equal(hn_memory_held(), held);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),           cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_dropout),           cmocka_unit_test(test_build_errors),
        cmocka_unit_test(test_allocation_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
