/* Samples: which held-out rows a dataset keeps is found out again by the rule, from the log's
 * text; their cells are the text, whatever the form of the file and the cut of the log. */
#include "data/samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "data/chunk.h"
#include "data/dataset.h"
#include "support.h"

enum { ROWS = 900, SCENARIOS = 3, COLUMNS = 4 };

static const char config_text[] =
    "log: {files: [a.csv, b.tsv.txt], quote: '\"'}\n"
    "tables: {users: {files: users.csv, key: user, side: user}}\n"
    "split: {by: column, validation: \"day == 3\", test: \"day == 4\"}\n"
    "scenario: {column: tab, values: [x, y, z]}\n"
    "tasks: {click: click}\n"
    "features: {age: number, note: id, file: {kind: id, column: $file}, "
    "tags: {kind: list, delimiter: '|'}}\n"
    "train: {block_rows: 64}\n";

static int day_of(int r) { return 1 + (int)(hn_random(1, HN_STREAM_TEST, 4 * (uint64_t)r) % 4); }
static int tab_of(int r) {
    return (int)(hn_random(1, HN_STREAM_TEST, 4 * (uint64_t)r + 1) % 7) / 3;
}
static int user_of(int r) { return (int)(hn_random(1, HN_STREAM_TEST, 4 * (uint64_t)r + 2) % 20); }

/* A note that needs quotes in the first file, and is none in some rows. */
static void note_of(char out[60], int r, bool quoted) {
    if (r % 5 == 0)
        out[0] = '\0';
    else if (quoted)
        snprintf(out, 60, "\"n%d, \"\"said\"\"\nhe\"", r % 11);
    else
        snprintf(out, 60, "n%d", r % 11);
}

static void plain_note_of(char out[60], int r) {
    if (r % 5 == 0)
        out[0] = '\0';
    else if (r < ROWS / 2)
        snprintf(out, 60, "n%d, \"said\"\nhe", r % 11);
    else
        snprintf(out, 60, "n%d", r % 11);
}

static char *folder;

