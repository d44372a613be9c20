/* The admin surface. Its HTTP thread answers health, readiness and metrics; its one worker
 * talks to the shelf, which makes it wait until the loader has done the work. */
#include "serve/admin.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "serve/journal.h"

enum { TOKEN_MIN = 16, QUEUE = 8, CONNECTIONS = 64, NAME_BYTES = 256 };
static const double action_ms = 600000;
static const char models_path[] = "/admin/models", config_path[] = "/admin/config";

struct hn_admin {
    hn_admin_options options;
    hn_http *http;
    hn_workers *workers;
    char *token;
};

/* ---- The token --------------------------------------------------------------------------- */

hn_status hn_token_read(char **out, const char *path, hn_error *err) {
    struct stat info;
    size_t n;
    *out = NULL;
    HN_TRY(hn_file_read(out, &n, path, err));
    (*out)[strcspn(*out, "\r\n")] = '\0';
    hn_status status = HN_OK;
    if (stat(path, &info) == 0 && (info.st_mode & S_IRWXO) != 0)
        status =
            hn_fail(err, HN_BAD_CONFIG,
                    "admin token file %s: others may use it (mode %03o); expected chmod 600 or 640",
                    path, (unsigned)info.st_mode & 0777);
    else if (strlen(*out) < TOKEN_MIN)
        status = hn_fail(err, HN_BAD_CONFIG,
                         "admin token file %s: found a token of %zu bytes; expected at least %d",
                         path, strlen(*out), TOKEN_MIN);
    if (status == HN_OK) return status;
    hn_free(*out);
    *out = NULL;
    return status;
}

bool hn_token_matches(const char *token, const char *authorization) {
    static const char scheme[] = "Bearer ";
    const size_t skip = strlen(scheme), n = strlen(token);
    if (strncasecmp(authorization, scheme, skip) != 0) return false;
    const char *const given = authorization + skip;
    const size_t m = strlen(given);
    volatile unsigned differ = m != n;
    for (size_t k = 0; k < m; k++) differ |= (unsigned)(given[k] ^ token[k % n]);
    return differ == 0;
}

/* ---- Actions ------------------------------------------------------------------------------- */

typedef struct action {
    const char *name;
    hn_status (*run)(hn_shelf *models, const char *model, const char *version, hn_error *err);
    bool needs_version;
} action;

static hn_status run_reload(hn_shelf *models, const char *model, const char *version,
                            hn_error *err) {
    (void)version;
    return hn_shelf_reload(models, model, err);
}
static hn_status run_pin(hn_shelf *models, const char *model, const char *version, hn_error *err) {
    return hn_shelf_pin(models, model, version, err);
}
static hn_status run_unpin(hn_shelf *models, const char *model, const char *version,
                           hn_error *err) {
    (void)version;
    return hn_shelf_pin(models, model, NULL, err);
}
static hn_status run_rollback(hn_shelf *models, const char *model, const char *version,
                              hn_error *err) {
    (void)version;
    return hn_shelf_rollback(models, model, err);
}
static hn_status run_unload(hn_shelf *models, const char *model, const char *version,
                            hn_error *err) {
    (void)version;
    return hn_shelf_unload(models, model, err);
}

static const action actions[] = {
    {"reload", run_reload, false},     {"pin", run_pin, true},        {"unpin", run_unpin, false},
    {"rollback", run_rollback, false}, {"unload", run_unload, false},
};

static const action *find_action(const char *name) {
    for (size_t k = 0; k < sizeof actions / sizeof *actions; k++)
        if (strcmp(actions[k].name, name) == 0) return &actions[k];
    return NULL;
}

/* "/admin/models/NAME/ACTION": the name may contain slashes, an action does not. */
static const action *parse_action(char *model, const char *path) {
    const size_t skip = strlen(models_path);
    const char *const last = strrchr(path, '/');
    if (strncmp(path, models_path, skip) != 0 || path[skip] != '/' || last <= path + skip)
        return NULL;
    const size_t n = (size_t)(last - path) - skip - 1;
    if (n == 0 || n >= NAME_BYTES) return NULL;
    memcpy(model, path + skip + 1, n);
    model[n] = '\0';
    return find_action(last + 1);
}

