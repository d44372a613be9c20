/* The schema: ids and values of every kind of feature against what the texts of a random
 * platform say; saving and loading. The plan is in test_schema_plan.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "platform.h"

enum { ROWS = 1200, VALUES_MAX = 4000 };

/* ---- What a vocabulary should be, by text ---------------------------------------- */

typedef struct word_list { /* in order of first appearance */
    const char *text[VALUES_MAX];
    int32_t count[VALUES_MAX];
    int32_t n;
} word_list;

static void add_word(word_list *w, const char *text) {
    int32_t i = 0;
    if (text[0] == 0) return;
    while (i < w->n && strcmp(w->text[i], text) != 0) i++;
    if (i == w->n) w->text[w->n++] = text;
    w->count[i]++;
}

/* The id of a text among the words with at least `least` appearances. */
static uint32_t id_of(const word_list *w, const char *text, int32_t least) {
    uint32_t id = HN_ID_FIRST;
    if (text[0] == 0) return HN_ID_MISSING;
    for (int32_t i = 0; i < w->n; i++) {
        if (strcmp(w->text[i], text) == 0) return w->count[i] >= least ? id : HN_ID_UNSEEN;
        id += w->count[i] >= least;
    }
    return HN_ID_UNSEEN;
}

typedef struct dataset_rows { /* of all splits, by ordinal */
    const hn_layout *layout;
    platform_rows split[HN_SPLITS];
    int32_t at[HN_SPLITS];
} dataset_rows;

static dataset_rows read_all(const hn_dataset *dataset) {
    dataset_rows all = {.layout = hn_schema_layout(hn_dataset_schema(dataset))};
    for (int s = 0; s < HN_SPLITS; s++) all.split[s] = platform_read(dataset, (hn_split)s);
    return all;
}

static void free_all(dataset_rows *all) {
    for (int s = 0; s < HN_SPLITS; s++) platform_rows_free(&all->split[s]);
}

/* Where row `ordinal` is. */
static const hn_rows *find_row(size_t *at, const dataset_rows *all, const platform *p,
                               int32_t ordinal) {
    const hn_rows *const rows = &all->split[platform_split(&p->row[ordinal])].rows;
    for (*at = 0; rows->ordinal[*at] != (uint64_t)ordinal; ++*at)
        assert_true(*at + 1 < (size_t)rows->rows);
    return rows;
}

static uint32_t id_at(const dataset_rows *all, const platform *p, int32_t ordinal,
                      const char *name) {
    size_t at;
    const hn_rows *const rows = find_row(&at, all, p, ordinal);
    const hn_input *const input = platform_input(all->layout, name);
    assert_int_equal(input->kind, HN_INPUT_ID);
    const uint32_t id = rows->ids[at * (size_t)all->layout->ids + (size_t)input->slot];
    assert_true(id < all->layout->tables[input->table].rows);
    return id;
}

static float value_at(const dataset_rows *all, const platform *p, int32_t ordinal,
                      const char *name) {
    size_t at;
    const hn_rows *const rows = find_row(&at, all, p, ordinal);
    const hn_input *const input = platform_input(all->layout, name);
    assert_int_equal(input->kind, HN_INPUT_VALUE);
    return rows->values[at * (size_t)all->layout->values + (size_t)input->slot];
}

static uint32_t list_at(const uint32_t **ids, const dataset_rows *all, const platform *p,
                        int32_t ordinal, const char *name) {
    size_t at;
    const hn_rows *const rows = find_row(&at, all, p, ordinal);
    const hn_input *const input = platform_input(all->layout, name);
    assert_int_equal(input->kind, HN_INPUT_LIST);
    const uint32_t *const begin = rows->list_begin + at * (size_t)all->layout->lists + input->slot;
    *ids = rows->list_ids + begin[0];
    return begin[1] - begin[0];
}

/* ---- Ids
 * ------------------------------------------------------------------------------------------------
 */

