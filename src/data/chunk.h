/* The reading machine under logs and tables: files are read and cut into chunks of whole
 * rows at fixed places of their text, workers parse the chunks of one window while the next
 * window is read, and results come out in order. Where the chunks lie depends on the files
 * alone, never on threads; memory is two windows, however large the files are. */
#ifndef HN_DATA_CHUNK_H
#define HN_DATA_CHUNK_H

#include "base/file.h"
#include "base/pool.h"
#include "data/columns.h"

enum { HN_CHUNK_BYTES = 256 << 10, HN_ROW_BYTES_MAX = 64 << 20 };

typedef struct hn_text_file {
    struct hn_text_file *next;
    char *path;
    char *base; /* the path's last part: "$file" */
    hn_columns columns;
    uint64_t lines; /* line feeds before the chunk being emitted */
    void *plan;     /* what `open` made of it */
    hn_arena arena;
} hn_text_file;

typedef struct hn_chunk {
    hn_text_file *file;
    const char *text; /* whole rows; the last may lack its line feed */
    size_t n;
    uint64_t lines;   /* line feeds in it: `parse` sets it */
    bool first, last; /* of its file */
    int32_t slot;     /* which of the `slots` of output it may use */
} hn_chunk;

typedef struct hn_chunk_job {
    const hn_config_source *source;
    char *const *paths;
    size_t n_paths;
    const char *phase; /* of progress */
    /* The header of a file is known; called in file order, by any thread. */
    hn_status (*open)(void *user, hn_text_file *file, hn_error *err);
    void (*close)(void *user,
                  hn_text_file *file); /* frees `plan`; after open, also when that failed */
    /* In parallel; what fails is kept in the slot and told by `emit`. */
    void (*parse)(void *user, hn_chunk *chunk);
    /* In order, on the calling thread. The chunk's first line is file->lines + 1. */
    hn_status (*emit)(void *user, const hn_chunk *chunk, hn_error *err);
    /* Rows given out so far, for progress. */
    uint64_t (*rows)(const void *user);
    void *user;
} hn_chunk_job;

/* How many slots `parse` can be given: by threads and the run's memory limit. */
int32_t hn_chunk_slots(const hn_pool *pool, const hn_run *run);
/* `bytes`: plain text read; may be NULL. `pool` NULL: this thread alone. */
hn_status hn_chunks_read(uint64_t *bytes, const hn_chunk_job *job, int32_t slots, hn_pool *pool,
                         const hn_run *run, hn_error *err);

hn_status hn_text_file_create(hn_text_file **out, const char *path, hn_error *err);
void hn_text_file_free(hn_text_file *file);
/* Reads byte order mark and header off the file's first bytes text[0, n): `*more` when
 * there are too few (`last`: there are no more), else columns and lines are set and rows
 * begin at `*rows`. */
hn_status hn_text_file_begin(hn_text_file *file, bool *more, size_t *rows,
                             const hn_config_source *source, const char *text, size_t n, bool last,
                             hn_error *err);

/* The files of a source: globs taken from the config's folder, "-" as it is. */
hn_status hn_source_paths(hn_paths *out, const hn_config *config, const hn_config_source *source,
                          hn_error *err);
/* For tests: chunks of another size; 0: the usual. */
void hn_chunk_bytes_set(size_t bytes);

#endif
