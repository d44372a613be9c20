/* The dataset: an encoded log on disk, cut into blocks of a fixed number of rows, one run
 * of blocks for each split; and the batches drawn from it. It is a pack of kind "DATA"
 * that also holds the schema, the side tables and the data card, so that a bundle can be
 * made from it. */
#ifndef HN_DATA_DATASET_H
#define HN_DATA_DATASET_H

#include "data/schema.h"

typedef struct hn_dataset hn_dataset;

/* Reads the log, fits the schema (continuing that of `init`, an open bundle or dataset
 * pack, when not NULL: vocabularies only append), encodes and writes `path`. When `path`
 * holds a dataset made from the same config and the same files (size and time), it is
 * left alone. */
hn_status hn_dataset_prepare(const char *path, const hn_config *config, hn_pack *init,
                             hn_pool *pool, const hn_run *run, hn_error *err);
hn_status hn_dataset_open(hn_dataset **out, const char *path, const hn_config *config, hn_error *err);
void hn_dataset_close(hn_dataset *dataset);
/* Reads and fits as prepare does but writes nothing; the data card of `hinet check`:
 * features with cardinality, missing and unseen rates; rows, positives and rates of each
 * cell and split; bad rows. */
hn_status hn_data_check(json_t **out, const hn_config *config, hn_pool *pool, const hn_run *run, hn_error *err);
/* Encodes all rows of `files` (or the config's log) with an existing schema and calls
 * `rows` for each block, in order: evaluation and predict on raw logs. */
typedef struct hn_raw_options {
    const char *const *files;
    size_t n_files;
    bool scoring;      /* as hn_log_options.scoring */
    hn_split only;     /* HN_NO_SPLIT: all rows; else rows of that split (not when scoring) */
    hn_status (*header)(void *user, const char *text, size_t n, const char *delimiter, hn_error *err);
    hn_status (*rows)(void *user, const hn_rows *rows, const hn_impressions *raw, hn_error *err);
    void *user;
} hn_raw_options;
hn_status hn_raw_read(hn_log_counts *counts, const hn_config *config, const hn_schema *schema, const hn_side_tables *tables,
                      const hn_raw_options *options, hn_pool *pool, const hn_run *run, hn_error *err);

const hn_schema *hn_dataset_schema(const hn_dataset *dataset);
const hn_side_tables *hn_dataset_tables(const hn_dataset *dataset);
const json_t *hn_dataset_card(const hn_dataset *dataset);
uint64_t hn_dataset_rows(const hn_dataset *dataset, hn_split split);
/* Rows with a present label, and positives, of each cell: [M][T] (index scenario × T + task). */
const uint64_t *hn_dataset_labelled(const hn_dataset *dataset, hn_split split);
const uint64_t *hn_dataset_positives(const hn_dataset *dataset, hn_split split);

/* ---- Batches ------------------------------------------------------------------------ */

/* Batches of one pass over a split. A training pass (`epoch` ≥ 0) is a seeded permutation
 * of the blocks and of the rows of each window of `window` blocks: a pure function of
 * (seed, epoch). A plain pass (`epoch` -1) goes in dataset order. In every batch rows are
 * sorted by scenario, stably. */
typedef struct hn_batcher hn_batcher;
hn_status hn_batcher_create(hn_batcher **out, const hn_dataset *dataset, hn_split split, int32_t batch,
                            int32_t window, uint64_t seed, hn_error *err);
void hn_batcher_start(hn_batcher *batcher, int64_t epoch);
/* Skips to batch `index` of the pass, without reading what is before it where it can. */
void hn_batcher_seek(hn_batcher *batcher, uint64_t index);
uint64_t hn_batcher_batches(const hn_batcher *batcher);
/* The next batch, valid until the next call; NULL at the end. Allocates nothing. */
const hn_rows *hn_batcher_next(hn_batcher *batcher);
void hn_batcher_free(hn_batcher *batcher);

#endif
