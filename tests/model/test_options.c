/* The options that any model takes (docs/tensors.md): that each vanishes where its parameters
 * are such that it must, which says that the rest of the model is what it was; and what the
 * row's SAN weights are. Gradients, inference and the NumPy reference are in the tables. */
#include "support.h"

#include <math.h>
#include <string.h>

#include "model/cases.h"

enum { ROWS = 60, TASKS = 2, SCENARIOS = 3, HEADS_MAX = SCENARIOS * TASKS };

static const model_case *find_case(const char *name) {
    for (size_t i = 0; i < n_model_cases; i++)
        if (strcmp(model_cases[i].name, name) == 0) return &model_cases[i];
    fail_msg("no case %s", name);
    return NULL;
}

static void make(model *out, const fixture *f, const char *name) {
    hn_error err = {0};
    hn_config_model config = model_case_config(find_case(name));
    config.embedding_dropout = config.expert_dropout = 0;
    config.compat.sei_dropout = false;
    assert_ok(model_make(out, &f->layout, &config, HN_MODE_INFER, 3, &err));
}

static size_t count_of(const hn_param_info *info) {
    return (size_t)info->batch * (size_t)info->rows * (size_t)info->groups * (size_t)info->cols;
}

static const hn_param_info *find_param(const model *m, const char *name) {
    for (int32_t p = 0; p < hn_plan_params(m->plan); p++)
        if (strcmp(hn_plan_param(m->plan, p)->name, name) == 0) return hn_plan_param(m->plan, p);
    return NULL;
}

/* Gives `to` the numbers that `from` has; its further ones become 0, and there must be some. */
static void copy_and_clear(model *to, const model *from) {
    int32_t further = 0;
    for (int32_t p = 0; p < hn_plan_params(to->plan); p++) {
        const hn_param_info *info = hn_plan_param(to->plan, p),
                            *same = find_param(from, info->name);
        hn_real *at = to->params.block + info->offset;
        further += !same;
        if (same) {
            assert_int_equal(count_of(info), count_of(same));
            memcpy(at, from->params.block + same->offset, count_of(info) * sizeof *at);
        } else {
            memset(at, 0, count_of(info) * sizeof *at);
        }
    }
    assert_true(further > 0);
    for (int32_t t = 0; t < to->params.n_tables; t++)
        memcpy(to->params.tables[t].numbers, from->params.tables[t].numbers,
               (size_t)(to->params.tables[t].rows * (uint64_t)to->params.tables[t].width) *
                   sizeof(hn_real));
    assert_true(hn_params_stage(&to->params, to->plan));
}

static void logits_of(hn_real *out, const model *m, const fixture *f) {
    hn_error err = {0};
    hn_session *session = NULL;
    assert_ok(hn_session_create(&session, m->plan, &err));
    const hn_real *logits = hn_session_forward(session, &m->params, &f->rows, 0, ROWS, 0, 0);
    assert_non_null(logits);
    memcpy(out, logits, (size_t)(ROWS * hn_plan_heads(m->plan)) * sizeof *out);
    hn_session_free(session);
}

/* The case with an option whose parameters are 0 scores as the plain one, to the bit; and
 * otherwise once they are not. */
static void check_vanishes(const char *plain_name, const char *name) {
    fixture f;
    model plain, optional;
    hn_real expected[ROWS * HEADS_MAX], found[ROWS * HEADS_MAX];
    fixture_make(&f, ROWS, SCENARIOS, TASKS, 21);
    make(&plain, &f, plain_name);
    make(&optional, &f, name);
    const size_t bytes = (size_t)(ROWS * hn_plan_heads(plain.plan)) * sizeof *expected;
    logits_of(expected, &plain, &f);
    logits_of(found, &optional, &f);
    if (memcmp(found, expected, bytes) == 0) fail_msg("%s does nothing", name);
    copy_and_clear(&optional, &plain);
    logits_of(found, &optional, &f);
    if (memcmp(found, expected, bytes) != 0)
        fail_msg("%s: with parameters of 0 it is not %s", name, plain_name);
    model_free(&plain);
    model_free(&optional);
}

