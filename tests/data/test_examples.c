/* The examples' public data where it is beside the project: the counts that its description
 * gives come out of a check. Skipped elsewhere. */
#include <string.h>

#include "base/file.h"
#include "data/dataset.h"
#include "support.h"

static json_t *card_of(const char *example, const char *data) {
    hn_config *config;
    hn_pool *pool;
    json_t *card;
    hn_error err = {0};
    if (!hn_file_exists(data)) {
        print_message("%s is not here: skipped\n", data);
        return NULL;
    }
    assert_ok(hn_config_load(&config, example, NULL, 0, &err));
    assert_ok(hn_pool_create(&pool, 2, &err));
    assert_ok(hn_data_check(&card, config, pool, NULL, &err));
    hn_pool_free(pool);
    hn_config_free(config);
    return card;
}

static json_int_t log_count(const json_t *card, const char *name) {
    return json_integer_value(json_object_get(json_object_get(card, "log"), name));
}

/* A count of all splits of the cells of a scenario and task. */
static json_int_t cells(const json_t *card, const char *scenario, const char *task,
                        const char *what) {
    const json_t *const all = json_object_get(card, "cells");
    json_int_t sum = 0;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *const cell = json_array_get(all, i);
        if (strcmp(json_string_value(json_object_get(cell, "scenario")), scenario) == 0 &&
            strcmp(json_string_value(json_object_get(cell, "task")), task) == 0)
            sum += json_integer_value(json_object_get(cell, what));
    }
    return sum;
}

static void kuairand_is_as_described(void **state) {
    (void)state;
    json_t *const card = card_of(HN_SOURCE_DIR "/examples/kuairand.yaml",
                                 HN_SOURCE_DIR "/../shared/data/kuairand-pure-late");
    if (!card) skip();
    /* Rows and clicks of distinct lines, counted by a line of awk. */
    static const struct {
        const char *name;
        json_int_t rows, clicks;
    } tabs[] = {{"tab1", 173008, 85450},
                {"tab0", 20240, 1734},
                {"tab4", 13647, 8134},
                {"tab6", 6056, 908},
                {"tab2", 6909, 3320}};
    json_int_t rows = 0;
    assert_int_equal(log_count(card, "rows"), 228329);
    assert_int_equal(log_count(card, "bad"), 0);
    assert_int_equal(log_count(card, "filtered"), 3303);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(cells(card, tabs[i].name, "is_click", "rows"), tabs[i].rows);
        assert_int_equal(cells(card, tabs[i].name, "is_click", "positives"), tabs[i].clicks);
        rows += tabs[i].rows;
    }
    assert_int_equal(rows + log_count(card, "duplicates"), 228329 - 3303);
    json_decref(card);
}

static void movielens_is_as_described(void **state) {
    (void)state;
    json_t *const card =
        card_of(HN_SOURCE_DIR "/examples/movielens.yaml", HN_SOURCE_DIR "/../shared/data/ml-1m");
    if (!card) skip();
    assert_int_equal(log_count(card, "rows"), 1000209);
    assert_int_equal(log_count(card, "bad") + log_count(card, "other_scenario"), 0);
    json_decref(card);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kuairand_is_as_described),
        cmocka_unit_test(movielens_is_as_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
