/* Files: whole reads, maps, atomic replacement. Every read and write can be made to
 * fail in a test (memory.h, fault injection). Errors name the path. */
#ifndef HN_BASE_FILE_H
#define HN_BASE_FILE_H

#include "base/error.h"

/* Reads a whole file; `*out` has one NUL more than `*n`. hn_free it. */
hn_status hn_file_read(char **out, size_t *n, const char *path, hn_error *err);

typedef struct hn_map {
    const uint8_t *bytes;
    size_t n;
} hn_map;
/* Maps a regular file for reading (n = 0 and bytes = NULL for an empty one). */
hn_status hn_map_open(hn_map *out, const char *path, hn_error *err);
void hn_map_close(hn_map *map);

/* A writer makes PATH.tmp-… beside PATH and renames it over PATH on commit (after
 * fsync), so that PATH is always the old file or the new one, whole. Buffered.
 * Errors are sticky: checking commit's status is enough. */
typedef struct hn_writer hn_writer;
hn_status hn_writer_open(hn_writer **out, const char *path, hn_error *err);
void hn_writer_write(hn_writer *writer, const void *bytes, size_t n);
/* Overwrites earlier bytes (a header) at `offset`. */
void hn_writer_write_at(hn_writer *writer, uint64_t offset, const void *bytes, size_t n);
uint64_t hn_writer_offset(const hn_writer *writer);
/* Commits and frees; on failure the temporary file is removed. */
hn_status hn_writer_commit(hn_writer *writer, hn_error *err);
/* Removes the temporary file and frees. NULL is fine. */
void hn_writer_abandon(hn_writer *writer);

/* An unnamed temporary file in `dir` (unlinked at once), for spilling; a plain
 * descriptor with checked pread/pwrite below. */
hn_status hn_temp_open(int *fd, const char *dir, hn_error *err);
hn_status hn_fd_read_at(int fd, void *bytes, size_t n, uint64_t offset, const char *name,
                        hn_error *err);
hn_status hn_fd_write_at(int fd, const void *bytes, size_t n, uint64_t offset, const char *name,
                         hn_error *err);
/* read() with fault injection and EINTR handled; 0 at the end. */
hn_status hn_fd_read(size_t *got, int fd, void *bytes, size_t n, const char *name, hn_error *err);

hn_status hn_dir_make(const char *path, hn_error *err); /* with parents; existing is fine */
bool hn_file_exists(const char *path);
/* "dir/name", heap. `name` absolute: a copy of it. */
char *hn_path_join(const char *dir, const char *name);
char *hn_path_dir(const char *path); /* "." where there is no slash; heap */

/* The paths that match a glob, sorted; error when none does. Relative patterns are
 * taken from `dir`. */
typedef struct hn_paths {
    char **paths;
    size_t n;
} hn_paths;
hn_status hn_paths_glob(hn_paths *out, const char *dir, const char *const *patterns, size_t n,
                        hn_error *err);
void hn_paths_free(hn_paths *paths);

#endif
