/* How every function reports failure: a status to look at and a sentence for a person.
 * Usage: return hn_fail(err, HN_BAD_DATA, "%s:%ld: found …; expected …", …); */
#ifndef HN_BASE_ERROR_H
#define HN_BASE_ERROR_H

#include "hinet.h"

/* Writes the sentence (cut to fit) unless err is NULL; returns `status`. */
hn_status hn_fail(hn_error *err, hn_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/* Returns from the calling function when `call` failed. */
#define HN_TRY(call)                                  \
    do {                                              \
        hn_status try_status_ = (call);               \
        if (try_status_ != HN_OK) return try_status_; \
    } while (0)

/* The same for functions with one exit: goes to `label` with `status` set. */
#define HN_TRY_GOTO(status, label, call)   \
    do {                                   \
        (status) = (call);                 \
        if ((status) != HN_OK) goto label; \
    } while (0)

/* The name in `names` nearest to `word` in edits, or NULL when none is near:
 * for "did you mean". */
const char *hn_did_you_mean(const char *word, const char *const *names, size_t n);

#endif
