/* A small platform for whole trainings: a folder with a log of three scenarios and two tasks
 * in which users and items have tastes, the config of a small HiNet, and hn_train on it. */
#ifndef HN_TESTS_TRAIN_TOWN_H
#define HN_TESTS_TRAIN_TOWN_H

#include <jansson.h>

#include "base/config.h"
#include "support.h"

enum { TOWN_ROWS = 2400, TOWN_USERS = 60 };

/* Group fixtures: make log.csv in a new folder, take all away. */
int town_set_up(void **state);
int town_tear_down(void **state);
const char *town_dir(void);
/* Rows first … first + n - 1 of a log without end. */
void town_write_log(const char *name, int32_t first, int32_t n, int32_t users);
hn_config *town_config(const char *const *sets, size_t n);
/* The path of a folder that is not there yet; hn_free it. */
char *town_new_run(void);

typedef struct town_watch { /* what the callbacks do and heard */
    char *heard;            /* free() it */
    size_t n;
    int stop;
    int32_t stop_at, kill_at; /* the epoch's line at which; 0: never */
    int32_t lines;
} town_watch;
void town_on_line(void *user, hn_log_level level, const char *line);

typedef struct town_options {
    const char *sets[6];
    int32_t threads;
    int64_t memory;
    bool resume;
    const char *init;
    town_watch *watch;
} town_options;
hn_status town_train(hn_report **out, const char *dir, const town_options *options, hn_error *err);
/* The report's JSON of a training that succeeds. */
json_t *town_train_ok(const char *dir, const town_options *options);

bool town_has_file(const char *dir, const char *name);
void town_same_bundles(const char *a, const char *b);
/* The number at json[a][b][c]; b and c may be NULL. */
double town_number(const json_t *json, const char *a, const char *b, const char *c);

#endif
