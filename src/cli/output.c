/* Where data goes: standard output, or a file that is written beside its name and renamed
 * when it is whole. A reader that closes the pipe (head) is no error; a full disk is. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

hn_status cli_fail(hn_error *err, hn_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    err->status = status;
    return status;
}

/* A regular file, or one that does not exist yet: these are replaced. Others (a pipe, a
 * device) are written in place. */
static bool is_replaceable(const char *path) {
    struct stat about;
    return stat(path, &about) != 0 || S_ISREG(about.st_mode);
}

static hn_status open_temporary(cli_output *out, hn_error *err) {
    const size_t n = strlen(out->path) + 32;
    const mode_t mask = umask(0);
    umask(mask);
    out->temporary = malloc(n);
    if (!out->temporary) return cli_fail(err, HN_NO_MEMORY, "no memory for a path");
    snprintf(out->temporary, n, "%s.tmp-XXXXXX", out->path);
    out->fd = mkostemp(out->temporary, O_CLOEXEC);
    if (out->fd < 0) {
        free(out->temporary);
        out->temporary = NULL;
        return cli_fail(err, HN_CANNOT_CREATE, "%s: cannot be made: %s", out->path,
                        strerror(errno));
    }
    if (fchmod(out->fd, 0666 & ~mask) != 0) { /* a file system without modes */
    }
    return HN_OK;
}

hn_status cli_output_open(cli_output *out, const char *path, hn_error *err) {
    *out = (cli_output){.fd = STDOUT_FILENO, .name = path ? path : "standard output", .path = path};
    if (!path) return HN_OK;
    if (is_replaceable(path)) return open_temporary(out, err);
    out->fd = open(path, O_WRONLY | O_CLOEXEC);
    return out->fd >= 0
               ? HN_OK
               : cli_fail(err, HN_CANNOT_CREATE, "%s: cannot be opened: %s", path, strerror(errno));
}

static hn_status write_all(cli_output *out, const char *bytes, size_t n, hn_error *err) {
    while (n > 0) {
        const ssize_t put = write(out->fd, bytes, n);
        if (put >= 0) {
            bytes += put, n -= (size_t)put;
        } else if (errno == EPIPE) {
            out->closed_pipe = true;
            return cli_fail(err, HN_INTERRUPTED, "%s: its reader has gone", out->name);
        } else if (errno != EINTR) {
            return cli_fail(err, HN_IO_FAILED, "%s: cannot be written: %s", out->name,
                            strerror(errno));
        }
    }
    return HN_OK;
}

static hn_status flush(cli_output *out, hn_error *err) {
    const size_t n = out->n;
    out->n = 0;
    return write_all(out, out->buffer, n, err);
}

hn_status cli_output_write(void *output, const void *bytes, size_t n, hn_error *err) {
    cli_output *const out = output;
    if (n > sizeof out->buffer - out->n) {
        const hn_status status = flush(out, err);
        if (status != HN_OK) return status;
    }
    if (n > sizeof out->buffer) return write_all(out, bytes, n, err);
    memcpy(out->buffer + out->n, bytes, n);
    out->n += n;
    return HN_OK;
}

static hn_status put_in_place(const cli_output *out, hn_error *err) {
    const bool synced = fsync(out->fd) == 0 || errno == EINVAL;
    if (synced && rename(out->temporary, out->path) == 0) return HN_OK;
    return cli_fail(err, HN_IO_FAILED, "%s: cannot be written: %s", out->path, strerror(errno));
}

hn_status cli_output_close(cli_output *out, hn_status status, hn_error *err) {
    if (status == HN_OK) status = flush(out, err);
    if (status == HN_OK && out->temporary) status = put_in_place(out, err);
    if (status != HN_OK && out->temporary) unlink(out->temporary);
    /* Standard output is closed too, for a file system may report a full disk only then. */
    if (close(out->fd) != 0 && status == HN_OK && errno != EINTR)
        status =
            cli_fail(err, HN_IO_FAILED, "%s: cannot be written: %s", out->name, strerror(errno));
    free(out->temporary);
    out->temporary = NULL;
    return out->closed_pipe ? HN_OK : status;
}

hn_status cli_print(const char *text, hn_error *err) {
    static cli_output out; /* large for a stack */
    hn_status status = cli_output_open(&out, NULL, err);
    if (status == HN_OK) status = cli_output_write(&out, text, strlen(text), err);
    if (status == HN_OK && text[0] && text[strlen(text) - 1] != '\n')
        status = cli_output_write(&out, "\n", 1, err);
    return cli_output_close(&out, status, err);
}
