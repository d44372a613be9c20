/* What is known of a rival without computing it: where its special parameters start, which
 * simpler model it is when they say nothing, who is listened to, and what a row costs. That
 * gradients, doors and threads are right is said by the table of cases for every model. */
#include "support.h"

#include <math.h>
#include <string.h>

#include "model/cases.h"

enum { ROWS = 40, TASKS_MAX = 4 };

/* A model for inference with its rows; numbers as initialised, or shaken. */
typedef struct bench {
    fixture f;
    model m;
    hn_session *session;
} bench;

static hn_config_model config_of(hn_model_kind kind) {
    const model_case *row = &model_cases[0];
    hn_config_model config = model_case_config(row);
    config.kind = kind;
    return config;
}

static void open_bench(bench *b, const hn_config_model *config, int32_t scenarios, int32_t tasks,
                       bool shaken) {
    hn_error err = {0};
    memset(b, 0, sizeof *b);
    fixture_make(&b->f, ROWS, scenarios, tasks, 31);
    assert_ok(model_make(&b->m, &b->f.layout, config, HN_MODE_INFER, 5, &err));
    if (!shaken) hn_params_init(&b->m.params, b->m.plan, 5, 0.5, NULL);
    assert_true(hn_params_stage(&b->m.params, b->m.plan));
    assert_ok(hn_session_create(&b->session, b->m.plan, &err));
}

static void close_bench(bench *b) {
    hn_session_free(b->session);
    model_free(&b->m);
}

static size_t count_of(const hn_param_info *p) {
    return (size_t)p->batch * (size_t)p->rows * (size_t)p->groups * (size_t)p->cols;
}

static const hn_param_info *find(const bench *b, const char *name) {
    for (int32_t i = 0; i < hn_plan_params(b->m.plan); i++)
        if (strcmp(hn_plan_param(b->m.plan, i)->name, name) == 0)
            return hn_plan_param(b->m.plan, i);
    return NULL;
}

static hn_real *numbers_of(const bench *b, const char *name) {
    const hn_param_info *info = find(b, name);
    if (!info) fail_msg("no parameter %s", name);
    return b->m.params.block + info->offset;
}

/* Every number of the parameter becomes `value`. */
static void set_all(bench *b, const char *name, hn_real value) {
    hn_real *at = numbers_of(b, name);
    const size_t count = count_of(find(b, name));
    for (size_t i = 0; i < count; i++) at[i] = value;
    assert_true(hn_params_stage(&b->m.params, b->m.plan));
}

/* `to` takes the tables and all parameters of `from`, which must have as many numbers in it. */
static void take(bench *to, const bench *from) {
    for (int32_t i = 0; i < hn_plan_params(from->m.plan); i++) {
        const hn_param_info *p = hn_plan_param(from->m.plan, i);
        hn_real *at = numbers_of(to, p->name);
        assert_int_equal(count_of(find(to, p->name)), count_of(p));
        memcpy(at, from->m.params.block + p->offset, count_of(p) * sizeof *at);
    }
    for (int32_t t = 0; t < to->m.params.n_tables; t++)
        memcpy(to->m.params.tables[t].numbers, from->m.params.tables[t].numbers,
               (size_t)(to->m.params.tables[t].rows * (uint64_t)to->m.params.tables[t].width) *
                   sizeof(hn_real));
    assert_true(hn_params_stage(&to->m.params, to->m.plan));
}

/* logits [ROWS][T], all rows as members of `scenario`; -1: each of its own. */
static void score(hn_real *logits, bench *b, int32_t scenario) {
    const fixture kept = b->f;
    for (int32_t r = 0; scenario >= 0 && r < ROWS; r++) b->f.scenario[r] = (uint16_t)scenario;
    const hn_real *at = hn_session_forward(b->session, &b->m.params, &b->f.rows, 0, ROWS, 0, 0);
    assert_non_null(at);
    memcpy(logits, at, (size_t)(ROWS * b->f.layout.tasks) * sizeof *logits);
    memcpy(b->f.scenario, kept.scenario, sizeof kept.scenario);
}

