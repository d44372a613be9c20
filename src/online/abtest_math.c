/* Estimates and comparisons. The delta method for a ratio R = ΣN / ΣD over users: its
 * error is the mean of z = (N - R D) / mean(D), so its variance is var(z) / users
 * (A. Deng, U. Knoblich, J. Lu, KDD 2018). CUPED takes θ x off, where x is the same
 * linearised metric before the experiment (A. Deng et al., WSDM 2013). */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "online/abtest.h"
#include "online/stats.h"

const char *const hn_ab_metric_names[HN_AB_METRICS] = {"ctr", "cvr", "ctcvr", "orders_per_user",
                                                       "value_per_user"};

enum { ONE = -1 };
/* Which sum is divided by which. */
static const struct {
    int numerator, denominator;
} parts[HN_AB_METRICS] = {{1, 0}, {2, 1}, {2, 0}, {2, ONE}, {3, ONE}};

static double over(const double *sums, hn_ab_metric metric) {
    return sums[parts[metric].numerator];
}
static double under(const double *sums, hn_ab_metric metric) {
    return parts[metric].denominator == ONE ? 1 : sums[parts[metric].denominator];
}

typedef struct moments {
    double n, over, under; /* first pass */
    double zz, zx, xx, x;  /* second pass */
} moments;

/* Sums of every arm, and of all users before the experiment in `pre`. */
static void sum_up(moments *arms, moments *pre, const hn_ab_row *rows, size_t n,
                   hn_ab_metric metric) {
    for (size_t i = 0; i < n; i++) {
        if (rows[i].arm < 0) continue;
        moments *const m = &arms[rows[i].arm];
        m->n++;
        m->over += over(rows[i].now, metric);
        m->under += under(rows[i].now, metric);
        pre->n++;
        pre->over += over(rows[i].pre, metric);
        pre->under += under(rows[i].pre, metric);
    }
}

/* Second moments of the linearised metric, z, and of the one before, x. */
static void spread(moments *arms, const moments *pre, const hn_ab_row *rows, size_t n,
                   hn_ab_metric metric) {
    const double ratio = pre->under > 0 ? pre->over / pre->under : 0;
    const double scale = pre->under > 0 ? pre->n / pre->under : 0;
    for (size_t i = 0; i < n; i++) {
        if (rows[i].arm < 0) continue;
        moments *const m = &arms[rows[i].arm];
        const double z =
            (over(rows[i].now, metric) - m->over / m->under * under(rows[i].now, metric)) * m->n /
            m->under;
        const double x = (over(rows[i].pre, metric) - ratio * under(rows[i].pre, metric)) * scale;
        m->zz += z * z;
        m->zx += z * x;
        m->xx += x * x;
        m->x += x;
    }
}

/* The slope within arms: differences between arms are what is to be measured. */
static double slope(const moments *m, int32_t arms) {
    double zx = 0, xx = 0;
    for (int32_t a = 0; a < arms; a++) {
        if (!(m[a].n > 1 && isfinite(m[a].zx))) continue;
        zx += m[a].zx;
        xx += m[a].xx - m[a].x * m[a].x / m[a].n;
    }
    return xx > 0 ? zx / xx : 0;
}

void hn_ab_estimate_arms(hn_ab_estimate *out, int32_t arms, const hn_ab_row *rows, size_t n,
                         hn_ab_metric metric, bool cuped) {
    moments m[HN_AB_ARMS_MAX] = {0}, pre = {0};
    sum_up(m, &pre, rows, n, metric);
    spread(m, &pre, rows, n, metric);
    const double theta = cuped ? slope(m, arms) : 0;
    for (int32_t a = 0; a < arms; a++) {
        const double users = m[a].n, mean_x = users > 0 ? m[a].x / users : 0;
        const double xx = m[a].xx - mean_x * m[a].x;
        const double squares = m[a].zz - 2 * theta * m[a].zx + theta * theta * xx;
        out[a] = (hn_ab_estimate){.users = users, .value = NAN, .variance = NAN};
        if (m[a].under > 0) out[a].value = m[a].over / m[a].under - theta * mean_x;
        if (m[a].under > 0 && users > 1) out[a].variance = fmax(squares, 0) / (users - 1) / users;
    }
}

/* The chance that a two-sided test finds a difference of `effect` standard errors. */
static double power_of(double effect, double critical) {
    return hn_normal_below(effect - critical) + hn_normal_below(-effect - critical);
}

void hn_ab_compare(hn_ab_comparison *out, const hn_ab_estimate *control, const hn_ab_estimate *arm,
                   double confidence) {
    const double a = control->value, b = arm->value, va = control->variance, vb = arm->variance;
    const double variance = va + vb, error = sqrt(variance), alpha = 1 - confidence;
    hn_ab_comparison c = {.difference = b - a, .gain = b / a - 1};
    /* Welch–Satterthwaite */
    c.df = variance * variance / (va * va / (control->users - 1) + vb * vb / (arm->users - 1));
    c.t = c.difference / error;
    c.p = error > 0 ? hn_student_two_sided(c.t, c.df) : NAN;
    const double critical = error > 0 ? hn_student_critical(alpha, c.df) : NAN;
    c.low = c.difference - critical * error;
    c.high = c.difference + critical * error;
    /* The ratio's own delta method: the control's estimate is uncertain, too. */
    const double gain_error = sqrt(vb + b * b / (a * a) * va) / fabs(a);
    c.gain_low = c.gain - critical * gain_error;
    c.gain_high = c.gain + critical * gain_error;
    const double z = hn_student_critical(alpha, INFINITY), z80 = hn_student_critical(0.4, INFINITY);
    c.mde = (z + z80) * error;
    c.mde_gain = c.mde / fabs(a);
    c.power = error > 0 ? power_of(HN_AB_GAIN * fabs(a) / error, z) : NAN;
    *out = c;
}

/* ---- Several comparisons ------------------------------------------------------------------ */

typedef struct ranked {
    double p;
    size_t at;
} ranked;

static int by_p(const void *a, const void *b) {
    const ranked *const x = a, *const y = b;
    return (x->p > y->p) - (x->p < y->p);
}

hn_status hn_ab_holm(double *out, const double *p, size_t n, hn_error *err) {
    ranked *const order = hn_alloc(n + 1, sizeof *order);
    if (!order) return hn_no_memory(err, "the correction");
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = p[i];
        if (!isnan(p[i])) order[m++] = (ranked){p[i], i};
    }
    qsort(order, m, sizeof *order, by_p);
    double most = 0;
    for (size_t k = 0; k < m; k++) {
        most = fmax(most, fmin(1, (double)(m - k) * order[k].p));
        out[order[k].at] = most;
    }
    hn_free(order);
    return HN_OK;
}
