/* Reading: whole files, maps and descriptors, and the small matters of paths. Writing a
 * file is in writer.c, patterns in glob.c. Every read and write passes the fault
 * injection of memory.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

static bool injected(hn_fault kind) {
    if (!hn_fault_hit(kind)) return false;
    errno = EIO;
    return true;
}

/* ---- Descriptors ------------------------------------------------------------- */

hn_status hn_fd_read(size_t *got, int fd, void *bytes, size_t n, const char *name, hn_error *err) {
    *got = 0;
    ssize_t result;
    do {
        result = injected(HN_FAULT_READ) ? -1 : read(fd, bytes, n);
    } while (result < 0 && errno == EINTR);
    if (result < 0)
        return hn_fail(err, HN_IO_FAILED, "%s: cannot be read: %s", name, strerror(errno));
    *got = (size_t)result;
    return HN_OK;
}

hn_status hn_fd_read_at(int fd, void *bytes, size_t n, uint64_t offset, const char *name,
                        hn_error *err) {
    char *to = bytes;
    while (n > 0) {
        const ssize_t got = injected(HN_FAULT_READ) ? -1 : pread(fd, to, n, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return hn_fail(err, HN_IO_FAILED, "%s: cannot be read: %s", name, strerror(errno));
        if (got == 0)
            return hn_fail(err, HN_IO_FAILED, "%s: ends at byte %llu; %zu more bytes were expected",
                           name, (unsigned long long)offset, n);
        to += got, n -= (size_t)got, offset += (uint64_t)got;
    }
    return HN_OK;
}

hn_status hn_fd_write_at(int fd, const void *bytes, size_t n, uint64_t offset, const char *name,
                         hn_error *err) {
    const char *from = bytes;
    while (n > 0) {
        const ssize_t put = injected(HN_FAULT_WRITE) ? -1 : pwrite(fd, from, n, (off_t)offset);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0)
            return hn_fail(err, HN_IO_FAILED, "%s: cannot be written: %s", name, strerror(errno));
        from += put, n -= (size_t)put, offset += (uint64_t)put;
    }
    return HN_OK;
}

/* ---- Whole files --------------------------------------------------------------- */

/* Opens for reading and says why it cannot be. */
static hn_status open_input(int *fd, struct stat *about, const char *path, hn_error *err) {
    *fd = injected(HN_FAULT_READ) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 && errno == EIO)
        return hn_fail(err, HN_IO_FAILED, "%s: cannot be opened: %s", path, strerror(errno));
    if (*fd < 0)
        return hn_fail(err, HN_NO_INPUT, "%s: cannot be opened: %s", path, strerror(errno));
    if (fstat(*fd, about) == 0 && !S_ISDIR(about->st_mode)) return HN_OK;
    close(*fd);
    *fd = -1;
    return hn_fail(err, HN_NO_INPUT, "%s: is a folder; a file was expected", path);
}

/* Reads to the end, with a last read that sees it: a file may grow or be a pipe. */
static hn_status read_all(char **bytes, size_t *n, int fd, const char *path, hn_error *err) {
    size_t capacity = *bytes ? *n : 0;
    *n = 0;
    for (;;) {
        size_t got;
        HN_TRY(hn_grow(bytes, &capacity, *n + 2, 1, err));
        HN_TRY(hn_fd_read(&got, fd, *bytes + *n, capacity - *n - 1, path, err));
        if (got == 0) break;
        *n += got;
    }
    (*bytes)[*n] = '\0';
    return HN_OK;
}

hn_status hn_file_read(char **out, size_t *n, const char *path, hn_error *err) {
    int fd;
    struct stat about;
    char *bytes = NULL;
    *out = NULL;
    *n = 0;
    HN_TRY(open_input(&fd, &about, path, err));
    hn_status status = HN_OK;
    size_t size = about.st_size > 0 ? (size_t)about.st_size + 2 : 4096;
    bytes = hn_alloc(size, 1);
    status = bytes ? read_all(&bytes, &size, fd, path, err) : hn_no_memory(err, path);
    close(fd);
    if (status != HN_OK) {
        hn_free(bytes);
        return status;
    }
    *out = bytes;
    *n = size;
    return HN_OK;
}

