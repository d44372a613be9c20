/* /v2 as a client sees it: metadata, readiness, versions, datatypes, outputs, and what is refused.
 * That its numbers are those of the other doors is in test_doors.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/doors.h"
#include "support.h"

static world the_world;

static const char *text(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

/* ---- Metadata -------------------------------------------------------------------------------- */

static const char *type_of(const json_t *tensors, const char *name) {
    const json_t *tensor;
    size_t i;
    json_array_foreach(tensors, i, tensor) if (strcmp(text(tensor, "name"), name) ==
                                               0) return text(tensor, "datatype");
    return NULL;
}

static void metadata(void **state) {
    (void)state;
    doors d;
    doors_open(&d, &the_world, "fusion: {home: click}\n");
    json_t *answer = doors_get(&d, 200, "/v2");
    assert_string_equal(text(answer, "name"), "hinet");
    assert_string_equal(json_string_value(json_array_get(json_object_get(answer, "extensions"), 0)),
                        "binary_tensor_data");
    json_decref(answer);
    answer = doors_get(&d, 200, "/v2/models/main");
    const json_t *const inputs = json_object_get(answer, "inputs"), *const outputs =
                                                                        json_object_get(answer,
                                                                                        "outputs");
    assert_string_equal(type_of(inputs, "price"), "FP64");
    assert_string_equal(type_of(inputs, "users.age"), "FP64");
    assert_string_equal(type_of(inputs, "user_id"), "BYTES");
    assert_string_equal(type_of(inputs, "tags"), "BYTES");
    assert_int_equal(json_array_size(outputs), 3);
    assert_non_null(type_of(outputs, "score"));
    json_decref(answer);
    doors_close(&d);
}

static void readiness_is_true(void **state) {
    (void)state;
    hn_error err = {0};
    doors d;
    doors_open(&d, &the_world, "models: {main: \"%s/model.hn\", b: \"%s/model.hn\"}\n");
    json_decref(doors_get(&d, 200, "/v2/health/live"));
    json_decref(doors_get(&d, 200, "/v2/health/ready"));
    json_t *answer = doors_get(&d, 200, "/v2/models/b/ready");
    assert_true(json_is_true(json_object_get(answer, "ready")));
    assert_string_equal(text(answer, "name"), "b");
    json_decref(answer);
    assert_ok(hn_shelf_unload(d.shelf, "b", &err));
    json_decref(doors_get(&d, 200, "/v2/health/live"));
    answer = doors_get(&d, 503, "/v2/health/ready");
    assert_true(json_is_false(json_object_get(answer, "ready")));
    json_decref(answer);
    json_decref(doors_get(&d, 503, "/v2/models/b/ready"));
    json_decref(doors_get(&d, 200, "/v2/models/main/ready"));
    json_decref(doors_get(&d, 200, "/v2/models/main/versions/model/ready"));
    json_decref(doors_get(&d, 503, "/v2/models/main/versions/other/ready"));
    answer = doors_get(&d, 503, "/v2/models/b");
    assert_non_null(strstr(text(answer, "error"), "\"b\""));
    json_decref(answer);
    answer = doors_get(&d, 404, "/v2/models/c/ready");
    assert_non_null(strstr(text(answer, "error"), "\"c\""));
    json_decref(answer);
    doors_close(&d);
}

static void paths_and_methods(void **state) {
    (void)state;
    static const struct {
        const char *method, *path;
        int32_t status;
    } all[] = {{"GET", "/v2/models/main/infer", 405},
               {"POST", "/v2/models/main", 405},
               {"POST", "/v2/models/main/ready", 405},
               {"POST", "/v2", 405},
               {"GET", "/v2/", 200},
               {"HEAD", "/v2/models/main", 200},
               {"GET", "/v2/models/main/versions/model", 200},
               {"GET", "/v2/models/main/versions/other", 404},
               {"POST", "/v2/models/main/versions/other/infer", 404},
               {"GET", "/v2/models/main/versions/", 404},
               {"GET", "/v2/models/", 404},
               {"GET", "/v2/models//ready", 404},
               {"GET", "/v2/models/main/stats", 404},
               {"GET", "/v2/models/main/ready/x", 404},
               {"GET", "/v2/repository/index", 404},
               {"GET", "/v2/elsewhere", 404}};
    doors d;
    doors_open(&d, &the_world, "");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (doors_ask(&d, all[i].method, all[i].path, "", 0, -1) != all[i].status)
            fail_msg("%s %s: %d", all[i].method, all[i].path, d.status);
    char path[600] = "/v2/models/";
    memset(path + strlen(path), 'x', 400);
    assert_int_equal(doors_ask(&d, "GET", path, "", 0, -1), 404);
    doors_close(&d);
}

