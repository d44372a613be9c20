/* Fingerprints: what a dataset was made from, to know whether it is stale. */
#ifndef HN_DATA_FINGERPRINT_H
#define HN_DATA_FINGERPRINT_H

#include "base/config.h"
#include "base/pack.h"

enum { HN_FINGERPRINT_BYTES = 40 }; /* of the text, with its NUL */

/* Of the part of the config that data depends on: all but model, report and the settings
 * of training that only order batches. */
hn_status hn_fingerprint_config(char out[HN_FINGERPRINT_BYTES], const hn_config *config,
                                hn_error *err);
/* Also of the files: names, sizes and times of the log, the tables and the warm start's
 * pack. `*steady` is false when they cannot be known to be the same (standard input). */
hn_status hn_fingerprint_data(char out[HN_FINGERPRINT_BYTES], bool *steady, const hn_config *config,
                              const hn_pack *init, hn_error *err);

#endif
