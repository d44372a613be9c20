/* HiNet (arXiv 2303.06095): coarse to fine. The scenario extraction layer separates what
 * scenarios share, what is their own and what others know; the task extraction layer does
 * the same for the tasks of a scenario. Equations in order; the blocks are in blocks.h. */
#include <stdio.h>

#include "base/memory.h"
#include "model/blocks.h"

/* What a scenario layer makes of a row: G [1 × d] (or none), S [M × d] and SAN's weights. */
typedef struct extraction {
    hn_value g, s;
    hn_san san;
} extraction;

static const hn_san NO_SAN = {.table = {-1}, .row = {-1}};

static const char *level_name(char *buffer, size_t n, const char *name, int32_t level) {
    if (level == 1)
        snprintf(buffer, n, "%s", name);
    else
        snprintf(buffer, n, "%s.%d", name, level);
    return buffer;
}

/* Level 1: every SEI reads x, so that all of them are one bank. */
static extraction extract(hn_graph *graph, const hn_config_model *config, hn_value x) {
    const int32_t m = hn_graph_scenarios(graph);
    const hn_value all = hn_block_sei(graph, config, "sei", x, config->shared_expert ? m + 1 : m);
    return (extraction){
        .g = config->shared_expert ? hn_groups(graph, all, m, 1) : HN_NONE, /* G = SEI_shared(x) */
        .s = hn_groups(graph, all, 0, m),                                   /* S_i = SEI_i(x) */
        .san = config->san && m > 1 ? hn_block_san(graph, config, "san") : NO_SAN,
    };
}

/* C_i of the row's own scenario: concat(G, S_i, A_i). */
static hn_value own_of(hn_graph *graph, const hn_config_model *config, const extraction *layer) {
    hn_value parts[3];
    int32_t n = 0;
    if (layer->g.id >= 0) parts[n++] = layer->g;
    parts[n++] = hn_select(graph, layer->s, 0, 1);
    if (layer->san.table.id >= 0)
        parts[n++] = hn_block_attend(graph, config, &layer->san, layer->s);
    return n == 1 ? parts[0] : hn_concat(graph, parts, n);
}

/* C_j of every scenario: [M × width]. */
static hn_value all_of(hn_graph *graph, const hn_config_model *config, const extraction *layer) {
    const int32_t m = hn_graph_scenarios(graph);
    const hn_value a = layer->san.table.id >= 0
                           ? hn_block_attend_all(graph, config, &layer->san, layer->s)
                           : HN_NONE;
    hn_value *parts = hn_alloc(3 * (size_t)m, sizeof *parts);
    if (!parts) return hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
    int32_t n = 0;
    for (int32_t j = 0; j < m; j++) {
        if (layer->g.id >= 0) parts[n++] = layer->g;
        parts[n++] = hn_groups(graph, layer->s, j, 1);
        if (a.id >= 0) parts[n++] = hn_groups(graph, a, j, 1);
    }
    const hn_value c = hn_concat(graph, parts, n);
    hn_free(parts);
    return hn_reshape(graph, c, m, hn_value_shape(graph, c).cols / m);
}

/* Level ℓ ≥ 2: SEI_shared reads the G before, SEI_j the C_j before. */
static extraction deeper(hn_graph *graph, const hn_config_model *config, const extraction *before,
                         int32_t level) {
    char sei[32], shared[48], san[32];
    level_name(sei, sizeof sei, "sei", level);
    snprintf(shared, sizeof shared, "%s.shared", sei);
    level_name(san, sizeof san, "san", level);
    return (extraction){
        .g = before->g.id >= 0 ? hn_block_sei(graph, config, shared, before->g, 1) : HN_NONE,
        .s = hn_block_sei(graph, config, sei, all_of(graph, config, before), 1),
        .san = before->san.table.id >= 0 ? hn_block_san(graph, config, san) : NO_SAN,
    };
}

hn_value hn_model_hinet(hn_graph *graph, const hn_config_model *config) {
    const hn_heads heads = config->compat.all_heads ? HN_HEADS_ALL : HN_HEADS_OWN;
    const bool across = config->task_shared_across || config->compat.cgc_global;
    const hn_value x = hn_block_input(graph, config, false);
    hn_value c = x;
    if (config->scenario_layer) {
        extraction layer = extract(graph, config, x);
        for (int32_t level = 2; level <= config->scenario_levels; level++)
            layer = deeper(graph, config, &layer, level);
        c = own_of(graph, config, &layer); /* C_i = concat(G, S_i, A_i) */
    }
    const hn_value h = hn_block_cgc(graph, config, c, across,
                                    heads); /* h_ij = Σ_k softmax(W_ij C_i)_k · Q_k(C_i) */
    return hn_block_tower(graph, config, h, heads); /* logit of ŷ_ij */
}
