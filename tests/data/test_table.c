/* Side tables: digested rows found by key, what the config's own columns say of them, their
 * joining to the log, their errors, and the way into a pack and back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/chunk.h"
#include "data/refs.h"
#include "reading.h"

static hn_error err;
static char *folder;
static hn_config *config;
static reading_sources sources;
static hn_side_tables *tables;

static int setup(void **state) {
    (void)state;
    folder = support_folder();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    support_remove(folder);
    free(folder);
    return 0;
}

#define TWO                                                                                    \
    "log: log.csv\nscenario: {column: users.age, values: [1, 2], others: drop}\nuser: user\n"  \
    "tables: {users: {files: users.csv, key: id, log_key: user}, movies: {files: movies.csv, " \
    "key: movie, delimiter: '::', columns: [movie, title, genres]}}\n"                         \
    "tasks: {y: y}\nfeatures: {user: id}\nsplit: {by: column, test: 'y > 5'}\n"

static void write_two(void) {
    reading_file(folder, "users.csv", "age,id,score\n1,ann,2.5\n2,bob,\n3,cat,1\n,dan,0\n");
    reading_file(folder, "movies.csv", "m1::Toy::a|b\nm2::Heat::\n");
    reading_file(folder, "log.csv",
                 "user,movie,y\nann,m1,1\nbob,m9,0\ncat,m1,1\neve,m2,1\n,m2,0\nbob,m2,\n");
}

static void use(const char *yaml, hn_pool *pool) {
    config = reading_config(folder, yaml);
    sources = (reading_sources){0};
    reading_add(&sources, config, HN_SOURCE_HASH, "users.age");
    reading_add(&sources, config, HN_SOURCE_NUMBER, "users.score");
    reading_add(&sources, config, HN_SOURCE_LIST, "movies.genres");
    assert_ok(hn_side_tables_read(&tables, config, &sources.sources, pool, NULL, &err));
}

static void done(void) {
    hn_side_tables_free(tables);
    hn_config_free(config);
    tables = NULL;
}

static uint64_t key(const char *text) { return hn_cell_hash(text, strlen(text)); }

/* ---- Reading ------------------------------------------------------------------------------ */

static void rows_are_found_by_key(void **state) {
    (void)state;
    write_two();
    use(TWO, NULL);
    assert_int_equal(tables->n, 2);
    const hn_side_table *const users = &tables->items[0], *const movies = &tables->items[1];
    assert_string_equal(users->name, "users");
    assert_int_equal(users->rows, 4);
    assert_int_equal(hn_side_table_find(users, key("ann")), 0);
    assert_int_equal(hn_side_table_find(users, key("dan")), 3);
    assert_int_equal(hn_side_table_find(users, key("eve")), HN_TABLE_ROW_NONE);
    assert_int_equal(hn_side_table_find(users, HN_HASH_MISSING), HN_TABLE_ROW_NONE);
    assert_int_equal(users->slots, 2);
    assert_true(users->slot[0].hash == key("1") && users->slot[1].number == 2.5);
    assert_true(users->slot[3].number != users->slot[3].number); /* absent */
    assert_true(users->slot[6].hash == HN_HASH_MISSING);
    assert_int_equal(movies->n_lists, 2);
    assert_int_equal(movies->slot[0].list.length, 2);
    assert_true(movies->lists[movies->slot[0].list.begin + 1] == key("b"));
    assert_int_equal(movies->slot[1].list.length, 0);
    done();
}