hn_status hn_map_open(hn_map *out, const char *path, hn_error *err) {
    int fd;
    struct stat about;
    *out = (hn_map){0};
    HN_TRY(open_input(&fd, &about, path, err));
    hn_status status = HN_OK;
    if (!S_ISREG(about.st_mode)) {
        status = hn_fail(err, HN_NO_INPUT, "%s: is not a regular file", path);
    } else if (about.st_size > 0) {
        void *const bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == MAP_FAILED)
            status = hn_fail(err, HN_IO_FAILED, "%s: cannot be mapped: %s", path, strerror(errno));
        else
            *out = (hn_map){bytes, (size_t)about.st_size};
    }
    close(fd);
    return status;
}

void hn_map_close(hn_map *map) {
    /* munmap takes no const: the pages were never writable. */
    if (map->bytes) munmap((void *)(uintptr_t)map->bytes, map->n);
    *map = (hn_map){0};
}

/* ---- Folders and paths ----------------------------------------------------------- */

hn_status hn_temp_open(int *fd, const char *dir, hn_error *err) {
    *fd = -1;
    char *const path = hn_path_join(dir, ".hinet-spill-XXXXXX");
    if (!path) return hn_no_memory(err, "a path");
    *fd = injected(HN_FAULT_WRITE) ? -1 : mkostemp(path, O_CLOEXEC);
    hn_status status = HN_OK;
    if (*fd < 0)
        status = hn_fail(err, HN_CANNOT_CREATE, "%s: no temporary file can be made there: %s", dir,
                         strerror(errno));
    else
        unlink(path);
    hn_free(path);
    return status;
}

bool hn_file_exists(const char *path) {
    struct stat about;
    return stat(path, &about) == 0;
}

static hn_status make_one(const char *path, hn_error *err) {
    struct stat about;
    if (stat(path, &about) == 0) {
        if (S_ISDIR(about.st_mode)) return HN_OK;
        return hn_fail(err, HN_CANNOT_CREATE, "%s: exists and is not a folder", path);
    }
    if (injected(HN_FAULT_WRITE) || (mkdir(path, 0777) != 0 && errno != EEXIST))
        return hn_fail(err, HN_CANNOT_CREATE, "%s: the folder cannot be made: %s", path,
                       strerror(errno));
    return HN_OK;
}

hn_status hn_dir_make(const char *path, hn_error *err) {
    char *const copy = hn_strdup(path);
    if (!copy) return hn_no_memory(err, "a path");
    hn_status status = HN_OK;
    for (char *at = copy; *at && status == HN_OK; at++) {
        if (*at != '/' || at == copy || at[-1] == '/') continue;
        *at = '\0';
        status = make_one(copy, err);
        *at = '/';
    }
    if (status == HN_OK) status = make_one(copy, err);
    hn_free(copy);
    return status;
}

char *hn_path_join(const char *dir, const char *name) {
    if (name[0] == '/' || dir[0] == '\0') return hn_strdup(name);
    const size_t dir_length = strlen(dir), name_length = strlen(name);
    const bool slash = dir[dir_length - 1] != '/';
    char *const path = hn_alloc(dir_length + slash + name_length + 1, 1);
    if (!path) return NULL;
    memcpy(path, dir, dir_length);
    if (slash) path[dir_length] = '/';
    memcpy(path + dir_length + slash, name, name_length);
    path[dir_length + slash + name_length] = '\0';
    return path;
}

char *hn_path_dir(const char *path) {
    const char *const slash = strrchr(path, '/');
    if (!slash) return hn_strdup(".");
    return slash == path ? hn_strdup("/") : hn_strndup(path, (size_t)(slash - path));
}
