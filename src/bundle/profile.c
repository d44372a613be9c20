/* Profiles (profile.h): their buckets, their comparison with other counts, and their JSON.
 * How one is made is in profile_make.c. */
#include "bundle/profile.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

void hn_profile_free(hn_profile *profile) {
    if (!profile) return;
    hn_free(profile->rows);
    hn_free(profile->histogram);
    hn_free(profile);
}

/* ---- Buckets ------------------------------------------------------------------------------- */

int32_t hn_histogram_number(const hn_histogram *h, double x) {
    if (isnan(x)) return h->n;
    int32_t i = 0;
    while (i < h->n && h->cuts[i] <= x) i++;
    return i;
}

int32_t hn_histogram_id(const hn_histogram *h, uint32_t id) {
    if (id < HN_ID_FIRST) return (int32_t)id; /* missing, unseen */
    for (int32_t i = 0; i < h->n; i++)
        if (h->ids[i] == id) return HN_ID_FIRST + i;
    return HN_ID_FIRST + h->n;
}

static uint32_t first_of_list(const hn_rows *rows, size_t list) {
    const uint32_t begin = rows->list_begin[list];
    return rows->list_begin[list + 1] > begin ? rows->list_ids[begin] : HN_ID_MISSING;
}

static int32_t bucket_of(const hn_histogram *h, const hn_input *input, const hn_layout *layout,
                         const hn_rows *rows, int32_t r) {
    const size_t row = (size_t)r, slot = (size_t)input->slot;
    if (input->kind == HN_INPUT_VALUE)
        return hn_histogram_number(h, (double)rows->values[row * (size_t)layout->values + slot]);
    if (input->kind == HN_INPUT_ID)
        return hn_histogram_id(h, rows->ids[row * (size_t)layout->ids + slot]);
    return hn_histogram_id(h, first_of_list(rows, row * (size_t)layout->lists + slot));
}

void hn_profile_row(int32_t *buckets, const hn_profile *profile, const hn_layout *layout,
                    const hn_rows *rows, int32_t r, const hn_real *logits) {
    const int32_t inputs = profile->inputs, all = inputs + profile->tasks;
    const hn_histogram *const h = &profile->histogram[(size_t)rows->scenario[r] * (size_t)all];
    for (int32_t i = 0; i < inputs; i++)
        buckets[i] = bucket_of(&h[i], &layout->inputs[i], layout, rows, r);
    for (int32_t t = 0; t < profile->tasks; t++)
        buckets[inputs + t] = hn_histogram_number(&h[inputs + t], (double)logits[t]);
}

double hn_histogram_psi(const hn_histogram *h, const double *counts) {
    double before = 0, now = 0, psi = 0;
    for (int32_t i = 0; i < h->buckets; i++) before += h->counts[i], now += counts[i];
    if (!(before > 0) || !(now > 0)) return NAN;
    for (int32_t i = 0; i < h->buckets; i++) {
        const double p = (h->counts[i] + 0.5) / (before + 0.5 * h->buckets);
        const double q = (counts[i] + 0.5) / (now + 0.5 * h->buckets);
        psi += (q - p) * log(q / p);
    }
    return psi;
}

/* ---- To JSON ------------------------------------------------------------------------------- */

