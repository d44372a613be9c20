/* The config as plain data. What options exist, their types, defaults, ranges and
 * meanings are rows of the tables in config_options.c, from which the parser, the
 * resolved YAML, the reference (docs/config.md) and the errors follow. Everything here is
 * owned by the config's arena and immutable after hn_config_load. */
#ifndef HN_BASE_CONFIG_H
#define HN_BASE_CONFIG_H

#include "base/memory.h"
#include "base/rows.h"

enum { HN_SCENARIOS_MAX = 1024, HN_TASKS_MAX = 32, HN_UNITS_MAX = 8 };

typedef struct hn_strings {
    char **items;
    int32_t n;
} hn_strings;

typedef struct hn_units { /* layer widths of an MLP */
    int32_t units[HN_UNITS_MAX];
    int32_t n;
} hn_units;

/* "column", or "column OP value": OP one of == != < <= > >= in; several values for `in`
 * ("tab in [1, 0, 4]"). Compared as numbers when the cell and the value both are; else ==,
 * != and in compare text, and < and its like make a bad row. A bare column as a label: 1/0,
 * true/false, or a number > 0. */
typedef enum hn_compare_op {
    HN_CMP_TRUE,
    HN_CMP_EQ,
    HN_CMP_NE,
    HN_CMP_LT,
    HN_CMP_LE,
    HN_CMP_GT,
    HN_CMP_GE,
    HN_CMP_IN
} hn_compare_op;
typedef struct hn_predicate {
    char *text;   /* as written */
    char *column; /* NULL: no predicate */
    hn_compare_op op;
    hn_strings values;
    double *numbers; /* [values.n], NaN where the value is no number */
} hn_predicate;

typedef struct hn_config_source { /* a delimited text file: the log's or a table's */
    hn_strings files; /* globs relative to the config's folder; "-": standard input (log only) */
    char *delimiter;  /* one or more characters; "," "\t" "::"; "auto": , or tab from the header */
    char *quote;      /* one character, or "" for none */
    hn_strings columns; /* names when the file has no header line; empty: header */
    hn_strings missing; /* cell texts that mean "no value" besides the empty one */
} hn_config_source;

typedef struct hn_config_table {
    char *name;
    hn_config_source source;
    char *key;     /* column of the table */
    char *log_key; /* column of the log it is joined by; default: key */
    hn_side side;  /* of its features (and of log_key itself) */
} hn_config_table;

typedef enum hn_split_by { HN_SPLIT_COLUMN, HN_SPLIT_HASH, HN_SPLIT_RANDOM } hn_split_by;
typedef enum hn_split {
    HN_TRAIN,
    HN_VALIDATION,
    HN_TEST,
    HN_SPLITS,
    HN_NO_SPLIT = HN_SPLITS
} hn_split;
typedef struct hn_config_split {
    hn_split_by by;
    char *column; /* column and hash */
    hn_predicate validation_if,
        test_if;             /* by column: "date >= 20220505"; test is tried first; others train */
    double validation, test; /* by hash or random: shares of units or rows */
    uint64_t seed;
} hn_config_split;

typedef struct hn_config_scenario {
    char *column;       /* may be a table's column; NULL: one scenario "all" */
    hn_strings names;   /* [M] scenario names in order; the fold target is one of them */
    hn_strings *values; /* [M] cell texts of each */
    int32_t
        fold_into; /* others: index of the scenario they join; -1: dropped (at serving: unknown) */
} hn_config_scenario;

typedef struct hn_config_task {
    char *name;
    hn_predicate label; /* an empty cell: absent */
    double weight;      /* λ of all its cells, > 0 */
    char *after;        /* the task without which this one cannot happen; NULL: none */
} hn_config_task;

