/* Profiles: buckets against their definitions, counts that add up, samples that are fair and
 * do not depend on how rows were cut, PSI against numbers from NumPy, and JSON that comes back
 * as it was or is refused. */
#include "bundle/profile.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "bundle/world.h"
#include "support.h"

enum { SCENARIOS = 3, TASKS = 2, WIDTH = 5 };

static char names[3][8] = {"user", "tags", "price"};
static hn_input inputs[3] = {
    {.name = names[0], .kind = HN_INPUT_ID, .width = 1, .column = 0},
    {.name = names[1], .kind = HN_INPUT_LIST, .width = 1, .column = 1},
    {.name = names[2], .kind = HN_INPUT_VALUE, .table = -1, .width = 1, .column = 2},
};
static const hn_layout layout = {.inputs = inputs,
                                 .n_inputs = 3,
                                 .ids = 1,
                                 .lists = 1,
                                 .values = 1,
                                 .width = 3,
                                 .scenarios = SCENARIOS,
                                 .tasks = TASKS};

/* ---- Rows by formulas ----------------------------------------------------------------------- */

enum { MOST = 40000 };
static uint16_t scenario[MOST];
static uint32_t ids[MOST], list_begin[MOST + 1], list_ids[2 * MOST];
static float values[MOST];
static hn_real logits[MOST * TASKS];

static uint64_t draw(uint64_t r, uint64_t what) {
    return hn_random(3, HN_STREAM_TEST, r * 16 + what);
}

/* Scenario 0 of 1000 rows, 1 of the rest, 2 of 50, and 10 of none that is known. */
static hn_rows make_rows(int32_t n) {
    uint32_t lists = 0;
    for (int32_t r = 0; r < n; r++) {
        const uint64_t u = (uint64_t)r;
        scenario[r] = (uint16_t)(r < 1000 ? 0 : r < 1050 ? 2 : r < 1060 ? HN_SCENARIO_UNKNOWN : 1);
        ids[r] = (uint32_t)(draw(u, 0) % 30 * (draw(u, 1) % 30) / 10); /* 0 and 1 too */
        list_begin[r] = lists;
        for (uint64_t k = draw(u, 2) % 3; k > 0; k--)
            list_ids[lists++] = (uint32_t)(2 + draw(u, 2 + k) % 6);
        values[r] = (float)(draw(u, 6) % 4 == 0 ? 0 : draw(u, 7) % 1000);
        logits[2 * r] = (hn_real)(hn_random_unit(3, HN_STREAM_TEST, 16 * u + 8) * 4 - 2);
        logits[2 * r + 1] = (hn_real)-1.5; /* constant */
    }
    list_begin[n] = lists;
    return (hn_rows){.rows = n,
                     .scenario = scenario,
                     .ids = ids,
                     .values = values,
                     .list_begin = list_begin,
                     .list_ids = list_ids};
}

static hn_rows part(const hn_rows *all, int32_t first, int32_t n) {
    hn_rows rows = *all;
    rows.rows = n;
    rows.scenario += first, rows.ids += first, rows.values += first, rows.list_begin += first;
    return rows;
}

/* Rows 0…n-1, given in pieces of `piece`. */
static hn_profile *profile_of(int32_t n, int32_t piece) {
    hn_error err = {0};
    hn_profiler *profiler = NULL;
    hn_profile *profile = NULL;
    const hn_rows all = make_rows(n);
    assert_ok(hn_profiler_create(&profiler, &layout, &err));
    for (int32_t at = 0; at < n; at += piece) {
        const hn_rows rows = part(&all, at, n - at < piece ? n - at : piece);
        hn_profiler_add(profiler, &rows, logits + (size_t)at * TASKS);
    }
    assert_ok(hn_profiler_finish(&profile, profiler, &err));
    hn_profiler_free(profiler);
    return profile;
}

/* ---- Buckets --------------------------------------------------------------------------------- */

static int32_t count_if(int32_t first, int32_t n, bool (*test)(int32_t r, double x), double x) {
    int32_t found = 0;
    for (int32_t r = first; r < first + n; r++) found += test(r, x);
    return found;
}
static bool value_below(int32_t r, double x) { return (double)values[r] < x; }
static bool logit_below(int32_t r, double x) { return (double)logits[2 * r] < x; }
static bool has_id(int32_t r, double x) { return (double)ids[r] == x; }
static bool list_starts(int32_t r, double x) {
    const uint32_t first = list_begin[r] == list_begin[r + 1] ? 0 : list_ids[list_begin[r]];
    return (double)first == x;
}

