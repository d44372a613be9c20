/* Faults and numbers of answers (answer.h). */
#include "serve/answer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

void hn_answer_fault(hn_exchange *exchange, int32_t status, const char *code, const char *format,
                     ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    hn_text_free(&exchange->answer);
    hn_text_add(&exchange->answer, "{\"error\":{\"code\":\"%s\",\"message\":", code);
    hn_json_add_text(&exchange->answer, text);
    hn_text_bytes(&exchange->answer, "}}", 2);
    exchange->status = status;
    exchange->answer_type = "application/json";
    exchange->answer_json_bytes = -1;
}

/* ---- Numbers ------------------------------------------------------------------------------- */

#ifdef HN_DOUBLE
enum { DIGITS = 17 };
static bool write_fast(hn_text *out, double x) {
    (void)out, (void)x;
    return false;
}
#else
/* Nine digits tell any two floats apart. An answer has a thousand of them, so printf's way, which
 * would take a quarter of a millisecond, is left to the unusual. The product below is off by a part
 * in 2^53 at most: the ninth digit may be one off where it was in doubt, and still names the
 * same float. */
enum { DIGITS = 9, EXPONENT_LEAST = -10, EXPONENT_MOST = 8 };
static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,
                                1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19};

/* x = 0.d₁d₂…d₉ × 10^(exponent + 1); false: too large or small for it. */
static bool nine_digits(uint64_t *digits, int *exponent, double x) {
    if (!(x >= 1e-10 && x < 1e9)) return false;
    int e = EXPONENT_MOST;
    if (x >= 1)
        while (x < powers[e]) e--;
    else
        for (e = -1; x * powers[-e] < 1;) e--;
    *digits = (uint64_t)(x * powers[EXPONENT_MOST - e] + 0.5);
    if (*digits >= UINT64_C(1000000000)) {
        *digits /= 10;
        e++;
    }
    *exponent = e;
    return e <= EXPONENT_MOST && e >= EXPONENT_LEAST;
}

static bool write_fast(hn_text *out, double x) {
    uint64_t digits;
    int e, n = 0;
    char text[32], decimal[DIGITS];
    if (!nine_digits(&digits, &e, fabs(x))) return false;
    for (int i = DIGITS - 1; i >= 0; i--, digits /= 10) decimal[i] = (char)('0' + digits % 10);
    int last = DIGITS; /* digits that are written */
    while (last > 1 && last > e + 1 && decimal[last - 1] == '0') last--;
    if (x < 0) text[n++] = '-';
    if (e < 0) text[n++] = '0', text[n++] = '.';
    for (int i = -1; i > e; i--) text[n++] = '0';
    for (int i = 0; i < last; i++) {
        if (e >= 0 && i == e + 1) text[n++] = '.';
        text[n++] = decimal[i];
    }
    hn_text_bytes(out, text, (size_t)n);
    return true;
}
#endif

void hn_answer_number(hn_text *out, double x) {
    if (!isfinite(x))
        hn_text_bytes(out, "null", 4);
    else if (x == 0)
        hn_text_bytes(out, "0", 1);
    else if (!write_fast(out, x))
        hn_text_add(out, "%.*g", DIGITS, x);
}