/* ---- Where they start ------------------------------------------------------------------ */

static void check_stitch(int32_t tasks, double diagonal) {
    bench b;
    hn_config_model config = config_of(HN_MODEL_CROSS_STITCH);
    config.stitch_diagonal = diagonal;
    open_bench(&b, &config, 3, tasks, false);
    for (int32_t l = 1; l <= 2; l++) {
        const hn_real *at = numbers_of(&b, l == 1 ? "stitch.1" : "stitch.2");
        for (int32_t i = 0; i < tasks; i++)
            for (int32_t j = 0; j < tasks; j++) {
                const double start = i == j ? diagonal : (1 - diagonal) / (tasks - 1);
                assert_true(fabs((double)at[i * tasks + j] - start) < 1e-7);
            }
    }
    assert_null(find(&b, "stitch.3"));
    close_bench(&b);
}

static void test_stitches_start_near_the_diagonal(void **state) {
    (void)state;
    check_stitch(2, 0.9);
    check_stitch(4, 0.9);
    check_stitch(3, 0.5);
    check_stitch(3, 1);
}

/* At the start the points of the star are the centre: only e_i tells scenarios apart. */
static void test_star_starts_as_one_network(void **state) {
    (void)state;
    bench b;
    const hn_config_model config = config_of(HN_MODEL_STAR);
    hn_real first[ROWS * 2], other[ROWS * 2];
    open_bench(&b, &config, 3, 2, false);
    score(first, &b, 0);
    score(other, &b, 2);
    assert_memory_not_equal(first, other, sizeof first);
    set_all(&b, "scenario.e", (hn_real)0.1);
    score(first, &b, 0);
    score(other, &b, 2);
    assert_memory_equal(first, other, sizeof first);
    numbers_of(&b, "bottom.scenario.w1")[2 * 11 * 8] = 3; /* the last scenario's first */
    assert_true(hn_params_stage(&b.m.params, b.m.plan));
    score(other, &b, 2);
    assert_memory_not_equal(first, other, sizeof first);
    score(other, &b, 0);
    assert_memory_equal(first, other, sizeof first);
    close_bench(&b);
}

/* ---- Which simpler model they are --------------------------------------------------------- */

/* `rich` with all of `plain`'s parameters gives the bits of `plain`, once `silence` has made
 * its own say nothing. */
static void check_same(hn_model_kind rich, hn_model_kind plain, int32_t scenarios, int32_t tasks,
                       void (*silence)(bench *)) {
    bench a, b;
    hn_real expected[ROWS * TASKS_MAX], found[ROWS * TASKS_MAX];
    const hn_config_model plainly = config_of(plain), richly = config_of(rich);
    open_bench(&a, &plainly, scenarios, tasks, true);
    open_bench(&b, &richly, scenarios, tasks, true);
    take(&b, &a);
    if (silence) silence(&b);
    score(expected, &a, -1);
    score(found, &b, -1);
    assert_memory_equal(expected, found, (size_t)(ROWS * tasks) * sizeof *found);
    close_bench(&a);
    close_bench(&b);
}

static void open_all_gates(bench *b) {
    static const char *const names[] = {"epnet.w2",   "epnet.b2",   "ppnet.1.w2", "ppnet.1.b2",
                                        "ppnet.2.w2", "ppnet.2.b2", "ppnet.3.w2", "ppnet.3.b2"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) set_all(b, names[i], 0);
}

static void test_simpler_models_inside(void **state) {
    (void)state;
    check_same(HN_MODEL_CROSS_STITCH, HN_MODEL_SHARED_BOTTOM, 3, 1, NULL);
    check_same(HN_MODEL_PEPNET, HN_MODEL_SHARED_BOTTOM, 3, 1, open_all_gates);
    check_same(HN_MODEL_HMOE, HN_MODEL_MMOE, 1, 3, NULL);
}

/* ---- Who is listened to ---------------------------------------------------------------------- */

