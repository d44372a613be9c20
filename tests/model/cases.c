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
static void script_levels(hn_config_model *c) {
    script(c), both_levels(c);
    c->compat.san_mlp = false; /* it has a row of its own */
}
static void san_quirks_levels(hn_config_model *c) {
    c->compat.san_softmax_all = c->compat.san_mlp = true, c->scenario_levels = 2;
}
static void gate_quirks_levels(hn_config_model *c) {
    c->compat.gate_relu = c->compat.cgc_sum = true, both_levels(c);
}
static void own_only_levels(hn_config_model *c) { own_only(c), c->scenario_levels = 2; }
static void no_scenario_layer_levels(hn_config_model *c) { no_scenario_layer(c), both_levels(c); }
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
static void hmoe(hn_config_model *c) { c->kind = HN_MODEL_HMOE; }
static void hmoe_plain(hn_config_model *c) { plain_sizes(c), c->kind = HN_MODEL_HMOE; }
static void hmoe_dropout(hn_config_model *c) { c->kind = HN_MODEL_HMOE, dropouts(c); }
static void cross_stitch(hn_config_model *c) { c->kind = HN_MODEL_CROSS_STITCH; }
static void cross_stitch_half(hn_config_model *c) {
    c->kind = HN_MODEL_CROSS_STITCH, c->stitch_diagonal = 0.5, c->bottom_units.n = 1;
}
static void cross_stitch_dropout(hn_config_model *c) {
    c->kind = HN_MODEL_CROSS_STITCH, dropouts(c);
}
static void star(hn_config_model *c) { c->kind = HN_MODEL_STAR; }
static void star_no_units(hn_config_model *c) {
    c->kind = HN_MODEL_STAR, c->tower_units.n = c->auxiliary_units.n = 0;
}
static void star_dropout(hn_config_model *c) { c->kind = HN_MODEL_STAR, dropouts(c); }
static void pepnet(hn_config_model *c) { c->kind = HN_MODEL_PEPNET; }
static void pepnet_no_units(hn_config_model *c) {
    c->kind = HN_MODEL_PEPNET, c->tower_units.n = 0, c->gate_width = 1;
}
static void pepnet_dropout(hn_config_model *c) { c->kind = HN_MODEL_PEPNET, dropouts(c); }

