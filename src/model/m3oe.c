/* M3oE (Zhang et al., SIGIR 2024): shared experts mixed by a gate for each cell, plus a
 * scenario part and a task part, each a mix of its own expert and the mean of the others' by a
 * scalar that the cell learns. Experts have LayerNorm, by the config's default for it. */
#include "base/memory.h"
#include "model/blocks.h"

static hn_value no_memory(hn_graph *graph) {
    return hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
}

/* Weights of n experts for each cell, [M][T × n]: a for its own, which is the task's or the
 * scenario's, (1 - a)/(n - 1) for each other; written as step·a + base. */
static void fill_shares(double *step, double *base, int32_t scenarios, int32_t tasks, int32_t n,
                        bool of_tasks) {
    for (int32_t i = 0; i < scenarios; i++)
        for (int32_t t = 0; t < tasks; t++)
            for (int32_t k = 0; k < n; k++, step++, base++) {
                const bool own = k == (of_tasks ? t : i);
                *base = n == 1 ? 1 : own ? 0 : 1.0 / (n - 1);
                *step = own ? 1 : -1.0 / (n - 1);
            }
}

/* a = σ(NAME.own); the row's own [T × n] weights. A single expert has weight 1. */
static hn_value shares(hn_graph *graph, const char *own, const char *title, int32_t n,
                       bool of_tasks) {
    const int32_t m = hn_graph_scenarios(graph), tasks = hn_graph_tasks(graph);
    const size_t count = (size_t)m * (size_t)tasks * (size_t)n;
    double *numbers = hn_alloc(2 * count, sizeof *numbers);
    if (!numbers) return no_memory(graph);
    fill_shares(numbers, numbers + count, m, tasks, n, of_tasks);
    hn_value table = hn_constant(graph, m, tasks, n, numbers + count);
    if (n > 1) {
        const hn_value step = hn_constant(graph, m, tasks, n, numbers),
                       a = hn_activate(graph, hn_param(graph, own, 1, m, tasks, 1, HN_INIT_ZERO),
                                       HN_ACT_SIGMOID);
        table = hn_sum_of(graph, hn_product_of(graph, step, a), table);
        hn_name(graph, table, title);
    }
    hn_free(numbers);
    return hn_pick(graph, table);
}

hn_value hn_model_m3oe(hn_graph *graph, const hn_config_model *config) {
    const int32_t k = config->experts, m = hn_graph_scenarios(graph), t = hn_graph_tasks(graph);
    const hn_value x = hn_block_input(graph, config, false);
    const hn_value e = hn_block_bank(graph, x,
                                     &(hn_bank){.name = "experts",
                                                .units = &config->expert_units,
                                                .n = k + m + t,
                                                .dropout = config->expert_dropout,
                                                .expert = config});
    const hn_value g = hn_block_gate(
        graph, x,
        &(hn_gate){
            .name = "experts.gate", .title = "task", .n = t, .experts = k, .by_scenario = true});
    const hn_value a = shares(graph, "scenario.own", "share.scenario", m, false),
                   c = shares(graph, "task.own", "share.task", t, true);
    /* h_it = Σ_k g_itk·E_k + (a_it·own + (1 - a_it)·mean of others) of scenarios, and of tasks */
    const hn_value shared = hn_block_mix(graph, g, hn_groups(graph, e, 0, k)),
                   scenario = hn_block_mix(graph, a, hn_groups(graph, e, k, m)),
                   task = hn_block_mix(graph, c, hn_groups(graph, e, k + m, t));
    const hn_value h = hn_sum_of(graph, hn_sum_of(graph, shared, scenario), task);
    return hn_block_tower(graph, config, h, HN_HEADS_OWN);
}
