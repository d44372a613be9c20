/* The ends of a graph: joint probabilities where logits are large, against the formula in long
 * double; what penalties add to the loss and its gradient, and where; what is refused. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/fixture.h"
#include "support.h"

enum { TASKS = 2, SCENARIOS_MAX = 40, CELLS_MAX = SCENARIOS_MAX * TASKS };

typedef struct world {
    fixture f;
    hn_graph *graph;
    hn_plan *plan;
    hn_params params;
    hn_session *session;
    hn_grads grads;
    double scale[CELLS_MAX];
} world;

/* One row of each scenario or more; logits are a table's rows, so that they can be chosen. */
static hn_value begin(world *w, int32_t rows, int32_t scenarios, int32_t groups,
                      const double *table) {
    hn_error err = {0};
    memset(w, 0, sizeof *w);
    fixture_make(&w->f, rows, scenarios, TASKS, 3);
    for (int32_t i = 0; i < CELLS_MAX; i++) w->scale[i] = 0.5 + 0.25 * i;
    assert_ok(hn_graph_create(&w->graph, &w->f.layout, &err));
    hn_input_x(w->graph, false);
    return hn_pick(w->graph, hn_param_value(w->graph, "z", 1, scenarios, groups, 1, table));
}

static void end(world *w, hn_mode mode) {
    hn_error err = {0};
    assert_ok(hn_plan_create(&w->plan, w->graph, mode, &err));
    assert_ok(hn_params_create(&w->params, w->plan, &err));
    hn_params_init(&w->params, w->plan, 1, 0.1, NULL);
    assert_true(hn_params_stage(&w->params, w->plan));
    assert_ok(hn_session_create(&w->session, w->plan, &err));
    assert_ok(hn_grads_create(&w->grads, w->plan, &err));
}

static void close_world(world *w) {
    hn_grads_free(&w->grads);
    hn_session_free(w->session);
    hn_params_free(&w->params);
    hn_plan_free(w->plan);
    hn_graph_free(w->graph);
}

static const hn_real *forward(world *w) {
    const hn_real *z =
        hn_session_forward(w->session, &w->params, &w->f.rows, 0, w->f.rows.rows, 1, 1);
    assert_non_null(z);
    return z;
}

/* loss [cells] of all rows; the gradients into w->grads. */
static void backward(world *w, double *loss) {
    memset(loss, 0, CELLS_MAX * sizeof *loss);
    forward(w);
    hn_grads_reset(&w->grads, w->plan);
    assert_true(hn_session_backward(w->session, &w->params, &w->f.rows, 0, w->f.rows.rows, w->scale,
                                    loss, &w->grads, NULL, 1, 1));
}

/* ---- Joint probabilities ------------------------------------------------------------------ */

static long double sigmoid(long double z) { return 1 / (1 + expl(-z)); }

/* -log(e^-a + e^-b + e^(-a-b)) */
static long double logit_of_both(long double a, long double b) {
    const long double terms[] = {-a, -b, -a - b};
    long double most = terms[0], sum = 0;
    for (int i = 1; i < 3; i++) most = fmaxl(most, terms[i]);
    for (int i = 0; i < 3; i++) sum += expl(terms[i] - most);
    return -(most + logl(sum));
}

static const double LOGITS[] = {0, 0.7, -0.7, 3, -3, 15, -15, 40, -40, 90, -90, 3000, -3000};
enum { N = sizeof LOGITS / sizeof *LOGITS };

static void near(const char *what, double a, double b, double found, long double expected) {
    const long double tolerance = sizeof(hn_real) == 8 ? 4e-15L : 1e-6L;
    if (!(fabsl((long double)found - expected) <= tolerance * (1 + fabsl(expected))))
        fail_msg("%s of %g and %g: %.12g, expected %.12Lg", what, a, b, found, expected);
}

