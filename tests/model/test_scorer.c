/* The scorer: own heads of every row, whatever the order, the number of rows and the
 * position; the rule for unknown scenarios; and its failures. */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/rng.h"
#include "model/cases.h"

enum { ROWS = 400, TASKS = 2, SCENARIOS = 3 };

static const uint64_t TRAINING_ROWS[] = {600, 0, 150};

static bool same_bits(const void *a, const void *b) {
    return memcmp(a, b, TASKS * sizeof(hn_real)) == 0;
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

/* Scores rows order[0 … n-1] and wants the bits that they got among all. */
static void check_order(scored *s, const char *name, const int32_t *order, int32_t n) {
    static fixture picked;
    static hn_real logits[ROWS * TASKS];
    hn_error err = {0};
    fixture_pick(&picked, &s->f, order, n);
    picked.rows.labels = NULL;
    picked.rows.weights = NULL;
    picked.rows.ordinal = NULL;
    memset(logits, 0xff, sizeof logits);
    assert_ok(hn_score(logits, s->scorer, s->scratch, &picked.rows, &err));
    for (int32_t i = 0; i < n; i++)
        if (!same_bits(&logits[i * TASKS], &s->logits[order[i] * TASKS]))
            fail_msg("%s: row %d at place %d of %d has other bits", name, order[i], i, n);
}

static void check_sizes(scored *s, const char *name, int32_t step) {
    int32_t order[ROWS];
    uint32_t permutation[ROWS];
    for (int32_t n = 1; n <= ROWS; n += step) { /* a run of n rows, sorted */
        const int32_t first = (n * 37) % (ROWS - n + 1);
        for (int32_t i = 0; i < n; i++) order[i] = first + i;
        check_order(s, name, order, n);
    }
    for (int32_t n = 1; n <= ROWS; n += 2 * step + 1) { /* n rows of anywhere, in any order */
        hn_random_permutation(permutation, ROWS, (uint64_t)n, HN_STREAM_TEST, 0);
        for (int32_t i = 0; i < n; i++) order[i] = (int32_t)permutation[i];
        check_order(s, name, order, n);
    }
}

static void test_bits_of_every_model(void **state) {
    (void)state;
    static scored s;
    for (size_t i = 0; i < n_model_cases; i++) {
        const hn_config_model config = model_case_config(&model_cases[i]);
        open_case(&s, &config);
        check_sizes(&s, model_cases[i].name, 23);
        close_case(&s);
    }
}

/* Wide enough that the matrix library chooses other kernels. */
static void test_bits_of_wide_layers(void **state) {
    (void)state;
    static scored s;
    const model_case *const cases[] = {&model_cases[0], &model_cases[n_model_cases - 1]};
    for (int i = 0; i < 2; i++) {
        hn_config_model config = model_case_config(cases[i]);
        config.experts = 5;
        config.expert_units = config.task_units = config.tower_units = config.bottom_units =
            (hn_units){{128, 64}, 2};
        open_case(&s, &config);
        check_sizes(&s, cases[i]->name, sizeof(hn_real) == 8 ? 61 : 7);
        close_case(&s);
    }
}

/* ---- Own heads --------------------------------------------------------------------------- */

/* The scorer's logits are the session's, and with all_heads the own ones of them. */
static void check_against_session(const model_case *row) {
    static scored s;
    hn_error err = {0};
    hn_session *session = NULL;
    const hn_config_model config = model_case_config(row);
    open_case(&s, &config);
    assert_ok(hn_session_create(&session, s.m.plan, &err));
    const int32_t heads = hn_plan_heads(s.m.plan);
    const int32_t saved = hn_kernel_enter();
    const hn_real *found = hn_session_forward(session, &s.m.params, &s.f.rows, 100, 100, 0, 0);
    hn_kernel_leave(saved);
    assert_non_null(found);
    for (int32_t i = 0; i < 100; i++) {
        const int32_t base = heads == TASKS ? 0 : s.f.scenario[100 + i] * TASKS;
        assert_memory_equal(&found[i * heads + base], &s.logits[(100 + i) * TASKS],
                            TASKS * sizeof *found);
    }
    hn_session_free(session);
    close_case(&s);
}

static void test_own_heads(void **state) {
    (void)state;
    for (size_t i = 0; i < n_model_cases; i++) check_against_session(&model_cases[i]);
}

/* ---- Unknown scenarios ---------------------------------------------------------------------- */

static void as_member(hn_real *logits, scored *s, int32_t scenario) {
    static fixture f;
    hn_error err = {0};
    f = s->f;
    f.rows = s->f.rows;
    for (int32_t r = 0; r < ROWS; r++) f.scenario[r] = (uint16_t)scenario;
    f.rows.scenario = f.scenario;
    assert_ok(hn_score(logits, s->scorer, s->scratch, &f.rows, &err));
}

static void check_unknown(const model_case *row) {
    static scored s;
    static hn_real member[SCENARIOS][ROWS * TASKS], mixed[ROWS * TASKS];
    hn_error err = {0};
    const hn_config_model config = model_case_config(row);
    open_case(&s, &config);
    for (int32_t j = 0; j < SCENARIOS; j++) as_member(member[j], &s, j);
    hn_rows rows = s.f.rows;
    uint16_t scenario[ROWS];
    memcpy(scenario, s.f.scenario, sizeof scenario);
    for (int32_t r = 0; r < ROWS; r++)
        if (r % 3 != 1) scenario[r] = HN_SCENARIO_UNKNOWN;
    rows.scenario = scenario;
    assert_ok(hn_score(mixed, s.scorer, s.scratch, &rows, &err));
    for (int32_t i = 0; i < ROWS * TASKS; i++) {
        if (scenario[i / TASKS] != HN_SCENARIO_UNKNOWN) {
            assert_true(mixed[i] == s.logits[i]);
            continue;
        }
        const double expected =
            0.8 * (double)member[0][i] + 0.2 * (double)member[2][i]; /* of 600, 0 and 150 rows */
        if (fabs((double)mixed[i] - expected) > 1e-6 * (1 + fabs(expected)))
            fail_msg("%s: unknown row %d has %g, expected %g", row->name, i / TASKS,
                     (double)mixed[i], expected);
    }
    close_case(&s);
}

static void test_unknown_scenarios(void **state) {
    (void)state;
    for (size_t i = 0; i < n_model_cases; i++) check_unknown(&model_cases[i]);
}

/* Without any training rows all scenarios count alike. */
static void test_unknown_without_training_rows(void **state) {
    (void)state;
    static scored s;
    static hn_real member[SCENARIOS][ROWS * TASKS], mixed[ROWS * TASKS];
    hn_error err = {0};
    const uint64_t none[SCENARIOS] = {0};
    const hn_config_model config = model_case_config(&model_cases[0]);
    open_case(&s, &config);
    for (int32_t j = 0; j < SCENARIOS; j++) as_member(member[j], &s, j);
    hn_scorer *scorer = NULL;
    assert_ok(hn_scorer_create(&scorer, s.m.plan, &s.m.params, none, &err));
    hn_rows rows = s.f.rows;
    uint16_t scenario[ROWS];
    for (int32_t r = 0; r < ROWS; r++) scenario[r] = HN_SCENARIO_UNKNOWN;
    rows.scenario = scenario;
    assert_ok(hn_score(mixed, scorer, s.scratch, &rows, &err));
    for (int32_t i = 0; i < ROWS * TASKS; i++) {
        const double expected =
            ((double)member[0][i] + (double)member[1][i] + (double)member[2][i]) / 3;
        assert_true(fabs((double)mixed[i] - expected) <= 1e-6 * (1 + fabs(expected)));
    }
    hn_scorer_free(scorer);
    close_case(&s);
}

/* ---- Threads -------------------------------------------------------------------------------- */

enum { WORKERS = 4, JOBS = 40 };

typedef struct crowd {
    scored *s;
    hn_scratch *scratch[WORKERS];
    int32_t wrong[WORKERS];
} crowd;

static void score_part(void *user, int64_t item, int32_t worker) {
    static _Thread_local fixture picked;
    static _Thread_local hn_real logits[ROWS * TASKS];
    crowd *c = user;
    int32_t order[ROWS] = {0}, n = 1 + (int32_t)(item * 37 % ROWS);
    for (int32_t i = 0; i < n; i++) order[i] = (int32_t)((i * 7 + item) % ROWS);
    fixture_pick(&picked, &c->s->f, order, n);
    if (hn_score(logits, c->s->scorer, c->scratch[worker], &picked.rows, NULL) != HN_OK)
        c->wrong[worker]++;
    for (int32_t i = 0; i < n; i++)
        c->wrong[worker] += !same_bits(&logits[i * TASKS], &c->s->logits[order[i] * TASKS]);
}

/* One scorer, shared; a scratch for each worker. */
static void test_many_threads(void **state) {
    (void)state;
    static scored s;
    hn_error err = {0};
    hn_pool *pool = NULL;
    crowd c = {.s = &s};
    const hn_config_model config = model_case_config(&model_cases[0]);
    open_case(&s, &config);
    for (int32_t i = 0; i < WORKERS; i++)
        assert_ok(hn_scratch_create(&c.scratch[i], s.scorer, &err));
    assert_ok(hn_pool_create(&pool, WORKERS, &err));
    hn_pool_run(pool, JOBS, score_part, &c);
    for (int32_t i = 0; i < WORKERS; i++) assert_int_equal(c.wrong[i], 0);
    hn_pool_free(pool);
    for (int32_t i = 0; i < WORKERS; i++) hn_scratch_free(c.scratch[i]);
    close_case(&s);
}

/* ---- Edges --------------------------------------------------------------------------------- */

static void test_no_rows_and_bad_rows(void **state) {
    (void)state;
    static scored s;
    hn_error err = {0};
    const hn_config_model config = model_case_config(&model_cases[0]);
    open_case(&s, &config);
    hn_rows rows = s.f.rows;
    rows.rows = 0;
    assert_ok(hn_score(s.logits, s.scorer, s.scratch, &rows, &err));
    s.f.scenario[17] = SCENARIOS;
    assert_fails(HN_BAD_DATA, "row 17", hn_score(s.logits, s.scorer, s.scratch, &s.f.rows, &err));
    close_case(&s);
}

static hn_status score_and_free(void *user, hn_error *err) {
    scored *s = user;
    hn_scorer *scorer = NULL;
    hn_scratch *scratch = NULL;
    hn_real logits[ROWS * TASKS];
    hn_status status = hn_scorer_create(&scorer, s->m.plan, &s->m.params, TRAINING_ROWS, err);
    if (status == HN_OK) status = hn_scratch_create(&scratch, scorer, err);
    if (status == HN_OK) status = hn_score(logits, scorer, scratch, &s->f.rows, err);
    hn_scratch_free(scratch);
    hn_scorer_free(scorer);
    return status;
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    static scored s;
    const hn_config_model config = model_case_config(&model_cases[0]);
    open_case(&s, &config);
    for (int32_t r = 0; r < ROWS; r += 3)
        s.f.scenario[r] = r % 2 ? 0 : HN_SCENARIO_UNKNOWN; /* unsorted, so that rows are gathered */
    assert_true(support_fail_each(HN_FAULT_ALLOC, score_and_free, &s) > 8);
    close_case(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits_of_every_model),
        cmocka_unit_test(test_bits_of_wide_layers),
        cmocka_unit_test(test_own_heads),
        cmocka_unit_test(test_unknown_scenarios),
        cmocka_unit_test(test_unknown_without_training_rows),
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_no_rows_and_bad_rows),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("model/scorer", tests, NULL, NULL);
}