static const char *category_of(const platform *p, const platform_row *row) {
    const platform_item *const item = platform_item_of(p, row);
    return item ? item->category : "";
}

static void ids_are_as_said_by_text(void **state) {
    (void)state;
    platform *const p = platform_create(ROWS, 1, 2);
    hn_config *const config =
        platform_config(p,
                        "  item: id\n"
                        "  rare: {kind: id, column: user, min_count: 20}\n"
                        "  category: id\n"
                        "  said: {kind: id, column: category, missing: k3}\n"
                        "  hashed: {kind: id, column: user, hash: 7}\n"
                        "  whole: {kind: id, column: age, integer: 50}\n"
                        "  whole0: {kind: id, column: age, integer: 50, missing: '3'}\n",
                        "train: {block_rows: 64}\n");
    hn_dataset *const dataset = platform_dataset(p, config, NULL);
    dataset_rows all = read_all(dataset);
    static word_list items, users, categories, said;
    items.n = users.n = categories.n = said.n = 0;
    for (int32_t i = 0; i < ROWS; i++) {
        if (platform_split(&p->row[i]) != HN_TRAIN) continue;
        add_word(&items, p->row[i].item);
        add_word(&users, p->row[i].user);
        add_word(&categories, category_of(p, &p->row[i]));
        add_word(&said, category_of(p, &p->row[i])[0] ? category_of(p, &p->row[i]) : "k3");
    }
    bool unseen = false;
    for (int32_t i = 0; i < ROWS; i++) {
        const platform_row *const row = &p->row[i];
        const platform_user *const user = platform_user_of(p, row);
        const char *const category = category_of(p, row);
        assert_int_equal(id_at(&all, p, i, "item"), id_of(&items, row->item, 1));
        assert_int_equal(id_at(&all, p, i, "rare"), id_of(&users, row->user, 20));
        assert_int_equal(id_at(&all, p, i, "category"), id_of(&categories, category, 1));
        assert_int_equal(id_at(&all, p, i, "said"), id_of(&said, category[0] ? category : "k3", 1));
        const uint64_t hash = hn_cell_hash(row->user, strlen(row->user));
        assert_int_equal(id_at(&all, p, i, "hashed"),
                         row->user[0] ? HN_ID_FIRST + hn_mix64(hash) % 7 : HN_ID_MISSING);
        const int age = user && user->age[0] ? atoi(user->age) : -1;
        const uint32_t whole = age < 0    ? HN_ID_MISSING
                               : age < 50 ? HN_ID_FIRST + (uint32_t)age
                                          : HN_ID_UNSEEN;
        assert_int_equal(id_at(&all, p, i, "whole"), whole);
        assert_int_equal(id_at(&all, p, i, "whole0"), age < 0 ? HN_ID_FIRST + 3 : whole);
        unseen = unseen || id_at(&all, p, i, "rare") == HN_ID_UNSEEN;
    }
    assert_true(unseen);
    const hn_layout *const layout = all.layout;
    assert_int_equal(layout->tables[platform_input(layout, "item")->table].rows,
                     HN_ID_FIRST + items.n);
    assert_int_equal(layout->tables[platform_input(layout, "hashed")->table].rows, HN_ID_FIRST + 7);
    assert_int_equal(layout->tables[platform_input(layout, "whole")->table].rows, HN_ID_FIRST + 50);
    free_all(&all);
    hn_dataset_close(dataset);
    hn_config_free(config);
    platform_free(p);
}

/* Hobbies (a table's list), tags (the log's) and a tag's own feature share a vocabulary,
 * whose order is that of rows, then of features, then of places in a list. */
