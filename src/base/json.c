/* Reading of JSON (json.h): what yajl finds is put down as nodes. */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "base/memory.h"

/* ---- yajl's hooks: 1 goes on, 0 ends the reading ------------------------------------------- */

static int fail(hn_json *json, int fault) {
    json->fault = fault;
    return 0;
}

/* Strings without escapes are where they are in the source; decoded ones are kept. They are
 * shorter than what they were, so there is room for all of them once there is for the source. */
static const char *keep(hn_json *json, const void *bytes, size_t n) {
    const uintptr_t at = (uintptr_t)bytes, first = (uintptr_t)json->source;
    if (at >= first && at < first + json->source_bytes) return json->source + (at - first);
    if (hn_grow(&json->text, &json->text_capacity, json->source_bytes, 1, NULL) != HN_OK)
        return NULL;
    char *const to = json->text + json->text_bytes;
    if (n > 0) memcpy(to, bytes, n);
    json->text_bytes += n;
    return to;
}

static int add(hn_json *json, hn_json_kind kind, const char *text, size_t n) {
    if (hn_grow(&json->nodes, &json->capacity, json->n + 1, sizeof *json->nodes, NULL) != HN_OK)
        return fail(json, HN_JSON_NO_MEMORY);
    if (json->depth > 0) json->nodes[json->open[json->depth - 1]].n++;
    json->nodes[json->n++] = (hn_json_node){.key = json->key,
                                            .key_bytes = json->key_bytes,
                                            .text = text,
                                            .n = (uint32_t)n,
                                            .span = 1,
                                            .kind = (uint8_t)kind};
    json->key = NULL;
    json->key_bytes = 0;
    return 1;
}

static int on_null(void *user) { return add(user, HN_JSON_NULL, NULL, 0); }
static int on_boolean(void *user, int value) {
    return add(user, value ? HN_JSON_TRUE : HN_JSON_FALSE, NULL, 0);
}

static int add_kept(hn_json *json, hn_json_kind kind, const void *text, size_t n) {
    const char *const kept = keep(json, text, n);
    if (!kept) return fail(json, HN_JSON_NO_MEMORY);
    if (!hn_utf8_is(kept, n)) return fail(json, HN_JSON_NOT_UTF8);
    return add(json, kind, kept, n);
}
static int on_number(void *user, const char *text, size_t n) {
    return add_kept(user, HN_JSON_NUMBER, text, n);
}
static int on_string(void *user, const unsigned char *text, size_t n) {
    return add_kept(user, HN_JSON_STRING, text, n);
}

static int on_key(void *user, const unsigned char *text, size_t n) {
    hn_json *const json = user;
    json->key = keep(json, text, n);
    json->key_bytes = (uint32_t)n;
    if (!json->key) return fail(json, HN_JSON_NO_MEMORY);
    return hn_utf8_is(json->key, n) ? 1 : fail(json, HN_JSON_NOT_UTF8);
}

