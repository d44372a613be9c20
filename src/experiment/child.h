/* One training in a process of its own. It has its own group, so that Ctrl-C on the terminal
 * reaches the experiment alone, which asks its children in order; and the kernel asks a child
 * whose parent has gone to stop in order, too. A lock on the run's folder is held as long as the
 * child lives, whoever is its parent. */
#ifndef HN_EXPERIMENT_CHILD_H
#define HN_EXPERIMENT_CHILD_H

#include <sys/types.h>

#include "base/error.h"

typedef struct hn_child {
    pid_t pid;  /* 0: none */
    int signal; /* that ended it; 0: it has ended by itself */
    int code;   /* its exit code */
    int64_t peak_bytes;
} hn_child;

/* Takes the lock of a folder; `*out` -1: someone holds it. close() gives it back. */
hn_status hn_folder_lock(int *out, const char *dir, hn_error *err);
/* argv[0] is the program. Standard output goes to `out_path` (new), standard error to the end
 * of `log_path`. The child inherits `lock`. */
hn_status hn_child_start(hn_child *out, const char *const *argv, const char *out_path,
                         const char *log_path, int lock, hn_error *err);
/* True when it has ended; then pid is 0. */
bool hn_child_ended(hn_child *child);
void hn_child_ask(const hn_child *child); /* to stop in order */
void hn_child_kill(hn_child *child);      /* and waits */

#endif
