/* Open Inference Protocol v2 over JSON: inputs are columns of shape [N] or [N,1], a row is
 * one (user, item) pair, outputs one tensor of probabilities a task (docs/serving.md). */
#include <stdio.h>
#include <string.h>

#include "serve/answer.h"
#include "serve/engine.h"
#include "serve/http.h"
#include "serve/ranker.h"

#ifdef HN_DOUBLE
static const char output_type[] = "FP64";
#else
static const char output_type[] = "FP32";
#endif

typedef struct inference {
    hn_exchange *exchange;
    const json_t *body;
    const hn_model_version *version;
    hn_engine *engine;
    json_int_t rows;
} inference;

static bool refuse(const inference *f, const char *name, const char *text) {
    char message[700];
    snprintf(message, sizeof message, "inputs \"%.100s\": %.580s", name, text);
    hn_answer_error(f->exchange, 400, message);
    return false;
}

/* ---- Inputs --------------------------------------------------------------------------- */

static bool check_input(inference *f, const json_t *input, const char *name) {
    const json_t *const shape = json_object_get(input, "shape"), *const data = json_object_get(input, "data");
    const size_t dims = json_array_size(shape);
    const json_int_t rows = json_integer_value(json_array_get(shape, 0));
    if (!json_is_array(data)) return refuse(f, name, "expected `data` as a list (binary tensors are not read yet)");
    if (dims < 1 || dims > 2 || (dims == 2 && json_integer_value(json_array_get(shape, 1)) != 1))
        return refuse(f, name, "expected the shape [N] or [N,1]");
    if (f->rows < 0) f->rows = rows;
    if (rows != f->rows || json_array_size(data) != (size_t)rows)
        return refuse(f, name, "expected as many rows in every input, and as many values as its shape says");
    return true;
}

static const json_t *value_at(const json_t *data, size_t i) {
    const json_t *const value = json_array_get(data, i);
    return json_is_array(value) && json_array_size(value) == 1 ? json_array_get(value, 0) : value;
}

static bool take_input(inference *f, const json_t *input, const char *name) {
    hn_request *const q = f->engine->request;
    const int32_t field = hn_request_field(q, name, strlen(name));
    const json_t *const data = json_object_get(input, "data");
    if (field < 0) return refuse(f, name, "no such column is read by the model");
    hn_error err = {0};
    for (size_t i = 0; i < (size_t)f->rows; i++) {
        const json_t *const value = value_at(data, i);
        if (hn_engine_set(f->engine, (int32_t)i, field, value, &err) != HN_OK) return refuse(f, name, err.text);
        if (field != hn_request_scenario_field(q)) continue;
        char number[32];
        const char *text = json_string_value(value), *cell;
        if (json_is_integer(value)) {
            snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
            text = number;
        }
        hn_request_set_scenario(q, (int32_t)i, hn_request_scenario(q, text, text ? strlen(text) : 0, &cell));
    }
    return true;
}

static bool take_inputs(inference *f, int32_t most) {
    const json_t *const inputs = json_object_get(f->body, "inputs");
    const json_t *input;
    size_t i;
    hn_error err = {0};
    const char *cell;
    f->rows = -1;
    json_array_foreach(inputs, i, input) {
        const char *const name = json_string_value(json_object_get(input, "name"));
        if (!name) return refuse(f, "", "expected a `name` for each");
        if (!check_input(f, input, name)) return false;
    }
    if (f->rows < 0 || f->rows > most) return refuse(f, "", "expected at least one input, and no more rows than max_candidates");
    hn_request_begin(f->engine->request);
    const uint16_t scenario = hn_request_scenario(f->engine->request, NULL, 0, &cell);
    if (hn_request_rows(f->engine->request, (int32_t)f->rows, scenario, &err) != HN_OK)
        return refuse(f, "", err.text);
    json_array_foreach(inputs, i, input)
        if (!take_input(f, input, json_string_value(json_object_get(input, "name")))) return false;
    hn_request_join_scenario(f->engine->request);
    return true;
}

/* ---- Answers --------------------------------------------------------------------------- */

static bool is_wanted(const inference *f, const char *task) {
    const json_t *const outputs = json_object_get(f->body, "outputs"), *output;
    size_t i;
    if (json_array_size(outputs) == 0) return true;
    json_array_foreach(outputs, i, output) {
        const char *const name = json_string_value(json_object_get(output, "name"));
        if (name && strcmp(name, task) == 0) return true;
    }
    return false;
}

