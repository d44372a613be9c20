/* Blocks: what the models are made of. A block is a function that records some steps and
 * returns their value; sizes and options come from the config. Formulas stand beside the
 * calls in blocks.c and task_layer.c; docs/tensors.md has every tensor of every model.
 *
 * Names. A layer of a block NAME has the parameters NAME.wK (weights) and NAME.bK
 * (biases), K from 1; its gate NAME.gate.w and NAME.gate.b. Levels from the second on put
 * their number behind the block's name: "sei.2.w1".
 *   input.gamma input.beta                        compat.input_affine
 *   sei.wK sei.bK sei.gate.w sei.gate.b           specific SEIs 0…M-1, then the shared one
 *   sei.L.*  sei.L.shared.*                       level L ≥ 2: specific, shared
 *   san.e san.w san.b (san.wK san.bK)             level 1; san.L.* at level L
 *   cgc.own.wK cgc.shared.wK cgc.gate.w cgc.gate.shared.w   and .b; cgc.L.* at level L
 *   experts.wK experts.gate.w                     MMoE, HMoE
 *   bottom.wK bottom.bK, scenario.e               shared-bottom, single, mixed and others
 *   transfer.T.message.w transfer.T.w             AITM, into task T ≥ 2; and .b
 *   scenario.own task.own                         M3oE
 *   tower.wK tower.bK tower.out.w tower.out.b
 *
 * Shapes. A parameter is [batch][rows][groups × cols] (graph.h). A layer with n outputs of
 * c numbers for each group of its input has weights [s·g][rows][n × c] and biases
 * [1][s][g·n × c], where g is the number of groups of the input, and s is M for layers
 * that belong to the row's own scenario, else 1. */
#ifndef HN_MODEL_BLOCKS_H
#define HN_MODEL_BLOCKS_H

#include "model/model.h"

/* Which heads a block computes for a row. */
typedef enum hn_heads {
    HN_HEADS_OWN, /* T: those of the row's own scenario */
    HN_HEADS_ALL, /* M·T: every scenario's, in the order scenario × T + task */
    HN_HEADS_TASK /* T: the same for all scenarios */
} hn_heads;
int32_t hn_heads_count(const hn_graph *graph, hn_heads heads);

/* x after the embedding dropout and, in the script's form, its frozen batch norm. */
hn_value hn_block_input(hn_graph *graph, const hn_config_model *config, bool per_scenario);

/* One layer: for each group of x `n` outputs of `cols` numbers, act(x·W + b);
 * [x.groups·n × cols]. `suffix` is put behind ".w" and ".b" ("1", "2", … or ""). */
typedef struct hn_layer {
    const char *name, *suffix;
    int32_t n, cols;
    bool by_scenario;
    hn_act act;
} hn_layer;
hn_value hn_block_layer(hn_graph *graph, hn_value x, const hn_layer *layer);
/* A layer of so many weights fits in a machine; else the sticky error says that it does not. */
bool hn_block_fits(hn_graph *graph, const char *name, double weights);
/* e_i, the embedding of the row's own scenario: [1 × scenario_width], "scenario.e". */
hn_value hn_block_scenario(hn_graph *graph, const hn_config_model *config);

/* A bank of MLPs, `n` for each group of x, all of the same `units` with ReLU (experts: norm
 * and activation of the config) and dropout after each layer: [x.groups·n × last unit]. Experts
 * that see the same x are one wide product in the first layer and a grouped one in the next.
 * Without units: x itself, its groups repeated by no one (n must be 1). */
typedef struct hn_bank {
    const char *name;
    const hn_units *units;
    int32_t n;
    bool by_scenario;
    double dropout;
    const hn_config_model *expert; /* whose norm and activation it has; NULL: no expert, ReLU */
} hn_bank;
hn_value hn_block_bank(hn_graph *graph, hn_value x, const hn_bank *bank);
/* Its layer k, from 0, of what the layer before gave. */
hn_value hn_block_bank_layer(hn_graph *graph, hn_value x, const hn_bank *bank, int32_t k);
/* act(LN(z)) of an expert layer's z = x·W + b, as the config has it. Where that is a plain
 * ReLU the product does it in its own pass (layer.act). */
hn_value hn_block_expert(hn_graph *graph, const hn_config_model *config, hn_value z,
                         const hn_layer *layer);
bool hn_block_plain_experts(const hn_config_model *config);

/* Gates: for each group of x `n` softmaxes over `experts`, softmax(x·W + b);
 * [x.groups·n × experts]. Kept as "gate.TITLE" unless title is NULL. */
typedef struct hn_gate {
    const char *name, *title;
    int32_t n, experts;
    bool by_scenario;
    bool relu; /* the script: ReLU before the softmax */
    bool ones; /* the script: softmax over an axis of size 1, so that every weight is 1 */
} hn_gate;
hn_value hn_block_gate(hn_graph *graph, hn_value x, const hn_gate *gate);

/* Every group of the gate mixes all the experts: out o = Σ_k gate[o][k] · experts k. */
hn_value hn_block_mix(hn_graph *graph, hn_value gate, hn_value experts);

/* MMoE: experts that all share, mixed by a gate for each head; [heads × d]. */
hn_value hn_block_mmoe(hn_graph *graph, const hn_config_model *config, hn_value x, hn_heads heads);

