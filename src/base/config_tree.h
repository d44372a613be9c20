/* A config file as a tree of texts with positions, made from libfyaml's events. All
 * scalars stay text ("01" stays "01"); what a text means is for the options' types
 * (config_value.c) to say. Everything lies in the caller's arena. */
#ifndef HN_BASE_CONFIG_TREE_H
#define HN_BASE_CONFIG_TREE_H

#include "base/memory.h"

enum {
    HN_CONFIG_BYTES_MAX = 1 << 20,
    HN_CONFIG_NODES_MAX = 1 << 16,
    HN_CONFIG_KEYS_MAX = 1 << 13, /* of one mapping: finding duplicates is quadratic */
    HN_CONFIG_DEPTH_MAX = 16
};

typedef struct hn_place {
    const char *origin;   /* the file as the caller named it, or "--set 'key=value'" */
    int32_t line, column; /* from 1; line 0: no position (--set, defaults) */
} hn_place;

typedef enum hn_node_kind { HN_NODE_SCALAR, HN_NODE_LIST, HN_NODE_MAPPING } hn_node_kind;
typedef struct hn_node hn_node;
struct hn_node {
    hn_node_kind kind;
    bool plain;       /* a scalar without quotes: may be null */
    const char *text; /* of a scalar */
    const char *key;  /* of a mapping's entry */
    hn_place place, key_place;
    hn_node *first, *last, *next; /* children in order; the next sibling */
    int32_t n;
};

/* `out` is the root; an empty document is an empty mapping. Anchors, aliases, tags and
 * several documents are refused, so the tree is never larger than its text. */
hn_status hn_tree_parse(hn_node **out, const char *text, size_t n, const char *origin,
                        bool positions, hn_arena *arena, hn_error *err);

/* NULL where there is no memory. */
hn_node *hn_node_create(hn_arena *arena, hn_node_kind kind, const char *text, hn_place place);
void hn_node_append(hn_node *parent, hn_node *child);
hn_node *hn_node_find(const hn_node *mapping, const char *key); /* NULL: none */
/* A plain `null`, `~` or nothing: as if the key were not there. NULL pointers too. */
bool hn_node_is_null(const hn_node *node);
bool hn_node_is_empty(const hn_node *node);         /* nothing was written */
const char *hn_node_kind_text(const hn_node *node); /* "a list" … */

/* "file:line:column" or the origin alone. */
const char *hn_place_text(char *buffer, size_t n, hn_place place);

#endif
