/* The inside of an open dataset. */
#ifndef HN_DATA_DATASET_TYPES_H
#define HN_DATA_DATASET_TYPES_H

#include "data/codes.h"
#include "data/dataset.h"
#include "data/dataset_write.h"
#include "data/record.h"

typedef struct hn_block { /* in the map */
    const uint8_t *records;
    const uint32_t *list_ids;
    uint32_t rows;
    uint64_t n_list_ids, checksum;
} hn_block;

struct hn_dataset {
    hn_pack *pack;
    const hn_config *config;
    hn_schema *schema;
    hn_side_tables *tables;
    hn_codes *codes;
    json_t *card, *samples;
    hn_record record;
    uint32_t block_rows;
    hn_block *blocks;              /* all, those of each split together and in order */
    uint32_t first[HN_SPLITS + 1]; /* of each split */
    uint64_t rows[HN_SPLITS];
    const uint64_t *labelled, *positives; /* [HN_SPLITS][M][T] */
};

/* Checksum and every field of a block: a row that passed may be read and trained on
 * without another check. */
hn_status hn_block_check(const hn_dataset *dataset, uint32_t block, hn_error *err);

#endif
