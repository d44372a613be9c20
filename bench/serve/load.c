/* An open-loop load generator: requests are due on a schedule that answers do not move, and a
 * request's latency is counted from when it was due, so that a server that stalls is charged for
 * everyone who would have come meanwhile (wrk, h2load and curl's multi interface wait for answers
 * before they send more, and so hide it). One thread, epoll, prepared POSTs over kept-alive
 * connections. It speaks no general HTTP: it sends requests made once and reads answers that have
 * a status line and a Content-Length, which is all that it is ever given; a full client library
 * costs more time a request than the server's own surface, on the core that is left for it.
 *
 *   hinet_load --port 8080 --rate 200 --seconds 10 --bodies requests.jsonl */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

/* ---- Connections ----------------------------------------------------------------------------- */

typedef enum state { DOWN, CONNECTING, IDLE, BUSY } state;

typedef struct connection {
    int fd;
    state state;
    bool counts; /* its request is after the warm-up */
    const message *message;
    size_t sent;
    int64_t due_ns, sent_ns;
    char *buffer;
    size_t n, capacity, need; /* need: head and body of the answer; 0: not known yet */
    size_t head;
    int status;
    int64_t retry_ns; /* DOWN: not before */
} connection;

typedef struct waiting { /* requests that found no free connection, in a ring */
    int64_t *due;
    uint64_t *index;
    size_t first, n, capacity;
} waiting;

typedef struct load {
    settings s;
    messages messages;
    results r;
    connection *connections;
    int *idle;
    int n_idle, n_busy, epoll;
    waiting waiting;
    struct sockaddr_in address;
    int64_t begin_ns, count_ns, end_ns;
} load;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static slice *slice_of(load *l, int64_t due_ns) {
    if (l->r.n_slices == 0 || due_ns < l->count_ns) return NULL;
    const size_t at = (size_t)((double)(due_ns - l->count_ns) * 1e-9 / l->s.slice);
    return at < l->r.n_slices ? &l->r.slices[at] : NULL;
}

static void watch(load *l, connection *c, uint32_t events, int how) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    epoll_ctl(l->epoll, how, c->fd, &event);
}

