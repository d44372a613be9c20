/* The writing of event files; see events.h. The fields that are used, by number:
 *
 *   Event       1 double wall_time, 2 int64 step, 3 string file_version, 5 Summary, 7 SessionLog
 *   Summary     1 Value, repeated: 1 string tag, 2 float simple_value
 *   SessionLog  1 enum status: 1 is START
 *
 *   record      u64 n, u32 masked CRC of these 8 bytes, n bytes, u32 masked CRC of them */
#include "train/events.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

struct hn_events {
    int fd;
    char *path;
    uint64_t bytes;  /* written */
    hn_text summary; /* of the next step */
};

/* ---- Numbers ----------------------------------------------------------------------------- */

/* CRC-32C (Castagnoli), bit by bit: events are short and few. */
uint32_t hn_crc32c(const void *bytes, size_t n) {
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        crc ^= ((const uint8_t *)bytes)[i];
        for (int32_t bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

/* TFRecord's mask, for a CRC of bytes that hold CRCs is a poor one. */
static uint32_t masked_crc(const void *bytes, size_t n) {
    const uint32_t crc = hn_crc32c(bytes, n);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* ---- Protobuf ---------------------------------------------------------------------------- */

enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static void add_varint(hn_text *out, uint64_t value) {
    uint8_t bytes[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7) bytes[n++] = (uint8_t)(value | 0x80);
    bytes[n++] = (uint8_t)value;
    hn_text_bytes(out, bytes, n);
}

static void add_key(hn_text *out, uint32_t field, enum wire wire) {
    add_varint(out, (uint64_t)field << 3 | (uint64_t)wire);
}

static void add_bytes(hn_text *out, uint32_t field, const void *bytes, size_t n) {
    add_key(out, field, BYTES);
    add_varint(out, n);
    hn_text_bytes(out, bytes, n);
}

/* ---- Records ----------------------------------------------------------------------------- */

static hn_status write_record(hn_events *events, const hn_text *event, hn_error *err) {
    const uint64_t n = event->length;
    const uint32_t head = masked_crc(&n, sizeof n), body = masked_crc(event->text, event->length);
    hn_text record = {0};
    hn_text_bytes(&record, &n, sizeof n);
    hn_text_bytes(&record, &head, sizeof head);
    hn_text_bytes(&record, event->text, event->length);
    hn_text_bytes(&record, &body, sizeof body);
    hn_status status = event->failed || record.failed ? hn_no_memory(err, "an event") : HN_OK;
    if (status == HN_OK)
        status = hn_fd_write_at(events->fd, record.text, record.length, events->bytes, events->path,
                                err);
    if (status == HN_OK) events->bytes += record.length;
    hn_text_free(&record);
    return status;
}

/* An event of `step` whose field `field` is these bytes. */
static hn_status write_event(hn_events *events, int64_t step, uint32_t field, const void *bytes,
                             size_t n, hn_error *err) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    const double now = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    hn_text event = {0};
    add_key(&event, 1, FIXED64);
    hn_text_bytes(&event, &now, sizeof now);
    add_key(&event, 2, VARINT);
    add_varint(&event, (uint64_t)step);
    add_bytes(&event, field, bytes, n);
    const hn_status status = write_record(events, &event, err);
    hn_text_free(&event);
    return status;
}

/* ---- The file ---------------------------------------------------------------------------- */

/* Readers take the files of a folder in the order of their names, so the time comes first. */
static hn_status create_file(hn_events *events, const char *dir, hn_error *err) {
    for (int32_t tries = 0; tries < 100; tries++) {
        struct timespec t;
        char name[80];
        clock_gettime(CLOCK_REALTIME, &t);
        snprintf(name, sizeof name, "events.out.tfevents.%010lld.%09ld.hinet", (long long)t.tv_sec,
                 t.tv_nsec);
        hn_free(events->path);
        events->path = hn_path_join(dir, name);
        if (!events->path) return hn_no_memory(err, "a path");
        events->fd = open(events->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (events->fd >= 0) return HN_OK;
        if (errno != EEXIST) break;
    }
    return hn_fail(err, HN_CANNOT_CREATE, "%s: cannot be opened for writing: %s", events->path,
                   strerror(errno));
}

static hn_status begin(hn_events *events, const char *dir, int64_t first_step, hn_error *err) {
    static const char version[] = "brain.Event:2";
    static const uint8_t start[] = {1 << 3 | VARINT, 1};
    HN_TRY(hn_dir_make(dir, err));
    HN_TRY(create_file(events, dir, err));
    HN_TRY(write_event(events, 0, 3, version, sizeof version - 1, err));
    return write_event(events, first_step, 7, start, sizeof start, err);
}

hn_status hn_events_open(hn_events **out, const char *dir, int64_t first_step, hn_error *err) {
    *out = NULL;
    hn_events *const events = hn_alloc_zero(1, sizeof *events);
    if (!events) return hn_no_memory(err, "an event file");
    events->fd = -1;
    const hn_status status = begin(events, dir, first_step, err);
    if (status != HN_OK) {
        hn_events_close(events);
        return status;
    }
    *out = events;
    return HN_OK;
}

void hn_events_close(hn_events *events) {
    if (!events) return;
    if (events->fd >= 0) close(events->fd);
    hn_text_free(&events->summary);
    hn_free(events->path);
    hn_free(events);
}

const char *hn_events_path(const hn_events *events) { return events->path; }

void hn_events_add(hn_events *events, const char *tag, double value) {
    const float simple = (float)value;
    hn_text scalar = {0};
    if (!isfinite(simple)) return;
    add_bytes(&scalar, 1, tag, strlen(tag));
    add_key(&scalar, 2, FIXED32);
    hn_text_bytes(&scalar, &simple, sizeof simple);
    if (!scalar.failed) add_bytes(&events->summary, 1, scalar.text, scalar.length);
    events->summary.failed |= scalar.failed;
    hn_text_free(&scalar);
}

hn_status hn_events_write(hn_events *events, int64_t step, hn_error *err) {
    hn_text *const summary = &events->summary;
    if (summary->failed) return hn_no_memory(err, "an event");
    if (summary->length == 0) return HN_OK;
    const hn_status status = write_event(events, step, 5, summary->text, summary->length, err);
    hn_text_free(summary);
    return status;
}
