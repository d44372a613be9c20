/* What is promised of tasks in order and of parts: a task after another is the product of
 * probabilities at every door, whatever the model; AITM's messages go one way; its penalty is its
 * own; M3oE's shares are distributions. Gradients of all this are in test_gradients.c. */
#include "support.h"

#include <math.h>
#include <string.h>

#include "model/cases.h"

enum { ROWS = 160, TASKS = 3, SCENARIOS = 3 };

static const uint64_t TRAINING_ROWS[] = {600, 40, 150};
/* 0 after 2, 1 after 0: the last of the config is the first to happen */
static const int32_t AFTER[TASKS] = {3, 1, 0};

static const model_case *find_case(const char *name) {
    for (size_t i = 0; i < n_model_cases; i++)
        if (strcmp(model_cases[i].name, name) == 0) return &model_cases[i];
    fail_msg("no case %s", name);
    return NULL;
}

typedef struct scored {
    fixture f;
    model m;
    hn_scorer *scorer;
    hn_scratch *scratch;
    hn_real logits[ROWS * TASKS];
} scored;

static void open_case(scored *s, const hn_config_model *config) {
    hn_error err = {0};
    fixture_make(&s->f, ROWS, SCENARIOS, TASKS, 21);
    assert_ok(model_make(&s->m, &s->f.layout, config, HN_MODE_INFER, 3, &err));
    assert_ok(hn_scorer_create(&s->scorer, s->m.plan, &s->m.params, TRAINING_ROWS, &err));
    assert_ok(hn_scratch_create(&s->scratch, s->scorer, &err));
    assert_ok(hn_score(s->logits, s->scorer, s->scratch, &s->f.rows, &err));
}

static void close_case(scored *s) {
    hn_scratch_free(s->scratch);
    hn_scorer_free(s->scorer);
    model_free(&s->m);
}

static double sigmoid(double z) { return 1 / (1 + exp(-z)); }

/* ---- Tasks after tasks ---------------------------------------------------------------------- */

/* All rows as members of scenario i: what the towers give, and what comes out. */
static void check_products(const char *name, const hn_real *towers, const hn_real *out) {
    const double tolerance = sizeof(hn_real) == 8 ? 1e-13 : 1e-6;
    for (int32_t r = 0; r < ROWS; r++) {
        const hn_real *b = towers + r * TASKS, *z = out + r * TASKS;
        const double p2 = sigmoid((double)b[2]), p0 = p2 * sigmoid((double)b[0]),
                     p1 = p0 * sigmoid((double)b[1]);
        if (z[2] != b[2] || fabs(sigmoid((double)z[0]) - p0) > tolerance ||
            fabs(sigmoid((double)z[1]) - p1) > tolerance)
            fail_msg("%s: row %d has %g, %g, %g; expected %g, %g, %g", name, r,
                     sigmoid((double)z[0]), sigmoid((double)z[1]), sigmoid((double)z[2]), p0, p1,
                     p2);
    }
}

/* The mean of the logits z, weighted by training rows, as with any model. */
static void check_unknown(scored *s, const hn_real *z_of[SCENARIOS]) {
    const double tolerance = sizeof(hn_real) == 8 ? 1e-13 : 2e-6;
    hn_error err = {0};
    hn_real logits[ROWS * TASKS];
    for (int32_t r = 0; r < ROWS; r++) s->f.scenario[r] = HN_SCENARIO_UNKNOWN;
    assert_ok(hn_score(logits, s->scorer, s->scratch, &s->f.rows, &err));
    for (int32_t i = 0; i < ROWS * TASKS; i++) {
        double mean = 0;
        for (int32_t j = 0; j < SCENARIOS; j++)
            mean += (double)z_of[j][i] * (double)TRAINING_ROWS[j] / 790;
        assert_true(fabs((double)logits[i] - mean) <= tolerance * (1 + fabs(mean)));
    }
}

static void check_after(const char *name) {
    static hn_real out[SCENARIOS][ROWS * TASKS];
    static scored plain, joint;
    hn_error err = {0};
    hn_config_model config = model_case_config(find_case(name));
    memset(config.after, 0, sizeof config.after);
    open_case(&plain, &config);
    memcpy(config.after, AFTER, sizeof AFTER);
    open_case(&joint, &config);
    assert_int_equal(plain.m.params.leaf_count, joint.m.params.leaf_count); /* no new tensors */
    check_products(name, plain.logits, joint.logits);
    for (int32_t i = 0; i < SCENARIOS; i++) {
        for (int32_t r = 0; r < ROWS; r++) plain.f.scenario[r] = joint.f.scenario[r] = (uint16_t)i;
        assert_ok(hn_score(plain.logits, plain.scorer, plain.scratch, &plain.f.rows, &err));
        assert_ok(hn_score(out[i], joint.scorer, joint.scratch, &joint.f.rows, &err));
        check_products(name, plain.logits, out[i]);
    }
    check_unknown(&joint, (const hn_real *[]){out[0], out[1], out[2]});
    close_case(&plain);
    close_case(&joint);
}