static void hinet_plus(hn_config_model *c) {
    c->kind = HN_MODEL_HINET_PLUS;
    c->san_input = HN_SAN_USER, c->tower_gate = 3, c->wide = HN_WIDE_CELL;
    c->expert_norm = true, c->activation = HN_ACTIVATION_SILU;
}
static void hinet_plus_levels(hn_config_model *c) {
    hinet_plus(c), c->scenario_levels = 3, c->task_levels = 2;
    c->san_input = HN_SAN_ROW, c->activation = HN_ACTIVATION_GELU, c->wide = HN_WIDE_TASK;
}
static void hinet_plus_dropout(hn_config_model *c) { hinet_plus(c), dropouts(c); }
static void hinet_plus_across(hn_config_model *c) { hinet_plus(c), across_levels(c); }
static void san_user(hn_config_model *c) { c->san_input = HN_SAN_USER; }
static void san_row(hn_config_model *c) { c->san_input = HN_SAN_ROW; }
static void san_row_levels(hn_config_model *c) {
    c->san_input = HN_SAN_ROW, c->scenario_levels = 2;
}
static void san_row_script(hn_config_model *c) {
    san_row_levels(c), c->compat.san_softmax_all = c->compat.san_mlp = true;
}
static void tower_gate(hn_config_model *c) { c->tower_gate = 4; }
static void tower_gate_all_heads(hn_config_model *c) { c->tower_gate = 2, all_heads(c); }
static void tower_gate_no_units(hn_config_model *c) { c->tower_gate = 2, no_tower_units(c); }
static void expert_norm(hn_config_model *c) { c->expert_norm = true; }
static void silu(hn_config_model *c) { c->activation = HN_ACTIVATION_SILU; }
static void gelu(hn_config_model *c) { c->activation = HN_ACTIVATION_GELU; }
static void wide_task(hn_config_model *c) { c->wide = HN_WIDE_TASK; }
static void wide_cell(hn_config_model *c) { c->wide = HN_WIDE_CELL; }
static void wide_task_all_heads(hn_config_model *c) { wide_task(c), all_heads(c); }
static void wide_cell_all_heads(hn_config_model *c) { wide_cell(c), all_heads(c); }
static void wide_script(hn_config_model *c) { wide_cell(c), script(c); }
static void pairs_wide(hn_config_model *c) { c->pairs = HN_PAIRS_WIDE; }
static void pairs_input(hn_config_model *c) { c->pairs = HN_PAIRS_INPUT, c->wide = HN_WIDE_CELL; }
static void pairs_script(hn_config_model *c) { pairs_wide(c), script(c); }
static void pairs_levels(hn_config_model *c) { hinet_plus_levels(c), c->pairs = HN_PAIRS_INPUT; }
static void side(hn_config_model *c) { c->side_units = (hn_units){{4, 3}, 2}; }
static void side_script(hn_config_model *c) { side(c), script(c); }
static void side_norm_dropout(hn_config_model *c) {
    side(c), dropouts(c), c->expert_norm = true, c->activation = HN_ACTIVATION_GELU;
}
/* Each option with the rivals. */
static void options_of_rivals(hn_config_model *c) {
    c->tower_gate = 3, c->wide = HN_WIDE_CELL;
    c->expert_norm = true, c->activation = HN_ACTIVATION_SILU;
}
static void shared_bottom_options(hn_config_model *c) { shared_bottom(c), options_of_rivals(c); }
static void mmoe_options(hn_config_model *c) { mmoe(c), options_of_rivals(c); }
static void ple_options(hn_config_model *c) { ple_levels(c), options_of_rivals(c); }
static void single_options(hn_config_model *c) { single(c), options_of_rivals(c); }
static void mixed_options(hn_config_model *c) {
    mixed(c), options_of_rivals(c), c->wide = HN_WIDE_TASK;
}
static void hmoe_options(hn_config_model *c) { hmoe(c), options_of_rivals(c); }
static void cross_stitch_options(hn_config_model *c) { cross_stitch(c), options_of_rivals(c); }
static void star_options(hn_config_model *c) { star(c), options_of_rivals(c); }
static void pepnet_options(hn_config_model *c) { pepnet(c), options_of_rivals(c); }
static void mixed_side(hn_config_model *c) { mixed(c), side(c); }
static void single_side(hn_config_model *c) { single(c), side(c); }
static void mmoe_pairs(hn_config_model *c) { mmoe(c), c->pairs = HN_PAIRS_WIDE; }
static void single_pairs(hn_config_model *c) { single(c), c->pairs = HN_PAIRS_INPUT; }
static void star_pairs(hn_config_model *c) { star(c), c->pairs = HN_PAIRS_INPUT; }
static void pepnet_pairs(hn_config_model *c) { pepnet(c), c->pairs = HN_PAIRS_INPUT; }
static void with_norm(hn_config_model *c, hn_model_kind kind) {
    c->kind = kind, c->expert_norm = true, c->activation = HN_ACTIVATION_SILU;
}
static void hmoe_norm(hn_config_model *c) { with_norm(c, HN_MODEL_HMOE); }
static void cross_stitch_norm(hn_config_model *c) { with_norm(c, HN_MODEL_CROSS_STITCH); }
static void star_norm(hn_config_model *c) { with_norm(c, HN_MODEL_STAR); }
static void pepnet_norm(hn_config_model *c) { with_norm(c, HN_MODEL_PEPNET); }

/* Each task after the one before: as long a chain as there are tasks. */
static void chain(hn_config_model *c) {
    for (int32_t t = 1; t < HN_TASKS_MAX; t++) c->after[t] = t;
}
static void aitm(hn_config_model *c) { c->kind = HN_MODEL_AITM, c->order_penalty = 0.6; }
static void aitm_heavy(hn_config_model *c) { c->kind = HN_MODEL_AITM, c->order_penalty = 5; }
static void aitm_free(hn_config_model *c) { c->kind = HN_MODEL_AITM; }
static void aitm_after(hn_config_model *c) { aitm(c), chain(c); }
static void aitm_dropout(hn_config_model *c) { aitm(c), dropouts(c); }
static void m3oe(hn_config_model *c) { c->kind = HN_MODEL_M3OE, c->expert_norm = true; }
static void m3oe_plain(hn_config_model *c) { m3oe(c), plain_sizes(c); }
static void m3oe_no_norm(hn_config_model *c) { c->kind = HN_MODEL_M3OE; }
static void m3oe_dropout(hn_config_model *c) { m3oe(c), dropouts(c); }
static void esmm(hn_config_model *c) { c->kind = HN_MODEL_SHARED_BOTTOM, chain(c); }
static void esmm_all_heads(hn_config_model *c) { c->compat.all_heads = true, chain(c); }
static void esmm_siblings(hn_config_model *c) { /* all after the first */
    for (int32_t t = 1; t < HN_TASKS_MAX; t++) c->after[t] = 1;
}

