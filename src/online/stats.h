/* The few distributions that the analysis of experiments needs: Student's t, the normal as
 * its limit, and chi-square's upper tail. Written here because the libraries that have
 * them (GSL) are under licences that do not go with ours; checked against SciPy to 1e-10. */
#ifndef HN_ONLINE_STATS_H
#define HN_ONLINE_STATS_H

/* P(|T| > |t|) of Student's t with `df` > 0 degrees of freedom; INFINITY: the normal. */
double hn_student_two_sided(double t, double df);
/* The t ≥ 0 with P(|T| > t) = alpha, 0 < alpha < 1. */
double hn_student_critical(double alpha, double df);
/* P(Z ≤ z) of the standard normal. */
double hn_normal_below(double z);
/* P(X > x) of chi-square with `df` degrees of freedom. */
double hn_chi_square_above(double x, double df);

#endif
