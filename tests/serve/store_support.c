/* Opening, reading and judging (store_support.h). */
#include "serve/store_support.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const user_columns[] = {"age", "city", "note"};
static const char *const item_columns[] = {"price"};
const hn_store_table store_tables[2] = {{"users", user_columns, 3}, {"items", item_columns, 1}};

int64_t ms_since(int64_t begun) { return (hn_store_now_ns() - begun) / 1000000; }

void pause_ms(int64_t ms) {
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

opened open_store(const char *url, double timeout_ms, double cache_seconds, int64_t entries) {
    hn_error err = {0};
    char prefix[] = "hinet", *const copy = strdup(url);
    const hn_serve_store config = {.url = copy,
                                   .prefix = prefix,
                                   .timeout_ms = timeout_ms,
                                   .cache_seconds = cache_seconds,
                                   .cache_entries = entries};
    opened o;
    assert_ok(hn_store_open(&o.store, &config, &err));
    assert_ok(hn_store_reader_create(&o.reader, o.store, store_tables, 2, &err));
    free(copy);
    return o;
}

void close_store(opened *o) {
    hn_store_reader_free(o->reader);
    hn_store_close(o->store);
    assert_int_equal(hn_memory_held(), 0);
}

hn_store_counts counts_of(const opened *o) {
    hn_store_counts counts;
    hn_store_counts_get(&counts, o->store);
    return counts;
}

hn_store_key fetch_one(const opened *o, int32_t table, const char *key) {
    hn_store_key k = {.table = table, .key = key, .key_bytes = strlen(key)};
    hn_store_fetch(o->reader, &k, 1, INT64_MAX);
    return k;
}

void assert_cell(const hn_store_key *key, int32_t column, const char *text) {
    assert_false(key->late);
    assert_non_null(key->cells);
    if (!text) {
        assert_null(key->cells[column]);
        return;
    }
    assert_non_null(key->cells[column]);
    assert_string_equal(key->cells[column], text);
    assert_int_equal(key->cell_bytes[column], strlen(text));
}
