/* For train/ and report/: metrics as JSON and as tables for people. */
#ifndef HN_TRAIN_RESULTS_H
#define HN_TRAIN_RESULTS_H

#include "train/train.h"

/* {mean: {auc, gauc, log_loss}, cells: [{scenario, task, auc, gauc, log_loss, calibration,
 * rows, positives}]}; null where a metric is not defined. NULL on no memory. */
json_t *hn_results_json(const hn_cell_metrics *cells, const hn_config *config);
/* A number, or null where it is not finite. */
json_t *hn_results_number(double value);
/* The report of {test, validation, …}, with a table for each split that is there. Takes
 * `results` over (NULL: no memory). */
hn_status hn_results_report(hn_report **out, json_t *results, hn_error *err);
/* A warning for each cell whose predictions are all the same; their number. */
int32_t hn_results_warn(const hn_cell_metrics *cells, const hn_config *config, const char *split,
                        const hn_run *run);
/* HN_BAD_CONFIG unless both have the same scenarios and tasks in the same order. */
hn_status hn_config_same_cells(const hn_config *config, const hn_config *bundle, hn_error *err);
/* The same of their side tables. */
hn_status hn_config_same_tables(const hn_config *config, const hn_config *bundle, hn_error *err);

#endif
