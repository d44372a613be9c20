/* Writes what tests/python/test_reference.py compares with its own float64 reference: every
 * row of the model table in several worlds, with inputs, parameters, logits, losses and
 * gradients. It compares nothing itself and skips unless HN_EXPORT_DIR names a folder and
 * HN_EXPORT_SEED gives the seed of the parameters.
 *
 * It runs twice. First it writes NAME.WORLD.in.pack: candidate rows and parameters. The
 * reference then chooses rows that stay away from ReLU's kink and puts their numbers into
 * NAME.WORLD.rows (int32 each); for those this program then writes NAME.WORLD.out.pack (what
 * sessions compute) and NAME.WORLD.step.pack (the parameters after one step of the trainer,
 * SGD, so that the difference is the gradient of the loss with the config's reduction; the
 * rate is large, so that the difference keeps the digits of the gradient). */
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
} world;
static const world worlds[] = {
    {3, 2, HN_POOL_MEAN, HN_REDUCE_ROWS, HN_SIDE_USER, HN_SIDE_ITEM},
    {1, 2, HN_POOL_SUM, HN_REDUCE_CELLS, HN_SIDE_CONTEXT, HN_SIDE_ITEM},
    {2, 1, HN_POOL_SUM, HN_REDUCE_ROWS, HN_SIDE_CONTEXT, HN_SIDE_CONTEXT},
    {4, 3, HN_POOL_MEAN, HN_REDUCE_CELLS, HN_SIDE_CONTEXT, HN_SIDE_ITEM},
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

/* ---- What the reference must know -------------------------------------------------------------
 */

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
    json_t *lambda = json_array();
    for (int32_t t = 0; t < w->tasks; t++)
        json_array_append_new(lambda, json_real(e->tasks[t].weight));
    return json_pack("{s:o, s:o, s:i, s:i, s:s, s:o, s:i}", "model", model_json(&e->config),
                     "inputs", inputs_json(&e->f.layout), "scenarios", (int)w->scenarios, "tasks",
                     (int)w->tasks, "reduce", w->reduce == HN_REDUCE_ROWS ? "rows" : "cells",
                     "lambda", lambda, "rate", RATE);
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

/* ---- Sessions
 * ------------------------------------------------------------------------------------ */

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

/* ---- The trainer
 * ----------------------------------------------------------------------------------- */

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

static void write_step(export *e) {
    hn_error err = {0};
    hn_config config = {.tasks = e->tasks, .n_tasks = e->f.layout.tasks, .model = e->config};
    config.train = (hn_config_train){.reduce = worlds[e->number].reduce,
                                     .optimizer = HN_SGD,
                                     .rate = RATE,
                                     .batch = CANDIDATES,
                                     .epochs = 1,
                                     .seed = 1,
                                     .shards = 3};
    hn_pool *pool = NULL;
    hn_trainer *trainer = NULL;
    double loss = 0;
    assert_ok(hn_pool_create(&pool, 2, &err));
    assert_ok(hn_trainer_create(&trainer, &e->f.layout, &config, pool, 0, &err));
    copy_params(hn_trainer_params(trainer), &e->m.params);
    assert_ok(hn_trainer_stage(trainer, &err));
    assert_ok(hn_trainer_step(&loss, trainer, &e->f.rows, 1, &err));
    hn_packer *packer = begin(e, "step.pack");
    add(packer, "loss", HN_PACK_F64, 1, 1, &loss);
    hn_params_save(hn_trainer_params(trainer), hn_trainer_plan(trainer), packer);
    end(packer);
    hn_trainer_free(trainer);
    hn_pool_free(pool);
}

/* ---- Cases
 * -------------------------------------------------------------------------------------------- */

/* The masks of dropout are the graph's own affair (test_gradients.c); the rest is compared. */
static void without_dropout(hn_config_model *config) {
    config->embedding_dropout = config->expert_dropout = 0;
    config->compat.sei_dropout = false;
}

/* What the world changes in the fixture's layout. */
static void dress(fixture *f, const world *w) {
    f->inputs[2].pooling = w->pooling;
    f->inputs[2].side = w->list_side;
    f->inputs[3].side = f->inputs[4].side = w->last_side;
    if (w->last_side != HN_SIDE_ITEM) f->layout.shared_width = f->layout.width;
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
    } else
        write_in(&e);
    model_free(&e.m);
}

static void test_export(void **state) {
    (void)state;
    const char *seed = getenv("HN_EXPORT_SEED");
    if (!getenv("HN_EXPORT_DIR") || !seed) {
        print_message("HN_EXPORT_DIR and HN_EXPORT_SEED are not set: nothing to write\n");
        skip();
    }
    for (size_t i = 0; i < n_model_cases; i++)
        for (int32_t w = 0; w < WORLDS; w++)
            export_case(&model_cases[i], w, strtoull(seed, NULL, 10));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_export)};
    hn_kernel_enter(); /* sessions run here, on this thread */
    return cmocka_run_group_tests_name("train/export", tests, NULL, NULL);
}
