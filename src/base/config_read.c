/* The walker: reads a mapping of the tree into a struct by a section's table, whatever
 * the section is. Errors say where, under which key, what was found and expected. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/config_options.h"

enum { NAMES_MAX = 64 };

/* ---- Errors ---- */

const char *hn_path_text(char *buffer, size_t n, const hn_key_path *path) {
    buffer[0] = '\0';
    if (path == NULL) return buffer;
    hn_path_text(buffer, n, path->up);
    const size_t used = strlen(buffer);
    snprintf(buffer + used, n - used, "%s%.80s", used > 0 ? "." : "", path->key);
    return buffer;
}

enum { SENTENCE_BYTES = 900 };

static hn_status fail_at(const hn_config_reader *reader, const hn_key_path *path, hn_place place,
                         const char *sentence) {
    char where[400], keys[300];
    hn_path_text(keys, sizeof keys, path);
    return hn_fail(reader->err, HN_BAD_CONFIG, "%s: %s%s%s",
                   hn_place_text(where, sizeof where, place), keys, keys[0] != '\0' ? ": " : "",
                   sentence);
}

hn_status hn_config_fail(const hn_config_reader *reader, hn_place place, const char *format, ...) {
    char sentence[SENTENCE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return fail_at(reader, reader->path, place, sentence);
}

hn_status hn_config_fail_key(const hn_config_reader *reader, const hn_node *node, const char *key,
                             const char *format, ...) {
    char sentence[SENTENCE_BYTES];
    const hn_node *child = hn_node_find(node, key);
    const hn_key_path path = {reader->path, key};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return fail_at(reader, &path, child != NULL ? child->place : node->place, sentence);
}

hn_status hn_config_mismatch(const hn_config_reader *reader, const hn_option *option,
                             const hn_node *node) {
    char expected[400];
    option->type->describe(expected, sizeof expected, option);
    if (node->kind == HN_NODE_SCALAR)
        return hn_config_fail(reader, node->place, "found \"%.80s\"; expected %s", node->text,
                              expected);
    return hn_config_fail(reader, node->place, "found %s; expected %s", hn_node_kind_text(node),
                          expected);
}

const char *hn_hint(char *buffer, size_t n, const char *word, const char *const *names,
                    size_t n_names) {
    const char *near = hn_did_you_mean(word, names, n_names);
    buffer[0] = '\0';
    if (near != NULL) snprintf(buffer, n, "; did you mean \"%.80s\"?", near);
    return buffer;
}

/* ---- Sections ---- */

const hn_option *hn_section_option(const hn_config_section *section, const char *name,
                                   unsigned kinds) {
    for (int32_t i = 0; i < section->n; i++) {
        const hn_option *option = &section->options[i];
        if (strcmp(option->name, name) == 0 && (option->kinds == 0 || (option->kinds & kinds) != 0))
            return option;
    }
    return NULL;
}

static int32_t selected(const hn_config_section *section, const void *object) {
    int32_t value;
    memcpy(&value,
           (const char *)object + hn_section_option(section, section->selector, ~0u)->offset,
           sizeof value);
    return value;
}

unsigned hn_section_kinds(const hn_config_section *section, const void *object) {
    return section->selector == NULL ? ~0u : 1u << selected(section, object);
}

const char *hn_section_kind_name(const hn_config_section *section, const void *object) {
    return hn_section_option(section, section->selector, ~0u)->names[selected(section, object)];
}

/* The names of the options of these kinds, each once. */
static size_t option_names(const char *names[NAMES_MAX], const hn_config_section *section,
                           unsigned kinds) {
    size_t n = 0;
    for (int32_t i = 0; i < section->n && n < NAMES_MAX; i++) {
        const hn_option *option = &section->options[i];
        if (hn_section_option(section, option->name, kinds) == option) names[n++] = option->name;
    }
    return n;
}

static void list_names(char *buffer, size_t n, const char *const *names, size_t n_names) {
    size_t used = 0;
    buffer[0] = '\0';
    for (size_t i = 0; i < n_names && used < n; i++)
        used += (size_t)snprintf(buffer + used, n - used, "%s%s", i > 0 ? ", " : "", names[i]);
}

static hn_status unknown_key(hn_config_reader *reader, const hn_config_section *section,
                             const hn_node *entry, const void *object) {
    const char *names[NAMES_MAX];
    char hint[300], list[500];
    const unsigned kinds = hn_section_kinds(section, object);
    const hn_key_path path = {reader->path, entry->key};
    hn_config_reader below = *reader;
    below.path = &path;
    const size_t n = option_names(names, section, kinds);
    list_names(list, sizeof list, names, n);
    if (hn_section_option(section, entry->key, ~0u) != NULL)
        return hn_config_fail(&below, entry->key_place,
                              "this is no option where `%s` is %s; expected one of %s",
                              section->selector, hn_section_kind_name(section, object), list);
    return hn_config_fail(&below, entry->key_place, "unknown key%s expected one of %s",
                          hn_hint(hint, sizeof hint, entry->key, names, n)[0] != '\0' ? hint : ";",
                          list);
}

static hn_status check_keys(hn_config_reader *reader, const hn_config_section *section,
                            const hn_node *node, const void *object) {
    const unsigned kinds = hn_section_kinds(section, object);
    for (const hn_node *entry = node->first; entry != NULL; entry = entry->next)
        if (hn_section_option(section, entry->key, kinds) == NULL)
            return unknown_key(reader, section, entry, object);
    return HN_OK;
}

static hn_node *default_list(hn_arena *arena, const char *text) {
    const hn_place none = {.origin = "default"};
    hn_node *list = hn_node_create(arena, HN_NODE_LIST, NULL, none);
    while (list != NULL && *(text += strspn(text, " ")) != '\0') {
        const size_t n = strcspn(text, " ");
        const char *item_text = hn_arena_strndup(arena, text, n);
        hn_node *item =
            item_text != NULL ? hn_node_create(arena, HN_NODE_SCALAR, item_text, none) : NULL;
        if (item == NULL) return NULL;
        hn_node_append(list, item);
        text += n;
    }
    return list;
}

/* What is read when the key is absent; NULL without an error: nothing. */
static hn_status default_node(hn_node **out, hn_config_reader *reader, const hn_option *option,
                              const hn_node *parent) {
    const hn_place none = {.origin = "default"};
    *out = NULL;
    if (option->def != NULL)
        *out = option->type->list
                   ? default_list(reader->arena, option->def)
                   : hn_node_create(reader->arena, HN_NODE_SCALAR, option->def, none);
    else if (option->type == &hn_value_section)
        *out = hn_node_create(reader->arena, HN_NODE_MAPPING, NULL, parent->place);
    else
        return HN_OK;
    return *out != NULL ? HN_OK : hn_no_memory(reader->err, "the config's defaults");
}

static hn_status required(hn_config_reader *reader, const hn_option *option, const hn_node *parent,
                          const hn_node *child) {
    char expected[400];
    option->type->describe(expected, sizeof expected, option);
    return hn_config_fail(reader, child != NULL ? child->key_place : parent->place,
                          "%s, but it is required; expected %s",
                          child != NULL ? "nothing was written here" : "this key is absent",
                          expected);
}

static hn_status read_value(hn_config_reader *reader, const hn_option *option, hn_node *parent,
                            void *object) {
    hn_node *written = hn_node_find(parent, option->name), *node = written;
    if (hn_node_is_null(node))
        node = (option->flags & HN_OPTION_DEFAULTABLE) != 0
                   ? hn_node_find(reader->defaults, option->name)
                   : NULL;
    if (hn_node_is_null(node)) {
        if ((option->flags & HN_OPTION_REQUIRED) != 0)
            return required(reader, option, parent, written);
        HN_TRY(default_node(&node, reader, option, parent));
    }
    return node != NULL ? option->type->read(reader, option, node, object) : HN_OK;
}

static hn_status read_option(hn_config_reader *reader, const hn_option *option, hn_node *parent,
                             void *object) {
    const hn_key_path path = {reader->path, option->name};
    reader->path = &path;
    const hn_status status = read_value(reader, option, parent, object);
    reader->path = path.up;
    return status;
}

static hn_status read_options(hn_config_reader *reader, const hn_config_section *section,
                              hn_node *node, void *object) {
    const unsigned kinds = hn_section_kinds(section, object);
    for (int32_t i = 0; i < section->n; i++) {
        const hn_option *option = &section->options[i];
        const bool is_selector =
            section->selector != NULL && strcmp(option->name, section->selector) == 0;
        if (!is_selector && (option->kinds == 0 || (option->kinds & kinds) != 0))
            HN_TRY(read_option(reader, option, node, object));
    }
    return HN_OK;
}

hn_status hn_section_read(hn_config_reader *reader, const hn_config_section *section, hn_node *node,
                          void *object) {
    HN_TRY(hn_section_expand(reader, section, node));
    if (node->kind != HN_NODE_MAPPING)
        return hn_config_fail(reader, node->place, "found %s; expected a mapping of options",
                              hn_node_kind_text(node));
    if (section->selector != NULL)
        HN_TRY(
            read_option(reader, hn_section_option(section, section->selector, ~0u), node, object));
    HN_TRY(check_keys(reader, section, node, object));
    HN_TRY(read_options(reader, section, node, object));
    return section->check != NULL ? section->check(reader, node, object) : HN_OK;
}

static hn_status read_section(hn_config_reader *reader, const hn_option *option, hn_node *node,
                              void *object) {
    return hn_section_read(reader, option->section, node, (char *)object + option->offset);
}

static void print_section(hn_text *text, const hn_option *option, const void *object, int indent) {
    hn_text_add(text, "\n");
    hn_section_print(text, option->section, (const char *)object + option->offset, indent + 2);
}

static void describe_section(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "a mapping of options");
}

