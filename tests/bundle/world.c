/* See world.h. */
#include "bundle/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "support.h"

enum { LOG_ROWS = 240, USERS = 12 };

static void write_text(const char *folder, const char *name, hn_text *text) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_false(text->failed);
    support_write(path, text->text, text->length);
    hn_text_free(text);
}

static uint32_t draw(uint64_t counter, uint32_t limit) {
    return (uint32_t)(hn_random(11, HN_STREAM_TEST, counter) % limit);
}

static void write_log(const char *folder) {
    hn_text text = {0};
    uint64_t c = 0;
    hn_text_add(&text, "user_id,item_id,tab,date,price,tags,click,order\n");
    for (int r = 0; r < LOG_ROWS; r++) {
        hn_text_add(&text, "u%u,i%u,%u,%u,", draw(c, USERS), draw(c + 1, 9),
                    1 + draw(c + 2, WORLD_SCENARIOS), 1 + draw(c + 3, 4));
        hn_text_add(&text, "%u.5,t%u|t%u,%u,%s\n", draw(c + 4, 50), draw(c + 5, 5), draw(c + 6, 5),
                    draw(c + 7, 2),
                    draw(c + 8, 5) == 0 ? ""
                    : draw(c + 9, 2)    ? "1"
                                        : "0");
        c += 10;
    }
    write_text(folder, "log.csv", &text);
}

static void write_users(const char *folder) {
    hn_text text = {0};
    hn_text_add(&text, "user_id,age,city\n");
    for (uint32_t u = 0; u < USERS; u++)
        hn_text_add(&text, "u%u,%u,c%u\n", u, 18 + draw(9000 + u, 50), draw(9100 + u, 3));
    write_text(folder, "users.csv", &text);
}

static void write_config(const char *folder, const char *model) {
    hn_text text = {0};
    hn_text_add(&text,
                "log: log.csv\n"
                "tables: {users: {files: users.csv, key: user_id, side: user}}\n"
                "split: {by: column, validation: \"date == 3\", test: \"date == 4\"}\n"
                "scenario: {column: tab, values: {home: 1, search: 2, cart: 3}}\n"
                "tasks: {click: click, order: order}\n"
                "user: user_id\n"
                "features:\n"
                "  user: {kind: id, column: user_id, width: 3}\n"
                "  item_id: {kind: id, width: 4}\n"
                "  age: number\n"
                "  city: {kind: id, width: 2}\n"
                "  tags: {kind: list, width: 2}\n"
                "  price: {kind: number, scaling: buckets, buckets: 4, width: 2}\n"
                "  user_rate: {kind: rate, key: [user_id], fold: hash 3, scaling: zscore}\n"
                "model: %s\n"
                "train: {block_rows: 16, batch: 16}\n",
                model);
    write_text(folder, "config.yaml", &text);
}

static void prepare(world *w, const char *const *sets, size_t n) {
    hn_error err = {0};
    hn_run run = hn_run_default();
    run.out_dir = w->folder;
    run.threads = 1;
    assert_ok(hn_config_load(&w->config, w->config_path, sets, n, &err));
    assert_ok(hn_pool_create(&w->pool, 1, &err));
    assert_ok(hn_dataset_prepare(w->dataset_path, w->config, NULL, w->pool, &run, &err));
    assert_ok(hn_dataset_open(&w->dataset, w->dataset_path, w->config, &err));
}

static void record(world *w) {
    hn_error err = {0};
    const hn_layout *layout = hn_schema_layout(hn_dataset_schema(w->dataset));
    assert_ok(hn_model_record(&w->graph, layout, &w->config->model, &err));
    assert_ok(hn_plan_create(&w->plan, w->graph, HN_MODE_TRAIN, &err));
    assert_ok(hn_params_create(&w->params, w->plan, &err));
    hn_params_init(&w->params, w->plan, 5, 0.5, NULL);
    assert_true(hn_params_stage(&w->params, w->plan));
}

static json_t *some_metrics(void) {
    json_error_t error;
    json_t *metrics = json_loads(
        "{\"test\": {\"mean\": {\"auc\": 0.625, \"gauc\": null, \"log_loss\": 0.5}, \"cells\": ["
        "{\"scenario\": \"home\", \"task\": \"click\", \"auc\": 0.625, \"gauc\": null, "
        "\"log_loss\": 0.5, "
        "\"calibration\": 1.25, \"rows\": 60, \"positives\": 31}]}}",
        0, &error);
    assert_non_null(metrics);
    return metrics;
}

void world_make(world *w, const char *model) { world_make_with(w, model, NULL, 0); }

void world_make_with(world *w, const char *model, const char *const *sets, size_t n) {
    hn_error err = {0};
    *w = (world){.folder = support_folder()};
    snprintf(w->config_path, sizeof w->config_path, "%s/config.yaml", w->folder);
    snprintf(w->dataset_path, sizeof w->dataset_path, "%s/dataset.hnd", w->folder);
    snprintf(w->bundle_path, sizeof w->bundle_path, "%s/model.hn", w->folder);
    write_log(w->folder);
    write_users(w->folder);
    write_config(w->folder, model);
    prepare(w, sets, n);
    record(w);
    w->metrics = some_metrics();
    const hn_bundle_parts parts = world_parts(w);
    assert_ok(hn_bundle_write(w->bundle_path, &parts, &err));
}

hn_bundle_parts world_parts(const world *w) {
    return (hn_bundle_parts){.config = w->config,
                             .schema = hn_dataset_schema(w->dataset),
                             .tables = hn_dataset_tables(w->dataset),
                             .plan = w->plan,
                             .params = &w->params,
                             .metrics = w->metrics,
                             .card = hn_dataset_card(w->dataset)};
}

