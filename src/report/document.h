/* The report as one JSON document, which stands in the page and is all that the page is drawn
 * from:
 *
 * {hinet, settings: {seed, sample_rows, replicates, repeats, data},
 *  runs: [{label, bundle, model, scenarios: [], tasks: [], files, card, best_epoch, epochs_trained,
 *          seconds, history: [], rows_of, measured, stored, san, gates, permutation, config,
 *          commands: []}],
 *  comparison}
 *
 * `comparison` (null for one run) is of the runs that were measured on rows, the first of them is
 * the base; it has `without_rows`, the labels of the others.
 * `rows_of` tells what the run was measured on: test, validation, config, files, or null: then
 * `measured` is what training had stored, without intervals and curves. gates.h, permute.h,
 * measure.h and history.h have the parts. */
#ifndef HN_REPORT_DOCUMENT_H
#define HN_REPORT_DOCUMENT_H

#include <jansson.h>

#include "base/report.h"

enum { HN_SAMPLE_ROWS = 20000 /* where options->rows is 0 */ };

hn_status hn_document_gather(json_t **out, const char *const *runs, size_t n_runs,
                             const hn_runs_options *options, const hn_run *run, hn_error *err);

/* The page (page.c): HTML of a document. A pure function of it. */
void hn_page_write(hn_text *out, const json_t *document);
/* The same for people at a terminal: a table of runs and of cells. */
void hn_summary_write(hn_text *out, const json_t *document);

#endif
