/* Drift: the rows that count are the ones that the drawn strides say, in the buckets that the
 * profile says; windows end; workers add up; and a distribution that moves is told apart from
 * one that does not. The gauges are tested through the server (tests/python/test_drift.py). */
#include "serve/drift.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "bundle/world.h"
#include "support.h"

enum { ROWS = 240, COPIES = 3 };
#define SECOND INT64_C(1000000000)

static world w;
static hn_bundle *bundle;
static hn_encoded encoded;
static hn_real logits[ROWS * WORLD_TASKS];
static size_t width;

/* A bundle whose profile is of all rows of the world's log. */
static int set_up(void **state) {
    (void)state;
    hn_error err = {0};
    hn_scratch *scratch = NULL;
    hn_profiler *profiler = NULL;
    hn_profile *profile = NULL;
    world_make(&w, WORLD_HINET);
    const hn_schema *const schema = hn_dataset_schema(w.dataset);
    world_rows(&encoded, &w, schema, hn_dataset_tables(w.dataset));
    assert_ok(hn_bundle_open(&bundle, w.bundle_path, &err));
    assert_ok(hn_scratch_create(&scratch, bundle->scorer, &err));
    assert_ok(hn_score(logits, bundle->scorer, scratch, &encoded.rows, &err));
    hn_scratch_free(scratch);
    assert_ok(hn_profiler_create(&profiler, hn_schema_layout(schema), &err));
    for (int k = 0; k < COPIES; k++) hn_profiler_add(profiler, &encoded.rows, logits);
    assert_ok(hn_profiler_finish(&profile, profiler, &err));
    hn_profiler_free(profiler);
    bundle->profile = profile; /* closed with it */
    width = (size_t)profile->inputs + (size_t)profile->tasks;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    hn_encoded_free(&encoded);
    hn_bundle_close(bundle);
    world_free(&w);
    return 0;
}

static hn_drift *make(void) {
    hn_error err = {0};
    hn_drift *drift = NULL;
    assert_ok(hn_drift_create(&drift, bundle, &err));
    assert_non_null(drift);
    return drift;
}

enum { COUNTS = WORLD_SCENARIOS * 32 * HN_PROFILE_MOST };
static double counts[COUNTS], expected[COUNTS], rows[WORLD_SCENARIOS];

static double *at(double *all, size_t scenario, size_t histogram) {
    assert_true(histogram < width && width <= 32);
    return all + (scenario * width + histogram) * HN_PROFILE_MOST;
}

static void sum(const hn_drift *const *drifts, int32_t n, int64_t now_ns) {
    memset(counts, 0xff, sizeof counts);
    hn_drift_sum(counts, rows, bundle, drifts, n, now_ns);
}
static double total(void) {
    double all = 0;
    for (int s = 0; s < WORLD_SCENARIOS; s++) all += rows[s];
    return all;
}

/* ---- What is counted ------------------------------------------------------------------------- */

/* Requests of changing lengths; the strides are drawn here again. */
static void test_drawn_rows_are_counted(void **state) {
    (void)state;
    hn_drift *const drift = make();
    const hn_layout *const layout = hn_schema_layout(bundle->schema);
    uint64_t draws = 0, next = 0, seen = 0;
    double counted = 0;
    memset(expected, 0, sizeof expected);
    for (int32_t request = 0; request < 2000; request++) {
        hn_rows part = encoded.rows;
        part.rows = 1 + request * 7 % ROWS;
        for (; next < seen + (uint64_t)part.rows; next += 1 + hn_mix64(++draws) % 31) {
            const int32_t r = (int32_t)(next - seen);
            int32_t buckets[32];
            hn_profile_row(buckets, bundle->profile, layout, &part, r,
                           logits + (size_t)r * WORLD_TASKS);
            for (size_t i = 0; i < width; i++) at(expected, part.scenario[r], i)[buckets[i]]++;
            counted++;
        }
        seen += (uint64_t)part.rows;
        hn_drift_add(drift, &part, logits, SECOND * request / 100);
    }
    const hn_drift *const all[] = {drift};
    sum(all, 1, 20 * SECOND);
    assert_memory_equal(counts, expected,
                        WORLD_SCENARIOS * width * HN_PROFILE_MOST * sizeof *counts);
    assert_true(total() == counted && counted > 10000);
    assert_true(fabs(counted * HN_DRIFT_STRIDE / (double)seen - 1) < 0.03);
    hn_drift_free(drift);
}

