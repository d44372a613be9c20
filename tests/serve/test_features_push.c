/* hinet features push: what is in the table is in Redis, cell for cell, also where the CSV is
 * quoted, compressed, in several files, or larger than what may be ahead of its answers; and
 * what is wrong is said with file and line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/config.h"
#include "base/file.h"
#include "serve/store_support.h"

static redis server;
static char *folder;

static int set_up(void **state) {
    (void)state;
    if (!redis_is_installed()) return 0;
    redis_start(&server);
    folder = support_folder();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    if (folder) {
        redis_remove(&server);
        support_remove(folder);
        free(folder);
    }
    return 0;
}

static void write_text(const char *name, const char *text) {
    char *const path = hn_path_join(folder, name);
    support_write(path, text, strlen(text));
    hn_free(path);
}

static int64_t expire_seconds; /* of the next pushes */

static hn_status push_source(const char *source, const char *table, const char *url,
                             hn_report **report, hn_error *err) {
    char yaml[2000];
    snprintf(yaml, sizeof yaml,
             "log: {files: log.csv}\n"
             "tables:\n"
             "  users: {%s, key: id, side: user}\n"
             "split: {by: random, validation: 0.1, test: 0.1}\n"
             "tasks: {click: click}\n"
             "features: {item: id, age: {kind: id, column: users.age}}\n"
             "model: {name: single}\n",
             source);
    hn_config *config;
    *report = NULL;
    HN_TRY(hn_config_parse(&config, yaml, strlen(yaml), "config.yaml", folder, NULL, 0, err));
    hn_run run = hn_run_default();
    run.threads = 2;
    const hn_features_options options = {"p", expire_seconds};
    const hn_status status = hn_features_push(report, config, table, url, &options, &run, err);
    hn_config_free(config);
    return status;
}

static void push(const char *source) {
    hn_error err = {0};
    hn_report *report;
    assert_ok(push_source(source, "users", server.url, &report, &err));
    assert_non_null(strstr(hn_report_text(report), "rows of table users to p:users:KEY"));
    hn_report_free(report);
    assert_int_equal(hn_memory_held(), 0);
}

/* "field=value;…" of a hash, sorted by field. */
static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void assert_hash(const char *key, const char *expected) {
    char found[4096] = "", *pairs[64];
    redisContext *const c = redis_dial(&server);
    redisReply *const reply = redisCommand(c, "HGETALL %s", key);
    assert_int_equal(reply->type, REDIS_REPLY_ARRAY);
    size_t n = 0;
    for (size_t k = 0; k + 1 < reply->elements; k += 2)
        assert_true(asprintf(&pairs[n++], "%s=%s;", reply->element[k]->str,
                             reply->element[k + 1]->str) > 0);
    if (n > 0) qsort(pairs, n, sizeof *pairs, by_text);
    for (size_t k = 0; k < n; k++) {
        strcat(found, pairs[k]);
        free(pairs[k]);
    }
    freeReplyObject(reply);
    redisFree(c);
    assert_string_equal(found, expected);
}

#define NEED_SERVER()                                                                \
    do {                                                                             \
        if (!folder) {                                                               \
            print_message("redis-server is not installed (Debian: redis-server)\n"); \
            skip();                                                                  \
        }                                                                            \
        redis_do(&server, "FLUSHALL");                                               \
    } while (0)

static void test_cells_as_they_are(void **state) {
    (void)state;
    NEED_SERVER();
    write_text("a.csv", "id,age,note\r\n"
                        "u1,031,\"say \"\"hi\"\",\nthen go\"\r\n"
                        "\r\n"
                        "u2,NULL,\r\n"
                        "\"u,3\",7, blank \n"
                        "u4,,\"\"");
    push("files: a.csv, missing: NULL");
    assert_hash("p:users:u1", "age=031;id=u1;note=say \"hi\",\nthen go;");
    assert_hash("p:users:u2", "id=u2;");
    assert_hash("p:users:u,3", "age=7;id=u,3;note= blank ;");
    assert_hash("p:users:u4", "id=u4;");
    assert_hash("p:users:id", "");
    /* Pushed again, a row loses the cells that it has no more. */
    write_text("a.csv", "note,id,age\nx,u2,5\n,u1,6\n");
    push("files: a.csv, missing: NULL");
    assert_hash("p:users:u1", "age=6;id=u1;");
    assert_hash("p:users:u2", "age=5;id=u2;note=x;");
    assert_hash("p:users:u,3", "age=7;id=u,3;note= blank ;");
}

