/* The options of a config, except features' (config_feature.c) and the model's and
 * training's (config_model.c): one row an option, from which the parser, the resolved
 * YAML, the reference and the errors follow. */
#include <stddef.h>

#include "base/config_options.h"

enum { FEATURES_MAX = 4096, TABLES_MAX = 64, FILES_MAX = 4096, COLUMNS_MAX = 16384 };

/* How any delimited file is written; `path` leads to its hn_config_source. */
#define SOURCE_OPTIONS(type_, path)                                                               \
    {.name = "files",                                                                             \
     .type = &hn_value_texts,                                                                     \
     .offset = offsetof(type_, path.files),                                                       \
     .flags = HN_OPTION_REQUIRED,                                                                 \
     .min = 1,                                                                                    \
     .max = FILES_MAX,                                                                            \
     .meaning = "paths or globs, relative to the config's folder; gzip and zstd are recognised; " \
                "`-` alone is standard input (log only)"},                                        \
        {.name = "delimiter",                                                                     \
         .type = &hn_value_delimiter,                                                             \
         .offset = offsetof(type_, path.delimiter),                                               \
         .def = "auto",                                                                           \
         .meaning =                                                                               \
             "what stands between cells; `auto`: a comma or a tab, as the header line has it"},   \
        {.name = "quote",                                                                         \
         .type = &hn_value_text,                                                                  \
         .offset = offsetof(type_, path.quote),                                                   \
         .min = 0,                                                                                \
         .max = 1,                                                                                \
         .def = "\"",                                                                             \
         .meaning = "what encloses cells that hold a delimiter or a line's end; doubled inside"}, \
        {.name = "columns",                                                                       \
         .type = &hn_value_columns,                                                               \
         .offset = offsetof(type_, path.columns),                                                 \
         .min = 0,                                                                                \
         .max = COLUMNS_MAX,                                                                      \
         .def = "",                                                                               \
         .meaning = "the columns' names, when the files have no header line"},                    \
    {                                                                                             \
        .name = "missing", .type = &hn_value_texts, .offset = offsetof(type_, path.missing),      \
        .min = 0, .max = 64, .def = "",                                                           \
        .meaning = "cell texts that mean \"no value\", besides the empty one"                     \
    }

static const hn_option log_options[] = {
    SOURCE_OPTIONS(hn_config, log),
    {.name = "filter",
     .type = &hn_value_predicates,
     .offset = offsetof(hn_config, filters),
     .companion = offsetof(hn_config, n_filters),
     .min = 0,
     .max = 64,
     .def = "",
     .meaning = "rows must satisfy all of these"},
    {.name = "drop_duplicates",
     .type = &hn_value_bool,
     .offset = offsetof(hn_config, drop_duplicates),
     .def = "false",
     .meaning = "leave out rows whose line equals an earlier one of a file with the same header"},
    {.name = "bad_rows",
     .type = &hn_value_int64,
     .offset = offsetof(hn_config, bad_rows),
     .min = 0,
     .max = 1e15,
     .def = "0",
     .meaning = "skip up to this many rows that cannot be read; more is an error"},
    {.name = "sampling",
     .type = &hn_value_real,
     .offset = offsetof(hn_config, sampling),
     .flags = HN_OPTION_ABOVE_MIN,
     .min = 0,
     .max = 1,
     .def = "1",
     .meaning = "the share of negatives that was kept when the log was made; stored for the "
                "correction when serving"},
    {.name = "sampling_column",
     .type = &hn_value_column,
     .offset = offsetof(hn_config, sampling_column),
     .meaning = "a column with that share, when it differs by row"},
};

static const hn_config_section log_section = {
    .about = "The impressions: delimited text with a header line. A path or a list of paths alone "
             "is `files`.",
    .options = log_options,
    .n = sizeof log_options / sizeof *log_options,
    .short_key = "files",
    .check = hn_log_check};

static const char *const side_names[] = {"user", "context", "item", NULL};

