/* Writes what tests/python/test_reference.py compares with its own float64 reference: every
 * row of the model table in several worlds, with inputs, parameters, logits, losses and
 * gradients. It compares nothing itself and skips unless HN_EXPORT_DIR names a folder and
 * HN_EXPORT_SEED gives the seed of the parameters; HN_EXPORT_CASES may choose cases.
 *
 * It runs twice. First it writes NAME.WORLD.in.pack: candidate rows and parameters. The
 * reference then chooses rows that stay away from ReLU's kink and puts their numbers into
 * NAME.WORLD.rows (int32 each); for those this program then writes NAME.WORLD.out.pack (what
 * sessions compute) and NAME.WORLD.step.pack (the parameters after one step of the trainer,
 * SGD, so that the difference is the gradient of the loss with the config's reduction; the
 * rate is large, so that the difference keeps the digits of the gradient). Some cases also
 * take several steps with weights of tasks, NAME.WORLD.WEIGHTING.STEP.pack. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_options.h"
#include "model/cases.h"
#include "train/train.h"

enum {
    CANDIDATES = 512,
    TASKS_MAX = 3,
    HEADS_MAX = 12,
    WIDTH = 11,
    RATE = 1 << 20,
    PATH_BYTES = 512
};
#define REAL (sizeof(hn_real) == 8 ? HN_PACK_F64 : HN_PACK_F32)

typedef struct world {
    int32_t scenarios, tasks;
    hn_pooling pooling;
    hn_reduce reduce;
    hn_side list_side, last_side; /* of the list; of price and item */
    bool alike;                   /* all embeddings have one width */
} world;
static const world worlds[] = {
    {3, 2, HN_POOL_MEAN, HN_REDUCE_ROWS, HN_SIDE_USER, HN_SIDE_ITEM, true},
    {1, 2, HN_POOL_SUM, HN_REDUCE_CELLS, HN_SIDE_CONTEXT, HN_SIDE_ITEM, true},
    {2, 1, HN_POOL_SUM, HN_REDUCE_ROWS, HN_SIDE_CONTEXT, HN_SIDE_CONTEXT, false},
    {4, 3, HN_POOL_MEAN, HN_REDUCE_CELLS, HN_SIDE_CONTEXT, HN_SIDE_ITEM, false},
};
enum { WORLDS = sizeof worlds / sizeof *worlds };

typedef struct export {
    const model_case *row;
    int32_t number; /* of the world */
    hn_config_model config;
    hn_config_task tasks[TASKS_MAX];
    fixture f;
    model m;
}
export;

/* What the world changes in the fixture's layout. */
static void dress(fixture *f, const world *w) {
    f->inputs[2].pooling = w->pooling;
    f->inputs[2].side = w->list_side;
    f->inputs[3].side = f->inputs[4].side = w->last_side;
    if (w->alike) {
        f->tables[1].width = f->inputs[2].width = 3;
        f->tables[2].width = f->inputs[4].width = 3;
        f->inputs[3].column = f->layout.shared_width = 7, f->inputs[4].column = 8;
    }
    if (w->last_side != HN_SIDE_ITEM) f->layout.shared_width = f->layout.width;
}

static void path_of(char path[PATH_BYTES], const export *e, const char *what) {
    snprintf(path, PATH_BYTES, "%s/%s.%d.%s", getenv("HN_EXPORT_DIR"), e->row->name, (int)e->number,
             what);
}

static hn_packer *begin(const export *e, const char *what) {
    hn_error err = {0};
    char path[PATH_BYTES];
    path_of(path, e, what);
    hn_packer *packer = NULL;
    assert_ok(hn_packer_open(&packer, path, "TEST", &err));
    return packer;
}

static void end(hn_packer *packer) {
    hn_error err = {0};
    assert_ok(hn_packer_commit(packer, &err));
}

static void add(hn_packer *packer, const char *name, hn_pack_type type, uint64_t rows, int32_t cols,
                const void *numbers) {
    const uint64_t dim[2] = {rows, (uint64_t)cols};
    hn_packer_add(packer, name, type, 2, dim, numbers);
}

