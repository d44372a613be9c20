/* The Bayes-optimal AUC: what the true probabilities themselves score on the rows that
 * were written. No model can expect more. Exact, with memory that does not grow with the
 * rows (sorted on disk when large), and independent of the order rows are added in. */
#ifndef HN_SIMULATE_BAYES_H
#define HN_SIMULATE_BAYES_H

#include "base/error.h"

enum { HN_BAYES_CELLS_MAX = 16 };

typedef struct hn_bayes_cell {
    uint64_t rows, positives;
    double auc; /* NaN where one class is absent */
} hn_bayes_cell;

/* One row of one cell in 8 bytes that sort by cell, then probability: the cell's number,
 * the probability's upper 59 bits (those below 1; 49 of its mantissa), the label. */
static inline uint64_t hn_bayes_record(int32_t cell, double p, bool label) {
    union {
        double number;
        uint64_t bits;
    } of = {p};
    return (uint64_t)cell << 60 | of.bits >> 3 << 1 | label;
}

typedef struct hn_bayes hn_bayes;
hn_status hn_bayes_create(hn_bayes **out, int64_t budget_bytes, const char *dir, hn_error *err);
hn_status hn_bayes_add(hn_bayes *bayes, const uint64_t *records, size_t n, hn_error *err);
/* Fills every cell's figures. */
hn_status hn_bayes_finish(hn_bayes_cell out[HN_BAYES_CELLS_MAX], hn_bayes *bayes, hn_error *err);
void hn_bayes_free(hn_bayes *bayes);

#endif
