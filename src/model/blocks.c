/* The blocks that every model shares: input, layers, banks of experts, gates, towers. HiNet's
 * own are in scenario_layer.c and task_layer.c. Nothing is computed here: a block records
 * steps. */
#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "model/blocks.h"

/* More numbers than any machine holds; below it no product of dimensions overflows. */
static const double COUNT_MAX = 0x1p40;

int32_t hn_heads_count(const hn_graph *graph, hn_heads heads) {
    return hn_graph_tasks(graph) * (heads == HN_HEADS_ALL ? hn_graph_scenarios(graph) : 1);
}

/* x·γ/√1.001 + β: batch norm with its statistics frozen at mean 0, variance 1 */
static hn_value input_affine(hn_graph *graph, hn_value x) {
    const int32_t d = hn_value_shape(graph, x).cols;
    const hn_value gamma = hn_param(graph, "input.gamma", 1, 1, 1, d, HN_INIT_ONE);
    const hn_value beta = hn_param(graph, "input.beta", 1, 1, 1, d, HN_INIT_ZERO);
    const hn_value normal = hn_affine(graph, x, 1 / sqrt(1.001), 0);
    return hn_sum_of(graph, hn_product_of(graph, normal, gamma), beta);
}

hn_value hn_block_input(hn_graph *graph, const hn_config_model *config, bool per_scenario) {
    hn_value x = hn_dropout(graph, hn_input_x(graph, per_scenario), config->embedding_dropout);
    if (config->compat.input_affine) x = input_affine(graph, x);
    hn_graph_set_x(graph, x);
    if (config->pairs != HN_PAIRS_INPUT) return x;
    return hn_concat(graph, (hn_value[]){x, hn_block_pairs(graph)}, 2);
}

bool hn_block_fits(hn_graph *graph, const char *name, double weights) {
    if (weights <= COUNT_MAX) return true;
    hn_graph_fail(graph, HN_NO_MEMORY,
                  "%s: a layer of %g weights is more than memory holds; make it narrower", name,
                  weights);
    return false;
}

hn_value hn_block_scenario(hn_graph *graph, const hn_config_model *config) {
    return hn_pick(graph, hn_param(graph, "scenario.e", 1, hn_graph_scenarios(graph), 1,
                                   config->scenario_width, HN_INIT_NORMAL));
}

hn_value hn_block_layer(hn_graph *graph, hn_value x, const hn_layer *layer) {
    const hn_shape in = hn_value_shape(graph, x);
    const double scenarios = layer->by_scenario ? hn_graph_scenarios(graph) : 1;
    const double out = (double)in.groups * layer->n * layer->cols;
    if (!hn_block_fits(graph, layer->name, scenarios * in.cols * out)) return HN_NONE;
    const int32_t s = (int32_t)scenarios;
    char w_name[96], b_name[96];
    snprintf(w_name, sizeof w_name, "%s.w%s", layer->name, layer->suffix);
    snprintf(b_name, sizeof b_name, "%s.b%s", layer->name, layer->suffix);
    const hn_value w =
        hn_param(graph, w_name, s * in.groups, in.cols, layer->n, layer->cols, HN_INIT_XAVIER);
    const hn_value b =
        hn_param(graph, b_name, 1, s, in.groups * layer->n, layer->cols, HN_INIT_ZERO);
    const hn_value y = layer->by_scenario ? hn_linear_scenario(graph, x, w, b, layer->act)
                                          : hn_linear(graph, x, w, b, layer->act);
    return hn_reshape(graph, y, in.groups * layer->n, layer->cols);
}

/* LN(z)⊙γ + β over the numbers of each group; γ and β by scenario where the layer is. */
static hn_value norm(hn_graph *graph, hn_value z, const hn_layer *layer) {
    const hn_shape shape = hn_value_shape(graph, z);
    const int32_t s = layer->by_scenario ? hn_graph_scenarios(graph) : 1;
    char name[96];
    snprintf(name, sizeof name, "%s.gamma%s", layer->name, layer->suffix);
    hn_value gamma = hn_param(graph, name, 1, s, shape.groups, shape.cols, HN_INIT_ONE);
    snprintf(name, sizeof name, "%s.beta%s", layer->name, layer->suffix);
    hn_value beta = hn_param(graph, name, 1, s, shape.groups, shape.cols, HN_INIT_ZERO);
    if (layer->by_scenario) {
        gamma = hn_pick(graph, gamma);
        beta = hn_pick(graph, beta);
    }
    return hn_norm(graph, z, gamma, beta);
}

