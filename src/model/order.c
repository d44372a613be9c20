/* What the order of tasks brings, at the logits: ESMM's product of probabilities, for any
 * model, and AITM's calibrator. */
#include "base/memory.h"
#include "model/blocks.h"

/* The column of each head's earlier task, of the same scenario; false: no task has one. */
static bool find_before(int32_t *before, const hn_config_model *config, int32_t heads,
                        int32_t tasks) {
    bool any = false;
    for (int32_t h = 0; h < heads; h++) {
        const int32_t earlier = config->after[h % tasks];
        before[h] = earlier > 0 && earlier <= tasks ? h - h % tasks + earlier - 1 : -1;
        any = any || before[h] >= 0;
    }
    return any;
}

hn_value hn_block_after(hn_graph *graph, const hn_config_model *config, hn_value logits) {
    const hn_shape shape = hn_value_shape(graph, logits);
    const int32_t heads = shape.groups * shape.cols;
    int32_t *before = hn_alloc((size_t)heads, sizeof *before);
    if (!before) return hn_graph_fail(graph, HN_NO_MEMORY, "no memory to record the model");
    const bool any = find_before(before, config, heads, hn_graph_tasks(graph));
    const hn_value joint = any ? hn_joint(graph, logits, before) : logits;
    hn_free(before);
    return joint;
}

void hn_block_calibrate(hn_graph *graph, const hn_config_model *config, hn_value logits) {
    const int32_t tasks = hn_graph_tasks(graph);
    if (tasks == 1 || config->order_penalty <= 0) return;
    const hn_value p = hn_reshape(graph, hn_activate(graph, logits, HN_ACT_SIGMOID), tasks, 1);
    /* the first task is held against itself: never more */
    const hn_value parts[] = {hn_groups(graph, p, 0, 1), hn_groups(graph, p, 0, tasks - 1)};
    const hn_value earlier = hn_reshape(graph, hn_concat(graph, parts, 2), tasks, 1);
    const hn_value rise = hn_sum_of(graph, p, hn_affine(graph, earlier, -1, 0));
    hn_penalty(graph, hn_activate(graph, rise, HN_ACT_RELU),
               config->order_penalty); /* max(p_t - p_{t-1}, 0) */
}
