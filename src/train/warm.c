/* A warm start: what a bundle has of the same name and shape is carried over, parameters and
 * the optimizer's state; rows that a table has gained keep their initial values (ids of
 * vocabularies only append, so the old rows are where they were; a table whose ids are made
 * otherwise begins anew). What was kept and what is new is said. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "train/results.h"
#include "train/training.h"

typedef struct tally {
    int32_t kept, fresh, changed;
    hn_text names; /* of what is not kept */
} tally;

typedef struct warmth {
    hn_training *job;
    hn_pack *pack;
    hn_config *old; /* of the bundle */
    bool state;     /* the optimizer's state can be carried over */
    tally tally;
} warmth;

static const hn_section *section_of(const warmth *w, const char *kind, const char *name) {
    char full[1200];
    snprintf(full, sizeof full, "%s/%s", kind, name);
    for (size_t i = 0; i < hn_pack_sections(w->pack); i++)
        if (strcmp(hn_pack_section(w->pack, i)->name, full) == 0)
            return hn_pack_section(w->pack, i);
    return NULL;
}

static bool is_real(const hn_section *section) {
    return section->type == HN_PACK_F32 || section->type == HN_PACK_F64;
}

/* ---- Numbers, of either precision -------------------------------------------------------- */

static double number_at(const hn_section *section, size_t i) {
    return section->type == HN_PACK_F32 ? (double)((const float *)section->bytes)[i]
                                        : ((const double *)section->bytes)[i];
}

/* Verified against its checksum; all numbers must be finite. */
static hn_status verify(const warmth *w, const hn_section *section, hn_error *err) {
    const hn_section *found;
    HN_TRY(hn_pack_find(&found, w->pack, section->name, section->type, err));
    const size_t n = section->n_bytes / hn_pack_type_bytes(section->type);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(number_at(found, i)))
            return hn_fail(err, HN_BAD_DATA, "%s: section \"%s\" has a number that is not finite",
                           hn_pack_path(w->pack), section->name);
    return HN_OK;
}

static void copy(hn_real *to, const hn_section *section, size_t from, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] = (hn_real)number_at(section, from + i);
}

static bool has_numbers(const hn_section *section, uint64_t n) {
    return section && is_real(section) && section->n_bytes == n * hn_pack_type_bytes(section->type);
}

static void not_kept(tally *t, const hn_section *section, const char *name) {
    if (section)
        t->changed++;
    else
        t->fresh++;
    hn_text_add(&t->names, "%s%s", t->names.length > 0 ? ", " : "", name);
}

/* ---- Parameters -------------------------------------------------------------------------- */

static bool same_shape(const hn_section *section, const hn_param_info *p) {
    return section && is_real(section) && section->dims == 4 &&
           section->dim[0] == (uint64_t)p->batch && section->dim[1] == (uint64_t)p->rows &&
           section->dim[2] == (uint64_t)p->groups && section->dim[3] == (uint64_t)p->cols;
}

static hn_status warm_param(warmth *w, const hn_param_info *p, hn_error *err) {
    const hn_section *const section = section_of(w, "param", p->name);
    if (!same_shape(section, p)) {
        not_kept(&w->tally, section, p->name);
        return HN_OK;
    }
    const size_t n = (size_t)p->batch * (size_t)p->rows * (size_t)p->groups * (size_t)p->cols;
    hn_state *const state = w->job->trainer->state;
    HN_TRY(verify(w, section, err));
    copy(w->job->trainer->params.block + p->offset, section, 0, n);
    w->tally.kept++;
    const hn_section *const moments = section_of(w, "state/param", p->name);
    if (!w->state || !has_numbers(moments, n * (uint64_t)state->moments)) return HN_OK;
    HN_TRY(verify(w, moments, err));
    for (int32_t m = 0; m < state->moments; m++)
        copy(state->block + (size_t)m * state->leaf_count + p->offset, moments, (size_t)m * n, n);
    return HN_OK;
}

/* ---- Tables ------------------------------------------------------------------------------ */

/* Rows that are carried over of each copy of the table (single: one for each scenario). */
static void copy_rows(hn_real *to, const hn_section *section, size_t copies, size_t old, size_t now,
                      size_t width) {
    for (size_t c = 0; c < copies; c++)
        copy(to + c * now * width, section, c * old * width, old * width);
}

static const hn_config_feature *feature_of(const hn_config *config, const char *name) {
    for (int32_t f = 0; f < config->n_features; f++)
        if (strcmp(config->features[f].name, name) == 0) return &config->features[f];
    return NULL;
}

/* Ids only append in a vocabulary or as integers; a hash of another size is another id. */
static bool same_ids(const warmth *w, const char *table) {
    const hn_config_feature *const now = feature_of(w->job->config, table), *const old = feature_of(
                                                                                w->old, table);
    return !now || !old || (now->hash == old->hash && (now->integer > 0) == (old->integer > 0));
}

