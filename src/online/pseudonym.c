/* SipHash-2-4-128, and its use on users' names (pseudonym.h). */
#include "online/pseudonym.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

typedef struct sip {
    uint64_t v[4];
} sip;

static uint64_t turn(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

static uint64_t read_word(const uint8_t *bytes, size_t n) {
    uint64_t word = 0;
    for (size_t i = 0; i < n; i++) word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

static void rounds(sip *s, int n) {
    uint64_t *const v = s->v;
    for (int i = 0; i < n; i++) {
        v[0] += v[1], v[1] = turn(v[1], 13) ^ v[0], v[0] = turn(v[0], 32);
        v[2] += v[3], v[3] = turn(v[3], 16) ^ v[2];
        v[0] += v[3], v[3] = turn(v[3], 21) ^ v[0];
        v[2] += v[1], v[1] = turn(v[1], 17) ^ v[2], v[2] = turn(v[2], 32);
    }
}

static void absorb(sip *s, uint64_t word) {
    s->v[3] ^= word;
    rounds(s, 2);
    s->v[0] ^= word;
}

static void squeeze(uint8_t out[8], sip *s, uint64_t *where, uint64_t mark) {
    *where ^= mark;
    rounds(s, 4);
    const uint64_t word = s->v[0] ^ s->v[1] ^ s->v[2] ^ s->v[3];
    for (int i = 0; i < 8; i++) out[i] = (uint8_t)(word >> (8 * i));
}

void hn_siphash(uint8_t out[HN_SIPHASH_BYTES], const uint8_t key[HN_SIPHASH_KEY_BYTES],
                const void *bytes, size_t n) {
    const uint8_t *const text = bytes;
    const uint64_t k0 = read_word(key, 8), k1 = read_word(key + 8, 8);
    sip s = {{k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
              k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)}};
    size_t at = 0;
    for (; at + 8 <= n; at += 8) absorb(&s, read_word(text + at, 8));
    absorb(&s, (at < n ? read_word(text + at, n - at) : 0) | (uint64_t)(n & 0xff) << 56);
    squeeze(out, &s, &s.v[2], 0xee);
    squeeze(out + 8, &s, &s.v[1], 0xdd);
}

void hn_pseudonym(char out[HN_PSEUDONYM_BYTES + 1], const char *secret, size_t secret_bytes,
                  const char *name, size_t name_bytes) {
    XXH128_canonical_t key;
    uint8_t hash[HN_SIPHASH_BYTES];
    XXH128_canonicalFromHash(&key, XXH3_128bits(secret, secret_bytes));
    hn_siphash(hash, key.digest, name, name_bytes);
    for (int i = 0; i < HN_SIPHASH_BYTES; i++) snprintf(out + 2 * i, 3, "%02x", hash[i]);
}
