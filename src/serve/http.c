/* The HTTP surface on libmicrohttpd, which this file alone knows. One thread of ours turns
 * the library's loop (epoll, no threads of its own), so that every callback and the sweep over slow
 * connections run on it and need no locks; only hn_http_finish is called from elsewhere.
 *
 * What the library leaves to us: its timeout is inactivity, so a client of one byte a second
 * would live for ever: the sweep gives head, body and answer a time each and shuts the socket down.
 * A suspended connection never times out and must be resumed before the end. */
#include "serve/http.h"

#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"

enum {
    SWEEP_MS = 50,
    IDLE_SECONDS = 60,      /* a connection kept alive without a request */
    POOL_EXTRA = 48 * 1024, /* beside the head: what a body is read into, piece by piece */
    DISCARD_TIMES = 4,      /* a chunked body this many limits long is no longer read, but cut */
};
static const int64_t second_ns = 1000000000;
#define BODIES_BYTES ((int64_t)256 << 20) /* all bodies that are being read or scored */

typedef enum phase { FRESH, HEAD, BODY, WORK, SEND, IDLE } phase;

typedef struct client { /* a connection, in the list of all */
    struct client *previous, *next;
    int fd;
    phase phase;
    bool cut;
    int64_t since_ns;
} client;

struct hn_http {
    hn_http_options options;
    char *listen;
    struct MHD_Daemon *daemon;
    pthread_t thread;
    bool started;
    int32_t port;
    int wake; /* an event: somebody resumed a connection, which the library's own loop would see
                 late */
    client *clients;
    uint64_t random;                        /* of trace ids */
    int listener;                           /* the daemon's, or -1 */
    int64_t ebb_ns;                         /* hn_listen_ebb's */
    _Atomic bool draining, stopping, quiet; /* quiet: listens no more */
    _Atomic uint64_t connections, cut, refused;
    _Atomic int64_t open, body_bytes, asleep;
};

typedef struct request {
    hn_exchange exchange; /* the first member: hn_http_finish finds the request by it */
    hn_http *http;
    struct MHD_Connection *connection;
    client *client;
    char *uri, *body;
    size_t body_bytes, body_capacity; /* of one that is refused no body is kept */
    int32_t refused;                  /* a status to be sent once the body has been read away */
    bool begun, answered, sent;
    char trace[HN_TRACE_BYTES + 1];
} request;

static void enter(client *l, phase next) {
    l->phase = next;
    l->since_ns = hn_now_ns();
}

/* ---- Answers ------------------------------------------------------------------------- */

static void add_headers(struct MHD_Response *response, const request *r) {
    const hn_exchange *const e = &r->exchange;
    char value[80];
    MHD_add_response_header(response, "Content-Type", e->answer_type);
    if (r->trace[0]) {
        hn_trace_continue(value, e->trace, &r->http->random);
        MHD_add_response_header(response, "traceparent", value);
    }
    if (e->retry_seconds > 0 || e->status == 503) {
        snprintf(value, sizeof value, "%d", e->retry_seconds > 0 ? (int)e->retry_seconds : 1);
        MHD_add_response_header(response, "Retry-After", value);
    }
    if (e->allow) MHD_add_response_header(response, "Allow", e->allow);
    if (e->answer_json_bytes >= 0) {
        snprintf(value, sizeof value, "%lld", (long long)e->answer_json_bytes);
        MHD_add_response_header(response, "Inference-Header-Content-Length", value);
    }
    if (e->status == 401) MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    if (atomic_load(&r->http->draining)) MHD_add_response_header(response, "Connection", "close");
}

