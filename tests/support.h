/* What the tests share: cmocka with its includes, a folder that vanishes afterwards,
 * and the loop that makes the first, second, third … event of a kind fail. */
#ifndef HN_TESTS_SUPPORT_H
#define HN_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"

/* Shows the sentence when a call that should succeed failed. */
#define assert_ok(call) support_assert_ok((call), &err, __FILE__, __LINE__)
void support_assert_ok(hn_status status, const hn_error *err, const char *file, int line);
/* The call fails with this status, and the sentence in `err` contains `words`. */
#define assert_fails(expected, words, call) \
    support_assert_fails((call), (expected), (words), &err, __FILE__, __LINE__)
void support_assert_fails(hn_status status, hn_status expected, const char *words,
                          const hn_error *err, const char *file, int line);

/* A new folder below $TMPDIR or /tmp; support_remove takes it away with all in it. */
char *support_folder(void); /* free() it */
void support_remove(const char *folder);
void support_write(const char *path, const void *bytes, size_t n);

/* Replays the corpus of a fuzz target: every file of fuzz/corpus/NAME, of which there must be at
 * least `least`. `use` may change the bytes. */
void support_corpus(const char *name, size_t least, void (*use)(uint8_t *bytes, size_t n));
/* The target on the bytes cut short, each `step` bytes longer, and whole; each time in memory of
 * its own size, so that a sanitizer sees what is read behind it. */
typedef int (*support_target)(const uint8_t *bytes, size_t n);
void support_cut(support_target target, const uint8_t *bytes, size_t n, size_t step);

/* Calls work(user, err) with the 1st, 2nd, … event of `kind` failing until a run is not
 * reached by the fault and succeeds. Each failing run must leave no memory held and give
 * a status that is not HN_OK with a sentence. `work` frees what it made when it succeeds.
 * Returns the number of runs that failed. */
typedef hn_status (*support_work)(void *user, hn_error *err);
int64_t support_fail_each(hn_fault kind, support_work work, void *user);

#endif
