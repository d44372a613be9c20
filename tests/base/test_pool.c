/* The worker pool: every item once, in one thread at a time, with every number of
 * threads, and with OpenMP's setting put back. Run under ThreadSanitizer too. */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/pool.h"
#include "base/rng.h"
#include "support.h"

extern void omp_set_num_threads(int threads);
extern int omp_get_max_threads(void);

enum { ITEMS_MOST = 1000 };

typedef struct tally {
    _Atomic int32_t calls[ITEMS_MOST];
    int64_t results[ITEMS_MOST]; /* plain: each is one item's own */
    _Atomic int32_t busy[256];   /* by worker */
    _Atomic int32_t wrong;
    int32_t threads;
} tally;

static void work(void *user, int64_t item, int32_t worker) {
    tally *const t = user;
    if (worker < 0 || worker >= t->threads || omp_get_max_threads() != 1)
        atomic_fetch_add(&t->wrong, 1);
    else if (atomic_fetch_add(&t->busy[worker], 1) != 0)
        atomic_fetch_add(&t->wrong, 1);
    atomic_fetch_add(&t->calls[item], 1);
    t->results[item] = item * item;
    if (worker >= 0 && worker < t->threads) atomic_fetch_sub(&t->busy[worker], 1);
}

static void run_and_check(hn_pool *pool, int64_t items) {
    static tally t;
    memset(&t, 0, sizeof t);
    t.threads = hn_pool_threads(pool);
    hn_pool_run(pool, items, work, &t);
    assert_int_equal(t.wrong, 0);
    for (int64_t i = 0; i < ITEMS_MOST; i++) {
        assert_int_equal(t.calls[i], i < items);
        assert_int_equal(t.results[i], i < items ? i * i : 0);
    }
}

static void every_item_runs_once(void **state) {
    (void)state;
    static const int32_t threads[] = {1, 2, 3, 8, 40};
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        hn_error err = {0};
        hn_pool *pool = NULL;
        assert_ok(hn_pool_create(&pool, threads[t], &err));
        assert_int_equal(hn_pool_threads(pool), threads[t]);
        for (int64_t items = 0; items < 50; items++) run_and_check(pool, items);
        run_and_check(pool, ITEMS_MOST);
        hn_pool_free(pool);
    }
    hn_pool_free(NULL);
}

/* Thousands of short runs with pauses of every length between: spinning, falling asleep
 * and sleeping workers are all met by the next run. */
static void runs_follow_runs_at_any_pace(void **state) {
    (void)state;
    hn_error err = {0};
    hn_pool *pool = NULL;
    assert_ok(hn_pool_create(&pool, 4, &err));
    for (int i = 0; i < 3000; i++) {
        run_and_check(pool, i % 9);
        if (i % 3) continue;
        const struct timespec pause = {0,
                                       (long)(hn_random(1, HN_STREAM_TEST, (uint64_t)i) % 120000)};
        nanosleep(&pause, NULL);
    }
    hn_pool_free(pool);
}

static void pools_come_and_go(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) {
        hn_error err = {0};
        hn_pool *pool = NULL;
        assert_ok(hn_pool_create(&pool, 1 + i % 5, &err));
        if (i % 2) run_and_check(pool, i);
        hn_pool_free(pool);
    }
}

static void meet(void *user, int64_t item, int32_t worker) {
    (void)item, (void)worker;
    _Atomic int32_t *const here = user;
    atomic_fetch_add(here, 1);
    for (int i = 0; atomic_load(here) < 3 && i < 5000; i++) usleep(1000);
}

static void items_run_side_by_side(void **state) {
    (void)state;
    hn_error err = {0};
    hn_pool *pool = NULL;
    _Atomic int32_t here = 0;
    assert_ok(hn_pool_create(&pool, 3, &err));
    usleep(2000); /* asleep */
    const time_t begin = time(NULL);
    hn_pool_run(pool, 3, meet, &here);
    assert_true(time(NULL) - begin < 4); /* each waits for the others up to 5 s */
    hn_pool_free(pool);
}

