/* A training on disk. The checkpoint is a pack of kind "CKPT" with the parameters, the
 * optimizer's state and the position, so that a training killed at any moment goes on from
 * it to the same bytes; a bundle is the result. Both are replaced atomically. */
#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/memory.h"
#include "bundle/bundle.h"
#include "train/heldout.h"
#include "train/training.h"

/* ---- Which training it is ---------------------------------------------------------------- */

static uint64_t hash_more(uint64_t hash, const void *bytes, size_t n) {
    return XXH3_64bits_withSeed(bytes, n, hash);
}

/* The config and the data, so that the same numbers stand for the same ids. */
void hn_training_identify(hn_training *job) {
    const char *const yaml = hn_config_yaml(job->config);
    const hn_layout *const layout = hn_schema_layout(hn_dataset_schema(job->dataset));
    const size_t cells = (size_t)layout->scenarios * (size_t)layout->tasks;
    uint64_t hash = hash_more(sizeof(hn_real), yaml, strlen(yaml));
    for (int32_t t = 0; t < layout->n_tables; t++)
        hash = hash_more(hash, &layout->tables[t].rows, sizeof layout->tables[t].rows);
    for (int32_t split = 0; split < HN_SPLITS; split++) {
        const uint64_t rows = hn_dataset_rows(job->dataset, (hn_split)split);
        hash = hash_more(hash, &rows, sizeof rows);
        hash = hash_more(hash, hn_dataset_labelled(job->dataset, (hn_split)split),
                         cells * sizeof(uint64_t));
        hash = hash_more(hash, hn_dataset_positives(job->dataset, (hn_split)split),
                         cells * sizeof(uint64_t));
    }
    const uint64_t data = hn_dataset_identity(job->dataset);
    job->identity = hash_more(hash, &data, sizeof data);
}

/* ---- Saving ------------------------------------------------------------------------------ */

enum { POSITION_NUMBERS = 11 };

static void position_numbers(double *out, const hn_position *at, uint64_t history_bytes) {
    const double numbers[POSITION_NUMBERS] = {
        (double)at->epoch,      (double)at->batch, (double)at->step,        at->loss_sum,
        (double)at->loss_steps, at->best,          (double)at->best_record, (double)at->bad,
        (double)at->due,        (double)at->ended, (double)history_bytes};
    memcpy(out, numbers, sizeof numbers);
}

static void pack_job(const hn_training *job, hn_packer *packer, const char *epochs) {
    double numbers[POSITION_NUMBERS];
    const uint64_t n = POSITION_NUMBERS, one = 1;
    position_numbers(numbers, &job->at, job->history.bytes);
    hn_packer_add(packer, "job/identity", HN_PACK_U64, 1, &one, &job->identity);
    hn_packer_add(packer, "job/position", HN_PACK_F64, 1, &n, numbers);
    hn_packer_add_text(packer, "job/epochs", epochs);
    hn_params_save(&job->trainer->params, job->trainer->plan, packer);
    hn_state_save(job->trainer->state, packer);
}

/* 17 digits: the numbers come back as they were. */
static hn_status dump(hn_text *out, const json_t *json, hn_error *err) {
    char *const text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(17));
    if (text) hn_text_add(out, "%s", text);
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    if (text) release(text);
    return text && !out->failed ? HN_OK : hn_no_memory(err, "the checkpoint");
}

hn_status hn_training_save(hn_training *job, hn_error *err) {
    hn_packer *packer = NULL;
    hn_text epochs = {0};
    hn_status status = dump(&epochs, job->epochs, err);
    if (status == HN_OK) status = hn_packer_open(&packer, job->checkpoint_path, "CKPT", err);
    if (status == HN_OK) {
        pack_job(job, packer, epochs.text);
        status = hn_packer_commit(packer, err);
    }
    hn_text_free(&epochs);
    job->saved_at = hn_seconds();
    return status;
}

/* ---- Loading ----------------------------------------------------------------------------- */

static hn_status check_identity(const hn_training *job, hn_pack *pack, hn_error *err) {
    const hn_section *section;
    HN_TRY(hn_pack_find(&section, pack, "job/identity", HN_PACK_U64, err));
    uint64_t identity = 0;
    if (section->n_bytes == sizeof identity) memcpy(&identity, section->bytes, sizeof identity);
    if (identity == job->identity) return HN_OK;
    return hn_fail(err, HN_BAD_CONFIG,
                   "%s: the checkpoint is of a training with another config or other data; give "
                   "the same ones (and the same --init, if there was one), or start anew without "
                   "--resume",
                   job->checkpoint_path);
}

static bool whole(double x, double least, double most) {
    return x >= least && x <= most && x == floor(x);
}