static int hex(char c) {
    static const char digits[] = "0123456789abcdef";
    const char *const at = c ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The value of "version=" in a query, percent-decoded; "" when it is not there. */
static void parse_version(char *out, const char *query) {
    static const char key[] = "version=";
    const char *at = strncmp(query, key, strlen(key)) == 0 ? query : strstr(query, "&version=");
    size_t n = 0;
    if (at) at += strlen(key) + (*at == '&');
    for (; at && *at && *at != '&' && n + 1 < NAME_BYTES; at++) {
        const bool escaped = *at == '%' && hex(at[1]) >= 0 && hex(at[2]) >= 0;
        out[n++] = escaped ? (char)(hex(at[1]) * 16 + hex(at[2])) : *at;
        if (escaped) at += 2;
    }
    out[n] = '\0';
}

static void log_action(const hn_admin *a, const hn_exchange *e, const char *model,
                       const char *text) {
    hn_text fields = {0};
    hn_journal_text(&fields, "path", e->path);
    hn_journal_text(&fields, "model", model);
    hn_journal_number(&fields, "status", e->status);
    if (text[0]) hn_journal_text(&fields, "error", text);
    hn_journal_text(&fields, "trace", e->trace);
    if (!fields.failed)
        hn_journal(a->options.run, text[0] ? HN_LOG_WARNING : HN_LOG_INFO, "admin", fields.text);
    hn_text_free(&fields);
}

static void answer_models(hn_admin *a, hn_exchange *e) {
    json_t *const json = hn_shelf_describe(a->options.models);
    hn_answer_json(e, 200, json);
    json_decref(json);
}

static void run_action(hn_admin *a, hn_exchange *e) {
    char model[NAME_BYTES], version[NAME_BYTES];
    hn_error err = {0};
    const action *const act = parse_action(model, e->path);
    parse_version(version, e->query);
    if (hn_shelf_find(a->options.models, model) < 0)
        hn_answer_error(e, 404, "no such model; see GET /admin/models");
    else if (act->needs_version && !version[0])
        hn_answer_error(e, 400, "which version? as in POST /admin/models/NAME/pin?version=VERSION");
    else if (act->run(a->options.models, model, version, &err) == HN_OK)
        answer_models(a, e);
    else
        hn_answer_error(e, 409, err.text[0] ? err.text : "the action failed");
    log_action(a, e, model, err.text);
}

static void on_handle(void *user, hn_exchange *e) {
    hn_admin *const a = user;
    if (strcmp(e->method, "POST") == 0)
        run_action(a, e);
    else if (strcmp(e->path, config_path) == 0) {
        json_t *const json = hn_serve_config_json(a->options.config);
        hn_answer_json(e, 200, json);
        json_decref(json);
    } else
        answer_models(a, e);
}

static void on_late(void *user, hn_exchange *e) {
    (void)user;
    hn_answer_error(e, 503, "the server is ending");
}

/* ---- The HTTP thread's hooks --------------------------------------------------------------- */

static bool is_open_path(const char *path) {
    return strcmp(path, "/health") == 0 || strcmp(path, "/ready") == 0;
}

/* The methods of a path; NULL: no such path. */
static const char *methods_of(const char *path) {
    char model[NAME_BYTES];
    const bool get = is_open_path(path) || strcmp(path, "/metrics") == 0 ||
                     strcmp(path, models_path) == 0 || strcmp(path, config_path) == 0;
    return get ? "GET, HEAD" : parse_action(model, path) ? "POST" : NULL;
}

static bool on_head(void *user, hn_exchange *e) {
    const hn_admin *const a = user;
    const char *const methods = methods_of(e->path);
    const bool get = strcmp(e->method, "GET") == 0 || strcmp(e->method, "HEAD") == 0;
    if (a->token && !is_open_path(e->path) && !hn_token_matches(a->token, e->authorization))
        hn_answer_error(e, 401, "expected the header Authorization: Bearer TOKEN");
    else if (!methods)
        hn_answer_error(
            e, 404, "no such path; see /admin/models, /admin/config, /metrics, /health, /ready");
    else if (methods[0] == 'G' ? !get : strcmp(e->method, "POST") != 0) {
        hn_answer_error(e, 405, "this method is not for this path; see the Allow header");
        e->allow = methods;
    } else
        return true;
    return false;
}

static bool on_whole(void *user, hn_exchange *e) {
    hn_admin *const a = user;
    if (hn_front_status(a->options.front, e, true)) return true;
    if (hn_workers_admit(a->workers, e) == HN_ADMITTED) return false;
    hn_answer_error(e, 503, "too many admin requests wait");
    e->retry_seconds = 1;
    return true;
}

static void on_push(void *user, hn_exchange *e) { hn_workers_push(((hn_admin *)user)->workers, e); }
static void on_done(void *user, const hn_exchange *e) { (void)user, (void)e; }

/* ---- Life ---------------------------------------------------------------------------------- */

static hn_status open_parts(hn_admin *a, hn_error *err) {
    const hn_serve_config *const c = a->options.config;
    const bool is_unix = strncmp(a->options.listen, "unix:", 5) == 0;
    if (a->options.token_file)
        HN_TRY(hn_token_read(&a->token, a->options.token_file, err));
    else if (!is_unix)
        return hn_fail(err, HN_BAD_CONFIG,
                       "admin %s: found no token file; expected one, or a Unix socket",
                       a->options.listen);
    const hn_workers_options workers = {1, QUEUE, "hinet-admin", on_handle, on_late, hn_http_finish,
                                        a};
    HN_TRY(hn_workers_start(&a->workers, &workers, err));
    const hn_http_options http = {.listen = a->options.listen,
                                  .header_seconds = c->header_seconds,
                                  .body_seconds = c->body_seconds,
                                  .deadline_ms = action_ms,
                                  .max_deadline_ms = action_ms,
                                  .max_header_bytes = c->max_header_bytes,
                                  .max_body_bytes = 1 << 16,
                                  .max_connections = CONNECTIONS,
                                  .hooks = {on_head, on_whole, on_push, on_done, a}};
    return hn_http_start(&a->http, &http, err);
}

hn_status hn_admin_open(hn_admin **out, const hn_admin_options *options, hn_error *err) {
    *out = NULL;
    hn_admin *const a = hn_alloc_zero(1, sizeof *a);
    if (!a) return hn_no_memory(err, "the admin surface");
    a->options = *options;
    const hn_status status = open_parts(a, err);
    if (status != HN_OK)
        hn_admin_close(a);
    else
        *out = a;
    return status;
}

int32_t hn_admin_port(const hn_admin *a) { return hn_http_port(a->http); }

void hn_admin_close(hn_admin *a) {
    if (!a) return;
    if (a->http) hn_http_drain(a->http);
    hn_workers_quit(a->workers);
    hn_http_stop(a->http);
    hn_workers_stop(a->workers);
    hn_free(a->token);
    hn_free(a);
}
