/* The public door. The HTTP thread decides by path and method, answers health and readiness
 * itself (so that they work under overload), and admits the rest to the workers' queue. */
#include "serve/front.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "serve/journal.h"

enum { SLOW_LINES = 10, ACCESS_LINES = 100 }; /* a second */

struct hn_front {
    hn_front_options options;
    hn_http *http;
    hn_workers *workers;
    hn_meters *metrics;
    _Atomic bool draining;
    hn_journal_rate slow, access;
};

typedef enum door { DOOR_NONE, DOOR_RANK, DOOR_INFER, DOOR_STATUS } door;
typedef struct route {
    const char *path;
    bool below; /* also what lies below it */
    door door;
    const char *allow;
} route;
static const route routes[] = {
    {"/v1/rank", false, DOOR_RANK, "POST"},
    {"/v2/health/live", false, DOOR_STATUS, "GET, HEAD"},
    {"/v2/health/ready", false, DOOR_STATUS, "GET, HEAD"},
    {"/v2", true, DOOR_INFER, "GET, HEAD, POST"},
    {"/health", false, DOOR_STATUS, "GET, HEAD"},
    {"/ready", false, DOOR_STATUS, "GET, HEAD"},
    {"/metrics", false, DOOR_STATUS, "GET, HEAD"},
};

static const route *find_route(const char *path) {
    for (size_t k = 0; k < sizeof routes / sizeof *routes; k++) {
        const size_t n = strlen(routes[k].path);
        if (strncmp(path, routes[k].path, n) != 0) continue;
        if (!path[n] || (routes[k].below && path[n] == '/')) return &routes[k];
    }
    return NULL;
}

/* Whether `method` is one of the comma-separated words. */
static bool allows(const char *allow, const char *method) {
    const size_t n = strlen(method);
    for (const char *at = strstr(allow, method); n > 0 && at; at = strstr(at + 1, method))
        if ((at == allow || at[-1] == ' ') && (at[n] == ',' || !at[n])) return true;
    return false;
}

/* ---- Status ------------------------------------------------------------------------------ */

bool hn_front_ready(const hn_front *f) {
    return !atomic_load(&f->draining) && (!f->options.ready || f->options.ready(f->options.server));
}

static void write_gauges(hn_text *out, hn_front *f) {
    hn_workers_state state;
    hn_http_counts http;
    hn_workers_state_get(&state, f->workers);
    hn_http_counts_get(&http, f->http);
    const struct {
        const char *name, *type, *help;
        double value;
    } rows[] = {
        {"hinet_queue_requests", "gauge", "Requests that wait for a worker.", state.waiting},
        {"hinet_queue_limit", "gauge", "Requests that may wait.", f->options.config->queue},
        {"hinet_workers_busy", "gauge", "Workers that score.", state.busy},
        {"hinet_workers", "gauge", "Workers.", f->options.workers},
        {"hinet_service_seconds", "gauge", "Mean time of a request in a worker, of late.",
         (double)state.service_ns * 1e-9},
        {"hinet_connections", "gauge", "Open connections.", (double)http.open},
        {"hinet_connections_total", "counter", "Connections accepted.", (double)http.connections},
        {"hinet_connections_cut_total", "counter",
         "Connections ended because head, body or answer took too long.", (double)http.cut},
        {"hinet_refused_requests_total", "counter",
         "Requests refused for their size, path, method or headers.", (double)http.refused},
        {"hinet_body_bytes", "gauge", "Bytes of request bodies held.", (double)http.body_bytes},
        {"hinet_ready", "gauge", "1 when /ready says so.", hn_front_ready(f)},
        {"hinet_memory_bytes", "gauge", "Bytes held by the library's allocator.",
         (double)hn_memory_held()},
        {"process_resident_memory_bytes", "gauge", "Resident memory of the process.",
         (double)hn_memory_resident()},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        hn_meters_head(out, rows[k].name, rows[k].type, rows[k].help);
        hn_meters_line(out, rows[k].name, "", rows[k].value);
    }
    hn_meters_head(out, "hinet_build_info", "gauge", "1, labelled with the version.");
    hn_meters_line(out, "hinet_build_info", "version=\"" HN_VERSION "\"", 1);
}

static void answer_metrics(hn_front *f, hn_exchange *e) {
    e->status = 200;
    e->answer_type = "text/plain; version=0.0.4; charset=utf-8";
    write_gauges(&e->answer, f);
    hn_meters_write(&e->answer, f->metrics);
    if (f->options.more_metrics) f->options.more_metrics(f->options.server, &e->answer);
}

