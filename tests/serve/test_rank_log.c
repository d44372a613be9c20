/* What a request leaves in the exposure log: the answer it is about, who saw it, and, in a sample,
 * the features as they were given; and no user's name where a key hides it. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "online/lines.h"
#include "online/pseudonym.h"
#include "serve/doors.h"
#include "support.h"

enum { LINES = 64 };

static world the_world;
static json_t *lines[LINES];
static int n_lines;

static const char *text(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static hn_status take_line(void *user, const char *line, size_t n, const char *file,
                           uint64_t number, hn_error *err) {
    (void)user, (void)file, (void)number, (void)err;
    assert_true(n_lines < LINES);
    lines[n_lines] = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(lines[n_lines]);
    n_lines++;
    return HN_OK;
}

static void read_folder(const char *name) {
    char folder[400], path[700];
    hn_error err = {0};
    snprintf(folder, sizeof folder, "%s/%s", the_world.folder, name);
    DIR *const dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (!strstr(entry->d_name, ".zst")) continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        const char *const file = path;
        assert_ok(hn_lines_read(&file, 1, false, take_line, NULL, &err));
    }
    closedir(dir);
}

static void forget(void) {
    while (n_lines > 0) json_decref(lines[--n_lines]);
}

static json_t *parse(const char *written) {
    json_t *const json = json_loads(written, 0, NULL);
    assert_non_null(json);
    return json;
}

static void equal(const json_t *found, const char *written) {
    json_t *const want = parse(written);
    char *const shown = json_dumps(found, JSON_ENCODE_ANY);
    if (!json_equal(found, want))
        fail_msg("found %s, expected %s", shown ? shown : "nothing", written);
    free(shown);
    json_decref(want);
}

static const char request[] =
    "{\"request_id\":\"r1\",\"scenario\":\"search\",\"user\":{\"id\":\"u1\",\"age\":30.5},"
    "\"context\":{\"user_id\":\"u1\"},\"limit\":2,\"candidates\":["
    "{\"id\":\"a\",\"item_id\":\"i1\",\"price\":3.50,\"tags\":[\"t1\",\"t2\"]},"
    "{\"id\":7,\"item_id\":\"i2\",\"price\":4},{\"id\":\"c\",\"item_id\":\"\\u00e9\\\"\"}]}";

static void a_line_is_the_answer(void **state) {
    (void)state;
    doors d;
    doors_open(&d, &the_world,
               "exposures: {dir: \"%s/log\"}\n"
               "experiments: {e: {arms: {a: {share: 0, users: [u1]}, b: 0.5}}}\n");
    json_t *const answer = doors_rank(&d, 200, request);
    json_decref(doors_rank(&d, 200, "{\"candidates\":[]}"));          /* nothing was shown */
    json_decref(doors_rank(&d, 400, "{\"candidates\":[{\"x\":1}]}")); /* neither */
    doors_close(&d);
    read_folder("log");
    assert_int_equal(n_lines, 1);
    const json_t *const line = lines[0];
    static const char *const same[] = {"request_id", "scenario", "arms",
                                       "model",      "version",  "fallback"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_true(json_equal(json_object_get(line, same[i]), json_object_get(answer, same[i])));
    assert_string_equal(text(line, "user"), "u1");
    assert_string_equal(text(json_object_get(line, "arms"), "e"), "a");
    assert_true(json_integer_value(json_object_get(line, "time_ms")) > 1600000000000);
    equal(json_object_get(line, "user_features"), "{\"age\":30.5}");
    equal(json_object_get(line, "context"), "{\"user_id\":\"u1\"}"); /* the model reads no tab */
    const json_t *const shown = json_object_get(line, "items"), *const items = json_object_get(
                                                                    answer, "items");
    assert_int_equal(json_array_size(shown), 2);
    for (size_t k = 0; k < 2; k++) {
        const json_t *const a = json_array_get(shown, k), *const b = json_array_get(items, k);
        assert_int_equal(json_integer_value(json_object_get(a, "position")), k + 1);
        static const char *const of_item[] = {"id", "score", "p"};
        for (size_t i = 0; i < 3; i++)
            assert_true(json_equal(json_object_get(a, of_item[i]), json_object_get(b, of_item[i])));
        const json_t *const id = json_object_get(a, "id");
        if (json_is_integer(id))
            equal(json_object_get(a, "features"), "{\"item_id\":\"i2\",\"price\":4}");
        else if (strcmp(json_string_value(id), "a") == 0)
            equal(json_object_get(a, "features"),
                  "{\"item_id\":\"i1\",\"price\":3.50,\"tags\":[\"t1\",\"t2\"]}");
        else
            equal(json_object_get(a, "features"), "{\"item_id\":\"\\u00e9\\\"\"}");
    }
    json_decref(answer);
    forget();
}

