/* /v1/rank as a client sees it: what is refused and how, expressions, arms, flags, and what is
 * wrong with a config is said before anything is served. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "serve/answers.h"
#include "serve/doors.h"
#include "support.h"

static world the_world;

/* ---- What is refused ------------------------------------------------------------------------- */

typedef struct bad_case {
    const char *body;
    int32_t status;
    const char *code, *words;
} bad_case;

static const bad_case bad[] = {
    {"", 400, "bad_json", "1:1"},
    {"{\"candidates\":[}", 400, "bad_json", "1:16"},
    {"{\"candidates\":\n [}", 400, "bad_json", "2:"},
    {"[1]", 400, "bad_type", "expected an object"},
    {"{}", 400, "bad_type", "candidates"},
    {"{\"candidates\":{}}", 400, "bad_type", "candidates: expected a list"},
    {"{\"candidates\":[1]}", 400, "bad_type", "candidates[0]: expected an object"},
    {"{\"candidates\":[],\"limit\":-1}", 400, "bad_type", "limit"},
    {"{\"candidates\":[],\"limit\":1.5}", 400, "bad_type", "limit"},
    {"{\"candidates\":[],\"limit\":\"3\"}", 400, "bad_type", "limit"},
    {"{\"candidates\":[],\"user\":[]}", 400, "bad_type", "user: expected an object"},
    {"{\"candidates\":[],\"context\":7}", 400, "bad_type", "context: expected an object"},
    {"{\"candidates\":[],\"scenario\":{}}", 400, "bad_type", "scenario"},
    {"{\"candidates\":[],\"scenario\":true}", 400, "bad_type", "scenario"},
    {"{\"candidates\":[],\"request_id\":[]}", 400, "bad_type", "request_id"},
    {"{\"candidates\":[],\"user\":{\"id\":{}}}", 400, "bad_type", "user.id"},
    {"{\"candidates\":[{\"id\":[1]}]}", 400, "bad_type", "candidates[0].id"},
    {"{\"candidates\":[],\"candidates\":[]}", 400, "bad_value", "candidates: found a second time"},
    {"{\"candidates\":[],\"contxt\":{}}", 400, "unknown_field", "contxt: expected request_id"},
    {"{\"candidates\":[{\"prize\":1}]}", 400, "unknown_field",
     "candidates[0].prize: found a name that no feature of the model reads; did you mean "
     "\"price\"?"},
    {"{\"candidates\":[],\"user\":{\"agee\":1}}", 400, "unknown_field",
     "user.agee: found a name that no feature of the model reads; did you mean \"age\"?"},
    {"{\"candidates\":[],\"user\":{\"user.age\":1}}", 400, "unknown_field", "\"users.age\"?"},
    {"{\"candidates\":[],\"user\":{\"nothing_like_it\":1}}", 400, "unknown_field",
     "user.nothing_like_it: found a name that no feature of the model reads"},
    {"{\"candidates\":[{\"price\":1,\"price\":1}]}", 400, "bad_value",
     "candidates[0].price: found a second"},
    {"{\"candidates\":[{\"price\":1,\"log.price\":1}]}", 400, "bad_value",
     "candidates[0].log.price"},
    {"{\"candidates\":[{\"price\":\"dear\"}]}", 400, "bad_value",
     "candidates[0].price: found \"dear\"; expected a number"},
    {"{\"candidates\":[{\"price\":1e999}]}", 400, "bad_value", "candidates[0].price"},
    {"{\"candidates\":[{\"item_id\":1.5e999}]}", 400, "bad_value", "too large"},
    {"{\"candidates\":[{\"price\":[1]}]}", 400, "bad_value", "found a list"},
    {"{\"candidates\":[{\"price\":{}}]}", 400, "bad_value", "found an object"},
    {"{\"candidates\":[{\"tags\":{}}]}", 400, "bad_value", "or a list"},
    {"{\"candidates\":[{\"tags\":[[1]]}]}", 400, "bad_value", "within a list"},
    {"{\"candidates\":[{\"tags\":[\"a|b\"]}]}", 400, "bad_value", "\"|\""},
    {"{\"candidates\":[{\"tab\":1},{\"tab\":1},{\"tab\":2}]}", 400, "bad_value",
     "candidates[2]: found scenario search, and home before it"},
    {"{\"candidates\":[{},{},{},{},{}]}", 413, "too_many_candidates",
     "found 5; expected at most 4"},
    {"{\"candidates\":[{\"tags\":[[[[[[]]]]]]}]}", 400, "too_deep", "6 deep"},
    {"{\"candidates\":[{\"id\":\"\xff\"}]}", 400, "bad_json", "UTF-8"},
};

