/* cmocka's assert_float_equal compares floats; these are doubles. */
#ifndef HN_TESTS_REPORT_NEAR_H
#define HN_TESTS_REPORT_NEAR_H

#include <math.h>

#include "support.h"

#define assert_near(a, b, distance) assert_true(fabs((double)(a) - (double)(b)) <= (distance))

#endif
