/* The sample of rows: what is in it, in which order, and copies with columns of other rows. */
#include <stdlib.h>
#include <string.h>

#include "../train/fixture.h"
#include "base/rng.h"
#include "near.h"
#include "report/sample.h"

enum { ROWS = 600 };

/* Ordinals that are unique, and not in the order of the rows. */
static fixture_rows make_rows(void) {
    fixture_rows made = fixture_make_rows(ROWS, 3);
    for (int32_t r = 0; r < ROWS; r++) made.ordinal[r] = (uint64_t)r * 101 % ROWS;
    return made;
}

static hn_rows part_of(const fixture_rows *made, int32_t first, int32_t n) {
    const hn_layout *const layout = fixture_layout();
    hn_rows part = made->rows;
    part.rows = n;
    part.scenario += first;
    part.ids += first * layout->ids;
    part.values += first * layout->values;
    part.list_begin += first * layout->lists;
    part.labels += first * layout->tasks;
    part.weights = part.weights ? part.weights + first : NULL;
    part.ordinal += first;
    return part;
}

/* The rows in pieces, the last first. */
static hn_sample *take(const fixture_rows *made, int64_t most, uint64_t seed, int32_t pieces) {
    hn_error err = {0};
    hn_sample *sample, *sorted;
    assert_ok(hn_sample_create(&sample, fixture_layout(), most, seed, &err));
    for (int32_t p = pieces - 1; p >= 0; p--) {
        const int32_t first = ROWS * p / pieces, end = ROWS * (p + 1) / pieces;
        const hn_rows part = part_of(made, first, end - first);
        assert_ok(hn_sample_add(sample, &part, &err));
    }
    assert_ok(hn_sample_sorted(&sorted, sample, false, &err));
    hn_sample_free(sample);
    return sorted;
}

/* Row `a` of one is row `b` of the other, in all but the inputs of `except`. */
static void same_row(const hn_rows *left, int32_t a, const hn_rows *right, int32_t b,
                     const bool *except) {
    const hn_layout *const layout = fixture_layout();
    assert_int_equal(left->scenario[a], right->scenario[b]);
    assert_true(left->ordinal[a] == right->ordinal[b]);
    for (int32_t t = 0; t < layout->tasks; t++)
        assert_int_equal(left->labels[a * layout->tasks + t], right->labels[b * layout->tasks + t]);
    for (int32_t i = 0; i < layout->n_inputs; i++) {
        const hn_input *const input = &layout->inputs[i];
        if (except && except[i]) continue;
        if (input->kind == HN_INPUT_ID)
            assert_int_equal(left->ids[a * layout->ids + input->slot],
                             right->ids[b * layout->ids + input->slot]);
        if (input->kind == HN_INPUT_VALUE)
            assert_near(left->values[a * layout->values + input->slot],
                        right->values[b * layout->values + input->slot], 0);
        if (input->kind != HN_INPUT_LIST) continue;
        const uint32_t *const x = left->list_begin + a * layout->lists + input->slot,
                              *const y = right->list_begin + b * layout->lists + input->slot;
        assert_int_equal(x[1] - x[0], y[1] - y[0]);
        if (x[1] > x[0])
            assert_memory_equal(left->list_ids + x[0], right->list_ids + y[0],
                                (x[1] - x[0]) * sizeof(uint32_t));
    }
}

static int32_t find(const fixture_rows *made, uint64_t ordinal) {
    for (int32_t r = 0; r < ROWS; r++)
        if (made->rows.ordinal[r] == ordinal) return r;
    return -1;
}

static void sizes_and_orders(void **state) {
    (void)state;
    fixture_rows made = make_rows();
    static const int64_t sizes[] = {1, 2, 50, 299, 600, 10000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        hn_sample *const a = take(&made, sizes[i], 5, 1), *const b = take(&made, sizes[i], 5, 40);
        const hn_rows *const x = hn_sample_rows(a), *const y = hn_sample_rows(b);
        assert_true(x->rows <= sizes[i]);
        if (sizes[i] >= ROWS) assert_int_equal(x->rows, ROWS);
        if (sizes[i] >= 50) assert_true(x->rows > (sizes[i] < ROWS ? sizes[i] : ROWS) * 4 / 10);
        assert_int_equal(x->rows, y->rows);
        for (int32_t r = 0; r < x->rows; r++) {
            same_row(x, r, y, r, NULL);
            same_row(x, r, &made.rows, find(&made, x->ordinal[r]), NULL);
            if (r > 0) assert_true(x->ordinal[r - 1] < x->ordinal[r]);
        }
        hn_sample_free(a);
        hn_sample_free(b);
    }
    fixture_free_rows(&made);
}

static void another_seed_is_another_sample(void **state) {
    (void)state;
    fixture_rows made = make_rows();
    hn_sample *const a = take(&made, 100, 5, 1), *const b = take(&made, 100, 6, 1);
    const hn_rows *const x = hn_sample_rows(a), *const y = hn_sample_rows(b);
    int32_t same = 0;
    for (int32_t r = 0; r < x->rows; r++)
        for (int32_t q = 0; q < y->rows; q++) same += x->ordinal[r] == y->ordinal[q];
    assert_true(same < x->rows / 2);
    hn_sample_free(a);
    hn_sample_free(b);
    fixture_free_rows(&made);
}

