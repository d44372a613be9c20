/* The files of an exposure log: their names, their turn, and those that a killed server left.
 * Used by the log's writer thread alone. */
#ifndef HN_ONLINE_EXPOSURE_FILE_H
#define HN_ONLINE_EXPOSURE_FILE_H

#include "base/error.h"

typedef struct hn_exposure_file {
    const char *dir;
    int64_t bytes_max;
    int fd;           /* -1: none is open */
    char *path;       /* with ".part" */
    int64_t bytes;    /* whole frames written */
    int64_t begun_ns; /* CLOCK_MONOTONIC */
    int32_t sequence;
    uint64_t files;
} hn_exposure_file;

/* Cuts ".part" files of servers that are gone after their last whole frame and gives them
 * their names; empty ones are removed. */
hn_status hn_exposure_files_mend(const char *dir, hn_error *err);
/* Appends one frame, all of it or nothing; begins a file where none is open. */
hn_status hn_exposure_file_append(hn_exposure_file *file, const void *frame, size_t n,
                                  hn_error *err);
/* Finishes the file when it is large or an hour old, or when `close`. */
void hn_exposure_file_turn(hn_exposure_file *file, bool close);

#endif
