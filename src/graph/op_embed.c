/* embed: x = the embeddings and values of a row's inputs, one after another. Rows of one request
 * take the user's and the context's part from the first of them. Its backward
 * is not here: tables have no dense gradient; a session hands dx to its caller, who merges
 * the rows of equal ids (hn_plan_table_row). */
#include <string.h>

#include "graph/ops.h"

uint64_t hn_plan_table_row(const hn_plan *plan, const hn_input *input, uint32_t id,
                           int32_t scenario) {
    if (!plan->graph->per_scenario) return id;
    return (uint64_t)scenario * plan->graph->layout.tables[input->table].rows + id;
}

static const hn_real *table_row(const hn_context *context, const hn_input *input, uint32_t id,
                                int32_t scenario) {
    const hn_table *table = &context->params->tables[input->table];
    return table->numbers +
           hn_plan_table_row(context->plan, input, id, scenario) * (uint64_t)table->width;
}

/* Mean or sum of a list's embeddings, in list order; an empty list is 0. */
static void pool_list(const hn_context *context, const hn_input *input, int32_t row, hn_real *to) {
    const hn_rows *rows = context->rows;
    const int64_t at = (int64_t)row * context->plan->graph->layout.lists + input->slot;
    const uint32_t begin = rows->list_begin[at], end = rows->list_begin[at + 1];
    memset(to, 0, (size_t)input->width * sizeof *to);
    for (uint32_t i = begin; i < end; i++)
        hn_add(input->width, table_row(context, input, rows->list_ids[i], rows->scenario[row]), to);
    if (input->pooling == HN_POOL_MEAN && end - begin > 1) {
        const hn_real scale = 1 / (hn_real)(end - begin);
        for (int32_t c = 0; c < input->width; c++) to[c] *= scale;
    }
}

static void prefetch_row(const hn_context *context, int32_t row, int32_t from) {
    const hn_layout *layout = &context->plan->graph->layout;
    for (int32_t i = from; i < layout->n_inputs; i++) {
        const hn_input *input = &layout->inputs[i];
        if (input->kind == HN_INPUT_ID)
            __builtin_prefetch(table_row(
                context, input, context->rows->ids[(int64_t)row * layout->ids + input->slot],
                context->rows->scenario[row]));
    }
}

/* Inputs from the `from`th on. */
static void embed_row(const hn_context *context, int32_t row, int32_t from, hn_real *x) {
    const hn_layout *layout = &context->plan->graph->layout;
    const hn_rows *rows = context->rows;
    for (int32_t i = from; i < layout->n_inputs; i++) {
        const hn_input *input = &layout->inputs[i];
        hn_real *to = x + input->column;
        if (input->kind == HN_INPUT_VALUE)
            *to = (hn_real)rows->values[(int64_t)row * layout->values + input->slot];
        else if (input->kind == HN_INPUT_LIST)
            pool_list(context, input, row, to);
        else
            memcpy(to,
                   table_row(context, input, rows->ids[(int64_t)row * layout->ids + input->slot],
                             rows->scenario[row]),
                   (size_t)input->width * sizeof *to);
    }
}

/* The first input of the item; those before it make the shared columns. */
static int32_t first_of_item(const hn_layout *layout) {
    int32_t i = 0;
    while (i < layout->n_inputs && layout->inputs[i].column < layout->shared_width) i++;
    return i;
}

void hn_op_embed_forward(hn_context *context, int32_t step) {
    enum { AHEAD = 4 };
    const hn_view x = hn_at(context, hn_step_of(context, step)->out);
    const hn_layout *layout = &context->plan->graph->layout;
    const int32_t own = context->session->sharing ? first_of_item(layout) : 0;
    for (int32_t r = 0; r < context->n; r++) {
        hn_real *to = x.at + r * x.ld;
        if (r + AHEAD < context->n) prefetch_row(context, context->first + r + AHEAD, own);
        embed_row(context, context->first + r, r ? own : 0, to);
        if (r && own) memcpy(to, x.at, (size_t)layout->shared_width * sizeof *to);
    }
}

void hn_op_embed_backward(hn_context *context, int32_t step) {
    (void)context;
    (void)step;
}
