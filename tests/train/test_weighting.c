/* The weights of the tasks' losses: several steps against the double reference, what they end
 * at where that is known, the layer that GradNorm looks at in every model, the same bytes on
 * any number of threads, and what is kept. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "reference.h"
#include "town.h"
#include "train/trainer.h"

enum { T = FIXTURE_TASKS };
static const double TOLERANCE = sizeof(hn_real) == 8 ? 1e-11 : 5e-5;

typedef struct setup {
    hn_config config;
    hn_pool *pool;
    hn_trainer *trainer;
} setup;

static hn_config config_of(hn_weighting_kind kind) {
    hn_config config = fixture_config();
    config.train.weighting = kind;
    config.train.weighting_rate = 0.05;
    config.train.gradnorm_alpha = 1.5;
    return config;
}

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

/* Some batches have no label of a task. */
static void take_labels(fixture_rows *f, int32_t task) {
    for (int32_t r = 0; r < f->rows.rows; r++) f->labels[r * T + task] = HN_LABEL_ABSENT;
}

static void compare_weights(const setup *s, const reference *ref, int32_t step_number) {
    const hn_weighting *const w = &s->trainer->state->weighting;
    for (int32_t t = 0; t < T; t++)
        if (!(fabs(w->of[t].value - ref->weight[t]) <= TOLERANCE))
            fail_msg("step %d, task %d: weight %.12g, expected %.12g", (int)step_number, (int)t,
                     w->of[t].value, ref->weight[t]);
}

static void follow(const hn_config *config, int32_t absent_first) {
    static const int32_t sizes[] = {600, 77, 1024, 130, 1, 512, 700, 300};
    hn_error err = {0};
    setup s;
    reference ref;
    start(&s, config, 2);
    const hn_plan *const plan = hn_trainer_plan(s.trainer);
    reference_init(&ref, plan, hn_trainer_params(s.trainer));
    for (int32_t i = 0; i < (int32_t)(sizeof sizes / sizeof *sizes); i++) {
        fixture_rows f = fixture_make_rows(sizes[i], (uint64_t)i + 1);
        if (i == 3 || (i == 0 && absent_first >= 0)) take_labels(&f, i == 0 ? absent_first : 1);
        double loss;
        const double scale = 1 - 0.1 * i;
        assert_ok(hn_trainer_step(&loss, s.trainer, &f.rows, scale, &err));
        const double expected = reference_step(&ref, &f.rows, config, scale);
        fixture_free_rows(&f);
        if (!(fabs(loss - expected) <= TOLERANCE * 10))
            fail_msg("step %d: loss %.12g, expected %.12g", (int)i, loss, expected);
        const double far = reference_distance(&ref, plan, hn_trainer_params(s.trainer));
        if (!(far <= TOLERANCE)) fail_msg("step %d: parameters differ by %g", (int)i, far);
        compare_weights(&s, &ref, i);
    }
    reference_free(&ref);
    stop(&s);
}

static void follows_the_reference(void **state) {
    (void)state;
    for (int32_t k = 0; k < 8; k++) {
        hn_config config = config_of(k < 4 ? HN_WEIGHTING_UNCERTAINTY : HN_WEIGHTING_GRADNORM);
        config.train.optimizer = k % 2 ? HN_SGD : HN_ADAM;
        config.train.reduce = k % 4 < 2 ? HN_REDUCE_ROWS : HN_REDUCE_CELLS;
        config.train.gradnorm_alpha = k < 6 ? 1.5 : 0.5;
        follow(&config, k % 3 - 1);
    }
}

/* A large rate throws a weight below 0: it is kept above. */
static void weights_stay_above_zero(void **state) {
    (void)state;
    hn_config config = config_of(HN_WEIGHTING_GRADNORM);
    config.train.weighting_rate = 5;
    follow(&config, -1);
}

/* ---- Where they end ---------------------------------------------------------------------- */

static const hn_config_train mover = {.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};

static void uncertainty_ends_at_the_losses(void **state) {
    (void)state;
    hn_error err = {0};
    hn_weighting w;
    hn_config_train train = mover;
    const double losses[3] = {0.4, 0.01, 2};
    train.weighting_rate = 0.01;
    assert_ok(hn_weighting_create(&w, HN_WEIGHTING_UNCERTAINTY, 3, &err));
    assert_true(hn_weighting_loss(&w, losses) == 0.4 + 0.01 + 2);
    for (uint64_t k = 1; k <= 4000; k++) hn_weighting_update(&w, &train, 1, k, losses, NULL);
    for (int32_t t = 0; t < 3; t++) {
        /* the minimum of exp(-s)·L + s/2 */
        assert_true(fabs(w.of[t].value - log(2 * losses[t])) < 0.02);
        assert_true(fabs(hn_weighting_factor(&w, t) * losses[t] - 0.5) < 0.02);
    }
    hn_weighting_free(&w);
}