static void shared_lists_are_as_said_by_text(void **state) {
    (void)state;
    platform *const p = platform_create(ROWS, 2, 2);
    hn_config *const config =
        platform_config(p,
                        "  hobbies: {kind: list, width: 5, pooling: sum}\n"
                        "  tags: {kind: list, share: hobbies, max_length: 2}\n"
                        "  other: {kind: list, column: tags, missing: none}\n",
                        "train: {block_rows: 50}\n");
    hn_dataset *const dataset = platform_dataset(p, config, NULL);
    dataset_rows all = read_all(dataset);
    static word_list shared, other;
    shared.n = other.n = 0;
    for (int32_t i = 0; i < ROWS; i++) {
        const platform_row *const row = &p->row[i];
        const platform_user *const user = platform_user_of(p, row);
        if (platform_split(row) != HN_TRAIN) continue;
        for (int32_t k = 0; user && k < user->n_hobbies; k++) add_word(&shared, user->hobbies[k]);
        for (int32_t k = 0; k < row->n_tags && k < 2; k++) add_word(&shared, row->tags[k]);
        for (int32_t k = 0; k < row->n_tags; k++) add_word(&other, row->tags[k]);
        if (row->n_tags == 0) add_word(&other, "none");
    }
    for (int32_t i = 0; i < ROWS; i++) {
        const platform_row *const row = &p->row[i];
        const platform_user *const user = platform_user_of(p, row);
        const uint32_t *ids;
        assert_int_equal(list_at(&ids, &all, p, i, "hobbies"), user ? user->n_hobbies : 0);
        for (int32_t k = 0; user && k < user->n_hobbies; k++)
            assert_int_equal(ids[k], id_of(&shared, user->hobbies[k], 1));
        assert_int_equal(list_at(&ids, &all, p, i, "tags"), row->n_tags < 2 ? row->n_tags : 2);
        for (int32_t k = 0; k < row->n_tags && k < 2; k++)
            assert_int_equal(ids[k], id_of(&shared, row->tags[k], 1));
        assert_int_equal(list_at(&ids, &all, p, i, "other"), row->n_tags ? row->n_tags : 1);
        if (row->n_tags == 0) assert_int_equal(ids[0], id_of(&other, "none", 1));
    }
    assert_int_equal(platform_input(all.layout, "tags")->table,
                     platform_input(all.layout, "hobbies")->table);
    assert_int_equal(platform_input(all.layout, "tags")->width, 5);
    assert_int_equal(platform_input(all.layout, "hobbies")->pooling, HN_POOL_SUM);
    assert_int_equal(platform_input(all.layout, "tags")->pooling, HN_POOL_MEAN);
    free_all(&all);
    hn_dataset_close(dataset);
    hn_config_free(config);
    platform_free(p);
}

/* ---- Numbers --------------------------------------------------------------------- */

static double cost_of(const platform *p, const platform_row *row) {
    const platform_item *const item = platform_item_of(p, row);
    return item && item->cost[0] ? atof(item->cost) : NAN;
}

static void mean_and_deviation(double *mean, double *deviation, const double *x, int32_t n) {
    long double sum = 0, squares = 0;
    for (int32_t i = 0; i < n; i++) sum += x[i];
    for (int32_t i = 0; i < n; i++) squares += (x[i] - sum / n) * (x[i] - sum / n);
    *mean = (double)(sum / n), *deviation = (double)sqrtl(squares / n);
}

