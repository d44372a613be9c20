/* Samples: a few held-out rows of the log as text, kept in the dataset when it is prepared
 * ("dataset/samples", JSON), for a pipe cannot be read again when a bundle wants golden rows.
 * Of a row only the cells that features and joins read are kept. Which rows: of each scenario
 * those with the smallest random numbers, functions of their ordinals, so that threads and the
 * cut of the text change nothing.
 *
 * {columns: ["log.NAME"], rows: [{ordinal, scenario, cells: [text | null]}]}: first the first
 * row of each scenario, then the second of each … */
#ifndef HN_DATA_SAMPLES_H
#define HN_DATA_SAMPLES_H

#include <jansson.h>

#include "data/columns.h"
#include "data/digest.h"

enum { HN_SAMPLES_MOST = 256, HN_SAMPLE_BYTES_MAX = 64 << 10 };

typedef struct hn_samples hn_samples;
/* All must outlive it. */
hn_status hn_samples_create(hn_samples **out, const hn_config *config, const hn_sources *sources,
                            hn_error *err);
void hn_samples_free(hn_samples *samples);
/* The rows of a block, with their lines, from a file with these columns and base name. */
hn_status hn_samples_take(hn_samples *samples, const hn_impressions *block,
                          const hn_columns *columns, const char *base, hn_error *err);
/* NULL without memory. */
json_t *hn_samples_json(const hn_samples *samples);
/* Whether it is of that form: strings for columns, as many cells in every row, known scenarios. */
bool hn_samples_fit(const json_t *json, int32_t scenarios);

#endif
