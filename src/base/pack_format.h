/* What the reader and the writer of packs share: the places of the header's fields, as
 * drawn in pack.h. Private to these two files. */
#ifndef HN_BASE_PACK_FORMAT_H
#define HN_BASE_PACK_FORMAT_H

#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "packs are little-endian and are read in place; this machine is not"
#endif

enum {
    PACK_MAGIC_BYTES = 8,
    PACK_AT_VERSION = 8,
    PACK_AT_KIND = 12,
    PACK_AT_DIRECTORY_OFFSET = 16,
    PACK_AT_DIRECTORY_BYTES = 24,
    PACK_AT_DIRECTORY_XXH3 = 32,
    PACK_AT_FILE_BYTES = 40,
    PACK_AT_HEADER_XXH3 = 48, /* of the bytes before it */
    PACK_AT_ZERO = 56,
    PACK_HEADER_BYTES = 64,
    PACK_ALIGN = 64,
    PACK_VERSION = 1,
    PACK_NAME_MAX = 1000
};
#define PACK_MAGIC "HNPACK\r\n"

static inline uint64_t pack_align(uint64_t offset) {
    return (offset + PACK_ALIGN - 1) / PACK_ALIGN * PACK_ALIGN;
}

#endif
