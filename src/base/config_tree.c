/* YAML text to a tree of texts (config_tree.h). libfyaml scans and parses; this file
 * only collects its events, so that hostile input meets our limits on depth and number
 * before anything recursive runs. Overrides and meanings: config_override.c, config_read.c. */
#include "base/config_tree.h"

#include <libfyaml.h>
#include <stdio.h>
#include <string.h>

typedef struct builder {
    hn_arena *arena;
    hn_error *err;
    const char *origin, *text;
    bool positions;
    hn_node *stack[HN_CONFIG_DEPTH_MAX];
    int32_t depth, nodes, documents;
    hn_node *root;
    const char *key; /* waits for its value; NULL: none */
    hn_place key_place;
} builder;

const char *hn_place_text(char *buffer, size_t n, hn_place place) {
    if (place.line > 0)
        snprintf(buffer, n, "%.300s:%d:%d", place.origin, place.line, place.column);
    else
        snprintf(buffer, n, "%.300s", place.origin);
    return buffer;
}

hn_node *hn_node_create(hn_arena *arena, hn_node_kind kind, const char *text, hn_place place) {
    hn_node *node = hn_arena_alloc(arena, 1, sizeof *node);
    if (node == NULL) return NULL;
    node->kind = kind;
    node->text = text;
    node->place = node->key_place = place;
    return node;
}

void hn_node_append(hn_node *parent, hn_node *child) {
    if (parent->last != NULL)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->n++;
}

hn_node *hn_node_find(const hn_node *mapping, const char *key) {
    if (mapping == NULL || mapping->kind != HN_NODE_MAPPING) return NULL;
    for (hn_node *child = mapping->first; child != NULL; child = child->next)
        if (strcmp(child->key, key) == 0) return child;
    return NULL;
}

bool hn_node_is_empty(const hn_node *node) {
    return node->kind == HN_NODE_SCALAR && node->plain && node->text[0] == '\0';
}

bool hn_node_is_null(const hn_node *node) {
    if (node == NULL || hn_node_is_empty(node)) return true;
    return node->kind == HN_NODE_SCALAR && node->plain &&
           (strcmp(node->text, "null") == 0 || strcmp(node->text, "~") == 0);
}

const char *hn_node_kind_text(const hn_node *node) {
    static const char *const texts[] = {"a single value", "a list", "a mapping"};
    return hn_node_is_null(node) ? "nothing" : texts[node->kind];
}

static hn_status fail_at(builder *b, hn_place place, const char *message) {
    char where[400];
    return hn_fail(b->err, HN_BAD_CONFIG, "%s: %s", hn_place_text(where, sizeof where, place),
                   message);
}

static hn_place place_of(const builder *b, struct fy_token *token) {
    const struct fy_mark *mark = token != NULL ? fy_token_start_mark(token) : NULL;
    hn_place place = {.origin = b->origin};
    if (b->positions && mark != NULL) {
        place.line = mark->line + 1;
        place.column = mark->column + 1;
    }
    return place;
}

/* libfyaml's mark of what begins with a sign (a quote, * or &) is behind the sign. */
static hn_place before_sign(hn_place place) {
    if (place.column > 1) place.column--;
    return place;
}

