/* Fusion: an expression over the tasks' probabilities and an item's number features to one
 * score ("click^0.8 * order * price^0.1"), compiled once into a flat program, evaluated
 * without allocation. + - * / ^ unary minus, parentheses, numbers, names (letters, digits, _ ;
 * others in `backquotes`), and min max log exp sqrt abs if(c,a,b) with comparisons. */
#ifndef HN_SERVE_FUSION_H
#define HN_SERVE_FUSION_H

#include "base/config.h"

typedef struct hn_fusion hn_fusion;
/* `where` is the place of the text in its file ("serve.yaml:12:9"); errors name line and column.
 * Any name is accepted here; the caller binds them (hn_fusion_names) and refuses unknown ones
 * with hn_fusion_fail, which names the place of the name. At most HN_EXPRESSION_BYTES_MAX
 * bytes, 64 deep, 256 operations. */
hn_status hn_fusion_compile(hn_fusion **out, const char *text, const char *where, hn_error *err);
const hn_strings *hn_fusion_names(const hn_fusion *fusion); /* distinct, in order of first use */
hn_status hn_fusion_fail(const hn_fusion *fusion, int32_t name, const char *expected, hn_error *err);
/* `values` [names]. NaN or an infinity may come out: the caller falls back. */
double hn_fusion_value(const hn_fusion *fusion, const double *values);
void hn_fusion_free(hn_fusion *fusion);

#endif