static enum MHD_Result send_answer(request *r) {
    hn_exchange *const e = &r->exchange;
    static char no_memory[] = "{\"error\":\"no memory\"}";
    if (e->answer.failed) {
        hn_text_free(&e->answer);
        e->answer = (hn_text){0};
        e->status = 500;
    }
    char *const text = e->answer.text;
    struct MHD_Response *const response =
        text ? MHD_create_response_from_buffer_with_free_callback(e->answer.length, text, hn_free)
             : MHD_create_response_from_buffer(e->status == 500 ? strlen(no_memory) : 0, no_memory,
                                               MHD_RESPMEM_PERSISTENT);
    if (!response) return MHD_NO;
    e->answer = (hn_text){0}; /* the response's now */
    add_headers(response, r);
    r->sent = true;
    enter(r->client, SEND);
    const enum MHD_Result queued = MHD_queue_response(r->connection, (unsigned)e->status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result refuse(request *r, int32_t status, const char *text) {
    atomic_fetch_add(&r->http->refused, 1);
    hn_answer_error(&r->exchange, status, text);
    return send_answer(r);
}

/* ---- The head ------------------------------------------------------------------------- */

static const char *header(const request *r, const char *name) {
    const char *const value = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
    return value ? value : "";
}

/* Sets deadline_ns to the time allowed; it becomes a point in time when the request is whole. */
static bool take_deadline(request *r) {
    const hn_http_options *const o = &r->http->options;
    const char *const text = header(r, "X-Deadline-Ms");
    double ms = o->deadline_ms;
    if (text[0]) {
        char *end;
        ms = strtod(text, &end);
        if (*end || end == text || !(ms > 0)) return false;
        if (ms > o->max_deadline_ms) ms = o->max_deadline_ms;
    }
    r->exchange.deadline_ns = (int64_t)(ms * 1e6);
    return true;
}

static enum MHD_Result check_sizes(request *r) {
    const hn_http_options *const o = &r->http->options;
    const union MHD_ConnectionInfo *const size =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    const char *const length = header(r, "Content-Length");
    const char *const json = header(r, "Inference-Header-Content-Length");
    const char *const encoding = header(r, "Content-Encoding");
    int64_t n = 0;
    if (size && size->header_size > (size_t)o->max_header_bytes)
        return refuse(r, 431, "the head of the request is larger than limits allow");
    if (length[0] && !hn_whole_parse(&n, length, o->max_body_bytes))
        return refuse(r, 413, "the body is larger than limits allow");
    if (encoding[0] && strcasecmp(encoding, "identity") != 0)
        return refuse(r, 415, "Content-Encoding: expected none");
    if (json[0] && !hn_whole_parse(&r->exchange.json_bytes, json, o->max_body_bytes))
        return refuse(r, 400, "Inference-Header-Content-Length: expected a whole number of bytes");
    if (!take_deadline(r)) return refuse(r, 400, "X-Deadline-Ms: expected a number above 0");
    return MHD_YES;
}

static enum MHD_Result begin(request *r, const char *method, const char *url) {
    hn_exchange *const e = &r->exchange;
    const hn_http_hooks *const hooks = &r->http->options.hooks;
    r->begun = true;
    e->method = method;
    e->path = url;
    e->content_type = header(r, "Content-Type");
    e->authorization = header(r, "Authorization");
    enter(r->client, BODY);
    hn_trace_take(r->trace, header(r, "traceparent"), &r->http->random);
    e->trace = r->trace;
    const enum MHD_Result checked = check_sizes(r);
    if (r->sent || checked != MHD_YES) return checked;
    if (hooks->head(hooks->user, e)) return MHD_YES;
    atomic_fetch_add(&r->http->refused, 1);
    return send_answer(r);
}

/* ---- The body ------------------------------------------------------------------------- */

/* Nothing of a body that is refused is kept. */
static void forget_body(request *r) {
    if (r->body) atomic_fetch_sub(&r->http->body_bytes, (int64_t)r->body_bytes);
    hn_free(r->body);
    r->body = NULL;
    r->body_capacity = 0;
}

/* Adds a piece, or marks the request as refused; what follows is then only read away. */
static enum MHD_Result take_piece(request *r, const char *bytes, size_t n) {
    hn_http *const http = r->http;
    const size_t limit = (size_t)http->options.max_body_bytes;
    if (r->refused) {
        r->body_bytes += n;
        return r->body_bytes > DISCARD_TIMES * limit ? MHD_NO : MHD_YES;
    }
    if (n > limit - r->body_bytes)
        r->refused = 413;
    else if (atomic_load(&http->body_bytes) + (int64_t)n > BODIES_BYTES ||
             hn_grow(&r->body, &r->body_capacity, r->body_bytes + n + 1, 1, NULL) != HN_OK)
        r->refused = 503;
    if (r->refused) {
        forget_body(r);
        return MHD_YES;
    }
    memcpy(r->body + r->body_bytes, bytes, n);
    r->body_bytes += n;
    atomic_fetch_add(&http->body_bytes, (int64_t)n);
    return MHD_YES;
}

static enum MHD_Result finish_reading(request *r) {
    hn_exchange *const e = &r->exchange;
    const hn_http_hooks *const hooks = &r->http->options.hooks;
    if (r->refused == 413) return refuse(r, 413, "the body is larger than limits allow");
    if (r->refused) {
        e->retry_seconds = 1;
        return refuse(r, 503, "too many large requests at once");
    }
    if (r->body) r->body[r->body_bytes] = '\0';
    e->body = r->body ? r->body : "";
    e->body_bytes = r->body_bytes;
    e->arrived_ns = hn_now_ns();
    e->deadline_ns += e->arrived_ns;
    r->answered = true; /* when the library calls next, there is an answer */
    if (hooks->whole(hooks->user, e)) return send_answer(r);
    enter(r->client, WORK);
    atomic_fetch_add(&r->http->asleep, 1);
    MHD_suspend_connection(r->connection); /* before the push: the answer may come at once */
    hooks->push(hooks->user, e);
    return MHD_YES;
}

void hn_http_finish(hn_exchange *exchange) {
    request *const r = (request *)exchange;
    hn_http *const http = r->http;
    const uint64_t one = 1;
    MHD_resume_connection(r->connection); /* r may be gone now */
    (void)!write(http->wake, &one, sizeof one);
    atomic_fetch_sub(&http->asleep, 1);
}

/* ---- What the library calls -------------------------------------------------------------- */

static client *client_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *const info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code) {
    hn_http *const http = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        client *const l = hn_alloc_zero(1, sizeof *l);
        *context = l;
        const union MHD_ConnectionInfo *const info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        if (!l || !info) return;
        l->fd = info->connect_fd;
        enter(l, FRESH);
        l->next = http->clients;
        if (l->next) l->next->previous = l;
        http->clients = l;
        atomic_fetch_add(&http->open, 1);
        atomic_fetch_add(&http->connections, 1);
        return;
    }
    client *const l = *context;
    if (!l) return;
    if (l->previous) l->previous->next = l->next;
    if (l->next) l->next->previous = l->previous;
    if (http->clients == l) http->clients = l->next;
    atomic_fetch_sub(&http->open, 1);
    hn_free(l);
    *context = NULL;
}

