/* The worker pool. A run is published in one atomic word; whoever finds it open enters,
 * takes items from a shared counter until none is left, and leaves. The caller works
 * too, closes the run and waits for those inside. A worker that wakes too late finds
 * the run closed and holds nobody up.
 *
 *   state   bit 0…30   workers inside the run
 *           bit 31     open: workers may enter
 *           bit 32…63  number of the run
 *
 * Who waits spins some microseconds first (training runs several jobs a step), then
 * sleeps on a condition variable. The sleeper announces itself, then looks at the state
 * again; the waker changes the state, then looks for sleepers; both sequentially
 * consistent, so that one of them sees the other. */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "base/memory.h"

/* Of OpenMP's runtime (libgomp), by declaration: <omp.h> is not there for every
 * compiler that links it. */
extern void omp_set_num_threads(int threads);
extern int omp_get_max_threads(void);

#define OPEN (UINT64_C(1) << 31)
#define INSIDE (OPEN - 1)
#define RUN_ONE (UINT64_C(1) << 32)
enum { THREADS_MAX = 256, SPIN_NS = 50000, PAUSES_A_LOOK = 32 };

typedef struct worker {
    struct hn_pool *pool;
    pthread_t thread;
    int32_t index;
} worker;

struct hn_pool {
    int32_t threads, started;
    bool spin; /* no use where threads outnumber the cores */
    _Atomic uint64_t state;
    _Atomic bool ending;
    _Atomic int32_t sleepers; /* workers asleep or about to be */
    _Atomic bool caller_waits;
    pthread_mutex_t mutex;
    pthread_cond_t begun, left;
    /* The run; written while closed and nobody is inside. */
    hn_job job;
    void *user;
    int64_t items;
    _Alignas(HN_ALIGN) _Atomic int64_t next;
    _Alignas(HN_ALIGN) worker workers[THREADS_MAX];
};

/* ---- Waiting -------------------------------------------------------------------- */

static void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

typedef bool (*condition)(const hn_pool *pool, uint64_t seen);

/* A run that is open and not the one `seen`, or the end of the pool. */
static bool has_begun(const hn_pool *pool, uint64_t seen) {
    const uint64_t state = atomic_load(&pool->state);
    return ((state & OPEN) && state / RUN_ONE != seen) || atomic_load(&pool->ending);
}

static bool all_left(const hn_pool *pool, uint64_t seen) {
    (void)seen;
    return (atomic_load(&pool->state) & INSIDE) == 0;
}

/* True when `done` became true within the spin. */
static bool spin_until(condition done, const hn_pool *pool, uint64_t seen) {
    if (done(pool, seen)) return true;
    if (!pool->spin) return false;
    const int64_t end = now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < PAUSES_A_LOOK; i++) {
            if (done(pool, seen)) return true;
            pause_briefly();
        }
    } while (now_ns() < end);
    return false;
}

static void wait_for_run(hn_pool *pool, uint64_t seen) {
    if (spin_until(has_begun, pool, seen)) return;
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while (!has_begun(pool, seen)) pthread_cond_wait(&pool->begun, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
}

static void wake_workers(hn_pool *pool) {
    if (atomic_load(&pool->sleepers) == 0) return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->begun);
    pthread_mutex_unlock(&pool->mutex);
}

static void wait_for_workers(hn_pool *pool) {
    if (spin_until(all_left, pool, 0)) return;
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_waits, true);
    while (!all_left(pool, 0)) pthread_cond_wait(&pool->left, &pool->mutex);
    atomic_store(&pool->caller_waits, false);
    pthread_mutex_unlock(&pool->mutex);
}

static void wake_caller(hn_pool *pool) {
    if (!atomic_load(&pool->caller_waits)) return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_signal(&pool->left);
    pthread_mutex_unlock(&pool->mutex);
}

/* ---- Working -------------------------------------------------------------------- */

static void take_items(hn_pool *pool, int32_t index) {
    for (;;) {
        const int64_t item = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (item >= pool->items) return;
        pool->job(pool->user, item, index);
    }
}

