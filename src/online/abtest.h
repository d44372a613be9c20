/* The parts of hn_abtest: a log read into sums a user and scenario (abtest_read.c), the
 * estimates and comparisons made of them (abtest_math.c), the report (abtest.c).
 * The user is the unit everywhere: users are independent, their impressions are not. */
#ifndef HN_ONLINE_ABTEST_H
#define HN_ONLINE_ABTEST_H

#include "base/report.h"

enum { HN_AB_ARMS_MAX = 32, HN_AB_SCENARIOS_MAX = 4096, HN_AB_SUMS = 4, HN_AB_CELLS_MAX = 1 << 30 };

/* ---- Estimates (abtest_math.c) --------------------------------------------------------- */

/* One user in one scope: impressions, clicks, orders, value; in the experiment and before. */
typedef struct hn_ab_row {
    int32_t arm; /* < 0: not looked at */
    double now[HN_AB_SUMS], pre[HN_AB_SUMS];
} hn_ab_row;

typedef enum hn_ab_metric {
    HN_AB_CTR,
    HN_AB_CVR,
    HN_AB_CTCVR,
    HN_AB_ORDERS,
    HN_AB_VALUE,
    HN_AB_METRICS
} hn_ab_metric;
extern const char *const hn_ab_metric_names[HN_AB_METRICS];

typedef struct hn_ab_estimate {
    double users, value, variance; /* of the estimate; NaN where there is none */
} hn_ab_estimate;
/* Every arm's estimate. A ratio's variance is the delta method's, which makes a ratio the
 * mean of linearised users; a mean a user is the ratio over 1. With `cuped` the part that
 * the same metric before the experiment explains is taken off, with one slope for all
 * arms. */
void hn_ab_estimate_arms(hn_ab_estimate *out, int32_t arms, const hn_ab_row *rows, size_t n,
                         hn_ab_metric metric, bool cuped);

typedef struct hn_ab_comparison {
    double difference, low, high, t, df, p;
    double gain, gain_low, gain_high; /* arm / control - 1 */
    double mde, mde_gain;             /* found with a power of 80 % */
    double power;                     /* to find a gain of HN_AB_GAIN */
} hn_ab_comparison;
#define HN_AB_GAIN 0.05
void hn_ab_compare(hn_ab_comparison *out, const hn_ab_estimate *control, const hn_ab_estimate *arm,
                   double confidence);
/* Holm's step-down correction: out[i] ≥ p[i]; NaN stays and does not count. 0 ≤ n. */
hn_status hn_ab_holm(double *out, const double *p, size_t n, hn_error *err);

/* ---- The log (abtest_read.c) ------------------------------------------------------------- */

typedef struct hn_ab_names {
    char **names;
    int32_t n;
    size_t capacity;
} hn_ab_names;

typedef struct hn_ab_user {
    uint64_t key;  /* XXH3-64 of the user */
    int32_t arm;   /* -1: none yet, -2: several */
    int32_t first; /* of its cells; -1 */
} hn_ab_user;

typedef struct hn_ab_cell {
    int32_t scenario, next;
    double now[HN_AB_SUMS], pre[HN_AB_SUMS];
} hn_ab_cell;

typedef struct hn_ab_log {
    char *layer; /* found or given */
    hn_ab_names arms, scenarios;
    hn_ab_user *users; /* open addressing; key 0 is an empty place */
    size_t n_users, places;
    hn_ab_cell *cells;
    size_t n_cells, cells_capacity;
    uint64_t rows, pre_rows, immature, without_arm;
    bool has_value, has_pre;
} hn_ab_log;

hn_status hn_ab_log_read(hn_ab_log *log, const char *const *files, size_t n_files,
                         const hn_abtest_options *options, bool before, const hn_run *run,
                         hn_error *err);
void hn_ab_log_free(hn_ab_log *log);

#endif
