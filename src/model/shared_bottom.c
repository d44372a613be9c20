/* Shared-bottom: one MLP for all scenarios and tasks, one tower for each cell. */
#include "model/blocks.h"

hn_value hn_model_shared_bottom(hn_graph *graph, const hn_config_model *config) {
    const hn_value x = hn_block_input(graph, config, false);
    const hn_value h = hn_block_bank(graph, x,
                                     &(hn_bank){.name = "bottom",
                                                .units = &config->bottom_units,
                                                .n = 1,
                                                .dropout = config->expert_dropout,
                                                .expert = config});
    return hn_block_tower(graph, config, h, HN_HEADS_OWN);
}
