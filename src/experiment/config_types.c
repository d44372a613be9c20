/* Types of EXPERIMENT.yaml's options with a language of their own: data sets, changed options,
 * seeds, ranges and values. Values of other configs' options pass through here unread; they are
 * kept as YAML text and checked when a run's config is made of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/config_parts.h"

static void *field_of(const hn_option *option, void *object) {
    return (char *)object + option->offset;
}
static const void *value_of(const hn_option *option, const void *object) {
    return (const char *)object + option->offset;
}

/* ---- A value as YAML text ---- */

static void add_value(hn_text *out, const hn_node *node) {
    if (node->kind == HN_NODE_SCALAR) {
        if (hn_node_is_null(node))
            hn_text_add(out, "null");
        else
            hn_yaml_scalar(out, node->text);
        return;
    }
    const bool list = node->kind == HN_NODE_LIST;
    hn_text_add(out, list ? "[" : "{");
    for (const hn_node *child = node->first; child != NULL; child = child->next) {
        if (!list) {
            hn_yaml_scalar(out, child->key);
            hn_text_add(out, ": ");
        }
        add_value(out, child);
        if (child->next != NULL) hn_text_add(out, ", ");
    }
    hn_text_add(out, list ? "]" : "}");
}

static hn_status keep_text(char **out, hn_config_reader *reader, hn_text *text) {
    *out =
        text->failed ? NULL : hn_arena_strdup(reader->arena, text->text != NULL ? text->text : "");
    hn_text_free(text);
    return *out != NULL ? HN_OK : hn_no_memory(reader->err, "the config's values");
}

/* ---- set: {key.path: value, key: {path: value}} ---- */

static int32_t count_leaves(const hn_node *node) {
    if (node->kind != HN_NODE_MAPPING || node->first == NULL) return 1;
    int32_t n = 0;
    for (const hn_node *child = node->first; child != NULL; child = child->next)
        n += count_leaves(child);
    return n;
}

enum { PATH_MAX_BYTES = 500 };

static hn_status check_path(const hn_strings *set, hn_config_reader *reader, const hn_node *node,
                            const char *path) {
    const size_t n = strlen(path);
    if (n > PATH_MAX_BYTES || node->key[0] == '\0' || strchr(path, '=') != NULL)
        return hn_config_fail(reader, node->key_place,
                              "found the key \"%.80s\"; expected a key path as in train.rate",
                              node->key);
    if (strcmp(path, "train.seed") == 0)
        return hn_config_fail(reader, node->key_place,
                              "found train.seed, which every run has from `seeds`; expected it "
                              "there");
    for (int32_t i = 0; i < set->n; i++)
        if (strncmp(set->items[i], path, n) == 0 && set->items[i][n] == '=')
            return hn_config_fail(reader, node->key_place, "found %.200s twice; expected it once",
                                  path);
    return HN_OK;
}

static hn_status add_leaf(hn_strings *out, hn_config_reader *reader, const hn_node *node,
                          const char *path) {
    hn_text text = {0};
    hn_text_add(&text, "%s=", path);
    add_value(&text, node);
    HN_TRY(keep_text(&out->items[out->n], reader, &text));
    out->n++;
    return HN_OK;
}

/* Of a mapping that is not empty; `path` is the mapping's, "" of the whole. */
static hn_status add_leaves(hn_strings *out, hn_config_reader *reader, const hn_node *mapping,
                            const char *path) {
    for (const hn_node *node = mapping->first; node != NULL; node = node->next) {
        hn_text text = {0};
        char *below = NULL;
        hn_text_add(&text, "%s%s%s", path, path[0] != '\0' ? "." : "", node->key);
        HN_TRY(keep_text(&below, reader, &text));
        HN_TRY(check_path(out, reader, node, below));
        const bool leaf = node->kind != HN_NODE_MAPPING || node->first == NULL;
        HN_TRY(leaf ? add_leaf(out, reader, node, below) : add_leaves(out, reader, node, below));
    }
    return HN_OK;
}

static hn_status read_sets(hn_config_reader *reader, const hn_option *option, hn_node *node,
                           void *object) {
    hn_strings strings = {0};
    if (node->kind != HN_NODE_MAPPING) return hn_config_mismatch(reader, option, node);
    strings.items =
        hn_arena_alloc(reader->arena, (size_t)count_leaves(node) + 1, sizeof *strings.items);
    if (strings.items == NULL) return hn_no_memory(reader->err, "the config's values");
    HN_TRY(add_leaves(&strings, reader, node, ""));
    memcpy(field_of(option, object), &strings, sizeof strings);
    return HN_OK;
}

