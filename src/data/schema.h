/* The schema: features with their fitted vocabularies, statistics, buckets and rates, and
 * hn_schema_encode, the only code that turns digested rows into ids and values — in
 * training, evaluation, `predict`, the server and the bindings.
 *
 * A feature makes one or more *inputs* of the layout: a rate feature one for each task
 * and one for its count. Everything is fitted on the training split only. */
#ifndef HN_DATA_SCHEMA_H
#define HN_DATA_SCHEMA_H

#include "data/digest.h"

typedef struct hn_schema hn_schema;

/* From the config alone: resolves columns (the log's need its header only when a name is
 * ambiguous), sides and sources. Not fitted. `config` must outlive the schema. */
hn_status hn_schema_plan(hn_schema **out, const hn_config *config, hn_error *err);
void hn_schema_free(hn_schema *schema);
const hn_sources *hn_schema_sources(const hn_schema *schema);
const hn_layout *hn_schema_layout(const hn_schema *schema); /* complete once fitted */
/* Rows of training in each scenario (for the rule for unknown scenarios). [M] */
const uint64_t *hn_schema_scenario_rows(const hn_schema *schema);

void hn_schema_save(const hn_schema *schema, hn_packer *packer);
hn_status hn_schema_load(hn_schema **out, const hn_config *config, hn_pack *pack, hn_error *err);
/* What is in it, for `info` and reports: each feature with cardinality, table size, side, width … */
json_t *hn_schema_describe(const hn_schema *schema);

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
