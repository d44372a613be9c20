/* Users, items and their hidden tastes, and the probabilities that follow. Everything is
 * drawn by counters from the seed, so that any user can be computed alone, in any order.
 * A taste is part of what the tables show (age, city, level; category, brand, shop) and
 * part its owner's alone, so that features reveal some of it and ids, with data, the rest. */
#include "simulate/truth.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

/* What is drawn; each has randomness of its own. */
typedef enum purpose {
    DRAW_AGE = 1,
    DRAW_CITY,
    DRAW_LEVEL,
    DRAW_USER,
    DRAW_CATEGORY,
    DRAW_BRAND,
    DRAW_SHOP,
    DRAW_ITEM,
    DRAW_RECENT,
    PURPOSES
} purpose;

enum { ITEMS_A_SHOP = 10, PRICE = HN_SIM_FACTORS - 1 };

struct hn_truth {
    uint64_t seed, key[PURPOSES];
    int64_t users, items, shops;
    /* What a visible value says about taste: mean 0, variance 1 over the values. */
    double age[HN_SIM_AGES][HN_SIM_FACTORS];
    double city[HN_SIM_CITIES][HN_SIM_FACTORS];
    double level[HN_SIM_LEVELS][HN_SIM_FACTORS];
    double category[HN_SIM_CATEGORIES][HN_SIM_FACTORS];
    double brand[HN_SIM_BRANDS][HN_SIM_FACTORS];
    hn_sim_item *item; /* [items] */
};

/* Shares of the variance; each set sums to 1. */
static const double age_share = 0.40, city_share = 0.25, level_share = 0.25, own_user_share = 0.10;
static const double category_share = 0.55, brand_share = 0.25, shop_share = 0.10,
                    own_item_share = 0.10;

static double normal(const hn_truth *truth, purpose what, uint64_t whose, uint64_t which) {
    return hn_random_normal(truth->key[what], whose, which);
}

static int32_t pick(const hn_truth *truth, purpose what, uint64_t whose, uint64_t which,
                    int32_t n) {
    return (int32_t)(hn_random_unit(truth->key[what], whose, which) * n);
}

/* Fills `rows` × HN_SIM_FACTORS with normals, then makes every column's mean 0 and
 * variance 1, so that the relatedness of scenarios does not depend on the seed. */
static void draw_effects(double (*out)[HN_SIM_FACTORS], int32_t rows, const hn_truth *truth,
                         purpose what) {
    for (int32_t f = 0; f < HN_SIM_FACTORS; f++) {
        double sum = 0, squares = 0;
        for (int32_t r = 0; r < rows; r++) {
            out[r][f] = normal(truth, what, (uint64_t)r, (uint64_t)f);
            sum += out[r][f];
            squares += out[r][f] * out[r][f];
        }
        const double mean = sum / rows, deviation = sqrt(squares / rows - mean * mean);
        for (int32_t r = 0; r < rows; r++) out[r][f] = (out[r][f] - mean) / deviation;
    }
}

/* Thrift falls with the level, in equal steps of mean 0 and variance 1. */
static double thrift_of_level(int32_t level) {
    const double middle = (HN_SIM_LEVELS - 1) / 2.0;
    return (middle - level) / sqrt((HN_SIM_LEVELS * HN_SIM_LEVELS - 1) / 12.0);
}

/* ---- Users -------------------------------------------------------------------------- */

void hn_truth_user(hn_sim_user *out, const hn_truth *truth, int64_t user) {
    const uint64_t u = (uint64_t)user;
    *out = (hn_sim_user){.age = pick(truth, DRAW_USER, u, 1000, HN_SIM_AGES),
                         .city = pick(truth, DRAW_USER, u, 1001, HN_SIM_CITIES),
                         .level = pick(truth, DRAW_USER, u, 1002, HN_SIM_LEVELS),
                         .tenure_days = pick(truth, DRAW_USER, u, 1003, 3000)};
    for (int32_t f = 0; f < PRICE; f++)
        out->taste[f] = sqrt(age_share) * truth->age[out->age][f] +
                        sqrt(city_share) * truth->city[out->city][f] +
                        sqrt(level_share) * truth->level[out->level][f] +
                        sqrt(own_user_share) * normal(truth, DRAW_USER, u, (uint64_t)f);
    out->taste[PRICE] = sqrt(1 - own_user_share) * thrift_of_level(out->level) +
                        sqrt(own_user_share) * normal(truth, DRAW_USER, u, PRICE);
    for (int32_t a = 0; a < HN_SIM_HABITS; a++)
        out->habit[a] = normal(truth, DRAW_USER, u, HN_SIM_FACTORS + (uint64_t)a);
}

/* The categories are drawn with probabilities proportional to exp(taste · category). */
void hn_truth_recent(int32_t *out, const hn_truth *truth, const hn_sim_user *user,
                     uint64_t request) {
    double upto[HN_SIM_CATEGORIES], total = 0;
    for (int32_t c = 0; c < HN_SIM_CATEGORIES; c++) {
        double liking = 0;
        for (int32_t f = 0; f < PRICE; f++) liking += user->taste[f] * truth->category[c][f];
        total += exp(0.8 * liking);
        upto[c] = total;
    }
    for (int32_t k = 0; k < HN_SIM_RECENT; k++) {
        const double at = total * hn_random_unit(truth->key[DRAW_RECENT], request, (uint64_t)k);
        int32_t c = 0;
        while (c < HN_SIM_CATEGORIES - 1 && upto[c] <= at) c++;
        out[k] = c;
    }
}

