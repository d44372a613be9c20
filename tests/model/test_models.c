/* What holds for every row of the model table: inference gives training's bits, gates are
 * distributions, one or two scenarios work, wrong sizes are refused, and every allocation
 * may fail. Gradients are in test_gradients.c, scoring in test_scorer.c. */
#include "support.h"

#include <math.h>
#include <string.h>

#include "model/cases.h"

enum { ROWS = 100, TASKS = 2 };

static void test_registry(void **state) {
    (void)state;
    for (int kind = 0; kind < HN_MODELS; kind++) {
        const hn_model_row *row = hn_model_find((hn_model_kind)kind);
        assert_non_null(row);
        assert_int_equal(row->kind, kind);
        assert_non_null(row->title);
        assert_non_null(row->source);
        assert_non_null(row->build);
    }
    assert_null(hn_model_find(HN_MODELS));
    assert_null(hn_model_find((hn_model_kind)-1));
}

/* ---- Inference = training -------------------------------------------------------------- */

static void copy_leaves(model *to, const model *from) {
    assert_int_equal(to->params.leaf_count, from->params.leaf_count);
    memcpy(to->params.block, from->params.block, from->params.leaf_count * sizeof(hn_real));
    for (int32_t t = 0; t < to->params.n_tables; t++)
        memcpy(to->params.tables[t].numbers, from->params.tables[t].numbers,
               (size_t)(to->params.tables[t].rows * (uint64_t)to->params.tables[t].width) *
                   sizeof(hn_real));
    assert_true(hn_params_stage(&to->params, to->plan));
}

static void check_inference(const model_case *row, int32_t scenarios) {
    hn_error err = {0};
    fixture f;
    model train, infer;
    hn_session *a = NULL, *b = NULL;
    hn_config_model config = model_case_config(row);
    config.embedding_dropout = config.expert_dropout = 0;
    config.compat.sei_dropout = false;
    fixture_make(&f, ROWS, scenarios, TASKS, 9);
    assert_ok(model_make(&train, &f.layout, &config, HN_MODE_TRAIN, 3, &err));
    assert_ok(model_make(&infer, &f.layout, &config, HN_MODE_INFER, 4, &err));
    copy_leaves(&infer, &train);
    assert_ok(hn_session_create(&a, train.plan, &err));
    assert_ok(hn_session_create(&b, infer.plan, &err));
    const size_t bytes = (size_t)ROWS * (size_t)hn_plan_heads(train.plan) * sizeof(hn_real);
    const hn_real *trained = hn_session_forward(a, &train.params, &f.rows, 0, ROWS, 1, 1);
    const hn_real *served = hn_session_forward(b, &infer.params, &f.rows, 0, ROWS, 7, 8);
    assert_non_null(trained);
    assert_non_null(served);
    assert_true(hn_all_finite((int64_t)(bytes / sizeof(hn_real)), trained));
    if (memcmp(trained, served, bytes) != 0)
        fail_msg("%s: inference differs from training", row->name);
    hn_session_free(a);
    hn_session_free(b);
    model_free(&train);
    model_free(&infer);
}

static void test_inference_is_training(void **state) {
    (void)state;
    for (size_t i = 0; i < n_model_cases; i++)
        for (int32_t m = 1; m <= 4; m++) check_inference(&model_cases[i], m);
}

/* Dropout is of training alone, and does something there. */
static void test_dropout_only_in_training(void **state) {
    (void)state;
    hn_error err = {0};
    fixture f;
    fixture_make(&f, ROWS, 3, TASKS, 9);
    const char *const names[] = {"dropouts",      "sei_dropout",   "ple_dropout",
                                 "mixed_dropout", "hmoe_dropout",  "cross_stitch_dropout",
                                 "star_dropout",  "pepnet_dropout"};
    for (size_t i = 0; i < n_model_cases; i++)
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            if (strcmp(model_cases[i].name, names[k]) != 0) continue;
            const hn_config_model config = model_case_config(&model_cases[i]);
            model m;
            hn_session *session = NULL;
            hn_real first[ROWS * TASKS];
            assert_ok(model_make(&m, &f.layout, &config, HN_MODE_TRAIN, 3, &err));
            assert_ok(hn_session_create(&session, m.plan, &err));
            memcpy(first, hn_session_forward(session, &m.params, &f.rows, 0, ROWS, 1, 1),
                   sizeof first);
            assert_memory_equal(first,
                                hn_session_forward(session, &m.params, &f.rows, 0, ROWS, 1, 1),
                                sizeof first);
            assert_memory_not_equal(first,
                                    hn_session_forward(session, &m.params, &f.rows, 0, ROWS, 1, 2),
                                    sizeof first);
            hn_session_free(session);
            model_free(&m);
        }
}

