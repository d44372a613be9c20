/* The options of the model and of training. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/config_options.h"

static const char *const model_names[] = {
#define X(symbol, text) text,
    HN_MODEL_MAP(X)
#undef X
        NULL};

const char *hn_model_name(hn_model_kind kind) {
    return (unsigned)kind < HN_MODELS ? model_names[kind] : "?";
}

/* ---- The official script's departures ---- */

#define COMPAT(name_, meaning_)                                                              \
    {                                                                                        \
        .name = #name_, .type = &hn_value_bool, .offset = offsetof(hn_config_compat, name_), \
        .def = "false", .meaning = meaning_                                                  \
    }

static const hn_option compat_options[] = {
    COMPAT(san_softmax_all, "the SAN gate is a softmax over all scenarios, own weight then zeroed "
                            "and not renormalised"),
    COMPAT(san_mlp, "the SAN gate is an MLP 128, 64, 1, M with a ReLU after each layer"),
    COMPAT(gate_relu, "ReLU before the softmax of SEI and CGC gates"),
    COMPAT(cgc_sum, "all CGC gate weights are 1: experts are summed"),
    COMPAT(cgc_global,
           "one CGC over all cells: `task_own` experts a cell, `task_shared` shared by all"),
    COMPAT(all_heads, "all heads learn from every row; absent labels are read as 0"),
    COMPAT(sei_dropout, "dropout of 0.5 after every SEI layer"),
    COMPAT(input_affine, "the input is scaled and shifted: x · γ / √1.001 + β"),
};

enum { N_COMPAT = sizeof compat_options / sizeof *compat_options };

static hn_status add_true(const hn_config_reader *reader, hn_node *mapping, const char *key,
                          hn_place place) {
    hn_node *node = hn_node_create(reader->arena, HN_NODE_SCALAR, "true", place);
    if (node == NULL) return hn_no_memory(reader->err, "the config's tree");
    if (hn_node_find(mapping, key) != NULL)
        return hn_config_fail(reader, place, "found \"%.80s\" twice; expected each once", key);
    node->key = key;
    hn_node_append(mapping, node);
    return HN_OK;
}

/* all, none, or a list of names. */
static hn_status expand_compat(const hn_config_reader *reader, hn_node *node) {
    const hn_node old = *node;
    const bool all = old.kind == HN_NODE_SCALAR && strcmp(old.text, "all") == 0;
    if (old.kind == HN_NODE_SCALAR && !all && strcmp(old.text, "none") != 0)
        return hn_config_fail(
            reader, node->place,
            "found \"%.80s\"; expected all, none, a list of switches or a mapping", old.text);
    if (old.n > 2 * N_COMPAT)
        return hn_config_fail(reader, node->place, "found %d switches; there are %d", old.n,
                              N_COMPAT);
    node->kind = HN_NODE_MAPPING;
    node->first = node->last = NULL;
    node->n = 0;
    for (int i = 0; all && i < N_COMPAT; i++)
        HN_TRY(add_true(reader, node, compat_options[i].name, node->place));
    for (const hn_node *item = old.first; item != NULL; item = item->next) {
        if (item->kind != HN_NODE_SCALAR)
            return hn_config_fail(reader, item->place, "found %s; expected a switch's name",
                                  hn_node_kind_text(item));
        HN_TRY(add_true(reader, node, item->text, item->place));
    }
    return HN_OK;
}

static const hn_config_section compat_section = {
    .about = "Where the official script departs from the paper (hinet), each by itself. Short "
             "forms: `all`, `none`, a list of names.",
    .options = compat_options,
    .n = N_COMPAT,
    .expand = expand_compat};

/* ---- The model ---- */

#define FIELD(name_) .name = #name_, .offset = offsetof(hn_config_model, name_)
#define UNITS(min_, def_) .type = &hn_value_units, .min = min_, .max = HN_UNITS_MAX, .def = def_
#define COUNT(min_, max_, def_) .type = &hn_value_int32, .min = min_, .max = max_, .def = def_
#define SWITCH .type = &hn_value_bool, .def = "true"
#define DROPOUT .type = &hn_value_real, .min = 0, .max = 0.9, .def = "0"

static const char *const san_input_names[] = {"scenario", "user", "row", NULL};
static const char *const activation_names[] = {"relu", "silu", "gelu", NULL};
static const char *const pairs_names[] = {"none", "wide", "input", NULL};
static const char *const wide_names[] = {"none", "task", "cell", NULL};