static void dial(load *l, connection *c) {
    const int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) load_die("no socket", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->n = c->need = 0;
    if (connect(c->fd, (const struct sockaddr *)&l->address, sizeof l->address) == 0 ||
        errno == EINPROGRESS) {
        c->state = CONNECTING;
        watch(l, c, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
        return;
    }
    close(c->fd);
    c->state = DOWN;
    c->retry_ns = now_ns() + 20000000;
}

static void count_failure(load *l, const connection *c, uint64_t *what) {
    slice *const s = slice_of(l, c->due_ns);
    if (!c->counts) return;
    ++*what;
    if (s) s->failed++;
}

static void hang_up(load *l, connection *c, bool at_once) {
    if (c->state == BUSY) l->n_busy--;
    for (int k = 0; k < l->n_idle && c->state == IDLE; k++)
        if (l->idle[k] == (int)(c - l->connections))
            l->idle[k] = l->idle[--l->n_idle], k = l->n_idle;
    close(c->fd);
    c->state = DOWN;
    c->retry_ns = at_once ? 0 : now_ns() + 20000000;
    if (at_once) dial(l, c);
}

static bool begin_next(load *l, connection *c);

static void become_idle(load *l, connection *c) {
    c->state = IDLE;
    if (l->waiting.n > 0 && begin_next(l, c)) return;
    if (c->state == IDLE) l->idle[l->n_idle++] = (int)(c - l->connections);
}

/* Sends what it can; false: the connection broke. */
static bool send_more(load *l, connection *c) {
    while (c->sent < c->message->n) {
        const ssize_t n =
            send(c->fd, c->message->bytes + c->sent, c->message->n - c->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            watch(l, c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            return true;
        }
        if (n < 0) return false;
        c->sent += (size_t)n;
    }
    return true;
}

static void begin(load *l, connection *c, int64_t due_ns, uint64_t index) {
    c->state = BUSY;
    l->n_busy++;
    c->due_ns = due_ns;
    c->sent_ns = now_ns();
    c->message = &l->messages.items[index % l->messages.n];
    c->sent = c->n = c->need = 0;
    c->counts = due_ns >= l->count_ns;
    if (c->counts) load_sample(&l->r.lag, c->sent_ns - due_ns);
    if (send_more(l, c)) return;
    count_failure(l, c, &l->r.closed);
    hang_up(l, c, true);
}

static bool begin_next(load *l, connection *c) {
    waiting *const w = &l->waiting;
    const size_t at = w->first;
    w->first = (w->first + 1) % w->capacity;
    w->n--;
    begin(l, c, w->due[at], w->index[at]);
    return true;
}

static void wait_in_line(load *l, int64_t due_ns, uint64_t index) {
    waiting *const w = &l->waiting;
    if (w->n == w->capacity) {
        const size_t bigger = 2 * w->capacity + 1024;
        int64_t *const due = load_need(malloc(bigger * sizeof *due));
        uint64_t *const indices = load_need(malloc(bigger * sizeof *indices));
        for (size_t k = 0; k < w->n; k++) {
            due[k] = w->due[(w->first + k) % w->capacity];
            indices[k] = w->index[(w->first + k) % w->capacity];
        }
        free(w->due);
        free(w->index);
        *w = (waiting){due, indices, 0, w->n, bigger};
    }
    w->due[(w->first + w->n) % w->capacity] = due_ns;
    w->index[(w->first + w->n) % w->capacity] = index;
    w->n++;
    if (w->n > l->r.most_waiting) l->r.most_waiting = w->n;
}

static void offer(load *l, int64_t due_ns, uint64_t index) {
    slice *const s = slice_of(l, due_ns);
    if (due_ns >= l->count_ns) l->r.due++;
    if (s) s->due++;
    if (l->n_idle > 0)
        begin(l, &l->connections[l->idle[--l->n_idle]], due_ns, index);
    else
        wait_in_line(l, due_ns, index);
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* Sets `need` once the head is there; false: this is no answer. */
static bool read_head(connection *c) {
    char *const end = memmem(c->buffer, c->n, "\r\n\r\n", 4);
    if (!end) return c->n < BUFFER_MIN;
    *end = '\0'; /* the head becomes a string for a moment */
    const char *const length = strcasestr(c->buffer, "\r\ncontent-length:");
    const bool fine = strncmp(c->buffer, "HTTP/1.", 7) == 0 && length;
    c->status = fine ? atoi(c->buffer + 9) : 0;
    c->head = (size_t)(end - c->buffer) + 4;
    if (fine) c->need = c->head + strtoull(length + 17, NULL, 10);
    const bool closing = strcasestr(c->buffer, "\r\nconnection: close") != NULL;
    *end = '\r';
    if (closing) c->status = -c->status; /* hung up on after this answer */
    return fine && c->need <= ANSWER_MAX && abs(c->status) < STATUSES && abs(c->status) >= 100;
}

static void count_answer(load *l, const connection *c, int status) {
    results *const r = &l->r;
    slice *const s = slice_of(l, c->due_ns);
    const int64_t took = now_ns() - c->due_ns;
    if (!c->counts) return;
    r->statuses[status]++;
    if (status == 200) load_sample(&r->ok, took);
    if (status == 503) load_sample(&r->refused, took);
    if (status == 200 && (double)took > l->s.deadline_ms * 1e6) r->late++;
    for (int k = 0; k < l->s.n_counted; k++)
        r->counted[k] += memmem(c->buffer + c->head, c->need - c->head, l->s.counted[k],
                                strlen(l->s.counted[k])) != NULL;
    if (!s) return;
    if (status == 200) load_sample(&s->ok_times, took);
    *(status == 200 ? &s->ok : status == 503 ? &s->refused : &s->other) += 1;
}

static void end_answer(load *l, connection *c) {
    const bool closing = c->status < 0;
    count_answer(l, c, abs(c->status));
    if (closing) {
        hang_up(l, c, true);
        return;
    }
    l->n_busy--;
    become_idle(l, c);
}

static void break_off(load *l, connection *c, uint64_t *what) {
    if (c->state == BUSY) count_failure(l, c, what);
    hang_up(l, c, c->state == BUSY);
}

static void read_more(load *l, connection *c) {
    for (;;) {
        if (c->capacity - c->n < BUFFER_MIN)
            c->buffer =
                load_need(realloc(c->buffer, c->capacity = 2 * c->capacity + 2 * BUFFER_MIN));
        const ssize_t n = recv(c->fd, c->buffer + c->n, c->capacity - c->n - 1, 0);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (n <= 0 || c->state != BUSY) {
            break_off(l, c, &l->r.closed);
            return;
        }
        c->n += (size_t)n;
        c->buffer[c->n] = '\0';
        if (c->need == 0 && !read_head(c)) {
            break_off(l, c, &l->r.closed);
            return;
        }
        if (c->need > 0 && c->n >= c->need) {
            end_answer(l, c);
            return;
        }
    }
}

static void on_event(load *l, connection *c, uint32_t events) {
    if (c->state == CONNECTING) {
        int error = 0;
        socklen_t n = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n);
        if (error || !(events & EPOLLOUT)) {
            l->r.connect_failed++;
            hang_up(l, c, false);
            return;
        }
        watch(l, c, EPOLLIN, EPOLL_CTL_MOD);
        become_idle(l, c);
        return;
    }
    if (events & EPOLLOUT && c->state == BUSY) {
        watch(l, c, EPOLLIN, EPOLL_CTL_MOD);
        if (!send_more(l, c)) {
            break_off(l, c, &l->r.closed);
            return;
        }
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && c->state >= IDLE) read_more(l, c);
}

/* ---- The run --------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t *seed) { /* splitmix64 */
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double next_gap_ns(load *l, uint64_t *random) {
    const double mean = 1e9 / l->s.rate;
    return l->s.poisson ? -mean * log(((double)(mix(random) >> 11) + 1) * 0x1p-53) : mean;
}

static void sweep(load *l, int64_t now) {
    for (int k = 0; k < l->s.connections; k++) {
        connection *const c = &l->connections[k];
        if (c->state == DOWN && now >= c->retry_ns) dial(l, c);
        if (c->state == BUSY && now - c->sent_ns > (int64_t)(l->s.timeout * 1e9))
            break_off(l, c, &l->r.timed_out);
    }
}

static void wait_events(load *l, int64_t until_ns) {
    struct epoll_event events[256];
    int64_t left = until_ns - now_ns();
    if (left < 0 || l->s.spin) left = 0;
    const struct timespec time = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    const int n = epoll_pwait2(l->epoll, events, 256, &time, NULL);
    for (int k = 0; k < n; k++) on_event(l, events[k].data.ptr, events[k].events);
}

static void drop_waiting(load *l) {
    for (; l->waiting.n > 0;
         l->waiting.n--, l->waiting.first = (l->waiting.first + 1) % l->waiting.capacity) {
        const connection c = {.due_ns = l->waiting.due[l->waiting.first],
                              .counts = l->waiting.due[l->waiting.first] >= l->count_ns};
        count_failure(l, &c, &l->r.timed_out);
    }
}

static void run(load *l) {
    uint64_t random = l->s.seed, index = 0;
    const int64_t grace = (int64_t)(l->s.timeout * 1e9);
    for (int k = 0; k < l->s.connections; k++) dial(l, &l->connections[k]);
    const int64_t settled = now_ns() + 500000000;
    while (l->n_idle < l->s.connections && now_ns() < settled) wait_events(l, now_ns() + 1000000);
    l->begin_ns = now_ns();
    l->count_ns = l->begin_ns + (int64_t)(l->s.warmup * 1e9);
    l->end_ns = l->count_ns + (int64_t)(l->s.seconds * 1e9);
    double due = (double)l->begin_ns + next_gap_ns(l, &random);
    int64_t swept = l->begin_ns;
    for (int64_t now = l->begin_ns;; now = now_ns()) {
        while (due <= (double)now && due < (double)l->end_ns) {
            offer(l, (int64_t)due, index++);
            due += next_gap_ns(l, &random);
        }
        if (now - swept > 5000000) sweep(l, swept = now);
        const bool over = due >= (double)l->end_ns;
        if (over && ((l->n_busy == 0 && l->waiting.n == 0) || now > l->end_ns + grace)) break;
        const int64_t soon = now + 5000000;
        wait_events(l, !over && due < (double)soon ? (int64_t)due : soon);
    }
    drop_waiting(l);
    for (int k = 0; k < l->s.connections; k++)
        if (l->connections[k].state == BUSY) count_failure(l, &l->connections[k], &l->r.timed_out);
}

static void stay_on(int core) {
    cpu_set_t set;
    if (core < 0) return;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        load_die("cannot stay on that core", strerror(errno));
}

int main(int argc, char **argv) {
    load l = {.s = load_settings_read(argc, argv)};
    stay_on(l.s.core);
    l.messages = load_messages_read(&l.s);
    l.connections = load_need(calloc((size_t)l.s.connections, sizeof *l.connections));
    l.idle = load_need(calloc((size_t)l.s.connections, sizeof *l.idle));
    l.address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)l.s.port)};
    if (inet_pton(AF_INET, l.s.host, &l.address.sin_addr) != 1)
        load_die("expected an IPv4 address, found", l.s.host);
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l.s.slice > 0) {
        l.r.n_slices = (size_t)ceil(l.s.seconds / l.s.slice);
        if (l.r.n_slices > SLICES_MAX) l.r.n_slices = SLICES_MAX;
        l.r.slices = load_need(calloc(l.r.n_slices, sizeof *l.r.slices));
    }
    run(&l);
    load_print(&l.s, &l.r);
    return 0;
}
