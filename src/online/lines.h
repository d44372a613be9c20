/* Text files line by line: plain, gzip or zstd, of any size. For logs of JSON lines. */
#ifndef HN_ONLINE_LINES_H
#define HN_ONLINE_LINES_H

#include "base/error.h"

/* `line` without its end; `number` from 1. Empty lines are left out. */
typedef hn_status (*hn_line_read)(void *user, const char *line, size_t n, const char *file,
                                  uint64_t number, hn_error *err);
/* `cut_off_allowed`: a compressed file that ends within its data gives the whole lines before (a
 * server was killed); else that is an error. A line over 64 MiB is HN_BAD_DATA. */
hn_status hn_lines_read(const char *const *files, size_t n_files, bool cut_off_allowed,
                        hn_line_read read, void *user, hn_error *err);

#endif
