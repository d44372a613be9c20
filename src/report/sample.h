/* A sample of rows kept in memory, of at most a given number: those whose hash of (seed, ordinal)
 * lies below a bound, which is halved whenever they would become too many. So it is a function of
 * the rows and the seed, whatever their order and number, and has between half of the most and
 * the most rows (all of them where there are no more). */
#ifndef HN_REPORT_SAMPLE_H
#define HN_REPORT_SAMPLE_H

#include "base/rows.h"

typedef struct hn_sample hn_sample;
hn_status hn_sample_create(hn_sample **out, const hn_layout *layout, int64_t most, uint64_t seed,
                           hn_error *err);
void hn_sample_free(hn_sample *sample);
/* Rows of unknown scenarios are left out. Needs ordinals and labels. */
hn_status hn_sample_add(hn_sample *sample, const hn_rows *rows, hn_error *err);
const hn_rows *hn_sample_rows(const hn_sample *sample);

/* A copy of its rows, in the order of the log (by_scenario: of scenarios, then of the log). */
hn_status hn_sample_sorted(hn_sample **out, const hn_sample *sample, bool by_scenario,
                           hn_error *err);
/* A copy in which `inputs` (a flag for each of the layout) of row r are those of row from[r]. */
hn_status hn_sample_mixed(hn_sample **out, const hn_sample *sample, const bool *inputs,
                          const uint32_t *from, hn_error *err);

#endif