static void faults_are_named(void **state) {
    (void)state;
    doors d;
    doors_open(&d, &the_world, "limits: {candidates: 4, depth: 6}\n");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *const answer = doors_rank(&d, bad[i].status, bad[i].body);
        const char *const message = text(json_object_get(answer, "error"), "message");
        if (strcmp(doors_code(answer), bad[i].code) != 0 || !strstr(message, bad[i].words))
            fail_msg("%s: %s", bad[i].body, d.body);
        json_decref(answer);
        /* nothing of it is left for the next one */
        json_t *const fine = doors_rank(&d, 200, REQUEST("home", "u1", CANDIDATE("i1", "3")));
        assert_null(json_object_get(fine, "error"));
        json_decref(fine);
    }
    doors_close(&d);
}

/* ---- The plain answer ---------------------------------------------------------------------- */

static void a_plain_answer(void **state) {
    (void)state;
    doors d;
    doors_open(&d, &the_world, "");
    json_t *answer = doors_rank(
        &d, 200,
        REQUEST("search", "u1", CANDIDATE("i1", "3") "," CANDIDATE("i2", "40") ",{\"id\":7}"));
    assert_string_equal(text(answer, "request_id"), "r1");
    assert_string_equal(text(answer, "model"), "main");
    assert_string_equal(text(answer, "scenario"), "search");
    assert_true(json_is_null(json_object_get(answer, "fallback")));
    assert_int_equal(json_object_size(json_object_get(answer, "arms")), 0);
    assert_true(has_flag(answer, "missing_features")); /* the third has no cells */
    assert_int_equal(number(answer, "missing_features"), 3);
    assert_false(has_flag(answer, "unknown_scenario") || has_flag(answer, "fallback"));
    for (size_t k = 0; k < 3; k++) {
        const json_t *const item = item_of(answer, k), *const id = json_object_get(item, "id");
        assert_int_equal(number(item, "rank"), k + 1);
        assert_int_equal(has_flag(item, "missing_features"), json_is_integer(id));
        assert_true(p_of(item, "click") > 0 && p_of(item, "click") < 1);
    }
    assert_int_equal(d.trace.items, 3);
    assert_int_equal(d.trace.scenario, 1);
    assert_string_equal(d.trace.scenario_name, "search");
    assert_null(d.trace.fallback);
    json_decref(answer);
    answer = doors_rank(&d, 200, "{\"candidates\":[],\"scenario\":\"elsewhere\"}");
    assert_true(has_flag(answer, "unknown_scenario"));
    assert_true(json_is_null(json_object_get(answer, "scenario")));
    assert_string_equal(text(answer, "request_id"), "0af7651916cd43dd8448eb211c80319c");
    assert_int_equal(d.trace.unknown_scenario, 1);
    json_decref(answer);
    answer = doors_rank(&d, 200,
                        "{\"candidates\":[" CANDIDATE("a", "1") "," CANDIDATE(
                            "b", "50") "],\"limit\":1,\"scenario\":1,\"request_id\":12}");
    assert_int_equal(json_array_size(json_object_get(answer, "items")), 1);
    assert_int_equal(number(answer, "request_id"), 12);
    json_decref(answer);
    /* the scenario's column in the context, and for one item */
    answer = doors_rank(&d, 200, "{\"candidates\":[],\"context\":{\"tab\":3}}");
    assert_string_equal(text(answer, "scenario"), "cart");
    json_decref(answer);
    doors_close(&d);
}

/* Numbers may be written in any way; ids may not. */
static void spellings(void **state) {
    (void)state;
    static const char *const prices[] = {"3.5", "3.50", "35e-1", "\"3.5\"", "0.35E1"};
    doors d;
    doors_open(&d, &the_world, "");
    json_t *first = NULL;
    for (size_t i = 0; i < sizeof prices / sizeof *prices; i++) {
        char body[300];
        snprintf(body, sizeof body,
                 "{\"scenario\":1,\"candidates\":[{\"price\":%s,\"item_id\":7}]}", prices[i]);
        json_t *const answer = doors_rank(&d, 200, body);
        if (!first) first = json_incref(answer);
        assert_true(json_equal(first, answer));
        json_decref(answer);
    }
    json_decref(first);
    doors_close(&d);
}

