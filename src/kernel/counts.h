/* Of the row counts that were tried for a product (kernel/probe.c), which to use. */
#ifndef HN_KERNEL_COUNTS_H
#define HN_KERNEL_COUNTS_H

#include "kernel/kernel.h"

/* A row count and what it does: `steady` when all rows came out the same in all trials, and
 * `bits`, a hash of what came out. */
typedef struct hn_count {
    int32_t rows;
    bool steady;
    uint64_t bits;
} hn_count;

/* Chooses steady counts that all have the same bits and reach every m within
 * HN_TILE_SLACK, and maps m = 1…HN_TILE_ROWS to the smallest that holds it. Prefers those
 * with the bits `preferred`, else those that compute the fewest rows. `counts` ascend.
 * false: nothing will do, and padded is all 0. */
bool hn_counts_choose(const hn_count *counts, int32_t n, uint64_t preferred,
                      uint8_t padded[HN_TILE_ROWS + 1], uint64_t *bits);

#endif
