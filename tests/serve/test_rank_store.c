/* Requests and the feature store, a real Redis: what it fills in, what wins over it, what is late
 * or absent, and that its cells are scored as if the request had given them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "online/lines.h"
#include "serve/doors.h"
#include "serve/store_support.h"

static world the_world;
static redis server;
static bool has_redis;

static bool has_flag(const json_t *object, const char *flag) {
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(object, "flags"), i,
                       one) if (strcmp(json_string_value(one), flag) == 0) return true;
    return false;
}

static void open_doors(doors *d, const char *more) {
    char yaml[900];
    snprintf(yaml, sizeof yaml, "store: {url: \"%s\", cache_seconds: 0, timeout_ms: 500}\n%s",
             server.url, more);
    doors_open(d, &the_world, yaml);
}

static json_t *ask(doors *d, const char *user) {
    char body[400];
    snprintf(body, sizeof body,
             "{\"request_id\":\"r\",\"scenario\":\"home\",\"user\":%s,\"candidates\":["
             "{\"id\":\"a\",\"item_id\":\"i1\",\"price\":3,\"tags\":[\"t1\"]}]}",
             user);
    return doors_rank(d, 200, body);
}

/* Both users' requests give the same items. */
static void same(doors *d, const char *a, const char *b, bool is) {
    json_t *const x = ask(d, a), *const y = ask(d, b);
    const bool equal = json_equal(json_object_get(x, "items"), json_object_get(y, "items"));
    if (equal != is) fail_msg("%s and %s: %s", a, b, d->body);
    json_decref(x);
    json_decref(y);
}

static void cells_are_filled_in(void **state) {
    (void)state;
    NEED_REDIS();
    doors d;
    redis_do(&server, "HSET hinet:users:new age 41 city c1");
    redis_do(&server, "HSET hinet:users:odd age old city c1");
    redis_do(&server, "HSET hinet:users:half city c2");
    redis_do(&server, "HSET hinet:users:u1 age 77 city c2");
    open_doors(&d, "");
    json_t *answer = ask(&d, "{\"id\":\"new\"}");
    assert_false(has_flag(answer, "missing_features") || has_flag(answer, "late_features"));
    json_decref(answer);
    same(&d, "{\"id\":\"new\"}", "{\"id\":\"nobody\",\"age\":41,\"city\":\"c1\"}", true);
    same(&d, "{\"id\":\"new\"}", "{\"id\":\"nobody\"}", false);
    /* what the request gives wins over the store, and the store over the bundle's table */
    same(&d, "{\"id\":\"new\",\"age\":20}", "{\"id\":\"nobody\",\"age\":20,\"city\":\"c1\"}", true);
    same(&d, "{\"id\":\"new\",\"age\":null}", "{\"id\":\"nobody\",\"city\":\"c1\"}", true);
    same(&d, "{\"id\":\"u1\"}", "{\"id\":\"u1\",\"age\":77,\"city\":\"c2\"}", true);
    same(&d, "{\"id\":\"u1\",\"age\":18}", "{\"id\":\"u1\",\"age\":18,\"city\":\"c2\"}", true);
    /* a text that is no number is an absent cell, an absent field too */
    same(&d, "{\"id\":\"odd\"}", "{\"id\":\"nobody\",\"city\":\"c1\"}", true);
    same(&d, "{\"id\":\"half\"}", "{\"id\":\"nobody\",\"city\":\"c2\"}", true);
    answer = ask(&d, "{\"id\":\"nobody\"}");
    assert_true(has_flag(answer, "missing_features") && !has_flag(answer, "late_features"));
    json_decref(answer);
    doors_close(&d);
}

