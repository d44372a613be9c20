/* Opening a dataset: all of its small sections are verified and fitted to the config, the
 * rows only located (dataset_block.c verifies a block when it is first read). */
#include "data/dataset.h"

#include <string.h>
#include <xxhash.h>

#include "base/memory.h"
#include "data/dataset_types.h"
#include "data/fingerprint.h"
#include "data/samples.h"

static hn_status damaged(const hn_dataset *dataset, const char *what, hn_error *err) {
    return hn_fail(
        err, HN_BAD_DATA,
        "%s: section \"%s\" does not fit the dataset; remove the file to prepare it again",
        hn_pack_path(dataset->pack), what);
}

uint64_t hn_dataset_identity(const hn_dataset *d) {
    uint64_t hash = 0;
    for (size_t i = 0; i < hn_pack_sections(d->pack); i++) {
        const hn_section *const section = hn_pack_section(d->pack, i);
        if (strncmp(section->name, "schema/", 7) == 0)
            hash = XXH3_64bits_withSeed(section->bytes, section->n_bytes, hash);
    }
    for (uint32_t b = 0; b < d->first[HN_SPLITS]; b++)
        hash = XXH3_64bits_withSeed(&d->blocks[b].checksum, sizeof d->blocks[b].checksum, hash);
    return hash;
}

void hn_dataset_close(hn_dataset *dataset) {
    if (!dataset) return;
    json_decref(dataset->card);
    json_decref(dataset->samples);
    hn_free(dataset->blocks);
    hn_codes_free(dataset->codes);
    hn_schema_free(dataset->schema);
    hn_side_tables_free(dataset->tables);
    hn_pack_close(dataset->pack);
    hn_free(dataset);
}

/* ---- Blocks ---------------------------------------------------------------------- */

/* Found by name without reading it: its blocks have checksums of their own. */
static const hn_section *rows_section(const hn_pack *pack) {
    for (size_t i = 0; i < hn_pack_sections(pack); i++)
        if (strcmp(hn_pack_section(pack, i)->name, "dataset/rows") == 0)
            return hn_pack_section(pack, i);
    return NULL;
}

static bool entry_fits(const hn_dataset *dataset, const hn_block_entry *entry,
                       const hn_section *rows) {
    if (entry->split >= HN_SPLITS || entry->rows < 1 || entry->rows > dataset->block_rows)
        return false;
    if (entry->offset > rows->n_bytes || entry->offset % 8 != 0) return false;
    const uint64_t left = rows->n_bytes - entry->offset,
                   record_bytes = entry->rows * dataset->record.bytes;
    return record_bytes <= left && entry->n_list_ids <= (left - record_bytes) / 4;
}

/* All blocks of a split but its last are full: batches are found by arithmetic. */
static hn_status place_blocks(hn_dataset *dataset, const hn_block_entry *entries, uint32_t n,
                              const hn_section *rows, hn_error *err) {
    uint32_t placed = 0;
    for (uint32_t s = 0; s < HN_SPLITS; s++) {
        dataset->first[s] = placed;
        for (uint32_t i = 0; i < n; i++) {
            const hn_block_entry *const entry = &entries[i];
            if (!entry_fits(dataset, entry, rows)) return damaged(dataset, "dataset/blocks", err);
            if (entry->split != s) continue;
            if (placed > dataset->first[s] &&
                dataset->blocks[placed - 1].rows != dataset->block_rows)
                return damaged(dataset, "dataset/blocks", err);
            const uint8_t *const records = (const uint8_t *)rows->bytes + entry->offset;
            const void *const list_ids = records + entry->rows * dataset->record.bytes;
            dataset->blocks[placed++] = (hn_block){records, list_ids, (uint32_t)entry->rows,
                                                   entry->n_list_ids, entry->checksum};
            dataset->rows[s] += entry->rows;
        }
    }
    dataset->first[HN_SPLITS] = placed;
    return HN_OK;
}

static hn_status open_blocks(hn_dataset *dataset, hn_error *err) {
    const hn_section *section;
    const hn_section *const rows = rows_section(dataset->pack);
    HN_TRY(hn_pack_find(&section, dataset->pack, "dataset/blocks", HN_PACK_U64, err));
    if (section->dims != 2 || section->dim[1] != HN_BLOCK_ENTRY_WORDS ||
        section->dim[0] > INT32_MAX)
        return damaged(dataset, "dataset/blocks", err);
    if (!rows || rows->type != HN_PACK_BYTES) return damaged(dataset, "dataset/rows", err);
    const uint32_t n = (uint32_t)section->dim[0];
    dataset->blocks = hn_alloc_zero(n, sizeof *dataset->blocks);
    if (!dataset->blocks) return hn_no_memory(err, "the blocks of a dataset");
    return place_blocks(dataset, section->bytes, n, rows, err);
}

/* ---- The small sections ---------------------------------------------------------- */

static hn_status check_config(hn_dataset *dataset, hn_error *err) {
    const hn_section *section;
    char config[HN_FINGERPRINT_BYTES];
    HN_TRY(hn_fingerprint_config(config, dataset->config, err));
    HN_TRY(hn_pack_find(&section, dataset->pack, "dataset/config", HN_PACK_BYTES, err));
    if (section->n_bytes == strlen(config) && memcmp(section->bytes, config, section->n_bytes) == 0)
        return HN_OK;
    return hn_fail(err, HN_BAD_DATA,
                   "%s: it was made from another config than %s; prepare it again",
                   hn_pack_path(dataset->pack),
                   dataset->config->path ? dataset->config->path : "the given one");
}

