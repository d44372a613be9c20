/* Reading files whatever wraps them. The first bytes tell the kind; gzip goes through zlib
 * (whose memory is ours), zstd through libzstd, the rest is passed on as it is. Damage and
 * a missing end are told apart from a failing disk. */
#include "data/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/file.h"
#include "base/memory.h"

typedef enum wrapping { PLAIN, GZIP, ZSTD } wrapping;
enum { INPUT_BYTES = 256 << 10, MAGIC_BYTES = 8 };

struct hn_bytes {
    char *name;
    int fd;
    wrapping kind;
    bool ended;  /* the file has no more bytes */
    bool within; /* within a compressed member: the end may not come now */
    bool any_member;
    bool cut; /* it ended within its compressed data */
    uint64_t consumed;
    uint8_t *input; /* [INPUT_BYTES]; [next, filled) waits to be used */
    size_t next, filled;
    z_stream gzip;
    bool gzip_ready;
    ZSTD_DStream *zstd;
};

uint64_t hn_bytes_consumed(const hn_bytes *bytes) { return bytes->consumed; }
bool hn_bytes_cut(const hn_bytes *bytes) { return bytes->cut; }

/* ---- What a file is -------------------------------------------------------------- */

static const struct {
    const char *magic;
    size_t n;
    const char *what, *mend;
} strangers[] = {
    {"PAR1", 4, "is a Parquet file",
     "pipe it through DuckDB (duckdb -c \"COPY (FROM 'x.parquet') TO '/dev/stdout' (HEADER)\" | …) "
     "and name `-` as the file"},
    {"\xff\xfe", 2, "is UTF-16 text", "convert it with `iconv -f UTF-16 -t UTF-8`"},
    {"\xfe\xff", 2, "is UTF-16 text", "convert it with `iconv -f UTF-16 -t UTF-8`"},
    {"PK\x03\x04", 4, "is a zip archive", "unpack it, or pack it with gzip or zstd"},
    {"\xfd"
     "7zXZ",
     5, "is compressed with xz", "unpack it, or pack it with gzip or zstd"},
    {"BZh", 3, "is compressed with bzip2", "unpack it, or pack it with gzip or zstd"},
    {"ARROW1", 6, "is an Arrow file", "write it as CSV"},
    {"Obj\x01", 4, "is an Avro file", "write it as CSV"},
};

static hn_status refuse_strangers(const hn_bytes *bytes, hn_error *err) {
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        if (bytes->filled < strangers[i].n ||
            memcmp(bytes->input, strangers[i].magic, strangers[i].n) != 0)
            continue;
        return hn_fail(err, HN_BAD_DATA,
                       "%s: %s; expected delimited text, plain or packed with gzip or zstd: %s",
                       bytes->name, strangers[i].what, strangers[i].mend);
    }
    return HN_OK;
}

static bool starts_gzip(const uint8_t *p, size_t n) {
    return n >= 2 && p[0] == 0x1f && p[1] == 0x8b;
}

/* A frame, or one of the frames to be skipped that parallel packers write first. */
static bool starts_zstd(const uint8_t *p, size_t n) {
    if (n < 4) return false;
    const bool skippable = (p[0] & 0xf0) == 0x50 && p[1] == 0x2a && p[2] == 0x4d && p[3] == 0x18;
    return skippable || (p[0] == 0x28 && p[1] == 0xb5 && p[2] == 0x2f && p[3] == 0xfd);
}

/* ---- Opening ----------------------------------------------------------------------- */

static voidpf zlib_alloc(voidpf user, uInt count, uInt size) {
    (void)user;
    return hn_alloc(count, size);
}
static void zlib_free(voidpf user, voidpf memory) {
    (void)user;
    hn_free(memory);
}

/* More of the file behind what waits already. */
static hn_status refill(hn_bytes *bytes, hn_error *err) {
    if (bytes->next == bytes->filled) bytes->next = bytes->filled = 0;
    size_t got;
    HN_TRY(hn_fd_read(&got, bytes->fd, bytes->input + bytes->filled, INPUT_BYTES - bytes->filled,
                      bytes->name, err));
    bytes->filled += got;
    bytes->consumed += got;
    bytes->ended = got == 0;
    return HN_OK;
}

