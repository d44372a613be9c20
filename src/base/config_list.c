/* The types of options that hold several values: texts, columns, layer widths and
 * comparisons. One value may stand without brackets. */
#include <stdio.h>
#include <string.h>

#include "base/config_options.h"

static void *field_of(const hn_option *option, void *object) {
    return (char *)object + option->offset;
}
static const void *value_of(const hn_option *option, const void *object) {
    return (const char *)object + option->offset;
}

/* The items of a list, or the node itself as the only one; their number is checked. */
static hn_status items_of(hn_node **first, int32_t *n, hn_config_reader *reader,
                          const hn_option *option, hn_node *node) {
    const bool list = node->kind == HN_NODE_LIST;
    *first = list ? node->first : node;
    *n = list ? node->n : 1;
    if (node->kind == HN_NODE_MAPPING || *n < option->min || *n > option->max)
        return hn_config_mismatch(reader, option, node);
    return HN_OK;
}

static hn_status expect_scalar(hn_config_reader *reader, const hn_option *option,
                               const hn_node *item) {
    return item->kind == HN_NODE_SCALAR ? HN_OK : hn_config_mismatch(reader, option, item);
}

/* ---- Texts and columns ---- */

static hn_status read_texts(hn_config_reader *reader, const hn_option *option, hn_node *node,
                            void *object) {
    hn_node *item = NULL;
    hn_strings strings = {0};
    int32_t n = 0;
    HN_TRY(items_of(&item, &n, reader, option, node));
    strings.items = hn_arena_alloc(reader->arena, (size_t)n + 1, sizeof *strings.items);
    if (strings.items == NULL) return hn_no_memory(reader->err, "a list of the config");
    for (; strings.n < n; item = item->next) {
        HN_TRY(expect_scalar(reader, option, item));
        char *text = hn_arena_strdup(reader->arena, item->text);
        if (text == NULL) return hn_no_memory(reader->err, "a list of the config");
        strings.items[strings.n++] = text;
    }
    memcpy(field_of(option, object), &strings, sizeof strings);
    return HN_OK;
}

static hn_status read_columns(hn_config_reader *reader, const hn_option *option, hn_node *node,
                              void *object) {
    HN_TRY(read_texts(reader, option, node, object));
    const hn_strings *columns = value_of(option, object);
    const char *twice = NULL;
    for (int32_t i = 0; i < columns->n; i++)
        if (!hn_text_is_name(columns->items[i]))
            return hn_config_fail(reader, node->place,
                                  "found \"%.80s\" among the names; expected 1 to 200 characters "
                                  "without control characters",
                                  columns->items[i]);
    HN_TRY(hn_strings_duplicate(&twice, columns, reader));
    return twice == NULL ? HN_OK
                         : hn_config_fail(reader, node->place,
                                          "found \"%.80s\" twice; expected each name once", twice);
}

static void print_texts(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)indent;
    const hn_strings *strings = value_of(option, object);
    hn_text_add(text, " [");
    for (int32_t i = 0; i < strings->n; i++) {
        hn_text_add(text, i > 0 ? ", " : "");
        hn_yaml_scalar(text, strings->items[i]);
    }
    hn_text_add(text, "]\n");
}

static void describe_texts(char *buffer, size_t n, const hn_option *option) {
    snprintf(buffer, n,
             option->min > 0 ? "a text or a list of at least one" : "a text or a list of texts");
}

static void describe_columns(char *buffer, size_t n, const hn_option *option) {
    if (option->max <= 64)
        snprintf(buffer, n, "a list of %.0f to %.0f names", option->min, option->max);
    else
        snprintf(buffer, n, "a list of names");
}

const hn_value_type hn_value_texts = {true, read_texts, print_texts, describe_texts};
const hn_value_type hn_value_columns = {true, read_columns, print_texts, describe_columns};

/* ---- Layer widths ---- */

enum { WIDTH_MAX = 16384 };

static hn_status read_units(hn_config_reader *reader, const hn_option *option, hn_node *node,
                            void *object) {
    hn_node *item = NULL;
    hn_units units = {0};
    int32_t n = 0;
    HN_TRY(items_of(&item, &n, reader, option, node));
    for (; units.n < n; item = item->next) {
        double width;
        HN_TRY(expect_scalar(reader, option, item));
        if (!hn_number_parse(&width, item->text) || width < 1 || width > WIDTH_MAX ||
            width != (int32_t)width)
            return hn_config_mismatch(reader, option, item);
        units.units[units.n++] = (int32_t)width;
    }
    memcpy(field_of(option, object), &units, sizeof units);
    return HN_OK;
}

static void print_units(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)indent;
    const hn_units *units = value_of(option, object);
    hn_text_add(text, " [");
    for (int32_t i = 0; i < units->n; i++)
        hn_text_add(text, "%s%d", i > 0 ? ", " : "", units->units[i]);
    hn_text_add(text, "]\n");
}

static void describe_units(char *buffer, size_t n, const hn_option *option) {
    snprintf(buffer, n, "a list of %.0f to %.0f layer widths from 1 to %d", option->min,
             option->max, WIDTH_MAX);
}

const hn_value_type hn_value_units = {true, read_units, print_units, describe_units};

/* ---- Comparisons ---- */

static hn_status read_predicates(hn_config_reader *reader, const hn_option *option, hn_node *node,
                                 void *object) {
    hn_node *item = NULL;
    int32_t n = 0;
    HN_TRY(items_of(&item, &n, reader, option, node));
    hn_predicate *predicates = hn_arena_alloc(reader->arena, (size_t)n + 1, sizeof *predicates);
    if (predicates == NULL) return hn_no_memory(reader->err, "the config's comparisons");
    for (int32_t i = 0; i < n; i++, item = item->next) {
        const hn_option one = {.name = option->name, .type = &hn_value_predicate};
        HN_TRY(hn_value_predicate.read(reader, &one, item, &predicates[i]));
    }
    memcpy(field_of(option, object), &predicates, sizeof predicates);
    memcpy((char *)object + option->companion, &n, sizeof n);
    return HN_OK;
}

static void print_predicates(hn_text *text, const hn_option *option, const void *object,
                             int indent) {
    (void)indent;
    int32_t n;
    const hn_predicate *predicates = *(hn_predicate *const *)value_of(option, object);
    memcpy(&n, (const char *)object + option->companion, sizeof n);
    hn_text_add(text, " [");
    for (int32_t i = 0; i < n; i++) {
        hn_text_add(text, i > 0 ? ", " : "");
        hn_yaml_scalar(text, predicates[i].text);
    }
    hn_text_add(text, "]\n");
}

static void describe_predicates(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "comparisons like [\"date >= 20220425\", \"tab in [1, 0]\"]");
}

const hn_value_type hn_value_predicates = {true, read_predicates, print_predicates,
                                           describe_predicates};
