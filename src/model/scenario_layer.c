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
    const hn_value q = hn_block_bank(
        graph, x,
        &(hn_bank){
            .name = name, .units = &config->expert_units, .n = n * experts, .dropout = dropout});
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

/* Row i has 1 everywhere but for column i; NULL on no memory. */
static uint8_t *others_of(int32_t n) {
    uint8_t *mask = hn_alloc((size_t)n * (size_t)n, 1);
    for (int32_t i = 0; mask && i < n * n; i++) mask[i] = i / n != i % n;
    return mask;
}

static hn_value no_memory(hn_graph *graph) {
    return hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
}

/* The script's form: softmax over all M, then the own weight is zeroed. */
static hn_value softmax_then_zero(hn_graph *graph, hn_value logits, const uint8_t *mask,
                                  int32_t n) {
    double *numbers = hn_alloc((size_t)n * (size_t)n, sizeof *numbers);
    if (!numbers) return no_memory(graph);
    for (int32_t i = 0; i < n * n; i++) numbers[i] = mask[i];
    const hn_value others = hn_constant(graph, n, 1, n, numbers);
    hn_free(numbers);
    return hn_product_of(graph, hn_softmax_of(graph, logits, NULL), others);
}

hn_value hn_block_san(hn_graph *graph, const hn_config_model *config, const char *name) {
    const int32_t m = hn_graph_scenarios(graph);
    char e_name[64];
    snprintf(e_name, sizeof e_name, "%s.e", name);
    const hn_value e = hn_param(graph, e_name, 1, m, 1, config->scenario_width, HN_INIT_NORMAL);
    const hn_units script = {.units = {128, 64, 1, m}, .n = 4};
    const hn_value logits =
        config->compat.san_mlp
            ? hn_block_bank(graph, e, &(hn_bank){.name = name, .units = &script, .n = 1})
            : hn_block_layer(graph, e, &(hn_layer){.name = name, .suffix = "", .n = 1, .cols = m});
    uint8_t *mask = others_of(m);
    if (!mask) return no_memory(graph);
    /* a_i = softmax over j ≠ i of the logits of e_i */
    const hn_value table = config->compat.san_softmax_all
                               ? softmax_then_zero(graph, logits, mask, m)
                               : hn_softmax_of(graph, logits, mask);
    hn_free(mask);
    hn_name(graph, table, name);
    return table;
}

hn_value hn_block_attend(hn_graph *graph, hn_value table, hn_value s) {
    return hn_mix(graph, hn_pick(graph, table), s, NULL); /* A_i = Σ_j a_ij · S_j */
}

/* The whole table for every row, [M × M]: its rows side by side as the weights of an input
 * that is always 1. */
static hn_value spread_table(hn_graph *graph, hn_value table, hn_value *rows, double *numbers) {
    const int32_t m = hn_graph_scenarios(graph);
    for (int32_t j = 0; j < m; j++) {
        for (int32_t k = 0; k < m; k++) numbers[k] = k == j;
        rows[j] =
            hn_linear(graph, hn_constant(graph, 1, 1, m, numbers), table, HN_NONE, HN_ACT_NONE);
    }
    for (int32_t k = 0; k < m; k++) numbers[k] = 1;
    const hn_value one = hn_pick(graph, hn_constant(graph, m, 1, 1, numbers));
    const hn_value flat = hn_reshape(graph, hn_concat(graph, rows, m), m, m);
    return hn_linear(graph, one, flat, HN_NONE, HN_ACT_NONE);
}

hn_value hn_block_attend_all(hn_graph *graph, hn_value table, hn_value s) {
    const int32_t m = hn_graph_scenarios(graph);
    hn_value *rows = hn_alloc((size_t)m, sizeof *rows);
    double *numbers = hn_alloc((size_t)m, sizeof *numbers);
    int32_t *index = hn_alloc((size_t)m * (size_t)m, sizeof *index);
    hn_value result;
    if (rows && numbers && index) {
        for (int32_t i = 0; i < m * m; i++) index[i] = i % m;
        result = hn_mix(graph, spread_table(graph, table, rows, numbers), s, index);
    } else {
        result = no_memory(graph);
    }
    hn_free(rows);
    hn_free(numbers);
    hn_free(index);
    return result;
}