static void test_workers_add_up(void **state) {
    (void)state;
    hn_drift *const a = make(), *const b = make();
    const hn_drift *const both[] = {a, NULL, b}, *const one[] = {a}, *const other[] = {b};
    for (int k = 0; k < 30; k++) hn_drift_add(a, &encoded.rows, logits, SECOND);
    for (int k = 0; k < 50; k++) hn_drift_add(b, &encoded.rows, logits, SECOND);
    sum(one, 1, SECOND);
    memcpy(expected, counts, sizeof expected);
    double of_both = total();
    sum(other, 1, SECOND);
    for (size_t i = 0; i < WORLD_SCENARIOS * width * HN_PROFILE_MOST; i++) expected[i] += counts[i];
    of_both += total();
    sum(both, 3, SECOND);
    assert_memory_equal(counts, expected,
                        WORLD_SCENARIOS * width * HN_PROFILE_MOST * sizeof *counts);
    assert_true(total() == of_both);
    hn_drift_free(a);
    hn_drift_free(b);
}

static void test_what_does_not_count(void **state) {
    (void)state;
    hn_error err = {0};
    static uint16_t unknown[ROWS];
    hn_rows strange = encoded.rows;
    hn_drift *const drift = make(), *none = drift;
    const hn_drift *const all[] = {drift};
    for (int r = 0; r < ROWS; r++) unknown[r] = HN_SCENARIO_UNKNOWN;
    strange.scenario = unknown;
    hn_drift_add(drift, &strange, logits, SECOND);
    strange.rows = 0;
    hn_drift_add(drift, &strange, logits, SECOND);
    hn_drift_add(NULL, &encoded.rows, logits, SECOND);
    const uint32_t had = bundle->profile->rows[1];
    bundle->profile->rows[1] = 0; /* a scenario without a profile */
    for (int k = 0; k < 30; k++) hn_drift_add(drift, &encoded.rows, logits, SECOND);
    bundle->profile->rows[1] = had;
    sum(all, 1, SECOND);
    assert_true(rows[0] > 0 && rows[1] == 0 && rows[2] > 0);
    hn_drift_free(drift);
    hn_profile *const profile = bundle->profile;
    bundle->profile = NULL;
    assert_ok(hn_drift_create(&none, bundle, &err));
    assert_null(none);
    bundle->profile = profile;
}

/* ---- Windows ------------------------------------------------------------------------------- */

static double counted_at(const hn_drift *drift, int64_t now_ns) {
    const hn_drift *const all[] = {drift};
    sum(all, 1, now_ns);
    return total();
}

static double add_some(hn_drift *drift, int64_t now_ns) {
    const double before = counted_at(drift, now_ns);
    for (int k = 0; k < 10; k++) hn_drift_add(drift, &encoded.rows, logits, now_ns);
    return counted_at(drift, now_ns) - before;
}

static void test_windows_end(void **state) {
    (void)state;
    hn_drift *const drift = make();
    const int64_t W = HN_DRIFT_WINDOW_NS, begin = 77 * SECOND;
    assert_true(counted_at(drift, begin) == 0);
    const double first = add_some(drift, begin);
    const double late = add_some(drift, begin + W - 1); /* the same generation */
    const double second = add_some(drift, begin + W);
    assert_true(first > 100 && late > 100 && second > 100);
    assert_true(counted_at(drift, begin + 2 * W - 1) == first + late + second);
    assert_true(counted_at(drift, begin + 2 * W) == second);
    for (int k = 0; k < 10; k++) hn_drift_add(drift, &encoded.rows, logits, begin + 2 * W);
    const double third = counted_at(drift, begin + 2 * W) - second;
    assert_true(third > 100);
    assert_true(counted_at(drift, begin + 3 * W) == third);
    assert_true(counted_at(drift, begin + 9 * W) == 0); /* nobody has asked for long */
    const double again = add_some(drift, begin + 9 * W);
    assert_true(again > 100 && counted_at(drift, begin + 9 * W) == again);
    hn_drift_free(drift);
}