/* Of tasks that learn at the same pace the weighted norms end alike; a task that lags ends
 * with more. */
static void gradnorm_ends_where_norms_are_alike(void **state) {
    (void)state;
    hn_error err = {0};
    hn_weighting w;
    hn_config_train train = mover;
    double losses[3] = {0.4, 0.1, 2};
    const double norms[3] = {1, 4, 0.5};
    train.gradnorm_alpha = 1.5;
    assert_ok(hn_weighting_create(&w, HN_WEIGHTING_GRADNORM, 3, &err));
    for (uint64_t k = 1; k <= 4000; k++) {
        train.weighting_rate = k < 3000 ? 0.01 : 0.0002;
        hn_weighting_update(&w, &train, 1, k, losses, norms);
    }
    const double each = 3 / (1 / norms[0] + 1 / norms[1] + 1 / norms[2]);
    double sum = 0;
    for (int32_t t = 0; t < 3; t++) {
        assert_true(fabs(w.of[t].value * norms[t] - each) < 0.02);
        sum += w.of[t].value;
    }
    assert_true(fabs(sum - 3) < 1e-12);
    losses[0] *= 0.5, losses[2] *= 0.5; /* task 1 lags: q = ½, 1, ½ */
    for (uint64_t k = 1; k <= 4000; k++) {
        train.weighting_rate = k < 3000 ? 0.01 : 0.0002;
        hn_weighting_update(&w, &train, 1, k, losses, norms);
    }
    const double lead = pow(2, 1.5); /* (r_1 / r_0)^α */
    assert_true(fabs(w.of[1].value * norms[1] / (w.of[0].value * norms[0]) - lead) < 0.1);
    hn_weighting_free(&w);
}

/* ---- The layer of each model ------------------------------------------------------------- */

static void two_levels(hn_config_model *c) { c->scenario_levels = c->task_levels = 2; }
static void no_shared(hn_config_model *c) { c->shared_expert = false; }
static void no_shared_levels(hn_config_model *c) {
    c->shared_expert = false, c->scenario_levels = 3;
}
static void no_layer(hn_config_model *c) { c->scenario_layer = false; }
static void no_layer_levels(hn_config_model *c) { c->scenario_layer = false, c->task_levels = 2; }
static void no_sei(hn_config_model *c) { c->sei = false; }
static void one_unit(hn_config_model *c) {
    c->expert_units.n = c->task_units.n = c->bottom_units.n = 1;
}
static void all_heads(hn_config_model *c) { c->compat.all_heads = true; }
static void dropout(hn_config_model *c) { c->embedding_dropout = c->expert_dropout = 0.2; }
static void plain(hn_config_model *c) { (void)c; }

/* experts: of [batch], else of [groups] where the batch is 1; -1: all. */
static const struct layer_case {
    hn_model_kind kind;
    void (*set)(hn_config_model *);
    const char *name;
    int32_t first, count;
} layers[] = {
    {HN_MODEL_HINET, plain, "sei.w2", 6, 2},
    {HN_MODEL_HINET, dropout, "sei.w2", 6, 2},
    {HN_MODEL_HINET, all_heads, "sei.w2", 6, 2},
    {HN_MODEL_HINET, one_unit, "sei.w1", 6, 2},
    {HN_MODEL_HINET, no_sei, "sei.w2", 3, 1},
    {HN_MODEL_HINET, no_shared, "sei.w2", 0, -1},
    {HN_MODEL_HINET, no_shared_levels, "sei.3.w2", 0, -1},
    {HN_MODEL_HINET, two_levels, "sei.2.shared.w2", 0, -1},
    {HN_MODEL_HINET, no_layer, "cgc.shared.w1", 0, -1},
    {HN_MODEL_HINET, no_layer_levels, "cgc.2.shared.w1", 0, -1},
    {HN_MODEL_HINET_PLUS, plain, "sei.w2", 6, 2},
    {HN_MODEL_PLE, plain, "cgc.shared.w1", 0, -1},
    {HN_MODEL_PLE, two_levels, "cgc.2.shared.w1", 0, -1},
    {HN_MODEL_MMOE, plain, "experts.w2", 0, -1},
    {HN_MODEL_MMOE, one_unit, "experts.w1", 0, -1},
    {HN_MODEL_HMOE, plain, "experts.w2", 0, -1},
    {HN_MODEL_SHARED_BOTTOM, plain, "bottom.w1", 0, -1},
    {HN_MODEL_MIXED, plain, "bottom.w1", 0, -1},
    {HN_MODEL_STAR, plain, "bottom.w1", 0, -1},
    {HN_MODEL_PEPNET, plain, "bottom.w1", 0, -1},
    {HN_MODEL_M3OE, plain, "experts.w2", 0, 2},
    {HN_MODEL_M3OE, one_unit, "experts.w1", 0, 2},
};

