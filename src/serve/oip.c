/* Open Inference Protocol v2 (docs/serving.md): inputs are columns, one row is one (user, item)
 * pair, outputs one tensor of probabilities a task and one of scores. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "serve/answer.h"
#include "serve/http.h"
#include "serve/oip.h"

bool hn_oip_refuse(hn_exchange *e, int32_t status, const char *format, ...) {
    char text[900];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    hn_text_free(&e->answer);
    hn_text_add(&e->answer, "{\"error\":");
    hn_json_add_text(&e->answer, text);
    hn_text_bytes(&e->answer, "}", 1);
    e->status = status;
    e->answer_type = "application/json";
    e->answer_json_bytes = -1;
    return false;
}

/* ---- Inference ----------------------------------------------------------------------------- */

/* Of the first row: metrics are of requests. */
static void trace_scenario(hn_inference *f, hn_rank_trace *trace) {
    if (f->rows == 0) return;
    const uint16_t first = hn_engine_scenario(f->engine, 0);
    const char *const name =
        hn_rank_keep_scenario(f->memory, hn_engine_scenario_name(f->engine, first));
    trace->scenario_name = name ? name : "";
    trace->unknown_scenario = first == HN_SCENARIO_UNKNOWN;
}

static void score(hn_inference *f, hn_rank_trace *trace) {
    hn_error err = {0};
    const int64_t begun = hn_now_ns();
    if (hn_rank_reserve(f->memory, f->rows, &err) != HN_OK ||
        (f->rows > 0 && hn_engine_score(f->engine, &err) != HN_OK)) {
        hn_oip_refuse(f->exchange, 503, "%s", err.text);
        return;
    }
    (void)hn_rank_fuse(f->memory->score, f->engine, f->ranker, &f->choice);
    const int64_t scored = hn_now_ns(), encode = f->rows > 0 ? f->engine->encode_ns : 0;
    trace->features_ns += encode;
    trace->model_ns = scored - begun - encode;
    trace->items = f->rows;
    trace_scenario(f, trace);
    if (f->engine->encoded_rows)
        trace->missing_features = (uint32_t)hn_request_missing(f->engine->request);
    hn_oip_answer(f);
    trace->answer_ns = hn_now_ns() - scored;
}

static void take_body(hn_inference *f, hn_rank_trace *trace) {
    const int64_t begun = hn_now_ns();
    f->body = f->memory->json.nodes;
    hn_choose(&f->choice, f->ranker->parts.config, NULL, NULL, 0);
    f->engine->calibrated = f->choice.calibrated;
    if (!hn_json_is(f->body, HN_JSON_OBJECT)) {
        hn_oip_refuse(f->exchange, 400, "expected an object");
        return;
    }
    if (!hn_oip_check_outputs(f) || !hn_oip_rows(f)) return;
    trace->features_ns = hn_now_ns() - begun;
    score(f, trace);
}

static void infer(hn_ranker *ranker, hn_exchange *e, const hn_model_version *version,
                  hn_rank_trace *trace) {
    enum { KEPT_BYTES = 16 << 20 };
    hn_rank_memory *const memory = &ranker->memory[e->worker];
    const size_t json = e->json_bytes >= 0 ? (size_t)e->json_bytes : e->body_bytes;
    hn_inference f = {.ranker = ranker,
                      .memory = memory,
                      .exchange = e,
                      .version = version,
                      .engine = version->engines[e->worker]};
    hn_error err = {0};
    if (json > e->body_bytes) {
        hn_oip_refuse(e, 400, "Inference-Header-Content-Length is %zu; the body has %zu bytes",
                      json, e->body_bytes);
        return;
    }
    f.binary = (const uint8_t *)e->body + json;
    f.binary_bytes = e->body_bytes - json;
    const int64_t begun = hn_now_ns();
    const hn_status status =
        hn_json_read(&memory->json, e->body, json, ranker->parts.config->max_depth, &err);
    trace->parse_ns = hn_now_ns() - begun;
    if (status == HN_OK)
        take_body(&f, trace);
    else
        hn_oip_refuse(e, status == HN_NO_MEMORY ? 503 : 400, "%s", err.text);
    hn_json_trim(&memory->json, KEPT_BYTES);
}