static hn_status load_position(hn_training *job, hn_pack *pack, hn_error *err) {
    const hn_section *section;
    double n[POSITION_NUMBERS];
    HN_TRY(hn_pack_find(&section, pack, "job/position", HN_PACK_F64, err));
    bool fine = section->n_bytes == sizeof n;
    if (fine) memcpy(n, section->bytes, sizeof n);
    /* with sampling the batches of an epoch are only expected */
    const bool exact = job->config->train.n_sampling == 0;
    const double batches = exact ? (double)job->batches : 0x1p53,
                 steps = exact ? (double)job->steps : 0x1p53;
    fine = fine && whole(n[0], 0, job->config->train.epochs) && whole(n[1], 0, batches) &&
           whole(n[2], 0, steps) && isfinite(n[3]) && whole(n[4], 0, steps) && !isnan(n[5]) &&
           whole(n[6], -1, (double)json_array_size(job->epochs) - 1) && whole(n[7], 0, 0x1p53) &&
           whole(n[8], 0, 1) && whole(n[9], 0, 1) && whole(n[10], 0, 0x1p53);
    if (!fine)
        return hn_fail(err, HN_BAD_DATA, "%s: the position is damaged; start anew without --resume",
                       job->checkpoint_path);
    job->at = (hn_position){.epoch = (int64_t)n[0],
                            .batch = (int64_t)n[1],
                            .step = (int64_t)n[2],
                            .loss_sum = n[3],
                            .loss_steps = (int64_t)n[4],
                            .best = n[5],
                            .best_record = (int64_t)n[6],
                            .bad = (int64_t)n[7],
                            .due = (int64_t)n[8],
                            .ended = (int64_t)n[9]};
    job->history.bytes = (uint64_t)n[10];
    return HN_OK;
}

static hn_status load_epochs(hn_training *job, hn_pack *pack, hn_error *err) {
    const hn_section *section;
    HN_TRY(hn_pack_find(&section, pack, "job/epochs", HN_PACK_BYTES, err));
    json_error_t where;
    json_t *const epochs = json_loadb(section->bytes, section->n_bytes, 0, &where);
    if (!json_is_array(epochs)) {
        json_decref(epochs);
        return hn_fail(err, HN_BAD_DATA,
                       "%s: the record of epochs is damaged; start anew without --resume",
                       job->checkpoint_path);
    }
    json_decref(job->epochs);
    job->epochs = epochs;
    return HN_OK;
}

static hn_status load(hn_training *job, hn_pack *pack, hn_error *err) {
    HN_TRY(check_identity(job, pack, err));
    HN_TRY(load_epochs(job, pack, err));
    HN_TRY(load_position(job, pack, err));
    HN_TRY(hn_params_load(&job->trainer->params, job->trainer->plan, pack, err));
    HN_TRY(hn_state_load(job->trainer->state, pack, err));
    return hn_trainer_stage(job->trainer, err);
}

hn_status hn_training_load(hn_training *job, bool *found, hn_error *err) {
    *found = hn_file_exists(job->checkpoint_path);
    if (!*found) return HN_OK;
    hn_pack *pack = NULL;
    HN_TRY(hn_pack_open(&pack, job->checkpoint_path, "CKPT", err));
    const hn_status status = load(job, pack, err);
    hn_pack_close(pack);
    return status;
}

/* ---- Bundles ----------------------------------------------------------------------------- */

static void add_state(void *user, hn_packer *packer) { hn_state_save(user, packer); }

hn_status hn_training_write_bundle(hn_training *job, const char *path, const json_t *metrics,
                                   const hn_heldout *heldout, hn_error *err) {
    hn_bundle_parts parts = {.config = job->config,
                             .schema = hn_dataset_schema(job->dataset),
                             .tables = hn_dataset_tables(job->dataset),
                             .plan = job->trainer->plan,
                             .params = &job->trainer->params,
                             .metrics = metrics,
                             .card = hn_dataset_card(job->dataset),
                             .extra = job->config->train.keep_optimizer ? add_state : NULL,
                             .user = job->trainer->state};
    if (heldout) parts.calibration = hn_heldout_calibration(heldout);
    if (heldout) parts.profile = hn_heldout_profile(heldout);
    if (heldout) parts.golden = hn_heldout_golden(heldout);
    return hn_bundle_write(path, &parts, err);
}

hn_status hn_training_read_bundle(hn_training *job, const char *path, hn_error *err) {
    hn_pack *pack = NULL;
    HN_TRY(hn_pack_open(&pack, path, "BNDL", err));
    hn_status status = hn_params_load(&job->trainer->params, job->trainer->plan, pack, err);
    if (status == HN_OK && job->config->train.keep_optimizer)
        status = hn_state_load(job->trainer->state, pack, err);
    if (status == HN_OK) status = hn_trainer_stage(job->trainer, err);
    hn_pack_close(pack);
    return status;
}
