/* What the tests of the feature store share: a store with a reader of two small tables. */
#ifndef HN_TESTS_SERVE_STORE_SUPPORT_H
#define HN_TESTS_SERVE_STORE_SUPPORT_H

#include "serve/redis.h"
#include "serve/store.h"
#include "serve/store_link.h"
#include "support.h"

#define NEED_REDIS()                                                                 \
    do {                                                                             \
        if (!redis_is_installed()) {                                                 \
            print_message("redis-server is not installed (Debian: redis-server)\n"); \
            skip();                                                                  \
        }                                                                            \
    } while (0)

/* 0: users (age, city, note); 1: items (price). */
extern const hn_store_table store_tables[2];

typedef struct opened {
    hn_store *store;
    hn_store_reader *reader;
} opened;

opened open_store(const char *url, double timeout_ms, double cache_seconds, int64_t entries);
/* Nothing may be held afterwards. */
void close_store(opened *o);
hn_store_counts counts_of(const opened *o);
/* Without a deadline. */
hn_store_key fetch_one(const opened *o, int32_t table, const char *key);
void assert_cell(const hn_store_key *key, int32_t column, const char *text); /* NULL: absent */
int64_t ms_since(int64_t begun_ns);
void pause_ms(int64_t ms);

#endif
