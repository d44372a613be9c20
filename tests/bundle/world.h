/* A tiny platform on disk — log, users table, config — its dataset, a model with random
 * numbers and the bundle made from them. Everything but training. */
#ifndef HN_TESTS_BUNDLE_WORLD_H
#define HN_TESTS_BUNDLE_WORLD_H

#include "bundle/bundle.h"

typedef struct world {
    char *folder;
    char config_path[300], dataset_path[300], bundle_path[300];
    hn_config *config;
    hn_pool *pool;
    hn_dataset *dataset;
    hn_graph *graph;
    hn_plan *plan;
    hn_params params;
    json_t *metrics;
} world;

enum { WORLD_SCENARIOS = 3, WORLD_TASKS = 2 };

/* `model`: the config's model section in one line, "{name: hinet, …}". */
void world_make(world *out, const char *model);
/* The same with options overridden, "key.path=value". */
void world_make_with(world *out, const char *model, const char *const *sets, size_t n);
void world_free(world *w);
hn_bundle_parts world_parts(const world *w);
/* The rows of the validation split, encoded without folds; hn_encoded_free it. */
void world_rows(hn_encoded *out, const world *w, const hn_schema *schema,
                const hn_side_tables *tables);
/* Golden rows (golden.h): the dataset's samples, with the logits that the log's own reader and
 * the model of `w` give them. */
json_t *world_golden(const world *w);
/* Writes the bundle again with all that a training ends with: a calibration, a profile and
 * some golden rows. */
void world_write_served(const world *w);

#define WORLD_HINET                                                                       \
    "{name: hinet, experts: 2, expert_units: [5, 4], scenario_width: 3, task_shared: 1, " \
    "task_own: 1, task_units: [4, 3], "                                                   \
    "tower_units: [3]}"

#endif