/* The request line is there: the first that is known of a request. */
static void *on_line(void *cls, const char *uri, struct MHD_Connection *connection) {
    hn_http *const http = cls;
    client *const l = client_of(connection);
    request *const r = l ? hn_alloc_zero(1, sizeof *r) : NULL;
    if (!r) return NULL; /* on_request closes the connection */
    r->http = http;
    r->connection = connection;
    r->client = l;
    r->uri = hn_strdup(uri);
    const char *const mark = r->uri ? strchr(r->uri, '?') : NULL;
    r->exchange = (hn_exchange){.method = "",
                                .path = "",
                                .query = mark ? mark + 1 : "",
                                .body = "",
                                .content_type = "",
                                .authorization = "",
                                .trace = "",
                                .json_bytes = -1,
                                .answer_type = "application/json",
                                .answer_json_bytes = -1};
    if (l->phase == IDLE) enter(l, HEAD);
    if (l->phase == FRESH) l->phase = HEAD; /* its time began with the connection */
    return r;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_bytes, void **context) {
    (void)cls, (void)connection, (void)version;
    request *const r = *context;
    if (!r || !r->uri) return MHD_NO;
    if (!r->begun) return begin(r, method, url);
    if (r->answered) return send_answer(r);
    if (*data_bytes == 0) return finish_reading(r);
    const enum MHD_Result taken = take_piece(r, data, *data_bytes);
    *data_bytes = 0;
    return taken;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code) {
    hn_http *const http = cls;
    request *const r = *context;
    (void)connection, (void)code;
    if (!r) return;
    if (!r->sent) r->exchange.status = 0;
    if (r->begun) http->options.hooks.done(http->options.hooks.user, &r->exchange);
    forget_body(r);
    enter(r->client, IDLE);
    hn_text_free(&r->exchange.answer);
    hn_free(r->uri);
    hn_free(r);
    *context = NULL;
}

