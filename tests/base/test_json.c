/* The flat reader of JSON against jansson: what one takes the other takes, with the same
 * members and values; places of errors, depth, memory; and what is written reads back. */
#include "base/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "support.h"

enum { DEPTH = 20 };

static hn_status read_text(hn_json *json, const char *text, hn_error *err) {
    return hn_json_read(json, text, strlen(text), DEPTH, err);
}

/* ---- Both readers ---------------------------------------------------------------------------- */

static void assert_same(const hn_json_node *a, const json_t *b) {
    switch ((hn_json_kind)a->kind) {
    case HN_JSON_NULL: assert_true(json_is_null(b)); return;
    case HN_JSON_FALSE: assert_true(json_is_false(b)); return;
    case HN_JSON_TRUE: assert_true(json_is_true(b)); return;
    case HN_JSON_STRING:
        assert_int_equal(a->n, json_string_length(b));
        assert_memory_equal(a->text, json_string_value(b), a->n);
        return;
    case HN_JSON_NUMBER: {
        char text[400];
        snprintf(text, sizeof text, "%.*s", (int)a->n, a->text);
        assert_true(strtod(text, NULL) == json_number_value(b));
        return;
    }
    case HN_JSON_LIST: {
        size_t i = 0;
        assert_int_equal(a->n, json_array_size(b));
        for (HN_JSON_EACH(child, a)) assert_same(child, json_array_get(b, i++));
        assert_int_equal(i, a->n);
        return;
    }
    case HN_JSON_OBJECT:
        assert_int_equal(a->n, json_object_size(b));
        for (HN_JSON_EACH(child, a)) {
            char key[400];
            snprintf(key, sizeof key, "%.*s", (int)child->key_bytes, child->key);
            const json_t *const value = json_object_get(b, key);
            assert_non_null(value);
            assert_same(child, value);
        }
    }
}

/* Whether both take it. jansson refuses numbers that overflow and, on request, equal keys. */
static bool compare(hn_json *json, const char *text, size_t n) {
    hn_error err = {0};
    json_error_t error;
    json_t *const tree = json_loadb(text, n, JSON_ALLOW_NUL, &error);
    const hn_status status = hn_json_read(json, text, n, DEPTH, &err);
    if (tree) {
        assert_ok(status);
        assert_same(&json->nodes[0], tree);
    } else if (status == HN_OK) {
        assert_true(strstr(error.text, "overflow") || strstr(error.text, "too big"));
    } else {
        assert_true(err.text[0] >= '1' && err.text[0] <= '9'); /* LINE:COLUMN */
    }
    json_decref(tree);
    return status == HN_OK;
}

static const char *const fine[] = {"[]",
                                   " {} ",
                                   "[null,true,false]",
                                   "[0,-0,-1.5e-3,1E5,12345678901234567890123.5]",
                                   "[\"\"]",
                                   "[\"a\\\"b\\\\c\\/\\b\\f\\n\\r\\t\"]",
                                   "[\"\\u00e9\\u4f60\\ud83d\\ude00\"]",
                                   "[\"\xc3\xa9\xe4\xbd\xa0\"]",
                                   "[[],[[]],{}]",
                                   "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"d\\n\":\"e\\u0041\"}",
                                   "\n{\"a\" : 1 , \"b\" : [ true , false ] }\n",
                                   "[\"\\\\\",\"x\\\\y\",\"plain\",1]"};
/* Each within a list, too. */
static const char *const bad[] = {"",
                                  " ",
                                  "{",
                                  "}",
                                  "[",
                                  "[1",
                                  "[1,",
                                  "[1,]",
                                  "{\"a\"}",
                                  "{\"a\":}",
                                  "{\"a\":1,}",
                                  "{a:1}",
                                  "01",
                                  "1.",
                                  ".5",
                                  "+1",
                                  "-",
                                  "1e",
                                  "0x1",
                                  "NaN",
                                  "Infinity",
                                  "nul",
                                  "True",
                                  "\"",
                                  "\"\\x\"",
                                  "\"\\u12g4\"",
                                  "\"\\ud800\"",
                                  "\"\\udc00\"",
                                  "\"\\ud800\\ud800\"",
                                  "\"\\udbff\\\\udc00\"",
                                  "\"\\ud83dx\\ude00\"",
                                  "{\"\\uDFFF\":1}",
                                  "'a'",
                                  "1 2",
                                  "[1 2]",
                                  "{\"a\" 1}",
                                  "[1]]",
                                  "\"\n\"",
                                  "\"\x01\"",
                                  "\"\xff\"",
                                  "\"\xc0\x80\"",
                                  "\"\xed\xa0\x80\"",
                                  "{\"\xf4\x90\x80\x80\":1}",
                                  "// c\n1",
                                  "/* c */ 1",
                                  "[1]x",
                                  "{\"a\":1 \"b\":2}",
                                  "[,1]",
                                  "[1]\"x",
                                  "[1] 2",
                                  "[1] \"",
                                  "{}-",
                                  "[]t"};

