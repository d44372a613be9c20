/* The hidden truth and the traffic: that tastes, relatedness, outcomes and requests are
 * what truth.h and traffic.h say, measured on many draws. */
#include <math.h>
#include <string.h>

#include "simulate/traffic.h"
#include "support.h"

enum { USERS = 4000, ITEMS = 3000 };

static hn_truth *truth_of(uint64_t seed) {
    hn_error err = {0};
    hn_truth *truth = NULL;
    assert_ok(hn_truth_create(&truth, seed, USERS, ITEMS, &err));
    assert_non_null(truth);
    return truth;
}

static void tastes_have_mean_zero_and_variance_one(void **state) {
    (void)state;
    hn_truth *const truth = truth_of(5);
    for (int f = 0; f < HN_SIM_FACTORS; f++) {
        double user_sum = 0, user_squares = 0, item_sum = 0, item_squares = 0;
        for (int64_t u = 0; u < USERS; u++) {
            hn_sim_user user;
            hn_truth_user(&user, truth, u);
            user_sum += user.taste[f];
            user_squares += user.taste[f] * user.taste[f];
        }
        for (int64_t v = 0; v < ITEMS; v++) {
            const double taste = (double)hn_truth_item(truth, v)->taste[f];
            item_sum += taste;
            item_squares += taste * taste;
        }
        assert_true(fabs(user_sum / USERS) < 0.1);
        assert_true(fabs(user_squares / USERS - 1) < 0.15);
        assert_true(fabs(item_sum / ITEMS) < 0.15);
        assert_true(fabs(item_squares / ITEMS - 1) < 0.3);
    }
    hn_truth_free(truth);
}

static double log_odds(double p) { return log(p / (1 - p)); }

/* The correlation of two scenarios' click log-odds over pairs of all users with items. */
static double measured_relatedness(const hn_truth *truth, int32_t i, int32_t j) {
    double sums[5] = {0};
    int n = 0;
    for (int64_t u = 0; u < USERS; u++) {
        hn_sim_user user;
        hn_truth_user(&user, truth, u);
        for (int64_t k = 0; k < 20; k++, n++) {
            const hn_sim_item *const item = hn_truth_item(truth, (u * 7919 + k * 104729) % ITEMS);
            double p[HN_SIM_TASKS], q[HN_SIM_TASKS];
            hn_truth_probabilities(p, &user, item, (hn_sim_moment){i, 12, 0});
            hn_truth_probabilities(q, &user, item, (hn_sim_moment){j, 12, 0});
            const double a = log_odds(p[0]), b = log_odds(q[0]);
            sums[0] += a, sums[1] += b, sums[2] += a * a, sums[3] += b * b, sums[4] += a * b;
        }
    }
    const double covariance = sums[4] / n - sums[0] / n * sums[1] / n;
    const double va = sums[2] / n - sums[0] / n * sums[0] / n,
                 vb = sums[3] / n - sums[1] / n * sums[1] / n;
    return covariance / sqrt(va * vb);
}

static void relatedness_is_the_correlation_of_log_odds(void **state) {
    (void)state;
    hn_truth *const truth = truth_of(11);
    for (int32_t i = 0; i < HN_SIM_SCENARIOS; i++) {
        assert_true(hn_sim_relatedness(0, i, i) == 1);
        for (int32_t j = 0; j < i; j++) {
            const double said = hn_sim_relatedness(0, i, j),
                         found = measured_relatedness(truth, i, j);
            if (fabs(said - found) > 0.12)
                print_error("%d, %d: %.3f said, %.3f found\n", (int)i, (int)j, said, found);
            assert_true(fabs(said - found) <= 0.12);
            assert_true(hn_sim_relatedness(0, j, i) == said);
        }
    }
    hn_truth_free(truth);
}