static void print_sets(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)indent;
    const hn_strings *const strings = value_of(option, object);
    hn_text_add(text, " {");
    for (int32_t i = 0; i < strings->n; i++) {
        const char *const equals = strchr(strings->items[i], '=');
        char key[PATH_MAX_BYTES + 1];
        snprintf(key, sizeof key, "%.*s", (int)(equals - strings->items[i]), strings->items[i]);
        hn_text_add(text, i > 0 ? ", " : "");
        hn_yaml_scalar(text, key);
        hn_text_add(text, ": %s", equals + 1);
    }
    hn_text_add(text, "}\n");
}

static void describe_sets(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "a mapping from key paths to values, like {train.rate: 0.001}");
}

const hn_value_type hn_value_sets = {false, read_sets, print_sets, describe_sets};

/* ---- Data sets: a map, or paths ---- */

/* "kuairand" of "examples/kuairand.yaml". */
static char *name_of_path(hn_arena *arena, const char *path) {
    const char *const slash = strrchr(path, '/'), *const name = slash != NULL ? slash + 1 : path;
    const char *const dot = strrchr(name, '.');
    return hn_arena_strndup(arena, name,
                            dot != NULL && dot != name ? (size_t)(dot - name) : strlen(name));
}

static hn_status add_path(hn_config_reader *reader, const hn_option *option, hn_node *map,
                          const hn_node *item) {
    if (item->kind != HN_NODE_SCALAR || item->text[0] == '\0')
        return hn_config_mismatch(reader, option, item);
    hn_node *const path = hn_node_create(reader->arena, HN_NODE_SCALAR, item->text, item->place);
    if (path != NULL) path->key = name_of_path(reader->arena, item->text);
    if (path == NULL || path->key == NULL) return hn_no_memory(reader->err, "the config's tree");
    path->key_place = item->place;
    if (hn_node_find(map, path->key) != NULL)
        return hn_config_fail(reader, item->place,
                              "found two configs named \"%.80s\"; give them names: {NAME: PATH}",
                              path->key);
    hn_node_append(map, path);
    return HN_OK;
}

static hn_status read_bases(hn_config_reader *reader, const hn_option *option, hn_node *node,
                            void *object) {
    if (node->kind == HN_NODE_MAPPING) return hn_value_map.read(reader, option, node, object);
    hn_node *const map = hn_node_create(reader->arena, HN_NODE_MAPPING, NULL, node->place);
    if (map == NULL) return hn_no_memory(reader->err, "the config's tree");
    if (node->kind == HN_NODE_SCALAR) HN_TRY(add_path(reader, option, map, node));
    for (const hn_node *item = node->first; item != NULL; item = item->next)
        HN_TRY(add_path(reader, option, map, item));
    return hn_value_map.read(reader, option, map, object);
}

static void print_bases(hn_text *text, const hn_option *option, const void *object, int indent) {
    hn_value_map.print(text, option, object, indent);
}

static void describe_bases(char *buffer, size_t n, const hn_option *option) {
    snprintf(buffer, n, "a path, a list of paths, or a mapping from %.0f to %.0f names to paths",
             option->min, option->max);
}

const hn_value_type hn_value_bases = {false, read_bases, print_bases, describe_bases};

/* ---- Seeds: N, or a list ---- */

enum { SEEDS_MAX = 1000 };

/* No more than a whole number of JSON can be. */
static bool seed_parse(uint64_t *out, const hn_node *node) {
    char *end = NULL;
    if (node->kind != HN_NODE_SCALAR || node->text[0] < '0' || node->text[0] > '9' ||
        strlen(node->text) > 19)
        return false;
    *out = strtoull(node->text, &end, 10);
    return *end == '\0' && *out <= INT64_MAX;
}

static hn_status read_seed(hn_config_reader *reader, const hn_option *option, hn_node *node,
                           void *object) {
    uint64_t seed;
    if (!seed_parse(&seed, node)) return hn_config_mismatch(reader, option, node);
    memcpy(field_of(option, object), &seed, sizeof seed);
    return HN_OK;
}

static void print_seed(hn_text *text, const hn_option *option, const void *object, int indent) {
    hn_value_uint64.print(text, option, object, indent);
}

static void describe_seed(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "an integer from 0 to %lld", (long long)INT64_MAX);
}

const hn_value_type hn_value_seed = {false, read_seed, print_seed, describe_seed};

