/* Rows into tensors: the outputs that were asked for, each as JSON or as bytes behind it. */
#include <string.h>

#include "serve/answer.h"
#include "serve/oip.h"

/* ---- Which there are ----------------------------------------------------------------------- */

static bool has_score(const hn_inference *f) {
    const hn_serve_policy *const policy = &f->ranker->parts.config->policy;
    for (int32_t k = 0; k < policy->n_fusion; k++) {
        const int32_t program = hn_programs_find(&f->ranker->programs, &policy->fusion[k]);
        if (program >= 0 && !f->engine->bindings.of[program]) return false;
    }
    return true;
}

int32_t hn_oip_outputs(const hn_inference *f) { return f->engine->tasks + has_score(f); }

/* "score", with underscores until no task has the name. */
void hn_oip_output_name(hn_text *out, const hn_inference *f, int32_t output) {
    const hn_config *const config = f->engine->bundle->config;
    out->length = 0;
    if (output < config->n_tasks) {
        hn_text_add(out, "%s", config->tasks[output].name);
        return;
    }
    hn_text_add(out, "score");
    for (int32_t t = 0; t < config->n_tasks && !out->failed; t++)
        if (strcmp(config->tasks[t].name, out->text) == 0) {
            hn_text_add(out, "_");
            t = -1;
        }
}

static int32_t find_output(const hn_inference *f, const hn_json_node *name) {
    hn_text text = {0};
    int32_t found = -1;
    for (int32_t k = 0; k < hn_oip_outputs(f) && found < 0; k++) {
        hn_oip_output_name(&text, f, k);
        if (!text.failed && hn_json_text_is(name, text.text)) found = k;
    }
    hn_text_free(&text);
    return found;
}

/* ---- Which are wanted ---------------------------------------------------------------------- */

static const hn_json_node *outputs_of(const hn_inference *f) {
    const hn_json_node *const outputs = hn_json_member(f->body, "outputs");
    return outputs && outputs->kind == HN_JSON_LIST && outputs->n > 0 ? outputs : NULL;
}

bool hn_oip_check_outputs(const hn_inference *f) {
    const hn_json_node *const given = hn_json_member(f->body, "outputs");
    int64_t classes = 0;
    if (given && given->kind != HN_JSON_LIST)
        return hn_oip_refuse(f->exchange, 400, "outputs: expected a list");
    if (!given || !outputs_of(f)) return true;
    if (given->n > (uint32_t)hn_oip_outputs(f)) /* or one would be asked for a thousand times */
        return hn_oip_refuse(f->exchange, 400, "outputs: found %u; the model has %d",
                             (unsigned)given->n, (int)hn_oip_outputs(f));
    for (HN_JSON_EACH(output, given)) {
        const hn_json_node *const name = hn_json_member(output, "name");
        const hn_json_node *const asked =
            hn_json_member(hn_json_member(output, "parameters"), "classification");
        const bool named = hn_json_is(name, HN_JSON_STRING);
        if (!named || find_output(f, name) < 0)
            return hn_oip_refuse(f->exchange, 400, "outputs: the model has no output \"%.*s\"",
                                 named ? (int)(name->n < 100 ? name->n : 100) : 0,
                                 named ? name->text : "");
        if (asked && (!hn_json_whole(&classes, asked) || classes != 0))
            return hn_oip_refuse(f->exchange, 400, "outputs: classification is not offered");
    }
    return true;
}

static bool is_binary(const hn_inference *f, const hn_json_node *output) {
    const hn_json_node *const own =
        hn_json_member(hn_json_member(output, "parameters"), "binary_data");
    const hn_json_node *const all =
        hn_json_member(hn_json_member(f->body, "parameters"), "binary_data_output");
    return hn_json_is(own ? own : all, HN_JSON_TRUE);
}

/* ---- Writing ------------------------------------------------------------------------------- */

static double value_of(const hn_inference *f, int32_t output, int32_t row) {
    const hn_engine *const engine = f->engine;
    return output < engine->tasks ? engine->p[row * engine->tasks + output]
                                  : (double)(hn_real)f->memory->score[row];
}

static void add_bytes(hn_text *out, const hn_inference *f, int32_t output) {
    for (int32_t i = 0; i < f->rows; i++) {
        const hn_real value = (hn_real)value_of(f, output, i);
        hn_text_bytes(out, &value, sizeof value);
    }
}

static void add_output(hn_text *out, hn_text *binary, const hn_inference *f, int32_t k,
                       const hn_json_node *asked) {
    hn_text name = {0};
    hn_oip_output_name(&name, f, k);
    hn_text_add(out, "{\"name\":");
    hn_json_add_text(out, name.text);
    hn_text_free(&name);
    hn_text_add(out, ",\"datatype\":\"" HN_OIP_OUTPUT "\",\"shape\":[%d]", f->rows);
    if (is_binary(f, asked)) {
        hn_text_add(out, ",\"parameters\":{\"binary_data_size\":%zu}}",
                    (size_t)f->rows * sizeof(hn_real));
        add_bytes(binary, f, k);
        return;
    }
    hn_text_bytes(out, ",\"data\":[", 9);
    for (int32_t i = 0; i < f->rows; i++) {
        if (i > 0) hn_text_bytes(out, ",", 1);
        hn_answer_number(out, value_of(f, k, i));
    }
    hn_text_bytes(out, "]}", 2);
}

static void add_outputs(hn_text *out, hn_text *binary, const hn_inference *f) {
    const hn_json_node *const outputs = outputs_of(f);
    const char *comma = "";
    if (!outputs) {
        for (int32_t k = 0; k < hn_oip_outputs(f); k++) {
            hn_text_add(out, "%s", comma);
            add_output(out, binary, f, k, NULL);
            comma = ",";
        }
        return;
    }
    for (HN_JSON_EACH(output, outputs)) {
        hn_text_add(out, "%s", comma);
        add_output(out, binary, f, find_output(f, hn_json_member(output, "name")), output);
        comma = ",";
    }
}

void hn_oip_answer(hn_inference *f) {
    hn_exchange *const e = f->exchange;
    hn_text *const out = &e->answer;
    hn_text binary = {0};
    const hn_json_node *const id = hn_json_member(f->body, "id");
    hn_text_free(out);
    hn_text_add(out, "{\"model_name\":");
    hn_json_add_text(out, f->version->model);
    hn_text_add(out, ",\"model_version\":");
    hn_json_add_text(out, f->version->version);
    if (id) {
        hn_text_add(out, ",\"id\":");
        hn_json_add_node(out, id);
    }
    hn_text_add(out, ",\"outputs\":[");
    add_outputs(out, &binary, f);
    hn_text_add(out, "]}");
    e->status = 200;
    e->answer_type = "application/json";
    e->answer_json_bytes = -1;
    if (binary.length > 0) {
        e->answer_type = "application/octet-stream";
        e->answer_json_bytes = (int64_t)out->length;
        hn_text_bytes(out, binary.text, binary.length);
    }
    if (binary.failed) hn_text_free(out), out->failed = true;
    hn_text_free(&binary);
}