/* Where every cell listens to the heads of scenario 2, a row gets what it gets there. */
static void test_hmoe_listens_to_heads(void **state) {
    (void)state;
    bench b;
    const hn_config_model config = config_of(HN_MODEL_HMOE);
    hn_real logits[3][ROWS * 2];
    open_bench(&b, &config, 3, 2, true);
    for (int32_t i = 0; i < 3; i++) score(logits[i], &b, i);
    assert_memory_not_equal(logits[0], logits[2], sizeof logits[0]);
    hn_real *bias = numbers_of(&b, "scenario.gate.b"); /* [M][T × M] */
    for (int32_t k = 0; k < 6; k++) bias[k * 3 + 2] += 200;
    assert_true(hn_params_stage(&b.m.params, b.m.plan));
    for (int32_t i = 0; i < 3; i++) score(logits[i], &b, i);
    assert_memory_equal(logits[0], logits[2], sizeof logits[0]);
    assert_memory_equal(logits[1], logits[2], sizeof logits[0]);
    close_bench(&b);
}

/* Task 0 that takes nothing of task 1 keeps its logit whatever task 1's layers are. */
static void test_stitches_carry_between_tasks(void **state) {
    (void)state;
    bench b;
    const hn_config_model config = config_of(HN_MODEL_CROSS_STITCH);
    hn_real before[ROWS * 2], after[ROWS * 2];
    open_bench(&b, &config, 3, 2, true);
    numbers_of(&b, "stitch.1")[1] = numbers_of(&b, "stitch.2")[1] = 0; /* α[0][1] */
    score(before, &b, -1);
    numbers_of(&b, "bottom.b1")[8 + 2] += 2; /* of task 1 */
    numbers_of(&b, "bottom.b1")[8 + 5] += 2;
    score(after, &b, -1);
    int32_t moved = 0;
    for (int32_t r = 0; r < ROWS; r++) {
        assert_true(before[2 * r] == after[2 * r]);
        moved += before[2 * r + 1] != after[2 * r + 1];
    }
    assert_true(moved > ROWS / 2);
    close_bench(&b);
}

/* ---- What a row costs ---------------------------------------------------------------------- */

static void check_flops(hn_model_kind kind, double products) {
    bench b;
    const hn_config_model config = config_of(kind);
    open_bench(&b, &config, 3, 2, true);
    if ((double)hn_plan_flops(b.m.plan) != 2 * products)
        fail_msg("%s: %lld flops, expected %g", hn_model_name(kind),
                 (long long)hn_plan_flops(b.m.plan), 2 * products);
    close_bench(&b);
}

/* x has 11 columns, 6 of the user and 5 of the item; the bottom is 8, 5, towers 5, 3. */
static void test_flops_by_hand(void **state) {
    (void)state;
    const double bottom = 11 * 8 + 8 * 5, tower = 5 * 5 + 5 * 3 + 3;
    check_flops(HN_MODEL_HMOE,
                3 * (11 * 7 + 7 * 5) + 11 * 6 * 3 + 6 * tower + 11 * 2 * 3); /* all heads */
    check_flops(HN_MODEL_CROSS_STITCH, 2 * bottom + 2 * tower);
    check_flops(HN_MODEL_STAR, bottom + 2 * tower + (11 + 4) * 4 + 4 * 2);
    check_flops(HN_MODEL_PEPNET, (11 + 4) * 3 + 3 * 11 + bottom + (11 + 6 + 5 + 4) * 3 * 3 +
                                     3 * 2 * (5 + 5 + 3) + 2 * tower);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stitches_start_near_the_diagonal),
        cmocka_unit_test(test_star_starts_as_one_network),
        cmocka_unit_test(test_simpler_models_inside),
        cmocka_unit_test(test_hmoe_listens_to_heads),
        cmocka_unit_test(test_stitches_carry_between_tasks),
        cmocka_unit_test(test_flops_by_hand),
    };
    hn_kernel_enter(); /* sessions run here, on this thread */
    return cmocka_run_group_tests_name("model/rivals", tests, NULL, NULL);
}
