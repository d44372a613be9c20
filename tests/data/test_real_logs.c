/* Public data sets, where they are to be had: the counts that are known of them must come
 * out. They are looked for beside the project and are no part of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/report.h"
#include "data/digest.h"
#include "support.h"

#define DATA HN_SOURCE_DIR "/../shared/data"

static hn_error err;

enum { SCENARIOS = 8, TASKS = 2 };

typedef struct tally {
    uint64_t rows[SCENARIOS][HN_SPLITS], positives[SCENARIOS][HN_SPLITS][TASKS];
    uint64_t unjoined;
    uint64_t *identity;
    size_t n_identity, identity_capacity;
} tally;

static hn_status count_block(void *user, const hn_impressions *b, hn_error *e) {
    tally *const t = user;
    for (int32_t r = 0; r < b->rows; r++) {
        t->rows[b->scenario[r]][b->split[r]]++;
        for (int32_t k = 0; k < b->tasks; k++)
            t->positives[b->scenario[r]][b->split[r]][k] += b->labels[r * b->tasks + k] == 1;
        for (int32_t k = 0; k < b->tables; k++)
            t->unjoined += b->table_rows[r * b->tables + k] == HN_TABLE_ROW_NONE;
    }
    if (!b->identity) return HN_OK;
    HN_TRY(hn_grow(&t->identity, &t->identity_capacity, t->n_identity + 2 * (size_t)b->rows,
                   sizeof *t->identity, e));
    memcpy(t->identity + t->n_identity, b->identity, 2 * (size_t)b->rows * sizeof *t->identity);
    t->n_identity += 2 * (size_t)b->rows;
    return HN_OK;
}

static bool is_there(const char *dir) {
    if (access(dir, R_OK) == 0) return true;
    print_message("skipped: no %s\n", dir);
    return false;
}

static void read_data(tally *t, hn_log_counts *counts, uint32_t table_rows[2], const char *dir,
                      const char *yaml) {
    hn_config *config = NULL;
    hn_pool *pool = NULL;
    hn_side_tables *tables = NULL;
    int32_t slots[2] = {0};
    const hn_sources sources = {.table_slots = slots, .tables = 2};
    *t = (tally){0};
    assert_ok(hn_config_parse(&config, yaml, strlen(yaml), "test.yaml", dir, NULL, 0, &err));
    assert_ok(hn_pool_create(&pool, 2, &err));
    assert_ok(hn_side_tables_read(&tables, config, &sources, pool, NULL, &err));
    const hn_log_options options = {.block = count_block, .user = t};
    assert_ok(hn_log_read(counts, config, &sources, tables, &options, pool, NULL, &err));
    for (int32_t i = 0; i < 2; i++) table_rows[i] = tables->items[i].rows;
    hn_side_tables_free(tables);
    hn_pool_free(pool);
    hn_config_free(config);
}

static int compare_identities(const void *a, const void *b) {
    return memcmp(a, b, 2 * sizeof(uint64_t));
}

static uint64_t count_copies(tally *t) {
    uint64_t copies = 0;
    qsort(t->identity, t->n_identity / 2, 2 * sizeof *t->identity, compare_identities);
    for (size_t i = 2; i < t->n_identity; i += 2)
        copies += compare_identities(t->identity + i, t->identity + i - 2) == 0;
    return copies;
}

static void kuairand_has_its_known_counts(void **state) {
    (void)state;
    static const char dir[] = DATA "/kuairand-pure-late";
    if (!is_there(dir)) skip();
    static const char yaml[] =
        "log: {files: 'log_*.csv', drop_duplicates: true}\nuser: user_id\n"
        "tables: {users: {files: user_features_pure.csv, key: user_id}, videos: {files: "
        "video_features_basic_pure.csv, key: video_id}}\n"
        "split: {by: column, validation: 'date >= 20220505', test: 'date >= 20220507'}\n"
        "scenario: {column: tab, values: [1, 0, 4, 6, 2], others: rest}\ntasks: {click: is_click, "
        "long: long_view}\nfeatures: {user_id: id}\n";
    tally t;
    hn_log_counts counts;
    uint32_t tables[2];
    read_data(&t, &counts, tables, dir, yaml);
    assert_int_equal(counts.rows, 228329);
    assert_int_equal(counts.bad, 0);
    assert_int_equal(tables[0], 27285);
    assert_int_equal(tables[1], 7583);
    assert_int_equal(t.unjoined, 0);
    static const uint64_t train[] = {129822, 15362, 10189, 9079, 4784},
                          validation[] = {20762, 2355, 1637, 1081, 985},
                          test[] = {22424, 2537, 1821, 1048, 1140};
    static const uint64_t clicks[] = {11007, 220, 1071, 199, 577},
                          longs[] = {7769, 117, 805, 127, 438};
    for (int s = 0; s < 5; s++) {
        assert_int_equal(t.rows[s][HN_TRAIN], train[s]);
        assert_int_equal(t.rows[s][HN_VALIDATION], validation[s]);
        assert_int_equal(t.rows[s][HN_TEST], test[s]);
        assert_int_equal(t.positives[s][HN_TEST][0], clicks[s]);
        assert_int_equal(t.positives[s][HN_TEST][1], longs[s]);
    }
    assert_int_equal(t.rows[5][0] + t.rows[5][1] + t.rows[5][2], 3303);
    assert_int_equal(count_copies(&t), 5460);
    hn_free(t.identity);
    hn_log_counts_free(&counts);
}

static void movielens_has_its_known_counts(void **state) {
    (void)state;
    static const char dir[] = DATA "/ml-1m";
    if (!is_there(dir)) skip();
    static const char yaml[] =
        "log: ratings_no_timestamp.csv\nuser: user_id\n"
        "tables:\n  users: {files: users.dat, delimiter: '::', columns: [user_id, gender, age, "
        "occupation, zip], key: user_id}\n"
        "  movies: {files: movies.dat, delimiter: '::', columns: [movie_id, title, genres], key: "
        "movie_id}\n"
        "split: {by: hash, column: user_id, validation: 0, test: 0}\n"
        "scenario: {column: users.age, values: {young: [1, 18], twenties: 25, older: [35, 45, 50, "
        "56]}, others: drop}\n"
        "tasks: {good: 'rating > 3', great: 'rating > 4'}\nfeatures: {user_id: id}\n";
    tally t;
    hn_log_counts counts;
    uint32_t tables[2];
    read_data(&t, &counts, tables, dir, yaml);
    assert_int_equal(counts.rows, 1000209);
    assert_int_equal(counts.bad + counts.filtered + counts.other_scenario, 0);
    assert_int_equal(tables[0], 6040);
    assert_int_equal(tables[1], 3883);
    assert_int_equal(t.unjoined, 0);
    static const uint64_t rows[] = {210747, 395556, 393906};
    for (int s = 0; s < 3; s++) assert_int_equal(t.rows[s][HN_TRAIN], rows[s]);
    const uint64_t good = t.positives[0][0][0] + t.positives[1][0][0] + t.positives[2][0][0];
    const uint64_t great = t.positives[0][0][1] + t.positives[1][0][1] + t.positives[2][0][1];
    assert_int_equal(good, 348971 + 226310);
    assert_int_equal(great, 226310);
    hn_log_counts_free(&counts);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(kuairand_has_its_known_counts),
                                       cmocka_unit_test(movielens_has_its_known_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
