/* Reading the log: plans for its files, chunks parsed and joined by the workers, blocks
 * given out in order. See chunk.h for the machine, parse.h and join.h for a row's way. */
#include <stdio.h>

#include "base/memory.h"
#include "base/rng.h"
#include "data/join.h"
#include "data/samples.h"

typedef struct output {
    hn_parsed parsed;
    hn_joined joined;
    hn_status status;
    hn_error err;
} output;

/* What a file's columns mean. */
typedef struct file_plan {
    hn_parse_plan *parse;
    hn_join_plan join;
} file_plan;

typedef struct log_reader {
    const hn_config *config;
    const hn_sources *sources;
    const hn_side_tables *tables;
    const hn_log_options *options;
    hn_refs refs;
    output *outputs;
    int32_t n_outputs;
    hn_log_counts counts;
    uint64_t good, given; /* rows that were not bad; that went into blocks */
    bool header_told;
    char *header; /* of the first file, when lines are kept */
    size_t header_n;
} log_reader;

/* ---- Where the config's own columns are ---------------------------------------------------- */

static bool is_of_split(int32_t ref) {
    return ref == HN_REF_SPLIT_AT || ref == HN_REF_VALIDATION_AT || ref == HN_REF_TEST_AT;
}

/* Scoring needs no filters and no splits, even where their columns are there. */
static bool is_unused(const log_reader *log, int32_t ref) {
    const bool filter = ref >= HN_REF_FILTER_AT && ref < log->refs.first_label;
    return !log->refs.items[ref].column || (log->options->scoring && (filter || is_of_split(ref)));
}

static bool may_lack(const log_reader *log, int32_t ref) {
    if (log->options->scoring) return ref != HN_REF_SCENARIO_AT;
    return log->options->files && is_of_split(ref);
}

/* A name like "users.age" that names a table, for the message about its columns. */
static const hn_side_table *table_meant(const log_reader *log, const hn_ref *ref,
                                        const char **column) {
    for (int32_t t = 0; log->tables && t < log->tables->n; t++) {
        *column = hn_ref_in_table(ref, log->tables->items[t].name);
        if (*column) return &log->tables->items[t];
    }
    return NULL;
}

static hn_status lack(const log_reader *log, const hn_text_file *file, int32_t ref, int32_t at,
                      hn_error *err) {
    const hn_ref *const item = &log->refs.items[ref];
    const char *column;
    const hn_side_table *const table =
        at == HN_COLUMN_NONE ? table_meant(log, item, &column) : NULL;
    if (!table)
        return hn_columns_lack(&file->columns, item->column, at, item->role, item->detail, err);
    hn_columns columns = {
        .file = table->name, .names = table->columns, .dialect = file->columns.dialect};
    return hn_columns_lack(&columns, column, at, item->role, item->detail, err);
}

/* The log's own column before a table's; a table's only when no other table has it. */
static hn_status locate(int32_t *from, int32_t *column, const log_reader *log,
                        const hn_text_file *file, int32_t ref, hn_error *err) {
    const hn_ref *const item = &log->refs.items[ref];
    *from = HN_FROM_NOWHERE;
    if (is_unused(log, ref)) return HN_OK;
    *column = strcmp(item->column, "$file") == 0 ? file->columns.names.n
                                                 : hn_columns_find(&file->columns, item->column);
    if (*column == HN_COLUMN_TWICE) return lack(log, file, ref, *column, err);
    if (*column >= 0) {
        *from = HN_FROM_LOG;
        return HN_OK;
    }
    for (int32_t t = 0; log->tables && t < log->tables->n; t++) {
        if (!log->tables->items[t].refs[ref]) continue;
        if (*from != HN_FROM_NOWHERE)
            return hn_fail(err, HN_BAD_CONFIG,
                           "column \"%.80s\", needed for %s, is in tables \"%.60s\" and \"%.60s\"; "
                           "write \"%.60s.%.80s\" to choose",
                           item->column, item->role, log->tables->items[*from].name,
                           log->tables->items[t].name, log->tables->items[t].name, item->column);
        *from = t;
    }
    if (*from == HN_FROM_NOWHERE && !may_lack(log, ref))
        return lack(log, file, ref, HN_COLUMN_NONE, err);
    return HN_OK;
}