const hn_value_type hn_value_section = {false, read_section, print_section, describe_section};

/* ---- Maps: named elements, each a section ---- */

static hn_status read_element(hn_config_reader *reader, const hn_option *option, hn_node *entry,
                              void *element) {
    const hn_key_path path = {reader->path, entry->key};
    reader->path = &path;
    hn_status status;
    char *name = hn_arena_strdup(reader->arena, entry->key);
    memcpy(element, &name, sizeof name); /* the name is every element's first field */
    if (name == NULL)
        status = hn_no_memory(reader->err, "the config's names");
    else if (!hn_text_is_name(name))
        status = hn_config_fail(
            reader, entry->key_place,
            "found the name \"%.80s\"; expected 1 to 200 characters without control characters",
            name);
    else if (hn_node_is_empty(entry))
        status = hn_config_fail(
            reader, entry->key_place,
            "nothing was written here; expected its options, or null to leave it out");
    else
        status = hn_section_read(reader, option->section, entry, element);
    reader->path = path.up;
    return status;
}

_Static_assert(offsetof(hn_config_table, name) == 0 && offsetof(hn_config_task, name) == 0 &&
                   offsetof(hn_config_feature, name) == 0 &&
                   offsetof(hn_config_sampling, name) == 0,
               "read_element stores the name at the start");