static void log_nothing(void *cls, const char *format, va_list args) {
    (void)cls, (void)format, (void)args;
}

/* ---- The thread ------------------------------------------------------------------------ */

static int64_t allowed_ns(const hn_http *http, const client *l) {
    const bool draining = atomic_load(&http->draining), stopping = atomic_load(&http->stopping);
    switch (l->phase) {
    case FRESH:
        if (draining) return second_ns; /* time to say what it connected for */
        return (int64_t)(http->options.header_seconds * 1e9);
    case HEAD: return (int64_t)(http->options.header_seconds * 1e9);
    case BODY:
    case SEND: return stopping ? second_ns : (int64_t)(http->options.body_seconds * 1e9);
    case IDLE: return draining ? 0 : IDLE_SECONDS * second_ns;
    case WORK: break;
    }
    return INT64_MAX;
}

/* Whether a request is under way that the library has not seen yet. */
static bool has_unread(const client *l) {
    int n = 0;
    return (l->phase == FRESH || l->phase == IDLE) && ioctl(l->fd, FIONREAD, &n) == 0 && n > 0;
}

/* Ends connections whose time is over or whose client has left. The library sees the shutdown. */
static void sweep(hn_http *http) {
    const int64_t now = hn_now_ns();
    for (client *l = http->clients; l; l = l->next) {
        const bool gone = (l->phase == HEAD || l->phase == BODY) && hn_listen_gone(l->fd);
        if (l->cut || (now - l->since_ns < allowed_ns(http, l) && !gone)) continue;
        if (atomic_load(&http->draining) && has_unread(l)) continue;
        l->cut = true;
        if (l->phase != IDLE) atomic_fetch_add(&http->cut, 1);
        shutdown(l->fd, SHUT_RDWR);
    }
}

static void stop_listening(hn_http *http) {
    const int fd = MHD_quiesce_daemon(http->daemon);
    if (http->ebb_ns == 0) hn_listen_remove(http->listen); /* else it is another's by now */
    if (fd >= 0) close(fd);
    atomic_store(&http->quiet, true);
}

static void ebb(hn_http *http) {
    if (!atomic_load(&http->draining) || atomic_load(&http->quiet)) return;
    if (hn_listen_ebb(&http->ebb_ns, http->listener, http->listen)) stop_listening(http);
}

static void turn(hn_http *http, int epoll_fd) {
    MHD_UNSIGNED_LONG_LONG wait = SWEEP_MS;
    uint64_t calls;
    if (MHD_get_timeout(http->daemon, &wait) != MHD_YES || wait > SWEEP_MS) wait = SWEEP_MS;
    struct pollfd ready[2] = {{.fd = epoll_fd, .events = POLLIN},
                              {.fd = http->wake, .events = POLLIN}};
    poll(ready, 2, (int)wait);
    if (ready[1].revents) (void)!read(http->wake, &calls, sizeof calls);
    MHD_run(http->daemon);
}

