/* hn_predict: each row comes back with the probabilities that the model gives it, in order,
 * with any number of threads; and every way of failing is told and leaves nothing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/world.h"
#include "kernel/kernel.h"
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

/* ---- Input and output ------------------------------------------------------------------- */

typedef struct sink {
    hn_text text;
    int64_t calls, fail_at; /* the call that fails; 0: none */
} sink;

static hn_status collect(void *user, const void *bytes, size_t n, hn_error *err) {
    sink *const s = user;
    if (++s->calls == s->fail_at) return hn_fail(err, HN_IO_FAILED, "the sink is full");
    hn_text_bytes(&s->text, bytes, n);
    return s->text.failed ? hn_no_memory(err, "the sink") : HN_OK;
}

static const char *path_of(const char *name) {
    static char paths[4][400];
    static int next;
    char *const path = paths[next++ % 4];
    snprintf(path, sizeof *paths, "%s/%s", w.folder, name);
    return path;
}

static hn_status predict(sink *s, const char *path, int32_t threads, hn_error *err) {
    hn_run run = hn_run_default();
    run.threads = threads;
    run.out_dir = w.folder;
    return hn_predict(bundle, &path, 1, NULL, collect, s, &run, err);
}

/* What predict makes of a text; to be freed. */
static char *predicted(const char *text, size_t n, int32_t threads) {
    hn_error err = {0};
    sink s = {0};
    support_write(path_of("input.csv"), text, n);
    assert_ok(predict(&s, path_of("input.csv"), threads, &err));
    assert_non_null(s.text.text);
    char *const copy = strdup(s.text.text);
    hn_text_free(&s.text);
    return copy;
}

static const char header[] = "user_id,item_id,tab,date,price,tags,click,order\n";

/* The log of the world, to be freed. */
static char *world_log(size_t *n) {
    FILE *const file = fopen(path_of("log.csv"), "rb");
    assert_non_null(file);
    char *const text = calloc(1 << 16, 1);
    *n = fread(text, 1, (1 << 16) - 1, file);
    fclose(file);
    return text;
}

/* ---- The numbers --------------------------------------------------------------------------- */

/* "%.9g" and its double twin, as the program's documentation says. */
static void add_probability(hn_text *out, hn_real logit) {
    hn_text_add(out, sizeof(hn_real) == sizeof(double) ? ",%.17g" : ",%.9g",
                (double)hn_sigmoid(logit));
}

static void rows_come_back_with_the_probabilities_of_the_model(void **state) {
    (void)state;
    hn_error err = {0};
    hn_encoded encoded;
    hn_scratch *scratch = NULL;
    hn_text expected = {0};
    size_t n;
    char *const input = world_log(&n), *const input_again = strdup(input);
    world_rows(&encoded, &w, hn_dataset_schema(w.dataset), hn_dataset_tables(w.dataset));
    const size_t rows = (size_t)encoded.rows.rows;
    hn_real *const logits = calloc(rows * WORLD_TASKS, sizeof *logits);
    assert_ok(hn_scratch_create(&scratch, bundle->scorer, &err));
    assert_ok(hn_score(logits, bundle->scorer, scratch, &encoded.rows, &err));
    const char *line = strtok(input_again, "\n");
    hn_text_add(&expected, "%s,p_click,p_order\n", line);
    for (size_t r = 0; r < rows; r++) {
        line = strtok(NULL, "\n");
        assert_non_null(line);
        hn_text_add(&expected, "%s", line);
        for (size_t t = 0; t < WORLD_TASKS; t++)
            add_probability(&expected, logits[r * WORLD_TASKS + t]);
        hn_text_add(&expected, "\n");
    }
    char *const found = predicted(input, n, 1);
    assert_string_equal(found, expected.text);
    hn_scratch_free(scratch);
    hn_encoded_free(&encoded);
    hn_text_free(&expected);
    free(logits);
    free(found);
    free(input);
    free(input_again);
}

/* 240 rows 50 times over: blocks, pieces and slices of all sizes, and the same rows in
 * different company. */
