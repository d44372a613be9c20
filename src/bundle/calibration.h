/* Calibration of each cell's probability, fitted on the validation split when training
 * ends and kept in the bundle ("calibration", JSON): Platt p' = sigmoid(a·logit + b), or
 * isotonic (a monotone curve of knots, linear between them). And the correction for
 * downsampled negatives: with negatives kept at rate r, p' = p·r / (p·r + 1 − p).
 *
 * Order when serving: calibration, then correction, for the validation split is sampled like
 * the training split. Doors do not put the two together themselves: hn_bundle_probability
 * (bundle.h) does. */
#ifndef HN_BUNDLE_CALIBRATION_H
#define HN_BUNDLE_CALIBRATION_H

#include <jansson.h>

#include "base/config.h"

typedef struct hn_calibration hn_calibration; /* [M][T] */

/* Fewer rows than this of either class, and a cell keeps its probabilities. */
enum { HN_CALIBRATION_ROWS = 20 };

hn_status hn_calibration_create(hn_calibration **out, hn_calibrate_kind kind, int32_t scenarios,
                                int32_t tasks, hn_error *err);
/* One cell's fit: n rows of logits, labels 0/1, weights (NULL: all 1). The identity for a cell
 * of too few rows or a class too few.
 *
 * Platt: the weighted log loss against Platt's targets (N₊ + 1)/(N₊ + 2) and 1/(N₋ + 2), so
 * that a small or separable cell has a finite answer; Newton with step halving. Where a is not
 * positive — the order of the logits would be turned round — or the logits are all alike, a
 * stays 1 and only b is fitted.
 *
 * Isotonic: pool-adjacent-violators; constant beyond the first and the last knot. Values
 * of 0 and 1 become 1/(n + 2) from either end, so that a logarithm of them is finite. It makes
 * ties where Platt keeps the order. */
hn_status hn_calibration_fit(hn_calibration *calibration, int32_t scenario, int32_t task,
                             const double *logits, const uint8_t *labels, const double *weights,
                             int64_t n, hn_error *err);
/* A fitted probability; that of the model in a cell without a fit. */
double hn_calibrate(const hn_calibration *calibration, int32_t scenario, int32_t task,
                    double logit);
/* Whether the cell has a fit. */
bool hn_calibration_has(const hn_calibration *calibration, int32_t scenario, int32_t task);
hn_calibrate_kind hn_calibration_kind(const hn_calibration *calibration);
double hn_unsample(double p, double rate);

/* {kind, cells: [M·T]}: null, {a, b}, or {x: […], p: […]}. NULL without memory. */
json_t *hn_calibration_json(const hn_calibration *calibration);
hn_status hn_calibration_parse(hn_calibration **out, const json_t *json, int32_t scenarios,
                               int32_t tasks, hn_error *err);
void hn_calibration_free(hn_calibration *calibration);

#endif