static hn_status read_seeds(hn_config_reader *reader, const hn_option *option, hn_node *node,
                            void *object) {
    hn_experiment_seeds seeds = {0};
    uint64_t most = 0;
    const bool list = node->kind == HN_NODE_LIST;
    if (list ? node->n < 1 || node->n > SEEDS_MAX
             : !seed_parse(&most, node) || most < 1 || most > SEEDS_MAX)
        return hn_config_mismatch(reader, option, node);
    seeds.n = list ? node->n : (int32_t)most;
    seeds.items = hn_arena_alloc(reader->arena, (size_t)seeds.n, sizeof *seeds.items);
    if (seeds.items == NULL) return hn_no_memory(reader->err, "the config's seeds");
    const hn_node *item = node->first;
    for (int32_t i = 0; i < seeds.n; i++) {
        seeds.items[i] = (uint64_t)i + 1;
        if (!list) continue;
        if (!seed_parse(&seeds.items[i], item)) return hn_config_mismatch(reader, option, item);
        for (int32_t k = 0; k < i; k++)
            if (seeds.items[k] == seeds.items[i])
                return hn_config_fail(reader, item->place,
                                      "found the seed %s twice; expected each once", item->text);
        item = item->next;
    }
    memcpy(field_of(option, object), &seeds, sizeof seeds);
    return HN_OK;
}

static void print_seeds(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)indent;
    const hn_experiment_seeds *const seeds = value_of(option, object);
    hn_text_add(text, " [");
    for (int32_t i = 0; i < seeds->n; i++)
        hn_text_add(text, "%s%llu", i > 0 ? ", " : "", (unsigned long long)seeds->items[i]);
    hn_text_add(text, "]\n");
}

static void describe_seeds(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "a number of seeds, or a list of 1 to %d seeds from 0 to %lld", SEEDS_MAX,
             (long long)INT64_MAX);
}

const hn_value_type hn_value_seeds = {false, read_seeds, print_seeds, describe_seeds};

/* ---- Ranges ---- */

hn_status hn_experiment_range_expand(const hn_config_reader *reader, hn_node *node) {
    if (node->kind != HN_NODE_LIST) return HN_OK;
    hn_node *const pair = hn_node_create(reader->arena, HN_NODE_LIST, NULL, node->place);
    if (pair == NULL) return hn_no_memory(reader->err, "the config's tree");
    pair->first = node->first;
    pair->last = node->last;
    pair->n = node->n;
    pair->key = "linear";
    pair->key_place = node->place;
    node->kind = HN_NODE_MAPPING;
    node->first = node->last = NULL;
    node->n = 0;
    hn_node_append(node, pair);
    return HN_OK;
}

static hn_status read_pair(hn_config_reader *reader, const hn_option *option, hn_node *node,
                           void *object) {
    hn_experiment_pair pair = {.given = true};
    if (node->kind != HN_NODE_LIST || node->n != 2 || node->first->kind != HN_NODE_SCALAR ||
        node->last->kind != HN_NODE_SCALAR || !hn_number_parse(&pair.low, node->first->text) ||
        !hn_number_parse(&pair.high, node->last->text) || !(pair.low < pair.high))
        return hn_config_mismatch(reader, option, node);
    memcpy(field_of(option, object), &pair, sizeof pair);
    return HN_OK;
}

static void print_pair(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)indent;
    const hn_experiment_pair *const pair = value_of(option, object);
    char low[32], high[32];
    hn_number_text(low, pair->low);
    hn_number_text(high, pair->high);
    if (pair->given)
        hn_text_add(text, " [%s, %s]\n", low, high);
    else
        hn_text_add(text, " null\n");
}

static void describe_pair(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "two numbers, the lower first: [0.0001, 0.01]");
}

const hn_value_type hn_value_pair = {false, read_pair, print_pair, describe_pair};

static hn_status read_values(hn_config_reader *reader, const hn_option *option, hn_node *node,
                             void *object) {
    hn_strings strings = {0};
    if (node->kind != HN_NODE_LIST || (node->n < 1 && node->place.line > 0))
        return hn_config_mismatch(reader, option, node);
    strings.items = hn_arena_alloc(reader->arena, (size_t)node->n + 1, sizeof *strings.items);
    if (strings.items == NULL) return hn_no_memory(reader->err, "the config's values");
    for (const hn_node *item = node->first; item != NULL; item = item->next) {
        hn_text text = {0};
        add_value(&text, item);
        HN_TRY(keep_text(&strings.items[strings.n], reader, &text));
        strings.n++;
    }
    memcpy(field_of(option, object), &strings, sizeof strings);
    return HN_OK;
}

static void print_values(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)indent;
    const hn_strings *const strings = value_of(option, object);
    hn_text_add(text, strings->n > 0 ? " [" : " null");
    for (int32_t i = 0; i < strings->n; i++)
        hn_text_add(text, "%s%s", i > 0 ? ", " : "", strings->items[i]);
    hn_text_add(text, strings->n > 0 ? "]\n" : "\n");
}

static void describe_values(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "a list of values");
}

const hn_value_type hn_value_values = {true, read_values, print_values, describe_values};
