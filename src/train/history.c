/* history.jsonl: what happened in a training, one JSON object a line, for people and tools
 * that watch it. It is beside the bundle and not in it, so times may be there. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "train/training.h"

static hn_status cut(hn_history *history, uint64_t keep, hn_error *err) {
    struct stat about;
    if (fstat(history->fd, &about) != 0)
        return hn_fail(err, HN_IO_FAILED, "%s: %s", history->path, strerror(errno));
    history->bytes = (uint64_t)about.st_size < keep ? (uint64_t)about.st_size : keep;
    if (ftruncate(history->fd, (off_t)history->bytes) != 0)
        return hn_fail(err, HN_IO_FAILED, "%s: cannot be cut: %s", history->path, strerror(errno));
    return HN_OK;
}

hn_status hn_history_open(hn_history *history, const char *path, uint64_t keep, hn_error *err) {
    *history = (hn_history){.fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666), .path = path};
    if (history->fd < 0)
        return hn_fail(err, HN_CANNOT_CREATE, "%s: cannot be opened for writing: %s", path,
                       strerror(errno));
    const hn_status status = cut(history, keep, err);
    if (status != HN_OK) hn_history_close(history);
    return status;
}

void hn_history_close(hn_history *history) {
    if (history->fd >= 0) close(history->fd);
    history->fd = -1;
}

hn_status hn_history_add(hn_history *history, json_t *line, hn_error *err) {
    char *const text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(line);
    hn_text out = {0};
    if (text) hn_text_add(&out, "%s\n", text);
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    if (text) release(text);
    hn_status status = text && !out.failed ? HN_OK : hn_no_memory(err, "the history");
    if (status == HN_OK)
        status =
            hn_fd_write_at(history->fd, out.text, out.length, history->bytes, history->path, err);
    if (status == HN_OK) history->bytes += out.length;
    hn_text_free(&out);
    return status;
}
