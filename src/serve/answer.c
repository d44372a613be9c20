/* Bodies in, answers out (answer.h). */
#include "serve/answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "serve/http.h"

void hn_answer_fault(hn_exchange *exchange, int32_t status, const char *code, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_t *message = json_string(text);
    if (!message) message = json_string("(text that is not UTF-8)");
    json_t *const json = json_pack("{s:{s:s, s:o}}", "error", "code", code, "message", message);
    hn_answer_json(exchange, status, json);
    json_decref(json);
}

/* Depth is looked at before parsing, so that nothing deep is ever built. */
static bool is_too_deep(const char *text, size_t n, int32_t most) {
    int32_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        if (quoted && text[i] == '\\') i++;
        else if (text[i] == '"') quoted = !quoted;
        else if (!quoted && (text[i] == '{' || text[i] == '[') && ++depth > most) return true;
        else if (!quoted && (text[i] == '}' || text[i] == ']')) depth--;
    }
    return false;
}

json_t *hn_answer_parse(hn_exchange *exchange, size_t n, int32_t depth) {
    if (n > 0 && is_too_deep(exchange->body, n, depth)) {
        hn_answer_fault(exchange, 400, "too_deep", "found JSON nested more than %d deep", depth);
        return NULL;
    }
    json_error_t err;
    json_t *const json = json_loadb(n > 0 ? exchange->body : "", n, JSON_REJECT_DUPLICATES, &err);
    if (!json) hn_answer_fault(exchange, 400, "bad_json", "%d:%d: %s", err.line, err.column, err.text);
    return json;
}

static int add_bytes(const char *bytes, size_t n, void *text) {
    hn_text_bytes(text, bytes, n);
    return 0;
}

void hn_answer_value(hn_text *out, const json_t *value) {
    if (!value)
        hn_text_bytes(out, "null", 4);
    else if (json_dump_callback(value, add_bytes, out, JSON_COMPACT | JSON_ENCODE_ANY) != 0)
        out->failed = true;
}

void hn_answer_string(hn_text *out, const char *text) {
    json_t *const json = text ? json_string(text) : NULL;
    hn_answer_value(out, json);
    json_decref(json);
}