/* ---- What is refused ------------------------------------------------------------------------- */

#define INPUT(name, type, shape, data) \
    "{\"name\":\"" name "\",\"datatype\":\"" type "\",\"shape\":[" shape "],\"data\":[" data "]}"
#define INPUTS(inputs) "{\"inputs\":[" inputs "]}"
#define PRICES INPUT("price", "FP64", "2", "1.5,2.5")

static void faults_are_named(void **state) {
    (void)state;
    static const struct {
        const char *body, *words;
    } all[] = {
        {"", "1:1"},
        {"[]", "expected an object"},
        {"{}", "inputs: expected a list"},
        {"{\"inputs\":[]}", "at least one"},
        {"{\"inputs\":7}", "inputs: expected a list"},
        {INPUTS("7"), "expected a name"},
        {INPUTS("{\"name\":7}"), "expected a name"},
        {INPUTS(INPUT("price", "FP16", "1", "1")), "inputs \"price\": expected the datatype"},
        {INPUTS(INPUT("price", "FP64", "", "")), "expected the shape"},
        {INPUTS(INPUT("price", "FP64", "1,2", "1,2")), "expected the shape"},
        {INPUTS(INPUT("price", "FP64", "-1", "1")), "expected the shape"},
        {INPUTS(INPUT("price", "FP64", "1,1,1", "1")), "expected the shape"},
        {INPUTS(PRICES "," INPUT("tags", "BYTES", "1", "\"t1\"")),
         "\"tags\": expected as many rows"},
        {INPUTS(INPUT("price", "FP64", "2", "1")), "as many values as the shape"},
        {INPUTS(INPUT("price", "FP64", "2", "1,2,3")), "as many values as the shape"},
        {INPUTS(INPUT("price", "FP64", "1", "[1,2]")), "found a list"},
        {INPUTS(INPUT("price", "FP64", "1", "\"dear\"")), "found \"dear\""},
        {INPUTS(INPUT("prize", "FP64", "1", "1")), "did you mean \"price\"?"},
        {INPUTS(PRICES "," PRICES), "\"price\": found a second time"},
        {INPUTS("{\"name\":\"price\",\"datatype\":\"FP64\",\"shape\":[1]}"),
         "either data or binary"},
        {INPUTS("{\"name\":\"price\",\"datatype\":\"FP64\",\"shape\":[1],\"data\":{}}"),
         "data as a list"},
        {INPUTS("{\"name\":\"price\",\"datatype\":\"FP64\",\"shape\":[1],\"parameters\":{"
                "\"binary_data_size\":8}}"),
         "more than what follows"},
        {"{\"inputs\":[" PRICES "],\"outputs\":{}}", "outputs: expected a list"},
        {"{\"inputs\":[" PRICES "],\"outputs\":[{\"name\":\"clicks\"}]}", "no output \"clicks\""},
        {"{\"inputs\":[" PRICES "],\"outputs\":[{}]}", "no output \"\""},
        {"{\"inputs\":[" PRICES "],\"outputs\":[{\"name\":\"click\",\"parameters\":{"
         "\"classification\":3}}]}",
         "classification"},
        {"{\"inputs\":[" PRICES
         "],\"outputs\":[{\"name\":\"click\"},{\"name\":\"click\"},{\"name\":"
         "\"click\"},{\"name\":\"click\"}]}",
         "outputs: found 4; the model has 3"},
    };
    doors d;
    doors_open(&d, &the_world, "limits: {candidates: 8}\n");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        json_t *const answer = doors_infer(&d, 400, all[i].body);
        if (!strstr(text(answer, "error"), all[i].words)) fail_msg("%s: %s", all[i].body, d.body);
        json_decref(answer);
        json_decref(doors_infer(&d, 200, INPUTS(PRICES)));
    }
    json_decref(doors_infer(&d, 413, INPUTS(INPUT("price", "FP64", "9", "1"))));
    assert_non_null(strstr(d.body, "found 9 rows; expected at most 8"));
    assert_int_equal(doors_ask(&d, "POST", "/v2/models/main/infer", "{}", 2, 3), 400);
    assert_non_null(strstr(d.body, "Inference-Header-Content-Length is 3"));
    doors_close(&d);
}

