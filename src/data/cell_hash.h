/* hn_cell_hash for the hot loop, inlined: short cells cost less than a call. */
#ifndef HN_DATA_CELL_HASH_H
#define HN_DATA_CELL_HASH_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "data/digest.h"

static inline uint64_t hn_cell_hash_inline(const char *text, size_t n) {
    const uint64_t hash = XXH3_64bits(text, n);
    return hash != HN_HASH_MISSING ? hash : 1;
}

#endif
