/* The scenario section: which cell texts make which scenario, and what becomes of the
 * others. A list [1, 0, 4] is a short form in which each text is its own name. */
#include <stdio.h>
#include <string.h>

#include "base/config_options.h"

static const hn_option texts_of_one = {
    .name = "values", .type = &hn_value_texts, .min = 0, .max = HN_CONFIG_NODES_MAX};

/* Room for one more than there are, for `others: NEW`. */
static hn_status reserve(hn_config_scenario *s, int32_t n, hn_config_reader *reader) {
    s->names.items = hn_arena_alloc(reader->arena, (size_t)n + 1, sizeof *s->names.items);
    s->values = hn_arena_alloc(reader->arena, (size_t)n + 1, sizeof *s->values);
    return s->names.items != NULL && s->values != NULL ? HN_OK
                                                       : hn_no_memory(reader->err, "the scenarios");
}

static hn_status add_name(hn_config_scenario *s, const char *name, hn_place place,
                          hn_config_reader *reader) {
    if (!hn_text_is_name(name) || strcmp(name, "drop") == 0)
        return hn_config_fail(
            reader, place,
            "found the scenario name \"%.80s\"; expected 1 to 200 characters, not \"drop\"", name);
    char *copy = hn_arena_strdup(reader->arena, name);
    if (copy == NULL) return hn_no_memory(reader->err, "the scenarios");
    s->names.items[s->names.n++] = copy;
    return HN_OK;
}

static hn_status add_scenario(hn_config_scenario *s, hn_node *entry, const char *name,
                              hn_config_reader *reader) {
    if (hn_node_is_empty(entry))
        return hn_config_fail(reader, entry->key_place,
                              "nothing was written for \"%.80s\"; expected its values, [] for "
                              "none, or null to leave it out",
                              name);
    HN_TRY(hn_value_texts.read(reader, &texts_of_one, entry, &s->values[s->names.n]));
    return add_name(s, name, entry->key_place, reader);
}

/* No text may belong to two scenarios. */
static hn_status check_values(const hn_config_scenario *s, const hn_node *node,
                              hn_config_reader *reader) {
    const char *twice = NULL;
    hn_strings all = {0};
    size_t n = 0;
    for (int32_t i = 0; i < s->names.n; i++) n += (size_t)s->values[i].n;
    all.items = hn_alloc(n + 1, sizeof *all.items);
    if (all.items == NULL) return hn_no_memory(reader->err, "the scenarios");
    for (int32_t i = 0; i < s->names.n; i++)
        for (int32_t j = 0; j < s->values[i].n; j++) all.items[all.n++] = s->values[i].items[j];
    hn_status status = hn_strings_duplicate(&twice, &all, reader);
    hn_free(all.items);
    if (status == HN_OK && twice != NULL)
        status = hn_config_fail(
            reader, node->place,
            "found the value \"%.80s\" twice; expected each value in one scenario", twice);
    return status;
}

static hn_status check_names(const hn_config_scenario *s, const hn_node *node,
                             hn_config_reader *reader) {
    const char *twice = NULL;
    if (s->names.n < 1 || s->names.n > HN_SCENARIOS_MAX)
        return hn_config_fail(reader, node->place, "found %d scenarios; expected 1 to %d",
                              s->names.n, HN_SCENARIOS_MAX);
    HN_TRY(hn_strings_duplicate(&twice, &s->names, reader));
    return twice == NULL
               ? HN_OK
               : hn_config_fail(reader, node->place,
                                "found the scenario \"%.80s\" twice; expected each once", twice);
}

static hn_status read_scenarios(hn_config_reader *reader, const hn_option *option, hn_node *node,
                                void *object) {
    hn_config_scenario *s = object;
    if (node->kind == HN_NODE_SCALAR) return hn_config_mismatch(reader, option, node);
    HN_TRY(reserve(s, node->n, reader));
    for (hn_node *entry = node->first; entry != NULL; entry = entry->next) {
        if (node->kind == HN_NODE_LIST && entry->kind != HN_NODE_SCALAR)
            return hn_config_mismatch(reader, option, entry);
        if (node->kind == HN_NODE_LIST)
            HN_TRY(add_scenario(s, entry, entry->text, reader));
        else if (!hn_node_is_null(entry) || hn_node_is_empty(entry))
            HN_TRY(add_scenario(s, entry, entry->key, reader));
    }
    HN_TRY(check_names(s, node, reader));
    return check_values(s, node, reader);
}

