/* One execution of an EXPERIMENT.yaml: its items, each a training, and its studies, each the search
 * for one model on one data set. campaign.c makes them, item.c turns an item into a command and
 * its end into a result, study.c lets trials go on, scheduler.c runs what is ready. */
#ifndef HN_EXPERIMENT_CAMPAIGN_H
#define HN_EXPERIMENT_CAMPAIGN_H

#include "experiment/child.h"
#include "experiment/datasets.h"
#include "experiment/experiment.h"
#include "experiment/ledger.h"
#include "experiment/search.h"

typedef enum hn_item_state {
    HN_ITEM_WAITING, /* for a study */
    HN_ITEM_READY,
    HN_ITEM_RUNNING,
    HN_ITEM_DONE,
    HN_ITEM_FAILED
} hn_item_state;

typedef struct hn_item {
    int32_t base, model;
    int32_t trial; /* of its study; -1: a run with a seed, for the table */
    uint64_t seed;
    hn_item_state state;
    bool resolved;  /* the following five are known */
    hn_strings set; /* what is changed of the base's config, but for the seed */
    size_t dataset;
    char key[HN_KEY_BYTES];
    char *dir;
    int32_t epochs;
    int32_t until; /* of a trial: the rung at hand */
    hn_child child;
    int64_t expected_bytes;
    bool again;         /* it was tried a second time */
    const json_t *line; /* its result, when done */
    char error[400];    /* when failed */
} hn_item;

typedef struct hn_study {
    bool searched, known; /* known: the search is over */
    const hn_experiment_range **ranges;
    int32_t n_ranges;
    hn_rungs rungs;
    hn_trial *trials; /* [config.trials] */
    hn_item *items;   /* [config.trials], in the campaign's items */
    int32_t best;     /* -1: all trials have failed */
} hn_study;

typedef struct hn_campaign {
    const hn_experiment_config *config;
    const hn_experiment_options *options;
    const hn_run *run;
    const char *dir;
    hn_arena arena;
    hn_ledger ledger;
    hn_experiment_datasets datasets;
    hn_study *studies; /* [bases][models] */
    hn_item *items;
    int32_t n_items, jobs;
    int64_t memory;
    int64_t *peaks; /* [datasets.capacity at most] of trainings on each; see item.c */
    size_t n_peaks, peaks_capacity;
    bool asked;      /* the children were asked to stop */
    double started;  /* seconds of a clock, when execution began */
    int32_t settled; /* items that were done then */
} hn_campaign;

/* Checks every config, prepares the data, finds what is done already. */
hn_status hn_campaign_open(hn_campaign *out, const hn_experiment_config *config,
                           const hn_experiment_options *options, const hn_run *run, hn_error *err);
void hn_campaign_close(hn_campaign *campaign);
hn_study *hn_campaign_study(const hn_campaign *campaign, int32_t base, int32_t model);
/* The study whose options a model takes: its own, or that of the one it is like. */
hn_study *hn_campaign_source(const hn_campaign *campaign, int32_t base, int32_t model);

/* item.c */
typedef enum hn_item_began { HN_START_RUNS, HN_START_KNOWN, HN_START_LOCKED } hn_item_began;
/* Finds config, data, key and folder; the result too where it is there. */
hn_status hn_item_resolve(hn_item *item, hn_campaign *campaign, hn_error *err);
hn_status hn_item_start(hn_item_began *how, hn_item *item, hn_campaign *campaign, hn_error *err);
/* After its child has ended. */
hn_status hn_item_end(hn_item *item, hn_campaign *campaign, hn_error *err);
/* Keeps why it has failed, as UTF-8, since it goes into JSON. */
void hn_item_blame(hn_item *item, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "kuairand: hinet, seed 3". */
void hn_item_name(char *out, size_t n, const hn_item *item, const hn_campaign *campaign);
int64_t hn_item_expected(const hn_item *item, const hn_campaign *campaign);

/* study.c */
/* What of the base's config an item changes. */
hn_status hn_item_options(hn_strings *out, const hn_item *item, hn_campaign *campaign,
                          hn_error *err);
hn_status hn_studies_make(hn_campaign *campaign, hn_error *err);
/* A value for the rung that the item was at. NaN: it has failed. */
void hn_study_reached(hn_campaign *campaign, hn_item *item, double value);
/* Makes items ready whose turn has come. */
hn_status hn_studies_advance(hn_campaign *campaign, hn_error *err);

/* scheduler.c: items that nothing more will come of. */
int32_t hn_campaign_settled(const hn_campaign *campaign);
/* ", about 34 min left", by what was done since it began; "" while that says nothing. */
void hn_campaign_left(char *out, size_t n, const hn_campaign *campaign);
/* Runs until all is done or failed. HN_INTERRUPTED: the children have stopped. */
hn_status hn_campaign_execute(hn_campaign *campaign, hn_error *err);

#endif
