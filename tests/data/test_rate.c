/* Rates against brute force: for every row of a random platform the counts that it should
 * see are counted over all training rows, by text, with its own fold left out or only
 * earlier days. Buckets are checked against sorted values; memory against a file. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/rate.h"
#include "data/scale.h"
#include "platform.h"

enum { ROWS = 1500 };
static const double smoothing = 3;

/* ---- The oracle ------------------------------------------------------------------ */

typedef const char *(*text_of)(const platform *p, const platform_row *row);
static const char *user_of(const platform *p, const platform_row *row) {
    (void)p;
    return row->user;
}
static const char *tab_of(const platform *p, const platform_row *row) {
    (void)p;
    return row->tab;
}
static const char *first_tag_of(const platform *p, const platform_row *row) {
    (void)p;
    return row->n_tags ? row->tags[0] : "";
}
static const char *category_of(const platform *p, const platform_row *row) {
    const platform_item *const item = platform_item_of(p, row);
    return item ? item->category : "";
}
static const char *no_text(const platform *p, const platform_row *row) {
    (void)p, (void)row;
    return "";
}

typedef enum { HASH_FOLDS, DAY_FOLDS, PAST_DAYS } folding;

typedef struct expected {
    text_of key[2];
    folding how;
} expected;

static bool same_key(const platform *p, const expected *e, const platform_row *a,
                     const platform_row *b) {
    for (int k = 0; k < 2; k++)
        if (strcmp(e->key[k](p, a), e->key[k](p, b)) != 0) return false;
    return true;
}

/* Whether row i sees the training row j of its key. */
static bool sees(const platform *p, const expected *e, int32_t i, int32_t j) {
    const platform_row *const a = &p->row[i], *const b = &p->row[j];
    if (platform_split(b) != HN_TRAIN) return false;
    if (platform_split(a) != HN_TRAIN) return true;
    switch (e->how) {
    case HASH_FOLDS:
        return hn_random(0, HN_STREAM_FOLD, (uint64_t)i) % 4 !=
               hn_random(0, HN_STREAM_FOLD, (uint64_t)j) % 4;
    case DAY_FOLDS: return strcmp(a->day, b->day) != 0;
    case PAST_DAYS: return atoi(b->day) < atoi(a->day);
    }
    return false;
}

static const char *label_of(const platform_row *row, int task) {
    return task == 0 ? row->click : row->buy;
}

static double base_of(const platform *p, int task) {
    double n = 0, y = 0;
    for (int32_t i = 0; i < p->rows; i++) {
        if (platform_split(&p->row[i]) != HN_TRAIN) continue;
        const char *const label = label_of(&p->row[i], task);
        n += label[0] != 0, y += label[0] == '1';
    }
    return y / n;
}

/* task 0, 1: the rate; 2: the count. */
static double expected_number(const platform *p, const expected *e, int32_t i, int task) {
    double n = 0, labelled = 0, positives = 0;
    for (int32_t j = 0; j < p->rows; j++) {
        if (!sees(p, e, i, j) || !same_key(p, e, &p->row[i], &p->row[j])) continue;
        const char *const label = task < 2 ? label_of(&p->row[j], task) : "";
        n++, labelled += label[0] != 0, positives += label[0] == '1';
    }
    if (task == 2) return n;
    return (positives + smoothing * base_of(p, task)) / (labelled + smoothing);
}

/* ---- Through the dataset --------------------------------------------------------- */

static void check_values(const platform *p, const hn_dataset *dataset, const char *feature,
                         const expected *e) {
    static const char *const tails[] = {"click", "buy", "count"};
    const hn_layout *const layout = hn_schema_layout(hn_dataset_schema(dataset));
    for (int s = 0; s < HN_SPLITS; s++) {
        platform_rows read = platform_read(dataset, (hn_split)s);
        for (int task = 0; task < 3; task++) {
            char name[64];
            snprintf(name, sizeof name, "%s.%s", feature, tails[task]);
            const hn_input *const input = platform_input(layout, name);
            assert_int_equal(input->kind, HN_INPUT_VALUE);
            for (int32_t r = 0; r < read.rows.rows; r++) {
                const int32_t i = (int32_t)read.rows.ordinal[r];
                assert_int_equal(platform_split(&p->row[i]), s);
                const double x = expected_number(p, e, i, task);
                const float want = (float)(task == 2 ? log1p(x) : x);
                const float found =
                    read.rows.values[(size_t)r * (size_t)layout->values + (size_t)input->slot];
                if (found != want)
                    fail_msg("%s of row %d: %.9g, expected %.9g", name, i, found, want);
            }
        }
        platform_rows_free(&read);
    }
}

