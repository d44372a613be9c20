/* hn_predict: rows in, the same rows with probabilities out. The log's own reader and the
 * schema's own encoder make the rows, hn_score scores them; here blocks are cut into
 * slices for the workers and written in order, so that memory is bounded and the bytes do
 * not depend on the threads. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "bundle/bundle.h"

enum { SLICE_ROWS = 256 };
#ifdef HN_DOUBLE
#define PROBABILITY_FORMAT "%.17g" /* read back, it is the same number */
#else
#define PROBABILITY_FORMAT "%.9g"
#endif

typedef struct worker {
    hn_scratch *scratch;
    hn_real *logits;  /* [SLICE_ROWS][T] */
    uint64_t unknown; /* rows of unknown scenarios */
} worker;

typedef struct predictor {
    const hn_bundle *bundle;
    const hn_layout *layout;
    hn_predict_options options;
    hn_pool *pool;
    hn_write write;
    void *user;
    char *delimiter;
    worker *workers; /* [threads] */
    /* The block that is being scored. */
    const hn_rows *rows;
    const hn_impressions *raw;
    hn_text *texts;   /* [slices] what is to be written */
    hn_error *errors; /* [slices] */
    size_t text_capacity, error_capacity, slices;
} predictor;

/* ---- The header ------------------------------------------------------------------------- */

/* Whether `name` is one of the header's fields. Quotes around a field do not count. */
static bool has_column(const char *header, size_t n, const char *delimiter, const char *name,
                       size_t length) {
    const char *at = header, *const end = header + n;
    while (at <= end) {
        const char *const found = memmem(at, (size_t)(end - at), delimiter, strlen(delimiter));
        const char *const stop = found ? found : end;
        const char *first = at, *last = stop;
        if (last - first >= 2 && *first == '"' && last[-1] == '"') first++, last--;
        if ((size_t)(last - first) == length && memcmp(first, name, length) == 0) return true;
        if (!found) break;
        at = found + strlen(delimiter);
    }
    return false;
}

/* "p_TASK" or "flags", with underscores added until no column of the input has the name. */
static void add_column(hn_text *out, const predictor *p, const char *header, size_t n,
                       const char *prefix, const char *rest) {
    hn_text name = {0};
    hn_text_add(&name, "%s%s", prefix, rest);
    while (!name.failed && has_column(header, n, p->delimiter, name.text, name.length))
        hn_text_add(&name, "_");
    hn_text_bytes(out, p->delimiter, strlen(p->delimiter));
    if (name.failed)
        out->failed = true;
    else
        hn_text_bytes(out, name.text, name.length);
    hn_text_free(&name);
}

static hn_status write_header(void *user, const char *text, size_t n, const char *delimiter,
                              hn_error *err) {
    predictor *const p = user;
    if (p->delimiter) return HN_OK; /* one header, however many files */
    p->delimiter = hn_strdup(delimiter);
    if (!p->delimiter) return hn_no_memory(err, "the header");
    hn_text line = {0};
    hn_text_bytes(&line, text, n);
    for (int32_t t = 0; t < p->layout->tasks; t++)
        add_column(&line, p, text, n, "p_", p->bundle->config->tasks[t].name);
    if (p->options.flags) add_column(&line, p, text, n, "flags", "");
    hn_text_bytes(&line, "\n", 1);
    const hn_status status = line.failed ? hn_no_memory(err, "the header")
                                         : p->write(p->user, line.text, line.length, err);
    hn_text_free(&line);
    return status;
}

/* ---- Rows --------------------------------------------------------------------------------- */

/* Rows first … first+n-1 as rows of their own. */
static hn_rows slice_of(const hn_rows *rows, const hn_layout *layout, int32_t first, int32_t n) {
    const size_t f = (size_t)first;
    return (hn_rows){.rows = n,
                     .scenario = rows->scenario + f,
                     .ids = rows->ids + f * (size_t)layout->ids,
                     .values = rows->values + f * (size_t)layout->values,
                     .list_begin =
                         rows->list_begin ? rows->list_begin + f * (size_t)layout->lists : NULL,
                     .list_ids = rows->list_ids};
}

/* What is shown is an hn_real, as through the server's doors. */
static double probability(const predictor *p, uint16_t scenario, int32_t task, hn_real logit) {
    return (double)(hn_real)(p->options.uncorrected ? hn_bundle_uncorrected
                                                    : hn_bundle_probability)(
        p->bundle, scenario, task, (double)logit, p->options.calibrated);
}

/* The raw row, its probabilities and its flags. */
static void add_row(hn_text *out, const predictor *p, int32_t row, uint16_t scenario,
                    const hn_real *logits) {
    static const char unknown[] = "unknown_scenario";
    hn_text_bytes(out, p->raw->line[row], p->raw->line_bytes[row]);
    for (int32_t t = 0; t < p->layout->tasks; t++) {
        char number[40];
        const int n = snprintf(number, sizeof number, PROBABILITY_FORMAT,
                               probability(p, scenario, t, logits[t]));
        hn_text_bytes(out, p->delimiter, strlen(p->delimiter));
        hn_text_bytes(out, number, (size_t)n);
    }
    if (p->options.flags) hn_text_bytes(out, p->delimiter, strlen(p->delimiter));
    if (p->options.flags && scenario == HN_SCENARIO_UNKNOWN)
        hn_text_bytes(out, unknown, sizeof unknown - 1);
    hn_text_bytes(out, "\n", 1);
}

