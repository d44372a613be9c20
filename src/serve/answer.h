/* Parsing of bodies and writing of answers, for all doors. */
#ifndef HN_SERVE_ANSWER_H
#define HN_SERVE_ANSWER_H

#include "serve/exchange.h"

#ifdef HN_DOUBLE
#define HN_P_FORMAT "%.17g" /* read back, it is the same number */
#else
#define HN_P_FORMAT "%.9g"
#endif

/* {"error":{"code":…,"message":…}} */
void hn_answer_fault(hn_exchange *exchange, int32_t status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The first n bytes of the body as JSON at most `depth` deep; NULL: the fault is answered. */
json_t *hn_answer_parse(hn_exchange *exchange, size_t n, int32_t depth);
void hn_answer_string(hn_text *out, const char *text); /* NULL: null */
void hn_answer_value(hn_text *out, const json_t *value); /* likewise */

#endif
