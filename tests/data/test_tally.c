/* The tally against a plain array of all keys, with budgets that spill and that do not;
 * vocabularies chosen from one; scales and quantiles against sorted values. */
#include "data/tally.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/digest.h"
#include "data/scale.h"
#include "data/tally_sort.h"
#include "data/vocabulary.h"
#include "support.h"

/* ---- Tallies --------------------------------------------------------------------- */

enum { KEYS = 60000, SUBS = 2, ADDS = 400000 };

typedef struct known {
    uint64_t first, counts[2];
} known;

static uint64_t draw(uint64_t i, uint64_t n) { return hn_random(8, HN_STREAM_TEST, i) % n; }

static void fill(hn_tally *tally, known *all) {
    hn_error err = {0};
    for (uint64_t i = 0; i < ADDS; i++) {
        const uint64_t key = draw(2 * i, KEYS) * draw(2 * i, KEYS) / KEYS,
                       sub = draw(2 * i + 1, SUBS);
        uint64_t *counts;
        assert_ok(hn_tally_at(&counts, tally, key, sub, ADDS - i, &err));
        counts[0] += 1, counts[1] += i;
        known *const k = &all[key * SUBS + sub];
        k->first = ADDS - i; /* positions fall, so the last is the least */
        k->counts[0] += 1, k->counts[1] += i;
    }
}

static void check_sorted(hn_tally *tally, const known *all) {
    hn_error err = {0};
    assert_ok(hn_tally_finish(tally, true, &err));
    for (uint64_t i = 0; i < (uint64_t)KEYS * SUBS; i++) {
        if (all[i].counts[0] == 0) continue;
        const hn_tally_entry *entry;
        assert_ok(hn_tally_next(&entry, tally, &err));
        assert_non_null(entry);
        assert_int_equal(entry->key, i / SUBS);
        assert_int_equal(entry->sub, i % SUBS);
        assert_int_equal(entry->first, all[i].first);
        assert_memory_equal(entry->counts, all[i].counts, sizeof all[i].counts);
    }
    const hn_tally_entry *entry;
    assert_ok(hn_tally_next(&entry, tally, &err));
    assert_null(entry);
}

static void counts_are_right_within_any_budget(void **state) {
    (void)state;
    const int64_t budgets[] = {0, 5 << 20, 1 << 30};
    for (size_t b = 0; b < sizeof budgets / sizeof *budgets; b++) {
        known *const all = calloc((size_t)KEYS * SUBS, sizeof *all);
        hn_error err = {0};
        hn_tally *tally;
        const int64_t before = hn_memory_held();
        assert_ok(hn_tally_create(&tally, 2, budgets[b], "/tmp", &err));
        fill(tally, all);
        if (budgets[b] < 1 << 30)
            assert_true(hn_memory_held() - before <=
                        (budgets[b] > HN_TALLY_LEAST ? budgets[b] : HN_TALLY_LEAST));
        check_sorted(tally, all);
        check_sorted(tally, all); /* once more */
        uint64_t *counts;
        assert_fails(HN_FAILED, "after its end",
                     hn_tally_at(&counts, tally, UINT64_MAX, 0, 0, &err));
        hn_tally_free(tally);
        free(all);
    }
    assert_int_equal(hn_memory_held(), 0);
}

static void a_batch_is_the_same_as_one_by_one(void **state) {
    (void)state;
    hn_tally *one, *many;
    hn_error err = {0};
    assert_ok(hn_tally_create(&one, 1, 1 << 30, "/tmp", &err));
    assert_ok(hn_tally_create(&many, 1, 1 << 30, "/tmp", &err));
    for (uint64_t i = 0; i < 3000; i++) {
        uint64_t keys[HN_TALLY_BATCH], positions[HN_TALLY_BATCH], *counts;
        const int32_t n = (int32_t)(i % (HN_TALLY_BATCH + 1));
        for (int32_t k = 0; k < n; k++) {
            keys[k] = draw(i * 64 + (uint64_t)k, 40000);
            positions[k] = i;
            assert_ok(hn_tally_at(&counts, one, keys[k], 0, i, &err));
            ++*counts;
        }
        assert_ok(hn_tally_add_many(many, keys, positions, n, &err));
    }
    assert_ok(hn_tally_finish(one, true, &err));
    assert_ok(hn_tally_finish(many, true, &err));
    for (const hn_tally_entry *a, *b;;) {
        assert_ok(hn_tally_next(&a, one, &err));
        assert_ok(hn_tally_next(&b, many, &err));
        assert_int_equal(!a, !b);
        if (!a) break;
        assert_memory_equal(a, b, 4 * 8);
    }
    hn_tally_free(one);
    hn_tally_free(many);
}

static int compare_words(const void *a, const void *b) {
    const uint64_t *const x = a, *const y = b;
    for (int i = 0; i < 2; i++)
        if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    return 0;
}

