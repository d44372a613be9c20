/* Tensors into rows: an input is a column of shape [N] or [N,1], as JSON or as bytes behind it
 * (the protocol's binary tensor data extension). Values become cells by the rules of JSON ones. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "serve/oip.h"

typedef struct input {
    const hn_json_node *node, *name, *data;
    const uint8_t *bytes; /* NULL: data */
    size_t n_bytes;
    int32_t type, field;
} input;

static bool refuse(const hn_inference *f, const input *in, const char *text) {
    const int n = in->name ? (int)(in->name->n < 100 ? in->name->n : 100) : 0;
    return hn_oip_refuse(f->exchange, 400, "inputs \"%.*s\": %s", n, n > 0 ? in->name->text : "",
                         text);
}

/* ---- What an input says of itself ---------------------------------------------------------- */

static int32_t type_of(const hn_json_node *node) {
    static const char *const names[] = {
#define X(name, bytes) #name,
        HN_OIP_TYPE_MAP(X)
#undef X
    };
    int32_t type = 0;
    while (type < HN_OIP_TYPES && !hn_json_text_is(node, names[type])) type++;
    return type;
}

static size_t width_of(int32_t type) {
    static const uint8_t widths[] = {
#define X(name, bytes) bytes,
        HN_OIP_TYPE_MAP(X)
#undef X
    };
    return widths[type];
}

/* N of [N] or [N,1]; -1: another shape. */
static int64_t rows_of(const hn_json_node *shape) {
    int64_t rows = -1, one = 1;
    if (!hn_json_is(shape, HN_JSON_LIST) || shape->n < 1 || shape->n > 2) return -1;
    const hn_json_node *const first = shape + 1;
    if (!hn_json_whole(&rows, first) || rows < 0) return -1;
    if (shape->n == 2 && (!hn_json_whole(&one, first + first->span) || one != 1)) return -1;
    return rows;
}

static bool take_binary(hn_inference *f, input *in, const hn_json_node *size) {
    int64_t n;
    if (!hn_json_whole(&n, size) || n < 0 || (uint64_t)n > f->binary_bytes)
        return refuse(f, in, "binary_data_size is more than what follows the JSON");
    in->bytes = f->binary;
    in->n_bytes = (size_t)n;
    f->binary += n;
    f->binary_bytes -= (size_t)n;
    return true;
}

static bool read_input(hn_inference *f, input *in, const hn_json_node *node) {
    const hn_json_node *const size =
        hn_json_member(hn_json_member(node, "parameters"), "binary_data_size");
    *in = (input){.node = node, .name = hn_json_member(node, "name")};
    if (!hn_json_is(in->name, HN_JSON_STRING)) return refuse(f, in, "expected a name for each");
    in->type = type_of(hn_json_member(node, "datatype"));
    if (in->type == HN_OIP_TYPES)
        return refuse(f, in,
                      "expected the datatype BYTES, BOOL, FP32, FP64, or an INT or UINT of 8, "
                      "16, 32 or 64 bits");
    const int64_t rows = rows_of(hn_json_member(node, "shape"));
    if (rows < 0) return refuse(f, in, "expected the shape [N] or [N,1]");
    if (rows > f->ranker->parts.config->max_candidates)
        return hn_oip_refuse(f->exchange, 413, "inputs: found %lld rows; expected at most %d",
                             (long long)rows, (int)f->ranker->parts.config->max_candidates);
    if (f->rows < 0) f->rows = (int32_t)rows;
    if (rows != f->rows) return refuse(f, in, "expected as many rows in every input");
    in->data = hn_json_member(node, "data");
    if (!size == !in->data) return refuse(f, in, "expected either data or binary_data_size");
    if (size) return take_binary(f, in, size);
    return hn_json_is(in->data, HN_JSON_LIST) || refuse(f, in, "expected data as a list");
}

