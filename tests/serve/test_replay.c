/* hn_replay: exposures of a server that scored what it says give no difference; another model, a
 * feature that was not what the line says, and features that are not the tables' are told
 * apart and named. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/world.h"
#include "kernel/kernel.h"
#include "serve/replay.h"
#include "support.h"

static world w;
static hn_bundle *bundle;

static int set_up(void **state) {
    (void)state;
    hn_error err = {0};
    world_make(&w, WORLD_HINET);
    assert_ok(hn_bundle_open(&bundle, w.bundle_path, &err));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    hn_bundle_close(bundle);
    world_free(&w);
    return 0;
}

/* ---- Exposures ----------------------------------------------------------------------------- */

enum { LINES = 40, ITEMS = 5 };

static const char *path_of(const char *name) {
    static char path[400];
    snprintf(path, sizeof path, "%s/%s", w.folder, name);
    return path;
}

/* An exposure of a sampled request; the user's `age` is served as given, or, below 0, not. */
static json_t *exposure(int n, int age) {
    static const char *const scenarios[] = {"home", "search", "cart"};
    json_t *const items = json_array(), *const user = json_object();
    char request[20], user_id[20];
    snprintf(request, sizeof request, "r%d", n);
    snprintf(user_id, sizeof user_id, "u%d", n % 12);
    for (int i = 0; i < ITEMS; i++) {
        char id[20];
        snprintf(id, sizeof id, "i%d", (n + i) % 9);
        json_array_append_new(items,
                              json_pack("{s:s, s:i, s:{s:s, s:f, s:[s, s]}}", "id", id, "position",
                                        i + 1, "features", "item_id", id, "price",
                                        (n * 7 + i * 5) % 50 + 0.5, "tags", "t1", "t4"));
    }
    if (age >= 0) json_object_set_new(user, "age", json_integer(age));
    return json_pack("{s:s, s:I, s:s, s:s, s:{}, s:s, s:s, s:n, s:o, s:{}, s:o}", "request_id",
                     request, "time_ms", (json_int_t)(1000 + n), "user", user_id, "scenario",
                     scenarios[n % 3], "arms", "model", "m", "version", n % 2 ? "1" : "2",
                     "fallback", "user_features", user, "context", "items", items);
}

/* Puts the probabilities in that the model gives when it does not see the field `without`. */
static void score(json_t *line, int32_t without) {
    hn_error err = {0};
    hn_engine *engine;
    hn_text room = {0};
    uint64_t unknown = 0;
    enum { ITEMS_MOST = 16 };
    json_t *const items = json_object_get(line, "items");
    char *const text = json_dumps(line, JSON_COMPACT);
    hn_json json = {0};
    assert_ok(hn_json_read(&json, text, strlen(text), 20, &err));
    const hn_json_node *all[ITEMS_MOST];
    hn_replay_line exposed = {.file = "test", .json = json.nodes, .items = all};
    for (HN_JSON_EACH(item, hn_json_member(json.nodes, "items"))) {
        assert_true(exposed.n < ITEMS_MOST);
        all[exposed.n++] = item;
    }
    const int32_t saved = hn_kernel_enter();
    assert_ok(hn_engine_create(&engine, bundle, &err));
    assert_ok(hn_replay_rows(engine, &exposed, without, &room, &unknown, &err));
    assert_ok(hn_engine_score(engine, &err));
    hn_kernel_leave(saved);
    for (int32_t i = 0; i < exposed.n; i++) {
        json_t *const p = json_object();
        json_object_set_new(p, "click", json_real(engine->p[i * WORLD_TASKS]));
        json_object_set_new(p, "order", json_real(engine->p[i * WORLD_TASKS + 1]));
        json_object_set_new(json_array_get(items, (size_t)i), "p", p);
    }
    assert_int_equal(unknown, 0);
    hn_json_free(&json);
    free(text);
    hn_text_free(&room);
    hn_engine_free(engine);
}