static void neither_threads_nor_neighbours_change_a_row(void **state) {
    (void)state;
    enum { COPIES = 50 };
    size_t n;
    hn_text many = {0};
    char *const log = world_log(&n), *const once = predicted(log, n, 1);
    hn_text_add(&many, "%s", header);
    for (int c = 0; c < COPIES; c++) hn_text_add(&many, "%s", strchr(log, '\n') + 1);
    char *const one = predicted(many.text, many.length, 1);
    char *const four = predicted(many.text, many.length, 4);
    assert_string_equal(one, four);
    const char *const body = strchr(once, '\n') + 1, *at = strchr(one, '\n') + 1;
    for (int c = 0; c < COPIES; c++, at += strlen(body))
        assert_memory_equal(at, body, strlen(body));
    assert_int_equal(*at, '\0');
    hn_text_free(&many);
    free(log);
    free(once);
    free(one);
    free(four);
}

/* ---- Forms of input -------------------------------------------------------------------------- */

/* The probabilities of the first row of a text: what follows the row itself. */
static char *tail_of(const char *text, char separator) {
    char *const out = predicted(text, strlen(text), 2);
    char *last = strrchr(out, separator);
    assert_non_null(last);
    *last = '\0';
    char *const before = strrchr(out, separator);
    assert_non_null(before);
    *last = separator;
    char *const tail = strdup(before + 1);
    free(out);
    return tail;
}

static void the_form_of_the_text_changes_nothing(void **state) {
    (void)state;
    char *const plain = tail_of("user_id,item_id,tab,date,price,tags\nu1,i2,1,3,4.5,t1|t2\n", ',');
    static const char *const forms[] = {
        "\xef\xbb\xbfuser_id,item_id,tab,date,price,tags\r\nu1,i2,1,3,4.5,t1|t2\r\n",
        "tags,price,date,tab,item_id,user_id\nt1|t2,4.5,3,1,i2,u1",
        "note,user_id,item_id,tab,date,price,tags\n\"a\nb, c\",\"u1\",i2,1,3,4.5,t1|t2\n\n",
        "user_id,item_id,tab,price,tags,click,order\nu1,i2,1,4.5,t1|t2,what,\n",
    };
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        char *const tail = tail_of(forms[f], ',');
        assert_string_equal(tail, plain);
        free(tail);
    }
    char *const tabs =
        tail_of("user_id\titem_id\ttab\tdate\tprice\ttags\nu1\ti2\t1\t3\t4.5\tt1|t2\n", '\t');
    assert_int_equal(strcspn(tabs, "\t"), strcspn(plain, ","));
    assert_memory_equal(tabs, plain, strcspn(plain, ","));
    free(tabs);
    free(plain);
}

static void assert_header(const char *columns, const char *expected) {
    char text[400];
    snprintf(text, sizeof text, "user_id,item_id,tab,date,price,tags%s\n", columns);
    char *const out = predicted(text, strlen(text), 1);
    const size_t skipped = strlen("user_id,item_id,tab,date,price,tags");
    assert_string_equal(out + skipped, expected);
    free(out);
}

static void names_that_are_taken_get_underscores(void **state) {
    (void)state;
    assert_header("", ",p_click,p_order\n");
    assert_header(",click,order", ",click,order,p_click,p_order\n");
    assert_header(",p_order", ",p_order,p_click,p_order_\n");
    assert_header(",p_click,\"p_click_\"", ",p_click,\"p_click_\",p_click__,p_order\n");
    assert_header(",xp_click,p_clickx", ",xp_click,p_clickx,p_click,p_order\n");
}

static void unknown_users_and_scenarios_are_scored(void **state) {
    (void)state;
    char *const tail = tail_of("user_id,item_id,tab,date,price,tags\nnobody,nothing,77,3,,\n", ',');
    const double p = strtod(tail, NULL);
    assert_true(p > 0 && p < 1);
    free(tail);
}

/* ---- Calibration, sampling, flags ---------------------------------------------------------- */

typedef struct heard {
    char line[400];
    int n;
} heard;

static void hear(void *user, hn_log_level level, const char *line) {
    heard *const h = user;
    if (level != HN_LOG_WARNING) return;
    snprintf(h->line, sizeof h->line, "%s", line);
    h->n++;
}

