/* The same numbers through every door: the rows of a log go through hn_predict, /v1/rank and
 * /v2 (JSON and binary), and must agree to the bit; also in other orders and numbers of rows,
 * by another worker, after a reload, with the tables' cells given, and by the scenario's name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/doors.h"
#include "support.h"

enum { ROWS = 240, COLUMNS = 8, CELL = 24, TASKS = WORLD_TASKS };
enum { USER, ITEM, TAB, DATE, PRICE, TAGS };
static const char *const names[] = {"user_id", "item_id", "tab", "date", "price", "tags"};
static const char *const tasks[TASKS] = {"click", "order"};
static const char *const scenarios[] = {"home", "search", "cart"};

static world the_world;
static char cells[ROWS][COLUMNS][CELL];
static hn_real predicted[ROWS][TASKS];

/* ---- What predict says ----------------------------------------------------------------------- */

static hn_status collect(void *user, const void *bytes, size_t n, hn_error *err) {
    (void)err;
    hn_text_bytes(user, bytes, n);
    return HN_OK;
}

static void split(char *line, char out[][CELL], int most) {
    int c = 0;
    for (char *at = line, *next; at && c < most; at = next, c++) {
        next = strchr(at, ',');
        if (next) *next++ = '\0';
        snprintf(out[c], CELL, "%s", at);
    }
}

static void predict(void) {
    hn_error err = {0};
    hn_bundle *bundle;
    hn_text out = {0};
    char log[400];
    const hn_predict_options options = {.calibrated = true};
    snprintf(log, sizeof log, "%s/log.csv", the_world.folder);
    const char *const path = log;
    assert_ok(hn_bundle_open(&bundle, the_world.bundle_path, &err));
    assert_ok(hn_predict(bundle, &path, 1, &options, collect, &out, NULL, &err));
    int row = -1;
    for (char *line = strtok(out.text, "\n"); line; line = strtok(NULL, "\n"), row++) {
        char all[COLUMNS + TASKS][CELL];
        if (row < 0) continue;
        split(line, all, COLUMNS + TASKS);
        memcpy(cells[row], all, sizeof cells[row]);
        for (int t = 0; t < TASKS; t++) predicted[row][t] = (hn_real)strtod(all[COLUMNS + t], NULL);
    }
    assert_int_equal(row, ROWS);
    hn_text_free(&out);
    hn_bundle_close(bundle);
}

/* ---- /v1/rank ------------------------------------------------------------------------------ */

static void add_candidate(hn_text *out, int row, bool numbers) {
    /* without an item's side in the config an id is no column by itself */
    hn_text_add(out, "{\"id\":\"%s\",\"item_id\":\"%s\",\"price\":", cells[row][ITEM],
                cells[row][ITEM]);
    if (numbers) /* another spelling of the same number */
        hn_text_add(out, "%s0", cells[row][PRICE]);
    else
        hn_text_add(out, "\"%s\"", cells[row][PRICE]);
    char *const bar = strchr(cells[row][TAGS], '|');
    hn_text_add(out, ",\"tags\":[\"%.*s\",\"%s\"]}", (int)(bar - cells[row][TAGS]),
                cells[row][TAGS], bar + 1);
}

/* Rows of one user and scenario, ranked as one request of `n`. */
static void rank(doors *d, const int *rows, int n, bool by_name) {
    hn_text body = {0};
    const int tab = atoi(cells[rows[0]][TAB]) - 1;
    hn_text_add(&body, "{\"user\":{\"id\":\"%s\"},\"scenario\":\"%s\",\"candidates\":[",
                cells[rows[0]][USER], by_name ? scenarios[tab] : cells[rows[0]][TAB]);
    for (int k = 0; k < n; k++) {
        if (k > 0) hn_text_add(&body, ",");
        add_candidate(&body, rows[k], k % 2 == 0);
    }
    hn_text_add(&body, "]}");
    json_t *const answer = doors_rank(d, 200, body.text);
    const json_t *const items = json_object_get(answer, "items");
    assert_int_equal(json_array_size(items), n);
    assert_string_equal(json_string_value(json_object_get(answer, "scenario")), scenarios[tab]);
    bool seen[ROWS] = {0};
    double last = 2;
    for (int k = 0; k < n; k++) {
        const json_t *const item = json_array_get(items, (size_t)k), *const p =
                                                                         json_object_get(item, "p");
        const double score = json_number_value(json_object_get(item, "score"));
        int found = -1;
        for (int j = 0; j < n && found < 0; j++) { /* ids may stand twice */
            bool same = !seen[j] && strcmp(cells[rows[j]][ITEM],
                                           json_string_value(json_object_get(item, "id"))) == 0;
            for (int t = 0; t < TASKS; t++)
                same &= (hn_real)json_number_value(json_object_get(p, tasks[t])) ==
                        predicted[rows[j]][t];
            if (same) found = j;
        }
        if (found < 0) fail_msg("no row is item %d of %s", k, d->body);
        seen[found] = true;
        assert_true((float)score ==
                    (float)((double)predicted[rows[found]][0] * (double)predicted[rows[found]][1]));
        assert_true(score <= last);
        last = score;
    }
    hn_text_free(&body);
    json_decref(answer);
}