static void check_numbers(const hn_histogram *h, int32_t n, bool (*below)(int32_t, double)) {
    assert_true(h->numbers && h->buckets == h->n + 1);
    double left = 0;
    for (int32_t i = 0; i < h->n; i++) {
        const double cut = h->cuts[i], here = count_if(0, n, below, cut);
        if (i > 0) assert_true(cut > h->cuts[i - 1]);
        assert_true(h->counts[i] == here - left && h->counts[i] > 0);
        assert_true(hn_histogram_number(h, cut) == i + 1);
        assert_true(hn_histogram_number(h, nextafter(cut, -INFINITY)) == i);
        left = here;
    }
    assert_true(h->counts[h->n] == n - left);
}

static void check_ids(const hn_histogram *h, int32_t n, bool (*is)(int32_t, double)) {
    assert_true(!h->numbers && h->buckets == h->n + 3);
    double rest = n - h->counts[0] - h->counts[1], least = n;
    assert_true(h->counts[0] == count_if(0, n, is, HN_ID_MISSING));
    assert_true(h->counts[1] == count_if(0, n, is, HN_ID_UNSEEN));
    for (int32_t i = 0; i < h->n; i++) {
        if (i > 0) assert_true(h->ids[i] > h->ids[i - 1]);
        assert_true(h->counts[2 + i] == count_if(0, n, is, h->ids[i]));
        assert_int_equal(hn_histogram_id(h, h->ids[i]), 2 + i);
        rest -= h->counts[2 + i];
        least = h->counts[2 + i] < least ? h->counts[2 + i] : least;
    }
    assert_true(h->counts[2 + h->n] == rest);
    for (uint32_t id = HN_ID_FIRST; id < 100; id++) /* the others are not more frequent */
        if (hn_histogram_id(h, id) == 2 + h->n) assert_true(count_if(0, n, is, id) <= least);
}

static void test_buckets(void **state) {
    (void)state;
    hn_profile *const p = profile_of(2000, 300);
    const hn_histogram *const h = p->histogram;
    assert_int_equal(p->rows[0], 1000);
    check_ids(&h[0], 1000, has_id);
    assert_int_equal(h[0].n, HN_PROFILE_IDS);
    check_ids(&h[1], 1000, list_starts);
    assert_int_equal(h[1].n, 6); /* there are no more */
    check_numbers(&h[2], 1000, value_below);
    check_numbers(&h[3], 1000, logit_below);
    assert_int_equal(h[3].n, HN_PROFILE_BUCKETS - 1);
    for (int32_t i = 0; i <= h[3].n; i++) assert_true(h[3].counts[i] == 100); /* deciles */
    assert_true(h[4].n == 0 && h[4].buckets == 1 && h[4].counts[0] == 1000);
    assert_int_equal(hn_histogram_number(&h[3], NAN), h[3].n);
    hn_profile_free(p);
}

static void test_rows_have_their_buckets(void **state) {
    (void)state;
    hn_profile *const p = profile_of(2000, 2000);
    const hn_rows rows = make_rows(2000);
    double counts[WIDTH][HN_PROFILE_MOST] = {{0}};
    for (int32_t r = 0; r < 1000; r++) {
        int32_t buckets[WIDTH];
        hn_profile_row(buckets, p, &layout, &rows, r, logits + (size_t)r * TASKS);
        for (int i = 0; i < WIDTH; i++) counts[i][buckets[i]]++;
    }
    for (int i = 0; i < WIDTH; i++) {
        assert_memory_equal(counts[i], p->histogram[i].counts, sizeof counts[i]);
        assert_true(hn_histogram_psi(&p->histogram[i], counts[i]) == 0);
    }
    hn_profile_free(p);
}

/* ---- The sample ------------------------------------------------------------------------------ */

static void test_few_rows_are_no_profile(void **state) {
    (void)state;
    hn_profile *p = profile_of(1060, 100);
    assert_int_equal(p->rows[0], 1000);
    assert_int_equal(p->rows[1], 0);
    assert_int_equal(p->rows[2], 0); /* 50 rows */
    hn_profile_free(p);
    p = profile_of(1060 + HN_PROFILE_ROWS - 1, 100);
    assert_int_equal(p->rows[1], 0);
    hn_profile_free(p);
    p = profile_of(1060 + HN_PROFILE_ROWS, 100);
    assert_int_equal(p->rows[1], HN_PROFILE_ROWS);
    hn_profile_free(p);
}

static void test_samples_do_not_depend_on_pieces(void **state) {
    (void)state;
    hn_profile *const a = profile_of(MOST, MOST), *const b = profile_of(MOST, 777);
    assert_int_equal(a->rows[1], 2048);
    assert_memory_equal(a->rows, b->rows, SCENARIOS * sizeof *a->rows);
    assert_memory_equal(a->histogram, b->histogram, SCENARIOS * WIDTH * sizeof *a->histogram);
    hn_profile_free(a);
    hn_profile_free(b);
}

