/* Comparisons as text: what each means, and which are refused. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "support.h"

static hn_error err;

static void reads(void **state) {
    (void)state;
    static const struct {
        const char *text, *column;
        hn_compare_op op;
        const char *values; /* joined by ';' */
        double first;
    } cases[] = {
        {"is_click", "is_click", HN_CMP_TRUE, "", 0},
        {"  a b ", "a b", HN_CMP_TRUE, "", 0},
        {"rating > 4", "rating", HN_CMP_GT, "4", 4},
        {"rating>=4.5e0", "rating", HN_CMP_GE, "4.5e0", 4.5},
        {"rating<4", "rating", HN_CMP_LT, "4", 4},
        {"rating <= -4", "rating", HN_CMP_LE, "-4", -4},
        {"my col == x y", "my col", HN_CMP_EQ, "x y", NAN},
        {"a != ''", "a", HN_CMP_NE, "", NAN},
        {"day >= \"2022-05-05\"", "day", HN_CMP_GE, "2022-05-05", NAN},
        {"a == 01", "a", HN_CMP_EQ, "01", 1},
        {"a == 0x1", "a", HN_CMP_EQ, "0x1", NAN},
        {"a == inf", "a", HN_CMP_EQ, "inf", NAN},
        {"a == b=c", "a", HN_CMP_EQ, "b=c", NAN},
        {"`a<b` > 3", "a<b", HN_CMP_GT, "3", 3},
        {"\"a == b\"", "a == b", HN_CMP_TRUE, "", 0},
        {"user's > 3", "user's", HN_CMP_GT, "3", 3},
        {"tab in [1, 0,4 ]", "tab", HN_CMP_IN, "1;0;4", 1},
        {"tab in[x]", "tab", HN_CMP_IN, "x", NAN},
        {"'tab'in ['a, b', '', c d]", "tab", HN_CMP_IN, "a, b;;c d", NAN},
        {"begin in [in]", "begin", HN_CMP_IN, "in", NAN},
        {"inner", "inner", HN_CMP_TRUE, "", 0},
        {"$file == log_1.csv", "$file", HN_CMP_EQ, "log_1.csv", NAN},
        {"users.age > 3", "users.age", HN_CMP_GT, "3", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hn_arena arena = {0};
        hn_predicate p;
        char joined[200] = "";
        assert_ok(hn_predicate_parse(&p, cases[i].text, &arena, "here", &err));
        for (int32_t j = 0; j < p.values.n; j++)
            strcat(strcat(joined, j > 0 ? ";" : ""), p.values.items[j]);
        if (p.op != cases[i].op || strcmp(p.column, cases[i].column) != 0 ||
            strcmp(joined, cases[i].values) != 0)
            fail_msg("%s: column \"%s\", op %d, values \"%s\"", cases[i].text, p.column, (int)p.op,
                     joined);
        assert_string_equal(p.text, cases[i].text);
        if (p.op == HN_CMP_TRUE)
            assert_int_equal(p.values.n, 0);
        else
            assert_true(isnan(cases[i].first) ? isnan(p.numbers[0])
                                              : p.numbers[0] == cases[i].first);
        hn_arena_free(&arena);
    }
}

static void refuses(void **state) {
    (void)state;
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"", "without a column"},       {"  ", "without a column"},
        {"> 3", "without a column"},    {"'' == 3", "without a column"},
        {"a = 3", "single ="},          {"a >", "no value"},
        {"a == ", "no value"},          {"a === 3", "expected COLUMN OP VALUE"},
        {"a == [1, 2]", "COLUMN in"},   {"a in 1", "in brackets"},
        {"a in [1", "in brackets"},     {"a in ", "in brackets"},
        {"a in [1,,2]", "empty place"}, {"a in []", "empty place"},
        {"a in [1,]", "empty place"},   {"$fil == 3", "$file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hn_arena arena = {0};
        hn_predicate p;
        assert_fails(HN_BAD_CONFIG, cases[i].word,
                     hn_predicate_parse(&p, cases[i].text, &arena, "c.yaml:1:2: key", &err));
        assert_ptr_equal(strstr(err.text, "c.yaml:1:2: key: found"), err.text);
        assert_null(p.column);
        assert_null(p.values.items);
        hn_arena_free(&arena);
    }
}

/* Every cut and every single wrong byte of a comparison is read or refused, no more. */
static void survives_damage(void **state) {
    (void)state;
    static const char good[] = "`a, b` in ['x, y', \"\", 3 , z]";
    for (size_t at = 0; at < sizeof good; at++) {
        for (int byte = 1; byte < 256; byte++) {
            char text[sizeof good];
            hn_arena arena = {0};
            hn_predicate p;
            memcpy(text, good, sizeof good);
            text[at] = (char)byte;
            text[sizeof good - 1] = '\0';
            if (byte == 1) text[at] = '\0'; /* the cut */
            const hn_status status = hn_predicate_parse(&p, text, &arena, "", &err);
            assert_true(status == HN_BAD_CONFIG || (status == HN_OK && p.column[0] != '\0'));
            hn_arena_free(&arena);
        }
    }
}

static hn_status parse_once(void *text, hn_error *e) {
    hn_arena arena = {0};
    hn_predicate p;
    const hn_status status = hn_predicate_parse(&p, text, &arena, "", e);
    hn_arena_free(&arena);
    return status;
}

static void memory_runs_out(void **state) {
    (void)state;
    char text[20000] = "a in [0";
    for (int i = 1; i < 3000; i++) sprintf(text + strlen(text), ",%d", i);
    strcat(text, "]");
    assert_true(support_fail_each(HN_FAULT_ALLOC, parse_once, text) >= 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(refuses),
        cmocka_unit_test(survives_damage),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
