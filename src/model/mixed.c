/* Mixed: one model for all rows. The scenario is only a feature, an embedding e_i beside x;
 * heads are by task. */
#include "model/blocks.h"

hn_value hn_model_mixed(hn_graph *graph, const hn_config_model *config) {
    const hn_value x = hn_block_input(graph, config, false);
    const hn_value input =
        hn_concat(graph, (hn_value[]){x, hn_block_scenario(graph, config)}, 2); /* (x, e_i) */
    const hn_value h = hn_block_bank(graph, input,
                                     &(hn_bank){.name = "bottom",
                                                .units = &config->bottom_units,
                                                .n = 1,
                                                .dropout = config->expert_dropout,
                                                .expert = config});
    return hn_block_tower(graph, config, h, HN_HEADS_TASK);
}
