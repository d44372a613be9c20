/* The bytes of datasets: the same with any threads and memory, through the disk or not; and
 * every failure on the way: of memory, reads and writes, of damaged files, of a full limit,
 * of a stop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/report.h"
#include "base/rng.h"
#include "data/dataset_types.h"
#include "platform.h"

enum { ROWS = 2000 };

static const char *const features =
    "  item: id\n"
    "  user: {kind: id, min_count: 3}\n"
    "  category: id\n"
    "  city: {kind: id, hash: 5}\n"
    "  hobbies: {kind: list, max_length: 3}\n"
    "  tags: {kind: list, share: hobbies}\n"
    "  price: {kind: number, scaling: log1p-zscore}\n"
    "  age: {kind: number}\n"
    "  cost: {kind: number, scaling: buckets, buckets: 6}\n"
    "  r: {kind: rate, key: [user, tab], fold: day}\n"
    "  q: {kind: rate, key: category, past: day, scaling: zscore, tasks: click}\n";
static const char *const small_blocks = "train: {block_rows: 64}\n";

/* ---- Bytes ----------------------------------------------------------------------- */

static void prepare_to(const platform *p, const hn_config *config, const char *name, hn_pool *pool,
                       int64_t memory) {
    char *const path = platform_path(p, name);
    hn_run run = {.memory_bytes = memory};
    hn_error err = {0};
    assert_ok(hn_dataset_prepare(path, config, NULL, pool, &run, &err));
    free(path);
}

static void assert_same_files(const platform *p, const char *a, const char *b) {
    char *const one = platform_path(p, a), *const two = platform_path(p, b), *x, *y;
    size_t n, m;
    hn_error err = {0};
    assert_ok(hn_file_read(&x, &n, one, &err));
    assert_ok(hn_file_read(&y, &m, two, &err));
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    hn_free(x), hn_free(y);
    free(one), free(two);
}

static void threads_and_memory_change_no_byte(void **state) {
    (void)state;
    platform *const p = platform_create(PLATFORM_ROWS_MAX, 13, 1);
    hn_config *const config = platform_config(p, features, small_blocks);
    prepare_to(p, config, "one", p->pool, 0);
    for (int32_t threads = 2; threads <= 4; threads++) {
        hn_pool *pool;
        hn_error err = {0};
        assert_ok(hn_pool_create(&pool, threads, &err));
        prepare_to(p, config, "many", pool, threads == 3 ? hn_memory_held() + (48 << 20) : 0);
        assert_same_files(p, "one", "many");
        char *const path = platform_path(p, "many");
        remove(path);
        free(path);
        hn_pool_free(pool);
    }
    hn_config_free(config);
    platform_free(p);
}

static void watch_memory(void *user, const hn_progress *progress) {
    int64_t *const most = user;
    (void)progress;
    if (hn_memory_held() > *most) *most = hn_memory_held();
}

/* So many values that vocabularies, quantiles and rates go through the disk. */
static void spills_change_no_byte(void **state) {
    (void)state;
    platform *const p = platform_create(10, 1, 2);
    char *const log = platform_path(p, "big.csv"), *const yaml = platform_path(p, "big.yaml");
    const char *const config_text =
        "log: {files: big.csv, drop_duplicates: true}\nsplit: {by: random, validation: 0.1, test: "
        "0.1}\ntasks: {y: y}\n"
        "features:\n  item: {kind: id, min_count: 2, max_size: 9000}\n  user: id\n"
        "  price: {kind: number, scaling: buckets, buckets: 50}\n"
        "  r: {kind: rate, key: [item, user], fold: hash 3}\n  q: {kind: rate, key: user, scaling: "
        "zscore}\n";
    hn_text text = {0};
    hn_error err = {0};
    hn_config *config;
    hn_text_add(&text, "item,user,price,y\n");
    for (uint64_t i = 0; i < 50000; i++) {
        const uint64_t r = hn_random(2, HN_STREAM_TEST, i);
        hn_text_add(&text, "i%d,u%d,%d.%d,%d\n", (int)(r % 20000), (int)((r >> 20) % 30000),
                    (int)((r >> 8) % 9999), (int)((r >> 30) % 7), (int)((r >> 50) % 2));
    }
    support_write(log, text.text, text.length);
    support_write(yaml, config_text, strlen(config_text));
    hn_text_free(&text);
    assert_ok(hn_config_load(&config, yaml, NULL, 0, &err));
    int64_t writes[2], most = 0;
    for (int small = 0; small < 2; small++) {
        char *const path = platform_path(p, small ? "small" : "large");
        hn_run run = {.memory_bytes = small ? hn_memory_held() + (36 << 20) : 0,
                      .progress = watch_memory,
                      .user = &most};
        hn_fault_arm(HN_FAULT_WRITE, INT64_MAX);
        assert_ok(hn_dataset_prepare(path, config, NULL, p->pool, &run, &err));
        writes[small] = hn_fault_count(HN_FAULT_WRITE);
        hn_fault_arm(HN_FAULT_WRITE, 0);
        if (small) assert_true(most <= run.memory_bytes);
        most = 0;
        free(path);
    }
    assert_true(writes[1] >
                writes[0] + 3); /* runs of at least the vocabularies, the prices and the rate */
    assert_same_files(p, "large", "small");
    hn_config_free(config);
    free(log), free(yaml);
    platform_free(p);
}

