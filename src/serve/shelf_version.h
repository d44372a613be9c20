/* One version of a model on the shelf: found in a folder, opened, checked and warmed by the
 * loader, counted while workers use it. Internal to shelf*.c. */
#ifndef HN_SERVE_SHELF_VERSION_H
#define HN_SERVE_SHELF_VERSION_H

#include <sys/stat.h>

#include "serve/shelf.h"

/* What tells one writing of a file from the next. */
typedef struct hn_file_mark {
    uint64_t device, inode;
    int64_t bytes, changed_ns;
} hn_file_mark;
bool hn_file_mark_same(const hn_file_mark *a, const hn_file_mark *b);

/* A file that may be served. */
typedef struct hn_shelf_file {
    char *version; /* the file's name without ".hn" */
    char *path;
    hn_file_mark mark;
} hn_shelf_file;
void hn_shelf_file_free(hn_shelf_file *file);

typedef struct hn_shelf_files {
    hn_shelf_file *items; /* the newest first */
    size_t n, capacity;
} hn_shelf_files;
/* The versions of `path`: itself, or the "*.hn" in it. HN_NO_INPUT when it cannot be read. */
hn_status hn_shelf_files_find(hn_shelf_files *out, const char *path, hn_error *err);
void hn_shelf_files_free(hn_shelf_files *files);

typedef struct hn_shelf_version {
    hn_model_version view; /* first: what workers hold */
    hn_shelf_file file;
    hn_bundle *bundle;
    void **engines;
    int32_t n_engines;
    _Atomic int64_t users;
    struct hn_shelf_version *next; /* among those that wait to be freed */
} hn_shelf_version;
/* Opens, checks and warms up. Takes `file` over when it succeeds. */
hn_status hn_shelf_version_load(hn_shelf_version **out, hn_shelf_file *file, const char *model,
                                int32_t workers, const hn_shelf_hooks *hooks, hn_error *err);
void hn_shelf_version_free(hn_shelf_version *version, const hn_shelf_hooks *hooks);

#endif
