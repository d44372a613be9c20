/* Assignment: the published vectors, uniformity and independence of the hash, exact shares, and
 * that the ramps that docs/experiments.md calls clean are, over a grid of all shares. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "online/assign.h"
#include "online/stats.h"
#include "support.h"

static hn_error err;

/* ---- The hash ------------------------------------------------------------------------------ */

/* What stands between the backquotes of a table's cell; moves *p behind the cell. */
static bool take_cell(char *out, size_t n, const char **p) {
    const char *const end = strchr(*p + 1, '|');
    if (end == NULL) return false;
    const char *from = *p + 1, *to = end;
    while (from < to && (*from == ' ' || *from == '`')) from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '`')) to--;
    snprintf(out, n, "%.*s", (int)(to - from), from);
    *p = end;
    return true;
}

static void the_published_vectors_hold(void **state) {
    (void)state;
    char *text = NULL, salt[80], unit[80], hash[80], bucket[80];
    size_t n = 0;
    int rows = 0;
    assert_ok(hn_file_read(&text, &n, HN_SOURCE_DIR "/docs/experiments.md", &err));
    const char *line = strstr(text, "| salt | user |");
    assert_non_null(line);
    line = strchr(strchr(line, '\n') + 1, '\n') + 1;
    for (; *line == '|'; line = strchr(line, '\n') + 1, rows++) {
        const char *p = line;
        assert_true(take_cell(salt, sizeof salt, &p) && take_cell(unit, sizeof unit, &p) &&
                    take_cell(hash, sizeof hash, &p) && take_cell(bucket, sizeof bucket, &p));
        assert_int_equal(hn_assign_bucket(salt, unit, strlen(unit)), atoi(bucket));
        assert_int_equal(strtoull(hash, NULL, 16) % HN_BUCKETS, atoi(bucket));
    }
    assert_true(rows >= 6);
    hn_free(text);
}

static void the_zero_byte_parts_salt_and_unit(void **state) {
    (void)state;
    assert_int_equal(hn_assign_bucket("r", "anking\0u1", 9), 6340);
    assert_int_equal(hn_assign_bucket("ranking", "u1", 2), 2753);
    char long_unit[300];
    for (size_t i = 0; i < sizeof long_unit; i++) long_unit[i] = (char)('0' + i % 10);
    assert_int_equal(hn_assign_bucket("ranking-2024", long_unit, sizeof long_unit), 5542);
}

enum { UNITS = 1000000, CUTS = 20 };

/* The upper tail of chi-square of counts with equal expectations. */
static double chi_square_p(const int32_t *counts, int32_t n, double expected, double df) {
    double sum = 0;
    for (int32_t k = 0; k < n; k++) {
        const double d = counts[k] - expected;
        sum += d * d / expected;
    }
    return hn_chi_square_above(sum, df);
}

static void buckets_are_uniform(void **state) {
    (void)state;
    static const char *const salts[] = {"ranking", "1", "2"};
    int32_t *const counts = test_calloc(HN_BUCKETS, sizeof *counts);
    for (size_t s = 0; s < 3; s++) {
        memset(counts, 0, HN_BUCKETS * sizeof *counts);
        for (int32_t i = 0; i < UNITS; i++) {
            char unit[16];
            const int n = snprintf(unit, sizeof unit, "%d", i);
            counts[hn_assign_bucket(salts[s], unit, (size_t)n)]++;
        }
        const double p =
            chi_square_p(counts, HN_BUCKETS, (double)UNITS / HN_BUCKETS, HN_BUCKETS - 1);
        if (!(p > 1e-4 && p < 1 - 1e-4)) fail_msg("salt %s: chi-square has p %g", salts[s], p);
    }
    test_free(counts);
}

