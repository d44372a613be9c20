/* Fusion: an expression over the tasks' probabilities and an item's number features to one
 * score ("click^0.8 * order * price^0.1"), compiled once into a flat program, evaluated without
 * allocation, in float64. From the loosest to the tightest:
 *
 *   < <= > >= == !=   1 or 0; one in a row: a < b < c is an error
 *   + -               from the left
 *   * /               from the left
 *   -x                so -a^2 is -(a^2)
 *   ^                 from the right: a^b^c is a^(b^c); a^-b is allowed
 *   ( ), numbers (12, .5, 1e-3), names, and functions:
 *   min(a, b, …) max(a, b, …) log(a) exp(a) sqrt(a) abs(a) if(condition, then, else)
 *
 * A name begins with a letter or _, digits may follow; others stand in `backquotes`. A name
 * before "(" is a function. Values are those of C's IEEE arithmetic: 1/0 is infinite, 0/0,
 * log(-1) and (-8)^(1/3) are NaN, comparisons with NaN are 0 (but != is 1), min and max of a
 * NaN are NaN. `if` takes `then` for any condition but 0, gives NaN for NaN, and both its
 * branches are computed. */
#ifndef HN_SERVE_FUSION_H
#define HN_SERVE_FUSION_H

#include "base/config.h"

enum { HN_EXPRESSION_BYTES_MAX = 2000, HN_EXPRESSION_DEPTH_MAX = 64, HN_EXPRESSION_OPS_MAX = 256 };

typedef struct hn_fusion hn_fusion;
/* `where` is the place of the text's first character in its file ("serve.yaml:12:9"); errors
 * name line and column in the file. Any name is accepted here; the caller binds them
 * (hn_fusion_names) and refuses unknown ones with hn_fusion_fail, which names the place of the
 * name's first use. At most HN_EXPRESSION_BYTES_MAX bytes, nested HN_EXPRESSION_DEPTH_MAX deep,
 * HN_EXPRESSION_OPS_MAX operations. Several threads may evaluate the same program. */
hn_status hn_fusion_compile(hn_fusion **out, const char *text, const char *where, hn_error *err);
const hn_strings *hn_fusion_names(const hn_fusion *fusion); /* distinct, in order of first use */
/* HN_BAD_CONFIG: "serve.yaml:12:20: found the name "x" in the expression; expected EXPECTED". */
hn_status hn_fusion_fail(const hn_fusion *fusion, int32_t name, const char *expected,
                         hn_error *err);
/* `values` [names]. NaN or an infinity may come out: the caller falls back. */
double hn_fusion_value(const hn_fusion *fusion, const double *values);
void hn_fusion_free(hn_fusion *fusion); /* NULL is fine */

#endif
