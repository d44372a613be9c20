/* The fit of a rate feature: one walk over the (key, fold) tally sums the totals of each
 * key, a second one writes what the rows of each (key, fold) see. Both walks are in sorted
 * order, so neither holds more than a key at a time besides its result. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/budget.h"
#include "data/rate.h"

/* ---- Totals ---------------------------------------------------------------------- */

static hn_status count_keys(uint64_t *keys, uint64_t *pairs, hn_tally *tally, hn_error *err) {
    *keys = *pairs = 0;
    uint64_t last = 0;
    HN_TRY(hn_tally_finish(tally, true, err));
    for (;;) {
        const hn_tally_entry *entry;
        HN_TRY(hn_tally_next(&entry, tally, err));
        if (!entry) return HN_OK;
        *keys += *pairs == 0 || entry->key != last;
        *pairs += 1;
        last = entry->key;
    }
}

static hn_status add_counts(uint32_t *counts, const hn_tally_entry *entry, int32_t width,
                            const char *name, hn_error *err) {
    for (int32_t i = 0; i < width; i++) {
        const uint64_t sum = counts[i] + entry->counts[i];
        if (sum > UINT32_MAX)
            return hn_fail(
                err, HN_BAD_DATA,
                "feature \"%s\": more than %u rows have the same key; make the key finer", name,
                UINT32_MAX);
        counts[i] = (uint32_t)sum;
    }
    return HN_OK;
}

static hn_status sum_totals(hn_rate_totals *totals, uint64_t *begin, hn_tally *tally,
                            const hn_rate_fit_options *options, hn_error *err) {
    HN_TRY(hn_tally_finish(tally, true, err));
    uint64_t n = 0, pairs = 0;
    for (;; pairs++) {
        const hn_tally_entry *entry;
        HN_TRY(hn_tally_next(&entry, tally, err));
        if (!entry) break;
        if (n == 0 || entry->key != totals->keys[n - 1]) {
            begin[n] = pairs;
            totals->keys[n++] = entry->key;
        }
        uint32_t *const counts = totals->counts + (n - 1) * (uint64_t)options->width;
        HN_TRY(add_counts(counts, entry, options->width, options->name, err));
    }
    begin[n] = pairs;
    return HN_OK;
}

/* ---- What training rows see ------------------------------------------------------ */

/* One fold after another of each key; `before` sums the folds passed of the current key. */
static void see_others(uint32_t *others, uint32_t *before, const uint32_t *totals,
                       const hn_tally_entry *entry, const hn_rate_fit_options *options) {
    for (int32_t i = 0; i < options->width; i++) {
        const uint32_t own = (uint32_t)entry->counts[i];
        if (!options->past)
            others[i] = totals[i] - own;
        else
            others[i] = entry->sub == HN_RATE_FOLD_UNKNOWN ? 0 : before[i];
        before[i] += own;
    }
}

typedef struct pair_writer {
    uint64_t *folds;
    uint32_t *others;
} pair_writer;

static hn_status write_pairs(const pair_writer *to, const hn_rate_totals *totals, hn_tally *tally,
                             const hn_rate_fit_options *options, hn_error *err) {
    const size_t width = (size_t)options->width;
    uint32_t *const before = hn_alloc_zero(width, sizeof *before);
    if (!before) return hn_no_memory(err, "rates");
    hn_status status = hn_tally_finish(tally, true, err);
    uint64_t key = 0; /* position */
    for (uint64_t pair = 0; status == HN_OK; pair++) {
        const hn_tally_entry *entry = NULL;
        status = hn_tally_next(&entry, tally, err);
        if (!entry) break;
        if (pair > 0 && entry->key != totals->keys[key]) {
            key++;
            memset(before, 0, width * sizeof *before);
        }
        to->folds[pair] = entry->sub;
        see_others(to->others + pair * width, before, totals->counts + key * width, entry, options);
    }
    hn_free(before);
    return status;
}

static hn_status pairs_in_memory(hn_rate_folds *folds, const hn_rate_totals *totals,
                                 hn_tally *tally, const hn_rate_fit_options *options,
                                 hn_error *err) {
    uint64_t *const numbers = hn_alloc(folds->n, sizeof *numbers);
    uint32_t *const others = hn_alloc(folds->n, (size_t)options->width * sizeof *others);
    folds->folds = numbers, folds->others = others;
    if (!numbers || !others) return hn_no_memory(err, "rates by fold");
    return write_pairs(&(pair_writer){numbers, others}, totals, tally, options, err);
}

/* A shared mapping of an unnamed file: the kernel writes it out when memory is short. The
 * blocks are asked for first, since a full disk would otherwise be a signal, not an error. */
static hn_status pairs_in_file(hn_rate_folds *folds, const hn_rate_totals *totals, hn_tally *tally,
                               const hn_rate_fit_options *options, hn_error *err) {
    int fd;
    const size_t bytes = folds->n * (8 + 4 * (size_t)options->width);
    HN_TRY(hn_temp_open(&fd, options->dir, err));
    void *const mapped = posix_fallocate(fd, 0, (off_t)bytes) == 0
                             ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                             : MAP_FAILED;
    close(fd);
    if (mapped == MAP_FAILED)
        return hn_fail(err, HN_IO_FAILED,
                       "%s: no room for %zu bytes of rates by fold; free some disk", options->dir,
                       bytes);
    folds->mapped = mapped, folds->mapped_bytes = bytes;
    uint64_t *const numbers = mapped;
    uint32_t *const others = (uint32_t *)(numbers + folds->n);
    folds->folds = numbers, folds->others = others;
    return write_pairs(&(pair_writer){numbers, others}, totals, tally, options, err);
}

static hn_status fit(hn_rate_totals *totals, hn_rate_folds *folds, hn_tally *tally,
                     const hn_rate_fit_options *options, hn_error *err) {
    uint64_t keys, pairs;
    const uint64_t width = (uint64_t)options->width;
    HN_TRY(count_keys(&keys, &pairs, tally, err));
    char what[200];
    snprintf(what, sizeof what, "rate feature \"%s\" (%llu keys)", options->name,
             (unsigned long long)keys);
    HN_TRY(hn_budget_need(options->run, keys * (8 + 4 * width + 2 * 8), what, err));
    totals->width = options->width;
    totals->n = keys;
    totals->keys = hn_alloc_zero(keys, sizeof *totals->keys);
    totals->counts = hn_alloc_zero(keys, width * sizeof *totals->counts);
    folds->begin = hn_alloc_zero(keys + 1, sizeof *folds->begin);
    folds->n = pairs;
    if (!totals->keys || !totals->counts || !folds->begin) return hn_no_memory(err, options->name);
    HN_TRY(sum_totals(totals, folds->begin, tally, options, err));
    HN_TRY(hn_rate_totals_index(totals, options->name, err));
    if (pairs == 0) return HN_OK;
    /* Only a part of what is left: encoding needs memory too. */
    const bool fits = pairs * (8 + 4 * width) <= (uint64_t)hn_budget_left(options->run) / 4;
    return fits ? pairs_in_memory(folds, totals, tally, options, err)
                : pairs_in_file(folds, totals, tally, options, err);
}

hn_status hn_rate_fit(hn_rate_totals *totals, hn_rate_folds *folds, hn_tally *tally,
                      const hn_rate_fit_options *options, hn_error *err) {
    memset(totals, 0, sizeof *totals);
    memset(folds, 0, sizeof *folds);
    const hn_status status = fit(totals, folds, tally, options, err);
    if (status != HN_OK) {
        hn_rate_totals_free(totals);
        hn_rate_folds_free(folds);
    }
    return status;
}