static void test_after_is_a_product(void **state) {
    (void)state;
    const char *const names[] = {"hinet", "script", "all_heads", "mmoe", "ple", "single",
                                 "mixed", "hmoe",   "pepnet",    "aitm", "m3oe"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) check_after(names[i]);
}

/* ---- AITM ---------------------------------------------------------------------------------- */

/* Changes all numbers of the parameters whose names begin so; how many there were. */
static int32_t disturb(model *m, const char *prefix, int32_t first, int32_t of) {
    int32_t changed = 0;
    for (int32_t p = 0; p < hn_plan_params(m->plan); p++) {
        const hn_param_info *info = hn_plan_param(m->plan, p);
        if (strncmp(info->name, prefix, strlen(prefix)) != 0) continue;
        const int32_t count = info->batch * info->rows * info->groups * info->cols, n = count / of;
        for (int32_t i = 0; i < n; i++)
            m->params.block[info->offset + (size_t)(first * n + i)] += (hn_real)0.3;
        changed++;
    }
    assert_true(hn_params_stage(&m->params, m->plan));
    return changed;
}

/* Which tasks' logits move: bit t of the result. */
static int32_t moved(const char *prefix, int32_t first, int32_t of) {
    static scored s;
    hn_error err = {0};
    hn_real logits[ROWS * TASKS];
    int32_t bits = 0;
    const hn_config_model config = model_case_config(find_case("aitm"));
    open_case(&s, &config);
    assert_true(disturb(&s.m, prefix, first, of) > 0);
    assert_ok(hn_score(logits, s.scorer, s.scratch, &s.f.rows, &err));
    for (int32_t i = 0; i < ROWS * TASKS; i++)
        if (logits[i] != s.logits[i]) bits |= 1 << (i % TASKS);
    close_case(&s);
    return bits;
}

static void test_messages_go_forward(void **state) {
    (void)state;
    /* the second layer of bottoms has a matrix for each task: 0, then 1, then 2 moves */
    assert_int_equal(moved("bottom.w2", 0, TASKS), 7);
    assert_int_equal(moved("bottom.w2", 1, TASKS), 6);
    assert_int_equal(moved("bottom.w2", 2, TASKS), 4);
    assert_int_equal(moved("transfer.2", 0, 1), 6);
    assert_int_equal(moved("transfer.3", 0, 1), 4);
    assert_int_equal(moved("transfer.3.message", 0, 1), 4);
}

/* The loss of a training step, and Σ over the present labels of w·max(p_t - p_{t-1}, 0). */
static double loss_with(const char *name, double penalty, double *excess) {
    hn_error err = {0};
    fixture f;
    model m;
    hn_session *session = NULL;
    hn_grads grads = {0};
    double scale[SCENARIOS * TASKS], loss[SCENARIOS * TASKS] = {0}, sum = 0;
    fixture_make(&f, 100, SCENARIOS, TASKS, 9);
    hn_config_model config = model_case_config(find_case(name));
    config.order_penalty = penalty;
    assert_ok(model_make(&m, &f.layout, &config, HN_MODE_TRAIN, 3, &err));
    assert_ok(hn_session_create(&session, m.plan, &err));
    assert_ok(hn_grads_create(&grads, m.plan, &err));
    for (int32_t i = 0; i < SCENARIOS * TASKS; i++) scale[i] = 1;
    const hn_real *z = hn_session_forward(session, &m.params, &f.rows, 0, 100, 1, 1);
    *excess = 0;
    for (int32_t i = 0; i < 100 * TASKS; i++)
        if (i % TASKS > 0 && f.labels[i] != HN_LABEL_ABSENT)
            *excess += (double)f.weights[i / TASKS] *
                       fmax(sigmoid((double)z[i]) - sigmoid((double)z[i - 1]), 0);
    hn_grads_reset(&grads, m.plan);
    assert_true(
        hn_session_backward(session, &m.params, &f.rows, 0, 100, scale, loss, &grads, NULL, 1, 1));
    for (int32_t i = 0; i < SCENARIOS * TASKS; i++) sum += loss[i];
    hn_grads_free(&grads);
    hn_session_free(session);
    model_free(&m);
    return sum;
}