static const hn_option model_options[] = {
    {.name = "name",
     .type = &hn_value_enum,
     .offset = offsetof(hn_config_model, kind),
     .names = model_names,
     .def = "hinet",
     .meaning = "options of other models than this one are read and have no effect, so that one "
                "config compares them"},
    {FIELD(experts), COUNT(1, 256, "5"),
     .meaning = "hinet: K, sub-experts of each SEI; mmoe, hmoe: experts; m3oe: shared experts"},
    {FIELD(expert_units), UNITS(1, "128 64"), .meaning = "hinet, mmoe, hmoe, m3oe: layers of each"},
    {FIELD(scenario_levels), COUNT(1, 8, "1"), .meaning = "hinet: scenario extraction layers"},
    {FIELD(scenario_width), COUNT(1, 4096, "64"),
     .meaning =
         "of the scenario's embedding, which feeds hinet's SAN gate, mixed, star's auxiliary net "
         "and pepnet's gates"},
    {FIELD(san), SWITCH, .meaning = "hinet: false leaves the attentive network out (ablation)"},
    {FIELD(sei), SWITCH, .meaning = "hinet: false makes each scenario expert one MLP (ablation)"},
    {FIELD(scenario_layer), SWITCH,
     .meaning = "hinet: false puts the task layer directly on the input (ablation)"},
    {FIELD(shared_expert), SWITCH,
     .meaning = "hinet: false leaves out what scenarios share (ablation)"},
    {FIELD(task_shared), COUNT(0, 256, "2"), .meaning = "hinet, ple: experts that the tasks share"},
    {FIELD(task_own), COUNT(0, 256, "2"), .meaning = "hinet, ple: experts of each cell"},
    {FIELD(task_units), UNITS(1, "128 64"), .meaning = "hinet, ple: layers of each"},
    {FIELD(task_levels), COUNT(1, 8, "1"), .meaning = "hinet, ple: levels of task extraction"},
    {FIELD(task_shared_across), .type = &hn_value_bool, .def = "false",
     .meaning = "hinet: all scenarios have the same shared task experts"},
    {FIELD(bottom_units), UNITS(1, "128 64"),
     .meaning = "shared-bottom, single, mixed, cross-stitch, star, pepnet, aitm: layers of the "
                "bottom"},
    {FIELD(tower_units), UNITS(0, "128 64"),
     .meaning = "layers of each cell's tower, before the last one of 1"},
    {FIELD(stitch_diagonal), .type = &hn_value_real, .min = 0, .max = 1, .def = "0.9",
     .meaning = "cross-stitch: what a task starts with of its own layer; the rest is shared out "
                "among the others"},
    {FIELD(auxiliary_units), UNITS(0, "64"),
     .meaning = "star: layers of the auxiliary net, before the last one"},
    {FIELD(order_penalty), .type = &hn_value_real, .min = 0, .max = 1000, .def = "0.6",
     .meaning = "aitm: weight in the loss of max(p(task) − p(task before), 0), for tasks in the "
                "order of the config; 0: none"},
    {FIELD(gate_width), COUNT(1, 4096, "64"), .meaning = "pepnet: hidden layer of each gate"},
    {FIELD(embedding_dropout), DROPOUT,
     .meaning = "share of the model's input that is dropped in training"},
    {FIELD(expert_dropout), DROPOUT, .meaning = "the same after every expert layer"},
    {FIELD(san_input), .type = &hn_value_enum, .names = san_input_names,
     .meaning = "hinet, hinet+: what the SAN gate reads besides the scenario's embedding: nothing "
                "(`scenario`), the user's columns, or the whole row"},
    {FIELD(tower_gate), COUNT(0, 4096, NULL),
     .meaning = "hidden width of gates on the towers' layers (PPNet) that read user, item and "
                "scenario; 0: none; absent: 16 in hinet+, else 0"},
    {FIELD(expert_norm), .type = &hn_value_bool,
     .meaning = "LayerNorm in every expert layer (also of bottoms), before its activation; absent: "
                "of m3oe only"},
    {FIELD(activation), .type = &hn_value_enum, .names = activation_names,
     .meaning = "of expert layers (also of bottoms); towers have ReLU"},
    {FIELD(side_units), UNITS(0, ""),
     .meaning =
         "layers of one network for all scenarios beside the model, whose logits of the tasks "
         "are added; none: no such network"},
    {FIELD(pairs), .type = &hn_value_enum, .names = pairs_names,
     .meaning =
         "products of every two embeddings, summed (a factorisation machine's): none, to the "
         "logits (`wide`), or to the network beside its input"},
    {FIELD(wide), .type = &hn_value_enum, .names = wide_names,
     .meaning = "a linear part from the input to the logits: none, the same for all scenarios "
                "(`task`), or of each cell; absent: `task` in hinet+, else none"},
    {FIELD(compat), .type = &hn_value_section, .section = &compat_section},
};

