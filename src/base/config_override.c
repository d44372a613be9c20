/* --set key.path=value: puts a value, itself YAML, into the tree before anything is
 * checked. The path is walked along the sections' tables, so that short forms on the way
 * are expanded; keys with dots in them are found where they exist. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_options.h"

typedef struct cursor {
    hn_node *node;
    const hn_config_section *section; /* of the node, or of its elements; NULL: not known */
    bool is_map;
} cursor;

static hn_status expand(const hn_config_reader *reader, const cursor *at) {
    if (at->section == NULL || hn_node_is_null(at->node)) return HN_OK;
    return at->is_map ? hn_map_expand(reader, at->section, at->node)
                      : hn_section_expand(reader, at->section, at->node);
}

static const hn_option *option_at(const cursor *at, const char *key) {
    return at->section == NULL || at->is_map ? NULL : hn_section_option(at->section, key, ~0u);
}

static cursor descend(const cursor *at, hn_node *child, const char *key) {
    if (at->is_map) return (cursor){child, at->section, false};
    const hn_option *option = option_at(at, key);
    return option != NULL ? (cursor){child, option->section, option->type == &hn_value_map}
                          : (cursor){child, NULL, false};
}

/* The length of the path's next key: the longest that exists, else up to the dot. */
static size_t key_bytes(const hn_node *mapping, const char *path) {
    size_t longest = 0;
    for (const hn_node *child = mapping->first; child != NULL; child = child->next) {
        const size_t n = strlen(child->key);
        if (n > longest && strncmp(path, child->key, n) == 0 && (path[n] == '.' || path[n] == '\0'))
            longest = n;
    }
    return longest > 0 ? longest : strcspn(path, ".");
}

static hn_status fail_set(const hn_config_reader *reader, hn_place place, const char *message) {
    return hn_fail(reader->err, HN_BAD_CONFIG, "%.300s: %s", place.origin, message);
}

static void become(hn_node *node, const hn_node *value) {
    node->kind = value->kind;
    node->plain = value->plain;
    node->text = value->text;
    node->place = node->key_place = value->place;
    node->first = value->first;
    node->last = value->last;
    node->n = value->n;
}

/* A mapping where nothing is yet. */
static void become_mapping(hn_node *node, hn_place place) {
    const hn_node empty = {.kind = HN_NODE_MAPPING, .place = place};
    become(node, &empty);
}

/* The child under `key`, made when absent. */
static hn_status child_of(hn_node **out, const hn_config_reader *reader, hn_node *parent,
                          const char *key, hn_place place) {
    *out = hn_node_find(parent, key);
    if (*out != NULL) return HN_OK;
    if (parent->n >= HN_CONFIG_KEYS_MAX)
        return fail_set(reader, place, "there are more than 8192 keys in one mapping");
    *out = hn_node_create(reader->arena, HN_NODE_SCALAR, "", place);
    if (*out == NULL) return hn_no_memory(reader->err, "the config's tree");
    (*out)->plain = true;
    (*out)->key = key;
    hn_node_append(parent, *out);
    return HN_OK;
}

/* One step down `*path`. */
static hn_status step(const hn_config_reader *reader, cursor *at, const char **path,
                      hn_place place) {
    HN_TRY(expand(reader, at));
    if (hn_node_is_null(at->node)) become_mapping(at->node, place);
    if (at->node->kind != HN_NODE_MAPPING)
        return fail_set(reader, place,
                        at->node->kind == HN_NODE_LIST
                            ? "a key on the way is a list; replace it whole: key=[a, b]"
                            : "a key on the way holds a single value, which has no keys below it");
    const size_t n = key_bytes(at->node, *path);
    if (n == 0) return fail_set(reader, place, "found an empty key; expected key.path=value");
    const char *key = hn_arena_strndup(reader->arena, *path, n);
    if (key == NULL) return hn_no_memory(reader->err, "the config's tree");
    hn_node *child = NULL;
    HN_TRY(child_of(&child, reader, at->node, key, place));
    *at = descend(at, child, key);
    *path += n + ((*path)[n] == '.');
    return HN_OK;
}

static hn_status split_override(char **path, const char **value, const hn_config_reader *reader,
                                const char *text) {
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text)
        return hn_fail(reader->err, HN_USAGE,
                       "--set: found '%.200s'; expected key.path=value, like train.epochs=3", text);
    *value = equals + 1;
    *path = hn_arena_strndup(reader->arena, text, (size_t)(equals - text));
    return *path != NULL ? HN_OK : hn_no_memory(reader->err, "--set");
}

static hn_status origin_of(const char **out, const hn_config_reader *reader, const char *text) {
    char origin[220];
    snprintf(origin, sizeof origin, "--set '%.200s'", text);
    *out = hn_arena_strdup(reader->arena, origin);
    return *out != NULL ? HN_OK : hn_no_memory(reader->err, "--set");
}

/* An empty text is no value, where an empty document is an empty mapping. */
static bool is_nothing(const hn_node *value, const char *text) {
    return value->kind == HN_NODE_MAPPING && value->first == NULL &&
           text[strspn(text, " \n")] != '{';
}

static hn_status make_empty(hn_node **out, const hn_config_reader *reader, hn_place place) {
    *out = hn_node_create(reader->arena, HN_NODE_SCALAR, "", place);
    if (*out == NULL) return hn_no_memory(reader->err, "--set");
    (*out)->plain = true;
    return HN_OK;
}

hn_status hn_config_override(hn_config_reader *reader, hn_node *root, const char *text) {
    enum { STEPS_MAX = HN_CONFIG_DEPTH_MAX };
    const char *origin = NULL, *value_text = NULL, *path = NULL;
    char *keys = NULL;
    hn_node *value = NULL;
    HN_TRY(split_override(&keys, &value_text, reader, text));
    HN_TRY(origin_of(&origin, reader, text));
    const hn_place place = {.origin = origin};
    HN_TRY(hn_tree_parse(&value, value_text, strlen(value_text), origin, false, reader->arena,
                         reader->err));
    if (is_nothing(value, value_text)) HN_TRY(make_empty(&value, reader, place));
    if (keys[strlen(keys) - 1] == '.')
        return fail_set(reader, place,
                        "found a path that ends with a dot; expected key.path=value");
    cursor at = {root, &hn_config_root, false};
    path = keys;
    for (int steps = 0; *path != '\0'; steps++) {
        if (steps >= STEPS_MAX)
            return fail_set(reader, place, "found more than 16 keys in the path");
        HN_TRY(step(reader, &at, &path, place));
    }
    become(at.node, value);
    return HN_OK;
}