static void layers_are_independent(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"ranking", "fusion"}, {"layer1", "layer2"}, {"a", "aa"}, {"x", "x "}};
    for (size_t s = 0; s < sizeof pairs / sizeof *pairs; s++) {
        int32_t counts[CUTS * CUTS] = {0};
        for (int32_t i = 0; i < UNITS / 2; i++) {
            char unit[16];
            const size_t n = (size_t)snprintf(unit, sizeof unit, "user-%d", i);
            const int32_t a = hn_assign_bucket(pairs[s][0], unit, n) * CUTS / HN_BUCKETS;
            const int32_t b = hn_assign_bucket(pairs[s][1], unit, n) * CUTS / HN_BUCKETS;
            counts[a * CUTS + b]++;
        }
        /* Both margins are known, so all cells but one are free. */
        const double p =
            chi_square_p(counts, CUTS * CUTS, UNITS / 2.0 / (CUTS * CUTS), CUTS * CUTS - 1);
        if (!(p > 1e-4 && p < 1 - 1e-4))
            fail_msg("salts %s and %s: chi-square has p %g", pairs[s][0], pairs[s][1], p);
    }
}

/* ---- Arms ---------------------------------------------------------------------------------- */

typedef int8_t owners[HN_BUCKETS];

static void fill(owners out, const int32_t *shares, int32_t arms, int32_t holdout) {
    for (int32_t b = 0; b < HN_BUCKETS; b++)
        out[b] = (int8_t)hn_assign_arm(b, shares, arms, holdout);
}

static void assert_exact(const owners of, const int32_t *shares, int32_t arms, int32_t holdout) {
    int32_t counts[16] = {0}, none = 0;
    for (int32_t b = 0; b < HN_BUCKETS; b++) {
        assert_in_range(of[b] + 1, 0, arms);
        if (of[b] < 0)
            none++;
        else
            counts[of[b]]++;
        if (b >= HN_BUCKETS - holdout) assert_int_equal(of[b], HN_ARM_NONE);
    }
    for (int32_t k = 0; k < arms; k++) {
        assert_int_equal(counts[k], shares[k]);
        none += shares[k];
    }
    assert_int_equal(none, HN_BUCKETS);
}

/* docs/experiments.md, "Ramps", in its own words: whether raising arm k to `to` is clean. */
static bool is_clean(const int32_t *to, int32_t arms, int32_t holdout, int32_t k) {
    const int64_t b = HN_BUCKETS - holdout;
    if (arms <= 2) return true;
    for (int32_t i = 0; i < arms; i += 2) {
        const int32_t j = i + 2 < arms ? i + 2 : arms;
        const int64_t size = b * j / arms - b * i / arms;
        const int64_t first = to[i], second = j == i + 2 ? to[i + 1] : 0;
        if (k != i && k != i + 1 && first + second > size) return false;
        if (k == i && second > size / 2 && first + second > size) return false;
        if (k == i + 1 && first > size / 2 && first + second > size) return false;
    }
    return true;
}

/* Users that arm k lost, or that any other arm lost or got. */
static int32_t moved(const owners from, const owners to, int32_t k) {
    int32_t n = 0;
    for (int32_t b = 0; b < HN_BUCKETS; b++)
        n += from[b] != to[b] && !(from[b] == HN_ARM_NONE && to[b] == k);
    return n;
}

enum { STEPS_MAX = 32 };
typedef struct grid {
    int32_t arms, holdout, n_steps, steps[STEPS_MAX];
    int64_t clean, unclean, points;
} grid;

/* From one point of the grid, every raise of every arm. */
static void raise_all(grid *g, int32_t *shares, int32_t sum) {
    static owners from, to;
    fill(from, shares, g->arms, g->holdout);
    assert_exact(from, shares, g->arms, g->holdout);
    g->points++;
    for (int32_t k = 0; k < g->arms; k++) {
        const int32_t before = shares[k];
        for (int32_t s = 0; s < g->n_steps; s++) {
            shares[k] = g->steps[s];
            if (shares[k] <= before || sum - before + shares[k] > HN_BUCKETS - g->holdout) continue;
            fill(to, shares, g->arms, g->holdout);
            const int32_t n = moved(from, to, k);
            if (is_clean(shares, g->arms, g->holdout, k)) {
                if (n != 0)
                    fail_msg("%d arms: raising arm %d from %d to %d moves %d buckets", g->arms, k,
                             before, shares[k], n);
                g->clean++;
            } else
                g->unclean += n > 0;
        }
        shares[k] = before;
    }
}

