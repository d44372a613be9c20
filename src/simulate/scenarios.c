/* The six scenarios of the simulated platform: size, hours, and the weights that make
 * their tastes. Nothing is random here; who has which taste is in truth.c.
 *
 * search is close to home (correlation of click log-odds 0.8 and more); deals turns three
 * of home's factors round, price above all; video shares half of home's tastes; local
 * stands alone but for deals; gifts, with 1 % of the traffic, is much like search. So a
 * small scenario gains by listening to the right others and loses by listening to all. */
#include "simulate/truth.h"

#include <math.h>

const char *const hn_sim_tasks[HN_SIM_TASKS] = {"click", "order"};

/* A table to be read by rows and columns. The last factor of taste is price: a negative
 * weight there means that thrift repels. */
/* clang-format off */
const hn_sim_scenario hn_sim_scenarios[HN_SIM_SCENARIOS] = {
    {"home", 0.60, 21.0, 0.35,
     {{-1.9, {0.75, 0.60, 0.40, 0.00, 0.00, -0.30}, {0.65, 0.30, 0.00}, {0.50, 0.00}},
      {-1.2, {0.50, 0.00, 0.45, 0.00, 0.20, -0.50}, {0.30, 0.60, 0.00}, {0.20, 0.50}}}},
    {"search", 0.20, 14.0, 0.20,
     {{-1.1, {0.70, 0.50, 0.25, 0.00, 0.35, -0.25}, {0.55, 0.40, 0.10}, {0.40, 0.15}},
      {-0.8, {0.45, 0.10, 0.40, 0.00, 0.35, -0.45}, {0.25, 0.65, 0.00}, {0.15, 0.50}}}},
    {"deals", 0.10, 12.0, 0.25,
     {{-1.5, {-0.60, 0.55, -0.35, 0.00, 0.35, 0.55}, {0.30, -0.20, 0.50}, {0.20, 0.50}},
      {-1.0, {-0.35, 0.00, -0.35, 0.00, 0.30, 0.60}, {0.20, 0.20, 0.50}, {0.00, 0.50}}}},
    {"video", 0.06, 22.0, 0.40,
     {{-2.2, {0.55, 0.00, 0.00, 0.75, 0.00, -0.20}, {0.50, 0.00, -0.40}, {0.55, -0.20}},
      {-1.5, {0.40, 0.00, 0.25, 0.55, 0.00, -0.40}, {0.30, 0.40, -0.20}, {0.30, 0.30}}}},
    {"local", 0.03, 11.0, 0.30,
     {{-1.7, {0.00, -0.40, 0.00, -0.35, 0.75, 0.35}, {-0.10, 0.10, 0.70}, {0.10, 0.45}},
      {-1.0, {0.00, 0.00, 0.00, -0.30, 0.65, 0.40}, {0.00, 0.30, 0.60}, {0.00, 0.50}}}},
    {"gifts", 0.01, 19.0, 0.20,
     {{-1.6, {0.60, 0.45, 0.20, 0.00, 0.50, -0.40}, {0.50, 0.45, 0.10}, {0.35, 0.20}},
      {-0.9, {0.35, 0.00, 0.40, 0.00, 0.50, -0.60}, {0.20, 0.65, 0.00}, {0.10, 0.50}}}},
};
/* clang-format on */

static double dot(const double *a, const double *b, int32_t n) {
    double sum = 0;
    for (int32_t k = 0; k < n; k++) sum += a[k] * b[k];
    return sum;
}

static double covariance(const hn_sim_weights *a, const hn_sim_weights *b) {
    return dot(a->taste, b->taste, HN_SIM_FACTORS) + dot(a->quality, b->quality, HN_SIM_QUALITIES) +
           dot(a->habit, b->habit, HN_SIM_HABITS);
}

double hn_sim_relatedness(int32_t task, int32_t i, int32_t j) {
    const hn_sim_weights *const a = &hn_sim_scenarios[i].outcome[task];
    const hn_sim_weights *const b = &hn_sim_scenarios[j].outcome[task];
    return i == j ? 1 : covariance(a, b) / sqrt(covariance(a, a) * covariance(b, b));
}
