/* The plan of a schema: which column a name means, sides, the order of inputs, sources that
 * are shared. */
#include <stdlib.h>
#include <string.h>

#include "platform.h"

static hn_schema *planned(const hn_config *config) {
    hn_schema *schema;
    hn_error err = {0};
    assert_ok(hn_schema_plan(&schema, config, &err));
    return schema;
}

static void inputs_stand_in_the_order_of_sides(void **state) {
    (void)state;
    platform *const p = platform_create(10, 4, 1);
    hn_config *const config =
        platform_config(p,
                        "  category: {kind: id, width: 3}\n"
                        "  tab: {kind: id, width: 4}\n"
                        "  item: {kind: id, width: 5}\n"
                        "  age: {kind: number}\n"
                        "  user: {kind: id, width: 6}\n"
                        "  price: {kind: number, side: item}\n"
                        "  cost: {kind: number, side: user, scaling: buckets, width: 7}\n"
                        "  rate: {kind: rate, key: [user, tab], tasks: buy, width: 2}\n",
                        "");
    hn_schema *const schema = planned(config);
    const hn_layout *const layout = hn_schema_layout(schema);
    static const char *const order[] = {"age",        "user",     "cost", "tab",  "rate.buy",
                                        "rate.count", "category", "item", "price"};
    const int32_t width[] = {1, 6, 7, 4, 2, 2, 3, 5, 1};
    int32_t column = 0;
    assert_int_equal(layout->n_inputs, 9);
    for (int32_t i = 0; i < 9; i++) {
        assert_string_equal(layout->inputs[i].name, order[i]);
        assert_int_equal(layout->inputs[i].column, column);
        assert_int_equal(layout->inputs[i].width, width[i]);
        column += width[i];
    }
    assert_int_equal(layout->width, 31);
    assert_int_equal(layout->shared_width, 22);
    assert_int_equal(layout->scenarios, 3);
    assert_int_equal(layout->tasks, 2);
    assert_int_equal(layout->ids, 7);
    assert_int_equal(layout->values, 2);
    hn_schema_free(schema);
    hn_config_free(config);
    platform_free(p);
}

/* The same column in the same form is digested once. */
static void sources_are_shared(void **state) {
    (void)state;
    platform *const p = platform_create(10, 4, 1);
    hn_config *const config =
        platform_config(p,
                        "  user: id\n"
                        "  again: {kind: id, column: log.user}\n"
                        "  r: {kind: rate, key: [user, users.city], fold: day}\n"
                        "  city: id\n"
                        "  tags: {kind: list}\n"
                        "  tags2: {kind: list, column: tags, max_length: 2}\n"
                        "  whole: {kind: id, column: tags}\n",
                        "");
    hn_schema *const schema = planned(config);
    const hn_sources *const sources = hn_schema_sources(schema);
    assert_int_equal(sources->n, 6); /* user, city, day, tags thrice */
    assert_int_equal(sources->log_slots, 5);
    assert_int_equal(sources->table_slots[0], 1);
    assert_int_equal(sources->table_slots[1], 0);
    int32_t optional = 0;
    for (int32_t i = 0; i < sources->n; i++) {
        optional += sources->items[i].optional;
        assert_int_equal(sources->items[i].optional, strcmp(sources->items[i].column, "day") == 0);
    }
    assert_int_equal(optional, 1);
    hn_schema_free(schema);
    hn_config_free(config);
    platform_free(p);
}

static void refuse(const platform *p, const char *features, const char *words) {
    hn_config *const config = platform_config(p, features, "");
    hn_schema *schema;
    hn_error err = {0};
    assert_fails(HN_BAD_CONFIG, words, hn_schema_plan(&schema, config, &err));
    assert_null(schema);
    hn_config_free(config);
}

static void names_that_mean_nothing_or_much_are_refused(void **state) {
    (void)state;
    platform *const p = platform_create(10, 4, 1);
    refuse(p, "  categori: id\n",
           "features.categori: found no column \"categori\" in the log or a table; did you mean "
           "\"category\" of items?");
    refuse(p, "  x: {kind: id, column: zzzzzz}\n", "features.x: found no column \"zzzzzz\"");
    refuse(p, "  x: {kind: id, column: users.agee}\n", "in table users; did you mean \"age\"?");
    refuse(p, "  x: {kind: id, column: log.pric}\n", "in the log; did you mean \"price\"?");
    refuse(p, "  x: {kind: rate, key: user, fold: dya}\n", "did you mean \"day\"");
    refuse(p, "  tags: {kind: list, integer: 5}\n", "a list cannot have the integers");
    refuse(p, "  r: {kind: rate, key: user}\n  r.count: {kind: id, column: tab}\n",
           "two inputs are named \"r.count\"");
    char *const path = platform_path(p, "items.csv");
    support_write(path, "item,age,price\ni1,2,3\n", 22);
    refuse(p, "  age: id\n",
           "column \"age\" is in users and in items; write \"users.age\" or \"items.age\"");
    refuse(p, "  price: id\n",
           "column \"price\" is in log and in items; write \"log.price\" or \"items.price\"");
    free(path);
    platform_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs_stand_in_the_order_of_sides),
        cmocka_unit_test(sources_are_shared),
        cmocka_unit_test(names_that_mean_nothing_or_much_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
