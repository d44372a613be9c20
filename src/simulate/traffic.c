/* Requests by counters: who asks, where, when, what is shown, and the outcomes drawn from
 * the truth's probabilities. */
#include "simulate/traffic.h"

#include <math.h>

#include "base/rng.h"

enum { DAY_SECONDS = 86400 };
static const uint64_t first_live = UINT64_C(1) << 48; /* above any log's requests */
static const int64_t first_second = 1704067200;       /* 2024-01-01 00:00:00 UTC */
/* Some users come, and some items are shown, more often than others. */
static const double user_skew = 1.4, item_skew = 1.3;

/* Draws of a request; the candidates' come after all others. */
enum { DRAW_USER, DRAW_SCENARIO, DRAW_ITEMS = 16 };

static uint64_t traffic_key(const hn_truth *truth) {
    return hn_random(hn_truth_seed(truth), HN_STREAM_SIMULATE, 1001);
}
static uint64_t outcome_key(const hn_truth *truth) {
    return hn_random(hn_truth_seed(truth), HN_STREAM_SIMULATE, 1002);
}

static int64_t skewed(double unit, double skew, int64_t n) {
    const int64_t i = (int64_t)(pow(unit, skew) * (double)n);
    return i < n ? i : n - 1;
}

static int32_t draw_scenario(double unit) {
    int32_t i = 0;
    for (double upto = hn_sim_scenarios[0].share; i < HN_SIM_SCENARIOS - 1 && unit >= upto;)
        upto += hn_sim_scenarios[++i].share;
    return i;
}

/* Time runs through the days in the requests' order, fast at night and slow about noon,
 * so that most requests come by day. */
static void set_time(hn_sim_request *request, double days) {
    const double two_pi = 6.283185307179586;
    const double whole = floor(days), part = days - whole;
    const double second = DAY_SECONDS * (part + 0.12 * sin(two_pi * part));
    request->day = (int32_t)whole;
    request->second_of_day = (int32_t)fmin(fmax(second, 0), DAY_SECONDS - 1);
    request->time = first_second + (int64_t)request->day * DAY_SECONDS + request->second_of_day;
}

static bool is_shown(const int64_t *candidates, int32_t n, int64_t item) {
    for (int32_t k = 0; k < n; k++)
        if (candidates[k] == item) return true;
    return false;
}

/* Different items: a repeated draw moves on to the next item that is not shown yet. */
static void draw_candidates(int64_t *candidates, int32_t n, uint64_t id, uint64_t key,
                            int64_t items) {
    for (int32_t k = 0; k < n; k++) {
        int64_t item = skewed(hn_random_unit(key, id, DRAW_ITEMS + (uint64_t)k), item_skew, items);
        while (is_shown(candidates, k, item)) item = (item + 1) % items;
        candidates[k] = item;
    }
}

static void draw_user(hn_sim_request *out, hn_sim_user *user, const hn_truth *truth, uint64_t key) {
    out->user = skewed(hn_random_unit(key, out->id, DRAW_USER), user_skew, hn_truth_users(truth));
    out->scenario = draw_scenario(hn_random_unit(key, out->id, DRAW_SCENARIO));
    hn_truth_user(user, truth, out->user);
    hn_truth_recent(out->recent, truth, user, out->id);
}

void hn_traffic_request(hn_sim_request *out, hn_sim_user *user, const hn_truth *truth, uint64_t id,
                        uint64_t requests) {
    const uint64_t key = traffic_key(truth);
    *out = (hn_sim_request){.id = id};
    draw_user(out, user, truth, key);
    set_time(out, fmin((double)id / (double)requests * HN_SIM_DAYS, HN_SIM_DAYS - 1e-9));
    draw_candidates(out->candidates, HN_SIM_CANDIDATES, id, key, hn_truth_items(truth));
}

void hn_traffic_live(hn_sim_request *out, hn_sim_user *user, int64_t *candidates, int32_t n,
                     const hn_truth *truth, uint64_t id, uint64_t requests) {
    const uint64_t key = traffic_key(truth);
    *out = (hn_sim_request){.id = id | first_live};
    draw_user(out, user, truth, key);
    set_time(out, HN_SIM_DAYS + (double)id / (double)requests);
    draw_candidates(candidates, n, out->id, key, hn_truth_items(truth));
}

void hn_traffic_probabilities(double p[HN_SIM_TASKS], const hn_truth *truth,
                              const hn_sim_request *request, const hn_sim_user *user,
                              int32_t position) {
    /* The hour as the log shows it: what a model cannot see must not be in the optimum. */
    const int32_t hour = request->second_of_day / 3600;
    const hn_sim_moment moment = {request->scenario, hour, position};
    hn_truth_probabilities(p, user, hn_truth_item(truth, request->candidates[position]), moment);
}

void hn_traffic_outcome(uint8_t outcome[HN_SIM_TASKS], const double p[HN_SIM_TASKS],
                        const hn_truth *truth, uint64_t request, int32_t position) {
    /* One draw serves both: below p(order) is an order, which is below p(click) too. */
    const double unit = hn_random_unit(outcome_key(truth), request, (uint64_t)position);
    outcome[0] = unit < p[0];
    outcome[1] = unit < p[1];
}
