/* Rows drawn by the weight of their scenario: each as often as the formula says, in passes that
 * are functions of seed and epoch alone and can be entered anywhere. */
#include "data/sampling.h"

#include <stdlib.h>
#include <string.h>

#include "data/dataset_types.h"
#include "platform.h"

enum { ROWS = 1700, DRAWN = 4 * ROWS, M_MAX = 8 };
static const double WEIGHTS[M_MAX] = {0.3, 2.5, 1, 3, 0.75, 1.25, 2, 0.5};

typedef struct fixture {
    platform *p;
    hn_config *config;
    hn_dataset *dataset;
    uint64_t ordinal[ROWS]; /* of the training rows, in order … */
    uint16_t scenario[ROWS];
    uint64_t rows, count[M_MAX];
    int32_t m;
} fixture;

static hn_batcher *batcher_of(const fixture *f, int32_t batch, int32_t window, uint64_t seed,
                              const double *weights) {
    hn_batcher *batcher;
    hn_error err = {0};
    assert_ok(hn_batcher_create(&batcher, f->dataset, HN_TRAIN, batch, window, seed, &err));
    if (weights) assert_ok(hn_batcher_weigh(batcher, weights, &err));
    return batcher;
}

static int set_up(void **state) {
    fixture *const f = calloc(1, sizeof *f);
    hn_error err = {0};
    const hn_rows *rows;
    f->p = platform_create(ROWS, 31, 1);
    f->config =
        platform_config(f->p, "  item: id\n  tags: {kind: list}\n", "train: {block_rows: 64}\n");
    f->dataset = platform_dataset(f->p, f->config, NULL);
    f->m = hn_schema_layout(hn_dataset_schema(f->dataset))->scenarios;
    assert_in_range(f->m, 2, M_MAX);
    hn_batcher *const plain = batcher_of(f, 1, 1, 1, NULL);
    for (;;) {
        assert_ok(hn_batcher_next(&rows, plain, &err));
        if (!rows) break;
        f->ordinal[f->rows] = rows->ordinal[0];
        f->scenario[f->rows++] = rows->scenario[0];
        f->count[rows->scenario[0]]++;
    }
    hn_batcher_free(plain);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *const f = *state;
    hn_dataset_close(f->dataset);
    hn_config_free(f->config);
    platform_free(f->p);
    free(f);
    return 0;
}

/* The ordinals of a pass; every batch but the last is full, and the end is known with it. */
static size_t run(uint64_t *ordinals, hn_batcher *batcher, int32_t batch) {
    size_t n = 0;
    hn_error err = {0};
    for (;;) {
        const hn_rows *b;
        assert_ok(hn_batcher_next(&b, batcher, &err));
        if (!b) return n;
        assert_true(b->rows == batch || hn_batcher_ended(batcher));
        for (int32_t i = 1; i < b->rows; i++) assert_true(b->scenario[i] >= b->scenario[i - 1]);
        assert_true(n + (size_t)b->rows <= DRAWN);
        memcpy(ordinals + n, b->ordinal, (size_t)b->rows * 8);
        n += (size_t)b->rows;
    }
}