/* The shape that makes transfer worth while and naive sharing harmful. */
static void some_scenarios_are_close_and_some_are_not(void **state) {
    (void)state;
    double shares = 0;
    enum { HOME, SEARCH, DEALS, VIDEO, LOCAL, GIFTS };
    assert_true(hn_sim_relatedness(0, HOME, SEARCH) > 0.8);
    assert_true(hn_sim_relatedness(0, SEARCH, GIFTS) > 0.8);
    assert_true(hn_sim_relatedness(0, DEALS, LOCAL) > 0.3);
    assert_true(hn_sim_relatedness(0, HOME, DEALS) < 0.1);
    assert_true(hn_sim_relatedness(0, HOME, LOCAL) < 0.1);
    assert_true(hn_sim_relatedness(0, HOME, VIDEO) > 0.4 &&
                hn_sim_relatedness(0, HOME, VIDEO) < 0.8);
    for (int i = 0; i < HN_SIM_SCENARIOS; i++) shares += hn_sim_scenarios[i].share;
    assert_true(fabs(shares - 1) < 1e-12);
}

static void probabilities_follow_position_hour_and_order_needs_a_click(void **state) {
    (void)state;
    hn_truth *const truth = truth_of(3);
    hn_sim_user user;
    hn_truth_user(&user, truth, 17);
    for (int32_t i = 0; i < HN_SIM_SCENARIOS; i++) {
        double first[HN_SIM_TASKS], last[HN_SIM_TASKS], off[HN_SIM_TASKS];
        const hn_sim_item *const item = hn_truth_item(truth, 40 + i);
        const double peak = hn_sim_scenarios[i].peak_hour;
        hn_truth_probabilities(first, &user, item, (hn_sim_moment){i, peak, 0});
        hn_truth_probabilities(last, &user, item, (hn_sim_moment){i, peak, 9});
        hn_truth_probabilities(off, &user, item, (hn_sim_moment){i, peak - 12, 0});
        assert_true(first[0] > last[0] && first[0] > off[0]);
        assert_true(0 < first[1] && first[1] < first[0] && first[0] < 1);
        /* p(order | click) depends on neither. */
        assert_true(fabs(first[1] / first[0] - last[1] / last[0]) < 1e-12);
        assert_true(fabs(log_odds(first[0]) - log_odds(last[0]) - 0.54) < 1e-9);
    }
    hn_truth_free(truth);
}

static void same_seed_same_world_and_users_in_any_order(void **state) {
    (void)state;
    hn_truth *const a = truth_of(7), *const b = truth_of(7), *const c = truth_of(8);
    hn_sim_user x, y, z;
    hn_truth_user(&x, a, 9);
    for (int64_t u = 0; u < 20; u++) hn_truth_user(&y, b, u);
    hn_truth_user(&y, b, 9);
    hn_truth_user(&z, c, 9);
    assert_memory_equal(x.taste, y.taste, sizeof x.taste);
    assert_memory_not_equal(x.taste, z.taste, sizeof x.taste);
    assert_memory_equal(hn_truth_item(a, 4)->taste, hn_truth_item(b, 4)->taste, sizeof x.taste / 2);
    hn_truth_free(a);
    hn_truth_free(b);
    hn_truth_free(c);
}

/* ---- Traffic --------------------------------------------------------------------------- */

static void requests_are_in_order_of_time_and_show_different_items(void **state) {
    (void)state;
    enum { REQUESTS = 20000 };
    hn_truth *const truth = truth_of(2);
    int64_t last = 0;
    int seen[HN_SIM_SCENARIOS] = {0}, days[HN_SIM_DAYS] = {0}, hours[24] = {0};
    for (uint64_t r = 0; r < REQUESTS; r++) {
        hn_sim_request request;
        hn_sim_user user;
        hn_traffic_request(&request, &user, truth, r, REQUESTS);
        assert_true(request.time >= last);
        last = request.time;
        assert_in_range(request.user, 0, USERS - 1);
        seen[request.scenario]++;
        days[request.day]++;
        hours[request.second_of_day / 3600]++;
        for (int k = 0; k < HN_SIM_CANDIDATES; k++) {
            assert_in_range(request.candidates[k], 0, ITEMS - 1);
            for (int j = 0; j < k; j++) assert_true(request.candidates[j] != request.candidates[k]);
        }
        for (int k = 0; k < HN_SIM_RECENT; k++)
            assert_in_range(request.recent[k], 0, HN_SIM_CATEGORIES - 1);
    }
    for (int i = 0; i < HN_SIM_SCENARIOS; i++)
        assert_true(fabs((double)seen[i] / REQUESTS - hn_sim_scenarios[i].share) < 0.02);
    for (int d = 0; d < HN_SIM_DAYS; d++)
        assert_in_range(days[d], REQUESTS / HN_SIM_DAYS - 2, REQUESTS / HN_SIM_DAYS + 2);
    assert_true(hours[12] > 2 * hours[0] && hours[0] > 0);
    hn_truth_free(truth);
}

