/* Cross-stitch networks (Misra et al., CVPR 2016): an MLP for each task; after each layer a
 * learned T × T matrix mixes what the tasks' layers found. Then a tower for each cell. */
#include <stdio.h>

#include "model/blocks.h"

/* α^l, the same for every row: [T × T]. */
static hn_value stitch(hn_graph *graph, const char *name, double diagonal) {
    const int32_t tasks = hn_graph_tasks(graph);
    double start[HN_TASKS_MAX * HN_TASKS_MAX];
    for (int32_t i = 0; i < tasks * tasks; i++)
        start[i] = i % (tasks + 1) == 0 ? diagonal : (1 - diagonal) / (tasks - 1);
    return hn_pick(graph, hn_param_value(graph, name, 1, 1, tasks, tasks, start));
}

/* h_t = Σ_s α[t][s] · a_s */
static hn_value mix(hn_graph *graph, hn_value alpha, hn_value a) {
    const int32_t tasks = hn_graph_tasks(graph);
    int32_t index[HN_TASKS_MAX * HN_TASKS_MAX];
    for (int32_t i = 0; i < tasks * tasks; i++) index[i] = i % tasks;
    return hn_mix(graph, alpha, a, index);
}

hn_value hn_model_cross_stitch(hn_graph *graph, const hn_config_model *config) {
    const int32_t tasks = hn_graph_tasks(graph);
    hn_value h = hn_block_input(graph, config, false);
    const hn_bank bottom = {.name = "bottom",
                            .units = &config->bottom_units,
                            .n = tasks,
                            .dropout = config->expert_dropout,
                            .expert = config};
    for (int32_t l = 0; l < config->bottom_units.n; l++) {
        char name[24];
        snprintf(name, sizeof name, "stitch.%d", l + 1);
        h = hn_block_bank_layer(graph, h, &bottom, l);
        if (tasks > 1) h = mix(graph, stitch(graph, name, config->stitch_diagonal), h);
    }
    return hn_block_tower(graph, config, h, HN_HEADS_OWN);
}