/* ---- What the reference must know ---------------------------------------------------------- */

/* All options of the model as the resolved YAML has them: new ones are there by themselves. */
static json_t *model_json(const hn_config_model *config) {
    hn_text text = {0};
    hn_section_print(&text, &hn_model_section, config, 0);
    assert_false(text.failed);
    json_t *json = json_string(text.text);
    hn_text_free(&text);
    return json;
}

static json_t *inputs_json(const hn_layout *layout) {
    static const char *const kinds[] = {"id", "list", "value"};
    static const char *const sides[] = {"user", "context", "item"};
    json_t *array = json_array();
    for (int32_t i = 0; i < layout->n_inputs; i++) {
        const hn_input *input = &layout->inputs[i];
        json_t *table =
            input->table < 0 ? json_null() : json_string(layout->tables[input->table].name);
        json_array_append_new(
            array,
            json_pack("{s:s, s:s, s:i, s:i, s:s, s:o}", "kind", kinds[input->kind], "side",
                      sides[input->side], "slot", (int)input->slot, "width", (int)input->width,
                      "pooling", input->pooling == HN_POOL_SUM ? "sum" : "mean", "table", table));
    }
    return array;
}

static json_t *meta_json(const export *e) {
    const world *w = &worlds[e->number];
    json_t *lambda = json_array(), *after = json_array();
    for (int32_t t = 0; t < w->tasks; t++) {
        json_array_append_new(lambda, json_real(e->tasks[t].weight));
        json_array_append_new(after, json_integer(e->config.after[t] - 1));
    }
    return json_pack("{s:o, s:o, s:i, s:i, s:s, s:o, s:o, s:i}", "model", model_json(&e->config),
                     "inputs", inputs_json(&e->f.layout), "scenarios", (int)w->scenarios, "tasks",
                     (int)w->tasks, "reduce", w->reduce == HN_REDUCE_ROWS ? "rows" : "cells",
                     "lambda", lambda, "after", after, "rate", RATE);
}

/* Inputs and parameters of all candidates. */
static void write_in(const export *e) {
    const hn_rows *rows = &e->f.rows;
    const uint64_t n = (uint64_t)rows->rows;
    hn_packer *packer = begin(e, "in.pack");
    json_t *json = meta_json(e);
    assert_non_null(json);
    char *text = json_dumps(json, 0);
    hn_packer_add_text(packer, "meta", text);
    add(packer, "scenario", HN_PACK_U16, n, 1, rows->scenario);
    add(packer, "ids", HN_PACK_U32, n, e->f.layout.ids, rows->ids);
    add(packer, "values", HN_PACK_F32, n, e->f.layout.values, rows->values);
    add(packer, "list_begin", HN_PACK_U32, n + 1, 1, rows->list_begin);
    add(packer, "list_ids", HN_PACK_U32, rows->list_begin[n], 1, rows->list_ids);
    add(packer, "labels", HN_PACK_U8, n, e->f.layout.tasks, rows->labels);
    add(packer, "weights", HN_PACK_F32, n, 1, rows->weights);
    hn_params_save(&e->m.params, e->m.plan, packer);
    end(packer);
    free(text);
    json_decref(json);
}

/* ---- Sessions ------------------------------------------------------------------------------ */

static void write_gradients(hn_packer *packer, export *e, const hn_grads *grads) {
    hn_real *dense =
        calloc(e->m.params.block_count, sizeof *dense); /* 0 where nothing was written */
    for (int32_t i = 0; i < hn_plan_chunks(e->m.plan); i++) {
        const hn_chunk *chunk = hn_plan_chunk(e->m.plan, i);
        if (grads->written[i])
            memcpy(dense + chunk->offset, grads->block + chunk->offset,
                   chunk->count * sizeof *dense);
    }
    for (int32_t p = 0; p < hn_plan_params(e->m.plan); p++) {
        const hn_param_info *info = hn_plan_param(e->m.plan, p);
        char name[200];
        snprintf(name, sizeof name, "grad/%s", info->name);
        const uint64_t dim[4] = {(uint64_t)info->batch, (uint64_t)info->rows,
                                 (uint64_t)info->groups, (uint64_t)info->cols};
        hn_packer_add(packer, name, REAL, 4, dim, dense + info->offset);
    }
    free(dense);
}

