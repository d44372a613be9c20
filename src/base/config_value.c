/* The types of single values: how each is read from a text, printed and described.
 * Lists are in config_list.c, options with a language of their own in config_custom.c. */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_options.h"

static void *field_of(const hn_option *option, void *object) {
    return (char *)object + option->offset;
}
static const void *value_of(const hn_option *option, const void *object) {
    return (const char *)object + option->offset;
}

static hn_status scalar_of(const char **out, hn_config_reader *reader, const hn_option *option,
                           const hn_node *node) {
    if (node->kind != HN_NODE_SCALAR) return hn_config_mismatch(reader, option, node);
    *out = node->text;
    return HN_OK;
}

/* ---- true and false ---- */

static hn_status read_bool(hn_config_reader *reader, const hn_option *option, hn_node *node,
                           void *object) {
    const char *text = "";
    HN_TRY(scalar_of(&text, reader, option, node));
    const bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0) return hn_config_mismatch(reader, option, node);
    *(bool *)field_of(option, object) = yes;
    return HN_OK;
}

static void print_bool(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)indent;
    hn_text_add(text, " %s\n", *(const bool *)value_of(option, object) ? "true" : "false");
}

static void describe_bool(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "true or false");
}

const hn_value_type hn_value_bool = {false, read_bool, print_bool, describe_bool};

/* ---- Numbers ---- */

/* Whole numbers may be written 1000000 or 1e6. */
static bool integer_parse(int64_t *out, const char *text) {
    char *end = NULL;
    errno = 0;
    const long long whole =
        text[strspn(text, "0123456789+-")] == '\0' ? strtoll(text, &end, 10) : 0;
    if (end != NULL && end != text && *end == '\0' && errno == 0) {
        *out = whole;
        return true;
    }
    double value;
    if (!hn_number_parse(&value, text) || value != floor(value) || fabs(value) > 9007199254740992.0)
        return false;
    *out = (int64_t)value;
    return true;
}

static bool in_range(const hn_option *option, double value) {
    const bool low =
        (option->flags & HN_OPTION_ABOVE_MIN) != 0 ? value <= option->min : value < option->min;
    const bool high =
        (option->flags & HN_OPTION_BELOW_MAX) != 0 ? value >= option->max : value > option->max;
    return !low && !high;
}

static hn_status integer_of(int64_t *out, hn_config_reader *reader, const hn_option *option,
                            const hn_node *node) {
    const char *text = "";
    HN_TRY(scalar_of(&text, reader, option, node));
    return integer_parse(out, text) && in_range(option, (double)*out)
               ? HN_OK
               : hn_config_mismatch(reader, option, node);
}

static hn_status read_int32(hn_config_reader *reader, const hn_option *option, hn_node *node,
                            void *object) {
    int64_t value = 0;
    HN_TRY(integer_of(&value, reader, option, node));
    *(int32_t *)field_of(option, object) = (int32_t)value;
    return HN_OK;
}

static hn_status read_int64(hn_config_reader *reader, const hn_option *option, hn_node *node,
                            void *object) {
    return integer_of(field_of(option, object), reader, option, node);
}

static void print_int32(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)indent;
    hn_text_add(text, " %d\n", *(const int32_t *)value_of(option, object));
}

static void print_int64(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)indent;
    hn_text_add(text, " %lld\n", (long long)*(const int64_t *)value_of(option, object));
}

static void describe_integer(char *buffer, size_t n, const hn_option *option) {
    snprintf(buffer, n, "an integer from %.0f to %.0f", option->min, option->max);
}

const hn_value_type hn_value_int32 = {false, read_int32, print_int32, describe_integer};
const hn_value_type hn_value_int64 = {false, read_int64, print_int64, describe_integer};

static hn_status read_uint64(hn_config_reader *reader, const hn_option *option, hn_node *node,
                             void *object) {
    const char *text = "";
    char *end = NULL;
    HN_TRY(scalar_of(&text, reader, option, node));
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0' || errno != 0)
        return hn_config_mismatch(reader, option, node);
    *(uint64_t *)field_of(option, object) = value;
    return HN_OK;
}

static void print_uint64(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)indent;
    hn_text_add(text, " %llu\n", (unsigned long long)*(const uint64_t *)value_of(option, object));
}

static void describe_uint64(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "an integer from 0 to 18446744073709551615");
}

const hn_value_type hn_value_uint64 = {false, read_uint64, print_uint64, describe_uint64};

static hn_status read_real(hn_config_reader *reader, const hn_option *option, hn_node *node,
                           void *object) {
    const char *text = "";
    double value;
    HN_TRY(scalar_of(&text, reader, option, node));
    if (!hn_number_parse(&value, text) || !in_range(option, value))
        return hn_config_mismatch(reader, option, node);
    *(double *)field_of(option, object) = value + 0.0; /* -0 is 0 */
    return HN_OK;
}

void hn_number_text(char buffer[32], double value) {
    for (int digits = 15; digits <= 17; digits++) {
        double back;
        snprintf(buffer, 32, "%.*g", digits, value);
        char *comma = buffer + strcspn(buffer, "0123456789+-eE");
        for (; *comma != '\0'; comma++)
            if (strchr("0123456789+-eE", *comma) == NULL)
                *comma = '.'; /* the locale's decimal sign */
        if (hn_number_parse(&back, buffer) && back == value) return;
    }
}

static void print_real(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)indent;
    char number[32];
    hn_number_text(number, *(const double *)value_of(option, object));
    hn_text_add(text, " %s\n", number);
}

