/* The choice among row counts, on invented findings of other CPUs than this one. */
#include "kernel/counts.h"
#include "support.h"

enum { TILE = HN_TILE_ROWS, GOOD = 5, OTHER = 6 };

typedef struct choice {
    uint8_t padded[TILE + 1];
    uint64_t bits;
    bool found;
} choice;

static choice choose(const hn_count *counts, int32_t n, uint64_t preferred) {
    choice c = {.padded = {1, 1, 1}};
    c.found = hn_counts_choose(counts, n, preferred, c.padded, &c.bits);
    if (!c.found) {
        for (int32_t m = 0; m <= TILE; m++) assert_int_equal(c.padded[m], 0);
    }
    return c;
}
#define CHOOSE(preferred, ...)              \
    choose((const hn_count[]){__VA_ARGS__}, \
           sizeof((const hn_count[]){__VA_ARGS__}) / sizeof(hn_count), preferred)

static void test_smallest_count_that_holds_m(void **state) {
    (void)state;
    const choice c = CHOOSE(GOOD, {8, true, GOOD}, {64, true, GOOD}, {128, true, GOOD});
    assert_true(c.found && c.bits == GOOD);
    assert_int_equal(c.padded[1], 8);
    assert_int_equal(c.padded[8], 8);
    assert_int_equal(c.padded[9], 64);
    assert_int_equal(c.padded[64], 64);
    assert_int_equal(c.padded[65], 128);
    assert_int_equal(c.padded[128], 128);
}

static void test_unsteady_counts_and_other_bits_are_left_out(void **state) {
    (void)state;
    const choice c = CHOOSE(GOOD, {8, false, GOOD}, {16, true, OTHER}, {32, true, GOOD},
                            {64, false, GOOD}, {72, true, GOOD}, {128, true, GOOD});
    assert_true(c.found && c.bits == GOOD);
    assert_int_equal(c.padded[1], 32);
    assert_int_equal(c.padded[33], 72);
    assert_int_equal(c.padded[72], 72);
    assert_int_equal(c.padded[73], 128);
}

static void test_preferred_bits_win_where_they_reach(void **state) {
    (void)state;
    const choice dear = CHOOSE(OTHER, {4, true, GOOD}, {64, true, OTHER}, {65, true, GOOD},
                               {128, true, OTHER}, {129, true, GOOD});
    assert_true(dear.found && dear.bits == OTHER && dear.padded[1] == 64);
    const choice absent = CHOOSE(7, {4, true, GOOD}, {64, true, OTHER}, {65, true, GOOD},
                                 {128, true, OTHER}, {129, true, GOOD});
    assert_true(absent.found && absent.bits == GOOD && absent.padded[1] == 4 &&
                absent.padded[128] == 129);
    const choice short_of_a_tile =
        CHOOSE(OTHER, {60, true, GOOD}, {64, true, OTHER}, {128, true, GOOD});
    assert_false(short_of_a_tile.found); /* GOOD: 61 … 63 are too far from 128 */
}

static void test_slack_is_a_limit(void **state) {
    (void)state;
    assert_false(CHOOSE(GOOD, {128, true, GOOD}).found); /* 1 is 127 rows away */
    assert_true(CHOOSE(GOOD, {1 + HN_TILE_SLACK, true, GOOD}, {130, true, GOOD}).found);
    assert_false(CHOOSE(GOOD, {2 + HN_TILE_SLACK, true, GOOD}, {130, true, GOOD}).found);
    assert_true(CHOOSE(GOOD, {64, true, GOOD}, {128, true, GOOD}).found);
    assert_true(CHOOSE(GOOD, {64, true, GOOD}, {129, true, GOOD}).found);
    assert_false(CHOOSE(GOOD, {64, true, GOOD}, {130, true, GOOD}).found);
}

static void test_nothing_will_do(void **state) {
    (void)state;
    assert_false(choose(NULL, 0, GOOD).found);
    assert_false(CHOOSE(GOOD, {64, true, GOOD}, {127, true, GOOD}).found);
    assert_false(CHOOSE(GOOD, {64, false, GOOD}, {128, false, GOOD}).found);
    assert_false(CHOOSE(GOOD, {64, true, GOOD}, {128, true, OTHER}).found);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smallest_count_that_holds_m),
        cmocka_unit_test(test_unsteady_counts_and_other_bits_are_left_out),
        cmocka_unit_test(test_preferred_bits_win_where_they_reach),
        cmocka_unit_test(test_slack_is_a_limit),
        cmocka_unit_test(test_nothing_will_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