typedef enum hn_feature_kind {
    HN_FEATURE_ID,
    HN_FEATURE_NUMBER,
    HN_FEATURE_LIST,
    HN_FEATURE_RATE
} hn_feature_kind;
typedef enum hn_scaling {
    HN_SCALE_NONE,
    HN_SCALE_LOG1P,
    HN_SCALE_ZSCORE,
    HN_SCALE_LOG1P_ZSCORE,
    HN_SCALE_BUCKETS
} hn_scaling;
typedef enum hn_fold_by { HN_FOLD_HASH, HN_FOLD_COLUMN, HN_FOLD_PAST } hn_fold_by;
typedef struct hn_config_feature {
    char *name;
    hn_feature_kind kind;
    char *column;  /* of the log or a table ("table.column" or a unique name); default: name */
    bool has_side; /* false: from its table, or the table keyed by the column, else context */
    hn_side side;
    int32_t width; /* of an embedding */
    char *share;   /* name of the feature whose vocabulary and embedding table it uses; NULL */
    /* id and list */
    int64_t min_count; /* rarer values are unseen */
    int64_t max_size;  /* most frequent kept; 0: all */
    int64_t hash;      /* > 0: hash buckets, no vocabulary */
    int64_t integer;   /* > 0: the integer itself, 0…integer-1 */
    char *missing;     /* text used when the cell is absent; NULL: the id "missing" or 0 */
    /* list */
    char *delimiter;
    int32_t max_length; /* first ones kept */
    hn_pooling pooling;
    /* number (and rate, whose values are scaled like numbers) */
    hn_scaling scaling;
    int32_t buckets;
    char *counts; /* number: how many values stand in the cell between these; NULL: the cell's own
                     number */
    /* rate */
    hn_strings keys;       /* columns */
    hn_strings rate_tasks; /* default: all tasks */
    double smoothing;      /* k in (Σy + k·base) / (n + k) */
    bool count;            /* also n, as log1p */
    hn_fold_by fold_by;
    char *fold_column; /* column, past */
    int32_t folds;     /* hash */
} hn_config_feature;

/* X(symbol, text in the config) */
#define HN_MODEL_MAP(X)               \
    X(HINET, "hinet")                 \
    X(HINET_PLUS, "hinet+")           \
    X(SHARED_BOTTOM, "shared-bottom") \
    X(MMOE, "mmoe")                   \
    X(PLE, "ple")                     \
    X(SINGLE, "single")               \
    X(MIXED, "mixed")                 \
    X(HMOE, "hmoe")                   \
    X(CROSS_STITCH, "cross-stitch")   \
    X(STAR, "star")                   \
    X(PEPNET, "pepnet")               \
    X(AITM, "aitm")                   \
    X(M3OE, "m3oe")
typedef enum hn_model_kind {
#define X(symbol, text) HN_MODEL_##symbol,
    HN_MODEL_MAP(X)
#undef X
        HN_MODELS
} hn_model_kind;

typedef struct hn_config_compat { /* the official script's departures; hinet.md, second table */
    bool san_softmax_all;         /* softmax over all M, own weight zeroed, not renormalised */
    bool san_mlp;                 /* 128 → 64 → 1 → M, ReLU after each */
    bool gate_relu;               /* ReLU before the softmax of SEI and CGC gates */
    bool cgc_sum;                 /* all CGC gate weights are 1 */
    bool cgc_global;  /* one CGC over all M·T heads, task_own experts a head, task_shared by all */
    bool all_heads;   /* all heads on every row, absent labels (and other scenarios') read as 0 */
    bool sei_dropout; /* 0.5 after every SEI layer */
    bool input_affine; /* x·γ/√1.001 + β */
} hn_config_compat;

typedef enum hn_san_input { HN_SAN_SCENARIO, HN_SAN_USER, HN_SAN_ROW } hn_san_input;
typedef enum hn_activation {
    HN_ACTIVATION_RELU,
    HN_ACTIVATION_SILU,
    HN_ACTIVATION_GELU
} hn_activation;
typedef enum hn_pairs { HN_PAIRS_NONE, HN_PAIRS_WIDE, HN_PAIRS_INPUT } hn_pairs;
typedef enum hn_wide { HN_WIDE_NONE, HN_WIDE_TASK, HN_WIDE_CELL } hn_wide;

typedef struct hn_config_model {
    hn_model_kind kind;
    /* hinet */
    int32_t experts;                              /* K sub-experts of an SEI; E of MMoE */
    hn_units expert_units;                        /* Q_k */
    int32_t scenario_levels;                      /* ≥ 1 */
    int32_t scenario_width;                       /* of e_i */
    bool san, sei, scenario_layer, shared_expert; /* false: an ablation */
    /* the task layer (also PLE, whose levels it counts) */
    int32_t task_shared, task_own; /* experts shared by the tasks; of each cell */
    hn_units task_units;
    int32_t task_levels;
    bool task_shared_across;  /* the shared experts are shared by all scenarios */
    hn_units bottom_units;    /* shared-bottom, single, mixed */
    hn_units tower_units;     /* before the final 1 */
    hn_units auxiliary_units; /* star: of the net that is told the scenario */
    double stitch_diagonal;   /* cross-stitch: where the matrices start */
    int32_t gate_width;       /* pepnet: hidden layer of each gate */
    double order_penalty;     /* aitm: weight of max(p(later) - p(earlier), 0) */
    /* Of each task 1 + the one it comes after, 0: none. No option of the model: the tasks' `after`
     * says it. */
    int32_t after[HN_TASKS_MAX];
    double embedding_dropout; /* on x, 0…0.9 */
    double expert_dropout;    /* after every expert layer */
    hn_san_input san_input;   /* what the SAN gate reads besides e_i */
    int32_t tower_gate;       /* hidden width of the towers' gates; 0: none */
    bool expert_norm;         /* of the experts: sei, cgc, experts, bottom */
    hn_activation activation; /* of the same */
    hn_wide wide;             /* a linear part from x to the logits */
    hn_pairs pairs;           /* where products of embeddings go */
    hn_units side_units;      /* of a network of all scenarios beside the model; none: none */
    hn_config_compat compat;
} hn_config_model;