static void print_scenarios(hn_text *text, const hn_option *option, const void *object,
                            int indent) {
    (void)option;
    const hn_config_scenario *s = object;
    hn_text_add(text, s->column != NULL ? "\n" : " null\n");
    for (int32_t i = 0; s->column != NULL && i < s->names.n; i++) {
        hn_text_add(text, "%*s", indent + 2, "");
        hn_yaml_scalar(text, s->names.items[i]);
        hn_text_add(text, ":");
        hn_value_texts.print(text, &texts_of_one, &s->values[i], indent + 2);
    }
}

static void describe_scenarios(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "a mapping from names to values of the column, or a list of values");
}

const hn_value_type hn_value_scenarios = {false, read_scenarios, print_scenarios,
                                          describe_scenarios};

/* ---- others: drop, or the scenario they join ---- */

static hn_status read_others(hn_config_reader *reader, const hn_option *option, hn_node *node,
                             void *object) {
    hn_config_scenario *s = object;
    if (node->kind != HN_NODE_SCALAR) return hn_config_mismatch(reader, option, node);
    s->fold_into = -1;
    if (strcmp(node->text, "drop") == 0) return HN_OK;
    if (s->names.n == 0)
        return hn_config_fail(reader, node->place,
                              "found \"%.80s\", but there are no scenarios: write scenario.column "
                              "and scenario.values",
                              node->text);
    s->fold_into = hn_strings_find(&s->names, node->text);
    if (s->fold_into >= 0) return HN_OK;
    if (s->names.n >= HN_SCENARIOS_MAX)
        return hn_config_fail(reader, node->place, "found more than %d scenarios",
                              HN_SCENARIOS_MAX);
    s->fold_into = s->names.n; /* a new one, with no values of its own */
    return add_name(s, node->text, node->place, reader);
}

static void print_others(hn_text *text, const hn_option *option, const void *object, int indent) {
    (void)option;
    (void)indent;
    const hn_config_scenario *s = object;
    hn_text_add(text, " ");
    hn_yaml_scalar(text,
                   s->column == NULL || s->fold_into < 0 ? "drop" : s->names.items[s->fold_into]);
    hn_text_add(text, "\n");
}

static void describe_others(char *buffer, size_t n, const hn_option *option) {
    (void)option;
    snprintf(buffer, n, "drop, or the name of the scenario that other rows join");
}

const hn_value_type hn_value_others = {false, read_others, print_others, describe_others};

/* ---- The whole section ---- */

static hn_status only_scenario(hn_config_scenario *s, hn_config_reader *reader) {
    HN_TRY(reserve(s, 1, reader));
    s->names.items[0] = hn_arena_strdup(reader->arena, "all");
    s->names.n = 1;
    s->fold_into = 0; /* every row belongs to it */
    return s->names.items[0] != NULL ? HN_OK : hn_no_memory(reader->err, "the scenarios");
}

static hn_status check_reachable(const hn_config_scenario *s, const hn_node *node,
                                 hn_config_reader *reader) {
    for (int32_t i = 0; i < s->names.n; i++)
        if (s->values[i].n == 0 && i != s->fold_into)
            return hn_config_fail_key(
                reader, node, "values",
                "the scenario \"%.80s\" has no values; expected some, or `others: %.80s`",
                s->names.items[i], s->names.items[i]);
    return HN_OK;
}

hn_status hn_scenario_check(hn_config_reader *reader, const hn_node *node, void *object) {
    hn_config_scenario *s = object;
    if (s->column == NULL && s->names.n > 0)
        return hn_config_fail_key(
            reader, node, "column",
            "this key is absent; expected the column that scenario.values are values of");
    if (s->column == NULL) return only_scenario(s, reader);
    if (s->names.n == 0)
        return hn_config_fail_key(reader, node, "values",
                                  "this key is absent; expected the values of %.80s that are "
                                  "scenarios: [1, 0] or {main: 1, other: [0, 2]}",
                                  s->column);
    return check_reachable(s, node, reader);
}
