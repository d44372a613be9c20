/* Reading, cutting and handing out chunks (chunk.h). While the workers parse one window,
 * one of them fills the next: it reads, inflates and finds where rows end, which must be
 * done in file order. What it meets wrong is told after all that came before. */
#include "data/chunk.h"

#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#include "base/memory.h"
#include "base/report.h"
#include "data/budget.h"
#include "data/bytes.h"

enum { SLOTS_PER_THREAD = 4, SLOTS_LEAST = 4, SLOTS_MOST = 256 };

static _Atomic size_t chunk_bytes_for_tests;

void hn_chunk_bytes_set(size_t bytes) { atomic_store(&chunk_bytes_for_tests, bytes); }

static size_t chunk_bytes(void) {
    const size_t bytes = atomic_load(&chunk_bytes_for_tests);
    return bytes > 0 ? bytes : HN_CHUNK_BYTES;
}

/* Text and digested rows of a slot take some eight times a chunk's bytes; an eighth of
 * the memory that is left may go to all of them. */
int32_t hn_chunk_slots(const hn_pool *pool, const hn_run *run) {
    const int64_t threads = pool ? hn_pool_threads(pool) : 1;
    const int64_t affordable = hn_budget_left(run) / 64 / HN_CHUNK_BYTES;
    int64_t slots = threads * SLOTS_PER_THREAD;
    if (slots > affordable) slots = affordable;
    if (slots > SLOTS_MOST) slots = SLOTS_MOST;
    return (int32_t)(slots < SLOTS_LEAST ? SLOTS_LEAST : slots);
}

/* ---- Windows ------------------------------------------------------------------------------ */

typedef struct window {
    char *text;
    size_t n, capacity;
    hn_chunk *chunks; /* [slots]; `text` is set once the window is full, until then: */
    size_t *begin;    /* [slots] offsets */
    int32_t n_chunks;
    hn_status status; /* what went wrong behind the chunks */
    hn_error err;
    bool too_long; /* … a row that doesn't end; its line is known when the chunks are emitted */
} window;

typedef struct reader {
    const hn_chunk_job *job;
    int32_t slots;
    size_t chunk_bytes;
    size_t next_path;
    hn_text_file *first_file, *file; /* those not emitted to their end; the last one */
    hn_bytes *bytes;                 /* NULL: the next file is to be opened */
    bool ended;                      /* the file has no more bytes */
    bool fresh;                      /* no chunk of the file was made yet */
    hn_cutter cutter;
    size_t begin;             /* of the window's text that is in no chunk yet */
    uint64_t consumed, plain; /* bytes of files closed; of text */
    window windows[2];
    int32_t current;
} reader;

static hn_status read_block(reader *r, window *w, hn_error *err) {
    size_t got;
    HN_TRY(hn_grow(&w->text, &w->capacity, w->n + r->chunk_bytes, 1, err));
    HN_TRY(hn_bytes_read(&got, r->bytes, w->text + w->n, r->chunk_bytes, err));
    w->n += got;
    r->plain += got;
    r->ended = got < r->chunk_bytes;
    return HN_OK;
}

static void push_chunk(reader *r, window *w, size_t end) {
    const int32_t i = w->n_chunks;
    if (end == r->begin && !r->fresh && !r->ended) return; /* a row longer than a chunk */
    w->begin[i] = r->begin;
    w->chunks[i] = (hn_chunk){
        .file = r->file, .n = end - r->begin, .first = r->fresh, .last = r->ended, .slot = i};
    w->n_chunks++;
    r->fresh = false;
    r->begin = end;
}

static void close_bytes(reader *r) {
    if (r->bytes) r->consumed += hn_bytes_consumed(r->bytes);
    hn_bytes_close(r->bytes);
    r->bytes = NULL;
}

/* Rows that are whole now become a chunk. */
static void cut(reader *r, window *w) {
    hn_cutter_advance(&r->cutter, w->text, w->n, r->ended);
    push_chunk(r, w, r->ended ? w->n : r->cutter.row);
    if (r->ended) {
        close_bytes(r);
    } else if (w->n - r->begin > HN_ROW_BYTES_MAX) {
        w->too_long = true;
        w->status = HN_BAD_DATA;
    }
}