/* All rows, as requests of at most `most` candidates. */
static void rank_all(doors *d, int most, bool by_name) {
    bool done[ROWS] = {0};
    int ranked = 0;
    for (int first = 0; first < ROWS; first++) {
        int rows[ROWS], n = 0;
        for (int i = first; i < ROWS && n < most && !done[first]; i++) {
            if (done[i] || strcmp(cells[i][USER], cells[first][USER]) != 0 ||
                strcmp(cells[i][TAB], cells[first][TAB]) != 0)
                continue;
            rows[n++] = i;
        }
        for (int k = 0; k < n; k++) done[rows[k]] = true;
        if (n > 0) rank(d, rows, n, by_name);
        ranked += n;
    }
    assert_int_equal(ranked, ROWS);
}

/* ---- /v2 ----------------------------------------------------------------------------------- */

static void compare_outputs(const json_t *answer, int first, int n) {
    const json_t *const outputs = json_object_get(answer, "outputs");
    assert_int_equal(json_array_size(outputs), TASKS + 1);
    for (int t = 0; t < TASKS + 1; t++) {
        const json_t *const output = json_array_get(outputs, (size_t)t), *const data =
                                                                             json_object_get(
                                                                                 output, "data");
        assert_string_equal(json_string_value(json_object_get(output, "name")),
                            t < TASKS ? tasks[t] : "score");
        assert_int_equal(json_array_size(data), n);
        for (int i = 0; i < n; i++) {
            const hn_real *const p = predicted[first + i];
            const hn_real want = t < TASKS ? p[t] : (hn_real)((double)p[0] * (double)p[1]);
            assert_true((hn_real)json_number_value(json_array_get(data, (size_t)i)) == want);
        }
    }
}

static void infer_json(doors *d, int first, int n, bool nested) {
    hn_text body = {0};
    hn_text_add(&body, "{\"id\":\"t1\",\"inputs\":[");
    for (size_t c = 0; c < sizeof names / sizeof *names; c++) {
        if (c == DATE) continue; /* the model does not read it */
        hn_text_add(&body, "%s{\"name\":\"%s\",\"datatype\":\"BYTES\",\"shape\":[%d%s],\"data\":[",
                    c > 0 ? "," : "", names[c], n, nested ? ",1" : "");
        for (int i = 0; i < n; i++)
            hn_text_add(&body, nested ? "%s[\"%s\"]" : "%s\"%s\"", i > 0 ? "," : "",
                        cells[first + i][c]);
        hn_text_add(&body, "]}");
    }
    hn_text_add(&body, "]}");
    json_t *const answer = doors_infer(d, 200, body.text);
    assert_string_equal(json_string_value(json_object_get(answer, "id")), "t1");
    compare_outputs(answer, first, n);
    json_decref(answer);
    hn_text_free(&body);
}

