/* PLE (Tang et al., RecSys 2020): levels of CGC over all cells, then a tower for each. */
#include "model/blocks.h"

hn_value hn_model_ple(hn_graph *graph, const hn_config_model *config) {
    const hn_value x = hn_block_input(graph, config, false);
    const hn_value h = hn_block_cgc(graph, config, x, true, HN_HEADS_OWN);
    return hn_block_tower(graph, config, h, HN_HEADS_OWN);
}
