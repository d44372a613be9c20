/* What is done to an exchange without knowing HTTP's library: JSON answers, and the reading of
 * header values. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "serve/http.h"

static int add_json(const char *bytes, size_t n, void *text) {
    hn_text_bytes(text, bytes, n);
    return ((const hn_text *)text)->failed ? -1 : 0;
}

void hn_answer_json(hn_exchange *exchange, int32_t status, const json_t *json) {
    hn_text_free(&exchange->answer);
    exchange->answer = (hn_text){0};
    exchange->status = status;
    exchange->answer_type = "application/json";
    exchange->answer_json_bytes = -1;
    if (!json || json_dump_callback(json, add_json, &exchange->answer, JSON_COMPACT) != 0)
        exchange->answer.failed = true;
}

static const char *code_of(int32_t status) {
    static const struct {
        int32_t status;
        const char *code;
    } codes[] = {{400, "bad_request"}, {404, "not_found"}, {405, "wrong_method"},
                 {413, "too_large"},   {415, "encoded"},   {431, "head_too_large"},
                 {500, "failed"},      {503, "overloaded"}};
    for (size_t k = 0; k < sizeof codes / sizeof *codes; k++)
        if (codes[k].status == status) return codes[k].code;
    return "error";
}

/* The natural request's errors are one shape, whoever finds them; the protocol's are a text. */
void hn_answer_error(hn_exchange *exchange, int32_t status, const char *text) {
    const bool coded = exchange->path && strncmp(exchange->path, "/v1/", 4) == 0;
    hn_text *const out = &exchange->answer;
    hn_text_free(out);
    *out = (hn_text){0};
    hn_text_add(out, "{\"error\":");
    if (coded) hn_text_add(out, "{\"code\":\"%s\",\"message\":", code_of(status));
    hn_json_add_text(out, text); /* which may quote what is no UTF-8 */
    hn_text_add(out, coded ? "}}" : "}");
    exchange->status = status;
    exchange->answer_type = "application/json";
    exchange->answer_json_bytes = -1;
}

/* ---- Traces ------------------------------------------------------------------------------ */

static unsigned long long draw(uint64_t *random) { /* splitmix64 */
    uint64_t z = *random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void hn_trace_take(char out[HN_TRACE_BYTES + 1], const char *received, uint64_t *random) {
    if (hn_trace_is_valid(received)) {
        memcpy(out, received, HN_TRACE_BYTES + 1);
        return;
    }
    const unsigned long long high = draw(random), low = draw(random) | 1, span = draw(random) | 1;
    snprintf(out, HN_TRACE_BYTES + 1, "00-%016llx%016llx-%016llx-00", high, low, span);
}

void hn_trace_continue(char out[HN_TRACE_BYTES + 1], const char *trace, uint64_t *random) {
    snprintf(out, HN_TRACE_BYTES + 1, "%.36s%016llx%.3s", trace, draw(random) | 1, trace + 52);
}

/* W3C: 00-TRACE-SPAN-FLAGS in lower-case hex, neither id all zeros. */
bool hn_trace_is_valid(const char *text) {
    static const char hex[] = "0123456789abcdef";
    return strlen(text) == HN_TRACE_BYTES && strspn(text, hex) == 2 &&
           strncmp(text, "ff", 2) != 0 && text[2] == '-' && strspn(text + 3, hex) == 32 &&
           strspn(text + 3, "0") < 32 && text[35] == '-' && strspn(text + 36, hex) == 16 &&
           strspn(text + 36, "0") < 16 && text[52] == '-' && strspn(text + 53, hex) == 2;
}

/* ---- Header values ----------------------------------------------------------------------- */

/* A whole number at most `most`; false when the text is none. */
bool hn_whole_parse(int64_t *out, const char *text, int64_t most) {
    if (!text[0] || strspn(text, "0123456789") != strlen(text) || strlen(text) > 18) return false;
    *out = strtoll(text, NULL, 10);
    return *out <= most;
}
