/* JSON as requests bring it: read once into a flat array of nodes that point into the text,
 * without an allocation for each member. (A request of 200 candidates has 5,000 members; as a
 * tree they cost as much as half of its forward pass, docs/performance.md.) yajl takes the text
 * apart; reports and all small documents are jansson's. */
#ifndef HN_BASE_JSON_H
#define HN_BASE_JSON_H

#include "base/report.h"

typedef enum hn_json_kind {
    HN_JSON_NULL,
    HN_JSON_FALSE,
    HN_JSON_TRUE,
    HN_JSON_NUMBER,
    HN_JSON_STRING,
    HN_JSON_LIST,
    HN_JSON_OBJECT
} hn_json_kind;

typedef struct hn_json_node {
    const char *key;  /* of an object's member, decoded, without a 0 at its end; else NULL */
    const char *text; /* a string decoded, a number as it is written; likewise */
    uint32_t key_bytes;
    uint32_t n;    /* bytes of `text`; children of a list or object */
    uint32_t span; /* nodes: itself and all below it; node + span is what follows */
    uint8_t kind;  /* hn_json_kind */
} hn_json_node;

/* Its memory is kept from use to use. Zero-initialise. */
typedef struct hn_json {
    hn_json_node *nodes; /* [0] is the document */
    size_t n, capacity;
    char *text; /* of strings that had to be decoded */
    size_t text_bytes, text_capacity;
    uint32_t *open; /* the lists and objects around the value at hand */
    size_t depth, open_capacity, depth_most;
    const char *source, *key;
    size_t source_bytes, end; /* where the document ends in the source */
    void *parser;
    uint32_t key_bytes;
    enum {
        HN_JSON_FINE,
        HN_JSON_MALFORMED,
        HN_JSON_NOT_UTF8,
        HN_JSON_TOO_DEEP,
        HN_JSON_NO_MEMORY
    } fault;
} hn_json;

/* Reads a list or an object. The nodes are valid until the next reading, as long as `text` is.
 * HN_BAD_DATA: "LINE:COLUMN: …" (a fault of the first two) or nested over `depth`
 * (HN_JSON_TOO_DEEP). The same key twice is no error here; half a surrogate pair is "?". */
hn_status hn_json_read(hn_json *json, const char *text, size_t n, int32_t depth, hn_error *err);
/* Gives memory back where an unusual document took more than `bytes` of it. */
void hn_json_trim(hn_json *json, size_t bytes);
void hn_json_free(hn_json *json);

/* for (HN_JSON_EACH(child, parent)) */
#define HN_JSON_EACH(child, parent)           \
    const hn_json_node *child = (parent) + 1; \
    child < (parent) + (parent)->span;        \
    child += child->span

/* The first member of that key; NULL where there is none or the node (which may be NULL) is no
 * object. */
const hn_json_node *hn_json_member(const hn_json_node *object, const char *key);
bool hn_json_is(const hn_json_node *node, hn_json_kind kind); /* false for NULL */
bool hn_json_is_scalar(const hn_json_node *node);             /* string, number, true or false */
/* Whether a key, or a string, is these words. */
bool hn_json_key_is(const hn_json_node *node, const char *text);
bool hn_json_text_is(const hn_json_node *node, const char *text);
/* A whole number of at most 18 digits; false: anything else. */
bool hn_json_whole(int64_t *out, const hn_json_node *node);

bool hn_utf8_is(const char *text, size_t n);
/* Makes UTF-8 of a text in place: a character that was cut at the end goes, any other byte that
 * belongs to none becomes "?". */
void hn_utf8_mend(char *text);
/* Writing. Bytes that are not UTF-8 become U+FFFD. */
void hn_json_add_string(hn_text *out, const char *text, size_t n);
void hn_json_add_text(hn_text *out, const char *text);         /* NULL: null */
void hn_json_add_node(hn_text *out, const hn_json_node *node); /* NULL: null */

#endif
