/* AITM (Xi et al., KDD 2021): tasks in the order in which they happen, each with a bottom of
 * its own. What the earlier task knows goes as a message into the next one, which attends over
 * the message and its own bottom. The calibrator, which holds p(later) ≤ p(earlier), is in
 * order.c. */
#include <math.h>
#include <stdio.h>

#include "model/blocks.h"

/* s(u) = ⟨K(u), Q(u)⟩ / √β; maps: [3 × β], the groups V(u), K(u), Q(u) */
static hn_value score(hn_graph *graph, hn_value maps) {
    const int32_t width = hn_value_shape(graph, maps).cols;
    const hn_value dot =
        hn_dot_of(graph, hn_groups(graph, maps, 1, 1), hn_groups(graph, maps, 2, 1));
    return hn_affine(graph, dot, 1 / sqrt(width), 0);
}

/* z = softmax(s(m), s(q)) over V(m), V(q) */
static hn_value attend(hn_graph *graph, const char *name, hn_value message, hn_value own) {
    const int32_t width = hn_value_shape(graph, own).cols;
    char text[48];
    snprintf(text, sizeof text, "%s.w", name);
    const hn_value w = hn_param(graph, text, 1, width, 3, width, HN_INIT_XAVIER);
    snprintf(text, sizeof text, "%s.b", name);
    const hn_value b = hn_param(graph, text, 1, 1, 3, width, HN_INIT_ZERO);
    const hn_value m = hn_linear(graph, message, w, b, HN_ACT_NONE),
                   q = hn_linear(graph, own, w, b, HN_ACT_NONE);
    const hn_value scores[] = {score(graph, m), score(graph, q)},
                   values[] = {hn_groups(graph, m, 0, 1), hn_groups(graph, q, 0, 1)};
    const hn_value gate = hn_softmax_of(graph, hn_concat(graph, scores, 2), NULL);
    snprintf(text, sizeof text, "gate.%s", name);
    hn_name(graph, gate, text);
    return hn_mix(graph, gate, hn_reshape(graph, hn_concat(graph, values, 2), 2, width), NULL);
}

/* What task t, from 2, makes of the task before and its own bottom. */
static hn_value transfer(hn_graph *graph, const hn_config_model *config, hn_value before,
                         hn_value own, int32_t t) {
    char name[32], message[48];
    snprintf(name, sizeof name, "transfer.%d", t);
    snprintf(message, sizeof message, "%s.message", name);
    hn_value m = hn_block_layer(graph, before,
                                &(hn_layer){.name = message,
                                            .suffix = "",
                                            .n = 1,
                                            .cols = hn_value_shape(graph, own).cols,
                                            .act = HN_ACT_RELU});
    m = hn_dropout(graph, m, config->expert_dropout);
    return attend(graph, name, m, own);
}

hn_value hn_model_aitm(hn_graph *graph, const hn_config_model *config) {
    const int32_t tasks = hn_graph_tasks(graph);
    const hn_value x = hn_block_input(graph, config, false);
    const hn_value q = hn_block_bank(graph, x,
                                     &(hn_bank){.name = "bottom",
                                                .units = &config->bottom_units,
                                                .n = tasks,
                                                .dropout = config->expert_dropout,
                                                .expert = config});
    hn_value z[HN_TASKS_MAX] = {hn_groups(graph, q, 0, 1)}; /* z₁ = q₁ */
    for (int32_t t = 1; t < tasks; t++)
        z[t] = transfer(graph, config, z[t - 1], hn_groups(graph, q, t, 1), t + 1);
    const hn_value h =
        hn_reshape(graph, hn_concat(graph, z, tasks), tasks, hn_value_shape(graph, q).cols);
    return hn_block_tower(graph, config, h, HN_HEADS_OWN);
}
