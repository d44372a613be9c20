/* Putting a dataset together, and not doing so when a fresh one is there already; and the
 * check of data that writes nothing. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/report.h"
#include "data/fingerprint.h"
#include "data/prepare.h"

static hn_status section_says(bool *out, hn_pack *pack, const char *name, const char *text,
                              hn_error *err) {
    const hn_section *section;
    *out = false;
    if (!hn_pack_has(pack, name)) return HN_OK;
    HN_TRY(hn_pack_find(&section, pack, name, HN_PACK_BYTES, err));
    *out = section->n_bytes == strlen(text) && memcmp(section->bytes, text, section->n_bytes) == 0;
    return HN_OK;
}

static hn_status read_fingerprint(bool *fresh, const char *path, const char *fingerprint,
                                  hn_error *err) {
    hn_pack *pack;
    HN_TRY(hn_pack_open(&pack, path, "DATA", err));
    const hn_status status = section_says(fresh, pack, "dataset/fingerprint", fingerprint, err);
    hn_pack_close(pack);
    return status;
}

/* A file that is no dataset, or a damaged one, is made again like one that is not there. */
static hn_status is_fresh(bool *fresh, const char *path, const char *fingerprint, const hn_run *run,
                          hn_error *err) {
    hn_error why = {0};
    *fresh = false;
    if (!hn_file_exists(path)) return HN_OK;
    const hn_status status = read_fingerprint(fresh, path, fingerprint, &why);
    if (status == HN_BAD_DATA) {
        hn_say(run, HN_LOG_WARNING, "%s; it is prepared again", why.text);
        return HN_OK;
    }
    if (status != HN_OK) return hn_fail(err, status, "%s", why.text);
    if (!*fresh)
        hn_say(run, HN_LOG_INFO, "%s: config or files have changed; it is prepared again", path);
    return HN_OK;
}

/* ---- Writing --------------------------------------------------------------------- */

static hn_status write_rows(hn_preparation *p, hn_packer *packer, hn_error *err) {
    hn_block_writer *writer;
    const hn_record record = hn_record_of(p->schema);
    HN_TRY(hn_block_writer_create(&writer, packer, &record, p->config->train.block_rows, err));
    hn_status status = hn_preparation_encode(p, writer, err);
    if (status == HN_OK) status = hn_block_writer_finish(writer, err);
    hn_block_writer_free(writer);
    return status;
}