static int32_t field_of(const char *name) {
    hn_error err = {0};
    hn_engine *engine;
    assert_ok(hn_engine_create(&engine, bundle, &err));
    const int32_t field = hn_request_field(engine->request, name, strlen(name));
    hn_engine_free(engine);
    assert_true(field >= 0);
    return field;
}

static void append(hn_text *text, json_t *line) {
    char *const shown = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9));
    hn_text_add(text, "%s\n", shown);
    free(shown);
    json_decref(line);
}

static void write_lines(hn_text *text) {
    support_write(path_of("exposures.jsonl"), text->text, text->length);
    hn_text_free(text);
}

static hn_status replay(hn_report **out, const hn_replay_options *options, hn_error *err) {
    const char *const path = path_of("exposures.jsonl");
    return hn_replay(out, bundle, &path, 1, options, NULL, err);
}

/* The report as JSON; json_decref it. */
static json_t *replayed(const hn_replay_options *options) {
    hn_error err = {0};
    hn_report *report;
    assert_ok(replay(&report, options, &err));
    assert_non_null(hn_report_text(report));
    json_t *const json = json_loads(hn_report_json(report), 0, NULL);
    hn_report_free(report);
    assert_non_null(json);
    return json;
}

static json_int_t count(const json_t *json, const char *name) {
    const json_t *const counts = json_object_get(json, "counts");
    const json_t *const at = json_object_get(counts, name);
    const json_t *const value = at ? at : json_object_get(json, name);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static const json_t *entry(const json_t *json, const char *list, const char *key,
                           const char *name) {
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(json, list), i,
                       item) if (strcmp(json_string_value(json_object_get(item, key)), name) ==
                                 0) return item;
    return NULL;
}

static double number(const json_t *json, const char *name) {
    return json_number_value(json_object_get(json, name));
}

/* What the server takes, it logs; what it logs can be replayed. */
static void odd_values_are_read(void **state) {
    (void)state;
    hn_text text = {0};
    json_t *const line = exposure(0, -1);
    json_object_set_new(line, "request_id", json_stringn("nul\0x", 5));
    json_t *const items = json_object_get(line, "items");
    json_object_set_new(json_object_get(json_array_get(items, 0), "features"), "price",
                        json_real(123456789012345678901234.0));
    score(line, HN_REPLAY_ALL);
    char *const shown = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9));
    char *const price = strstr(shown, "1.23456789e23");
    assert_non_null(price);
    hn_text_add(&text, "%.*s123456789012345678901234%s\n", (int)(price - shown), shown, price + 13);
    free(shown);
    json_decref(line);
    write_lines(&text);
    json_t *const json = replayed(NULL);
    assert_int_equal(count(json, "bad_lines"), 0);
    assert_int_equal(count(json, "scored"), 1);
    assert_int_equal(count(json, "differing_rows"), 0);
    json_decref(json);
}

/* ---- The same ------------------------------------------------------------------------------ */

static void what_was_served_gives_no_difference(void **state) {
    (void)state;
    hn_text text = {0};
    for (int n = 0; n < LINES; n++) {
        json_t *const line = exposure(n, -1);
        score(line, HN_REPLAY_ALL);
        append(&text, line);
    }
    write_lines(&text);
    json_t *const json = replayed(NULL);
    assert_int_equal(count(json, "lines"), LINES);
    assert_int_equal(count(json, "scored"), LINES);
    assert_int_equal(count(json, "rows"), LINES * ITEMS);
    assert_int_equal(count(json, "differing_rows"), 0);
    assert_true(number(json, "max_difference") < 1e-9);
    assert_int_equal(json_array_size(json_object_get(json, "scenarios")), WORLD_SCENARIOS);
    assert_int_equal(json_array_size(json_object_get(json, "versions")), 2);
    const json_t *const psi = json_object_get(entry(json, "scenarios", "scenario", "cart"), "psi");
    assert_true(fabs(number(psi, "click")) < 1e-12 && fabs(number(psi, "order")) < 1e-12);
    assert_true(json_is_null(json_object_get(json, "first_differing_feature")));
    json_decref(json);
}

