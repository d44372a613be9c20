/* From a logit to the probability that a door shows. Nothing else puts calibration and
 * correction together, so that `predict`, /v1/rank and /v2 cannot differ. */
#include <math.h>

#include "bundle/bundle.h"
#include "bundle/probability.h"
#include "kernel/kernel.h"

/* The logit of an unknown scenario is Σ sⱼ·logitⱼ over the known ones, sⱼ their share of
 * training rows. Correcting each of them adds log rⱼ to its logit, so the mean's correction is
 * the rate e^(Σ sⱼ·log rⱼ). */
double hn_bundle_unknown_sampling(const hn_bundle *bundle) {
    const int32_t scenarios = bundle->config->scenario.names.n;
    const uint64_t *const rows = hn_schema_scenario_rows(bundle->schema);
    const double *const rate = hn_schema_sampling(bundle->schema);
    double total = 0, sum = 0;
    for (int32_t i = 0; i < scenarios; i++) total += (double)rows[i];
    for (int32_t i = 0; i < scenarios; i++)
        sum += log(rate[i]) * (total > 0 ? (double)rows[i] / total : 1.0 / scenarios);
    return exp(sum);
}

static double of_sample(const hn_bundle *bundle, int32_t scenario, int32_t task, double logit,
                        bool calibrated) {
    if (!calibrated || !bundle->calibration || scenario == HN_SCENARIO_UNKNOWN)
        return (double)hn_sigmoid((hn_real)logit);
    return hn_calibrate(bundle->calibration, scenario, task, logit);
}

double hn_bundle_uncorrected(const hn_bundle *bundle, int32_t scenario, int32_t task, double logit,
                             bool calibrated) {
    return (double)(hn_real)of_sample(bundle, scenario, task, logit, calibrated);
}

double hn_bundle_probability(const hn_bundle *bundle, int32_t scenario, int32_t task, double logit,
                             bool calibrated) {
    const double p = of_sample(bundle, scenario, task, logit, calibrated);
    return (double)(hn_real)hn_unsample(p, scenario == HN_SCENARIO_UNKNOWN
                                               ? bundle->unknown_sampling
                                               : hn_schema_sampling(bundle->schema)[scenario]);
}
