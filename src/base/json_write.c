/* Writing of JSON (json.h): strings with their escapes, nodes as they were read; and UTF-8. */
#include <string.h>

#include "base/json.h"

/* The bytes of a well-formed UTF-8 sequence at `text`; 0: none begins there. */
static size_t sequence(const unsigned char *text, size_t n) {
    const unsigned char a = text[0];
    const size_t bytes = a < 0x80   ? 1
                         : a < 0xc2 ? 0
                         : a < 0xe0 ? 2
                         : a < 0xf0 ? 3
                         : a < 0xf5 ? 4
                                    : 0;
    if (bytes == 0 || bytes > n) return 0;
    for (size_t i = 1; i < bytes; i++)
        if ((text[i] & 0xc0) != 0x80) return 0;
    const bool overlong = (a == 0xe0 && text[1] < 0xa0) || (a == 0xf0 && text[1] < 0x90);
    const bool beyond = (a == 0xed && text[1] > 0x9f) || (a == 0xf4 && text[1] > 0x8f);
    return overlong || beyond ? 0 : bytes;
}

bool hn_utf8_is(const char *text, size_t n) {
    const unsigned char *const bytes = (const unsigned char *)text;
    for (size_t i = 0; i < n;) {
        const size_t wide = bytes[i] < 0x80 ? 1 : sequence(bytes + i, n - i);
        if (wide == 0) return false;
        i += wide;
    }
    return true;
}

/* Whether the bytes at the end are the beginning of a longer sequence. */
static bool is_cut(const unsigned char *text, size_t n) {
    if (text[0] < 0xc2 || text[0] > 0xf4 || n > 3) return false;
    for (size_t i = 1; i < n; i++)
        if ((text[i] & 0xc0) != 0x80) return false;
    return true;
}

void hn_utf8_mend(char *text) {
    unsigned char *const bytes = (unsigned char *)text;
    const size_t n = strlen(text);
    for (size_t i = 0; i < n;) {
        const size_t wide = sequence(bytes + i, n - i);
        if (wide == 0) bytes[i] = is_cut(bytes + i, n - i) ? '\0' : '?';
        if (bytes[i] == '\0') return;
        i += wide > 0 ? wide : 1;
    }
}

static bool is_plain(unsigned char c) { return c >= 0x20 && c < 0x80 && c != '"' && c != '\\'; }

static void add_escaped(hn_text *out, unsigned char c) {
    if (c == '"' || c == '\\') {
        const char pair[2] = {'\\', (char)c};
        hn_text_bytes(out, pair, 2);
    } else {
        hn_text_add(out, "\\u%04x", c);
    }
}

void hn_json_add_string(hn_text *out, const char *text, size_t n) {
    const unsigned char *const bytes = (const unsigned char *)text;
    hn_text_bytes(out, "\"", 1);
    for (size_t i = 0; i < n;) {
        size_t plain = 0;
        while (i + plain < n && is_plain(bytes[i + plain])) plain++;
        if (plain > 0) hn_text_bytes(out, text + i, plain);
        i += plain;
        if (i == n) break;
        const size_t wide = sequence(bytes + i, n - i);
        if (wide > 1)
            hn_text_bytes(out, text + i, wide);
        else if (wide == 1)
            add_escaped(out, bytes[i]);
        else
            hn_text_bytes(out, "\xef\xbf\xbd", 3);
        i += wide > 0 ? wide : 1;
    }
    hn_text_bytes(out, "\"", 1);
}

void hn_json_add_text(hn_text *out, const char *text) {
    if (text)
        hn_json_add_string(out, text, strlen(text));
    else
        hn_text_bytes(out, "null", 4);
}

static void add_children(hn_text *out, const hn_json_node *node) {
    const bool object = node->kind == HN_JSON_OBJECT;
    bool first = true;
    hn_text_bytes(out, object ? "{" : "[", 1);
    for (HN_JSON_EACH(child, node)) {
        if (!first) hn_text_bytes(out, ",", 1);
        first = false;
        if (object) {
            hn_json_add_string(out, child->key, child->key_bytes);
            hn_text_bytes(out, ":", 1);
        }
        hn_json_add_node(out, child);
    }
    hn_text_bytes(out, object ? "}" : "]", 1);
}

/* As deep as what was read, which has a limit. */
void hn_json_add_node(hn_text *out, const hn_json_node *node) {
    if (!node) {
        hn_text_bytes(out, "null", 4);
        return;
    }
    switch ((hn_json_kind)node->kind) {
    case HN_JSON_NULL: hn_text_bytes(out, "null", 4); break;
    case HN_JSON_FALSE: hn_text_bytes(out, "false", 5); break;
    case HN_JSON_TRUE: hn_text_bytes(out, "true", 4); break;
    case HN_JSON_NUMBER: hn_text_bytes(out, node->text, node->n); break;
    case HN_JSON_STRING: hn_json_add_string(out, node->text, node->n); break;
    case HN_JSON_LIST:
    case HN_JSON_OBJECT: add_children(out, node); break;
    }
}
