/* See cases.h. */
#include "model/cases.h"

#include "base/rng.h"

static void hinet(hn_config_model *c) { (void)c; }
static void plain_sizes(hn_config_model *c) {
    c->experts = 1, c->task_own = 1, c->task_shared = 1;
    c->expert_units.n = c->task_units.n = c->tower_units.n = 1;
}
static void no_tower_units(hn_config_model *c) { c->tower_units.n = 0; }
static void no_san(hn_config_model *c) { c->san = false; }
static void no_sei(hn_config_model *c) { c->sei = false; }
static void no_scenario_layer(hn_config_model *c) { c->scenario_layer = false; }
static void no_shared_expert(hn_config_model *c) { c->shared_expert = false; }
static void own_only(hn_config_model *c) { c->shared_expert = c->san = false; }
static void scenario_levels_2(hn_config_model *c) { c->scenario_levels = 2; }
static void scenario_levels_3(hn_config_model *c) { c->scenario_levels = 3; }
static void levels_no_san(hn_config_model *c) { c->scenario_levels = 2, c->san = false; }
static void levels_no_shared(hn_config_model *c) {
    c->scenario_levels = 2, c->shared_expert = false;
}
static void levels_no_sei(hn_config_model *c) { c->scenario_levels = 2, c->sei = false; }
static void task_levels_2(hn_config_model *c) { c->task_levels = 2; }
static void task_levels_3(hn_config_model *c) { c->task_levels = 3; }
static void across(hn_config_model *c) { c->task_shared_across = true; }
static void across_levels(hn_config_model *c) { c->task_shared_across = true, c->task_levels = 3; }
static void no_task_shared(hn_config_model *c) { c->task_shared = 0, c->task_levels = 2; }
static void no_task_own(hn_config_model *c) { c->task_own = 0, c->task_levels = 2; }
static void both_levels(hn_config_model *c) { c->scenario_levels = 2, c->task_levels = 2; }
static void dropouts(hn_config_model *c) { c->embedding_dropout = 0.2, c->expert_dropout = 0.3; }
static void san_softmax_all(hn_config_model *c) { c->compat.san_softmax_all = true; }
static void san_mlp(hn_config_model *c) { c->compat.san_mlp = true; }
static void gate_relu(hn_config_model *c) { c->compat.gate_relu = true; }
static void cgc_sum(hn_config_model *c) { c->compat.cgc_sum = true; }
static void cgc_global(hn_config_model *c) { c->compat.cgc_global = true; }
static void all_heads(hn_config_model *c) { c->compat.all_heads = true; }
static void all_heads_levels(hn_config_model *c) { c->compat.all_heads = true, c->task_levels = 2; }
static void all_heads_across(hn_config_model *c) {
    c->compat.all_heads = c->compat.cgc_global = true, c->task_levels = 2;
}
static void sei_dropout(hn_config_model *c) { c->compat.sei_dropout = true; }
static void input_affine(hn_config_model *c) { c->compat.input_affine = true; }
static void script(hn_config_model *c) {
    c->compat = (hn_config_compat){true, true, true, true, true, true, true, true};
}
static void shared_bottom(hn_config_model *c) { c->kind = HN_MODEL_SHARED_BOTTOM; }
static void mmoe(hn_config_model *c) { c->kind = HN_MODEL_MMOE; }
static void ple(hn_config_model *c) { c->kind = HN_MODEL_PLE; }
static void ple_levels(hn_config_model *c) { c->kind = HN_MODEL_PLE, c->task_levels = 3; }
static void ple_dropout(hn_config_model *c) {
    c->kind = HN_MODEL_PLE, c->task_levels = 2, dropouts(c);
}
static void single(hn_config_model *c) { c->kind = HN_MODEL_SINGLE; }
static void mixed(hn_config_model *c) { c->kind = HN_MODEL_MIXED; }
static void mixed_dropout(hn_config_model *c) { c->kind = HN_MODEL_MIXED, dropouts(c); }

#define CASE(name) \
    { #name, name }
const model_case model_cases[] = {
    CASE(hinet),
    CASE(plain_sizes),
    CASE(no_tower_units),
    CASE(no_san),
    CASE(no_sei),
    CASE(no_scenario_layer),
    CASE(no_shared_expert),
    CASE(own_only),
    CASE(scenario_levels_2),
    CASE(scenario_levels_3),
    CASE(levels_no_san),
    CASE(levels_no_shared),
    CASE(levels_no_sei),
    CASE(task_levels_2),
    CASE(task_levels_3),
    CASE(across),
    CASE(across_levels),
    CASE(no_task_shared),
    CASE(no_task_own),
    CASE(both_levels),
    CASE(dropouts),
    CASE(san_softmax_all),
    CASE(san_mlp),
    CASE(gate_relu),
    CASE(cgc_sum),
    CASE(cgc_global),
    CASE(all_heads),
    CASE(all_heads_levels),
    CASE(all_heads_across),
    CASE(sei_dropout),
    CASE(input_affine),
    CASE(script),
    CASE(shared_bottom),
    CASE(mmoe),
    CASE(ple),
    CASE(ple_levels),
    CASE(ple_dropout),
    CASE(single),
    CASE(mixed),
    CASE(mixed_dropout),
};
const size_t n_model_cases = sizeof model_cases / sizeof *model_cases;

hn_config_model model_case_config(const model_case *row) {
    hn_config_model config = {
        .kind = HN_MODEL_HINET,
        .experts = 3,
        .expert_units = {{7, 5}, 2},
        .scenario_levels = 1,
        .scenario_width = 4,
        .san = true,
        .sei = true,
        .scenario_layer = true,
        .shared_expert = true,
        .task_shared = 1,
        .task_own = 2,
        .task_units = {{6, 4}, 2},
        .task_levels = 1,
        .bottom_units = {{8, 5}, 2},
        .tower_units = {{5, 3}, 2},
    };
    row->set(&config);
    return config;
}

/* Biases start at 0 and SAN rows nearly alike: random numbers everywhere find more. */
static void shake(model *m, uint64_t seed) {
    for (size_t i = 0; i < m->params.leaf_count; i++)
        m->params.block[i] += (hn_real)(0.1 * hn_random_normal(seed, HN_STREAM_TEST + 7, i));
}

hn_status model_make(model *out, const hn_layout *layout, const hn_config_model *config,
                     hn_mode mode, uint64_t seed, hn_error *err) {
    *out = (model){0};
    hn_status status = hn_model_record(&out->graph, layout, config, err);
    if (status == HN_OK) status = hn_plan_create(&out->plan, out->graph, mode, err);
    if (status == HN_OK) status = hn_params_create(&out->params, out->plan, err);
    if (status != HN_OK) {
        model_free(out);
        return status;
    }
    hn_params_init(&out->params, out->plan, seed, 0.5, NULL);
    shake(out, seed);
    if (hn_params_stage(&out->params, out->plan)) return HN_OK;
    model_free(out);
    return hn_fail(err, HN_NO_MEMORY, "no memory in the param stage");
}

void model_free(model *m) {
    hn_params_free(&m->params);
    hn_plan_free(m->plan);
    hn_graph_free(m->graph);
    *m = (model){0};
}
