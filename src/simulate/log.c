/* The impression log. Workers make pieces of some thousand requests, each from its
 * numbers alone; the calling thread writes the pieces in order. So any number of threads
 * writes the same bytes, and memory does not grow with the rows. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/memory.h"
#include "simulate/simulate.h"

enum {
    PIECE_REQUESTS = 2048,
    ROW_BYTES_MAX = 192, /* 10 fields of at most 20 characters, of which most are short */
    PIECES_A_WORKER = 2
};
static const char header[] =
    "request_id,time,date,hour,user_id,scenario,recent_categories,position,item_id,click,order\n";

typedef struct log_piece {
    char *text; /* [PIECE_REQUESTS × HN_SIM_CANDIDATES × ROW_BYTES_MAX] */
    size_t bytes;
    uint64_t *test; /* [PIECE_REQUESTS × HN_SIM_CANDIDATES × HN_SIM_TASKS] Bayes records */
    size_t n_test;
    uint64_t scenario_rows[HN_SIM_SCENARIOS], cell_positives[HN_SIM_CELLS];
} log_piece;

typedef struct window {
    const hn_sim_log *log;
    log_piece *pieces;
    int64_t n, first, requests; /* pieces; number of the first one; of the whole log */
} window;

int64_t hn_sim_log_files(const hn_sim_log *log) {
    return (log->rows + log->rows_a_file - 1) / log->rows_a_file;
}

void hn_sim_log_name(char *out, size_t n, const hn_sim_log *log, int64_t i) {
    if (hn_sim_log_files(log) == 1)
        snprintf(out, n, "log.csv");
    else
        snprintf(out, n, "log-%04lld.csv", (long long)i);
}

/* ---- Rows ------------------------------------------------------------------------------ */

static char *put_text(char *at, const char *text) {
    while (*text) *at++ = *text++;
    return at;
}

static char *put_number(char *at, uint64_t number) {
    char digits[20];
    int n = 0;
    do digits[n++] = (char)('0' + number % 10);
    while (number /= 10);
    while (n > 0) *at++ = digits[--n];
    return at;
}

/* The fields that a request's rows share. */
static size_t put_request(char *out, const hn_sim_request *request) {
    char *at = put_number(out, request->id + 1);
    *at++ = ',';
    at = put_number(at, (uint64_t)request->time);
    *at++ = ',';
    at = put_number(at, 20240101 + (uint64_t)request->day);
    *at++ = ',';
    at = put_number(at, (uint64_t)(request->second_of_day / 3600));
    *at++ = ',';
    at = put_number(at, (uint64_t)request->user + 1);
    *at++ = ',';
    at = put_text(at, hn_sim_scenarios[request->scenario].name);
    for (int k = 0; k < HN_SIM_RECENT; k++) {
        *at++ = k == 0 ? ',' : '|';
        at = put_number(at, (uint64_t)request->recent[k] + 1);
    }
    *at++ = ',';
    return (size_t)(at - out);
}

static void add_row(log_piece *piece, const hn_sim_request *request, const hn_sim_user *user,
                    const hn_truth *truth, const char *shared, size_t shared_bytes,
                    int32_t position) {
    double p[HN_SIM_TASKS];
    uint8_t outcome[HN_SIM_TASKS];
    hn_traffic_probabilities(p, truth, request, user, position);
    hn_traffic_outcome(outcome, p, truth, request->id, position);
    char *at = piece->text + piece->bytes;
    memcpy(at, shared, shared_bytes);
    at = put_number(at + shared_bytes, (uint64_t)position);
    *at++ = ',';
    at = put_number(at, (uint64_t)request->candidates[position] + 1);
    for (int32_t t = 0; t < HN_SIM_TASKS; t++) {
        const int32_t cell = request->scenario * HN_SIM_TASKS + t;
        *at++ = ',';
        *at++ = (char)('0' + outcome[t]);
        piece->cell_positives[cell] += outcome[t];
        if (request->day >= HN_SIM_TEST_DAY)
            piece->test[piece->n_test++] = hn_bayes_record(cell, p[t], outcome[t] != 0);
    }
    *at++ = '\n';
    piece->bytes = (size_t)(at - piece->text);
    piece->scenario_rows[request->scenario]++;
}

static void make_piece(void *user_data, int64_t index, int32_t worker) {
    (void)worker;
    const window *const w = user_data;
    log_piece *const piece = &w->pieces[index];
    piece->bytes = piece->n_test = 0;
    memset(piece->scenario_rows, 0, sizeof piece->scenario_rows);
    memset(piece->cell_positives, 0, sizeof piece->cell_positives);
    const int64_t first = (w->first + index) * PIECE_REQUESTS;
    for (int64_t r = first; r < first + PIECE_REQUESTS && r < w->requests; r++) {
        hn_sim_request request;
        hn_sim_user user;
        char shared[ROW_BYTES_MAX];
        hn_traffic_request(&request, &user, w->log->truth, (uint64_t)r, (uint64_t)w->requests);
        const size_t shared_bytes = put_request(shared, &request);
        /* The last request may be short of candidates, so that the rows come out even. */
        for (int32_t k = 0; k < HN_SIM_CANDIDATES && r * HN_SIM_CANDIDATES + k < w->log->rows; k++)
            add_row(piece, &request, &user, w->log->truth, shared, shared_bytes, k);
    }
}

