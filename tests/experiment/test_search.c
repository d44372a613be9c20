/* Proposals stay in their ranges, fill them, and are functions of seed and number; halving gives
 * the same winner and the same trials at every rung in whatever order results come. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "experiment/search.h"
#include "support.h"

static hn_error err;

/* ---- Rungs ---- */

static void assert_rungs(int32_t trials, int32_t epochs, int32_t halving, const char *expected) {
    hn_rungs r;
    char text[200] = "";
    hn_rungs_plan(&r, trials, epochs, halving);
    for (int32_t k = 0; k < r.n; k++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%d:%d", k ? " " : "",
                 (int)r.trials[k], (int)r.epochs[k]);
    assert_string_equal(text, expected);
}

static void rungs(void **state) {
    (void)state;
    assert_rungs(8, 4, 2, "8:1 4:2 2:4");
    assert_rungs(8, 12, 2, "8:2 4:3 2:6 1:12");
    assert_rungs(8, 1, 2, "8:1");
    assert_rungs(2, 100, 2, "2:50 1:100");
    assert_rungs(9, 9, 3, "9:1 3:3 1:9");
    assert_rungs(10, 4, 3, "10:2 3:4");
    assert_rungs(3, 7, 5, "3:7");
}

/* ---- Halving ---- */

enum { TRIALS_MAX = 40 };

typedef struct world { /* what each trial would give, were it run */
    hn_rungs rungs;
    int32_t n;
    double values[TRIALS_MAX][HN_RUNGS_MAX];
    int32_t fails_at[TRIALS_MAX]; /* rung; -1: never */
} world;

/* Runs whoever is admitted in an order that `seed` says; true when all was known at the end. */
static bool play(hn_trial *t, const world *w, uint64_t seed) {
    memset(t, 0, TRIALS_MAX * sizeof *t);
    for (uint64_t step = 0;; step++) {
        int32_t open[TRIALS_MAX], n = 0;
        const bool over = hn_trials_advance(t, w->n, &w->rungs);
        for (int32_t i = 0; i < w->n; i++)
            if (!t[i].failed && t[i].admitted > t[i].reached) open[n++] = i;
        if (n == 0) return over;
        assert_false(over);
        const int32_t i = open[hn_random(seed, HN_STREAM_TEST, step) % (uint64_t)n];
        if (w->fails_at[i] == t[i].reached)
            t[i].failed = true;
        else {
            t[i].values[t[i].reached] = w->values[i][t[i].reached];
            t[i].reached++;
        }
    }
}

static void make_world(world *w, uint64_t seed) {
    const int32_t trials = 2 + (int32_t)(hn_random(seed, HN_STREAM_TEST, 0) % 30);
    const int32_t epochs = 1 + (int32_t)(hn_random(seed, HN_STREAM_TEST, 1) % 20);
    const int32_t halving = 2 + (int32_t)(hn_random(seed, HN_STREAM_TEST, 2) % 3);
    hn_rungs_plan(&w->rungs, trials, epochs, halving);
    w->n = trials;
    for (int32_t i = 0; i < trials; i++) {
        w->fails_at[i] = -1;
        for (int32_t r = 0; r < w->rungs.n; r++) {
            const uint64_t c = 100 + (uint64_t)(i * HN_RUNGS_MAX + r);
            /* few values: ties are common */
            w->values[i][r] = (double)(hn_random(seed, HN_STREAM_TEST, c) % 5);
            if (seed % 3 == 0 && hn_random(seed, HN_STREAM_TEST, c + 100000) % 6 == 0)
                w->fails_at[i] = r;
        }
    }
}

/* The slow and obvious one: rung by rung, all of a rung first. */
static int32_t oracle(bool admitted[TRIALS_MAX][HN_RUNGS_MAX], const world *w) {
    int32_t best = -1;
    memset(admitted, 0, TRIALS_MAX * sizeof *admitted);
    for (int32_t i = 0; i < w->n; i++) admitted[i][0] = true;
    for (int32_t r = 0; r + 1 < w->rungs.n; r++)
        for (int32_t place = 0; place < w->rungs.trials[r + 1]; place++) {
            best = -1;
            for (int32_t i = 0; i < w->n; i++)
                if (admitted[i][r] && !admitted[i][r + 1] && w->fails_at[i] != r &&
                    (best < 0 || w->values[i][r] > w->values[best][r]))
                    best = i;
            if (best >= 0) admitted[best][r + 1] = true;
        }
    best = -1;
    const int32_t last = w->rungs.n - 1;
    for (int32_t i = 0; i < w->n; i++)
        if (admitted[i][last] && w->fails_at[i] != last &&
            (best < 0 || w->values[i][last] > w->values[best][last]))
            best = i;
    return best;
}

/* In whatever order results come, and whoever fails: the same trials at every rung. */
static void no_order_changes_the_winner(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        world w;
        hn_trial t[TRIALS_MAX];
        bool admitted[TRIALS_MAX][HN_RUNGS_MAX];
        make_world(&w, seed);
        const int32_t winner = oracle(admitted, &w);
        for (uint64_t order = 0; order < 4; order++) {
            assert_true(play(t, &w, seed * 1000 + order));
            if (winner >= 0) assert_int_equal(hn_trials_best(t, w.n, &w.rungs), winner);
            for (int32_t i = 0; i < w.n; i++)
                for (int32_t r = 0; r < w.rungs.n; r++)
                    assert_true((t[i].admitted > r) == admitted[i][r]);
        }
    }
}

static void all_may_fail(void **state) {
    (void)state;
    world w = {.n = 4};
    hn_trial t[TRIALS_MAX];
    hn_rungs_plan(&w.rungs, 4, 4, 2);
    assert_true(play(t, &w, 1)); /* fails_at 0 each */
    assert_int_equal(hn_trials_best(t, 4, &w.rungs), -1);
}

