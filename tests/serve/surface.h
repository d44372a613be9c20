/* The public door with an echo in place of a model, and clients of plain sockets: what the tests
 * of the HTTP surface share. */
#ifndef HN_TESTS_SERVE_SURFACE_H
#define HN_TESTS_SERVE_SURFACE_H

#include <stdatomic.h>

#include "serve/front.h"

extern _Atomic int64_t surface_delay_us; /* how long the handler takes */
extern _Atomic int surface_handled;      /* requests since surface_open */

void surface_pause(int64_t us);
/* The handler: path|query|body. */
void surface_echo(void *user, hn_exchange *e, hn_rank_trace *trace);
hn_serve_config surface_config(void);
hn_front *surface_open(const hn_serve_config *config, int32_t workers);

/* ---- A client ---- */

int surface_dial(int32_t port); /* -1: refused */
bool surface_send(int fd, const void *bytes, size_t n);
/* Reads one answer with its body into `out`; gives its status, 0 when the connection ended
 * without one, -1 when nothing came in time. */
int surface_read(int fd, char *out, size_t size);
int surface_ask(int32_t port, const char *text, char *out, size_t size);
int surface_post(int32_t port, const char *path, const char *headers, const char *body, char *out,
                 size_t size);
const char *surface_body(const char *answer);

/* ---- Many ---- */

typedef struct surface_load {
    int32_t port, times; /* requests of each thread */
    const char *headers;
    _Atomic int ok, refused, failed;
    _Atomic int64_t slowest_refusal_ns, slowest_ok_ns;
} surface_load;
void surface_run(surface_load *l, int threads);

#endif
