/* Opening a run, and going through the rows that it is measured on. */
#include "report/subject.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "report/history.h"

enum { BATCH_ROWS = 16384 };

/* ---- Names ------------------------------------------------------------------------------- */

static const char *base_of(const char *path, size_t *n) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') begin--;
    *n = end - begin;
    return path + begin;
}

static bool is_name(const char *name, size_t n, const char *word) {
    return strlen(word) == n && memcmp(name, word, n) == 0;
}

char *hn_subject_name(const char *path) {
    size_t n;
    const char *const name = base_of(path, &n);
    if (is_name(name, n, "best.hn") || is_name(name, n, "last.hn")) {
        if (name == path) return hn_strndup(name, n - 3);
        char *const dir = hn_strndup(path, (size_t)(name - path));
        char *const of_dir = dir ? hn_subject_name(dir) : NULL;
        hn_free(dir);
        return of_dir;
    }
    if (n == 0) return hn_strdup("run"); /* the root folder has no name */
    if (n > 3 && memcmp(name + n - 3, ".hn", 3) == 0) n -= 3;
    return hn_strndup(name, n);
}

static bool is_folder(const char *path) {
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* ---- Opening ----------------------------------------------------------------------------- */

static hn_status find_bundle(hn_subject *subject, char **dir, const char *path, hn_error *err) {
    const bool folder = is_folder(path);
    *dir = folder ? hn_strdup(path) : hn_path_dir(path);
    subject->bundle_path = folder ? hn_path_join(path, "best.hn") : hn_strdup(path);
    subject->label = hn_subject_name(path);
    if (!*dir || !subject->bundle_path || !subject->label) return hn_no_memory(err, "a path");
    if (hn_file_exists(subject->bundle_path)) return HN_OK;
    if (folder)
        return hn_fail(
            err, HN_NO_INPUT,
            "%s: has no best.hn; expected a folder that `hinet train` wrote, or a bundle", path);
    return hn_fail(err, HN_NO_INPUT,
                   "%s: is not there; expected a folder that `hinet train` wrote, or a bundle",
                   path);
}

static hn_status hash_bundle(hn_subject *subject, hn_error *err) {
    hn_map map;
    HN_TRY(hn_map_open(&map, subject->bundle_path, err));
    subject->hash = XXH3_64bits(map.bytes, map.n);
    hn_map_close(&map);
    return HN_OK;
}

static hn_status open_card(hn_subject *subject, hn_error *err) {
    const hn_section *text;
    if (!hn_pack_has(subject->bundle->pack, "card")) return HN_OK;
    HN_TRY(hn_pack_find(&text, subject->bundle->pack, "card", HN_PACK_BYTES, err));
    subject->card = json_loadb(text->bytes, text->n_bytes, 0, NULL);
    if (json_is_object(subject->card)) return HN_OK;
    return hn_fail(err, HN_BAD_DATA, "%s: section \"card\" is not a JSON object",
                   subject->bundle_path);
}

/* The history is of best.hn and last.hn; other bundles in the folder are not of it. */
static hn_status open_history(hn_subject *subject, const char *dir, const hn_run *run,
                              hn_error *err) {
    size_t n;
    const char *const name = base_of(subject->bundle_path, &n);
    char *const path = hn_path_join(dir, "history.jsonl");
    if (!path) return hn_no_memory(err, "a path");
    hn_status status = HN_OK;
    if ((is_name(name, n, "best.hn") || is_name(name, n, "last.hn")) && hn_file_exists(path))
        status = hn_history_read(&subject->history, &subject->seconds, path, run, err);
    hn_free(path);
    if (status != HN_OK || subject->history) return status;
    return hn_history_of_metrics(&subject->history, subject->bundle->metrics, err);
}

static hn_status open_all(hn_subject *subject, char **dir, const char *path, const hn_run *run,
                          hn_error *err) {
    HN_TRY(find_bundle(subject, dir, path, err));
    HN_TRY(hn_bundle_open(&subject->bundle, subject->bundle_path, err));
    HN_TRY(hash_bundle(subject, err));
    HN_TRY(open_card(subject, err));
    return open_history(subject, *dir, run, err);
}

hn_status hn_subject_open(hn_subject *out, const char *path, const hn_run *run, hn_error *err) {
    char *dir = NULL;
    *out = (hn_subject){.seconds = NAN};
    const hn_status status = open_all(out, &dir, path, run, err);
    hn_free(dir);
    if (status != HN_OK) hn_subject_close(out);
    return status;
}

void hn_subject_close(hn_subject *subject) {
    hn_dataset_close(subject->dataset);
    hn_bundle_close(subject->bundle);
    json_decref(subject->card);
    json_decref(subject->history);
    hn_free(subject->label);
    hn_free(subject->bundle_path);
    *subject = (hn_subject){0};
}

/* ---- Its dataset ------------------------------------------------------------------------- */

/* The fitted schema is the same to the byte: then ids and values mean what the model learned. */
static hn_status same_schema(bool *same, hn_pack *bundle, hn_pack *dataset, hn_error *err) {
    *same = true;
    for (size_t i = 0; i < hn_pack_sections(bundle) && *same; i++) {
        const hn_section *const mine = hn_pack_section(bundle, i), *theirs;
        if (strncmp(mine->name, "schema/", 7) != 0) continue;
        *same = hn_pack_has(dataset, mine->name);
        if (!*same) return HN_OK;
        HN_TRY(hn_pack_find(&theirs, dataset, mine->name, mine->type, err));
        *same = theirs->n_bytes == mine->n_bytes &&
                (mine->n_bytes == 0 || memcmp(theirs->bytes, mine->bytes, mine->n_bytes) == 0);
    }
    return HN_OK;
}

hn_status hn_subject_dataset_rows(hn_subject *subject, const char *path, hn_error *err) {
    hn_pack *pack;
    bool same = false;
    HN_TRY(hn_pack_open(&pack, path, "DATA", err));
    hn_status status = same_schema(&same, subject->bundle->pack, pack, err);
    hn_pack_close(pack);
    if (status != HN_OK) return status;
    if (!same)
        return hn_fail(err, HN_BAD_DATA,
                       "%s: was prepared with other features than %s was trained with; give that "
                       "run's dataset, or --data with its config",
                       path, subject->bundle_path);
    HN_TRY(hn_dataset_open(&subject->dataset, path, subject->bundle->config, err));
    subject->split = hn_dataset_rows(subject->dataset, HN_TEST) > 0 ? HN_TEST : HN_VALIDATION;
    if (hn_dataset_rows(subject->dataset, subject->split) > 0) return HN_OK;
    hn_dataset_close(subject->dataset);
    subject->dataset = NULL;
    return hn_fail(err, HN_BAD_DATA, "%s: has no rows but those of training", path);
}

hn_status hn_subject_own_rows(hn_subject *subject, const hn_run *run, hn_error *err) {
    hn_error found = {0};
    char *const dir = hn_path_dir(subject->bundle_path);
    char *const path = dir ? hn_path_join(dir, "dataset.hnd") : NULL;
    hn_status status = path ? HN_OK : hn_no_memory(err, "a path");
    if (path && !hn_file_exists(path)) {
        hn_say(run, HN_LOG_WARNING,
               "%s: no prepared dataset stands beside the bundle: curves, gates and the cost of "
               "features are left out; --data CONFIG or FILES gives rows to measure them on",
               subject->label);
    } else if (path) {
        status = hn_subject_dataset_rows(subject, path, &found);
        if (status == HN_BAD_DATA || status == HN_BAD_CONFIG) {
            hn_say(run, HN_LOG_WARNING, "%s: %s; what needs rows is left out", subject->label,
                   found.text);
            status = HN_OK;
        } else if (status != HN_OK) {
            hn_fail(err, status, "%s", found.text);
        }
    }
    hn_free(path);
    hn_free(dir);
    return status;
}

/* ---- Rows -------------------------------------------------------------------------------- */

static hn_status dataset_rows(const hn_subject *subject, hn_each_rows each, void *user,
                              hn_error *err) {
    hn_batcher *batcher;
    HN_TRY(hn_batcher_create(&batcher, subject->dataset, subject->split, BATCH_ROWS, 1, 0, err));
    hn_batcher_start(batcher, -1);
    hn_status status = HN_OK;
    for (const hn_rows *rows = NULL; status == HN_OK;) {
        status = hn_batcher_next(&rows, batcher, err);
        if (status != HN_OK || !rows) break;
        status = each(user, rows, err);
    }
    hn_batcher_free(batcher);
    return status;
}

typedef struct raw_pass {
    hn_each_rows each;
    void *user;
} raw_pass;

static hn_status raw_rows(void *user, const hn_rows *rows, const hn_impressions *raw,
                          hn_error *err) {
    const raw_pass *const pass = user;
    (void)raw;
    return pass->each(pass->user, rows, err);
}

hn_status hn_subject_rows(const hn_subject *subject, hn_each_rows each, void *user, hn_pool *pool,
                          const hn_run *run, hn_error *err) {
    if (subject->dataset) return dataset_rows(subject, each, user, err);
    raw_pass pass = {each, user};
    const hn_bundle *const bundle = subject->bundle;
    const hn_raw_options options = {.files = subject->files ? &subject->files : NULL,
                                    .n_files = subject->files ? 1 : 0,
                                    .only = subject->files ? HN_NO_SPLIT : HN_TEST,
                                    .rows = raw_rows,
                                    .user = &pass};
    hn_log_counts counts = {0};
    const hn_status status =
        hn_raw_read(&counts, subject->config ? subject->config : bundle->config, bundle->schema,
                    bundle->tables, &options, pool, run, err);
    hn_log_counts_free(&counts);
    return status;
}