/* Every row has the same chance: the sample's deciles are near those of all rows. */
static void test_samples_are_fair(void **state) {
    (void)state;
    hn_error err = {0};
    hn_profiler *profiler = NULL;
    hn_profile *p = NULL;
    const hn_rows all = make_rows(MOST);
    for (int32_t r = 0; r < MOST; r++) logits[2 * r] = (hn_real)r, scenario[r] = 1;
    assert_ok(hn_profiler_create(&profiler, &layout, &err));
    hn_profiler_add(profiler, &all, logits);
    assert_ok(hn_profiler_finish(&p, profiler, &err));
    const hn_histogram *const h = &p->histogram[WIDTH + 3];
    assert_int_equal(h->n, HN_PROFILE_BUCKETS - 1);
    for (int32_t i = 0; i < h->n; i++) /* a decile's standard error is at most 0.5/√2048 = 0.011 */
        assert_true(fabs(h->cuts[i] / MOST - (i + 1) / 10.0) < 0.045);
    hn_profiler_free(profiler);
    hn_profile_free(p);
}

/* ---- PSI ----------------------------------------------------------------------------------- */

/* NumPy: p, q = (e + .5) / (e + .5).sum(), (a + .5) / (a + .5).sum();
 * ((q - p) * np.log(q / p)).sum() */
static void test_psi(void **state) {
    (void)state;
    const hn_histogram h = {
        .numbers = true, .n = 4, .buckets = 5, .counts = {100, 200, 400, 200, 100}};
    const double same[HN_PROFILE_MOST] = {10, 20, 40, 20, 10};
    const double moved[HN_PROFILE_MOST] = {50, 100, 400, 300, 150};
    const double one[HN_PROFILE_MOST] = {0, 0, 0, 0, 777}, none[HN_PROFILE_MOST] = {0};
    assert_true(fabs(hn_histogram_psi(&h, same) - 0.00014289344859432242) < 1e-15);
    assert_true(fabs(hn_histogram_psi(&h, moved) - 0.16371919206283694) < 1e-13);
    assert_true(fabs(hn_histogram_psi(&h, one) - 7.420441369087901) < 1e-12);
    assert_true(isnan(hn_histogram_psi(&h, none)));
    const hn_histogram empty = {.numbers = true, .n = 4, .buckets = 5};
    assert_true(isnan(hn_histogram_psi(&empty, same)));
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void test_json_comes_back(void **state) {
    (void)state;
    hn_error err = {0};
    hn_profile *const before = profile_of(2000, 500), *after = NULL;
    json_t *const made = hn_profile_json(before, &layout);
    assert_non_null(made);
    char *const text = json_dumps(made, JSON_SORT_KEYS | JSON_COMPACT);
    json_t *const read = json_loads(text, 0, NULL);
    assert_ok(hn_profile_parse(&after, read, &layout, &err));
    assert_memory_equal(before->rows, after->rows, SCENARIOS * sizeof *before->rows);
    assert_memory_equal(before->histogram, after->histogram,
                        SCENARIOS * WIDTH * sizeof *before->histogram);
    free(text);
    json_decref(made);
    json_decref(read);
    hn_profile_free(before);
    hn_profile_free(after);
}

typedef struct broken {
    const char *path, *value, *words;
} broken;

static const broken cases[] = {
    {"inputs", "[]", "inputs"},
    {"inputs", "[\"user\",\"tags\",\"cost\"]", "inputs"},
    {"inputs", "[\"user\",\"tags\",1]", "inputs"},
    {"inputs", "null", "inputs"},
    {"scenarios", "[]", "scenarios"},
    {"scenarios", "{}", "scenarios"},
    {"scenarios.0", "{}", "histograms"},
    {"scenarios.0", "7", "histograms"},
    {"scenarios.0.rows", "0", "histograms"},
    {"scenarios.0.rows", "3000000000", "histograms"},
    {"scenarios.0.histograms", "[]", "histograms"},
    {"scenarios.0.histograms.0", "null", "do not fit"},
    {"scenarios.0.histograms.0", "{\"cuts\":[],\"counts\":[1]}", "do not fit"},
    {"scenarios.0.histograms.0.ids", "[1]", "do not fit"},
    {"scenarios.0.histograms.0.ids", "[2,3,4,5,6,7,8,9,10]", "do not fit"},
    {"scenarios.0.histograms.0.ids", "[9,8,7,6,5,4,3,2]", "do not fit"},
    {"scenarios.0.histograms.0.ids", "[2,3,4,5,6,7,8,4294967296]", "do not fit"},
    {"scenarios.0.histograms.0.counts", "[1]", "do not fit"},
    {"scenarios.0.histograms.0.counts", "[1,2,3,4,5,6,7,8,9,10,-1]", "do not fit"},
    {"scenarios.0.histograms.0.counts", "[1,2,3,4,5,6,7,8,9,10,\"x\"]", "do not fit"},
    {"scenarios.0.histograms.3.cuts", "[1,2,3,4,5,6,7,8,8]", "do not fit"},
    {"scenarios.0.histograms.3.cuts", "[1,2,3,4,5,6,7,8,9,10]", "do not fit"},
    {"scenarios.0.histograms.3.cuts", "[1,2,3,4,5,6,7,8,true]", "do not fit"},
    {"scenarios.0.histograms.3.counts", "[1]", "do not fit"},
};

static void put(json_t *json, const char *path, json_t *value) {
    char copy[100];
    snprintf(copy, sizeof copy, "%s", path);
    char *save = NULL, *key = strtok_r(copy, ".", &save);
    for (char *next; (next = strtok_r(NULL, ".", &save)) != NULL; key = next)
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(key))
                                   : json_object_get(json, key);
    if (json_is_array(json))
        json_array_set_new(json, (size_t)atoi(key), value);
    else
        json_object_set_new(json, key, value);
}