static hn_status plan_refs(const log_reader *log, file_plan *plan, const hn_text_file *file,
                           hn_error *err) {
    for (int32_t i = 0; i < log->refs.n; i++) {
        int32_t column = HN_COLUMN_NONE;
        HN_TRY(locate(&plan->join.from[i], &column, log, file, i, err));
        const hn_use use = {.column = column, .kind = HN_USE_REF, .to = i};
        if (plan->join.from[i] == HN_FROM_LOG) HN_TRY(hn_parse_plan_add(plan->parse, &use, err));
        if (is_of_split(i) && log->refs.items[i].column && plan->join.from[i] == HN_FROM_NOWHERE)
            plan->join.splits = false;
    }
    return HN_OK;
}

static hn_status plan_keys(const log_reader *log, file_plan *plan, const hn_text_file *file,
                           hn_error *err) {
    for (int32_t t = 0; t < log->config->n_tables; t++) {
        const hn_config_table *const table = &log->config->tables[t];
        const char *const name = table->log_key ? table->log_key : table->key;
        const int32_t column = hn_columns_find(&file->columns, name);
        if (column < 0)
            return hn_columns_lack(&file->columns, name, column, "joining table", table->name, err);
        const hn_use use = {.column = column, .kind = HN_USE_KEY, .to = t};
        HN_TRY(hn_parse_plan_add(plan->parse, &use, err));
    }
    return HN_OK;
}

static hn_status plan_columns(const log_reader *log, file_plan *plan, const hn_text_file *file,
                              hn_error *err) {
    HN_TRY(plan_keys(log, plan, file, err));
    for (int32_t i = 0; i < log->sources->n; i++)
        if (log->sources->items[i].table < 0)
            HN_TRY(hn_parse_plan_source(plan->parse, &log->sources->items[i], err));
    HN_TRY(plan_refs(log, plan, file, err));
    return hn_parse_plan_finish(plan->parse, err);
}

static bool keeps_lines(const log_reader *log) {
    return log->options->keep_lines || log->options->samples;
}

static hn_status open_file(void *user, hn_text_file *file, hn_error *err) {
    log_reader *const log = user;
    const bool scoring = log->options->scoring;
    file_plan *const plan = hn_alloc_zero(1, sizeof *plan);
    if (!plan) return hn_no_memory(err, file->path);
    file->plan = plan;
    plan->parse = hn_alloc_zero(1, sizeof *plan->parse);
    plan->join = (hn_join_plan){.config = log->config,
                                .refs = &log->refs,
                                .tables = log->tables,
                                .from = hn_alloc_zero((size_t)log->refs.n, sizeof *plan->join.from),
                                .scoring = scoring,
                                .keep_lines = keeps_lines(log),
                                .splits = !scoring};
    if (!plan->parse || !plan->join.from) return hn_no_memory(err, file->path);
    *plan->parse =
        (hn_parse_plan){.file = file,
                        .source = &log->config->log,
                        .refs = &log->refs,
                        .columns = file->columns.names.n,
                        .slots = log->sources->log_slots,
                        .keys = log->config->n_tables,
                        .lenient = scoring,
                        .identity = log->config->drop_duplicates && !scoring,
                        .header = hn_cell_hash(file->columns.header, file->columns.header_n)};
    return plan_columns(log, plan, file, err);
}

static void close_file(void *user, hn_text_file *file) {
    (void)user;
    file_plan *const plan = file->plan;
    if (!plan) return;
    hn_parse_plan_free(plan->parse);
    hn_free(plan->join.from);
    hn_free(plan);
}

/* ---- Chunks -------------------------------------------------------------------------------- */

static void parse_chunk(void *user, hn_chunk *chunk) {
    log_reader *const log = user;
    output *const out = &log->outputs[chunk->slot];
    const file_plan *const plan = chunk->file->plan;
    out->status = hn_parse(&out->parsed, plan->parse, chunk->text, chunk->n, &out->err);
    if (out->status == HN_OK)
        out->status = hn_join_tables(&out->joined, &out->parsed, plan->parse, &plan->join,
                                     chunk->text, &out->err);
    chunk->lines = out->parsed.feeds;
}

/* Lines are given out as they are, so all files must have the first one's columns. */
static hn_status tell_header(log_reader *log, const hn_text_file *file, hn_error *err) {
    const hn_columns *const columns = &file->columns;
    const bool differs =
        log->header && (log->header_n != columns->header_n ||
                        memcmp(log->header, columns->header, columns->header_n) != 0);
    if (differs)
        return hn_fail(err, HN_BAD_DATA,
                       "%s:1: the header differs from that of the first file; expected the same "
                       "columns in the same order "
                       "(read the files one by one)",
                       file->path);
    if (log->header_told) return HN_OK;
    log->header_told = true;
    if (log->options->keep_lines) {
        log->header_n = columns->header_n;
        log->header = hn_strndup(columns->header, columns->header_n);
        if (!log->header) return hn_no_memory(err, "a header");
    }
    if (!log->options->header) return HN_OK;
    return log->options->header(log->options->user, columns->header, columns->header_n,
                                columns->dialect.delimiter, err);
}

