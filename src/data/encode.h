/* Encoding with all its options; hn_schema_encode (schema.h) is the plain form. */
#ifndef HN_DATA_ENCODE_H
#define HN_DATA_ENCODE_H

#include "data/schema_types.h"

/* Of each column: how many cells were absent, and had a value without an id of its own. */
typedef struct hn_encode_counts {
    uint64_t *missing, *unseen, *cells; /* [columns]; cells: rows, or the values of lists */
} hn_encode_counts;

typedef struct hn_encode_options {
    bool training;            /* rows are encoded with their fold */
    bool log_only;            /* only what is made of log rows (place 0); the rest is in codes */
    hn_encode_counts *counts; /* of the columns of place 0, added to; may be NULL */
} hn_encode_options;

/* Encodes rows[0…n-1] of the block (rows NULL: its first n). */
hn_status hn_encode_rows(hn_encoded *out, const hn_schema *schema, const hn_side_tables *tables,
                         const hn_impressions *block, const uint32_t *rows, int32_t n,
                         const hn_encode_options *options, hn_error *err);

/* Where the slots of rows are: row r's slot s at slots[r × stride + s]. */
typedef struct hn_slot_rows {
    const hn_slot *slots;
    size_t stride;
    const uint64_t *lists;
} hn_slot_rows;

/* The columns of a place but its lists and rates, for n rows given by number: ids to
 * id[i × id_stride + slot], values likewise. n is at most HN_ENCODE_CHUNK. */
enum { HN_ENCODE_CHUNK = 256 };
void hn_encode_place(uint32_t *id, size_t id_stride, float *value, size_t value_stride,
                     const hn_schema *schema, int32_t place, const hn_slot_rows *from,
                     const uint32_t *rows, int32_t n, hn_encode_counts *counts);
/* All columns but lists for rows of a block, in every place asked for. `absent`: an absent
 * row of slots of each table. */
void hn_encode_chunk(uint32_t *id, size_t id_stride, float *value, size_t value_stride,
                     const hn_schema *schema, const hn_side_tables *tables,
                     const hn_impressions *block, const uint32_t *rows, int32_t n,
                     const hn_encode_options *options, const hn_slot *const *absent);
/* The key and the fold of a row, and the number that a rate's column makes of its counts. */
uint64_t hn_encode_rate_key(const hn_rate *rate, const hn_side_tables *tables,
                            const hn_impressions *block, uint32_t row);
uint64_t hn_encode_rate_fold(const hn_rate *rate, const hn_side_tables *tables,
                             const hn_impressions *block, uint32_t row);
double hn_encode_rate_number(const hn_schema *schema, const hn_column *column,
                             const uint32_t *counts);
/* A list's ids; returns their number, at most what hn_encode_list_length says. */
uint32_t hn_encode_list(uint32_t *out, const hn_schema *schema, const hn_column *column,
                        const hn_slot *slot, const uint64_t *lists);
uint32_t hn_encode_list_length(const hn_column *column, const hn_slot *slot);
/* A row of slots that are all absent, as the place's columns see them. */
void hn_encode_absent(hn_slot *out, const hn_schema *schema, int32_t place);

#endif
