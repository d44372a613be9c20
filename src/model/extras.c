/* Parts that any model may have: parts beside the network that add to its logits, and gates on the
 * towers (PPNet of PEPNet, KDD 2023). Both read x from the graph, so that a model's file need not
 * know of them; each is an option, off by default. */
#include <stdio.h>

#include "base/memory.h"
#include "model/blocks.h"

hn_value hn_block_columns(hn_graph *graph, hn_value x, int32_t first, int32_t count) {
    const hn_shape shape = hn_value_shape(graph, x);
    const hn_value columns = hn_reshape(graph, x, shape.groups * shape.cols, 1);
    return hn_reshape(graph, hn_groups(graph, columns, first, count), 1, count);
}

/* [T × cols] for the T heads of each of the M scenarios. */
static hn_value repeat(hn_graph *graph, hn_value of_tasks, int32_t times) {
    if (times == 1) return of_tasks;
    const hn_shape shape = hn_value_shape(graph, of_tasks);
    hn_value *parts = hn_alloc((size_t)times, sizeof *parts);
    if (!parts) return hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
    for (int32_t i = 0; i < times; i++) parts[i] = of_tasks;
    const hn_value all = hn_concat(graph, parts, times);
    hn_free(parts);
    return hn_reshape(graph, all, times * shape.groups, shape.cols);
}

/* ---- Pairs of embeddings ------------------------------------------------------------------ */

/* The width that the most embeddings have; of several the first. 0: no embedding. */
static int32_t commonest_width(const hn_layout *layout) {
    int32_t best = 0, most = 0;
    for (int32_t i = 0; i < layout->n_inputs; i++) {
        int32_t n = 0;
        for (int32_t k = 0; k < layout->n_inputs; k++)
            n += layout->inputs[k].kind != HN_INPUT_VALUE &&
                 layout->inputs[k].width == layout->inputs[i].width;
        if (layout->inputs[i].kind == HN_INPUT_VALUE || n <= most) continue;
        most = n;
        best = layout->inputs[i].width;
    }
    return best;
}

/* [d][k] that sums the embeddings of width k of an x. */
static hn_value summing(hn_graph *graph, int32_t width) {
    const hn_layout *layout = hn_graph_layout(graph);
    double *numbers = hn_alloc_zero((size_t)layout->width * (size_t)width, sizeof *numbers);
    if (!numbers) return hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
    for (int32_t i = 0; i < layout->n_inputs; i++) {
        const hn_input *input = &layout->inputs[i];
        if (input->kind == HN_INPUT_VALUE || input->width != width) continue;
        for (int32_t c = 0; c < width; c++)
            numbers[(size_t)(input->column + c) * (size_t)width + (size_t)c] = 1;
    }
    const hn_value sum = hn_constant(graph, layout->width, 1, width, numbers);
    hn_free(numbers);
    return sum;
}

hn_value hn_block_pairs(hn_graph *graph) {
    const int32_t width = commonest_width(hn_graph_layout(graph));
    if (width == 0)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "model.pairs: no feature has an embedding");
    const hn_value x = hn_graph_x(graph), sum = summing(graph, width);
    const hn_value s = hn_linear(graph, x, sum, HN_NONE, HN_ACT_NONE);
    const hn_value q = hn_linear(graph, hn_product_of(graph, x, x), sum, HN_NONE, HN_ACT_NONE);
    /* ½(s⊙s − q), s = Σ e_f, q = Σ e_f⊙e_f */
    return hn_affine(
        graph, hn_sum_of(graph, hn_product_of(graph, s, s), hn_affine(graph, q, -1, 0)), 0.5, 0);
}

/* Single is M models: what the scenarios of others share, each of its models has for itself. */
static bool is_apart(const hn_config_model *config) { return config->kind == HN_MODEL_SINGLE; }

/* ---- Beside the network: logit += … ---------------------------------------------------------- */

/* V is the same for all scenarios (one matrix) or of each cell. */
static hn_value wide_logits(hn_graph *graph, hn_value x, bool by_cell, bool all_heads) {
    const int32_t d = hn_value_shape(graph, x).cols, m = hn_graph_scenarios(graph),
                  tasks = hn_graph_tasks(graph);
    if (by_cell && !all_heads)
        return hn_linear_scenario(graph, x, hn_param(graph, "wide.w", m, d, tasks, 1, HN_INIT_ZERO),
                                  HN_NONE, HN_ACT_NONE);
    const hn_value v =
        hn_param(graph, "wide.w", 1, d, by_cell ? m * tasks : tasks, 1, HN_INIT_ZERO);
    return hn_linear(graph, x, v, HN_NONE, HN_ACT_NONE);
}