static void too_little_memory_is_refused_with_the_need(void **state) {
    (void)state;
    platform *const p = platform_create(ROWS, 13, 1);
    hn_config *const config = platform_config(p, features, small_blocks);
    char *const path = platform_path(p, "data");
    hn_run run = {.memory_bytes = hn_memory_held() + (4 << 20)};
    hn_error err = {0};
    assert_fails(HN_NO_MEMORY, "raise --memory to at least",
                 hn_dataset_prepare(path, config, NULL, p->pool, &run, &err));
    assert_false(hn_file_exists(path));
    free(path);
    hn_config_free(config);
    platform_free(p);
}

/* ---- Failures -------------------------------------------------------------------- */

typedef struct job {
    const platform *p;
    const hn_config *config;
    const char *path;
} job;

static hn_status read_all(const hn_dataset *dataset, hn_error *err) {
    for (int s = 0; s < HN_SPLITS; s++) {
        hn_batcher *batcher;
        const hn_rows *rows;
        HN_TRY(hn_batcher_create(&batcher, dataset, (hn_split)s, 50, 2, 1, err));
        hn_status status;
        do status = hn_batcher_next(&rows, batcher, err);
        while (status == HN_OK && rows);
        hn_batcher_free(batcher);
        HN_TRY(status);
    }
    return HN_OK;
}

static hn_status open_and_read(void *user, hn_error *err) {
    const job *const j = user;
    hn_dataset *dataset = NULL;
    hn_status status = hn_dataset_open(&dataset, j->path, j->config, err);
    assert_int_equal(status == HN_OK, dataset != NULL);
    if (status == HN_OK) status = read_all(dataset, err);
    hn_dataset_close(dataset);
    return status;
}

/* What a failed preparation leaves is nothing, or (when only the folder could not be synced
 * at the end) the whole file. */
static hn_status prepare_once(void *user, hn_error *err) {
    job *const j = user;
    hn_error why = {0};
    remove(j->path);
    const hn_status status = hn_dataset_prepare(j->path, j->config, NULL, j->p->pool, NULL, err);
    if (status != HN_OK && hn_file_exists(j->path)) assert_int_equal(open_and_read(j, &why), HN_OK);
    return status;
}

static hn_status check_once(void *user, hn_error *err) {
    const job *const j = user;
    json_t *card;
    const hn_status status = hn_data_check(&card, j->config, j->p->pool, NULL, err);
    assert_int_equal(status == HN_OK, card != NULL);
    json_decref(card);
    return status;
}

static void every_failure_is_reported(void **state) {
    (void)state;
    platform *const p = platform_create(120, 21, 1);
    hn_config *const config = platform_config(p, features, small_blocks);
    char *const path = platform_path(p, "data");
    job j = {p, config, path};
    assert_true(support_fail_each(HN_FAULT_ALLOC, prepare_once, &j) > 100);
    assert_true(support_fail_each(HN_FAULT_READ, prepare_once, &j) > 3);
    assert_true(support_fail_each(HN_FAULT_WRITE, prepare_once, &j) > 3);
    assert_true(support_fail_each(HN_FAULT_ALLOC, check_once, &j) > 100);
    assert_true(support_fail_each(HN_FAULT_ALLOC, open_and_read, &j) > 50);
    free(path);
    hn_config_free(config);
    platform_free(p);
}

