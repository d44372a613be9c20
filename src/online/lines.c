/* Lines of files (lines.h): a growing buffer over the reader of bytes. */
#include "online/lines.h"

#include <string.h>

#include "base/memory.h"
#include "data/bytes.h"

enum { FIRST_BYTES = 1 << 20, LINE_BYTES_MAX = 64 << 20 };

typedef struct reader {
    hn_bytes *bytes;
    const char *file;
    char *buffer;
    size_t capacity, begin, end;
    uint64_t number;
    bool ended, cut;
} reader;

static hn_status give(reader *r, const char *line, size_t n, hn_line_read read, void *user,
                      hn_error *err) {
    r->number++;
    if (n > 0 && line[n - 1] == '\r') n--;
    return n > 0 ? read(user, line, n, r->file, r->number, err) : HN_OK;
}

/* The whole lines of the buffer; the rest moves to its front. */
static hn_status give_lines(reader *r, hn_line_read read, void *user, hn_error *err) {
    for (;;) {
        char *const from = r->buffer + r->begin, *const newline =
                                                     memchr(from, '\n', r->end - r->begin);
        if (!newline) break;
        r->begin = (size_t)(newline - r->buffer) + 1;
        HN_TRY(give(r, from, (size_t)(newline - from), read, user, err));
    }
    memmove(r->buffer, r->buffer + r->begin, r->end - r->begin);
    r->end -= r->begin;
    r->begin = 0;
    return HN_OK;
}

static hn_status fill(reader *r, bool cut_off_allowed, hn_error *err) {
    if (r->end >= LINE_BYTES_MAX)
        return hn_fail(err, HN_BAD_DATA, "%s:%llu: found a line of more than %d MiB", r->file,
                       (unsigned long long)r->number + 1, LINE_BYTES_MAX >> 20);
    HN_TRY(hn_grow(&r->buffer, &r->capacity, r->end + FIRST_BYTES, 1, err));
    size_t got = 0;
    const size_t room = r->capacity - r->end;
    const hn_status status = hn_bytes_read(&got, r->bytes, r->buffer + r->end, room, err);
    r->end += got;
    r->cut = status != HN_OK && cut_off_allowed && hn_bytes_cut(r->bytes);
    r->ended = r->cut || got < room;
    return r->cut ? HN_OK : status;
}

static hn_status read_open(reader *r, bool cut_off_allowed, hn_line_read read, void *user,
                           hn_error *err) {
    while (!r->ended) {
        HN_TRY(fill(r, cut_off_allowed, err));
        HN_TRY(give_lines(r, read, user, err));
    }
    /* the last line may lack its end, unless the file was cut there */
    return r->end > 0 && !r->cut ? give(r, r->buffer, r->end, read, user, err) : HN_OK;
}

hn_status hn_lines_read(const char *const *files, size_t n_files, bool cut_off_allowed,
                        hn_line_read read, void *user, hn_error *err) {
    reader r = {0};
    hn_status status = HN_OK;
    for (size_t i = 0; i < n_files && status == HN_OK; i++) {
        r = (reader){.file = files[i], .buffer = r.buffer, .capacity = r.capacity};
        status = hn_bytes_open(&r.bytes, files[i], err);
        if (status == HN_OK) status = read_open(&r, cut_off_allowed, read, user, err);
        hn_bytes_close(r.bytes);
    }
    hn_free(r.buffer);
    return status;
}