/* ---- Metadata ------------------------------------------------------------------------------ */

static void add_tensor(hn_text *out, const char *comma, const char *name, const char *type) {
    hn_text_add(out, "%s{\"name\":", comma);
    hn_json_add_text(out, name);
    hn_text_add(out, ",\"datatype\":\"%s\",\"shape\":[-1]}", type);
}

static void add_versions(hn_text *out, hn_shelf *models, const hn_model_version *version) {
    const int32_t k = hn_shelf_find(models, version->model);
    hn_text_add(out, ",\"versions\":[");
    for (int previous = 0, n = 0; previous < 2; previous++) {
        const hn_model_version *const found = hn_shelf_acquire(models, k, previous != 0);
        if (!found) continue;
        hn_text_add(out, "%s", n++ > 0 ? "," : "");
        hn_json_add_text(out, found->version);
        hn_shelf_release(models, found);
    }
    hn_text_add(out, "]");
}

static void describe(hn_ranker *ranker, hn_exchange *e, const hn_model_version *version) {
    const hn_inference f = {.ranker = ranker, .engine = version->engines[e->worker]};
    const hn_request *const q = f.engine->request;
    hn_text *const out = &e->answer;
    hn_text name = {0};
    hn_text_free(out);
    hn_text_add(out, "{\"name\":");
    hn_json_add_text(out, version->model);
    add_versions(out, ranker->parts.models, version);
    hn_text_add(out, ",\"platform\":\"hinet\",\"inputs\":[");
    for (int32_t k = 0; k < hn_request_fields(q); k++)
        add_tensor(out, k > 0 ? "," : "", hn_request_field_name(q, k),
                   hn_request_takes_text(q, k) ? "BYTES" : "FP64");
    hn_text_add(out, "],\"outputs\":[");
    for (int32_t k = 0; k < hn_oip_outputs(&f); k++) {
        hn_oip_output_name(&name, &f, k);
        add_tensor(out, k > 0 ? "," : "", name.text, HN_OIP_OUTPUT);
    }
    hn_text_add(out, "]}");
    hn_text_free(&name);
    e->status = 200;
    e->answer_type = "application/json";
    e->answer_json_bytes = -1;
}

/* {"name":NAME,"WORD":IS}; `name` may be NULL. */
static void answer_word(hn_exchange *e, const char *name, const char *word, bool is) {
    hn_text *const out = &e->answer;
    hn_text_free(out);
    hn_text_add(out, "{");
    if (name) {
        hn_text_add(out, "\"name\":");
        hn_json_add_text(out, name);
        hn_text_add(out, ",");
    }
    hn_text_add(out, "\"%s\":%s}", word, is ? "true" : "false");
    e->status = is ? 200 : 503;
    e->answer_type = "application/json";
    e->answer_json_bytes = -1;
}

static bool all_ready(const hn_ranker *ranker) {
    bool ready = true;
    for (int32_t k = 0; k < ranker->parts.config->n_models; k++) {
        const hn_model_version *const version = hn_shelf_acquire(ranker->parts.models, k, false);
        ready &= version != NULL;
        if (version) hn_shelf_release(ranker->parts.models, version);
    }
    return ready;
}

/* ---- Paths --------------------------------------------------------------------------------- */

/* What stands up to the next "/" of *path, which is moved there; false: too long, or nothing. */
static bool take_word(char *out, size_t n, const char **path) {
    const size_t length = strcspn(*path, "/");
    if (length == 0 || length >= n) return false;
    memcpy(out, *path, length);
    out[length] = '\0';
    *path += length;
    return true;
}

