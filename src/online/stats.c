/* Tails by continued fractions (modified Lentz: W. J. Lentz, Applied Optics 15, 1976;
 * I. J. Thompson and A. R. Barnett, J. Comp. Phys. 64, 1986); the fractions and series are
 * those of the NIST Digital Library of Mathematical Functions, named at each. */
#include "online/stats.h"

#include <math.h>
#include <stdbool.h>

enum { TERMS_MAX = 200000 };
static const double tiny = 1e-300, precise = 1e-16;

static double not_zero(double x) { return fabs(x) < tiny ? tiny : x; }

/* ---- Student's t ------------------------------------------------------------------------ */

/* The continued fraction of the incomplete beta function, DLMF 8.17.22. */
static double beta_fraction(double a, double b, double x) {
    double c = 1, d = 1 / not_zero(1 - (a + b) * x / (a + 1)), h = d;
    for (int m = 1; m < TERMS_MAX; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 / not_zero(1 + even * d);
        c = not_zero(1 + even / c);
        h *= d * c;
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / not_zero(1 + odd * d);
        c = not_zero(1 + odd / c);
        h *= d * c;
        if (fabs(d * c - 1) < precise) break;
    }
    return h;
}

/* log(Γ(a + ½) / Γ(a)). The difference of two large lgammas would lose digits, so large a
 * go by the asymptotic ratio (DLMF 5.11.13). */
static double log_half_step(double a) {
    if (a < 100) return lgamma(a + 0.5) - lgamma(a);
    const double r = 1 / a;
    return 0.5 * log(a) +
           log1p(r * (-1.0 / 8 + r * (1.0 / 128 + r * (5.0 / 1024 + r * (-21.0 / 32768)))));
}

/* The normal deviate of t by G. W. Hill's expansion (CACM algorithm 395, 1970). The fraction
 * would lose digits where df is large; the expansion's error falls with df's powers. */
static double normal_of(double t, double df) {
    const double a = df - 0.5, b = 48 * a * a, s = a * log1p(t * t / df);
    return sqrt(s) *
           (((((-0.4 * s - 3.3) * s - 24) * s - 85.5) / (0.8 * s * s + 100 + b) + s + 3) / b + 1);
}

/* P(|T| > t) = I_x(df/2, 1/2), x = df / (df + t²) (DLMF 8.17.2), by whichever side's
 * fraction converges fast (DLMF 8.17.4). */
double hn_student_two_sided(double t, double df) {
    if (isnan(t) || isnan(df) || df <= 0) return NAN;
    if (isinf(t)) return 0;
    if (isinf(df)) return erfc(fabs(t) * M_SQRT1_2);
    if (df > 5000) return erfc(normal_of(t, df) * M_SQRT1_2);
    const double a = df / 2, square = t * t, x = df / (df + square), y = square / (df + square);
    if (square == 0) return 1;
    /* log of x^a y^(1/2) / B(a, 1/2); Γ(1/2) = √π */
    const double front =
        exp(-a * log1p(square / df) + 0.5 * log(y) + log_half_step(a) - 0.5 * log(M_PI));
    if (x < (a + 1) / (a + 2.5)) return front * beta_fraction(a, 0.5, x) / a;
    return 1 - front * beta_fraction(0.5, a, y) / 0.5;
}

static double student_density(double t, double df) {
    if (isinf(df)) return exp(-t * t / 2) / sqrt(2 * M_PI);
    return exp(log_half_step(df / 2) - 0.5 * log(M_PI * df) - (df + 1) / 2 * log1p(t * t / df));
}

/* Newton's steps within a bracket; a step that leaves it becomes a halving. */
double hn_student_critical(double alpha, double df) {
    if (!(alpha > 0 && alpha < 1) || isnan(df) || df <= 0) return NAN;
    double low = 0, high = 2;
    while (hn_student_two_sided(high, df) > alpha && high < 1e300) low = high, high *= 2;
    double t = (low + high) / 2;
    for (int step = 0; step < 200; step++) {
        const double excess = hn_student_two_sided(t, df) - alpha;
        if (excess > 0)
            low = t;
        else
            high = t;
        const double next = t + excess / (2 * student_density(t, df));
        const double kept = next > low && next < high ? next : (low + high) / 2;
        const bool done = fabs(kept - t) <= 1e-15 * t;
        t = kept;
        if (done) break;
    }
    return t;
}

double hn_normal_below(double z) { return 0.5 * erfc(-z * M_SQRT1_2); }

/* ---- Chi-square --------------------------------------------------------------------------- */

/* The series of the lower incomplete gamma function over x^a e^-x, DLMF 8.11.4. */
static double gamma_series(double a, double x) {
    double term = 1 / a, sum = term;
    for (int k = 1; k < TERMS_MAX && term > precise * sum; k++) sum += term *= x / (a + k);
    return sum;
}

/* The continued fraction of the upper one over x^a e^-x, DLMF 8.9.2 contracted. */
static double gamma_fraction(double a, double x) {
    double b = x + 1 - a, c = 1 / tiny, d = 1 / not_zero(b), h = d;
    for (int k = 1; k < TERMS_MAX; k++) {
        const double numerator = -k * (k - a);
        b += 2;
        d = 1 / not_zero(numerator * d + b);
        c = not_zero(b + numerator / c);
        h *= d * c;
        if (fabs(d * c - 1) < precise) break;
    }
    return h;
}

double hn_chi_square_above(double x, double df) {
    if (isnan(x) || !(df > 0)) return NAN;
    if (x <= 0) return 1;
    if (isinf(x)) return 0;
    const double a = df / 2, half = x / 2, front = exp(a * log(half) - half - lgamma(a));
    return half < a + 1 ? 1 - front * gamma_series(a, half) : front * gamma_fraction(a, half);
}