/* Another door of the library, the CSV of hn_predict, says what the probabilities should be. */
static hn_status collect(void *user, const void *bytes, size_t n, hn_error *err) {
    (void)err;
    hn_text_bytes(user, bytes, n);
    return HN_OK;
}

static void predict_and_replay_agree(void **state) {
    (void)state;
    hn_error err = {0};
    hn_text csv = {0}, out = {0}, text = {0};
    hn_text_add(&csv, "user_id,item_id,tab,price,tags\n");
    for (int n = 0; n < LINES; n++)
        for (int i = 0; i < ITEMS; i++)
            hn_text_add(&csv, "u%d,i%d,%d,%.1f,t1|t4\n", n % 12, (n + i) % 9, n % 3 + 1,
                        (n * 7 + i * 5) % 50 + 0.5);
    support_write(path_of("rows.csv"), csv.text, csv.length);
    hn_text_free(&csv);
    const char *const path = path_of("rows.csv");
    assert_ok(hn_predict(bundle, &path, 1, NULL, collect, &out, NULL, &err));
    const char *row = strchr(out.text, '\n');
    for (int n = 0; n < LINES; n++) {
        json_t *const line = exposure(n, -1);
        for (size_t i = 0; i < ITEMS; i++) {
            double click, order;
            const char *at = row + 1;
            for (int comma = 0; comma < 5; comma++) at = strchr(at, ',') + 1;
            assert_int_equal(sscanf(at, "%lf,%lf", &click, &order), 2);
            json_object_set_new(json_array_get(json_object_get(line, "items"), i), "p",
                                json_pack("{s:f, s:f}", "click", click, "order", order));
            row = strchr(row + 1, '\n');
        }
        append(&text, line);
    }
    hn_text_free(&out);
    write_lines(&text);
    json_t *const json = replayed(NULL);
    assert_int_equal(count(json, "rows"), LINES * ITEMS);
    assert_true(number(json, "max_difference") < 1e-9);
    json_decref(json);
}

/* ---- What differs -------------------------------------------------------------------------- */

static void a_probability_that_is_not_the_models_is_found(void **state) {
    (void)state;
    hn_text text = {0};
    for (int n = 0; n < 3; n++) {
        json_t *const line = exposure(n, -1);
        score(line, HN_REPLAY_ALL);
        json_t *const p = json_object_get(json_array_get(json_object_get(line, "items"), 2), "p");
        if (n == 1) json_object_set_new(p, "order", json_real(fmod(number(p, "order") + 0.25, 1)));
        append(&text, line);
    }
    write_lines(&text);
    json_t *const json = replayed(NULL);
    assert_int_equal(count(json, "differing_rows"), 1);
    assert_int_equal(count(json, "looked_into"), 1);
    assert_int_equal(count(json, "unexplained"), 1);
    assert_true(number(json, "max_difference") > 0.2);
    assert_int_equal(
        json_integer_value(json_object_get(entry(json, "versions", "version", "1"), "differing")),
        1);
    assert_int_equal(
        json_integer_value(json_object_get(entry(json, "versions", "version", "2"), "differing")),
        0);
    json_decref(json);
    const hn_replay_options wide = {.tolerance = 1};
    json_t *const tolerant = replayed(&wide);
    assert_int_equal(count(tolerant, "differing_rows"), 0);
    json_decref(tolerant);
}