static void test_files_dialects_and_compression(void **state) {
    (void)state;
    NEED_SERVER();
    write_text("part-1.tsv", "id\tage\nu1\t1\n");
    char *const path = hn_path_join(folder, "part-2.tsv.gz");
    gzFile zipped = gzopen(path, "wb");
    gzputs(zipped, "age\tid\n2\tu2\n3\tu3\n");
    gzclose(zipped);
    hn_free(path);
    push("files: part-*");
    assert_hash("p:users:u1", "age=1;id=u1;");
    assert_hash("p:users:u2", "age=2;id=u2;");
    assert_hash("p:users:u3", "age=3;id=u3;");
    write_text("movies.dat", "\xef\xbb\xbf"
                             "7::1:9::x\n");
    push("files: movies.dat, delimiter: \"::\", quote: \"\", columns: [id, age, note]");
    assert_hash("p:users:7", "age=1:9;id=7;note=x;");
}

/* More rows than may be ahead, over several chunks; read back by the store. */
static void test_many_rows(void **state) {
    (void)state;
    NEED_SERVER();
    enum { ROWS = 60000 };
    char *const path = hn_path_join(folder, "many.csv");
    FILE *const file = fopen(path, "w");
    fprintf(file, "id,age,city,note\n");
    for (int k = 0; k < ROWS; k++)
        fprintf(file, "%d,%d,%s,%0*d\n", k, k * 3, k % 2 ? "c" : "", k % 60 + 1, k);
    fclose(file);
    hn_free(path);
    push("files: many.csv");
    hn_error err = {0};
    char prefix[] = "p";
    const hn_serve_store config = {.url = server.url, .prefix = prefix, .timeout_ms = 5000};
    opened o;
    assert_ok(hn_store_open(&o.store, &config, &err));
    assert_ok(hn_store_reader_create(&o.reader, o.store, store_tables, 2, &err));
    for (int begin = 0; begin < ROWS; begin += 1000) {
        static hn_store_key keys[1000];
        static char names[1000][8];
        char expected[80];
        for (int k = 0; k < 1000; k++) {
            snprintf(names[k], sizeof names[k], "%d", begin + k);
            keys[k] = (hn_store_key){.table = 0, .key = names[k], .key_bytes = strlen(names[k])};
        }
        hn_store_fetch(o.reader, keys, 1000, INT64_MAX);
        for (int k = 0; k < 1000; k++) {
            snprintf(expected, sizeof expected, "%d", (begin + k) * 3);
            assert_cell(&keys[k], 0, expected);
            assert_cell(&keys[k], 1, (begin + k) % 2 ? "c" : NULL);
            snprintf(expected, sizeof expected, "%0*d", (begin + k) % 60 + 1, begin + k);
            assert_cell(&keys[k], 2, expected);
        }
    }
    close_store(&o);
}

static void assert_push_fails(hn_status status, const char *words, const char *source) {
    hn_error err = {0};
    hn_report *report;
    assert_fails(status, words, push_source(source, "users", server.url, &report, &err));
    assert_null(report);
    assert_int_equal(hn_memory_held(), 0);
}

