/* Cells: numbers against strtod, to the bit, on spellings of every kind; hashes; the truth
 * of comparisons. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/cell.h"
#include "data/show.h"
#include "support.h"

static hn_error err;

/* ---- Numbers ---------------------------------------------------------------------------- */

static bool read_number(double *out, const char *text) {
    return hn_cell_number(out, text, strlen(text));
}

static void assert_number(const char *text, double expected) {
    double value;
    if (!read_number(&value, text) || memcmp(&value, &expected, sizeof value) != 0)
        print_error("\"%s\" reads as %.17g\n", text, value);
    assert_true(read_number(&value, text));
    assert_memory_equal(&value, &expected, sizeof value);
}

static void numbers_are_read_whole(void **state) {
    (void)state;
    assert_number("0", 0.0);
    assert_number("-0", -0.0);
    assert_number("+7", 7);
    assert_number("007", 7);
    assert_number(".5", .5);
    assert_number("5.", 5);
    assert_number("-1.25e2", -125);
    assert_number("1E-3", 1e-3);
    assert_number("9007199254740993", 9007199254740992.0);
    assert_number("1.7976931348623157e308", 1.7976931348623157e308);
    assert_number("4.9e-324", 4.9e-324);
    assert_number("1e-400", 0.0);
    assert_number("0e999999999999", 0.0);
    assert_number("0.1", 0.1);
    assert_number("123456789012345678901234567890", 123456789012345678901234567890.0);
    assert_number("1650812741436", 1650812741436.0);
}

static void what_is_no_number_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {"",    " ",     "1 ",    " 1",       "-",     "+",
                                        ".",   "e5",    "1e",    "1e+",      "1.2.3", "0x10",
                                        "nan", "inf",   "-inf",  "infinity", "1,5",   "1_000",
                                        "--1", "1e5.0", "1e309", "-1e999",   "12a",   "NaN"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        double value = 1;
        if (read_number(&value, texts[i])) print_error("\"%s\" was read as %g\n", texts[i], value);
        assert_false(read_number(&value, texts[i]));
        assert_true(isnan(value));
    }
    double value;
    assert_false(hn_cell_number(&value, "1\0", 2));
    char *const text = malloc(5000);
    memset(text, '1', 5000);
    assert_false(
        hn_cell_number(&value, text, 5000)); /* more than any number needs; must not run over */
    free(text);
}

/* Random spellings: few and many digits, points anywhere, exponents small and huge. */
static void random_spelling(char *out, uint64_t seed) {
    const uint64_t r = hn_random(seed, HN_STREAM_TEST, 0);
    const int digits = 1 + (int)(r % (r & 1024 ? 40 : 17)), point = (int)(r >> 16) % 45;
    int n = 0;
    if (r >> 60 == 1) out[n++] = '-';
    for (int i = 0; i < digits; i++) {
        if (i == point) out[n++] = '.';
        out[n++] = (char)('0' + hn_random(seed, HN_STREAM_TEST, (uint64_t)i + 1) % 10);
    }
    out[n] = '\0';
    if (r >> 40 & 1)
        sprintf(out + n, "e%d",
                (int)(r >> 41) % ((r >> 42 & 1) ? 330 : 25) - ((r >> 43 & 1) ? 30 : 0));
}

static void numbers_are_rounded_like_strtod(void **state) {
    (void)state;
    char text[128];
    for (uint64_t seed = 0; seed < 200000; seed++) {
        random_spelling(text, seed);
        const double expected = strtod(text, NULL);
        double value;
        const bool read = read_number(&value, text);
        if (read != (isfinite(expected) != 0) ||
            (read && memcmp(&value, &expected, sizeof value) != 0))
            print_error("%s: %.17g, expected %.17g\n", text, value, expected);
        assert_int_equal(read, isfinite(expected) != 0);
        if (read) assert_memory_equal(&value, &expected, sizeof value);
    }
}

static void the_locale_does_not_matter(void **state) {
    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "de_DE")) {
        print_message("no German locale here; only the default one was tried\n");
    }
    assert_number("1234567890.12345678901234567890", 1234567890.1234567890);
    setlocale(LC_ALL, "C");
}

/* ---- Hashes -------------------------------------------------------------------------------- */

