/* A report: one JSON document (jansson) and the text made from it. And a string builder. */
#ifndef HN_BASE_REPORT_H
#define HN_BASE_REPORT_H

#include <jansson.h>

#include "base/error.h"

/* A growing string; errors are sticky (text NULL after a failed allocation). */
typedef struct hn_text {
    char *text;
    size_t length, capacity;
    bool failed;
} hn_text;
void hn_text_add(hn_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void hn_text_bytes(hn_text *text, const void *bytes, size_t n);
void hn_text_free(hn_text *text);

/* A plain-text table: cells are added row by row; numbers align right. */
typedef struct hn_grid hn_grid;
hn_grid *hn_grid_create(int32_t cols); /* NULL on no memory; all calls accept NULL */
void hn_grid_cell(hn_grid *grid, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Renders with two spaces between columns and a rule below the first row; frees the grid. */
void hn_grid_render(hn_grid *grid, hn_text *out);

/* Takes `json` and `text` over, also on failure. */
hn_status hn_report_create(hn_report **out, json_t *json, hn_text *text, hn_error *err);

/* Messages to the run's callbacks (which may be NULL). */
void hn_say(const hn_run *run, hn_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool hn_stopped(const hn_run *run);

#endif
