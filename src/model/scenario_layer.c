/* The blocks of HiNet's scenario extraction layer: sub-expert integration (SEI) and the
 * scenario-aware attentive network (SAN). hinet.c puts them together. */
#include <stdio.h>

#include "base/memory.h"
#include "model/blocks.h"

hn_value hn_block_sei(hn_graph *graph, const hn_config_model *config, const char *name, hn_value x,
                      int32_t n) {
    const int32_t experts = config->sei ? config->experts : 1,
                  groups = hn_value_shape(graph, x).groups;
    const double dropout = config->compat.sei_dropout ? 0.5 : config->expert_dropout;
    if ((double)groups * n * experts > INT32_MAX / 4)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "%s: %d × %d sub-experts are too many", name, n,
                             experts);
    /* Q_k(x) of every SEI */
    const hn_value q = hn_block_bank(graph, x,
                                     &(hn_bank){.name = name,
                                                .units = &config->expert_units,
                                                .n = n * experts,
                                                .dropout = dropout,
                                                .expert = config});
    if (!config->sei) return q;
    char gate[64];
    snprintf(gate, sizeof gate, "%s.gate", name);
    /* Σ_k softmax(Wx + b)_k · Q_k(x) */
    const hn_value g = hn_block_gate(graph, x,
                                     &(hn_gate){.name = gate,
                                                .title = name,
                                                .n = n,
                                                .experts = experts,
                                                .relu = config->compat.gate_relu});
    return hn_mix(graph, g, q, NULL);
}

static hn_value no_memory(hn_graph *graph) {
    return hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
}

/* [M][M], or [M·M] in one row: `own` where j = i, else `other`. */
static hn_value own_and_others(hn_graph *graph, double own, double other, bool flat) {
    const int32_t m = hn_graph_scenarios(graph);
    double *numbers = hn_alloc((size_t)m * (size_t)m, sizeof *numbers);
    if (!numbers) return no_memory(graph);
    for (int32_t i = 0; i < m * m; i++) numbers[i] = i / m == i % m ? own : other;
    const hn_value table = hn_constant(graph, flat ? 1 : m, flat ? m : 1, m, numbers);
    hn_free(numbers);
    return table;
}

/* ---- The table of scenarios ------------------------------------------------------------- */

/* l_i, from e_i: a linear map, or the script's MLP. */
static hn_value table_logits(hn_graph *graph, const hn_config_model *config, const char *name) {
    const int32_t m = hn_graph_scenarios(graph);
    char e_name[64];
    snprintf(e_name, sizeof e_name, "%s.e", name);
    const hn_value e = hn_param(graph, e_name, 1, m, 1, config->scenario_width, HN_INIT_NORMAL);
    const hn_units script = {.units = {128, 64, 1, m}, .n = 4};
    return config->compat.san_mlp
               ? hn_block_bank(graph, e, &(hn_bank){.name = name, .units = &script, .n = 1})
               : hn_block_layer(graph, e,
                                &(hn_layer){.name = name, .suffix = "", .n = 1, .cols = m});
}

/* a_i = softmax over j ≠ i of the logits of e_i */
static hn_value softmax_of_others(hn_graph *graph, hn_value logits) {
    const int32_t m = hn_graph_scenarios(graph);
    uint8_t *mask = hn_alloc((size_t)m * (size_t)m, 1);
    if (!mask) return no_memory(graph);
    for (int32_t i = 0; i < m * m; i++) mask[i] = i / m != i % m;
    const hn_value table = hn_softmax_of(graph, logits, mask);
    hn_free(mask);
    return table;
}

/* ---- The row's part ------------------------------------------------------------------------ */

/* A softmax leaves out what has this added to its logit: e^x is exactly 0. */
static const double LEFT_OUT = -1e9;

/* v: the columns of x of the side user (they come first), or all. */
static hn_value read_by_san(hn_graph *graph, const hn_config_model *config) {
    const hn_layout *layout = hn_graph_layout(graph);
    int32_t end = 0;
    for (int32_t i = 0; i < layout->n_inputs; i++)
        if (layout->inputs[i].side == HN_SIDE_USER) end += layout->inputs[i].width;
    const hn_value x = hn_graph_x(graph);
    if (config->san_input == HN_SAN_ROW) return x;
    if (end == 0)
        return hn_graph_fail(
            graph, HN_BAD_CONFIG,
            "model.san_input: found user, but no feature is of the side user; give "
            "one `side: user`, or use row or scenario");
    return hn_block_columns(graph, x, 0, end);
}

/* v·U, what the row adds to every scenario's logits. */
static hn_value row_logits(hn_graph *graph, const hn_config_model *config, const char *name) {
    const hn_value v = read_by_san(graph, config);
    char u_name[64];
    snprintf(u_name, sizeof u_name, "%s.x.w", name);
    const hn_value u = hn_param(graph, u_name, 1, hn_value_shape(graph, v).cols, 1,
                                hn_graph_scenarios(graph), HN_INIT_ZERO);
    return hn_linear(graph, v, u, HN_NONE, HN_ACT_NONE);
}

