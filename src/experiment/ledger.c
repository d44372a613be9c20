/* The ledger of results. */
#include "experiment/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

void hn_ledger_close(hn_ledger *ledger) {
    if (ledger->fd >= 0) close(ledger->fd);
    ledger->fd = -1;
    hn_free(ledger->path);
    ledger->path = NULL;
    json_decref(ledger->lines);
    ledger->lines = NULL;
}

static hn_status take_line(hn_ledger *ledger, const char *line, size_t n, size_t number,
                           hn_error *err) {
    json_error_t why;
    json_t *const json = json_loadb(line, n, 0, &why);
    if (!json_is_object(json)) {
        json_decref(json);
        return hn_fail(err, HN_BAD_DATA,
                       "%s:%zu: this is no JSON object (%s); remove the line, or the file to begin "
                       "anew",
                       ledger->path, number, json ? "another value" : why.text);
    }
    return json_array_append_new(ledger->lines, json) == 0 ? HN_OK
                                                           : hn_no_memory(err, "the results");
}

/* The end without a newline: a line that was cut, or a whole one as some editors leave it. */
static hn_status take_tail(hn_ledger *ledger, const char *text, size_t n, hn_error *err) {
    json_t *const json = json_loadb(text, n, 0, NULL);
    if (!json_is_object(json)) {
        json_decref(json);
        return HN_OK;
    }
    if (json_array_append_new(ledger->lines, json) != 0) return hn_no_memory(err, "the results");
    ledger->bytes += n;
    ledger->open_end = true;
    return HN_OK;
}

static hn_status read_lines(hn_ledger *ledger, const char *text, size_t n, hn_error *err) {
    size_t at = 0, number = 1;
    const char *end;
    while ((end = memchr(text + at, '\n', n - at)) != NULL) {
        const size_t length = (size_t)(end - text) - at;
        if (length > 0) HN_TRY(take_line(ledger, text + at, length, number, err));
        at += length + 1;
        number++;
    }
    ledger->bytes = at;
    return take_tail(ledger, text + at, n - at, err);
}

/* What was cut goes; a whole last line gets its end. */
static hn_status open_file(hn_ledger *ledger, hn_error *err) {
    ledger->fd = open(ledger->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (ledger->fd < 0 || ftruncate(ledger->fd, (off_t)ledger->bytes) != 0)
        return hn_fail(err, HN_CANNOT_CREATE, "%s: cannot be opened for writing: %s", ledger->path,
                       strerror(errno));
    if (!ledger->open_end) return HN_OK;
    HN_TRY(hn_fd_write_at(ledger->fd, "\n", 1, ledger->bytes, ledger->path, err));
    ledger->bytes++;
    return HN_OK;
}

hn_status hn_ledger_open(hn_ledger *out, const char *path, hn_error *err) {
    char *text = NULL;
    size_t n = 0;
    *out = (hn_ledger){.fd = -1, .path = hn_strdup(path), .lines = json_array()};
    hn_status status = out->path && out->lines ? HN_OK : hn_no_memory(err, "the results");
    if (status == HN_OK && hn_file_exists(path)) status = hn_file_read(&text, &n, path, err);
    if (status == HN_OK && text) status = read_lines(out, text, n, err);
    hn_free(text);
    if (status == HN_OK) status = open_file(out, err);
    if (status != HN_OK) hn_ledger_close(out);
    return status;
}

static bool says(const json_t *line, const char *key, const char *value) {
    const char *const text = json_string_value(json_object_get(line, key));
    return text && strcmp(text, value) == 0;
}

const json_t *hn_ledger_find(const hn_ledger *ledger, const char *kind, const char *key,
                             int64_t epochs) {
    const bool trial = strcmp(kind, "trial") == 0;
    for (size_t k = json_array_size(ledger->lines); k-- > 0;) {
        const json_t *const line = json_array_get(ledger->lines, k);
        if (!says(line, "key", key) || !says(line, "kind", kind) || !says(line, "status", "done"))
            continue;
        if (!trial || json_integer_value(json_object_get(line, "until")) == epochs) return line;
    }
    return NULL;
}

hn_status hn_ledger_add(hn_ledger *ledger, json_t *line, hn_error *err) {
    char *const dumped = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    hn_text text = {0};
    if (dumped) hn_text_add(&text, "%s\n", dumped);
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    if (dumped) release(dumped);
    const bool made = dumped && !text.failed && json_array_append(ledger->lines, line) == 0;
    json_decref(line);
    hn_status status = made ? HN_OK : hn_no_memory(err, "a result");
    if (status == HN_OK)
        status =
            hn_fd_write_at(ledger->fd, text.text, text.length, ledger->bytes, ledger->path, err);
    if (status == HN_OK && fsync(ledger->fd) != 0 && errno != EINVAL)
        status =
            hn_fail(err, HN_IO_FAILED, "%s: cannot be written: %s", ledger->path, strerror(errno));
    if (status == HN_OK) ledger->bytes += text.length;
    hn_text_free(&text);
    return status;
}