/* `n` sub-expert integrations for each group of x: SEI(x) = Σ_k softmax(Wx + b)_k · Q_k(x),
 * or one MLP each when the config says so. [x.groups·n × d]. */
hn_value hn_block_sei(hn_graph *graph, const hn_config_model *config, const char *name, hn_value x,
                      int32_t n);

/* The scenario-aware attentive network: a_ij, what scenario i takes from scenario j. Of the
 * scenarios alone: `table` is a, of the param stage, [M][M] with an empty diagonal, kept
 * under `name`. Of the row too (san_input): `table` has the logits l_ij, to which
 * v·U, [1 × M] in `row`, is added; a is then kept as "gate.NAME". Needs M ≥ 2. */
typedef struct hn_san {
    hn_value table, row;
    char name[16];
} hn_san;
hn_san hn_block_san(hn_graph *graph, const hn_config_model *config, const char *name);
/* A_i for the row's own scenario i, [1 × d], or for every one, [M × d]; S: [M × d]. */
hn_value hn_block_attend(hn_graph *graph, const hn_config_model *config, const hn_san *san,
                         hn_value s);
hn_value hn_block_attend_all(hn_graph *graph, const hn_config_model *config, const hn_san *san,
                             hn_value s);

/* The task extraction layer over x [1 × d]: `levels` of customized gate control.
 *   across   one CGC over all M·T cells (PLE): the shared experts are everybody's, and
 *            between levels the shared gate mixes the experts of all cells;
 *   else     a CGC for each scenario.
 * Returns [heads × d']. */
hn_value hn_block_cgc(hn_graph *graph, const hn_config_model *config, hn_value x, bool across,
                      hn_heads heads);

/* One tower for each head: MLP, then 1 logit. x has a group for each head, or one group
 * that all heads read. [heads × 1]. */
hn_value hn_block_tower(hn_graph *graph, const hn_config_model *config, hn_value x, hn_heads heads);

/* Σ_{f<g} e_f ⊙ e_g over the embeddings of the commonest width k: [1 × k]. */
hn_value hn_block_pairs(hn_graph *graph);

/* The logits and what the config has beside the network: a wide part, pairs, a side network. */
hn_value hn_block_beside(hn_graph *graph, const hn_config_model *config, hn_value logits,
                         bool all_heads);

/* The logits of tasks that come after others (ESMM): σ(z) = σ(z of the earlier) · σ(b), where
 * b, the logit given, is the conditional one. The logits as they are where no task does. */
hn_value hn_block_after(hn_graph *graph, const hn_config_model *config, hn_value logits);
/* AITM's calibrator: a penalty where a task's probability is above that of the task before. */
void hn_block_calibrate(hn_graph *graph, const hn_config_model *config, hn_value logits);

/* What gates on towers read, z = (stop(x), user's id, item's id, e_i), recorded once; and the
 * output h of tower layer `level` times its gate. */
hn_value hn_block_prior(hn_graph *graph, const hn_config_model *config);
hn_value hn_block_tower_gate(hn_graph *graph, const hn_config_model *config, hn_value h, hn_value z,
                             int32_t level);

/* Columns first … first + count - 1 of x, as one group; a view. */
hn_value hn_block_columns(hn_graph *graph, hn_value x, int32_t first, int32_t count);

/* ---- The models --------------------------------------------------------------------- */

/* X(symbol of HN_MODEL_MAP, NAME of its builder hn_model_NAME, title, source) */
#define HN_MODEL_ROWS(X)                                                                           \
    X(HINET, hinet, "HiNet", "Zhou et al., HiNet, ICDE 2023 (arXiv 2303.06095)")                   \
    X(HINET_PLUS, hinet_plus, "HiNet+", "this project: HiNet with parts of SwAN, PEPNet and HoME") \
    X(SHARED_BOTTOM, shared_bottom, "Shared-bottom", "Caruana, Multitask Learning, 1997")          \
    X(MMOE, mmoe, "MMoE", "Ma et al., Multi-gate Mixture-of-Experts, KDD 2018")                    \
    X(PLE, ple, "PLE", "Tang et al., Progressive Layered Extraction, RecSys 2020")                 \
    X(SINGLE, single, "Single", "baseline: a separate model for each scenario")                    \
    X(MIXED, mixed, "Mixed", "baseline: one model, the scenario as a feature")                     \
    X(HMOE, hmoe, "HMoE", "Li et al., Hierarchical Mixture of Experts, CIKM 2020")                 \
    X(CROSS_STITCH, cross_stitch, "Cross-stitch",                                                  \
      "Misra et al., Cross-stitch Networks, CVPR 2016")                                            \
    X(STAR, star, "STAR", "Sheng et al., Star Topology Adaptive Recommender, CIKM 2021")           \
    X(PEPNET, pepnet, "PEPNet",                                                                    \
      "Chang et al., Parameter and Embedding Personalized Network, KDD 2023")                      \
    X(AITM, aitm, "AITM", "Xi et al., Adaptive Information Transfer Multi-task, KDD 2021")         \
    X(M3OE, m3oe, "M3oE", "Zhang et al., Multi-Domain Multi-Task Mixture-of-Experts, SIGIR 2024")

/* From x to the logits: [T × 1] of the row's own scenario, or [M·T × 1] with all heads. */
#define X(symbol, name, title, source) \
    hn_value hn_model_##name(hn_graph *graph, const hn_config_model *config);
HN_MODEL_ROWS(X)
#undef X

#endif
