/* The spool of hn_join (join.h): the text of rows in an unnamed temporary file. A part is its
 * length in bytes and then cells {column, bytes, text}, all numbers 32 bits of this machine. Rows
 * are written nearly in the order in which they were read, so a window that reads ahead is enough.
 */
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "online/join.h"

enum { FLUSH_BYTES = 1 << 20, WINDOW_BYTES = 32 << 10, HEAD_BYTES = 4 };

struct hn_join_spool {
    int fd;
    char *dir;
    uint64_t written; /* in the file; the rest waits in `text` */
    hn_text text;
    size_t part; /* where the part under way begins in it */
};

hn_status hn_join_spool_open(hn_join_spool **out, const char *dir, hn_error *err) {
    *out = NULL;
    hn_join_spool *const spool = hn_alloc_zero(1, sizeof *spool);
    if (!spool) return hn_no_memory(err, "the spool of rows");
    spool->fd = -1;
    spool->dir = hn_strdup(dir);
    hn_status status =
        spool->dir ? hn_temp_open(&spool->fd, dir, err) : hn_no_memory(err, "the spool of rows");
    if (status != HN_OK)
        hn_join_spool_free(spool);
    else
        *out = spool;
    return status;
}

void hn_join_spool_free(hn_join_spool *spool) {
    if (!spool) return;
    if (spool->fd >= 0) (void)close(spool->fd);
    hn_text_free(&spool->text);
    hn_free(spool->dir);
    hn_free(spool);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void add_number(hn_text *text, uint32_t number) { hn_text_bytes(text, &number, 4); }

uint64_t hn_join_spool_end(const hn_join_spool *spool) {
    return spool->written + spool->text.length;
}

uint64_t hn_join_spool_begin(hn_join_spool *spool) {
    spool->part = spool->text.length;
    add_number(&spool->text, 0);
    return spool->written + spool->part;
}

void hn_join_spool_cell(hn_join_spool *spool, int32_t column, const char *text, size_t n) {
    hn_text *const to = &spool->text;
    add_number(to, (uint32_t)column);
    add_number(to, (uint32_t)n);
    hn_text_bytes(to, text, n);
    if (to->failed) return;
    const uint32_t length = (uint32_t)(to->length - spool->part - HEAD_BYTES);
    memcpy(to->text + spool->part, &length, HEAD_BYTES);
}

void hn_join_spool_back(hn_join_spool *spool, uint64_t to) {
    spool->text.length = (size_t)(to - spool->written);
}

hn_status hn_join_spool_flush(hn_join_spool *spool, bool all, hn_error *err) {
    hn_text *const text = &spool->text;
    if (text->failed) return hn_no_memory(err, "the spool of rows");
    if (text->length == 0 || (!all && text->length < FLUSH_BYTES)) return HN_OK;
    HN_TRY(hn_fd_write_at(spool->fd, text->text, text->length, spool->written, spool->dir, err));
    spool->written += text->length;
    text->length = 0;
    return HN_OK;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static hn_status see(hn_join_window *window, const hn_join_spool *spool, uint64_t at, size_t n,
                     hn_error *err) {
    if (at >= window->at && at - window->at + n <= window->n) return HN_OK;
    const uint64_t left = spool->written - at;
    size_t wanted = n > WINDOW_BYTES ? n : WINDOW_BYTES;
    if (left < wanted) wanted = (size_t)left;
    window->n = 0;
    HN_TRY(hn_grow(&window->bytes, &window->capacity, wanted, 1, err));
    HN_TRY(hn_fd_read_at(spool->fd, window->bytes, wanted, at, spool->dir, err));
    window->at = at;
    window->n = wanted;
    return HN_OK;
}

static uint32_t number_at(const char *bytes) {
    uint32_t number;
    memcpy(&number, bytes, sizeof number);
    return number;
}

hn_status hn_join_spool_read(hn_join_cell *cells, int32_t columns, hn_join_spool *spool,
                             hn_join_window *window, uint64_t part, hn_error *err) {
    HN_TRY(see(window, spool, part, HEAD_BYTES, err));
    const uint32_t length = number_at(window->bytes + (part - window->at));
    HN_TRY(see(window, spool, part, HEAD_BYTES + (size_t)length, err));
    const char *at = window->bytes + (part - window->at) + HEAD_BYTES, *const end = at + length;
    while (at < end) {
        const uint32_t column = number_at(at), n = number_at(at + 4);
        if (column < (uint32_t)columns) cells[column] = (hn_join_cell){at + 8, n};
        at += 8 + (size_t)n;
    }
    return HN_OK;
}