void world_free(world *w) {
    json_decref(w->metrics);
    hn_params_free(&w->params);
    hn_plan_free(w->plan);
    hn_graph_free(w->graph);
    hn_dataset_close(w->dataset);
    hn_pool_free(w->pool);
    hn_config_free(w->config);
    support_remove(w->folder);
    free(w->folder);
    *w = (world){0};
}

/* ---- Rows ------------------------------------------------------------------------------ */

typedef struct encoding {
    hn_encoded *out;
    const hn_schema *schema;
    const hn_side_tables *tables;
} encoding;

static hn_status encode(void *user, const hn_impressions *block, hn_error *err) {
    const encoding *e = user;
    assert_int_equal(e->out->rows.rows, 0); /* the log is one block */
    return hn_schema_encode(e->out, e->schema, e->tables, block, false, err);
}

void world_rows(hn_encoded *out, const world *w, const hn_schema *schema,
                const hn_side_tables *tables) {
    hn_error err = {0};
    hn_log_counts counts;
    encoding e = {out, schema, tables};
    *out = (hn_encoded){0};
    char log[400];
    snprintf(log, sizeof log, "%s/log.csv", w->folder);
    const char *const files[] = {log};
    const hn_log_options options = {
        .files = files, .n_files = 1, .scoring = true, .block = encode, .user = &e};
    const hn_run run = hn_run_default();
    assert_ok(hn_log_read(&counts, w->config, hn_schema_sources(schema), tables, &options, w->pool,
                          &run, &err));
    hn_log_counts_free(&counts);
    assert_int_equal(out->rows.rows, LOG_ROWS);
}

/* ---- Golden rows ------------------------------------------------------------------------- */

static json_t *logits_json(const hn_real *logits) {
    json_t *const list = json_array();
    for (int t = 0; t < WORLD_TASKS; t++)
        assert_int_equal(json_array_append_new(list, json_real((double)logits[t])), 0);
    return list;
}

json_t *world_golden(const world *w) {
    hn_error err = {0};
    hn_encoded encoded;
    hn_bundle *bundle;
    hn_scratch *scratch;
    size_t i;
    json_t *row;
    world_rows(&encoded, w, hn_dataset_schema(w->dataset), hn_dataset_tables(w->dataset));
    hn_real *const logits = calloc(LOG_ROWS * WORLD_TASKS, sizeof *logits);
    assert_ok(hn_bundle_open(&bundle, w->bundle_path, &err));
    assert_ok(hn_scratch_create(&scratch, bundle->scorer, &err));
    assert_ok(hn_score(logits, bundle->scorer, scratch, &encoded.rows, &err));
    json_t *const golden = json_deep_copy(hn_dataset_samples(w->dataset));
    assert_non_null(golden);
    json_array_foreach(json_object_get(golden, "rows"), i, row) {
        const json_int_t at = json_integer_value(json_object_get(row, "ordinal"));
        assert_true(at >= 0 && at < LOG_ROWS);
        json_object_set_new(row, "logits", logits_json(logits + at * WORLD_TASKS));
        json_object_del(row, "ordinal");
    }
    hn_scratch_free(scratch);
    hn_bundle_close(bundle);
    hn_encoded_free(&encoded);
    free(logits);
    return golden;
}

/* ---- A bundle as a training ends with it --------------------------------------------------- */

static hn_calibration *some_calibration(void) {
    hn_error err = {0};
    hn_calibration *made;
    double x[60];
    uint8_t y[60];
    for (int i = 0; i < 60; i++) x[i] = i / 30.0 - 1, y[i] = i % 3 == 0 || i > 40;
    assert_ok(
        hn_calibration_create(&made, HN_CALIBRATE_ISOTONIC, WORLD_SCENARIOS, WORLD_TASKS, &err));
    assert_ok(hn_calibration_fit(made, 2, 1, x, y, NULL, 60, &err));
    assert_true(hn_calibration_has(made, 2, 1));
    return made;
}

/* Of the log twice over: it has too few rows for a profile. */
static hn_profile *some_profile(const world *w) {
    hn_error err = {0};
    hn_encoded encoded;
    hn_profiler *profiler;
    hn_profile *made;
    world_rows(&encoded, w, hn_dataset_schema(w->dataset), hn_dataset_tables(w->dataset));
    hn_real *const logits = calloc(LOG_ROWS * WORLD_TASKS, sizeof *logits);
    for (int i = 0; i < LOG_ROWS * WORLD_TASKS; i++) logits[i] = (hn_real)(i % 37) / 10;
    assert_ok(hn_profiler_create(&profiler, hn_schema_layout(hn_dataset_schema(w->dataset)), &err));
    for (int pass = 0; pass < 2; pass++) hn_profiler_add(profiler, &encoded.rows, logits);
    assert_ok(hn_profiler_finish(&made, profiler, &err));
    hn_profiler_free(profiler);
    hn_encoded_free(&encoded);
    free(logits);
    return made;
}

void world_write_served(const world *w) {
    enum { GOLDEN = 6 };
    hn_error err = {0};
    hn_calibration *const calibration = some_calibration();
    hn_profile *const profile = some_profile(w);
    json_t *const golden = world_golden(w), *const rows = json_object_get(golden, "rows");
    while (json_array_size(rows) > GOLDEN) json_array_remove(rows, GOLDEN);
    hn_bundle_parts parts = world_parts(w);
    parts.calibration = calibration;
    parts.profile = profile;
    parts.golden = golden;
    assert_ok(hn_bundle_write(w->bundle_path, &parts, &err));
    hn_calibration_free(calibration);
    hn_profile_free(profile);
    json_decref(golden);
}
