/* Deep copies of layouts: the one object of the shared language that owns memory. */
#include "base/rows.h"

#include <string.h>

#include "base/memory.h"

static bool copy_inputs(hn_layout *out, const hn_layout *layout) {
    const size_t n = (size_t)layout->n_inputs;
    out->inputs = hn_alloc_zero(n, sizeof *out->inputs);
    if (!out->inputs) return false;
    out->n_inputs = layout->n_inputs;
    for (size_t i = 0; i < n; i++) {
        const hn_input *const from = &layout->inputs[i];
        out->inputs[i] = *from;
        out->inputs[i].name = from->name ? hn_strdup(from->name) : NULL;
        if (from->name && !out->inputs[i].name) return false;
    }
    return true;
}

static bool copy_tables(hn_layout *out, const hn_layout *layout) {
    const size_t n = (size_t)layout->n_tables;
    out->tables = hn_alloc_zero(n, sizeof *out->tables);
    if (!out->tables) return false;
    out->n_tables = layout->n_tables;
    for (size_t i = 0; i < n; i++) {
        const hn_embedding *const from = &layout->tables[i];
        out->tables[i] = *from;
        out->tables[i].name = from->name ? hn_strdup(from->name) : NULL;
        if (from->name && !out->tables[i].name) return false;
    }
    return true;
}

hn_status hn_layout_copy(hn_layout *out, const hn_layout *layout, hn_error *err) {
    hn_layout copy = *layout;
    copy.inputs = NULL, copy.n_inputs = 0;
    copy.tables = NULL, copy.n_tables = 0;
    if (!copy_inputs(&copy, layout) || !copy_tables(&copy, layout)) {
        hn_layout_free(&copy);
        memset(out, 0, sizeof *out);
        return hn_no_memory(err, "a copy of the layout of rows");
    }
    *out = copy;
    return HN_OK;
}

void hn_layout_free(hn_layout *layout) {
    for (int32_t i = 0; layout->inputs && i < layout->n_inputs; i++)
        hn_free(layout->inputs[i].name);
    for (int32_t i = 0; layout->tables && i < layout->n_tables; i++)
        hn_free(layout->tables[i].name);
    hn_free(layout->inputs);
    hn_free(layout->tables);
    memset(layout, 0, sizeof *layout);
}
