/* The exposure log (exposure.h): two buffers, one that offers fill and one that the writer
 * compresses, and a thread that swaps them when it is time. */
#include "online/exposure.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

#include "base/file.h"
#include "base/memory.h"
#include "online/exposure_file.h"

typedef struct buffer {
    char *bytes;
    size_t n;
    uint64_t lines;
} buffer;

struct hn_exposure_log {
    char *dir;
    size_t capacity; /* of a buffer */
    double flush_seconds;
    pthread_mutex_t lock; /* filling, closing */
    pthread_cond_t wake;
    pthread_t writer;
    bool started, closing;
    buffer filling;
    /* The writer's alone. */
    buffer writing;
    char *frame;
    size_t frame_capacity;
    ZSTD_CCtx *zstd;
    hn_exposure_file file;
    _Atomic uint64_t written, dropped, failed, files;
};

bool hn_exposure_log_offer(hn_exposure_log *log, const char *line, size_t n) {
    pthread_mutex_lock(&log->lock);
    buffer *const to = &log->filling;
    const bool fits = !log->closing && n < log->capacity - to->n;
    if (fits) {
        memcpy(to->bytes + to->n, line, n);
        to->bytes[to->n + n] = '\n';
        to->n += n + 1;
        to->lines++;
        if (to->n > log->capacity / 4) pthread_cond_signal(&log->wake);
    }
    pthread_mutex_unlock(&log->lock);
    if (!fits) log->dropped++;
    return fits;
}

void hn_exposure_log_counts(hn_exposure_counts *out, hn_exposure_log *log) {
    *out = (hn_exposure_counts){.written = log->written,
                                .dropped = log->dropped,
                                .failed = log->failed,
                                .files = log->files};
    pthread_mutex_lock(&log->lock);
    out->waiting_bytes = (int64_t)log->filling.n;
    pthread_mutex_unlock(&log->lock);
}

/* ---- The writer ------------------------------------------------------------------------------ */

static struct timespec after(double seconds) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const int64_t ns = (int64_t)(seconds * 1e9) + t.tv_nsec;
    t.tv_sec += ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    return t;
}

/* Waits until it is time, then takes what was filled. False: the log closes. */
static bool take(hn_exposure_log *log) {
    const struct timespec until = after(log->flush_seconds);
    int waited = 0;
    pthread_mutex_lock(&log->lock);
    while (!log->closing && log->filling.n <= log->capacity / 4 && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&log->wake, &log->lock, &until);
    const buffer taken = log->filling;
    log->filling = (buffer){.bytes = log->writing.bytes};
    log->writing = taken;
    const bool go_on = !log->closing;
    pthread_mutex_unlock(&log->lock);
    return go_on;
}

/* What cannot be written is counted and given up: the disk must not hold answers back. */
static void write_taken(hn_exposure_log *log) {
    const buffer *const from = &log->writing;
    if (from->n == 0) return;
    const size_t n =
        ZSTD_compress2(log->zstd, log->frame, log->frame_capacity, from->bytes, from->n);
    const bool fine =
        !ZSTD_isError(n) && hn_exposure_file_append(&log->file, log->frame, n, NULL) == HN_OK;
    *(fine ? &log->written : &log->failed) += from->lines;
    log->files = log->file.files;
}

static void *run_writer(void *user) {
    hn_exposure_log *const log = user;
    for (bool go_on = true; go_on;) {
        go_on = take(log);
        write_taken(log);
        hn_exposure_file_turn(&log->file, !go_on);
    }
    return NULL;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static hn_status allocate(hn_exposure_log *log, const hn_exposure_options *options, hn_error *err) {
    enum { LEVEL = 3, QUEUE_BYTES_MIN = 4096 };
    log->capacity =
        options->queue_bytes > QUEUE_BYTES_MIN ? (size_t)options->queue_bytes : QUEUE_BYTES_MIN;
    log->frame_capacity = ZSTD_compressBound(log->capacity);
    log->flush_seconds = options->flush_seconds > 0 ? options->flush_seconds : 1;
    log->dir = hn_strdup(options->dir);
    log->filling.bytes = hn_alloc(log->capacity, 1);
    log->writing.bytes = hn_alloc(log->capacity, 1);
    log->frame = hn_alloc(log->frame_capacity, 1);
    log->zstd = hn_fault_hit(HN_FAULT_ALLOC) ? NULL : ZSTD_createCCtx();
    if (!log->dir || !log->filling.bytes || !log->writing.bytes || !log->frame || !log->zstd)
        return hn_no_memory(err, "the exposure log");
    ZSTD_CCtx_setParameter(log->zstd, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(log->zstd, ZSTD_c_checksumFlag, 1);
    log->file = (hn_exposure_file){.dir = log->dir, .bytes_max = options->file_bytes, .fd = -1};
    return HN_OK;
}

static void init_lock(hn_exposure_log *log) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static hn_status start(hn_exposure_log *log, hn_error *err) {
    const int failed = pthread_create(&log->writer, NULL, run_writer, log);
    if (failed)
        return hn_fail(err, HN_FAILED, "the exposure log's thread cannot be made: %s",
                       strerror(failed));
    log->started = true;
    return HN_OK;
}

hn_status hn_exposure_log_open(hn_exposure_log **out, const hn_exposure_options *options,
                               hn_error *err) {
    *out = NULL;
    HN_TRY(hn_dir_make(options->dir, err));
    HN_TRY(hn_exposure_files_mend(options->dir, err));
    hn_exposure_log *const log = hn_alloc_zero(1, sizeof *log);
    if (!log) return hn_no_memory(err, "the exposure log");
    init_lock(log);
    hn_status status = allocate(log, options, err);
    if (status == HN_OK) status = start(log, err);
    if (status != HN_OK)
        hn_exposure_log_close(log);
    else
        *out = log;
    return status;
}

void hn_exposure_log_close(hn_exposure_log *log) {
    if (!log) return;
    pthread_mutex_lock(&log->lock);
    log->closing = true;
    pthread_cond_signal(&log->wake);
    pthread_mutex_unlock(&log->lock);
    if (log->started) pthread_join(log->writer, NULL);
    ZSTD_freeCCtx(log->zstd);
    hn_free(log->filling.bytes);
    hn_free(log->writing.bytes);
    hn_free(log->frame);
    hn_free(log->dir);
    pthread_cond_destroy(&log->wake);
    pthread_mutex_destroy(&log->lock);
    hn_free(log);
}
