/* How every function reports failure: a status to look at and a sentence for a person.
 * Usage: return hn_fail(err, HN_BAD_DATA, "%s:%ld: found …; expected …", …); */
#ifndef HN_BASE_ERROR_H
#define HN_BASE_ERROR_H

#include "hinet.h"

/* hn_status hn_fail(hn_error *err, hn_status status, const char *format, …)
 * Writes the sentence (cut to fit) unless err is NULL; returns `status`. A macro, so that
 * compilers and analyzers see that what comes back is not HN_OK; `status` is evaluated
 * twice. */
#define hn_fail(err, status, ...) \
    hn_status_pass_((hn_error_write((err), (status), __VA_ARGS__), (status)))
void hn_error_write(hn_error *err, hn_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));
static inline hn_status hn_status_pass_(hn_status status) { return status; }

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