/* Counts the worker in if the run is still open; `*run` becomes its number. */
static bool enter(hn_pool *pool, uint64_t *run) {
    uint64_t state = atomic_load(&pool->state);
    while ((state & OPEN) && state / RUN_ONE != *run) {
        if (!atomic_compare_exchange_weak(&pool->state, &state, state + 1)) continue;
        *run = state / RUN_ONE;
        return true;
    }
    return false;
}

static void *work(void *argument) {
    const worker *const self = argument;
    hn_pool *const pool = self->pool;
    uint64_t run = 0;
    omp_set_num_threads(1);
    for (;;) {
        wait_for_run(pool, run);
        if (atomic_load(&pool->ending)) return NULL;
        if (!enter(pool, &run)) continue;
        take_items(pool, self->index);
        if ((atomic_fetch_sub(&pool->state, 1) & INSIDE) == 1) wake_caller(pool);
    }
}

static void run_shared(hn_pool *pool, int64_t items, hn_job job, void *user) {
    pool->job = job;
    pool->user = user;
    pool->items = items;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    /* Runs are numbered from 1, so that 0 is one that no worker has seen. */
    const uint64_t number = atomic_load(&pool->state) / RUN_ONE + 1;
    atomic_store(&pool->state, ((number & UINT32_MAX) ? number : 1) * RUN_ONE | OPEN);
    wake_workers(pool);
    take_items(pool, 0);
    atomic_fetch_and(&pool->state, ~OPEN);
    wait_for_workers(pool);
}

void hn_pool_run(hn_pool *pool, int64_t items, hn_job job, void *user) {
    const int saved = omp_get_max_threads();
    if (saved != 1) omp_set_num_threads(1);
    if (pool->threads == 1 || items <= 1) {
        for (int64_t i = 0; i < items; i++) job(user, i, 0);
    } else {
        run_shared(pool, items, job, user);
    }
    if (saved != 1) omp_set_num_threads(saved);
}

/* ---- Life -------------------------------------------------------------------------- */

static int32_t usable_cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    const int32_t cores = CPU_COUNT(&set);
    return cores < 1 ? 1 : cores;
}

/* Workers take no signals: those belong to the threads of the program. */
static bool start_workers(hn_pool *pool) {
    sigset_t all, saved;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    bool fine = true;
    for (int32_t i = 1; i < pool->threads && fine; i++) {
        worker *const self = &pool->workers[i];
        *self = (worker){.pool = pool, .index = i};
        fine =
            !hn_fault_hit(HN_FAULT_ALLOC) && pthread_create(&self->thread, NULL, work, self) == 0;
        if (!fine) break;
        char name[16];
        snprintf(name, sizeof name, "hinet-%d", (int)(i & 0xff));
        pthread_setname_np(self->thread, name);
        pool->started++;
    }
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    return fine;
}

hn_status hn_pool_create(hn_pool **out, int32_t threads, hn_error *err) {
    *out = NULL;
    if (threads < 0 || threads > THREADS_MAX)
        return hn_fail(err, HN_USAGE, "threads: found %d; expected 1 to %d, or 0 for one a core",
                       (int)threads, THREADS_MAX);
    hn_pool *const pool = hn_alloc_zero(1, sizeof *pool);
    if (!pool) return hn_no_memory(err, "the worker pool");
    const int32_t cores = usable_cores();
    pool->threads = threads > 0 ? threads : cores < THREADS_MAX ? cores : THREADS_MAX;
    pool->spin = pool->threads <= cores;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->begun, NULL);
    pthread_cond_init(&pool->left, NULL);
    if (!start_workers(pool)) {
        const int32_t started = pool->started + 1, wanted = pool->threads;
        hn_pool_free(pool);
        return hn_fail(err, HN_FAILED, "threads: only %d of %d could be started; ask for fewer",
                       (int)started, (int)wanted);
    }
    *out = pool;
    return HN_OK;
}

void hn_pool_free(hn_pool *pool) {
    if (!pool) return;
    atomic_store(&pool->ending, true);
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->begun);
    pthread_mutex_unlock(&pool->mutex);
    for (int32_t i = 1; i <= pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->left);
    pthread_cond_destroy(&pool->begun);
    pthread_mutex_destroy(&pool->mutex);
    hn_free(pool);
}

int32_t hn_pool_threads(const hn_pool *pool) { return pool->threads; }
