/* Datasets: rows equal to the bit through both doors, the data card, duplicates, staleness,
 * warm starts. Bytes and failures are in test_dataset_bytes.c. */
#include "data/dataset.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/report.h"
#include "data/dataset_types.h"
#include "platform.h"

enum { ROWS = 2000 };

static const char *const features =
    "  item: id\n"
    "  user: {kind: id, min_count: 3}\n"
    "  category: id\n"
    "  age: {kind: number}\n"
    "  city: {kind: id, hash: 5}\n"
    "  hobbies: {kind: list, max_length: 3}\n"
    "  tags: {kind: list, share: hobbies}\n"
    "  price: {kind: number, scaling: log1p-zscore}\n"
    "  cost: {kind: number, scaling: buckets, buckets: 6}\n"
    "  r: {kind: rate, key: [user, tab], fold: day}\n"
    "  q: {kind: rate, key: category, past: day, scaling: zscore, tasks: click}\n";
static const char *const small_blocks = "train: {block_rows: 64}\n";

/* ---- Two doors ------------------------------------------------------------------- */

typedef struct door {
    const hn_layout *layout;
    const hn_rows *expected;
    const hn_impressions *raw_of;
    int32_t at;
    bool with_raw;
} door;

static void compare_lists(const door *d, const hn_rows *rows, int32_t r) {
    const int32_t lists = d->layout->lists;
    for (int32_t l = 0; l < lists; l++) {
        const uint32_t *const a = &rows->list_begin[r * lists + l],
                              *const b = &d->expected->list_begin[d->at * lists + l];
        assert_int_equal(a[1] - a[0], b[1] - b[0]);
        assert_memory_equal(rows->list_ids + a[0], d->expected->list_ids + b[0], (a[1] - a[0]) * 4);
    }
}

static hn_status compare_rows(void *user, const hn_rows *rows, const hn_impressions *raw,
                              hn_error *err) {
    (void)err;
    door *const d = user;
    const size_t ids = (size_t)d->layout->ids, values = (size_t)d->layout->values,
                 tasks = (size_t)d->layout->tasks;
    assert_int_equal(raw != NULL, d->with_raw);
    for (int32_t r = 0; r < rows->rows; r++, d->at++) {
        const size_t at = (size_t)d->at, i = (size_t)r;
        assert_true(d->at < d->expected->rows);
        assert_int_equal(rows->ordinal[i], d->expected->ordinal[at]);
        assert_int_equal(rows->scenario[i], d->expected->scenario[at]);
        assert_int_equal(rows->user[i], d->expected->user[at]);
        assert_memory_equal(rows->ids + i * ids, d->expected->ids + at * ids, ids * 4);
        assert_memory_equal(rows->values + i * values, d->expected->values + at * values,
                            values * 4);
        assert_memory_equal(rows->labels + i * tasks, d->expected->labels + at * tasks, tasks);
        assert_true(rows->weights[i] == d->expected->weights[at]);
        compare_lists(d, rows, r);
    }
    return HN_OK;
}

static void raw_equals(const platform *p, const hn_config *config, const hn_schema *schema,
                       const hn_side_tables *tables, hn_split split, const hn_rows *expected) {
    door d = {.layout = hn_schema_layout(schema), .expected = expected};
    const hn_raw_options options = {.only = split, .rows = compare_rows, .user = &d};
    hn_log_counts counts;
    hn_error err = {0};
    assert_ok(hn_raw_read(&counts, config, schema, tables, &options, p->pool, NULL, &err));
    assert_int_equal(d.at, expected->rows);
    assert_int_equal(counts.rows, p->rows);
    hn_log_counts_free(&counts);
}

/* Held-out rows of the dataset and of the raw log, with tables encoded ahead and not. */
static void held_out_rows_are_equal_through_both_doors(void **state) {
    (void)state;
    platform *const p = platform_create(ROWS, 11, 2);
    hn_config *const config = platform_config(p, features, small_blocks);
    hn_dataset *const dataset = platform_dataset(p, config, NULL);
    hn_error err = {0};
    hn_pack *pack;
    hn_schema *schema;
    char *const path = platform_path(p, "data");
    assert_ok(hn_pack_open(&pack, path, "DATA", &err));
    assert_ok(hn_schema_load(&schema, config, pack, &err));
    for (int s = HN_VALIDATION; s <= HN_TEST; s++) {
        platform_rows read = platform_read(dataset, (hn_split)s);
        assert_true(read.rows.rows > 100);
        raw_equals(p, config, hn_dataset_schema(dataset), hn_dataset_tables(dataset), (hn_split)s,
                   &read.rows);
        assert_ok(hn_schema_bind(schema, hn_dataset_tables(dataset), p->pool, NULL, &err));
        raw_equals(p, config, schema, hn_dataset_tables(dataset), (hn_split)s, &read.rows);
        assert_ok(hn_schema_bind(schema, NULL, p->pool, NULL, &err));
        platform_rows_free(&read);
    }
    hn_schema_free(schema);
    hn_pack_close(pack);
    hn_dataset_close(dataset);
    hn_config_free(config);
    free(path);
    platform_free(p);
}

