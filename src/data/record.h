/* A row of a dataset: a record of fixed size with what is made of the log row; the side
 * tables' share is in the codes. Native byte order (little-endian), every field at a
 * multiple of its size, records at multiples of 8:
 *
 *   0   u64 ordinal
 *   8   u64 user
 *   16  f32 weight
 *   20  u16 scenario
 *   22  u16 zero
 *   24  i32 table_row[tables]   -1: unknown key
 *       u32 list_end[lists]     end of each list in the block's list ids; a list begins
 *                               where the one before it ends (the first of a block at 0)
 *       u32 id[ids]
 *       f32 value[values]
 *       u8  label[tasks], then zeros up to a multiple of 8 */
#ifndef HN_DATA_RECORD_H
#define HN_DATA_RECORD_H

#include "data/schema_types.h"

typedef struct hn_record {
    int32_t tables, lists, ids, values, tasks, scenarios;
    size_t table_row, list_end, id, value, label; /* offsets */
    size_t bytes;
} hn_record;
hn_record hn_record_of(const hn_schema *schema);

enum {
    HN_RECORD_ORDINAL = 0,
    HN_RECORD_USER = 8,
    HN_RECORD_WEIGHT = 16,
    HN_RECORD_SCENARIO = 20,
    HN_RECORD_FIXED = 24
};

/* Rows in records, not yet in a block: list_end counts from the first list id here. */
typedef struct hn_packed {
    uint8_t *records; /* [rows] */
    uint32_t *list_ids;
    size_t rows, n_list_ids;
    size_t records_capacity, list_capacity;
} hn_packed;
/* Rows encoded with log_only, and the block rows that they come from. */
hn_status hn_packed_fill(hn_packed *out, const hn_record *record, const hn_rows *rows,
                         const hn_impressions *block, const uint32_t *from, hn_error *err);
void hn_packed_free(hn_packed *packed);

/* The checksum of a block's records and list ids. */
uint64_t hn_block_checksum(const uint8_t *records, size_t n_record_bytes, const uint32_t *list_ids,
                           size_t n_list_bytes);

#endif