/* ---- Files ------------------------------------------------------------------------------- */

typedef struct output {
    hn_sim_log *log;
    hn_writer *writer;
    int64_t file, rows; /* number of the open file; rows written in all */
    struct timespec start;
} output;

static hn_status open_file(output *out, hn_error *err) {
    char name[32];
    hn_sim_log_name(name, sizeof name, out->log, out->file);
    char *const path = hn_path_join(out->log->dir, name);
    if (!path) return hn_no_memory(err, "a path");
    const hn_status status = hn_writer_open(&out->writer, path, err);
    hn_free(path);
    if (status == HN_OK) hn_writer_write(out->writer, header, sizeof header - 1);
    return status;
}

static hn_status close_file(output *out, hn_error *err) {
    hn_writer *const writer = out->writer;
    out->writer = NULL;
    out->file++;
    return writer ? hn_writer_commit(writer, err) : HN_OK;
}

/* Files are cut between pieces: rows_a_file is a multiple of a piece's rows. */
static hn_status write_piece(output *out, const log_piece *piece, hn_bayes *bayes, hn_error *err) {
    uint64_t rows = 0;
    if (!out->writer) HN_TRY(open_file(out, err));
    hn_writer_write(out->writer, piece->text, piece->bytes);
    for (int i = 0; i < HN_SIM_SCENARIOS; i++) rows += piece->scenario_rows[i];
    for (int i = 0; i < HN_SIM_SCENARIOS; i++)
        out->log->scenario_rows[i] += piece->scenario_rows[i];
    for (int c = 0; c < HN_SIM_CELLS; c++) out->log->cell_positives[c] += piece->cell_positives[c];
    out->rows += (int64_t)rows;
    HN_TRY(hn_bayes_add(bayes, piece->test, piece->n_test, err));
    return out->rows % out->log->rows_a_file == 0 ? close_file(out, err) : HN_OK;
}

static void show_progress(const output *out, const hn_run *run) {
    if (!run || !run->progress) return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const double seconds = (double)(now.tv_sec - out->start.tv_sec) +
                           1e-9 * (double)(now.tv_nsec - out->start.tv_nsec);
    const hn_progress progress = {.phase = "simulate",
                                  .done = (double)out->rows,
                                  .total = (double)out->log->rows,
                                  .rows_per_s = seconds > 0 ? (double)out->rows / seconds : 0,
                                  .loss = __builtin_nan(""),
                                  .memory_bytes = hn_memory_own()};
    run->progress(run->user, &progress);
}

static hn_status write_all(output *out, window *w, int64_t pieces, hn_bayes *bayes, hn_pool *pool,
                           const hn_run *run, hn_error *err) {
    for (; w->first < pieces; w->first += w->n) {
        if (hn_stopped(run))
            return hn_fail(err, HN_INTERRUPTED,
                           "simulate: stopped by request; the log is not whole");
        const int64_t n = pieces - w->first < w->n ? pieces - w->first : w->n;
        hn_pool_run(pool, n, make_piece, w);
        for (int64_t i = 0; i < n; i++) HN_TRY(write_piece(out, &w->pieces[i], bayes, err));
        show_progress(out, run);
    }
    return close_file(out, err);
}

static hn_status create_pieces(window *w, hn_error *err) {
    const size_t rows = (size_t)PIECE_REQUESTS * HN_SIM_CANDIDATES;
    w->pieces = hn_alloc_zero((size_t)w->n, sizeof *w->pieces);
    if (!w->pieces) return hn_no_memory(err, "the simulated log");
    for (int64_t i = 0; i < w->n; i++) {
        w->pieces[i].text = hn_alloc(rows, ROW_BYTES_MAX);
        w->pieces[i].test = hn_alloc(rows * HN_SIM_TASKS, sizeof(uint64_t));
        if (!w->pieces[i].text || !w->pieces[i].test) return hn_no_memory(err, "the simulated log");
    }
    return HN_OK;
}

static void free_pieces(window *w) {
    for (int64_t i = 0; w->pieces && i < w->n; i++) {
        hn_free(w->pieces[i].text);
        hn_free(w->pieces[i].test);
    }
    hn_free(w->pieces);
}

hn_status hn_sim_log_write(hn_sim_log *log, hn_bayes *bayes, hn_pool *pool, const hn_run *run,
                           hn_error *err) {
    const int64_t requests = (log->rows + HN_SIM_CANDIDATES - 1) / HN_SIM_CANDIDATES;
    const int64_t pieces = (requests + PIECE_REQUESTS - 1) / PIECE_REQUESTS;
    const int64_t wanted = (int64_t)hn_pool_threads(pool) * PIECES_A_WORKER;
    window w = {.log = log, .n = wanted < pieces ? wanted : pieces, .requests = requests};
    output out = {.log = log};
    clock_gettime(CLOCK_MONOTONIC, &out.start);
    hn_status status = create_pieces(&w, err);
    if (status == HN_OK) status = write_all(&out, &w, pieces, bayes, pool, run, err);
    hn_writer_abandon(out.writer);
    free_pieces(&w);
    return status;
}