static void test_what_is_wrong_is_placed(void **state) {
    (void)state;
    NEED_SERVER();
    write_text("short.csv", "id,age\nu1,1\n\"u\n2\",2\nu3\n");
    assert_push_fails(HN_BAD_DATA, "short.csv:5:3: found 1 field; expected 2", "files: short.csv");
    assert_hash("p:users:u1", "age=1;id=u1;"); /* what came before is written */
    write_text("long.csv", "id,age\nu1,1\nu2,2,3\n");
    assert_push_fails(HN_BAD_DATA, "long.csv:3:6: found 3 fields; expected 2", "files: long.csv");
    write_text("longer.csv", "id,age\nu2,2,3,4\n");
    assert_push_fails(HN_BAD_DATA, "longer.csv:2:6: found 4 fields; expected 2",
                      "files: longer.csv");
    write_text("nokey.csv", "id,age\nu1,1\n,2\n");
    assert_push_fails(HN_BAD_DATA, "nokey.csv:3:1: found no key", "files: nokey.csv");
    write_text("open.csv", "id,age\nu1,\"1\nu2,2\n");
    assert_push_fails(HN_BAD_DATA, "open.csv:2:4: found a quote that is never closed",
                      "files: open.csv");
    write_text("after.csv", "id,age\nu1,\"1\"x\n");
    assert_push_fails(HN_BAD_DATA, "after.csv:2:7: found \"x\" after a closing quote",
                      "files: after.csv");
    write_text("other.csv", "key,age\nu1,1\n");
    assert_push_fails(HN_BAD_DATA, "other.csv", "files: other.csv");
    assert_push_fails(HN_NO_INPUT, "none", "files: none.csv");
    redis_do(&server, "SET p:users:u2 text");
    write_text("kind.csv", "id,age\nu1,1\nu2,2\nu3,3\n");
    assert_push_fails(HN_IO_FAILED,
                      "kind.csv:3: the row could not be written to the store: WRONGTYPE",
                      "files: kind.csv");
}

static void test_wrong_tables_and_stores(void **state) {
    (void)state;
    NEED_SERVER();
    write_text("a.csv", "id,age\nu1,1\n");
    hn_error err = {0};
    hn_report *report;
    assert_fails(HN_USAGE, "did you mean users?",
                 push_source("files: a.csv", "user", server.url, &report, &err));
    assert_fails(HN_USAGE, "expected one like users",
                 push_source("files: a.csv", "zzz", server.url, &report, &err));
    assert_fails(HN_IO_FAILED, "cannot be reached: Connection refused",
                 push_source("files: a.csv", "users", "redis://127.0.0.1:1", &report, &err));
    assert_fails(HN_BAD_CONFIG, "redis://",
                 push_source("files: a.csv", "users", "127.0.0.1:1", &report, &err));
    assert_fails(HN_IO_FAILED, "cannot be reached: No such file",
                 push_source("files: a.csv", "users", "redis+unix:///nowhere", &report, &err));
    assert_int_equal(hn_memory_held(), 0);
}

static long long lifetime(const char *key) {
    redisContext *const c = redis_dial(&server);
    redisReply *const reply = redisCommand(c, "TTL %s", key);
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    const long long seconds = reply->integer;
    freeReplyObject(reply);
    redisFree(c);
    return seconds;
}

/* A row that is gone from the table goes from the store when its time is over. */
static void test_rows_may_expire(void **state) {
    (void)state;
    NEED_SERVER();
    write_text("a.csv", "id,age\nu1,1\nu2,2\nu3,\n");
    push("files: a.csv");
    assert_int_equal(lifetime("p:users:u1"), -1);
    expire_seconds = 1;
    push("files: a.csv");
    assert_int_equal(lifetime("p:users:u3"), 1);
    expire_seconds = 1000;
    write_text("a.csv", "id,age\nu2,5\n");
    push("files: a.csv");
    assert_true(lifetime("p:users:u2") > 900);
    expire_seconds = 0;
    push("files: a.csv"); /* leaves it */
    assert_true(lifetime("p:users:u2") > 900);
    for (int i = 0; i < 100 && lifetime("p:users:u1") != -2; i++) usleep(50000);
    assert_hash("p:users:u1", "");
    assert_hash("p:users:u3", "");
    assert_hash("p:users:u2", "age=5;id=u2;");
}

static hn_status push_once(void *user, hn_error *err) {
    hn_report *report;
    HN_TRY(push_source("files: a.csv", "users", user, &report, err));
    hn_report_free(report);
    return HN_OK;
}

static void test_no_memory(void **state) {
    (void)state;
    NEED_SERVER();
    write_text("a.csv", "id,age,note\nu1,1,\"a\"\"b\"\nu2,,\n");
    expire_seconds = 1000;
    assert_true(support_fail_each(HN_FAULT_ALLOC, push_once, server.url) > 20);
}

int main(void) {
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_cells_as_they_are),
        cmocka_unit_test(test_files_dialects_and_compression),
        cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_what_is_wrong_is_placed),
        cmocka_unit_test(test_wrong_tables_and_stores),
        cmocka_unit_test(test_rows_may_expire),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests_name("features_push", all, set_up, tear_down);
}