static void stops_and_empty_splits_are_errors(void **state) {
    (void)state;
    platform *const p = platform_create(200, 22, 1);
    hn_config *const config = platform_config(p, features, small_blocks);
    char *const path = platform_path(p, "data");
    const int stop = 1;
    hn_run run = {.stop = &stop};
    hn_error err = {0};
    assert_fails(HN_INTERRUPTED, "", hn_dataset_prepare(path, config, NULL, p->pool, &run, &err));
    assert_false(hn_file_exists(path));
    hn_config_free(config);
    char *const yaml = platform_path(p, "none.yaml");
    const char *const text = "log: {files: log.csv, filter: [day == 6]}\nsplit: {by: column, "
                             "validation: day == 6, test: day == 7}\n"
                             "tasks: {click: click}\nfeatures: {item: id}\n";
    hn_config *none;
    support_write(yaml, text, strlen(text));
    assert_ok(hn_config_load(&none, yaml, NULL, 0, &err));
    assert_fails(HN_BAD_DATA, "the training split has no rows",
                 hn_dataset_prepare(path, none, NULL, p->pool, NULL, &err));
    assert_non_null(strstr(err.text, "filtered"));
    assert_false(hn_file_exists(path));
    free(path), free(yaml);
    hn_config_free(none);
    platform_free(p);
}

static void other_files_are_refused(void **state) {
    (void)state;
    platform *const p = platform_create(200, 23, 1);
    hn_config *const config = platform_config(p, features, small_blocks);
    hn_config *const other = platform_config(p, "  item: id\n", small_blocks);
    char *const path = platform_path(p, "data"), *const none = platform_path(p, "none");
    hn_dataset *dataset;
    hn_error err = {0};
    assert_fails(HN_NO_INPUT, "none", hn_dataset_open(&dataset, none, config, &err));
    assert_ok(hn_dataset_prepare(path, config, NULL, p->pool, NULL, &err));
    assert_fails(HN_BAD_DATA, "made from another config than test.yaml",
                 hn_dataset_open(&dataset, path, other, &err));
    assert_null(dataset);
    assert_fails(HN_CANNOT_CREATE, "/dev/null",
                 hn_dataset_prepare("/dev/null/data", config, NULL, p->pool, NULL, &err));
    free(path), free(none);
    hn_config_free(config), hn_config_free(other);
    platform_free(p);
}

/* ---- Damage
 * ------------------------------------------------------------------------------------------------
 */

/* Every byte of the rows is under some check: of a block's checksum or, where that was made
 * right again, of a field's range. */
static void damaged_rows_are_found_when_read(void **state) {
    (void)state;
    platform *const p = platform_create(150, 24, 1);
    hn_config *const config = platform_config(p, features, small_blocks);
    char *const path = platform_path(p, "data"), *bytes;
    hn_dataset *dataset;
    hn_error err = {0};
    size_t n;
    assert_ok(hn_dataset_prepare(path, config, NULL, p->pool, NULL, &err));
    assert_ok(hn_file_read(&bytes, &n, path, &err));
    assert_ok(hn_dataset_open(&dataset, path, config, &err));
    const char *const map =
        (const char *)dataset->blocks[0].records - 64; /* rows are the first section */
    assert_memory_equal(map, bytes, 64);
    for (uint32_t b = 0; b < dataset->first[HN_SPLITS]; b++) {
        const hn_block *const block = &dataset->blocks[b];
        const size_t at = (size_t)((const char *)block->records - map),
                     length = block->rows * dataset->record.bytes + block->n_list_ids * 4;
        for (size_t i = 0; i < length; i += 97) {
            job j = {p, config, path};
            hn_error why = {0};
            bytes[at + i] ^= 0x10;
            support_write(path, bytes, n);
            assert_int_equal(open_and_read(&j, &why), HN_BAD_DATA);
            assert_non_null(strstr(why.text, "of its rows is damaged"));
            bytes[at + i] ^= 0x10;
        }
    }
    hn_dataset_close(dataset);
    hn_free(bytes);
    free(path);
    hn_config_free(config);
    platform_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_and_memory_change_no_byte),
        cmocka_unit_test(spills_change_no_byte),
        cmocka_unit_test(too_little_memory_is_refused_with_the_need),
        cmocka_unit_test(every_failure_is_reported),
        cmocka_unit_test(stops_and_empty_splits_are_errors),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(damaged_rows_are_found_when_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
