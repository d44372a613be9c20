/* What the files of SERVE.yaml's config share: its tables, its own types of values, and the
 * checks that no single option can make. */
#ifndef HN_SERVE_SERVE_CONFIG_PARTS_H
#define HN_SERVE_SERVE_CONFIG_PARTS_H

#include "base/config_options.h"
#include "serve/serve_config.h"

extern const hn_config_section hn_serve_root; /* of hn_serve_config */

/* serve_config_types.c. Those of a policy have the offset of the hn_serve_policy. */
extern const hn_value_type hn_value_models, hn_value_share, hn_value_fusion, hn_value_calibration,
    hn_value_fallback, hn_value_address, hn_value_path, hn_value_secret;

/* serve_config_check.c */
hn_status hn_serve_arm_check(hn_config_reader *reader, const hn_node *node, void *arm);
hn_status hn_serve_layer_check(hn_config_reader *reader, const hn_node *node, void *layer);
hn_status hn_serve_store_check(hn_config_reader *reader, const hn_node *node, void *store);
hn_status hn_serve_root_check(hn_config_reader *reader, const hn_node *node, void *config);

#endif