/* ---- Telling ------------------------------------------------------------------------------- */

static void test_moved_rows_are_told(void **state) {
    (void)state;
    hn_drift *const drift = make();
    const hn_drift *const all[] = {drift};
    const hn_profile *const p = bundle->profile;
    for (int k = 0; k < 200; k++) hn_drift_add(drift, &encoded.rows, logits, SECOND);
    sum(all, 1, SECOND);
    for (size_t s = 0; s < WORLD_SCENARIOS; s++)
        for (size_t i = 0; i < width; i++)
            assert_true(hn_histogram_psi(&p->histogram[s * width + i], at(counts, s, i)) < 0.05);
    hn_drift_free(drift);

    hn_drift *const moved = make();
    const hn_drift *const other[] = {moved};
    const hn_layout *const layout = hn_schema_layout(bundle->schema);
    static hn_real higher[ROWS * WORLD_TASKS];
    uint32_t *const unseen = hn_alloc(ROWS, (size_t)layout->ids * sizeof *unseen);
    assert_non_null(unseen);
    for (size_t i = 0; i < ROWS * WORLD_TASKS; i++) higher[i] = logits[i] + (hn_real)0.5;
    for (size_t i = 0; i < ROWS * (size_t)layout->ids; i++)
        unseen[i] = i % (size_t)layout->ids == 0 ? HN_ID_UNSEEN : encoded.rows.ids[i];
    hn_rows strange = encoded.rows;
    strange.ids = unseen;
    for (int k = 0; k < 200; k++) hn_drift_add(moved, &strange, higher, SECOND);
    sum(other, 1, SECOND);
    for (size_t s = 0; s < WORLD_SCENARIOS; s++)
        for (size_t i = 0; i < width; i++) {
            const bool input = i < (size_t)p->inputs;
            const bool touched =
                !input || (layout->inputs[i].kind == HN_INPUT_ID && layout->inputs[i].slot == 0);
            const double psi = hn_histogram_psi(&p->histogram[s * width + i], at(counts, s, i));
            assert_true(touched ? psi > 0.25 : psi < 0.05);
        }
    hn_free(unseen);
    hn_drift_free(moved);
}

/* ---- Memory -------------------------------------------------------------------------------- */

static hn_status create_and_free(void *user, hn_error *err) {
    (void)user;
    hn_drift *drift = NULL;
    const hn_status status = hn_drift_create(&drift, bundle, err);
    if (status != HN_OK) assert_null(drift);
    hn_drift_free(drift);
    return status;
}

static void test_memory(void **state) {
    (void)state;
    assert_true(support_fail_each(HN_FAULT_ALLOC, create_and_free, NULL) >= 6);
    hn_drift *const drift = make();
    hn_fault_arm(HN_FAULT_ALLOC, 1); /* counting asks for none */
    hn_drift_add(drift, &encoded.rows, logits, SECOND);
    hn_drift_add(drift, &encoded.rows, logits, SECOND + 2 * HN_DRIFT_WINDOW_NS);
    assert_int_equal(hn_fault_count(HN_FAULT_ALLOC), 0);
    hn_fault_arm(HN_FAULT_ALLOC, 0);
    hn_drift_free(drift);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drawn_rows_are_counted), cmocka_unit_test(test_workers_add_up),
        cmocka_unit_test(test_what_does_not_count),    cmocka_unit_test(test_windows_end),
        cmocka_unit_test(test_moved_rows_are_told),    cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