/* With five of eight known, the best of them is among the best four whatever comes. */
static void who_is_certain_need_not_wait(void **state) {
    (void)state;
    hn_trial t[8] = {0};
    hn_rungs r;
    hn_rungs_plan(&r, 8, 4, 2);
    hn_trials_advance(t, 8, &r);
    for (int32_t i = 0; i < 4; i++) {
        t[i].values[0] = i;
        t[i].reached = 1;
        hn_trials_advance(t, 8, &r);
        for (int32_t k = 0; k < 8; k++) assert_int_equal(t[k].admitted, 1);
    }
    t[4].values[0] = -1;
    t[4].reached = 1;
    assert_false(hn_trials_advance(t, 8, &r));
    assert_int_equal(t[3].admitted, 2);
    assert_int_equal(t[2].admitted, 1);
}

/* ---- Proposals ---- */

static void proposals_are_as_asked(void **state) {
    (void)state;
    char *choices[] = {(char[]){"[8]"}, (char[]){"[16, 8]"}, (char[]){"null"}};
    const hn_experiment_range ranges[] = {
        {.key = (char[]){"a"}, .kind = HN_RANGE_LOG, .log = {true, 1e-4, 1e-1}},
        {.key = (char[]){"b"}, .kind = HN_RANGE_LINEAR, .linear = {true, -1, 3}},
        {.key = (char[]){"c"}, .kind = HN_RANGE_INTEGER, .integer = {true, 2, 5}},
        {.key = (char[]){"d"}, .kind = HN_RANGE_CHOICE, .choice = {choices, 3}},
    };
    const hn_experiment_range *const all[] = {&ranges[0], &ranges[1], &ranges[2], &ranges[3]};
    int low = 0, integers[6] = {0}, drawn[3] = {0}, below = 0;
    hn_arena arena = {0};
    enum { N = 300 };
    for (int32_t t = 1; t <= N; t++) {
        hn_strings one, again;
        assert_ok(hn_search_propose(&one, all, 4, 7, t, &arena, &err));
        assert_ok(hn_search_propose(&again, all, 4, 7, t, &arena, &err));
        assert_int_equal(one.n, 4);
        for (int32_t k = 0; k < 4; k++) assert_string_equal(one.items[k], again.items[k]);
        const double a = atof(one.items[0] + 2), b = atof(one.items[1] + 2);
        assert_true(a >= 1e-4 && a <= 1e-1 && b >= -1 && b <= 3);
        low += a < sqrt(1e-5); /* the middle by logarithm */
        below += b < 1;
        const int c = atoi(one.items[2] + 2);
        assert_in_range(c, 2, 5);
        integers[c]++;
        for (int k = 0; k < 3; k++) drawn[k] += strcmp(one.items[3] + 2, choices[k]) == 0;
    }
    /* Evenly: the sequence has a low discrepancy. */
    assert_true(abs(low - N / 2) <= 6 && abs(below - N / 2) <= 6);
    for (int k = 2; k <= 5; k++) assert_true(abs(integers[k] - N / 4) <= 6);
    for (int k = 0; k < 3; k++) assert_true(abs(drawn[k] - N / 3) <= 6);
    assert_int_equal(drawn[0] + drawn[1] + drawn[2], N);
    hn_arena_free(&arena);
}

static void another_seed_proposes_others(void **state) {
    (void)state;
    const hn_experiment_range range = {
        .key = (char[]){"a"}, .kind = HN_RANGE_LINEAR, .linear = {true, 0, 1}};
    const hn_experiment_range *const all[] = {&range};
    hn_arena arena = {0};
    hn_strings one, other, next;
    assert_ok(hn_search_propose(&one, all, 1, 1, 1, &arena, &err));
    assert_ok(hn_search_propose(&other, all, 1, 2, 1, &arena, &err));
    assert_ok(hn_search_propose(&next, all, 1, 1, 2, &arena, &err));
    assert_string_not_equal(one.items[0], other.items[0]);
    assert_string_not_equal(one.items[0], next.items[0]);
    hn_arena_free(&arena);
}

/* A narrow range has more than three digits; a wide one keeps its proposals. */
static void narrow_ranges_are_ranges(void **state) {
    (void)state;
    const hn_experiment_range narrow = {.key = (char[]){"a"},
                                        .kind = HN_RANGE_LINEAR,
                                        .linear = {true, 0.998, 0.9999}},
                              wide = {.key = (char[]){"a"},
                                      .kind = HN_RANGE_LINEAR,
                                      .linear = {true, 0, 1}};
    const hn_experiment_range *const narrows[] = {&narrow}, *const wides[] = {&wide};
    hn_arena arena = {0};
    hn_strings before = {0}, now;
    for (int32_t t = 1; t <= 20; t++) {
        assert_ok(hn_search_propose(&now, narrows, 1, 1, t, &arena, &err));
        const double x = atof(now.items[0] + 2);
        assert_true(x >= 0.998 && x <= 0.9999);
        if (t > 1) assert_string_not_equal(now.items[0], before.items[0]);
        before = now;
        assert_ok(hn_search_propose(&now, wides, 1, 1, t, &arena, &err));
        assert_true(strlen(now.items[0]) <= strlen("a=0.00123"));
    }
    hn_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rungs),
        cmocka_unit_test(no_order_changes_the_winner),
        cmocka_unit_test(all_may_fail),
        cmocka_unit_test(who_is_certain_need_not_wait),
        cmocka_unit_test(proposals_are_as_asked),
        cmocka_unit_test(another_seed_proposes_others),
        cmocka_unit_test(narrow_ranges_are_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
