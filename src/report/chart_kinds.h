/* Private to the charts: the kinds whose rows have names (chart_rows.c), and the empty chart. */
#ifndef HN_REPORT_CHART_KINDS_H
#define HN_REPORT_CHART_KINDS_H

#include "report/chart.h"

void hn_chart_none(hn_text *out, const hn_chart *chart, double width, double height);
void hn_chart_bars(hn_text *out, const hn_chart *chart);
void hn_chart_intervals(hn_text *out, const hn_chart *chart);
void hn_chart_heat(hn_text *out, const hn_chart *chart);

#endif