/* No weights in the wide part; gates of 2σ(0) = 1; nothing of the row in the SAN's logits. */
static void test_options_vanish(void **state) {
    (void)state;
    check_vanishes("hinet", "wide_task");
    check_vanishes("hinet", "wide_cell");
    check_vanishes("all_heads", "wide_task_all_heads");
    check_vanishes("all_heads", "wide_cell_all_heads");
    check_vanishes("hinet", "side");
    check_vanishes("script", "side_script");
    check_vanishes("single", "single_side");
    check_vanishes("hinet", "tower_gate");
    check_vanishes("all_heads", "tower_gate_all_heads");
    check_vanishes("hinet", "san_user");
    check_vanishes("hinet", "san_row");
    check_vanishes("scenario_levels_2", "san_row_levels");
}

/* ---- The row's SAN weights ------------------------------------------------------------------- */

/* Of `n` scenarios for each row; the own one gets exactly 0, and all others together `full`. */
static void check_weights(const model *m, const fixture *f, const char *name, int32_t groups,
                          bool full) {
    hn_error err = {0};
    hn_session *session = NULL;
    hn_shape shape;
    int64_t ld = 0;
    assert_ok(hn_session_create(&session, m->plan, &err));
    assert_non_null(hn_session_forward(session, &m->params, &f->rows, 0, ROWS, 0, 0));
    const hn_real *at = hn_session_named(session, name, &shape, &ld);
    assert_non_null(at);
    assert_int_equal(shape.groups, groups);
    assert_int_equal(shape.cols, SCENARIOS);
    for (int32_t r = 0; r < ROWS; r++)
        for (int32_t g = 0; g < groups; g++) {
            const hn_real *weights = at + r * ld + g * SCENARIOS;
            const int32_t own = groups == 1 ? f->scenario[r] : g;
            double sum = 0;
            for (int32_t j = 0; j < SCENARIOS; j++) sum += (double)weights[j];
            assert_true(weights[own] == 0);
            assert_true(full ? fabs(sum - 1) < 1e-5 : sum > 0 && sum < 1);
        }
    hn_session_free(session);
}

static void test_row_weights(void **state) {
    (void)state;
    static const struct {
        const char *model, *name;
        int32_t groups;
        bool full;
    } rows[] = {
        {"san_user", "gate.san", 1, true},
        {"san_row", "gate.san", 1, true},
        {"san_row_levels", "gate.san", SCENARIOS, true},
        {"san_row_levels", "gate.san.2", 1, true},
        {"san_row_script", "gate.san", SCENARIOS, false},
        {"san_row_script", "gate.san.2", 1, false},
    };
    fixture f;
    fixture_make(&f, ROWS, SCENARIOS, TASKS, 22);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        hn_shape shape;
        model m;
        make(&m, &f, rows[i].model);
        check_weights(&m, &f, rows[i].name, rows[i].groups, rows[i].full);
        assert_null(hn_plan_named_param(m.plan, &m.params, "san", &shape));
        model_free(&m);
    }
}

/* Rows that differ in the item alone: with `user` their weights agree, with `row` they don't. */
static void test_what_the_weights_depend_on(void **state) {
    (void)state;
    fixture f;
    fixture_make(&f, ROWS, SCENARIOS, TASKS, 23);
    f.scenario[1] = f.scenario[0];
    f.ids[2] = f.ids[0], f.values[2] = f.values[0];
    f.ids[3] = (f.ids[1] + 1) % 13;
    memset(f.list_begin, 0, sizeof f.list_begin);
    for (int32_t by_row = 0; by_row < 2; by_row++) {
        hn_error err = {0};
        hn_session *session = NULL;
        hn_shape shape;
        int64_t ld = 0;
        model m;
        make(&m, &f, by_row ? "san_row" : "san_user");
        assert_ok(hn_session_create(&session, m.plan, &err));
        assert_non_null(hn_session_forward(session, &m.params, &f.rows, 0, ROWS, 0, 0));
        const hn_real *a = hn_session_named(session, "gate.san", &shape, &ld);
        const bool same = memcmp(a, a + ld, SCENARIOS * sizeof *a) == 0;
        assert_int_equal(same, !by_row);
        hn_session_free(session);
        model_free(&m);
    }
}

