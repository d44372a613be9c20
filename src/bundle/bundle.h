/* The bundle: one pack of kind "BNDL" with all that evaluation and serving need — resolved
 * config, schema, side tables, parameters, metrics, and (for warm starts) optimizer state.
 * It holds no path, date or duration, so that one seed and config give the same bytes.
 *
 * Sections: "config" (resolved YAML), "schema…", "table…" (schema.h, digest.h),
 * "param/NAME", "table/NAME" (model.h), "metrics" (JSON), "card" (JSON, the data card),
 * "state/…" (train.h), "calibration" (JSON, calibration.h), "profile" (JSON, profile.h),
 * "golden" (JSON, golden.h). The last three are in what training ends with, best.hn. */
#ifndef HN_BUNDLE_BUNDLE_H
#define HN_BUNDLE_BUNDLE_H

#include "base/report.h"
#include "bundle/calibration.h"
#include "bundle/profile.h"
#include "data/dataset.h"
#include "model/model.h"

struct hn_bundle {
    hn_pack *pack;
    hn_config *config;
    hn_schema *schema;
    hn_side_tables *tables;
    hn_graph *graph;
    hn_plan *plan;    /* inference */
    hn_params params; /* stage values computed */
    hn_scorer *scorer;
    json_t *metrics;             /* as written by training */
    hn_calibration *calibration; /* NULL: none */
    double unknown_sampling;     /* of rows of unknown scenarios */
    hn_profile *profile;         /* NULL: none */
    json_t *golden;              /* NULL: none */
};

/* Scores the golden rows as a server does and compares with what training stored: within 1e-4.
 * HN_OK where there are none. Beside what opening checks, all that a server asks. */
hn_status hn_bundle_verify(const hn_bundle *bundle, hn_error *err);

/* The one way from a logit to a probability, for every door: the cell's calibration where it
 * is asked for and the bundle has one, then the correction for sampled negatives. `scenario`
 * may be HN_SCENARIO_UNKNOWN: such a row is not calibrated, for its logit is a mean over
 * scenarios; it is corrected with the geometric mean of the rates, weighted like that logit.
 * Rounded to hn_real, so that a door of that type and one of text show the same number. */
double hn_bundle_probability(const hn_bundle *bundle, int32_t scenario, int32_t task, double logit,
                             bool calibrated);
/* The same without the correction: what the model says of rows sampled like its log. */
double hn_bundle_uncorrected(const hn_bundle *bundle, int32_t scenario, int32_t task, double logit,
                             bool calibrated);

/* Writes a bundle atomically. `extra` adds more sections (optimizer state); may be NULL. */
typedef struct hn_bundle_parts {
    const hn_config *config;
    const hn_schema *schema;
    const hn_side_tables *tables;
    const hn_plan *plan;
    const hn_params *params;
    const json_t *metrics, *card;
    const hn_calibration *calibration; /* NULL: none */
    const hn_profile *profile;         /* NULL: none */
    const json_t *golden;              /* NULL: none */
    void (*extra)(void *user, hn_packer *packer);
    void *user;
} hn_bundle_parts;
hn_status hn_bundle_write(const char *path, const hn_bundle_parts *parts, hn_error *err);

#endif
