/* Cells of a joined log (join.h): texts of JSON values, numbers and times, by the rules by which
 * a server reads a request's values (docs/serving.md), so that what is trained on is what was
 * served. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "base/json.h"
#include "data/digest.h"
#include "online/join.h"

void hn_join_request_hash(uint64_t out[2], const char *id, size_t n) {
    const XXH128_hash_t hash = XXH3_128bits(id, n);
    out[0] = hash.high64;
    out[1] = hash.low64;
}

uint64_t hn_join_item_hash(const char *id, size_t n) { return XXH3_64bits(id, n); }

int hn_number_show(char *out, size_t n, double x) {
    int length = 0;
    for (int digits = 15; digits <= 17; digits++) {
        length = snprintf(out, n, "%.*g", digits, x);
        double back;
        if (hn_cell_number(&back, out, (size_t)length) && back == x) break;
    }
    return length;
}

bool hn_join_time(int64_t *out, const char *text, size_t n) {
    double time;
    *out = 0;
    if (!hn_cell_number(&time, text, n) || time != floor(time) || time < 0 ||
        time >= (double)HN_JOIN_TIME_MAX)
        return false;
    *out = (int64_t)time;
    return true;
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

const char *hn_join_kind_name(const hn_json_node *node) {
    static const char *const names[] = {
        [HN_JSON_NULL] = "null",       [HN_JSON_FALSE] = "false",     [HN_JSON_TRUE] = "true",
        [HN_JSON_NUMBER] = "a number", [HN_JSON_STRING] = "a string", [HN_JSON_LIST] = "a list",
        [HN_JSON_OBJECT] = "an object"};
    return node ? names[node->kind] : "nothing";
}

hn_status hn_join_json_read(hn_json *json, const char *file, uint64_t number, const char *line,
                            size_t n, hn_error *err) {
    enum { DEPTH = 100 };
    hn_error why = {0};
    const hn_status status = hn_json_read(json, line, n, DEPTH, &why);
    if (status == HN_OK) return HN_OK;
    if (status != HN_BAD_DATA) return hn_fail(err, status, "%s", why.text);
    const bool placed = strncmp(why.text, "1:", 2) == 0; /* its own line is always the first */
    return hn_fail(err, HN_BAD_DATA, "%s:%llu:%s%.300s; expected one JSON object a line", file,
                   (unsigned long long)number, placed ? "" : " ", why.text + (placed ? 2 : 0));
}

static size_t count_digits(const char *text, size_t n) {
    size_t i = 0;
    while (i < n && text[i] >= '0' && text[i] <= '9') i++;
    return i;
}

/* A number that is surely its own shortest decimal text: as "-12.5" or "0.00025", of at most 15
 * digits. Most are, and formatting one costs more than reading its line. */
static bool is_shortest(const char *text, size_t n) {
    enum { DIGITS = 15, ZEROS_MOST = 3 };
    if (n > 0 && text[0] == '-') text++, n--;
    const size_t whole = count_digits(text, n);
    if (whole == 0 || whole + 1 >= n || text[whole] != '.') return false;
    const size_t fraction = count_digits(text + whole + 1, n - whole - 1);
    if (whole + 1 + fraction != n || text[n - 1] == '0' || whole + fraction > DIGITS) return false;
    size_t zeros = 0;
    while (text[0] == '0' && text[whole + 1 + zeros] == '0') zeros++;
    return zeros <= ZEROS_MOST;
}

static bool is_whole(const char *text, size_t n) {
    const size_t sign = n > 0 && text[0] == '-';
    return count_digits(text + sign, n - sign) == n - sign;
}

/* The text is the node's own or in `number`. */
static bool scalar_node(hn_join_cell *out, char number[40], const hn_json_node *node) {
    double x;
    *out = (hn_join_cell){node->text, node->n};
    switch ((hn_json_kind)node->kind) {
    case HN_JSON_STRING: return true;
    case HN_JSON_FALSE: *out = (hn_join_cell){"0", 1}; return true;
    case HN_JSON_TRUE: *out = (hn_join_cell){"1", 1}; return true;
    case HN_JSON_NUMBER: break;
    case HN_JSON_NULL:
    case HN_JSON_LIST:
    case HN_JSON_OBJECT: return false;
    }
    if (node->n == 2 && memcmp(node->text, "-0", 2) == 0) *out = (hn_join_cell){"0", 1};
    if (is_whole(node->text, node->n) || is_shortest(node->text, node->n)) return true;
    if (!hn_cell_number(&x, node->text, node->n)) return false;
    *out = (hn_join_cell){number, (size_t)hn_number_show(number, 40, x)};
    return true;
}

static bool list_node(hn_text *room, const hn_json_node *values) {
    bool first = true;
    for (HN_JSON_EACH(value, values)) {
        char number[40];
        hn_join_cell cell;
        if (value->kind == HN_JSON_NULL) continue;
        if (!scalar_node(&cell, number, value) || memchr(cell.text, '|', cell.n)) return false;
        if (!first) hn_text_bytes(room, "|", 1);
        hn_text_bytes(room, cell.text, cell.n);
        first = false;
    }
    return true;
}

bool hn_join_node_cell(hn_join_cell *out, hn_text *room, const hn_json_node *node) {
    char number[40];
    *out = (hn_join_cell){0};
    if (!node || node->kind == HN_JSON_NULL) return true;
    room->length = 0;
    if (scalar_node(out, number, node)) {
        if (out->text != number) return true;
        hn_text_bytes(room, number, out->n);
    } else {
        if (node->kind != HN_JSON_LIST || !list_node(room, node)) return false;
        hn_text_bytes(room, "", 0);
    }
    *out = (hn_join_cell){room->text, room->length};
    return true;
}
