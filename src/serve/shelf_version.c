/* Versions on disk and in memory: what a folder offers, and how one of it becomes ready to
 * answer. Everything slow about a new model happens here, on the loader's thread. */
#include "serve/shelf_version.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

/* ---- Files ----------------------------------------------------------------------------------- */

bool hn_file_mark_same(const hn_file_mark *a, const hn_file_mark *b) {
    return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
           a->changed_ns == b->changed_ns;
}

static hn_file_mark mark_of(const struct stat *s) {
    return (hn_file_mark){(uint64_t)s->st_dev, (uint64_t)s->st_ino, (int64_t)s->st_size,
                          (int64_t)s->st_mtim.tv_sec * 1000000000 + s->st_mtim.tv_nsec};
}

void hn_shelf_file_free(hn_shelf_file *file) {
    hn_free(file->version);
    hn_free(file->path);
    *file = (hn_shelf_file){0};
}

void hn_shelf_files_free(hn_shelf_files *files) {
    for (size_t i = 0; i < files->n; i++) hn_shelf_file_free(&files->items[i]);
    hn_free(files->items);
    *files = (hn_shelf_files){0};
}

/* "dir/2026-11-25.hn" → "2026-11-25". */
static char *version_name(const char *path) {
    const char *const slash = strrchr(path, '/'), *const name = slash ? slash + 1 : path;
    const size_t n = strlen(name);
    return hn_strndup(name, n > 3 && strcmp(name + n - 3, ".hn") == 0 ? n - 3 : n);
}

static hn_status add_file(hn_shelf_files *out, const char *path, const struct stat *s,
                          hn_error *err) {
    HN_TRY(hn_grow(&out->items, &out->capacity, out->n + 1, sizeof *out->items, err));
    hn_shelf_file *const file = &out->items[out->n];
    *file =
        (hn_shelf_file){.version = version_name(path), .path = hn_strdup(path), .mark = mark_of(s)};
    if (!file->version || !file->path) {
        hn_shelf_file_free(file);
        return hn_no_memory(err, "the versions of a model");
    }
    out->n++;
    return HN_OK;
}

/* glibc's order of names with numbers in them: "9" < "10". */
static int newest_first(const void *a, const void *b) {
    return strverscmp(((const hn_shelf_file *)b)->version, ((const hn_shelf_file *)a)->version);
}

/* Names stand in answers and logs, which are JSON: others than UTF-8 are not looked at. */
static bool is_bundle_name(const char *name) {
    const size_t n = strlen(name);
    return name[0] != '.' && n > 3 && strcmp(name + n - 3, ".hn") == 0 && hn_utf8_is(name, n);
}

static hn_status add_entries(hn_shelf_files *out, DIR *dir, const char *path, hn_error *err) {
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct stat s;
        if (!is_bundle_name(entry->d_name)) continue;
        char *const full = hn_path_join(path, entry->d_name);
        if (!full) return hn_no_memory(err, "the versions of a model");
        /* what vanished since is no version */
        const hn_status status =
            stat(full, &s) == 0 && S_ISREG(s.st_mode) ? add_file(out, full, &s, err) : HN_OK;
        hn_free(full);
        HN_TRY(status);
    }
    return HN_OK;
}

hn_status hn_shelf_files_find(hn_shelf_files *out, const char *path, hn_error *err) {
    struct stat s;
    *out = (hn_shelf_files){0};
    if (stat(path, &s) != 0)
        return hn_fail(err, HN_NO_INPUT,
                       "%s: %s; expected a bundle, or a folder of bundles named VERSION.hn", path,
                       strerror(errno));
    if (!S_ISDIR(s.st_mode)) return add_file(out, path, &s, err);
    DIR *const dir = opendir(path);
    if (!dir)
        return hn_fail(err, HN_NO_INPUT, "%s: the folder cannot be read: %s", path,
                       strerror(errno));
    const hn_status status = add_entries(out, dir, path, err);
    closedir(dir);
    if (status != HN_OK)
        hn_shelf_files_free(out);
    else if (out->n > 1)
        qsort(out->items, out->n, sizeof *out->items, newest_first);
    return status;
}

/* ---- Versions -------------------------------------------------------------------------------- */

void hn_shelf_version_free(hn_shelf_version *version, const hn_shelf_hooks *hooks) {
    if (!version) return;
    for (int32_t w = 0; version->engines && w < version->n_engines; w++)
        hooks->free_engine(hooks->user, version->engines[w]);
    hn_free(version->engines);
    hn_bundle_close(version->bundle);
    hn_shelf_file_free(&version->file);
    hn_free(version);
}

/* Tables are encoded once, so that a request copies what it takes from them. */
static hn_status bind_tables(hn_bundle *bundle, hn_error *err) {
    hn_pool *pool;
    HN_TRY(hn_pool_create(&pool, 1, err));
    const hn_status status = hn_schema_bind(bundle->schema, bundle->tables, pool, NULL, err);
    hn_pool_free(pool);
    return status;
}

static hn_status make_engines(hn_shelf_version *version, int32_t workers,
                              const hn_shelf_hooks *hooks, hn_error *err) {
    version->engines = hn_alloc_zero((size_t)workers, sizeof *version->engines);
    if (!version->engines) return hn_no_memory(err, "the workers' memory for a model");
    version->view.engines = version->engines;
    for (; version->n_engines < workers; version->n_engines++)
        HN_TRY(hooks->make_engine(hooks->user, &version->engines[version->n_engines],
                                  &version->view, version->n_engines, err));
    return HN_OK;
}

static hn_status make_ready(hn_shelf_version *version, int32_t workers, const hn_shelf_hooks *hooks,
                            hn_error *err) {
    HN_TRY(hn_bundle_open(&version->bundle, version->file.path, err));
    version->view.bundle = version->bundle;
    HN_TRY(bind_tables(version->bundle, err));
    HN_TRY(hn_bundle_verify(version->bundle, err));
    if (hooks->accept) HN_TRY(hooks->accept(hooks->user, &version->view, err));
    return make_engines(version, workers, hooks, err);
}

hn_status hn_shelf_version_load(hn_shelf_version **out, hn_shelf_file *file, const char *model,
                                int32_t workers, const hn_shelf_hooks *hooks, hn_error *err) {
    *out = NULL;
    hn_shelf_version *const version = hn_alloc_zero(1, sizeof *version);
    if (!version) return hn_no_memory(err, "a version of a model");
    version->file = *file;
    version->view.model = model;
    version->view.version = file->version;
    const hn_status status = make_ready(version, workers, hooks, err);
    if (status != HN_OK) {
        version->file = (hn_shelf_file){0}; /* still the caller's */
        hn_shelf_version_free(version, hooks);
        return status;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    version->view.loaded_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    *file = (hn_shelf_file){0};
    *out = version;
    return HN_OK;
}
