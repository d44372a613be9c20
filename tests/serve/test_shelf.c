/* The shelf with small real bundles and engines that only count: versions come, are refused,
 * pinned, rolled back and freed; workers take and give back all the while. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "bundle/world.h"
#include "serve/shelf.h"
#include "support.h"

enum { WORKERS = 2 };

static world the_world;
static _Atomic int engines, refuse_all;
static _Atomic int told_freed;
static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;
static char told[20000];

static hn_status make_engine(void *user, void **engine, const hn_model_version *version,
                             int32_t worker, hn_error *err) {
    (void)user, (void)version;
    if (refuse_all) return hn_fail(err, HN_BAD_DATA, "the test refuses");
    engines++;
    *engine = (void *)(uintptr_t)(1000 + worker);
    return HN_OK;
}
static void free_engine(void *user, void *engine) {
    (void)user, (void)engine;
    engines--;
}
static void note(void *user, const char *fields) {
    (void)user;
    pthread_mutex_lock(&told_lock);
    snprintf(told + strlen(told), sizeof told - strlen(told), "%s\n", fields);
    if (strlen(told) > sizeof told / 2) told[0] = '\0';
    told_freed += strstr(fields, "freed") != NULL;
    pthread_mutex_unlock(&told_lock);
}
static const hn_shelf_hooks hooks = {
    .make_engine = make_engine, .free_engine = free_engine, .log = note};

typedef struct place {
    char folder[320];
    hn_serve_model model;
    hn_serve_config config;
} place;

static void place_make(place *p, const char *name) {
    snprintf(p->folder, sizeof p->folder, "%s/%s", the_world.folder, name);
    assert_int_equal(mkdir(p->folder, 0700), 0);
    p->model = (hn_serve_model){.name = (char *)(uintptr_t) "main", .path = p->folder};
    p->config = (hn_serve_config){.models = &p->model, .n_models = 1, .poll_seconds = 1000};
}

static void file_path(char out[400], const place *p, const char *version) {
    snprintf(out, 400, "%s/%s.hn", p->folder, version);
}

/* As a careful writer does: whole under another name, then renamed. */
static void drop(const place *p, const char *version, const char *from, size_t cut) {
    char *bytes, path[400], part[420];
    size_t n;
    hn_error err = {0};
    assert_int_equal(hn_file_read(&bytes, &n, from, &err), HN_OK);
    file_path(path, p, version);
    snprintf(part, sizeof part, "%s.part", path);
    FILE *const f = fopen(part, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n - cut, f), n - cut);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(part, path), 0);
    hn_free(bytes);
}

static void assert_serves(hn_shelf *shelf, bool previous, const char *version) {
    const hn_model_version *const v = hn_shelf_acquire(shelf, 0, previous);
    if (!version) {
        assert_null(v);
        return;
    }
    assert_non_null(v);
    assert_string_equal(v->version, version);
    assert_ptr_equal(v->engines[1], (void *)1001);
    hn_shelf_release(shelf, v);
}

static void wait_frees(hn_shelf *shelf, uint64_t n) {
    hn_shelf_counts c;
    for (int i = 0; i < 500; i++) {
        hn_shelf_counts_get(&c, shelf);
        if (c.frees >= n) break;
        usleep(10000);
    }
    assert_int_equal(c.frees, n);
}

/* ---- Versions ------------------------------------------------------------------------------ */

static void newest_is_served(void **state) {
    (void)state;
    place p;
    hn_shelf *shelf;
    hn_error err = {0};
    place_make(&p, "newest");
    drop(&p, "9", the_world.bundle_path, 0);
    drop(&p, "10", the_world.bundle_path, 0);
    assert_int_equal(hn_shelf_open(&shelf, &p.config, WORKERS, &hooks, &err), HN_OK);
    assert_serves(shelf, false, "10");
    assert_serves(shelf, true, NULL);
    drop(&p, "11", the_world.bundle_path, 0);
    assert_int_equal(hn_shelf_reload(shelf, "main", &err), HN_OK);
    assert_serves(shelf, false, "11");
    assert_serves(shelf, true, "10");
    assert_int_equal(hn_shelf_rollback(shelf, "main", &err), HN_OK);
    assert_serves(shelf, false, "10");
    assert_int_equal(hn_shelf_reload(shelf, "main", &err), HN_OK); /* it is pinned */
    assert_serves(shelf, false, "10");
    assert_int_equal(hn_shelf_pin(shelf, "main", NULL, &err), HN_OK);
    assert_serves(shelf, false, "11");
    assert_int_equal(hn_shelf_pin(shelf, "main", "12", &err), HN_NO_INPUT);
    assert_non_null(strstr(err.text, "12"));
    assert_serves(shelf, false, "11");
    assert_int_equal(hn_shelf_unload(shelf, "main", &err), HN_OK);
    assert_serves(shelf, false, NULL);
    assert_int_equal(hn_shelf_rollback(shelf, "main", &err), HN_FAILED);
    assert_int_equal(hn_shelf_reload(shelf, "nobody", &err), HN_NO_INPUT);
    assert_int_equal(hn_shelf_reload(shelf, "main", &err), HN_OK);
    assert_serves(shelf, false, "11");
    hn_shelf_close(shelf);
    assert_int_equal(engines, 0);
}

