/* Single: M separate models that only share a file: every scenario has its own embedding
 * tables, MLP and towers, trained on its own rows. */
#include "model/blocks.h"

hn_value hn_model_single(hn_graph *graph, const hn_config_model *config) {
    const hn_value x = hn_block_input(graph, config, true);
    const hn_value h = hn_block_bank(graph, x,
                                     &(hn_bank){.name = "bottom",
                                                .units = &config->bottom_units,
                                                .n = 1,
                                                .by_scenario = true,
                                                .dropout = config->expert_dropout,
                                                .expert = config});
    return hn_block_tower(graph, config, h, HN_HEADS_OWN);
}