static hn_place scalar_place(const builder *b, struct fy_token *token) {
    const hn_place place = place_of(b, token);
    const enum fy_scalar_style style = token != NULL ? fy_token_scalar_style(token) : FYSS_PLAIN;
    return style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED ? before_sign(place) : place;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* Folds the line's end at `in` and the blanks around it as YAML does: one becomes a blank,
 * n become n - 1. Returns the bytes read. */
static size_t fold_lines(char *out, size_t *n_out, const char *in, size_t n) {
    size_t i = 0, lines = 0;
    while (*n_out > 0 && is_blank(out[*n_out - 1])) (*n_out)--;
    for (; i < n && (is_blank(in[i]) || in[i] == '\n' || in[i] == '\r'); i++)
        lines += in[i] == '\n' || (in[i] == '\r' && !(i + 1 < n && in[i + 1] == '\n'));
    if (lines == 1) out[(*n_out)++] = ' ';
    for (; lines > 1; lines--) out[(*n_out)++] = '\n';
    return i;
}

/* The text of a single-quoted scalar. libfyaml 0.7.12 leaks memory in fy_token_get_text
 * when such a text holds five quotes or more, so its source is read here. */
static const char *unquote_single(builder *b, const char *in, size_t n) {
    char *const out = hn_arena_alloc(b->arena, n + 1, 1);
    size_t n_out = 0;
    for (size_t i = 0; out != NULL && i < n;) {
        if (in[i] == '\n' || in[i] == '\r') {
            i += fold_lines(out, &n_out, in + i, n - i);
            continue;
        }
        out[n_out++] = in[i];
        i += in[i] == '\'' ? 2 : 1;
    }
    if (out != NULL) out[n_out] = '\0'; /* folding may have taken blanks back */
    return out;
}

/* Copies a scalar's text; C strings cannot hold a NUL, so "\0" is refused. */
static hn_status token_text(const char **out, builder *b, struct fy_token *token) {
    size_t n = 0;
    const char *text = "";
    if (token != NULL && fy_token_scalar_style(token) == FYSS_SINGLE_QUOTED) {
        const struct fy_mark *const begin = fy_token_start_mark(token);
        const struct fy_mark *const end = fy_token_end_mark(token);
        *out = unquote_single(b, b->text + begin->input_pos, end->input_pos - begin->input_pos);
        return *out != NULL ? HN_OK : hn_no_memory(b->err, "the config's texts");
    }
    if (token != NULL) text = fy_token_get_text(token, &n);
    if (text == NULL) text = "", n = 0;
    if (memchr(text, '\0', n) != NULL)
        return fail_at(b, scalar_place(b, token), "found a NUL character in a text; expected none");
    *out = hn_arena_strndup(b->arena, text, n);
    return *out != NULL ? HN_OK : hn_no_memory(b->err, "the config's texts");
}

/* A scalar where a key is expected becomes the pending key. */
static hn_status take_key(builder *b, hn_node *mapping, struct fy_token *token) {
    const char *key = NULL;
    HN_TRY(token_text(&key, b, token));
    const hn_place place = scalar_place(b, token);
    const hn_node *before = hn_node_find(mapping, key);
    if (before != NULL) {
        char where[400];
        return hn_fail(b->err, HN_BAD_CONFIG,
                       "%s: found the key \"%.80s\" a second time (the first is in line %d); "
                       "expected each key once: remove one",
                       hn_place_text(where, sizeof where, place), key, before->key_place.line);
    }
    if (mapping->n >= HN_CONFIG_KEYS_MAX)
        return fail_at(b, place, "found more than 8192 keys in one mapping");
    b->key = key;
    b->key_place = place;
    return HN_OK;
}

static bool expects_key(const builder *b) {
    return b->depth > 0 && b->stack[b->depth - 1]->kind == HN_NODE_MAPPING && b->key == NULL;
}

/* Puts a value under the pending key, into the open list, or at the root. */
static hn_status add_node(hn_node **out, builder *b, hn_node_kind kind, struct fy_token *token) {
    hn_place place = kind == HN_NODE_SCALAR ? scalar_place(b, token) : place_of(b, token);
    if (b->key != NULL && (token == NULL || place.line == 0)) place = b->key_place;
    if (expects_key(b))
        return fail_at(b, place, "found a list or a mapping as a key; expected a plain text");
    if (++b->nodes > HN_CONFIG_NODES_MAX)
        return fail_at(b, place, "found more than 65536 values; a config is smaller than that");
    hn_node *node = hn_node_create(b->arena, kind, NULL, place);
    if (node == NULL) return hn_no_memory(b->err, "the config's tree");
    if (b->key != NULL) {
        node->key = b->key;
        node->key_place = b->key_place;
        b->key = NULL;
    }
    if (b->depth > 0)
        hn_node_append(b->stack[b->depth - 1], node);
    else
        b->root = node;
    *out = node;
    return HN_OK;
}

static hn_status open_node(builder *b, hn_node_kind kind, struct fy_token *token) {
    hn_node *node = NULL;
    if (b->depth >= HN_CONFIG_DEPTH_MAX)
        return fail_at(b, place_of(b, token),
                       "found more than 16 levels of nesting; a config needs fewer");
    HN_TRY(add_node(&node, b, kind, token));
    b->stack[b->depth++] = node;
    return HN_OK;
}

static hn_status add_scalar(builder *b, struct fy_token *token) {
    if (expects_key(b)) return take_key(b, b->stack[b->depth - 1], token);
    hn_node *node = NULL;
    HN_TRY(add_node(&node, b, HN_NODE_SCALAR, token));
    node->plain = token == NULL || fy_token_scalar_style(token) == FYSS_PLAIN;
    return token_text(&node->text, b, token);
}

static hn_status refuse_marks(builder *b, struct fy_token *anchor, struct fy_token *tag) {
    if (anchor != NULL)
        return fail_at(b, before_sign(place_of(b, anchor)),
                       "found an anchor (&name); write the value where it is used");
    if (tag != NULL)
        return fail_at(b, place_of(b, tag),
                       "found a tag (!type); the options know their types: remove it");
    return HN_OK;
}

static hn_status take_event(builder *b, const struct fy_event *event) {
    switch (event->type) {
    case FYET_DOCUMENT_START:
        if (++b->documents > 1)
            return fail_at(b, place_of(b, event->document_start.document_start),
                           "found a second YAML document; expected one");
        return HN_OK;
    case FYET_ALIAS:
        return fail_at(b, before_sign(place_of(b, event->alias.anchor)),
                       "found an alias (*name; quote a text that begins with *); write the value "
                       "where it is used");
    case FYET_SCALAR:
        HN_TRY(refuse_marks(b, event->scalar.anchor, event->scalar.tag));
        return add_scalar(b, event->scalar.value);
    case FYET_SEQUENCE_START:
        HN_TRY(refuse_marks(b, event->sequence_start.anchor, event->sequence_start.tag));
        return open_node(b, HN_NODE_LIST, event->sequence_start.sequence_start);
    case FYET_MAPPING_START:
        HN_TRY(refuse_marks(b, event->mapping_start.anchor, event->mapping_start.tag));
        return open_node(b, HN_NODE_MAPPING, event->mapping_start.mapping_start);
    case FYET_SEQUENCE_END:
    case FYET_MAPPING_END: b->depth--; return HN_OK;
    default: return HN_OK;
    }
}

static hn_status syntax_error(const builder *b, struct fy_diag *diag) {
    void *iterator = NULL;
    const struct fy_diag_error *error = fy_diag_errors_iterate(diag, &iterator);
    hn_place place = {.origin = b->origin};
    if (error != NULL && b->positions) {
        place.line = error->line;
        place.column = error->column;
    }
    char where[400];
    return hn_fail(b->err, HN_BAD_CONFIG,
                   "%s: this is not YAML: %.200s (quote texts that hold : # [ ] { } , or begin "
                   "with another sign)",
                   hn_place_text(where, sizeof where, place),
                   error != NULL && error->msg != NULL ? error->msg : "it cannot be parsed");
}

static hn_status take_events(builder *b, struct fy_parser *parser, struct fy_diag *diag) {
    struct fy_event *event;
    hn_status status = HN_OK;
    while (status == HN_OK && (event = fy_parser_parse(parser)) != NULL) {
        status = take_event(b, event);
        fy_parser_event_free(parser, event);
    }
    if (status == HN_OK && fy_parser_get_stream_error(parser)) return syntax_error(b, diag);
    return status;
}

/* The length of the well-formed UTF-8 character at `s` that YAML allows; 0: none. */
static size_t character_bytes(const unsigned char *s, size_t n) {
    if (s[0] < 0x80)
        return s[0] >= 0x20 ? s[0] != 0x7f : s[0] == '\t' || s[0] == '\n' || s[0] == '\r';
    const size_t bytes = s[0] >= 0xc2 && s[0] < 0xe0   ? 2
                         : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
                         : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                                       : 0;
    if (bytes == 0 || bytes > n) return 0;
    for (size_t i = 1; i < bytes; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    const unsigned second = s[1];
    if ((s[0] == 0xe0 && second < 0xa0) || (s[0] == 0xed && second >= 0xa0)) return 0;
    if ((s[0] == 0xf0 && second < 0x90) || (s[0] == 0xf4 && second >= 0x90)) return 0;
    return s[0] == 0xc2 && second < 0xa0 && second != 0x85 ? 0 : bytes;
}

static hn_status check_characters(builder *b, const char *text, size_t n) {
    hn_place place = {b->origin, b->positions ? 1 : 0, 1};
    for (size_t i = 0, bytes; i < n; i += bytes, place.column++) {
        bytes = character_bytes((const unsigned char *)text + i, n - i);
        if (bytes == 0) {
            char where[400];
            return hn_fail(
                b->err, HN_BAD_CONFIG,
                "%s: found the byte 0x%02x; expected YAML in UTF-8 without control characters",
                hn_place_text(where, sizeof where, place), (unsigned char)text[i]);
        }
        if (text[i] == '\n') {
            place.line += b->positions;
            place.column = 0;
        }
    }
    return HN_OK;
}

static hn_status parse_into(builder *b, const char *text, size_t n) {
    const struct fy_diag_cfg diag_options = {.level = FYET_ERROR, .module_mask = ~0u};
    struct fy_diag *diag = fy_diag_create(&diag_options);
    if (diag == NULL) return hn_no_memory(b->err, "the YAML parser");
    fy_diag_set_collect_errors(diag, true);
    const struct fy_parse_cfg options = {
        .search_path = "", .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG, .diag = diag};
    struct fy_parser *parser = fy_parser_create(&options);
    hn_status status = HN_OK;
    if (parser == NULL || fy_parser_set_string(parser, text, n) != 0)
        status = hn_no_memory(b->err, "the YAML parser");
    else
        status = take_events(b, parser, diag);
    fy_parser_destroy(parser);
    fy_diag_destroy(diag);
    return status;
}

hn_status hn_tree_parse(hn_node **out, const char *text, size_t n, const char *origin,
                        bool positions, hn_arena *arena, hn_error *err) {
    *out = NULL;
    builder b = {
        .arena = arena, .err = err, .origin = origin, .text = text, .positions = positions};
    const hn_place start = {origin, positions ? 1 : 0, 1};
    if (n > HN_CONFIG_BYTES_MAX)
        return fail_at(&b, start, "found more than 1 MiB; a config is smaller than that");
    HN_TRY(check_characters(&b, text, n));
    HN_TRY(parse_into(&b, text, n));
    if (b.root == NULL) b.root = hn_node_create(arena, HN_NODE_MAPPING, NULL, start);
    if (b.root == NULL) return hn_no_memory(err, "the config's tree");
    *out = b.root;
    return HN_OK;
}