static void answer(const inference *f) {
    hn_text *const out = &f->exchange->answer;
    const hn_config *const config = f->engine->bundle->config;
    const char *comma = "";
    hn_text_add(out, "{\"model_name\":");
    hn_answer_string(out, f->version->model);
    hn_text_add(out, ",\"model_version\":");
    hn_answer_string(out, f->version->version);
    hn_text_add(out, ",\"id\":");
    const json_t *const id = json_object_get(f->body, "id");
    if (id) hn_answer_value(out, id);
    else hn_text_add(out, "\"\"");
    hn_text_add(out, ",\"outputs\":[");
    for (int32_t t = 0; t < config->n_tasks; t++) {
        if (!is_wanted(f, config->tasks[t].name)) continue;
        hn_text_add(out, "%s{\"name\":", comma);
        hn_answer_string(out, config->tasks[t].name);
        hn_text_add(out, ",\"datatype\":\"%s\",\"shape\":[%lld],\"data\":[", output_type, (long long)f->rows);
        for (json_int_t i = 0; i < f->rows; i++)
            hn_text_add(out, "%s" HN_P_FORMAT, i > 0 ? "," : "", f->engine->p[i * config->n_tasks + t]);
        hn_text_add(out, "]}");
        comma = ",";
    }
    hn_text_add(out, "]}");
    f->exchange->status = 200;
    f->exchange->answer_type = "application/json";
    f->exchange->answer_json_bytes = -1;
}

static void infer(hn_ranker *ranker, hn_exchange *e, const hn_model_version *version, hn_rank_trace *trace) {
    const size_t n = e->json_bytes >= 0 && (size_t)e->json_bytes <= e->body_bytes ? (size_t)e->json_bytes : e->body_bytes;
    json_t *const body = hn_answer_parse(e, n, ranker->parts.config->max_depth);
    if (!body) return;
    inference f = {.exchange = e, .body = body, .version = version, .engine = version->engines[e->worker]};
    hn_error err = {0};
    if (take_inputs(&f, ranker->parts.config->max_candidates)) {
        if (f.rows > 0 && hn_engine_score(f.engine, &err) != HN_OK) hn_answer_error(e, 500, err.text);
        else answer(&f);
        trace->items = (int32_t)f.rows;
    }
    json_decref(body);
}

static json_t *tensor(const char *name, const char *type) {
    return json_pack("{s:s, s:s, s:[i]}", "name", name, "datatype", type, "shape", -1);
}

static void describe(hn_exchange *e, const hn_model_version *version) {
    const hn_engine *const engine = version->engines[e->worker];
    json_t *const inputs = json_array(), *const outputs = json_array();
    for (int32_t f = 0; f < hn_request_fields(engine->request); f++)
        json_array_append_new(inputs, tensor(hn_request_field_name(engine->request, f), "BYTES"));
    for (int32_t t = 0; t < engine->tasks; t++)
        json_array_append_new(outputs, tensor(engine->bundle->config->tasks[t].name, output_type));
    json_t *const json = json_pack("{s:s, s:[s], s:s, s:o, s:o}", "name", version->model, "versions", version->version,
                                   "platform", "hinet", "inputs", inputs, "outputs", outputs);
    hn_answer_json(e, 200, json);
    json_decref(json);
}

/* ---- Paths ------------------------------------------------------------------------------ */

/* models/NAME[/versions/V][/ready|/infer] */
static void handle_model(hn_ranker *ranker, hn_exchange *e, const char *path, hn_rank_trace *trace) {
    char name[256] = "", wanted[256] = "";
    int at = 0;
    if (sscanf(path, "%255[^/]%n", name, &at) != 1) at = 0;
    const char *rest = path + at;
    int more = 0;
    if (sscanf(rest, "/versions/%255[^/]%n", wanted, &more) == 1) rest += more;
    const int32_t model = hn_shelf_find(ranker->parts.models, name);
    const hn_model_version *const version = model < 0 ? NULL : hn_shelf_acquire(ranker->parts.models, model, false);
    const bool fits = version && (!wanted[0] || strcmp(wanted, version->version) == 0);
    if (!fits) {
        hn_answer_error(e, 404, "no such model or version is loaded");
    } else if (strcmp(rest, "/infer") == 0 && strcmp(e->method, "POST") == 0) {
        infer(ranker, e, version, trace);
    } else if (strcmp(rest, "/infer") == 0) {
        hn_answer_error(e, 405, "expected POST");
        e->allow = "POST";
    } else if (strcmp(rest, "/ready") == 0) {
        json_t *const ready = json_pack("{s:b}", "ready", 1);
        hn_answer_json(e, 200, ready);
        json_decref(ready);
    } else if (rest[0] == '\0') {
        describe(e, version);
    } else {
        hn_answer_error(e, 404, "no such path");
    }
    if (version) hn_shelf_release(ranker->parts.models, version);
}

void hn_oip_handle(hn_ranker *ranker, hn_exchange *e, hn_rank_trace *trace) {
    *trace = (hn_rank_trace){.scenario = -1, .scenario_name = ""};
    json_t *json = NULL;
    if (strcmp(e->path, "/v2") == 0 || strcmp(e->path, "/v2/") == 0)
        json = json_pack("{s:s, s:s, s:[]}", "name", "hinet", "version", HN_VERSION, "extensions");
    else if (strcmp(e->path, "/v2/health/live") == 0)
        json = json_pack("{s:b}", "live", 1);
    else if (strcmp(e->path, "/v2/health/ready") == 0)
        json = json_pack("{s:b}", "ready", 1);
    if (json) {
        hn_answer_json(e, 200, json);
        json_decref(json);
    } else if (strncmp(e->path, "/v2/models/", 11) == 0) {
        handle_model(ranker, e, e->path + 11, trace);
    } else {
        hn_answer_error(e, 404, "no such path");
    }
}