static hn_status check_shape(hn_dataset *dataset, hn_error *err) {
    const hn_section *section;
    HN_TRY(hn_pack_find(&section, dataset->pack, "dataset/shape", HN_PACK_U64, err));
    dataset->record = hn_record_of(dataset->schema);
    const hn_record *const r = &dataset->record;
    const uint64_t expected[] = {0,
                                 r->bytes,
                                 (uint64_t)r->tables,
                                 (uint64_t)r->lists,
                                 (uint64_t)r->ids,
                                 (uint64_t)r->values,
                                 (uint64_t)r->tasks,
                                 (uint64_t)r->scenarios};
    const uint64_t *const found = section->bytes;
    if (section->n_bytes != sizeof expected ||
        memcmp(found + 1, expected + 1, sizeof expected - 8) != 0 || found[0] < 1 ||
        found[0] > INT32_MAX)
        return damaged(dataset, "dataset/shape", err);
    dataset->block_rows = (uint32_t)found[0];
    return HN_OK;
}

static hn_status find_counts(const uint64_t **out, hn_dataset *dataset, const char *name,
                             hn_error *err) {
    const hn_section *section;
    const hn_layout *const layout = &dataset->schema->layout;
    HN_TRY(hn_pack_find(&section, dataset->pack, name, HN_PACK_U64, err));
    if (section->n_bytes / 8 != HN_SPLITS * (uint64_t)layout->scenarios * (uint64_t)layout->tasks)
        return damaged(dataset, name, err);
    *out = section->bytes;
    return HN_OK;
}

static hn_status load_card(hn_dataset *dataset, hn_error *err) {
    const hn_section *section;
    HN_TRY(hn_pack_find(&section, dataset->pack, "dataset/card", HN_PACK_BYTES, err));
    dataset->card = json_loadb(section->bytes, section->n_bytes, 0, NULL);
    return json_is_object(dataset->card) ? HN_OK : damaged(dataset, "dataset/card", err);
}

/* Datasets had none once. */
static hn_status load_samples(hn_dataset *dataset, hn_error *err) {
    const hn_section *section;
    if (!hn_pack_has(dataset->pack, "dataset/samples")) return HN_OK;
    HN_TRY(hn_pack_find(&section, dataset->pack, "dataset/samples", HN_PACK_BYTES, err));
    dataset->samples = json_loadb(section->bytes, section->n_bytes, 0, NULL);
    return hn_samples_fit(dataset->samples, dataset->schema->layout.scenarios)
               ? HN_OK
               : damaged(dataset, "dataset/samples", err);
}

static hn_status check_tables(const hn_dataset *dataset, hn_error *err) {
    const hn_sources *const sources = &dataset->schema->sources;
    bool fit = dataset->tables->n == dataset->codes->n;
    for (int32_t t = 0; fit && t < dataset->tables->n; t++)
        fit = dataset->tables->items[t].rows == dataset->codes->tables[t].rows &&
              dataset->tables->items[t].slots == sources->table_slots[t];
    return fit ? HN_OK
               : hn_fail(
                     err, HN_BAD_DATA,
                     "%s: its tables do not fit its schema; remove the file to prepare it again",
                     hn_pack_path(dataset->pack));
}

static hn_status open_all(hn_dataset *dataset, const char *path, hn_error *err) {
    HN_TRY(hn_pack_open(&dataset->pack, path, "DATA", err));
    HN_TRY(check_config(dataset, err));
    HN_TRY(hn_schema_load(&dataset->schema, dataset->config, dataset->pack, err));
    HN_TRY(hn_side_tables_load(&dataset->tables, dataset->pack, err));
    HN_TRY(hn_codes_load(&dataset->codes, dataset->schema, dataset->pack, err));
    HN_TRY(check_tables(dataset, err));
    HN_TRY(check_shape(dataset, err));
    HN_TRY(find_counts(&dataset->labelled, dataset, "dataset/labelled", err));
    HN_TRY(find_counts(&dataset->positives, dataset, "dataset/positives", err));
    HN_TRY(load_card(dataset, err));
    HN_TRY(load_samples(dataset, err));
    return open_blocks(dataset, err);
}

hn_status hn_dataset_open(hn_dataset **out, const char *path, const hn_config *config,
                          hn_error *err) {
    *out = NULL;
    hn_dataset *const dataset = hn_alloc_zero(1, sizeof *dataset);
    if (!dataset) return hn_no_memory(err, "a dataset");
    dataset->config = config;
    const hn_status status = open_all(dataset, path, err);
    if (status != HN_OK) {
        hn_dataset_close(dataset);
        return status;
    }
    *out = dataset;
    return HN_OK;
}

/* ---- What is in it --------------------------------------------------------------- */

const hn_schema *hn_dataset_schema(const hn_dataset *dataset) { return dataset->schema; }
const hn_side_tables *hn_dataset_tables(const hn_dataset *dataset) { return dataset->tables; }
const json_t *hn_dataset_card(const hn_dataset *dataset) { return dataset->card; }
const json_t *hn_dataset_samples(const hn_dataset *dataset) { return dataset->samples; }
uint64_t hn_dataset_rows(const hn_dataset *dataset, hn_split split) { return dataset->rows[split]; }

static const uint64_t *of_split(const uint64_t *counts, const hn_dataset *dataset, hn_split split) {
    const hn_layout *const layout = &dataset->schema->layout;
    return counts + (size_t)split * (size_t)layout->scenarios * (size_t)layout->tasks;
}

const uint64_t *hn_dataset_labelled(const hn_dataset *dataset, hn_split split) {
    return of_split(dataset->labelled, dataset, split);
}

const uint64_t *hn_dataset_positives(const hn_dataset *dataset, hn_split split) {
    return of_split(dataset->positives, dataset, split);
}