hn_san hn_block_san(hn_graph *graph, const hn_config_model *config, const char *name) {
    const hn_value logits = table_logits(graph, config, name);
    const bool all = config->compat.san_softmax_all; /* then the own weight is zeroed */
    hn_san san = {.table = logits, .row = HN_NONE};
    snprintf(san.name, sizeof san.name, "%s", name);
    if (config->san_input != HN_SAN_SCENARIO) {
        san.row = row_logits(graph, config, name);
        if (!all) san.table = hn_sum_of(graph, logits, own_and_others(graph, LEFT_OUT, 0, false));
        return san;
    }
    san.table = all ? hn_product_of(graph, hn_softmax_of(graph, logits, NULL),
                                    own_and_others(graph, 0, 1, false))
                    : softmax_of_others(graph, logits);
    hn_name(graph, san.table, name);
    return san;
}

/* ---- Attending ----------------------------------------------------------------------------- */

/* a of the row from its logits, [1 × M] or [M × M]; `others` is 0 for the own scenario. */
static hn_value weights_of(hn_graph *graph, const hn_config_model *config, const hn_san *san,
                           hn_value logits, hn_value others) {
    hn_value a = hn_softmax_of(graph, logits, NULL);
    if (config->compat.san_softmax_all) a = hn_product_of(graph, a, others);
    char title[32];
    snprintf(title, sizeof title, "gate.%s", san->name);
    hn_name(graph, a, title);
    return a;
}

/* A_i = Σ_j a_ij · S_j */
hn_value hn_block_attend(hn_graph *graph, const hn_config_model *config, const hn_san *san,
                         hn_value s) {
    hn_value a = hn_pick(graph, san->table);
    if (config->san_input != HN_SAN_SCENARIO)
        a = weights_of(graph, config, san, hn_sum_of(graph, a, san->row),
                       config->compat.san_softmax_all
                           ? hn_pick(graph, own_and_others(graph, 0, 1, false))
                           : HN_NONE);
    return hn_mix(graph, a, s, NULL);
}

/* A table's rows side by side, [1][M × M]. */
static hn_value flatten(hn_graph *graph, hn_value table, hn_value *rows, double *numbers) {
    const int32_t m = hn_graph_scenarios(graph);
    for (int32_t j = 0; j < m; j++) {
        for (int32_t k = 0; k < m; k++) numbers[k] = k == j;
        rows[j] =
            hn_linear(graph, hn_constant(graph, 1, 1, m, numbers), table, HN_NONE, HN_ACT_NONE);
    }
    return hn_reshape(graph, hn_concat(graph, rows, m), m, m);
}

/* The whole table for every row, [M × M]: as the weights of an input that is always 1. */
static hn_value spread_table(hn_graph *graph, hn_value flat, double *numbers) {
    const int32_t m = hn_graph_scenarios(graph);
    for (int32_t k = 0; k < m; k++) numbers[k] = 1;
    const hn_value one = hn_pick(graph, hn_constant(graph, m, 1, 1, numbers));
    return hn_linear(graph, one, flat, HN_NONE, HN_ACT_NONE);
}

/* a_j of every scenario j for the row: what the row adds is the same for each. */
static hn_value row_weights(hn_graph *graph, const hn_config_model *config, const hn_san *san,
                            hn_value flat, hn_value *rows) {
    const int32_t m = hn_graph_scenarios(graph);
    for (int32_t j = 0; j < m; j++) rows[j] = san->row;
    const hn_value every = hn_reshape(graph, hn_concat(graph, rows, m), m, m);
    return weights_of(graph, config, san, hn_sum_of(graph, every, flat),
                      own_and_others(graph, 0, 1, true));
}

hn_value hn_block_attend_all(hn_graph *graph, const hn_config_model *config, const hn_san *san,
                             hn_value s) {
    const int32_t m = hn_graph_scenarios(graph);
    hn_value *rows = hn_alloc((size_t)m, sizeof *rows);
    double *numbers = hn_alloc((size_t)m, sizeof *numbers);
    int32_t *index = hn_alloc((size_t)m * (size_t)m, sizeof *index);
    hn_value result;
    if (rows && numbers && index) {
        for (int32_t i = 0; i < m * m; i++) index[i] = i % m;
        const hn_value flat = flatten(graph, san->table, rows, numbers);
        const hn_value a = config->san_input == HN_SAN_SCENARIO
                               ? spread_table(graph, flat, numbers)
                               : row_weights(graph, config, san, flat, rows);
        result = hn_mix(graph, a, s, index);
    } else {
        result = no_memory(graph);
    }
    hn_free(rows);
    hn_free(numbers);
    hn_free(index);
    return result;
}
