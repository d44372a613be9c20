/* Rows in memory: taking them by a bound on their hash, and copies in other orders. */
#include "report/sample.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

struct hn_sample {
    const hn_layout *layout;
    int64_t most;
    uint64_t seed, bound; /* hashes up to the bound are in */
    size_t capacity, list_capacity;
    uint16_t *scenario;
    uint32_t *ids, *list_begin, *list_ids;
    float *values, *weights;
    uint8_t *labels;
    uint64_t *ordinal;
    hn_rows rows;
};

/* ---- Life -------------------------------------------------------------------------------- */

static bool take_memory(hn_sample *s, size_t rows) {
    const hn_layout *const layout = s->layout;
    s->scenario = hn_alloc(rows, sizeof *s->scenario);
    s->ids = hn_alloc(rows * (size_t)layout->ids + 1, sizeof *s->ids);
    s->values = hn_alloc(rows * (size_t)layout->values + 1, sizeof *s->values);
    s->list_begin = hn_alloc(rows * (size_t)layout->lists + 1, sizeof *s->list_begin);
    s->labels = hn_alloc(rows * (size_t)layout->tasks, sizeof *s->labels);
    s->weights = hn_alloc(rows, sizeof *s->weights);
    s->ordinal = hn_alloc(rows, sizeof *s->ordinal);
    s->capacity = rows;
    return s->scenario && s->ids && s->values && s->list_begin && s->labels && s->weights &&
           s->ordinal;
}

static void set_view(hn_sample *s, int32_t n) {
    s->rows = (hn_rows){.rows = n,
                        .scenario = s->scenario,
                        .ids = s->ids,
                        .values = s->values,
                        .list_begin = s->list_begin,
                        .list_ids = s->list_ids,
                        .labels = s->labels,
                        .weights = s->weights,
                        .ordinal = s->ordinal};
}

static hn_status create(hn_sample **out, const hn_layout *layout, int64_t most, uint64_t seed,
                        hn_error *err) {
    *out = NULL;
    if (most < 1 || most > INT32_MAX / 4)
        return hn_fail(err, HN_USAGE, "rows: found %lld; expected 1 to %d", (long long)most,
                       INT32_MAX / 4);
    hn_sample *const sample = hn_alloc_zero(1, sizeof *sample);
    if (!sample) return hn_no_memory(err, "a sample of rows");
    *sample = (hn_sample){.layout = layout, .most = most, .seed = seed, .bound = UINT64_MAX};
    /* one more than the most, so that it is seen that they are too many */
    if (!take_memory(sample, (size_t)most + 1)) {
        hn_sample_free(sample);
        return hn_fail(err, HN_NO_MEMORY, "no memory for a sample of %lld rows; give fewer --rows",
                       (long long)most);
    }
    sample->list_begin[0] = 0;
    set_view(sample, 0);
    *out = sample;
    return HN_OK;
}

hn_status hn_sample_create(hn_sample **out, const hn_layout *layout, int64_t most, uint64_t seed,
                           hn_error *err) {
    return create(out, layout, most, seed, err);
}

void hn_sample_free(hn_sample *sample) {
    if (!sample) return;
    hn_free(sample->scenario);
    hn_free(sample->ids);
    hn_free(sample->values);
    hn_free(sample->list_begin);
    hn_free(sample->list_ids);
    hn_free(sample->labels);
    hn_free(sample->weights);
    hn_free(sample->ordinal);
    hn_free(sample);
}

const hn_rows *hn_sample_rows(const hn_sample *sample) { return &sample->rows; }

/* ---- Copying rows ------------------------------------------------------------------------ */

/* Row `row` of `rows` to place `to`, which is the end or before it; all but lists. */
static void copy_plain(hn_sample *s, size_t to, const hn_rows *rows, size_t row) {
    const size_t ids = (size_t)s->layout->ids, values = (size_t)s->layout->values,
                 tasks = (size_t)s->layout->tasks;
    s->scenario[to] = rows->scenario[row];
    if (ids) memmove(s->ids + to * ids, rows->ids + row * ids, ids * sizeof *s->ids);
    if (values)
        memmove(s->values + to * values, rows->values + row * values, values * sizeof *s->values);
    memmove(s->labels + to * tasks, rows->labels + row * tasks, tasks);
    s->weights[to] = rows->weights ? rows->weights[row] : 1.0f;
    s->ordinal[to] = rows->ordinal[row];
}

/* The lists, behind those of the rows before `to`. */
static hn_status copy_list(hn_sample *s, size_t to_list, const hn_rows *rows, size_t list,
                           hn_error *err) {
    const uint32_t begin = rows->list_begin[list], n = rows->list_begin[list + 1] - begin,
                   at = s->list_begin[to_list];
    if ((uint64_t)at + n > UINT32_MAX)
        return hn_fail(err, HN_NO_MEMORY, "a sample's lists have too many ids; give fewer --rows");
    HN_TRY(hn_grow(&s->list_ids, &s->list_capacity, (size_t)at + n + 1, sizeof *s->list_ids, err));
    s->rows.list_ids = s->list_ids;
    if (n) memmove(s->list_ids + at, rows->list_ids + begin, n * sizeof *s->list_ids);
    s->list_begin[to_list + 1] = at + n;
    return HN_OK;
}