static void test_broken_json_is_refused(void **state) {
    (void)state;
    hn_error err = {0};
    hn_profile *const good = profile_of(2000, 500), *found = NULL;
    json_t *const json = hn_profile_json(good, &layout);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *const copy = json_deep_copy(json);
        put(copy, cases[i].path, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        const int64_t held = hn_memory_held();
        assert_fails(HN_BAD_DATA, cases[i].words, hn_profile_parse(&found, copy, &layout, &err));
        assert_null(found);
        assert_int_equal(hn_memory_held(), held);
        json_decref(copy);
    }
    json_decref(json);
    hn_profile_free(good);
}

/* ---- In a bundle --------------------------------------------------------------------------- */

static void test_a_bundle_keeps_it(void **state) {
    (void)state;
    hn_error err = {0};
    world w;
    hn_encoded encoded;
    hn_profiler *profiler = NULL;
    hn_profile *made = NULL;
    hn_bundle *bundle = NULL;
    world_make(&w, WORLD_HINET);
    const hn_schema *const schema = hn_dataset_schema(w.dataset);
    world_rows(&encoded, &w, schema, hn_dataset_tables(w.dataset));
    assert_ok(hn_bundle_open(&bundle, w.bundle_path, &err));
    assert_null(bundle->profile); /* an old bundle has none */
    hn_bundle_close(bundle);
    assert_ok(hn_profiler_create(&profiler, hn_schema_layout(schema), &err));
    for (int k = 0; k < 3; k++) hn_profiler_add(profiler, &encoded.rows, logits);
    assert_ok(hn_profiler_finish(&made, profiler, &err));
    hn_bundle_parts parts = world_parts(&w);
    parts.profile = made;
    assert_ok(hn_bundle_write(w.bundle_path, &parts, &err));
    assert_ok(hn_bundle_open(&bundle, w.bundle_path, &err));
    const size_t all = (size_t)made->scenarios * (size_t)(made->inputs + made->tasks);
    assert_memory_equal(bundle->profile->histogram, made->histogram, all * sizeof *made->histogram);
    hn_bundle_close(bundle);
    hn_profiler_free(profiler);
    hn_profile_free(made);
    hn_encoded_free(&encoded);
    world_free(&w);
}

/* ---- Memory -------------------------------------------------------------------------------- */

static hn_status whole_life(void *user, hn_error *err) {
    hn_profiler *profiler = NULL;
    hn_profile *made = NULL, *read = NULL;
    const hn_rows rows = make_rows(1000);
    HN_TRY(hn_profiler_create(&profiler, &layout, err));
    hn_profiler_add(profiler, &rows, logits);
    hn_status status = hn_profiler_finish(&made, profiler, err);
    if (status == HN_OK) status = hn_profile_parse(&read, user, &layout, err);
    hn_profile_free(made);
    hn_profile_free(read);
    hn_profiler_free(profiler);
    return status;
}

static void test_no_memory(void **state) {
    (void)state;
    hn_profile *const p = profile_of(1000, 1000);
    json_t *const json = hn_profile_json(p, &layout);
    hn_profile_free(p);
    assert_true(support_fail_each(HN_FAULT_ALLOC, whole_life, json) >= 10);
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_rows_have_their_buckets),
        cmocka_unit_test(test_few_rows_are_no_profile),
        cmocka_unit_test(test_samples_do_not_depend_on_pieces),
        cmocka_unit_test(test_samples_are_fair),
        cmocka_unit_test(test_psi),
        cmocka_unit_test(test_json_comes_back),
        cmocka_unit_test(test_broken_json_is_refused),
        cmocka_unit_test(test_a_bundle_keeps_it),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