/* ---- Pairs of embeddings ------------------------------------------------------------------ */

/* The fixture with two embeddings of one width: the user's and the history's, of 3. */
static void make_pairs_fixture(fixture *f) {
    fixture_make(f, ROWS, SCENARIOS, TASKS, 25);
    f->inputs[2].width = f->tables[1].width = 3;
    for (int32_t i = 3; i < f->layout.n_inputs; i++) f->inputs[i].column++;
    f->layout.width++;
    f->layout.shared_width++;
}

static double embedded(const model *m, const fixture *f, int32_t row, int32_t c, bool history) {
    const hn_real *numbers = m->params.tables[history].numbers;
    if (!history) return (double)numbers[f->ids[2 * row] * 3 + (uint32_t)c];
    double sum = 0;
    const uint32_t begin = f->list_begin[row], end = f->list_begin[row + 1];
    for (uint32_t i = begin; i < end; i++)
        sum += (double)numbers[f->list_ids[i] * 3 + (uint32_t)c] / (end - begin);
    return sum;
}

/* With all other parameters at 0 a logit is Σ_c e_user[c]·e_history[c]·v_t[c]. */
static void test_pairs(void **state) {
    (void)state;
    fixture f;
    model m;
    hn_real found[ROWS * HEADS_MAX];
    make_pairs_fixture(&f);
    make(&m, &f, "mmoe_pairs");
    const hn_param_info *v = find_param(&m, "pairs.w");
    assert_non_null(v);
    for (size_t i = 0; i < m.params.leaf_count; i++)
        if (i < v->offset || i >= v->offset + count_of(v)) m.params.block[i] = 0;
    assert_true(hn_params_stage(&m.params, m.plan));
    logits_of(found, &m, &f);
    for (int32_t r = 0; r < ROWS; r++)
        for (int32_t t = 0; t < TASKS; t++) {
            double right = 0;
            for (int32_t c = 0; c < 3; c++)
                right += embedded(&m, &f, r, c, false) * embedded(&m, &f, r, c, true) *
                         (double)m.params.block[v->offset + (size_t)(c * TASKS + t)];
            assert_true(fabs((double)found[r * TASKS + t] - right) < 2e-6 * (1 + fabs(right)));
        }
    model_free(&m);
}

static void test_pairs_need_embeddings(void **state) {
    (void)state;
    hn_error err = {0};
    fixture f;
    hn_graph *graph = NULL;
    fixture_make(&f, ROWS, SCENARIOS, TASKS, 26);
    f.inputs[0] = f.inputs[1]; /* the user's value alone */
    f.inputs[0].column = 0;
    f.layout.n_inputs = 1, f.layout.n_tables = 0, f.layout.width = 1, f.layout.shared_width = 1;
    const hn_config_model config = model_case_config(find_case("mmoe_pairs"));
    assert_fails(HN_BAD_CONFIG, "no feature has an embedding",
                 hn_model_record(&graph, &f.layout, &config, &err));
}

/* ---- Refusals --------------------------------------------------------------------------- */

static void test_no_user(void **state) {
    (void)state;
    hn_error err = {0};
    fixture f;
    hn_graph *graph = NULL;
    fixture_make(&f, ROWS, SCENARIOS, TASKS, 24);
    for (int32_t i = 0; i < f.layout.n_inputs; i++)
        if (f.inputs[i].side == HN_SIDE_USER) f.inputs[i].side = HN_SIDE_CONTEXT;
    hn_config_model config = model_case_config(find_case("san_user"));
    assert_fails(HN_BAD_CONFIG, "no feature is of the side user",
                 hn_model_record(&graph, &f.layout, &config, &err));
    config = model_case_config(find_case("tower_gate")); /* its z is then without a user */
    assert_ok(hn_model_record(&graph, &f.layout, &config, &err));
    hn_graph_free(graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_vanish),
        cmocka_unit_test(test_row_weights),
        cmocka_unit_test(test_what_the_weights_depend_on),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_pairs_need_embeddings),
        cmocka_unit_test(test_no_user),
    };
    hn_kernel_enter(); /* sessions run here, on this thread */
    return cmocka_run_group_tests_name("model/options", tests, NULL, NULL);
}