static hn_status write_card(const hn_preparation *p, hn_packer *packer, hn_error *err) {
    json_t *const card = hn_preparation_card(p);
    char *const text = card ? json_dumps(card, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    if (text) hn_packer_add_text(packer, "dataset/card", text);
    free(text);
    json_decref(card);
    return text ? HN_OK : hn_no_memory(err, "the data card");
}

static hn_status write_samples(const hn_preparation *p, hn_packer *packer, hn_error *err) {
    json_t *const json = hn_samples_json(p->samples);
    char *const text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (text) hn_packer_add_text(packer, "dataset/samples", text);
    free(text);
    json_decref(json);
    return text ? HN_OK : hn_no_memory(err, "samples of the log");
}

static void write_counts(const hn_preparation *p, hn_packer *packer) {
    const uint64_t dim[3] = {HN_SPLITS, (uint64_t)p->counts.scenarios, (uint64_t)p->counts.tasks};
    hn_packer_add(packer, "dataset/labelled", HN_PACK_U64, 3, dim, p->counts.labelled);
    hn_packer_add(packer, "dataset/positives", HN_PACK_U64, 3, dim, p->counts.positives);
    const hn_record r = hn_record_of(p->schema);
    const uint64_t shape[] = {(uint64_t)p->config->train.block_rows,
                              r.bytes,
                              (uint64_t)r.tables,
                              (uint64_t)r.lists,
                              (uint64_t)r.ids,
                              (uint64_t)r.values,
                              (uint64_t)r.tasks,
                              (uint64_t)r.scenarios};
    const uint64_t n = sizeof shape / sizeof *shape;
    hn_packer_add(packer, "dataset/shape", HN_PACK_U64, 1, &n, shape);
}

static hn_status write_all(hn_preparation *p, hn_packer *packer, const char *fingerprint,
                           hn_error *err) {
    char config[HN_FINGERPRINT_BYTES];
    HN_TRY(hn_fingerprint_config(config, p->config, err));
    HN_TRY(write_rows(p, packer, err));
    HN_TRY(write_card(p, packer, err));
    HN_TRY(write_samples(p, packer, err));
    write_counts(p, packer);
    hn_packer_add_text(packer, "dataset/fingerprint", fingerprint);
    hn_packer_add_text(packer, "dataset/config", config);
    hn_schema_save(p->schema, packer);
    hn_side_tables_save(p->tables, packer);
    hn_codes_save(p->schema->codes, p->schema, packer);
    return HN_OK;
}

static hn_status write_dataset(hn_preparation *p, const char *path, const char *fingerprint,
                               hn_error *err) {
    hn_packer *packer;
    HN_TRY(hn_packer_open(&packer, path, "DATA", err));
    const hn_status status = write_all(p, packer, fingerprint, err);
    if (status == HN_OK) return hn_packer_commit(packer, err);
    hn_packer_abandon(packer);
    return status;
}

static hn_status begin(hn_preparation *p, const hn_config *config, hn_pack *init, hn_pool *pool,
                       const hn_run *run, char *dir, hn_error *err) {
    *p = (hn_preparation){.config = config, .init = init, .dir = dir, .pool = pool, .run = run};
    return dir ? HN_OK : hn_no_memory(err, "a path");
}

hn_status hn_dataset_prepare(const char *path, const hn_config *config, hn_pack *init,
                             hn_pool *pool, const hn_run *run, hn_error *err) {
    char fingerprint[HN_FINGERPRINT_BYTES];
    bool steady, fresh = false;
    HN_TRY(hn_fingerprint_data(fingerprint, &steady, config, init, err));
    /* A pipe cannot be read twice: only an interrupted run takes what was made of it. */
    if (steady || (run && run->resume)) HN_TRY(is_fresh(&fresh, path, fingerprint, run, err));
    if (fresh) return HN_OK;
    hn_preparation p;
    hn_status status = begin(&p, config, init, pool, run, hn_path_dir(path), err);
    p.wants_samples = true;
    if (status == HN_OK) status = hn_dir_make(p.dir, err);
    if (status == HN_OK) status = hn_preparation_read(&p, err);
    if (status == HN_OK) status = write_dataset(&p, path, fingerprint, err);
    hn_preparation_free(&p);
    return status;
}

/* ---- Checking
 * -----------------------------------------------------------------------------------------------
 */

/* A check writes nothing that stays: its temporary files are unnamed, in $TMPDIR where that
 * is set. */
static char *check_dir(const hn_run *run) {
    const char *const tmp = getenv("TMPDIR");
    if (tmp && *tmp) return hn_strdup(tmp);
    if (run && run->out_dir && hn_file_exists(run->out_dir)) return hn_strdup(run->out_dir);
    return hn_strdup("/tmp");
}

hn_status hn_data_check(json_t **out, const hn_config *config, hn_pool *pool, const hn_run *run,
                        hn_error *err) {
    hn_preparation p;
    *out = NULL;
    hn_status status = begin(&p, config, NULL, pool, run, check_dir(run), err);
    if (status == HN_OK) status = hn_preparation_read(&p, err);
    if (status == HN_OK) status = hn_preparation_encode(&p, NULL, err);
    if (status == HN_OK) *out = hn_preparation_card(&p);
    if (status == HN_OK && !*out) status = hn_no_memory(err, "the data card");
    hn_preparation_free(&p);
    return status;
}