static json_t *numbers_json(const double *numbers, int32_t n, bool whole) {
    json_t *const list = json_array();
    for (int32_t i = 0; i < n; i++)
        if (json_array_append_new(list, whole ? json_integer((json_int_t)numbers[i])
                                              : json_real(numbers[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *histogram_json(const hn_histogram *h) {
    double ids[HN_PROFILE_MOST];
    for (int32_t i = 0; i < h->n; i++) ids[i] = (double)h->ids[i];
    json_t *const counts = numbers_json(h->counts, h->buckets, true);
    return h->numbers
               ? json_pack("{s:o, s:o}", "cuts", numbers_json(h->cuts, h->n, false), "counts",
                           counts)
               : json_pack("{s:o, s:o}", "ids", numbers_json(ids, h->n, true), "counts", counts);
}

/* Appends; false, with the list let go, without memory. */
static bool append(json_t **list, json_t *item) {
    if (*list && json_array_append_new(*list, item) == 0) return true;
    if (!*list) json_decref(item);
    json_decref(*list);
    *list = NULL;
    return false;
}

static json_t *scenario_json(const hn_profile *profile, int32_t scenario) {
    if (profile->rows[scenario] == 0) return json_null();
    const int32_t all = profile->inputs + profile->tasks;
    json_t *list = json_array();
    for (int32_t i = 0; i < all; i++)
        if (!append(&list, histogram_json(
                               &profile->histogram[(size_t)scenario * (size_t)all + (size_t)i])))
            break;
    return json_pack("{s:I, s:o}", "rows", (json_int_t)profile->rows[scenario], "histograms", list);
}

json_t *hn_profile_json(const hn_profile *profile, const hn_layout *layout) {
    json_t *inputs = json_array(), *scenarios = json_array();
    for (int32_t i = 0; i < profile->inputs; i++)
        if (!append(&inputs, json_string(layout->inputs[i].name))) break;
    for (int32_t s = 0; s < profile->scenarios; s++)
        if (!append(&scenarios, scenario_json(profile, s))) break;
    return json_pack("{s:o, s:o}", "inputs", inputs, "scenarios", scenarios);
}

/* ---- From JSON ------------------------------------------------------------------------------- */

static hn_status wrong(hn_error *err, const char *what) {
    return hn_fail(err, HN_BAD_DATA,
                   "profile: %s; train again, or make the bundle again with train.profile: false",
                   what);
}

static bool read_numbers(double *out, const json_t *list, int32_t n) {
    if (json_array_size(list) != (size_t)n) return false;
    for (int32_t i = 0; i < n; i++) {
        const json_t *const item = json_array_get(list, (size_t)i);
        out[i] = json_number_value(item);
        if (!json_is_number(item) || !isfinite(out[i])) return false;
    }
    return true;
}

static bool rising(const double *numbers, int32_t n) {
    for (int32_t i = 1; i < n; i++)
        if (!(numbers[i] > numbers[i - 1])) return false;
    return true;
}

static bool read_histogram(hn_histogram *h, const json_t *json, bool numbers) {
    double list[HN_PROFILE_MOST] = {0};
    const json_t *const places = json_object_get(json, numbers ? "cuts" : "ids");
    const size_t n = json_array_size(places);
    if (!json_is_array(places) || n > (numbers ? HN_PROFILE_BUCKETS - 1 : HN_PROFILE_IDS))
        return false;
    *h = (hn_histogram){
        .numbers = numbers, .n = (int32_t)n, .buckets = (int32_t)n + (numbers ? 1 : 3)};
    if (!read_numbers(list, places, h->n) || !rising(list, h->n)) return false;
    for (int32_t i = 0; i < h->n; i++) {
        if (!numbers && (list[i] < HN_ID_FIRST || list[i] > (double)UINT32_MAX)) return false;
        if (numbers)
            h->cuts[i] = list[i];
        else
            h->ids[i] = (uint32_t)list[i];
    }
    if (!read_numbers(h->counts, json_object_get(json, "counts"), h->buckets)) return false;
    for (int32_t i = 0; i < h->buckets; i++)
        if (!(h->counts[i] >= 0 && h->counts[i] <= 0x1p53)) return false;
    return true;
}

static hn_status read_scenario(hn_profile *made, int32_t scenario, const json_t *json,
                               const hn_layout *layout, hn_error *err) {
    const int32_t all = made->inputs + made->tasks;
    const json_t *const list = json_object_get(json, "histograms");
    const json_int_t rows = json_integer_value(json_object_get(json, "rows"));
    if (json_is_null(json)) return HN_OK;
    if (rows < 1 || rows > INT32_MAX || json_array_size(list) != (size_t)all)
        return wrong(err, "a scenario's histograms are not those of the schema's inputs");
    for (int32_t i = 0; i < all; i++) {
        const bool numbers = i >= made->inputs || layout->inputs[i].kind == HN_INPUT_VALUE;
        if (!read_histogram(&made->histogram[(size_t)scenario * (size_t)all + (size_t)i],
                            json_array_get(list, (size_t)i), numbers))
            return wrong(err, "a histogram's buckets and counts do not fit");
    }
    made->rows[scenario] = (uint32_t)rows;
    return HN_OK;
}

static bool same_inputs(const json_t *names, const hn_layout *layout) {
    if (json_array_size(names) != (size_t)layout->n_inputs) return false;
    for (int32_t i = 0; i < layout->n_inputs; i++) {
        const char *const name = json_string_value(json_array_get(names, (size_t)i));
        if (!name || strcmp(name, layout->inputs[i].name) != 0) return false;
    }
    return true;
}

hn_status hn_profile_create(hn_profile **out, const hn_layout *layout, hn_error *err) {
    *out = NULL;
    hn_profile *const made = hn_alloc_zero(1, sizeof *made);
    if (!made) return hn_no_memory(err, "a profile");
    made->scenarios = layout->scenarios;
    made->inputs = layout->n_inputs;
    made->tasks = layout->tasks;
    const size_t all = (size_t)made->inputs + (size_t)made->tasks;
    made->rows = hn_alloc_zero((size_t)made->scenarios, sizeof *made->rows);
    made->histogram = hn_alloc_zero((size_t)made->scenarios * all, sizeof *made->histogram);
    if (!made->rows || !made->histogram) {
        hn_profile_free(made);
        return hn_no_memory(err, "a profile");
    }
    *out = made;
    return HN_OK;
}

hn_status hn_profile_parse(hn_profile **out, const json_t *json, const hn_layout *layout,
                           hn_error *err) {
    *out = NULL;
    const json_t *const scenarios = json_object_get(json, "scenarios");
    if (!same_inputs(json_object_get(json, "inputs"), layout))
        return wrong(err, "its inputs are not the schema's");
    if (json_array_size(scenarios) != (size_t)layout->scenarios)
        return wrong(err, "its scenarios are not the schema's");
    hn_profile *made = NULL;
    HN_TRY(hn_profile_create(&made, layout, err));
    hn_status status = HN_OK;
    for (int32_t s = 0; s < made->scenarios && status == HN_OK; s++)
        status = read_scenario(made, s, json_array_get(scenarios, (size_t)s), layout, err);
    if (status != HN_OK)
        hn_profile_free(made);
    else
        *out = made;
    return status;
}
