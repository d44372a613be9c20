/* What a log's rows become: columns by name, absent cells, filters, scenarios, labels,
 * weights, users and splits. Failures and the machinery are in test_log_errors.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/rng.h"
#include "data/chunk.h"
#include "reading.h"

static hn_error err;
static char *folder;

static int setup(void **state) {
    (void)state;
    folder = support_folder();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    support_remove(folder);
    free(folder);
    return 0;
}

/* Reads folder/log.csv with the config and one source for each column of `columns`, which
 * are "hash:x", "number:x", "list:x", "count:x"; asserts the transcript. */
static hn_config *config;
static reading_sources sources;

static void use(const char *yaml, const char *columns) {
    config = reading_config(folder, yaml);
    sources = (reading_sources){0};
    /* All rows train unless a test is about splits: the default is a random one. */
    if (!strstr(yaml, "split:")) config->split.validation = config->split.test = 0;
    char copy[500];
    snprintf(copy, sizeof copy, "%s", columns);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        char *const column = strchr(word, ':') + 1;
        reading_add(&sources, config,
                    word[0] == 'h'   ? HN_SOURCE_HASH
                    : word[0] == 'l' ? HN_SOURCE_LIST
                                     : HN_SOURCE_NUMBER,
                    strdup(column));
        static char bar[] = "|";
        if (word[0] == 'c')
            sources.items[sources.sources.n - 1].delimiter = bar; /* count what stands between */
    }
}

static void done(void) {
    for (int32_t i = 0; i < sources.sources.n; i++) free(sources.items[i].column);
    hn_config_free(config);
}

static void assert_log(const char *expected, const reading *r) {
    assert_string_equal(r->rows.text, expected);
}