static void tables_are_joined_and_give_the_scenario(void **state) {
    (void)state;
    write_two();
    use(TWO, NULL);
    reading r = {.blocks = 0};
    assert_ok(reading_log(&r, config, &sources.sources, tables, NULL, NULL, &err));
    char expected[1000];
    snprintf(expected, sizeof expected,
             "0 0 1 1 %s 0 (0 0)\n1 1 0 1 %s 0 (1 -1)\n5 1 - 1 %s 0 (1 1)\n", reading_hash("ann"),
             reading_hash("bob"), reading_hash("bob"));
    assert_string_equal(r.rows.text, expected);
    assert_int_equal(r.counts.other_scenario, 3);
    reading_free(&r);
    r = (reading){.options.scoring = true};
    assert_ok(reading_log(&r, config, &sources.sources, tables, NULL, NULL, &err));
    snprintf(expected, sizeof expected, "\n2 -1 1 1 %s 3 (2 0)\n3 -1 1 1 %s 3 (-1 1)\n",
             reading_hash("cat"), reading_hash("eve"));
    assert_non_null(strstr(r.rows.text, expected));
    reading_free(&r);
    done();
}

#define FROM_TABLE                                                                           \
    "log: {files: log.csv, filter: ['age < 3']}\nweight: score\ntables: {users: {files: "    \
    "users.csv, key: id, log_key: user}, movies: {files: movies.csv, key: movie}}\n"         \
    "tasks: {y: y, old: 'users.age >= 2'}\nfeatures: {user: id}\nsplit: {by: column, test: " \
    "'title == Heat'}\n"

static void filters_labels_weights_and_splits_from_tables(void **state) {
    (void)state;
    write_two();
    reading_file(
        folder, "movies.csv",
        "movie,title,genres,y\nm1,Toy,a|b,PG\nm2,Heat,,R\n"); /* y: the log's own is meant */
    use(FROM_TABLE, NULL);
    reading r = {.blocks = 0};
    assert_ok(reading_log(&r, config, &sources.sources, tables, NULL, NULL, &err));
    assert_string_equal(r.rows.text,
                        "0 0 10 2.5 0000000000000000 0 (0 0)\n1 0 01 1 0000000000000000 0 (1 "
                        "-1)\n5 0 -1 1 0000000000000000 2 (1 1)\n");
    assert_int_equal(r.counts.filtered, 3);
    reading_free(&r);
    /* A value that cannot be judged is a bad row only where a row meets it. */
    done();
    reading_file(folder, "users.csv", "age,id,score\n1,ann,2.5\n2,bob,\nold,cat,1\n,dan,0\n");
    use(FROM_TABLE, NULL);
    assert_fails(HN_BAD_DATA,
                 "log.csv:4:1: the row's entry in table \"users\" has a value that is not a "
                 "number, as is expected for the filter age < 3",
                 reading_log(&r, config, &sources.sources, tables, NULL, NULL, &err));
    reading_free(&r);
    config->bad_rows = 1;
    assert_ok(reading_log(&r, config, &sources.sources, tables, NULL, NULL, &err));
    assert_int_equal(r.counts.bad, 1);
    assert_int_equal(r.counts.rows, 6);
    assert_non_null(strstr(r.rows.text, "\n4 0 -1")); /* the bad row has no ordinal */
    reading_free(&r);
    done();
}

static void many_keys_are_all_found(void **state) {
    (void)state;
    enum { KEYS = 20000 };
    hn_text text = {0};
    hn_text_add(&text, "id,age,score\n");
    for (int i = 0; i < KEYS; i++) hn_text_add(&text, "%d,%d,%d\n", i, i % 7, -i);
    write_two();
    reading_file(folder, "users.csv", text.text);
    text.length = 0;
    for (int i = 0; i < KEYS; i++) hn_text_add(&text, "%d::title::g%d|h%d\n", i, i, i + 1);
    reading_file(folder, "movies.csv", text.text);
    hn_text_free(&text);
    hn_pool *pool = NULL;
    assert_ok(hn_pool_create(&pool, 3, &err));
    hn_chunk_bytes_set(5000);
    use(TWO, pool);
    hn_chunk_bytes_set(0);
    for (int i = 0; i < KEYS; i++) {
        char name[20];
        snprintf(name, sizeof name, "%d", i);
        assert_int_equal(hn_side_table_find(&tables->items[0], key(name)), i);
        assert_true(tables->items[0].slot[2 * i + 1].number == -i);
        const hn_side_table *const movies = &tables->items[1];
        const hn_slot *const slot = &movies->slot[hn_side_table_find(movies, key(name))];
        snprintf(name, sizeof name, "h%d", i + 1);
        assert_int_equal(slot->list.length, 2);
        assert_true(movies->lists[slot->list.begin + 1] == key(name));
    }
    hn_pool_free(pool);
    done();
}