/* Strings as BYTES, prices as FP32 or FP64, the scenario as INT64. */
static void infer_binary(doors *d, int first, int n, bool single) {
    hn_text body = {0}, tail = {0};
    hn_text_add(&body, "{\"parameters\":{\"binary_data_output\":true},\"inputs\":[");
    for (size_t c = 0; c < sizeof names / sizeof *names; c++) {
        const size_t begin = tail.length;
        if (c == DATE) continue;
        for (int i = 0; i < n; i++) {
            const char *const cell = cells[first + i][c];
            const uint32_t length = (uint32_t)strlen(cell);
            const double real = strtod(cell, NULL);
            const float narrow = (float)real;
            const int64_t whole = atoi(cell);
            if (c == PRICE && single) hn_text_bytes(&tail, &narrow, sizeof narrow);
            if (c == PRICE && !single) hn_text_bytes(&tail, &real, sizeof real);
            if (c == TAB) hn_text_bytes(&tail, &whole, sizeof whole);
            if (c == PRICE || c == TAB) continue;
            hn_text_bytes(&tail, &length, sizeof length);
            hn_text_bytes(&tail, cell, length);
        }
        const char *const type = c == PRICE ? (single ? "FP32" : "FP64")
                                 : c == TAB ? "INT64"
                                            : "BYTES";
        hn_text_add(&body,
                    "%s{\"name\":\"%s\",\"datatype\":\"%s\",\"shape\":[%d],\"parameters\":{"
                    "\"binary_data_size\":%zu}}",
                    c > 0 ? "," : "", names[c], type, n, tail.length - begin);
    }
    hn_text_add(&body, "]}");
    const size_t json = body.length;
    hn_text_bytes(&body, tail.text, tail.length);
    if (doors_ask(d, "POST", "/v2/models/main/infer", body.text, body.length, (int64_t)json) != 200)
        fail_msg("%s", d->body);
    assert_int_equal((size_t)d->json_bytes + (size_t)n * (TASKS + 1) * sizeof(hn_real),
                     d->body_bytes);
    const char *at = d->body + d->json_bytes;
    for (int t = 0; t < TASKS + 1; t++)
        for (int i = 0; i < n; i++, at += sizeof(hn_real)) {
            const hn_real *const p = predicted[first + i];
            hn_real found;
            memcpy(&found, at, sizeof found);
            assert_true(found == (t < TASKS ? p[t] : (hn_real)((double)p[0] * (double)p[1])));
        }
    hn_text_free(&body);
    hn_text_free(&tail);
}

/* ---- Tests --------------------------------------------------------------------------------- */

static void the_same_through_every_door(void **state) {
    (void)state;
    doors d;
    doors_open(&d, &the_world, "limits: {candidates: 1000}\n");
    rank_all(&d, ROWS, false);
    rank_all(&d, 1, true);
    d.worker = 1;
    rank_all(&d, 3, true);
    infer_json(&d, 0, ROWS, false);
    for (int first = 0; first < ROWS; first += 37)
        infer_json(&d, first, first + 37 < ROWS ? 37 : ROWS - first, true);
    infer_binary(&d, 0, ROWS, false);
    infer_binary(&d, 11, 100, true);
    hn_error err = {0};
    assert_ok(hn_shelf_reload(d.shelf, "main", &err));
    infer_json(&d, 5, 1, false);
    rank_all(&d, 7, false);
    doors_close(&d);
}

/* The user's cells are in the request, and the id is one that the table does not know. */
static void given_cells_are_the_tables(void **state) {
    (void)state;
    doors d;
    doors_open(&d, &the_world, "");
    json_t *const known = doors_rank(
        &d, 200,
        "{\"scenario\":1,\"user\":{\"id\":\"u3\"},\"candidates\":[{\"id\":\"i1\",\"price\":3}]}");
    char users[400], line[200], age[CELL] = "", city[CELL] = "", body[400];
    snprintf(users, sizeof users, "%s/users.csv", the_world.folder);
    FILE *const file = fopen(users, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "u3,", 3) == 0) sscanf(line, "u3,%23[^,],%23[^\n]", age, city);
    fclose(file);
    snprintf(body, sizeof body,
             "{\"scenario\":\"home\",\"user\":{\"id\":\"u3\",\"age\":%s,\"users.city\":\"%s\"},"
             "\"candidates\":[{\"price\":3.0,\"id\":\"i1\"}]}",
             age, city);
    json_t *const given = doors_rank(&d, 200, body);
    assert_true(json_equal(json_object_get(known, "items"), json_object_get(given, "items")));
    json_decref(given);
    snprintf(body, sizeof body,
             "{\"scenario\":\"home\",\"user\":{\"id\":\"u3\",\"age\":99},"
             "\"candidates\":[{\"price\":3.0,\"id\":\"i1\"}]}");
    json_t *const other = doors_rank(&d, 200, body);
    assert_false(json_equal(json_object_get(known, "items"), json_object_get(other, "items")));
    json_decref(other);
    json_decref(known);
    doors_close(&d);
}

static int setup(void **state) {
    (void)state;
    world_make(&the_world, WORLD_HINET);
    predict();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    world_free(&the_world);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_same_through_every_door),
                                       cmocka_unit_test(given_cells_are_the_tables)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