static void answer_word(hn_exchange *e, int32_t status, const char *name, bool value) {
    json_t *const json = json_pack("{s:b}", name, (int)value);
    hn_answer_json(e, status, json);
    json_decref(json);
}

bool hn_front_status(hn_front *f, hn_exchange *e, bool metrics) {
    const bool ready = strcmp(e->path, "/ready") == 0 || strcmp(e->path, "/v2/health/ready") == 0;
    if (strcmp(e->path, "/health") == 0 || strcmp(e->path, "/v2/health/live") == 0)
        answer_word(e, 200, "live", true);
    else if (ready && hn_front_ready(f))
        answer_word(e, 200, "ready", true);
    else if (ready)
        answer_word(e, 503, "ready", false);
    else if (metrics && strcmp(e->path, "/metrics") == 0)
        answer_metrics(f, e);
    else
        return false;
    return true;
}

/* ---- The HTTP thread's hooks ------------------------------------------------------------- */

static bool on_head(void *user, hn_exchange *e) {
    const hn_front *const f = user;
    const route *const r = find_route(e->path);
    const bool hidden = strcmp(e->path, "/metrics") == 0 && !f->options.public_metrics;
    if (!r || hidden)
        hn_answer_error(e, 404, "no such path; see /v1/rank, /v2, /health, /ready");
    else if (!allows(r->allow, e->method)) {
        hn_answer_error(e, 405, "this method is not for this path; see the Allow header");
        e->allow = r->allow;
    } else
        return true;
    return false;
}

static void refuse(hn_exchange *e, const char *why) {
    hn_answer_error(e, 503, why);
    e->retry_seconds = 1;
}

static bool on_whole(void *user, hn_exchange *e) {
    hn_front *const f = user;
    const int32_t shard = f->options.workers;
    if (find_route(e->path)->door == DOOR_STATUS) return hn_front_status(f, e, true);
    switch (hn_workers_admit(f->workers, e)) {
    case HN_ADMITTED: return false;
    case HN_QUEUE_FULL:
        hn_meters_add(f->metrics, shard, HN_METRIC_FULL, 1);
        refuse(e, "overloaded: the queue is full");
        return true;
    case HN_TOO_LATE: break;
    }
    hn_meters_add(f->metrics, shard, HN_METRIC_HOPELESS, 1);
    refuse(e, "overloaded: the deadline would be missed");
    return true;
}

static void on_push(void *user, hn_exchange *e) { hn_workers_push(((hn_front *)user)->workers, e); }

static void log_access(hn_front *f, const hn_exchange *e) {
    int64_t suppressed = 0;
    if (!f->options.access_log || !hn_journal_may(&f->access, ACCESS_LINES, &suppressed)) return;
    hn_text fields = {0};
    hn_journal_text(&fields, "method", e->method);
    hn_journal_text(&fields, "path", e->path);
    hn_journal_number(&fields, "status", e->status);
    if (e->arrived_ns)
        hn_journal_number(&fields, "ms", (double)(hn_now_ns() - e->arrived_ns) * 1e-6);
    hn_journal_text(&fields, "trace", e->trace);
    if (suppressed) hn_journal_number(&fields, "suppressed", (double)suppressed);
    if (!fields.failed) hn_journal(f->options.run, HN_LOG_INFO, "request", fields.text);
    hn_text_free(&fields);
}

static void on_done(void *user, const hn_exchange *e) {
    hn_front *const f = user;
    if (e->status)
        hn_meters_status(f->metrics, f->options.workers, e->status);
    else
        hn_meters_add(f->metrics, f->options.workers, HN_METRIC_GONE, 1);
    log_access(f, e);
}

/* ---- The workers' hooks -------------------------------------------------------------------- */

static void log_slow(hn_front *f, const hn_exchange *e, const hn_rank_trace *trace,
                     const int64_t *ns) {
    int64_t suppressed = 0;
    if (!hn_journal_may(&f->slow, SLOW_LINES, &suppressed)) return;
    static const char *const names[HN_PHASES] = {
#define X(symbol, label) label "_ms",
        HN_PHASE_MAP(X)
#undef X
    };
    hn_text fields = {0};
    hn_journal_text(&fields, "path", e->path);
    hn_journal_number(&fields, "status", e->status);
    hn_journal_text(&fields, "scenario", trace->scenario_name);
    hn_journal_number(&fields, "items", trace->items);
    for (int32_t p = 0; p < HN_PHASES; p++)
        hn_journal_number(&fields, names[p], (double)ns[p] * 1e-6);
    hn_journal_text(&fields, "trace", e->trace);
    if (suppressed) hn_journal_number(&fields, "suppressed", (double)suppressed);
    if (!fields.failed) hn_journal(f->options.run, HN_LOG_WARNING, "slow_request", fields.text);
    hn_text_free(&fields);
}

