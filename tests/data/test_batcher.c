/* Batches: every row once in each pass, permuted by seed and epoch alone within windows,
 * sorted by scenario and otherwise in order; a pass can be entered anywhere. */
#include <stdlib.h>
#include <string.h>

#include "data/dataset_types.h"
#include "platform.h"

enum { ROWS = 1700, BLOCK = 64 };

typedef struct fixture {
    platform *p;
    hn_config *config;
    hn_dataset *dataset;
} fixture;

static int set_up(void **state) {
    fixture *const f = calloc(1, sizeof *f);
    f->p = platform_create(ROWS, 31, 1);
    f->config = platform_config(f->p,
                                "  item: id\n  category: id\n  price: number\n  cost: number\n  "
                                "tags: {kind: list}\n  hobbies: {kind: list}\n",
                                "train: {block_rows: 64}\n");
    f->dataset = platform_dataset(f->p, f->config, NULL);
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

static hn_batcher *batcher_of(const fixture *f, int32_t batch, int32_t window, uint64_t seed) {
    hn_batcher *batcher;
    hn_error err = {0};
    assert_ok(hn_batcher_create(&batcher, f->dataset, HN_TRAIN, batch, window, seed, &err));
    return batcher;
}

/* The ordinals of a pass; checks that batches are full and sorted by scenario. */
static size_t run(uint64_t *ordinals, hn_batcher *batcher, int32_t batch, uint64_t rows) {
    size_t n = 0;
    hn_error err = {0};
    for (;;) {
        const hn_rows *b;
        assert_ok(hn_batcher_next(&b, batcher, &err));
        if (!b) return n;
        assert_int_equal(b->rows, rows - n < (uint64_t)batch ? (int32_t)(rows - n) : batch);
        for (int32_t i = 1; i < b->rows; i++) assert_true(b->scenario[i] >= b->scenario[i - 1]);
        memcpy(ordinals + n, b->ordinal, (size_t)b->rows * 8);
        n += (size_t)b->rows;
    }
}

static int compare(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void every_row_comes_once(void **state) {
    const fixture *const f = *state;
    const uint64_t n = hn_dataset_rows(f->dataset, HN_TRAIN);
    static const int32_t batches[] = {1, 7, 64, 1000, 5000}, windows[] = {1, 2, 5, 1000};
    uint64_t plain[ROWS], pass[ROWS];
    for (size_t b = 0; b < 5; b++)
        for (size_t w = 0; w < 4; w++) {
            hn_batcher *const batcher = batcher_of(f, batches[b], windows[w], 3);
            assert_int_equal(hn_batcher_batches(batcher),
                             (n + (uint64_t)batches[b] - 1) / (uint64_t)batches[b]);
            for (int64_t epoch = -1; epoch < 2; epoch++) {
                hn_batcher_start(batcher, epoch);
                assert_int_equal(run(pass, batcher, batches[b], n), n);
                qsort(pass, n, sizeof *pass, compare);
                if (b == 0 && w == 0 && epoch < 0) memcpy(plain, pass, sizeof pass);
                assert_memory_equal(pass, plain, n * 8);
                for (uint64_t i = 1; i < n; i++) assert_true(pass[i] > pass[i - 1]);
            }
            hn_batcher_free(batcher);
        }
}

static void a_plain_pass_keeps_the_order_of_the_log(void **state) {
    const fixture *const f = *state;
    const uint64_t n = hn_dataset_rows(f->dataset, HN_TRAIN);
    uint64_t pass[ROWS];
    hn_batcher *const batcher = batcher_of(f, 1, 3, 3);
    run(pass, batcher, 1, n);
    for (uint64_t i = 1; i < n; i++) assert_true(pass[i] > pass[i - 1]);
    hn_batcher_free(batcher);
}

/* Within a batch rows of a scenario keep the order of the pass. */
static void sorting_is_stable(void **state) {
    const fixture *const f = *state;
    const uint64_t n = hn_dataset_rows(f->dataset, HN_TRAIN);
    hn_batcher *const batcher = batcher_of(f, ROWS, 3, 3);
    const hn_rows *rows;
    hn_error err = {0};
    assert_ok(hn_batcher_next(&rows, batcher, &err));
    for (uint64_t i = 1; i < n; i++)
        if (rows->scenario[i] == rows->scenario[i - 1])
            assert_true(rows->ordinal[i] > rows->ordinal[i - 1]);
    hn_batcher_free(batcher);
}

/* A pass depends on seed and epoch; batch size only cuts it. */
static void the_permutation_is_of_seed_and_epoch(void **state) {
    const fixture *const f = *state;
    const uint64_t n = hn_dataset_rows(f->dataset, HN_TRAIN);
    uint64_t a[ROWS], b[ROWS];
    hn_batcher *const one = batcher_of(f, 1, 4, 3), *const same = batcher_of(f, 1, 4, 3),
                      *const other = batcher_of(f, 1, 4, 4);
    hn_batcher_start(one, 5), hn_batcher_start(same, 5), hn_batcher_start(other, 5);
    run(a, one, 1, n);
    run(b, same, 1, n);
    assert_memory_equal(a, b, n * 8);
    run(b, other, 1, n);
    assert_memory_not_equal(a, b, n * 8);
    hn_batcher_start(same, 6);
    run(b, same, 1, n);
    assert_memory_not_equal(a, b, n * 8);
    hn_batcher_start(same, 5);
    run(b, same, 1, n);
    assert_memory_equal(a, b, n * 8);
    /* Rows really move: few stay next to their neighbours of the log. */
    uint64_t neighbours = 0;
    for (uint64_t i = 1; i < n; i++) neighbours += a[i] == a[i - 1] + 1;
    assert_true(neighbours < n / 20);
    hn_batcher_free(one), hn_batcher_free(same), hn_batcher_free(other);
}

/* Not only the blocks, the rows too are in another order in each epoch. */
static void rows_are_permuted_anew_in_each_epoch(void **state) {
    const fixture *const f = *state;
    const uint64_t n = hn_dataset_rows(f->dataset, HN_TRAIN);
    uint64_t plain[ROWS], a[ROWS], b[ROWS], same = 0;
    hn_batcher *const batcher = batcher_of(f, 1, 1000, 9);
    run(plain, batcher, 1, n);
    hn_batcher_start(batcher, 0);
    run(a, batcher, 1, n);
    hn_batcher_start(batcher, 1);
    run(b, batcher, 1, n);
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t *const x = bsearch(&a[i], plain, n, 8, compare);
        const uint64_t *const y = bsearch(&b[i], plain, n, 8, compare);
        same += (uint64_t)(x - plain) % BLOCK == (uint64_t)(y - plain) % BLOCK;
    }
    assert_true(same < n / 10); /* by chance one in BLOCK */
    hn_batcher_free(batcher);
}

/* Rows of one window are those of its blocks: a block's rows all lie within the rows of as
 * many blocks. */
static void rows_stay_in_their_window(void **state) {
    const fixture *const f = *state;
    enum { WINDOW = 4, BLOCKS_MAX = ROWS / BLOCK + 1 };
    const uint64_t n = hn_dataset_rows(f->dataset, HN_TRAIN);
    uint64_t plain[ROWS], pass[ROWS], least[BLOCKS_MAX], most[BLOCKS_MAX] = {0};
    hn_batcher *const batcher = batcher_of(f, 1, WINDOW, 9);
    run(plain, batcher, 1, n);
    hn_batcher_start(batcher, 0);
    run(pass, batcher, 1, n);
    memset(least, 0xff, sizeof least);
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t *const found = bsearch(&pass[i], plain, n, 8, compare);
        const uint64_t block = (uint64_t)(found - plain) / BLOCK;
        if (i < least[block]) least[block] = i;
        if (i > most[block]) most[block] = i;
    }
    uint64_t spread = 0;
    for (uint64_t b = 0; b < (n + BLOCK - 1) / BLOCK; b++) {
        assert_true(most[b] - least[b] < WINDOW * BLOCK);
        spread += most[b] - least[b] > BLOCK;
    }
    assert_true(spread > 4); /* and they are mixed there */
    hn_batcher_free(batcher);
}

