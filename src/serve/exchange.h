/* One request as it passes from the HTTP surface to a worker and back. http.c (the only
 * file that knows libmicrohttpd) reads it whole, within its limits, and queues it; a
 * worker's handler fills in the answer; http.c sends it. Handlers never see a socket. */
#ifndef HN_SERVE_EXCHANGE_H
#define HN_SERVE_EXCHANGE_H

#include "base/report.h"

typedef struct hn_exchange {
    /* The request; all of it stays as it is until the answer is sent. */
    const char *method, *path; /* path without the query */
    const char *query;         /* what follows "?"; "" */
    const void *body;
    size_t body_bytes;
    const char *content_type;        /* "" when absent */
    const char *authorization;       /* "" when absent */
    const char *trace;               /* W3C traceparent as received, or one made here */
    int64_t json_bytes;              /* Inference-Header-Content-Length; -1: absent */
    int64_t arrived_ns, deadline_ns; /* CLOCK_MONOTONIC */
    int64_t expected_ns;             /* when it should be done, as the workers saw it */
    int32_t worker;                  /* 0… : whose scratch may be used */
    /* The answer. */
    int32_t status; /* 200 … */
    hn_text answer;
    const char *answer_type;   /* static text; "application/json" by default */
    const char *allow;         /* static text of a 405's Allow header; NULL: none */
    int32_t retry_seconds;     /* Retry-After when > 0 */
    int64_t answer_json_bytes; /* sent as Inference-Header-Content-Length when ≥ 0; starts -1 */
} hn_exchange;

#endif
