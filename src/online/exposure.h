/* The exposure log: what was shown to whom, one JSON object a line, in rotating zstd
 * files of independent frames (exposures-UTCTIME-SEQ.jsonl.zst). The one that is being written
 * ends in ".part"; after kill -9 it is readable up to its last flushed frame, and the next
 * log in the folder cuts it there and gives it its name. A flush is one write to the kernel; files
 * are synced to the disk when they are finished. One writer thread; an offer copies into a bounded
 * queue and never waits for the disk; what finds no room is counted.
 *
 * A line: {"request_id":…, "time_ms":…, "user":…, "scenario":…, "arms":{LAYER:ARM,…},
 *  "model":…, "version":…, "fallback":null|…, "user_features":{COLUMN:VALUE,…},
 *  "context":{COLUMN:VALUE,…}, "items":[{"id":…, "position":1…, "score":…,
 *  "p":{TASK:…,…}, "features":{COLUMN:VALUE,…}},…]}
 * The features are those scored (request's own, then store's) and stand in a sample of lines only.
 */
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
hn_status hn_exposure_log_open(hn_exposure_log **out, const hn_exposure_options *options,
                               hn_error *err);
/* Thread-safe. `line` without a newline. False: dropped. */
bool hn_exposure_log_offer(hn_exposure_log *log, const char *line, size_t n);
void hn_exposure_log_counts(hn_exposure_counts *out, hn_exposure_log *log);
void hn_exposure_log_close(hn_exposure_log *log); /* writes what waits */

#endif
