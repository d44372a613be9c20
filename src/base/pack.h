/* A pack: one file of named, checksummed sections. Bundles, datasets and checkpoints
 * are packs. Layout, little-endian, every section at a multiple of 64 bytes:
 *
 *   0    magic[8]        "HNPACK\r\n"
 *   8    u32 version     1
 *   12   char kind[4]    "BNDL", "DATA", "CKPT"
 *   16   u64 directory_offset
 *   24   u64 directory_bytes
 *   32   u64 directory_xxh3
 *   40   u64 file_bytes
 *   48   u64 header_xxh3   of bytes 0…47
 *   56   u8  zero[8]
 *   64   sections …
 *   directory: for each section, in name order
 *        u16 name_bytes, u8 type (hn_pack_type), u8 dims, u64 dim[dims],
 *        u64 offset, u64 bytes, u64 xxh3, name
 *
 * Sections and directory follow each other without a gap but the zeros up to the next
 * multiple of 64, and the directory ends the file: every byte is under some check.
 *
 * A reader believes nothing before the header's and the directory's checksums, and no
 * section before its own. */
#ifndef HN_BASE_PACK_H
#define HN_BASE_PACK_H

#include "base/file.h"

typedef enum hn_pack_type {
    HN_PACK_BYTES,
    HN_PACK_U8,
    HN_PACK_U16,
    HN_PACK_U32,
    HN_PACK_U64,
    HN_PACK_I32,
    HN_PACK_I64,
    HN_PACK_F32,
    HN_PACK_F64
} hn_pack_type;
size_t hn_pack_type_bytes(hn_pack_type type);

enum { HN_PACK_DIMS = 4 };
typedef struct hn_section {
    const char *name;
    hn_pack_type type;
    int32_t dims;
    uint64_t dim[HN_PACK_DIMS];
    const void *bytes; /* in the map, 64-byte aligned */
    uint64_t n_bytes;
} hn_section;

typedef struct hn_pack hn_pack;
/* Maps and checks header and directory. Sections are verified when first asked for. */
hn_status hn_pack_open(hn_pack **out, const char *path, const char kind[4], hn_error *err);
void hn_pack_close(hn_pack *pack);
const char *hn_pack_path(const hn_pack *pack);
size_t hn_pack_sections(const hn_pack *pack);
const hn_section *hn_pack_section(const hn_pack *pack, size_t i);
/* The section of that name with its checksum verified (once); HN_BAD_DATA when absent,
 * of another type, or damaged. Not thread-safe on one pack; what it gave may be read by
 * any thread until the pack is closed. */
hn_status hn_pack_find(const hn_section **out, hn_pack *pack, const char *name, hn_pack_type type,
                       hn_error *err);
bool hn_pack_has(const hn_pack *pack, const char *name);

/* Writing: sections one after another, whole or streamed, then commit (atomic). */
typedef struct hn_packer hn_packer;
hn_status hn_packer_open(hn_packer **out, const char *path, const char kind[4], hn_error *err);
void hn_packer_add(hn_packer *packer, const char *name, hn_pack_type type, int32_t dims,
                   const uint64_t *dim, const void *bytes);
void hn_packer_add_text(hn_packer *packer, const char *name, const char *text);
/* Streaming: begin, append…, end (dim[0] of a 1-d section follows from the bytes). */
void hn_packer_begin(hn_packer *packer, const char *name, hn_pack_type type);
void hn_packer_append(hn_packer *packer, const void *bytes, size_t n);
void hn_packer_end(hn_packer *packer);
hn_status hn_packer_commit(hn_packer *packer, hn_error *err);
void hn_packer_abandon(hn_packer *packer);

#endif