/* The name as the config has it, so that what is kept does not tell where it ran. */
static const char *relative(const log_reader *log, const char *path) {
    const char *const dir = log->config->dir;
    const size_t n = dir ? strlen(dir) : 0;
    return n > 0 && strncmp(path, dir, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

static hn_status keep_example(log_reader *log, const char *path, uint64_t line, const hn_bad *bad,
                              hn_error *err) {
    char text[sizeof bad->text + 400];
    hn_log_counts *const counts = &log->counts;
    if (counts->n_examples == sizeof counts->examples / sizeof *counts->examples) return HN_OK;
    snprintf(text, sizeof text, "%.300s:%llu:%llu: %s", relative(log, path),
             (unsigned long long)line, (unsigned long long)bad->column, bad->text);
    char *const copy = hn_strdup(text);
    if (!copy) return hn_no_memory(err, "a message");
    counts->examples[counts->n_examples++].text = copy;
    return HN_OK;
}

static hn_status too_many(const log_reader *log, hn_error *err) {
    const unsigned long long bad = log->counts.bad;
    const char *const first = log->counts.examples[0].text;
    if (log->options->scoring) return hn_fail(err, HN_BAD_DATA, "%s", first);
    if (bad == 1)
        return hn_fail(err, HN_BAD_DATA, "%s (bad_rows: %lld are allowed)", first,
                       (long long)log->config->bad_rows);
    return hn_fail(err, HN_BAD_DATA, "%s; %llu bad rows so far, and bad_rows: %lld are allowed",
                   first, bad, (long long)log->config->bad_rows);
}

static hn_status count_bads(log_reader *log, const hn_chunk *chunk, const hn_bads *bads,
                            hn_error *err) {
    const uint64_t before = chunk->file->lines + 1;
    log->counts.bad += bads->n;
    log->counts.rows += bads->n;
    for (int32_t i = 0; i < bads->kept; i++)
        HN_TRY(keep_example(log, chunk->file->path, before + bads->items[i].line, &bads->items[i],
                            err));
    if (bads->fatal)
        return hn_fail(err, HN_BAD_DATA, "%s:%llu:%llu: %s; all that follows would be lost",
                       chunk->file->path, (unsigned long long)(before + bads->hides.line),
                       (unsigned long long)bads->hides.column, bads->hides.text);
    const uint64_t allowed =
        log->options->scoring || log->config->bad_rows < 0 ? 0 : (uint64_t)log->config->bad_rows;
    return log->counts.bad > allowed ? too_many(log, err) : HN_OK;
}

/* ---- Blocks -------------------------------------------------------------------------------- */

static void number_rows(const log_reader *log, output *out) {
    const hn_config_split *const split = &log->config->split;
    const bool random = split->by == HN_SPLIT_RANDOM && !log->options->scoring;
    hn_joined *const joined = &out->joined;
    for (int32_t r = 0; r < joined->rows; r++) {
        joined->ordinal[r] += log->good;
        if (random) joined->split[r] = (uint8_t)hn_split_random(split, joined->ordinal[r]);
    }
}

static hn_status give_block(const log_reader *log, const output *out, const hn_text_file *file,
                            hn_error *err) {
    const hn_joined *const joined = &out->joined;
    const bool identity = log->config->drop_duplicates && !log->options->scoring;
    const hn_impressions block = {
        .rows = joined->rows,
        .log_slots = log->sources->log_slots,
        .tables = log->config->n_tables,
        .tasks = log->config->n_tasks,
        .slots = out->parsed.slots,
        .table_rows = joined->table_rows,
        .lists = out->parsed.lists,
        .n_lists = out->parsed.n_lists,
        .scenario = joined->scenario,
        .labels = joined->labels,
        .weights = joined->weights,
        .user = joined->user,
        .split = joined->split,
        .ordinal = joined->ordinal,
        .identity = identity ? out->parsed.identity : NULL,
        .sampling = log->config->sampling_column ? joined->sampling : NULL,
        .line = keeps_lines(log) ? joined->line : NULL,
        .line_bytes = keeps_lines(log) ? joined->line_bytes : NULL,
    };
    if (log->options->samples)
        HN_TRY(hn_samples_take(log->options->samples, &block, &file->columns, file->base, err));
    return log->options->block(log->options->user, &block, err);
}

static hn_status emit(void *user, const hn_chunk *chunk, hn_error *err) {
    log_reader *const log = user;
    output *const out = &log->outputs[chunk->slot];
    if (chunk->first) HN_TRY(tell_header(log, chunk->file, err));
    if (out->status != HN_OK) {
        if (err) *err = out->err;
        return out->status;
    }
    HN_TRY(count_bads(log, chunk, &out->parsed.bads, err));
    number_rows(log, out);
    log->good += out->joined.good;
    log->given += (uint64_t)out->joined.rows;
    log->counts.rows += out->joined.good;
    log->counts.filtered += out->joined.filtered;
    log->counts.other_scenario += out->joined.other_scenario;
    return out->joined.rows > 0 && log->options->block ? give_block(log, out, chunk->file, err)
                                                       : HN_OK;
}

static uint64_t rows_so_far(const void *user) { return ((const log_reader *)user)->counts.rows; }

/* ---- All of it ----------------------------------------------------------------------------- */

void hn_log_counts_free(hn_log_counts *counts) {
    for (int32_t i = 0; i < counts->n_examples; i++) hn_free(counts->examples[i].text);
    *counts = (hn_log_counts){0};
}

/* Tables of another config would be read past their ends. */
static hn_status check_tables(const log_reader *log, hn_error *err) {
    const int32_t n = log->tables ? log->tables->n : 0;
    bool fits = n == log->config->n_tables;
    for (int32_t t = 0; t < n && fits; t++) fits = log->tables->items[t].n_refs == log->refs.n;
    return fits ? HN_OK
                : hn_fail(
                      err, HN_BAD_DATA,
                      "the tables are not those of the config (%d and %d); prepare the data again",
                      n, log->config->n_tables);
}

static hn_status explicit_paths(hn_paths *paths, const hn_log_options *options, hn_error *err) {
    paths->paths = hn_alloc_zero(options->n_files, sizeof *paths->paths);
    if (!paths->paths) return hn_no_memory(err, "the paths of files");
    for (; paths->n < options->n_files; paths->n++) {
        paths->paths[paths->n] = hn_strdup(options->files[paths->n]);
        if (!paths->paths[paths->n]) return hn_no_memory(err, "the paths of files");
    }
    return HN_OK;
}

static hn_status read_log(log_reader *log, hn_pool *pool, const hn_run *run, hn_error *err) {
    hn_paths paths = {0};
    hn_status status = log->options->files
                           ? explicit_paths(&paths, log->options, err)
                           : hn_source_paths(&paths, log->config, &log->config->log, err);
    if (status == HN_OK) {
        const hn_chunk_job job = {.source = &log->config->log,
                                  .paths = paths.paths,
                                  .n_paths = paths.n,
                                  .phase = "read",
                                  .open = open_file,
                                  .close = close_file,
                                  .parse = parse_chunk,
                                  .emit = emit,
                                  .rows = rows_so_far,
                                  .user = log};
        status = hn_chunks_read(&log->counts.bytes, &job, log->n_outputs, pool, run, err);
    }
    hn_paths_free(&paths);
    return status;
}

static void free_log(log_reader *log) {
    for (int32_t i = 0; i < log->n_outputs && log->outputs; i++) {
        hn_parsed_free(&log->outputs[i].parsed);
        hn_joined_free(&log->outputs[i].joined);
    }
    hn_free(log->outputs);
    hn_free(log->header);
    hn_refs_free(&log->refs);
    hn_log_counts_free(&log->counts);
}

hn_status hn_log_read(hn_log_counts *counts, const hn_config *config, const hn_sources *sources,
                      const hn_side_tables *tables, const hn_log_options *options, hn_pool *pool,
                      const hn_run *run, hn_error *err) {
    log_reader log = {.config = config,
                      .sources = sources,
                      .tables = tables,
                      .options = options,
                      .n_outputs = hn_chunk_slots(pool, run)};
    *counts = (hn_log_counts){0};
    hn_status status = hn_refs_create(&log.refs, config, err);
    if (status == HN_OK) status = check_tables(&log, err);
    if (status == HN_OK) {
        log.outputs = hn_alloc_zero((size_t)log.n_outputs, sizeof *log.outputs);
        status =
            log.outputs ? read_log(&log, pool, run, err) : hn_no_memory(err, "reading the log");
    }
    if (status == HN_OK) {
        *counts = log.counts;
        log.counts = (hn_log_counts){0};
    }
    free_log(&log);
    return status;
}