static hn_status add_file(reader *r, const char *path, hn_error *err) {
    hn_text_file *file;
    HN_TRY(hn_text_file_create(&file, path, err));
    if (r->file)
        r->file->next = file;
    else
        r->first_file = file;
    r->file = file;
    return HN_OK;
}

static hn_status start_file(reader *r, window *w, hn_error *err) {
    const char *const path = r->job->paths[r->next_path++];
    HN_TRY(add_file(r, path, err));
    HN_TRY(hn_bytes_open(&r->bytes, path, err));
    bool more = true;
    size_t rows;
    r->begin = w->n;
    r->fresh = true;
    while (more) {
        HN_TRY(read_block(r, w, err));
        HN_TRY(hn_text_file_begin(r->file, &more, &rows, r->job->source, w->text + r->begin,
                                  w->n - r->begin, r->ended, err));
    }
    r->begin += rows;
    r->cutter = (hn_cutter){.dialect = r->file->columns.dialect,
                            .scanned = r->begin,
                            .row = r->begin,
                            .walk = r->begin,
                            .at_field = true};
    return r->job->open(r->job->user, r->file, err);
}

static bool at_end(const reader *r) { return !r->bytes && r->next_path == r->job->n_paths; }

/* What is in no chunk of the window before begins the next one. */
static hn_status carry_over(reader *r, window *to, const window *from, hn_error *err) {
    const size_t n = from->n - r->begin;
    to->n = n;
    HN_TRY(hn_grow(&to->text, &to->capacity, n + (size_t)(r->slots + 1) * r->chunk_bytes, 1, err));
    if (n > 0) memcpy(to->text, from->text + r->begin, n);
    if (r->bytes) hn_cutter_shift(&r->cutter, r->begin);
    r->begin = 0;
    return HN_OK;
}

static hn_status fill_chunks(reader *r, window *w, hn_error *err) {
    HN_TRY(carry_over(r, w, &r->windows[r->current], err));
    /* Rows may be far longer than a chunk: a window that has some ends when it is full. */
    const size_t full = (size_t)(r->slots + 1) * r->chunk_bytes;
    while (w->n_chunks < r->slots && (w->n_chunks == 0 || w->n < full) && !at_end(r) &&
           !w->too_long) {
        if (r->bytes)
            HN_TRY(read_block(r, w, err));
        else
            HN_TRY(start_file(r, w, err));
        cut(r, w);
    }
    return HN_OK;
}

static void fill(reader *r, window *w) {
    w->n_chunks = 0;
    w->too_long = false;
    w->err.text[0] = '\0';
    w->status = HN_OK;
    const hn_status status = fill_chunks(r, w, &w->err);
    if (status != HN_OK) w->status = status;
    for (int32_t i = 0; i < w->n_chunks; i++) w->chunks[i].text = w->text + w->begin[i];
}

/* ---- The round ------------------------------------------------------------------------------ */

/* Item 0 fills the next window, which nobody else looks at meanwhile; behind an error
 * nothing more is read. */
static void work(void *user, int64_t item, int32_t worker) {
    (void)worker;
    reader *const r = user;
    if (item > 0)
        r->job->parse(r->job->user, &r->windows[r->current].chunks[item - 1]);
    else if (r->windows[r->current].status == HN_OK)
        fill(r, &r->windows[!r->current]);
}

static void run_round(reader *r, hn_pool *pool, int64_t items) {
    if (pool) {
        hn_pool_run(pool, items, work, r);
        return;
    }
    for (int64_t i = 0; i < items; i++) work(r, i, 0);
}

static void drop_first_file(reader *r) {
    hn_text_file *const file = r->first_file;
    r->first_file = file->next;
    if (r->file == file) r->file = NULL;
    r->job->close(r->job->user, file);
    hn_text_file_free(file);
}

