/* Golden rows: held-out rows as text with the logits that the model gave them when training
 * ended, kept in the bundle ("golden", JSON). Scored again the way a server scores — cells to
 * slots, joins with the bundle's tables, encoding, network — they tell whether this program on
 * this machine computes what was trained. They are users' data, though only the cells that the
 * model reads: train.golden_rows 0 leaves them out.
 *
 * {columns: ["log.NAME"], rows: [{scenario, cells: [text | null], logits: [T]}]} */
#ifndef HN_BUNDLE_GOLDEN_H
#define HN_BUNDLE_GOLDEN_H

#include <jansson.h>

#include "data/request.h"
#include "model/model.h"

/* HN_BAD_DATA unless it is of that form. */
hn_status hn_golden_check(const json_t *golden, int32_t scenarios, int32_t tasks, hn_error *err);
/* Makes the rows the request's rows, each with all its cells. */
hn_status hn_golden_fill(hn_request *request, const json_t *golden, hn_error *err);

typedef struct hn_golden_scorer { /* what a bundle has, or a training */
    const hn_config *config;
    const hn_schema *schema;
    const hn_side_tables *tables;
    const hn_scorer *scorer;
} hn_golden_scorer;
/* The rows scored here: logits [rows][T] of the caller. */
hn_status hn_golden_score(hn_real *logits, const hn_golden_scorer *with, const json_t *golden,
                          hn_error *err);
/* Whether a logit is the stored one: within 1e-4, of its size when that is above 1. */
bool hn_golden_same(double logit, double stored);
double hn_golden_logit(const json_t *golden, size_t row, int32_t task);

#endif
