/* results.jsonl: what was run, one JSON object a line, only ever added to and a line at a time, so
 * that it can be kept, read by anything, and gone on with. Of lines with the same key, rung and
 * status the last counts; a line that was cut (a kill, a full disk) is taken away, a whole one
 * without its newline gets it. */
#ifndef HN_EXPERIMENT_LEDGER_H
#define HN_EXPERIMENT_LEDGER_H

#include "base/report.h"

typedef struct hn_ledger {
    char *path;
    int fd;         /* -1: closed */
    uint64_t bytes; /* of whole lines */
    bool open_end;  /* while opening: the last one has no newline */
    json_t *lines;  /* array */
} hn_ledger;

hn_status hn_ledger_open(hn_ledger *out, const char *path, hn_error *err);
void hn_ledger_close(hn_ledger *ledger); /* one that was not opened is fine when fd is -1 */
/* The last line with status "done" of this kind ("run", "trial"), key, and for trials number of
 * epochs; NULL: none. Owned by the ledger. */
const json_t *hn_ledger_find(const hn_ledger *ledger, const char *kind, const char *key,
                             int64_t epochs);
/* Takes `line` over (NULL: no memory), also on failure. Durable when it returns. */
hn_status hn_ledger_add(hn_ledger *ledger, json_t *line, hn_error *err);

#endif