static hn_status copy_row(hn_sample *s, size_t to, const hn_rows *rows, size_t row, hn_error *err) {
    const size_t lists = (size_t)s->layout->lists;
    copy_plain(s, to, rows, row);
    for (size_t l = 0; l < lists; l++)
        HN_TRY(copy_list(s, to * lists + l, rows, row * lists + l, err));
    return HN_OK;
}

/* ---- Taking ------------------------------------------------------------------------------ */

static bool is_in(const hn_sample *s, uint64_t ordinal) {
    return hn_mix64(hn_random(s->seed, HN_STREAM_REPORT, ordinal)) <= s->bound;
}

/* Rows move towards the front, so that nothing is overwritten before it is read. */
static hn_status thin(hn_sample *s, hn_error *err) {
    size_t kept = 0;
    s->bound >>= 1;
    for (size_t r = 0; r < (size_t)s->rows.rows; r++) {
        if (!is_in(s, s->ordinal[r])) continue;
        const hn_rows rows = s->rows;
        HN_TRY(copy_row(s, kept++, &rows, r, err));
    }
    set_view(s, (int32_t)kept);
    return HN_OK;
}

hn_status hn_sample_add(hn_sample *sample, const hn_rows *rows, hn_error *err) {
    for (int32_t r = 0; r < rows->rows; r++) {
        if (rows->scenario[r] >= sample->layout->scenarios || !is_in(sample, rows->ordinal[r]))
            continue;
        HN_TRY(copy_row(sample, (size_t)sample->rows.rows, rows, (size_t)r, err));
        set_view(sample, sample->rows.rows + 1);
        while (sample->rows.rows > sample->most && sample->bound > 0) HN_TRY(thin(sample, err));
    }
    return HN_OK;
}

/* ---- Orders ------------------------------------------------------------------------------ */

typedef struct place {
    uint32_t scenario, row;
    uint64_t ordinal;
} place;

static int compare_places(const void *left, const void *right) {
    const place *const a = left, *const b = right;
    if (a->scenario != b->scenario) return a->scenario < b->scenario ? -1 : 1;
    if (a->ordinal != b->ordinal) return a->ordinal < b->ordinal ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static hn_status copy_in_order(hn_sample *to, const hn_sample *from, const place *places,
                               hn_error *err) {
    for (int32_t r = 0; r < from->rows.rows; r++)
        HN_TRY(copy_row(to, (size_t)r, &from->rows, places[r].row, err));
    set_view(to, from->rows.rows);
    return HN_OK;
}

hn_status hn_sample_sorted(hn_sample **out, const hn_sample *sample, bool by_scenario,
                           hn_error *err) {
    const int32_t n = sample->rows.rows;
    *out = NULL;
    place *const places = hn_alloc((size_t)n + 1, sizeof *places);
    if (!places) return hn_no_memory(err, "a sample of rows");
    for (int32_t r = 0; r < n; r++)
        places[r] = (place){by_scenario ? sample->scenario[r] : 0, (uint32_t)r, sample->ordinal[r]};
    qsort(places, (size_t)n, sizeof *places, compare_places);
    hn_sample *sorted = NULL;
    hn_status status = create(&sorted, sample->layout, n > 0 ? n : 1, sample->seed, err);
    if (status == HN_OK) status = copy_in_order(sorted, sample, places, err);
    hn_free(places);
    if (status != HN_OK)
        hn_sample_free(sorted);
    else
        *out = sorted;
    return status;
}

/* ---- Mixing ------------------------------------------------------------------------------ */

static hn_status mix_row(hn_sample *to, const hn_sample *sample, const bool *inputs, size_t r,
                         size_t from, hn_error *err) {
    const hn_layout *const layout = sample->layout;
    const size_t ids = (size_t)layout->ids, values = (size_t)layout->values,
                 lists = (size_t)layout->lists;
    copy_plain(to, r, &sample->rows, r);
    for (int32_t i = 0; i < layout->n_inputs; i++) {
        const hn_input *const input = &layout->inputs[i];
        const size_t slot = (size_t)input->slot;
        if (input->kind == HN_INPUT_LIST) {
            /* copied below: a row's lists follow each other in the order of their slots */
        } else if (inputs[i] && input->kind == HN_INPUT_ID) {
            to->ids[r * ids + slot] = sample->ids[from * ids + slot];
        } else if (inputs[i]) {
            to->values[r * values + slot] = sample->values[from * values + slot];
        }
    }
    for (size_t l = 0; l < lists; l++) {
        bool other = false;
        for (int32_t i = 0; i < layout->n_inputs; i++)
            if (layout->inputs[i].kind == HN_INPUT_LIST && layout->inputs[i].slot == (int32_t)l)
                other = inputs[i];
        HN_TRY(copy_list(to, r * lists + l, &sample->rows, (other ? from : r) * lists + l, err));
    }
    return HN_OK;
}

hn_status hn_sample_mixed(hn_sample **out, const hn_sample *sample, const bool *inputs,
                          const uint32_t *from, hn_error *err) {
    const int32_t n = sample->rows.rows;
    hn_sample *mixed;
    *out = NULL;
    HN_TRY(create(&mixed, sample->layout, n > 0 ? n : 1, sample->seed, err));
    hn_status status = HN_OK;
    for (int32_t r = 0; r < n && status == HN_OK; r++)
        status = mix_row(mixed, sample, inputs, (size_t)r, from[r], err);
    set_view(mixed, n);
    if (status != HN_OK)
        hn_sample_free(mixed);
    else
        *out = mixed;
    return status;
}
