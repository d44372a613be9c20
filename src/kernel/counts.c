/* Choosing row counts for a product; see counts.h. */
#include "kernel/counts.h"

#include <string.h>

/* Fills padded[1…] with counts of these bits; how many rows that computes in all, or
 * INT64_MAX where some m has no count near enough. */
static int64_t pad_with(const hn_count *counts, int32_t n, uint64_t bits, uint8_t *padded) {
    int64_t cost = 0;
    for (int32_t m = 1, i = 0; m <= HN_TILE_ROWS; m++) {
        while (i < n && (counts[i].rows < m || !counts[i].steady || counts[i].bits != bits)) i++;
        if (i == n || counts[i].rows - m > HN_TILE_SLACK) return INT64_MAX;
        padded[m] = (uint8_t)counts[i].rows;
        cost += counts[i].rows;
    }
    return cost;
}

bool hn_counts_choose(const hn_count *counts, int32_t n, uint64_t preferred,
                      uint8_t padded[HN_TILE_ROWS + 1], uint64_t *bits) {
    memset(padded, 0, HN_TILE_ROWS + 1);
    *bits = preferred;
    if (pad_with(counts, n, preferred, padded) != INT64_MAX) return true;
    int64_t least = INT64_MAX;
    for (int32_t i = 0; i < n; i++) {
        const int64_t cost = pad_with(counts, n, counts[i].bits, padded);
        if (cost >= least) continue;
        least = cost;
        *bits = counts[i].bits;
    }
    if (pad_with(counts, n, *bits, padded) != INT64_MAX) return true;
    memset(padded, 0, HN_TILE_ROWS + 1);
    return false;
}
