/* PEPNet (Chang et al., KDD 2023): what is personal enters as gates. EPNet scales the input by
 * the scenario, PPNet every tower layer by user, item and scenario. Gates read the shared
 * network's values without a gradient, so that they do not disturb what they read. */
#include <stdio.h>

#include "model/blocks.h"

/* 2·sigmoid(h·W₂ + b₂) of a gate's hidden layer h: near 1 at the start. */
static hn_value open_gate(hn_graph *graph, hn_value h, const char *name, int32_t n, int32_t cols) {
    const hn_value y = hn_block_layer(
        graph, h,
        &(hn_layer){.name = name, .suffix = "2", .n = n, .cols = cols, .act = HN_ACT_SIGMOID});
    return hn_affine(graph, y, 2, 0);
}

/* ReLU(z·W₁ + b₁) of `n` gates that read the same z. */
static hn_value hidden(hn_graph *graph, const hn_config_model *config, hn_value z, const char *name,
                       int32_t n) {
    return hn_block_layer(
        graph, z,
        &(hn_layer){
            .name = name, .suffix = "1", .n = n, .cols = config->gate_width, .act = HN_ACT_RELU});
}

/* x′ = δ ⊙ x, δ from (x without gradient, e_i). */
static hn_value epnet(hn_graph *graph, const hn_config_model *config, hn_value x, hn_value e) {
    const hn_value z = hn_concat(graph, (hn_value[]){hn_stop(graph, x), e}, 2);
    const int32_t d = hn_value_shape(graph, x).cols;
    return hn_product_of(graph, x,
                         open_gate(graph, hidden(graph, config, z, "epnet", 1), "epnet", 1, d));
}

/* The columns of x that a side's inputs make, or none. */
static hn_value columns_of(hn_graph *graph, hn_value x, hn_side side) {
    const hn_layout *layout = hn_graph_layout(graph);
    int32_t first = layout->width, end = 0;
    for (int32_t i = 0; i < layout->n_inputs; i++) {
        const hn_input *input = &layout->inputs[i];
        if (input->side != side) continue;
        if (input->column < first) first = input->column;
        if (input->column + input->width > end) end = input->column + input->width;
    }
    if (first >= end) return HN_NONE;
    return hn_block_columns(graph, x, first, end - first);
}

/* z of PPNet: (what the shared network reads, without gradient; user; item; e_i). */
static hn_value personal(hn_graph *graph, hn_value x, hn_value read, hn_value e) {
    const hn_value user = columns_of(graph, x, HN_SIDE_USER),
                   item = columns_of(graph, x, HN_SIDE_ITEM);
    hn_value parts[4] = {hn_stop(graph, read)};
    int32_t n = 1;
    if (user.id >= 0) parts[n++] = user;
    if (item.id >= 0) parts[n++] = item;
    parts[n++] = e;
    return hn_concat(graph, parts, n);
}

/* δ ⊙ h, in the towers' layer number `l` from 1. */
static hn_value gated(hn_graph *graph, hn_value gates, hn_value h, int32_t l) {
    char name[24];
    snprintf(name, sizeof name, "ppnet.%d", l);
    const hn_shape shape = hn_value_shape(graph, h);
    const hn_value delta =
        open_gate(graph, hn_groups(graph, gates, l - 1, 1), name, shape.groups, shape.cols);
    return hn_product_of(graph, h, delta);
}

/* Towers of the row's own cells, each layer reading δ ⊙ h. */
static hn_value ppnet(hn_graph *graph, const hn_config_model *config, hn_value h, hn_value z) {
    const hn_units *units = &config->tower_units;
    const hn_value gates = hidden(graph, config, z, "ppnet", units->n + 1);
    for (int32_t l = 1; l <= units->n; l++) {
        char suffix[12];
        snprintf(suffix, sizeof suffix, "%d", l);
        h = hn_block_layer(graph, gated(graph, gates, h, l),
                           &(hn_layer){.name = "tower",
                                       .suffix = suffix,
                                       .n = 1,
                                       .cols = units->units[l - 1],
                                       .by_scenario = true,
                                       .act = HN_ACT_RELU});
    }
    return hn_block_layer(
        graph, gated(graph, gates, h, units->n + 1),
        &(hn_layer){.name = "tower.out", .suffix = "", .n = 1, .cols = 1, .by_scenario = true});
}

/* One h for each task. */
static hn_value for_each_task(hn_graph *graph, hn_value h) {
    const int32_t tasks = hn_graph_tasks(graph);
    hn_value copies[HN_TASKS_MAX];
    for (int32_t t = 0; t < tasks; t++) copies[t] = h;
    return hn_reshape(graph, hn_concat(graph, copies, tasks), tasks, hn_value_shape(graph, h).cols);
}

hn_value hn_model_pepnet(hn_graph *graph, const hn_config_model *config) {
    const hn_value x = hn_block_input(graph, config, false);
    const hn_value e = hn_block_scenario(graph, config);
    const hn_value scaled = epnet(graph, config, x, e);
    const hn_value h = hn_block_bank(graph, scaled,
                                     &(hn_bank){.name = "bottom",
                                                .units = &config->bottom_units,
                                                .n = 1,
                                                .dropout = config->expert_dropout,
                                                .expert = config});
    return ppnet(graph, config, for_each_task(graph, h), personal(graph, x, scaled, e));
}
