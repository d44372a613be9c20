/* Sorting a tally's entries in place: byte by byte from the highest of the key down, then
 * the sub-key's. It takes no memory beside the entries, which is what they may take. */
#include "data/tally_sort.h"

enum { INSERTION = 24, KEY_BYTES = 16, BYTE_VALUES = 256 };

static void swap(uint64_t *a, uint64_t *b, size_t words) {
    for (size_t i = 0; i < words; i++) {
        const uint64_t kept = a[i];
        a[i] = b[i], b[i] = kept;
    }
}

static bool less(const uint64_t *a, const uint64_t *b) {
    return a[0] != b[0] ? a[0] < b[0] : a[1] < b[1];
}

static void insertion_sort(uint64_t *entries, size_t n, size_t words) {
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && less(entries + j * words, entries + (j - 1) * words); j--)
            swap(entries + j * words, entries + (j - 1) * words, words);
}

static unsigned byte_of(const uint64_t *entry, int byte) {
    return (unsigned)(entry[byte / 8] >> (56 - byte % 8 * 8)) & 0xff;
}

/* Puts every entry into the run of its byte's value; end[v] is where run v ends. */
static void deal(size_t end[BYTE_VALUES], uint64_t *entries, size_t n, size_t words, int byte) {
    size_t at[BYTE_VALUES] = {0};
    for (size_t i = 0; i < n; i++) at[byte_of(entries + i * words, byte)]++;
    for (size_t v = 0, sum = 0; v < BYTE_VALUES; v++) {
        const size_t count = at[v];
        at[v] = sum;
        sum += count;
        end[v] = sum;
    }
    for (size_t v = 0; v < BYTE_VALUES; v++)
        while (at[v] < end[v]) {
            uint64_t *const entry = entries + at[v] * words;
            const unsigned belongs = byte_of(entry, byte);
            if (belongs == v)
                at[v]++;
            else
                swap(entry, entries + at[belongs]++ * words, words);
        }
}

static void sort_from(uint64_t *entries, size_t n, size_t words, int byte) {
    size_t end[BYTE_VALUES];
    if (n <= INSERTION) {
        insertion_sort(entries, n, words);
        return;
    }
    if (byte == KEY_BYTES) return; /* equal, which a tally has none of */
    deal(end, entries, n, words, byte);
    for (size_t v = 0, begin = 0; v < BYTE_VALUES; begin = end[v++])
        if (end[v] - begin > 1) sort_from(entries + begin * words, end[v] - begin, words, byte + 1);
}

void hn_tally_sort(uint64_t *entries, size_t n, size_t words) { sort_from(entries, n, words, 0); }