static const hn_param_info *param_of(const hn_plan *plan, const char *name) {
    for (int32_t i = 0; i < hn_plan_params(plan); i++)
        if (strcmp(hn_plan_param(plan, i)->name, name) == 0) return hn_plan_param(plan, i);
    fail_msg("no tensor %s", name);
    return NULL;
}

/* ‖∂L_t/∂W‖ from the whole gradient of one task's loss, tile by tile. */
static double expected_norm(const setup *s, const hn_rows *rows, int32_t task,
                            const struct layer_case *row, uint64_t step_number) {
    hn_error err = {0};
    const hn_trainer *const trainer = s->trainer;
    const hn_plan *const plan = trainer->plan;
    const hn_param_info *const p = param_of(plan, row->name);
    double scale[FIXTURE_SCENARIOS * T], loss[FIXTURE_SCENARIOS * T] = {0}, sum = 0;
    for (int32_t c = 0; c < trainer->cells; c++) scale[c] = c % T == task ? trainer->base[c] : 0;
    hn_session *session;
    hn_grads grads;
    assert_ok(hn_session_create(&session, plan, &err));
    assert_ok(hn_grads_create(&grads, plan, &err));
    hn_grads_reset(&grads, plan);
    for (int32_t at = 0; at < rows->rows; at += HN_TILE_ROWS) {
        const int32_t n = rows->rows - at < HN_TILE_ROWS ? rows->rows - at : HN_TILE_ROWS;
        const uint64_t seed = s->config.train.seed;
        assert_non_null(
            hn_session_forward(session, &trainer->params, rows, at, n, seed, step_number));
        assert_true(hn_session_backward(session, &trainer->params, rows, at, n, scale, loss, &grads,
                                        NULL, seed, step_number));
    }
    hn_params params = trainer->params;
    assert_true(hn_grads_stage(&grads, &params, plan));
    const int32_t width = p->groups * p->cols;
    const size_t matrix = (size_t)p->rows * (size_t)width;
    for (size_t i = 0; i < (size_t)p->batch * matrix; i++) {
        const int32_t expert =
            p->batch > 1 ? (int32_t)(i / matrix) : (int32_t)(i % (size_t)width) / p->cols;
        if (row->count < 0 || (expert >= row->first && expert < row->first + row->count))
            sum += (double)grads.block[p->offset + i] * (double)grads.block[p->offset + i];
    }
    hn_grads_free(&grads);
    hn_session_free(session);
    return sqrt(sum);
}

static void norms_are_of_the_layer_that_tasks_share(void **state) {
    (void)state;
    hn_error err = {0};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        hn_config config = config_of(HN_WEIGHTING_GRADNORM);
        config.model.kind = layers[i].kind;
        config.model.gate_width = 3;
        layers[i].set(&config.model);
        config.train.rate = 1e-30; /* the parameters stay those of the comparison */
        config.train.optimizer = HN_SGD;
        setup s;
        start(&s, &config, 2);
        fixture_rows f = fixture_make_rows(700, i);
        double loss;
        assert_ok(hn_trainer_step(&loss, s.trainer, &f.rows, 1, &err));
        const int32_t saved = hn_kernel_enter();
        for (int32_t t = 0; t < T; t++) {
            const double expected = expected_norm(&s, &f.rows, t, &layers[i], 0),
                         found = s.trainer->norms[t];
            if (!(expected > 0 && fabs(found / expected - 1) < 1e-4))
                fail_msg("%s %s: norm %.9g, expected %.9g", hn_model_name(config.model.kind),
                         layers[i].name, found, expected);
        }
        hn_kernel_leave(saved);
        fixture_free_rows(&f);
        stop(&s);
    }
}

