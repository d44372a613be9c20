/* hn_serve: joins config, models, store, exposure log, ranker and the two HTTP surfaces, waits
 * for the request to stop, drains, and takes everything down in the order that it needs. */
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "serve/admin.h"
#include "serve/drift.h"
#include "serve/journal.h"

typedef struct server {
    const hn_serve_options *options;
    const hn_run *run;
    hn_serve_config *config;
    hn_exposure_log *exposures;
    hn_store *store;
    hn_ranker *ranker;
    hn_shelf_hooks hooks; /* the ranker's */
    hn_shelf *models;
    hn_front *front;
    hn_admin *admin;
    int32_t workers;
} server;

static int32_t count_cores(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (int32_t)CPU_COUNT(&set) : 1;
}

static bool is_yaml(const char *path) {
    const char *const dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

/* ---- What the front asks ------------------------------------------------------------------- */

static void handle_rank(void *user, hn_exchange *e, hn_rank_trace *trace) {
    hn_rank_handle(((server *)user)->ranker, e, trace);
}
static void handle_infer(void *user, hn_exchange *e, hn_rank_trace *trace) {
    hn_oip_handle(((server *)user)->ranker, e, trace);
}

static bool all_loaded(void *user) {
    server *const s = user;
    for (int32_t k = 0; k < s->config->n_models; k++) {
        const hn_model_version *const version = hn_shelf_acquire(s->models, k, false);
        if (!version) return false;
        hn_shelf_release(s->models, version);
    }
    return true;
}

typedef struct count_row {
    const char *name, *type, *help;
    double value;
} count_row;

static void write_rows(hn_text *out, const count_row *rows, size_t n) {
    for (size_t k = 0; k < n; k++) {
        hn_meters_head(out, rows[k].name, rows[k].type, rows[k].help);
        hn_meters_line(out, rows[k].name, "", rows[k].value);
    }
}

static void write_shelf(hn_text *out, hn_shelf *models) {
    hn_shelf_counts c;
    hn_shelf_counts_get(&c, models);
    const count_row rows[] = {
        {"hinet_model_loads_total", "counter", "Model versions loaded.", (double)c.loads},
        {"hinet_model_refusals_total", "counter", "Model versions refused.", (double)c.refusals},
        {"hinet_model_frees_total", "counter", "Model versions freed.", (double)c.frees},
    };
    write_rows(out, rows, sizeof rows / sizeof *rows);
}

static void write_versions(hn_text *out, server *s) {
    static const char name[] = "hinet_model_loaded_seconds";
    hn_meters_head(out, name, "gauge", "Unix time when the version that is served was loaded.");
    for (int32_t k = 0; k < s->config->n_models; k++) {
        const hn_model_version *const version = hn_shelf_acquire(s->models, k, false);
        if (!version) continue;
        hn_text labels = {0};
        hn_meters_label(&labels, "model", version->model);
        hn_meters_label(&labels, "version", version->version);
        if (!labels.failed)
            hn_meters_line(out, name, labels.text, (double)version->loaded_ms * 1e-3);
        hn_text_free(&labels);
        hn_shelf_release(s->models, version);
    }
}

static void write_store(hn_text *out, hn_store *store) {
    hn_store_counts c;
    hn_store_counts_get(&c, store);
    const count_row rows[] = {
        {"hinet_store_reads_total", "counter", "Keys asked of the feature store.", (double)c.reads},
        {"hinet_store_hits_total", "counter", "Keys found in the local cache.", (double)c.hits},
        {"hinet_store_absent_total", "counter", "Keys that the store does not have.",
         (double)c.absent},
        {"hinet_store_late_total", "counter", "Keys not read in time.", (double)c.late},
        {"hinet_store_errors_total", "counter", "Failed exchanges with the store.",
         (double)c.errors},
        {"hinet_store_reconnects_total", "counter", "Connections made to the store.",
         (double)c.reconnects},
    };
    write_rows(out, rows, sizeof rows / sizeof *rows);
}

static void write_exposures(hn_text *out, hn_exposure_log *log) {
    hn_exposure_counts c;
    hn_exposure_log_counts(&c, log);
    const count_row rows[] = {
        {"hinet_exposures_written_total", "counter", "Lines written to the exposure log.",
         (double)c.written},
        {"hinet_exposures_dropped_total", "counter", "Lines dropped because the queue was full.",
         (double)c.dropped},
        {"hinet_exposures_failed_total", "counter", "Lines lost because writing failed.",
         (double)c.failed},
        {"hinet_exposures_files_total", "counter", "Files begun.", (double)c.files},
        {"hinet_exposures_waiting_bytes", "gauge", "Bytes that wait to be written.",
         (double)c.waiting_bytes},
    };
    write_rows(out, rows, sizeof rows / sizeof *rows);
}

static void write_more(void *user, hn_text *out) {
    server *const s = user;
    write_shelf(out, s->models);
    write_versions(out, s);
    if (s->store) write_store(out, s->store);
    if (s->exposures) write_exposures(out, s->exposures);
    hn_drift_write(out, s->models, s->config->n_models, s->workers);
}

/* The shelf has one user for all its hooks: the server, which passes the ranker's on. */
static hn_status make_engine(void *user, void **engine, const hn_model_version *version,
                             int32_t worker, hn_error *err) {
    const hn_shelf_hooks *const to = &((const server *)user)->hooks;
    return to->make_engine(to->user, engine, version, worker, err);
}
static void free_engine(void *user, void *engine) {
    const hn_shelf_hooks *const to = &((const server *)user)->hooks;
    to->free_engine(to->user, engine);
}
static hn_status accept_version(void *user, const hn_model_version *version, hn_error *err) {
    const hn_shelf_hooks *const to = &((const server *)user)->hooks;
    return to->accept ? to->accept(to->user, version, err) : HN_OK;
}
static void log_model(void *user, const char *fields) {
    hn_journal(((const server *)user)->run, HN_LOG_INFO, "model", fields);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static hn_status open_models(server *s, hn_error *err) {
    const hn_ranker_parts parts = {s->config, NULL, s->store, s->exposures, s->workers};
    HN_TRY(hn_ranker_create(&s->ranker, &parts, err));
    s->hooks = hn_ranker_hooks(s->ranker);
    const hn_shelf_hooks hooks = {make_engine, free_engine, accept_version, log_model, s};
    HN_TRY(hn_shelf_open(&s->models, s->config, s->workers, &hooks, err));
    hn_ranker_attach(s->ranker, s->models);
    return HN_OK;
}

static hn_status open_front(server *s, hn_error *err) {
    const hn_front_options options = {.config = s->config,
                                      .listen = s->options->listen,
                                      .workers = s->workers,
                                      .access_log = s->options->access_log,
                                      .public_metrics = !s->config->admin_listen,
                                      .rank = handle_rank,
                                      .infer = handle_infer,
                                      .user = s,
                                      .ready = all_loaded,
                                      .more_metrics = write_more,
                                      .server = s,
                                      .run = s->run};
    return hn_front_open(&s->front, &options, err);
}

static hn_status open_admin(server *s, hn_error *err) {
    if (!s->config->admin_listen) return HN_OK;
    const hn_admin_options options = {.listen = s->config->admin_listen,
                                      .token_file = s->config->admin_token_file,
                                      .config = s->config,
                                      .front = s->front,
                                      .models = s->models,
                                      .run = s->run};
    return hn_admin_open(&s->admin, &options, err);
}

static hn_status open_logs(server *s, hn_error *err) {
    const hn_serve_exposures *const e = &s->config->exposures;
    const hn_exposure_options log = {e->dir, e->file_bytes, e->queue_bytes, e->flush_seconds};
    if (e->dir) HN_TRY(hn_exposure_log_open(&s->exposures, &log, err));
    if (!s->config->store.url) return HN_OK;
    hn_error why = {0};
    const hn_status status = hn_store_open(&s->store, &s->config->store, &why);
    return status == HN_OK ? HN_OK : hn_fail(err, status, "%s: %s", s->config->path, why.text);
}

static hn_status open_server(server *s, const char *path, hn_error *err) {
    HN_TRY(is_yaml(path) ? hn_serve_config_load(&s->config, path, err)
                         : hn_serve_config_of_bundle(&s->config, path, err));
    s->workers = s->run && s->run->threads > 0 ? s->run->threads : s->config->workers;
    if (s->workers <= 0) s->workers = count_cores();
    HN_TRY(open_logs(s, err));
    HN_TRY(open_models(s, err));
    HN_TRY(open_front(s, err));
    return open_admin(s, err);
}

/* ---- Closing --------------------------------------------------------------------------------- */

/* From the outside in: who uses something goes before it. */
static void close_server(server *s) {
    hn_admin_close(s->admin);
    hn_front_close(s->front);
    if (s->models) hn_shelf_close(s->models);
    hn_ranker_free(s->ranker);
    if (s->store) hn_store_close(s->store);
    if (s->exposures) hn_exposure_log_close(s->exposures);
    hn_serve_config_free(s->config);
}

/* ---- Running --------------------------------------------------------------------------------- */

/* What tests and scripts need to find the server, as one JSON object. */
static hn_status write_ready_file(const server *s, hn_error *err) {
    if (!s->options->ready_file) return HN_OK;
    hn_writer *writer;
    hn_text text = {0}, fields = {0};
    hn_journal_number(&fields, "port", hn_front_port(s->front));
    hn_journal_number(&fields, "admin_port", s->admin ? hn_admin_port(s->admin) : 0);
    hn_journal_number(&fields, "pid", (double)getpid());
    hn_text_add(&text, "{%s}\n", fields.failed ? "" : fields.text);
    hn_status status = text.failed || fields.failed
                           ? hn_no_memory(err, "the ready file")
                           : hn_writer_open(&writer, s->options->ready_file, err);
    if (status == HN_OK) {
        hn_writer_write(writer, text.text, text.length);
        status = hn_writer_commit(writer, err);
    }
    hn_text_free(&fields);
    hn_text_free(&text);
    return status;
}

static void log_listening(const server *s) {
    hn_text fields = {0};
    hn_journal_text(&fields, "listen", s->options->listen ? s->options->listen : s->config->listen);
    hn_journal_number(&fields, "port", hn_front_port(s->front));
    if (s->admin) hn_journal_text(&fields, "admin_listen", s->config->admin_listen);
    if (s->admin) hn_journal_number(&fields, "admin_port", hn_admin_port(s->admin));
    hn_journal_number(&fields, "workers", s->workers);
    hn_journal_number(&fields, "pid", (double)getpid());
    if (!fields.failed) hn_journal(s->run, HN_LOG_INFO, "listening", fields.text);
    hn_text_free(&fields);
}

static void wait_for_stop(const server *s) {
    const struct timespec pause = {.tv_nsec = 50000000}; /* a signal ends it early */
    while (!hn_stopped(s->run)) nanosleep(&pause, NULL);
}

static void drain(server *s) {
    hn_notify("STOPPING=1");
    hn_journal(s->run, HN_LOG_INFO, "draining", NULL);
    const int64_t begun = hn_now_ns();
    hn_front_drain(s->front, s->config->drain_seconds);
    hn_text fields = {0};
    hn_journal_number(&fields, "seconds", (double)(hn_now_ns() - begun) * 1e-9);
    hn_journal(s->run, HN_LOG_INFO, "drained", fields.text);
    hn_text_free(&fields);
}

hn_status hn_serve(const char *path, const hn_serve_options *options, const hn_run *run,
                   hn_error *err) {
    static const hn_serve_options defaults = {0};
    server s = {.options = options ? options : &defaults, .run = run};
    hn_text fields = {0};
    hn_journal_text(&fields, "version", HN_VERSION);
    hn_journal_text(&fields, "path", path);
    hn_journal(run, HN_LOG_INFO, "start", fields.text);
    hn_text_free(&fields);
    hn_status status = open_server(&s, path, err);
    if (status == HN_OK) status = write_ready_file(&s, err);
    if (status == HN_OK) {
        log_listening(&s);
        hn_notify("READY=1");
        wait_for_stop(&s);
        drain(&s);
    }
    close_server(&s);
    return status;
}
