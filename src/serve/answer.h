/* Writing of answers, for all doors. */
#ifndef HN_SERVE_ANSWER_H
#define HN_SERVE_ANSWER_H

#include "base/rows.h"
#include "serve/exchange.h"

/* {"error":{"code":…,"message":…}} */
void hn_answer_fault(hn_exchange *exchange, int32_t status, const char *code, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));
/* A number that hn_real holds, so that it reads back to the same; null where it is none. */
void hn_answer_number(hn_text *out, double x);

#endif
