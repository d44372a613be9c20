/* The trainer's step: against a double reference for every optimizer, the same bytes on any
 * number of threads, what is left alone, and how it fails. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel.h"
#include "reference.h"

static const double TOLERANCE = sizeof(hn_real) == 8 ? 1e-12 : 2e-5;

typedef struct setup {
    hn_config config;
    hn_pool *pool;
    hn_trainer *trainer;
} setup;

static void start(setup *s, const hn_config *config, int32_t threads) {
    hn_error err = {0};
    *s = (setup){.config = *config};
    assert_ok(hn_pool_create(&s->pool, threads, &err));
    assert_ok(hn_trainer_create(&s->trainer, fixture_layout(), &s->config, s->pool, 0, &err));
}

static void stop(setup *s) {
    hn_trainer_free(s->trainer);
    hn_pool_free(s->pool);
}

static double step(const setup *s, int32_t rows, uint64_t seed) {
    hn_error err = {0};
    double loss;
    fixture_rows f = fixture_make_rows(rows, seed);
    assert_ok(hn_trainer_step(&loss, s->trainer, &f.rows, 1, &err));
    fixture_free_rows(&f);
    return loss;
}

/* ---- The reference ----------------------------------------------------------------------- */

static void follow(const hn_config *config) {
    static const int32_t sizes[] = {600, 1, 77, 1024, 130};
    hn_error err = {0};
    setup s;
    reference ref;
    start(&s, config, 2);
    const hn_plan *const plan = hn_trainer_plan(s.trainer);
    reference_init(&ref, plan, hn_trainer_params(s.trainer));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const double rate_scale = 1 - 0.1 * (double)i;
        fixture_rows f = fixture_make_rows(sizes[i], i + 1);
        double loss;
        assert_ok(hn_trainer_step(&loss, s.trainer, &f.rows, rate_scale, &err));
        const double expected = reference_step(&ref, &f.rows, config, rate_scale);
        fixture_free_rows(&f);
        if (!(fabs(loss - expected) <= TOLERANCE * 10))
            fail_msg("loss %.12g, expected %.12g", loss, expected);
        const double far = reference_distance(&ref, plan, hn_trainer_params(s.trainer));
        if (!(far <= TOLERANCE)) fail_msg("step %d: parameters differ by %g", (int)i, far);
    }
    reference_free(&ref);
    stop(&s);
}

