/* A batch: rows of blocks put together with what the side tables' codes add, sorted by
 * scenario. Its memory is taken once. */
#ifndef HN_DATA_BATCH_H
#define HN_DATA_BATCH_H

#include "data/dataset_types.h"

typedef struct hn_batch {
    const hn_dataset *dataset;
    const hn_block **block; /* [batch] of the rows taken … */
    uint32_t *row;          /* … and their numbers there */
    uint32_t *sorted;       /* [batch] the taken rows in order of scenario */
    uint32_t *count;        /* [M + 1] */
    uint16_t *scenario;
    uint32_t *id, *list_begin, *list_id;
    float *value, *weight;
    uint8_t *label;
    uint64_t *ordinal, *user;
    hn_rows rows;
} hn_batch;

hn_status hn_batch_create(hn_batch *out, const hn_dataset *dataset, uint32_t batch, hn_error *err);
void hn_batch_free(hn_batch *batch);
/* The i-th row of the batch. */
void hn_batch_take(hn_batch *batch, uint32_t i, const hn_block *block, uint32_t row);
/* The n rows taken, sorted stably by scenario. */
const hn_rows *hn_batch_gather(hn_batch *batch, uint32_t n);

#endif