static void by_scenario_keeps_the_order_of_the_log(void **state) {
    (void)state;
    hn_error err = {0};
    fixture_rows made = make_rows();
    hn_sample *const all = take(&made, ROWS, 5, 7), *sorted;
    assert_ok(hn_sample_sorted(&sorted, all, true, &err));
    const hn_rows *const rows = hn_sample_rows(sorted);
    assert_int_equal(rows->rows, ROWS);
    for (int32_t r = 1; r < rows->rows; r++)
        assert_true(rows->scenario[r - 1] < rows->scenario[r] ||
                    (rows->scenario[r - 1] == rows->scenario[r] &&
                     rows->ordinal[r - 1] < rows->ordinal[r]));
    hn_sample_free(sorted);
    hn_sample_free(all);
    fixture_free_rows(&made);
}

/* Each input by itself, and all: what is dealt comes from the other row, the rest stays. */
static void inputs_come_from_other_rows(void **state) {
    (void)state;
    hn_error err = {0};
    const hn_layout *const layout = fixture_layout();
    fixture_rows made = make_rows();
    hn_sample *const all = take(&made, ROWS, 5, 7);
    const hn_rows *const rows = hn_sample_rows(all);
    uint32_t from[ROWS];
    hn_random_permutation(from, ROWS, 1, HN_STREAM_TEST, 0);
    for (int32_t only = 0; only <= layout->n_inputs; only++) {
        bool chosen[16] = {0}, others[16] = {0};
        hn_sample *mixed;
        for (int32_t i = 0; i < layout->n_inputs; i++) {
            chosen[i] = only == layout->n_inputs || i == only;
            others[i] = !chosen[i];
        }
        assert_ok(hn_sample_mixed(&mixed, all, chosen, from, &err));
        const hn_rows *const now = hn_sample_rows(mixed);
        for (int32_t r = 0; r < ROWS; r++) {
            same_row(now, r, rows, r, chosen);
            hn_rows moved = *now; /* compared with the row it came from: only inputs count */
            uint16_t scenario[ROWS];
            uint64_t ordinal[ROWS];
            memcpy(scenario, rows->scenario, sizeof scenario);
            memcpy(ordinal, rows->ordinal, sizeof ordinal);
            scenario[r] = rows->scenario[from[r]];
            ordinal[r] = rows->ordinal[from[r]];
            moved.scenario = scenario;
            moved.ordinal = ordinal;
            uint8_t labels[ROWS * FIXTURE_TASKS];
            memcpy(labels, rows->labels, sizeof labels);
            for (int32_t t = 0; t < FIXTURE_TASKS; t++)
                labels[r * FIXTURE_TASKS + t] = rows->labels[from[r] * FIXTURE_TASKS + t];
            moved.labels = labels;
            same_row(&moved, r, rows, (int32_t)from[r], others);
        }
        hn_sample_free(mixed);
    }
    hn_sample_free(all);
    fixture_free_rows(&made);
}

static void too_many_rows_are_refused(void **state) {
    (void)state;
    hn_error err = {0};
    hn_sample *sample;
    assert_fails(HN_USAGE, "expected 1 to",
                 hn_sample_create(&sample, fixture_layout(), 0, 1, &err));
    assert_fails(HN_USAGE, "rows: found 999999999999",
                 hn_sample_create(&sample, fixture_layout(), 999999999999, 1, &err));
    assert_null(sample);
}

static hn_status take_rows(void *user, hn_error *err) {
    const fixture_rows *const made = user;
    hn_sample *sample, *sorted = NULL, *mixed = NULL;
    const bool inputs[16] = {true, true};
    uint32_t from[ROWS];
    for (uint32_t r = 0; r < ROWS; r++) from[r] = 0;
    HN_TRY(hn_sample_create(&sample, fixture_layout(), 300, 1, err));
    hn_status status = hn_sample_add(sample, &made->rows, err);
    if (status == HN_OK) status = hn_sample_sorted(&sorted, sample, true, err);
    if (status == HN_OK) status = hn_sample_mixed(&mixed, sorted, inputs, from, err);
    hn_sample_free(mixed);
    hn_sample_free(sorted);
    hn_sample_free(sample);
    return status;
}

static void every_failed_allocation_is_reported(void **state) {
    (void)state;
    fixture_rows made = make_rows();
    assert_true(support_fail_each(HN_FAULT_ALLOC, take_rows, &made) > 10);
    fixture_free_rows(&made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_orders),
        cmocka_unit_test(another_seed_is_another_sample),
        cmocka_unit_test(by_scenario_keeps_the_order_of_the_log),
        cmocka_unit_test(inputs_come_from_other_rows),
        cmocka_unit_test(too_many_rows_are_refused),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