static hn_status warm_table(warmth *w, int32_t t, hn_error *err) {
    hn_trainer *const trainer = w->job->trainer;
    const hn_table *const table = &trainer->params.tables[t];
    const hn_layout *const layout = hn_plan_layout(trainer->plan);
    const size_t copies = hn_plan_per_scenario(trainer->plan) ? (size_t)layout->scenarios : 1;
    const size_t now = (size_t)table->rows / copies, width = (size_t)table->width;
    const hn_section *const section = section_of(w, "table", table->name);
    const bool fits = section && same_ids(w, table->name) && is_real(section) &&
                      section->dims == 2 && section->dim[1] == width &&
                      section->dim[0] % copies == 0 && section->dim[0] / copies <= now;
    if (!fits) {
        not_kept(&w->tally, section, table->name);
        return HN_OK;
    }
    const size_t old = (size_t)section->dim[0] / copies;
    HN_TRY(verify(w, section, err));
    copy_rows(table->numbers, section, copies, old, now, width);
    w->tally.kept++;
    if (now > old)
        hn_say(w->job->run, HN_LOG_INFO, "warm start: table %s keeps %zu rows and gains %zu",
               table->name, old, now - old);
    hn_state *const state = trainer->state;
    const hn_section *const moments = section_of(w, "state/table", table->name);
    if (!w->state || !has_numbers(moments, section->dim[0] * width * (uint64_t)state->moments))
        return HN_OK;
    HN_TRY(verify(w, moments, err));
    copy_rows(state->tables[t], moments, copies, old, now, width * (size_t)state->moments);
    return HN_OK;
}

/* ---- Together ---------------------------------------------------------------------------- */

static hn_status check_cells(warmth *w, hn_error *err) {
    const hn_section *text;
    HN_TRY(hn_pack_find(&text, w->pack, "config", HN_PACK_BYTES, err));
    HN_TRY(hn_config_parse(&w->old, text->bytes, text->n_bytes, hn_pack_path(w->pack), ".", NULL, 0,
                           err));
    return hn_config_same_cells(w->job->config, w->old, err);
}

static bool same_columns(const hn_layout *a, const hn_layout *b) {
    bool same = a->n_inputs == b->n_inputs;
    for (int32_t i = 0; same && i < a->n_inputs; i++)
        same = strcmp(a->inputs[i].name, b->inputs[i].name) == 0 &&
               a->inputs[i].kind == b->inputs[i].kind && a->inputs[i].width == b->inputs[i].width;
    return same;
}

/* Of another width the first layers are of another shape and begin anew; of the same width their
 * rows would belong to other features. */
static hn_status check_inputs(const warmth *w, hn_error *err) {
    const hn_layout *const now = hn_plan_layout(w->job->trainer->plan);
    hn_schema *schema;
    HN_TRY(hn_schema_load(&schema, w->old, w->pack, err));
    const hn_layout *const old = hn_schema_layout(schema);
    const bool fits = now->width != old->width || same_columns(now, old);
    hn_schema_free(schema);
    if (fits) return HN_OK;
    return hn_fail(err, HN_BAD_CONFIG,
                   "%s: its features stand in another order, or are others of the same widths in "
                   "all; a warm start needs them as they are there (hinet info shows them)",
                   hn_pack_path(w->pack));
}

static const char *state_text(const warmth *w) {
    if (w->state) return "with the optimizer's state";
    return section_of(w, "state", "step") ? "without the state of another optimizer"
                                          : "without an optimizer's state";
}

static void say(const warmth *w) {
    const tally *const t = &w->tally;
    hn_say(w->job->run, HN_LOG_INFO,
           "warm start from %s: %d tensors kept, %d new, %d of another shape, %s%s%s",
           hn_pack_path(w->pack), (int)t->kept, (int)t->fresh, (int)t->changed, state_text(w),
           t->names.length > 0 ? "; not kept: " : "",
           t->names.length > 0 && t->names.text ? t->names.text : "");
}

static hn_status carry(warmth *w, hn_error *err) {
    hn_trainer *const trainer = w->job->trainer;
    HN_TRY(check_cells(w, err));
    HN_TRY(check_inputs(w, err));
    HN_TRY(hn_state_matches(trainer->state, w->pack, &w->state, err));
    for (int32_t i = 0; i < hn_plan_params(trainer->plan); i++)
        HN_TRY(warm_param(w, hn_plan_param(trainer->plan, i), err));
    for (int32_t t = 0; t < trainer->params.n_tables; t++) HN_TRY(warm_table(w, t, err));
    bool weights = false;
    if (w->state) HN_TRY(hn_weighting_warm(&trainer->state->weighting, w->pack, &weights, err));
    say(w);
    return hn_trainer_stage(trainer, err);
}

hn_status hn_training_warm(hn_training *job, hn_pack *bundle, hn_error *err) {
    warmth w = {.job = job, .pack = bundle};
    const hn_status status = carry(&w, err);
    hn_text_free(&w.tally.names);
    hn_config_free(w.old);
    return status;
}
