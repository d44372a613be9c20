/* Parameters in a pack. Shapes are compared before anything is read; numbers of the other
 * precision are converted; none may be infinite or not a number. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/model.h"

#ifdef HN_DOUBLE
static const hn_pack_type REAL_TYPE = HN_PACK_F64;
#else
static const hn_pack_type REAL_TYPE = HN_PACK_F32;
#endif

enum { NAME_BYTES = 1100 };

/* A tensor of the model and where its numbers live (NULL before there are any). */
typedef struct tensor {
    char name[NAME_BYTES]; /* of its section */
    int32_t dims;
    uint64_t dim[HN_PACK_DIMS];
    hn_real *numbers;
} tensor;

static void name_param(tensor *out, const hn_param_info *info) {
    const uint64_t dim[] = {(uint64_t)info->batch, (uint64_t)info->rows, (uint64_t)info->groups,
                            (uint64_t)info->cols};
    snprintf(out->name, sizeof out->name, "param/%s", info->name);
    out->dims = 4;
    memcpy(out->dim, dim, sizeof dim);
    out->numbers = NULL;
}

static void name_table(tensor *out, const hn_layout *layout, bool per_scenario, int32_t t) {
    const hn_embedding *table = &layout->tables[t];
    snprintf(out->name, sizeof out->name, "table/%s", table->name);
    out->dims = 2;
    out->dim[0] = (uint64_t)table->rows * (per_scenario ? (uint64_t)layout->scenarios : 1);
    out->dim[1] = (uint64_t)table->width;
    out->numbers = NULL;
}

/* The i-th tensor of a model with numbers: parameters, then tables. */
static int32_t tensors(const hn_plan *plan) {
    return hn_plan_params(plan) + hn_plan_layout(plan)->n_tables;
}

static void tensor_at(tensor *out, const hn_plan *plan, const hn_params *params, int32_t i) {
    const int32_t n = hn_plan_params(plan);
    if (i < n) {
        name_param(out, hn_plan_param(plan, i));
        out->numbers = params->block + hn_plan_param(plan, i)->offset;
    } else {
        name_table(out, hn_plan_layout(plan), hn_plan_per_scenario(plan), i - n);
        out->numbers = params->tables[i - n].numbers;
    }
}

static uint64_t count_of(const tensor *t) {
    uint64_t count = 1;
    for (int32_t i = 0; i < t->dims; i++) count *= t->dim[i];
    return count;
}

void hn_params_save(const hn_params *params, const hn_plan *plan, hn_packer *packer) {
    for (int32_t i = 0; i < tensors(plan); i++) {
        tensor t;
        tensor_at(&t, plan, params, i);
        hn_packer_add(packer, t.name, REAL_TYPE, t.dims, t.dim, t.numbers);
    }
}

/* ---- Loading ------------------------------------------------------------------------- */

static const hn_section *section_named(const hn_pack *pack, const char *name) {
    for (size_t i = 0; i < hn_pack_sections(pack); i++)
        if (strcmp(hn_pack_section(pack, i)->name, name) == 0) return hn_pack_section(pack, i);
    return NULL;
}

static const char *shape_text(char *buffer, size_t n, int32_t dims, const uint64_t *dim) {
    size_t used = 0;
    buffer[0] = 0;
    for (int32_t i = 0; i < dims && used < n; i++)
        used += (size_t)snprintf(buffer + used, n - used, "%s%" PRIu64, i ? " × " : "", dim[i]);
    return buffer;
}

static hn_status match(const tensor *t, const hn_pack *pack, hn_error *err) {
    const hn_section *section = section_named(pack, t->name);
    if (!section)
        return hn_fail(
            err, HN_BAD_DATA,
            "%s: has no section \"%s\", which its model needs; is it a bundle of this model?",
            hn_pack_path(pack), t->name);
    if (section->type != HN_PACK_F32 && section->type != HN_PACK_F64)
        return hn_fail(err, HN_BAD_DATA, "%s: section \"%s\" is not of float32 or float64 numbers",
                       hn_pack_path(pack), t->name);
    if (section->dims == t->dims &&
        memcmp(section->dim, t->dim, (size_t)t->dims * sizeof *t->dim) == 0)
        return HN_OK;
    char found[100], expected[100];
    return hn_fail(
        err, HN_BAD_DATA, "%s: section \"%s\" has the shape %s; the model of its config has %s",
        hn_pack_path(pack), t->name, shape_text(found, sizeof found, section->dims, section->dim),
        shape_text(expected, sizeof expected, t->dims, t->dim));
}

/* No tensor beyond the model's: config and numbers belong together. */
static hn_status no_stranger(const hn_graph *graph, const hn_pack *pack, hn_error *err) {
    for (size_t i = 0; i < hn_pack_sections(pack); i++) {
        const char *name = hn_pack_section(pack, i)->name;
        if (strncmp(name, "param/", 6) != 0) continue;
        bool known = false;
        hn_param_info info;
        for (int32_t k = 0; !known && hn_graph_param(&info, graph, k); k++)
            known = strcmp(info.name, name + 6) == 0;
        if (!known)
            return hn_fail(err, HN_BAD_DATA,
                           "%s: section \"%s\" belongs to no tensor of the model of its config",
                           hn_pack_path(pack), name);
    }
    return HN_OK;
}

hn_status hn_params_match(const hn_graph *graph, const hn_pack *pack, hn_error *err) {
    const hn_layout *layout = hn_graph_layout(graph);
    hn_param_info info;
    tensor t;
    for (int32_t i = 0; hn_graph_param(&info, graph, i); i++) {
        name_param(&t, &info);
        HN_TRY(match(&t, pack, err));
    }
    for (int32_t i = 0; i < layout->n_tables; i++) {
        name_table(&t, layout, hn_graph_per_scenario(graph), i);
        HN_TRY(match(&t, pack, err));
    }
    return no_stranger(graph, pack, err);
}

static void convert(hn_real *to, const hn_section *from, uint64_t count) {
    if (from->type == REAL_TYPE) {
        memcpy(to, from->bytes, count * sizeof *to);
    } else if (from->type == HN_PACK_F32) {
        const float *numbers = from->bytes;
        for (uint64_t i = 0; i < count; i++) to[i] = (hn_real)numbers[i];
    } else {
        const double *numbers = from->bytes;
        for (uint64_t i = 0; i < count; i++) to[i] = (hn_real)numbers[i];
    }
}

static hn_status load_tensor(const tensor *t, hn_pack *pack, hn_error *err) {
    const hn_section *section = section_named(pack, t->name);
    HN_TRY(hn_pack_find(&section, pack, t->name, section->type, err)); /* its checksum */
    const uint64_t count = count_of(t);
    convert(t->numbers, section, count);
    if (hn_all_finite((int64_t)count, t->numbers)) return HN_OK;
    uint64_t bad = 0;
    while (bad + 1 < count && isfinite(t->numbers[bad])) bad++;
    return hn_fail(err, HN_BAD_DATA,
                   "%s: number %" PRIu64 " of section \"%s\" is not finite in " HN_REAL_NAME
                   "; the model cannot be used",
                   hn_pack_path(pack), bad, t->name);
}

hn_status hn_params_load(hn_params *params, const hn_plan *plan, hn_pack *pack, hn_error *err) {
    HN_TRY(hn_params_match(hn_plan_graph(plan), pack, err));
    for (int32_t i = 0; i < tensors(plan); i++) {
        tensor t;
        tensor_at(&t, plan, params, i);
        HN_TRY(load_tensor(&t, pack, err));
    }
    return HN_OK;
}
