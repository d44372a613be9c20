/* Prepared data, by the fingerprint of the part of the config that makes them. */
#include "experiment/datasets.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/dataset.h"
#include "data/fingerprint.h"

void hn_experiment_datasets_free(hn_experiment_datasets *sets) {
    for (size_t k = 0; k < sets->n; k++) {
        hn_free(sets->items[k].name);
        hn_free(sets->items[k].path);
    }
    hn_free(sets->items);
    hn_free(sets->dir);
    *sets = (hn_experiment_datasets){0};
}

/* The folder of a config's patterns is part of what it reads. */
static hn_status name_of(char **out, const hn_config *config, hn_error *err) {
    char fingerprint[HN_FINGERPRINT_BYTES];
    *out = NULL;
    HN_TRY(hn_fingerprint_config(fingerprint, config, err));
    uint64_t dir = 1469598103934665603u;
    for (const char *c = config->dir; *c != '\0'; c++) dir = (dir ^ (uint8_t)*c) * 1099511628211u;
    hn_text text = {0};
    hn_text_add(&text, "%.16s%08x.hnd", fingerprint, (unsigned)(dir >> 32 ^ dir));
    if (text.failed) return hn_no_memory(err, "a dataset's name");
    *out = text.text;
    return HN_OK;
}

static hn_status prepare(hn_experiment_dataset *set, const hn_config *config, const hn_run *run,
                         hn_error *err) {
    hn_pool *pool;
    hn_error why = {0};
    for (int32_t k = 0; k < config->log.files.n; k++)
        if (strcmp(config->log.files.items[k], "-") == 0)
            return hn_fail(err, HN_BAD_CONFIG,
                           "%s: log.files: found \"-\"; an experiment reads its log more than "
                           "once: expected files",
                           config->path);
    HN_TRY(hn_pool_create(&pool, 0, err));
    hn_status status = hn_dataset_prepare(set->path, config, NULL, pool, run, &why);
    hn_pool_free(pool);
    if (status == HN_OK) status = hn_experiment_data_key(set->key, set->path, &why);
    return status == HN_OK ? HN_OK : hn_fail(err, status, "%s", why.text);
}

static hn_status add(hn_experiment_datasets *sets, char *name, const hn_config *config,
                     const hn_run *run, hn_error *err) {
    HN_TRY(hn_grow(&sets->items, &sets->capacity, sets->n + 1, sizeof *sets->items, err));
    hn_experiment_dataset set = {.path = hn_path_join(sets->dir, name)};
    hn_status status = set.path ? hn_dir_make(sets->dir, err) : hn_no_memory(err, "a path");
    if (status == HN_OK) status = prepare(&set, config, run, err);
    if (status != HN_OK) {
        hn_free(set.path);
        return status;
    }
    set.name = name;
    sets->items[sets->n++] = set;
    return HN_OK;
}

hn_status hn_experiment_datasets_find(size_t *out, hn_experiment_datasets *sets,
                                      const hn_config *config, const hn_run *run, hn_error *err) {
    char *name;
    *out = 0;
    HN_TRY(name_of(&name, config, err));
    for (size_t k = 0; k < sets->n; k++) {
        if (strcmp(sets->items[k].name, name) != 0) continue;
        hn_free(name);
        *out = k;
        return HN_OK;
    }
    const hn_status status = add(sets, name, config, run, err);
    if (status != HN_OK)
        hn_free(name);
    else
        *out = sets->n - 1;
    return status;
}

/* A run's folder is two below the experiment's. */
hn_status hn_experiment_dataset_link(const hn_experiment_dataset *set, const char *run_dir,
                                     hn_error *err) {
    hn_text target = {0};
    char *const path = hn_path_join(run_dir, "dataset.hnd");
    hn_text_add(&target, "../../data/%s", set->name);
    hn_status status = path && !target.failed ? HN_OK : hn_no_memory(err, "a path");
    if (status == HN_OK && unlink(path) != 0 && errno != ENOENT)
        status =
            hn_fail(err, HN_CANNOT_CREATE, "%s: cannot be replaced: %s", path, strerror(errno));
    if (status == HN_OK && symlink(target.text, path) != 0)
        status = hn_fail(err, HN_CANNOT_CREATE, "%s: cannot be made: %s", path, strerror(errno));
    hn_text_free(&target);
    hn_free(path);
    return status;
}
