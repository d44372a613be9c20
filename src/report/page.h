/* Private to the page: its sections, in the order of the page, and what they share. A section is
 * a function of the document; one that has nothing to say writes nothing. */
#ifndef HN_REPORT_PAGE_H
#define HN_REPORT_PAGE_H

#include "report/chart.h"
#include "report/document.h"

enum { HN_SHOWN_CELLS = 48, HN_SHOWN_FEATURES = 60 };

typedef struct hn_page_cell { /* a cell of any of the runs */
    const char *scenario, *task;
    char *name; /* "home · click" */
} hn_page_cell;

typedef struct hn_page {
    hn_text *out;
    const json_t *document, *runs;
    int32_t n_runs;
    hn_page_cell *cells; /* all, in the order of the first run that has them */
    int32_t n_cells;
} hn_page;

/* X(id of the section, its heading) */
#define HN_PAGE_SECTIONS(X)                      \
    X(overview, "Overview")                      \
    X(comparison, "Comparison")                  \
    X(cells, "Cells")                            \
    X(curves, "ROC and calibration")             \
    X(learning, "Learning curves")               \
    X(san, "Which scenario learns from which")   \
    X(gates, "Which experts are used")           \
    X(features, "What removing a feature costs") \
    X(data, "Data")                              \
    X(reproduce, "How to make it again")         \
    X(methods, "How it was measured")
#define X(id, heading)                          \
    bool hn_page_has_##id(const hn_page *page); \
    void hn_page_##id(const hn_page *page);
HN_PAGE_SECTIONS(X)
#undef X

extern const char hn_page_style[];

/* ---- Reading the document (page_read.c) ---------------------------------------------------- */

const json_t *hn_page_run(const hn_page *page, int32_t i);
const char *hn_string_at(const json_t *object, const char *key); /* "" where there is none */
double hn_number_at(const json_t *object, const char *key);      /* NaN where there is none */
double hn_number_of(const json_t *value);
const json_t *hn_array_at(const json_t *object, const char *key); /* NULL where there is none */
int32_t hn_count(const json_t *array);
/* low and high of [low, high]; NaN where there is none. */
void hn_interval_at(double *low, double *high, const json_t *object, const char *key);
/* The measured cell of run `run` that is cell `c` of the page; NULL where it has none. */
const json_t *hn_page_cell_of(const hn_page *page, int32_t run, int32_t c);
/* The number of a cell in the run's own list; -1. */
int32_t hn_page_cell_index(const hn_page *page, int32_t run, int32_t c);
/* The page's cells to draw, those with the most rows: their number. */
int32_t hn_page_shown(int32_t *out /* [HN_SHOWN_CELLS] */, const hn_page *page);
bool hn_page_measured(const hn_page *page, int32_t run); /* on rows, not as stored */
/* "test split" and the like. */
const char *hn_page_rows_of(const json_t *run);

/* ---- Pieces (page_read.c) ------------------------------------------------------------------- */

void hn_page_legend(const hn_page *page); /* of the runs; nothing for one */
/* <div class="scroll"><table><caption>; columns' heads follow from `heads`, ended by NULL; '|'
 * before one: its column is text. */
void hn_page_table_begin(hn_text *out, const char *caption, const char *const *heads);
void hn_page_table_end(hn_text *out);
void hn_page_table_number(hn_text *out, hn_figure figure);
void hn_page_table_text(hn_text *out, const char *text);
/* Numbers from numbers of an array's members; NULL on no memory or where it is empty. hn_free. */
double *hn_numbers_of(const json_t *array, const char *key);

#endif
