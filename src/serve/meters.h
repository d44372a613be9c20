/* What the server counts, and /metrics in Prometheus' text form. Every writer has a shard of
 * its own (each worker, and one more for the HTTP thread); a scrape sums them. Adding a counter
 * is one row of the map and one hn_meters_add. */
#ifndef HN_SERVE_METERS_H
#define HN_SERVE_METERS_H

#include "base/report.h"

/* X(symbol, name, type, help): one number each, without labels. */
#define HN_METRIC_MAP(X)                                                                       \
    X(ITEMS, "hinet_items_total", "counter", "Candidates and rows scored.")                    \
    X(MISSING, "hinet_missing_features_total", "counter",                                      \
      "Columns that features read and neither request, store nor tables gave; they got their " \
      "default.")                                                                              \
    X(UNKNOWN, "hinet_unknown_scenario_total", "counter",                                      \
      "Requests whose scenario the model was not trained on.")                                 \
    X(FULL, "hinet_refused_queue_full_total", "counter",                                       \
      "Requests refused at once with 503 because the queue was full.")                         \
    X(HOPELESS, "hinet_refused_deadline_total", "counter",                                     \
      "Requests refused at once with 503 because they would have missed their deadline.")      \
    X(LATE, "hinet_expired_total", "counter",                                                  \
      "Requests whose deadline passed in the queue, answered 503 without being scored.")       \
    X(OVERRUN, "hinet_overrun_total", "counter",                                               \
      "Requests scored whose answer was ready only after their deadline.")                     \
    X(GONE, "hinet_gone_total", "counter", "Requests whose client went away before the answer.")
typedef enum hn_metric {
#define X(symbol, name, type, help) HN_METRIC_##symbol,
    HN_METRIC_MAP(X)
#undef X
        HN_METRICS
} hn_metric;

/* X(symbol, label) */
#define HN_PHASE_MAP(X)     \
    X(QUEUE, "queue")       \
    X(PARSE, "parse")       \
    X(FEATURES, "features") \
    X(MODEL, "model")       \
    X(ANSWER, "answer")     \
    X(TOTAL, "total")
typedef enum hn_phase {
#define X(symbol, label) HN_PHASE_##symbol,
    HN_PHASE_MAP(X)
#undef X
        HN_PHASES
} hn_phase;

typedef struct hn_meters hn_meters;
hn_status hn_meters_create(hn_meters **out, int32_t shards, hn_error *err);
void hn_meters_free(hn_meters *metrics);
void hn_meters_add(hn_meters *metrics, int32_t shard, hn_metric metric, uint64_t n);
void hn_meters_status(hn_meters *metrics, int32_t shard, int32_t status);
void hn_meters_fallback(hn_meters *metrics, int32_t shard, const char *fallback); /* NULL: none */
/* One shard has one writer. `scenario`: "" when unknown; `ns` [HN_PHASES], < 0: not measured. */
void hn_meters_phases(hn_meters *metrics, int32_t shard, const char *scenario, const int64_t *ns);
uint64_t hn_meters_sum(const hn_meters *metrics, hn_metric metric);
/* All of the above as text. */
void hn_meters_write(hn_text *out, const hn_meters *metrics);

/* For what others count: the HELP and TYPE lines, and one number. `labels`: "" or
 * `name="value"` with quotes and backslashes escaped (hn_meters_label). */
void hn_meters_head(hn_text *out, const char *name, const char *type, const char *help);
void hn_meters_line(hn_text *out, const char *name, const char *labels, double value);
void hn_meters_label(hn_text *out, const char *name, const char *value);

#endif