static int compare(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The whole part, and one more where the row's own number in [0, 1) is below the fraction. */
static uint32_t expected_times(double weight, uint64_t seed, int64_t epoch, uint64_t ordinal) {
    uint32_t times = 0;
    while (weight >= 1) weight -= 1, times++;
    const uint64_t key = hn_mix64(
        hn_mix64(hn_mix64(seed) ^ (HN_STREAM_SAMPLING * 0xd1342543de82ef95u)) ^ (uint64_t)epoch);
    const uint64_t bits =
        hn_mix64(hn_mix64(hn_mix64(key) ^ (HN_STREAM_SAMPLING * 0xd1342543de82ef95u)) ^ ordinal);
    return times + ((double)(bits >> 11) / 9007199254740992.0 < weight);
}

static void every_row_comes_as_often_as_it_should(void **state) {
    const fixture *const f = *state;
    static const int32_t batches[] = {1, 64, 333, 20000}, windows[] = {1, 3, 1000};
    uint64_t pass[DRAWN], expected[DRAWN];
    for (size_t b = 0; b < 4; b++)
        for (size_t w = 0; w < 3; w++) {
            hn_batcher *const batcher = batcher_of(f, batches[b], windows[w], 3, WEIGHTS);
            for (int64_t epoch = 0; epoch < 3; epoch++) {
                size_t n = 0;
                for (uint64_t i = 0; i < f->rows; i++)
                    for (uint32_t k =
                             expected_times(WEIGHTS[f->scenario[i]], 3, epoch, f->ordinal[i]);
                         k > 0; k--)
                        expected[n++] = f->ordinal[i];
                hn_batcher_start(batcher, epoch);
                assert_false(hn_batcher_ended(batcher));
                assert_int_equal(run(pass, batcher, batches[b]), n);
                qsort(pass, n, sizeof *pass, compare);
                assert_memory_equal(pass, expected, n * sizeof *pass);
            }
            hn_batcher_free(batcher);
        }
}

/* Over many epochs a scenario's rows come by its weight, within five standard deviations, and
 * each epoch has other ones. */
static void means_are_the_weights(void **state) {
    const fixture *const f = *state;
    enum { EPOCHS = 200 };
    double sum[M_MAX] = {0};
    uint64_t changes = 0;
    for (uint64_t i = 0; i < f->rows; i++) {
        uint32_t before = 0;
        for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
            const double weight = WEIGHTS[f->scenario[i]];
            const uint32_t times = hn_sampling_times(weight, 7, epoch, f->ordinal[i]);
            assert_true(times == (uint32_t)weight || times == (uint32_t)weight + 1);
            changes += epoch > 0 && times != before;
            before = times;
            sum[f->scenario[i]] += times;
        }
    }
    assert_true(changes > 0);
    for (int32_t i = 0; i < f->m; i++) {
        const double n = (double)f->count[i] * EPOCHS, rest = WEIGHTS[i] - floor(WEIGHTS[i]),
                     far = fabs(sum[i] - n * WEIGHTS[i]);
        if (!(far <= 5 * sqrt(n * rest * (1 - rest)) + 1e-6))
            fail_msg("scenario %d: %g rows, expected %g", (int)i, sum[i], n * WEIGHTS[i]);
    }
}

static void passes_are_of_seed_and_epoch(void **state) {
    const fixture *const f = *state;
    uint64_t a[DRAWN], b[DRAWN];
    hn_batcher *const one = batcher_of(f, 1, 4, 3, WEIGHTS),
                      *const same = batcher_of(f, 50, 4, 3, WEIGHTS),
                      *const other = batcher_of(f, 1, 4, 4, WEIGHTS);
    hn_batcher_start(one, 5), hn_batcher_start(other, 5);
    const size_t n = run(a, one, 1);
    hn_batcher_start(one, 5);
    assert_int_equal(run(b, one, 1), n);
    assert_memory_equal(a, b, n * 8);
    assert_true(run(b, other, 1) != n || memcmp(a, b, n * 8) != 0);
    hn_batcher_start(one, 6);
    assert_true(run(b, one, 1) != n || memcmp(a, b, n * 8) != 0);
    hn_batcher_start(same, 5); /* batches sort, so only the rows of each are the same */
    assert_int_equal(run(b, same, 50), n);
    for (size_t at = 0; at < n; at += 50) {
        const size_t rows = n - at < 50 ? n - at : 50;
        qsort(a + at, rows, 8, compare), qsort(b + at, rows, 8, compare);
    }
    assert_memory_equal(a, b, n * 8);
    hn_batcher_free(one), hn_batcher_free(same), hn_batcher_free(other);
}

static void copies_of_a_row_are_scattered(void **state) {
    const fixture *const f = *state;
    uint64_t pass[DRAWN], together = 0, twice = 0;
    double weights[M_MAX];
    for (int32_t i = 0; i < M_MAX; i++) weights[i] = 2;
    hn_batcher *const batcher = batcher_of(f, 1, 1000, 3, weights);
    hn_batcher_start(batcher, 0);
    const size_t n = run(pass, batcher, 1);
    assert_int_equal(n, 2 * f->rows);
    for (size_t i = 1; i < n; i++) together += pass[i] == pass[i - 1];
    qsort(pass, n, 8, compare);
    for (size_t i = 1; i < n; i++) twice += pass[i] == pass[i - 1];
    assert_true(together < n / 100 && twice == f->rows);
    hn_batcher_free(batcher);
}