/* The text's rows by this bundle and these options; to be freed. */
static char *predicted_with(const hn_bundle *by, const hn_predict_options *how, heard *h,
                            const char *text) {
    hn_error err = {0};
    sink s = {0};
    hn_run run = hn_run_default();
    run.threads = 2;
    run.out_dir = w.folder;
    run.log = hear;
    run.user = h;
    support_write(path_of("input.csv"), text, strlen(text));
    const char *const path = path_of("input.csv");
    assert_ok(hn_predict(by, &path, 1, how, collect, &s, &run, &err));
    char *const copy = strdup(s.text.text);
    hn_text_free(&s.text);
    return copy;
}

static const char three_rows[] = "user_id,item_id,tab,date,price,tags\nu1,i2,1,3,4.5,t1|t2\n"
                                 "u3,i2,77,3,4.5,t1\nu3,i4,3,3,9,t1\n";

static void unknown_scenarios_are_flagged_and_told(void **state) {
    (void)state;
    heard h = {0};
    char *const plain = predicted_with(bundle, NULL, &h, three_rows);
    assert_int_equal(h.n, 1);
    assert_non_null(strstr(h.line, "1 rows are of scenarios"));
    const hn_predict_options how = {.flags = true};
    char *const flagged = predicted_with(bundle, &how, &h, three_rows);
    static const char *const ends[] = {",flags", ",", ",unknown_scenario", ","};
    const char *a = plain, *b = flagged;
    for (int row = 0; row < 4; row++) { /* the same, and one column more */
        const size_t n = strcspn(a, "\n"), m = strlen(ends[row]);
        assert_memory_equal(a, b, n);
        assert_memory_equal(b + n, ends[row], m);
        assert_int_equal(b[n + m], '\n');
        a += n + 1;
        b += n + m + 1;
    }
    assert_int_equal(*a, '\0');
    assert_int_equal(*b, '\0');
    free(plain);
    free(flagged);
    char *const none = predicted_with(bundle, &how, &h,
                                      "user_id,item_id,tab,price,tags,flags\nu1,i2,1,4.5,t1,x\n");
    assert_non_null(strstr(none, ",flags,p_click,p_order,flags_\n"));
    assert_int_equal(h.n, 2); /* of the two before */
    free(none);
}

/* The numbers of a row (0 is the first) that end it. */
static void numbers_of(double out[WORLD_TASKS], const char *text, int row) {
    for (row++; row > 0; row--) text = strchr(text, '\n') + 1;
    const char *at = text + strcspn(text, "\n");
    for (int t = WORLD_TASKS; t > 0; t--) {
        while (at[-1] != ',') at--;
        out[t - 1] = strtod(at, NULL);
        at--;
    }
}

/* Cell (cart, order) has a calibration that is the same whatever the logits are like. */
static hn_calibration *some_calibration(void) {
    hn_error err = {0};
    hn_calibration *c;
    double x[60];
    uint8_t y[60];
    for (int i = 0; i < 60; i++) x[i] = i / 30.0 - 1, y[i] = i % 3 == 0 || i > 40;
    assert_ok(hn_calibration_create(&c, HN_CALIBRATE_PLATT, WORLD_SCENARIOS, WORLD_TASKS, &err));
    assert_ok(hn_calibration_fit(c, 2, 1, x, y, NULL, 60, &err));
    assert_true(hn_calibration_has(c, 2, 1));
    return c;
}

static void probabilities_are_calibrated_and_corrected(void **state) {
    (void)state;
    hn_error err = {0};
    world sampled;
    hn_bundle *by;
    heard h = {0};
    const char *const sets[] = {"log={files: log.csv, sampling: 0.25}"};
    world_make_with(&sampled, WORLD_HINET, sets, 1);
    hn_calibration *const c = some_calibration();
    hn_bundle_parts parts = world_parts(&sampled);
    parts.calibration = c;
    assert_ok(hn_bundle_write(sampled.bundle_path, &parts, &err));
    assert_ok(hn_bundle_open(&by, sampled.bundle_path, &err));
    char *texts[4];
    for (int k = 0; k < 4; k++) {
        const hn_predict_options how = {.calibrated = k & 1, .uncorrected = k & 2};
        texts[k] = predicted_with(by, &how, &h, three_rows);
    }
    for (int row = 0; row < 3; row++) {
        double p[4][WORLD_TASKS];
        for (int k = 0; k < 4; k++) numbers_of(p[k], texts[k], row);
        for (int t = 0; t < WORLD_TASKS; t++) {
            const double plain = p[2][t], logit = log(plain / (1 - plain));
            const double calibrated = row == 2 && t == 1 ? hn_calibrate(c, 2, 1, logit) : plain;
            assert_true(fabs(p[3][t] - calibrated) < 1e-6);
            assert_true(row != 2 || t != 1 || fabs(calibrated - plain) > 0.01);
            assert_true(fabs(p[0][t] - hn_unsample(plain, 0.25)) < 1e-6);
            assert_true(fabs(p[1][t] - hn_unsample(calibrated, 0.25)) < 1e-6);
            assert_true(p[0][t] < plain);
        }
    }
    for (int k = 0; k < 4; k++) free(texts[k]);
    hn_calibration_free(c);
    hn_bundle_close(by);
    world_free(&sampled);
}