static hn_status count_rows(void *user, const hn_rows *rows, const hn_impressions *raw,
                            hn_error *err) {
    int32_t *const n = user;
    (void)err;
    assert_non_null(raw);
    assert_int_equal(raw->rows, rows->rows);
    for (int32_t i = 0; i < raw->rows; i++) assert_int_equal(raw->scenario[i], rows->scenario[i]);
    assert_non_null(raw->line);
    *n += rows->rows;
    return *n > 500 ? hn_fail(err, HN_FAILED, "enough") : HN_OK;
}

/* Scoring keeps every row and its text, and passes on what the caller returns. */
static void scoring_gives_every_row(void **state) {
    (void)state;
    platform *const p = platform_create(400, 12, 2);
    hn_config *const config =
        platform_config(p, "  tab: id\n  item: id\n  r: {kind: rate, key: item, fold: day}\n", "");
    hn_dataset *const dataset = platform_dataset(p, config, NULL);
    char *const path = platform_path(p, "score.csv");
    const char *const files[] = {path};
    int32_t n = 0;
    const hn_raw_options options = {.files = files,
                                    .n_files = 1,
                                    .scoring = true,
                                    .keep_lines = true,
                                    .rows = count_rows,
                                    .user = &n};
    hn_log_counts counts;
    hn_error err = {0};
    support_write(path, "item,user,tab\ni1,u1,a\ni2,,z\n,u3,b\n", 34); /* no day, no labels */
    assert_ok(hn_raw_read(&counts, config, hn_dataset_schema(dataset), hn_dataset_tables(dataset),
                          &options, p->pool, NULL, &err));
    assert_int_equal(n, 3);
    hn_log_counts_free(&counts);
    n = 499;
    assert_fails(HN_FAILED, "enough",
                 hn_raw_read(&counts, config, hn_dataset_schema(dataset),
                             hn_dataset_tables(dataset), &options, p->pool, NULL, &err));
    hn_log_counts_free(&counts);
    hn_dataset_close(dataset);
    hn_config_free(config);
    free(path);
    platform_free(p);
}

/* ---- What is in it --------------------------------------------------------------- */

static void counts_and_card_are_as_said_by_text(void **state) {
    (void)state;
    platform *const p = platform_create(ROWS, 14, 2);
    hn_config *const config = platform_config(
        p, "  item: id\n  city: id\n  price: number\n  tags: {kind: list}\n", small_blocks);
    hn_dataset *const dataset = platform_dataset(p, config, NULL);
    uint64_t rows[HN_SPLITS] = {0}, labelled[HN_SPLITS][6] = {{0}}, positives[HN_SPLITS][6] = {{0}},
             no_price[HN_SPLITS] = {0};
    for (int32_t i = 0; i < ROWS; i++) {
        const platform_row *const row = &p->row[i];
        const hn_split s = platform_split(row);
        const size_t cell = (size_t)(row->tab[0] - 'a') * 2;
        rows[s]++;
        labelled[s][cell] += row->click[0] != 0, labelled[s][cell + 1] += row->buy[0] != 0;
        positives[s][cell] += row->click[0] == '1', positives[s][cell + 1] += row->buy[0] == '1';
        no_price[s] += row->price[0] == 0;
    }
    json_t *const features_json = json_object_get(hn_dataset_card(dataset), "features");
    assert_int_equal(json_array_size(features_json), 4);
    static const char *const order[] = {"city", "price", "tags", "item"}; /* by side */
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(
            json_string_value(json_object_get(json_array_get(features_json, i), "name")), order[i]);
    static const char *const names[] = {"train", "validation", "test"};
    for (int s = 0; s < HN_SPLITS; s++) {
        assert_int_equal(hn_dataset_rows(dataset, (hn_split)s), rows[s]);
        assert_memory_equal(hn_dataset_labelled(dataset, (hn_split)s), labelled[s],
                            sizeof labelled[s]);
        assert_memory_equal(hn_dataset_positives(dataset, (hn_split)s), positives[s],
                            sizeof positives[s]);
        json_t *const missing = json_object_get(json_array_get(features_json, 1), "missing");
        const double share = json_real_value(json_object_get(missing, names[s]));
        assert_true(fabs(share - (double)no_price[s] / (double)rows[s]) < 1e-14);
    }
    const json_t *const cells = json_object_get(hn_dataset_card(dataset), "cells");
    assert_int_equal(json_array_size(cells), 18);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(cells, 0), "positives")),
                     positives[0][0]);
    hn_dataset_close(dataset);
    hn_config_free(config);
    platform_free(p);
}

