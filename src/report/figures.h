/* Numbers of the document: rounded ones for curves, which nobody reads to 15 digits, and
 * intervals. */
#ifndef HN_REPORT_FIGURES_H
#define HN_REPORT_FIGURES_H

#include <jansson.h>
#include <stdint.h>

/* To 6 decimals; null where it is not finite. */
json_t *hn_rounded_json(double value);
/* [low, high] of hn_interval (which sorts), or null. */
json_t *hn_interval_json(double *numbers, int32_t n);

#endif
