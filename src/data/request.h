/* Rows made of named fields instead of a log's lines: what a request, or a tensor of one
 * column, gives is digested by the reader's own rules, so that the same text gives the same
 * ids and values to the bit as through a log. A field is a column of the log or of a table
 * ("price", "items.price", "log.price"); a table's row is found by its log_key, and a field
 * given for one of its columns wins over the cell in the table.
 *
 * Use: begin, set the shared fields (row -1), rows, set each row's own, encode. What is set
 * later wins; a row's own value wins over a shared one. */
#ifndef HN_DATA_REQUEST_H
#define HN_DATA_REQUEST_H

#include "data/schema.h"

enum { HN_FIELD_UNKNOWN = -1, HN_FIELD_AMBIGUOUS = -2, HN_REQUEST_SHARED = -1 };

typedef struct hn_request hn_request; /* one worker's; its memory is kept from use to use */

/* Both must outlive it. */
hn_status hn_request_create(hn_request **out, const hn_config *config, const hn_schema *schema,
                            const hn_side_tables *tables, hn_error *err);
void hn_request_free(hn_request *request);

/* The field that a name means, or one of the two above. */
int32_t hn_request_field(const hn_request *request, const char *name, size_t n);
int32_t hn_request_fields(const hn_request *request);
/* "column" or "table.column", as an error should call it. */
const char *hn_request_field_name(const hn_request *request, int32_t field);
const char *hn_request_field_column(const hn_request *request, int32_t field);
int32_t hn_request_field_table(const hn_request *request, int32_t field); /* -1: the log */
bool hn_request_is_read(const hn_request *request, int32_t field);        /* by a feature */
/* Between the values of a list in this column; NULL: no list is read from it. */
const char *hn_request_delimiter(const hn_request *request, int32_t field);
/* Whether the field's text matters, as of an id: a number alone may be written in any way. */
bool hn_request_takes_text(const hn_request *request, int32_t field);
/* The log's column that joins table t; the user's and the item's id (see docs/serving.md);
 * the scenario's column; HN_FIELD_UNKNOWN where there is none. */
int32_t hn_request_key_field(const hn_request *request, int32_t table);
int32_t hn_request_id_field(const hn_request *request, hn_side side);
int32_t hn_request_scenario_field(const hn_request *request);
/* The index of a scenario from its name or a cell's text; HN_SCENARIO_UNKNOWN. `cell`: the
 * text that a log would have. */
uint16_t hn_request_scenario(const hn_request *request, const char *text, size_t n,
                             const char **cell);

void hn_request_begin(hn_request *request);
/* A cell's text; NULL: absent. HN_BAD_DATA: a number is needed and this is none. */
hn_status hn_request_set(hn_request *request, int32_t row, int32_t field, const char *text,
                         size_t n, hn_error *err);
/* The same from behind the request, as from a feature store: only where it gave nothing itself,
 * to the row or to all; a text that is no number is an absent cell. Of a table's column. */
hn_status hn_request_fill(hn_request *request, int32_t row, int32_t field, const char *text,
                          size_t n, hn_error *err);
bool hn_request_filled(const hn_request *request, int32_t row, int32_t field); /* by that */
/* So many rows, each with what is shared so far, all of one scenario. */
hn_status hn_request_rows(hn_request *request, int32_t rows, uint16_t scenario, hn_error *err);
void hn_request_set_scenario(hn_request *request, int32_t row, uint16_t scenario);
uint16_t hn_request_row_scenario(const hn_request *request, int32_t row);
/* The scenario of each row from a table, where the config has it there. */
void hn_request_join_scenario(hn_request *request);
/* Encodes the rows. `uniform`: they have the same inputs of the user's side and context. */
hn_status hn_request_encode(hn_encoded *out, bool *uniform, hn_request *request, hn_error *err);
/* After encoding: columns that features read and neither the request nor a table gave, in some
 * row; and those of one row alone, which are the item's. */
int32_t hn_request_missing(const hn_request *request);
int32_t hn_request_row_missing(const hn_request *request, int32_t row);

/* A number that the model reads: a number feature's, or a column's, by name. */
typedef struct hn_request_number {
    int32_t table, slot; /* table -1: the log */
    double missing;      /* what an absent cell stands for; NaN: nothing */
} hn_request_number;
bool hn_request_number_find(hn_request_number *out, const hn_request *request, const char *name);
/* After encoding; NaN: absent. */
double hn_request_number_of(const hn_request *request, const hn_request_number *number,
                            int32_t row);
/* Whether the cell that was given to this row (HN_REQUEST_SHARED: to all) for a table's column is
 * the table's own; *had: what that is, where it is a number, else NaN. */
typedef enum hn_given {
    HN_GIVEN_NOT, /* none was given, or it is no table's column */
    HN_GIVEN_NEW, /* the table has no such key */
    HN_GIVEN_SAME,
    HN_GIVEN_OTHER
} hn_given;
hn_given hn_request_compare(double *had, const hn_request *request, int32_t row, int32_t field);

#endif
