/* The public door: which paths there are, admission to the queue, what is measured of each
 * request. It joins http.h, workers.h and metrics.h; who scores is given to it, so that it is
 * tested without a model. */
#ifndef HN_SERVE_FRONT_H
#define HN_SERVE_FRONT_H

#include "serve/http.h"
#include "serve/meters.h"
#include "serve/rank.h"
#include "serve/workers.h"

typedef struct hn_front hn_front;
typedef void (*hn_handler)(void *user, hn_exchange *exchange, hn_rank_trace *trace);

typedef struct hn_front_options {
    const hn_serve_config *config;
    const char *listen; /* instead of the config's; NULL: the config's */
    int32_t workers;
    bool access_log, public_metrics;
    hn_handler rank, infer;                         /* /v1/rank; all under /v2 */
    void *user;                                     /* of both */
    bool (*ready)(void *user);                      /* whether every model is there; NULL: yes */
    void (*more_metrics)(void *user, hn_text *out); /* NULL: none */
    void *server;                                   /* of these two */
    const hn_run *run;
} hn_front_options;

hn_status hn_front_open(hn_front **out, const hn_front_options *options, hn_error *err);
int32_t hn_front_port(const hn_front *front);
bool hn_front_ready(const hn_front *front);
/* /health, /ready and, when `metrics`, /metrics; false: the path is none of them. */
bool hn_front_status(hn_front *front, hn_exchange *exchange, bool metrics);
/* Lets what was accepted end, for at most so long; then nothing is scored any more. */
void hn_front_drain(hn_front *front, double seconds);
void hn_front_close(hn_front *front);

#endif