static void score_slice(void *user, int64_t index, int32_t worker_index) {
    predictor *const p = user;
    worker *const w = &p->workers[worker_index];
    const int32_t first = (int32_t)index * SLICE_ROWS, left = p->rows->rows - first;
    const hn_rows rows = slice_of(p->rows, p->layout, first, left < SLICE_ROWS ? left : SLICE_ROWS);
    hn_text *const text = &p->texts[index];
    hn_error *const err = &p->errors[index];
    text->length = 0;
    err->status = HN_OK;
    if (hn_score(w->logits, p->bundle->scorer, w->scratch, &rows, err) != HN_OK) return;
    for (int32_t r = 0; r < rows.rows; r++) {
        add_row(text, p, first + r, rows.scenario[r],
                w->logits + (size_t)r * (size_t)p->layout->tasks);
        w->unknown += rows.scenario[r] == HN_SCENARIO_UNKNOWN;
    }
    if (text->failed) (void)hn_no_memory(err, "scored rows");
}

/* Room for so many slices; the new ones are zeroed. */
static hn_status reserve(predictor *p, size_t slices, hn_error *err) {
    const size_t had = p->slices;
    if (slices <= had) return HN_OK;
    HN_TRY(hn_grow(&p->texts, &p->text_capacity, slices, sizeof *p->texts, err));
    HN_TRY(hn_grow(&p->errors, &p->error_capacity, slices, sizeof *p->errors, err));
    memset(p->texts + had, 0, (slices - had) * sizeof *p->texts);
    memset(p->errors + had, 0, (slices - had) * sizeof *p->errors);
    p->slices = slices;
    return HN_OK;
}

static hn_status score_block(void *user, const hn_rows *rows, const hn_impressions *raw,
                             hn_error *err) {
    predictor *const p = user;
    const size_t slices = ((size_t)rows->rows + SLICE_ROWS - 1) / SLICE_ROWS;
    HN_TRY(reserve(p, slices, err));
    p->rows = rows;
    p->raw = raw;
    hn_pool_run(p->pool, (int64_t)slices, score_slice, p);
    for (size_t i = 0; i < slices; i++) {
        if (p->errors[i].status != HN_OK)
            return hn_fail(err, p->errors[i].status, "%s", p->errors[i].text);
        HN_TRY(p->write(p->user, p->texts[i].text, p->texts[i].length, err));
    }
    return HN_OK;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static hn_status create_workers(predictor *p, hn_error *err) {
    const int32_t threads = hn_pool_threads(p->pool);
    p->workers = hn_alloc_zero((size_t)threads, sizeof *p->workers);
    if (!p->workers) return hn_no_memory(err, "the workers");
    for (int32_t i = 0; i < threads; i++) {
        p->workers[i].logits = hn_alloc(SLICE_ROWS, (size_t)p->layout->tasks * sizeof(hn_real));
        if (!p->workers[i].logits) return hn_no_memory(err, "logits");
        HN_TRY(hn_scratch_create(&p->workers[i].scratch, p->bundle->scorer, err));
    }
    return HN_OK;
}

static void tell_unknown(const predictor *p, const hn_run *run) {
    uint64_t unknown = 0;
    for (int32_t i = 0; i < hn_pool_threads(p->pool); i++) unknown += p->workers[i].unknown;
    if (run && unknown > 0)
        hn_say(run, HN_LOG_WARNING,
               "%llu rows are of scenarios that the bundle does not know; they have the mean of "
               "the known ones (--flags names them)",
               (unsigned long long)unknown);
}

static void close_predictor(predictor *p) {
    for (int32_t i = 0; p->workers && i < hn_pool_threads(p->pool); i++) {
        hn_scratch_free(p->workers[i].scratch);
        hn_free(p->workers[i].logits);
    }
    for (size_t i = 0; i < p->slices; i++) hn_text_free(&p->texts[i]);
    hn_free(p->workers);
    hn_free(p->texts);
    hn_free(p->errors);
    hn_free(p->delimiter);
    hn_pool_free(p->pool);
}

hn_status hn_predict(const hn_bundle *bundle, const char *const *files, size_t n_files,
                     const hn_predict_options *how, hn_write write, void *user, const hn_run *run,
                     hn_error *err) {
    if (n_files == 0)
        return hn_fail(err, HN_USAGE,
                       "predict: no files; expected at least one, or \"-\" for standard input");
    predictor p = {
        .bundle = bundle, .layout = hn_schema_layout(bundle->schema), .write = write, .user = user};
    if (how) p.options = *how;
    const hn_raw_options options = {.files = files,
                                    .n_files = n_files,
                                    .scoring = true,
                                    .keep_lines = true,
                                    .only = HN_NO_SPLIT,
                                    .header = write_header,
                                    .rows = score_block,
                                    .user = &p};
    hn_log_counts counts = {0};
    hn_status status = hn_pool_create(&p.pool, run ? run->threads : 0, err);
    if (status == HN_OK) status = create_workers(&p, err);
    if (status == HN_OK)
        status = hn_raw_read(&counts, bundle->config, bundle->schema, bundle->tables, &options,
                             p.pool, run, err);
    if (status == HN_OK) tell_unknown(&p, run);
    hn_log_counts_free(&counts);
    close_predictor(&p);
    return status;
}