static bool same_batch(const hn_rows *a, const hn_rows *b, const hn_layout *layout) {
    const size_t n = (size_t)a->rows, ids = (size_t)layout->ids, values = (size_t)layout->values,
                 lists = (size_t)layout->lists;
    return a->rows == b->rows && memcmp(a->ordinal, b->ordinal, n * 8) == 0 &&
           memcmp(a->ids, b->ids, n * ids * 4) == 0 &&
           memcmp(a->values, b->values, n * values * 4) == 0 &&
           memcmp(a->labels, b->labels, n * (size_t)layout->tasks) == 0 &&
           memcmp(a->scenario, b->scenario, n * 2) == 0 && memcmp(a->user, b->user, n * 8) == 0 &&
           memcmp(a->list_begin, b->list_begin, (n * lists + 1) * 4) == 0 &&
           memcmp(a->list_ids, b->list_ids, a->list_begin[n * lists] * 4) == 0;
}

static void a_pass_can_be_entered_at_any_batch(void **state) {
    const fixture *const f = *state;
    enum { BATCH = 50 };
    const hn_layout *const layout = hn_schema_layout(hn_dataset_schema(f->dataset));
    hn_error err = {0};
    for (int32_t window = 1; window < 12; window += 5) {
        hn_batcher *const whole = batcher_of(f, BATCH, window, 3), *const entered = batcher_of(
                                                                       f, BATCH, window, 3);
        hn_batcher_start(whole, 2);
        const uint64_t batches = hn_batcher_batches(whole);
        for (uint64_t i = 0; i <= batches; i++) {
            const hn_rows *a, *b;
            assert_ok(hn_batcher_next(&a, whole, &err));
            hn_batcher_start(entered, 2);
            hn_batcher_seek(entered, i);
            assert_ok(hn_batcher_next(&b, entered, &err));
            if (i == batches)
                assert_true(!a && !b);
            else
                assert_true(same_batch(a, b, layout));
        }
        hn_batcher_free(whole), hn_batcher_free(entered);
    }
}

