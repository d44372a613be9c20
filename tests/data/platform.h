/* A small random platform for the tests of schema and dataset: a log with two tasks, users
 * and items, written as CSV and kept as texts, so that a test can say by brute force what
 * should come out. Columns:
 *
 *   log.csv    user,item,tab,day,price,tags,click,buy
 *   users.csv  user,age,city,hobbies
 *   items.csv  item,category,cost */
#ifndef HN_TESTS_PLATFORM_H
#define HN_TESTS_PLATFORM_H

#include "data/dataset.h"
#include "support.h"

enum { PLATFORM_ROWS_MAX = 6000, PLATFORM_USERS = 40, PLATFORM_ITEMS = 60, PLATFORM_LIST = 4 };

typedef struct platform_row { /* "" : absent */
    char user[8], item[8], tab[4], day[4], price[16];
    char tags[PLATFORM_LIST][8];
    int32_t n_tags;
    char click[4], buy[4];
} platform_row;

typedef struct platform_user {
    char user[8], age[8], city[8];
    char hobbies[PLATFORM_LIST][8];
    int32_t n_hobbies;
} platform_user;

typedef struct platform_item {
    char item[8], category[8], cost[16];
} platform_item;

typedef struct platform {
    char *folder;
    platform_row row[PLATFORM_ROWS_MAX];
    int32_t rows;
    platform_user user[PLATFORM_USERS]; /* the log also has users that aren't here */
    platform_item item[PLATFORM_ITEMS];
    hn_pool *pool;
} platform;

/* Deterministic; `salt` gives another log on the same tables' keys. */
platform *platform_create(int32_t rows, uint64_t salt, int32_t threads);
void platform_free(platform *p);
char *platform_path(const platform *p, const char *name); /* free() it */
/* The config of these features (YAML lines at two blanks) and other sections; split by day:
 * validation is day 6, test day 7. `more` is put at the end. */
hn_config *platform_config(const platform *p, const char *features, const char *more);
const platform_user *platform_user_of(const platform *p,
                                      const platform_row *row); /* NULL: unknown */
const platform_item *platform_item_of(const platform *p, const platform_row *row);
hn_split platform_split(const platform_row *row);
/* Prepares "data" in the folder and opens it. */
hn_dataset *platform_dataset(const platform *p, const hn_config *config, const hn_run *run);

/* All rows of a split in dataset order, copied from batches of an odd size and put back in
 * the order of their ordinals; free with platform_rows_free. */
typedef struct platform_rows {
    hn_rows rows;
    void *memory[10];
} platform_rows;
platform_rows platform_read(const hn_dataset *dataset, hn_split split);
void platform_rows_free(platform_rows *rows);
const hn_input *platform_input(const hn_layout *layout, const char *name);

#endif