static void hashes_are_fixed_and_never_missing(void **state) {
    (void)state;
    /* Known values of XXH3-64: files on disk depend on them. */
    assert_true(hn_cell_hash("", 0) == 0x2d06800538d394c2u);
    assert_true(hn_cell_hash("a", 1) == 0xe6c632b61e964e1fu);
    assert_true(hn_cell_hash("abc", 3) == 0x78af5f94892f3950u);
    char text[300];
    for (size_t n = 0; n < sizeof text; n++) {
        text[n] = (char)('a' + n % 26);
        const uint64_t hash = hn_cell_hash(text, n);
        assert_true(hash != HN_HASH_MISSING);
        for (size_t m = 0; m < n; m++) assert_true(hash != hn_cell_hash(text, m));
    }
}

/* ---- Comparisons --------------------------------------------------------------------------- */

typedef struct truth_case {
    const char *predicate, *cell;
    hn_truth expected;
} truth_case;

static const truth_case truths[] = {
    {"y", "1", HN_TRUE},
    {"y", "0", HN_FALSE},
    {"y", "1.0", HN_TRUE},
    {"y", "-3", HN_FALSE},
    {"y", "0.0", HN_FALSE},
    {"y", "true", HN_TRUE},
    {"y", "False", HN_FALSE},
    {"y", "TRUE", HN_TRUE},
    {"y", "yes", HN_UNREADABLE},
    {"y", "truely", HN_UNREADABLE},
    {"y", "nan", HN_UNREADABLE},
    {"r > 4", "5", HN_TRUE},
    {"r > 4", "4", HN_FALSE},
    {"r > 4", "4.5", HN_TRUE},
    {"r > 4", "n/a", HN_UNREADABLE},
    {"r >= 4", "4.0", HN_TRUE},
    {"r < 4", "4", HN_FALSE},
    {"r <= 4", "4", HN_TRUE},
    {"r < 10", "9", HN_TRUE},
    {"r == 1", "1.0", HN_TRUE},
    {"r == 1", "1e0", HN_TRUE},
    {"r == 1", "one", HN_FALSE},
    {"r != 1", "1.0", HN_FALSE},
    {"r != 1", "one", HN_TRUE},
    {"r == 01", "1", HN_TRUE},
    {"t == b", "b", HN_TRUE},
    {"t == b", "bb", HN_FALSE},
    {"t != b", "c", HN_TRUE},
    {"t == b", "B", HN_FALSE},
    {"t in [1, 0, x]", "0.0", HN_TRUE},
    {"t in [1, 0, x]", "x", HN_TRUE},
    {"t in [1, 0, x]", "2", HN_FALSE},
    {"d >= 2022-05-05", "2022-05-05", HN_TRUE},
    {"d >= 2022-05-05", "2022-05-04", HN_FALSE},
    {"d >= 2022-05-05", "2022-05", HN_FALSE},
    {"d > 2022-05-05", "2022-05-05 01:00", HN_TRUE},
    {"d < b", "a", HN_TRUE},
};

static void comparisons_judge_cells(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof truths / sizeof *truths; i++) {
        hn_arena arena = {0};
        hn_predicate predicate;
        assert_ok(hn_predicate_parse(&predicate, truths[i].predicate, &arena, "test", &err));
        const hn_truth truth =
            hn_predicate_test(&predicate, truths[i].cell, strlen(truths[i].cell));
        if (truth != truths[i].expected)
            print_error("%s for \"%s\"\n", truths[i].predicate, truths[i].cell);
        assert_int_equal(truth, truths[i].expected);
        hn_arena_free(&arena);
    }
}

/* ---- Messages ------------------------------------------------------------------------------ */

static void data_in_messages_is_short_and_tame(void **state) {
    (void)state;
    char shown[HN_SHOW_BYTES];
    assert_string_equal(hn_show(shown, "plain", 5), "plain");
    assert_string_equal(hn_show(shown, "a\n\x1b[1m\0z", 8), "a\\x0a\\x1b[1m\\x00z");
    char text[400];
    for (size_t n = 0; n < sizeof text; n++) text[n] = n % 2 ? '\xa9' : '\xc3';
    for (size_t n = 0; n < sizeof text; n++) {
        assert_true(strlen(hn_show(shown, text, n)) < HN_SHOW_BYTES);
        if (n > 50)
            assert_true(strlen(shown) % 2 == 1); /* whole characters and the three bytes of "…" */
    }
    memset(text, 1, sizeof text);
    for (size_t n = 0; n < sizeof text; n++)
        assert_true(strlen(hn_show(shown, text, n)) < HN_SHOW_BYTES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_whole),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(numbers_are_rounded_like_strtod),
        cmocka_unit_test(the_locale_does_not_matter),
        cmocka_unit_test(hashes_are_fixed_and_never_missing),
        cmocka_unit_test(comparisons_judge_cells),
        cmocka_unit_test(data_in_messages_is_short_and_tame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
