/* Codes: side tables with their rows encoded once, so that a row's share of them is a copy.
 * They are kept in a dataset and made for a schema that encodes many rows. */
#ifndef HN_DATA_CODES_H
#define HN_DATA_CODES_H

#include "data/encode.h"

/* One table's rows; the one after the last is that of an unknown key: all missing. */
typedef struct hn_table_codes {
    uint32_t rows;              /* without that one */
    int32_t ids, values, lists; /* columns made of the table */
    const uint32_t *id;         /* [rows + 1][ids] */
    const float *value;         /* [rows + 1][values] */
    const uint32_t *list_begin; /* [(rows + 1) × lists + 1] */
    const uint32_t *list_ids;
} hn_table_codes;

typedef struct hn_codes {
    hn_table_codes *tables; /* [n] */
    int32_t n;
    bool owned; /* else the arrays are a pack's */
} hn_codes;

hn_status hn_codes_make(hn_codes **out, const hn_schema *schema, const hn_side_tables *tables,
                        hn_pool *pool, const hn_run *run, hn_error *err);
void hn_codes_free(hn_codes *codes);
/* Sections "codes/TABLE/id", "…/value", "…/list_begin", "…/list_ids". */
void hn_codes_save(const hn_codes *codes, const hn_schema *schema, hn_packer *packer);
/* Checks that ids are within the schema's embedding tables. */
hn_status hn_codes_load(hn_codes **out, const hn_schema *schema, hn_pack *pack, hn_error *err);

#endif
