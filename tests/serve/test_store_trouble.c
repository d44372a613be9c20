/* The feature store in trouble: with a Redis that is slow, silent, killed, restarted or no
 * Redis at all, a fetch takes no longer than it may, never gives one key's answer to another,
 * and recovers by itself. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/store_support.h"

/* ---- Trouble --------------------------------------------------------------------------------- */

static void test_slow_store(void **state) {
    (void)state;
    NEED_REDIS();
    redis r = {0};
    redis_start(&r);
    redis_do(&r, "HSET hinet:items:a price 1");
    redis_do(&r, "HSET hinet:items:b price 2");
    opened o = open_store(r.url, 60, 0, 0);
    assert_false(fetch_one(&o, 1, "a").late);
    redisContext *const sleeper = redis_dial(&r);
    redisAppendCommand(sleeper, "DEBUG SLEEP 0.4");
    int done = 0;
    while (!done) assert_int_equal(redisBufferWrite(sleeper, &done), REDIS_OK);
    pause_ms(30);
    int64_t begun = hn_store_now_ns();
    assert_true(fetch_one(&o, 1, "a").late);
    assert_in_range(ms_since(begun), 55, 200);
    /* The deadline counts when it is nearer. */
    pause_ms(25);
    begun = hn_store_now_ns();
    hn_store_key key = {.table = 1, .key = "a", .key_bytes = 1};
    hn_store_fetch(o.reader, &key, 1, begun + 10000000);
    assert_true(key.late);
    assert_true(ms_since(begun) < 50);
    void *reply;
    assert_int_equal(redisGetReply(sleeper, &reply), REDIS_OK);
    freeReplyObject(reply);
    redisFree(sleeper);
    /* The answers that came late are nobody's. */
    int late = 0;
    begun = hn_store_now_ns();
    while (fetch_one(&o, 1, "b").late && ms_since(begun) < 3000) late++;
    for (int k = 0; k < 20; k++) {
        key = fetch_one(&o, 1, k % 2 ? "a" : "b");
        assert_cell(&key, 0, k % 2 ? "1" : "2");
    }
    assert_true(counts_of(&o).reconnects >= 2);
    close_store(&o);
    redis_remove(&r);
}

static void test_deadline_that_is_past(void **state) {
    (void)state;
    NEED_REDIS();
    redis r = {0};
    redis_start(&r);
    redis_do(&r, "HSET hinet:items:a price 1");
    opened o = open_store(r.url, 5000, 0, 0);
    hn_store_key key = fetch_one(&o, 1, "a");
    assert_cell(&key, 0, "1");
    hn_store_fetch(o.reader, &key, 1, hn_store_now_ns() - 1);
    assert_true(key.late);
    key = fetch_one(&o, 1, "a"); /* the connection was left alone */
    assert_cell(&key, 0, "1");
    assert_int_equal(counts_of(&o).reconnects, 1);
    assert_int_equal(counts_of(&o).errors, 0);
    hn_store_fetch(o.reader, &key, 0, INT64_MAX);
    hn_store_fetch(o.reader, NULL, 0, INT64_MAX);
    close_store(&o);
    redis_remove(&r);
}

static int listen_somewhere(char *url, size_t n) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    assert_int_equal(bind(fd, (struct sockaddr *)&name, size), 0);
    assert_int_equal(listen(fd, 100), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    snprintf(url, n, "redis://127.0.0.1:%d", ntohs(name.sin_port));
    return fd;
}

/* It accepts and says nothing: one fetch in a while pays, the others fail at once. */
static void test_silent_store(void **state) {
    (void)state;
    char url[64];
    const int fd = listen_somewhere(url, sizeof url);
    opened o = open_store(url, 20, 0, 0);
    const int64_t begun = hn_store_now_ns();
    int64_t fetches = 0;
    for (; ms_since(begun) < 1000; fetches++) assert_true(fetch_one(&o, 1, "a").late);
    assert_in_range(counts_of(&o).errors, 1, 12); /* these waited */
    assert_true(fetches > 1000);
    assert_int_equal(counts_of(&o).late, fetches);
    close_store(&o);
    close(fd);
}