/* A platform with hardly more items than candidates still shows different ones. */
static void few_items_are_enough(void **state) {
    (void)state;
    hn_error err = {0};
    hn_truth *truth = NULL;
    assert_ok(hn_truth_create(&truth, 1, 1, HN_SIM_CANDIDATES, &err));
    hn_sim_request request;
    hn_sim_user user;
    hn_traffic_request(&request, &user, truth, 0, 1);
    int sum = 0;
    for (int k = 0; k < HN_SIM_CANDIDATES; k++) sum += (int)request.candidates[k];
    assert_int_equal(sum, 45);
    hn_truth_free(truth);
    assert_fails(HN_USAGE, "at least one", hn_truth_create(&truth, 1, 0, 5, &err));
    assert_null(truth);
}

/* Σ (y - p) is normal with variance Σ p (1 - p): within 4 deviations. */
static void outcomes_have_the_probabilities_of_the_truth(void **state) {
    (void)state;
    enum { REQUESTS = 20000 };
    hn_truth *const truth = truth_of(9);
    double excess[HN_SIM_TASKS] = {0}, variance[HN_SIM_TASKS] = {0};
    for (uint64_t r = 0; r < REQUESTS; r++) {
        hn_sim_request request;
        hn_sim_user user;
        hn_traffic_request(&request, &user, truth, r, REQUESTS);
        for (int k = 0; k < HN_SIM_CANDIDATES; k++) {
            double p[HN_SIM_TASKS];
            uint8_t y[HN_SIM_TASKS];
            hn_traffic_probabilities(p, truth, &request, &user, k);
            hn_traffic_outcome(y, p, truth, r, k);
            assert_true(y[1] <= y[0]);
            for (int t = 0; t < HN_SIM_TASKS; t++)
                excess[t] += y[t] - p[t], variance[t] += p[t] * (1 - p[t]);
        }
    }
    for (int t = 0; t < HN_SIM_TASKS; t++) assert_true(fabs(excess[t]) < 4 * sqrt(variance[t]));
    hn_truth_free(truth);
}

static hn_status create_and_free(void *user, hn_error *err) {
    hn_truth *truth = user;
    const hn_status status = hn_truth_create(&truth, 1, 10, 10, err);
    if (status != HN_OK) assert_null(truth);
    hn_truth_free(truth);
    return status;
}

static void failed_allocations_leave_nothing(void **state) {
    (void)state;
    assert_int_equal(support_fail_each(HN_FAULT_ALLOC, create_and_free, NULL), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tastes_have_mean_zero_and_variance_one),
        cmocka_unit_test(relatedness_is_the_correlation_of_log_odds),
        cmocka_unit_test(some_scenarios_are_close_and_some_are_not),
        cmocka_unit_test(probabilities_follow_position_hour_and_order_needs_a_click),
        cmocka_unit_test(same_seed_same_world_and_users_in_any_order),
        cmocka_unit_test(requests_are_in_order_of_time_and_show_different_items),
        cmocka_unit_test(few_items_are_enough),
        cmocka_unit_test(outcomes_have_the_probabilities_of_the_truth),
        cmocka_unit_test(failed_allocations_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