/* B·v_t, v of the task. */
static hn_value pair_logits(hn_graph *graph, bool apart) {
    const hn_value b = hn_block_pairs(graph);
    const hn_value v =
        hn_param(graph, "pairs.w", apart ? hn_graph_scenarios(graph) : 1,
                 hn_value_shape(graph, b).cols, hn_graph_tasks(graph), 1, HN_INIT_XAVIER);
    return apart ? hn_linear_scenario(graph, b, v, HN_NONE, HN_ACT_NONE)
                 : hn_linear(graph, b, v, HN_NONE, HN_ACT_NONE);
}

/* One network for all scenarios, which has the scenario as a feature; a logit for each task. */
static hn_value side_logits(hn_graph *graph, const hn_config_model *config) {
    const hn_value e = hn_param(graph, "side.e", 1, hn_graph_scenarios(graph), 1,
                                config->scenario_width, HN_INIT_NORMAL);
    const hn_value input = hn_concat(graph, (hn_value[]){hn_graph_x(graph), hn_pick(graph, e)}, 2);
    const hn_value h = hn_block_bank(graph, input,
                                     &(hn_bank){.name = "side",
                                                .units = &config->side_units,
                                                .n = 1,
                                                .dropout = config->expert_dropout,
                                                .expert = config});
    return hn_block_layer(
        graph, h,
        &(hn_layer){.name = "side.out", .suffix = "", .n = hn_graph_tasks(graph), .cols = 1});
}

/* logits += more; what has a logit for each task goes to every scenario's heads. */
static hn_value add_logits(hn_graph *graph, hn_value logits, hn_value more) {
    const int32_t heads = hn_value_shape(graph, logits).groups,
                  tasks = hn_value_shape(graph, more).groups;
    return hn_sum_of(graph, logits, repeat(graph, more, heads / tasks));
}

hn_value hn_block_beside(hn_graph *graph, const hn_config_model *config, hn_value logits,
                         bool all_heads) {
    const hn_value x = hn_graph_x(graph);
    const bool apart = is_apart(config);
    if (config->wide != HN_WIDE_NONE)
        logits = add_logits(
            graph, logits, wide_logits(graph, x, apart || config->wide == HN_WIDE_CELL, all_heads));
    if (config->pairs == HN_PAIRS_WIDE)
        logits = add_logits(graph, logits, pair_logits(graph, apart));
    if (config->side_units.n > 0) logits = add_logits(graph, logits, side_logits(graph, config));
    return logits;
}

/* ---- Gates on the towers ------------------------------------------------------------------- */

/* The id input of a side with the most rows: the user's or the item's own id; NULL: none. */
static const hn_input *id_of(const hn_layout *layout, hn_side side) {
    const hn_input *found = NULL;
    for (int32_t i = 0; i < layout->n_inputs; i++) {
        const hn_input *input = &layout->inputs[i];
        if (input->kind != HN_INPUT_ID || input->side != side) continue;
        if (!found || layout->tables[input->table].rows > layout->tables[found->table].rows)
            found = input;
    }
    return found;
}

hn_value hn_block_prior(hn_graph *graph, const hn_config_model *config) {
    const hn_value x = hn_graph_x(graph);
    const hn_layout *layout = hn_graph_layout(graph);
    hn_value parts[4] = {hn_stop(graph, x)};
    int32_t n = 1;
    for (int32_t i = 0; i < 2; i++) {
        const hn_input *id = id_of(layout, i ? HN_SIDE_ITEM : HN_SIDE_USER);
        if (id) parts[n++] = hn_block_columns(graph, x, id->column, id->width);
    }
    const hn_value e = hn_param(graph, "tower.gate.e", 1, hn_graph_scenarios(graph), 1,
                                config->scenario_width, HN_INIT_NORMAL);
    parts[n++] = hn_pick(graph, e);
    return hn_concat(graph, parts, n); /* z = (stop(x), x_user, x_item, e_i) */
}

hn_value hn_block_tower_gate(hn_graph *graph, const hn_config_model *config, hn_value h, hn_value z,
                             int32_t level) {
    const hn_shape shape = hn_value_shape(graph, h);
    const int32_t tasks = hn_graph_tasks(graph);
    char name[32];
    snprintf(name, sizeof name, "tower.gate.%d", level);
    const hn_value a = hn_block_layer(graph, z,
                                      &(hn_layer){.name = name,
                                                  .suffix = "1",
                                                  .n = 1,
                                                  .cols = config->tower_gate,
                                                  .act = HN_ACT_RELU,
                                                  .by_scenario = is_apart(config)});
    const hn_value s = hn_block_layer(graph, a,
                                      &(hn_layer){.name = name,
                                                  .suffix = "2",
                                                  .n = tasks,
                                                  .cols = shape.cols,
                                                  .act = HN_ACT_SIGMOID,
                                                  .by_scenario = is_apart(config)});
    /* δ = 2σ(relu(z·W₁ + b₁)·W₂ + b₂) */
    const hn_value delta = repeat(graph, hn_affine(graph, s, 2, 0), shape.groups / tasks);
    return hn_product_of(graph, h, delta);
}
