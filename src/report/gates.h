/* What the gates of a model do: means of their weights over rows, and the SAN table. */
#ifndef HN_REPORT_GATES_H
#define HN_REPORT_GATES_H

#include "bundle/bundle.h"
#include "report/sample.h"

enum {
    HN_SHOWN_SCENARIOS = 40, /* more are not drawn: those with the most training rows are */
    HN_SHOWN_COLUMNS = 64    /* a gate over more experts is no picture */
};
/* An expert is dead for a gate that gives it less than this part of an even share on average. */
#define HN_DEAD_SHARE 0.05

/* [{name, by_row, scenarios: [name], weights: [[a_ij]]}]: what scenario i takes from scenario j,
 * null on the diagonal. Tables that are the same for all rows, and (with a sample) means over the
 * rows of each scenario where the model makes one for each row. */
/* [{name, columns: [name], even, softmax, rows: [{scenario, task, gate, weights: [mean],
 *   dead: [bool]}]}]; `sample` sorted by scenario, NULL: no gates, the fixed tables alone. */
hn_status hn_gates_gather(json_t **san, json_t **gates, const hn_bundle *bundle,
                          const hn_sample *sample, hn_error *err);

#endif
