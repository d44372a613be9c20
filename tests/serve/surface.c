/* surface.h: the front with an echo behind it, its clients, and a load of them. */
#include "serve/surface.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "support.h"

_Atomic int64_t surface_delay_us;
_Atomic int surface_handled;

void surface_pause(int64_t us) {
    const struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&t, NULL);
}

/* Echoes the body, after a while. */
void surface_echo(void *user, hn_exchange *e, hn_rank_trace *trace) {
    (void)user;
    if (atomic_load(&surface_delay_us) > 0) surface_pause(atomic_load(&surface_delay_us));
    atomic_fetch_add(&surface_handled, 1);
    trace->items = 1;
    trace->scenario_name = "a \"quoted\" home";
    e->status = 200;
    hn_text_add(&e->answer, "%s|%s|", e->path, e->query);
    hn_text_bytes(&e->answer, e->body, e->body_bytes);
    e->answer_json_bytes = e->json_bytes;
}

hn_serve_config surface_config(void) {
    static char listen[] = "127.0.0.1:0";
    return (hn_serve_config){.listen = listen,
                             .queue = 64,
                             .deadline_ms = 5000,
                             .max_deadline_ms = 10000,
                             .header_seconds = 1,
                             .body_seconds = 1,
                             .drain_seconds = 5,
                             .max_header_bytes = 4096,
                             .max_body_bytes = 100000,
                             .max_connections = 200};
}

hn_front *surface_open(const hn_serve_config *config, int32_t workers) {
    hn_error err = {0};
    hn_front *front;
    const hn_front_options options = {.config = config,
                                      .workers = workers,
                                      .rank = surface_echo,
                                      .infer = surface_echo,
                                      .public_metrics = true};
    atomic_store(&surface_handled, 0);
    assert_ok(hn_front_open(&front, &options, &err));
    return front;
}

/* ---- A client ----------------------------------------------------------------------------- */

int surface_dial(int32_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in name = {.sin_family = AF_INET,
                                     .sin_port = htons((uint16_t)port),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval limit = {.tv_sec = 8};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (const struct sockaddr *)&name, sizeof name) == 0) return fd;
    close(fd);
    return -1;
}

bool surface_send(int fd, const void *bytes, size_t n) {
    for (size_t at = 0; at < n;) {
        const ssize_t sent = send(fd, (const char *)bytes + at, n - at, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        at += (size_t)sent;
    }
    return true;
}

/* Reads one answer with its body into `out`; gives its status, 0 when the connection ended
 * without one, -1 when nothing came in time. */
int surface_read(int fd, char *out, size_t size) {
    size_t n = 0;
    out[0] = '\0';
    for (;;) {
        const ssize_t got = recv(fd, out + n, size - 1 - n, 0);
        if (got < 0) return n == 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? -1 : 0;
        if (got == 0) return n > 12 ? atoi(out + 9) : 0;
        n += (size_t)got;
        out[n] = '\0';
        const char *const end = strstr(out, "\r\n\r\n"), *const length =
                                                             strcasestr(out, "content-length:");
        if (end && length && out + n >= end + 4 + atoi(length + 15)) return atoi(out + 9);
    }
}

int surface_ask(int32_t port, const char *text, char *out, size_t size) {
    const int fd = surface_dial(port);
    if (fd < 0) return -2;
    (void)surface_send(fd, text, strlen(text));
    const int status = surface_read(fd, out, size);
    close(fd);
    return status;
}

int surface_post(int32_t port, const char *path, const char *headers, const char *body, char *out,
                 size_t size) {
    char text[8192];
    snprintf(text, sizeof text, "POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n%s",
             path, headers, strlen(body), body);
    return surface_ask(port, text, out, size);
}

const char *surface_body(const char *answer) { return strstr(answer, "\r\n\r\n") + 4; }

/* ---- Load ------------------------------------------------------------------------- */

static void note(_Atomic int64_t *most, int64_t value) {
    int64_t seen = atomic_load(most);
    while (value > seen && !atomic_compare_exchange_weak(most, &seen, value)) {
    }
}

static void *hammer(void *user) {
    surface_load *const l = user;
    char out[4096];
    for (int32_t k = 0; k < l->times; k++) {
        const int64_t begun = hn_now_ns();
        const int status =
            surface_post(l->port, "/v1/rank", l->headers, "payload", out, sizeof out);
        const int64_t taken = hn_now_ns() - begun;
        if (status == 200 && strcmp(surface_body(out), "/v1/rank||payload") == 0) {
            atomic_fetch_add(&l->ok, 1);
            note(&l->slowest_ok_ns, taken);
        } else if (status == 503 && strstr(out, "Retry-After: 1\r\n")) {
            atomic_fetch_add(&l->refused, 1);
            note(&l->slowest_refusal_ns, taken);
        } else
            atomic_fetch_add(&l->failed, 1);
    }
    return NULL;
}

void surface_run(surface_load *l, int threads) {
    pthread_t t[32];
    for (int k = 0; k < threads; k++) assert_int_equal(pthread_create(&t[k], NULL, hammer, l), 0);
    for (int k = 0; k < threads; k++) pthread_join(t[k], NULL);
}
