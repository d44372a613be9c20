/* See doors.h. */
#include "serve/doors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/http.h"
#include "support.h"

static hn_status open_parts(doors *d, hn_error *err) {
    const hn_serve_config *const c = d->config;
    const hn_exposure_options log = {c->exposures.dir, c->exposures.file_bytes,
                                     c->exposures.queue_bytes, c->exposures.flush_seconds};
    if (c->store.url) HN_TRY(hn_store_open(&d->store, &c->store, err));
    if (c->exposures.dir) HN_TRY(hn_exposure_log_open(&d->exposures, &log, err));
    const hn_ranker_parts parts = {c, NULL, d->store, d->exposures, DOORS_WORKERS};
    HN_TRY(hn_ranker_create(&d->ranker, &parts, err));
    const hn_shelf_hooks hooks = hn_ranker_hooks(d->ranker);
    HN_TRY(hn_shelf_open(&d->shelf, c, DOORS_WORKERS, &hooks, err));
    hn_ranker_attach(d->ranker, d->shelf);
    return HN_OK;
}

static hn_status open_all(doors *d, const char *yaml, hn_error *err) {
    char text[6000], with_folder[4000];
    size_t n = 0;
    for (const char *at = yaml; *at && n < sizeof with_folder - 400; at++) {
        if (strncmp(at, "%s", 2) == 0)
            n += (size_t)snprintf(with_folder + n, 400, "%s", d->world->folder), at++;
        else
            with_folder[n++] = *at;
    }
    with_folder[n] = '\0';
    const bool has_models = strstr(yaml, "models:") != NULL;
    snprintf(text, sizeof text, "%s%s%s%s",
             has_models ? "" : "models: {main: ", has_models ? "" : d->world->bundle_path,
             has_models ? "" : "}\n", with_folder);
    HN_TRY(
        hn_serve_config_parse(&d->config, text, strlen(text), "serve.yaml", d->world->folder, err));
    return open_parts(d, err);
}

hn_status doors_try(doors *d, const world *w, const char *yaml, hn_error *err) {
    *d = (doors){.world = w,
                 .user_trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                 .deadline_seconds = 30};
    const hn_status status = open_all(d, yaml, err);
    if (status != HN_OK) doors_close(d);
    return status;
}

void doors_open(doors *d, const world *w, const char *yaml) {
    hn_error err = {0};
    assert_ok(doors_try(d, w, yaml, &err));
}

void doors_close(doors *d) {
    if (d->shelf) hn_shelf_close(d->shelf);
    hn_ranker_free(d->ranker);
    if (d->store) hn_store_close(d->store);
    if (d->exposures) hn_exposure_log_close(d->exposures);
    hn_serve_config_free(d->config);
    free(d->body);
    *d = (doors){0};
}

int32_t doors_ask(doors *d, const char *method, const char *path, const void *body, size_t n,
                  int64_t json_bytes) {
    const int64_t now = hn_now_ns();
    /* a copy of its own size, so that a sanitizer sees what is read behind it */
    void *const own = malloc(n > 0 ? n : 1);
    if (n > 0) memcpy(own, body, n);
    hn_exchange e = {.method = method,
                     .path = path,
                     .query = "",
                     .body = own,
                     .body_bytes = n,
                     .content_type = "",
                     .authorization = "",
                     .trace = d->user_trace,
                     .json_bytes = json_bytes,
                     .arrived_ns = now,
                     .deadline_ns = now + (int64_t)(d->deadline_seconds * 1e9),
                     .worker = d->worker,
                     .answer_json_bytes = -1};
    (strcmp(path, "/v1/rank") == 0 ? hn_rank_handle : hn_oip_handle)(d->ranker, &e, &d->trace);
    assert_false(e.answer.failed);
    free(own);
    free(d->body);
    d->body = malloc(e.answer.length + 1);
    memcpy(d->body, e.answer.text ? e.answer.text : "", e.answer.length + 1);
    d->body_bytes = e.answer.length;
    d->json_bytes = e.answer_json_bytes;
    d->status = e.status;
    hn_text_free(&e.answer);
    return d->status;
}

static json_t *read_json(doors *d, int32_t status) {
    json_error_t error;
    const size_t n = d->json_bytes >= 0 ? (size_t)d->json_bytes : d->body_bytes;
    json_t *const json = json_loadb(d->body, n, JSON_REJECT_DUPLICATES, &error);
    if (!json) fail_msg("%s: %s", error.text, d->body);
    if (d->status != status) fail_msg("status %d: %s", d->status, d->body);
    return json;
}

json_t *doors_rank(doors *d, int32_t status, const char *body) {
    doors_ask(d, "POST", "/v1/rank", body, strlen(body), -1);
    return read_json(d, status);
}

json_t *doors_infer(doors *d, int32_t status, const char *body) {
    doors_ask(d, "POST", "/v2/models/main/infer", body, strlen(body), -1);
    return read_json(d, status);
}

json_t *doors_get(doors *d, int32_t status, const char *path) {
    doors_ask(d, "GET", path, "", 0, -1);
    return read_json(d, status);
}

const char *doors_code(const json_t *answer) {
    return json_string_value(json_object_get(json_object_get(answer, "error"), "code"));
}
