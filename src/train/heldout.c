/* Held-out rows (heldout.h). A cell's sample is the rows whose random number, a function of
 * the row's ordinal, is below a bound that is halved whenever the sample is full: the rows that
 * stay at the end are the same in whatever order they came. */
#include "train/heldout.h"

#include "base/memory.h"
#include "base/rng.h"
#include "train/keepsakes.h"

enum { SAMPLE_MOST = 1 << 17, SAMPLE_LEAST = 1 << 10, SAMPLES = 1 << 22 };

typedef struct labelled { /* a row with a label in the cell */
    uint64_t key;
    double logit;
    float weight;
    uint8_t label;
} labelled;

typedef struct cell_sample {
    labelled *rows;
    size_t n, capacity;
    int32_t halved; /* times; rows stay with keys below 2^(64 - halved) */
} cell_sample;

struct hn_heldout {
    const hn_config *config;
    const hn_dataset *dataset;
    const hn_layout *layout;
    hn_keepsakes *keepsakes;
    json_t *golden;
    cell_sample *samples; /* [M·T]; NULL: no calibration is asked for */
    size_t most;          /* rows of a sample */
    hn_calibration *calibration;
    hn_profiler *profiler;
    hn_profile *profile;
};

/* ---- Life ---------------------------------------------------------------------------------- */

static size_t cells_of(const hn_heldout *h) {
    return (size_t)h->layout->scenarios * (size_t)h->layout->tasks;
}

void hn_heldout_free(hn_heldout *heldout) {
    if (!heldout) return;
    for (size_t c = 0; heldout->samples && c < cells_of(heldout); c++)
        hn_free(heldout->samples[c].rows);
    hn_free(heldout->samples);
    hn_calibration_free(heldout->calibration);
    hn_profiler_free(heldout->profiler);
    hn_profile_free(heldout->profile);
    hn_keepsakes_free(heldout->keepsakes);
    json_decref(heldout->golden);
    hn_free(heldout);
}

static hn_status set_up(hn_heldout *h, hn_error *err) {
    const hn_config_train *const train = &h->config->train;
    const size_t share = SAMPLES / cells_of(h);
    h->most = share > SAMPLE_MOST ? SAMPLE_MOST : share < SAMPLE_LEAST ? SAMPLE_LEAST : share;
    HN_TRY(hn_keepsakes_create(&h->keepsakes, h->dataset, train->golden_rows, err));
    if (train->profile) HN_TRY(hn_profiler_create(&h->profiler, h->layout, err));
    if (train->calibration == HN_CALIBRATE_NONE) return HN_OK;
    h->samples = hn_alloc_zero(cells_of(h), sizeof *h->samples);
    return h->samples ? HN_OK : hn_no_memory(err, "a calibration");
}

hn_status hn_heldout_create(hn_heldout **out, const hn_config *config, const hn_dataset *dataset,
                            hn_error *err) {
    *out = NULL;
    hn_heldout *const made = hn_alloc_zero(1, sizeof *made);
    if (!made) return hn_no_memory(err, "held-out rows");
    made->config = config;
    made->dataset = dataset;
    made->layout = hn_schema_layout(hn_dataset_schema(dataset));
    const hn_status status = set_up(made, err);
    if (status != HN_OK)
        hn_heldout_free(made);
    else
        *out = made;
    return status;
}

/* ---- Rows ---------------------------------------------------------------------------------- */

static bool stays(const cell_sample *s, uint64_t key) {
    return s->halved == 0 || key >> (64 - s->halved) == 0;
}

static void halve(cell_sample *s) {
    size_t kept = 0;
    s->halved++;
    for (size_t i = 0; i < s->n; i++)
        if (stays(s, s->rows[i].key)) s->rows[kept++] = s->rows[i];
    s->n = kept;
}

static hn_status add_label(cell_sample *s, const labelled *row, size_t most, hn_error *err) {
    if (!stays(s, row->key)) return HN_OK;
    HN_TRY(hn_grow(&s->rows, &s->capacity, s->n + 1, sizeof *s->rows, err));
    s->rows[s->n++] = *row;
    while (s->n > most) halve(s);
    return HN_OK;
}