/* ---- Tensors as bytes ---------------------------------------------------------------------- */

static int32_t ask_binary(doors *d, const char *name, const char *type, int rows, const void *bytes,
                          size_t n, size_t said) {
    hn_text body = {0};
    hn_text_add(&body,
                "{\"inputs\":[{\"name\":\"%s\",\"datatype\":\"%s\",\"shape\":[%d],\"parameters\":{"
                "\"binary_data_size\":%zu}}]}",
                name, type, rows, said);
    const int64_t json = (int64_t)body.length;
    hn_text_bytes(&body, bytes, n);
    const int32_t status =
        doors_ask(d, "POST", "/v2/models/main/infer", body.text, body.length, json);
    hn_text_free(&body);
    return status;
}

static void binary_lengths(void **state) {
    (void)state;
    static const uint8_t strings[] = {2, 0, 0, 0, 't', '1', 0, 0, 0, 0};
    static const float prices[] = {1, 2};
    doors d;
    doors_open(&d, &the_world, "");
    assert_int_equal(ask_binary(&d, "tags", "BYTES", 2, strings, 10, 10), 200);
    for (size_t n = 0; n < 10; n++) {
        assert_int_equal(ask_binary(&d, "tags", "BYTES", 2, strings, n, n), 400);
        assert_int_equal(ask_binary(&d, "tags", "BYTES", 2, strings, 10, n), 400);
        assert_int_equal(ask_binary(&d, "tags", "BYTES", 2, strings, n, 10), 400);
    }
    assert_int_equal(ask_binary(&d, "tags", "BYTES", 1, strings, 10, 10), 400);
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 'x'};
    assert_int_equal(ask_binary(&d, "tags", "BYTES", 1, huge, 5, 5), 400);
    assert_int_equal(ask_binary(&d, "price", "FP32", 2, prices, 8, 8), 200);
    assert_int_equal(ask_binary(&d, "price", "FP32", 2, prices, 7, 7), 400);
    assert_int_equal(ask_binary(&d, "price", "FP64", 2, prices, 8, 8), 400);
    static const float infinite[] = {__builtin_inff()};
    assert_int_equal(ask_binary(&d, "price", "FP32", 1, infinite, 4, 4), 400);
    doors_close(&d);
}

/* The probability of click of the first row. */
static double click_of(doors *d) {
    json_t *const answer = json_loadb(d->body, d->body_bytes, 0, NULL);
    assert_int_equal(d->status, 200);
    const double p = json_number_value(json_array_get(
        json_object_get(json_array_get(json_object_get(answer, "outputs"), 0), "data"), 0));
    json_decref(answer);
    return p;
}

static double click_json(doors *d, const char *name, const char *value) {
    char body[300];
    snprintf(body, sizeof body,
             "{\"inputs\":[{\"name\":\"%s\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[%s]}]}",
             name, value);
    doors_ask(d, "POST", "/v2/models/main/infer", body, strlen(body), -1);
    return click_of(d);
}

#define SAME(type, name, value, text_)                                                        \
    do {                                                                                      \
        const type raw_ = (value);                                                            \
        assert_int_equal(ask_binary(&d, name, type_name, 1, &raw_, sizeof raw_, sizeof raw_), \
                         200);                                                                \
        assert_true(click_of(&d) == click_json(&d, name, text_));                             \
    } while (0)

