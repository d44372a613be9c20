/* The only threads of the library: a pool of workers that run one job at a time.
 * Each worker calls omp_set_num_threads(1) once, so that oneDNN stays single-threaded
 * in it; the caller's own thread is worker 0 while a job runs, and its OpenMP setting
 * is saved and restored. */
#ifndef HN_BASE_POOL_H
#define HN_BASE_POOL_H

#include "base/error.h"

typedef struct hn_pool hn_pool;

/* threads ≥ 1 (0: one for each core this process may run on). */
hn_status hn_pool_create(hn_pool **out, int32_t threads, hn_error *err);
void hn_pool_free(hn_pool *pool);
int32_t hn_pool_threads(const hn_pool *pool);

/* Calls job(user, item, worker) for every item 0…items-1, each exactly once, dynamically
 * handed out in increasing order, `worker` in 0…threads-1; returns when all are done.
 * What a job computes may depend on its item only, never on its worker. One caller at a
 * time; a job may not run the pool it runs in. */
typedef void (*hn_job)(void *user, int64_t item, int32_t worker);
void hn_pool_run(hn_pool *pool, int64_t items, hn_job job, void *user);

#endif
