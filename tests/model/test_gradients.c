/* Analytic gradients of every row of the model table against central differences, in the
 * double build; in every build, that a row trains its own scenario's heads only. */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/cases.h"

enum { ROWS = 24, TASKS = 2, HEADS_MAX = 12, SEED = 5, STEP = 6, WIDTH = 11 };

typedef struct trained {
    model m;
    fixture f;
    hn_session *session;
    hn_grads grads;
    hn_real dx[ROWS * WIDTH];
    hn_real *dense; /* [block_count], 0 where nothing was written */
    double scale[HEADS_MAX];
    size_t samples; /* numbers of a tensor that are checked */
} trained;

static double loss_of(trained *w) {
    assert_true(hn_params_stage(&w->m.params, w->m.plan));
    assert_non_null(hn_session_forward(w->session, &w->m.params, &w->f.rows, 0, ROWS, SEED, STEP));
    double loss[HEADS_MAX] = {0}, sum = 0;
    hn_grads_reset(&w->grads, w->m.plan);
    assert_true(hn_session_backward(w->session, &w->m.params, &w->f.rows, 0, ROWS, w->scale, loss,
                                    &w->grads, w->dx, SEED, STEP));
    for (int32_t i = 0; i < HEADS_MAX; i++) sum += w->scale[i] * loss[i];
    return sum;
}

static void open_case(trained *w, const model_case *row, int32_t scenarios, int32_t tasks) {
    hn_error err = {0};
    memset(w, 0, sizeof *w);
    fixture_make(&w->f, ROWS, scenarios, tasks, 77);
    for (int32_t i = 0; i < HEADS_MAX; i++) w->scale[i] = 0.3 + 0.1 * i;
    const hn_config_model config = model_case_config(row);
    assert_ok(model_make(&w->m, &w->f.layout, &config, HN_MODE_TRAIN, 3, &err));
    assert_ok(hn_session_create(&w->session, w->m.plan, &err));
    assert_ok(hn_grads_create(&w->grads, w->m.plan, &err));
    w->dense = calloc(w->m.params.block_count, sizeof *w->dense);
    loss_of(w);
    assert_true(hn_grads_stage(&w->grads, &w->m.params, w->m.plan));
    for (int32_t i = 0; i < hn_plan_chunks(w->m.plan); i++) {
        const hn_chunk *chunk = hn_plan_chunk(w->m.plan, i);
        if (w->grads.written[i])
            memcpy(w->dense + chunk->offset, w->grads.block + chunk->offset,
                   chunk->count * sizeof *w->dense);
    }
}

static void close_case(trained *w) {
    free(w->dense);
    hn_grads_free(&w->grads);
    hn_session_free(w->session);
    model_free(&w->m);
}

static double difference(trained *w, hn_real *number, double h) {
    const hn_real kept = *number;
    *number = kept + (hn_real)h;
    const double up = loss_of(w);
    *number = kept - (hn_real)h;
    const double down = loss_of(w);
    *number = kept;
    return (up - down) / (2 * h);
}

/* Relative to the tensor's largest gradient. A step that crosses some ReLU's kink gives
 * nonsense, so smaller ones (with more rounding noise) are tried before it counts. */
static void compare(trained *w, const char *name, const char *tensor, size_t i, double found,
                    hn_real *number, double largest) {
    static const double steps[] = {1e-5, 1e-6, 1e-7};
    double expected = 0;
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        expected = difference(w, number, steps[k]);
        if (fabs(found - expected) <= 1e-6 * largest + 2e-14 / steps[k]) return;
    }
    fail_msg("%s: gradient of %s[%zu] is %.12g, central difference %.12g", name, tensor, i, found,
             expected);
}

static double largest_of(const hn_real *numbers, size_t count) {
    double largest = 0;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs((double)numbers[i]));
    return largest;
}

static void check_params(trained *w, const char *name) {
    for (int32_t p = 0; p < hn_plan_params(w->m.plan); p++) {
        const hn_param_info *info = hn_plan_param(w->m.plan, p);
        const size_t count =
            (size_t)info->batch * (size_t)info->rows * (size_t)info->groups * (size_t)info->cols;
        const double largest = largest_of(w->dense + info->offset, count);
        for (size_t i = 0; i < count; i += 1 + count / w->samples)
            compare(w, name, info->name, i, (double)w->dense[info->offset + i],
                    &w->m.params.block[info->offset + i], largest);
    }
}