hn_value hn_block_expert(hn_graph *graph, const hn_config_model *config, hn_value z,
                         const hn_layer *layer) {
    static const hn_act acts[] = {[HN_ACTIVATION_RELU] = HN_ACT_RELU,
                                  [HN_ACTIVATION_SILU] = HN_ACT_SILU,
                                  [HN_ACTIVATION_GELU] = HN_ACT_GELU};
    if (config->expert_norm) z = norm(graph, z, layer);
    return hn_activate(graph, z, acts[config->activation]);
}

bool hn_block_plain_experts(const hn_config_model *config) {
    return !config->expert_norm && config->activation == HN_ACTIVATION_RELU;
}

hn_value hn_block_bank_layer(hn_graph *graph, hn_value x, const hn_bank *bank, int32_t k) {
    char suffix[12];
    snprintf(suffix, sizeof suffix, "%d", k + 1);
    const bool plain = !bank->expert || hn_block_plain_experts(bank->expert);
    const hn_layer layer = {.name = bank->name,
                            .suffix = suffix,
                            .n = k ? 1 : bank->n,
                            .cols = bank->units->units[k],
                            .by_scenario = bank->by_scenario,
                            .act = plain ? HN_ACT_RELU : HN_ACT_NONE};
    x = hn_block_layer(graph, x, &layer);
    if (!plain) x = hn_block_expert(graph, bank->expert, x, &layer);
    return hn_dropout(graph, x, bank->dropout);
}

hn_value hn_block_bank(hn_graph *graph, hn_value x, const hn_bank *bank) {
    for (int32_t k = 0; k < bank->units->n; k++) x = hn_block_bank_layer(graph, x, bank, k);
    return x;
}

hn_value hn_block_gate(hn_graph *graph, hn_value x, const hn_gate *gate) {
    hn_value g = hn_block_layer(graph, x,
                                &(hn_layer){.name = gate->name,
                                            .suffix = "",
                                            .n = gate->n,
                                            .cols = gate->experts,
                                            .by_scenario = gate->by_scenario,
                                            .act = gate->relu ? HN_ACT_RELU : HN_ACT_NONE});
    const hn_shape shape = hn_value_shape(graph, g);
    if (gate->ones) g = hn_reshape(graph, g, shape.groups * shape.cols, 1);
    g = hn_softmax_of(graph, g, NULL);
    if (gate->ones) g = hn_reshape(graph, g, shape.groups, shape.cols);
    if (gate->title) {
        char title[96];
        snprintf(title, sizeof title, "gate.%s", gate->title);
        hn_name(graph, g, title);
    }
    return g;
}

hn_value hn_block_mix(hn_graph *graph, hn_value gate, hn_value experts) {
    const hn_shape shape = hn_value_shape(graph, gate);
    const size_t n = (size_t)shape.groups * (size_t)shape.cols;
    int32_t *index = hn_alloc(n, sizeof *index);
    if (!index) return hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
    for (size_t i = 0; i < n; i++) index[i] = (int32_t)(i % (size_t)shape.cols);
    const hn_value mixed = hn_mix(graph, gate, experts, index);
    hn_free(index);
    return mixed;
}

hn_value hn_block_tower(hn_graph *graph, const hn_config_model *config, hn_value x,
                        hn_heads heads) {
    const int32_t count = hn_heads_count(graph, heads), groups = hn_value_shape(graph, x).groups;
    const bool own = heads == HN_HEADS_OWN, first = config->tower_units.n == 0;
    const int32_t n = groups == count ? 1 : count;
    const bool gated = config->tower_gate > 0 && !first;
    const hn_bank layers = {
        .name = "tower", .units = &config->tower_units, .n = n, .by_scenario = own};
    const hn_value z = gated ? hn_block_prior(graph, config) : HN_NONE;
    hn_value h = x;
    for (int32_t k = 0; k < config->tower_units.n; k++) {
        h = hn_block_bank_layer(graph, h, &layers, k);
        if (gated) h = hn_block_tower_gate(graph, config, h, z, k + 1);
    }
    return hn_block_layer(
        graph, h,
        &(hn_layer){
            .name = "tower.out", .suffix = "", .n = first ? n : 1, .cols = 1, .by_scenario = own});
}
