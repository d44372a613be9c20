/* The server's log: one JSON object a line through the run's log callback, and the two words
 * that systemd is told. */
#ifndef HN_SERVE_JOURNAL_H
#define HN_SERVE_JOURNAL_H

#include "base/report.h"

/* {"time":…,"level":…,"event":EVENT,FIELDS}; `fields` is what stands between braces, made by
 * hn_journal_text and _number, or NULL. Any thread. */
void hn_journal(const hn_run *run, hn_log_level level, const char *event, const char *fields);
/* Adds `"name":"value"` or `"name":number`, with a comma where one is due. */
void hn_journal_text(hn_text *fields, const char *name, const char *value);
void hn_journal_number(hn_text *fields, const char *name, double value);

/* At most `a_second` of a kind; the rest are counted and told with the next one. Any thread. */
typedef struct hn_journal_rate {
    _Atomic int64_t second, taken, suppressed;
} hn_journal_rate;
bool hn_journal_may(hn_journal_rate *rate, int64_t a_second, int64_t *suppressed);

/* sd_notify: "READY=1", "STOPPING=1"; nothing where the environment names no socket. */
void hn_notify(const char *state);

#endif
