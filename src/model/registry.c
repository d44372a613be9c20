/* The table of models, and the recording of the configured one. To add a model: a row in
 * HN_MODEL_MAP (config.h), a row here, and its file. */
#include "model/blocks.h"

static const hn_model_row models[HN_MODELS] = {
    [HN_MODEL_HINET] = {HN_MODEL_HINET, "HiNet", "Zhou et al., HiNet, ICDE 2023 (arXiv 2303.06095)",
                        hn_model_hinet},
    [HN_MODEL_SHARED_BOTTOM] = {HN_MODEL_SHARED_BOTTOM, "Shared-bottom",
                                "Caruana, Multitask Learning, 1997", hn_model_shared_bottom},
    [HN_MODEL_MMOE] = {HN_MODEL_MMOE, "MMoE", "Ma et al., Multi-gate Mixture-of-Experts, KDD 2018",
                       hn_model_mmoe},
    [HN_MODEL_PLE] = {HN_MODEL_PLE, "PLE",
                      "Tang et al., Progressive Layered Extraction, RecSys 2020", hn_model_ple},
    [HN_MODEL_SINGLE] = {HN_MODEL_SINGLE, "Single", "baseline: a separate model for each scenario",
                         hn_model_single},
    [HN_MODEL_MIXED] = {HN_MODEL_MIXED, "Mixed", "baseline: one model, the scenario as a feature",
                        hn_model_mixed},
};

const hn_model_row *hn_model_find(hn_model_kind kind) {
    return (unsigned)kind < HN_MODELS ? &models[kind] : NULL;
}

static hn_status check_layout(const hn_layout *layout, hn_error *err) {
    if (layout->scenarios >= 1 && layout->scenarios <= HN_SCENARIOS_MAX && layout->tasks >= 1 &&
        layout->tasks <= HN_TASKS_MAX)
        return HN_OK;
    return hn_fail(
        err, HN_BAD_CONFIG,
        "a model of %d scenarios and %d tasks cannot be; 1 to %d and 1 to %d are expected",
        layout->scenarios, layout->tasks, HN_SCENARIOS_MAX, HN_TASKS_MAX);
}

hn_status hn_model_record(hn_graph **out, const hn_layout *layout, const hn_config_model *config,
                          hn_error *err) {
    *out = NULL;
    const hn_model_row *model = hn_model_find(config->kind);
    if (!model) return hn_fail(err, HN_BAD_CONFIG, "model kind %d is not known", (int)config->kind);
    HN_TRY(check_layout(layout, err));
    /* the script's switches are HiNet's; other models share its blocks, not its quirks */
    hn_config_model own = *config;
    if (config->kind != HN_MODEL_HINET) own.compat = (hn_config_compat){0};
    hn_graph *graph = NULL;
    HN_TRY(hn_graph_create(&graph, layout, err));
    const hn_value logits = model->build(graph, &own);
    hn_output(graph, logits, own.compat.all_heads);
    const hn_status status = hn_graph_status(graph, err);
    if (status != HN_OK)
        hn_graph_free(graph);
    else
        *out = graph;
    return status;
}
