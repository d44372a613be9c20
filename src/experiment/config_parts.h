/* What the files of EXPERIMENT.yaml's config share. */
#ifndef HN_EXPERIMENT_CONFIG_PARTS_H
#define HN_EXPERIMENT_CONFIG_PARTS_H

#include "base/config_options.h"
#include "experiment/experiment.h"

extern const hn_config_section hn_experiment_root; /* of hn_experiment_config */

/* config_types.c */
extern const hn_value_type hn_value_bases, hn_value_sets, hn_value_seeds, hn_value_seed,
    hn_value_pair, hn_value_values;
/* [low, high] is {linear: [low, high]}. */
hn_status hn_experiment_range_expand(const hn_config_reader *reader, hn_node *node);

/* config_check.c */
hn_status hn_experiment_range_check(hn_config_reader *reader, const hn_node *node, void *range);
hn_status hn_experiment_model_check(hn_config_reader *reader, const hn_node *node, void *model);
hn_status hn_experiment_root_check(hn_config_reader *reader, const hn_node *node, void *config);

#endif