/* Options together with what else changes the logits. */
static void aitm_options(hn_config_model *c) { aitm(c), options_of_rivals(c); }
static void m3oe_options(hn_config_model *c) { m3oe(c), options_of_rivals(c); }
static void single_apart(hn_config_model *c) {
    single(c), c->wide = HN_WIDE_TASK, c->pairs = HN_PAIRS_WIDE, c->tower_gate = 2;
}
static void hmoe_after(hn_config_model *c) { hmoe(c), chain(c), c->wide = HN_WIDE_TASK; }
static void hinet_plus_after(hn_config_model *c) { hinet_plus(c), chain(c); }
static void all_heads_after(hn_config_model *c) { wide_cell_all_heads(c), chain(c); }

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
    CASE(script_levels),
    CASE(san_quirks_levels),
    CASE(gate_quirks_levels),
    CASE(own_only_levels),
    CASE(no_scenario_layer_levels),
    CASE(shared_bottom),
    CASE(mmoe),
    CASE(ple),
    CASE(ple_levels),
    CASE(ple_dropout),
    CASE(single),
    CASE(mixed),
    CASE(mixed_dropout),
    CASE(hinet_plus),
    CASE(hinet_plus_levels),
    CASE(hinet_plus_dropout),
    CASE(hinet_plus_across),
    CASE(san_user),
    CASE(san_row),
    CASE(san_row_levels),
    CASE(san_row_script),
    CASE(tower_gate),
    CASE(tower_gate_all_heads),
    CASE(tower_gate_no_units),
    CASE(expert_norm),
    CASE(silu),
    CASE(gelu),
    CASE(wide_task),
    CASE(wide_cell),
    CASE(wide_task_all_heads),
    CASE(wide_cell_all_heads),
    CASE(wide_script),
    CASE(side),
    CASE(side_script),
    CASE(side_norm_dropout),
    CASE(pairs_wide),
    CASE(pairs_input),
    CASE(pairs_script),
    CASE(pairs_levels),
    CASE(shared_bottom_options),
    CASE(mmoe_options),
    CASE(ple_options),
    CASE(single_options),
    CASE(mixed_options),
    CASE(hmoe_options),
    CASE(cross_stitch_options),
    CASE(star_options),
    CASE(pepnet_options),
    CASE(mixed_side),
    CASE(single_side),
    CASE(mmoe_pairs),
    CASE(single_pairs),
    CASE(star_pairs),
    CASE(pepnet_pairs),
    CASE(hmoe),
    CASE(hmoe_plain),
    CASE(hmoe_dropout),
    CASE(cross_stitch),
    CASE(cross_stitch_half),
    CASE(cross_stitch_dropout),
    CASE(star),
    CASE(star_no_units),
    CASE(star_dropout),
    CASE(pepnet),
    CASE(pepnet_no_units),
    CASE(pepnet_dropout),
    CASE(hmoe_norm),
    CASE(cross_stitch_norm),
    CASE(star_norm),
    CASE(pepnet_norm),
    CASE(aitm),
    CASE(aitm_heavy),
    CASE(aitm_free),
    CASE(aitm_after),
    CASE(aitm_dropout),
    CASE(m3oe),
    CASE(m3oe_plain),
    CASE(m3oe_no_norm),
    CASE(m3oe_dropout),
    CASE(esmm),
    CASE(esmm_all_heads),
    CASE(esmm_siblings),
    CASE(aitm_options),
    CASE(m3oe_options),
    CASE(single_apart),
    CASE(hmoe_after),
    CASE(hinet_plus_after),
    CASE(all_heads_after),
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
        .auxiliary_units = {{4}, 1},
        .stitch_diagonal = 0.9,
        .gate_width = 3,
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
    HN_TRY(hn_model_record(&out->graph, layout, config, err));
    return model_plan(out, mode, seed, err);
}

hn_status model_plan(model *out, hn_mode mode, uint64_t seed, hn_error *err) {
    hn_status status = hn_plan_create(&out->plan, out->graph, mode, err);
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