/* The same cells by tensors, users by row. */
static void tensors_are_filled_in(void **state) {
    (void)state;
    NEED_REDIS();
    doors d;
    redis_do(&server, "HSET hinet:users:new age 41 city c1");
    open_doors(&d, "");
    json_t *const filled = doors_infer(
        &d, 200,
        "{\"inputs\":[{\"name\":\"user_id\",\"datatype\":\"BYTES\",\"shape\":[4],\"data\":["
        "\"new\",\"new\",\"nobody\",\"u1\"]}]}");
    json_t *const given = doors_infer(
        &d, 200,
        "{\"inputs\":[{\"name\":\"user_id\",\"datatype\":\"BYTES\",\"shape\":[4],\"data\":["
        "\"x\",\"new\",\"nobody\",\"u1\"]},{\"name\":\"users.age\",\"datatype\":\"FP64\",\"shape\":"
        "[4],"
        "\"data\":[41,41,null,77]},{\"name\":\"users.city\",\"datatype\":\"BYTES\",\"shape\":[4],"
        "\"data\":[\"c1\",\"c1\",null,\"c2\"]}]}");
    assert_true(json_equal(json_object_get(filled, "outputs"), json_object_get(given, "outputs")));
    json_decref(filled);
    json_decref(given);
    doors_close(&d);
}

static void late_is_said(void **state) {
    (void)state;
    NEED_REDIS();
    doors d;
    redis_do(&server, "HSET hinet:users:u2 age 77 city c2");
    open_doors(&d, "");
    d.deadline_seconds = -1;
    json_t *late = ask(&d, "{\"id\":\"u2\"}");
    assert_true(has_flag(late, "late_features"));
    assert_int_equal(json_integer_value(json_object_get(late, "late_features")), 2);
    assert_false(has_flag(late, "missing_features")); /* the bundle's own row stands in */
    json_decref(late);
    d.deadline_seconds = 30;
    json_t *const fine = ask(&d, "{\"id\":\"u2\"}");
    assert_false(has_flag(fine, "late_features"));
    json_decref(fine);
    redis_kill(&server);
    late = ask(&d, "{\"id\":\"new\"}");
    assert_true(has_flag(late, "late_features") && has_flag(late, "missing_features"));
    json_decref(late);
    redis_start(&server);
    doors_close(&d);
}

static json_t *the_line;
static hn_status take_line(void *user, const char *line, size_t n, const char *file,
                           uint64_t number, hn_error *err) {
    (void)user, (void)file, (void)number, (void)err;
    json_decref(the_line); /* the last one counts */
    the_line = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
    return HN_OK;
}

static void what_was_filled_in_is_logged(void **state) {
    (void)state;
    NEED_REDIS();
    doors d;
    hn_error err = {0};
    hn_paths paths = {0};
    char folder[400];
    static const char *const pattern = "*.zst";
    redis_do(&server, "HSET hinet:users:half city c\"2");
    open_doors(&d, "exposures: {dir: \"%s/log\"}\n");
    json_decref(ask(&d, "{\"id\":\"half\",\"city\":null}"));
    json_decref(ask(&d, "{\"id\":\"half\"}"));
    doors_close(&d);
    snprintf(folder, sizeof folder, "%s/log", the_world.folder);
    assert_ok(hn_paths_glob(&paths, folder, &pattern, 1, &err));
    assert_ok(
        hn_lines_read((const char *const *)paths.paths, paths.n, false, take_line, NULL, &err));
    hn_paths_free(&paths);
    json_t *const want = json_loads("{\"users.age\":null,\"users.city\":\"c\\\"2\"}", 0, NULL);
    assert_true(json_equal(json_object_get(the_line, "user_features"), want));
    json_decref(want);
    json_decref(the_line);
}

static int setup(void **state) {
    (void)state;
    has_redis = redis_is_installed();
    if (has_redis) redis_start(&server);
    world_make(&the_world, WORLD_HINET);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    world_free(&the_world);
    if (has_redis) redis_remove(&server);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_filled_in), cmocka_unit_test(tensors_are_filled_in),
        cmocka_unit_test(late_is_said), cmocka_unit_test(what_was_filled_in_is_logged)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