/* Each pair (a, b), b after a: the logit, and what a gradient of the loss of b becomes. */
static void check_pairs(const double *a, const double *b, int32_t n) {
    static const int32_t before[TASKS] = {-1, 0};
    double table[CELLS_MAX] = {0}, loss[CELLS_MAX];
    for (int32_t i = 0; i < n; i++) table[2 * i] = a[i], table[2 * i + 1] = b[i];
    world w;
    const hn_value z = begin(&w, n, n, TASKS, table);
    hn_output(w.graph, hn_joint(w.graph, z, before), false);
    end(&w, HN_MODE_TRAIN);
    for (int32_t i = 0; i < n; i++) w.f.labels[2 * i] = HN_LABEL_ABSENT, w.f.labels[2 * i + 1] = 0;
    backward(&w, loss);
    const hn_real *y = forward(&w), *g = w.grads.block + hn_plan_param(w.plan, 0)->offset;
    for (int32_t i = 0; i < n; i++) {
        const long double joint = logit_of_both(a[i], b[i]), p = sigmoid(joint);
        const long double dz = p * (long double)w.scale[2 * i + 1] * w.f.weights[i];
        /* (1 - σ(a)) / (1 - p), without its cancellation: e^-a·(1 + e^-b) / (the sum above) */
        const long double da = expl(joint - a[i]) * (1 + expl(-(long double)b[i])),
                          db = expl(joint - b[i]) * (1 + expl(-(long double)a[i]));
        assert_true(y[2 * i] == (hn_real)a[i]);
        near("logit", a[i], b[i], (double)y[2 * i + 1], joint);
        if (fabs(a[i]) + fabs(b[i]) > 5000) continue; /* e^6000 is too much for long double too */
        near("da", a[i], b[i], (double)g[2 * i], dz * da);
        near("db", a[i], b[i], (double)g[2 * i + 1], dz * db);
    }
    close_world(&w);
}

static void test_joint_of_large_logits(void **state) {
    (void)state;
    double a[N], b[N];
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < N; k++) a[k] = LOGITS[i], b[k] = LOGITS[k];
        check_pairs(a, b, N);
    }
}

static void test_joint_keeps_nan(void **state) {
    (void)state;
    static const int32_t before[TASKS] = {-1, 0};
    const double table[] = {NAN, 1, 1, NAN};
    world w;
    const hn_value z = begin(&w, 2, 2, TASKS, table);
    hn_output(w.graph, hn_joint(w.graph, z, before), false);
    end(&w, HN_MODE_INFER);
    const hn_real *y = forward(&w);
    assert_true(isnan(y[1]) && isnan(y[3]));
    close_world(&w);
}

/* ---- Penalties ----------------------------------------------------------------------------- */

enum { ROWS = 50, SCENARIOS = 3 };

/* z² of each logit with weight 0.3, and once more with 2. */
static void record(world *w, const double *table, bool all, bool with, bool early) {
    const hn_value z = begin(w, ROWS, SCENARIOS, all ? SCENARIOS * TASKS : TASKS, table);
    const hn_value square = hn_product_of(w->graph, z, z);
    if (!early) hn_output(w->graph, z, all);
    if (with) {
        hn_penalty(w->graph, square, 0.3);
        hn_penalty(w->graph, square, 2);
    }
    if (early) hn_output(w->graph, z, all);
}

/* Σ over the rows that count of w, by cell, or by row and head with all heads. */
static void check_penalty(bool all, bool early) {
    double table[SCENARIOS * SCENARIOS * TASKS], plain[CELLS_MAX], loss[CELLS_MAX];
    const int32_t heads = all ? SCENARIOS * TASKS : TASKS;
    for (int32_t i = 0; i < SCENARIOS * heads; i++) table[i] = 0.4 * i - 1.1;
    world without, w;
    record(&without, table, all, false, early);
    end(&without, HN_MODE_TRAIN);
    backward(&without, plain);
    record(&w, table, all, true, early);
    end(&w, HN_MODE_TRAIN);
    backward(&w, loss);
    const size_t at = hn_plan_param(w.plan, 0)->offset;
    double more[CELLS_MAX] = {0}, slope[SCENARIOS * SCENARIOS * TASKS] = {0};
    for (int32_t r = 0; r < ROWS; r++)
        for (int32_t h = 0; h < heads; h++) {
            const int32_t i = w.f.scenario[r], cell = all ? h : i * TASKS + h;
            if (!all && w.f.labels[r * TASKS + h] == HN_LABEL_ABSENT) continue;
            const double z = table[i * heads + h], weight = 2.3 * (double)w.f.weights[r];
            more[cell] += weight * z * z;
            slope[i * heads + h] += w.scale[cell] * weight * 2 * z;
        }
    const double tolerance = sizeof(hn_real) == 8 ? 1e-12 : 2e-5;
    for (int32_t c = 0; c < SCENARIOS * TASKS; c++)
        assert_true(fabs(loss[c] - plain[c] - more[c]) <= tolerance * (1 + more[c]));
    for (int32_t i = 0; i < SCENARIOS * heads; i++) {
        const double found =
            (double)(w.grads.block[at + (size_t)i] - without.grads.block[at + (size_t)i]);
        assert_true(fabs(found - slope[i]) <= tolerance * (1 + fabs(slope[i])));
    }
    close_world(&without);
    close_world(&w);
}

