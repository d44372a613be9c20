/* Numbers of the document. */
#include "report/figures.h"

#include <math.h>

#include "report/curves.h"

json_t *hn_rounded_json(double value) {
    return isfinite(value) ? json_real(round(value * 1e6) / 1e6) : json_null();
}

json_t *hn_interval_json(double *numbers, int32_t n) {
    double low, high;
    hn_interval(&low, &high, numbers, n);
    return isfinite(low) ? json_pack("[f, f]", low, high) : json_null();
}
