/* The feature store against a real redis-server: what is read is what was written, whatever
 * its bytes, also through the cache; and what a URL means. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/store_support.h"

/* ---- Reading ------------------------------------------------------------------------------- */

static void test_reads_what_was_written(void **state) {
    (void)state;
    NEED_REDIS();
    redis r = {0};
    redis_start(&r);
    static const char key_bytes[] = {'a', ':', ' ', '\n', 0, 'z'},
                      value[] = {0, '\r', '\n', '$', '-', '1', (char)0xff};
    redis_do(&r, "HSET hinet:users:u1 age 31 city Ulm note %b", "", (size_t)0);
    redis_do(&r, "HSET hinet:users:u2 city Bonn other x");
    redis_do(&r, "HSET hinet:users:u3 other x");
    redis_do(&r, "HSET hinet:items:u1 price 9.5");
    redis_do(&r, "HSET hinet:users:%b note %b", key_bytes, sizeof key_bytes, value, sizeof value);
    opened o = open_store(r.url, 5000, 0, 0);
    hn_store_key keys[] = {{.table = 0, .key = "u1", .key_bytes = 2},
                           {.table = 1, .key = "u1", .key_bytes = 2},
                           {.table = 0, .key = "u2", .key_bytes = 2},
                           {.table = 0, .key = "u3", .key_bytes = 2},
                           {.table = 0, .key = "none", .key_bytes = 4},
                           {.table = 0, .key = key_bytes, .key_bytes = sizeof key_bytes},
                           {.table = 0, .key = "", .key_bytes = 0},
                           {.table = 0, .key = "u1", .key_bytes = 2}};
    hn_store_fetch(o.reader, keys, 8, INT64_MAX);
    assert_cell(&keys[0], 0, "31");
    assert_cell(&keys[0], 1, "Ulm");
    assert_cell(&keys[0], 2, "");
    assert_cell(&keys[1], 0, "9.5");
    assert_cell(&keys[2], 0, NULL);
    assert_cell(&keys[2], 1, "Bonn");
    assert_cell(&keys[7], 1, "Ulm");
    assert_int_equal(keys[5].cell_bytes[2], sizeof value);
    assert_memory_equal(keys[5].cells[2], value, sizeof value);
    for (int k = 3; k < 7; k += k == 4 ? 2 : 1) {
        assert_false(keys[k].late);
        assert_null(keys[k].cells);
    }
    const hn_store_counts c = counts_of(&o);
    assert_int_equal(c.reads, 8);
    assert_int_equal(c.absent, 3);
    assert_int_equal(c.hits + c.late + c.errors, 0);
    assert_int_equal(c.reconnects, 1);
    close_store(&o);
    redis_remove(&r);
}

static void test_error_of_one_key_leaves_the_others(void **state) {
    (void)state;
    NEED_REDIS();
    redis r = {0};
    redis_start(&r);
    redis_do(&r, "SET hinet:items:b text");
    redis_do(&r, "HSET hinet:items:c price 3");
    opened o = open_store(r.url, 5000, 60, 100);
    for (int round = 0; round < 2; round++) {
        hn_store_key keys[] = {{.table = 1, .key = "a", .key_bytes = 1},
                               {.table = 1, .key = "b", .key_bytes = 1},
                               {.table = 1, .key = "c", .key_bytes = 1}};
        hn_store_fetch(o.reader, keys, 3, INT64_MAX);
        assert_false(keys[0].late);
        assert_true(keys[1].late);
        assert_null(keys[1].cells);
        assert_cell(&keys[2], 0, "3");
    }
    const hn_store_counts c = counts_of(&o);
    assert_int_equal(c.errors, 2);
    assert_int_equal(c.late, 2);
    assert_int_equal(c.hits, 2);
    assert_int_equal(c.reconnects, 1);
    close_store(&o);
    redis_remove(&r);
}

static void test_huge_rows(void **state) {
    (void)state;
    NEED_REDIS();
    enum { BYTES = 8 << 20 };
    redis r = {0};
    redis_start(&r);
    char *const text = malloc(BYTES);
    for (size_t k = 0; k < BYTES; k++) text[k] = (char)(k * 31);
    redis_do(&r, "HSET hinet:users:big note %b age 7", text, (size_t)BYTES);
    redis_do(&r, "HSET hinet:users:small note x");
    opened o = open_store(r.url, 20000, 60, 100);
    for (int round = 0; round < 2; round++) {
        hn_store_key keys[] = {{.table = 0, .key = "big", .key_bytes = 3},
                               {.table = 0, .key = "small", .key_bytes = 5}};
        hn_store_fetch(o.reader, keys, 2, INT64_MAX);
        assert_int_equal(keys[0].cell_bytes[2], BYTES);
        assert_memory_equal(keys[0].cells[2], text, BYTES);
        assert_cell(&keys[0], 0, "7");
        assert_cell(&keys[1], 2, "x");
    }
    assert_int_equal(counts_of(&o).hits, 1); /* the big one is not kept */
    free(text);
    close_store(&o);
    redis_remove(&r);
}

