/* The inside of a request, for the files that know names (request_fields.c) and rows
 * (request.c). */
#ifndef HN_DATA_REQUEST_FIELDS_H
#define HN_DATA_REQUEST_FIELDS_H

#include "data/encode.h"
#include "data/refs.h"
#include "data/request.h"

typedef struct hn_request_column {
    const char *column, *shown;
    int32_t table;       /* -1: the log */
    int32_t first, uses; /* in order */
    bool shared_side;    /* an input of the user's side or the context is made of it */
    const hn_strings *missing;
} hn_request_column;

typedef struct hn_request_name {
    const char *text; /* NULL: free */
    int32_t field;
} hn_request_name;

typedef struct hn_request_table { /* what was given for one table's columns */
    hn_slot *slots;               /* [1 + rows][table slots]; row 0 is shared */
    uint8_t *given;               /* likewise: 1 by the request, 2 filled in */
    size_t slots_capacity, given_capacity;
    hn_slot *merged; /* [rows][table slots] */
    uint64_t *lists; /* of slots, then of merged */
    size_t merged_capacity, lists_capacity, n_lists;
    hn_slot *absent;
    bool used;
} hn_request_table;

struct hn_request {
    const hn_config *config;
    const hn_schema *schema;
    const hn_side_tables *tables;
    hn_arena arena;
    hn_refs refs;
    hn_request_column *fields;
    int32_t n_fields;
    int32_t *order; /* sources by field */
    hn_request_name *names;
    uint32_t names_mask;
    int32_t *key_field; /* [tables] */
    int32_t id_field[3], scenario_field, scenario_table;
    /* the rows at hand */
    int32_t rows;
    bool varied;                   /* a row has a shared side's value of its own */
    int32_t missing, *row_missing; /* [rows] */
    size_t row_missing_capacity;
    uint8_t *given; /* [fields] */
    hn_slot *slots; /* [1 + rows][log slots] */
    uint64_t *keys; /* [1 + rows][tables] */
    int32_t *table_rows;
    uint16_t *scenario;
    uint64_t *lists;
    size_t slots_capacity, keys_capacity, table_rows_capacity, scenario_capacity, lists_capacity,
        n_lists;
    hn_request_table *over; /* [tables] */
    hn_side_table *items;   /* [tables] with what was given */
    hn_side_tables overlay;
};

/* request_values.c: before the tables' rows are merged. */
hn_status hn_request_count_missing(hn_request *request, hn_error *err);
hn_status hn_request_name_fields(hn_request *request, hn_error *err);

#endif