static void the_same_as_jansson(void **state) {
    (void)state;
    hn_json json = {0};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        assert_true(compare(&json, fine[i], strlen(fine[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (int within = 0; within < 2; within++) {
            char text[100];
            snprintf(text, sizeof text, within ? "[%s ]" : "%s", bad[i]);
            if (within && strspn(bad[i], " ") == strlen(bad[i])) continue; /* an empty list */
            if (compare(&json, text, strlen(text))) fail_msg("taken: %s", text);
        }
    hn_json_free(&json);
}

static void escaped_backslashes_are_no_pairs(void **state) {
    (void)state;
    hn_json json = {0};
    static const char text[] = "[\"\\\\ud800\",\"\\u0000\",\"\\\\\\ud83d\\ude00\"]";
    assert_true(compare(&json, text, sizeof text - 1));
    hn_json_free(&json);
}

/* Documents that are nearly right: bytes of the good ones cut, swapped and joined. */
static void the_same_on_damaged_text(void **state) {
    (void)state;
    enum { ROUNDS = 20000, SEED = 7 };
    hn_json json = {0};
    char text[400];
    int32_t taken = 0;
    uint64_t c = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t r = hn_random(SEED, HN_STREAM_TEST, c++);
        const char *const from = fine[r % (sizeof fine / sizeof *fine)];
        const size_t n = strlen(from);
        memcpy(text, from, n);
        for (int k = 0; k < 1 + (int)(r >> 40) % 2; k++) {
            const uint64_t d = hn_random(SEED, HN_STREAM_TEST, c++);
            static const char bytes[] = "{}[],:\"\\ue1-.0 \n\xc3\xa9";
            text[d % n] = bytes[(d >> 32) % (sizeof bytes - 1)];
        }
        taken += compare(&json, text, n - (r >> 50) % (n / 2 + 1));
    }
    assert_true(taken > ROUNDS / 500 && taken < ROUNDS / 2);
    hn_json_free(&json);
}

/* ---- Its own promises ---------------------------------------------------------------------- */

static void places_and_depth(void **state) {
    (void)state;
    hn_error err = {0};
    hn_json json = {0};
    assert_fails(HN_BAD_DATA, "3:", read_text(&json, "{\n\"a\": 1,\n\"b\": x}", &err));
    assert_int_equal(json.fault, HN_JSON_MALFORMED);
    assert_fails(HN_BAD_DATA, "trailing", read_text(&json, "[1] [2]", &err));
    char deep[2 * DEPTH + 3] = "";
    for (int i = 0; i < DEPTH; i++) deep[i] = '[', deep[2 * DEPTH - 1 - i] = ']';
    assert_ok(read_text(&json, deep, &err));
    memset(deep, '[', DEPTH + 1);
    assert_fails(HN_BAD_DATA, "20 deep", read_text(&json, deep, &err));
    assert_int_equal(json.fault, HN_JSON_TOO_DEEP);
    hn_json_free(&json);
}

static void questions(void **state) {
    (void)state;
    hn_error err = {0};
    hn_json json = {0};
    int64_t whole = 0;
    assert_ok(read_text(
        &json, "{\"n\":-12,\"s\":\"t\",\"r\":1.0,\"l\":[7,[8]],\"big\":1234567890123456789}",
        &err));
    const hn_json_node *const root = json.nodes;
    assert_true(hn_json_whole(&whole, hn_json_member(root, "n")));
    assert_int_equal(whole, -12);
    assert_false(hn_json_whole(&whole, hn_json_member(root, "r")));
    assert_false(hn_json_whole(&whole, hn_json_member(root, "big")));
    assert_false(hn_json_whole(&whole, hn_json_member(root, "nobody")));
    assert_true(hn_json_text_is(hn_json_member(root, "s"), "t"));
    assert_false(hn_json_text_is(hn_json_member(root, "s"), "tt"));
    assert_true(hn_json_is_scalar(hn_json_member(root, "s")));
    assert_false(hn_json_is_scalar(hn_json_member(root, "l")));
    assert_null(hn_json_member(hn_json_member(root, "l"), "x"));
    assert_null(hn_json_member(NULL, "x"));
    hn_json_free(&json);
}

static void what_is_written_reads_back(void **state) {
    (void)state;
    hn_error err = {0};
    hn_json json = {0}, again = {0};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        hn_text text = {0}, twice = {0};
        assert_ok(read_text(&json, fine[i], &err));
        hn_json_add_node(&text, json.nodes);
        assert_false(text.failed);
        assert_ok(hn_json_read(&again, text.text, text.length, DEPTH, &err));
        hn_json_add_node(&twice, again.nodes);
        assert_string_equal(text.text, twice.text);
        hn_text_free(&text);
        hn_text_free(&twice);
    }
    hn_text text = {0};
    hn_json_add_string(&text, "\xff\xc3\xed\xa0\x80\xf5\xe2\x82\xac\0\x1f", 11);
    assert_string_equal(text.text, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                                   "\xef\xbf\xbd\xe2\x82\xac\\u0000\\u001f\"");
    hn_text_free(&text);
    hn_json_add_text(&text, NULL);
    hn_json_add_node(&text, NULL);
    assert_string_equal(text.text, "nullnull");
    hn_text_free(&text);
    hn_json_free(&json);
    hn_json_free(&again);
}

static hn_status read_once(void *user, hn_error *err) {
    (void)user;
    hn_json json = {0};
    const hn_status status = read_text(&json, "{\"a\\n\":[\"b\\u0041\",1,{\"c\":[[]]}]}", err);
    hn_json_free(&json);
    return status;
}

static void cut_text_becomes_utf8(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""},
        {"abc", "abc"},
        {"\xc3\xa9", "\xc3\xa9"},
        {"a\xc3", "a"},
        {"a\xf0\x9f\x98", "a"},
        {"a\xff", "a?"},
        {"\xc3(", "?("},
        {"\x80z\xe2\x82\xac\xe2\x82", "?z\xe2\x82\xac"},
        {"\xf0\x9f(\x98", "?\?(?"},
    };
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        char text[20];
        strcpy(text, pairs[k][0]);
        hn_utf8_mend(text);
        assert_string_equal(text, pairs[k][1]);
        assert_true(hn_utf8_is(text, strlen(text)));
    }
}