/* Keys that differ in any byte, of hashes and of small numbers, against qsort. */
static void entries_are_sorted_in_place(void **state) {
    (void)state;
    for (uint64_t trial = 0; trial < 40; trial++) {
        enum { N_MAX = 3000, WORDS = 4 };
        const size_t n = draw(trial, N_MAX);
        uint64_t *const a = calloc(N_MAX * WORDS, 8), *const b = calloc(N_MAX * WORDS, 8);
        for (size_t i = 0; i < n; i++) {
            a[i * WORDS] = hn_random(trial, HN_STREAM_TEST, i) >> trial % 64;
            a[i * WORDS + 1] = i << trial % 50;
            a[i * WORDS + 3] = a[i * WORDS] ^ a[i * WORDS + 1];
        }
        memcpy(b, a, n * WORDS * 8);
        hn_tally_sort(a, n, WORDS);
        qsort(b, n, WORDS * 8, compare_words);
        assert_memory_equal(a, b, n * WORDS * 8);
        free(a), free(b);
    }
}

static hn_status tally_once(void *user, hn_error *err) {
    hn_tally *tally;
    hn_status status = hn_tally_create(&tally, 1, 0, "/tmp", err);
    if (status != HN_OK) return status;
    for (uint64_t i = 0; i < *(uint64_t *)user && status == HN_OK; i++) {
        uint64_t *counts;
        status = hn_tally_at(&counts, tally, i, 0, i, err);
    }
    if (status == HN_OK) status = hn_tally_finish(tally, true, err);
    const hn_tally_entry *entry = NULL;
    if (status == HN_OK) status = hn_tally_next(&entry, tally, err);
    hn_tally_free(tally);
    return status;
}

static void every_failure_is_reported(void **state) {
    (void)state;
    uint64_t few = 1000, many = 60000; /* many spill */
    assert_true(support_fail_each(HN_FAULT_ALLOC, tally_once, &few) > 5);
    assert_true(support_fail_each(HN_FAULT_ALLOC, tally_once, &many) > 10);
    assert_true(support_fail_each(HN_FAULT_WRITE, tally_once, &many) > 0);
    assert_true(support_fail_each(HN_FAULT_READ, tally_once, &many) > 0);
}

/* ---- Vocabularies ---------------------------------------------------------------- */

/* Value v is added v+1 times, first at position 1000 - v: the commonest appears first. */
static hn_tally *values(int32_t n, int64_t budget) {
    hn_tally *tally;
    hn_error err = {0};
    assert_ok(hn_tally_create(&tally, 1, budget, "/tmp", &err));
    for (int32_t v = 0; v < n; v++)
        for (int32_t i = 0; i <= v; i++) {
            uint64_t *counts;
            assert_ok(hn_tally_at(&counts, tally, 5000 + (uint64_t)v, 0,
                                  1000 - (uint64_t)v + (uint64_t)i, &err));
            ++*counts;
        }
    return tally;
}

static hn_vocabulary fitted(const hn_vocabulary_rule *rule, int32_t n) {
    hn_vocabulary vocabulary;
    hn_error err = {0};
    hn_tally *const tally = values(n, 1 << 30);
    assert_ok(hn_vocabulary_fit(&vocabulary, tally, rule, NULL, &err));
    hn_tally_free(tally);
    return vocabulary;
}

static void ids_follow_first_appearance(void **state) {
    (void)state;
    hn_vocabulary v = fitted(&(hn_vocabulary_rule){.name = "f", .min_count = 3}, 10);
    assert_int_equal(v.size, 8); /* values 2…9 */
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(hn_vocabulary_find(&v, 5009 - i), HN_ID_FIRST + i);
    assert_int_equal(hn_vocabulary_find(&v, 5001), HN_ID_UNSEEN);
    hn_vocabulary_free(&v);
}