static void numbers_are_as_said_by_text(void **state) {
    (void)state;
    platform *const p = platform_create(ROWS, 3, 2);
    hn_config *const config =
        platform_config(p,
                        "  price: {kind: number, scaling: none}\n"
                        "  z: {kind: number, column: price, scaling: zscore}\n"
                        "  l: {kind: number, column: price, scaling: log1p}\n"
                        "  cost: {kind: number, scaling: log1p-zscore}\n"
                        "  half: {kind: number, column: cost, scaling: zscore, missing: '0.5'}\n"
                        "  b: {kind: number, column: cost, scaling: buckets, buckets: 5}\n",
                        "");
    hn_dataset *const dataset = platform_dataset(p, config, NULL);
    dataset_rows all = read_all(dataset);
    double price[ROWS], cost[ROWS], half[ROWS], mean[3], deviation[3];
    int32_t prices = 0, costs = 0, halves = 0;
    for (int32_t i = 0; i < ROWS; i++) {
        const platform_row *const row = &p->row[i];
        const double c = cost_of(p, row);
        if (platform_split(row) != HN_TRAIN) continue;
        if (row->price[0]) price[prices++] = atof(row->price);
        if (!isnan(c)) cost[costs++] = log1p(c);
        half[halves++] = isnan(c) ? 0.5 : c;
    }
    mean_and_deviation(&mean[0], &deviation[0], price, prices);
    mean_and_deviation(&mean[1], &deviation[1], cost, costs);
    mean_and_deviation(&mean[2], &deviation[2], half, halves);
    for (int32_t i = 0; i < ROWS; i++) {
        const platform_row *const row = &p->row[i];
        const double x = row->price[0] ? atof(row->price) : NAN, c = cost_of(p, row),
                     h = isnan(c) ? 0.5 : c;
        assert_true(value_at(&all, p, i, "price") == (isnan(x) ? 0 : (float)x));
        assert_true(value_at(&all, p, i, "l") ==
                    (isnan(x) ? 0 : (float)copysign(log1p(fabs(x)), x)));
        assert_true(
            fabs(value_at(&all, p, i, "z") - (isnan(x) ? 0 : (x - mean[0]) / deviation[0])) < 1e-6);
        assert_true(fabs(value_at(&all, p, i, "cost") -
                         (isnan(c) ? 0 : (log1p(c) - mean[1]) / deviation[1])) < 1e-6);
        assert_true(fabs(value_at(&all, p, i, "half") - (h - mean[2]) / deviation[2]) < 1e-6);
        assert_int_equal(id_at(&all, p, i, "b") == HN_ID_MISSING, isnan(c));
        assert_int_not_equal(id_at(&all, p, i, "b"), HN_ID_UNSEEN);
    }
    assert_int_equal(all.layout->tables[platform_input(all.layout, "b")->table].rows,
                     HN_ID_FIRST + 5);
    free_all(&all);
    hn_dataset_close(dataset);
    hn_config_free(config);
    platform_free(p);
}

/* ---- Saving and loading ---------------------------------------------------------- */

static const char *const many_features =
    "  item: id\n"
    "  category: {kind: id, min_count: 2}\n"
    "  hobbies: {kind: list, max_length: 3}\n"
    "  tags: {kind: list, share: hobbies}\n"
    "  price: {kind: number, scaling: log1p-zscore}\n"
    "  cost: {kind: number, scaling: buckets, buckets: 6}\n"
    "  hashed: {kind: id, column: city, hash: 5}\n"
    "  r: {kind: rate, key: [user, tab], fold: day}\n"
    "  q: {kind: rate, key: category, past: day, scaling: zscore, tasks: click}\n";

static void save(const hn_schema *schema, const char *path) {
    hn_packer *packer;
    hn_error err = {0};
    assert_ok(hn_packer_open(&packer, path, "BNDL", &err));
    hn_schema_save(schema, packer);
    assert_ok(hn_packer_commit(packer, &err));
}

static void what_is_saved_is_loaded(void **state) {
    (void)state;
    platform *const p = platform_create(ROWS, 5, 2);
    hn_config *const config = platform_config(p, many_features, "");
    hn_dataset *const dataset = platform_dataset(p, config, NULL);
    char *const first = platform_path(p, "first"), *const second = platform_path(p, "second");
    hn_error err = {0};
    hn_pack *pack;
    hn_schema *schema;
    save(hn_dataset_schema(dataset), first);
    assert_ok(hn_pack_open(&pack, first, "BNDL", &err));
    assert_ok(hn_schema_load(&schema, config, pack, &err));
    save(schema, second);
    char *a, *b;
    size_t n, m;
    assert_ok(hn_file_read(&a, &n, first, &err));
    assert_ok(hn_file_read(&b, &m, second, &err));
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    hn_free(a), hn_free(b);
    json_t *const one = hn_schema_describe(schema), *const two = hn_schema_describe(
                                                        hn_dataset_schema(dataset));
    assert_true(json_equal(one, two));
    assert_int_equal(json_array_size(json_object_get(one, "inputs")), 7 + 3 + 2);
    json_decref(one), json_decref(two);
    for (int m_ = 0; m_ < 3; m_++)
        assert_int_equal(hn_schema_scenario_rows(schema)[m_],
                         hn_schema_scenario_rows(hn_dataset_schema(dataset))[m_]);
    assert_true(hn_schema_sampling(schema)[0] == 1);
    hn_schema_free(schema);
    hn_pack_close(pack);
    hn_dataset_close(dataset);
    hn_config_free(config);
    free(first), free(second);
    platform_free(p);
}

