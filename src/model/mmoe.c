/* MMoE (Ma et al., KDD 2018): experts shared by all cells; each cell has a gate over them
 * and a tower. */
#include "base/memory.h"
#include "model/blocks.h"

/* Every head mixes all the experts. */
static hn_value mix(hn_graph *graph, hn_value gate, hn_value experts) {
    const hn_shape shape = hn_value_shape(graph, gate);
    const int32_t n = shape.groups * shape.cols;
    int32_t *index = hn_alloc((size_t)n, sizeof *index);
    if (!index) return hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
    for (int32_t i = 0; i < n; i++) index[i] = i % shape.cols;
    const hn_value mixed = hn_mix(graph, gate, experts, index);
    hn_free(index);
    return mixed;
}

hn_value hn_block_mmoe(hn_graph *graph, const hn_config_model *config, hn_value x, hn_heads heads) {
    const hn_value q = hn_block_bank(graph, x,
                                     &(hn_bank){.name = "experts",
                                                .units = &config->expert_units,
                                                .n = config->experts,
                                                .dropout = config->expert_dropout,
                                                .expert = config});
    const hn_value g = hn_block_gate(graph, x,
                                     &(hn_gate){.name = "experts.gate",
                                                .title = "task",
                                                .n = hn_heads_count(graph, heads),
                                                .experts = config->experts,
                                                .by_scenario = heads == HN_HEADS_OWN});
    return mix(graph, g, q); /* h_ij = Σ_k softmax(W_ij x + b_ij)_k · Q_k(x) */
}

hn_value hn_model_mmoe(hn_graph *graph, const hn_config_model *config) {
    const hn_value x = hn_block_input(graph, config, false);
    return hn_block_tower(graph, config, hn_block_mmoe(graph, config, x, HN_HEADS_OWN),
                          HN_HEADS_OWN);
}
