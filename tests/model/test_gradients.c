/* Analytic gradients of every row of the model table against central differences, in the
 * double build; in every build, that a row trains its own scenario's heads only.
 *
 * Where a model stops a gradient, the gradient is that of a function in which what was stopped
 * is a constant. So stops are made copies, whose numbers stay those of the first forward pass
 * while parameters are moved about. */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "graph/ops.h"
#include "model/cases.h"

enum { ROWS = 12, TASKS = 2, HEADS_MAX = 12, SEED = 5, STEP = 6, WIDTH = 11 };

static char STOPPED[] = "stopped"; /* the name of a copy that was a stop */

typedef struct trained {
    model m;
    fixture f;
    hn_session *session;
    hn_grads grads;
    hn_real dx[ROWS * WIDTH];
    hn_real *dense; /* [block_count], 0 where nothing was written */
    double scale[HEADS_MAX];
    size_t samples; /* numbers of a tensor that are also moved one by one */
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

/* Row-stage stops as copies with memory of their own; returns how many. */
static int32_t copy_stops(hn_graph *graph) {
    int32_t n = 0;
    for (size_t i = 0; i < graph->n_steps; i++) {
        hn_step *step = &graph->steps[i];
        hn_node *node = &graph->nodes[step->out];
        if (step->op != HN_OP_STOP || node->shape.param) continue;
        hn_error err;
        assert_ok(hn_grow(&graph->storages, &graph->storage_capacity, graph->n_storages + 1,
                          sizeof *graph->storages, &err));
        graph->storages[graph->n_storages] = graph->storages[node->storage];
        node->storage = (int32_t)graph->n_storages++;
        step->op = HN_OP_AFFINE;
        step->scale = 1;
        step->name = STOPPED;
        n++;
    }
    return n;
}

/* From now on the copies keep what they hold. */
static void freeze_stops(hn_graph *graph) {
    for (size_t i = 0; i < graph->n_steps; i++)
        if (graph->steps[i].name == STOPPED) graph->steps[i].op = HN_OP_VIEW;
}

static void open_case(trained *w, const model_case *row, int32_t scenarios, int32_t tasks) {
    hn_error err = {0};
    memset(w, 0, sizeof *w);
    fixture_make(&w->f, ROWS, scenarios, tasks, 77);
    for (int32_t i = 0; i < HEADS_MAX; i++) w->scale[i] = 0.3 + 0.1 * i;
    const hn_config_model config = model_case_config(row);
    assert_ok(hn_model_record(&w->m.graph, &w->f.layout, &config, &err));
    copy_stops(w->m.graph);
    assert_ok(model_plan(&w->m, HN_MODE_TRAIN, 3, &err));
    assert_ok(hn_session_create(&w->session, w->m.plan, &err));
    assert_ok(hn_grads_create(&w->grads, w->m.plan, &err));
    w->dense = calloc(w->m.params.block_count, sizeof *w->dense);
    loss_of(w);
    freeze_stops(w->m.graph);
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

/* Which way the i-th of `count` numbers moves: one alone, or each up or down. */
static double way(size_t i, size_t count) {
    return count == 1 || hn_random(SEED, HN_STREAM_TEST, i) % 2 ? 1 : -1;
}

static void move(hn_real *numbers, const hn_real *kept, size_t count, double h) {
    for (size_t i = 0; i < count; i++) numbers[i] = kept[i] + (hn_real)(h * way(i, count));
}

static double difference(trained *w, hn_real *numbers, size_t count, double h) {
    hn_real *kept = calloc(count, sizeof *kept);
    memcpy(kept, numbers, count * sizeof *kept);
    move(numbers, kept, count, h);
    const double up = loss_of(w);
    move(numbers, kept, count, -h);
    const double down = loss_of(w);
    memcpy(numbers, kept, count * sizeof *kept);
    free(kept);
    return (up - down) / (2 * h);
}

/* The derivative where `count` numbers from the i-th on move together. Relative to the tensor's
 * largest gradient. A step that crosses some ReLU's kink gives nonsense, so smaller ones (with more
 * rounding noise) are tried before it counts. */
static void compare(trained *w, const char *name, const char *tensor, size_t i, size_t count,
                    const hn_real *gradient, hn_real *numbers, double largest) {
    static const double steps[] = {1e-5, 1e-6, 1e-7, 1e-8};
    double expected = 0, found = 0;
    for (size_t k = 0; k < count; k++) found += (double)gradient[i + k] * way(k, count);
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        expected = difference(w, numbers + i, count, steps[k]);
        if (fabs(found - expected) <= 1e-6 * largest + 2e-14 / steps[k]) return;
    }
    fail_msg("%s: gradient of %s[%zu] and %zu more is %.12g, central difference %.12g", name,
             tensor, i, count - 1, found, expected);
}

static double largest_of(const hn_real *numbers, size_t count) {
    double largest = 0;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs((double)numbers[i]));
    return largest;
}

