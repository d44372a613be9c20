/* What a training has left in its folder: its report, its history, its last words. */
#ifndef HN_EXPERIMENT_OUTCOME_H
#define HN_EXPERIMENT_OUTCOME_H

#include "base/report.h"

typedef struct hn_outcome {
    json_t *report; /* report.json, whole; NULL: the training has not ended */
    int64_t epochs; /* the last one that was judged on validation; 0: none */
    double metric;  /* the best on validation so far; NaN: none */
    double seconds; /* of training and judging, all sessions; 0: not known */
    bool ended;     /* by early stop or at its last epoch: the report is there */
} hn_outcome;

/* Of a folder that may have nothing yet. `until` > 0: later epochs are not looked at. */
hn_status hn_outcome_read(hn_outcome *out, const char *dir, int64_t until, hn_error *err);
void hn_outcome_free(hn_outcome *outcome);
/* The last line of log.txt, without the program's name, as UTF-8; "" when there is none. */
void hn_outcome_last_words(char *out, size_t n, const char *dir);

#endif
