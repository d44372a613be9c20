/* Calibration (calibration.h): what a cell's fit is, its use and its JSON. The fits
 * themselves are in calibration_fit.c. */
#include "bundle/calibration.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "bundle/calibration_cell.h"
#include "kernel/kernel.h"

static const char *const kind_names[] = {"none", "platt", "isotonic"};

/* ---- Life -------------------------------------------------------------------------------- */

void hn_calibration_free(hn_calibration *calibration) {
    if (!calibration) return;
    const size_t n = (size_t)calibration->scenarios * (size_t)calibration->tasks;
    for (size_t c = 0; calibration->cells && c < n; c++) {
        hn_free(calibration->cells[c].x);
        hn_free(calibration->cells[c].p);
    }
    hn_free(calibration->cells);
    hn_free(calibration);
}

hn_status hn_calibration_create(hn_calibration **out, hn_calibrate_kind kind, int32_t scenarios,
                                int32_t tasks, hn_error *err) {
    *out = NULL;
    hn_calibration *const made = hn_alloc_zero(1, sizeof *made);
    if (!made) return hn_no_memory(err, "a calibration");
    *made = (hn_calibration){.kind = kind, .scenarios = scenarios, .tasks = tasks};
    made->cells = hn_alloc_zero((size_t)scenarios * (size_t)tasks, sizeof *made->cells);
    if (!made->cells) {
        hn_calibration_free(made);
        return hn_no_memory(err, "a calibration");
    }
    *out = made;
    return HN_OK;
}

/* ---- Use ---------------------------------------------------------------------------------- */

