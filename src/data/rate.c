/* Rates: the formula, folds, keys and the look-up in fitted tables. The fit is in
 * rate_fit.c. */
#include "data/rate.h"

#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"
#include "base/rng.h"
#include "data/scale.h"

enum { MOST_BITS = 28, KEYS_PER_START = 4 };

void hn_rate_totals_free(hn_rate_totals *totals) {
    hn_free(totals->keys);
    hn_free(totals->counts);
    hn_free(totals->start);
    memset(totals, 0, sizeof *totals);
}

/* With no bits at all a shift by 64 would be undefined. */
static uint64_t top_bits(uint64_t key, int bits) { return bits ? key >> (64 - bits) : 0; }

hn_status hn_rate_totals_index(hn_rate_totals *totals, const char *what, hn_error *err) {
    int bits = 0;
    while (bits < MOST_BITS && ((uint64_t)KEYS_PER_START << bits) < totals->n) bits++;
    const uint64_t starts = ((uint64_t)1 << bits) + 1;
    uint64_t *const start = hn_alloc_zero(starts, sizeof *start);
    if (!start) return hn_no_memory(err, what);
    for (uint64_t i = 0; i < totals->n; i++) {
        if (i > 0 && totals->keys[i] <= totals->keys[i - 1]) {
            hn_free(start);
            return hn_fail(err, HN_BAD_DATA, "%s: its keys are not in order; the file is damaged",
                           what);
        }
        start[top_bits(totals->keys[i], bits) + 1]++;
    }
    for (uint64_t s = 1; s < starts; s++) start[s] += start[s - 1];
    hn_free(totals->start);
    totals->start = start;
    totals->bits = bits;
    return HN_OK;
}

static int64_t bisect(const uint64_t *sorted, uint64_t begin, uint64_t end, uint64_t wanted) {
    while (begin < end) {
        const uint64_t middle = begin + (end - begin) / 2;
        if (sorted[middle] == wanted) return (int64_t)middle;
        if (sorted[middle] < wanted)
            begin = middle + 1;
        else
            end = middle;
    }
    return -1;
}

int64_t hn_rate_totals_find(const hn_rate_totals *totals, uint64_t key) {
    if (totals->n == 0) return -1;
    const uint64_t top = top_bits(key, totals->bits);
    return bisect(totals->keys, totals->start[top], totals->start[top + 1], key);
}

void hn_rate_folds_free(hn_rate_folds *folds) {
    hn_free(folds->begin);
    if (folds->mapped) {
        munmap(folds->mapped, folds->mapped_bytes);
    } else {
        hn_free((void *)(uintptr_t)folds->folds);
        hn_free((void *)(uintptr_t)folds->others);
    }
    memset(folds, 0, sizeof *folds);
}

const uint32_t *hn_rate_others_find(const hn_rate_folds *folds, int32_t width, uint64_t position,
                                    uint64_t fold) {
    const int64_t at =
        bisect(folds->folds, folds->begin[position], folds->begin[position + 1], fold);
    return at < 0 ? NULL : folds->others + (size_t)at * (size_t)width;
}

/* The fold's randomness has no seed of its own: it must be the same in every preparation. */
uint64_t hn_rate_fold_of_ordinal(uint64_t ordinal, int32_t folds) {
    return hn_random(0, HN_STREAM_FOLD, ordinal) % (uint64_t)folds;
}

uint64_t hn_rate_fold_of_number(double x) {
    return isnan(x) ? HN_RATE_FOLD_UNKNOWN : hn_number_order(x);
}

uint64_t hn_rate_key_add(uint64_t key, uint64_t hash) {
    return hn_mix64(key * 0xd1342543de82ef95u ^ hash);
}

double hn_rate_value(const uint32_t *counts, int32_t task, double smoothing, double base) {
    const double labelled = counts ? counts[1 + 2 * task] : 0;
    const double positives = counts ? counts[2 + 2 * task] : 0;
    const double weight = labelled + smoothing;
    return weight > 0 ? (positives + smoothing * base) / weight : base;
}
