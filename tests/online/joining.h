/* What the tests of hn_join share: a folder with logs, and a join of them into a text. */
#ifndef HN_TESTS_ONLINE_JOINING_H
#define HN_TESTS_ONLINE_JOINING_H

#include "base/report.h"

typedef struct joining {
    char *dir;
    char exposures[2][300], clicks[300], orders[300];
    hn_text csv;
    json_t *report;
    hn_run run;
    hn_join_options options;
    char warnings[2000];
} joining;

joining joining_open(void);
void joining_close(joining *f);
void joining_put(const char *path, const char *text);
/* An hn_write into an hn_text. */
hn_status joining_collect(void *user, const void *bytes, size_t n, hn_error *err);
/* Joins exposure files with the clicks within 1000 ms and, where there is a file of them, the
 * orders within 5000 ms. */
hn_status joining_files(joining *f, const char *const *exposures, size_t files, hn_error *err);
hn_status joining_run(joining *f, hn_error *err); /* the first file only */
/* A number of the report: of an event, or (-1) of the whole or the exposures. */
int64_t joining_told(const joining *f, int event, const char *name);
void joining_expect(const joining *f, const char *csv, const char *file, int line);
#define assert_csv(f, csv) joining_expect((f), (csv), __FILE__, __LINE__)

#endif
