/* HMoE (Li et al., CIKM 2020): MMoE's experts; every row gets the heads of all scenarios,
 * which its own cell weighs in label space. Heads learn from the rows of their own scenario
 * only. */
#include "base/memory.h"
#include "model/blocks.h"

static hn_value out_of_memory(hn_graph *graph) {
    return hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
}

/* 1 for the row's own scenario, 0 for the others: [M × 1]. */
static hn_value own_scenario(hn_graph *graph) {
    const int32_t m = hn_graph_scenarios(graph);
    double *identity = hn_alloc_zero((size_t)m * (size_t)m, sizeof *identity);
    if (!identity) return out_of_memory(graph);
    for (int32_t i = 0; i < m; i++) identity[(size_t)i * (size_t)m + (size_t)i] = 1;
    const hn_value own = hn_pick(graph, hn_constant(graph, m, m, 1, identity));
    hn_free(identity);
    return own;
}

/* The heads with the gradient stopped into those of other scenarios; [M·T × 1] as they are. */
static hn_value stop_others(hn_graph *graph, hn_value heads) {
    const int32_t m = hn_graph_scenarios(graph), t = hn_graph_tasks(graph);
    const hn_value own = own_scenario(graph), by_scenario = hn_reshape(graph, heads, m, t);
    const hn_value other = hn_affine(graph, own, -1, 1);
    const hn_value learning = hn_product_of(graph, by_scenario, own);
    const hn_value still = hn_product_of(graph, hn_stop(graph, by_scenario), other);
    return hn_reshape(graph, hn_sum_of(graph, learning, still), m * t, 1);
}

/* logit_t = Σ_j v[t][j] · o_jt */
static hn_value mix(hn_graph *graph, hn_value v, hn_value heads) {
    const int32_t m = hn_graph_scenarios(graph), tasks = hn_graph_tasks(graph);
    int32_t *index = hn_alloc((size_t)m * (size_t)tasks, sizeof *index);
    if (!index) return out_of_memory(graph);
    for (int32_t t = 0; t < tasks; t++)
        for (int32_t j = 0; j < m; j++) index[t * m + j] = j * tasks + t;
    const hn_value mixed = hn_mix(graph, v, heads, index);
    hn_free(index);
    return mixed;
}

hn_value hn_model_hmoe(hn_graph *graph, const hn_config_model *config) {
    const hn_value x = hn_block_input(graph, config, false);
    const hn_value h = hn_block_mmoe(graph, config, x, HN_HEADS_ALL); /* Σ_k g[jt][k] Q_k(x) */
    const hn_value heads = hn_block_tower(graph, config, h, HN_HEADS_ALL); /* o_jt */
    const hn_value v = hn_block_gate(graph, x,
                                     &(hn_gate){.name = "scenario.gate",
                                                .title = "scenario",
                                                .n = hn_graph_tasks(graph),
                                                .experts = hn_graph_scenarios(graph),
                                                .by_scenario = true});
    return mix(graph, v, stop_others(graph, heads));
}