static const hn_calibration_cell *cell_of(const hn_calibration *calibration, int32_t scenario,
                                          int32_t task) {
    return &calibration->cells[(size_t)scenario * (size_t)calibration->tasks + (size_t)task];
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* Linear between knots. A NaN goes to the last one's comparison and stays NaN by the sum. */
static double curve(const hn_calibration_cell *cell, double x) {
    if (isnan(x)) return x;
    if (x <= cell->x[0]) return cell->p[0];
    if (x >= cell->x[cell->n - 1]) return cell->p[cell->n - 1];
    int32_t low = 0, high = cell->n - 1; /* x[low] < x < x[high] */
    while (high - low > 1) {
        const int32_t middle = low + (high - low) / 2;
        if (cell->x[middle] <= x)
            low = middle;
        else
            high = middle;
    }
    const double share = (x - cell->x[low]) / (cell->x[high] - cell->x[low]);
    return cell->p[low] + share * (cell->p[high] - cell->p[low]);
}

double hn_calibrate(const hn_calibration *calibration, int32_t scenario, int32_t task,
                    double logit) {
    const hn_calibration_cell *const cell = cell_of(calibration, scenario, task);
    if (!cell->fitted) return (double)hn_sigmoid((hn_real)logit);
    return calibration->kind == HN_CALIBRATE_PLATT ? sigmoid(cell->a * logit + cell->b)
                                                   : curve(cell, logit);
}

bool hn_calibration_has(const hn_calibration *calibration, int32_t scenario, int32_t task) {
    return cell_of(calibration, scenario, task)->fitted;
}

hn_calibrate_kind hn_calibration_kind(const hn_calibration *calibration) {
    return calibration->kind;
}

/* The odds of a positive are r times what the sampled log says. (1 - p first: a rate below the
 * last digit of 1 would vanish beside it.) */
double hn_unsample(double p, double rate) { return rate < 1 ? p * rate / (p * rate + (1 - p)) : p; }

/* ---- JSON ---------------------------------------------------------------------------------- */

static json_t *numbers_json(const double *numbers, int32_t n) {
    json_t *const list = json_array();
    for (int32_t i = 0; i < n; i++)
        if (json_array_append_new(list, json_real(numbers[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *cell_json(const hn_calibration_cell *cell, hn_calibrate_kind kind) {
    if (!cell->fitted) return json_null();
    if (kind == HN_CALIBRATE_PLATT) return json_pack("{s:f, s:f}", "a", cell->a, "b", cell->b);
    return json_pack("{s:o, s:o}", "x", numbers_json(cell->x, cell->n), "p",
                     numbers_json(cell->p, cell->n));
}

json_t *hn_calibration_json(const hn_calibration *calibration) {
    json_t *const list = json_array();
    const int32_t n = calibration->scenarios * calibration->tasks;
    for (int32_t c = 0; c < n; c++)
        if (json_array_append_new(list, cell_json(&calibration->cells[c], calibration->kind)) !=
            0) {
            json_decref(list);
            return NULL;
        }
    return json_pack("{s:s, s:o}", "kind", kind_names[calibration->kind], "cells", list);
}

static hn_status wrong(hn_error *err, size_t cell) {
    return hn_fail(err, HN_BAD_DATA,
                   "calibration: cell %zu does not fit its kind; train again, or make the bundle "
                   "again",
                   cell);
}

/* A list of finite numbers that never fall. */
static hn_status read_numbers(double **out, int32_t *n, const json_t *list, size_t cell,
                              hn_error *err) {
    const size_t count = json_array_size(list);
    if (count < 1 || count > HN_CALIBRATION_KNOTS_MAX) return wrong(err, cell);
    if (!(*out = hn_alloc(count, sizeof **out))) return hn_no_memory(err, "a calibration");
    *n = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        const json_t *const item = json_array_get(list, i);
        (*out)[i] = json_number_value(item);
        if (!json_is_number(item) || !isfinite((*out)[i]) || (i > 0 && (*out)[i] < (*out)[i - 1]))
            return wrong(err, cell);
    }
    return HN_OK;
}

static hn_status read_curve(hn_calibration_cell *cell, const json_t *json, size_t number,
                            hn_error *err) {
    int32_t points = 0;
    HN_TRY(read_numbers(&cell->x, &cell->n, json_object_get(json, "x"), number, err));
    HN_TRY(read_numbers(&cell->p, &points, json_object_get(json, "p"), number, err));
    bool fits = points == cell->n && cell->p[0] >= 0 && cell->p[points - 1] <= 1;
    for (int32_t i = 1; fits && i < cell->n; i++) fits = cell->x[i] > cell->x[i - 1];
    return fits ? HN_OK : wrong(err, number);
}

static hn_status read_platt(hn_calibration_cell *cell, const json_t *json, size_t number,
                            hn_error *err) {
    const json_t *const a = json_object_get(json, "a"), *const b = json_object_get(json, "b");
    cell->a = json_number_value(a);
    cell->b = json_number_value(b);
    const bool fits = json_is_number(a) && json_is_number(b) && isfinite(cell->a) && cell->a > 0 &&
                      isfinite(cell->b);
    return fits ? HN_OK : wrong(err, number);
}

static hn_status read_cells(hn_calibration *made, const json_t *cells, hn_error *err) {
    for (size_t c = 0; c < json_array_size(cells); c++) {
        const json_t *const json = json_array_get(cells, c);
        hn_calibration_cell *const cell = &made->cells[c];
        if (json_is_null(json)) continue;
        HN_TRY(made->kind == HN_CALIBRATE_PLATT ? read_platt(cell, json, c, err)
                                                : read_curve(cell, json, c, err));
        cell->fitted = true;
    }
    return HN_OK;
}

hn_status hn_calibration_parse(hn_calibration **out, const json_t *json, int32_t scenarios,
                               int32_t tasks, hn_error *err) {
    *out = NULL;
    const char *const name = json_string_value(json_object_get(json, "kind"));
    const json_t *const cells = json_object_get(json, "cells");
    const bool platt = name && strcmp(name, "platt") == 0,
               isotonic = name && strcmp(name, "isotonic") == 0;
    if ((!platt && !isotonic) || json_array_size(cells) != (size_t)scenarios * (size_t)tasks)
        return hn_fail(err, HN_BAD_DATA,
                       "calibration: found kind \"%.40s\" and %zu cells; expected platt or "
                       "isotonic, and %d scenarios × %d tasks",
                       name ? name : "?", json_array_size(cells), scenarios, tasks);
    hn_calibration *made = NULL;
    HN_TRY(hn_calibration_create(&made, platt ? HN_CALIBRATE_PLATT : HN_CALIBRATE_ISOTONIC,
                                 scenarios, tasks, err));
    const hn_status status = read_cells(made, cells, err);
    if (status != HN_OK)
        hn_calibration_free(made);
    else
        *out = made;
    return status;
}
