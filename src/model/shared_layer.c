/* The layer that all tasks share, by model: where GradNorm looks at the tasks' gradients.
 * docs/tensors.md has the same as a table. */
#include <stdio.h>

#include "model/model.h"

/* The last layer of a bank; experts first … first + count - 1 (first < 0: from the end) of it,
 * or all of them. */
static bool layer(hn_shared_layer *out, const char *bank, const hn_units *units, int32_t first,
                  int32_t count) {
    if (units->n < 1) return false;
    *out = (hn_shared_layer){.first = first, .count = count};
    snprintf(out->name, sizeof out->name, "%s.w%d", bank, (int)units->n);
    return true;
}

static bool task_experts(hn_shared_layer *out, const hn_config_model *config) {
    char bank[32];
    snprintf(bank, sizeof bank, config->task_levels > 1 ? "cgc.%d.shared" : "cgc.shared",
             (int)config->task_levels);
    return config->task_shared > 0 && layer(out, bank, &config->task_units, 0, 0);
}

/* Level 1 has all SEIs in one bank, the shared one last. */
static bool scenario_experts(hn_shared_layer *out, const hn_config_model *config) {
    const int32_t experts = config->sei ? config->experts : 1;
    char bank[32];
    if (config->scenario_levels == 1)
        return config->shared_expert ? layer(out, "sei", &config->expert_units, -experts, experts)
                                     : layer(out, "sei", &config->expert_units, 0, 0);
    snprintf(bank, sizeof bank, "sei.%d%s", (int)config->scenario_levels,
             config->shared_expert ? ".shared" : "");
    return layer(out, bank, &config->expert_units, 0, 0);
}

bool hn_model_shared_layer(hn_shared_layer *out, const hn_config_model *config) {
    *out = (hn_shared_layer){0};
    switch (config->kind) {
    case HN_MODEL_HINET:
    case HN_MODEL_HINET_PLUS:
        return config->scenario_layer ? scenario_experts(out, config) : task_experts(out, config);
    case HN_MODEL_PLE: return task_experts(out, config);
    case HN_MODEL_MMOE:
    case HN_MODEL_HMOE: return layer(out, "experts", &config->expert_units, 0, 0);
    case HN_MODEL_M3OE: return layer(out, "experts", &config->expert_units, 0, config->experts);
    case HN_MODEL_SHARED_BOTTOM:
    case HN_MODEL_MIXED:
    case HN_MODEL_STAR:
    case HN_MODEL_PEPNET: return layer(out, "bottom", &config->bottom_units, 0, 0);
    case HN_MODEL_SINGLE: /* M models, each of all tasks: one w_t cannot suit them all */
    case HN_MODEL_CROSS_STITCH:
    case HN_MODEL_AITM: /* a network for each task */
    case HN_MODELS: break;
    }
    return false;
}
