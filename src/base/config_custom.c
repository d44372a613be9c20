/* Types with a language of their own: delimiters, folds, the defaults of features.
 * Scenarios have config_scenario.c. */
#include <stdio.h>
#include <string.h>

#include "base/config_options.h"

static hn_status expect_scalar(hn_config_reader *reader, const hn_option *option,
                               const hn_node *node) {
    return node->kind == HN_NODE_SCALAR ? HN_OK : hn_config_mismatch(reader, option, node);
}

static void print_or_null(hn_text *text, const char *value) {
    hn_text_add(text, " ");
    if (value != NULL)
        hn_yaml_scalar(text, value);
    else
        hn_text_add(text, "null");
    hn_text_add(text, "\n");
}

/* ---- Delimiters ---- */

static hn_status read_delimiter(hn_config_reader *reader, const hn_option *option, hn_node *node,
                                void *object) {
    HN_TRY(expect_scalar(reader, option, node));
    const char *text = node->text;
    if (strcmp(text, "tab") == 0 || strcmp(text, "\\t") == 0) text = "\t";
    if (strlen(text) < 1 || strlen(text) > 8 || strpbrk(text, "\r\n") != NULL)
        return hn_config_mismatch(reader, option, node);
    char *copy = hn_arena_strdup(reader->arena, text);
    memcpy((char *)object + option->offset, &copy, sizeof copy);
    return copy != NULL ? HN_OK : hn_no_memory(reader->err, "the config's texts");
}

static void print_delimiter(hn_text *text, const hn_option *option, const void *object,
                            int indent) {
    (void)indent;
    const char *value;
    memcpy(&value, (const char *)object + option->offset, sizeof value);
    print_or_null(text, value);
}

static void describe_delimiter(char *buffer, size_t n, const hn_option *option) {
    snprintf(buffer, n, "1 to 8 characters, tab%s",
             option->def && strcmp(option->def, "auto") == 0 ? " or auto" : "");
}

const hn_value_type hn_value_delimiter = {false, read_delimiter, print_delimiter,
                                          describe_delimiter};

/* ---- Folds of rates ---- */

enum { FOLDS_MAX = 1024 };

static hn_status set_fold(hn_config_reader *reader, hn_config_feature *feature, hn_fold_by by,
                          const char *column) {
    feature->fold_by = by;
    feature->fold_column = column != NULL ? hn_arena_strdup(reader->arena, column) : NULL;
    return column == NULL || feature->fold_column != NULL
               ? HN_OK
               : hn_no_memory(reader->err, "the config's texts");
}

static hn_status read_fold(hn_config_reader *reader, const hn_option *option, hn_node *node,
                           void *object) {
    hn_config_feature *feature = object;
    double folds;
    HN_TRY(expect_scalar(reader, option, node));
    if (strcmp(node->text, "hash") == 0 || strncmp(node->text, "hash ", 5) == 0) {
        const char *number = node->text + 4 + strspn(node->text + 4, " ");
        if (!hn_number_parse(&folds, number) || folds < 2 || folds > FOLDS_MAX ||
            folds != (int32_t)folds)
            return hn_config_fail(
                reader, node->place,
                "found \"%.80s\"; expected hash N with N from 2 to %d: \"hash 5\"", node->text,
                FOLDS_MAX);
        feature->folds = (int32_t)folds;
        return set_fold(reader, feature, HN_FOLD_HASH, NULL);
    }
    if (!hn_text_is_name(node->text)) return hn_config_mismatch(reader, option, node);
    feature->folds = 0;
    return set_fold(reader, feature, HN_FOLD_COLUMN, node->text);
}

static void print_fold(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)option;
    (void)indent;
    const hn_config_feature *feature = object;
    if (feature->fold_by == HN_FOLD_HASH)
        hn_text_add(text, " hash %d\n", feature->folds);
    else
        print_or_null(text, feature->fold_by == HN_FOLD_COLUMN ? feature->fold_column : NULL);
}

static void describe_fold(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "a column's name, or hash N for N folds by a hash of the row");
}

const hn_value_type hn_value_fold = {false, read_fold, print_fold, describe_fold};

static hn_status read_past(hn_config_reader *reader, const hn_option *option, hn_node *node,
                           void *object) {
    hn_config_feature *feature = object;
    HN_TRY(expect_scalar(reader, option, node));
    if (!hn_text_is_name(node->text)) return hn_config_mismatch(reader, option, node);
    feature->folds = 0;
    return set_fold(reader, feature, HN_FOLD_PAST, node->text);
}

static void print_past(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)option;
    (void)indent;
    const hn_config_feature *feature = object;
    print_or_null(text, feature->fold_by == HN_FOLD_PAST ? feature->fold_column : NULL);
}

static void describe_past(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "a column whose values are in order of time");
}

const hn_value_type hn_value_past = {false, read_past, print_past, describe_past};

/* ---- Defaults of features ---- */

enum { NAMES_MAX = 64 };

static size_t defaultable_names(const char *names[NAMES_MAX]) {
    size_t n = 0;
    for (int32_t i = 0; i < hn_feature_section.n && n < NAMES_MAX; i++) {
        const hn_option *option = &hn_feature_section.options[i];
        const bool first = hn_section_option(&hn_feature_section, option->name, ~0u) == option;
        if (first && (option->flags & HN_OPTION_DEFAULTABLE) != 0) names[n++] = option->name;
    }
    return n;
}

/* Reads one default into a feature that is thrown away, to find errors even where no
 * feature uses it. */
static hn_status try_default(hn_config_reader *reader, hn_node *entry) {
    const char *names[NAMES_MAX];
    char hint[300];
    hn_config_feature scratch = {0};
    const hn_option *option = hn_section_option(&hn_feature_section, entry->key, ~0u);
    const size_t n = defaultable_names(names);
    if (option == NULL || (option->flags & HN_OPTION_DEFAULTABLE) == 0)
        return hn_config_fail(reader, entry->key_place,
                              "this is no default that features can have%s",
                              hn_hint(hint, sizeof hint, entry->key, names, n));
    return hn_node_is_null(entry) ? HN_OK : option->type->read(reader, option, entry, &scratch);
}

static hn_status read_defaults(hn_config_reader *reader, const hn_option *option, hn_node *node,
                               void *object) {
    (void)object;
    if (node->kind != HN_NODE_MAPPING) return hn_config_mismatch(reader, option, node);
    for (hn_node *entry = node->first; entry != NULL; entry = entry->next) {
        const hn_key_path path = {reader->path, entry->key};
        reader->path = &path;
        const hn_status status = try_default(reader, entry);
        reader->path = path.up;
        HN_TRY(status);
    }
    reader->defaults = node;
    return HN_OK;
}

static void print_nothing(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)text;
    (void)option;
    (void)object;
    (void)indent;
}

static void describe_defaults(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "a mapping of options that features have where they do not say otherwise");
}

const hn_value_type hn_value_defaults = {false, read_defaults, print_nothing, describe_defaults};