/* What is no Redis at all: reads a request, then says something else. */
typedef struct impostor {
    int fd;
    const char *answer;
} impostor;

static void *pretend(void *user) {
    const impostor *const i = user;
    char asked[4096];
    const int client = accept(i->fd, NULL, NULL);
    if (recv(client, asked, sizeof asked, 0) > 0)
        (void)!send(client, i->answer, strlen(i->answer), MSG_NOSIGNAL);
    pause_ms(30);
    close(client);
    return NULL;
}

static void test_nonsense_store(void **state) {
    (void)state;
    static const char *const answers[] = {"HTTP/1.1 400 Bad Request\r\n\r\n",
                                          "*2\r\n$1\r\nx\r\n$1\r\ny\r\n",
                                          ":5\r\n",
                                          "*-1\r\n",
                                          "*0\r\n",
                                          "$99999999999999\r\n",
                                          "*1\r\n*1\r\n*1\r\n",
                                          "*1\r\n$1",
                                          "",
                                          "-ERR no\r\n",
                                          "*1\r\n*0\r\n"};
    char url[64];
    const int fd = listen_somewhere(url, sizeof url);
    for (size_t k = 0; k < sizeof answers / sizeof *answers; k++) {
        impostor i = {fd, answers[k]};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, pretend, &i), 0);
        opened o = open_store(url, 100, 60, 10);
        const int64_t begun = hn_store_now_ns();
        const hn_store_key key = fetch_one(&o, 1, "a");
        assert_true(ms_since(begun) < 300);
        assert_null(key.cells);
        if (strcmp(answers[k], "*1\r\n*0\r\n") != 0) assert_true(key.late);
        pthread_join(thread, NULL);
        close_store(&o);
    }
    close(fd);
}

static void test_dead_store(void **state) {
    (void)state;
    const char *const urls[] = {"redis://127.0.0.1:1", "redis+unix:///nowhere/redis.sock"};
    for (size_t k = 0; k < 2; k++) {
        opened o = open_store(urls[k], 1000, 0, 0);
        const int64_t begun = hn_store_now_ns();
        for (int n = 0; n < 10000; n++) assert_true(fetch_one(&o, 1, "a").late);
        assert_true(ms_since(begun) < 500);
        assert_in_range(counts_of(&o).errors, 1, 10);
        close_store(&o);
    }
}

/* ---- Killed and restarted under load ------------------------------------------------------- */

enum { LOADERS = 3 };

typedef struct loader {
    hn_store *store;
    _Atomic bool *stop;
    _Atomic int64_t right, wrong, late, slow;
    pthread_t thread;
} loader;

static void *load(void *user) {
    loader *const l = user;
    hn_store_reader *reader;
    if (hn_store_reader_create(&reader, l->store, store_tables, 2, NULL) != HN_OK) return NULL;
    for (int round = 0; !atomic_load(l->stop); round++) {
        hn_store_key keys[20];
        char names[20][8], expected[16];
        for (int k = 0; k < 20; k++) {
            snprintf(names[k], sizeof names[k], "%d", (round * 13 + k) % 200);
            keys[k] = (hn_store_key){.table = 1, .key = names[k], .key_bytes = strlen(names[k])};
        }
        const int64_t begun = hn_store_now_ns();
        hn_store_fetch(reader, keys, 20, INT64_MAX);
        if (ms_since(begun) > 400) atomic_fetch_add(&l->slow, 1);
        for (int k = 0; k < 20; k++) {
            snprintf(expected, sizeof expected, "%d", atoi(names[k]) * 7);
            /* A server just restarted has no keys yet. */
            if (keys[k].late)
                atomic_fetch_add(&l->late, 1);
            else if (keys[k].cells)
                atomic_fetch_add(strcmp(keys[k].cells[0], expected) == 0 ? &l->right : &l->wrong,
                                 1);
        }
        if (round % 16 == 0) pause_ms(1);
    }
    hn_store_reader_free(reader);
    return NULL;
}

static void fill(const redis *r) {
    redis_do(
        r, "EVAL %s 0",
        "for i = 0, 199 do redis.call('HSET', 'hinet:items:' .. i, 'price', i * 7) end return 1");
}