typedef struct loading {
    const hn_config *config;
    const char *path;
} loading;

static hn_status load_once(void *user, hn_error *err) {
    const loading *const l = user;
    hn_pack *pack;
    hn_schema *schema = NULL;
    HN_TRY(hn_pack_open(&pack, l->path, "BNDL", err));
    const hn_status status = hn_schema_load(&schema, l->config, pack, err);
    assert_int_equal(status == HN_OK, schema != NULL);
    hn_schema_free(schema);
    hn_pack_close(pack);
    return status;
}

static hn_status plan_once(void *user, hn_error *err) {
    hn_schema *schema = NULL;
    const hn_status status = hn_schema_plan(&schema, user, err);
    assert_int_equal(status == HN_OK, schema != NULL);
    hn_schema_free(schema);
    return status;
}

static void every_failure_of_memory_is_reported(void **state) {
    (void)state;
    platform *const p = platform_create(300, 6, 1);
    hn_config *const config = platform_config(p, many_features, "");
    hn_dataset *const dataset = platform_dataset(p, config, NULL);
    char *const path = platform_path(p, "schema");
    save(hn_dataset_schema(dataset), path);
    assert_true(support_fail_each(HN_FAULT_ALLOC, load_once, &(loading){config, path}) > 30);
    assert_true(support_fail_each(HN_FAULT_ALLOC, plan_once, config) > 30);
    hn_dataset_close(dataset);
    free(path);
    hn_config_free(config);
    platform_free(p);
}

/* A schema of one config isn't taken for another's. */
static void other_configs_are_refused(void **state) {
    (void)state;
    platform *const p = platform_create(300, 6, 1);
    hn_config *const config = platform_config(p, many_features, "");
    hn_dataset *const dataset = platform_dataset(p, config, NULL);
    char *const path = platform_path(p, "schema");
    save(hn_dataset_schema(dataset), path);
    static const struct {
        const char *features, *words;
    } cases[] = {
        {"  age: {kind: number, column: users.age}\n",
         "does not say where column \"users.age\" is"},
        {"  city: id\n", "schema/vocabulary/city"},
        {"  again: {kind: id, column: item}\n", "schema/vocabulary/again"},
        {"  price: {kind: number, scaling: zscore}\n", "schema/scale/price"},
        {"  q: {kind: rate, key: category, past: day, scaling: zscore}\n", "schema/scale/q.buy"},
        {"  z: {kind: number, column: cost}\n", "schema/scale/z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hn_config *const other = platform_config(p, cases[i].features, "");
        hn_error err = {0};
        assert_fails(HN_BAD_DATA, cases[i].words, load_once(&(loading){other, path}, &err));
        hn_config_free(other);
    }
    hn_dataset_close(dataset);
    free(path);
    hn_config_free(config);
    platform_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_as_said_by_text),
        cmocka_unit_test(shared_lists_are_as_said_by_text),
        cmocka_unit_test(numbers_are_as_said_by_text),
        cmocka_unit_test(what_is_saved_is_loaded),
        cmocka_unit_test(every_failure_of_memory_is_reported),
        cmocka_unit_test(other_configs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
