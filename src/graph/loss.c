/* The loss: weighted binary cross-entropy of the logits, and the model's penalties v,
 *   L = Σ scale[cell] · w · (BCE(σ(z), y) + Σ weight · v),
 *   BCE = log(1 + e^z) - y·z,  dz = scale·w·(σ(z) - y),  dv = scale·w·weight
 * over present labels of the row's own scenario. With all_heads (the official script) every
 * head of every scenario counts for every row; other scenarios' and absent labels are 0. */
#include <string.h>

#include "graph/ops.h"

static void cell(hn_real z, double y, double weight, double scale, double *loss, hn_real *dz) {
    *loss += weight * ((double)hn_softplus(z) - y * (double)z);
    *dz = (hn_real)(scale * weight * ((double)hn_sigmoid(z) - y));
}

static void own_heads(const hn_context *context, hn_view z, hn_view dz, const double *scale,
                      double *loss) {
    const hn_rows *rows = context->rows;
    const int32_t tasks = context->plan->graph->layout.tasks;
    for (int32_t r = 0; r < context->n; r++) {
        const int64_t row = context->first + r;
        const double weight = rows->weights ? (double)rows->weights[row] : 1;
        const int32_t base = rows->scenario[row] * tasks;
        for (int32_t t = 0; t < tasks; t++) {
            const uint8_t label = rows->labels[row * tasks + t];
            hn_real *to = &dz.at[r * dz.ld + t];
            *to = 0;
            if (label != HN_LABEL_ABSENT)
                cell(z.at[r * z.ld + t], label, weight, scale[base + t], &loss[base + t], to);
        }
    }
}

static void all_heads(const hn_context *context, hn_view z, hn_view dz, const double *scale,
                      double *loss) {
    const hn_rows *rows = context->rows;
    const int32_t tasks = context->plan->graph->layout.tasks;
    for (int32_t r = 0; r < context->n; r++) {
        const int64_t row = context->first + r;
        const double weight = rows->weights ? (double)rows->weights[row] : 1;
        const int32_t base = rows->scenario[row] * tasks;
        for (int32_t h = 0; h < z.width; h++) {
            const bool own = h >= base && h < base + tasks;
            const double y = own && rows->labels[row * tasks + h - base] == 1 ? 1 : 0;
            cell(z.at[r * z.ld + h], y, weight, scale[h], &loss[h], &dz.at[r * dz.ld + h]);
        }
    }
}

/* v has a number for each head, like the logits. */
static void penalize(hn_context *context, const hn_penalized *penalty, const double *scale,
                     double *loss) {
    const hn_rows *rows = context->rows;
    const int32_t tasks = context->plan->graph->layout.tasks;
    const bool every = context->plan->graph->all_heads;
    const hn_view v = hn_at(context, penalty->value),
                  dv = hn_grad_in(context, penalty->value, -1, NULL);
    for (int32_t r = 0; r < context->n; r++) {
        const int64_t row = context->first + r;
        const double weight = penalty->weight * (rows->weights ? (double)rows->weights[row] : 1);
        for (int32_t h = 0; h < v.width; h++) {
            const int32_t cell = every ? h : rows->scenario[row] * tasks + h;
            if (!every && rows->labels[row * tasks + h] == HN_LABEL_ABSENT) continue;
            loss[cell] += weight * (double)v.at[r * v.ld + h];
            if (dv.at) dv.at[r * dv.ld + h] += (hn_real)(scale[cell] * weight);
        }
    }
}

void hn_loss_backward(hn_context *context, const double *scale, double *loss) {
    const int32_t logits = context->plan->graph->logits;
    bool fresh;
    const hn_view z = hn_at(context, logits), dz = hn_grad_in(context, logits, -1, &fresh);
    if (!dz.at) return;
    if (context->plan->graph->all_heads)
        all_heads(context, z, dz, scale, loss);
    else
        own_heads(context, z, dz, scale, loss);
    const hn_graph *graph = context->plan->graph;
    for (size_t i = 0; i < graph->n_penalties; i++)
        penalize(context, &graph->penalties[i], scale, loss);
}