/* Lets answers go out for a second, and every sleeper wake, however long that takes. */
static void run_out(hn_http *http, int epoll_fd) {
    const int64_t end = hn_now_ns() + second_ns;
    while (atomic_load(&http->asleep) > 0 ||
           ((!atomic_load(&http->quiet) || atomic_load(&http->open) > 0) && hn_now_ns() < end)) {
        turn(http, epoll_fd);
        ebb(http);
        sweep(http);
    }
    if (!atomic_load(&http->quiet)) stop_listening(http);
    turn(http, epoll_fd);
}

static void *run(void *user) {
    hn_http *const http = user;
    const int epoll_fd = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    int64_t swept = 0;
    while (!atomic_load(&http->stopping)) {
        turn(http, epoll_fd);
        ebb(http);
        const int64_t now = hn_now_ns();
        if (now - swept < SWEEP_MS * (second_ns / 1000)) continue;
        swept = now;
        sweep(http);
    }
    run_out(http, epoll_fd);
    return NULL;
}

/* ---- Life -------------------------------------------------------------------------------- */

static struct MHD_Daemon *start_daemon(hn_http *http, int fd) {
    const hn_http_options *const o = &http->options;
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, NULL, NULL,
                            on_request, http, MHD_OPTION_EXTERNAL_LOGGER, log_nothing, NULL,
                            MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                            (unsigned)o->max_connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            (size_t)o->max_header_bytes + POOL_EXTRA, MHD_OPTION_NOTIFY_CONNECTION,
                            on_connection, http, MHD_OPTION_URI_LOG_CALLBACK, on_line, http,
                            MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_END);
}

hn_status hn_http_start(hn_http **out, const hn_http_options *options, hn_error *err) {
    int fd = -1;
    *out = NULL;
    hn_http *const http = hn_alloc_zero(1, sizeof *http);
    if (!http) return hn_no_memory(err, "the HTTP surface");
    http->options = *options;
    http->listen = hn_strdup(options->listen);
    if (getrandom(&http->random, sizeof http->random, 0) < 0) http->random = (uint64_t)hn_now_ns();
    http->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    hn_status status = http->listen && http->wake >= 0
                           ? hn_listen_open(&fd, &http->port, options->listen, err)
                           : hn_no_memory(err, "the HTTP surface");
    if (status == HN_OK) {
        http->listener = fd;
        http->daemon = start_daemon(http, fd);
        if (!http->daemon) {
            close(fd);
            status = hn_fail(err, HN_FAILED, "listen %s: the HTTP surface cannot be started",
                             options->listen);
        }
    }
    if (status == HN_OK) {
        http->started = pthread_create(&http->thread, NULL, run, http) == 0;
        if (!http->started)
            status =
                hn_fail(err, HN_FAILED, "listen %s: no thread can be started", options->listen);
    }
    if (status != HN_OK)
        hn_http_stop(http);
    else
        *out = http;
    return status;
}

int32_t hn_http_port(const hn_http *http) { return http->port; }
void hn_http_drain(hn_http *http) { atomic_store(&http->draining, true); }

void hn_http_counts_get(hn_http_counts *out, const hn_http *http) {
    *out = (hn_http_counts){.connections = atomic_load(&http->connections),
                            .cut = atomic_load(&http->cut),
                            .refused = atomic_load(&http->refused),
                            .open = atomic_load(&http->open),
                            .body_bytes = atomic_load(&http->body_bytes),
                            .listening = !atomic_load(&http->quiet)};
}

void hn_http_stop(hn_http *http) {
    if (!http) return;
    atomic_store(&http->draining, true);
    atomic_store(&http->stopping, true);
    if (http->started) pthread_join(http->thread, NULL);
    if (http->daemon) {
        if (!atomic_load(&http->quiet)) stop_listening(http);
        MHD_stop_daemon(http->daemon);
    }
    if (http->wake >= 0) close(http->wake);
    hn_free(http->listen);
    hn_free(http);
}
