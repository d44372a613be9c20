/* A server without its sockets: the ranker and a shelf with the world's bundle (or several
 * versions), asked through exchanges as a worker would ask. */
#ifndef HN_TESTS_SERVE_DOORS_H
#define HN_TESTS_SERVE_DOORS_H

#include <jansson.h>

#include "bundle/world.h"
#include "serve/rank.h"

enum { DOORS_WORKERS = 2 };

typedef struct doors {
    const world *world;
    hn_serve_config *config;
    hn_store *store;
    hn_exposure_log *exposures;
    hn_ranker *ranker;
    hn_shelf *shelf;
    int32_t worker;         /* who is asked; 0 at first */
    const char *user_trace; /* the traceparent of requests */
    double deadline_seconds;
    hn_rank_trace trace; /* of the last answer */
    int32_t status;
    char *body; /* of the last answer, or of the bytes behind its JSON */
    size_t body_bytes;
    int64_t json_bytes;
} doors;

/* `yaml`: SERVE.yaml without `models` when that is not in it: then {main: the world's bundle}. "%s"
 * in it is the world's folder. */
hn_status doors_try(doors *out, const world *w, const char *yaml, hn_error *err);
void doors_open(doors *out, const world *w, const char *yaml);
void doors_close(doors *d);
/* The answer's status; the body is in d->body. */
int32_t doors_ask(doors *d, const char *method, const char *path, const void *body, size_t n,
                  int64_t json_bytes);
/* The JSON of an answer that must have this status; json_decref it. */
json_t *doors_rank(doors *d, int32_t status, const char *body);
json_t *doors_infer(doors *d, int32_t status, const char *body);
json_t *doors_get(doors *d, int32_t status, const char *path);

/* "error.code" of an answer of /v1/rank. */
const char *doors_code(const json_t *answer);

#endif
