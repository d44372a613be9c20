/* The rows of one request: scoring them with the user's and the context's part computed once
 * gives the bits of scoring each, for every model, any number of rows, unknown scenarios, and
 * with one worker's memory used for this and that in turn. */
#include "support.h"

#include <string.h>

#include "base/rng.h"
#include "model/cases.h"

enum { ROWS = 500, TASKS = 2, SCENARIOS = 3 };

static const uint64_t TRAINING_ROWS[] = {600, 0, 150};

typedef struct bed {
    fixture all, f; /* rows of anywhere; those of one request */
    model m;
    hn_scorer *scorer;
    hn_scratch *scratch;
} bed;

static void open_bed(bed *b, const hn_config_model *config) {
    hn_error err = {0};
    fixture_make(&b->all, ROWS, SCENARIOS, TASKS, 77);
    assert_ok(model_make(&b->m, &b->all.layout, config, HN_MODE_INFER, 5, &err));
    assert_ok(hn_scorer_create(&b->scorer, b->m.plan, &b->m.params, TRAINING_ROWS, &err));
    assert_ok(hn_scratch_create(&b->scratch, b->scorer, &err));
}

static void close_bed(bed *b) {
    hn_scratch_free(b->scratch);
    hn_scorer_free(b->scorer);
    model_free(&b->m);
}

/* n rows of scenario `scenario` with the id, the value and the list of user number `user`;
 * each item's own id and value (slot 1 of both) stay. */
static void make_request(bed *b, int32_t user, int32_t scenario, int32_t n) {
    static fixture from;
    int32_t order[ROWS] = {0};
    from = b->all;
    const uint32_t *list = &b->all.list_ids[b->all.list_begin[user]];
    const uint32_t length = b->all.list_begin[user + 1] - b->all.list_begin[user];
    for (int32_t i = 0; i < n; i++) order[i] = (i * 7 + user) % ROWS;
    fixture_pick(&b->f, &from, order, n);
    for (int32_t i = 0; i < n; i++) {
        b->f.scenario[i] = (uint16_t)scenario;
        b->f.ids[2 * i] = b->all.ids[2 * user];
        b->f.values[2 * i] = b->all.values[2 * user];
        b->f.list_begin[i + 1] = b->f.list_begin[i] + length;
        memcpy(&b->f.list_ids[b->f.list_begin[i]], list, length * sizeof *list);
    }
    b->f.rows.labels = NULL;
    b->f.rows.weights = NULL;
    b->f.rows.ordinal = NULL;
}

static void check_request(bed *b, const char *name, int32_t user, int32_t scenario, int32_t n) {
    static hn_real each[ROWS * TASKS], once[ROWS * TASKS];
    hn_error err = {0};
    make_request(b, user, scenario, n);
    memset(once, 0xff, sizeof once);
    assert_ok(hn_score(each, b->scorer, b->scratch, &b->f.rows, &err));
    assert_ok(hn_score_request(once, b->scorer, b->scratch, &b->f.rows, &err));
    for (int32_t i = 0; i < n; i++)
        if (memcmp(&each[i * TASKS], &once[i * TASKS], TASKS * sizeof *each) != 0)
            fail_msg("%s: user %d, scenario %d: row %d of %d has other bits", name, user, scenario,
                     i, n);
}

static void check_sizes(bed *b, const char *name, int32_t step) {
    static const int32_t EDGES[] = {1, 2, 127, 128, 129, 200, 256, 257, 500};
    for (size_t i = 0; i < sizeof EDGES / sizeof *EDGES; i++)
        check_request(b, name, 3 + (int32_t)i, (int32_t)i % SCENARIOS, EDGES[i]);
    for (int32_t n = 3; n <= ROWS; n += step) check_request(b, name, n - 1, n % SCENARIOS, n);
    check_request(b, name, 9, HN_SCENARIO_UNKNOWN, 1);
    check_request(b, name, 11, HN_SCENARIO_UNKNOWN, 200);
    check_request(b, name, 12, HN_SCENARIO_UNKNOWN, 431);
}

static void test_every_model(void **state) {
    (void)state;
    static bed b;
    for (size_t i = 0; i < n_model_cases; i++) {
        const hn_config_model config = model_case_config(&model_cases[i]);
        open_bed(&b, &config);
        check_sizes(&b, model_cases[i].name, i == 0 ? 1 : 163);
        close_bed(&b);
    }
}

/* Wide enough that the matrix library chooses other kernels. */
static void test_wide_layers(void **state) {
    (void)state;
    static bed b;
    const model_case *const cases[] = {&model_cases[0], &model_cases[n_model_cases - 1]};
    for (int i = 0; i < 2; i++) {
        hn_config_model config = model_case_config(cases[i]);
        config.experts = 5;
        config.expert_units = config.task_units = config.tower_units = config.bottom_units =
            (hn_units){{128, 64}, 2};
        open_bed(&b, &config);
        check_sizes(&b, cases[i]->name, sizeof(hn_real) == 8 ? 97 : 13);
        close_bed(&b);
    }
}

/* The part of the user is really taken from the first row: with the precondition broken the
 * others' own user is not looked at. */
