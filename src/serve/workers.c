/* A ring under one mutex, and threads that take from it. From the mean service time follows
 * when an exchange should be done; by how much the real ends miss that is kept as a quantile,
 * and a new exchange must have that much room before its deadline. */
#include "serve/workers.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/memory.h"
#include "kernel/kernel.h"
#include "serve/http.h"

typedef struct worker {
    hn_workers *all;
    pthread_t thread;
    int32_t index;
} worker;

struct hn_workers {
    hn_workers_options options;
    pthread_mutex_t mutex;
    pthread_cond_t some;
    hn_exchange **ring; /* [queue] */
    int32_t first, waiting, busy, started;
    bool ending;
    int64_t mean_ns, margin_ns; /* of a service; that ends stay within, but for one in 400 */
    worker *threads;
};

/* ---- Taking ------------------------------------------------------------------------------ */

/* The margin's steps up and down are in the ratio of the share of ends that it should cover to
 * the share that it may miss, and no step depends on how far an end was off: one long stall
 * doesn't close the door. It is never less than one service. */
static void measure(hn_workers *w, int64_t took_ns, int64_t slip_ns) {
    if (w->mean_ns == 0) {
        w->mean_ns = w->margin_ns = took_ns;
        return;
    }
    w->mean_ns += (took_ns - w->mean_ns) / 16;
    w->margin_ns += slip_ns > w->margin_ns ? w->mean_ns : -w->mean_ns / 400;
    if (w->margin_ns < w->mean_ns) w->margin_ns = w->mean_ns;
}

/* The next exchange, or NULL at the end; `*late` when it is not to be handled. */
static hn_exchange *take(hn_workers *w, bool *late) {
    hn_exchange *exchange = NULL;
    pthread_mutex_lock(&w->mutex);
    while (w->waiting == 0 && !w->ending) pthread_cond_wait(&w->some, &w->mutex);
    if (w->waiting > 0) {
        exchange = w->ring[w->first];
        w->first = (w->first + 1) % w->options.queue;
        w->waiting--;
        w->busy++;
        *late = w->ending || hn_now_ns() > exchange->deadline_ns;
    }
    pthread_mutex_unlock(&w->mutex);
    return exchange;
}

static void put_back(hn_workers *w, const hn_exchange *e, bool handled, int64_t begun) {
    const int64_t now = hn_now_ns();
    pthread_mutex_lock(&w->mutex);
    w->busy--;
    if (handled) measure(w, now - begun, now - e->expected_ns);
    pthread_mutex_unlock(&w->mutex);
}

static void *work(void *user) {
    const worker *const self = user;
    hn_workers *const w = self->all;
    const hn_workers_options *const o = &w->options;
    bool late = false;
    (void)hn_kernel_enter();
    for (hn_exchange *e = take(w, &late); e; e = take(w, &late)) {
        const int64_t begun = hn_now_ns();
        e->worker = self->index;
        if (late)
            o->late(o->user, e);
        else
            o->handle(o->user, e);
        put_back(w, e, !late, begun);
        o->finish(e);
    }
    return NULL;
}

/* ---- Offering ---------------------------------------------------------------------------- */

hn_admission hn_workers_admit(hn_workers *w, hn_exchange *exchange) {
    hn_admission admission = HN_ADMITTED;
    pthread_mutex_lock(&w->mutex);
    const int64_t wait = w->mean_ns * (w->waiting + 1) / w->options.threads;
    exchange->expected_ns = hn_now_ns() + wait + w->mean_ns;
    if (w->waiting >= w->options.queue || w->ending)
        admission = HN_QUEUE_FULL;
    else if (w->waiting > 0 && exchange->expected_ns + w->margin_ns > exchange->deadline_ns)
        admission = HN_TOO_LATE; /* with an empty queue always tried, so that both are kept new */
    pthread_mutex_unlock(&w->mutex);
    return admission;
}

void hn_workers_push(hn_workers *w, hn_exchange *exchange) {
    pthread_mutex_lock(&w->mutex);
    const bool ended = w->ending; /* since it was admitted: no worker may see it any more */
    if (!ended) {
        w->ring[(w->first + w->waiting) % w->options.queue] = exchange;
        w->waiting++;
        pthread_cond_signal(&w->some);
    }
    pthread_mutex_unlock(&w->mutex);
    if (!ended) return;
    exchange->worker = w->options.threads;
    w->options.late(w->options.user, exchange);
    w->options.finish(exchange);
}

void hn_workers_state_get(hn_workers_state *out, hn_workers *w) {
    pthread_mutex_lock(&w->mutex);
    *out = (hn_workers_state){.waiting = w->waiting, .busy = w->busy, .service_ns = w->mean_ns};
    pthread_mutex_unlock(&w->mutex);
}

/* ---- Life -------------------------------------------------------------------------------- */

static hn_status start_threads(hn_workers *w, hn_error *err) {
    for (int32_t k = 0; k < w->options.threads; k++) {
        worker *const self = &w->threads[k];
        *self = (worker){.all = w, .index = k};
        if (pthread_create(&self->thread, NULL, work, self) != 0)
            return hn_fail(err, HN_FAILED, "worker %d of %d cannot be started", (int)k + 1,
                           (int)w->options.threads);
        pthread_setname_np(self->thread, w->options.name);
        w->started++;
    }
    return HN_OK;
}

hn_status hn_workers_start(hn_workers **out, const hn_workers_options *options, hn_error *err) {
    *out = NULL;
    hn_workers *const w = hn_alloc_zero(1, sizeof *w);
    if (!w) return hn_no_memory(err, "the workers");
    w->options = *options;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->some, NULL);
    w->ring = hn_alloc((size_t)options->queue, sizeof(hn_exchange *));
    w->threads = hn_alloc_zero((size_t)options->threads, sizeof *w->threads);
    hn_status status =
        w->ring && w->threads ? start_threads(w, err) : hn_no_memory(err, "the workers");
    if (status != HN_OK)
        hn_workers_stop(w);
    else
        *out = w;
    return status;
}

void hn_workers_quit(hn_workers *w) {
    if (!w) return;
    pthread_mutex_lock(&w->mutex);
    w->ending = true;
    pthread_cond_broadcast(&w->some);
    pthread_mutex_unlock(&w->mutex);
    for (; w->started > 0; w->started--) pthread_join(w->threads[w->started - 1].thread, NULL);
}

void hn_workers_stop(hn_workers *w) {
    if (!w) return;
    hn_workers_quit(w);
    pthread_cond_destroy(&w->some);
    pthread_mutex_destroy(&w->mutex);
    hn_free(w->threads);
    hn_free(w->ring);
    hn_free(w);
}