/* All numbers of a tensor at once, and some of them alone. */
static void check_tensor(trained *w, const char *name, const char *tensor, size_t count,
                         const hn_real *gradient, hn_real *numbers, double largest) {
    compare(w, name, tensor, 0, count, gradient, numbers, largest * sqrt((double)count));
    for (size_t i = 0; w->samples > 0 && i < count; i += 1 + count / w->samples)
        compare(w, name, tensor, i, 1, gradient, numbers, largest);
}

static void check_params(trained *w, const char *name) {
    for (int32_t p = 0; p < hn_plan_params(w->m.plan); p++) {
        const hn_param_info *info = hn_plan_param(w->m.plan, p);
        const size_t count =
            (size_t)info->batch * (size_t)info->rows * (size_t)info->groups * (size_t)info->cols;
        check_tensor(w, name, info->name, count, w->dense + info->offset,
                     &w->m.params.block[info->offset], largest_of(w->dense + info->offset, count));
    }
}

/* The gradient of a table: dx of every row and input, added at the row of its id. */
static void table_gradient(const trained *w, int32_t table, const hn_real *dx, hn_real *out) {
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
                        dx[r * WIDTH + input->column + c] / (hn_real)(list ? n : 1);
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
        hn_real *gradient = calloc(count, sizeof *gradient);
        table_gradient(w, t, dx, gradient);
        check_tensor(w, name, table->name, count, gradient, table->numbers, 0.1);
        free(gradient);
    }
}

