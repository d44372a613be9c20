/* Atomic replacement of files: everything goes to a temporary file beside the target,
 * which takes its name only when it is whole and on disk. A crash leaves the old file
 * and perhaps a *.tmp-… that nothing reads. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

enum { BUFFER_BYTES = 1 << 20, NAME_TRIES = 1000 };

struct hn_writer {
    int fd;
    char *path, *temporary;
    uint8_t *buffer;  /* [BUFFER_BYTES] */
    size_t buffered;  /* bytes of it in use */
    uint64_t flushed; /* bytes written to the file before the buffer's */
    hn_status status; /* of the first failure */
    hn_error error;
};

static void release(hn_writer *writer) {
    if (writer->fd >= 0) close(writer->fd);
    hn_free(writer->path);
    hn_free(writer->temporary);
    hn_free(writer->buffer);
    hn_free(writer);
}

/* Makes a new file PATH.tmp-<process>-<number>. Not mkstemp(): the file shall have the
 * permissions that the user's umask gives. */
static int create_temporary(char *temporary, size_t n, const char *path) {
    static _Atomic unsigned number;
    for (int i = 0; i < NAME_TRIES; i++) {
        snprintf(temporary, n, "%s.tmp-%ld-%u", path, (long)getpid(), atomic_fetch_add(&number, 1));
        const int fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

static hn_status open_temporary(hn_writer *writer, const char *path, hn_error *err) {
    const size_t room = strlen(path) + 48;
    struct stat about;
    writer->path = hn_strdup(path);
    writer->temporary = hn_alloc(room, 1);
    writer->buffer = hn_alloc(BUFFER_BYTES, 1);
    if (!writer->path || !writer->temporary || !writer->buffer)
        return hn_no_memory(err, "writing a file");
    /* Renaming over a device or a folder would destroy it or fail late. */
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode))
        return hn_fail(err, HN_CANNOT_CREATE,
                       "%s: exists and is not a regular file; name another output", path);
    const bool fault = hn_fault_hit(HN_FAULT_WRITE);
    if (fault) errno = EIO;
    writer->fd = fault ? -1 : create_temporary(writer->temporary, room, path);
    if (writer->fd < 0)
        return hn_fail(err, HN_CANNOT_CREATE, "%s: cannot be made: %s", path, strerror(errno));
    return HN_OK;
}

hn_status hn_writer_open(hn_writer **out, const char *path, hn_error *err) {
    *out = NULL;
    hn_writer *const writer = hn_alloc_zero(1, sizeof *writer);
    if (!writer) return hn_no_memory(err, "writing a file");
    writer->fd = -1;
    const hn_status status = open_temporary(writer, path, err);
    if (status != HN_OK)
        release(writer);
    else
        *out = writer;
    return status;
}

static void write_through(hn_writer *writer, const void *bytes, size_t n) {
    if (writer->status != HN_OK) return;
    writer->status =
        hn_fd_write_at(writer->fd, bytes, n, writer->flushed, writer->path, &writer->error);
    if (writer->status != HN_OK) return;
    /* The disk may begin with these now, so that commit does not wait for all of them. */
    (void)sync_file_range(writer->fd, (off_t)writer->flushed, (off_t)n, SYNC_FILE_RANGE_WRITE);
    writer->flushed += n;
}

static void flush(hn_writer *writer) {
    if (writer->buffered == 0) return;
    write_through(writer, writer->buffer, writer->buffered);
    writer->buffered = 0;
}

void hn_writer_write(hn_writer *writer, const void *bytes, size_t n) {
    if (writer->status != HN_OK || n == 0) return;
    if (n > BUFFER_BYTES - writer->buffered) flush(writer);
    if (n >= BUFFER_BYTES) {
        write_through(writer, bytes, n);
        return;
    }
    memcpy(writer->buffer + writer->buffered, bytes, n);
    writer->buffered += n;
}

void hn_writer_write_at(hn_writer *writer, uint64_t offset, const void *bytes, size_t n) {
    flush(writer);
    if (writer->status != HN_OK) return;
    if (offset > writer->flushed || n > writer->flushed - offset) {
        writer->status =
            hn_fail(&writer->error, HN_FAILED,
                    "%s: bytes %llu to %llu cannot be overwritten, %llu are written", writer->path,
                    (unsigned long long)offset, (unsigned long long)offset + n,
                    (unsigned long long)writer->flushed);
        return;
    }
    writer->status = hn_fd_write_at(writer->fd, bytes, n, offset, writer->path, &writer->error);
}

uint64_t hn_writer_offset(const hn_writer *writer) { return writer->flushed + writer->buffered; }

static hn_status disk_failed(const hn_writer *writer, hn_error *err) {
    return hn_fail(err, HN_IO_FAILED, "%s: cannot be written: %s", writer->path, strerror(errno));
}

/* Makes the rename itself durable. Some file systems cannot sync a folder: then the
 * file is whole all the same, so EINVAL counts as success. */
static hn_status sync_folder(const hn_writer *writer, hn_error *err) {
    char *const dir = hn_path_dir(writer->path);
    if (!dir) return hn_no_memory(err, "writing a file");
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    hn_free(dir);
    if (fd < 0) return HN_OK; /* a folder that may be written but not read */
    const bool synced = fsync(fd) == 0 || errno == EINVAL;
    const hn_status status = synced ? HN_OK : disk_failed(writer, err);
    close(fd);
    return status;
}

static hn_status put_in_place(hn_writer *writer, hn_error *err) {
    flush(writer);
    if (writer->status != HN_OK) return hn_fail(err, writer->status, "%s", writer->error.text);
    if (hn_fault_hit(HN_FAULT_WRITE)) {
        errno = EIO;
        return disk_failed(writer, err);
    }
    if (fsync(writer->fd) != 0 && errno != EINVAL) return disk_failed(writer, err);
    const int closed = close(writer->fd);
    writer->fd = -1;
    if (closed != 0) return disk_failed(writer, err);
    if (hn_fault_hit(HN_FAULT_WRITE)) {
        errno = EIO;
        return disk_failed(writer, err);
    }
    return rename(writer->temporary, writer->path) == 0 ? HN_OK : disk_failed(writer, err);
}

hn_status hn_writer_commit(hn_writer *writer, hn_error *err) {
    hn_status status = put_in_place(writer, err);
    if (status != HN_OK)
        unlink(writer->temporary);
    else
        status = sync_folder(writer, err);
    release(writer);
    return status;
}

void hn_writer_abandon(hn_writer *writer) {
    if (!writer) return;
    unlink(writer->temporary);
    release(writer);
}