/* ---- Gates and the SAN table ---------------------------------------------------------------- */

static void check_distribution(const char *name, const hn_real *at, hn_shape shape,
                               double expected) {
    for (int32_t g = 0; g < shape.groups; g++) {
        double sum = 0;
        for (int32_t c = 0; c < shape.cols; c++) {
            assert_true(at[g * shape.cols + c] >= 0);
            sum += (double)at[g * shape.cols + c];
        }
        if (fabs(sum - expected) > 1e-5) fail_msg("%s: gate %d sums to %g", name, g, sum);
    }
}

static const model_case *find_case(const char *name) {
    for (size_t i = 0; i < n_model_cases; i++)
        if (strcmp(model_cases[i].name, name) == 0) return &model_cases[i];
    fail_msg("no case %s", name);
    return NULL;
}

static void check_gate(const char *case_name, const char *gate, int32_t groups, int32_t cols,
                       double sum) {
    hn_error err = {0};
    fixture f;
    model m;
    hn_session *session = NULL;
    fixture_make(&f, ROWS, 3, TASKS, 9);
    const hn_config_model config = model_case_config(find_case(case_name));
    assert_ok(model_make(&m, &f.layout, &config, HN_MODE_INFER, 3, &err));
    assert_ok(hn_session_create(&session, m.plan, &err));
    assert_non_null(hn_session_forward(session, &m.params, &f.rows, 0, ROWS, 0, 0));
    hn_shape shape;
    int64_t ld = 0;
    const hn_real *at = hn_session_named(session, gate, &shape, &ld);
    assert_non_null(at);
    assert_int_equal(shape.groups, groups);
    assert_int_equal(shape.cols, cols);
    for (int32_t r = 0; r < ROWS; r++) check_distribution(gate, at + r * ld, shape, sum);
    hn_session_free(session);
    model_free(&m);
}

static void test_gates(void **state) {
    (void)state;
    check_gate("hinet", "gate.sei", 4, 3, 1);
    check_gate("hinet", "gate.task", 2, 3, 1);
    check_gate("gate_relu", "gate.sei", 4, 3, 1);
    check_gate("cgc_sum", "gate.task", 2, 3, 3);
    check_gate("both_levels", "gate.sei.2", 3, 3, 1);
    check_gate("both_levels", "gate.sei.2.shared", 1, 3, 1);
    check_gate("both_levels", "gate.task.2", 2, 3, 1);
    check_gate("mmoe", "gate.task", 2, 3, 1);
    check_gate("ple_levels", "gate.task", 6, 3, 1);
    check_gate("ple_levels", "gate.task.3", 2, 3, 1);
    check_gate("all_heads", "gate.task", 6, 3, 1);
    check_gate("hmoe", "gate.task", 6, 3, 1);
    check_gate("hmoe", "gate.scenario", 2, 3, 1);
}

/* What A takes from others: rows of the table sum to 1 (less in the script's form), the own
 * scenario's weight is exactly 0. */
static void check_san(const char *case_name, const char *table, int32_t scenarios, bool full) {
    hn_error err = {0};
    fixture f;
    model m;
    fixture_make(&f, ROWS, scenarios, TASKS, 9);
    const hn_config_model config = model_case_config(find_case(case_name));
    assert_ok(model_make(&m, &f.layout, &config, HN_MODE_INFER, 3, &err));
    hn_shape shape;
    const hn_real *at = hn_plan_named_param(m.plan, &m.params, table, &shape);
    if (scenarios == 1) {
        assert_null(at);
        model_free(&m);
        return;
    }
    assert_non_null(at);
    assert_int_equal(shape.rows, scenarios);
    assert_int_equal(shape.groups * shape.cols, scenarios);
    for (int32_t i = 0; i < scenarios; i++) {
        double sum = 0;
        for (int32_t j = 0; j < scenarios; j++) sum += (double)at[i * scenarios + j];
        assert_true(at[i * scenarios + i] == 0);
        if (full)
            assert_true(fabs(sum - 1) < 1e-5);
        else
            assert_true(sum > 0.01 && sum < 0.99);
    }
    model_free(&m);
}