static bool is_left_out(const hn_node *entry) {
    return hn_node_is_null(entry) && !hn_node_is_empty(entry);
}

static hn_status read_map(hn_config_reader *reader, const hn_option *option, hn_node *node,
                          void *object) {
    HN_TRY(hn_map_expand(reader, option->section, node));
    if (node->kind != HN_NODE_MAPPING) return hn_config_mismatch(reader, option, node);
    char *elements = hn_arena_alloc(reader->arena, (size_t)node->n + 1, option->section->size);
    if (elements == NULL) return hn_no_memory(reader->err, "the config's mappings");
    memcpy((char *)object + option->offset, &elements, sizeof elements);
    int32_t n = 0;
    for (hn_node *entry = node->first; entry != NULL; entry = entry->next) {
        if (is_left_out(entry)) continue;
        HN_TRY(read_element(reader, option, entry, elements + (size_t)n * option->section->size));
        n++;
    }
    memcpy((char *)object + option->companion, &n, sizeof n);
    if (n >= option->min && n <= option->max) return HN_OK;
    return hn_config_fail(reader, node->place, "found %d entries; expected %.0f to %.0f", n,
                          option->min, option->max);
}

static void print_map(hn_text *text, const hn_option *option, const void *object, int indent) {
    int32_t n;
    const char *elements = *(char *const *)(const void *)((const char *)object + option->offset);
    memcpy(&n, (const char *)object + option->companion, sizeof n);
    hn_text_add(text, n > 0 ? "\n" : " {}\n");
    for (int32_t i = 0; i < n; i++) {
        const char *element = elements + (size_t)i * option->section->size;
        hn_text_add(text, "%*s", indent + 2, "");
        hn_yaml_scalar(text, *(char *const *)(const void *)element);
        hn_text_add(text, ":\n");
        hn_section_print(text, option->section, element, indent + 4);
    }
}

static void describe_map(char *buffer, size_t n, const hn_option *option) {
    snprintf(buffer, n, "a mapping from names to options, %.0f to %.0f of them", option->min,
             option->max);
}

const hn_value_type hn_value_map = {false, read_map, print_map, describe_map};