static void walk(grid *g, int32_t *shares, int32_t k, int32_t sum) {
    if (k == g->arms) {
        raise_all(g, shares, sum);
        return;
    }
    for (int32_t s = 0; s < g->n_steps; s++) {
        shares[k] = g->steps[s];
        if (sum + shares[k] <= HN_BUCKETS - g->holdout) walk(g, shares, k + 1, sum + shares[k]);
    }
}

static void ramps(int32_t arms, int32_t holdout, const int32_t *steps, int32_t n) {
    int32_t shares[8] = {0};
    grid g = {.arms = arms, .holdout = holdout, .n_steps = n};
    memcpy(g.steps, steps, (size_t)n * sizeof *steps);
    walk(&g, shares, 0, 0);
    print_message("%d arms, hold-out %d: %d points, %d clean raises, %d that move users\n", arms,
                  holdout, (int)g.points, (int)g.clean, (int)g.unclean);
    assert_true(g.clean > 0);
    /* The proof says that there must be some; were there none, this test would look past them. */
    assert_true(arms <= 2 ? g.unclean == 0 : g.unclean > 0);
}

static void clean_ramps_only_add_users(void **state) {
    (void)state;
    static const int32_t fine[] = {0,    1,    500,  2500, 4749, 4750, 4751, 4999,
                                   5000, 5001, 8000, 9499, 9500, 9999, 10000};
    static const int32_t coarse[] = {0, 1, 2500, 3333, 3334, 5000, 6667, 9998};
    static const int32_t rough[] = {0, 1, 1667, 2501, 5000, 7000};
    ramps(1, 0, fine, 15);
    ramps(2, 0, fine, 15);
    ramps(2, 500, fine, 15);
    ramps(3, 0, coarse, 8);
    ramps(3, 777, rough + 1, 5);
    ramps(4, 0, rough, 5);
    ramps(5, 0, rough + 1, 3);
}

static void the_documented_example_holds(void **state) {
    (void)state;
    static owners from, to;
    for (int32_t k = 0; k < 3; k++) {
        int32_t shares[] = {1000, 1000, 1000};
        fill(from, shares, 3, 0);
        shares[k] = 8000;
        fill(to, shares, 3, 0);
        assert_int_equal(moved(from, to, k), 0);
    }
}

static void edges(void **state) {
    (void)state;
    const int32_t all = HN_BUCKETS, none = 0;
    int32_t many[32];
    assert_int_equal(hn_assign_arm(0, NULL, 0, 0), HN_ARM_NONE);
    for (int32_t b = 0; b < HN_BUCKETS; b++) {
        assert_int_equal(hn_assign_arm(b, &all, 1, 0), 0);
        assert_int_equal(hn_assign_arm(b, &none, 1, 0), HN_ARM_NONE);
        assert_int_equal(hn_assign_arm(b, &none, 1, HN_BUCKETS), HN_ARM_NONE);
    }
    for (int32_t k = 0; k < 32; k++) many[k] = k == 7 ? 5000 : k == 31 ? 4000 : 30;
    int32_t counts[33] = {0};
    for (int32_t b = 0; b < HN_BUCKETS; b++) counts[hn_assign_arm(b, many, 32, 100) + 1]++;
    for (int32_t k = 0; k < 32; k++) assert_int_equal(counts[k + 1], many[k]);
    assert_int_equal(counts[0], 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vectors_hold),
        cmocka_unit_test(the_zero_byte_parts_salt_and_unit),
        cmocka_unit_test(buckets_are_uniform),
        cmocka_unit_test(layers_are_independent),
        cmocka_unit_test(clean_ramps_only_add_users),
        cmocka_unit_test(the_documented_example_holds),
        cmocka_unit_test(edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
