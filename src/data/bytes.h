/* Plain bytes from a file or from standard input: what is compressed (gzip, zstd; known by
 * content, members one after another) is inflated on the way. One pass, no seeking. What
 * the bytes mean is csv.h's part. */
#ifndef HN_DATA_BYTES_H
#define HN_DATA_BYTES_H

#include "base/error.h"

typedef struct hn_bytes hn_bytes;

/* `path` "-": standard input. A file of a kind that can be told and not be read (Parquet,
 * UTF-16, other compressions) is HN_BAD_DATA that says how to convert it. */
hn_status hn_bytes_open(hn_bytes **out, const char *path, hn_error *err);
/* Fills `to` up to `n` bytes; fewer only at the end. */
hn_status hn_bytes_read(size_t *got, hn_bytes *bytes, void *to, size_t n, hn_error *err);
/* After a read that failed: the file ended within its compressed data, and what stands before
 * that was read (`*got` bytes of it by this call). */
bool hn_bytes_cut(const hn_bytes *bytes);
/* Bytes of the file itself read so far: for progress. */
uint64_t hn_bytes_consumed(const hn_bytes *bytes);
void hn_bytes_close(hn_bytes *bytes);

#endif
