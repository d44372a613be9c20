/* Expressions: random trees beside a direct evaluation of the tree, known values, each error of
 * syntax with its place, limits, and no memory. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/report.h"
#include "serve/fusion.h"
#include "support.h"

static hn_error err;

/* ---- The oracle: a tree, its value, and its text -------------------------------------------- */

typedef enum kind { LEAF, NAME, CMP, SUM, PRODUCT, NEGATE, POWER, CALL } kind;
typedef struct tree {
    kind kind;
    int which; /* of the operators of its kind; a name; a function */
    double constant;
    int n;
    struct tree *child[4];
} tree;

enum { NAMES = 5, VALUES = 6 };
static const char *const names[NAMES] = {"click", "order", "price", "my-task", "_x9"};
static const char *const comparisons[] = {"<", "<=", ">", ">=", "==", "!="};
static const char *const functions[] = {"min", "max", "log", "exp", "sqrt", "abs", "if"};

static uint64_t seed;
static uint32_t below(uint32_t n) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((seed >> 33) % n);
}

static tree *leaf(void) {
    static const double constants[] = {0, 1, 0.5, 2, 3, 1e-3, 1e300, 0.1, 7};
    tree *const t = calloc(1, sizeof *t);
    t->kind = below(3) == 0 ? LEAF : NAME;
    t->which = (int)below(NAMES);
    t->constant = constants[below(sizeof constants / sizeof *constants)];
    return t;
}

static tree *grow(int depth) {
    if (depth == 0 || below(5) == 0) return leaf();
    tree *const t = calloc(1, sizeof *t);
    t->kind = (kind)(CMP + below(6));
    t->which = (int)below(t->kind == CMP ? 6 : t->kind == CALL ? 7 : 2);
    t->n = t->kind == NEGATE ? 1 : 2;
    if (t->kind == CALL) t->n = t->which < 2 ? 2 + (int)below(3) : t->which == 6 ? 3 : 1;
    for (int k = 0; k < t->n; k++) t->child[k] = grow(depth - 1);
    return t;
}

static void fell(tree *t) {
    for (int k = 0; k < t->n; k++) fell(t->child[k]);
    free(t);
}

static double call(int which, const double *a, int n) {
    double best = a[0];
    switch (which) {
    case 2: return log(a[0]);
    case 3: return exp(a[0]);
    case 4: return sqrt(a[0]);
    case 5: return fabs(a[0]);
    case 6: return a[0] != a[0] ? NAN : a[0] == 0 ? a[2] : a[1];
    default: break;
    }
    for (int k = 0; k < n; k++)
        if (isnan(a[k])) return NAN;
    for (int k = 1; k < n; k++)
        if (which == 0 ? a[k] < best : a[k] > best) best = a[k];
    return best;
}

static double compare(int which, double a, double b) {
    const bool less = a<b, more = a> b, same = a == b;
    const bool holds[] = {less, less || same, more, more || same, same, !same};
    return holds[which] ? 1 : 0;
}

static double value(const tree *t, const double *values) {
    double a[4] = {0};
    for (int k = 0; k < t->n; k++) a[k] = value(t->child[k], values);
    switch (t->kind) {
    case LEAF: return t->constant;
    case NAME: return values[t->which];
    case CMP: return compare(t->which, a[0], a[1]);
    case SUM: return t->which == 0 ? a[0] + a[1] : a[0] - a[1];
    case PRODUCT: return t->which == 0 ? a[0] * a[1] : a[0] / a[1];
    case NEGATE: return -a[0];
    case POWER: return pow(a[0], a[1]);
    default: return call(t->which, a, t->n);
    }
}

static void blank(hn_text *out) {
    static const char *const blanks[] = {"", "", "", " ", "  ", "\n", "\t"};
    hn_text_add(out, "%s", blanks[below(7)]);
}

/* How tightly the whole of it binds; a child that binds less than asked for gets parentheses, and
 * others now and then. */
static int tightness(const tree *t) {
    static const int of[] = {6, 6, 1, 2, 3, 4, 5, 6};
    return of[t->kind];
}

static void write_tree(hn_text *out, const tree *t, int least);

static void write_two(hn_text *out, const tree *t, const char *sign, int left, int right) {
    write_tree(out, t->child[0], left);
    blank(out);
    hn_text_add(out, "%s", sign);
    blank(out);
    write_tree(out, t->child[1], right);
}

static void write_name(hn_text *out, const char *name) {
    const bool quoted = strchr(name, '-') != NULL || below(4) == 0;
    hn_text_add(out, quoted ? "`%s`" : "%s", name);
}