/* The gradient of a table: dx of every row and input, added at the row of its id. */
static void table_gradient(const trained *w, int32_t table, const hn_real *dx, double *out) {
    const hn_layout *layout = &w->f.layout;
    const hn_rows *rows = &w->f.rows;
    for (int32_t r = 0; r < ROWS; r++)
        for (int32_t k = 0; k < layout->n_inputs; k++) {
            const hn_input *input = &layout->inputs[k];
            if (input->table != table) continue;
            const uint32_t at = (uint32_t)(r * layout->lists + input->slot);
            const bool list = input->kind == HN_INPUT_LIST;
            const uint32_t n = list ? rows->list_begin[at + 1] - rows->list_begin[at] : 1;
            for (uint32_t i = 0; i < n; i++) {
                const uint32_t id = list ? rows->list_ids[rows->list_begin[at] + i]
                                         : rows->ids[r * layout->ids + input->slot];
                const uint64_t to = hn_plan_table_row(w->m.plan, input, id, rows->scenario[r]);
                for (int32_t c = 0; c < input->width; c++)
                    out[to * (uint64_t)input->width + (uint64_t)c] +=
                        (double)dx[r * WIDTH + input->column + c] / (list ? n : 1);
            }
        }
}

static void check_tables(trained *w, const char *name) {
    hn_real dx[ROWS * WIDTH];
    loss_of(w);
    memcpy(dx, w->dx, sizeof dx);
    for (int32_t t = 0; t < w->m.params.n_tables; t++) {
        hn_table *table = &w->m.params.tables[t];
        const size_t count = (size_t)table->rows * (size_t)table->width;
        double *gradient = calloc(count, sizeof *gradient);
        table_gradient(w, t, dx, gradient);
        for (size_t i = 0; i < count; i += 1 + count / w->samples)
            compare(w, name, table->name, i, gradient[i], &table->numbers[i], 0.1);
        free(gradient);
    }
}

static void check_case(const model_case *row, int32_t scenarios, int32_t tasks) {
    trained w;
    open_case(&w, row, scenarios, tasks);
    w.samples = scenarios == 3 && tasks == TASKS ? 12 : 3;
    check_params(&w, row->name);
    check_tables(&w, row->name);
    close_case(&w);
}

static void test_every_model(void **state) {
    (void)state;
    if (sizeof(hn_real) != 8) skip(); /* central differences need the double build */
    for (size_t i = 0; i < n_model_cases; i++) check_case(&model_cases[i], 3, TASKS);
}

static void test_one_and_two_scenarios(void **state) {
    (void)state;
    if (sizeof(hn_real) != 8) skip();
    for (size_t i = 0; i < n_model_cases; i++)
        for (int32_t m = 1; m <= 2; m++) check_case(&model_cases[i], m, TASKS);
}

static void test_other_numbers_of_tasks(void **state) {
    (void)state;
    if (sizeof(hn_real) != 8) skip();
    for (size_t i = 0; i < n_model_cases; i++) {
        check_case(&model_cases[i], 3, 1);
        check_case(&model_cases[i], 2, 4);
        check_case(&model_cases[i], 1, 1);
    }
}

/* Rows of scenario 1 only: towers (and all else by scenario) of 0 and 2 stay untouched. */
static void test_own_heads_only(void **state) {
    (void)state;
    const model_case *row = &model_cases[0];
    trained w;
    open_case(&w, row, 3, TASKS);
    for (int32_t r = 0; r < ROWS; r++) w.f.scenario[r] = 1;
    loss_of(&w);
    int32_t own = 0;
    for (int32_t i = 0; i < hn_plan_chunks(w.m.plan); i++)
        for (int32_t p = 0; p < hn_plan_params(w.m.plan); p++) {
            const hn_param_info *info = hn_plan_param(w.m.plan, p);
            const size_t matrix = (size_t)info->rows * (size_t)info->groups * (size_t)info->cols;
            const size_t offset = hn_plan_chunk(w.m.plan, i)->offset;
            if (strncmp(info->name, "tower.w", 7) != 0 || offset < info->offset ||
                offset >= info->offset + matrix * (size_t)info->batch)
                continue;
            const bool is_own = (offset - info->offset) / matrix / (size_t)(info->batch / 3) == 1;
            if (w.grads.written[i] != is_own)
                fail_msg("chunk %d of %s: written %d", i, info->name, w.grads.written[i]);
            own += is_own;
        }
    assert_int_equal(own, 4); /* 2 layers × 2 tasks */
    close_case(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_model),
        cmocka_unit_test(test_one_and_two_scenarios),
        cmocka_unit_test(test_other_numbers_of_tasks),
        cmocka_unit_test(test_own_heads_only),
    };
    hn_kernel_enter(); /* sessions run here, on this thread */
    return cmocka_run_group_tests_name("model/gradients", tests, NULL, NULL);
}