static void the_callers_openmp_setting_comes_back(void **state) {
    (void)state;
    hn_error err = {0};
    const int saved = omp_get_max_threads();
    for (int32_t threads = 1; threads <= 2; threads++) {
        hn_pool *pool = NULL;
        assert_ok(hn_pool_create(&pool, threads, &err));
        omp_set_num_threads(7);
        run_and_check(pool, 1);
        run_and_check(pool, 20);
        assert_int_equal(omp_get_max_threads(), 7);
        hn_pool_free(pool);
    }
    omp_set_num_threads(saved);
}

static int threads_of_process(void) {
    DIR *const dir = opendir("/proc/self/task");
    if (!dir) return -1;
    int n = 0;
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void a_pool_of_n_adds_n_less_one_threads(void **state) {
    (void)state;
    const int before = threads_of_process();
    if (before < 0) skip();
    hn_error err = {0};
    hn_pool *pool = NULL;
    assert_ok(hn_pool_create(&pool, 5, &err));
    run_and_check(pool, 100);
    assert_int_equal(threads_of_process(), before + 4);
    hn_pool_free(pool);
    for (int i = 0; i < 100 && threads_of_process() != before; i++) usleep(1000); /* /proc lags */
    assert_int_equal(threads_of_process(), before);
}

static pthread_t main_thread;
static volatile sig_atomic_t signalled_elsewhere, signalled;
static void note_signal(int number) {
    (void)number;
    signalled = 1;
    if (!pthread_equal(pthread_self(), main_thread)) signalled_elsewhere = 1;
}

static void raise_for_process(void *user, int64_t item, int32_t worker) {
    (void)user, (void)item, (void)worker;
    kill(getpid(), SIGUSR1);
}

static void workers_take_no_signals(void **state) {
    (void)state;
    hn_error err = {0};
    hn_pool *pool = NULL;
    main_thread = pthread_self();
    signal(SIGUSR1, note_signal);
    assert_ok(hn_pool_create(&pool, 4, &err));
    for (int i = 0; i < 20; i++) hn_pool_run(pool, 50, raise_for_process, NULL);
    assert_int_equal(signalled, 1);
    assert_int_equal(signalled_elsewhere, 0);
    hn_pool_free(pool);
    signal(SIGUSR1, SIG_DFL);
}

static void impossible_numbers_are_refused(void **state) {
    (void)state;
    hn_error err = {0};
    hn_pool *pool = (hn_pool *)&err;
    assert_fails(HN_USAGE, "found -1", hn_pool_create(&pool, -1, &err));
    assert_null(pool);
    assert_fails(HN_USAGE, "1 to 256", hn_pool_create(&pool, 257, &err));
    assert_ok(hn_pool_create(&pool, 0, &err));
    assert_in_range(hn_pool_threads(pool), 1, 256);
    hn_pool_free(pool);
    assert_ok(hn_pool_create(&pool, 256, &err));
    run_and_check(pool, 1000);
    hn_pool_free(pool);
}

static hn_status create_and_free(void *user, hn_error *err) {
    (void)user;
    hn_pool *pool = NULL;
    const hn_status status = hn_pool_create(&pool, 4, err);
    if (status != HN_OK) assert_null(pool);
    hn_pool_free(pool);
    return status;
}

static void a_failed_start_leaves_nothing(void **state) {
    (void)state;
    assert_int_equal(support_fail_each(HN_FAULT_ALLOC, create_and_free, NULL),
                     4); /* pool, 3 threads */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_runs_once),
        cmocka_unit_test(runs_follow_runs_at_any_pace),
        cmocka_unit_test(pools_come_and_go),
        cmocka_unit_test(items_run_side_by_side),
        cmocka_unit_test(the_callers_openmp_setting_comes_back),
        cmocka_unit_test(a_pool_of_n_adds_n_less_one_threads),
        cmocka_unit_test(workers_take_no_signals),
        cmocka_unit_test(impossible_numbers_are_refused),
        cmocka_unit_test(a_failed_start_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
