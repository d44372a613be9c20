/* The exposure log: what was shown to whom, one JSON object a line, in rotating zstd
 * files of independent frames (exposures-UTCTIME-SEQ.jsonl.zst; the one being written ends in
 * ".part", stays readable up to its last flushed frame after kill -9). One writer thread; an
 * offer copies into a bounded queue and never blocks; what finds no room is counted.
 *
 * A line: {"request_id":…, "time_ms":…, "user":…, "scenario":…, "arms":{LAYER:ARM,…},
 *  "model":…, "version":…, "fallback":null|…, "user_features":{COLUMN:VALUE,…},
 *  "context":{COLUMN:VALUE,…}, "items":[{"id":…, "position":1…, "score":…,
 *  "p":{TASK:…,…}, "features":{COLUMN:VALUE,…}},…]}
 * The features are those scored (request's own, then store's) and stand in a sample of lines only. */
#ifndef HN_ONLINE_EXPOSURE_H
#define HN_ONLINE_EXPOSURE_H

#include "base/error.h"

typedef struct hn_exposure_log hn_exposure_log;
typedef struct hn_exposure_options {
    const char *dir;
    int64_t file_bytes, queue_bytes;
    double flush_seconds;
} hn_exposure_options;
typedef struct hn_exposure_counts {
    uint64_t written, dropped, failed, files;
    int64_t waiting_bytes;
} hn_exposure_counts;
hn_status hn_exposure_log_open(hn_exposure_log **out, const hn_exposure_options *options, hn_error *err);
/* Thread-safe. `line` without a newline. False: dropped. */
bool hn_exposure_log_offer(hn_exposure_log *log, const char *line, size_t n);
void hn_exposure_log_counts(hn_exposure_counts *out, hn_exposure_log *log);
void hn_exposure_log_close(hn_exposure_log *log); /* writes what waits */

/* Reads files (zstd, gzip or plain; ".part" ones and cut-off last frames too) line by line. */
typedef hn_status (*hn_line_read)(void *user, const char *line, size_t n, const char *file,
                                  uint64_t number, hn_error *err);
hn_status hn_lines_read(const char *const *files, size_t n_files, bool cut_off_allowed, hn_line_read read, void *user,
                        hn_error *err);

#endif
