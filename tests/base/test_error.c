/* Statuses, sentences and "did you mean". */
#include <string.h>

#include "base/error.h"
#include "support.h"

static void statuses_have_the_documented_exit_codes(void **state) {
    (void)state;
    assert_int_equal(hn_status_exit_code(HN_OK), 0);
    assert_int_equal(hn_status_exit_code(HN_FAILED), 1);
    assert_int_equal(hn_status_exit_code(HN_NO_MEMORY), 1);
    assert_int_equal(hn_status_exit_code(HN_NOT_FINITE), 1);
    assert_int_equal(hn_status_exit_code(HN_USAGE), 2);
    assert_int_equal(hn_status_exit_code(HN_BAD_DATA), 65);
    assert_int_equal(hn_status_exit_code(HN_NO_INPUT), 66);
    assert_int_equal(hn_status_exit_code(HN_CANNOT_CREATE), 73);
    assert_int_equal(hn_status_exit_code(HN_IO_FAILED), 74);
    assert_int_equal(hn_status_exit_code(HN_BAD_CONFIG), 78);
    assert_int_equal(hn_status_exit_code(HN_INTERRUPTED), 130);
    assert_int_equal(hn_status_exit_code((hn_status)1000), 1);
    assert_string_equal(hn_status_text(HN_OK), "success");
    assert_string_equal(hn_status_text((hn_status)1000), "an unknown status");
}

static void fail_writes_status_and_sentence(void **state) {
    (void)state;
    hn_error err = {0};
    assert_int_equal(hn_fail(&err, HN_BAD_DATA, "%s:%d: bad\n", "a.csv", 7), HN_BAD_DATA);
    assert_int_equal(err.status, HN_BAD_DATA);
    assert_string_equal(err.text, "a.csv:7: bad");
    assert_int_equal(hn_fail(NULL, HN_USAGE, "nobody listens"), HN_USAGE);
}

static void fail_may_extend_its_own_sentence(void **state) {
    (void)state;
    hn_error err = {0};
    (void)hn_fail(&err, HN_BAD_DATA, "inner");
    (void)hn_fail(&err, HN_BAD_DATA, "outer: %s", err.text);
    assert_string_equal(err.text, "outer: inner");
}

/* Cuts at the end of the buffer, never within a character: tried with the character at
 * every distance from the cut. */
static void fail_cuts_between_characters(void **state) {
    (void)state;
    static const char *const characters[] = {"x", "\xc3\xa9", "\xe2\x80\xa6", "\xf0\x9f\x98\x80"};
    for (size_t c = 0; c < 4; c++) {
        const size_t width = strlen(characters[c]);
        for (size_t lead = 0; lead < 8; lead++) {
            char text[2000] = "";
            memset(text, 'a', lead);
            for (size_t at = lead; at + width < 1900; at += width)
                memcpy(text + at, characters[c], width);
            hn_error err = {0};
            (void)hn_fail(&err, HN_FAILED, "%s", text);
            const size_t length = strlen(err.text);
            assert_int_equal((length - lead) % width, 0);
            assert_in_range(length, sizeof err.text - width, sizeof err.text - 1);
            assert_memory_equal(err.text, text, length);
        }
    }
}

static const char *const names[] = {"epochs",  "batch", "lr",  "weight_decay",
                                    "dropout", "seed",  "rate"};
enum { NAMES = sizeof names / sizeof *names };

static void assert_meant(const char *word, const char *expected) {
    const char *const found = hn_did_you_mean(word, names, NAMES);
    if (!expected) {
        assert_null(found);
        return;
    }
    assert_non_null(found);
    assert_string_equal(found, expected);
}

static void near_words_are_found(void **state) {
    (void)state;
    assert_meant("epoch", "epochs");   /* insertion */
    assert_meant("epochss", "epochs"); /* deletion */
    assert_meant("bitch", "batch");    /* substitution */
    assert_meant("bacth", "batch");    /* swap */
    assert_meant("esed", "seed");      /* a swap costs one, not two */
    assert_meant("weigth-decay", "weight_decay");
    assert_meant("SEED", "seed"); /* case costs nothing */
    assert_meant("ratte", "rate");
}

static void far_words_are_not(void **state) {
    (void)state;
    assert_meant("momentum", NULL);
    assert_meant("x", NULL);
    assert_meant("", NULL);
    assert_meant("teas", NULL);
    char lengthy[200];
    memset(lengthy, 'e', sizeof lengthy);
    lengthy[sizeof lengthy - 1] = '\0';
    assert_meant(lengthy, NULL);
    assert_null(hn_did_you_mean("lr", NULL, 0));
    assert_null(hn_did_you_mean(NULL, names, NAMES));
}

static void the_nearest_wins(void **state) {
    (void)state;
    static const char *const near[] = {"batches", "batch", "bath"};
    assert_string_equal(hn_did_you_mean("batch", near, 3), "batch");
    assert_string_equal(hn_did_you_mean("baths", near, 3), "bath");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_have_the_documented_exit_codes),
        cmocka_unit_test(fail_writes_status_and_sentence),
        cmocka_unit_test(fail_may_extend_its_own_sentence),
        cmocka_unit_test(fail_cuts_between_characters),
        cmocka_unit_test(near_words_are_found),
        cmocka_unit_test(far_words_are_not),
        cmocka_unit_test(the_nearest_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