static void a_feature_that_the_server_did_not_see_is_the_cause(void **state) {
    (void)state;
    hn_text text = {0};
    for (int n = 0; n < LINES; n++) {
        json_t *const line = exposure(n, -1);
        score(line, n % 4 == 0 ? field_of("price") : HN_REPLAY_ALL);
        append(&text, line);
    }
    write_lines(&text);
    json_t *const json = replayed(NULL);
    const json_int_t causes =
        json_integer_value(json_object_get(entry(json, "features", "feature", "price"), "causes"));
    assert_true(causes > 0);
    assert_int_equal(causes, count(json, "looked_into"));
    assert_int_equal(count(json, "unexplained"), 0);
    json_decref(json);
}

static void features_are_held_against_the_tables(void **state) {
    (void)state;
    const int32_t age = field_of("age");
    hn_text text = {0};
    hn_error err = {0};
    hn_engine *engine;
    assert_ok(hn_engine_create(&engine, bundle, &err));
    const int32_t table = hn_request_field_table(engine->request, age);
    hn_engine_free(engine);
    assert_true(table >= 0);
    for (int n = 0; n < LINES; n++) {
        json_t *const line = exposure(n, n == 7 || n == 9 ? 99 : -1); /* nobody is 99 */
        if (n == 11) json_object_set_new(line, "user", json_string("nobody"));
        if (n == 11)
            json_object_set_new(json_object_get(line, "user_features"), "age", json_integer(20));
        score(line, HN_REPLAY_ALL);
        append(&text, line);
    }
    write_lines(&text);
    json_t *const json = replayed(NULL);
    assert_int_equal(count(json, "differing_rows"), 0); /* it was served so, and scored so */
    assert_string_equal(json_string_value(json_object_get(json, "first_differing_feature")),
                        "users.age");
    const char *const first = json_string_value(json_object_get(json, "first_difference"));
    assert_non_null(strstr(first, "exposures.jsonl:8: request \"r7\": users.age was served as 99"));
    const json_t *const found = entry(json, "features", "feature", "users.age");
    assert_int_equal(json_integer_value(json_object_get(found, "compared")), 2);
    assert_int_equal(json_integer_value(json_object_get(found, "differing")), 2);
    assert_int_equal(json_integer_value(json_object_get(found, "new_keys")), 1);
    assert_true(number(entry(json, "tasks", "task", "click"), "tables_max_difference") > 0);
    json_decref(json);
}

/* ---- What is left out ---------------------------------------------------------------------- */

static void lines_that_cannot_be_compared_are_counted(void **state) {
    (void)state;
    hn_text text = {0};
    for (int n = 0; n < 4; n++) {
        json_t *const line = exposure(n, -1);
        score(line, HN_REPLAY_ALL);
        if (n == 0) {
            json_object_del(line, "user_features");
            json_object_del(line, "context");
            for (size_t i = 0; i < ITEMS; i++)
                json_object_del(json_array_get(json_object_get(line, "items"), i), "features");
        }
        if (n == 1) json_object_set_new(line, "fallback", json_string("order"));
        if (n == 2) json_object_del(json_array_get(json_object_get(line, "items"), 3), "p");
        append(&text, line);
    }
    write_lines(&text);
    json_t *json = replayed(NULL);
    assert_int_equal(count(json, "without_features"), 1);
    assert_int_equal(count(json, "without_scores"), 2);
    assert_int_equal(count(json, "scored"), 1);
    json_decref(json);
    const hn_replay_options other = {.model = "m", .version = "2"}, none = {.model = "x"};
    json = replayed(&other);
    assert_int_equal(count(json, "other_models"), 2);
    assert_int_equal(count(json, "scored"), 0);
    json_decref(json);
    json = replayed(&none);
    assert_int_equal(count(json, "other_models"), 4);
    json_decref(json);
}

