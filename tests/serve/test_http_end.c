/* The end of the public door: draining answers whoever came, also those that only the kernel has
 * accepted so far; closing without it wakes everything. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "serve/surface.h"
#include "support.h"

static void *drain_soon(void *user) {
    surface_pause(150000);
    hn_front_drain(user, 5);
    return NULL;
}

static void test_drain_finishes_what_was_accepted(void **state) {
    (void)state;
    const hn_serve_config config = surface_config();
    hn_front *const front = surface_open(&config, 1);
    const int32_t port = hn_front_port(front);
    atomic_store(&surface_delay_us, 60000);
    int fds[10];
    char out[4096];
    for (int k = 0; k < 10; k++) {
        static const char text[] =
            "POST /v1/rank HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
        fds[k] = surface_dial(port);
        assert_true(surface_send(fds[k], text, strlen(text)));
    }
    const int idle = surface_dial(port);
    pthread_t t;
    pthread_create(&t, NULL, drain_soon, front);
    for (int k = 0; k < 10; k++) {
        assert_int_equal(surface_read(fds[k], out, sizeof out), 200);
        close(fds[k]);
    }
    assert_non_null(strstr(out, "Connection: close")); /* the last ones know that it ends */
    pthread_join(t, NULL);
    assert_false(hn_front_ready(front));
    assert_true(surface_dial(port) < 0);
    close(idle);
    atomic_store(&surface_delay_us, 0);
    hn_front_close(front);
}

static void *close_soon(void *user) {
    surface_pause(100000);
    hn_front_close(user);
    return NULL;
}

/* The HTTP thread is held while clients connect, as on a busy machine: the kernel has accepted
 * them, the server has not. */
static _Atomic int holding, released;

static void hold(void *user, hn_text *out) {
    (void)user, (void)out;
    atomic_store(&holding, 1);
    while (!atomic_load(&released)) surface_pause(1000);
}

static void *drain(void *front) {
    hn_front_drain(front, 5);
    return NULL;
}

static void drain_with_backlog(hn_front *front, int (*connect_one)(const void *),
                               const void *where) {
    enum { CLIENTS = 60 };
    int fds[CLIENTS];
    char out[4096];
    pthread_t t;
    atomic_store(&holding, 0);
    atomic_store(&released, 0);
    const int first = connect_one(where);
    static const char metrics[] = "GET /metrics HTTP/1.0\r\n\r\n",
                      rank[] = "POST /v1/rank HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";
    assert_true(surface_send(first, metrics, strlen(metrics)));
    while (!atomic_load(&holding)) surface_pause(1000);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = connect_one(where);
        assert_true(fds[i] >= 0);
        if (i % 2 == 0) assert_true(surface_send(fds[i], rank, strlen(rank)));
    }
    pthread_create(&t, NULL, drain, front);
    surface_pause(20000);
    atomic_store(&released, 1);
    for (int i = 1; i < CLIENTS; i += 2) assert_true(surface_send(fds[i], rank, strlen(rank)));
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(surface_read(fds[i], out, sizeof out), 200);
        assert_non_null(strstr(out, "Connection: close\r\n"));
        close(fds[i]);
    }
    close(first);
    pthread_join(t, NULL);
    assert_int_equal(connect_one(where), -1);
    hn_front_close(front);
}

static int dial_port(const void *port) { return surface_dial(*(const int32_t *)port); }

static int dial_path(const void *path) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof name.sun_path);
    memcpy(name.sun_path, path, strlen(path));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)&name, sizeof name) == 0) return fd;
    close(fd);
    return -1;
}

static void test_drain_answers_the_backlog(void **state) {
    (void)state;
    hn_error err = {0};
    char *const folder = support_folder();
    char address[200];
    snprintf(address, sizeof address, "unix:%s/s", folder);
    hn_serve_config config = surface_config();
    const hn_front_options options = {.config = &config,
                                      .workers = 2,
                                      .rank = surface_echo,
                                      .infer = surface_echo,
                                      .public_metrics = true,
                                      .more_metrics = hold};
    hn_front *front;
    assert_ok(hn_front_open(&front, &options, &err));
    const int32_t port = hn_front_port(front);
    drain_with_backlog(front, dial_port, &port);
    config.listen = address;
    assert_ok(hn_front_open(&front, &options, &err));
    drain_with_backlog(front, dial_path, address + strlen("unix:"));
    support_remove(folder);
    free(folder);
}

/* No drain: what sleeps is woken with 503, nothing hangs, nothing leaks. */
static void test_close_under_load(void **state) {
    (void)state;
    for (int round = 0; round < 3; round++) {
        const hn_serve_config config = surface_config();
        const int64_t held = hn_memory_held();
        hn_front *const front = surface_open(&config, 2);
        atomic_store(&surface_delay_us, 3000);
        surface_load l = {.port = hn_front_port(front), .times = 25, .headers = ""};
        pthread_t t;
        pthread_create(&t, NULL, close_soon, front);
        surface_run(&l, 16);
        pthread_join(t, NULL);
        assert_true(atomic_load(&l.ok) > 0);
        assert_int_equal(hn_memory_held(), held);
    }
    atomic_store(&surface_delay_us, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain_finishes_what_was_accepted),
        cmocka_unit_test(test_drain_answers_the_backlog),
        cmocka_unit_test(test_close_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
