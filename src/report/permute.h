/* What a feature is worth to a trained model: the mean AUC of the cells, less that with the
 * feature's values dealt anew among the rows of a sample. All inputs of a feature are dealt
 * together, and in repeat r every feature by the same permutation, hn_random_permutation(n,
 * seed, HN_STREAM_REPORT, r) of the rows in the order of the log. */
#ifndef HN_REPORT_PERMUTE_H
#define HN_REPORT_PERMUTE_H

#include "base/pool.h"
#include "bundle/bundle.h"
#include "report/sample.h"

enum { HN_PERMUTE_REPEATS = 5 };

/* {rows, repeats, auc, features: [{name, inputs, drop, deviation, cells: [drop]}]}: the mean drop
 * and its standard deviation over the repeats, largest drop first; cells as the bundle has
 * them, null where a cell has one class only. `sample` in the order of the log. NULL with HN_OK
 * where no cell of the sample has both classes. */
hn_status hn_permute_gather(json_t **out, const hn_bundle *bundle, const hn_sample *sample,
                            uint64_t seed, hn_pool *pool, const hn_run *run, hn_error *err);

#endif