static void test_password_and_database(void **state) {
    (void)state;
    NEED_REDIS();
    redis r = {.password = "open:sesame"};
    redis_start(&r);
    redis_do(&r, "HSET hinet:items:a price 3");
    opened o = open_store(r.url, 2000, 0, 0); /* without the password */
    hn_store_key key = fetch_one(&o, 1, "a");
    assert_true(key.late);
    assert_int_equal(counts_of(&o).errors, 1);
    close_store(&o);
    hn_store_target target;
    hn_store_link link;
    hn_error err = {0};
    assert_ok(hn_store_target_open(&target, r.url, &err));
    for (int right = 0; right < 2; right++) {
        const char *words[] = {"HGET", "hinet:items:a", "price"};
        hn_free(target.password);
        target.password = hn_strdup(right ? "open:sesame" : "wrong");
        hn_store_link_init(&link, &target);
        const int64_t limit = hn_store_now_ns() + INT64_C(2000000000);
        assert_true(hn_store_link_ready(&link, limit));
        assert_true(hn_store_link_append(&link, 3, words, NULL));
        redisReply *const reply = hn_store_link_reply(&link, limit);
        if (right) assert_string_equal(reply->str, "3");
        if (right) freeReplyObject(reply);
        if (!right) assert_null(reply);
        if (!right) assert_non_null(strstr(link.why, "WRONGPASS"));
        hn_store_link_close(&link);
    }
    hn_store_target_close(&target);
    redis_remove(&r);
}

/* ---- The cache ------------------------------------------------------------------------------- */

static void test_cache_lifetime(void **state) {
    (void)state;
    NEED_REDIS();
    redis r = {0};
    redis_start(&r);
    redis_do(&r, "HSET hinet:items:a price 1");
    opened o = open_store(r.url, 5000, 0.3, 100);
    hn_store_key key = fetch_one(&o, 1, "a");
    assert_cell(&key, 0, "1");
    assert_null(fetch_one(&o, 1, "b").cells);
    redis_do(&r, "HSET hinet:items:a price 2");
    redis_do(&r, "HSET hinet:items:b price 3");
    key = fetch_one(&o, 1, "a");
    assert_cell(&key, 0, "1");
    assert_null(fetch_one(&o, 1, "b").cells); /* that it is absent is kept, too */
    assert_int_equal(counts_of(&o).hits, 2);
    assert_int_equal(counts_of(&o).absent, 2);
    pause_ms(350);
    key = fetch_one(&o, 1, "a");
    assert_cell(&key, 0, "2");
    key = fetch_one(&o, 1, "b");
    assert_cell(&key, 0, "3");
    redis_kill(&r);
    key = fetch_one(&o, 1, "b"); /* what is kept needs no store */
    assert_cell(&key, 0, "3");
    pause_ms(350);
    assert_true(fetch_one(&o, 1, "b").late);
    close_store(&o);
    redis_remove(&r);
}

static void test_cache_is_bounded_and_right(void **state) {
    (void)state;
    NEED_REDIS();
    enum { KEYS = 600, ROUNDS = 20, BATCH = 50 };
    redis r = {0};
    redis_start(&r);
    redis_do(
        &r, "EVAL %s 0",
        "for i = 0, 599 do redis.call('HSET', 'hinet:items:' .. i, 'price', i * 7) end return 1");
    const int64_t entries[] = {1, 3, 130, 5000};
    for (size_t e = 0; e < sizeof entries / sizeof *entries; e++) {
        opened o = open_store(r.url, 5000, 60, entries[e]);
        int64_t most = 0;
        for (int round = 0; round < ROUNDS * 4; round++) {
            hn_store_key keys[BATCH];
            char names[BATCH][8], expected[16];
            for (int k = 0; k < BATCH; k++) {
                snprintf(names[k], sizeof names[k], "%d", (round * 37 + k * k * 11) % KEYS);
                keys[k] =
                    (hn_store_key){.table = 1, .key = names[k], .key_bytes = strlen(names[k])};
            }
            hn_store_fetch(o.reader, keys, BATCH, INT64_MAX);
            for (int k = 0; k < BATCH; k++) {
                snprintf(expected, sizeof expected, "%d", atoi(names[k]) * 7);
                assert_cell(&keys[k], 0, expected);
            }
            if (hn_memory_held() > most) most = hn_memory_held();
        }
        if (entries[e] <= 130) assert_true(most < 200000);
        if (entries[e] == 5000) assert_true(counts_of(&o).hits > ROUNDS * 4 * BATCH - 2 * KEYS);
        close_store(&o);
    }
    redis_remove(&r);
}

