/* Engines (engine.h): JSON values to cells, rows to probabilities. */
#include "serve/engine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "serve/http.h"

enum { CELL_BYTES_MAX = 1 << 20 };

void hn_engine_free(hn_engine *engine) {
    if (!engine) return;
    hn_request_free(engine->request);
    hn_encoded_free(&engine->encoded);
    hn_scratch_free(engine->scratch);
    hn_drift_free(engine->drift);
    hn_free(engine->logits);
    hn_free(engine->p);
    hn_free(engine);
}

hn_status hn_engine_create(hn_engine **out, const hn_bundle *bundle, hn_error *err) {
    *out = NULL;
    hn_engine *const engine = hn_alloc_zero(1, sizeof *engine);
    if (!engine) return hn_no_memory(err, "an engine");
    engine->bundle = bundle;
    engine->tasks = bundle->config->n_tasks;
    hn_status status = hn_request_create(&engine->request, bundle->config, bundle->schema, bundle->tables, err);
    if (status == HN_OK) status = hn_scratch_create(&engine->scratch, bundle->scorer, err);
    if (status == HN_OK) status = hn_drift_create(&engine->drift, bundle, err);
    if (status != HN_OK)
        hn_engine_free(engine);
    else
        *out = engine;
    return status;
}

double hn_served_probability(const hn_bundle *bundle, uint16_t scenario, int32_t task, hn_real logit) {
    return hn_bundle_probability(bundle, scenario, task, (double)logit, false);
}

hn_status hn_engine_score(hn_engine *engine, hn_error *err) {
    bool uniform;
    HN_TRY(hn_request_encode(&engine->encoded, &uniform, engine->request, err));
    const hn_rows *const rows = &engine->encoded.rows;
    const size_t tasks = (size_t)engine->tasks, n = (size_t)rows->rows * tasks;
    HN_TRY(hn_grow(&engine->logits, &engine->logits_capacity, n, sizeof *engine->logits, err));
    HN_TRY(hn_grow(&engine->p, &engine->p_capacity, n, sizeof *engine->p, err));
    HN_TRY(uniform ? hn_score_request(engine->logits, engine->bundle->scorer, engine->scratch, rows, err)
                   : hn_score(engine->logits, engine->bundle->scorer, engine->scratch, rows, err));
    for (size_t i = 0; i < n; i++)
        engine->p[i] = hn_served_probability(engine->bundle, rows->scenario[i / tasks], (int32_t)(i % tasks),
                                             engine->logits[i]);
    hn_drift_add(engine->drift, rows, engine->logits, hn_now_ns());
    return HN_OK;
}

/* ---- JSON values ---------------------------------------------------------------------- */

/* The shortest decimal text that reads back to the same number. */
static int show_real(char *out, size_t n, double x) {
    int length = 0;
    for (int digits = 15; digits <= 17; digits++) {
        length = snprintf(out, n, "%.*g", digits, x);
        double back;
        if (hn_cell_number(&back, out, (size_t)length) && back == x) break;
    }
    return length;
}

/* A scalar's text; a string's own bytes. NULL: absent, or no scalar. */
static const char *scalar_text(size_t *n, char number[40], const json_t *value) {
    if (json_is_string(value)) {
        *n = json_string_length(value);
        return json_string_value(value);
    }
    if (json_is_boolean(value)) {
        *n = 1;
        return json_is_true(value) ? "1" : "0";
    }
    if (json_is_integer(value))
        *n = (size_t)snprintf(number, 40, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        *n = (size_t)show_real(number, 40, json_real_value(value));
    else
        return NULL;
    return number;
}

static hn_status join_list(hn_text *out, const json_t *list, const char *delimiter, hn_error *err) {
    size_t index;
    const json_t *item;
    json_array_foreach(list, index, item) {
        char number[40];
        size_t n = 0;
        if (json_is_null(item)) continue;
        const char *const text = scalar_text(&n, number, item);
        if (!text) return hn_fail(err, HN_BAD_DATA, "found a list within a list; expected strings or numbers");
        if (memmem(text, n, delimiter, strlen(delimiter)))
            return hn_fail(err, HN_BAD_DATA, "found a value with \"%s\" in it, which stands between the values of this column", delimiter);
        if (out->length > 0) hn_text_bytes(out, delimiter, strlen(delimiter));
        hn_text_bytes(out, text, n);
    }
    return out->failed ? hn_no_memory(err, "a list") : HN_OK;
}

hn_status hn_engine_set(hn_engine *engine, int32_t row, int32_t field, const json_t *value, hn_error *err) {
    char number[40];
    size_t n = 0;
    if (json_is_null(value)) return hn_request_set(engine->request, row, field, NULL, 0, err);
    const char *const text = scalar_text(&n, number, value);
    if (text && n <= CELL_BYTES_MAX) return hn_request_set(engine->request, row, field, text, n, err);
    if (text) return hn_fail(err, HN_BAD_DATA, "found %zu bytes; expected at most %d", n, CELL_BYTES_MAX);
    const char *const delimiter = hn_request_delimiter(engine->request, field);
    if (!json_is_array(value) || !delimiter)
        return hn_fail(err, HN_BAD_DATA, "found %s; expected a string, a number, true, false or null%s",
                       json_is_array(value) ? "a list" : "an object", delimiter ? ", or a list" : "");
    hn_text joined = {0};
    hn_status status = join_list(&joined, value, delimiter, err);
    if (status == HN_OK) status = hn_request_set(engine->request, row, field, joined.text, joined.length, err);
    hn_text_free(&joined);
    return status;
}