static void check_case(const model_case *row, int32_t scenarios, int32_t tasks) {
    trained w;
    open_case(&w, row, scenarios, tasks);
    w.samples = scenarios == 3 && tasks == TASKS ? 2 : 0;
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

static void set_hmoe(hn_config_model *c) { c->kind = HN_MODEL_HMOE; }

static int32_t stops_of(hn_model_kind kind) {
    hn_error err = {0};
    fixture f;
    hn_graph *graph = NULL;
    hn_config_model config = model_case_config(&model_cases[0]);
    config.kind = kind;
    fixture_make(&f, ROWS, 3, TASKS, 77);
    assert_ok(hn_model_record(&graph, &f.layout, &config, &err));
    const int32_t n = copy_stops(graph);
    hn_graph_free(graph);
    return n;
}

/* Were they missing, the differences above would agree all the same. */
static void test_who_stops_gradients(void **state) {
    (void)state;
    assert_int_equal(stops_of(HN_MODEL_HMOE), 1);
    assert_int_equal(stops_of(HN_MODEL_PEPNET), 2);
    assert_int_equal(stops_of(HN_MODEL_STAR), 0);
    assert_int_equal(stops_of(HN_MODEL_CROSS_STITCH), 0);
}

/* HMoE's heads learn nothing from rows of other scenarios, whose logits they are part of. */
static void test_hmoe_heads_learn_from_their_own(void **state) {
    (void)state;
    const model_case row = {"hmoe", set_hmoe};
    trained w;
    open_case(&w, &row, 3, TASKS);
    for (int32_t r = 0; r < ROWS; r++) w.f.scenario[r] = 1;
    loss_of(&w);
    int32_t seen = 0;
    for (int32_t p = 0; p < hn_plan_params(w.m.plan); p++) {
        const hn_param_info *info = hn_plan_param(w.m.plan, p);
        if (strncmp(info->name, "tower.w", 7) != 0 && strcmp(info->name, "tower.out.w") != 0)
            continue;
        const size_t matrix = (size_t)info->rows * (size_t)info->groups * (size_t)info->cols;
        for (int32_t head = 0; head < 3 * TASKS; head++) {
            const double largest =
                largest_of(w.grads.block + info->offset + (size_t)head * matrix, matrix);
            assert_int_equal(largest > 0, head / TASKS == 1);
            seen++;
        }
    }
    assert_int_equal(seen, 3 * 3 * TASKS);
    close_case(&w);
}

/* ---- Backward to one parameter alone ------------------------------------------------------- */

static void assert_leaf_alone(const trained *w, const hn_grads *grads, const char *name,
                              int32_t param) {
    const hn_param_info *const info = hn_plan_param(w->m.plan, param);
    const size_t end = info->offset + (size_t)info->batch * (size_t)info->rows *
                                          (size_t)info->groups * (size_t)info->cols;
    for (int32_t i = 0; i < hn_plan_chunks(w->m.plan); i++) {
        const hn_chunk *const chunk = hn_plan_chunk(w->m.plan, i);
        if (chunk->offset >= w->m.params.leaf_count) break;
        const bool own = chunk->offset >= info->offset && chunk->offset < end;
        if (!own && grads->written[i]) fail_msg("%s: %s writes more than itself", name, info->name);
        if (!own) continue;
        for (size_t k = 0; k < chunk->count; k++) {
            const hn_real found = grads->written[i] ? grads->block[chunk->offset + k] : 0;
            if (found != w->dense[chunk->offset + k])
                fail_msg("%s: the gradient of %s differs alone", name, info->name);
        }
    }
}

static void test_one_parameter_alone(void **state) {
    (void)state;
    hn_error err = {0};
    for (size_t i = 0; i < n_model_cases; i++) {
        trained w;
        open_case(&w, &model_cases[i], 3, TASKS);
        hn_grads alone = {0};
        assert_ok(hn_grads_create(&alone, w.m.plan, &err));
        int32_t *const chunks = calloc((size_t)hn_plan_chunks(w.m.plan), sizeof *chunks);
        for (int32_t p = 0; p < hn_plan_params(w.m.plan); p++) {
            uint8_t *wanted;
            double loss[HEADS_MAX] = {0};
            assert_ok(hn_plan_wanted(&wanted, w.m.plan, p, &err));
            alone.wanted = wanted;
            hn_grads_reset(&alone, w.m.plan);
            assert_true(hn_session_backward(w.session, &w.m.params, &w.f.rows, 0, ROWS, w.scale,
                                            loss, &alone, NULL, SEED, STEP));
            const int32_t n = hn_plan_wanted_chunks(chunks, w.m.plan, wanted);
            int32_t written = 0, listed = 0;
            for (int32_t k = 0; k < hn_plan_chunks(w.m.plan); k++) written += alone.written[k];
            for (int32_t k = 0; k < n; k++) listed += alone.written[chunks[k]];
            assert_int_equal(written, listed);
            assert_true(hn_grads_stage(&alone, &w.m.params, w.m.plan));
            assert_leaf_alone(&w, &alone, model_cases[i].name, p);
            hn_free(wanted);
        }
        free(chunks);
        hn_grads_free(&alone);
        close_case(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_model),
        cmocka_unit_test(test_one_and_two_scenarios),
        cmocka_unit_test(test_other_numbers_of_tasks),
        cmocka_unit_test(test_one_parameter_alone),
        cmocka_unit_test(test_own_heads_only),
        cmocka_unit_test(test_who_stops_gradients),
        cmocka_unit_test(test_hmoe_heads_learn_from_their_own),
    };
    hn_kernel_enter(); /* sessions run here, on this thread */
    return cmocka_run_group_tests_name("model/gradients", tests, NULL, NULL);
}
