/* The dataset: an encoded log on disk, cut into blocks of a fixed number of rows for each
 * split; and the batches drawn from it. It is a pack of kind "DATA" that also holds the
 * schema, the side tables and the data card, so that a bundle can be made from it.
 *
 * What is made of a side table's row alone is not repeated in every row of the log: a row
 * has the number of its table row, the tables' rows are encoded once ("codes", codes.h) and
 * put in when a batch is. Sections besides those of the schema, the tables and the codes:
 *
 *   dataset/rows         blocks, one behind the other: records (record.h), then the ids of
 *                        their lists (u32), then zeros up to a multiple of 8
 *   dataset/blocks       [blocks][5] split, rows, offset, list ids, checksum; all blocks of
 *                        a split but its last have block_rows rows, in the order of the log
 *   dataset/shape        block_rows, bytes of a record, then what it has of each
 *   dataset/labelled, dataset/positives   [splits][M][T]
 *   dataset/card         JSON: log, features, cells
 *   dataset/samples      JSON: some held-out rows as text (samples.h)
 *   dataset/fingerprint, dataset/config   what it was made from (fingerprint.h)
 *
 * Opening checks all but dataset/rows; a block of it is checked (its checksum, and every
 * field's range) when it is first read, so that a dataset larger than memory opens at once.
 * With --memory, threads and pipes or files, the same log gives the same bytes. */
#ifndef HN_DATA_DATASET_H
#define HN_DATA_DATASET_H

#include "data/schema.h"

typedef struct hn_dataset hn_dataset;

/* Reads the log, fits the schema (continuing that of `init`, an open bundle or dataset
 * pack, when not NULL: vocabularies only append), encodes and writes `path`. When `path`
 * holds a dataset made from the same config and the same files (size and time), it is
 * left alone; one made from a pipe only with run->resume. */
hn_status hn_dataset_prepare(const char *path, const hn_config *config, hn_pack *init,
                             hn_pool *pool, const hn_run *run, hn_error *err);
hn_status hn_dataset_open(hn_dataset **out, const char *path, const hn_config *config,
                          hn_error *err);
void hn_dataset_close(hn_dataset *dataset);
/* Of all that is encoded and how: vocabularies, scales, rates, and every block's checksum. */
uint64_t hn_dataset_identity(const hn_dataset *dataset);
/* Reads and fits as prepare does but writes nothing; the data card of `hinet check`:
 * features with cardinality, missing and unseen rates; rows, positives and rates of each
 * cell and split; bad rows:
 * {log: {rows, bad, filtered, other_scenario, duplicates, bytes, bad_examples: [text]},
 *  features: [{name, feature, kind, column, side, cardinality, width, table, table_rows,
 *    missing: {train, validation, test}, unseen: {…}}]   shares of rows (of lists' values),
 *  cells: [{scenario, task, split, rows, labelled, positives, rate}],
 *  order: [{task, after, without, unlabelled}]}: of tasks with `after`, rows where the earlier
 *  one did not happen but this one did, or has no label. */
hn_status hn_data_check(json_t **out, const hn_config *config, hn_pool *pool, const hn_run *run,
                        hn_error *err);
/* Encodes all rows of `files` (or the config's log) with an existing schema and calls
 * `rows` for one piece after another: evaluation and predict on raw logs. Rows are encoded
 * without folds, so those of the training split differ from the dataset's in their rates;
 * held-out rows are equal to the bit. */
typedef struct hn_raw_options {
    const char *const *files;
    size_t n_files;
    bool scoring;    /* as hn_log_options.scoring; also keeps duplicates */
    bool keep_lines; /* fill `line` of `raw` */
    hn_split only;   /* HN_NO_SPLIT: all rows; else rows of that split (not when scoring) */
    hn_status (*header)(void *user, const char *text, size_t n, const char *delimiter,
                        hn_error *err);
    /* At most a few thousand rows at a time, in log order, not sorted by scenario; `raw` are the
     * same rows as they were digested, NULL where some were left out between them. */
    hn_status (*rows)(void *user, const hn_rows *rows, const hn_impressions *raw, hn_error *err);
    void *user;
} hn_raw_options;
hn_status hn_raw_read(hn_log_counts *counts, const hn_config *config, const hn_schema *schema,
                      const hn_side_tables *tables, const hn_raw_options *options, hn_pool *pool,
                      const hn_run *run, hn_error *err);

const hn_schema *hn_dataset_schema(const hn_dataset *dataset);
const hn_side_tables *hn_dataset_tables(const hn_dataset *dataset);
const json_t *hn_dataset_card(const hn_dataset *dataset);
const json_t *hn_dataset_samples(const hn_dataset *dataset); /* NULL: it has none */
uint64_t hn_dataset_rows(const hn_dataset *dataset, hn_split split);
/* Rows with a present label, and positives, of each cell: [M][T] (index scenario × T + task). */
const uint64_t *hn_dataset_labelled(const hn_dataset *dataset, hn_split split);
const uint64_t *hn_dataset_positives(const hn_dataset *dataset, hn_split split);

/* ---- Batches --------------------------------------------------------------------- */

/* Batches of one pass over a split. A training pass (`epoch` ≥ 0) is a seeded permutation
 * of the blocks and of the rows of each window (at most `window` blocks, windows as equal as
 * may be): a pure function of (seed, epoch). A plain pass (`epoch` -1) goes in dataset order. In
 * every batch rows are sorted by scenario, stably. */
typedef struct hn_batcher hn_batcher;
hn_status hn_batcher_create(hn_batcher **out, const hn_dataset *dataset, hn_split split,
                            int32_t batch, int32_t window, uint64_t seed, hn_error *err);
void hn_batcher_start(hn_batcher *batcher, int64_t epoch);
/* Training passes have the rows of scenario i weights[i] times on average (hn_sampling_times of
 * each row; [M], copied, each above 0, at most 100) instead of once. For HN_TRAIN, before start.
 * How many batches a pass has is then known only when it ends. */
hn_status hn_batcher_weigh(hn_batcher *batcher, const double *weights, hn_error *err);
/* Skips to batch `index` of the pass, without reading what is before it where it can. */
void hn_batcher_seek(hn_batcher *batcher, uint64_t index);
/* Batches of a pass; with weights the number that is expected. */
uint64_t hn_batcher_batches(const hn_batcher *batcher);
/* Whether the pass has no batch after those that were given. */
bool hn_batcher_ended(const hn_batcher *batcher);
/* The next batch, valid until the next call; NULL at the end. Allocates nothing. HN_BAD_DATA
 * when a block that was not read before is damaged. */
hn_status hn_batcher_next(const hn_rows **out, hn_batcher *batcher, hn_error *err);
void hn_batcher_free(hn_batcher *batcher);

#endif