static char *path_of(const char *name) {
    static char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, int from, int to, bool first) {
    FILE *const f = fopen(path_of(name), "wb");
    assert_non_null(f);
    fprintf(f,
            first ? "user,note,day,tab,tags,click,ballast\n" : "tab,day,click,user,tags,note\r\n");
    for (int r = from; r < to; r++) {
        char note[60];
        note_of(note, r, first);
        const char tab = "xyz"[tab_of(r)];
        if (first)
            fprintf(f, "u%d,%s,%d,%c,t%d|t2,%d,%d\n", user_of(r), note, day_of(r), tab, r % 3,
                    r % 2, r);
        else
            fprintf(f, "%c,%d,%d,u%d,t%d|t2,%s\r\n", tab, day_of(r), r % 2, user_of(r), r % 3,
                    note);
    }
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state) {
    (void)state;
    folder = support_folder();
    write_file("a.csv", 0, ROWS / 2, true);
    write_file("b.tsv.txt", ROWS / 2, ROWS, false);
    FILE *const f = fopen(path_of("users.csv"), "wb");
    assert_non_null(f);
    fprintf(f, "user,age\n");
    for (int u = 0; u < 20; u++) fprintf(f, "u%d,%d\n", u, 18 + u);
    assert_int_equal(fclose(f), 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    support_remove(folder);
    free(folder);
    return 0;
}

static hn_config *config_of(const char *const *sets, size_t n) {
    hn_error err = {0};
    hn_config *config;
    assert_ok(hn_config_parse(&config, config_text, strlen(config_text), "config.yaml", folder,
                              sets, n, &err));
    return config;
}

static json_t *samples_with(const hn_config *config, int32_t threads, const char *name) {
    hn_error err = {0};
    hn_pool *pool;
    hn_dataset *dataset;
    assert_ok(hn_pool_create(&pool, threads, &err));
    assert_ok(hn_dataset_prepare(path_of(name), config, NULL, pool, NULL, &err));
    assert_ok(hn_dataset_open(&dataset, path_of(name), config, &err));
    json_t *const samples = json_deep_copy(hn_dataset_samples(dataset));
    assert_non_null(samples);
    hn_dataset_close(dataset);
    hn_pool_free(pool);
    return samples;
}

/* ---- The rule ------------------------------------------------------------------------------ */

typedef struct held_out {
    uint64_t key;
    int row;
} held_out;

static int by_key(const void *a, const void *b) {
    const uint64_t x = ((const held_out *)a)->key, y = ((const held_out *)b)->key;
    return x < y ? -1 : x > y;
}

/* The held-out rows of a scenario by their keys; their number. */
static int rule(held_out out[ROWS], int tab) {
    int n = 0;
    for (int r = 0; r < ROWS; r++)
        if (day_of(r) >= 3 && tab_of(r) == tab)
            out[n++] = (held_out){hn_random(0, HN_STREAM_GOLDEN, (uint64_t)r), r};
    qsort(out, (size_t)n, sizeof *out, by_key);
    return n;
}

static const char *cell_of(const json_t *samples, const json_t *row, const char *column) {
    size_t c;
    const json_t *name;
    json_array_foreach(
        json_object_get(samples, "columns"), c,
        name) if (strcmp(json_string_value(name), column) ==
                  0) return json_string_value(json_array_get(json_object_get(row, "cells"), c));
    fail_msg("no column %s", column);
    return NULL;
}

static void assert_cells(const json_t *samples, const json_t *row, int r) {
    char user[20], note[60], tags[20];
    snprintf(user, sizeof user, "u%d", user_of(r));
    plain_note_of(note, r);
    snprintf(tags, sizeof tags, "t%d|t2", r % 3);
    assert_string_equal(cell_of(samples, row, "log.user"), user);
    assert_string_equal(cell_of(samples, row, "log.note"), note);
    assert_string_equal(cell_of(samples, row, "log.tags"), tags);
    assert_string_equal(cell_of(samples, row, "log.$file"), r < ROWS / 2 ? "a.csv" : "b.tsv.txt");
}

static void the_rows_are_those_of_the_rule(void **state) {
    (void)state;
    hn_config *const config = config_of(NULL, 0);
    json_t *const samples = samples_with(config, 2, "data");
    const json_t *const rows = json_object_get(samples, "rows");
    assert_true(hn_samples_fit(samples, SCENARIOS));
    assert_int_equal(json_array_size(json_object_get(samples, "columns")), COLUMNS);
    held_out expected[SCENARIOS][ROWS];
    int n[SCENARIOS], at = 0;
    for (int m = 0; m < SCENARIOS; m++) n[m] = rule(expected[m], m);
    for (int rank = 0; rank < HN_SAMPLES_MOST / SCENARIOS; rank++)
        for (int m = 0; m < SCENARIOS; m++) {
            if (rank >= n[m]) continue;
            const json_t *const row = json_array_get(rows, (size_t)at++);
            assert_int_equal(json_integer_value(json_object_get(row, "ordinal")),
                             expected[m][rank].row);
            assert_int_equal(json_integer_value(json_object_get(row, "scenario")), m);
            assert_cells(samples, row, expected[m][rank].row);
        }
    assert_int_equal(json_array_size(rows), at);
    assert_true(at > 150 && n[0] > HN_SAMPLES_MOST / SCENARIOS); /* some were too many */
    json_decref(samples);
    hn_config_free(config);
}

static void threads_and_chunks_change_nothing(void **state) {
    (void)state;
    hn_config *const config = config_of(NULL, 0);
    json_t *const one = samples_with(config, 1, "one");
    hn_chunk_bytes_set(700);
    json_t *const many = samples_with(config, 4, "many");
    hn_chunk_bytes_set(0);
    assert_true(json_equal(one, many));
    json_decref(one);
    json_decref(many);
    hn_config_free(config);
}

static void a_log_without_held_out_rows_has_none(void **state) {
    (void)state;
    const char *const sets[] = {"split={by: column, validation: \"day == 9\", test: \"day == 8\"}"};
    hn_config *const config = config_of(sets, 1);
    json_t *const samples = samples_with(config, 1, "none");
    assert_int_equal(json_array_size(json_object_get(samples, "rows")), 0);
    json_decref(samples);
    hn_config_free(config);
}

static hn_status prepare(void *user, hn_error *err) {
    remove(path_of("fault"));
    hn_pool *pool;
    hn_status status = hn_pool_create(&pool, 1, err);
    if (status == HN_OK) status = hn_dataset_prepare(path_of("fault"), user, NULL, pool, NULL, err);
    hn_pool_free(pool);
    return status;
}

static void every_failed_allocation_is_told(void **state) {
    (void)state;
    hn_config *const config = config_of(NULL, 0);
    assert_true(support_fail_each(HN_FAULT_ALLOC, prepare, config) > 50);
    hn_config_free(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rows_are_those_of_the_rule),
        cmocka_unit_test(threads_and_chunks_change_nothing),
        cmocka_unit_test(a_log_without_held_out_rows_has_none),
        cmocka_unit_test(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
