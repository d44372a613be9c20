/* The schema: features with their fitted vocabularies, statistics, buckets and rates, and
 * hn_schema_encode, the only code that turns digested rows into ids and values — in
 * training, evaluation, `predict`, the server and the bindings.
 *
 * A feature makes one or more *inputs* of the layout: a rate feature one for each task
 * ("NAME.TASK") and one for its count ("NAME.count"). Everything is fitted on the training
 * split only:
 *
 * - id, list: the vocabulary has the hashes seen in at least min_count training rows (of
 *   more than max_size the most frequent), with ids in the order of first appearance; an
 *   absent cell is HN_ID_MISSING (a list is empty), any other value HN_ID_UNSEEN.
 * - hash: 2 + mix(hash) mod buckets. integer: 2 + the integer; out of range is unseen.
 * - number: as is, sign(x)·log1p(|x|), z-score of either (absent: 0), or the id of a
 *   quantile bucket (absent: HN_ID_MISSING).
 * - rate: (Σy + k·base) / (n + k) and n of the training rows with the same key (rows with an
 *   absent label count in n only), scaled like a number; n in log1p. The key is a hash of its
 *   columns' cells; an absent cell is a value like any other, a list counts by its first
 *   value. Training rows see their key without their own fold, or (past) only with smaller
 *   values of the fold column; a row whose `past` cell is absent sees nothing, and only
 *   held-out rows see it. An unknown key has the base rate and n = 0.
 *
 * Sections: "schema/plan" (JSON), "schema/scenario_rows", "schema/sampling",
 * "schema/vocabulary/FEATURE", "schema/scale/INPUT" (scaling, mean, deviation),
 * "schema/cuts/INPUT", "schema/rate/FEATURE/keys", "…/counts" and "…/base". */
#ifndef HN_DATA_SCHEMA_H
#define HN_DATA_SCHEMA_H

#include <jansson.h>

#include "data/digest.h"

typedef struct hn_schema hn_schema;

/* From the config and the headers of its files: resolves columns, sides and sources. Not
 * fitted. `config` must outlive the schema.
 *
 * A column is named "table.column" or "log.column"; a plain name must be in one file only.
 * A log_key is always the log's, and of its table's side; other columns of the log are
 * context. */
hn_status hn_schema_plan(hn_schema **out, const hn_config *config, hn_error *err);
void hn_schema_free(hn_schema *schema);
const hn_sources *hn_schema_sources(const hn_schema *schema);
const hn_layout *hn_schema_layout(const hn_schema *schema); /* complete once fitted */
/* Rows of training in each scenario (for the rule for unknown scenarios). [M] */
const uint64_t *hn_schema_scenario_rows(const hn_schema *schema);
/* The rate in (0, 1] at which negatives of each scenario were kept in the log: what serving
 * corrects for. [M] */
const double *hn_schema_sampling(const hn_schema *schema);

void hn_schema_save(const hn_schema *schema, hn_packer *packer);
hn_status hn_schema_load(hn_schema **out, const hn_config *config, hn_pack *pack, hn_error *err);
/* What is in it, for `info` and reports: each feature with cardinality, table size, side, width …
 */
json_t *hn_schema_describe(const hn_schema *schema);

/* Encodes the rows of `tables` once, for a schema that will encode many rows: what a row
 * takes from a table is then copied. `tables` must stay as they are until they are bound
 * anew (NULL: no more). Changes no bit of what comes out. */
hn_status hn_schema_bind(hn_schema *schema, const hn_side_tables *tables, hn_pool *pool,
                         const hn_run *run, hn_error *err);

/* Owned, growing memory for encoded rows; `rows` is the view. Zero-initialise. */
typedef struct hn_encoded {
    hn_rows rows;
    struct hn_encoded_buffers *buffers;
} hn_encoded;
void hn_encoded_free(hn_encoded *encoded);

/* Encodes rows of a block. Training rows are encoded with their fold (`training`), all
 * others without. Thread-safe on one schema with separate `out`. scenario, labels,
 * weights, user and ordinal are carried over. */
hn_status hn_schema_encode(hn_encoded *out, const hn_schema *schema, const hn_side_tables *tables,
                           const hn_impressions *block, bool training, hn_error *err);

#endif
