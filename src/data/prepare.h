/* A preparation: everything between the log's text and the encoded rows, for
 * hn_dataset_prepare and hn_data_check alike. */
#ifndef HN_DATA_PREPARE_H
#define HN_DATA_PREPARE_H

#include "data/codes.h"
#include "data/dataset.h"
#include "data/dataset_write.h"
#include "data/duplicates.h"
#include "data/fit.h"
#include "data/samples.h"

typedef struct hn_preparation {
    const hn_config *config;
    hn_pack *init;
    char *dir; /* for temporary files */
    hn_pool *pool;
    const hn_run *run;
    bool wants_samples;
    hn_schema *schema;
    hn_side_tables *tables;
    hn_spool *spool;
    hn_duplicates *finder;
    hn_log_counts log;
    uint64_t duplicates; /* rows dropped */
    hn_samples *samples; /* held-out rows as text; NULL: not wanted */
    hn_fit_counts counts;
    hn_encode_counts encoded[HN_SPLITS]; /* of the columns made of log rows */
} hn_preparation;

/* Reads tables and log, drops duplicates, fits. Zeroed but for the first six members. */
hn_status hn_preparation_read(hn_preparation *preparation, hn_error *err);
/* Encodes all rows; to the writer unless it is NULL. */
hn_status hn_preparation_encode(hn_preparation *preparation, hn_block_writer *writer,
                                hn_error *err);
void hn_preparation_free(hn_preparation *preparation);

/* The data card. NULL without memory. */
json_t *hn_preparation_card(const hn_preparation *preparation);

#endif
