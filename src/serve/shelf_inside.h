/* The inside of the shelf, for shelf.c and shelf_describe.c. */
#ifndef HN_SERVE_SHELF_INSIDE_H
#define HN_SERVE_SHELF_INSIDE_H

#include <pthread.h>

#include "serve/shelf_version.h"

typedef struct refusal { /* a file that is not tried again until it changes */
    char *version, *reason;
    hn_file_mark mark;
} refusal;

typedef struct slot {
    const hn_serve_model *config;
    _Atomic(hn_shelf_version *) current, previous;
    _Atomic int64_t entering;
    /* The loader's, guarded by the shelf's lock where the admin surface looks. */
    char *pin;
    bool unloaded; /* by request: nothing is loaded until one asks for it */
    refusal *refused;
    size_t n_refused, refused_capacity;
} slot;

typedef enum order_kind { ORDER_RELOAD, ORDER_PIN, ORDER_ROLLBACK, ORDER_UNLOAD } order_kind;

typedef struct order { /* lies on the asking thread's stack until it is done */
    order_kind kind;
    slot *slot;
    const char *version;
    hn_status status;
    hn_error err;
    bool done;
    struct order *next;
} order;

struct hn_shelf {
    slot *slots;
    int32_t n, workers;
    double poll_seconds;
    hn_shelf_hooks hooks;
    hn_shelf_version *leaving; /* the loader's alone */
    pthread_t loader;
    bool started;
    pthread_mutex_t lock; /* orders, closing, refusals, pins */
    pthread_cond_t wake, done;
    order *orders;
    bool closing;
    _Atomic uint64_t loads, refusals, frees;
};

#endif