static void read_and_assert(const char *yaml, const char *columns, const char *text,
                            const char *expected) {
    reading_file(folder, "log.csv", text);
    use(yaml, columns);
    reading r = {.blocks = 0};
    assert_ok(reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    assert_log(expected, &r);
    reading_free(&r);
    done();
}

#define NO_USER "0000000000000000"
#define PLAIN "log: log.csv\ntasks: {y: y}\nfeatures: {a: id}\n"

static char expected[4000];

/* ---- Cells ------------------------------------------------------------------------------ */

static void a_number_may_count_the_values_of_a_cell(void **state) {
    (void)state;
    read_and_assert(PLAIN, "count:a", "y,a\n1,p|q|r\n1,p\n1,\n1,|p||q|\n",
                    "0 0 1 1 " NO_USER " 0 () 3\n1 0 1 1 " NO_USER " 0 () 1\n"
                    "2 0 1 1 " NO_USER " 0 () 0\n3 0 1 1 " NO_USER " 0 () 2\n");
}

static void columns_go_by_name(void **state) {
    (void)state;
    reading_file(folder, "1.csv", "a,y,b\nx,1,p\n");
    reading_file(folder, "2.csv", "b,unused,a,y\nq,?,z,0\n");
    use("log: ['?.csv']\ntasks: {y: y}\nfeatures: {a: id}\n", "hash:a hash:b hash:$file");
    reading r = {.blocks = 0};
    assert_ok(reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    snprintf(expected, sizeof expected,
             "0 0 1 1 " NO_USER " 0 () %s %s %s\n1 0 0 1 " NO_USER " 0 () %s %s %s\n",
             reading_hash("x"), reading_hash("p"), reading_hash("1.csv"), reading_hash("z"),
             reading_hash("q"), reading_hash("2.csv"));
    assert_log(expected, &r);
    assert_string_equal(r.header.text, "a,y,b (,)\n");
    assert_int_equal(r.counts.rows, 2);
    reading_free(&r);
    done();
}

static void cells_become_hashes_numbers_and_lists(void **state) {
    (void)state;
    snprintf(expected, sizeof expected,
             "0 0 1 1 " NO_USER " 0 () %s 2.5 [ %s %s %s ]\n"
             "1 0 - 1 " NO_USER " 0 () %s nan [ ]\n"
             "2 0 0 1 " NO_USER " 0 () %s nan [ %s ]\n",
             reading_hash("x"), reading_hash("p"), reading_hash("q"), reading_hash("r"),
             reading_hash(NULL), reading_hash(NULL), reading_hash("one"));
    read_and_assert(
        "log: {files: log.csv, missing: [NULL, '-']}\ntasks: {y: y}\nfeatures: {a: id}\n",
        "hash:a number:n list:l", "y,a,n,l\n1,x,2.5,p|q||r|s\n,NULL,,\"\"\n0,-,NULL,|one|\n",
        expected);
}

static void optional_columns_may_be_absent(void **state) {
    (void)state;
    reading_file(folder, "log.csv", "a,y\nx,1\n");
    use(PLAIN, "hash:a hash:nowhere number:n list:l");
    for (int i = 1; i < 4; i++) sources.items[i].optional = true;
    reading r = {.blocks = 0};
    assert_ok(reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    snprintf(expected, sizeof expected, "0 0 1 1 " NO_USER " 0 () %s " NO_USER " nan [ ]\n",
             reading_hash("x"));
    assert_log(expected, &r);
    reading_free(&r);
    done();
}

static void the_delimiter_is_guessed_from_the_header(void **state) {
    (void)state;
    snprintf(expected, sizeof expected, "0 0 1 1 " NO_USER " 0 () %s\n", reading_hash("x,z"));
    read_and_assert(PLAIN, "hash:a", "y\ta\n1\tx,z\n", expected);
    read_and_assert(PLAIN, "hash:a", "y,a,\"odd\tone\"\n1,\"x,z\",\n", expected);
    read_and_assert("log: {files: log.csv, delimiter: ';'}\ntasks: {y: y}\nfeatures: {a: id}\n",
                    "hash:a", "y;a\n1;x,z", expected);
    read_and_assert("log: {files: log.csv, delimiter: '::', columns: [y, a]}\ntasks: {y: "
                    "y}\nfeatures: {a: id}\n",
                    "hash:a",
                    "\xef\xbb\xbf"
                    "1::x,z\r\n",
                    expected);
}

static void header_only_is_an_empty_log(void **state) {
    (void)state;
    read_and_assert(PLAIN, "hash:a", "y,a", "");
    read_and_assert(PLAIN, "hash:a", "y,a\r\n\r\n\n", "");
    read_and_assert("log: {files: log.csv, columns: [y, a]}\ntasks: {y: y}\nfeatures: {a: id}\n",
                    "hash:a", "", "");
}

/* ---- Rows ----------------------------------------------------------------------------------- */

static void filters_must_all_hold(void **state) {
    (void)state;
    reading_file(folder, "log.csv", "a,y,d\nx,1,5\ny,1,6\nz,1,7\nw,1,\nx,1,8\n");
    use("log: {files: log.csv, filter: ['d >= 6', 'a != z']}\ntasks: {y: y}\nfeatures: {a: id}\n",
        "hash:a");
    reading r = {.blocks = 0};
    assert_ok(reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    /* Ordinals count rows that were filtered out, too. */
    snprintf(expected, sizeof expected,
             "1 0 1 1 " NO_USER " 0 () %s\n4 0 1 1 " NO_USER " 0 () %s\n", reading_hash("y"),
             reading_hash("x"));
    assert_log(expected, &r);
    assert_int_equal(r.counts.rows, 5);
    assert_int_equal(r.counts.filtered, 3);
    reading_free(&r);
    done();
}

static void scenarios_go_by_value(void **state) {
    (void)state;
    static const char text[] = "y,s\n1,1\n1,3\n1,0\n1,9\n1,\n1,01\n";
    read_and_assert(
        "log: log.csv\nscenario: {column: s, values: {main: 1, explore: [0, 3]}, others: "
        "drop}\ntasks: {y: y}\nfeatures: {a: id}\n",
        "", text, "0 0 1 1 " NO_USER " 0 ()\n1 1 1 1 " NO_USER " 0 ()\n2 1 1 1 " NO_USER " 0 ()\n");
    read_and_assert("log: log.csv\nscenario: {column: s, values: [3, 1], others: rest}\ntasks: {y: "
                    "y}\nfeatures: {a: id}\n",
                    "", text,
                    "0 1 1 1 " NO_USER " 0 ()\n1 0 1 1 " NO_USER " 0 ()\n2 2 1 1 " NO_USER
                    " 0 ()\n3 2 1 1 " NO_USER " 0 ()\n"
                    "4 2 1 1 " NO_USER " 0 ()\n5 2 1 1 " NO_USER " 0 ()\n");
}

static void labels_are_one_zero_or_absent(void **state) {
    (void)state;
    read_and_assert(
        "log: log.csv\ntasks: {click: c, like: 'r > 3', love: 'r in [5]'}\nfeatures: {a: id}\n", "",
        "c,r\n1,3\n0,4\ntrue,5\n,\n2,3.5\n",
        "0 0 100 1 " NO_USER " 0 ()\n1 0 010 1 " NO_USER " 0 ()\n2 0 111 1 " NO_USER " 0 ()\n"
        "3 0 --- 1 " NO_USER " 0 ()\n4 0 110 1 " NO_USER " 0 ()\n");
}

static void weights_users_and_sampling(void **state) {
    (void)state;
    snprintf(expected, sizeof expected,
             "0 0 1 0.5 %s 0 () s0.25\n1 0 1 1 " NO_USER " 0 () s1\n2 0 1 0 %s 0 () s1\n",
             reading_hash("ann"), reading_hash("bob"));
    read_and_assert("log: {files: log.csv, sampling_column: rate}\nweight: w\nuser: u\ntasks: {y: "
                    "y}\nfeatures: {a: id}\n",
                    "", "y,w,u,rate\n1,0.5,ann,0.25\n1,,,\n1,0,bob,1\n", expected);
}

/* ---- Splits --------------------------------------------------------------------------------- */

static void the_test_split_is_tried_first(void **state) {
    (void)state;
    read_and_assert("log: log.csv\nsplit: {by: column, validation: 'd >= 5', test: 'd >= "
                    "7'}\ntasks: {y: y}\nfeatures: {a: id}\n",
                    "", "y,d\n1,4\n1,5\n1,6\n1,7\n1,8\n1,\n",
                    "0 0 1 1 " NO_USER " 0 ()\n1 0 1 1 " NO_USER " 1 ()\n2 0 1 1 " NO_USER
                    " 1 ()\n3 0 1 1 " NO_USER " 2 ()\n"
                    "4 0 1 1 " NO_USER " 2 ()\n5 0 1 1 " NO_USER " 0 ()\n");
}

static int split_at(const char *transcript, int row) {
    for (; row > 0; row--) transcript = strchr(transcript, '\n') + 1;
    int ordinal, scenario, split;
    char labels[20], weight[20], user[20];
    assert_int_equal(sscanf(transcript, "%d %d %19s %19s %19s %d", &ordinal, &scenario, labels,
                            weight, user, &split),
                     6);
    return split;
}

static void split_rows(int counts[3], char splits[3000], const char *yaml) {
    char *const text = malloc(100000);
    size_t n = (size_t)sprintf(text, "y,u\n");
    for (int i = 0; i < 3000; i++) n += (size_t)sprintf(text + n, "1,u%d\n", i % 600);
    reading_file(folder, "log.csv", text);
    free(text);
    use(yaml, "");
    reading r = {.blocks = 0};
    assert_ok(reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    const char *row = r.rows.text;
    counts[0] = counts[1] = counts[2] = 0;
    for (int i = 0; i < 3000; i++, row = strchr(row, '\n') + 1)
        counts[(int)(splits[i] = (char)split_at(row, 0))]++;
    reading_free(&r);
    done();
}

static void hash_splits_keep_a_unit_together(void **state) {
    (void)state;
    int counts[3], others[3];
    static char splits[3000], other[3000];
    split_rows(counts, splits,
               "log: log.csv\nsplit: {by: hash, column: u, validation: 0.2, test: 0.1, seed: "
               "1}\ntasks: {y: y}\nfeatures: {a: id}\n");
    for (int i = 600; i < 3000; i++) assert_int_equal(splits[i], splits[i % 600]);
    assert_in_range(counts[1], 450, 750);
    assert_in_range(counts[2], 180, 420);
    split_rows(others, other,
               "log: log.csv\nsplit: {by: hash, column: u, validation: 0.2, test: 0.1, seed: "
               "2}\ntasks: {y: y}\nfeatures: {a: id}\n");
    assert_memory_not_equal(splits, other, sizeof splits);
}

static void random_splits_go_by_ordinal(void **state) {
    (void)state;
    int counts[3];
    static char splits[3000];
    split_rows(counts, splits,
               "log: log.csv\nsplit: {by: random, validation: 0.2, test: 0.1, seed: 7}\ntasks: {y: "
               "y}\nfeatures: {a: id}\n");
    for (uint64_t i = 0; i < 3000; i++) {
        const double u = hn_random_unit(7, HN_STREAM_SPLIT, i);
        assert_int_equal(splits[i], u < 0.1 ? HN_TEST : u < 0.1 + 0.2 ? HN_VALIDATION : HN_TRAIN);
    }
    assert_in_range(counts[1], 500, 700);
}

/* ---- Scoring ------------------------------------------------------------------------------- */

#define SCORED                                                                                 \
    "log: {files: log.csv, filter: ['d > 5']}\nscenario: {column: s, values: [1, 2], others: " \
    "drop}\nuser: u\nweight: w\n"                                                              \
    "split: {by: column, test: 'd > 7'}\ntasks: {y: y}\nfeatures: {a: id}\n"

static void scoring_needs_scenario_and_features_only(void **state) {
    (void)state;
    reading_file(folder, "log.csv", "s,a,y\n2,x,what\n3,\"x\ny\",1\n");
    use(SCORED, "hash:a");
    reading r = {.options = {.scoring = true, .keep_lines = true}};
    assert_ok(reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    snprintf(expected, sizeof expected,
             "0 1 - 1 " NO_USER " 3 () %s <2,x,what>\n1 -1 1 1 " NO_USER
             " 3 () %s <3,\"x\ny\",1>\n",
             reading_hash("x"), reading_hash("x\ny"));
    assert_log(expected, &r);
    assert_string_equal(r.header.text, "s,a,y (,)\n");
    reading_free(&r);
    /* Not scoring, all that the config names is needed. */
    assert_fails(HN_BAD_DATA, "no column \"u\", needed for the user",
                 reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    reading_free(&r);
    done();
}

static void explicit_files_may_lack_the_split(void **state) {
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s/other.csv", folder);
    const char *const files[] = {path};
    reading_file(folder, "other.csv", "s,a,y,u,w,d\n1,x,1,ann,1,6\n");
    use(SCORED, "hash:a");
    reading r = {.options = {.files = files, .n_files = 1}};
    assert_ok(reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    assert_non_null(strstr(r.rows.text, " 0 () ")); /* a split, as its column is there */
    reading_free(&r);
    done();
    use("log: log.csv\nsplit: {by: column, test: 'day > 7'}\ntasks: {y: y}\nfeatures: {a: id}\n",
        "hash:a");
    r = (reading){.options = {.files = files, .n_files = 1}};
    assert_ok(reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    assert_int_equal(split_at(r.rows.text, 0), HN_NO_SPLIT);
    reading_free(&r);
    done();
}

/* ---- Duplicates, wrappings ----------------------------------------------------------------- */

static void equal_rows_have_equal_identities(void **state) {
    (void)state;
    reading_file(folder, "log.csv", "y,a\n0,z\n1,x\r\n1,y\n1,x\n");
    use("log: {files: log.csv, drop_duplicates: true, filter: ['a != z']}\ntasks: {y: "
        "y}\nfeatures: {a: id}\n",
        "");
    reading r = {.blocks = 0};
    assert_ok(reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    char *identities[3], *at = r.rows.text;
    for (int i = 0; i < 3; i++, at++) identities[i] = at = strchr(at, '#');
    assert_memory_equal(identities[0], identities[2], 33);
    assert_memory_not_equal(identities[0], identities[1], 33);
    reading_free(&r);
    done();
}

static void gzip_is_seen_by_content(void **state) {
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s/log.csv", folder); /* no .gz in the name */
    const gzFile file = gzopen(path, "wb");
    gzputs(file, "y,a\n1,x\n");
    gzclose(file);
    use(PLAIN, "hash:a");
    reading r = {.blocks = 0};
    assert_ok(reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    snprintf(expected, sizeof expected, "0 0 1 1 " NO_USER " 0 () %s\n", reading_hash("x"));
    assert_log(expected, &r);
    reading_free(&r);
    done();
}

static void columns_can_be_peeked_at(void **state) {
    (void)state;
    hn_arena arena = {0};
    hn_strings names;
    reading_file(folder, "log.csv", "\xef\xbb\xbfy,\"a \"\"b\"\"\",c\r\n1,2,3\n");
    config = reading_config(folder, PLAIN);
    assert_ok(hn_columns_peek(&names, &arena, config, -1, &err));
    assert_int_equal(names.n, 3);
    assert_string_equal(names.items[0], "y");
    assert_string_equal(names.items[1], "a \"b\"");
    assert_string_equal(names.items[2], "c");
    hn_config_free(config);
    config = reading_config(
        folder, "log: {files: absent.csv, columns: [p, q]}\ntasks: {y: y}\nfeatures: {a: id}\n");
    assert_ok(hn_columns_peek(&names, &arena, config, -1, &err));
    assert_int_equal(names.n, 2);
    hn_config_free(config);
    config = reading_config(folder, "log: '-'\ntasks: {y: y}\nfeatures: {a: id}\n");
    assert_ok(hn_columns_peek(&names, &arena, config, -1, &err));
    assert_int_equal(names.n, 0);
    hn_config_free(config);
    config = reading_config(folder, "log: absent.csv\ntasks: {y: y}\nfeatures: {a: id}\n");
    assert_fails(HN_NO_INPUT, "absent.csv", hn_columns_peek(&names, &arena, config, -1, &err));
    assert_int_equal(names.n, 0);
    hn_config_free(config);
    hn_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_may_count_the_values_of_a_cell),
        cmocka_unit_test(columns_go_by_name),
        cmocka_unit_test(cells_become_hashes_numbers_and_lists),
        cmocka_unit_test(optional_columns_may_be_absent),
        cmocka_unit_test(the_delimiter_is_guessed_from_the_header),
        cmocka_unit_test(header_only_is_an_empty_log),
        cmocka_unit_test(filters_must_all_hold),
        cmocka_unit_test(scenarios_go_by_value),
        cmocka_unit_test(labels_are_one_zero_or_absent),
        cmocka_unit_test(weights_users_and_sampling),
        cmocka_unit_test(the_test_split_is_tried_first),
        cmocka_unit_test(hash_splits_keep_a_unit_together),
        cmocka_unit_test(random_splits_go_by_ordinal),
        cmocka_unit_test(scoring_needs_scenario_and_features_only),
        cmocka_unit_test(explicit_files_may_lack_the_split),
        cmocka_unit_test(equal_rows_have_equal_identities),
        cmocka_unit_test(gzip_is_seen_by_content),
        cmocka_unit_test(columns_can_be_peeked_at),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