static bool find_field(const hn_inference *f, input *in) {
    in->field = hn_request_field(f->engine->request, in->name->text, in->name->n);
    if (in->field >= 0) return true;
    char text[300];
    const char *const near = hn_engine_suggest(f->engine, in->name->text, in->name->n);
    if (in->field == HN_FIELD_AMBIGUOUS)
        return refuse(f, in, "found a column of several files; write \"table.column\"");
    snprintf(text, sizeof text, "no such column is read by the model%s%.150s%s",
             near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return refuse(f, in, text);
}

/* ---- Values -------------------------------------------------------------------------------- */

static bool set_text(hn_inference *f, const input *in, int32_t row, const char *text, size_t n) {
    hn_error err; /* not cleared: a kilobyte for each value */
    if (hn_engine_set_text(f->engine, row, in->field, text, n, &err) == HN_OK) return true;
    return refuse(f, in, err.text);
}

static bool take_data(hn_inference *f, const input *in) {
    int32_t row = 0;
    for (HN_JSON_EACH(value, in->data)) {
        const bool wrapped = value->kind == HN_JSON_LIST && value->n == 1;
        hn_error err;
        if (row == f->rows) break;
        if (hn_engine_set(f->engine, row++, in->field, wrapped ? value + 1 : value, &err) != HN_OK)
            return refuse(f, in, err.text);
    }
    return in->data->n == (uint32_t)f->rows ||
           refuse(f, in, "expected as many values as the shape says");
}

static bool take_strings(hn_inference *f, const input *in) {
    size_t at = 0;
    for (int32_t row = 0; row < f->rows; row++) {
        uint32_t n;
        if (in->n_bytes - at < sizeof n) return refuse(f, in, "found too few bytes");
        memcpy(&n, in->bytes + at, sizeof n);
        at += sizeof n;
        if (in->n_bytes - at < n) return refuse(f, in, "found too few bytes");
        if (!set_text(f, in, row, (const char *)in->bytes + at, n)) return false;
        at += n;
    }
    return at == in->n_bytes || refuse(f, in, "found bytes behind the last value");
}

/* The shortest decimal text that reads back to the same number. */
static int show(char *out, size_t n, double x, bool single) {
    const int first = single ? 6 : 15, last = single ? 9 : 17;
    int length = 0;
    for (int digits = first; digits <= last; digits++) {
        length = snprintf(out, n, "%.*g", digits, x);
        double back;
        if (!hn_cell_number(&back, out, (size_t)length)) break;
        if (single ? (float)back == (float)x : back == x) break;
    }
    return length;
}

#define VALUE(type, to)             \
    do {                            \
        type value_;                \
        memcpy(&value_, at, width); \
        (to) = value_;              \
    } while (0)

/* A number's text; NULL: NaN, an absent cell. */
static const char *number_text(int *n, char out[48], int32_t type, const uint8_t *at) {
    const size_t width = width_of(type);
    int64_t whole = 0;
    uint64_t natural = 0;
    double real = 0;
    switch ((hn_oip_type)type) {
    case HN_OIP_BOOL: whole = *at != 0; break;
    case HN_OIP_INT8: VALUE(int8_t, whole); break;
    case HN_OIP_INT16: VALUE(int16_t, whole); break;
    case HN_OIP_INT32: VALUE(int32_t, whole); break;
    case HN_OIP_INT64: VALUE(int64_t, whole); break;
    case HN_OIP_UINT8: VALUE(uint8_t, natural); break;
    case HN_OIP_UINT16: VALUE(uint16_t, natural); break;
    case HN_OIP_UINT32: VALUE(uint32_t, natural); break;
    case HN_OIP_UINT64: VALUE(uint64_t, natural); break;
    case HN_OIP_FP32: VALUE(float, real); break;
    case HN_OIP_FP64: VALUE(double, real); break;
    case HN_OIP_BYTES:
    case HN_OIP_TYPES: break;
    }
    if (isnan(real)) return NULL;
    if (type == HN_OIP_FP32 || type == HN_OIP_FP64)
        *n = show(out, 48, real, type == HN_OIP_FP32);
    else if (type >= HN_OIP_UINT8)
        *n = snprintf(out, 48, "%llu", (unsigned long long)natural);
    else
        *n = snprintf(out, 48, "%lld", (long long)whole);
    return out;
}

static bool take_numbers(hn_inference *f, const input *in) {
    const size_t width = width_of(in->type);
    if (in->n_bytes != width * (size_t)f->rows)
        return refuse(f, in, "expected as many bytes as shape and datatype say");
    for (int32_t row = 0; row < f->rows; row++) {
        char out[48];
        int n = 0;
        const char *text = number_text(&n, out, in->type, in->bytes + (size_t)row * width);
        if (text) text = hn_engine_keep(f->engine, text, (size_t)n);
        if (!set_text(f, in, row, text, (size_t)n)) return false;
    }
    return true;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static bool take_input(hn_inference *f, input *in) {
    if (!find_field(f, in)) return false;
    int32_t *const stamp = &f->memory->stamps[in->field];
    if (*stamp) return refuse(f, in, "found a second time");
    *stamp = 1;
    if (!in->bytes) return in->data && take_data(f, in); /* one of both is there */
    return in->type == HN_OIP_BYTES ? take_strings(f, in) : take_numbers(f, in);
}

static bool read_all(hn_inference *f, input *all, const hn_json_node *inputs) {
    uint32_t k = 0;
    f->rows = -1;
    for (HN_JSON_EACH(node, inputs))
        if (!read_input(f, &all[k++], node)) return false;
    if (f->binary_bytes > 0)
        return hn_oip_refuse(f->exchange, 400, "found %zu bytes behind the last tensor",
                             f->binary_bytes);
    return true;
}

static bool take_all(hn_inference *f, const hn_json_node *inputs, input *all) {
    hn_error err = {0};
    hn_rank_memory *const m = f->memory;
    const size_t fields = (size_t)hn_request_fields(f->engine->request);
    if (!read_all(f, all, inputs)) return false;
    hn_engine_begin(f->engine);
    if (hn_grow(&m->stamps, &m->stamps_capacity, fields + 1, sizeof *m->stamps, &err) != HN_OK ||
        hn_engine_rows(f->engine, f->rows, &err) != HN_OK)
        return hn_oip_refuse(f->exchange, 503, "%s", err.text);
    memset(m->stamps, 0, fields * sizeof *m->stamps);
    for (uint32_t k = 0; k < inputs->n; k++)
        if (!take_input(f, &all[k])) return false;
    if (hn_engine_complete(f->engine, f->exchange->deadline_ns, &err) == HN_OK) return true;
    return hn_oip_refuse(f->exchange, 503, "%s", err.text);
}

bool hn_oip_rows(hn_inference *f) {
    const hn_json_node *const inputs = hn_json_member(f->body, "inputs");
    if (!hn_json_is(inputs, HN_JSON_LIST) || inputs->n == 0)
        return hn_oip_refuse(f->exchange, 400, "inputs: expected a list of at least one");
    input *const all = hn_alloc_zero(inputs->n, sizeof *all);
    const bool fine =
        all ? take_all(f, inputs, all) : hn_oip_refuse(f->exchange, 503, "out of memory");
    hn_free(all);
    return fine;
}
