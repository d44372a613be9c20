/* MMoE (Ma et al., KDD 2018): experts shared by all cells; each cell has a gate over them
 * and a tower. */
#include "model/blocks.h"

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
    return hn_block_mix(graph, g, q); /* h_ij = Σ_k softmax(W_ij x + b_ij)_k · Q_k(x) */
}

hn_value hn_model_mmoe(hn_graph *graph, const hn_config_model *config) {
    const hn_value x = hn_block_input(graph, config, false);
    return hn_block_tower(graph, config, hn_block_mmoe(graph, config, x, HN_HEADS_OWN),
                          HN_HEADS_OWN);
}