static void test_penalties(void **state) {
    (void)state;
    for (int k = 0; k < 4; k++) check_penalty(k & 1, k & 2);
}

/* Scoring knows nothing of it: no step, no memory, the same bits. */
static void test_no_penalty_in_inference(void **state) {
    (void)state;
    const double table[SCENARIOS * TASKS] = {0.5, -1, 2, 0, 1, -2};
    world without, w;
    record(&without, table, false, false, false);
    end(&without, HN_MODE_INFER);
    record(&w, table, false, true, false);
    end(&w, HN_MODE_INFER);
    assert_int_equal(hn_session_bytes(without.plan), hn_session_bytes(w.plan));
    const hn_real *plain = forward(&without);
    assert_memory_equal(plain, forward(&w), ROWS * TASKS * sizeof *plain);
    close_world(&without);
    close_world(&w);
}

/* ---- Refusals ------------------------------------------------------------------------------ */

static void refused(world *w, const char *text) {
    hn_error err = {0};
    hn_plan *plan = NULL;
    assert_fails(HN_BAD_CONFIG, text, hn_plan_create(&plan, w->graph, HN_MODE_TRAIN, &err));
    assert_null(plan);
    hn_graph_free(w->graph);
}

static void test_refusals(void **state) {
    (void)state;
    static const int32_t circle[] = {1, 0}, itself[] = {-1, 1}, beyond[] = {-1, 2};
    const double table[SCENARIOS * TASKS] = {0};
    world w;
    hn_value z = begin(&w, ROWS, SCENARIOS, TASKS, table);
    assert_true(hn_joint(w.graph, z, circle).id < 0);
    refused(&w, "joint: columns go in a circle");
    z = begin(&w, ROWS, SCENARIOS, TASKS, table);
    assert_true(hn_joint(w.graph, z, itself).id < 0);
    refused(&w, "joint: columns go in a circle");
    z = begin(&w, ROWS, SCENARIOS, TASKS, table);
    assert_true(hn_joint(w.graph, z, beyond).id < 0);
    refused(&w, "joint: column 1 comes after 2 of 2");
    z = begin(&w, ROWS, SCENARIOS, TASKS, table);
    assert_true(hn_joint(w.graph, hn_constant(w.graph, 1, 2, 1, table), circle).id < 0);
    refused(&w, "joint: of row-stage values only");
    z = begin(&w, ROWS, SCENARIOS, TASKS, table);
    assert_true(hn_dot_of(w.graph, z, hn_groups(w.graph, z, 0, 1)).id < 0);
    refused(&w, "dot: 2 × 1 and 1 × 1 numbers do not go together");
    for (int late = 0; late < 2; late++) {
        z = begin(&w, ROWS, SCENARIOS, TASKS, table);
        if (late) hn_output(w.graph, z, false);
        hn_penalty(w.graph, hn_groups(w.graph, z, 0, 1), 1);
        if (!late) hn_output(w.graph, z, false);
        refused(&w, "a penalty has 1 numbers, 2 logits need as many");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joint_of_large_logits),
        cmocka_unit_test(test_joint_keeps_nan),
        cmocka_unit_test(test_penalties),
        cmocka_unit_test(test_no_penalty_in_inference),
        cmocka_unit_test(test_refusals),
    };
    hn_kernel_enter(); /* sessions run here, on this thread */
    return cmocka_run_group_tests_name("graph/ends", tests, NULL, NULL);
}