static void checking_says_the_same_and_writes_nothing(void **state) {
    (void)state;
    platform *const p = platform_create(ROWS, 14, 2);
    hn_config *const config = platform_config(p, features, small_blocks);
    json_t *card;
    hn_error err = {0};
    assert_ok(hn_data_check(&card, config, p->pool, NULL, &err));
    char *const path = platform_path(p, "*");
    hn_paths paths;
    const char *const pattern = "*";
    assert_ok(hn_paths_glob(&paths, p->folder, &pattern, 1, &err));
    assert_int_equal(paths.n, 3); /* the log and two tables */
    hn_paths_free(&paths);
    hn_dataset *const dataset = platform_dataset(p, config, NULL);
    json_t *const text = json_deep_copy(hn_dataset_card(dataset));
    char *const a = json_dumps(card, JSON_SORT_KEYS | JSON_REAL_PRECISION(12)),
                *const b = json_dumps(text, JSON_SORT_KEYS | JSON_REAL_PRECISION(12));
    assert_string_equal(a, b);
    free(a), free(b), free(path);
    json_decref(card), json_decref(text);
    hn_dataset_close(dataset);
    hn_config_free(config);
    platform_free(p);
}

/* Duplicates: the first of equal rows stays, wherever its copies are. */
static void exact_duplicates_are_dropped(void **state) {
    (void)state;
    platform *const p = platform_create(300, 15, 2);
    for (int32_t i = 0; i < 100; i++) p->row[200 + i] = p->row[i * 2];
    char *const log = platform_path(p, "log.csv"), *bytes;
    size_t n;
    hn_error err = {0};
    hn_text text = {0};
    assert_ok(hn_file_read(&bytes, &n, log, &err));
    const char *line = bytes;
    hn_text_bytes(&text, bytes, n);
    for (int32_t i = 0; *line; i++) { /* every third line again, at the end */
        const size_t length = strcspn(line, "\n") + 1;
        if (i > 0 && i % 3 == 0) hn_text_bytes(&text, line, length);
        line += length;
    }
    support_write(log, text.text, text.length);
    hn_text_free(&text);
    hn_free(bytes);
    hn_config *config = platform_config(p, "  item: id\n", "");
    hn_dataset *dataset = platform_dataset(p, config, NULL);
    uint64_t all = 0, kept = 0;
    for (int s = 0; s < HN_SPLITS; s++) all += hn_dataset_rows(dataset, (hn_split)s);
    assert_int_equal(all, 400);
    hn_dataset_close(dataset);
    hn_config_free(config);
    static const char *const overrides[] = {"log={files: log.csv, drop_duplicates: true}"};
    char *const yaml = platform_path(p, "config.yaml");
    const char *const config_text =
        "log: log.csv\nsplit: {by: column, validation: day == 6, test: day == 7}\n"
        "scenario: {column: tab, values: [a, b, c]}\ntasks: {click: click}\nfeatures: {item: id}\n";
    support_write(yaml, config_text, strlen(config_text));
    assert_ok(hn_config_load(&config, yaml, overrides, 1, &err));
    dataset = platform_dataset(p, config, NULL);
    for (int s = 0; s < HN_SPLITS; s++) {
        platform_rows read = platform_read(dataset, (hn_split)s);
        kept += (uint64_t)read.rows.rows;
        for (int32_t r = 0; r < read.rows.rows; r++) assert_true(read.rows.ordinal[r] < 300);
        raw_equals(&(platform){.pool = p->pool, .rows = 400}, config, hn_dataset_schema(dataset),
                   hn_dataset_tables(dataset), (hn_split)s, &read.rows);
        platform_rows_free(&read);
    }
    const json_t *const log_card = json_object_get(hn_dataset_card(dataset), "log");
    const uint64_t dropped = (uint64_t)json_integer_value(json_object_get(log_card, "duplicates"));
    assert_int_equal(kept + dropped, 400);
    assert_true(dropped >= 100 && dropped < 200); /* rows of few columns repeat by chance, too */
    hn_dataset_close(dataset);
    hn_config_free(config);
    free(log), free(yaml);
    platform_free(p);
}

