/* Cells of a joined log (join.h): texts of JSON values, numbers and times, by the rules by which
 * a server reads a request's values (docs/serving.md), so that what is trained on is what was
 * served. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

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

/* A scalar's text, a string's own or put into `number`; NULL where it is none. */
static const char *scalar(size_t *n, char number[40], const json_t *value) {
    if (json_is_string(value)) {
        *n = json_string_length(value);
        return json_string_value(value);
    }
    *n = 1;
    if (json_is_boolean(value)) return json_is_true(value) ? "1" : "0";
    if (json_is_integer(value))
        *n = (size_t)snprintf(number, 40, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        *n = (size_t)hn_number_show(number, 40, json_real_value(value));
    else
        return NULL;
    return number;
}

static bool list(hn_text *room, const json_t *values) {
    size_t index;
    const json_t *value;
    bool first = true;
    json_array_foreach(values, index, value) {
        char number[40];
        size_t n;
        if (json_is_null(value)) continue;
        const char *const text = scalar(&n, number, value);
        if (!text || memchr(text, '|', n)) return false;
        if (!first) hn_text_bytes(room, "|", 1);
        hn_text_bytes(room, text, n);
        first = false;
    }
    return true;
}

bool hn_json_cell(const char **text, size_t *n, hn_text *room, const json_t *value) {
    char number[40];
    *text = NULL;
    *n = 0;
    room->length = 0;
    if (!value || json_is_null(value)) return true;
    const char *const own = scalar(n, number, value);
    if (own && own != number) {
        *text = own;
        return true;
    }
    if (own)
        hn_text_bytes(room, number, *n);
    else if (!json_is_array(value) || !list(room, value))
        return false;
    hn_text_bytes(room, "", 0);
    *text = room->text;
    *n = room->length;
    return true;
}