static void bad_ones_are_refused_once(void **state) {
    (void)state;
    place p;
    hn_shelf *shelf;
    hn_error err = {0};
    hn_shelf_counts c;
    place_make(&p, "bad");
    assert_int_equal(hn_shelf_open(&shelf, &p.config, WORKERS, &hooks, &err), HN_NO_INPUT);
    assert_null(shelf);
    assert_non_null(strstr(err.text, "VERSION.hn"));
    drop(&p, "1", the_world.bundle_path, 0);
    assert_int_equal(hn_shelf_open(&shelf, &p.config, WORKERS, &hooks, &err), HN_OK);
    drop(&p, "2", the_world.bundle_path, 100); /* cut off */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(hn_shelf_reload(shelf, "main", &err), HN_BAD_DATA);
        assert_non_null(strstr(err.text, "version \"2\" is refused: "));
        assert_non_null(strstr(err.text, "; \"1\" is served"));
    }
    assert_serves(shelf, false, "1");
    assert_int_equal(hn_shelf_pin(shelf, "main", "1", &err), HN_OK);
    assert_int_equal(hn_shelf_reload(shelf, "main", &err), HN_OK); /* "2" is not asked for */
    assert_int_equal(hn_shelf_pin(shelf, "main", NULL, &err), HN_OK);
    hn_shelf_counts_get(&c, shelf);
    assert_int_equal(c.refusals, 1);
    json_t *const json = hn_shelf_describe(shelf);
    char *const text = json_dumps(json, 0);
    assert_non_null(strstr(text, "\"refused\": [{\"version\": \"2\""));
    free(text);
    json_decref(json);
    refuse_all = 1;
    drop(&p, "3", the_world.bundle_path, 0);
    assert_int_equal(hn_shelf_pin(shelf, "main", "3", &err), HN_BAD_DATA);
    assert_non_null(strstr(err.text, "the test refuses"));
    refuse_all = 0;
    assert_serves(shelf, false, "1");
    usleep(5000);
    drop(&p, "2", the_world.bundle_path, 0); /* mended */
    assert_int_equal(hn_shelf_pin(shelf, "main", "2", &err), HN_OK);
    assert_serves(shelf, false, "2");
    hn_shelf_close(shelf);
    assert_int_equal(engines, 0);
}

/* A bundle whose checksums are right and whose scores are not. */
static void one_that_scores_otherwise_is_refused(void **state) {
    (void)state;
    place p;
    hn_shelf *shelf;
    hn_error err = {0};
    char path[400];
    json_t *const golden = world_golden(&the_world);
    hn_bundle_parts parts = world_parts(&the_world);
    parts.golden = golden;
    place_make(&p, "golden");
    file_path(path, &p, "1");
    assert_ok(hn_bundle_write(path, &parts, &err));
    assert_ok(hn_shelf_open(&shelf, &p.config, WORKERS, &hooks, &err));
    json_t *const row = json_array_get(json_object_get(golden, "rows"), 2);
    json_array_set_new(json_object_get(row, "logits"), 0, json_real(9.5));
    file_path(path, &p, "2");
    assert_ok(hn_bundle_write(path, &parts, &err));
    assert_fails(HN_BAD_DATA, "golden row 3", hn_shelf_pin(shelf, "main", "2", &err));
    assert_serves(shelf, false, "1");
    hn_shelf_close(shelf);
    assert_int_equal(engines, 0);
    json_decref(golden);
}