static void write_call(hn_text *out, const tree *t) {
    hn_text_add(out, "%s", functions[t->which]);
    blank(out);
    hn_text_add(out, "(");
    for (int k = 0; k < t->n; k++) {
        if (k > 0) hn_text_add(out, ",");
        blank(out);
        write_tree(out, t->child[k], 1);
        blank(out);
    }
    hn_text_add(out, ")");
}

static void write_tree(hn_text *out, const tree *t, int least) {
    const bool enclosed = tightness(t) < least || below(12) == 0;
    if (enclosed) hn_text_add(out, "(");
    switch (t->kind) {
    case LEAF: hn_text_add(out, "%.17g", t->constant); break;
    case NAME: write_name(out, names[t->which]); break;
    case CMP: write_two(out, t, comparisons[t->which], 2, 2); break;
    case SUM: write_two(out, t, t->which == 0 ? "+" : "-", 2, 3); break;
    case PRODUCT: write_two(out, t, t->which == 0 ? "*" : "/", 3, 4); break;
    case NEGATE:
        hn_text_add(out, "-");
        blank(out);
        write_tree(out, t->child[0], 4);
        break;
    case POWER: write_two(out, t, "^", 6, 4); break;
    default: write_call(out, t); break;
    }
    if (enclosed) hn_text_add(out, ")");
}

/* ---- Random expressions ---------------------------------------------------------------------- */

static bool same(double a, double b) {
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

static int name_of(const char *name) {
    for (int k = 0; k < NAMES; k++)
        if (strcmp(name, names[k]) == 0) return k;
    return -1;
}

static void check_values(const hn_fusion *f, const tree *t, const char *text) {
    static const double candidates[] = {0, -0.0, 1, 0.25, -3, 1e-300, NAN, INFINITY, 17.5, 0.9};
    const hn_strings *const used = hn_fusion_names(f);
    for (int round = 0; round < VALUES; round++) {
        double values[NAMES], bound[NAMES];
        for (int k = 0; k < NAMES; k++) values[k] = candidates[below(10)];
        for (int k = 0; k < used->n; k++) {
            assert_true(name_of(used->items[k]) >= 0);
            bound[k] = values[name_of(used->items[k])];
        }
        const double got = hn_fusion_value(f, bound), expected = value(t, values);
        if (!same(got, expected)) fail_msg("%s\ngave %.17g; expected %.17g", text, got, expected);
    }
}

static void random_expressions_have_their_values(void **state) {
    (void)state;
    int compiled = 0;
    for (seed = 1; compiled < 100000;) {
        tree *const t = grow(1 + (int)below(5));
        hn_text text = {0};
        blank(&text);
        write_tree(&text, t, 1);
        blank(&text);
        if (text.length <= HN_EXPRESSION_BYTES_MAX) {
            hn_fusion *f = NULL;
            const hn_status status = hn_fusion_compile(&f, text.text, "t.yaml:1:1", &err);
            /* Only what is too large may be refused. */
            if (status != HN_OK && strstr(err.text, "more than") == NULL)
                fail_msg("%s\n%s", text.text, err.text);
            if (status == HN_OK) check_values(f, t, text.text);
            compiled += status == HN_OK;
            hn_fusion_free(f);
        }
        hn_text_free(&text);
        fell(t);
    }
}

/* ---- Known values -------------------------------------------------------------------------- */

static void known_values(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double value;
    } all[] = {
        {"2^3^2", 512},
        {"-2^2", -4},
        {"2^-1", 0.5},
        {"(2^3)^2", 64},
        {"-2^-2", -0.25},
        {"--3", 3},
        {"1-2-3", -4},
        {"8/4/2", 1},
        {"2*-3", -6},
        {"1 - -1", 2},
        {"1+2*3", 7},
        {"(1+2)*3", 9},
        {"1 < 2", 1},
        {"2 <= 1", 0},
        {"1+1 == 2", 1},
        {"3 != 3", 0},
        {"(1 < 2) + (2 > 1)", 2},
        {"min(3, 1, 2)", 1},
        {"max(3, 1, 9, 2)", 9},
        {"if(0, 1, 2)", 2},
        {"if(-1, 1, 2)", 1},
        {"abs(-4)", 4},
        {"sqrt(9)", 3},
        {"exp(0)", 1},
        {"log(1)", 0},
        {".5 + 5.", 5.5},
        {"1e-3*1E+3", 1},
        {"1/0", INFINITY},
        {"-1/0", -INFINITY},
        {"0/0", NAN},
        {"log(-1)", NAN},
        {"log(0)", -INFINITY},
        {"(-8)^(1/3)", NAN},
        {"0^0", 1},
        {"sqrt(-1)", NAN},
        {"0/0 < 1", 0},
        {"0/0 != 0/0", 1},
        {"min(0/0, 1)", NAN},
        {"max(1, 0/0)", NAN},
        {"if(0/0, 1, 2)", NAN},
        {"if(1, 2, 0/0)", 2},
        {"exp(1000)", INFINITY},
        {"007", 7},
    };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        hn_fusion *f = NULL;
        assert_ok(hn_fusion_compile(&f, all[k].text, "", &err));
        assert_int_equal(hn_fusion_names(f)->n, 0);
        const double got = hn_fusion_value(f, NULL);
        if (!same(got, all[k].value)) fail_msg("%s gave %g", all[k].text, got);
        hn_fusion_free(f);
    }
}