static void a_pass_can_be_entered_at_any_batch(void **state) {
    const fixture *const f = *state;
    enum { BATCH = 50 };
    hn_error err = {0};
    for (int32_t window = 1; window < 12; window += 5) {
        hn_batcher *const whole = batcher_of(f, BATCH, window, 3, WEIGHTS), *const entered =
                                                                                batcher_of(f, BATCH,
                                                                                           window,
                                                                                           3,
                                                                                           WEIGHTS);
        hn_batcher_start(whole, 2);
        bool more = true;
        uint64_t i = 0;
        for (; more; i++) {
            const hn_rows *a, *b;
            assert_ok(hn_batcher_next(&a, whole, &err));
            hn_batcher_start(entered, 2);
            hn_batcher_seek(entered, i);
            assert_ok(hn_batcher_next(&b, entered, &err));
            assert_int_equal(hn_batcher_ended(whole), hn_batcher_ended(entered));
            more = a != NULL;
            assert_int_equal(a != NULL, b != NULL);
            if (!a) break;
            assert_int_equal(a->rows, b->rows);
            assert_memory_equal(a->ordinal, b->ordinal, (size_t)a->rows * 8);
            assert_memory_equal(a->ids, b->ids, (size_t)a->rows * 4);
        }
        const double batches = (double)hn_batcher_batches(whole);
        assert_true(fabs(batches - (double)i) <= 3);
        hn_batcher_seek(entered, i + 100); /* behind the end */
        const hn_rows *none;
        assert_ok(hn_batcher_next(&none, entered, &err));
        assert_true(!none && hn_batcher_ended(entered));
        hn_batcher_free(whole), hn_batcher_free(entered);
    }
}

/* Weights of 1, and passes in the log's order, are as if there were no weights. */
static void weights_of_one_change_nothing(void **state) {
    const fixture *const f = *state;
    double ones[M_MAX];
    uint64_t a[DRAWN], b[DRAWN];
    for (int32_t i = 0; i < M_MAX; i++) ones[i] = 1;
    hn_batcher *const plain = batcher_of(f, 7, 3, 3, NULL),
                      *const one = batcher_of(f, 7, 3, 3, ones),
                      *const weighted = batcher_of(f, 7, 3, 3, WEIGHTS);
    for (int64_t epoch = -1; epoch < 2; epoch++) {
        hn_batcher_start(plain, epoch), hn_batcher_start(one, epoch);
        const size_t n = run(a, plain, 7);
        assert_int_equal(n, f->rows);
        assert_int_equal(run(b, one, 7), n);
        assert_memory_equal(a, b, n * 8);
        hn_batcher_start(weighted, epoch);
        if (epoch >= 0) continue;
        assert_int_equal(run(b, weighted, 7), n);
        assert_memory_equal(a, b, n * 8);
        assert_true(hn_batcher_ended(weighted));
    }
    assert_int_equal(hn_batcher_batches(plain), hn_batcher_batches(one));
    hn_batcher_free(plain), hn_batcher_free(one), hn_batcher_free(weighted);
}

static void tiny_weights_leave_windows_empty(void **state) {
    const fixture *const f = *state;
    double weights[M_MAX];
    uint64_t pass[DRAWN];
    size_t n = 0, most = 0;
    for (int32_t i = 0; i < M_MAX; i++) weights[i] = 0.002;
    hn_batcher *const batcher = batcher_of(f, 2, 1, 3, weights);
    bool none = false;
    for (int64_t epoch = 0; epoch < 50; epoch++) {
        hn_batcher_start(batcher, epoch);
        const size_t rows = run(pass, batcher, 2);
        assert_true(hn_batcher_ended(batcher));
        none |= rows == 0;
        n += rows;
        most = rows > most ? rows : most;
    }
    const double expected = 0.1 * (double)f->rows;
    assert_true(none && most > 1 && fabs((double)n - expected) < 5 * sqrt(expected));
    hn_batcher_free(batcher);
}

static hn_status weigh(void *user, hn_error *err) {
    const fixture *const f = user;
    hn_batcher *batcher = NULL;
    HN_TRY(hn_batcher_create(&batcher, f->dataset, HN_TRAIN, 10, 2, 1, err));
    const hn_status status = hn_batcher_weigh(batcher, WEIGHTS, err);
    hn_batcher_free(batcher);
    return status;
}

static void memory_is_taken_once_and_not_leaked(void **state) {
    fixture *const f = *state;
    hn_batcher *const batcher = batcher_of(f, 100, 3, 3, WEIGHTS);
    uint64_t pass[DRAWN];
    hn_batcher_start(batcher, 0);
    hn_fault_arm(HN_FAULT_ALLOC, INT64_MAX);
    run(pass, batcher, 100);
    assert_int_equal(hn_fault_count(HN_FAULT_ALLOC), 0);
    hn_fault_arm(HN_FAULT_ALLOC, 0);
    hn_batcher_free(batcher);
    assert_true(support_fail_each(HN_FAULT_ALLOC, weigh, f) > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_comes_as_often_as_it_should),
        cmocka_unit_test(means_are_the_weights),
        cmocka_unit_test(passes_are_of_seed_and_epoch),
        cmocka_unit_test(copies_of_a_row_are_scattered),
        cmocka_unit_test(a_pass_can_be_entered_at_any_batch),
        cmocka_unit_test(weights_of_one_change_nothing),
        cmocka_unit_test(tiny_weights_leave_windows_empty),
        cmocka_unit_test(memory_is_taken_once_and_not_leaked),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