/* Logits, Σ w·BCE of each head, and the gradients of Σ scale · loss, tile by tile. */
static void write_out(export *e) {
    hn_error err = {0};
    const hn_rows *rows = &e->f.rows;
    const int32_t heads = hn_plan_heads(e->m.plan),
                  cells = e->f.layout.scenarios * e->f.layout.tasks;
    hn_session *session = NULL;
    hn_grads grads = {0};
    assert_ok(hn_session_create(&session, e->m.plan, &err));
    assert_ok(hn_grads_create(&grads, e->m.plan, &err));
    hn_grads_reset(&grads, e->m.plan);
    hn_real *logits = calloc((size_t)rows->rows * (size_t)heads, sizeof *logits);
    hn_real *dx = calloc((size_t)rows->rows * WIDTH, sizeof *dx);
    double scale[HEADS_MAX], loss[HEADS_MAX] = {0};
    for (int32_t c = 0; c < cells; c++) scale[c] = 0.3 + 0.1 * c;
    for (int32_t at = 0; at < rows->rows; at += HN_TILE_ROWS) {
        const int32_t n = rows->rows - at < HN_TILE_ROWS ? rows->rows - at : HN_TILE_ROWS;
        const hn_real *found = hn_session_forward(session, &e->m.params, rows, at, n, 1, 1);
        assert_non_null(found);
        memcpy(logits + (size_t)at * (size_t)heads, found,
               (size_t)n * (size_t)heads * sizeof *found);
        assert_true(hn_session_backward(session, &e->m.params, rows, at, n, scale, loss, &grads,
                                        dx + (size_t)at * WIDTH, 1, 1));
    }
    assert_true(hn_grads_stage(&grads, &e->m.params, e->m.plan));
    hn_packer *packer = begin(e, "out.pack");
    add(packer, "logits", REAL, (uint64_t)rows->rows, heads, logits);
    add(packer, "dx", REAL, (uint64_t)rows->rows, WIDTH, dx);
    add(packer, "scale", HN_PACK_F64, 1, cells, scale);
    add(packer, "loss", HN_PACK_F64, 1, cells, loss);
    write_gradients(packer, e, &grads);
    end(packer);
    free(logits);
    free(dx);
    hn_grads_free(&grads);
    hn_session_free(session);
}

/* ---- The trainer --------------------------------------------------------------------------- */

static void copy_params(hn_params *to, const hn_params *from) {
    assert_int_equal(to->leaf_count, from->leaf_count);
    assert_int_equal(to->n_tables, from->n_tables);
    memcpy(to->block, from->block, from->leaf_count * sizeof *from->block);
    for (int32_t t = 0; t < from->n_tables; t++) {
        const hn_table *table = &from->tables[t];
        assert_int_equal(to->tables[t].rows, table->rows);
        memcpy(to->tables[t].numbers, table->numbers,
               (size_t)table->rows * (size_t)table->width * sizeof(hn_real));
    }
}

static hn_config config_of(export *e) {
    hn_config config = {.tasks = e->tasks, .n_tasks = e->f.layout.tasks, .model = e->config};
    config.train = (hn_config_train){.reduce = worlds[e->number].reduce,
                                     .optimizer = HN_SGD,
                                     .rate = RATE,
                                     .batch = CANDIDATES,
                                     .epochs = 1,
                                     .seed = 1,
                                     .shards = 3};
    return config;
}

/* One step from the exported parameters. */
static double take_step(hn_trainer *trainer, const export *e, const hn_rows *rows, double scale) {
    hn_error err = {0};
    double loss = 0;
    copy_params(hn_trainer_params(trainer), &e->m.params);
    assert_ok(hn_trainer_stage(trainer, &err));
    assert_ok(hn_trainer_step(&loss, trainer, rows, scale, &err));
    return loss;
}