static void on_handle(void *user, hn_exchange *e) {
    hn_front *const f = user;
    const hn_front_options *const o = &f->options;
    const int64_t taken = hn_now_ns();
    hn_rank_trace trace = {.scenario = -1, .scenario_name = ""};
    const door to = find_route(e->path)->door;
    (to == DOOR_RANK ? o->rank : o->infer)(o->user, e, &trace);
    const int64_t now = hn_now_ns();
    const int64_t ns[HN_PHASES] = {
        [HN_PHASE_QUEUE] = taken - e->arrived_ns, [HN_PHASE_PARSE] = trace.parse_ns,
        [HN_PHASE_FEATURES] = trace.features_ns,  [HN_PHASE_MODEL] = trace.model_ns,
        [HN_PHASE_ANSWER] = trace.answer_ns,      [HN_PHASE_TOTAL] = now - e->arrived_ns,
    };
    if (trace.items > 0) hn_meters_phases(f->metrics, e->worker, trace.scenario_name, ns);
    hn_meters_add(f->metrics, e->worker, HN_METRIC_ITEMS, (uint64_t)trace.items);
    hn_meters_add(f->metrics, e->worker, HN_METRIC_MISSING, trace.missing_features);
    hn_meters_add(f->metrics, e->worker, HN_METRIC_UNKNOWN, trace.unknown_scenario);
    hn_meters_fallback(f->metrics, e->worker, trace.fallback);
    if (now <= e->deadline_ns) return;
    hn_meters_add(f->metrics, e->worker, HN_METRIC_OVERRUN, 1);
    log_slow(f, e, &trace, ns);
}

static void on_late(void *user, hn_exchange *e) {
    hn_front *const f = user;
    hn_meters_add(f->metrics, e->worker, HN_METRIC_LATE, 1);
    refuse(e, "overloaded: the deadline passed while the request waited");
}

/* ---- Life -------------------------------------------------------------------------------- */

static hn_http_options http_options(hn_front *f) {
    const hn_serve_config *const c = f->options.config;
    return (hn_http_options){
        .listen = f->options.listen ? f->options.listen : c->listen,
        .header_seconds = c->header_seconds,
        .body_seconds = c->body_seconds,
        .deadline_ms = c->deadline_ms,
        .max_deadline_ms = c->max_deadline_ms,
        .max_header_bytes = c->max_header_bytes,
        .max_body_bytes = c->max_body_bytes,
        .max_connections = c->max_connections,
        .hooks = {on_head, on_whole, on_push, on_done, f},
    };
}

hn_status hn_front_open(hn_front **out, const hn_front_options *options, hn_error *err) {
    *out = NULL;
    hn_front *const f = hn_alloc_zero(1, sizeof *f);
    if (!f) return hn_no_memory(err, "the server");
    f->options = *options;
    hn_status status = hn_meters_create(&f->metrics, options->workers + 1, err);
    if (status == HN_OK) {
        const hn_workers_options workers = {.threads = options->workers,
                                            .queue = options->config->queue,
                                            .name = "hinet-worker",
                                            .handle = on_handle,
                                            .late = on_late,
                                            .finish = hn_http_finish,
                                            .user = f};
        status = hn_workers_start(&f->workers, &workers, err);
    }
    if (status == HN_OK) {
        const hn_http_options http = http_options(f);
        status = hn_http_start(&f->http, &http, err);
    }
    if (status != HN_OK)
        hn_front_close(f);
    else
        *out = f;
    return status;
}

int32_t hn_front_port(const hn_front *f) { return hn_http_port(f->http); }

void hn_front_drain(hn_front *f, double seconds) {
    const int64_t end = hn_now_ns() + (int64_t)(seconds * 1e9);
    atomic_store(&f->draining, true);
    hn_http_drain(f->http);
    hn_http_counts counts;
    do {
        const struct timespec pause = {.tv_nsec = 10000000};
        nanosleep(&pause, NULL);
        hn_http_counts_get(&counts, f->http);
    } while ((counts.listening || counts.open > 0) && hn_now_ns() < end);
}

/* Order: the surface must outlive the workers, which wake its connections; and its thread may
 * push until it ends, so the workers refuse first. */
void hn_front_close(hn_front *f) {
    if (!f) return;
    atomic_store(&f->draining, true);
    if (f->http) hn_http_drain(f->http);
    hn_workers_quit(f->workers);
    hn_http_stop(f->http);
    hn_workers_stop(f->workers);
    hn_meters_free(f->metrics);
    hn_free(f);
}