static void models_without_such_a_layer_are_refused(void **state) {
    (void)state;
    static const hn_model_kind kinds[] = {HN_MODEL_SINGLE, HN_MODEL_CROSS_STITCH, HN_MODEL_AITM,
                                          HN_MODEL_PLE};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        hn_error err = {0};
        hn_pool *pool;
        hn_trainer *trainer;
        hn_config config = config_of(HN_WEIGHTING_GRADNORM);
        config.model.kind = kinds[i];
        config.model.task_shared = 0;
        assert_ok(hn_pool_create(&pool, 1, &err));
        assert_fails(HN_BAD_CONFIG, "gradnorm",
                     hn_trainer_create(&trainer, fixture_layout(), &config, pool, 0, &err));
        assert_null(trainer);
        config.train.weighting = HN_WEIGHTING_UNCERTAINTY;
        assert_ok(hn_trainer_create(&trainer, fixture_layout(), &config, pool, 0, &err));
        hn_trainer_free(trainer);
        hn_pool_free(pool);
    }
    /* and before any data is read */
    hn_error err = {0};
    hn_report *report;
    char *const dir = town_new_run();
    assert_fails(
        HN_BAD_CONFIG, "train.weighting: found gradnorm, but the model single",
        town_train(&report, dir,
                   &(town_options){.sets = {"model.name=single", "train.weighting=gradnorm",
                                            "log.files=nowhere.csv"}},
                   &err));
    hn_free(dir);
}

/* ---- Threads, memory, faults ------------------------------------------------------------- */

static void any_threads_give_the_same_bytes(void **state) {
    (void)state;
    static const hn_model_kind kinds[] = {HN_MODEL_HINET, HN_MODEL_STAR};
    for (int32_t k = 0; k < 4; k++) {
        hn_config config = config_of(k % 2 ? HN_WEIGHTING_GRADNORM : HN_WEIGHTING_UNCERTAINTY);
        config.model.kind = kinds[k / 2];
        config.model.embedding_dropout = 0.2;
        config.train.shards = 7;
        setup one, four;
        start(&one, &config, 1);
        start(&four, &config, 4);
        for (uint64_t i = 0; i < 5; i++) {
            const int32_t rows = i % 2 ? 1000 : 333;
            const double a = step(&one, rows, i), b = step(&four, rows, i);
            assert_memory_equal(&a, &b, sizeof a);
        }
        const hn_params *const a = hn_trainer_params(one.trainer), *const b = hn_trainer_params(
                                                                       four.trainer);
        assert_memory_equal(a->block, b->block, a->block_count * sizeof(hn_real));
        const hn_weighting *const x = &one.trainer->state->weighting, *const y =
                                                                          &four.trainer->state
                                                                               ->weighting;
        assert_memory_equal(x->of, y->of, T * sizeof *x->of);
        assert_true(x->of[0].value != x->of[1].value);
        stop(&one);
        stop(&four);
    }
}

static void the_need_is_the_memory_taken(void **state) {
    (void)state;
    hn_config config = config_of(HN_WEIGHTING_GRADNORM);
    config.model.kind = HN_MODEL_HINET;
    config.model.expert_units = (hn_units){{64, 64}, 2};
    config.train.batch = 4096;
    config.train.shards = 16;
    hn_pool *pool;
    hn_trainer *trainer;
    hn_error err = {0};
    assert_ok(hn_pool_create(&pool, 2, &err));
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
    hn_config config = config_of(HN_WEIGHTING_GRADNORM);
    hn_error err = {0};
    assert_ok(create_and_step(&config, &err)); /* products are probed once a process */
    assert_true(support_fail_each(HN_FAULT_ALLOC, create_and_step, &config) > 40);
}

/* ---- What is kept ------------------------------------------------------------------------ */

static const char *const kinds[] = {"train.weighting=uncertainty", "train.weighting=gradnorm"};
static const char *const rate = "train.weighting_rate=0.1";

static double weight_in(const json_t *report, size_t epoch, const char *task) {
    const json_t *const weights =
        json_object_get(json_array_get(json_object_get(report, "epochs"), epoch), "weights");
    return json_number_value(json_object_get(weights, task));
}

/* Stopped and gone on with: the same bundles, the weights among them. */
static void a_resumed_training_has_the_same_weights(void **state) {
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        char *const whole = town_new_run(), *const dir = town_new_run();
        hn_error err = {0};
        hn_report *report;
        town_options o = {.sets = {"train.eval_every=7", kinds[k], rate}};
        json_t *const expected = town_train_ok(whole, &o);
        assert_true(weight_in(expected, 0, "click") > 0);
        assert_true(weight_in(expected, 0, "click") != weight_in(expected, 2, "click"));
        town_watch h = {.stop_at = 2};
        o.watch = &h;
        assert_fails(HN_INTERRUPTED, "--resume", town_train(&report, dir, &o, &err));
        assert_non_null(strstr(h.heard, "weights click "));
        o.watch = NULL;
        o.resume = true;
        o.threads = 2;
        json_t *const got = town_train_ok(dir, &o);
        assert_true(json_equal(expected, got));
        town_same_bundles(whole, dir);
        free(h.heard);
        json_decref(expected), json_decref(got);
        hn_free(whole), hn_free(dir);
    }
}

