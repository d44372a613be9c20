/* The optimizer's state in a pack: "state/step", "state/optimizer", "state/param/NAME"
 * ([moments · numbers]) and "state/table/NAME" ([rows][moments][width]). Loading wants the
 * same optimizer and shapes; what a warm start may carry over is in warm.c. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "train/optimizer.h"

static const hn_pack_type real_type = sizeof(hn_real) == 8 ? HN_PACK_F64 : HN_PACK_F32;
static const char *const optimizer_names[] = {"adam", "adagrad", "sgd"};

enum { NAME_BYTES = 600 };

static size_t count_of(const hn_param_info *info) {
    return (size_t)info->batch * (size_t)info->rows * (size_t)info->groups * (size_t)info->cols;
}

static void section_name(char *out, const char *kind, const char *name) {
    snprintf(out, NAME_BYTES, "state/%s/%s", kind, name);
}

/* ---- Saving ------------------------------------------------------------------------------ */

static void save_param(const hn_state *state, const hn_param_info *info, hn_packer *packer) {
    char name[NAME_BYTES];
    section_name(name, "param", info->name);
    hn_packer_begin(packer, name, real_type);
    for (int32_t m = 0; m < state->moments; m++)
        hn_packer_append(packer, state->block + (size_t)m * state->leaf_count + info->offset,
                         count_of(info) * sizeof(hn_real));
    hn_packer_end(packer);
}

static void save_table(const hn_state *state, int32_t t, hn_packer *packer) {
    const hn_table *const table = &state->of[t];
    const uint64_t dim[3] = {table->rows, (uint64_t)state->moments, (uint64_t)table->width};
    char name[NAME_BYTES];
    section_name(name, "table", table->name);
    hn_packer_add(packer, name, real_type, 3, dim, state->tables[t]);
}

void hn_state_save(const hn_state *state, hn_packer *packer) {
    const uint64_t one = 1;
    hn_packer_add(packer, "state/step", HN_PACK_U64, 1, &one, &state->step);
    hn_packer_add_text(packer, "state/optimizer", optimizer_names[state->kind]);
    hn_weighting_save(&state->weighting, packer);
    if (state->moments == 0) return;
    for (int32_t i = 0; i < hn_plan_params(state->plan); i++)
        save_param(state, hn_plan_param(state->plan, i), packer);
    for (int32_t t = 0; t < state->n_tables; t++) save_table(state, t, packer);
}

/* ---- Loading ----------------------------------------------------------------------------- */

static hn_status wrong_size(const hn_section *section, uint64_t expected, const hn_pack *pack,
                            hn_error *err) {
    return hn_fail(err, HN_BAD_DATA,
                   "%s: section \"%s\" has %llu bytes; expected %llu for this model",
                   hn_pack_path(pack), section->name, (unsigned long long)section->n_bytes,
                   (unsigned long long)expected);
}

/* The section with exactly n numbers, all finite. */
static hn_status find_numbers(const hn_real **out, hn_pack *pack, const char *name, size_t n,
                              hn_error *err) {
    const hn_section *section;
    HN_TRY(hn_pack_find(&section, pack, name, real_type, err));
    if (section->n_bytes != n * sizeof(hn_real))
        return wrong_size(section, n * sizeof(hn_real), pack, err);
    *out = section->bytes;
    if (!hn_all_finite((int64_t)n, *out))
        return hn_fail(err, HN_BAD_DATA, "%s: section \"%s\" has a number that is not finite",
                       hn_pack_path(pack), name);
    return HN_OK;
}

static hn_status load_param(hn_state *state, const hn_param_info *info, hn_pack *pack,
                            hn_error *err) {
    char name[NAME_BYTES];
    section_name(name, "param", info->name);
    const size_t n = count_of(info);
    const hn_real *numbers = NULL;
    HN_TRY(find_numbers(&numbers, pack, name, n * (size_t)state->moments, err));
    for (int32_t m = 0; m < state->moments; m++)
        memcpy(state->block + (size_t)m * state->leaf_count + info->offset, numbers + (size_t)m * n,
               n * sizeof(hn_real));
    return HN_OK;
}

static hn_status load_table(hn_state *state, int32_t t, hn_pack *pack, hn_error *err) {
    const hn_table *const table = &state->of[t];
    char name[NAME_BYTES];
    section_name(name, "table", table->name);
    const size_t n = (size_t)table->rows * (size_t)table->width * (size_t)state->moments;
    const hn_real *numbers = NULL;
    HN_TRY(find_numbers(&numbers, pack, name, n, err));
    memcpy(state->tables[t], numbers, n * sizeof(hn_real));
    return HN_OK;
}

static hn_status find_optimizer(const hn_section **out, bool *same, const hn_state *state,
                                hn_pack *pack, hn_error *err) {
    *same = false;
    HN_TRY(hn_pack_find(out, pack, "state/optimizer", HN_PACK_BYTES, err));
    const char *const expected = optimizer_names[state->kind];
    *same = (*out)->n_bytes == strlen(expected) &&
            memcmp((*out)->bytes, expected, strlen(expected)) == 0;
    return HN_OK;
}

static hn_status load_step(hn_state *state, hn_pack *pack, hn_error *err) {
    const hn_section *step;
    HN_TRY(hn_pack_find(&step, pack, "state/step", HN_PACK_U64, err));
    if (step->n_bytes != sizeof state->step) return wrong_size(step, sizeof state->step, pack, err);
    memcpy(&state->step, step->bytes, sizeof state->step);
    return HN_OK;
}

hn_status hn_state_load(hn_state *state, hn_pack *pack, hn_error *err) {
    const hn_section *found;
    bool same;
    HN_TRY(find_optimizer(&found, &same, state, pack, err));
    if (!same)
        return hn_fail(err, HN_BAD_DATA,
                       "%s: found the state of optimizer \"%.*s\"; expected \"%s\"",
                       hn_pack_path(pack), (int)found->n_bytes, (const char *)found->bytes,
                       optimizer_names[state->kind]);
    if (state->moments > 0) {
        for (int32_t i = 0; i < hn_plan_params(state->plan); i++)
            HN_TRY(load_param(state, hn_plan_param(state->plan, i), pack, err));
        for (int32_t t = 0; t < state->n_tables; t++) HN_TRY(load_table(state, t, pack, err));
    }
    HN_TRY(hn_weighting_load(&state->weighting, pack, err));
    return load_step(state, pack, err);
}

hn_status hn_state_matches(hn_state *state, hn_pack *pack, bool *out, hn_error *err) {
    const hn_section *found;
    *out = false;
    if (!hn_pack_has(pack, "state/step")) return HN_OK;
    HN_TRY(find_optimizer(&found, out, state, pack, err));
    return *out ? load_step(state, pack, err) : HN_OK;
}