static void the_most_frequent_are_kept(void **state) {
    (void)state;
    hn_vocabulary v = fitted(&(hn_vocabulary_rule){.name = "f", .min_count = 1, .max_size = 3}, 60);
    assert_int_equal(v.size, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(hn_vocabulary_find(&v, 5059 - i), HN_ID_FIRST + i);
    hn_vocabulary_free(&v);
}

static void old_values_keep_their_ids(void **state) {
    (void)state;
    const uint64_t old[] = {7, 5003, 9};
    hn_vocabulary v =
        fitted(&(hn_vocabulary_rule){.name = "f", .old = old, .n_old = 3, .min_count = 1}, 6);
    assert_int_equal(v.size, 8);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(hn_vocabulary_find(&v, old[i]), HN_ID_FIRST + i);
    const uint64_t fresh[] = {5005, 5004, 5002, 5001, 5000};
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(hn_vocabulary_find(&v, fresh[i]), HN_ID_FIRST + 3 + i);
    hn_vocabulary_free(&v);
    /* max_size counts the old ones, none of which ever goes */
    v = fitted(
        &(hn_vocabulary_rule){.name = "f", .old = old, .n_old = 3, .min_count = 1, .max_size = 4},
        6);
    assert_int_equal(v.size, 4);
    assert_int_equal(hn_vocabulary_find(&v, 5005), HN_ID_FIRST + 3);
    hn_vocabulary_free(&v);
    v = fitted(
        &(hn_vocabulary_rule){.name = "f", .old = old, .n_old = 3, .min_count = 1, .max_size = 2},
        6);
    assert_int_equal(v.size, 3);
    hn_vocabulary_free(&v);
}

static void a_small_budget_gives_the_same_ids(void **state) {
    (void)state;
    hn_vocabulary v[2];
    hn_error err = {0};
    for (int small = 0; small < 2; small++) {
        hn_tally *tally;
        assert_ok(hn_tally_create(&tally, 1, small ? 0 : 1 << 30, "/tmp", &err));
        for (uint64_t i = 0; i < 200000; i++) {
            const uint64_t key = 1 + draw(i, 70000), position = i;
            assert_ok(hn_tally_add_many(tally, &key, &position, 1, &err));
        }
        const hn_vocabulary_rule rule = {.name = "f", .min_count = 2, .max_size = 20000};
        assert_ok(hn_vocabulary_fit(&v[small], tally, &rule, NULL, &err));
        hn_tally_free(tally);
    }
    assert_int_equal(v[0].size, 20000);
    assert_int_equal(v[1].size, 20000);
    assert_memory_equal(v[0].hashes, v[1].hashes, 20000 * 8);
    hn_vocabulary_free(&v[0]);
    hn_vocabulary_free(&v[1]);
}

static void wrong_hashes_are_refused(void **state) {
    (void)state;
    hn_vocabulary v;
    hn_error err = {0};
    const uint64_t twice[] = {3, 4, 3}, missing[] = {3, HN_HASH_MISSING};
    assert_fails(HN_BAD_DATA, "values 2 and 4 are the same",
                 hn_vocabulary_build(&v, twice, 3, "f", &err));
    assert_fails(HN_BAD_DATA, "hash of a missing cell",
                 hn_vocabulary_build(&v, missing, 2, "f", &err));
    assert_null(v.keys);
    assert_ok(hn_vocabulary_build(&v, NULL, 0, "f", &err));
    assert_int_equal(hn_vocabulary_find(&v, 3), HN_ID_UNSEEN);
    hn_run tight = {.memory_bytes = 1};
    hn_tally *const tally = values(5, 0);
    const hn_vocabulary_rule rule = {.name = "f", .min_count = 1};
    assert_fails(HN_NO_MEMORY, "the vocabulary of feature \"f\" needs",
                 hn_vocabulary_fit(&v, tally, &rule, &tight, &err));
    hn_tally_free(tally);
    assert_int_equal(hn_memory_held(), 0);
}

/* ---- Scales ---------------------------------------------------------------------- */

static void moments_lose_nothing(void **state) {
    (void)state;
    hn_moments m = {0};
    long double sum = 0, squares = 0, weight = 0;
    for (uint64_t i = 0; i < 20000; i++) { /* a large mean, a small spread */
        const double x = 1e9 + hn_random_normal(1, HN_STREAM_TEST, i), w = (double)(1 + i % 5);
        hn_moments_add(&m, x, w);
        sum += (long double)x * w, weight += w;
    }
    hn_moments_add(&m, NAN, 1);
    hn_moments_add(&m, 5, 0);
    const long double mean = sum / weight;
    for (uint64_t i = 0; i < 20000; i++) {
        const long double d = 1e9 + hn_random_normal(1, HN_STREAM_TEST, i) - mean;
        squares += d * d * (1 + i % 5);
    }
    assert_true(fabsl(hn_moments_mean(&m) - mean) < 2e-7L);
    assert_true(fabsl(hn_moments_deviation(&m) / sqrtl(squares / weight) - 1) < 1e-12L);
    hn_moments same = {0};
    for (int i = 0; i < 7; i++) hn_moments_add(&same, 0.1, 1);
    assert_true(hn_moments_deviation(&same) == 0 && hn_moments_mean(&same) == 0.1);
    assert_true(hn_moments_deviation(&(hn_moments){0}) == 0);
}

static void values_are_scaled_as_documented(void **state) {
    (void)state;
    hn_scale scale = {.how = HN_SCALE_NONE, .mean = 2, .deviation = 4};
    assert_true(hn_scale_value(&scale, 7.5) == 7.5f);
    assert_true(isfinite(hn_scale_value(&scale, 1e300)) && hn_scale_value(&scale, -1e300) < -1e38f);
    assert_true(hn_scale_value(&scale, NAN) == 0);
    scale.how = HN_SCALE_LOG1P;
    assert_true(hn_scale_value(&scale, 9) == (float)log1p(9));
    assert_true(hn_scale_value(&scale, -9) == -(float)log1p(9));
    scale.how = HN_SCALE_ZSCORE;
    assert_true(hn_scale_value(&scale, 8) == 1.5f);
    scale.how = HN_SCALE_LOG1P_ZSCORE;
    assert_true(hn_scale_value(&scale, 9) == (float)((log1p(9) - 2) / 4));
    scale.deviation = 0;
    assert_true(hn_scale_value(&scale, 9) == 0);
}

static void order_of_numbers_is_kept_by_bits(void **state) {
    (void)state;
    const double x[] = {-INFINITY, -1e300, -2, -1e-310, 0, 5e-324, 1, 1.5, 1e300, INFINITY};
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) {
        assert_true(hn_number_of_order(hn_number_order(x[i])) == x[i]);
        if (i > 0) assert_true(hn_number_order(x[i - 1]) < hn_number_order(x[i]));
    }
    assert_true(hn_number_order(-0.0) == hn_number_order(0.0));
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Cuts from sorted values, one by one: quantiles, each once, never the least value. */
static int32_t cuts_by_hand(double *cuts, const double *sorted, int32_t n, int32_t buckets) {
    int32_t distinct = n > 0, found = 0;
    for (int32_t i = 1; i < n; i++) distinct += sorted[i] != sorted[i - 1];
    for (int32_t i = 1; i < n; i++) {
        bool cut = distinct <= buckets;
        for (int32_t j = 1; j < buckets; j++)
            cut = cut || sorted[i] == sorted[(int64_t)j * n / buckets];
        if (cut && sorted[i] != sorted[0] && (found == 0 || cuts[found - 1] != sorted[i]))
            cuts[found++] = sorted[i];
    }
    return found;
}

static void quantiles_are_those_of_sorted_values(void **state) {
    (void)state;
    for (uint64_t trial = 0; trial < 60; trial++) {
        const int32_t n = (int32_t)draw(trial * 1000, 300),
                      buckets = 2 + (int32_t)draw(trial * 1000 + 1, 20);
        double x[300], cuts[300];
        hn_tally *tally;
        hn_scale scale = {.how = HN_SCALE_BUCKETS};
        hn_error err = {0};
        assert_ok(hn_tally_create(&tally, 1, 0, "/tmp", &err));
        for (int32_t i = 0; i < n; i++) {
            uint64_t *counts;
            const uint64_t kinds = 1 + trial % 3 * 40; /* few and many different ones, some heavy */
            x[i] = (double)(draw(trial * 1000 + 2 + (uint64_t)i, kinds) *
                            draw(trial * 1000 + (uint64_t)i, kinds)) /
                       8 -
                   3;
            assert_ok(hn_tally_at(&counts, tally, hn_number_order(x[i]), 0, 0, &err));
            ++*counts;
        }
        qsort(x, (size_t)n, sizeof *x, compare_doubles);
        assert_ok(hn_scale_fit_cuts(&scale, tally, buckets, &err));
        const int32_t expected = cuts_by_hand(cuts, x, n, buckets);
        assert_int_equal(scale.n_cuts, expected);
        if (expected > 0) assert_memory_equal(scale.cuts, cuts, (size_t)expected * sizeof *cuts);
        /* No bucket is empty: each training value's bucket counts the cuts up to it. */
        uint32_t seen = 0;
        for (int32_t i = 0; i < n; i++) {
            const uint32_t id = hn_scale_bucket(&scale, x[i]);
            assert_true(id == HN_ID_FIRST + seen || id == HN_ID_FIRST + seen + 1);
            seen = id - HN_ID_FIRST;
        }
        assert_int_equal(seen, scale.n_cuts);
        assert_int_equal(hn_scale_bucket(&scale, NAN), HN_ID_MISSING);
        hn_scale_free(&scale);
        hn_tally_free(tally);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_right_within_any_budget),
        cmocka_unit_test(a_batch_is_the_same_as_one_by_one),
        cmocka_unit_test(entries_are_sorted_in_place),
        cmocka_unit_test(every_failure_is_reported),
        cmocka_unit_test(ids_follow_first_appearance),
        cmocka_unit_test(the_most_frequent_are_kept),
        cmocka_unit_test(old_values_keep_their_ids),
        cmocka_unit_test(a_small_budget_gives_the_same_ids),
        cmocka_unit_test(wrong_hashes_are_refused),
        cmocka_unit_test(moments_lose_nothing),
        cmocka_unit_test(values_are_scaled_as_documented),
        cmocka_unit_test(order_of_numbers_is_kept_by_bits),
        cmocka_unit_test(quantiles_are_those_of_sorted_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
