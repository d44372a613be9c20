/* Base rates: what is known of a row when no model can score it. */
#ifndef HN_SERVE_PRIOR_H
#define HN_SERVE_PRIOR_H

#include "bundle/bundle.h"

/* [scenarios + 1][tasks] the share of positives among the labelled training rows of each cell,
 * from the bundle's data card, corrected for sampled negatives; a cell without labelled rows has
 * its task's share in all scenarios, and so has the last row, that of an unknown scenario. *out
 * is NULL, with HN_OK, where the bundle has no such card. */
hn_status hn_prior_make(double **out, const hn_bundle *bundle, hn_error *err);

#endif
