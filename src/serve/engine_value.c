/* What a JSON value is as a cell (docs/serving.md): strings are their bytes, true and false 1 and
 * 0, whole numbers their digits, other numbers their shortest decimal text, lists their values
 * with the column's delimiter between them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "serve/engine.h"

enum { CELL_BYTES_MAX = 1 << 20, NUMBER_BYTES = 40 };

/* The shortest decimal text that reads back to the same number. */
static size_t show_real(char out[NUMBER_BYTES], double x) {
    int n = 0;
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(out, NUMBER_BYTES, "%.*g", digits, x);
        double back;
        if (hn_cell_number(&back, out, (size_t)n) && back == x) break;
    }
    return (size_t)n;
}

typedef struct cell {
    const char *text;
    size_t n;
    char number[NUMBER_BYTES];
} cell;

/* Where only the number counts it is read as it is written: the same double. */
static bool number_text(cell *out, const hn_json_node *value, bool canonical) {
    static const char zero[] = "0";
    double x;
    out->text = value->text;
    out->n = value->n;
    bool real = false;
    for (uint32_t i = 0; i < value->n && !real; i++)
        real = value->text[i] == '.' || value->text[i] == 'e' || value->text[i] == 'E';
    if (value->n == 2 && memcmp(value->text, "-0", 2) == 0) out->text = zero, out->n = 1;
    if (!real || !canonical) return true;
    if (!hn_cell_number(&x, value->text, value->n)) return false;
    out->n = show_real(out->number, x);
    out->text = out->number;
    return true;
}

/* False: no scalar, or a number that no double is near to. */
static bool scalar(cell *out, const hn_json_node *value, bool canonical) {
    static const char *const truth[] = {"0", "1"};
    switch ((hn_json_kind)value->kind) {
    case HN_JSON_STRING:
        out->text = value->text;
        out->n = value->n;
        return true;
    case HN_JSON_NUMBER: return number_text(out, value, canonical);
    case HN_JSON_FALSE:
    case HN_JSON_TRUE:
        out->text = truth[value->kind == HN_JSON_TRUE];
        out->n = 1;
        return true;
    case HN_JSON_NULL:
    case HN_JSON_LIST:
    case HN_JSON_OBJECT: break;
    }
    return false;
}

static hn_status join(hn_text *out, const hn_json_node *list, const char *delimiter,
                      hn_error *err) {
    out->length = 0;
    for (HN_JSON_EACH(item, list)) {
        cell c;
        if (item->kind == HN_JSON_NULL) continue;
        if (!scalar(&c, item, true))
            return hn_fail(err, HN_BAD_DATA,
                           "found a list or an object within a list; expected strings or numbers");
        if (memmem(c.text, c.n, delimiter, strlen(delimiter)))
            return hn_fail(err, HN_BAD_DATA,
                           "found a value with \"%s\" in it, which stands between the values of "
                           "this column",
                           delimiter);
        if (out->length > 0) hn_text_bytes(out, delimiter, strlen(delimiter));
        hn_text_bytes(out, c.text, c.n);
    }
    if (!out->failed) return HN_OK;
    hn_text_free(out);
    return hn_no_memory(err, "a list");
}

static hn_status set_list(hn_engine *engine, int32_t row, int32_t field, const hn_json_node *value,
                          hn_error *err) {
    const char *const delimiter = hn_request_delimiter(engine->request, field);
    if (value->kind == HN_JSON_NUMBER)
        return hn_fail(err, HN_BAD_DATA, "found the number %.*s, which is too large",
                       (int)(value->n < 40 ? value->n : 40), value->text);
    if (value->kind == HN_JSON_OBJECT || !delimiter)
        return hn_fail(
            err, HN_BAD_DATA, "found %s; expected a string, a number, true, false or null%s",
            value->kind == HN_JSON_LIST ? "a list" : "an object", delimiter ? ", or a list" : "");
    HN_TRY(join(&engine->joined, value, delimiter, err));
    const char *const text = engine->joined.length > 0 ? engine->joined.text : NULL;
    return hn_request_set(engine->request, row, field, text, engine->joined.length, err);
}

hn_status hn_engine_set(hn_engine *engine, int32_t row, int32_t field, const hn_json_node *value,
                        hn_error *err) {
    cell c;
    if (value->kind == HN_JSON_NULL) return hn_engine_set_text(engine, row, field, NULL, 0, err);
    if (!scalar(&c, value, hn_request_takes_text(engine->request, field)))
        return set_list(engine, row, field, value, err);
    if (c.n > CELL_BYTES_MAX)
        return hn_fail(err, HN_BAD_DATA, "found %zu bytes; expected at most %d", c.n,
                       CELL_BYTES_MAX);
    if (c.text != c.number) return hn_engine_set_text(engine, row, field, c.text, c.n, err);
    const char *const kept = hn_engine_keep(engine, c.text, c.n);
    if (!kept) return hn_no_memory(err, "a cell");
    return hn_engine_set_text(engine, row, field, kept, c.n, err);
}
