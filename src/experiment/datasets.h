/* The prepared data of an experiment: each is made once, in DIR/data, before the runs that need
 * it, which find it as theirs through a link. What is there and fresh is kept. */
#ifndef HN_EXPERIMENT_DATASETS_H
#define HN_EXPERIMENT_DATASETS_H

#include "base/pool.h"
#include "experiment/key.h"

typedef struct hn_experiment_dataset {
    char *name, *path;
    char key[HN_KEY_BYTES];
} hn_experiment_dataset;

typedef struct hn_experiment_datasets {
    char *dir; /* DIR/data */
    hn_experiment_dataset *items;
    size_t n, capacity;
} hn_experiment_datasets;

/* The one that `config` reads; prepared where it is absent or stale. Its index is lasting. */
hn_status hn_experiment_datasets_find(size_t *out, hn_experiment_datasets *sets,
                                      const hn_config *config, const hn_run *run, hn_error *err);
void hn_experiment_datasets_free(hn_experiment_datasets *sets);
/* Makes `run_dir`/dataset.hnd a link to it. */
hn_status hn_experiment_dataset_link(const hn_experiment_dataset *set, const char *run_dir,
                                     hn_error *err);

#endif