/* ---- Expressions --------------------------------------------------------------------------- */

static void expressions_by_scenario(void **state) {
    (void)state;
    static const double price[] = {3, 40, 7.25};
    doors d;
    doors_open(&d, &the_world,
               "fusion:\n  home: click^0.5 * price^0.25\n  others: order + 0.001 * age * click\n");
    json_t *answer = doors_rank(
        &d, 200,
        REQUEST("home", "u1",
                CANDIDATE("0", "3") "," CANDIDATE("1", "40") "," CANDIDATE("2", "7.25")));
    double last = INFINITY;
    for (size_t k = 0; k < 3; k++) {
        const json_t *const item = item_of(answer, k);
        near(number(item, "score"),
             sqrt(p_of(item, "click")) * pow(price[atoi(text(item, "id"))], 0.25));
        assert_true(number(item, "score") <= last);
        last = number(item, "score");
    }
    json_decref(answer);
    answer = doors_rank(
        &d, 200,
        "{\"scenario\":\"cart\",\"user\":{\"age\":40},\"candidates\":[" CANDIDATE("0", "3") "]}");
    const json_t *const item = item_of(answer, 0);
    near(number(item, "score"), p_of(item, "order") + 0.001 * 40 * p_of(item, "click"));
    json_decref(answer);
    doors_close(&d);
}

static void items_without_a_score_come_last(void **state) {
    (void)state;
    doors d;
    doors_open(&d, &the_world, "fusion: log(price - 3) + 0 * click\n");
    json_t *answer =
        doors_rank(&d, 200,
                   REQUEST("home", "u1",
                           CANDIDATE("a", "1") "," CANDIDATE("b", "4") ",{\"id\":\"c\"}," CANDIDATE(
                               "d", "40") "," CANDIDATE("e", "3")));
    static const char *const order[] = {"d", "b", "a", "c", "e"};
    for (size_t k = 0; k < 5; k++) {
        const json_t *const item = item_of(answer, k);
        assert_string_equal(text(item, "id"), order[k]);
        assert_int_equal(has_flag(item, "no_score"), k >= 2);
        assert_int_equal(json_is_null(json_object_get(item, "score")), k >= 2);
        assert_true(p_of(item, "click") > 0);
    }
    assert_true(has_flag(answer, "no_score") && !has_flag(answer, "fallback"));
    json_decref(answer);
    answer =
        doors_rank(&d, 200, REQUEST("home", "u1", CANDIDATE("a", "1") "," CANDIDATE("b", "2")));
    assert_string_equal(text(answer, "fallback"), "order");
    assert_true(has_flag(answer, "fallback") && !has_flag(answer, "no_score"));
    assert_string_equal(text(item_of(answer, 0), "id"), "a");
    assert_true(json_is_null(json_object_get(item_of(answer, 0), "score")));
    assert_int_equal(json_object_size(json_object_get(item_of(answer, 0), "p")), 0);
    assert_string_equal(d.trace.fallback, "order");
    json_decref(answer);
    doors_close(&d);
}

typedef struct refusal {
    const char *yaml, *words;
} refusal;

