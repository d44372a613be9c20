/* Offline experiments: a grid of models × options × seeds × data sets, each run a training by
 * the program itself in a process of its own. This file is EXPERIMENT.yaml as plain data; what
 * options exist are rows of config_options.c, from which docs/experiment-config.md follows.
 * Read campaign.h next, then experiment.c. (Experiments on users are in src/online.) */
#ifndef HN_EXPERIMENT_EXPERIMENT_H
#define HN_EXPERIMENT_EXPERIMENT_H

#include "base/config.h"
#include "base/report.h"

typedef enum hn_range_kind {
    HN_RANGE_LINEAR,
    HN_RANGE_LOG,
    HN_RANGE_INTEGER,
    HN_RANGE_CHOICE
} hn_range_kind;

typedef struct hn_experiment_pair {
    bool given;
    double low, high;
} hn_experiment_pair;

typedef struct hn_experiment_range { /* of an option that is tuned */
    char *key;                       /* train.rate */
    hn_experiment_pair linear, log, integer;
    hn_strings choice; /* YAML values */
    hn_range_kind kind;
} hn_experiment_range;

typedef struct hn_experiment_base { /* a data set: a config */
    char *name, *config;            /* the path as seen from here */
    hn_strings set;                 /* key=value */
} hn_experiment_base;

typedef struct hn_experiment_model {
    char *name;
    char *model; /* model.name; NULL: the config's */
    char *like;  /* an earlier one whose options, tuned ones too, it takes over; NULL */
    hn_strings set;
    hn_experiment_range *ranges; /* besides the experiment's */
    int32_t n_ranges;
    int32_t parent; /* index of `like`; -1 */
} hn_experiment_model;

typedef enum hn_experiment_keep { HN_KEEP_ALL, HN_KEEP_BEST, HN_KEEP_NONE } hn_experiment_keep;

typedef struct hn_experiment_seeds {
    uint64_t *items;
    int32_t n;
} hn_experiment_seeds;

typedef struct hn_experiment_config {
    hn_arena arena;
    char *path, *dir;
    hn_experiment_base *bases;
    int32_t n_bases;
    hn_strings set;
    hn_experiment_model *models;
    int32_t n_models;
    hn_experiment_seeds seeds;
    hn_experiment_range *ranges;
    int32_t n_ranges;
    int32_t trials, halving;
    uint64_t search_seed;
    double confidence;
    int32_t bootstrap;
    int32_t keep; /* hn_experiment_keep */
} hn_experiment_config;

hn_status hn_experiment_config_load(hn_experiment_config **out, const char *path, hn_error *err);
hn_status hn_experiment_config_parse(hn_experiment_config **out, const char *text, size_t n,
                                     const char *name, const char *dir, hn_error *err);
void hn_experiment_config_free(hn_experiment_config *config);
void hn_experiment_config_print(hn_text *out, const hn_experiment_config *config);
/* docs/experiment-config.md. */
hn_status hn_experiment_config_reference(hn_report **out, hn_error *err);

#endif
