/* Private to bundle/: what opening computes for hn_bundle_probability. */
#ifndef HN_BUNDLE_PROBABILITY_H
#define HN_BUNDLE_PROBABILITY_H

#include "bundle/bundle.h"

double hn_bundle_unknown_sampling(const hn_bundle *bundle);

#endif