static void test_killed_and_restarted_under_load(void **state) {
    (void)state;
    NEED_REDIS();
    redis r = {0};
    redis_start(&r);
    fill(&r);
    opened o = open_store(r.url, 200, 0.01, 50);
    _Atomic bool stop = false;
    loader loaders[LOADERS] = {0};
    for (int k = 0; k < LOADERS; k++) {
        loaders[k].store = o.store;
        loaders[k].stop = &stop;
        assert_int_equal(pthread_create(&loaders[k].thread, NULL, load, &loaders[k]), 0);
    }
    for (int round = 0; round < 2; round++) {
        pause_ms(200);
        redis_kill(&r);
        pause_ms(200);
        redis_start(&r);
        fill(&r);
        int64_t before[LOADERS];
        for (int k = 0; k < LOADERS; k++) before[k] = atomic_load(&loaders[k].right);
        const int64_t begun = hn_store_now_ns();
        for (int k = 0; k < LOADERS; k++)
            while (atomic_load(&loaders[k].right) == before[k] && ms_since(begun) < 5000)
                pause_ms(5);
        assert_true(ms_since(begun) < 3000);
    }
    atomic_store(&stop, true);
    for (int k = 0; k < LOADERS; k++) {
        pthread_join(loaders[k].thread, NULL);
        assert_true(atomic_load(&loaders[k].right) > 0);
        assert_true(atomic_load(&loaders[k].late) > 0);
        assert_int_equal(atomic_load(&loaders[k].wrong), 0);
        assert_int_equal(atomic_load(&loaders[k].slow), 0);
    }
    assert_true(counts_of(&o).reconnects > LOADERS);
    close_store(&o);
    redis_remove(&r);
}

/* A server that was restarted between two requests costs neither of them anything. */
static void test_restarted_while_idle(void **state) {
    (void)state;
    NEED_REDIS();
    redis r = {0};
    redis_start(&r);
    fill(&r);
    opened o = open_store(r.url, 1000, 0, 0);
    assert_false(fetch_one(&o, 1, "5").late);
    redis_kill(&r);
    redis_start(&r);
    fill(&r);
    hn_store_key key = fetch_one(&o, 1, "5");
    assert_cell(&key, 0, "35");
    assert_int_equal(counts_of(&o).errors, 0);
    close_store(&o);
    redis_remove(&r);
}

/* Without memory a key is late, never wrong. */
static void test_no_memory_while_fetching(void **state) {
    (void)state;
    NEED_REDIS();
    redis r = {0};
    redis_start(&r);
    fill(&r);
    for (int64_t nth = 1; nth < 12; nth++) {
        opened o = open_store(r.url, 1000, 60, 100);
        hn_store_key keys[4];
        for (int k = 0; k < 4; k++)
            keys[k] = (hn_store_key){.table = 1, .key = "3" + 0, .key_bytes = 1};
        hn_fault_arm(HN_FAULT_ALLOC, nth);
        hn_store_fetch(o.reader, keys, 4, INT64_MAX);
        hn_fault_arm(HN_FAULT_ALLOC, 0);
        int late = 0;
        for (int k = 0; k < 4; k++) {
            late += keys[k].late;
            if (!keys[k].late) assert_cell(&keys[k], 0, "21");
        }
        assert_int_equal(counts_of(&o).late, late);
        if (nth <= 3) assert_true(late > 0);
        hn_store_key key = fetch_one(&o, 1, "4");
        while (key.late) key = fetch_one(&o, 1, "4");
        assert_cell(&key, 0, "28");
        close_store(&o);
    }
    redis_remove(&r);
}

int main(void) {
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_slow_store),
        cmocka_unit_test(test_deadline_that_is_past),
        cmocka_unit_test(test_silent_store),
        cmocka_unit_test(test_nonsense_store),
        cmocka_unit_test(test_dead_store),
        cmocka_unit_test(test_killed_and_restarted_under_load),
        cmocka_unit_test(test_restarted_while_idle),
        cmocka_unit_test(test_no_memory_while_fetching),
    };
    return cmocka_run_group_tests_name("store_trouble", all, NULL, NULL);
}