static void test_san_table(void **state) {
    (void)state;
    for (int32_t m = 1; m <= 5; m++) {
        check_san("hinet", "san", m, true);
        check_san("san_mlp", "san", m, true);
        check_san("san_softmax_all", "san", m, false);
        check_san("scenario_levels_3", "san.3", m, true);
    }
}

/* With two scenarios A_i is S_j whatever the SAN's parameters are. */
static void test_two_scenarios_need_no_san(void **state) {
    (void)state;
    hn_error err = {0};
    fixture f;
    model m;
    hn_session *session = NULL;
    fixture_make(&f, ROWS, 2, TASKS, 9);
    const hn_config_model config = model_case_config(find_case("hinet"));
    assert_ok(model_make(&m, &f.layout, &config, HN_MODE_INFER, 3, &err));
    assert_ok(hn_session_create(&session, m.plan, &err));
    hn_real before[ROWS * TASKS];
    memcpy(before, hn_session_forward(session, &m.params, &f.rows, 0, ROWS, 0, 0), sizeof before);
    int32_t changed = 0;
    for (int32_t p = 0; p < hn_plan_params(m.plan); p++) {
        const hn_param_info *info = hn_plan_param(m.plan, p);
        if (strncmp(info->name, "san.", 4) != 0) continue;
        for (int32_t i = 0; i < info->rows * info->cols; i++)
            m.params.block[info->offset + (size_t)i] += (hn_real)(0.3 * i);
        changed++;
    }
    assert_int_equal(changed, 3);
    assert_true(hn_params_stage(&m.params, m.plan));
    assert_memory_equal(before, hn_session_forward(session, &m.params, &f.rows, 0, ROWS, 0, 0),
                        sizeof before);
    hn_session_free(session);
    model_free(&m);
}

/* ---- Size --------------------------------------------------------------------------------- */

/* The paper's size costs what is counted by hand: 3 × (forward) = 11.7 MFLOP a row, own heads
 * only; with all heads the whole task layer six times over. */
static void test_flops_at_paper_size(void **state) {
    (void)state;
    hn_error err = {0};
    char name[] = "id";
    hn_input input = {name, HN_INPUT_ID, HN_SIDE_ITEM, 0, 0, 320, 0, HN_POOL_MEAN};
    hn_embedding table = {name, 10, 320};
    const hn_layout layout = {.inputs = &input,
                              .n_inputs = 1,
                              .tables = &table,
                              .n_tables = 1,
                              .ids = 1,
                              .width = 320,
                              .scenarios = 6,
                              .tasks = 2};
    hn_config_model config = model_case_config(find_case("hinet"));
    config.experts = 5, config.task_own = config.task_shared = 2, config.scenario_width = 64;
    config.expert_units = config.task_units = config.tower_units = (hn_units){{128, 64}, 2};
    const double sei = 35 * (320 * 128 + 128 * 64) + 320 * 35,
                 cgc = 6 * (192 * 128 + 128 * 64) + 192 * 8,
                 towers = 2 * (64 * 128 + 128 * 64 + 64);
    for (int all = 0; all < 2; all++) {
        hn_graph *graph = NULL;
        hn_plan *plan = NULL;
        config.compat.all_heads = all;
        config.compat.cgc_global = all; /* 2 shared experts for all, as the script has it */
        assert_ok(hn_model_record(&graph, &layout, &config, &err));
        assert_ok(hn_plan_create(&plan, graph, HN_MODE_INFER, &err));
        const double shared = 2 * (192 * 128 + 128 * 64);
        const double expected =
            2 * (all ? sei + 6 * (cgc - shared) + shared + 6 * towers : sei + cgc + towers);
        assert_true(fabs((double)hn_plan_flops(plan) / expected - 1) < 1e-3);
        if (!all) assert_true(fabs(3 * (double)hn_plan_flops(plan) / 11.7e6 - 1) < 0.02);
        hn_plan_free(plan);
        hn_graph_free(graph);
    }
}

/* ---- Refusals ------------------------------------------------------------------------------ */