static void names_are_bound_in_order(void **state) {
    (void)state;
    hn_fusion *f = NULL;
    assert_ok(hn_fusion_compile(&f, "click^0.8 * `ctcvr 7d` * `click` * min * `ünï`", "s.yaml:3:9",
                                &err));
    const hn_strings *const used = hn_fusion_names(f);
    assert_int_equal(used->n, 4);
    assert_string_equal(used->items[0], "click");
    assert_string_equal(used->items[1], "ctcvr 7d");
    assert_string_equal(used->items[2], "min");
    assert_string_equal(used->items[3], "ünï");
    const double values[] = {0.5, 0.25, 3, 2};
    assert_true(fabs(hn_fusion_value(f, values) - pow(0.5, 1.8) * 1.5) < 1e-15);
    assert_fails(HN_BAD_CONFIG,
                 "s.yaml:3:21: found the name \"ctcvr 7d\" in the expression; expected a task",
                 hn_fusion_fail(f, 1, "a task", &err));
    assert_fails(HN_BAD_CONFIG, "s.yaml:3:50: ", hn_fusion_fail(f, 3, "a task", &err));
    hn_fusion_free(f);
}

/* ---- Errors -------------------------------------------------------------------------------- */

static void errors_name_their_place(void **state) {
    (void)state;
    static const struct {
        const char *text, *words;
    } all[] = {
        {"", "s.yaml:12:9: found nothing; expected an expression"},
        {"  \n ", "12:9: found nothing"},
        {"*2", "12:9: found \"*\" in the expression; expected a number, a name"},
        {"click *", "12:16: found the end in the expression; expected a number"},
        {"click order", "12:15: found \"o\" in the expression; expected an operator"},
        {"(click", "12:15: found the end in the expression; expected an operator or \")\""},
        {"click)", "12:14: found \")\" in the expression; expected an operator"},
        {"min(1", "12:14: found the end in the expression; expected an operator, \",\" or \")\""},
        {"1 + min(1)", "12:13: found 1 argument of min; expected 2 or more"},
        {"max()", "12:9: found 0 arguments of max; expected 2 or more"},
        {"log(1, 2)", "12:9: found 2 arguments of log; expected 1"},
        {"if(1, 2)", "12:9: found 2 arguments of if; expected 3"},
        {"if(1, 2, 3, 4)", "12:9: found 4 arguments of if; expected 3"},
        {"lgo(2)", "12:9: found the function \"lgo\"; expected one of min, max, log, exp, sqrt, "
                   "abs, if; did you mean \"log\"?"},
        {"zebra(2)", "12:9: found the function \"zebra\""},
        {"1 < 2 < 3", "12:15: found a second comparison"},
        {"a == b != c", "12:16: found a second comparison"},
        {"2x", "12:9: found \"2\" directly before \"x\""},
        {"1.2.3", "12:9: found \"1.2\" directly before \".\""},
        {"1e", "12:9: found \"1\" directly before \"e\""},
        {"2`a`", "12:9: found \"2\" directly before \"`\""},
        {"1e999", "12:9: found the number \"1e999\"; expected one below"},
        {"`", "12:9: found ` without"},
        {"1 + `abc", "12:13: found ` without"},
        {"``", "12:9: found ` without"},
        {"a = b", "12:11: found \"=\""},
        {"a ! b", "12:11: found \"!\""},
        {"a % b", "12:11: found \"%\""},
        {"+1", "12:9: found \"+\""},
        {"a ** b", "12:12: found \"*\""},
        {"a ? b : c", "12:11: found \"?\""},
        {"größe", "12:11: found \"ö\""},
        {"`größe` + 用", "12:19: found \"用\""},
        {"min(,1)", "12:13: found \",\""},
        {"(1,2)", "12:11: found \",\" in the expression; expected an operator or \")\""},
        {"a +\n  b +\n $", "14:2: found \"$\""},
        {"..", "12:9: found \".\""},
        {"a.b", "12:10: found \".\""},
        {"-", "12:10: found the end"},
        {"2^", "12:11: found the end"},
    };
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        hn_fusion *f = NULL;
        assert_fails(HN_BAD_CONFIG, all[k].words,
                     hn_fusion_compile(&f, all[k].text, "s.yaml:12:9", &err));
        assert_null(f);
    }
}