/* Two models read different columns of one table through one cache. */
static void test_columns_do_not_mix(void **state) {
    (void)state;
    NEED_REDIS();
    redis r = {0};
    redis_start(&r);
    redis_do(&r, "HSET hinet:users:u age 1 city 2 note 3");
    opened o = open_store(r.url, 5000, 60, 100);
    static const char *const other_columns[] = {"city", "age"};
    const hn_store_table other = {"users", other_columns, 2};
    hn_store_reader *second;
    hn_error err = {0};
    assert_ok(hn_store_reader_create(&second, o.store, &other, 1, &err));
    for (int round = 0; round < 2; round++) {
        hn_store_key a = fetch_one(&o, 0, "u"), b = {.table = 0, .key = "u", .key_bytes = 1};
        hn_store_fetch(second, &b, 1, INT64_MAX);
        assert_cell(&a, 0, "1");
        assert_cell(&a, 2, "3");
        assert_cell(&b, 0, "2");
        assert_cell(&b, 1, "1");
    }
    assert_int_equal(counts_of(&o).hits, 2);
    hn_store_reader_free(second);
    close_store(&o);
    redis_remove(&r);
}

/* ---- Opening ------------------------------------------------------------------------------- */

static void test_urls(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "http://x",
                                      "redis://",
                                      "redis://:5",
                                      "redis://x:0",
                                      "redis://x:65536",
                                      "redis://x:5a",
                                      "redis://127.0.0.1/x",
                                      "redis://[::1",
                                      "redis://[::1]x",
                                      "redis+unix://x",
                                      "redis+unix:///",
                                      "redis://%zz@127.0.0.1",
                                      "redis://a:%00@127.0.0.1",
                                      "rediss://127.0.0.1",
                                      "redis://no-such-host.invalid"};
    hn_error err = {0};
    hn_store_target t;
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        assert_fails(HN_BAD_CONFIG, "the store's url", hn_store_target_open(&t, bad[k], &err));
        assert_int_equal(hn_memory_held(), 0);
    }
    assert_ok(hn_store_target_open(&t, "redis://us%40er:p%3a:w@127.0.0.1:7000/12", &err));
    assert_string_equal(t.user, "us@er");
    assert_string_equal(t.password, "p::w");
    assert_string_equal(t.addresses[0], "127.0.0.1");
    assert_int_equal(t.port, 7000);
    assert_int_equal(t.db, 12);
    hn_store_target_close(&t);
    assert_ok(hn_store_target_open(&t, "redis://secret@[::1]", &err));
    assert_null(t.user);
    assert_string_equal(t.password, "secret");
    assert_string_equal(t.addresses[0], "::1");
    assert_int_equal(t.port, 6379);
    hn_store_target_close(&t);
    assert_int_equal(hn_memory_held(), 0);
}

static hn_status open_all(void *user, hn_error *err) {
    hn_store *store;
    hn_store_reader *reader;
    HN_TRY(hn_store_open(&store, user, err));
    const hn_status status = hn_store_reader_create(&reader, store, store_tables, 2, err);
    if (status == HN_OK) hn_store_reader_free(reader);
    hn_store_close(store);
    return status;
}

static void test_no_memory(void **state) {
    (void)state;
    char url[] = "redis://a:b@127.0.0.1:1", prefix[] = "p";
    hn_serve_store config = {
        .url = url, .prefix = prefix, .timeout_ms = 1, .cache_seconds = 1, .cache_entries = 1000};
    assert_true(support_fail_each(HN_FAULT_ALLOC, open_all, &config) > 10);
}

int main(void) {
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_reads_what_was_written),
        cmocka_unit_test(test_error_of_one_key_leaves_the_others),
        cmocka_unit_test(test_huge_rows),
        cmocka_unit_test(test_password_and_database),
        cmocka_unit_test(test_cache_lifetime),
        cmocka_unit_test(test_cache_is_bounded_and_right),
        cmocka_unit_test(test_columns_do_not_mix),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests_name("store", all, NULL, NULL);
}
