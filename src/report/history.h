/* What a training wrote down while it ran, for the learning curves. */
#ifndef HN_REPORT_HISTORY_H
#define HN_REPORT_HISTORY_H

#include <jansson.h>

#include "base/error.h"

/* From history.jsonl: its evaluations, and how long the training took (NaN where it has not
 * ended). A line that is no JSON (of a training that was killed) is left out with a warning. */
hn_status hn_history_read(json_t **out, double *seconds, const char *path, const hn_run *run,
                          hn_error *err);
/* The same from a bundle's metrics, which have no curves of cells. */
hn_status hn_history_of_metrics(json_t **out, const json_t *metrics, hn_error *err);

#endif
