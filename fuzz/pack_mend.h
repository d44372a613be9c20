/* Makes the checksums of a damaged pack right again, as far as its directory can be read:
 * a fuzzer that had to find them itself would never come behind them. For packs in
 * memory; layout as in base/pack.h. */
#ifndef HN_FUZZ_PACK_MEND_H
#define HN_FUZZ_PACK_MEND_H

#include <stdint.h>
#include <string.h>
#include <xxhash.h>

static inline uint64_t mend_get(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}
static inline void mend_put(uint8_t *at, uint64_t value) { memcpy(at, &value, sizeof value); }

static inline void mend_directory(uint8_t *bytes, uint64_t n, uint64_t begin) {
    for (uint64_t at = begin; at + 4 <= n;) {
        const uint64_t name = (uint64_t)bytes[at] | (uint64_t)bytes[at + 1] << 8,
                       dims = bytes[at + 3];
        const uint64_t fields = at + 4 + 8 * dims;
        if (fields + 24 + name > n) return;
        const uint64_t offset = mend_get(bytes + fields), length = mend_get(bytes + fields + 8);
        if (offset <= n && length <= n - offset)
            mend_put(bytes + fields + 16, XXH3_64bits(bytes + offset, length));
        at = fields + 24 + name;
    }
}

static inline void mend_pack(uint8_t *bytes, uint64_t n) {
    if (n < 64) return;
    const uint64_t directory = mend_get(bytes + 16);
    mend_put(bytes + 40, n);
    if (directory <= n) {
        mend_put(bytes + 24, n - directory);
        mend_directory(bytes, n, directory);
        mend_put(bytes + 32, XXH3_64bits(bytes + directory, n - directory));
    }
    mend_put(bytes + 48, XXH3_64bits(bytes, 48));
}

#endif
