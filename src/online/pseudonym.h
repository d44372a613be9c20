/* Users' names in logs: a keyed hash, so that a line says which lines are of one user and not,
 * without the key, who that is. */
#ifndef HN_ONLINE_PSEUDONYM_H
#define HN_ONLINE_PSEUDONYM_H

#include <stddef.h>
#include <stdint.h>

enum { HN_PSEUDONYM_BYTES = 32, HN_SIPHASH_KEY_BYTES = 16, HN_SIPHASH_BYTES = 16 };

/* SipHash-2-4 with 128 bits of output (Aumasson and Bernstein). */
void hn_siphash(uint8_t out[HN_SIPHASH_BYTES], const uint8_t key[HN_SIPHASH_KEY_BYTES],
                const void *bytes, size_t n);
/* That in hex, with a 0 at its end; the key is the XXH3-128 of the secret (in its canonical form,
 * seed 0). */
void hn_pseudonym(char out[HN_PSEUDONYM_BYTES + 1], const char *secret, size_t secret_bytes,
                  const char *name, size_t name_bytes);

#endif