static void in_use_is_not_freed(void **state) {
    (void)state;
    place p;
    hn_shelf *shelf;
    hn_error err = {0};
    place_make(&p, "held");
    drop(&p, "1", the_world.bundle_path, 0);
    assert_int_equal(hn_shelf_open(&shelf, &p.config, WORKERS, &hooks, &err), HN_OK);
    const hn_model_version *const held = hn_shelf_acquire(shelf, 0, false);
    char gone[400];
    file_path(gone, &p, "1");
    assert_int_equal(unlink(gone), 0); /* served from memory all the same */
    drop(&p, "2", the_world.bundle_path, 0);
    assert_int_equal(hn_shelf_reload(shelf, "main", &err), HN_OK);
    drop(&p, "3", the_world.bundle_path, 0);
    assert_int_equal(hn_shelf_reload(shelf, "main", &err), HN_OK);
    usleep(100000);
    wait_frees(shelf, 0);
    assert_string_equal(held->version, "1");
    assert_int_equal(held->bundle->config->n_tasks, WORLD_TASKS);
    hn_shelf_release(shelf, held);
    wait_frees(shelf, 1);
    hn_shelf_close(shelf);
    assert_int_equal(engines, 0);
}

static void folder_is_watched(void **state) {
    (void)state;
    place p;
    hn_shelf *shelf;
    hn_error err = {0};
    place_make(&p, "watched");
    p.config.poll_seconds = 0.02;
    drop(&p, "a", the_world.bundle_path, 0);
    assert_int_equal(hn_shelf_open(&shelf, &p.config, WORKERS, &hooks, &err), HN_OK);
    drop(&p, "b", the_world.bundle_path, 0);
    hn_shelf_counts c = {0};
    for (int i = 0; i < 500 && c.loads < 2; i++) {
        usleep(10000);
        hn_shelf_counts_get(&c, shelf);
    }
    assert_serves(shelf, false, "b");
    hn_shelf_close(shelf);
    assert_int_equal(engines, 0);
}

/* ---- Workers ------------------------------------------------------------------------------- */

typedef struct load {
    hn_shelf *shelf;
    _Atomic bool stop;
    _Atomic uint64_t taken, wrong;
} load;

static void *take_and_give(void *user) {
    load *const l = user;
    while (!l->stop) {
        const hn_model_version *const v = hn_shelf_acquire(l->shelf, 0, (l->taken++ & 7) == 7);
        if ((l->taken & 63) == 0) usleep(50); /* the loader is idle work: leave it some time */
        if (!v) continue;
        l->wrong += v->bundle->config->n_tasks != WORLD_TASKS || v->engines[0] != (void *)1000 ||
                    v->version[0] != 'v';
        hn_shelf_release(l->shelf, v);
    }
    return NULL;
}

static void swaps_under_load(void **state) {
    (void)state;
#ifdef __SANITIZE_THREAD__
    enum { SWAPS = 100 }; /* 1,000 take a minute and a half */
#else
    enum { SWAPS = 1000 };
#endif
    place p;
    hn_error err = {0};
    load l = {0};
    place_make(&p, "swaps");
    drop(&p, "v0", the_world.bundle_path, 0);
    assert_int_equal(hn_shelf_open(&l.shelf, &p.config, WORKERS, &hooks, &err), HN_OK);
    pthread_t threads[WORKERS];
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &l), 0);
    for (int i = 1; i <= SWAPS; i++) {
        char from[20], to[20], old[400], new[400];
        snprintf(from, sizeof from, "v%d", i - 1);
        snprintf(to, sizeof to, "v%d", i);
        file_path(old, &p, from);
        file_path(new, &p, to);
        assert_int_equal(rename(old, new), 0);
        assert_int_equal(hn_shelf_reload(l.shelf, "main", &err), HN_OK);
    }
    l.stop = true;
    for (int i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(l.wrong, 0);
    assert_true(l.taken > SWAPS);
    wait_frees(l.shelf, SWAPS - 1);
    hn_shelf_close(l.shelf);
    assert_int_equal(engines, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newest_is_served),
        cmocka_unit_test(bad_ones_are_refused_once),
        cmocka_unit_test(one_that_scores_otherwise_is_refused),
        cmocka_unit_test(in_use_is_not_freed),
        cmocka_unit_test(folder_is_watched),
        cmocka_unit_test(swaps_under_load),
    };
    world_make(&the_world, WORLD_HINET);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    world_free(&the_world);
    return failed;
}