static void an_empty_table_finds_nothing(void **state) {
    (void)state;
    write_two();
    reading_file(folder, "users.csv", "age,id,score\n");
    use(TWO, NULL);
    assert_int_equal(tables->items[0].rows, 0);
    assert_int_equal(hn_side_table_find(&tables->items[0], key("ann")), HN_TABLE_ROW_NONE);
    done();
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static void assert_refused(const char *yaml, const char *users, hn_status status,
                           const char *words) {
    write_two();
    reading_file(folder, "users.csv", users);
    config = reading_config(folder, yaml);
    sources = (reading_sources){0};
    reading_add(&sources, config, HN_SOURCE_HASH, "users.age");
    reading_add(&sources, config, HN_SOURCE_NUMBER, "users.score");
    assert_fails(status, words,
                 hn_side_tables_read(&tables, config, &sources.sources, NULL, NULL, &err));
    assert_null(tables);
    hn_config_free(config);
}

static void a_key_in_two_files_is_told_with_both(void **state) {
    (void)state;
    reading_file(folder, "users.csv", "id\nann\nbob\n");
    reading_file(folder, "users2.csv", "id\ncat\n\nbob\n");
    config = reading_config(folder, "log: log.csv\ntables: {users: {files: 'users*.csv', key: "
                                    "id}}\ntasks: {y: y}\nfeatures: {user: id}\n");
    int32_t slots = 0;
    const hn_sources none = {.table_slots = &slots, .tables = 1};
    assert_fails(HN_BAD_DATA, "users2.csv:4: this row has the same \"id\" as the row at",
                 hn_side_tables_read(&tables, config, &none, NULL, NULL, &err));
    assert_non_null(strstr(err.text, "users.csv:3; expected"));
    hn_config_free(config);
}

static void wrong_tables_are_refused(void **state) {
    (void)state;
    assert_refused(TWO, "age,id,score\n1,ann,1\n\n2,bob,1\n3,ann,1\n", HN_BAD_DATA,
                   "users.csv:5: this row has the same \"id\" as the row at");
    assert_non_null(strstr(err.text, "users.csv:2; expected each key of table \"users\" once"));
    assert_refused(TWO, "age,id,score\n1,ann,1\n1,,1\n", HN_BAD_DATA,
                   "users.csv:3:1: found no key; expected one in every row of a table");
    assert_refused(TWO, "age,id,score\n1,ann,x\n", HN_BAD_DATA,
                   "users.csv:2:7: found \"x\" in column \"score\"; expected a number");
    assert_refused(TWO, "age,id,score\n1,ann\n", HN_BAD_DATA,
                   "users.csv:2:6: found 2 fields; expected 3");
    assert_refused(TWO, "age,ID,score\n1,ann,1\n", HN_BAD_DATA,
                   "users.csv:1: found no column \"id\", needed for the key of table users; the "
                   "columns are: age, ID, score; did you mean \"ID\"?");
    assert_refused(TWO, "years,id,score\n1,ann,1\n", HN_BAD_DATA,
                   "users.csv:1: found no column \"age\", needed for a feature");
    assert_refused(TWO, "", HN_BAD_DATA, "users.csv: is empty");
    assert_refused("log: log.csv\ntables: {users: {files: no.csv, key: id}}\ntasks: {y: "
                   "y}\nfeatures: {user: id}\n",
                   "id\n", HN_NO_INPUT, "no.csv");
}

static void assert_log_refused(const char *yaml, const char *log, hn_status status,
                               const char *words) {
    reading_file(folder, "log.csv", log);
    config = reading_config(folder, yaml);
    sources = (reading_sources){0};
    reading_add(&sources, config, HN_SOURCE_HASH, "user");
    assert_ok(hn_side_tables_read(&tables, config, &sources.sources, NULL, NULL, &err));
    reading r = {.blocks = 0};
    assert_fails(status, words,
                 reading_log(&r, config, &sources.sources, tables, NULL, NULL, &err));
    reading_free(&r);
    done();
}

static void wrong_joins_are_refused(void **state) {
    (void)state;
    static const char two[] =
        "log: log.csv\ntables: {users: {files: users.csv, key: id, log_key: user}, movies: {files: "
        "movies.csv, key: id, log_key: movie}}\n"
        "tasks: {y: y}\nfeatures: {user: id}\nscenario: {column: %s, values: [1]}\n";
    char yaml[1000];
    reading_file(folder, "users.csv", "id,kind\n1,1\n");
    reading_file(folder, "movies.csv", "id,kind\n1,1\n");
    snprintf(yaml, sizeof yaml, two, "kind");
    assert_log_refused(yaml, "user,movie,y\n1,1,1\n", HN_BAD_CONFIG,
                       "column \"kind\", needed for the scenario, is in tables \"users\" and "
                       "\"movies\"; write \"movies.kind\" to choose");
    snprintf(yaml, sizeof yaml, two, "users.kin");
    assert_log_refused(yaml, "user,movie,y\n1,1,1\n", HN_BAD_DATA,
                       "users:1: found no column \"kin\", needed for the scenario; the columns "
                       "are: id, kind; did you mean \"kind\"?");
    assert_log_refused(yaml, "user,film,y\n1,1,1\n", HN_BAD_DATA,
                       "found no column \"movie\", needed for joining table movies");
}

static void the_memory_limit_is_kept(void **state) {
    (void)state;
    write_two();
    config = reading_config(folder, TWO);
    sources = (reading_sources){0};
    reading_add(&sources, config, HN_SOURCE_HASH, "users.age");
    hn_run run = hn_run_default();
    run.memory_bytes = 1000;
    assert_fails(HN_NO_MEMORY, "table \"users\" needs",
                 hn_side_tables_read(&tables, config, &sources.sources, NULL, &run, &err));
    hn_config_free(config);
}

/* ---- Packs --------------------------------------------------------------------------------- */

static void path_of(char path[4096], const char *name) {
    snprintf(path, 4096, "%s/%s", folder, name);
}

static void save(const char *path) {
    hn_packer *packer = NULL;
    assert_ok(hn_packer_open(&packer, path, "DATA", &err));
    hn_side_tables_save(tables, packer);
    assert_ok(hn_packer_commit(packer, &err));
}

static void a_pack_gives_the_same_tables(void **state) {
    (void)state;
    char path[4096];
    path_of(path, "tables.hn");
    write_two();
    use(TWO, NULL);
    save(path);
    hn_pack *pack = NULL;
    hn_side_tables *again = NULL;
    assert_ok(hn_pack_open(&pack, path, "DATA", &err));
    assert_ok(hn_side_tables_load(&again, pack, &err));
    assert_int_equal(again->n, tables->n);
    for (int32_t t = 0; t < tables->n; t++) {
        hn_text a = {0}, b = {0};
        reading_table(&a, &tables->items[t]);
        reading_table(&b, &again->items[t]);
        assert_string_equal(a.text, b.text);
        assert_string_equal(again->items[t].name, tables->items[t].name);
        hn_text_free(&a);
        hn_text_free(&b);
    }
    reading r = {.blocks = 0}, s = {.blocks = 0};
    assert_ok(reading_log(&r, config, &sources.sources, tables, NULL, NULL, &err));
    assert_ok(reading_log(&s, config, &sources.sources, again, NULL, NULL, &err));
    assert_string_equal(r.rows.text, s.rows.text);
    reading_free(&r);
    reading_free(&s);
    hn_side_tables_free(again);
    hn_pack_close(pack);
    done();
}

static void no_tables_are_a_pack_too(void **state) {
    (void)state;
    char path[4096];
    path_of(path, "none.hn");
    config = reading_config(folder, "log: log.csv\ntasks: {y: y}\nfeatures: {user: id}\n");
    sources = (reading_sources){0};
    assert_ok(hn_side_tables_read(&tables, config, &sources.sources, NULL, NULL, &err));
    assert_int_equal(tables->n, 0);
    save(path);
    hn_pack *pack = NULL;
    hn_side_tables *again = NULL;
    assert_ok(hn_pack_open(&pack, path, "DATA", &err));
    assert_ok(hn_side_tables_load(&again, pack, &err));
    assert_int_equal(again->n, 0);
    hn_side_tables_free(again);
    hn_pack_close(pack);
    done();
}

/* A pack whose checksums are right and whose numbers are not. */
static void assert_pack_refused(const hn_side_table *wrong, const char *words) {
    char path[4096];
    path_of(path, "wrong.hn");
    const hn_side_table kept = tables->items[0];
    tables->items[0] = *wrong;
    save(path);
    tables->items[0] = kept;
    hn_pack *pack = NULL;
    hn_side_tables *again = NULL;
    assert_ok(hn_pack_open(&pack, path, "DATA", &err));
    assert_fails(HN_BAD_DATA, words, hn_side_tables_load(&again, pack, &err));
    assert_null(again);
    hn_pack_close(pack);
}

static void packs_that_lie_are_refused(void **state) {
    (void)state;
    write_two();
    use(TWO, NULL);
    const hn_side_table *const table = &tables->items[0];
    uint32_t index[16];
    memset(index, 0, sizeof index);
    hn_side_table wrong = *table;
    wrong.index = index;
    wrong.index_size = 16;
    assert_pack_refused(&wrong, "tables/0/index"); /* full: a search would never end */
    memset(index, 0xff, sizeof index);
    wrong.index_size = 12;
    assert_pack_refused(&wrong, "tables/0/index"); /* no power of two */
    wrong.index_size = 0;
    assert_pack_refused(&wrong, "tables/0/index");
    wrong.index_size = 16;
    index[3] = table->rows;
    assert_pack_refused(&wrong, "tables/0/index"); /* past the end */
    wrong = *table;
    const uint8_t lists[2] = {HN_SOURCE_LIST, HN_SOURCE_NUMBER},
                  unknown[2] = {HN_SOURCE_LIST + 1, HN_SOURCE_NUMBER};
    wrong.kinds = lists;
    assert_pack_refused(&wrong, "tables/0/slots"); /* hashes taken for lists */
    wrong.kinds = unknown;
    assert_pack_refused(&wrong, "tables/0/kinds");
    done();
}

static hn_status load_again(void *path, hn_error *e) {
    hn_pack *pack = NULL;
    hn_side_tables *again = NULL;
    hn_status status = hn_pack_open(&pack, path, "DATA", e);
    if (status == HN_OK) status = hn_side_tables_load(&again, pack, e);
    hn_side_tables_free(again);
    hn_pack_close(pack);
    return status;
}

static void faults_are_told_and_nothing_leaks(void **state) {
    (void)state;
    char path[4096];
    path_of(path, "faults.hn");
    write_two();
    use(TWO, NULL);
    save(path);
    assert_true(support_fail_each(HN_FAULT_ALLOC, load_again, path) > 5);
    assert_true(support_fail_each(HN_FAULT_READ, load_again, path) > 5);
    done();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found_by_key),
        cmocka_unit_test(tables_are_joined_and_give_the_scenario),
        cmocka_unit_test(filters_labels_weights_and_splits_from_tables),
        cmocka_unit_test(many_keys_are_all_found),
        cmocka_unit_test(an_empty_table_finds_nothing),
        cmocka_unit_test(wrong_tables_are_refused),
        cmocka_unit_test(a_key_in_two_files_is_told_with_both),
        cmocka_unit_test(wrong_joins_are_refused),
        cmocka_unit_test(the_memory_limit_is_kept),
        cmocka_unit_test(a_pack_gives_the_same_tables),
        cmocka_unit_test(no_tables_are_a_pack_too),
        cmocka_unit_test(packs_that_lie_are_refused),
        cmocka_unit_test(faults_are_told_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
