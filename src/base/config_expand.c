/* Short forms: `price: number` for `price: {kind: number}`, `tasks: [click]`,
 * `compat: all`. They are turned into the full mapping in the tree, so that the walker
 * and --set see full forms only. */
#include <string.h>

#include "base/config_options.h"

/* Makes `node` a mapping with its old self under `key`. */
static hn_status wrap(const hn_config_reader *reader, hn_node *node, const char *key) {
    hn_node *child = hn_node_create(reader->arena, node->kind, node->text, node->place);
    if (child == NULL) return hn_no_memory(reader->err, "the config's tree");
    child->plain = node->plain;
    child->first = node->first;
    child->last = node->last;
    child->n = node->n;
    child->key = key;
    node->kind = HN_NODE_MAPPING;
    node->first = node->last = NULL;
    node->n = 0;
    hn_node_append(node, child);
    return HN_OK;
}

hn_status hn_section_expand(const hn_config_reader *reader, const hn_config_section *section,
                            hn_node *node) {
    if (node->kind == HN_NODE_MAPPING) return HN_OK;
    if (section->expand != NULL) return section->expand(reader, node);
    return section->short_key != NULL ? wrap(reader, node, section->short_key) : HN_OK;
}

/* [click, like] → {click: {label: click}, like: {label: like}} */
hn_status hn_map_expand(const hn_config_reader *reader, const hn_config_section *section,
                        hn_node *node) {
    if (node->kind != HN_NODE_LIST || !section->listable) return HN_OK;
    if (node->n > HN_TASKS_MAX) /* finding duplicates below is quadratic */
        return hn_config_fail(reader, node->place, "found %d names; expected at most %d", node->n,
                              HN_TASKS_MAX);
    hn_node *item = node->first;
    node->kind = HN_NODE_MAPPING;
    node->first = node->last = NULL;
    node->n = 0;
    for (hn_node *next; item != NULL; item = next) {
        next = item->next;
        item->next = NULL;
        if (item->kind != HN_NODE_SCALAR || item->text[0] == '\0')
            return hn_config_fail(reader, item->place, "found %s; expected a name",
                                  hn_node_kind_text(item));
        if (hn_node_find(node, item->text) != NULL)
            return hn_config_fail(reader, item->place,
                                  "found \"%.80s\" twice; expected each name once", item->text);
        item->key = item->text;
        item->plain = false;
        hn_node_append(node, item);
    }
    return HN_OK;
}