/* ---- Freshness ------------------------------------------------------------------- */

typedef struct listener {
    char lines[4000];
} listener;
static void listen(void *user, hn_log_level level, const char *line) {
    listener *const l = user;
    (void)level;
    strncat(l->lines, line, sizeof l->lines - strlen(l->lines) - 2);
    strcat(l->lines, "\n");
}

/* Whether preparing wrote the file anew: a new file has a new inode, as the old one is held
 * open meanwhile. */
static bool prepares(const platform *p, const char *names, const char *more, char *said) {
    char *const path = platform_path(p, "data");
    hn_config *const config = platform_config(p, names, more);
    listener l = {{0}};
    hn_run run = {.log = listen, .user = &l};
    hn_error err = {0};
    struct stat before = {0}, after;
    const int held = open(path, O_RDONLY);
    if (held >= 0) fstat(held, &before);
    assert_ok(hn_dataset_prepare(path, config, NULL, p->pool, &run, &err));
    assert_int_equal(stat(path, &after), 0);
    if (held >= 0) close(held);
    if (said) strcpy(said, l.lines);
    hn_config_free(config);
    free(path);
    return held < 0 || before.st_ino != after.st_ino;
}

static void a_fresh_dataset_is_left_alone(void **state) {
    (void)state;
    platform *const p = platform_create(300, 16, 1);
    char said[4000];
    assert_true(prepares(p, features, small_blocks, NULL));
    assert_false(prepares(p, features, small_blocks, NULL));
    assert_false(prepares(
        p, features, "train: {block_rows: 64, rate: 0.5, epochs: 3}\nmodel: {name: ple}\n", NULL));
    assert_true(prepares(p, features, "train: {block_rows: 65}\n", said));
    assert_non_null(strstr(said, "config or files have changed"));
    assert_true(prepares(p, "  item: id\n", "train: {block_rows: 65}\n", NULL));
    assert_false(prepares(p, "  item: id\n", "train: {block_rows: 65}\n", NULL));
    char *const users = platform_path(p, "users.csv"), *const data = platform_path(p, "data");
    support_write(users, "user,age,city,hobbies\nu1,30,c1,t1\n", 34);
    assert_true(prepares(p, "  item: id\n", "train: {block_rows: 65}\n", NULL));
    support_write(data, "no dataset", 10);
    assert_true(prepares(p, "  item: id\n", "train: {block_rows: 65}\n", said));
    assert_non_null(strstr(said, "data"));
    assert_false(prepares(p, "  item: id\n", "train: {block_rows: 65}\n", NULL));
    free(users), free(data);
    platform_free(p);
}

static hn_dataset *from_pipe(const platform *p, const hn_config *config, bool resume) {
    char *const log = platform_path(p, "log.csv"), *const path = platform_path(p, "data");
    hn_run run = {.resume = resume};
    hn_dataset *dataset;
    hn_error err = {0};
    assert_non_null(freopen(resume ? "/dev/null" : log, "r", stdin));
    assert_ok(hn_dataset_prepare(path, config, NULL, p->pool, &run, &err));
    assert_ok(hn_dataset_open(&dataset, path, config, &err));
    free(log), free(path);
    return dataset;
}

/* A pipe gives the same rows as the file, and is not read again by a run that resumes. */
static void a_pipe_is_read_once(void **state) {
    (void)state;
    static const char *const override[] = {"log='-'"};
    platform *const p = platform_create(300, 19, 2);
    hn_config *const config = platform_config(p, features, small_blocks);
    hn_config *piped;
    hn_error err = {0};
    assert_ok(hn_config_parse(&piped, hn_config_yaml(config), strlen(hn_config_yaml(config)),
                              "pipe.yaml", p->folder, override, 1, &err));
    hn_dataset *const file = platform_dataset(p, config, NULL);
    for (int resume = 0; resume < 2; resume++) {
        hn_dataset *const pipe = from_pipe(p, piped, resume);
        for (int s = 0; s < HN_SPLITS; s++) {
            platform_rows a = platform_read(file, (hn_split)s),
                          b = platform_read(pipe, (hn_split)s);
            const hn_layout *const layout = hn_schema_layout(hn_dataset_schema(file));
            const size_t n = (size_t)a.rows.rows;
            assert_int_equal(a.rows.rows, b.rows.rows);
            assert_memory_equal(a.rows.ids, b.rows.ids, n * (size_t)layout->ids * 4);
            assert_memory_equal(a.rows.values, b.rows.values, n * (size_t)layout->values * 4);
            platform_rows_free(&a), platform_rows_free(&b);
        }
        hn_dataset_close(pipe);
    }
    hn_dataset_close(file);
    hn_config_free(config), hn_config_free(piped);
    platform_free(p);
}