/* A value of each type is the cell that its text would be. */
static void datatypes(void **state) {
    (void)state;
    doors d;
    doors_open(&d, &the_world, "");
    const char *type_name = "INT8";
    SAME(int8_t, "tab", 2, "\"2\"");
    type_name = "INT16";
    SAME(int16_t, "price", 25, "25");
    type_name = "INT32";
    SAME(int32_t, "price", -7, "-7");
    type_name = "INT64";
    SAME(int64_t, "tab", 3, "3");
    type_name = "UINT8";
    SAME(uint8_t, "price", 200, "200");
    type_name = "UINT16";
    SAME(uint16_t, "tab", 1, "\"1\"");
    type_name = "UINT32";
    SAME(uint32_t, "price", 4000000000u, "4e9");
    type_name = "UINT64";
    SAME(uint64_t, "price", 30, "30");
    type_name = "BOOL";
    SAME(uint8_t, "tab", 1, "true");
    type_name = "FP32";
    SAME(float, "price", 24.1f, "\"24.1\"");
    SAME(float, "tab", 2.0f, "\"2\"");
    type_name = "FP64";
    SAME(double, "price", 24.1, "24.1");
    SAME(double, "price", __builtin_nan(""), "null");
    assert_true(click_json(&d, "tab", "1") != click_json(&d, "tab", "2"));
    assert_true(click_json(&d, "tab", "\"home\"") == click_json(&d, "tab", "1"));
    doors_close(&d);
}

/* ---- Outputs ------------------------------------------------------------------------------- */

static void outputs_as_asked_for(void **state) {
    (void)state;
    doors d;
    doors_open(&d, &the_world, "fusion: {home: click + price, others: log(price)}\n");
    json_t *answer =
        doors_infer(&d, 200,
                    "{\"inputs\":[" PRICES
                    "," INPUT("tab", "BYTES", "2",
                              "\"1\",\"2\"") "],\"outputs\":["
                                             "{\"name\":\"score\"},{\"name\":\"click\","
                                             "\"parameters\":{\"binary_data\":false}}],"
                                             "\"parameters\":{\"binary_data_output\":false}}");
    const json_t *const outputs = json_object_get(answer, "outputs"),
                        *const score = json_object_get(json_array_get(outputs, 0), "data"),
                        *const click = json_object_get(json_array_get(outputs, 1), "data");
    assert_int_equal(json_array_size(outputs), 2);
    const double p = json_number_value(json_array_get(click, 0));
    assert_true((hn_real)json_number_value(json_array_get(score, 0)) == (hn_real)(p + 1.5));
    assert_true((hn_real)json_number_value(json_array_get(score, 1)) ==
                (hn_real)0.9162907318741551);
    assert_null(json_object_get(answer, "id"));
    json_decref(answer);
    /* one as bytes, one as JSON; none has a score */
    static const char body[] = "{\"inputs\":[" INPUT("price", "FP64", "1", "-1") "," INPUT(
        "tab", "BYTES", "1", "\"2\"") "],"
                                      "\"outputs\":[{\"name\":\"order\",\"parameters\":{\"binary_"
                                      "data\":true}},{\"name\":\"score\"}]}";
    assert_int_equal(doors_ask(&d, "POST", "/v2/models/main/infer", body, strlen(body), -1), 200);
    assert_int_equal((size_t)d.json_bytes + sizeof(hn_real), d.body_bytes);
    answer = json_loadb(d.body, (size_t)d.json_bytes, 0, NULL);
    const json_t *const both = json_object_get(answer, "outputs");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(json_array_get(both, 0), "parameters"),
                                           "binary_data_size")),
        sizeof(hn_real));
    assert_true(json_is_null(json_array_get(json_object_get(json_array_get(both, 1), "data"), 0)));
    json_decref(answer);
    /* no rows */
    answer = doors_infer(&d, 200, INPUTS(INPUT("price", "FP64", "0", "")));
    assert_int_equal(json_array_size(json_object_get(answer, "outputs")), 3);
    json_decref(answer);
    doors_close(&d);
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
        cmocka_unit_test(metadata),
        cmocka_unit_test(readiness_is_true),
        cmocka_unit_test(paths_and_methods),
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(binary_lengths),
        cmocka_unit_test(datatypes),
        cmocka_unit_test(outputs_as_asked_for),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