static void follows_the_reference(void **state) {
    (void)state;
    static const struct {
        hn_optimizer optimizer;
        hn_reduce reduce;
        double decay, embedding_rate, embedding_decay;
        bool decoupled;
    } cases[] = {
        {HN_ADAM, HN_REDUCE_ROWS, 0, 0, 0, false},
        {HN_ADAM, HN_REDUCE_CELLS, 0.02, 0.03, 0.05, false},
        {HN_ADAM, HN_REDUCE_ROWS, 0.3, 0, 0.5, true},
        {HN_ADAGRAD, HN_REDUCE_ROWS, 0.01, 0.02, 0, false},
        {HN_ADAGRAD, HN_REDUCE_CELLS, 0.1, 0, 0.2, true},
        {HN_SGD, HN_REDUCE_ROWS, 0, 0, 0, false},
        {HN_SGD, HN_REDUCE_CELLS, 0.05, 0.5, 0.01, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hn_config config = fixture_config();
        config.train.optimizer = cases[i].optimizer;
        config.train.reduce = cases[i].reduce;
        config.train.weight_decay = cases[i].decay;
        config.train.embedding_rate = cases[i].embedding_rate;
        config.train.embedding_decay = cases[i].embedding_decay;
        config.train.decoupled = cases[i].decoupled;
        follow(&config);
    }
}

/* ---- Threads and shards ------------------------------------------------------------------ */

static void assert_same(const hn_params *a, const hn_params *b) {
    assert_memory_equal(a->block, b->block, a->block_count * sizeof(hn_real));
    for (int32_t t = 0; t < a->n_tables; t++)
        assert_memory_equal(a->tables[t].numbers, b->tables[t].numbers,
                            (size_t)a->tables[t].rows * (size_t)a->tables[t].width *
                                sizeof(hn_real));
}

static void any_threads_give_the_same_bytes(void **state) {
    (void)state;
    for (int k = 0; k < 2 * HN_MODELS; k++) { /* every model, then with a task after another */
        hn_config config = fixture_config();
        config.model.kind = (hn_model_kind)(k % HN_MODELS);
        config.model.gate_width = 3;
        config.model.order_penalty = 0.6;
        config.model.after[1] = k >= HN_MODELS;
        config.model.embedding_dropout = 0.2;
        config.train.shards = 7;
        setup one, four;
        start(&one, &config, 1);
        start(&four, &config, 4);
        for (uint64_t i = 0; i < 6; i++) {
            const int32_t rows = i % 2 ? 1000 : 333;
            const double a = step(&one, rows, i), b = step(&four, rows, i);
            assert_memory_equal(&a, &b, sizeof a);
            assert_true(isfinite(a));
        }
        assert_same(hn_trainer_params(one.trainer), hn_trainer_params(four.trainer));
        stop(&one);
        stop(&four);
    }
}

/* Shards cut the sums elsewhere: other bytes, but no other result. */
static void shards_change_rounding_only(void **state) {
    (void)state;
    hn_config config = fixture_config();
    setup few, many;
    config.train.shards = 1;
    start(&few, &config, 2);
    config.train.shards = 16;
    start(&many, &config, 2);
    for (uint64_t i = 0; i < 4; i++)
        assert_true(fabs(step(&few, 1024, i) - step(&many, 1024, i)) < 1e-6);
    const hn_params *const a = hn_trainer_params(few.trainer), *const b =
                                                                   hn_trainer_params(many.trainer);
    bool same = true;
    for (size_t i = 0; i < a->leaf_count; i++) {
        same &= a->block[i] == b->block[i];
        assert_true(fabs((double)(a->block[i] - b->block[i])) < TOLERANCE);
    }
    assert_false(same);
    stop(&few);
    stop(&many);
}

/* ---- What is left alone ------------------------------------------------------------------ */

static void untouched_rows_stay(void **state) {
    (void)state;
    hn_config config = fixture_config();
    config.train.embedding_decay = 0.1;
    setup s;
    start(&s, &config, 2);
    for (uint64_t i = 0; i < 3; i++) step(&s, 500, i); /* every row has moments now */
    const hn_table *const table = &hn_trainer_params(s.trainer)->tables[0];
    const size_t row = (size_t)table->width * sizeof(hn_real);
    hn_real *const before = malloc((size_t)table->rows * row);
    memcpy(before, table->numbers, (size_t)table->rows * row);
    fixture_rows f = fixture_make_rows(12, 9);
    hn_error err = {0};
    double loss;
    assert_ok(hn_trainer_step(&loss, s.trainer, &f.rows, 1, &err));
    uint8_t used[1000] = {0};
    for (int32_t r = 0; r < 12; r++) used[f.ids[2 * r]] = 1;
    for (uint64_t id = 0; id < table->rows; id++) {
        const size_t at = id * (size_t)table->width;
        assert_true((memcmp(before + at, table->numbers + at, row) != 0) == (used[id] != 0));
    }
    free(before);
    fixture_free_rows(&f);
    stop(&s);
}

/* Tables by scenario: rows of one scenario touch its copies only. */
static void a_scenario_trains_its_own_tables(void **state) {
    (void)state;
    hn_config config = fixture_config();
    config.model.kind = HN_MODEL_SINGLE;
    setup s, twin;
    start(&s, &config, 2);
    start(&twin, &config, 2);
    fixture_rows f = fixture_make_rows(200, 3);
    for (int32_t r = 0; r < 200; r++) f.scenario[r] = 1;
    hn_error err = {0};
    double loss;
    assert_ok(hn_trainer_step(&loss, s.trainer, &f.rows, 1, &err));
    for (int32_t t = 0; t < 3; t++) {
        const hn_table *const a = &hn_trainer_params(s.trainer)->tables[t];
        const hn_table *const b = &hn_trainer_params(twin.trainer)->tables[t];
        const size_t copy = (size_t)a->rows / 3 * (size_t)a->width;
        assert_memory_equal(a->numbers, b->numbers, copy * sizeof(hn_real));
        assert_memory_not_equal(a->numbers + copy, b->numbers + copy, copy * sizeof(hn_real));
        assert_memory_equal(a->numbers + 2 * copy, b->numbers + 2 * copy, copy * sizeof(hn_real));
    }
    fixture_free_rows(&f);
    stop(&s);
    stop(&twin);
}

/* Without labels nothing pulls, but dense moments go on. */
static void a_batch_without_labels_has_no_loss(void **state) {
    (void)state;
    hn_config config = fixture_config();
    setup s;
    start(&s, &config, 1);
    fixture_rows f = fixture_make_rows(100, 3);
    memset(f.labels, HN_LABEL_ABSENT, 200);
    hn_error err = {0};
    double loss;
    assert_ok(hn_trainer_step(&loss, s.trainer, &f.rows, 1, &err));
    assert_true(loss == 0);
    fixture_free_rows(&f);
    assert_true(isfinite(step(&s, 100, 4)));
    stop(&s);
}

/* ---- Failing ----------------------------------------------------------------------------- */

static void nothing_is_updated_when_not_finite(void **state) {
    (void)state;
    hn_config config = fixture_config();
    setup s, twin;
    start(&s, &config, 2);
    start(&twin, &config, 2);
    step(&s, 300, 1), step(&twin, 300, 1);
    fixture_rows f = fixture_make_rows(700, 2);
    hn_error err = {0};
    double loss;
    f.values[2 * 650] = INFINITY;
    assert_fails(HN_NOT_FINITE, "first bad tensor is",
                 hn_trainer_step(&loss, s.trainer, &f.rows, 1, &err));
    assert_true(isnan(loss));
    assert_same(hn_trainer_params(s.trainer), hn_trainer_params(twin.trainer));
    /* and the next step is as if nothing had been */
    const double a = step(&s, 300, 3), b = step(&twin, 300, 3);
    assert_memory_equal(&a, &b, sizeof a);
    assert_same(hn_trainer_params(s.trainer), hn_trainer_params(twin.trainer));
    fixture_free_rows(&f);
    stop(&s);
    stop(&twin);
}

static void a_bad_parameter_is_named(void **state) {
    (void)state;
    hn_config config = fixture_config();
    setup s;
    start(&s, &config, 1);
    hn_params *const params = hn_trainer_params(s.trainer);
    const hn_plan *const plan = hn_trainer_plan(s.trainer);
    for (int32_t i = 0; i < hn_plan_params(plan); i++)
        if (strcmp(hn_plan_param(plan, i)->name, "tower.w1") == 0)
            params->block[hn_plan_param(plan, i)->offset] = (hn_real)NAN;
    fixture_rows f = fixture_make_rows(100, 2);
    hn_error err = {0};
    double loss;
    assert_fails(HN_NOT_FINITE, "tower.w1", hn_trainer_step(&loss, s.trainer, &f.rows, 1, &err));
    fixture_free_rows(&f);
    stop(&s);
}

static void impossible_batches_are_refused(void **state) {
    (void)state;
    hn_config config = fixture_config();
    setup s;
    hn_error err = {0};
    double loss;
    config.train.batch = 64;
    start(&s, &config, 1);
    fixture_rows f = fixture_make_rows(65, 2);
    assert_fails(HN_USAGE, "65 rows", hn_trainer_step(&loss, s.trainer, &f.rows, 1, &err));
    f.rows.rows = 0;
    assert_fails(HN_USAGE, "0 rows", hn_trainer_step(&loss, s.trainer, &f.rows, 1, &err));
    f.rows.rows = 64;
    f.rows.labels = NULL;
    assert_fails(HN_USAGE, "no labels", hn_trainer_step(&loss, s.trainer, &f.rows, 1, &err));
    fixture_free_rows(&f);
    stop(&s);
}

static void memory_is_refused_with_the_need(void **state) {
    (void)state;
    hn_config config = fixture_config();
    hn_pool *pool;
    hn_trainer *trainer;
    hn_error err = {0};
    assert_ok(hn_pool_create(&pool, 1, &err));
    assert_fails(HN_NO_MEMORY, "--memory",
                 hn_trainer_create(&trainer, fixture_layout(), &config, pool, 10000, &err));
    assert_null(trainer);
    config.train.batch = 0;
    assert_fails(HN_BAD_CONFIG, "batch",
                 hn_trainer_create(&trainer, fixture_layout(), &config, pool, 0, &err));
    hn_pool_free(pool);
}

/* The stated need is what is taken, within a tenth. */
static void the_need_is_the_memory_taken(void **state) {
    (void)state;
    hn_config config = fixture_config();
    config.train.batch = 8192;
    hn_pool *pool;
    hn_trainer *trainer;
    hn_error err = {0};
    assert_ok(hn_pool_create(&pool, 2, &err));
    assert_fails(HN_NO_MEMORY, "needs",
                 hn_trainer_create(&trainer, fixture_layout(), &config, pool, 1, &err));
    const int64_t before = hn_memory_held();
    assert_ok(hn_trainer_create(&trainer, fixture_layout(), &config, pool, 0, &err));
    const int64_t taken = hn_memory_held() - before;
    hn_trainer_free(trainer);
    assert_ok(hn_trainer_create(&trainer, fixture_layout(), &config, pool, before + taken * 11 / 10,
                                &err));
    hn_trainer_free(trainer);
    assert_fails(HN_NO_MEMORY, "needs",
                 hn_trainer_create(&trainer, fixture_layout(), &config, pool,
                                   before + taken * 8 / 10, &err));
    hn_pool_free(pool);
}

static hn_status create_and_step(void *user, hn_error *err) {
    hn_pool *pool = NULL;
    hn_trainer *trainer = NULL;
    double loss;
    HN_TRY(hn_pool_create(&pool, 1, err));
    hn_status status = hn_trainer_create(&trainer, fixture_layout(), user, pool, 0, err);
    fixture_rows f = fixture_make_rows(100, 2);
    if (status == HN_OK) status = hn_trainer_step(&loss, trainer, &f.rows, 1, err);
    fixture_free_rows(&f);
    hn_trainer_free(trainer);
    hn_pool_free(pool);
    return status;
}

static void faults_leak_nothing(void **state) {
    (void)state;
    hn_config config = fixture_config();
    hn_error err = {0};
    assert_ok(create_and_step(&config, &err)); /* products are probed once a process */
    assert_true(support_fail_each(HN_FAULT_ALLOC, create_and_step, &config) > 30);
}

/* Once made, a trainer steps without allocating. */
static void a_step_allocates_nothing(void **state) {
    (void)state;
    hn_config config = fixture_config();
    hn_config_feature features[2] = {{.name = fixture_layout()->inputs[1].name, .max_length = 4},
                                     {.name = fixture_layout()->inputs[5].name, .max_length = 4}};
    config.features = features;
    config.n_features = 2;
    setup s;
    start(&s, &config, 2);
    hn_fault_arm(HN_FAULT_ALLOC, 1);
    step(&s, 1024, 1);
    step(&s, 1000, 2);
    assert_int_equal(hn_fault_count(HN_FAULT_ALLOC), 0);
    hn_fault_arm(HN_FAULT_ALLOC, 0);
    stop(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_reference),
        cmocka_unit_test(any_threads_give_the_same_bytes),
        cmocka_unit_test(shards_change_rounding_only),
        cmocka_unit_test(untouched_rows_stay),
        cmocka_unit_test(a_scenario_trains_its_own_tables),
        cmocka_unit_test(a_batch_without_labels_has_no_loss),
        cmocka_unit_test(nothing_is_updated_when_not_finite),
        cmocka_unit_test(a_bad_parameter_is_named),
        cmocka_unit_test(impossible_batches_are_refused),
        cmocka_unit_test(memory_is_refused_with_the_need),
        cmocka_unit_test(the_need_is_the_memory_taken),
        cmocka_unit_test(faults_leak_nothing),
        cmocka_unit_test(a_step_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
