/* Duplicates by sorting (identity, row) records, or by a hash set while streaming. */
#include "data/duplicates.h"

#include <string.h>

#include "base/memory.h"
#include "base/sort.h"
#include "data/budget.h"

typedef struct identity_row {
    uint64_t identity[2], row;
} identity_row;

struct hn_duplicates {
    hn_sorter *sorter;
    uint64_t rows;
};

static bool same(const uint64_t *a, const uint64_t *b) { return a[0] == b[0] && a[1] == b[1]; }

static int by_identity(const void *a, const void *b) {
    const identity_row *const x = a, *const y = b;
    if (x->identity[0] != y->identity[0]) return x->identity[0] < y->identity[0] ? -1 : 1;
    if (x->identity[1] != y->identity[1]) return x->identity[1] < y->identity[1] ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

hn_status hn_duplicates_create(hn_duplicates **out, int64_t budget_bytes, const char *dir,
                               hn_error *err) {
    *out = NULL;
    hn_duplicates *const duplicates = hn_alloc_zero(1, sizeof *duplicates);
    if (!duplicates) return hn_no_memory(err, "duplicates");
    const hn_status status = hn_sorter_create(&duplicates->sorter, sizeof(identity_row),
                                              by_identity, budget_bytes, dir, err);
    if (status != HN_OK) {
        hn_free(duplicates);
        return status;
    }
    *out = duplicates;
    return HN_OK;
}

void hn_duplicates_free(hn_duplicates *duplicates) {
    if (!duplicates) return;
    hn_sorter_free(duplicates->sorter);
    hn_free(duplicates);
}

hn_status hn_duplicates_add(hn_duplicates *duplicates, const uint64_t *identity, int32_t rows,
                            hn_error *err) {
    enum { BATCH = 256 };
    identity_row batch[BATCH];
    for (int32_t i = 0; i < rows; i += BATCH) {
        const int32_t n = rows - i < BATCH ? rows - i : BATCH;
        for (int32_t j = 0; j < n; j++)
            batch[j] = (identity_row){{identity[2 * (i + j)], identity[2 * (i + j) + 1]},
                                      duplicates->rows++};
        HN_TRY(hn_sorter_add(duplicates->sorter, batch, (size_t)n, err));
    }
    return HN_OK;
}

static hn_status mark(uint64_t *bits, uint64_t *n, hn_duplicates *duplicates, hn_error *err) {
    uint64_t last[2] = {0, 0};
    HN_TRY(hn_sorter_finish(duplicates->sorter, err));
    for (bool first = true;; first = false) {
        const void *record;
        HN_TRY(hn_sorter_next(&record, duplicates->sorter, err));
        if (!record) return HN_OK;
        const identity_row *const row = record;
        if (!first && same(row->identity, last)) {
            bits[row->row / 64] |= (uint64_t)1 << row->row % 64;
            ++*n;
        }
        memcpy(last, row->identity, sizeof last);
    }
}

hn_status hn_duplicates_find(uint64_t **bits, uint64_t *n, hn_duplicates *duplicates,
                             const hn_run *run, hn_error *err) {
    *bits = NULL, *n = 0;
    const uint64_t words = duplicates->rows / 64 + 1;
    HN_TRY(hn_budget_need(run, words * 8, "the duplicates of the log", err));
    uint64_t *marks = hn_alloc_zero(words, sizeof *marks);
    if (!marks) return hn_no_memory(err, "the duplicates of the log");
    const hn_status status = mark(marks, n, duplicates, err);
    if (status != HN_OK || *n == 0) {
        hn_free(marks);
        marks = NULL;
    }
    *bits = marks;
    return status;
}

/* ---- Streaming ----------------------------------------------------------------------------- */

void hn_seen_free(hn_seen *seen) {
    hn_free(seen->slots);
    memset(seen, 0, sizeof *seen);
}

/* The slot of an identity, or the free one where it belongs. */
static uint64_t *slot_of(uint64_t *slots, uint64_t capacity, const uint64_t identity[2]) {
    uint64_t at = identity[0] & (capacity - 1);
    while ((slots[2 * at] | slots[2 * at + 1]) != 0 && !same(slots + 2 * at, identity))
        at = (at + 1) & (capacity - 1);
    return slots + 2 * at;
}

static hn_status grow(hn_seen *seen, const hn_run *run, hn_error *err) {
    const uint64_t capacity = seen->capacity ? seen->capacity * 2 : 1024;
    HN_TRY(hn_budget_need(run, capacity * 16, "dropping duplicates while streaming", err));
    uint64_t *const slots = hn_alloc_zero(capacity, 16);
    if (!slots) return hn_no_memory(err, "duplicates");
    for (uint64_t i = 0; i < seen->capacity; i++) {
        const uint64_t *const identity = seen->slots + 2 * i;
        if ((identity[0] | identity[1]) != 0)
            memcpy(slot_of(slots, capacity, identity), identity, 16);
    }
    hn_free(seen->slots);
    seen->slots = slots;
    seen->capacity = capacity;
    return HN_OK;
}

hn_status hn_seen_add(bool *again, hn_seen *seen, const uint64_t identity[2], const hn_run *run,
                      hn_error *err) {
    if ((identity[0] | identity[1]) == 0) {
        *again = seen->zero;
        seen->zero = true;
        return HN_OK;
    }
    if (seen->n * 3 >= seen->capacity * 2) HN_TRY(grow(seen, run, err));
    uint64_t *const slot = slot_of(seen->slots, seen->capacity, identity);
    *again = same(slot, identity);
    if (!*again) {
        memcpy(slot, identity, 16);
        seen->n++;
    }
    return HN_OK;
}