static hn_pack *open_pack(const char *dir, const char *name) {
    hn_error err = {0};
    hn_pack *pack;
    char *const path = hn_path_join(dir, name);
    assert_ok(hn_pack_open(&pack, path, "BNDL", &err));
    hn_free(path);
    return pack;
}

/* Where a training ends another one begins; a training with fixed weights looks away. */
static void a_warm_start_carries_the_weights(void **state) {
    (void)state;
    hn_error err = {0};
    char *const dir = town_new_run();
    json_decref(town_train_ok(dir, &(town_options){.sets = {kinds[1], rate}}));
    hn_pack *const pack = open_pack(dir, "last.hn");
    hn_weighting w;
    bool found;
    assert_ok(hn_weighting_create(&w, HN_WEIGHTING_GRADNORM, 2, &err));
    assert_ok(hn_weighting_warm(&w, pack, &found, &err));
    assert_true(found && w.of[0].value != 1 && w.of[0].first > 0 &&
                fabs(w.of[0].value + w.of[1].value - 2) < 1e-12);
    hn_weighting_free(&w);
    assert_ok(hn_weighting_create(&w, HN_WEIGHTING_UNCERTAINTY, 2, &err));
    assert_ok(hn_weighting_warm(&w, pack, &found, &err));
    assert_false(found);
    assert_fails(HN_BAD_DATA, "state/uncertainty", hn_weighting_load(&w, pack, &err));
    hn_weighting_free(&w);
    assert_ok(hn_weighting_create(&w, HN_WEIGHTING_FIXED, 2, &err));
    assert_ok(hn_weighting_warm(&w, pack, &found, &err));
    assert_false(found);
    assert_ok(hn_weighting_create(&w, HN_WEIGHTING_GRADNORM, 3, &err));
    assert_fails(HN_BAD_DATA, "expected", hn_weighting_load(&w, pack, &err));
    hn_weighting_free(&w);
    hn_pack_close(pack);
    char *const init = hn_path_join(dir, "last.hn"), *const next = town_new_run();
    json_decref(town_train_ok(next, &(town_options){.sets = {kinds[1], rate}, .init = init}));
    hn_free(init), hn_free(next), hn_free(dir);
}

static void weights_that_cannot_be_are_refused(void **state) {
    (void)state;
    static const hn_task_weight wrong[] = {
        {NAN, 0, 0, 0}, {1, INFINITY, 0, 0}, {1, 0, -1, 0}, {0, 0, 0, 0}, {1, 0, 0, -0.5}};
    hn_error err = {0};
    char *const path = hn_path_join(town_dir(), "wrong.pack");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        hn_task_weight numbers[2] = {{1, 0, 0, 0}, wrong[i]};
        const hn_weighting saved = {.kind = HN_WEIGHTING_GRADNORM, .tasks = 2, .of = numbers};
        hn_packer *packer = NULL;
        hn_pack *pack;
        hn_weighting w;
        assert_ok(hn_packer_open(&packer, path, "TEST", &err));
        hn_weighting_save(&saved, packer);
        assert_ok(hn_packer_commit(packer, &err));
        assert_ok(hn_pack_open(&pack, path, "TEST", &err));
        assert_ok(hn_weighting_create(&w, HN_WEIGHTING_GRADNORM, 2, &err));
        assert_fails(HN_BAD_DATA, "cannot be", hn_weighting_load(&w, pack, &err));
        assert_true(w.of[1].value == 1);
        hn_weighting_free(&w);
        hn_pack_close(pack);
    }
    hn_free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_reference),
        cmocka_unit_test(weights_stay_above_zero),
        cmocka_unit_test(uncertainty_ends_at_the_losses),
        cmocka_unit_test(gradnorm_ends_where_norms_are_alike),
        cmocka_unit_test(norms_are_of_the_layer_that_tasks_share),
        cmocka_unit_test(models_without_such_a_layer_are_refused),
        cmocka_unit_test(any_threads_give_the_same_bytes),
        cmocka_unit_test(the_need_is_the_memory_taken),
        cmocka_unit_test(faults_leak_nothing),
        cmocka_unit_test(a_resumed_training_has_the_same_weights),
        cmocka_unit_test(a_warm_start_carries_the_weights),
        cmocka_unit_test(weights_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, town_set_up, town_tear_down);
}