typedef enum hn_optimizer { HN_ADAM, HN_ADAGRAD, HN_SGD } hn_optimizer;
typedef enum hn_decay { HN_DECAY_NONE, HN_DECAY_LINEAR, HN_DECAY_COSINE } hn_decay;
typedef enum hn_reduce { HN_REDUCE_ROWS, HN_REDUCE_CELLS } hn_reduce;
typedef enum hn_weighting_kind {
    HN_WEIGHTING_FIXED,
    HN_WEIGHTING_UNCERTAINTY,
    HN_WEIGHTING_GRADNORM
} hn_weighting_kind;
typedef struct hn_config_sampling { /* how often a scenario's rows train */
    char *name;                     /* of the scenario */
    double weight;                  /* times an epoch, on average */
} hn_config_sampling;
typedef enum hn_calibrate_kind {
    HN_CALIBRATE_NONE,
    HN_CALIBRATE_PLATT,
    HN_CALIBRATE_ISOTONIC
} hn_calibrate_kind;
typedef struct hn_config_train {
    hn_reduce reduce;
    hn_weighting_kind weighting;  /* of the tasks' losses */
    double weighting_rate;        /* of the s_t or w_t */
    double gradnorm_alpha;        /* how strongly slower tasks are pushed */
    hn_config_sampling *sampling; /* scenarios that are not named: 1 */
    int32_t n_sampling;
    hn_optimizer optimizer;
    double rate, weight_decay;
    double embedding_rate, embedding_decay; /* embedding_rate 0: same as rate */
    double embedding_scale;                 /* standard deviation of initial embedding rows */
    double beta1, beta2, epsilon;
    bool decoupled;
    int32_t batch, epochs, patience; /* patience 0: no early stop */
    char *metric;                    /* "auc" (mean of cells) or "scenario/task" */
    int64_t warmup;                  /* steps */
    hn_decay decay;                  /* of the rate, to 0 one step after the last */
    uint64_t seed;
    int32_t shards;                /* S */
    int32_t window;                /* blocks whose rows are shuffled together */
    int32_t block_rows;            /* rows of a dataset block */
    bool keep_optimizer;           /* optimizer state in the bundle, for --init */
    int64_t eval_every;            /* steps between validations; 0: each epoch */
    hn_calibrate_kind calibration; /* fitted at the end, kept in the bundle */
    int32_t golden_rows;           /* held-out rows kept in the bundle as text, for its check */
    bool profile;                  /* distributions kept in the bundle, to see drift against */
} hn_config_train;

typedef struct hn_config_report {
    bool gauc;
} hn_config_report;

struct hn_config {
    hn_arena arena;
    char *path, *dir; /* of the file; dir is what globs are relative to */
    hn_config_source log;
    hn_predicate *filters; /* rows must satisfy all */
    int32_t n_filters;
    bool drop_duplicates;
    int64_t bad_rows;      /* more than this many is an error */
    double sampling;       /* rate at which negatives were kept, (0, 1] */
    char *sampling_column; /* or a column with it; NULL */
    hn_config_table *tables;
    int32_t n_tables;
    hn_config_split split;
    hn_config_scenario scenario;
    hn_config_task *tasks;
    int32_t n_tasks;
    char *weight_column; /* sample weight; NULL */
    char *user_column;   /* GAUC's user; NULL: no GAUC */
    hn_config_feature *features;
    int32_t n_features;
    hn_config_model model;
    hn_config_train train;
    hn_config_report report;
    char *yaml; /* resolved */
};

/* A config from YAML text (the resolved one of a bundle, or a test's); `name` stands for
 * the path in messages. */
hn_status hn_config_parse(hn_config **out, const char *text, size_t n, const char *name,
                          const char *dir, const char *const *overrides, size_t n_overrides,
                          hn_error *err);
hn_status hn_predicate_parse(hn_predicate *out, const char *text, hn_arena *arena,
                             const char *where, hn_error *err);
const char *hn_model_name(hn_model_kind kind);

#endif