static void memory_may_fail(void **state) {
    (void)state;
    assert_true(support_fail_each(HN_FAULT_ALLOC, read_once, NULL) >= 4);
    hn_json json = {0};
    hn_error err = {0};
    assert_ok(read_text(&json, "[1,2,3]", &err));
    hn_json_trim(&json, 1 << 20);
    assert_non_null(json.nodes);
    hn_json_trim(&json, 1);
    assert_null(json.nodes);
}

/* An error stands where it is: of a text that is cut off, at its end. */
static void faults_are_placed(void **state) {
    (void)state;
    static const struct {
        const char *text, *words;
    } all[] = {{"{\"a\": [1,\n  2", "2:4: found the end of the text within a value"},
               {"", "1:1: found the end of the text"},
               {"{\"a\": [1,\n  2}", "2:4: "},
               {"[1]\n x", "2:2: parse error: trailing garbage"},
               {"{\"a\": nul", "1:10: "}};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        hn_error err = {0};
        hn_json json = {0};
        assert_fails(HN_BAD_DATA, all[k].words,
                     hn_json_read(&json, all[k].text, strlen(all[k].text), DEPTH, &err));
        hn_json_free(&json);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_as_jansson),
        cmocka_unit_test(escaped_backslashes_are_no_pairs),
        cmocka_unit_test(the_same_on_damaged_text),
        cmocka_unit_test(places_and_depth),
        cmocka_unit_test(faults_are_placed),
        cmocka_unit_test(questions),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(cut_text_becomes_utf8),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
