/* From numbers to places on a picture, and the round numbers to write on an axis. */
#include <math.h>

#include "report/chart.h"

hn_range hn_range_empty(void) { return (hn_range){INFINITY, -INFINITY}; }

void hn_range_add(hn_range *range, double value) {
    if (!isfinite(value)) return;
    range->low = fmin(range->low, value);
    range->high = fmax(range->high, value);
}

bool hn_range_is_empty(const hn_range *range) { return !(range->low <= range->high); }

hn_axis hn_axis_over(hn_range range, double begin, double end) {
    if (hn_range_is_empty(&range)) return (hn_axis){0, 1, begin, end};
    double room = 0.04 * (range.high - range.low);
    const double size = fmax(fabs(range.low), fabs(range.high));
    if (!(room > 1e-12 * size)) room = size > 0 ? 0.05 * size : 0.5;
    return (hn_axis){range.low - room, range.high + room, begin, end};
}

double hn_axis_at(const hn_axis *axis, double value) {
    const double share = (value - axis->low) / (axis->high - axis->low);
    return axis->begin + share * (axis->end - axis->begin);
}

/* The least of 1, 2, 5 times a power of ten that is not below `step`. */
static double round_step(double step, int32_t *exponent) {
    const double power = floor(log10(step) + 1e-9);
    static const double factors[] = {1, 2, 5, 10};
    *exponent = (int32_t)power;
    for (int i = 0; i < 4; i++)
        if (factors[i] * pow(10, power) >= step * (1 - 1e-9)) {
            *exponent += factors[i] == 10;
            return factors[i] * pow(10, power);
        }
    return step;
}

/* How many multiples of the step lie within [low, high], and the first of them over the step. */
static double count_ticks(double *first, double step, double low, double high) {
    const double slack = 1e-9;
    *first = ceil(low / step - slack);
    return floor(high / step + slack) - *first + 1;
}

int32_t hn_ticks(double *ticks, int32_t *decimals, double low, double high, int32_t most) {
    *decimals = 0;
    if (!isfinite(low) || !isfinite(high) || !(high > low) || most < 2) return 0;
    if (most > HN_TICKS_MAX) most = HN_TICKS_MAX;
    const double least = (high - low) / most;
    if (!(least > 1e-300) || !isfinite(high - low)) return 0;
    int32_t exponent;
    double first, step = round_step(least, &exponent), n = count_ticks(&first, step, low, high);
    while (n > most) {
        step = round_step(1.5 * step, &exponent);
        n = count_ticks(&first, step, low, high);
    }
    if (exponent < 0) *decimals = -exponent;
    for (int32_t k = 0; k < (int32_t)n; k++) {
        ticks[k] = (first + k) * step;
        if (first + k == 0) ticks[k] = 0; /* never minus zero */
    }
    return (int32_t)n;
}
