/* STAR (Sheng et al., CIKM 2021): a star of networks, in which every weight is the product of
 * one that all scenarios share and one of the row's own; the input's normalisation likewise.
 * An auxiliary net tells the scenarios apart. Normalisation is by row, where the paper's is by
 * scenario and batch: so a row's bits depend on the row alone. */
#include <stdio.h>

#include "model/blocks.h"

/* "tower.scenario.w1" */
static const char *name_of(char *buffer, size_t n, const hn_layer *layer, const char *kind) {
    snprintf(buffer, n, "%s.%s%s", layer->name, kind, layer->suffix);
    return buffer;
}

/* act(h · (W_i ⊙ W) + (b_i + b)) */
static hn_value star_layer(hn_graph *graph, hn_value h, const hn_layer *layer) {
    const hn_shape in = hn_value_shape(graph, h);
    const int32_t m = hn_graph_scenarios(graph), n = layer->n, cols = layer->cols;
    if (!hn_block_fits(graph, layer->name, (double)m * in.cols * in.groups * n * cols))
        return HN_NONE;
    char name[96];
    const hn_value w = hn_param(graph, name_of(name, sizeof name, layer, "w"), in.groups, in.cols,
                                n, cols, HN_INIT_XAVIER);
    const hn_value b = hn_param(graph, name_of(name, sizeof name, layer, "b"), 1, 1, in.groups * n,
                                cols, HN_INIT_ZERO);
    const hn_value w_i = hn_param(graph, name_of(name, sizeof name, layer, "scenario.w"),
                                  m * in.groups, in.cols, n, cols, HN_INIT_ONE);
    const hn_value b_i = hn_param(graph, name_of(name, sizeof name, layer, "scenario.b"), 1, m,
                                  in.groups * n, cols, HN_INIT_ZERO);
    const hn_value y = hn_linear_scenario(graph, h, hn_product_of(graph, w_i, w),
                                          hn_sum_of(graph, b_i, b), layer->act);
    return hn_reshape(graph, y, in.groups * n, cols);
}

static hn_value star_bank(hn_graph *graph, hn_value h, const hn_bank *bank) {
    const bool plain = !bank->expert || hn_block_plain_experts(bank->expert);
    for (int32_t l = 0; l < bank->units->n; l++) {
        char suffix[12];
        snprintf(suffix, sizeof suffix, "%d", l + 1);
        const hn_layer layer = {.name = bank->name,
                                .suffix = suffix,
                                .n = l ? 1 : bank->n,
                                .cols = bank->units->units[l],
                                .act = plain ? HN_ACT_RELU : HN_ACT_NONE};
        h = star_layer(graph, h, &layer);
        if (!plain) h = hn_block_expert(graph, bank->expert, h, &layer);
        h = hn_dropout(graph, h, bank->dropout);
    }
    return h;
}

/* x̂ = norm(x) ⊙ (γ_i ⊙ γ) + (β_i + β) */
static hn_value star_norm(hn_graph *graph, hn_value x) {
    const int32_t m = hn_graph_scenarios(graph), d = hn_value_shape(graph, x).cols;
    const hn_value gain = hn_param(graph, "norm.gain", 1, 1, 1, d, HN_INIT_ONE);
    const hn_value bias = hn_param(graph, "norm.bias", 1, 1, 1, d, HN_INIT_ZERO);
    const hn_value gain_i = hn_param(graph, "norm.scenario.gain", 1, m, 1, d, HN_INIT_ONE);
    const hn_value bias_i = hn_param(graph, "norm.scenario.bias", 1, m, 1, d, HN_INIT_ZERO);
    const hn_value scaled = hn_product_of(graph, hn_norm(graph, x, HN_NONE, HN_NONE),
                                          hn_pick(graph, hn_product_of(graph, gain_i, gain)));
    return hn_sum_of(graph, scaled, hn_pick(graph, hn_sum_of(graph, bias_i, bias)));
}

/* A small MLP that is told the scenario: one number for each task. */
static hn_value auxiliary(hn_graph *graph, const hn_config_model *config, hn_value x) {
    const hn_value input = hn_concat(graph, (hn_value[]){x, hn_block_scenario(graph, config)}, 2);
    const hn_value a = hn_block_bank(graph, input,
                                     &(hn_bank){.name = "auxiliary",
                                                .units = &config->auxiliary_units,
                                                .n = 1,
                                                .dropout = config->expert_dropout});
    return hn_block_layer(
        graph, a,
        &(hn_layer){.name = "auxiliary.out", .suffix = "", .n = hn_graph_tasks(graph), .cols = 1});
}

hn_value hn_model_star(hn_graph *graph, const hn_config_model *config) {
    const int32_t tasks = hn_graph_tasks(graph);
    const hn_value x = hn_block_input(graph, config, false);
    hn_value h = star_bank(graph, star_norm(graph, x),
                           &(hn_bank){.name = "bottom",
                                      .units = &config->bottom_units,
                                      .n = 1,
                                      .dropout = config->expert_dropout,
                                      .expert = config});
    h = star_bank(graph, h, &(hn_bank){.name = "tower", .units = &config->tower_units, .n = tasks});
    const int32_t n = config->tower_units.n ? 1 : tasks;
    const hn_value logits =
        star_layer(graph, h, &(hn_layer){.name = "tower.out", .suffix = "", .n = n, .cols = 1});
    return hn_sum_of(graph, logits, auxiliary(graph, config, x));
}