static void configs_that_do_not_fit(void **state) {
    (void)state;
    static const refusal all[] = {
        {"fusion: click * prize\n", "serve.yaml:2:17: found the name \"prize\""},
        {"fusion: click * city\n", "a task of the model \"main\" (click, order)"},
        {"fusion:\n  home: click\n  others: clicks\n",
         "serve.yaml:4:11: found the name \"clicks\""},
        {"fusion: {hom: click}\n",
         "found the scenario \"hom\", which the model \"main\" (version model) "
         "does not have; did you mean \"home\"?"},
        {"experiments: {e: {scenarios: caart, arms: {a: 0.5}}}\n", "experiments.e.scenarios"},
        {"experiments: {e: {arms: {a: {share: 0.5, fusion: prize}}}}\n", "\"prize\""},
        {"store: {url: \"redis://127.0.0.1:1\", tables: [userz]}\n",
         "\"userz\", which is no table"},
        {"fusion: click +\n", "serve.yaml:2:"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        hn_error err = {0};
        doors d;
        const hn_status status = doors_try(&d, &the_world, all[i].yaml, &err);
        if (status == HN_OK || !strstr(err.text, all[i].words))
            fail_msg("%s: %d: %s", all[i].yaml, status, err.text);
    }
    /* in a scenario where the arm cannot come it is not asked for */
    hn_error err = {0};
    doors d;
    assert_ok(doors_try(&d, &the_world,
                        "models: {main: \"%s/model.hn\", b: \"%s/model.hn\"}\n"
                        "experiments: {e: {arms: {a: {share: 0.5, fusion: price, model: b}}}}\n",
                        &err));
    doors_close(&d);
}

/* ---- Arms ---------------------------------------------------------------------------------- */

static const char *arm_of(const hn_serve_config *c, int32_t layer, const char *user) {
    const int32_t arm = hn_serve_layer_arm(&c->layers[layer], user, strlen(user));
    return arm < 0 ? NULL : c->layers[layer].arms[arm].name;
}

static void same_arm(const json_t *arms, const char *layer, const char *want) {
    const char *const found = text(arms, layer);
    if (want ? !found || strcmp(found, want) != 0 : found != NULL)
        fail_msg("%s: found %s, expected %s", layer, found ? found : "none", want ? want : "none");
}

static void arms_change_the_answer(void **state) {
    (void)state;
    doors d;
    doors_open(&d, &the_world,
               "models: {main: \"%s/model.hn\", second: \"%s/model.hn\"}\n"
               "experiments:\n"
               "  ranking: {holdout: 0.2, arms: {old: 0.4, new: {share: 0.4, model: second, users: "
               "[vip]}}}\n"
               "  price: {scenarios: home, arms: {low: 0.5, high: {share: 0.5, fusion: price}}}\n");
    int seen[2][3] = {{0}};
    for (int u = 0; u < 300; u++) {
        char user[20], body[400];
        snprintf(user, sizeof user, u == 0 ? "vip" : "u%d", u);
        snprintf(body, sizeof body,
                 "{\"scenario\":\"%s\",\"user\":{\"id\":\"%s\"},\"candidates\":[" CANDIDATE(
                     "a", "7") "]}",
                 u % 2 ? "search" : "home", user);
        json_t *const answer = doors_rank(&d, 200, body);
        const json_t *const arms = json_object_get(answer, "arms");
        const char *const ranking = arm_of(d.config, 0, user), *const price =
                                                                   arm_of(d.config, 1, user);
        same_arm(arms, "ranking", ranking);
        same_arm(arms, "price", u % 2 ? NULL : price);
        const bool is_new = ranking && strcmp(ranking, "new") == 0,
                   high = u % 2 == 0 && strcmp(price, "high") == 0;
        assert_string_equal(text(answer, "model"), is_new ? "second" : "main");
        const json_t *const item = item_of(answer, 0);
        near(number(item, "score"), high ? 7 : p_of(item, "click") * p_of(item, "order"));
        seen[0][ranking ? 1 + is_new : 0]++;
        seen[1][u % 2 ? 0 : 1 + high]++;
        if (u == 0) assert_true(is_new);
        json_decref(answer);
    }
    for (int k = 0; k < 6; k++) assert_true(seen[k / 3][k % 3] > 30);
    json_t *const nobody = doors_rank(&d, 200, "{\"scenario\":\"home\",\"candidates\":[]}");
    assert_int_equal(json_object_size(json_object_get(nobody, "arms")), 0);
    json_decref(nobody);
    /* a number is its digits */
    json_t *const whole = doors_rank(&d, 200, "{\"user\":{\"id\":42},\"candidates\":[]}");
    same_arm(json_object_get(whole, "arms"), "ranking", arm_of(d.config, 0, "42"));
    json_decref(whole);
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
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(a_plain_answer),
        cmocka_unit_test(spellings),
        cmocka_unit_test(expressions_by_scenario),
        cmocka_unit_test(items_without_a_score_come_last),
        cmocka_unit_test(configs_that_do_not_fit),
        cmocka_unit_test(arms_change_the_answer),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