static const hn_option table_options[] = {
    SOURCE_OPTIONS(hn_config_table, source),
    {.name = "key",
     .type = &hn_value_column,
     .offset = offsetof(hn_config_table, key),
     .flags = HN_OPTION_REQUIRED,
     .meaning = "the table's column that identifies a row"},
    {.name = "log_key",
     .type = &hn_value_column,
     .offset = offsetof(hn_config_table, log_key),
     .meaning = "the log's column that it is joined by; absent: the same name as `key`"},
    {.name = "side",
     .type = &hn_value_enum,
     .offset = offsetof(hn_config_table, side),
     .names = side_names,
     .def = "item",
     .meaning = "whose columns these are; what is the user's or the context's is computed once for "
                "all candidates of a request"},
};

static const hn_config_section table_section = {
    .about =
        "Side tables joined to the log: users, items. When serving they are the feature store.",
    .options = table_options,
    .n = sizeof table_options / sizeof *table_options,
    .size = sizeof(hn_config_table),
    .short_key = "files",
    .check = hn_table_check};

static const char *const split_names[] = {"column", "hash", "random", NULL};
enum {
    BY_COLUMN = 1u << HN_SPLIT_COLUMN,
    BY_HASH = 1u << HN_SPLIT_HASH,
    BY_RANDOM = 1u << HN_SPLIT_RANDOM
};

static const hn_option split_options[] = {
    {.name = "by",
     .type = &hn_value_enum,
     .offset = offsetof(hn_config_split, by),
     .names = split_names,
     .def = "random",
     .meaning = "`column`: by comparisons (dates); `hash`: by a hash of a column (users); "
                "`random`: row by row"},
    {.name = "column",
     .type = &hn_value_column,
     .offset = offsetof(hn_config_split, column),
     .kinds = BY_HASH,
     .flags = HN_OPTION_REQUIRED,
     .meaning = "rows with the same value stay together"},
    {.name = "column",
     .type = &hn_value_column,
     .offset = offsetof(hn_config_split, column),
     .kinds = BY_COLUMN,
     .meaning = "may be named, as the column that both comparisons use"},
    {.name = "validation",
     .type = &hn_value_predicate,
     .offset = offsetof(hn_config_split, validation_if),
     .kinds = BY_COLUMN,
     .meaning = "rows that satisfy it, and not `test`, are for validation"},
    {.name = "test",
     .type = &hn_value_predicate,
     .offset = offsetof(hn_config_split, test_if),
     .kinds = BY_COLUMN,
     .meaning = "rows that satisfy it are for the test; all others train"},
    {.name = "validation",
     .type = &hn_value_real,
     .offset = offsetof(hn_config_split, validation),
     .kinds = BY_HASH | BY_RANDOM,
     .flags = HN_OPTION_BELOW_MAX,
     .min = 0,
     .max = 1,
     .def = "0.1",
     .meaning = "the share for validation"},
    {.name = "test",
     .type = &hn_value_real,
     .offset = offsetof(hn_config_split, test),
     .kinds = BY_HASH | BY_RANDOM,
     .flags = HN_OPTION_BELOW_MAX,
     .min = 0,
     .max = 1,
     .def = "0.1",
     .meaning = "the share for the test"},
    {.name = "seed",
     .type = &hn_value_uint64,
     .offset = offsetof(hn_config_split, seed),
     .kinds = BY_HASH | BY_RANDOM,
     .def = "1",
     .meaning = "another seed gives another split; training's seed is its own"},
};

static const hn_config_section split_section = {
    .about = "Which rows train, which choose the best epoch (validation) and which are read at the "
             "end only (test).",
    .options = split_options,
    .n = sizeof split_options / sizeof *split_options,
    .selector = "by",
    .check = hn_split_check};

static const hn_option scenario_options[] = {
    {.name = "column",
     .type = &hn_value_column,
     .offset = offsetof(hn_config_scenario, column),
     .meaning = "of the log or a table; absent: all rows are one scenario, \"all\""},
    {.name = "values",
     .type = &hn_value_scenarios,
     .meaning = "the scenarios, in order; a list's values are their own names"},
    {.name = "others",
     .type = &hn_value_others,
     .def = "drop",
     .meaning = "what happens to rows with other values"},
};

static const hn_config_section scenario_section = {.about = "Where an impression was shown.",
                                                   .options = scenario_options,
                                                   .n = sizeof scenario_options /
                                                        sizeof *scenario_options,
                                                   .check = hn_scenario_check};