static void write_step(export *e) {
    hn_error err = {0};
    const hn_config config = config_of(e);
    hn_pool *pool = NULL;
    hn_trainer *trainer = NULL;
    assert_ok(hn_pool_create(&pool, 2, &err));
    assert_ok(hn_trainer_create(&trainer, &e->f.layout, &config, pool, 0, &err));
    const double loss = take_step(trainer, e, &e->f.rows, 1);
    hn_packer *packer = begin(e, "step.pack");
    add(packer, "loss", HN_PACK_F64, 1, 1, &loss);
    hn_params_save(hn_trainer_params(trainer), hn_trainer_plan(trainer), packer);
    end(packer);
    hn_trainer_free(trainer);
    hn_pool_free(pool);
}

/* ---- Weights of tasks: several steps, each from the exported parameters, while the weights go
 * on. Batches differ, so that tasks learn at different paces; one has no label of a task, and the
 * first has none of another. ---- */

/* One case for each layer that GradNorm can look at, and what changes L_t; in worlds 0 and 3
 * unless all. */
static const struct {
    const char *name;
    bool uncertainty, all_worlds;
} weighted[] = {
    {"hinet", true, true},
    {"script", true, false},
    {"esmm_all_heads", true, false},
    {"plain_sizes", false, false},
    {"no_sei", false, false},
    {"no_shared_expert", false, false},
    {"levels_no_shared", false, false},
    {"levels_no_sei", false, false},
    {"both_levels", false, false},
    {"no_scenario_layer", false, false},
    {"ple", false, false},
    {"ple_levels", false, false},
    {"mmoe", false, false},
    {"shared_bottom", false, false},
    {"mixed", false, false},
    {"hmoe", false, false},
    {"star", false, false},
    {"pepnet", false, false},
    {"m3oe", false, false},
    {"m3oe_plain", false, false},
    {"esmm", false, false},
    {"hinet_plus", false, false},
};
enum { STEPS = 5 };
static const struct {
    int32_t first, every; /* rows first, first + every, … of those chosen */
    int32_t absent;       /* the task without labels; -1: none */
    double scale;
} steps[STEPS] = {{0, 1, 1, 1}, {1, 3, -1, 0.9}, {0, 5, -1, 0.8}, {0, 4, 0, 0.7}, {2, 7, -1, 0.6}};

static void write_weighting(export *e, hn_weighting_kind kind, const char *name) {
    hn_error err = {0};
    hn_config config = config_of(e);
    config.train.weighting = kind;
    config.train.weighting_rate = 0.125;
    config.train.gradnorm_alpha = 1.5;
    config.train.beta1 = 0.9, config.train.beta2 = 0.999, config.train.epsilon = 1e-8;
    hn_pool *pool = NULL;
    hn_trainer *trainer = NULL;
    assert_ok(hn_pool_create(&pool, 2, &err));
    assert_ok(hn_trainer_create(&trainer, &e->f.layout, &config, pool, 0, &err));
    const int32_t tasks = e->f.layout.tasks;
    for (int32_t k = 0; k < STEPS; k++) {
        static fixture some;
        int32_t order[CANDIDATES], n = 0;
        for (int32_t r = steps[k].first; r < e->f.rows.rows; r += steps[k].every) order[n++] = r;
        fixture_pick(&some, &e->f, order, n);
        dress(&some, &worlds[e->number]);
        const int32_t absent = tasks > 1 ? steps[k].absent : -1;
        for (int32_t r = 0; r < n && absent >= 0; r++)
            some.labels[r * tasks + absent] = HN_LABEL_ABSENT;
        const double loss = take_step(trainer, e, &some.rows, steps[k].scale);
        double weights[TASKS_MAX];
        for (int32_t t = 0; t < tasks; t++) weights[t] = hn_trainer_task_weight(trainer, t);
        char what[64];
        snprintf(what, sizeof what, "%s.%d.pack", name, (int)k);
        hn_packer *packer = begin(e, what);
        add(packer, "rows", HN_PACK_I32, (uint64_t)n, 1, order);
        add(packer, "absent", HN_PACK_I32, 1, 1, &absent);
        add(packer, "scale", HN_PACK_F64, 1, 1, &steps[k].scale);
        add(packer, "loss", HN_PACK_F64, 1, 1, &loss);
        add(packer, "losses", HN_PACK_F64, 1, tasks, hn_trainer_task_losses(trainer));
        add(packer, "weights", HN_PACK_F64, 1, tasks, weights);
        hn_params_save(hn_trainer_params(trainer), hn_trainer_plan(trainer), packer);
        end(packer);
    }
    hn_trainer_free(trainer);
    hn_pool_free(pool);
}