static void test_refusals(void **state) {
    (void)state;
    hn_error err = {0};
    fixture f;
    hn_graph *graph = NULL;
    fixture_make(&f, ROWS, 3, TASKS, 9);
    hn_config_model config = model_case_config(find_case("hinet"));
    config.kind = HN_MODELS;
    assert_fails(HN_BAD_CONFIG, "not known", hn_model_record(&graph, &f.layout, &config, &err));
    assert_null(graph);
    config = model_case_config(find_case("hinet"));
    config.task_own = config.task_shared = 0;
    assert_fails(HN_BAD_CONFIG, "cannot both be 0",
                 hn_model_record(&graph, &f.layout, &config, &err));
    config = model_case_config(find_case("hinet"));
    config.expert_units = (hn_units){{1 << 28, 1 << 28}, 2};
    assert_fails(HN_BAD_CONFIG, "cannot be", hn_model_record(&graph, &f.layout, &config, &err));
    config.expert_units = (hn_units){{1 << 20, 1 << 20}, 2};
    assert_fails(HN_NO_MEMORY, "narrower", hn_model_record(&graph, &f.layout, &config, &err));
    assert_null(graph);
    config = model_case_config(find_case("hinet"));
    config.experts = INT32_MAX;
    assert_fails(HN_BAD_CONFIG, "too many", hn_model_record(&graph, &f.layout, &config, &err));
    config = model_case_config(find_case("hinet"));
    config.task_own = INT32_MAX;
    assert_fails(HN_BAD_CONFIG, "too many", hn_model_record(&graph, &f.layout, &config, &err));
    const int32_t sizes[][2] = {{0, 1}, {1, 0}, {HN_SCENARIOS_MAX + 1, 1}, {1, HN_TASKS_MAX + 1}};
    config = model_case_config(find_case("hinet"));
    for (size_t i = 0; i < 4; i++) {
        f.layout.scenarios = sizes[i][0];
        f.layout.tasks = sizes[i][1];
        assert_fails(HN_BAD_CONFIG, "are expected",
                     hn_model_record(&graph, &f.layout, &config, &err));
    }
}

/* A switch of the script changes HiNet and no other model. */
static void test_compat_is_hinets(void **state) {
    (void)state;
    hn_error err = {0};
    fixture f;
    fixture_make(&f, ROWS, 3, TASKS, 9);
    const char *const names[] = {"shared_bottom", "mmoe", "ple",          "ple_levels", "single",
                                 "mixed",         "hmoe", "cross_stitch", "star",       "pepnet"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        model plain, switched;
        hn_config_model config = model_case_config(find_case(names[i]));
        assert_ok(model_make(&plain, &f.layout, &config, HN_MODE_INFER, 3, &err));
        config.compat = (hn_config_compat){true, true, true, true, true, true, true, true};
        assert_ok(model_make(&switched, &f.layout, &config, HN_MODE_INFER, 3, &err));
        assert_int_equal(plain.params.leaf_count, switched.params.leaf_count);
        assert_false(hn_plan_all_heads(switched.plan));
        model_free(&plain);
        model_free(&switched);
    }
}

static hn_status make_and_free(void *user, hn_error *err) {
    const model_case *row = user;
    fixture f;
    model m;
    fixture_make(&f, ROWS, 3, TASKS, 9);
    const hn_config_model config = model_case_config(row);
    HN_TRY(model_make(&m, &f.layout, &config, HN_MODE_TRAIN, 3, err));
    model_free(&m);
    return HN_OK;
}

static void test_every_allocation_may_fail(void **state) {
    (void)state;
    const char *const names[] = {"both_levels",
                                 "script",
                                 "ple_levels",
                                 "mmoe",
                                 "single",
                                 "mixed",
                                 "hmoe",
                                 "cross_stitch",
                                 "star",
                                 "pepnet",
                                 "hinet_plus_levels",
                                 "wide_script"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        model_case row = *find_case(names[i]);
        assert_true(support_fail_each(HN_FAULT_ALLOC, make_and_free, &row) > 20);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry),
        cmocka_unit_test(test_inference_is_training),
        cmocka_unit_test(test_dropout_only_in_training),
        cmocka_unit_test(test_gates),
        cmocka_unit_test(test_san_table),
        cmocka_unit_test(test_two_scenarios_need_no_san),
        cmocka_unit_test(test_flops_at_paper_size),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_compat_is_hinets),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    hn_kernel_enter(); /* sessions run here, on this thread */
    return cmocka_run_group_tests_name("model/models", tests, NULL, NULL);
}