static void test_calibrator(void **state) {
    (void)state;
    double excess;
    const double free = loss_with("aitm", 0, &excess), held = loss_with("aitm", 1.5, &excess);
    assert_true(excess > 1); /* or nothing is tested */
    assert_true(fabs(held - free - 1.5 * excess) <= 1e-4 * excess);
    /* a task after another is never above it */
    assert_true(loss_with("aitm_after", 0, &excess) == loss_with("aitm_after", 9, &excess));
    assert_true(excess == 0);
    /* the option is AITM's */
    assert_true(loss_with("shared_bottom", 0, &excess) == loss_with("shared_bottom", 9, &excess));
}

/* ---- Gates and shares ---------------------------------------------------------------------- */

static void sums_to_one(const char *name, const hn_real *at, int32_t n) {
    double sum = 0;
    for (int32_t i = 0; i < n; i++) sum += (double)at[i];
    if (fabs(sum - 1) > 1e-5) fail_msg("%s sums to %g", name, sum);
}

static void test_attention(void **state) {
    (void)state;
    const char *const names[] = {"gate.transfer.2", "gate.transfer.3"};
    static scored s;
    const hn_config_model config = model_case_config(find_case("aitm"));
    open_case(&s, &config);
    hn_session *session = NULL;
    hn_error err = {0};
    assert_ok(hn_session_create(&session, s.m.plan, &err));
    assert_non_null(hn_session_forward(session, &s.m.params, &s.f.rows, 0, 100, 0, 0));
    for (int k = 0; k < 2; k++) {
        hn_shape shape;
        int64_t ld = 0;
        const hn_real *at = hn_session_named(session, names[k], &shape, &ld);
        assert_non_null(at);
        assert_true(shape.groups == 1 && shape.cols == 2);
        for (int32_t r = 0; r < 100; r++) {
            assert_true(at[r * ld] > 0 && at[r * ld + 1] > 0);
            sums_to_one(names[k], at + r * ld, 2);
        }
    }
    hn_session_free(session);
    close_case(&s);
}

/* Of each cell 1/2 for its own at the start, the rest alike for the others. */
static void check_shares(const char *name, int32_t n, bool of_tasks) {
    static scored s;
    hn_shape shape;
    const hn_config_model config = model_case_config(find_case("m3oe"));
    open_case(&s, &config);
    hn_params_init(&s.m.params, s.m.plan, 3, 0.5, NULL);
    for (int shaken = 0; shaken < 2; shaken++) {
        assert_true(hn_params_stage(&s.m.params, s.m.plan));
        const hn_real *at = hn_plan_named_param(s.m.plan, &s.m.params, name, &shape);
        assert_non_null(at);
        assert_true(shape.rows == SCENARIOS && shape.groups == TASKS && shape.cols == n);
        for (int32_t c = 0; c < SCENARIOS * TASKS; c++) {
            const int32_t own = of_tasks ? c % TASKS : c / TASKS;
            const double rest = (1 - (double)at[c * n + own]) / (n - 1);
            if (!shaken) assert_true(at[c * n + own] == (hn_real)0.5);
            for (int32_t k = 0; k < n; k++)
                assert_true(k == own || fabs((double)at[c * n + k] - rest) < 1e-6);
            sums_to_one(name, at + c * n, n);
        }
        disturb(&s.m, of_tasks ? "task.own" : "scenario.own", 0, 1);
    }
    close_case(&s);
}

static void test_shares(void **state) {
    (void)state;
    check_shares("share.scenario", SCENARIOS, false);
    check_shares("share.task", TASKS, true);
}

/* ---- Memory -------------------------------------------------------------------------------- */

static hn_status make_and_free(void *user, hn_error *err) {
    fixture f;
    model m;
    fixture_make(&f, 4, SCENARIOS, TASKS, 9);
    const hn_config_model config = model_case_config(user);
    const hn_status status = model_make(&m, &f.layout, &config, HN_MODE_INFER, 3, err);
    model_free(&m);
    return status;
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    const char *const names[] = {"aitm_after", "m3oe", "esmm_all_heads"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        model_case row = *find_case(names[i]);
        assert_true(support_fail_each(HN_FAULT_ALLOC, make_and_free, &row) > 20);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_is_a_product),
        cmocka_unit_test(test_messages_go_forward),
        cmocka_unit_test(test_calibrator),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    hn_kernel_enter(); /* sessions run here, on this thread */
    return cmocka_run_group_tests_name("model/order", tests, NULL, NULL);
}