static int open_node(hn_json *json, hn_json_kind kind) {
    if (json->depth >= json->depth_most) return fail(json, HN_JSON_TOO_DEEP);
    if (hn_grow(&json->open, &json->open_capacity, json->depth + 1, sizeof *json->open, NULL) !=
        HN_OK)
        return fail(json, HN_JSON_NO_MEMORY);
    if (!add(json, kind, NULL, 0)) return 0;
    json->open[json->depth++] = (uint32_t)(json->n - 1);
    return 1;
}
static int on_list(void *user) { return open_node(user, HN_JSON_LIST); }
static int on_object(void *user) { return open_node(user, HN_JSON_OBJECT); }
static int on_end(void *user) {
    hn_json *const json = user;
    const uint32_t at = json->open[--json->depth];
    json->nodes[at].span = (uint32_t)(json->n - at);
    if (json->depth == 0) json->end = yajl_get_bytes_consumed(json->parser);
    return 1;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void count_lines(size_t *line, size_t *column, const hn_json *json, size_t at) {
    *line = *column = 1;
    for (size_t i = 0; i < at && i < json->source_bytes; i++) {
        *column = json->source[i] == '\n' ? 1 : *column + 1;
        *line += json->source[i] == '\n';
    }
}

static hn_status cut_short(hn_json *json, hn_error *err) {
    size_t line, column;
    json->fault = HN_JSON_MALFORMED;
    count_lines(&line, &column, json, json->source_bytes);
    return hn_fail(err, HN_BAD_DATA, "%zu:%zu: found the end of the text within a value", line,
                   column);
}

static hn_status malformed(hn_json *json, yajl_handle parser, hn_error *err) {
    static const char not_utf8[] = "found a string that is not UTF-8";
    size_t line, column;
    const size_t taken = yajl_get_bytes_consumed(parser);
    count_lines(&line, &column, json, taken > 0 ? taken - 1 : 0); /* of the last byte read */
    if (json->fault == HN_JSON_NOT_UTF8)
        return hn_fail(err, HN_BAD_DATA, "%zu:%zu: %s", line, column, not_utf8);
    json->fault = HN_JSON_MALFORMED;
    unsigned char *const text = yajl_get_error(parser, 0, NULL, 0);
    const int n = text ? (int)strcspn((const char *)text, "\n") : 0;
    (void)hn_fail(err, HN_BAD_DATA, "%zu:%zu: %.*s", line, column, n,
                  text ? (const char *)text : "");
    if (text) yajl_free_error(parser, text);
    return HN_BAD_DATA;
}

/* A token that is not complete, as of half a string, passes yajl at the end. */
static hn_status check_whole(hn_json *json, hn_error *err) {
    size_t line, column;
    static const char spaces[] = {' ', '\t', '\r', '\n'};
    const bool whole = json->n > 0 && json->nodes[0].kind >= HN_JSON_LIST;
    size_t at = whole ? json->end : 0;
    while (at < json->source_bytes && memchr(spaces, json->source[at], sizeof spaces)) at++;
    if (whole && at == json->source_bytes) return HN_OK;
    json->fault = HN_JSON_MALFORMED;
    count_lines(&line, &column, json, at);
    return hn_fail(err, HN_BAD_DATA, "%zu:%zu: %s", line, column,
                   whole ? "parse error: trailing garbage" : "expected an object or a list");
}

/* The unit of \uXXXX at `at`; 0 where no such escape is. yajl has seen that its digits are some. */
static unsigned escaped_unit(const hn_json *json, size_t at) {
    char digits[5] = {0};
    if (json->source_bytes - at < 6 || memcmp(json->source + at, "\\u", 2) != 0) return 0;
    memcpy(digits, json->source + at + 2, 4);
    return (unsigned)strtoul(digits, NULL, 16);
}

/* yajl reads half of a surrogate pair as "?", which would make one id of two. */
static hn_status check_pairs(hn_json *json, hn_error *err) {
    const char *const text = json->source, *found;
    size_t at = 0, line, column;
    while ((found = memchr(text + at, '\\', json->source_bytes - at)) != NULL) {
        at = (size_t)(found - text);
        const unsigned unit = escaped_unit(json, at);
        const bool high = unit >> 10 == 0xd800 >> 10, low = unit >> 10 == 0xdc00 >> 10;
        if (low || (high && escaped_unit(json, at + 6) >> 10 != 0xdc00 >> 10)) {
            json->fault = HN_JSON_MALFORMED;
            count_lines(&line, &column, json, at);
            return hn_fail(err, HN_BAD_DATA, "%zu:%zu: found half of a surrogate pair", line,
                           column);
        }
        at += high ? 12 : 2;
    }
    return HN_OK;
}

static hn_status read(hn_json *json, yajl_handle parser, hn_error *err) {
    static const unsigned char nothing[1] = {0};
    const unsigned char *const text =
        json->source_bytes > 0 ? (const unsigned char *)json->source : nothing;
    yajl_status status = yajl_parse(parser, text, json->source_bytes);
    const bool read_all = status == yajl_status_ok;
    if (read_all) status = yajl_complete_parse(parser);
    if (json->fault == HN_JSON_NO_MEMORY) return hn_no_memory(err, "JSON");
    if (json->fault == HN_JSON_TOO_DEEP)
        return hn_fail(err, HN_BAD_DATA, "found JSON nested more than %zu deep", json->depth_most);
    if (status != yajl_status_ok)
        return read_all ? cut_short(json, err) : malformed(json, parser, err);
    HN_TRY(check_whole(json, err));
    return check_pairs(json, err);
}

hn_status hn_json_read(hn_json *json, const char *text, size_t n, int32_t depth, hn_error *err) {
    static const yajl_callbacks hooks = {.yajl_null = on_null,
                                         .yajl_boolean = on_boolean,
                                         .yajl_number = on_number,
                                         .yajl_string = on_string,
                                         .yajl_start_map = on_object,
                                         .yajl_map_key = on_key,
                                         .yajl_end_map = on_end,
                                         .yajl_start_array = on_list,
                                         .yajl_end_array = on_end};
    json->n = json->text_bytes = json->depth = 0;
    json->depth_most = (size_t)depth;
    json->source = text;
    json->source_bytes = n;
    json->key = NULL;
    json->key_bytes = 0;
    json->fault = HN_JSON_FINE;
    if (n >= UINT32_MAX)
        return json->fault = HN_JSON_MALFORMED, hn_fail(err, HN_BAD_DATA, "found %zu bytes", n);
    const yajl_handle parser = hn_fault_hit(HN_FAULT_ALLOC) ? NULL : yajl_alloc(&hooks, NULL, json);
    if (!parser) {
        json->fault = HN_JSON_NO_MEMORY;
        return hn_no_memory(err, "JSON");
    }
    json->parser = parser;
    yajl_config(parser, yajl_dont_validate_strings, 1); /* it lets overlong forms pass */
    const hn_status status = read(json, parser, err);
    yajl_free(parser);
    return status;
}

void hn_json_trim(hn_json *json, size_t bytes) {
    if (json->capacity * sizeof *json->nodes + json->text_capacity > bytes) hn_json_free(json);
}

void hn_json_free(hn_json *json) {
    hn_free(json->nodes);
    hn_free(json->text);
    hn_free(json->open);
    *json = (hn_json){0};
}

/* ---- Questions ------------------------------------------------------------------------------- */

static bool same(const char *text, size_t n, const char *word) {
    return text && strlen(word) == n && memcmp(text, word, n) == 0;
}

bool hn_json_is(const hn_json_node *node, hn_json_kind kind) { return node && node->kind == kind; }
bool hn_json_is_scalar(const hn_json_node *node) {
    return node && node->kind >= HN_JSON_FALSE && node->kind <= HN_JSON_STRING;
}
bool hn_json_key_is(const hn_json_node *node, const char *text) {
    return same(node->key, node->key_bytes, text);
}
bool hn_json_text_is(const hn_json_node *node, const char *text) {
    return hn_json_is(node, HN_JSON_STRING) && same(node->text, node->n, text);
}

const hn_json_node *hn_json_member(const hn_json_node *object, const char *key) {
    if (!hn_json_is(object, HN_JSON_OBJECT)) return NULL;
    for (HN_JSON_EACH(member, object))
        if (hn_json_key_is(member, key)) return member;
    return NULL;
}

bool hn_json_whole(int64_t *out, const hn_json_node *node) {
    enum { DIGITS_MOST = 18 };
    if (!hn_json_is(node, HN_JSON_NUMBER)) return false;
    const bool negative = node->text[0] == '-';
    const char *const digits = node->text + negative;
    const uint32_t n = node->n - negative;
    if (n == 0 || n > DIGITS_MOST) return false;
    int64_t value = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (digits[i] < '0' || digits[i] > '9') return false;
        value = value * 10 + (digits[i] - '0');
    }
    *out = negative ? -value : value;
    return true;
}