const hn_config_section hn_model_section = {
    .about =
        "The network. A name alone is a short form: `model: ple`. Defaults are the paper's size.",
    .options = model_options,
    .n = sizeof model_options / sizeof *model_options,
    .short_key = "name",
    .check = hn_model_check};

static bool is_absent(const hn_node *node, const char *key) {
    return hn_node_is_null(hn_node_find(node, key));
}

/* What a model has where the config doesn't say otherwise. HiNet+ is what the ablation on
 * validation data chose (docs/results.md). */
static void fill_defaults(hn_config_model *m, const hn_node *node) {
    if (m->kind == HN_MODEL_M3OE && is_absent(node, "expert_norm")) m->expert_norm = true;
    if (m->kind != HN_MODEL_HINET_PLUS) return;
    if (is_absent(node, "wide")) m->wide = HN_WIDE_TASK;
    if (is_absent(node, "tower_gate")) m->tower_gate = 16;
}

hn_status hn_model_check(hn_config_reader *reader, const hn_node *node, void *model) {
    hn_config_model *m = model;
    fill_defaults(m, node);
    if (m->task_own + m->task_shared == 0)
        return hn_config_fail_key(
            reader, node, "task_own",
            "found `task_own` and `task_shared` both 0; expected at least one expert");
    return HN_OK;
}
#undef FIELD
#undef COUNT

/* ---- Training ---- */

#define FIELD(name_) .name = #name_, .offset = offsetof(hn_config_train, name_)
#define COUNT(min_, max_, def_) .type = &hn_value_int32, .min = min_, .max = max_, .def = def_
#define COUNT64(min_, max_, def_) .type = &hn_value_int64, .min = min_, .max = max_, .def = def_
#define REAL(min_, max_, def_) .type = &hn_value_real, .min = min_, .max = max_, .def = def_

static const char *const optimizer_names[] = {"adam", "adagrad", "sgd", NULL};
static const char *const decay_names[] = {"none", "linear", "cosine", NULL};
static const char *const reduce_names[] = {"rows", "cells", NULL};
static const char *const weighting_names[] = {"fixed", "uncertainty", "gradnorm", NULL};
static const char *const calibration_names[] = {"none", "platt", "isotonic", NULL};

static const hn_option sampling_options[] = {
    {.name = "weight",
     .type = &hn_value_real,
     .offset = offsetof(hn_config_sampling, weight),
     .min = 0,
     .max = 100,
     .flags = HN_OPTION_REQUIRED | HN_OPTION_ABOVE_MIN,
     .meaning = "how many times an epoch a row of this scenario is trained on, on average: the "
                "whole part always, the rest by chance anew in each epoch. The loss is not "
                "reweighted. A scenario that is not named: 1"},
};

static const hn_config_section sampling_section = {
    .about = "How often the rows of a scenario are trained on. Names are those of `scenario`; a "
             "number alone is a short form: `sampling: {main: 0.5, search: 2}`.",
    .options = sampling_options,
    .n = sizeof sampling_options / sizeof *sampling_options,
    .size = sizeof(hn_config_sampling),
    .short_key = "weight"};