/* ---- Items -------------------------------------------------------------------------- */

static void draw_item(hn_sim_item *out, const hn_truth *truth, uint64_t v) {
    const int32_t shop =
        (int32_t)(hn_random_unit(truth->key[DRAW_ITEM], v, 1002) * (double)truth->shops);
    *out = (hn_sim_item){.category = pick(truth, DRAW_ITEM, v, 1000, HN_SIM_CATEGORIES),
                         .brand = pick(truth, DRAW_ITEM, v, 1001, HN_SIM_BRANDS),
                         .shop = shop};
    for (int32_t f = 0; f < HN_SIM_FACTORS; f++)
        out->taste[f] =
            (float)(sqrt(category_share) * truth->category[out->category][f] +
                    sqrt(brand_share) * truth->brand[out->brand][f] +
                    sqrt(shop_share) * normal(truth, DRAW_SHOP, (uint64_t)shop, (uint64_t)f) +
                    sqrt(own_item_share) * normal(truth, DRAW_ITEM, v, (uint64_t)f));
    /* The second quality is half the shop's, which its rating shows. */
    const double service = normal(truth, DRAW_SHOP, (uint64_t)shop, HN_SIM_FACTORS);
    for (int32_t g = 0; g < HN_SIM_QUALITIES; g++)
        out->quality[g] = (float)normal(truth, DRAW_ITEM, v, HN_SIM_FACTORS + (uint64_t)g);
    out->quality[1] = (float)(sqrt(0.5) * service + sqrt(0.5) * (double)out->quality[1]);
    out->shop_rating = (float)fmin(5, fmax(1, 3.8 + 0.5 * service));
    out->price = (float)(30 * exp(0.7 * (double)out->taste[PRICE]));
}

const hn_sim_item *hn_truth_item(const hn_truth *truth, int64_t item) { return &truth->item[item]; }

/* ---- Outcomes ------------------------------------------------------------------------- */

static double chance(double log_odds) { return 1 / (1 + exp(-log_odds)); }

static double log_odds(const hn_sim_weights *w, const hn_sim_user *user, const hn_sim_item *item) {
    double sum = w->bias;
    for (int32_t f = 0; f < HN_SIM_FACTORS; f++)
        sum += w->taste[f] * user->taste[f] * (double)item->taste[f];
    for (int32_t g = 0; g < HN_SIM_QUALITIES; g++) sum += w->quality[g] * (double)item->quality[g];
    for (int32_t a = 0; a < HN_SIM_HABITS; a++) sum += w->habit[a] * user->habit[a];
    return sum;
}

void hn_truth_probabilities(double p[HN_SIM_TASKS], const hn_sim_user *user,
                            const hn_sim_item *item, hn_sim_moment moment) {
    const double two_pi = 6.283185307179586, position_effect = -0.06;
    const hn_sim_scenario *const scenario = &hn_sim_scenarios[moment.scenario];
    const double hour =
        scenario->hour_effect * cos(two_pi * (moment.hour - scenario->peak_hour) / 24);
    p[0] = chance(log_odds(&scenario->outcome[0], user, item) + hour +
                  position_effect * moment.position);
    p[1] = p[0] * chance(log_odds(&scenario->outcome[1], user, item));
}

/* ---- Life ------------------------------------------------------------------------------- */

static void draw_world(hn_truth *truth) {
    draw_effects(truth->age, HN_SIM_AGES, truth, DRAW_AGE);
    draw_effects(truth->city, HN_SIM_CITIES, truth, DRAW_CITY);
    draw_effects(truth->level, HN_SIM_LEVELS, truth, DRAW_LEVEL);
    draw_effects(truth->category, HN_SIM_CATEGORIES, truth, DRAW_CATEGORY);
    draw_effects(truth->brand, HN_SIM_BRANDS, truth, DRAW_BRAND);
    for (int64_t v = 0; v < truth->items; v++) draw_item(&truth->item[v], truth, (uint64_t)v);
}

hn_status hn_truth_create(hn_truth **out, uint64_t seed, int64_t users, int64_t items,
                          hn_error *err) {
    *out = NULL;
    if (users < 1 || items < 1)
        return hn_fail(err, HN_USAGE,
                       "simulate: found %lld users and %lld items; expected at least one of each",
                       (long long)users, (long long)items);
    hn_truth *const truth = hn_alloc_zero(1, sizeof *truth);
    if (!truth) return hn_no_memory(err, "the simulated platform");
    *truth = (hn_truth){.seed = seed,
                        .users = users,
                        .items = items,
                        .shops = (items + ITEMS_A_SHOP - 1) / ITEMS_A_SHOP};
    for (int k = 1; k < PURPOSES; k++)
        truth->key[k] = hn_random(seed, HN_STREAM_SIMULATE, (uint64_t)k);
    truth->item = hn_alloc((size_t)items, sizeof *truth->item);
    if (!truth->item) {
        hn_truth_free(truth);
        return hn_no_memory(err, "the simulated items");
    }
    draw_world(truth);
    *out = truth;
    return HN_OK;
}

void hn_truth_free(hn_truth *truth) {
    if (!truth) return;
    hn_free(truth->item);
    hn_free(truth);
}

int64_t hn_truth_users(const hn_truth *truth) { return truth->users; }
int64_t hn_truth_items(const hn_truth *truth) { return truth->items; }
int64_t hn_truth_shops(const hn_truth *truth) { return truth->shops; }
uint64_t hn_truth_seed(const hn_truth *truth) { return truth->seed; }