static void test_user_of_the_first_row(void **state) {
    (void)state;
    static bed b;
    static hn_real kept[ROWS * TASKS], broken[ROWS * TASKS];
    hn_error err = {0};
    const hn_config_model config = model_case_config(&model_cases[0]);
    open_bed(&b, &config);
    make_request(&b, 4, 1, 150);
    assert_true(hn_plan_shared_flops(b.m.plan) > 0);
    assert_ok(hn_score_request(kept, b.scorer, b.scratch, &b.f.rows, &err));
    for (int32_t i = 1; i < 40; i++) b.f.values[2 * i] += 3;
    assert_ok(hn_score_request(broken, b.scorer, b.scratch, &b.f.rows, &err));
    assert_memory_equal(kept, broken, 40 * TASKS * sizeof *kept);
    close_bed(&b);
}

/* Of the shared part computed once: everything that reads x and nothing behind a norm. */
static void test_norm_is_not_shared(void **state) {
    (void)state;
    static fixture f;
    static hn_real each[ROWS * TASKS];
    hn_error err = {0};
    model m = {0};
    hn_session *session = NULL;
    fixture_make(&f, 50, SCENARIOS, TASKS, 3);
    assert_ok(hn_graph_create(&m.graph, &f.layout, &err));
    const hn_value x = hn_norm(m.graph, hn_input_x(m.graph, false), HN_NONE, HN_NONE);
    const hn_value w = hn_param(m.graph, "w", 1, f.layout.width, 1, TASKS, HN_INIT_XAVIER);
    hn_output(m.graph,
              hn_reshape(m.graph, hn_linear(m.graph, x, w, HN_NONE, HN_ACT_NONE), TASKS, 1), false);
    assert_ok(hn_plan_create(&m.plan, m.graph, HN_MODE_INFER, &err));
    assert_ok(hn_params_create(&m.params, m.plan, &err));
    hn_params_init(&m.params, m.plan, 5, 0.5, NULL);
    assert_true(hn_params_stage(&m.params, m.plan));
    assert_int_equal(hn_plan_shared_flops(m.plan), 0);
    for (int32_t i = 0; i < 50; i++) {
        f.scenario[i] = 0;
        f.ids[2 * i] = 4;
        f.values[2 * i] = 1;
        f.list_begin[i + 1] = 0;
    }
    assert_ok(hn_session_create(&session, m.plan, &err));
    const hn_real *found = hn_session_forward(session, &m.params, &f.rows, 0, 50, 0, 0);
    memcpy(each, found, 50 * TASKS * sizeof *each);
    found = hn_session_forward_request(session, &m.params, &f.rows, 0, 50, false);
    assert_memory_equal(each, found, 50 * TASKS * sizeof *each);
    hn_session_free(session);
    model_free(&m);
}

static void test_edges(void **state) {
    (void)state;
    static bed b;
    static hn_real each[ROWS * TASKS], once[ROWS * TASKS];
    hn_error err = {0};
    const hn_config_model config = model_case_config(&model_cases[0]);
    open_bed(&b, &config);
    assert_ok(hn_score(each, b.scorer, b.scratch, &b.all.rows, &err)); /* several scenarios */
    assert_ok(hn_score_request(once, b.scorer, b.scratch, &b.all.rows, &err));
    assert_memory_equal(each, once, sizeof each);
    hn_rows rows = b.all.rows;
    rows.rows = 0;
    assert_ok(hn_score_request(once, b.scorer, b.scratch, &rows, &err));
    b.all.scenario[17] = SCENARIOS;
    assert_fails(HN_BAD_DATA, "row 17",
                 hn_score_request(once, b.scorer, b.scratch, &b.all.rows, &err));
    close_bed(&b);
}

/* A request needs no memory beyond what its worker has. */
static hn_status score_only(void *user, hn_error *err) {
    static hn_real logits[ROWS * TASKS];
    bed *b = user;
    return hn_score_request(logits, b->scorer, b->scratch, &b->f.rows, err);
}

static void test_nothing_is_allocated(void **state) {
    (void)state;
    static bed b;
    const hn_config_model config = model_case_config(&model_cases[0]);
    open_bed(&b, &config);
    make_request(&b, 4, HN_SCENARIO_UNKNOWN, 300);
    assert_true(support_fail_each(HN_FAULT_ALLOC, score_only, &b) == 0);
    close_bed(&b);
}

/* Cuts hold all rows, in no more than 128 each. */
static void test_tiles(void **state) {
    (void)state;
    static bed b;
    const hn_config_model config = model_case_config(&model_cases[0]);
    open_bed(&b, &config);
    for (int32_t n = 1; n <= 2000; n++) {
        const int32_t tile = hn_plan_tile(b.m.plan, n);
        assert_true(tile >= 1 && tile <= HN_TILE_ROWS);
    }
    close_bed(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_model),
        cmocka_unit_test(test_wide_layers),
        cmocka_unit_test(test_user_of_the_first_row),
        cmocka_unit_test(test_norm_is_not_shared),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_nothing_is_allocated),
        cmocka_unit_test(test_tiles),
    };
    return cmocka_run_group_tests_name("model/request", tests, NULL, NULL);
}