static void write_weightings(export *e) {
    for (size_t i = 0; i < sizeof weighted / sizeof *weighted; i++) {
        if (strcmp(e->row->name, weighted[i].name) != 0) continue;
        if (e->number % 3 != 0 && !weighted[i].all_worlds) continue;
        if (weighted[i].uncertainty) write_weighting(e, HN_WEIGHTING_UNCERTAINTY, "uncertainty");
        write_weighting(e, HN_WEIGHTING_GRADNORM, "gradnorm");
    }
}

/* ---- Cases --------------------------------------------------------------------------------- */

/* The masks of dropout are the graph's own affair (test_gradients.c); the rest is compared. */
static void without_dropout(hn_config_model *config) {
    config->embedding_dropout = config->expert_dropout = 0;
    config->compat.sei_dropout = false;
}

/* The rows the reference chose; false: it hasn't yet. */
static bool choose(export *e) {
    char path[PATH_BYTES];
    path_of(path, e, "rows");
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    int32_t order[CANDIDATES];
    const size_t n = fread(order, sizeof *order, CANDIDATES, file);
    fclose(file);
    for (size_t i = 0; i < n; i++) assert_in_range(order[i], 0, CANDIDATES - 1);
    static fixture all;
    all = e->f;
    fixture_pick(&e->f, &all, order, (int32_t)n);
    dress(&e->f, &worlds[e->number]);
    return true;
}

static void export_case(const model_case *row, int32_t number, uint64_t seed) {
    hn_error err = {0};
    static export e;
    const world *w = &worlds[number];
    e = (export){.row = row,
                 .number = number,
                 .config = model_case_config(row),
                 .tasks = {{.weight = 1}, {.weight = 0.5}, {.weight = 1.75}}};
    without_dropout(&e.config);
    fixture_make(&e.f, CANDIDATES, w->scenarios, w->tasks, 100 + (uint64_t)number);
    dress(&e.f, w);
    const bool chosen = choose(&e);
    assert_ok(
        model_make(&e.m, &e.f.layout, &e.config, HN_MODE_TRAIN, seed + (uint64_t)number, &err));
    if (chosen) {
        write_out(&e);
        write_step(&e);
        write_weightings(&e);
    } else
        write_in(&e);
    model_free(&e.m);
}

/* Whether HN_EXPORT_CASES, names with a blank on both sides, has it; without that all are wanted.
 */
static bool is_wanted(const char *name) {
    const char *cases = getenv("HN_EXPORT_CASES");
    char between[100];
    snprintf(between, sizeof between, " %s ", name);
    return !cases || strstr(cases, between);
}

static void test_export(void **state) {
    (void)state;
    const char *seed = getenv("HN_EXPORT_SEED");
    if (!getenv("HN_EXPORT_DIR") || !seed) {
        print_message("HN_EXPORT_DIR and HN_EXPORT_SEED are not set: nothing to write\n");
        skip();
    }
    for (size_t i = 0; i < n_model_cases; i++)
        for (int32_t w = 0; w < WORLDS && is_wanted(model_cases[i].name); w++)
            export_case(&model_cases[i], w, strtoull(seed, NULL, 10));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_export)};
    hn_kernel_enter(); /* sessions run here, on this thread */
    return cmocka_run_group_tests_name("train/export", tests, NULL, NULL);
}