static const hn_option task_options[] = {
    {.name = "label",
     .type = &hn_value_predicate,
     .offset = offsetof(hn_config_task, label),
     .flags = HN_OPTION_REQUIRED,
     .meaning = "a column (1/0, true/false, or a number, positive when above 0) or a comparison; "
                "an empty cell is absent, never 0"},
    {.name = "weight",
     .type = &hn_value_real,
     .offset = offsetof(hn_config_task, weight),
     .flags = HN_OPTION_ABOVE_MIN,
     .min = 0,
     .max = 1e6,
     .def = "1",
     .meaning = "of its loss"},
    {.name = "after",
     .type = &hn_value_text,
     .offset = offsetof(hn_config_task, after),
     .min = 1,
     .max = 200,
     .meaning = "the task without which this one cannot happen (an order only after a click): the "
                "model learns p(this given that), and p(this) is the product (ESMM). The label "
                "must be 0, not empty, where that one did not happen"},
};

static const hn_config_section task_section = {
    .about = "The outcomes to predict. A label alone is a short form, and so is a list of columns.",
    .options = task_options,
    .n = sizeof task_options / sizeof *task_options,
    .size = sizeof(hn_config_task),
    .short_key = "label",
    .listable = true};

static const hn_option report_options[] = {
    {.name = "gauc",
     .type = &hn_value_bool,
     .offset = offsetof(hn_config_report, gauc),
     .def = "true",
     .meaning = "AUC by user, where `user` is named: users with both classes, by the weight of "
                "their rows"},
};

static const hn_config_section report_section = {.about = "What is measured.",
                                                 .options = report_options,
                                                 .n = sizeof report_options /
                                                      sizeof *report_options};

static const hn_option root_options[] = {
    {.name = "log",
     .type = &hn_value_section,
     .section = &log_section,
     .offset = 0,
     .flags = HN_OPTION_REQUIRED},
    {.name = "tables",
     .type = &hn_value_map,
     .section = &table_section,
     .offset = offsetof(hn_config, tables),
     .companion = offsetof(hn_config, n_tables),
     .min = 0,
     .max = TABLES_MAX},
    {.name = "split",
     .type = &hn_value_section,
     .section = &split_section,
     .offset = offsetof(hn_config, split)},
    {.name = "scenario",
     .type = &hn_value_section,
     .section = &scenario_section,
     .offset = offsetof(hn_config, scenario)},
    {.name = "tasks",
     .type = &hn_value_map,
     .section = &task_section,
     .offset = offsetof(hn_config, tasks),
     .flags = HN_OPTION_REQUIRED,
     .companion = offsetof(hn_config, n_tasks),
     .min = 1,
     .max = HN_TASKS_MAX},
    {.name = "weight",
     .type = &hn_value_column,
     .offset = offsetof(hn_config, weight_column),
     .meaning = "a column with each row's weight in the loss"},
    {.name = "user",
     .type = &hn_value_column,
     .offset = offsetof(hn_config, user_column),
     .meaning = "the column that identifies the user, for GAUC"},
    {.name = "defaults",
     .type = &hn_value_defaults,
     .flags = HN_OPTION_NOT_RESOLVED,
     .meaning = "options that features have where they do not say otherwise"},
    {.name = "features",
     .type = &hn_value_map,
     .section = &hn_feature_section,
     .offset = offsetof(hn_config, features),
     .flags = HN_OPTION_REQUIRED,
     .companion = offsetof(hn_config, n_features),
     .min = 1,
     .max = FEATURES_MAX},
    {.name = "model",
     .type = &hn_value_section,
     .section = &hn_model_section,
     .offset = offsetof(hn_config, model)},
    {.name = "train",
     .type = &hn_value_section,
     .section = &hn_train_section,
     .offset = offsetof(hn_config, train)},
    {.name = "report",
     .type = &hn_value_section,
     .section = &report_section,
     .offset = offsetof(hn_config, report)},
};

const hn_config_section hn_config_root = {.about = "",
                                          .options = root_options,
                                          .n = sizeof root_options / sizeof *root_options,
                                          .check = hn_config_check};