static const hn_option train_options[] = {
    {FIELD(reduce), .type = &hn_value_enum, .names = reduce_names, .def = "rows",
     .meaning = "`rows`: the mean over all labels of a batch; `cells`: the sum of the cells' "
                "means, which weighs small scenarios like large ones"},
    {FIELD(weighting), .type = &hn_value_enum, .names = weighting_names, .def = "fixed",
     .meaning =
         "of the tasks' losses, beside their `weight` (formulas: docs/tensors.md). "
         "`uncertainty`: exp(-s) · L + s / 2 with a trained s for each task; `gradnorm`: "
         "weights, T in sum, that let tasks learn at the same pace, by the norms of their "
         "gradients at the layer that all tasks share: hinet: of the shared sub-experts; "
         "ple, m3oe: of the shared experts; mmoe, hmoe: of the experts; shared-bottom, mixed, "
         "star, pepnet: of the bottom; refused for models without one (single, "
         "cross-stitch, aitm). A step of gradnorm goes backward once more for each task, "
         "from the loss to that layer: with two tasks it takes 1.1 to 1.3 times as long"},
    {FIELD(weighting_rate), REAL(0, 100, "0.01"), .flags = HN_OPTION_ABOVE_MIN,
     .meaning = "learning rate of `weighting: uncertainty` and `gradnorm`, by Adam"},
    {FIELD(gradnorm_alpha), REAL(0, 100, "1.5"),
     .meaning = "gradnorm: how strongly tasks that learn slower are pushed"},
    {FIELD(sampling), .type = &hn_value_map, .section = &sampling_section, .min = 0,
     .max = HN_SCENARIOS_MAX, .companion = offsetof(hn_config_train, n_sampling)},
    {FIELD(optimizer), .type = &hn_value_enum, .names = optimizer_names, .def = "adam",
     .meaning = "moments of untouched embedding rows do not decay"},
    {FIELD(rate), REAL(0, 100, "0.001"), .flags = HN_OPTION_ABOVE_MIN, .meaning = "learning rate"},
    {FIELD(weight_decay), REAL(0, 100, "0"), .meaning = "L2 in the gradient"},
    {FIELD(embedding_rate), REAL(0, 100, "0"),
     .meaning = "learning rate of embedding tables; 0: `rate`"},
    {FIELD(embedding_decay), REAL(0, 100, NULL),
     .meaning = "weight decay of embedding rows when they are touched; absent: `weight_decay`"},
    {FIELD(embedding_scale), REAL(0, 100, "0.05"),
     .meaning = "standard deviation of the initial (and of new) embedding rows"},
    {FIELD(beta1), REAL(0, 1, "0.9"), .flags = HN_OPTION_BELOW_MAX, .meaning = "adam"},
    {FIELD(beta2), REAL(0, 1, "0.999"), .flags = HN_OPTION_BELOW_MAX, .meaning = "adam"},
    {FIELD(epsilon), REAL(0, 1, "1e-08"), .flags = HN_OPTION_ABOVE_MIN, .meaning = "adam, adagrad"},
    {FIELD(decoupled), .type = &hn_value_bool, .def = "false",
     .meaning = "weight decay apart from the gradient (AdamW)"},
    {FIELD(batch), COUNT(16, 1048576, "4096"), .meaning = "rows a step"},
    {FIELD(epochs), COUNT(1, 100000, "8"), .meaning = "passes over the training split"},
    {FIELD(patience), COUNT(0, 100000, "2"),
     .meaning = "stop after this many validations without a new best; 0: never"},
    {FIELD(metric), .type = &hn_value_text, .min = 1, .max = 500, .def = "auc",
     .meaning = "what is best on validation: `auc`, the mean of all cells, or `scenario/task`, "
                "that cell's"},
    {FIELD(warmup), COUNT64(0, 1e12, "0"), .meaning = "steps in which the rate rises from 0"},
    {FIELD(decay), .type = &hn_value_enum, .names = decay_names, .def = "none",
     .meaning = "of the rate, towards 0, which it would reach one step after the last"},
    {FIELD(seed), .type = &hn_value_uint64, .def = "1",
     .meaning = "of weights, order and dropout; the same seed gives the same bytes"},
    {FIELD(shards), COUNT(1, 64, "8"),
     .meaning = "parts of a batch that are summed apart; changes the last bits of the result. At "
                "most rows / 64 are used"},
    {FIELD(window), COUNT(1, 65536, "64"), .meaning = "blocks whose rows are shuffled together"},
    {FIELD(block_rows), COUNT(16, 1048576, "4096"),
     .meaning = "rows of a block of the dataset; blocks are shuffled each epoch"},
    {FIELD(keep_optimizer), .type = &hn_value_bool, .def = "true",
     .meaning = "the optimizer's state goes into the bundle, for warm starts"},
    {FIELD(eval_every), COUNT64(0, 1e12, "0"),
     .meaning = "steps between validations; 0: once an epoch"},
    {FIELD(calibration), .type = &hn_value_enum, .names = calibration_names, .def = "platt",
     .meaning = "of each cell's probability, fitted on the validation split with the best "
                "parameters and kept in the bundle; figures here do not use it, `predict "
                "--calibrate` and the server do. `platt` keeps the order of rows, `isotonic` "
                "follows any rising curve and makes ties"},
    {FIELD(golden_rows), COUNT(0, 256, "32"),
     .meaning = "held-out rows kept in best.hn, as the cells of the columns that features read, "
                "with the model's scores of them: a server refuses a bundle that scores them "
                "otherwise. They are users' data; 0: none"},
    {FIELD(profile), .type = &hn_value_bool, .def = "true",
     .meaning = "the distributions of features and scores on held-out rows are kept in best.hn, "
                "so that a server can tell drift"},
};

const hn_config_section hn_train_section = {.about = "How the network learns.",
                                            .options = train_options,
                                            .n = sizeof train_options / sizeof *train_options,
                                            .check = hn_train_check};

hn_status hn_train_check(hn_config_reader *reader, const hn_node *node, void *train) {
    hn_config_train *t = train;
    if (hn_node_is_null(hn_node_find(node, "embedding_decay")))
        t->embedding_decay = t->weight_decay;
    const int64_t rows = (int64_t)t->window * t->block_rows;
    if (rows > 1 << 30)
        return hn_config_fail_key(reader, node, "window",
                                  "found window × block_rows = %lld rows; expected at most %d",
                                  (long long)rows, 1 << 30);
    return HN_OK;
}