static hn_status add_row(hn_heldout *h, const hn_rows *rows, size_t r, const hn_real *logits,
                         hn_error *err) {
    const size_t tasks = (size_t)h->layout->tasks;
    labelled row = {.key = hn_random(0, HN_STREAM_CALIBRATION, rows->ordinal[r]),
                    .weight = rows->weights ? rows->weights[r] : 1};
    for (size_t t = 0; t < tasks; t++) {
        row.label = rows->labels[r * tasks + t];
        row.logit = (double)logits[t];
        if (row.label == HN_LABEL_ABSENT) continue;
        HN_TRY(add_label(&h->samples[rows->scenario[r] * tasks + t], &row, h->most, err));
    }
    return HN_OK;
}

hn_status hn_heldout_add(void *heldout, const hn_rows *rows, const hn_real *logits, hn_error *err) {
    hn_heldout *const h = heldout;
    hn_keepsakes_add(h->keepsakes, rows, logits);
    if (h->profiler) hn_profiler_add(h->profiler, rows, logits);
    for (size_t r = 0; h->samples && r < (size_t)rows->rows; r++)
        HN_TRY(add_row(h, rows, r, logits + r * (size_t)h->layout->tasks, err));
    return HN_OK;
}

hn_status hn_heldout_see(void *heldout, const hn_rows *rows, const hn_real *logits, hn_error *err) {
    (void)err;
    hn_keepsakes_add(((hn_heldout *)heldout)->keepsakes, rows, logits);
    return HN_OK;
}

/* ---- Fits ---------------------------------------------------------------------------------- */

static hn_status fit_cell(hn_heldout *h, size_t cell, double *logits, double *weights,
                          uint8_t *labels, hn_error *err) {
    const cell_sample *const s = &h->samples[cell];
    for (size_t i = 0; i < s->n; i++) {
        logits[i] = s->rows[i].logit;
        weights[i] = (double)s->rows[i].weight;
        labels[i] = s->rows[i].label;
    }
    const size_t tasks = (size_t)h->layout->tasks;
    return hn_calibration_fit(h->calibration, (int32_t)(cell / tasks), (int32_t)(cell % tasks),
                              logits, labels, weights, (int64_t)s->n, err);
}

static hn_status calibrate(hn_heldout *h, hn_error *err) {
    HN_TRY(hn_calibration_create(&h->calibration, h->config->train.calibration,
                                 h->layout->scenarios, h->layout->tasks, err));
    size_t most = 1;
    for (size_t c = 0; c < cells_of(h); c++)
        if (h->samples[c].n > most) most = h->samples[c].n;
    double *const logits = hn_alloc(most, sizeof *logits), *const weights =
                                                               hn_alloc(most, sizeof *weights);
    uint8_t *const labels = hn_alloc(most, 1);
    hn_status status = logits && weights && labels ? HN_OK : hn_no_memory(err, "a calibration");
    for (size_t c = 0; status == HN_OK && c < cells_of(h); c++)
        status = fit_cell(h, c, logits, weights, labels, err);
    hn_free(logits);
    hn_free(weights);
    hn_free(labels);
    return status;
}

hn_status hn_heldout_finish(hn_heldout *heldout, const hn_trainer *trainer, const hn_run *run,
                            hn_error *err) {
    if (heldout->samples) HN_TRY(calibrate(heldout, err));
    if (heldout->profiler) HN_TRY(hn_profiler_finish(&heldout->profile, heldout->profiler, err));
    return hn_keepsakes_finish(&heldout->golden, heldout->keepsakes, trainer, run, err);
}

const hn_calibration *hn_heldout_calibration(const hn_heldout *heldout) {
    return heldout->calibration;
}
const hn_profile *hn_heldout_profile(const hn_heldout *heldout) { return heldout->profile; }
const json_t *hn_heldout_golden(const hn_heldout *heldout) { return heldout->golden; }
