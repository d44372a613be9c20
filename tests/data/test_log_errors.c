/* What goes wrong in reading logs is told with file, line and column, and nothing leaks;
 * and the machinery: threads, chunk sizes, pipes, progress, being stopped. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/chunk.h"
#include "reading.h"

static hn_error err;
static char *folder;
static hn_config *config;
static reading_sources sources;

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

#define PLAIN "log: log.csv\ntasks: {y: y}\nfeatures: {a: id}\n"

static void use(const char *yaml) {
    config = reading_config(folder, yaml);
    sources = (reading_sources){0};
    reading_add(&sources, config, HN_SOURCE_HASH, "a");
    reading_add(&sources, config, HN_SOURCE_NUMBER, "n");
    sources.items[1].optional = true;
}

static void assert_refused(const char *yaml, const char *text, const char *words) {
    reading_file(folder, "log.csv", text);
    use(yaml);
    reading r = {.blocks = 0};
    assert_fails(HN_BAD_DATA, words,
                 reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    assert_int_equal(r.counts.rows, 0);
    assert_int_equal(r.counts.n_examples, 0);
    reading_free(&r);
    hn_config_free(config);
}

/* ---- Bad rows -------------------------------------------------------------------------- */

static void bad_rows_are_named(void **state) {
    (void)state;
    assert_refused(PLAIN, "y,a,n\n1,x,2\n1,y\n",
                   "log.csv:3:4: found 2 fields; expected 3, as in the header (bad_rows: 0");
    assert_refused(PLAIN, "y,a,n\n1,x,2,3,4\n", "log.csv:2:7: found 5 fields; expected 3");
    assert_refused(PLAIN, "y,a,n\n1,x,2\n\n1,x,two\n",
                   "log.csv:4:5: found \"two\" in column \"n\"; expected a number");
    assert_refused(PLAIN, "y,a\n1,\"x\ny\"\nmaybe,x\n",
                   "log.csv:4:1: found \"maybe\" in column \"y\"; expected 1 or 0, true or false, "
                   "or a number for the label of task y");
    assert_refused(PLAIN, "y,a,n\n1,\"x\ny\",?\n", "log.csv:3:4: found \"?\"");
    assert_refused(PLAIN, "y,a\n1,\"x\"y\n",
                   "log.csv:2:6: found \"y\" after a closing quote; expected ,");
    assert_refused(PLAIN, "y,a\n1,\"x", "log.csv:2:3: found a quote that is never closed");
    assert_refused("log: {files: log.csv, columns: [y, a]}\ntasks: {y: y}\nfeatures: {a: id}\n",
                   "1,x,z\n",
                   "log.csv:1:5: found 3 fields; expected 2, as in the config's `columns`");
    assert_refused(
        "log: log.csv\ntasks: {y: 'r > 3'}\nfeatures: {a: id}\n", "r,a\nPG,x\n",
        "log.csv:2:1: found \"PG\" in column \"r\"; expected a number for the label of task y");
    assert_refused("log: log.csv\nweight: w\ntasks: {y: y}\nfeatures: {a: id}\n", "y,a,w\n1,x,-1\n",
                   "log.csv:2:5: found \"-1\" in column \"w\"; expected a number of at least 0 for "
                   "the weight");
    assert_refused("log: log.csv\nweight: w\ntasks: {y: y}\nfeatures: {a: id}\n",
                   "y,a,w\n1,x,1e39\n", "log.csv:2:5: found \"1e39\"");
    assert_refused(
        "log: {files: log.csv, sampling_column: w}\ntasks: {y: y}\nfeatures: {a: id}\n",
        "y,a,w\n1,x,0\n",
        "log.csv:2:5: found \"0\" in column \"w\"; expected a number above 0 and at most 1");
    assert_refused(
        "log: {files: log.csv, filter: ['a < 3']}\ntasks: {y: y}\nfeatures: {a: id}\n",
        "y,a\n1,x\n",
        "log.csv:2:3: found \"x\" in column \"a\"; expected a number for the filter a < 3");
}