static void places_without_a_line(void **state) {
    (void)state;
    static const struct {
        const char *where, *words;
    } all[] = {{"test", "test:1:2: found"},
               {"", ":1:2: found"},
               {"a:b", "a:b:1:2: found"},
               {"a:7", "a:7:1:2: found"},
               {":3:4", ":3:5: found"},
               {"C:/x:3:4", "C:/x:3:5: found"},
               {"x:3:4:", "x:3:4::1:2: found"},
               {"x::4", "x::4:1:2: found"},
               {"x:99999999999:4", "x:99999999999:4:1:2: found"}};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        hn_fusion *f = NULL;
        assert_fails(HN_BAD_CONFIG, all[k].words, hn_fusion_compile(&f, "1)", all[k].where, &err));
    }
}

/* `n` times `piece`, between two texts. */
static char *repeat(const char *before, const char *piece, int n, const char *after) {
    hn_text text = {0};
    hn_text_add(&text, "%s", before);
    for (int k = 0; k < n; k++) hn_text_add(&text, "%s", piece);
    hn_text_add(&text, "%s", after);
    return text.text;
}

static hn_status compile_repeat(const char *before, const char *piece, int n, const char *after) {
    hn_fusion *f = NULL;
    hn_text text = {.text = repeat(before, piece, n, after)};
    const hn_status status = hn_fusion_compile(&f, text.text, "s.yaml:1:1", &err);
    assert_true((status == HN_OK) == (f != NULL));
    hn_fusion_free(f);
    hn_text_free(&text);
    return status;
}

static void limits_hold(void **state) {
    (void)state;
    static const char *const deep[] = {"(", "-", "2^", "abs(", "min(1,", "if(1,2,", "-(", "a^-"};
    for (size_t k = 0; k < sizeof deep / sizeof *deep; k++) {
        assert_fails(HN_BAD_CONFIG, "levels of nesting", compile_repeat("", deep[k], 70, "1"));
        assert_fails(HN_BAD_CONFIG, "", compile_repeat("", deep[k], 250, "1"));
    }
    assert_ok(compile_repeat("", "-", HN_EXPRESSION_DEPTH_MAX, "a"));
    assert_fails(HN_BAD_CONFIG, "levels",
                 compile_repeat("", "-", HN_EXPRESSION_DEPTH_MAX + 1, "a"));
    /* n additions are n + 1 names and n operations */
    assert_ok(compile_repeat("a", "+a", 127, ""));
    assert_fails(HN_BAD_CONFIG, "more than 256 operations", compile_repeat("a", "+a", 128, ""));
    assert_ok(compile_repeat("1", "+1", 900, "")); /* computed at once */
    assert_ok(compile_repeat("1", " ", HN_EXPRESSION_BYTES_MAX - 1, ""));
    assert_fails(HN_BAD_CONFIG, "more than 2000 bytes",
                 compile_repeat("1", " ", HN_EXPRESSION_BYTES_MAX, ""));
    assert_ok(compile_repeat("max(a", ",a", 127, ")"));
    assert_fails(HN_BAD_CONFIG, "", compile_repeat("max(a", ",a", 200, ")"));
    assert_fails(HN_BAD_CONFIG, "expected one below", compile_repeat("", "1", 400, ""));
}

static hn_status compile_one(void *user, hn_error *e) {
    hn_fusion *f = NULL;
    const hn_status status = hn_fusion_compile(&f, user, "s.yaml:1:1", e);
    hn_fusion_free(f);
    return status;
}

static void no_memory(void **state) {
    (void)state;
    char text[] = "click^0.8 * order + min(`a b`, price)";
    assert_true(support_fail_each(HN_FAULT_ALLOC, compile_one, text) >= 2);
}

static void speed(void **state) {
    (void)state;
    enum { ITEMS = 200, ROUNDS = 500 };
    hn_fusion *f = NULL;
    struct timespec a, b;
    double sum = 0;
    assert_ok(hn_fusion_compile(&f, "click^0.8 * order * price^0.1 + 0.01 * fresh - 0.5 * seen",
                                "s:1:1", &err));
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < ITEMS * ROUNDS; i++) {
        const double values[] = {0.01 + i % 7 * 0.1, 0.02, 1 + i % 13, 0.5, i % 3};
        sum += hn_fusion_value(f, values);
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    const double ns =
        ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / (ITEMS * ROUNDS);
    assert_true(isfinite(sum));
    print_message("an item of five names and two powers: %.0f ns\n", ns);
    hn_fusion_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_expressions_have_their_values),
        cmocka_unit_test(known_values),
        cmocka_unit_test(names_are_bound_in_order),
        cmocka_unit_test(errors_name_their_place),
        cmocka_unit_test(places_without_a_line),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
