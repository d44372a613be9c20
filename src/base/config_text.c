/* Texts as the config needs them: YAML scalars, names, lists of texts. */
#include <stdlib.h>
#include <string.h>

#include "base/config_options.h"

/* Texts that YAML readers of some version take for something else. */
static bool has_other_meaning(const char *value) {
    static const char *const words[] = {"null",  "Null",  "NULL", "true", "True", "TRUE", "false",
                                        "False", "FALSE", "yes",  "Yes",  "YES",  "no",   "No",
                                        "NO",    "on",    "On",   "ON",   "off",  "Off",  "OFF",
                                        "y",     "n",     "Y",    "N"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(value, words[i]) == 0) return true;
    return false;
}

static bool is_plain(const char *value) {
    static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_$/";
    static const char rest[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_$/.+*-";
    if (value[0] == '\0' || strchr(first, value[0]) == NULL || value[strspn(value, rest)] != '\0')
        return false;
    const bool octal = value[0] == '0' && value[1] >= '0' &&
                       value[1] <= '9'; /* 01 is a text here, a number elsewhere */
    return !octal && !has_other_meaning(value);
}

/* Decodes one well-formed character. */
static size_t decode(unsigned *code, const unsigned char *s) {
    const size_t n = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    *code = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) *code = *code << 6 | (s[i] & 0x3f);
    return n;
}

static void print_character(hn_text *text, const unsigned char *s, size_t n, unsigned code) {
    if (code == '"' || code == '\\')
        hn_text_add(text, "\\%c", (char)code);
    else if (code == '\n')
        hn_text_add(text, "\\n");
    else if (code == '\t')
        hn_text_add(text, "\\t");
    else if (code < 0x20 || (code >= 0x7f && code < 0xa0))
        hn_text_add(text, "\\x%02X", code);
    else if (code == 0x2028 || code == 0x2029 || code == 0xfeff ||
             (code >= 0xfff0 && code <= 0xffff))
        hn_text_add(text, "\\u%04X", code);
    else
        hn_text_bytes(text, s, n);
}

void hn_yaml_scalar(hn_text *text, const char *value) {
    if (is_plain(value)) {
        hn_text_bytes(text, value, strlen(value));
        return;
    }
    hn_text_add(text, "\"");
    for (const unsigned char *s = (const unsigned char *)value; *s != '\0';) {
        unsigned code;
        const size_t n = decode(&code, s);
        print_character(text, s, n, code);
        s += n;
    }
    hn_text_add(text, "\"");
}

bool hn_text_is_name(const char *text) {
    const size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) return false;
    return n >= 1 && n <= 200;
}

int32_t hn_strings_find(const hn_strings *strings, const char *text) {
    for (int32_t i = 0; i < strings->n; i++)
        if (strcmp(strings->items[i], text) == 0) return i;
    return -1;
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

hn_status hn_strings_duplicate(const char **out, const hn_strings *strings,
                               hn_config_reader *reader) {
    *out = NULL;
    if (strings->n < 2) return HN_OK;
    char **sorted = hn_alloc((size_t)strings->n, sizeof *sorted);
    if (sorted == NULL) return hn_no_memory(reader->err, "finding duplicate names");
    memcpy(sorted, strings->items, (size_t)strings->n * sizeof *sorted);
    qsort(sorted, (size_t)strings->n, sizeof *sorted, compare_texts);
    for (int32_t i = 1; i < strings->n && *out == NULL; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0) *out = sorted[i];
    hn_free(sorted);
    return HN_OK;
}