static hn_status open_file(hn_bytes *bytes, const char *path, hn_error *err) {
    if (strcmp(path, "-") == 0) {
        bytes->fd = STDIN_FILENO;
        return HN_OK;
    }
    struct stat about;
    errno = EIO;
    bytes->fd = hn_fault_hit(HN_FAULT_READ) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (bytes->fd < 0)
        return hn_fail(err, errno == EIO ? HN_IO_FAILED : HN_NO_INPUT, "%s: cannot be opened: %s",
                       path, strerror(errno));
    if (fstat(bytes->fd, &about) == 0 && S_ISDIR(about.st_mode))
        return hn_fail(err, HN_NO_INPUT,
                       "%s: is a folder; a file was expected (write %s/*.csv for all in it)", path,
                       path);
    posix_fadvise(bytes->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return HN_OK;
}

static hn_status start_unpacking(hn_bytes *bytes, hn_error *err) {
    while (!bytes->ended && bytes->filled < MAGIC_BYTES) HN_TRY(refill(bytes, err));
    HN_TRY(refuse_strangers(bytes, err));
    if (starts_gzip(bytes->input, bytes->filled)) {
        bytes->kind = GZIP;
        bytes->gzip.zalloc = zlib_alloc;
        bytes->gzip.zfree = zlib_free;
        bytes->gzip_ready = inflateInit2(&bytes->gzip, 16 + MAX_WBITS) == Z_OK;
        if (!bytes->gzip_ready) return hn_no_memory(err, "reading gzip");
    } else if (starts_zstd(bytes->input, bytes->filled)) {
        bytes->kind = ZSTD;
        bytes->zstd = hn_fault_hit(HN_FAULT_ALLOC) ? NULL : ZSTD_createDStream();
        if (!bytes->zstd) return hn_no_memory(err, "reading zstd");
    }
    return HN_OK;
}

hn_status hn_bytes_open(hn_bytes **out, const char *path, hn_error *err) {
    *out = NULL;
    hn_bytes *const bytes = hn_alloc_zero(1, sizeof *bytes);
    if (!bytes) return hn_no_memory(err, path);
    bytes->fd = -1;
    bytes->name = hn_strdup(strcmp(path, "-") == 0 ? "standard input" : path);
    bytes->input = hn_alloc(INPUT_BYTES, 1);
    hn_status status = bytes->name && bytes->input ? HN_OK : hn_no_memory(err, path);
    if (status == HN_OK) status = open_file(bytes, path, err);
    if (status == HN_OK) status = start_unpacking(bytes, err);
    if (status != HN_OK) {
        hn_bytes_close(bytes);
        return status;
    }
    *out = bytes;
    return HN_OK;
}

void hn_bytes_close(hn_bytes *bytes) {
    if (!bytes) return;
    if (bytes->gzip_ready) inflateEnd(&bytes->gzip);
    ZSTD_freeDStream(bytes->zstd);
    if (bytes->fd > STDIN_FILENO) close(bytes->fd);
    hn_free(bytes->input);
    hn_free(bytes->name);
    hn_free(bytes);
}

/* ---- Reading ------------------------------------------------------------------------- */

static hn_status damaged(const hn_bytes *bytes, const char *kind, const char *why, hn_error *err) {
    return hn_fail(err, HN_BAD_DATA,
                   "%s: the %s data is damaged near byte %llu: %s; fetch or pack the file again",
                   bytes->name, kind,
                   (unsigned long long)(bytes->consumed - (bytes->filled - bytes->next)), why);
}

/* Some plain bytes; *got 0 when more of the file is needed, or at its end. */
static void pass_on(size_t *got, hn_bytes *bytes, uint8_t *to, size_t n) {
    const size_t waiting = bytes->filled - bytes->next;
    *got = waiting < n ? waiting : n;
    memcpy(to, bytes->input + bytes->next, *got);
    bytes->next += *got;
}

/* Between members: zeros are padding (tapes, tar), else another member must begin. */
static hn_status next_gzip_member(bool *begun, hn_bytes *bytes, hn_error *err) {
    *begun = false;
    while (bytes->next < bytes->filled && bytes->any_member && bytes->input[bytes->next] == 0)
        bytes->next++;
    size_t waiting = bytes->filled - bytes->next;
    if (waiting == 1 && !bytes->ended) { /* the magic's second byte is not here yet */
        bytes->input[0] = bytes->input[bytes->next];
        bytes->next = 0, bytes->filled = 1;
        HN_TRY(refill(bytes, err));
        waiting = bytes->filled;
    }
    if (waiting == 0) return HN_OK;
    if (!starts_gzip(bytes->input + bytes->next, waiting))
        return damaged(bytes, "gzip", "what follows a whole member is no gzip", err);
    inflateReset(&bytes->gzip);
    *begun = bytes->within = true;
    return HN_OK;
}

static hn_status inflate_some(size_t *got, hn_bytes *bytes, uint8_t *to, size_t n, hn_error *err) {
    *got = 0;
    if (!bytes->within) {
        bool begun;
        HN_TRY(next_gzip_member(&begun, bytes, err));
        if (!begun) return HN_OK;
    }
    z_stream *const z = &bytes->gzip;
    z->next_in = bytes->input + bytes->next;
    z->avail_in = (uInt)(bytes->filled - bytes->next);
    z->next_out = to;
    z->avail_out = n > INT_MAX ? INT_MAX : (uInt)n;
    const uInt room = z->avail_out;
    const int result = inflate(z, Z_NO_FLUSH);
    bytes->next = bytes->filled - z->avail_in;
    *got = room - z->avail_out;
    if (result == Z_STREAM_END) {
        bytes->within = false;
        bytes->any_member = true;
    } else if (result == Z_MEM_ERROR) {
        return hn_no_memory(err, "reading gzip");
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return damaged(bytes, "gzip", z->msg ? z->msg : "wrong content", err);
    }
    return HN_OK;
}

static hn_status unpack_zstd(size_t *got, hn_bytes *bytes, uint8_t *to, size_t n, hn_error *err) {
    ZSTD_inBuffer in = {bytes->input, bytes->filled, bytes->next};
    ZSTD_outBuffer out = {to, n, 0};
    *got = 0;
    if (in.pos == in.size && !bytes->within) return HN_OK;
    const size_t result = ZSTD_decompressStream(bytes->zstd, &out, &in);
    bytes->next = in.pos;
    *got = out.pos;
    if (ZSTD_isError(result)) return damaged(bytes, "zstd", ZSTD_getErrorName(result), err);
    bytes->within = result != 0;
    return HN_OK;
}

static hn_status read_some(size_t *got, hn_bytes *bytes, uint8_t *to, size_t n, hn_error *err) {
    switch (bytes->kind) {
    case GZIP: return inflate_some(got, bytes, to, n, err);
    case ZSTD: return unpack_zstd(got, bytes, to, n, err);
    case PLAIN: break;
    }
    pass_on(got, bytes, to, n);
    return HN_OK;
}

/* Large plain reads skip the input buffer. */
static hn_status read_directly(size_t *got, hn_bytes *bytes, uint8_t *to, size_t n, hn_error *err) {
    HN_TRY(hn_fd_read(got, bytes->fd, to, n, bytes->name, err));
    bytes->consumed += *got;
    bytes->ended = *got == 0;
    return HN_OK;
}

hn_status hn_bytes_read(size_t *got, hn_bytes *bytes, void *to, size_t n, hn_error *err) {
    uint8_t *const begin = to;
    *got = 0;
    while (*got < n) {
        size_t some;
        HN_TRY(read_some(&some, bytes, begin + *got, n - *got, err));
        *got += some;
        if (some > 0 || bytes->next < bytes->filled) continue;
        if (bytes->ended) break;
        if (bytes->kind != PLAIN) {
            HN_TRY(refill(bytes, err));
        } else {
            HN_TRY(read_directly(&some, bytes, begin + *got, n - *got, err));
            *got += some;
        }
    }
    bytes->cut = *got < n && bytes->within;
    if (bytes->cut)
        return hn_fail(err, HN_BAD_DATA,
                       "%s: is cut short: the file ends within its %s data; fetch it again",
                       bytes->name, bytes->kind == GZIP ? "gzip" : "zstd");
    return HN_OK;
}