static void rates_are_as_counted_by_hand(void **state) {
    (void)state;
    platform *const p = platform_create(ROWS, 5, 2);
    hn_config *const config = platform_config(
        p,
        "  hashed: {kind: rate, key: user, fold: hash 4, scaling: none, smoothing: 3}\n"
        "  daily: {kind: rate, key: [user, tab], fold: day, scaling: none, smoothing: 3}\n"
        "  past: {kind: rate, key: category, past: day, scaling: none, smoothing: 3}\n"
        "  tags: {kind: list}\n"
        "  by_list: {kind: rate, key: [tags, items.category], fold: day, scaling: none, smoothing: "
        "3}\n",
        "train: {block_rows: 64}\n");
    hn_dataset *const dataset = platform_dataset(p, config, NULL);
    check_values(p, dataset, "hashed", &(expected){{user_of, no_text}, HASH_FOLDS});
    check_values(p, dataset, "daily", &(expected){{user_of, tab_of}, DAY_FOLDS});
    check_values(p, dataset, "past", &(expected){{category_of, no_text}, PAST_DAYS});
    check_values(p, dataset, "by_list", &(expected){{first_tag_of, category_of}, DAY_FOLDS});
    const hn_layout *const layout = hn_schema_layout(hn_dataset_schema(dataset));
    assert_int_equal(platform_input(layout, "hashed.click")->side, HN_SIDE_USER);
    assert_int_equal(platform_input(layout, "daily.click")->side, HN_SIDE_CONTEXT);
    assert_int_equal(platform_input(layout, "past.count")->side, HN_SIDE_ITEM);
    hn_dataset_close(dataset);
    hn_config_free(config);
    platform_free(p);
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The bucket of x among `buckets` quantiles of the training values, said anew. */
static uint32_t bucket_by_hand(const double *sorted, int32_t n, int32_t buckets, double x) {
    uint32_t bucket = 0;
    double last = sorted[0];
    int32_t distinct = 1;
    for (int32_t i = 1; i < n; i++) distinct += sorted[i] != sorted[i - 1];
    for (int32_t i = 0; i < n; i++) {
        bool cut = distinct <= buckets;
        for (int32_t j = 1; j < buckets; j++)
            cut = cut || sorted[(int64_t)j * n / buckets] == sorted[i];
        if (!cut || sorted[i] == last) continue;
        last = sorted[i];
        bucket += x >= last;
    }
    return HN_ID_FIRST + bucket;
}

/* Buckets are quantiles of what training rows see, not of the totals. */
static void buckets_are_of_what_training_rows_see(void **state) {
    (void)state;
    enum { BUCKETS = 9 };
    platform *const p = platform_create(ROWS, 6, 1);
    hn_config *const config = platform_config(p,
                                              "  daily: {kind: rate, key: [user, tab], fold: day, "
                                              "buckets: 9, smoothing: 3, tasks: click}\n",
                                              "train: {block_rows: 100}\n");
    hn_dataset *const dataset = platform_dataset(p, config, NULL);
    const hn_layout *const layout = hn_schema_layout(hn_dataset_schema(dataset));
    const expected e = {{user_of, tab_of}, DAY_FOLDS};
    for (int task = 0; task < 3; task += 2) {
        const hn_input *const input = platform_input(layout, task ? "daily.count" : "daily.click");
        double *const number = calloc(ROWS, sizeof *number), *const seen =
                                                                 calloc(ROWS, sizeof *seen);
        int32_t n = 0;
        for (int32_t i = 0; i < ROWS; i++) {
            number[i] = expected_number(p, &e, i, task);
            if (platform_split(&p->row[i]) == HN_TRAIN) seen[n++] = number[i];
        }
        qsort(seen, (size_t)n, sizeof *seen, compare_doubles);
        assert_true(layout->tables[input->table].rows <= HN_ID_FIRST + BUCKETS);
        assert_true(layout->tables[input->table].rows > HN_ID_FIRST + BUCKETS / 2);
        for (int s = 0; s < HN_SPLITS; s++) {
            platform_rows read = platform_read(dataset, (hn_split)s);
            for (int32_t r = 0; r < read.rows.rows; r++) {
                const uint32_t id =
                    read.rows.ids[(size_t)r * (size_t)layout->ids + (size_t)input->slot];
                assert_int_equal(id,
                                 bucket_by_hand(seen, n, BUCKETS, number[read.rows.ordinal[r]]));
            }
            platform_rows_free(&read);
        }
        free(number), free(seen);
    }
    assert_int_equal(layout->n_inputs, 2); /* one task, and the count */
    hn_dataset_close(dataset);
    hn_config_free(config);
    platform_free(p);
}

/* ---- The fit by itself ----------------------------------------------------------- */

static hn_tally *some_pairs(int64_t budget, uint64_t keys) {
    hn_tally *tally;
    hn_error err = {0};
    assert_ok(hn_tally_create(&tally, 3, budget, "/tmp", &err));
    for (uint64_t i = 0; i < keys * 8; i++) {
        const uint64_t key = hn_mix64(hn_random(3, HN_STREAM_TEST, i) % keys);
        const uint64_t fold = hn_random(4, HN_STREAM_TEST, i) % 6;
        uint64_t *counts;
        assert_ok(
            hn_tally_at(&counts, tally, key, fold == 5 ? HN_RATE_FOLD_UNKNOWN : fold, 0, &err));
        counts[0]++, counts[1] += i % 3 > 0, counts[2] += i % 3 == 2;
    }
    return tally;
}

/* Where memory is short, what training rows see lies in a mapped file: the same numbers. */
static void a_file_gives_the_same_as_memory(void **state) {
    (void)state;
    for (int past = 0; past < 2; past++) {
        hn_rate_totals totals[2];
        hn_rate_folds folds[2];
        hn_error err = {0};
        for (int small = 0; small < 2; small++) {
            hn_tally *const tally = some_pairs(small ? 0 : 1 << 30, 20000);
            hn_run run = {.memory_bytes = small ? hn_memory_held() + (2 << 20) : 0};
            const hn_rate_fit_options options = {"f", 3, past, "/tmp", &run};
            assert_ok(hn_rate_fit(&totals[small], &folds[small], tally, &options, &err));
            hn_tally_free(tally);
        }
        assert_null(folds[0].mapped);
        assert_non_null(folds[1].mapped);
        assert_int_equal(totals[0].n, totals[1].n);
        assert_memory_equal(totals[0].keys, totals[1].keys, totals[0].n * 8);
        assert_memory_equal(totals[0].counts, totals[1].counts, totals[0].n * 12);
        assert_int_equal(folds[0].n, folds[1].n);
        assert_memory_equal(folds[0].folds, folds[1].folds, folds[0].n * 8);
        assert_memory_equal(folds[0].others, folds[1].others, folds[0].n * 12);
        for (int i = 0; i < 2; i++) hn_rate_totals_free(&totals[i]), hn_rate_folds_free(&folds[i]);
    }
}

static void an_unknown_time_sees_nothing_and_is_not_seen(void **state) {
    (void)state;
    hn_tally *const tally = some_pairs(1 << 30, 50);
    hn_rate_totals totals;
    hn_rate_folds folds;
    hn_error err = {0};
    const hn_rate_fit_options options = {"f", 3, true, "/tmp", NULL};
    assert_ok(hn_rate_fit(&totals, &folds, tally, &options, &err));
    for (uint64_t k = 0; k < totals.n; k++) {
        const uint64_t last = folds.begin[k + 1] - 1;
        if (folds.folds[last] != HN_RATE_FOLD_UNKNOWN) continue;
        for (int i = 0; i < 3; i++) assert_int_equal(folds.others[last * 3 + (uint64_t)i], 0);
        /* The last dated fold sees less than the total without its own and the unknown. */
        if (last > folds.begin[k]) assert_true(folds.others[(last - 1) * 3] < totals.counts[k * 3]);
    }
    assert_int_equal(hn_rate_totals_find(&totals, 12345), -1);
    hn_tally_free(tally);
    hn_rate_totals_free(&totals);
    hn_rate_folds_free(&folds);
}

static void totals_are_found_and_checked(void **state) {
    (void)state;
    hn_error err = {0};
    for (uint64_t n = 0; n < 300; n += n < 20 ? 1 : 37) {
        hn_rate_totals totals = {
            .n = n, .width = 1, .keys = hn_alloc_zero(n, 8), .counts = hn_alloc_zero(n, 4)};
        for (uint64_t i = 0; i < n; i++) totals.keys[i] = (i + 1) * (UINT64_MAX / (n + 1));
        assert_ok(hn_rate_totals_index(&totals, "rates", &err));
        for (uint64_t i = 0; i < n; i++) {
            assert_int_equal(hn_rate_totals_find(&totals, totals.keys[i]), i);
            assert_int_equal(hn_rate_totals_find(&totals, totals.keys[i] + 1), -1);
        }
        assert_int_equal(hn_rate_totals_find(&totals, 0), -1);
        assert_int_equal(hn_rate_totals_find(&totals, UINT64_MAX), -1);
        if (n > 1) {
            totals.keys[1] = totals.keys[0];
            assert_fails(HN_BAD_DATA, "rates: its keys are not in order",
                         hn_rate_totals_index(&totals, "rates", &err));
        }
        hn_rate_totals_free(&totals);
    }
}

static void the_formula_has_its_edges(void **state) {
    (void)state;
    const uint32_t counts[] = {10, 4, 3};
    assert_true(hn_rate_value(counts, 0, 2, 0.25) == (3 + 0.5) / 6);
    assert_true(hn_rate_value(NULL, 0, 2, 0.25) == 0.25);
    assert_true(hn_rate_value(NULL, 0, 0, 0.25) == 0.25);
    assert_true(hn_rate_fold_of_number(NAN) == HN_RATE_FOLD_UNKNOWN);
    assert_true(hn_rate_fold_of_number(-1) < hn_rate_fold_of_number(0.5));
    assert_true(hn_rate_key_add(hn_rate_key_add(0, 1), 2) !=
                hn_rate_key_add(hn_rate_key_add(0, 2), 1));
}

static hn_status fit_once(void *user, hn_error *err) {
    const hn_run *const run = user;
    hn_tally *tally;
    hn_rate_totals totals;
    hn_rate_folds folds;
    HN_TRY(hn_tally_create(&tally, 3, 0, "/tmp", err));
    hn_status status = HN_OK;
    for (uint64_t i = 0; i < 300 && status == HN_OK; i++) {
        uint64_t *counts;
        status = hn_tally_at(&counts, tally, hn_mix64(i % 90), i % 2, 0, err);
        if (status == HN_OK) counts[0]++;
    }
    const hn_rate_fit_options options = {"f", 3, false, "/tmp", run};
    if (status == HN_OK) status = hn_rate_fit(&totals, &folds, tally, &options, err);
    if (status == HN_OK) hn_rate_totals_free(&totals), hn_rate_folds_free(&folds);
    hn_tally_free(tally);
    return status;
}

static void every_failure_of_memory_is_reported(void **state) {
    (void)state;
    assert_true(support_fail_each(HN_FAULT_ALLOC, fit_once, NULL) > 8);
    hn_run tight = {.memory_bytes = 1};
    hn_error err = {0};
    assert_fails(HN_NO_MEMORY, "rate feature \"f\" (90 keys) needs", fit_once(&tight, &err));
    assert_non_null(strstr(err.text, "raise --memory"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_as_counted_by_hand),
        cmocka_unit_test(buckets_are_of_what_training_rows_see),
        cmocka_unit_test(a_file_gives_the_same_as_memory),
        cmocka_unit_test(an_unknown_time_sees_nothing_and_is_not_seen),
        cmocka_unit_test(totals_are_found_and_checked),
        cmocka_unit_test(the_formula_has_its_edges),
        cmocka_unit_test(every_failure_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
