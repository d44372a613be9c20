/* Calibration of each cell's probability, fitted on the validation split when training
 * ends and kept in the bundle ("calibration", JSON): Platt p' = sigmoid(a·logit + b), or
 * isotonic (steps, linear between). And the correction for downsampled negatives: with
 * negatives kept at rate r, p' = p·r / (p·r + 1 − p). Order when serving: correction last. */
#ifndef HN_BUNDLE_CALIBRATION_H
#define HN_BUNDLE_CALIBRATION_H

#include <jansson.h>

#include "base/config.h"

typedef enum hn_calibrate_kind { HN_CALIBRATE_NONE, HN_CALIBRATE_PLATT, HN_CALIBRATE_ISOTONIC } hn_calibrate_kind;
typedef struct hn_calibration hn_calibration; /* [M][T] */

/* One cell's fit: n rows of logits, labels 0/1, weights. Too few rows or one class: the
 * identity for this cell. */
hn_status hn_calibration_create(hn_calibration **out, hn_calibrate_kind kind, int32_t scenarios, int32_t tasks, hn_error *err);
hn_status hn_calibration_fit(hn_calibration *calibration, int32_t scenario, int32_t task, const double *logits,
                             const uint8_t *labels, const double *weights, int64_t n, hn_error *err);
double hn_calibrate(const hn_calibration *calibration, int32_t scenario, int32_t task, double logit); /* → p */
double hn_unsample(double p, double rate);
json_t *hn_calibration_json(const hn_calibration *calibration);
hn_status hn_calibration_parse(hn_calibration **out, const json_t *json, int32_t scenarios, int32_t tasks, hn_error *err);
void hn_calibration_free(hn_calibration *calibration);

#endif