/* ---- Failures ------------------------------------------------------------------------------ */

static void wrong_inputs_are_told(void **state) {
    (void)state;
    hn_error err = {0};
    sink s = {0};
    hn_run run = hn_run_default();
    run.out_dir = w.folder;
    assert_fails(HN_USAGE, "no files", hn_predict(bundle, NULL, 0, NULL, collect, &s, &run, &err));
    assert_fails(HN_NO_INPUT, "absent.csv", predict(&s, path_of("absent.csv"), 1, &err));
    support_write(path_of("bad.csv"), "user_id,item_id\nu1,i1\n", 22);
    assert_fails(HN_BAD_DATA, "bad.csv", predict(&s, path_of("bad.csv"), 1, &err));
    const char short_row[] = "user_id,item_id,tab,date,price,tags\nu1,i2,1,3,4.5,t1\nu1,i2\n";
    support_write(path_of("bad.csv"), short_row, sizeof short_row - 1);
    assert_fails(HN_BAD_DATA, "bad.csv:3:", predict(&s, path_of("bad.csv"), 1, &err));
    assert_fails(HN_USAGE, "threads", predict(&s, path_of("log.csv"), 1000, &err));
    hn_text_free(&s.text);
}

static void a_write_that_fails_ends_it_with_its_own_status(void **state) {
    (void)state;
    for (int64_t call = 1; call <= 2; call++) {
        hn_error err = {0};
        sink s = {.fail_at = call};
        const int64_t held = hn_memory_held();
        assert_fails(HN_IO_FAILED, "the sink is full", predict(&s, path_of("log.csv"), 2, &err));
        assert_int_equal(s.calls, call);
        hn_text_free(&s.text);
        assert_int_equal(hn_memory_held(), held);
    }
}

static void a_stop_is_obeyed(void **state) {
    (void)state;
    hn_error err = {0};
    sink s = {0};
    const volatile int stop = 1;
    const char *const path = path_of("log.csv");
    hn_run run = hn_run_default();
    run.out_dir = w.folder;
    run.stop = &stop;
    assert_fails(HN_INTERRUPTED, "", hn_predict(bundle, &path, 1, NULL, collect, &s, &run, &err));
    hn_text_free(&s.text);
}

static hn_status predict_and_free(void *user, hn_error *err) {
    sink s = {0};
    const hn_status status = predict(&s, user, 2, err);
    hn_text_free(&s.text);
    return status;
}

static void every_failed_allocation_and_read_is_told_and_leaks_nothing(void **state) {
    (void)state;
    char path[400];
    snprintf(path, sizeof path, "%s", path_of("log.csv"));
    assert_true(support_fail_each(HN_FAULT_ALLOC, predict_and_free, path) > 20);
    assert_true(support_fail_each(HN_FAULT_READ, predict_and_free, path) >= 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_with_the_probabilities_of_the_model),
        cmocka_unit_test(neither_threads_nor_neighbours_change_a_row),
        cmocka_unit_test(the_form_of_the_text_changes_nothing),
        cmocka_unit_test(names_that_are_taken_get_underscores),
        cmocka_unit_test(unknown_users_and_scenarios_are_scored),
        cmocka_unit_test(unknown_scenarios_are_flagged_and_told),
        cmocka_unit_test(probabilities_are_calibrated_and_corrected),
        cmocka_unit_test(wrong_inputs_are_told),
        cmocka_unit_test(a_write_that_fails_ends_it_with_its_own_status),
        cmocka_unit_test(a_stop_is_obeyed),
        cmocka_unit_test(every_failed_allocation_and_read_is_told_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
