/* The task extraction layer: customized gate control (CGC), the form of PLE that HiNet uses
 * for each scenario and PLE itself for all cells. Own and shared experts are two banks; a
 * head's gate mixes its own experts and the shared ones, own first. */
#include <stdio.h>

#include "base/memory.h"
#include "model/blocks.h"

typedef struct cgc {
    hn_graph *graph;
    const hn_config_model *config;
    char name[16]; /* "cgc", "cgc.2" */
    int32_t level;
    bool first, last, across;
    hn_heads heads; /* computed at this level */
    int32_t n_heads;
    int32_t n_shared; /* groups of shared experts: M where all scenarios' own are computed */
    hn_value tasks,
        shared; /* what own and shared experts read: [n_heads × d], [n_shared × d], or x */
} cgc;

static hn_value bank(const cgc *c, const char *suffix, hn_value x, int32_t groups, int32_t experts,
                     bool by_scenario) {
    char name[32];
    snprintf(name, sizeof name, "%s.%s", c->name, suffix);
    return hn_block_bank(c->graph, x,
                         &(hn_bank){.name = name,
                                    .units = &c->config->task_units,
                                    .n = c->first ? groups * experts : experts,
                                    .by_scenario = by_scenario,
                                    .dropout = c->config->expert_dropout,
                                    .expert = c->config});
}

/* [n_heads·task_own + n_shared·task_shared × d]: own experts of every head, then the shared. */
static hn_value experts_of(const cgc *c) {
    const hn_config_model *config = c->config;
    const bool own_heads = c->heads == HN_HEADS_OWN;
    hn_value parts[2];
    int32_t n = 0;
    if (config->task_own > 0)
        parts[n++] = bank(c, "own", c->tasks, c->n_heads, config->task_own, own_heads);
    if (config->task_shared > 0)
        parts[n++] =
            bank(c, "shared", c->shared, c->n_shared, config->task_shared, own_heads && !c->across);
    if (n == 0)
        return hn_graph_fail(c->graph, HN_BAD_CONFIG,
                             "model: task_own and task_shared cannot both be 0");
    if (n == 1) return parts[0];
    const hn_value joined = hn_concat(c->graph, parts, 2);
    const int32_t d = hn_value_shape(c->graph, parts[0]).cols;
    return hn_reshape(c->graph, joined, hn_value_shape(c->graph, joined).cols / d, d);
}

/* Weighted sums of experts: gate group o has a weight for each of its `own` experts, those
 * from o·own on, and for the shared ones of its group of shared experts. */
static hn_value mix(const cgc *c, hn_value gate, hn_value experts, int32_t own) {
    const hn_shape shape = hn_value_shape(c->graph, gate);
    const int32_t shared = c->config->task_shared, cols = own + shared, groups = shape.groups;
    int32_t *index = hn_alloc((size_t)groups * (size_t)cols, sizeof *index);
    if (!index) return hn_graph_fail(c->graph, HN_NO_MEMORY, "no memory to record the model");
    for (int32_t o = 0; o < groups; o++) {
        const int32_t set = (int32_t)((int64_t)o * c->n_shared / groups);
        for (int32_t k = 0; k < cols; k++)
            index[o * cols + k] =
                k < own ? o * own + k : c->n_heads * c->config->task_own + set * shared + k - own;
    }
    const hn_value mixed = shape.cols == cols ? hn_mix(c->graph, gate, experts, index) : HN_NONE;
    hn_free(index);
    return mixed;
}

/* softmax(W_ij C_i) over the head's own and the shared experts */
static hn_value head_gate(const cgc *c) {
    const hn_config_model *config = c->config;
    char name[32], title[16];
    snprintf(name, sizeof name, "%s.gate", c->name);
    snprintf(title, sizeof title, c->first ? "task" : "task.%d", c->level);
    return hn_block_gate(c->graph, c->tasks,
                         &(hn_gate){.name = name,
                                    .title = title,
                                    .n = c->first ? c->n_heads : 1,
                                    .experts = config->task_own + config->task_shared,
                                    .by_scenario = c->heads == HN_HEADS_OWN,
                                    .relu = config->compat.gate_relu,
                                    .ones = config->compat.cgc_sum});
}

/* Between levels: over all experts of the heads that share it. */
static hn_value shared_gate(const cgc *c) {
    const hn_config_model *config = c->config;
    char name[32];
    snprintf(name, sizeof name, "%s.gate.shared", c->name);
    return hn_block_gate(
        c->graph, c->shared,
        &(hn_gate){.name = name,
                   .n = c->first ? c->n_shared : 1,
                   .experts = c->n_heads / c->n_shared * config->task_own + config->task_shared,
                   .by_scenario = c->heads == HN_HEADS_OWN && !c->across,
                   .relu = config->compat.gate_relu,
                   .ones = config->compat.cgc_sum});
}

static void start_level(cgc *c, int32_t level, hn_heads wanted) {
    const int32_t tasks = hn_graph_tasks(c->graph);
    const hn_heads before = c->heads;
    c->level = level;
    c->first = level == 1;
    c->last = level == c->config->task_levels;
    snprintf(c->name, sizeof c->name, c->first ? "cgc" : "cgc.%d", level);
    /* the shared gate of a CGC over all cells needs every cell's experts; the last level has none
     */
    c->heads = c->across && !c->last ? HN_HEADS_ALL : wanted;
    c->n_heads = hn_heads_count(c->graph, c->heads);
    c->n_shared = c->heads == HN_HEADS_ALL && !c->across ? hn_graph_scenarios(c->graph) : 1;
    if (!c->first && before == HN_HEADS_ALL && c->heads == HN_HEADS_OWN)
        c->tasks = hn_select(c->graph, c->tasks, 0, tasks);
}

hn_value hn_block_cgc(hn_graph *graph, const hn_config_model *config, hn_value x, bool across,
                      hn_heads heads) {
    cgc c = {.graph = graph,
             .config = config,
             .across = across,
             .heads = heads,
             .tasks = x,
             .shared = x};
    const double all = (double)hn_heads_count(graph, HN_HEADS_ALL) *
                       ((double)config->task_own + config->task_shared);
    if (all > INT32_MAX / 4)
        return hn_graph_fail(graph, HN_BAD_CONFIG, "model: %g task experts are too many", all);
    for (int32_t level = 1; level <= config->task_levels; level++) {
        start_level(&c, level, heads);
        const hn_value experts = experts_of(&c);
        const hn_value mixed = mix(&c, head_gate(&c), experts, config->task_own);
        if (!c.last && config->task_shared > 0)
            c.shared = mix(&c, shared_gate(&c), experts, c.n_heads / c.n_shared * config->task_own);
        c.tasks = mixed;
    }
    return c.tasks;
}