static void bad_lines_are_named(void **state) {
    (void)state;
    static const struct {
        const char *line, *words;
    } cases[] = {
        {"{\"items\":", "exposures.jsonl:1:"},
        {"[]", "exposures.jsonl:1:1: the line: expected an exposure"},
        {"{\"items\":{}}", "items: expected a list"},
        {"{\"items\":[1]}", "items: expected objects"},
        {"{\"user_features\":3,\"context\":{},\"items\":[{\"p\":{\"click\":0.1,\"order\":0.1}}]}",
         "user_features: expected an object"},
        {"{\"scenario\":[[]],\"context\":{},\"items\":[{\"p\":{\"click\":0.1,\"order\":0.1}}]}",
         "scenario: expected a string"},
        {"{\"context\":{},\"items\":[{\"p\":{\"click\":0.1,\"order\":0.1},\"features\":{\"price\":"
         "\"dear\"}}]}",
         "items[0].features.price: found \"dear\"; expected a number"},
        {"{\"context\":{\"tags\":[[1]]},\"items\":[{\"p\":{\"click\":0.1,\"order\":0.1}}]}",
         "context.tags: found"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hn_error err = {0};
        hn_report *report;
        hn_text text = {0};
        hn_text_add(&text, "%s\n", cases[i].line);
        write_lines(&text);
        assert_fails(HN_BAD_DATA, cases[i].words, replay(&report, NULL, &err));
        assert_null(report);
        const hn_replay_options lenient = {.bad_lines = 1};
        json_t *const json = replayed(&lenient);
        assert_int_equal(count(json, "bad_lines"), 1);
        json_decref(json);
    }
    hn_error err = {0};
    hn_report *report;
    const char *const absent = path_of("absent.jsonl");
    assert_fails(HN_NO_INPUT, "absent.jsonl",
                 hn_replay(&report, bundle, &absent, 1, NULL, NULL, &err));
    const volatile int stop = 1;
    hn_run run = hn_run_default();
    run.stop = &stop;
    const char *const path = path_of("exposures.jsonl");
    assert_fails(HN_INTERRUPTED, "stopped", hn_replay(&report, bundle, &path, 1, NULL, &run, &err));
}

static hn_status work(void *user, hn_error *err) {
    (void)user;
    hn_report *report;
    const hn_status status = replay(&report, NULL, err);
    hn_report_free(report);
    return status;
}

static void faults_are_survived(void **state) {
    (void)state;
    hn_text text = {0};
    for (int n = 0; n < 2; n++) {
        json_t *const line = exposure(n, 99);
        score(line, HN_REPLAY_ALL);
        append(&text, line);
    }
    write_lines(&text);
    assert_true(support_fail_each(HN_FAULT_ALLOC, work, NULL) > 20);
    assert_true(support_fail_each(HN_FAULT_READ, work, NULL) > 0);
}

/* ---- PSI ----------------------------------------------------------------------------------- */

static void psi_is_its_formula(void **state) {
    (void)state;
    uint64_t was[HN_REPLAY_BINS] = {0}, is[HN_REPLAY_BINS] = {0};
    assert_true(isnan(hn_replay_psi(was, is)));
    /* tenths that fall on bins: 100 rows in each of ten bins; then half of the first moved on */
    for (int i = 0; i < 10; i++) was[10 + i] = is[10 + i] = 100;
    assert_true(fabs(hn_replay_psi(was, is)) < 1e-15);
    is[10] = 50, is[19] = 150;
    const double n = 1005, p = 100.5 / n, low = 50.5 / n, high = 150.5 / n;
    const double expected = (low - p) * log(low / p) + (high - p) * log(high / p);
    assert_true(fabs(hn_replay_psi(was, is) - expected) < 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_values_are_read),
        cmocka_unit_test(what_was_served_gives_no_difference),
        cmocka_unit_test(predict_and_replay_agree),
        cmocka_unit_test(a_probability_that_is_not_the_models_is_found),
        cmocka_unit_test(a_feature_that_the_server_did_not_see_is_the_cause),
        cmocka_unit_test(features_are_held_against_the_tables),
        cmocka_unit_test(lines_that_cannot_be_compared_are_counted),
        cmocka_unit_test(bad_lines_are_named),
        cmocka_unit_test(faults_are_survived),
        cmocka_unit_test(psi_is_its_formula),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
