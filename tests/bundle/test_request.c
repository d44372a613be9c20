/* Rows made of named fields against the log's own reader: the same cells give the same ids,
 * lists and values to the bit, from tables and with the tables' cells given. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/world.h"
#include "data/request.h"
#include "support.h"

enum { ROWS_MAX = 300, COLUMNS = 6, CELL = 32 };
static const char *const columns[COLUMNS] = {"user_id", "item_id", "tab", NULL, "price", "tags"};

typedef struct fixture {
    world world;
    hn_request *request;
    const hn_schema *schema;
    const hn_side_tables *tables;
    char cells[ROWS_MAX][COLUMNS][CELL];
    int32_t rows, compared;
    bool given; /* the users' cells are given, too */
} fixture;

static void set(fixture *f, int32_t row, const char *name, const char *text) {
    hn_error err = {0};
    const int32_t field = hn_request_field(f->request, name, strlen(name));
    assert_true(field >= 0);
    assert_ok(hn_request_set(f->request, row, field, text, strlen(text), &err));
}

static void read_cells(fixture *f) {
    char path[400], line[300];
    snprintf(path, sizeof path, "%s/log.csv", f->world.folder);
    FILE *const file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    while (fgets(line, sizeof line, file)) {
        const char *at = line;
        for (int c = 0; c < COLUMNS; c++) {
            const size_t n = strcspn(at, ",\n");
            snprintf(f->cells[f->rows][c], CELL, "%.*s", (int)n, at);
            at += n + 1;
        }
        f->rows++;
    }
    fclose(file);
}

/* The user's own cells, found in the file of users. */
static void set_user(fixture *f, int32_t row, const char *user) {
    char path[400], line[300], name[CELL], age[CELL], city[CELL];
    snprintf(path, sizeof path, "%s/users.csv", f->world.folder);
    FILE *const file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        assert_int_equal(sscanf(line, "%31[^,],%31[^,],%31[^\n]", name, age, city), 3);
        if (strcmp(name, user) != 0) continue;
        set(f, row, "age", age);
        set(f, row, "users.city", city);
    }
    fclose(file);
}

static void encode(hn_encoded *out, fixture *f, int32_t first, int32_t n) {
    hn_error err = {0};
    bool uniform;
    hn_request_begin(f->request);
    assert_ok(hn_request_rows(f->request, n, 0, &err));
    for (int32_t i = 0; i < n; i++) {
        const char *cell, (*const cells)[CELL] = f->cells[first + i];
        for (int c = 0; c < COLUMNS; c++)
            if (columns[c]) set(f, i, columns[c], cells[c]);
        if (f->given) set_user(f, i, cells[0]);
        hn_request_set_scenario(f->request, i,
                                hn_request_scenario(f->request, cells[2], strlen(cells[2]), &cell));
    }
    assert_ok(hn_request_encode(out, &uniform, f->request, &err));
    assert_false(uniform);
}

static hn_status compare(void *user, const hn_rows *want, const hn_impressions *raw,
                         hn_error *err) {
    (void)raw, (void)err;
    fixture *const f = user;
    const hn_layout *const layout = hn_schema_layout(f->schema);
    hn_encoded got = {0};
    encode(&got, f, f->compared, want->rows);
    const size_t n = (size_t)want->rows, lists = n * (size_t)layout->lists;
    assert_memory_equal(got.rows.scenario, want->scenario, n * sizeof *want->scenario);
    assert_memory_equal(got.rows.ids, want->ids, n * (size_t)layout->ids * sizeof *want->ids);
    assert_memory_equal(got.rows.values, want->values,
                        n * (size_t)layout->values * sizeof *want->values);
    assert_memory_equal(got.rows.list_begin, want->list_begin,
                        (lists + 1) * sizeof *want->list_begin);
    assert_memory_equal(got.rows.list_ids, want->list_ids,
                        want->list_begin[lists] * sizeof *want->list_ids);
    f->compared += want->rows;
    hn_encoded_free(&got);
    return HN_OK;
}

static void compare_all(fixture *f) {
    char path[400];
    hn_error err = {0};
    snprintf(path, sizeof path, "%s/log.csv", f->world.folder);
    const char *const files[] = {path};
    hn_log_counts counts = {0};
    const hn_raw_options options = {.files = files,
                                    .n_files = 1,
                                    .scoring = true,
                                    .only = HN_NO_SPLIT,
                                    .rows = compare,
                                    .user = f};
    f->compared = 0;
    assert_ok(hn_raw_read(&counts, f->world.config, f->schema, f->tables, &options, f->world.pool,
                          NULL, &err));
    assert_int_equal(f->compared, f->rows);
    hn_log_counts_free(&counts);
}

static void open_fixture(fixture *f) {
    hn_error err = {0};
    world_make(&f->world, WORLD_HINET);
    f->schema = hn_dataset_schema(f->world.dataset);
    f->tables = hn_dataset_tables(f->world.dataset);
    assert_ok(hn_request_create(&f->request, f->world.config, f->schema, f->tables, &err));
    read_cells(f);
}

static void close_fixture(fixture *f) {
    hn_request_free(f->request);
    world_free(&f->world);
    free(f);
}

static void test_same_bits(void **state) {
    (void)state;
    fixture *const f = calloc(1, sizeof *f);
    open_fixture(f);
    compare_all(f);
    f->given = true;
    compare_all(f);
    close_fixture(f);
}

static void test_names_and_faults(void **state) {
    (void)state;
    fixture *const f = calloc(1, sizeof *f);
    hn_error err = {0};
    open_fixture(f);
    assert_int_equal(hn_request_field(f->request, "colour", 6), HN_FIELD_UNKNOWN);
    assert_int_equal(hn_request_field(f->request, "log.price", 9),
                     hn_request_field(f->request, "price", 5));
    assert_int_equal(hn_request_id_field(f->request, HN_SIDE_USER),
                     hn_request_field(f->request, "user_id", 7));
    hn_request_begin(f->request);
    const int32_t price = hn_request_field(f->request, "price", 5);
    assert_int_equal(hn_request_set(f->request, HN_REQUEST_SHARED, price, "dear", 4, &err),
                     HN_BAD_DATA);
    assert_non_null(strstr(err.text, "\"dear\""));
    assert_ok(hn_request_set(f->request, HN_REQUEST_SHARED, price, NULL, 0, &err));
    close_fixture(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits),
                                       cmocka_unit_test(test_names_and_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