/* The version of that name, current or previous; without a name the current one. */
static const hn_model_version *find_version(hn_shelf *models, int32_t model, const char *wanted) {
    for (int previous = 0; previous < (wanted[0] ? 2 : 1); previous++) {
        const hn_model_version *const version = hn_shelf_acquire(models, model, previous != 0);
        if (!version) continue;
        if (!wanted[0] || strcmp(wanted, version->version) == 0) return version;
        hn_shelf_release(models, version);
    }
    return NULL;
}

static bool expect_method(hn_exchange *e, bool post) {
    const bool reads = strcmp(e->method, "GET") == 0 || strcmp(e->method, "HEAD") == 0;
    if (post ? strcmp(e->method, "POST") == 0 : reads) return true;
    e->allow = post ? "POST" : "GET, HEAD";
    return hn_oip_refuse(e, 405, "this method is not for this path; see the Allow header");
}

static void handle_version(hn_ranker *ranker, hn_exchange *e, const hn_model_version *version,
                           const char *rest, hn_rank_trace *trace) {
    const bool is_infer = strcmp(rest, "/infer") == 0;
    if (!is_infer && rest[0] != '\0')
        hn_oip_refuse(e, 404, "no such path");
    else if (!expect_method(e, is_infer))
        return;
    else if (is_infer)
        infer(ranker, e, version, trace);
    else
        describe(ranker, e, version);
}

/* NAME[/versions/V][/ready|/infer] */
static void handle_model(hn_ranker *ranker, hn_exchange *e, const char *path,
                         hn_rank_trace *trace) {
    static const char versions[] = "/versions/";
    char name[256], wanted[256] = "";
    const char *rest = path;
    bool fine = take_word(name, sizeof name, &rest);
    if (fine && strncmp(rest, versions, sizeof versions - 1) == 0) {
        rest += sizeof versions - 1;
        fine = take_word(wanted, sizeof wanted, &rest);
    }
    const int32_t model = fine ? hn_shelf_find(ranker->parts.models, name) : -1;
    const hn_model_version *const version =
        model < 0 ? NULL : find_version(ranker->parts.models, model, wanted);
    if (model < 0)
        hn_oip_refuse(e, 404, "no such model: \"%.100s\"", fine ? name : path);
    else if (strcmp(rest, "/ready") == 0 && expect_method(e, false))
        answer_word(e, name, "ready", version != NULL);
    else if (strcmp(rest, "/ready") != 0 && !version)
        hn_oip_refuse(e, wanted[0] ? 404 : 503, "no such version of \"%.100s\" is loaded", name);
    else if (strcmp(rest, "/ready") != 0)
        handle_version(ranker, e, version, rest, trace);
    if (version) hn_shelf_release(ranker->parts.models, version);
}

static void answer_server(hn_exchange *e) {
    hn_text_free(&e->answer);
    hn_text_add(&e->answer, "{\"name\":\"hinet\",\"version\":\"" HN_VERSION
                            "\",\"extensions\":[\"binary_tensor_data\"]}");
    e->status = 200;
    e->answer_type = "application/json";
    e->answer_json_bytes = -1;
}

void hn_oip_handle(hn_ranker *ranker, hn_exchange *e, hn_rank_trace *trace) {
    static const char models[] = "/v2/models/";
    *trace = (hn_rank_trace){.scenario = -1, .scenario_name = ""};
    if (strncmp(e->path, models, sizeof models - 1) == 0)
        handle_model(ranker, e, e->path + sizeof models - 1, trace);
    else if (!expect_method(e, false))
        return;
    else if (strcmp(e->path, "/v2") == 0 || strcmp(e->path, "/v2/") == 0)
        answer_server(e);
    else if (strcmp(e->path, "/v2/health/live") == 0)
        answer_word(e, NULL, "live", true);
    else if (strcmp(e->path, "/v2/health/ready") == 0)
        answer_word(e, NULL, "ready", all_ready(ranker));
    else
        hn_oip_refuse(e, 404, "no such path");
}
