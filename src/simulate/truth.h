/* The hidden truth of the simulated platform: who would click and order what, where and
 * when. A pure function of (seed, user, item, scenario, hour, position); the offline log,
 * the Bayes-optimal AUC and a live simulation all ask this one module.
 *
 * A click's log-odds are  bias_i + Σ_f w_if · u_f · v_f + Σ_g q_ig · quality_g +
 * Σ_a h_ia · habit_a + hour + position, where u and v are latent tastes of unit variance
 * and the weights w, q, h are the scenario's (scenarios.c). An order's log-odds given a
 * click have the same form with weights of their own. Scenarios are related as far as
 * their weights point the same way: that is the relatedness matrix. */
#ifndef HN_SIMULATE_TRUTH_H
#define HN_SIMULATE_TRUTH_H

#include "base/error.h"

enum {
    HN_SIM_SCENARIOS = 6,
    HN_SIM_TASKS = 2,     /* click, order */
    HN_SIM_FACTORS = 6,   /* of taste; the last is price against thrift */
    HN_SIM_QUALITIES = 3, /* of an item, the same for every user */
    HN_SIM_HABITS = 2,    /* of a user, the same for every item */
    HN_SIM_AGES = 6,
    HN_SIM_CITIES = 20,
    HN_SIM_LEVELS = 5,
    HN_SIM_CATEGORIES = 24,
    HN_SIM_BRANDS = 60,
    HN_SIM_RECENT = 6 /* categories looked at before a request */
};

/* What one outcome depends on in one scenario. */
typedef struct hn_sim_weights {
    double bias;
    double taste[HN_SIM_FACTORS];
    double quality[HN_SIM_QUALITIES];
    double habit[HN_SIM_HABITS];
} hn_sim_weights;

typedef struct hn_sim_scenario {
    const char *name;
    double share; /* of the requests */
    double peak_hour, hour_effect;
    hn_sim_weights outcome[HN_SIM_TASKS]; /* click; order given click */
} hn_sim_scenario;

extern const hn_sim_scenario hn_sim_scenarios[HN_SIM_SCENARIOS];
extern const char *const hn_sim_tasks[HN_SIM_TASKS];

/* The correlation of the log-odds of outcome `task` in scenarios i and j over random
 * (user, item) pairs, from the weights alone. */
double hn_sim_relatedness(int32_t task, int32_t i, int32_t j);

typedef struct hn_sim_user {
    int32_t age, city, level;                           /* 0-based; shown in the users table */
    int32_t tenure_days;                                /* shown, and of no influence */
    double taste[HN_SIM_FACTORS], habit[HN_SIM_HABITS]; /* hidden */
} hn_sim_user;

typedef struct hn_sim_item {
    int32_t shop, category, brand;                          /* 0-based; shown in the items table */
    float price, shop_rating;                               /* shown */
    float taste[HN_SIM_FACTORS], quality[HN_SIM_QUALITIES]; /* hidden */
} hn_sim_item;

typedef struct hn_truth hn_truth;
/* Memory O(items): users are computed when asked for. users, items ≥ 1. */
hn_status hn_truth_create(hn_truth **out, uint64_t seed, int64_t users, int64_t items,
                          hn_error *err);
void hn_truth_free(hn_truth *truth);
int64_t hn_truth_users(const hn_truth *truth);
int64_t hn_truth_items(const hn_truth *truth);
int64_t hn_truth_shops(const hn_truth *truth);
uint64_t hn_truth_seed(const hn_truth *truth);

void hn_truth_user(hn_sim_user *out, const hn_truth *truth, int64_t user);
const hn_sim_item *hn_truth_item(const hn_truth *truth, int64_t item);
/* HN_SIM_RECENT categories that the user looked at before request `request`, drawn by
 * the user's taste: a noisy sight of it that grows with the number of requests. */
void hn_truth_recent(int32_t *out, const hn_truth *truth, const hn_sim_user *user,
                     uint64_t request);

/* Where and when an item is shown. */
typedef struct hn_sim_moment {
    int32_t scenario;
    double hour;      /* of the day, [0, 24) */
    int32_t position; /* 0: first */
} hn_sim_moment;
/* p[0] = p(click), p[1] = p(order) = p(click) · p(order | click): orders are counted over
 * all impressions, and nobody orders without a click. */
void hn_truth_probabilities(double p[HN_SIM_TASKS], const hn_sim_user *user,
                            const hn_sim_item *item, hn_sim_moment moment);

#endif