static void describe_real(char *buffer, size_t n, const hn_option *option) {
    char min[32], max[32];
    hn_number_text(min, option->min);
    hn_number_text(max, option->max);
    snprintf(buffer, n, "a number %s %s%s %s",
             (option->flags & HN_OPTION_ABOVE_MIN) != 0 ? "above" : "from", min,
             (option->flags & HN_OPTION_BELOW_MAX) != 0 ? " and below" : " to", max);
}

const hn_value_type hn_value_real = {false, read_real, print_real, describe_real};

/* ---- Texts ---- */

static hn_status store_text(hn_config_reader *reader, const char *text, char **field) {
    *field = hn_arena_strdup(reader->arena, text);
    return *field != NULL ? HN_OK : hn_no_memory(reader->err, "the config's texts");
}

static hn_status read_text(hn_config_reader *reader, const hn_option *option, hn_node *node,
                           void *object) {
    const char *text = "";
    HN_TRY(scalar_of(&text, reader, option, node));
    const double bytes = (double)strlen(text);
    if (bytes < option->min || bytes > option->max) return hn_config_mismatch(reader, option, node);
    return store_text(reader, text, field_of(option, object));
}

static void print_text(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)indent;
    const char *value = *(char *const *)value_of(option, object);
    hn_text_add(text, " ");
    if (value != NULL)
        hn_yaml_scalar(text, value);
    else
        hn_text_add(text, "null");
    hn_text_add(text, "\n");
}

static void describe_text(char *buffer, size_t n, const hn_option *option) {
    if (option->min == option->max)
        snprintf(buffer, n, "a text of %.0f byte", option->max);
    else if (option->min == 0 && option->max == 1)
        snprintf(buffer, n, "one character or \"\" for none");
    else
        snprintf(buffer, n, option->min > 0 ? "a text" : "a text (\"\" is allowed)");
}

const hn_value_type hn_value_text = {false, read_text, print_text, describe_text};

static hn_status read_column(hn_config_reader *reader, const hn_option *option, hn_node *node,
                             void *object) {
    const char *text = "";
    HN_TRY(scalar_of(&text, reader, option, node));
    if (!hn_text_is_name(text)) return hn_config_mismatch(reader, option, node);
    if (text[0] == '$' && strcmp(text, "$file") != 0)
        return hn_config_fail(
            reader, node->place,
            "found the column \"%.80s\"; the only one that begins with $ is $file", text);
    return store_text(reader, text, field_of(option, object));
}

static void describe_column(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "a column's name");
}

const hn_value_type hn_value_column = {false, read_column, print_text, describe_column};

/* ---- One of some names ---- */

static size_t count_names(const char *const *names) {
    size_t n = 0;
    while (names[n] != NULL) n++;
    return n;
}

static hn_status unknown_name(hn_config_reader *reader, const hn_option *option,
                              const hn_node *node) {
    char expected[400], hint[300];
    option->type->describe(expected, sizeof expected, option);
    return hn_config_fail(
        reader, node->place, "found \"%.80s\"; expected %s%s", node->text, expected,
        hn_hint(hint, sizeof hint, node->text, option->names, count_names(option->names)));
}

static hn_status read_enum(hn_config_reader *reader, const hn_option *option, hn_node *node,
                           void *object) {
    const char *text = "";
    HN_TRY(scalar_of(&text, reader, option, node));
    for (int32_t i = 0; option->names[i] != NULL; i++) {
        if (strcmp(option->names[i], text) != 0) continue;
        memcpy(field_of(option, object), &i, sizeof i);
        if (option->companion != 0) *((bool *)object + option->companion) = true;
        return HN_OK;
    }
    return unknown_name(reader, option, node);
}

static void print_enum(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)indent;
    int32_t i;
    memcpy(&i, value_of(option, object), sizeof i);
    const bool given = option->companion == 0 || *((const bool *)object + option->companion);
    hn_text_add(text, " %s\n", given ? option->names[i] : "null");
}

static void describe_enum(char *buffer, size_t n, const hn_option *option) {
    size_t used = 0;
    buffer[0] = '\0';
    for (int32_t i = 0; option->names[i] != NULL && used < n; i++) {
        const char *before = i == 0 ? "" : option->names[i + 1] == NULL ? " or " : ", ";
        used += (size_t)snprintf(buffer + used, n - used, "%s%s", before, option->names[i]);
    }
}

_Static_assert(sizeof(hn_scaling) == sizeof(int32_t), "enum options are read as 32-bit integers");
_Static_assert(sizeof(bool) == 1, "flags are addressed by bytes");

const hn_value_type hn_value_enum = {false, read_enum, print_enum, describe_enum};

/* ---- Comparisons ---- */

static hn_status read_predicate(hn_config_reader *reader, const hn_option *option, hn_node *node,
                                void *object) {
    char place[400], path[300], where[720];
    const char *text = "";
    HN_TRY(scalar_of(&text, reader, option, node));
    snprintf(where, sizeof where, "%s: %s", hn_place_text(place, sizeof place, node->place),
             hn_path_text(path, sizeof path, reader->path));
    return hn_predicate_parse(field_of(option, object), text, reader->arena, where, reader->err);
}

static void print_predicate(hn_text *text, const hn_option *option, const void *object,
                            int indent) {
    (void)indent;
    const hn_predicate *predicate = value_of(option, object);
    hn_text_add(text, " ");
    if (predicate->column != NULL)
        hn_yaml_scalar(text, predicate->text);
    else
        hn_text_add(text, "null");
    hn_text_add(text, "\n");
}

static void describe_predicate(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "a comparison like \"rating > 4\" or \"tab in [1, 0]\"");
}

const hn_value_type hn_value_predicate = {false, read_predicate, print_predicate,
                                          describe_predicate};
