/* Exposure files (exposure_file.h). A file under way is locked with flock, so that one left by a
 * killed server is told from one that a living server writes. */
#include "online/exposure_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "base/file.h"
#include "base/memory.h"

static const char part[] = ".part";
#define HOUR_NS 3600000000000

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The lock of a file just opened. False: another had it first, and the name is now gone or
 * another file's. */
static bool lock(int fd, const char *path, bool wait) {
    struct stat held, named;
    return flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) == 0 && fstat(fd, &held) == 0 &&
           stat(path, &named) == 0 && held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/* ---- Finishing ------------------------------------------------------------------------------- */

static bool is_same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* "x.part" becomes "x". A name that is taken stays as it is, and so does the part, unless both
 * are one file: somebody was killed between the two steps. */
static void finish_name(const char *path) {
    char *const name = hn_strndup(path, strlen(path) - strlen(part));
    if (name && (link(path, name) == 0 || is_same_file(path, name))) (void)unlink(path);
    hn_free(name);
}

static void close_file(hn_exposure_file *file) {
    (void)fdatasync(file->fd);
    if (file->bytes > 0)
        finish_name(file->path);
    else
        (void)unlink(file->path);
    (void)close(file->fd);
    file->fd = -1;
    hn_free(file->path);
    file->path = NULL;
}

void hn_exposure_file_turn(hn_exposure_file *file, bool close) {
    if (file->fd < 0) return;
    if (close || file->bytes >= file->bytes_max || now_ns() - file->begun_ns >= HOUR_NS)
        close_file(file);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static char *new_path(hn_exposure_file *file) {
    char name[100];
    struct tm utc;
    const time_t now = time(NULL);
    gmtime_r(&now, &utc);
    const size_t n = strftime(name, sizeof name, "exposures-%Y%m%dT%H%M%SZ", &utc);
    snprintf(name + n, sizeof name - n, "-%05d.jsonl.zst%s", ++file->sequence, part);
    return hn_path_join(file->dir, name);
}

/* The name is free if its finished form is, too. */
static bool is_taken(const char *path) {
    char *const name = hn_strndup(path, strlen(path) - strlen(part));
    const bool taken = name && hn_file_exists(name);
    hn_free(name);
    return taken;
}

/* A locked new file; -1: errno says why, EEXIST that the name is another's. */
static int create(const char *path) {
    errno = EEXIST;
    const int fd = is_taken(path) ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0) return -1;
    /* Meanwhile a server that starts may have taken the empty file for a dead one's, and one that
     * ends may have finished a file of this name. */
    const bool ours = lock(fd, path, true), taken = is_taken(path);
    if (ours && !taken) return fd;
    if (ours) (void)unlink(path);
    (void)close(fd);
    errno = EEXIST;
    return -1;
}

static hn_status begin(hn_exposure_file *file, hn_error *err) {
    enum { TRIES = 1000 };
    for (int i = 0; i < TRIES; i++) {
        char *const path = new_path(file);
        if (!path) return hn_no_memory(err, "the exposure log's file name");
        file->fd = create(path);
        if (file->fd >= 0) {
            file->path = path;
            file->bytes = 0;
            file->begun_ns = now_ns();
            file->files++;
            return HN_OK;
        }
        const int why = errno;
        if (why != EEXIST)
            (void)hn_fail(err, HN_CANNOT_CREATE, "%s: cannot be made: %s", path, strerror(why));
        hn_free(path);
        if (why != EEXIST) return HN_CANNOT_CREATE;
    }
    return hn_fail(err, HN_CANNOT_CREATE, "%s: no free name for an exposure file", file->dir);
}

static bool write_whole(int fd, const char *bytes, size_t n) {
    while (n > 0) {
        if (hn_fault_hit(HN_FAULT_WRITE)) {
            errno = EIO;
            return false;
        }
        const ssize_t some = write(fd, bytes, n);
        if (some < 0 && errno == EINTR) continue;
        if (some < 0) return false;
        bytes += some;
        n -= (size_t)some;
    }
    return true;
}

hn_status hn_exposure_file_append(hn_exposure_file *file, const void *frame, size_t n,
                                  hn_error *err) {
    if (file->fd < 0) HN_TRY(begin(file, err));
    if (write_whole(file->fd, frame, n)) {
        file->bytes += (int64_t)n;
        return HN_OK;
    }
    const hn_status status =
        hn_fail(err, HN_IO_FAILED, "%s: cannot be written: %s", file->path, strerror(errno));
    /* half a frame is taken back; the next append tries a new file */
    if (ftruncate(file->fd, file->bytes) == 0) (void)lseek(file->fd, file->bytes, SEEK_SET);
    close_file(file);
    return status;
}

/* ---- Mending --------------------------------------------------------------------------------- */

/* The bytes of the whole frames at the start. */
static size_t whole_frames(const hn_map *map) {
    size_t at = 0;
    while (at < map->n) {
        const size_t n = ZSTD_findFrameCompressedSize(map->bytes + at, map->n - at);
        if (ZSTD_isError(n) || n == 0) break;
        at += n;
    }
    return at;
}

static hn_status mend(const char *path, hn_error *err) {
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return HN_OK; /* gone, or not ours */
    if (!lock(fd, path, false)) {
        close(fd);
        return HN_OK; /* a living server's, or finished meanwhile */
    }
    hn_map map = {0};
    hn_status status = hn_map_open(&map, path, err);
    if (status == HN_OK) {
        const size_t whole = whole_frames(&map);
        hn_map_close(&map);
        if (whole == 0)
            (void)unlink(path);
        else if (ftruncate(fd, (off_t)whole) != 0)
            status = hn_fail(err, HN_IO_FAILED, "%s: cannot be cut to its whole frames: %s", path,
                             strerror(errno));
        else
            finish_name(path);
    }
    close(fd);
    return status;
}

static bool is_part(const char *name) {
    static const char head[] = "exposures-", tail[] = ".jsonl.zst.part";
    const size_t n = strlen(name);
    return n >= sizeof head + sizeof tail - 2 && strncmp(name, head, sizeof head - 1) == 0 &&
           strcmp(name + n - (sizeof tail - 1), tail) == 0;
}

hn_status hn_exposure_files_mend(const char *dir, hn_error *err) {
    DIR *const entries = opendir(dir);
    hn_status status = HN_OK;
    if (!entries) return HN_OK; /* none is there yet, or it is told when a file is begun */
    for (const struct dirent *entry; status == HN_OK && (entry = readdir(entries)) != NULL;) {
        if (!is_part(entry->d_name)) continue;
        char *const path = hn_path_join(dir, entry->d_name);
        status = path ? mend(path, err) : hn_no_memory(err, "the exposure log's files");
        hn_free(path);
    }
    closedir(entries);
    return status;
}