static void a_key_hides_users(void **state) {
    (void)state;
    static const char secret[] = "a secret of the tests";
    char hash[HN_PSEUDONYM_BYTES + 1];
    doors d;
    doors_open(&d, &the_world,
               "exposures: {dir: \"%s/hidden\", user_key: a secret of the tests}\n");
    json_decref(doors_rank(&d, 200, request));
    json_decref(doors_rank(&d, 200, "{\"candidates\":[{\"id\":1}]}"));
    doors_close(&d);
    read_folder("hidden");
    assert_int_equal(n_lines, 2);
    hn_pseudonym(hash, secret, strlen(secret), "u1", 2);
    assert_string_equal(text(lines[0], "user"), hash);
    equal(json_object_get(lines[0], "context"), "{}");
    char *const whole = json_dumps(lines[0], 0);
    assert_null(strstr(whole, "u1"));
    free(whole);
    assert_true(json_is_null(json_object_get(lines[1], "user")));
    assert_string_equal(text(lines[1], "request_id"), "0af7651916cd43dd8448eb211c80319c");
    forget();
}

/* A share of requests, and always the same for one request's id. */
static void features_of_a_sample(void **state) {
    (void)state;
    enum { REQUESTS = 30 };
    bool sampled[REQUESTS];
    for (int again = 0; again < 2; again++) {
        doors d;
        doors_open(&d, &the_world,
                   again ? "exposures: {dir: \"%s/s2\", features: 0.5}\n"
                         : "exposures: {dir: \"%s/s1\", features: 0.5}\n");
        for (int i = 0; i < REQUESTS; i++) {
            char body[200];
            snprintf(body, sizeof body, "{\"request_id\":\"q%d\",\"candidates\":[{\"price\":1}]}",
                     i);
            json_decref(doors_rank(&d, 200, body));
        }
        doors_close(&d);
        read_folder(again ? "s2" : "s1");
        assert_int_equal(n_lines, REQUESTS);
        int n = 0;
        for (int i = 0; i < REQUESTS; i++) {
            const json_t *const item = json_array_get(json_object_get(lines[i], "items"), 0);
            const bool has = json_object_get(lines[i], "context") != NULL;
            assert_int_equal(has, json_object_get(lines[i], "user_features") != NULL);
            assert_int_equal(has, json_object_get(item, "features") != NULL);
            if (again) assert_int_equal(sampled[i], has);
            sampled[i] = has;
            n += has;
        }
        assert_true(n > 5 && n < 25);
        forget();
    }
}

static void what_a_fallback_showed(void **state) {
    (void)state;
    hn_error err = {0};
    doors d;
    doors_open(&d, &the_world, "exposures: {dir: \"%s/fallen\"}\n");
    assert_ok(hn_shelf_unload(d.shelf, "main", &err));
    json_decref(doors_rank(&d, 200, request));
    doors_close(&d);
    read_folder("fallen");
    assert_int_equal(n_lines, 1);
    assert_string_equal(text(lines[0], "fallback"), "order");
    assert_true(json_is_null(json_object_get(lines[0], "version")));
    equal(json_object_get(lines[0], "items"),
          "[{\"id\":\"a\",\"position\":1,\"score\":null,\"p\":{}},"
          "{\"id\":7,\"position\":2,\"score\":null,\"p\":{}}]");
    forget();
}

static int setup(void **state) {
    (void)state;
    world_make(&the_world, WORLD_HINET);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    world_free(&the_world);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_the_answer), cmocka_unit_test(a_key_hides_users),
        cmocka_unit_test(features_of_a_sample), cmocka_unit_test(what_a_fallback_showed)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
