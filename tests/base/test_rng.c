/* Randomness: the same values for ever, and values that look random. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "support.h"

enum { N = 200000 };

/* Frozen: bundles are bytes of a seed. A change here is a change of every result. */
static void values_are_frozen(void **state) {
    (void)state;
    assert_int_equal(hn_mix64(0), UINT64_C(0xe220a8397b1dcdaf)); /* splitmix64's first, seed 0 */
    assert_int_equal(hn_mix64(UINT64_C(0x9e3779b97f4a7c15)),
                     UINT64_C(0x6e789e6aa1b965f4)); /* its second */
    uint32_t p[8];
    hn_random_permutation(p, 8, 1, HN_STREAM_TEST, 0);
    uint64_t seen = 0;
    for (int i = 0; i < 8; i++) seen |= UINT64_C(1) << p[i];
    assert_int_equal(seen, 0xff);
}

static void arguments_all_matter(void **state) {
    (void)state;
    const uint64_t base = hn_random(1, 2, 3);
    assert_int_equal(base, hn_random(1, 2, 3));
    int flipped = 0;
    for (int bit = 0; bit < 64; bit++) {
        const uint64_t one = UINT64_C(1) << bit;
        flipped += __builtin_popcountll(base ^ hn_random(1 ^ one, 2, 3));
        flipped += __builtin_popcountll(base ^ hn_random(1, 2 ^ one, 3));
        flipped += __builtin_popcountll(base ^ hn_random(1, 2, 3 ^ one));
    }
    assert_in_range(flipped, 192 * 29, 192 * 35); /* half of 64, ± 5 deviations and more */
}

static void units_are_uniform(void **state) {
    (void)state;
    int32_t bins[100] = {0};
    for (uint64_t i = 0; i < N; i++) {
        const double u = hn_random_unit(7, HN_STREAM_TEST, i);
        assert_true(u >= 0 && u < 1);
        bins[(int)(u * 100)]++;
    }
    double chi2 = 0;
    for (int i = 0; i < 100; i++)
        chi2 += (bins[i] - N / 100.0) * (bins[i] - N / 100.0) / (N / 100.0);
    assert_true(chi2 > 50 && chi2 < 165); /* 99 degrees of freedom, ± 4.6 deviations */
}

static void normals_have_the_moments(void **state) {
    (void)state;
    double sum = 0, sum2 = 0, sum3 = 0, sum4 = 0, lag = 0, last = 0;
    for (uint64_t i = 0; i < N; i++) {
        const double x = hn_random_normal(7, HN_STREAM_TEST, i);
        assert_true(isfinite(x));
        sum += x, sum2 += x * x, sum3 += x * x * x, sum4 += x * x * x * x, lag += x * last;
        last = x;
    }
    const double deviation = 1 / sqrt(N);
    assert_true(fabs(sum / N) < 5 * deviation);
    assert_true(fabs(sum2 / N - 1) < 5 * deviation * sqrt(2));
    assert_true(fabs(sum3 / N) < 5 * deviation * sqrt(15));
    assert_true(fabs(sum4 / N - 3) < 5 * deviation * sqrt(96));
    assert_true(fabs(lag / N) < 5 * deviation);
}

static void permutations_are_permutations(void **state) {
    (void)state;
    static uint32_t p[1000], again[1000];
    for (uint32_t n = 0; n <= 1000; n = n * 3 + 1) {
        bool seen[1000] = {false};
        hn_random_permutation(p, n, 3, HN_STREAM_BLOCKS, n);
        hn_random_permutation(again, n, 3, HN_STREAM_BLOCKS, n);
        assert_memory_equal(p, again, n * sizeof *p);
        for (uint32_t i = 0; i < n; i++) {
            assert_true(p[i] < n && !seen[p[i]]);
            seen[p[i]] = true;
        }
    }
    hn_random_permutation(again, 1000, 3, HN_STREAM_BLOCKS, 7);
    hn_random_permutation(p, 1000, 3, HN_STREAM_BLOCKS, 8);
    assert_memory_not_equal(p, again, sizeof p);
}

/* All 24 orders of 4 come equally often. */
static void permutations_are_uniform(void **state) {
    (void)state;
    int32_t bins[256] = {0}, orders = 0;
    enum { DRAWS = 24000 };
    for (uint64_t i = 0; i < DRAWS; i++) {
        uint32_t p[4];
        hn_random_permutation(p, 4, 11, HN_STREAM_TEST, i);
        bins[p[0] << 6 | p[1] << 4 | p[2] << 2 | p[3]]++;
    }
    double chi2 = 0;
    for (int i = 0; i < 256; i++) {
        if (bins[i] == 0) continue;
        orders++;
        chi2 += (bins[i] - 1000.0) * (bins[i] - 1000.0) / 1000.0;
    }
    assert_int_equal(orders, 24);
    assert_true(chi2 > 5 && chi2 < 56); /* 23 degrees of freedom */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_frozen),
        cmocka_unit_test(arguments_all_matter),
        cmocka_unit_test(units_are_uniform),
        cmocka_unit_test(normals_have_the_moments),
        cmocka_unit_test(permutations_are_permutations),
        cmocka_unit_test(permutations_are_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
