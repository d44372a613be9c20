/* The inside of a calibration, for its use (calibration.c) and its fit (calibration_fit.c). */
#ifndef HN_BUNDLE_CALIBRATION_CELL_H
#define HN_BUNDLE_CALIBRATION_CELL_H

#include "bundle/calibration.h"

enum { HN_CALIBRATION_KNOTS_MAX = 1 << 20 };

typedef struct hn_calibration_cell {
    bool fitted;
    double a, b;   /* Platt */
    double *x, *p; /* [n] isotonic: x rises, p never falls */
    int32_t n;
} hn_calibration_cell;

struct hn_calibration {
    hn_calibrate_kind kind;
    int32_t scenarios, tasks;
    hn_calibration_cell *cells; /* [M][T] */
};

#endif
