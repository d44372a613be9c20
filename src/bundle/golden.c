/* Golden rows (golden.h), and hn_bundle_verify, which a server asks before it serves. */
#include "bundle/golden.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "bundle/bundle.h"
#include "data/samples.h"

#define TOLERANCE 1e-4 /* another machine's products differ by 1e-6 or so */

static const json_t *rows_of(const json_t *golden) { return json_object_get(golden, "rows"); }
static const json_t *row_at(const json_t *golden, size_t row) {
    return json_array_get(rows_of(golden), row);
}

double hn_golden_logit(const json_t *golden, size_t row, int32_t task) {
    return json_number_value(
        json_array_get(json_object_get(row_at(golden, row), "logits"), (size_t)task));
}

hn_status hn_golden_check(const json_t *golden, int32_t scenarios, int32_t tasks, hn_error *err) {
    bool fits = hn_samples_fit(golden, scenarios);
    for (size_t r = 0; fits && r < json_array_size(rows_of(golden)); r++) {
        const json_t *const logits = json_object_get(row_at(golden, r), "logits");
        fits = json_array_size(logits) == (size_t)tasks;
        for (size_t t = 0; fits && t < (size_t)tasks; t++)
            fits = json_is_number(json_array_get(logits, t)) &&
                   isfinite(json_number_value(json_array_get(logits, t)));
    }
    return fits ? HN_OK
                : hn_fail(err, HN_BAD_DATA,
                          "section \"golden\" has not the form of golden rows; make the bundle "
                          "again");
}

/* ---- Rows of a request -------------------------------------------------------------------- */

static hn_status fill_row(hn_request *request, const json_t *columns, const json_t *row,
                          int32_t number, hn_error *err) {
    const json_t *const cells = json_object_get(row, "cells");
    for (size_t c = 0; c < json_array_size(columns); c++) {
        const json_t *const name = json_array_get(columns, c), *const cell =
                                                                   json_array_get(cells, c);
        if (!json_is_string(cell)) continue;
        const int32_t field =
            hn_request_field(request, json_string_value(name), json_string_length(name));
        if (field < 0)
            return hn_fail(err, HN_BAD_DATA,
                           "the golden rows have a column \"%.100s\" that the model does not read",
                           json_string_value(name));
        hn_error found = {0};
        const hn_status status = hn_request_set(request, number, field, json_string_value(cell),
                                                json_string_length(cell), &found);
        if (status != HN_OK)
            return hn_fail(err, status, "golden row %d, column \"%.100s\": %s", number + 1,
                           json_string_value(name), found.text);
    }
    hn_request_set_scenario(request, number,
                            (uint16_t)json_integer_value(json_object_get(row, "scenario")));
    return HN_OK;
}

hn_status hn_golden_fill(hn_request *request, const json_t *golden, hn_error *err) {
    const json_t *const columns = json_object_get(golden, "columns");
    const size_t rows = json_array_size(rows_of(golden));
    hn_request_begin(request);
    HN_TRY(hn_request_rows(request, (int32_t)rows, 0, err));
    for (size_t r = 0; r < rows; r++)
        HN_TRY(fill_row(request, columns, row_at(golden, r), (int32_t)r, err));
    return HN_OK;
}

hn_status hn_golden_score(hn_real *logits, const hn_golden_scorer *with, const json_t *golden,
                          hn_error *err) {
    hn_request *request = NULL;
    hn_scratch *scratch = NULL;
    hn_encoded encoded = {0};
    bool uniform;
    hn_status status;
    HN_TRY_GOTO(status, end,
                hn_request_create(&request, with->config, with->schema, with->tables, err));
    HN_TRY_GOTO(status, end, hn_scratch_create(&scratch, with->scorer, err));
    HN_TRY_GOTO(status, end, hn_golden_fill(request, golden, err));
    HN_TRY_GOTO(status, end, hn_request_encode(&encoded, &uniform, request, err));
    HN_TRY_GOTO(status, end, hn_score(logits, with->scorer, scratch, &encoded.rows, err));
end:
    hn_encoded_free(&encoded);
    hn_scratch_free(scratch);
    hn_request_free(request);
    return status;
}

bool hn_golden_same(double logit, double stored) {
    return fabs(logit - stored) <= TOLERANCE * fmax(1, fabs(stored));
}

/* ---- A bundle's check ----------------------------------------------------------------------- */

static hn_status compare(const hn_bundle *bundle, const hn_real *logits, hn_error *err) {
    const hn_config *const config = bundle->config;
    for (size_t r = 0; r < json_array_size(rows_of(bundle->golden)); r++)
        for (int32_t t = 0; t < config->n_tasks; t++) {
            const double found = (double)logits[r * (size_t)config->n_tasks + (size_t)t],
                         stored = hn_golden_logit(bundle->golden, r, t);
            if (hn_golden_same(found, stored)) continue;
            const json_t *const scenario = json_object_get(row_at(bundle->golden, r), "scenario");
            return hn_fail(err, HN_BAD_DATA,
                           "%s: golden row %zu (scenario %s) is scored otherwise than when it was "
                           "trained: the logit of %s is %.7g; expected %.7g. The bundle is of "
                           "another version of hinet, or damaged: train it again",
                           hn_pack_path(bundle->pack), r + 1,
                           config->scenario.names.items[json_integer_value(scenario)],
                           config->tasks[t].name, found, stored);
        }
    return HN_OK;
}

hn_status hn_bundle_verify(const hn_bundle *bundle, hn_error *err) {
    const size_t rows = json_array_size(rows_of(bundle->golden));
    hn_error found = {0};
    if (rows == 0) return HN_OK;
    hn_real *const logits = hn_alloc(rows * (size_t)bundle->config->n_tasks, sizeof *logits);
    if (!logits) return hn_no_memory(err, "golden rows");
    const hn_golden_scorer with = {bundle->config, bundle->schema, bundle->tables, bundle->scorer};
    hn_status status = hn_golden_score(logits, &with, bundle->golden, &found);
    if (status != HN_OK)
        hn_fail(err, status, "%s: %s", hn_pack_path(bundle->pack), found.text);
    else
        status = compare(bundle, logits, err);
    hn_free(logits);
    return status;
}
