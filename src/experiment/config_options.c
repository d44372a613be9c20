/* The options of EXPERIMENT.yaml: one row an option, from which the parser, the printed config,
 * the reference (docs/experiment-config.md) and the errors follow. */
#include <stddef.h>

#include "experiment/config_parts.h"

#define SECTION(name_, about_, ...)                                                 \
    static const hn_config_section name_##_section = {.about = about_,              \
                                                      .options = name_##_options,   \
                                                      .n = sizeof name_##_options / \
                                                           sizeof *name_##_options, \
                                                      __VA_ARGS__}

static const hn_option base_options[] = {
    {.name = "config",
     .type = &hn_value_text,
     .offset = offsetof(hn_experiment_base, config),
     .flags = HN_OPTION_REQUIRED,
     .min = 1,
     .max = 3000,
     .meaning = "a config (docs/config.md), relative to this file's folder"},
    {.name = "set",
     .type = &hn_value_sets,
     .offset = offsetof(hn_experiment_base, set),
     .meaning = "options of it that are changed for all models"},
};
SECTION(base,
        "The data sets, by name: the config that says how to read each, and every option that "
        "nothing below changes. A path alone is `config`; a path, or a list of paths, in the place "
        "of the whole mapping has the files' names.",
        .size = sizeof(hn_experiment_base), .short_key = "config");

#define PAIR(name_, meaning_)                                                                   \
    {                                                                                           \
        .name = #name_, .type = &hn_value_pair, .offset = offsetof(hn_experiment_range, name_), \
        .meaning = meaning_                                                                     \
    }

static const hn_option range_options[] = {
    PAIR(linear, "a number, evenly"),
    PAIR(log, "a number above 0, evenly by its logarithm"),
    PAIR(integer, "a whole number, evenly, both ends with it"),
    {.name = "choice",
     .type = &hn_value_values,
     .offset = offsetof(hn_experiment_range, choice),
     .min = 1,
     .max = 1000,
     .def = "",
     .meaning = "one of these values, evenly"},
};
SECTION(
    range,
    "The options that `--search` tunes, by their key path, and where: exactly one of the "
    "following. `[low, high]` alone is `linear`. `train.seed` and `train.epochs` are not tuned.",
    .size = sizeof(hn_experiment_range), .expand = hn_experiment_range_expand,
    .check = hn_experiment_range_check);

static const hn_option model_options[] = {
    {.name = "model",
     .type = &hn_value_text,
     .offset = offsetof(hn_experiment_model, model),
     .min = 1,
     .max = 200,
     .meaning = "`model.name`; absent: this entry's own name where a model has that, else what "
                "`like` or the config says"},
    {.name = "like",
     .type = &hn_value_text,
     .offset = offsetof(hn_experiment_model, like),
     .min = 1,
     .max = 200,
     .meaning = "an entry before this one whose model and options are taken over, those that the "
                "search has found for it too: for ablations. Such an entry is not searched"},
    {.name = "set",
     .type = &hn_value_sets,
     .offset = offsetof(hn_experiment_model, set),
     .meaning = "options of the config that are changed; they are not searched either"},
    {.name = "search",
     .type = &hn_value_map,
     .section = &range_section,
     .offset = offsetof(hn_experiment_model, ranges),
     .companion = offsetof(hn_experiment_model, n_ranges),
     .min = 0,
     .max = 64},
};
SECTION(model,
        "The rows of the table, in order; the others are compared with the first. A name "
        "alone is `model`; a list of models' names may stand for the whole mapping.",
        .size = sizeof(hn_experiment_model), .short_key = "model", .listable = true,
        .check = hn_experiment_model_check);

static const char *const keep_names[] = {"all", "best", "none", NULL};

static const hn_option root_options[] = {
    {.name = "base",
     .type = &hn_value_bases,
     .section = &base_section,
     .offset = offsetof(hn_experiment_config, bases),
     .companion = offsetof(hn_experiment_config, n_bases),
     .flags = HN_OPTION_REQUIRED,
     .min = 1,
     .max = 64},
    {.name = "set",
     .type = &hn_value_sets,
     .offset = offsetof(hn_experiment_config, set),
     .meaning =
         "options that are changed for all data sets and models, as a mapping from key "
         "paths to values: `{train.epochs: 4, model.experts: 3}`; what a data set sets comes "
         "after, then what a model sets. `train.seed` stands in `seeds`"},
    {.name = "models",
     .type = &hn_value_map,
     .section = &model_section,
     .offset = offsetof(hn_experiment_config, models),
     .companion = offsetof(hn_experiment_config, n_models),
     .flags = HN_OPTION_REQUIRED,
     .min = 1,
     .max = 256},
    {.name = "seeds",
     .type = &hn_value_seeds,
     .offset = offsetof(hn_experiment_config, seeds),
     .def = "1",
     .meaning = "each run once for each of these (`train.seed`); a single number N is 1 to N"},
    {.name = "search",
     .type = &hn_value_map,
     .section = &range_section,
     .offset = offsetof(hn_experiment_config, ranges),
     .companion = offsetof(hn_experiment_config, n_ranges),
     .min = 0,
     .max = 64},
    {.name = "trials",
     .type = &hn_value_int32,
     .offset = offsetof(hn_experiment_config, trials),
     .min = 2,
     .max = 10000,
     .def = "8",
     .meaning = "of a search, for every model and data set the same; the first is the config as it "
                "stands, and more of them later go on where fewer ended"},
    {.name = "halving",
     .type = &hn_value_int32,
     .offset = offsetof(hn_experiment_config, halving),
     .min = 2,
     .max = 100,
     .def = "2",
     .meaning = "one of so many trials goes on at each rung of the search"},
    {.name = "search_seed",
     .type = &hn_value_seed,
     .offset = offsetof(hn_experiment_config, search_seed),
     .def = "0",
     .meaning = "of what is tried, and `train.seed` of the trials; not among `seeds`, so that no "
                "model is reported with the seed that it was chosen by"},
    {.name = "confidence",
     .type = &hn_value_real,
     .offset = offsetof(hn_experiment_config, confidence),
     .min = 0.5,
     .max = 1,
     .flags = HN_OPTION_BELOW_MAX,
     .def = "0.95",
     .meaning = "of the intervals"},
    {.name = "bootstrap",
     .type = &hn_value_int32,
     .offset = offsetof(hn_experiment_config, bootstrap),
     .min = 0,
     .max = 100000,
     .def = "1000",
     .meaning = "resamplings of the test split's users, for the interval where there is one seed; "
                "fewer than 2: none"},
    {.name = "keep",
     .type = &hn_value_enum,
     .offset = offsetof(hn_experiment_config, keep),
     .names = keep_names,
     .def = "best",
     .meaning = "bundles of finished runs: best.hn and last.hn, best.hn, or none"},
};

const hn_config_section hn_experiment_root = {.about = "",
                                              .options = root_options,
                                              .n = sizeof root_options / sizeof *root_options,
                                              .check = hn_experiment_root_check};
