/* Exact AUC of true probabilities, in one walk over sorted records. Counts are integers
 * (128 bits for the pairs), so nothing is rounded before the last division. */
#include "simulate/bayes.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/sort.h"

struct hn_bayes {
    hn_sorter *sorter;
};

static int compare(const void *a, const void *b) {
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

hn_status hn_bayes_create(hn_bayes **out, int64_t budget_bytes, const char *dir, hn_error *err) {
    *out = NULL;
    hn_bayes *const bayes = hn_alloc_zero(1, sizeof *bayes);
    if (!bayes) return hn_no_memory(err, "the Bayes-optimal AUC");
    const hn_status status =
        hn_sorter_create(&bayes->sorter, sizeof(uint64_t), compare, budget_bytes, dir, err);
    if (status != HN_OK) {
        hn_bayes_free(bayes);
        return status;
    }
    *out = bayes;
    return HN_OK;
}

hn_status hn_bayes_add(hn_bayes *bayes, const uint64_t *records, size_t n, hn_error *err) {
    return hn_sorter_add(bayes->sorter, records, n, err);
}

/* A cell's walk upwards in probability. Pairs (positive above negative) count 2, ties 1. */
typedef struct walk {
    uint64_t positives, negatives; /* of lower probability */
    uint64_t tied_positives, tied_negatives;
    unsigned __int128 double_pairs;
} walk;

static void end_tie(walk *w) {
    w->double_pairs +=
        (unsigned __int128)w->tied_positives * (2 * w->negatives + w->tied_negatives);
    w->positives += w->tied_positives;
    w->negatives += w->tied_negatives;
    w->tied_positives = w->tied_negatives = 0;
}

static void end_cell(hn_bayes_cell *out, walk *w) {
    end_tie(w);
    const double pairs = (double)w->positives * (double)w->negatives;
    out->rows = w->positives + w->negatives;
    out->positives = w->positives;
    out->auc = pairs > 0 ? (double)w->double_pairs / 2 / pairs : NAN;
}

hn_status hn_bayes_finish(hn_bayes_cell out[HN_BAYES_CELLS_MAX], hn_bayes *bayes, hn_error *err) {
    for (int c = 0; c < HN_BAYES_CELLS_MAX; c++) out[c] = (hn_bayes_cell){.auc = NAN};
    walk w = {0};
    uint64_t last = 0;
    HN_TRY(hn_sorter_finish(bayes->sorter, err));
    for (;;) {
        const void *next;
        uint64_t record;
        HN_TRY(hn_sorter_next(&next, bayes->sorter, err));
        if (!next) break;
        memcpy(&record, next, sizeof record);
        if (record >> 60 != last >> 60) {
            end_cell(&out[last >> 60], &w);
            w = (walk){0};
        } else if (record >> 1 != last >> 1) {
            end_tie(&w);
        }
        if (record & 1)
            w.tied_positives++;
        else
            w.tied_negatives++;
        last = record;
    }
    end_cell(&out[last >> 60], &w);
    return HN_OK;
}

void hn_bayes_free(hn_bayes *bayes) {
    if (!bayes) return;
    hn_sorter_free(bayes->sorter);
    hn_free(bayes);
}
