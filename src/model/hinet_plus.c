/* HiNet+: HiNet with what later papers put on top, as chosen on validation data: its
 * equations are HiNet's, its options start otherwise (hn_model_check in config_model.c). */
#include "model/blocks.h"

hn_value hn_model_hinet_plus(hn_graph *graph, const hn_config_model *config) {
    return hn_model_hinet(graph, config);
}
