/* The search for good options of one model on one data set: what is tried, and who goes on.
 *
 * Trials are points of the R sequence (M. Roberts, 2018: an additive recurrence of the generalised
 * golden ratio), shifted by the seed: a function of (seed, ranges, number), so that more trials
 * later only add to those that were, and models with the same ranges try the same values. Trial 0
 * is the config as it stands.
 *
 * Successive halving (K. Jamieson, A. Talwalkar 2016; L. Li et al. 2020, asynchronous): all trials
 * train to the first rung, one of `halving` goes on to the next one, and so on; the best of the
 * last rung wins. A trial goes on as soon as no result that is still missing could keep it back. So
 * nobody waits for a whole rung, and yet what is found does not depend on which run ends first, on
 * how many run at a time, or on when the program was stopped. */
#ifndef HN_EXPERIMENT_SEARCH_H
#define HN_EXPERIMENT_SEARCH_H

#include "experiment/experiment.h"

enum { HN_RUNGS_MAX = 32 };

typedef struct hn_rungs {
    int32_t n;
    int32_t epochs[HN_RUNGS_MAX]; /* where each ends; the last is the whole training */
    int32_t trials[HN_RUNGS_MAX]; /* how many reach it */
} hn_rungs;
void hn_rungs_plan(hn_rungs *out, int32_t trials, int32_t epochs, int32_t halving);

/* Of one trial: its value (the higher the better) at each rung. */
typedef struct hn_trial {
    int32_t admitted; /* to rungs 0…admitted-1 */
    int32_t reached;  /* rungs whose value is known */
    bool failed;      /* goes on nowhere */
    double values[HN_RUNGS_MAX];
} hn_trial;
/* Raises `admitted` of those that are now certain to go on. True when all is known. */
bool hn_trials_advance(hn_trial *trials, int32_t n, const hn_rungs *rungs);
/* The winner; -1: all have failed. When hn_trials_advance was true. */
int32_t hn_trials_best(const hn_trial *trials, int32_t n, const hn_rungs *rungs);

/* "key=value" of each range for trial 1, 2, …; strings in the arena. */
hn_status hn_search_propose(hn_strings *out, const hn_experiment_range *const *ranges, int32_t n,
                            uint64_t seed, int32_t trial, hn_arena *arena, hn_error *err);

#endif