static hn_status emit_chunks(reader *r, window *w, hn_error *err) {
    for (int32_t i = 0; i < w->n_chunks; i++) {
        const hn_chunk *const chunk = &w->chunks[i];
        HN_TRY(r->job->emit(r->job->user, chunk, err));
        chunk->file->lines += chunk->lines;
        if (chunk->last) drop_first_file(r);
    }
    if (!w->too_long && w->status != HN_OK && err) *err = w->err;
    if (w->too_long)
        return hn_fail(
            err, HN_BAD_DATA,
            "%s:%llu: a row begins here that is longer than %d MiB; is a quote never closed in it? "
            "(`quote: \"\"` reads quotes as ordinary text)",
            r->first_file->path, (unsigned long long)r->first_file->lines + 1,
            HN_ROW_BYTES_MAX >> 20);
    return w->status;
}

/* ---- Progress ------------------------------------------------------------------------------ */

typedef struct meter {
    struct timespec begin;
    uint64_t total; /* 0: not known */
} meter;

static meter start_meter(const hn_chunk_job *job) {
    meter m = {.total = 0};
    clock_gettime(CLOCK_MONOTONIC, &m.begin);
    for (size_t i = 0; i < job->n_paths; i++) {
        struct stat about;
        if (stat(job->paths[i], &about) != 0 || !S_ISREG(about.st_mode))
            return (meter){.begin = m.begin};
        m.total += (uint64_t)about.st_size;
    }
    return m;
}

static void tell(const reader *r, const meter *m, const hn_run *run) {
    if (!run || !run->progress) return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const double seconds =
        (double)(now.tv_sec - m->begin.tv_sec) + 1e-9 * (double)(now.tv_nsec - m->begin.tv_nsec);
    const uint64_t done = r->consumed + (r->bytes ? hn_bytes_consumed(r->bytes) : 0);
    const hn_progress progress = {
        .phase = r->job->phase,
        .done = (double)done,
        .total = (double)m->total,
        .rows_per_s = seconds > 0 ? (double)r->job->rows(r->job->user) / seconds : 0,
        .loss = __builtin_nan(""),
        .memory_bytes = hn_memory_own(),
    };
    run->progress(run->user, &progress);
}

/* ---- All of it ----------------------------------------------------------------------------- */

static hn_status make_windows(reader *r, hn_error *err) {
    for (int i = 0; i < 2; i++) {
        r->windows[i].chunks = hn_alloc_zero((size_t)r->slots, sizeof(hn_chunk));
        r->windows[i].begin = hn_alloc_zero((size_t)r->slots, sizeof(size_t));
        if (!r->windows[i].chunks || !r->windows[i].begin)
            return hn_no_memory(err, "reading files");
    }
    return HN_OK;
}

static void free_reader(reader *r) {
    while (r->first_file) drop_first_file(r);
    hn_bytes_close(r->bytes);
    for (int i = 0; i < 2; i++) {
        hn_free(r->windows[i].text);
        hn_free(r->windows[i].chunks);
        hn_free(r->windows[i].begin);
    }
}

static hn_status read_rounds(reader *r, hn_pool *pool, const hn_run *run, hn_error *err) {
    const meter m = start_meter(r->job);
    run_round(r, NULL, 1);
    for (;;) {
        r->current = !r->current;
        window *const w = &r->windows[r->current];
        if (w->n_chunks == 0 && w->status == HN_OK) return HN_OK;
        if (hn_stopped(run))
            return hn_fail(err, HN_INTERRUPTED, "stopped by request while reading");
        run_round(r, pool, 1 + w->n_chunks);
        HN_TRY(emit_chunks(r, w, err));
        tell(r, &m, run);
    }
}

hn_status hn_chunks_read(uint64_t *bytes, const hn_chunk_job *job, int32_t slots, hn_pool *pool,
                         const hn_run *run, hn_error *err) {
    reader r = {.job = job, .slots = slots, .chunk_bytes = chunk_bytes()};
    hn_status status = make_windows(&r, err);
    if (status == HN_OK) status = read_rounds(&r, pool, run, err);
    if (bytes) *bytes = r.plain;
    free_reader(&r);
    return status;
}