static void some_bad_rows_can_be_allowed(void **state) {
    (void)state;
    hn_text text = {0};
    hn_text_add(&text, "y,a\n");
    for (int i = 0; i < 100; i++) hn_text_add(&text, i % 3 == 2 ? "1\n" : "1,x\n");
    reading_file(folder, "log.csv", text.text);
    hn_text_free(&text);
    for (size_t chunk = 5; chunk < 500; chunk = chunk * 2 + 1) {
        hn_chunk_bytes_set(chunk);
        use("log: {files: log.csv, bad_rows: 33}\ntasks: {y: y}\nfeatures: {a: id}\n");
        reading r = {.blocks = 0};
        assert_ok(reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
        assert_int_equal(r.counts.rows, 100);
        assert_int_equal(r.counts.bad, 33);
        assert_int_equal(r.counts.n_examples, 20);
        for (int i = 0; i < 20; i++) {
            int line = 0;
            sscanf(r.counts.examples[i].text, "log.csv:%d:", &line);
            assert_int_equal(line, 4 + 3 * i);
        }
        assert_null(strstr(r.rows.text, "\n67 ")); /* ordinals are of good rows: 0 … 66 */
        assert_non_null(strstr(r.rows.text, "\n66 "));
        reading_free(&r);
        config->bad_rows = 32;
        assert_fails(HN_BAD_DATA,
                     "log.csv:4:2: found 1 field; expected 2, as in the header; 33 bad rows so "
                     "far, and bad_rows: 32 are allowed",
                     reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
        reading_free(&r);
        hn_config_free(config);
    }
    hn_chunk_bytes_set(0);
}

static void scoring_allows_no_bad_row(void **state) {
    (void)state;
    reading_file(folder, "log.csv", "a,n\nx,1\nx\n");
    use("log: {files: log.csv, bad_rows: 10}\ntasks: {y: y}\nfeatures: {a: id}\n");
    reading r = {.options.scoring = true};
    assert_fails(HN_BAD_DATA, "log.csv:3:2: found 1 field; expected 2",
                 reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    reading_free(&r);
    hn_config_free(config);
}

static void a_quote_left_open_may_hide_rows(void **state) {
    (void)state;
    /* However many bad rows are allowed. */
    assert_refused("log: {files: log.csv, bad_rows: 1000}\ntasks: {y: y}\nfeatures: {a: id}\n",
                   "y,a\n1,x\n1,\"x\n1,x\n1,x\n",
                   "log.csv:3:3: found a quote that is never closed");
    /* A last line that was being written hides nothing. */
    reading_file(folder, "log.csv", "y,a\n1,x\n1,\"x\n");
    use("log: {files: log.csv, bad_rows: 1000}\ntasks: {y: y}\nfeatures: {a: id}\n");
    reading r = {.blocks = 0};
    assert_ok(reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    assert_int_equal(r.counts.bad, 1);
    assert_int_equal(r.counts.rows, 2);
    reading_free(&r);
    hn_config_free(config);
}

/* ---- Columns -------------------------------------------------------------------------------- */

static void columns_that_are_not_there(void **state) {
    (void)state;
    assert_refused(
        PLAIN, "y,b,c\n1,2,3\n",
        "log.csv:1: found no column \"a\", needed for a feature; the columns are: y, b, c");
    assert_refused(PLAIN, "y,A\n1,2\n", "did you mean \"A\"?");
    assert_refused(PLAIN, "z,a\n1,2\n", "found no column \"y\", needed for the label of task y");
    assert_refused(PLAIN, "y;a;b\n1;2;3\n", "is , really the delimiter?");
    assert_refused(PLAIN, "y,a,a\n1,2,3\n",
                   "\"a\", needed for a feature, stands twice in the header");
    assert_refused(PLAIN, "y,a,y\n1,2,3\n",
                   "\"y\", needed for the label of task y, stands twice in the header");
}

static void files_without_a_header(void **state) {
    (void)state;
    assert_refused(PLAIN, "", "log.csv: is empty; expected a header line");
    assert_refused(PLAIN, "\xef\xbb\xbf", "log.csv: is empty; expected a header line");
    assert_refused(PLAIN, "y,\"a", "log.csv:1:3: found a quote that is never closed in the header");
    assert_refused(PLAIN, "y,\"a\"b\n",
                   "log.csv:1:6: found text after a closing quote in the header");
    assert_refused(PLAIN, "\n1,2\n", "found no column");
}

static void the_second_file_is_checked_too(void **state) {
    (void)state;
    reading_file(folder, "log.csv", "y,a\n1,x\n");
    reading_file(folder, "log2.csv", "y,b\n1,x\n");
    use("log: 'log*.csv'\ntasks: {y: y}\nfeatures: {a: id}\n");
    reading r = {.blocks = 0};
    assert_fails(HN_BAD_DATA, "log2.csv:1: found no column \"a\"",
                 reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    assert_int_equal(r.blocks, 1); /* what came before was given out */
    reading_free(&r);
    /* With lines kept, the columns must be the same. */
    reading_file(folder, "log2.csv", "a,y\n1,x\n");
    r = (reading){.options = {.keep_lines = true, .scoring = true}};
    assert_fails(HN_BAD_DATA, "log2.csv:1: the header differs",
                 reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    reading_free(&r);
    hn_config_free(config);
    reading_file(folder, "log2.csv", "y,a\n");
}

static void files_that_are_not_there(void **state) {
    (void)state;
    use("log: nowhere.csv\ntasks: {y: y}\nfeatures: {a: id}\n");
    reading r = {.blocks = 0};
    assert_fails(HN_NO_INPUT, "nowhere.csv",
                 reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    const char *const files[] = {"/nowhere/at-all.csv"};
    r.options.files = files;
    r.options.n_files = 1;
    assert_fails(HN_NO_INPUT, "/nowhere/at-all.csv",
                 reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    r.options.n_files = 0;
    assert_ok(
        reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err)); /* no files, no rows */
    assert_int_equal(r.counts.rows, 0);
    reading_free(&r);
    hn_config_free(config);
    use("log: [log.csv, other.csv]\ntasks: {y: y}\nfeatures: {a: id}\n");
    config->log.files.items[1][0] = '-',
    config->log.files.items[1][1] = '\0'; /* the parser refuses it, too */
    assert_fails(HN_BAD_CONFIG, "standard input",
                 reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    reading_free(&r);
    hn_config_free(config);
}

/* ---- Long rows ----------------------------------------------------------------------------- */

static void long_rows_up_to_a_limit(void **state) {
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s/log.csv", folder);
    const size_t long_n = (size_t)3 << 20, too_long_n = ((size_t)65 << 20) + 12345;
    char *const text = malloc(too_long_n);
    memset(text, 'x', too_long_n);
    memcpy(text, "y,a\n1,b\n1,", 10);
    text[long_n - 1] = '\n';
    support_write(path, text, long_n);
    use(PLAIN);
    reading r = {.blocks = 0};
    assert_ok(reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    assert_int_equal(r.counts.rows, 2);
    char expected[64];
    snprintf(expected, sizeof expected, " %016llx",
             (unsigned long long)hn_cell_hash(text + 10, long_n - 11));
    assert_non_null(strstr(r.rows.text, expected));
    reading_free(&r);
    text[long_n - 1] = 'x';
    support_write(path, text, too_long_n);
    assert_fails(HN_BAD_DATA, "log.csv:3: a row begins here that is longer than 64 MiB",
                 reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    reading_free(&r);
    memset(text, 'x', 10);
    support_write(path, text, too_long_n);
    assert_fails(HN_BAD_DATA, "log.csv:1: the first line is longer than 64 MiB",
                 reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    reading_free(&r);
    hn_config_free(config);
    free(text);
}

/* ---- The machinery ------------------------------------------------------------------------- */

#define JOINED                                                                                \
    "log: {files: 'part*.csv', filter: ['n != 7'], bad_rows: 1000}\nscenario: {column: u.s, " \
    "values: [0, 1], others: drop}\nuser: k\n"                                                \
    "tables: {u: {files: u.csv, key: k}}\nsplit: {by: random, validation: 0.2, test: "        \
    "0.2}\ntasks: {y: y}\nfeatures: {a: id}\n"

static void write_parts(void) {
    hn_text text = {0};
    for (int part = 0; part < 5; part++) {
        text.length = 0;
        hn_text_add(&text, part % 2 ? "n,k,a,y\n" : "y,a,k,n\n");
        for (int i = 0; i < 211 * part; i++) {
            if (part % 2)
                hn_text_add(&text, "%d,%d,\"a\n%d\",%d%s\n", i % 10, i % 97, i % 13, i % 2,
                            i % 50 == 49 ? ",bad" : "");
            else
                hn_text_add(&text, "%d,%d,%d,%d\r\n", i % 2, i % 13, i % 97, i % 10);
        }
        char name[20];
        snprintf(name, sizeof name, "part%d.csv", part);
        reading_file(folder, name, text.text);
    }
    text.length = 0;
    hn_text_add(&text, "k,s\n");
    for (int k = 0; k < 90; k++) hn_text_add(&text, "%d,%d\n", k, k % 3);
    reading_file(folder, "u.csv", text.text);
    hn_text_free(&text);
}

static void threads_and_chunks_change_nothing(void **state) {
    (void)state;
    write_parts();
    use(JOINED);
    reading_add(&sources, config, HN_SOURCE_LIST, "a");
    reading first = {.options.keep_lines = false};
    for (int32_t threads = 0; threads <= 4; threads++) {
        hn_pool *pool = NULL;
        if (threads > 0) assert_ok(hn_pool_create(&pool, threads, &err));
        for (size_t chunk = 7; chunk < 100000; chunk = chunk * 5 + 1) {
            hn_chunk_bytes_set(chunk);
            hn_side_tables *tables = NULL;
            reading r = {.blocks = 0};
            assert_ok(hn_side_tables_read(&tables, config, &sources.sources, pool, NULL, &err));
            assert_ok(reading_log(&r, config, &sources.sources, tables, pool, NULL, &err));
            hn_side_tables_free(tables);
            if (!first.rows.text) {
                first = r;
                assert_int_equal(r.counts.rows, 2110);
                assert_true(r.counts.bad > 10 && r.counts.filtered > 100 &&
                            r.counts.other_scenario > 100);
                assert_true(r.blocks > 1000);
                continue;
            }
            assert_string_equal(r.rows.text, first.rows.text);
            assert_int_equal(r.counts.rows, first.counts.rows);
            assert_int_equal(r.counts.bad, first.counts.bad);
            assert_int_equal(r.counts.filtered, first.counts.filtered);
            assert_int_equal(r.counts.other_scenario, first.counts.other_scenario);
            assert_int_equal(r.counts.bytes, first.counts.bytes);
            assert_int_equal(r.counts.n_examples, first.counts.n_examples);
            for (int i = 0; i < r.counts.n_examples; i++)
                assert_string_equal(r.counts.examples[i].text, first.counts.examples[i].text);
            reading_free(&r);
        }
        hn_pool_free(pool);
    }
    hn_chunk_bytes_set(0);
    reading_free(&first);
    hn_config_free(config);
}

static void standard_input_is_read_in_one_pass(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    static const char text[] = "y,a\n1,x\n0,y\n";
    assert_int_equal(write(ends[1], text, sizeof text - 1), sizeof text - 1);
    close(ends[1]);
    const int saved = dup(STDIN_FILENO);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    use("log: '-'\ntasks: {y: y}\nfeatures: {a: id}\n");
    reading r = {.blocks = 0};
    assert_ok(reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    dup2(saved, STDIN_FILENO);
    close(saved);
    assert_int_equal(r.counts.rows, 2);
    reading_free(&r);
    hn_config_free(config);
}

static hn_progress last;
static int told;
static void take_progress(void *user, const hn_progress *progress) {
    (void)user;
    assert_true(progress->done >= last.done || told == 0);
    last = *progress;
    told++;
}

static void progress_ends_at_the_whole(void **state) {
    (void)state;
    write_parts();
    use(JOINED);
    hn_side_tables *tables = NULL;
    assert_ok(hn_side_tables_read(&tables, config, &sources.sources, NULL, NULL, &err));
    hn_run run = hn_run_default();
    run.progress = take_progress;
    hn_chunk_bytes_set(1000);
    told = 0;
    reading r = {.blocks = 0};
    assert_ok(reading_log(&r, config, &sources.sources, tables, NULL, &run, &err));
    hn_chunk_bytes_set(0);
    assert_true(told > 3);
    assert_string_equal(last.phase, "read");
    assert_true(last.done == last.total && last.total == (double)r.counts.bytes);
    assert_true(last.loss != last.loss && last.rows_per_s > 0);
    reading_free(&r);
    hn_side_tables_free(tables);
    hn_config_free(config);
}

static void stopping_is_orderly(void **state) {
    (void)state;
    reading_file(folder, "log.csv", "y,a\n1,x\n");
    use(PLAIN);
    volatile int stop = 1;
    hn_run run = hn_run_default();
    run.stop = &stop;
    reading r = {.blocks = 0};
    assert_fails(HN_INTERRUPTED, "stopped by request",
                 reading_log(&r, config, &sources.sources, NULL, NULL, &run, &err));
    assert_int_equal(r.blocks, 0);
    r.fail_block = 1;
    assert_fails(HN_FAILED, "the caller has had enough",
                 reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    reading_free(&r);
    hn_config_free(config);
}

static void tables_of_another_config_are_refused(void **state) {
    (void)state;
    write_parts();
    use(JOINED);
    hn_side_tables *tables = NULL;
    assert_ok(hn_side_tables_read(&tables, config, &sources.sources, NULL, NULL, &err));
    reading r = {.blocks = 0};
    assert_fails(HN_BAD_DATA, "not those of the config",
                 reading_log(&r, config, &sources.sources, NULL, NULL, NULL, &err));
    hn_config_free(config);
    reading_file(folder, "log.csv", "y,a\n1,x\n");
    use(PLAIN);
    assert_fails(HN_BAD_DATA, "not those of the config",
                 reading_log(&r, config, &sources.sources, tables, NULL, NULL, &err));
    reading_free(&r);
    hn_side_tables_free(tables);
    hn_config_free(config);
}

/* ---- Faults -------------------------------------------------------------------------------- */

static hn_status read_everything(void *pool, hn_error *e) {
    hn_side_tables *tables = NULL;
    reading r = {.options = {.keep_lines = false}};
    hn_status status = hn_side_tables_read(&tables, config, &sources.sources, pool, NULL, e);
    if (status == HN_OK) {
        r.sources = &sources.sources;
        hn_log_options options = {.files = NULL};
        status = hn_log_read(&r.counts, config, &sources.sources, tables, &options, pool, NULL, e);
    }
    hn_log_counts_free(&r.counts);
    hn_side_tables_free(tables);
    return status;
}

static void faults_are_told_and_nothing_leaks(void **state) {
    (void)state;
    write_parts();
    use(JOINED);
    reading_add(&sources, config, HN_SOURCE_LIST, "a");
    hn_chunk_bytes_set(2000);
    for (int32_t threads = 0; threads <= 2; threads += 2) {
        hn_pool *pool = NULL;
        if (threads > 0) assert_ok(hn_pool_create(&pool, threads, &err));
        assert_true(support_fail_each(HN_FAULT_ALLOC, read_everything, pool) > 50);
        assert_true(support_fail_each(HN_FAULT_READ, read_everything, pool) > 10);
        hn_pool_free(pool);
    }
    hn_chunk_bytes_set(0);
    hn_config_free(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_rows_are_named),
        cmocka_unit_test(some_bad_rows_can_be_allowed),
        cmocka_unit_test(scoring_allows_no_bad_row),
        cmocka_unit_test(a_quote_left_open_may_hide_rows),
        cmocka_unit_test(columns_that_are_not_there),
        cmocka_unit_test(files_without_a_header),
        cmocka_unit_test(the_second_file_is_checked_too),
        cmocka_unit_test(files_that_are_not_there),
        cmocka_unit_test(long_rows_up_to_a_limit),
        cmocka_unit_test(threads_and_chunks_change_nothing),
        cmocka_unit_test(standard_input_is_read_in_one_pass),
        cmocka_unit_test(progress_ends_at_the_whole),
        cmocka_unit_test(stopping_is_orderly),
        cmocka_unit_test(tables_of_another_config_are_refused),
        cmocka_unit_test(faults_are_told_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