/* Fields of a row belong together: each row of a permuted pass is that of the plain one. */
static void rows_are_whole(void **state) {
    const fixture *const f = *state;
    const hn_layout *const layout = hn_schema_layout(hn_dataset_schema(f->dataset));
    hn_batcher *const single = batcher_of(f, 1, 3, 3), *const large = batcher_of(f, 300, 3, 3);
    hn_error err = {0};
    hn_batcher_start(large, 1);
    for (;;) {
        const hn_rows *rows, *one;
        assert_ok(hn_batcher_next(&rows, large, &err));
        if (!rows) break;
        for (int32_t r = 0; r < rows->rows; r += 13) {
            hn_batcher_start(single, -1);
            do assert_ok(hn_batcher_next(&one, single, &err));
            while (one->ordinal[0] != rows->ordinal[r]);
            assert_memory_equal(one->ids, rows->ids + r * layout->ids, (size_t)layout->ids * 4);
            assert_memory_equal(one->values, rows->values + r * layout->values,
                                (size_t)layout->values * 4);
            for (int32_t l = 0; l < layout->lists; l++) {
                const uint32_t *const a = &rows->list_begin[r * layout->lists + l],
                                      *const b = &one->list_begin[l];
                assert_int_equal(a[1] - a[0], b[1] - b[0]);
                assert_memory_equal(rows->list_ids + a[0], one->list_ids + b[0], (a[1] - a[0]) * 4);
            }
        }
    }
    hn_batcher_free(single), hn_batcher_free(large);
}

static void a_batch_allocates_nothing(void **state) {
    const fixture *const f = *state;
    hn_batcher *const batcher = batcher_of(f, 100, 3, 3);
    const hn_rows *rows;
    hn_error err = {0};
    hn_batcher_start(batcher, 0);
    hn_fault_arm(HN_FAULT_ALLOC, INT64_MAX);
    do assert_ok(hn_batcher_next(&rows, batcher, &err));
    while (rows);
    assert_int_equal(hn_fault_count(HN_FAULT_ALLOC), 0);
    hn_fault_arm(HN_FAULT_ALLOC, 0);
    hn_batcher_free(batcher);
    assert_fails(HN_USAGE, "at least 1",
                 hn_batcher_create(&(hn_batcher *){NULL}, f->dataset, HN_TRAIN, 0, 1, 1, &err));
}

/* A split without rows has no batches. */
static void an_empty_split_has_no_batches(void **state) {
    const fixture *const f = *state;
    hn_dataset empty = *f->dataset;
    empty.first[HN_TEST + 1] = empty.first[HN_TEST];
    empty.rows[HN_TEST] = 0;
    hn_batcher *batcher;
    const hn_rows *rows;
    hn_error err = {0};
    assert_ok(hn_batcher_create(&batcher, &empty, HN_TEST, 10, 3, 1, &err));
    for (int64_t epoch = -1; epoch < 2; epoch++) {
        hn_batcher_start(batcher, epoch);
        hn_batcher_seek(batcher, 4);
        assert_ok(hn_batcher_next(&rows, batcher, &err));
        assert_null(rows);
    }
    assert_int_equal(hn_batcher_batches(batcher), 0);
    hn_batcher_free(batcher);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_comes_once),
        cmocka_unit_test(a_plain_pass_keeps_the_order_of_the_log),
        cmocka_unit_test(sorting_is_stable),
        cmocka_unit_test(the_permutation_is_of_seed_and_epoch),
        cmocka_unit_test(rows_are_permuted_anew_in_each_epoch),
        cmocka_unit_test(rows_stay_in_their_window),
        cmocka_unit_test(a_pass_can_be_entered_at_any_batch),
        cmocka_unit_test(rows_are_whole),
        cmocka_unit_test(a_batch_allocates_nothing),
        cmocka_unit_test(an_empty_split_has_no_batches),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