/* ---- Warm starts ----------------------------------------------------------------- */

static void vocabularies_only_append_on_a_warm_start(void **state) {
    (void)state;
    platform *const p = platform_create(150, 17, 2), *const later = platform_create(ROWS, 18, 2);
    hn_config *const config = platform_config(p, features, ""), *const later_config =
                                                                    platform_config(later, features,
                                                                                    "");
    hn_dataset *const first = platform_dataset(p, config, NULL);
    char *const old = platform_path(p, "data"), *const path = platform_path(later, "warm");
    listener l = {{0}};
    hn_run run = {.log = listen, .user = &l};
    hn_error err = {0};
    hn_pack *init;
    hn_dataset *second;
    assert_ok(hn_pack_open(&init, old, "DATA", &err));
    assert_ok(hn_dataset_prepare(path, later_config, init, later->pool, &run, &err));
    hn_pack_close(init);
    assert_ok(hn_dataset_open(&second, path, later_config, &err));
    const hn_schema *const a = hn_dataset_schema(first), *const b = hn_dataset_schema(second);
    bool grew = false;
    for (int32_t i = 0; i < a->n_roots; i++) {
        const hn_vocabulary *const x = &a->roots[i].vocabulary, *const y = &b->roots[i].vocabulary;
        assert_true(y->size >= x->size);
        if (x->size > 0) assert_memory_equal(x->hashes, y->hashes, x->size * 8);
        grew = grew || y->size > x->size;
    }
    assert_true(grew);
    for (int32_t c = 0; c < a->n_columns; c++) {
        const hn_scale *const x = &a->columns[c].scale, *const y = &b->columns[c].scale;
        assert_true(x->mean == y->mean && x->deviation == y->deviation && x->n_cuts == y->n_cuts);
        if (x->n_cuts > 0) assert_memory_equal(x->cuts, y->cuts, (size_t)x->n_cuts * 8);
    }
    assert_true(a->rates[0].totals.n != b->rates[0].totals.n);
    assert_non_null(strstr(l.lines, "features.item: "));
    assert_non_null(strstr(l.lines, "new values"));
    assert_non_null(strstr(l.lines, "rates are fitted anew"));
    hn_dataset_close(first), hn_dataset_close(second);
    hn_config_free(config), hn_config_free(later_config);
    free(old), free(path);
    platform_free(p), platform_free(later);
}

/* ---- Sampling -------------------------------------------------------------------- */

static void sampling_is_the_negatives_rate(void **state) {
    (void)state;
    platform *const p = platform_create(10, 1, 1);
    char *const path = platform_path(p, "s.csv"), *const yaml = platform_path(p, "s.yaml");
    const char *const log = "tab,y,rate\na,0,0.5\na,0,0.25\na,1,0.1\nb,1,0.5\n";
    const char *const text =
        "log: {files: s.csv, sampling_column: rate}\nsplit: {by: random, validation: 0, test: 0}\n"
        "scenario: {column: tab, values: [a, b]}\ntasks: {y: y}\nfeatures: {tab: id}\n";
    hn_config *config;
    hn_error err = {0};
    support_write(path, log, strlen(log));
    support_write(yaml, text, strlen(text));
    assert_ok(hn_config_load(&config, yaml, NULL, 0, &err));
    hn_dataset *const dataset = platform_dataset(p, config, NULL);
    assert_true(hn_schema_sampling(hn_dataset_schema(dataset))[0] == 2 / (1 / 0.5 + 1 / 0.25));
    assert_true(hn_schema_sampling(hn_dataset_schema(dataset))[1] == 1);
    hn_dataset_close(dataset);
    hn_config_free(config);
    free(path), free(yaml);
    platform_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_out_rows_are_equal_through_both_doors),
        cmocka_unit_test(scoring_gives_every_row),
        cmocka_unit_test(counts_and_card_are_as_said_by_text),
        cmocka_unit_test(checking_says_the_same_and_writes_nothing),
        cmocka_unit_test(exact_duplicates_are_dropped),
        cmocka_unit_test(a_fresh_dataset_is_left_alone),
        cmocka_unit_test(a_pipe_is_read_once),
        cmocka_unit_test(vocabularies_only_append_on_a_warm_start),
        cmocka_unit_test(sampling_is_the_negatives_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
