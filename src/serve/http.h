/* The HTTP surface: one thread that reads requests whole, within limits of size and time,
 * and sends answers. It decides nothing about paths: hooks do. http.c is the only file that
 * knows libmicrohttpd. */
#ifndef HN_SERVE_HTTP_H
#define HN_SERVE_HTTP_H

#include "serve/exchange.h"

typedef struct hn_http hn_http;

/* All hooks run on the HTTP thread and must not wait for anything. */
typedef struct hn_http_hooks {
    /* The head is read, the body is not. False: the answer is filled in and sent at once. */
    bool (*head)(void *user, hn_exchange *exchange);
    /* The request is whole. True: the answer is filled in; false: push will be called. */
    bool (*whole)(void *user, hn_exchange *exchange);
    /* The connection sleeps: hand the exchange to another thread, which calls
     * hn_http_finish once. Cannot refuse; what could, said so in `whole`. */
    void (*push)(void *user, hn_exchange *exchange);
    /* The answer was sent, or the client went away; status 0: before there was an answer. */
    void (*done)(void *user, const hn_exchange *exchange);
    void *user;
} hn_http_hooks;

typedef struct hn_http_options {
    const char *listen; /* "HOST:PORT", "[V6]:PORT" or "unix:/path"; port 0: any */
    double header_seconds,
        body_seconds; /* of the whole head; of the whole body, and of sending the answer */
    double deadline_ms, max_deadline_ms;
    int64_t max_header_bytes, max_body_bytes;
    int32_t max_connections;
    hn_http_hooks hooks;
} hn_http_options;

hn_status hn_http_start(hn_http **out, const hn_http_options *options, hn_error *err);
int32_t hn_http_port(const hn_http *http); /* 0: a Unix socket */
/* Any thread, once for each pushed exchange; the exchange is gone afterwards. */
void hn_http_finish(hn_exchange *exchange);
/* Answers whoever has connected, then listens no more; closes idle connections, lets the others
 * end. */
void hn_http_drain(hn_http *http);
typedef struct hn_http_counts {
    uint64_t connections; /* accepted since the start */
    uint64_t cut;         /* ended because a limit of time was passed */
    uint64_t refused;     /* answered before anything was queued: sizes, forms */
    int64_t open, body_bytes;
    bool listening;
} hn_http_counts;
void hn_http_counts_get(hn_http_counts *out, const hn_http *http);
/* Ends the thread. All pushed exchanges must have been finished; answers that are on
 * their way get a second. NULL is fine. */
void hn_http_stop(hn_http *http);

/* ---- Parts of an exchange (exchange.c) ---- */

enum { HN_TRACE_BYTES = 55 };
bool hn_trace_is_valid(const char *text);
/* What was received, or where that is no trace a new one; `random` is a state that moves on. */
void hn_trace_take(char out[HN_TRACE_BYTES + 1], const char *received, uint64_t *random);
/* The same trace with a new span. */
void hn_trace_continue(char out[HN_TRACE_BYTES + 1], const char *trace, uint64_t *random);
bool hn_whole_parse(int64_t *out, const char *text, int64_t most);
/* A JSON error as the answer: {"error":TEXT}, below /v1/ {"error":{"code":…,"message":TEXT}}. */
void hn_answer_error(hn_exchange *exchange, int32_t status, const char *text);
void hn_answer_json(hn_exchange *exchange, int32_t status, const json_t *json);

/* ---- Sockets (listen.c) ---- */

/* A listening, non-blocking socket; `*port` 0 for a Unix one. */
hn_status hn_listen_open(int *fd, int32_t *port, const char *address, hn_error *err);
/* Removes the file of a Unix socket. */
void hn_listen_remove(const char *address);
/* Lets no new client in; true once all that came before have been accepted, so that closing the
 * socket resets nobody. `*begun_ns` is 0 at the first call and afterwards this function's. */
bool hn_listen_ebb(int64_t *begun_ns, int fd, const char *address);
/* The peer of a connection has closed, and all that it sent was read. */
bool hn_listen_gone(int fd);

int64_t hn_now_ns(void); /* CLOCK_MONOTONIC */

#endif
