/* Worker threads behind a bounded queue. One thread offers (the HTTP thread), so that what
 * was admitted has its place; a request is refused early when it would not be answered by its
 * deadline: the queue is full, or the measured service time says so. */
#ifndef HN_SERVE_WORKERS_H
#define HN_SERVE_WORKERS_H

#include "serve/exchange.h"

typedef struct hn_workers hn_workers;

typedef struct hn_workers_options {
    int32_t threads, queue;
    const char *name;                                  /* of the threads */
    void (*handle)(void *user, hn_exchange *exchange); /* exchange->worker is set */
    void (*late)(void *user, hn_exchange *exchange);   /* its deadline passed, or the end came,
                                                          while it waited; worker may be `threads` */
    void (*finish)(hn_exchange *exchange);             /* after either: hn_http_finish */
    void *user;
} hn_workers_options;

typedef enum hn_admission { HN_ADMITTED, HN_QUEUE_FULL, HN_TOO_LATE } hn_admission;

typedef struct hn_workers_state {
    int32_t waiting, busy;
    int64_t service_ns; /* the mean, of late */
} hn_workers_state;

hn_status hn_workers_start(hn_workers **out, const hn_workers_options *options, hn_error *err);
/* By the one thread that pushes. Sets expected_ns. */
hn_admission hn_workers_admit(hn_workers *workers, hn_exchange *exchange);
void hn_workers_push(hn_workers *workers, hn_exchange *exchange); /* after HN_ADMITTED */
void hn_workers_state_get(hn_workers_state *out, hn_workers *workers);
/* Admits nothing more, treats what waits as late, finishes every exchange and ends the
 * threads. The pusher may still call admit. NULL is fine, for both. */
void hn_workers_quit(hn_workers *workers);
void hn_workers_stop(hn_workers *workers); /* quits and frees */

#endif
