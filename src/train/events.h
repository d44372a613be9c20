/* Private to train/: a TensorBoard event file. It is a TFRecord file (each record with its length
 * and masked CRC-32C) of protobuf `Event` messages, of which three kinds are written here: the
 * file's version, the beginning of a session, and summaries of scalars. What is written about a
 * training is board.c's. */
#ifndef HN_TRAIN_EVENTS_H
#define HN_TRAIN_EVENTS_H

#include "base/report.h"

typedef struct hn_events hn_events;

/* A new file in `dir`, which is made where it is not there. Readers forget what older files of
 * the folder have from `first_step` on. */
hn_status hn_events_open(hn_events **out, const char *dir, int64_t first_step, hn_error *err);
void hn_events_close(hn_events *events);
const char *hn_events_path(const hn_events *events);
/* Adds a scalar to the summary that comes next; one that is not finite is left out. */
void hn_events_add(hn_events *events, const char *tag, double value);
/* Writes the summary of a step; nothing where nothing was added. */
hn_status hn_events_write(hn_events *events, int64_t step, hn_error *err);

uint32_t hn_crc32c(const void *bytes, size_t n);

#endif
