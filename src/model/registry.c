/* The table of models, and the recording of the configured one. To add a model: a row in
 * HN_MODEL_MAP (config.h), a row in HN_MODEL_ROWS (blocks.h), and its file. */
#include "model/blocks.h"

static const hn_model_row models[HN_MODELS] = {
#define X(symbol, name, title, source) \
    [HN_MODEL_##symbol] = {HN_MODEL_##symbol, title, source, hn_model_##name},
    HN_MODEL_ROWS(X)
#undef X
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
    /* the script's switches are HiNet's, the calibrator is AITM's; other models share the blocks,
     * not the quirks */
    hn_config_model own = *config;
    if (config->kind != HN_MODEL_HINET) own.compat = (hn_config_compat){0};
    if (config->kind != HN_MODEL_AITM) own.order_penalty = 0;
    hn_graph *graph = NULL;
    HN_TRY(hn_graph_create(&graph, layout, err));
    hn_value logits = model->build(graph, &own);
    logits = hn_block_beside(graph, &own, logits, own.compat.all_heads);
    logits = hn_block_after(graph, &own, logits);
    hn_block_calibrate(graph, &own, logits);
    hn_output(graph, logits, own.compat.all_heads);
    const hn_status status = hn_graph_status(graph, err);
    if (status != HN_OK)
        hn_graph_free(graph);
    else
        *out = graph;
    return status;
}
