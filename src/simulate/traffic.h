/* The traffic of the simulated platform: request number r comes from one user in one
 * scenario at one time and is shown some candidates. A pure function of (seed, r), so
 * that any part of a log can be made alone; what the user then does is truth.h's. */
#ifndef HN_SIMULATE_TRAFFIC_H
#define HN_SIMULATE_TRAFFIC_H

#include "simulate/truth.h"

enum {
    HN_SIM_CANDIDATES = 10, /* a request */
    HN_SIM_DAYS = 14,       /* 2024-01-01 … 2024-01-14 */
    HN_SIM_VALIDATION_DAY = 11,
    HN_SIM_TEST_DAY = 12 /* 0-based first days of those splits */
};

typedef struct hn_sim_request {
    uint64_t id;        /* 0-based */
    int64_t user, time; /* time: seconds since 1970 */
    int32_t scenario, day, second_of_day;
    int32_t recent[HN_SIM_RECENT];
    int64_t candidates[HN_SIM_CANDIDATES]; /* items, all different, in the order shown */
} hn_sim_request;

/* Request `id` of `requests` that are spread over the days in order of time. `user` is
 * filled too, since the request's recent categories depend on it. */
void hn_traffic_request(hn_sim_request *out, hn_sim_user *user, const hn_truth *truth, uint64_t id,
                        uint64_t requests);
/* A live request: the same users, scenarios and tastes in the days after the log's, with
 * draws that no request of a log has, and `n` candidates of its own (out->candidates stays 0). */
void hn_traffic_live(hn_sim_request *out, hn_sim_user *user, int64_t *candidates, int32_t n,
                     const hn_truth *truth, uint64_t id, uint64_t requests);
/* What the user did with the candidate at `position`: 0 or 1 for each task. */
void hn_traffic_outcome(uint8_t outcome[HN_SIM_TASKS], const double p[HN_SIM_TASKS],
                        const hn_truth *truth, uint64_t request, int32_t position);
/* p(click), p(order) of the candidate at `position`. */
void hn_traffic_probabilities(double p[HN_SIM_TASKS], const hn_truth *truth,
                              const hn_sim_request *request, const hn_sim_user *user,
                              int32_t position);

#endif
