/* The rates over a training: a linear warm-up, then as they are, or down towards 0,
 * which would be reached one step after the last, along a line or half a cosine. */
#include <math.h>

#include "train/training.h"

double hn_schedule_scale(const hn_config_train *train, int64_t step, int64_t steps) {
    if (step < train->warmup) return (double)(step + 1) / (double)train->warmup;
    const double left = (double)(steps - train->warmup);
    const double gone = left > 0 ? (double)(step - train->warmup) / left : 1;
    switch (train->decay) {
    case HN_DECAY_NONE: return 1;
    case HN_DECAY_LINEAR: return fmax(1 - gone, 0);
    case HN_DECAY_COSINE: return 0.5 * (1 + cos(M_PI * fmin(gone, 1)));
    }
    return 1;
}
