/* What one cell's text is worth: its hash, its number. Both are called for every cell of a
 * log, so the usual short forms have paths of their own; the results are those of the
 * obvious slow way (XXH3, strtod) to the bit. */
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/cell_hash.h"

#include "data/cell.h"

uint64_t hn_cell_hash(const char *text, size_t n) { return hn_cell_hash_inline(text, n); }

void hn_cell_identity(uint64_t out[2], const char *text, size_t n, uint64_t header) {
    const XXH128_hash_t hash = XXH3_128bits_withSeed(text, n, header);
    out[0] = hash.low64;
    out[1] = hash.high64;
}

/* A decimal as it is written: digits × 10^exponent. */
typedef struct decimal {
    uint64_t digits;
    int32_t exponent;
    bool negative;
    bool exact; /* `digits` holds all of them */
} decimal;

enum { DIGITS_EXACT = 19, EXPONENT_FAST = 22, EXPONENT_MOST = 100000, TEXT_MOST = 1100 };

/* Leading zeros don't count as digits. Returns where the digits end. */
static const char *read_digits(decimal *d, int32_t *significant, const char *p, const char *end) {
    for (; p < end && (unsigned)(*p - '0') < 10; p++) {
        if (*significant == 0 && *p == '0') continue;
        if (++*significant > DIGITS_EXACT)
            d->exact = false;
        else
            d->digits = d->digits * 10 + (uint64_t)(*p - '0');
    }
    return p;
}

static const char *read_exponent(int32_t *exponent, const char *p, const char *end) {
    const bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    const char *const begin = p;
    int32_t value = 0;
    for (; p < end && (unsigned)(*p - '0') < 10; p++)
        if (value < EXPONENT_MOST) value = value * 10 + (*p - '0');
    *exponent += negative ? -value : value;
    return p > begin ? p : NULL;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before or after the point. */
static bool parse_decimal(decimal *d, const char *text, size_t n) {
    const char *p = text, *const end = text + n;
    *d = (decimal){.exact = true};
    d->negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    int32_t significant = 0;
    const char *const whole = p;
    p = read_digits(d, &significant, p, end);
    ptrdiff_t seen = p - whole;
    if (p < end && *p == '.') {
        const char *const fraction = ++p;
        p = read_digits(d, &significant, p, end);
        seen += p - fraction;
        d->exponent = -(int32_t)(p - fraction);
    }
    if (seen == 0) return false;
    if (p < end && (*p == 'e' || *p == 'E')) p = read_exponent(&d->exponent, p + 1, end);
    return p == end;
}

/* Any number, rounded correctly and independently of the process's locale. */
static bool parse_slowly(double *out, const char *text, size_t n) {
    char copy[TEXT_MOST + 1];
    if (n > TEXT_MOST) return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    const locale_t c =
        newlocale(LC_ALL_MASK, "C", (locale_t)0); /* glibc's own: nothing is allocated */
    if (c == (locale_t)0) return false;
    *out = strtod_l(copy, NULL, c);
    freelocale(c);
    return isfinite(*out);
}

bool hn_cell_number(double *out, const char *text, size_t n) {
    static const double powers[EXPONENT_FAST + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    *out = NAN;
    if (n == 0 || n > TEXT_MOST) return false;
    decimal d;
    if (!parse_decimal(&d, text, n)) return false;
    const int32_t e = d.exponent;
    /* Both factors are exact doubles, so the one operation rounds correctly. */
    if (d.exact && d.digits <= UINT64_C(1) << 53 && e >= -EXPONENT_FAST && e <= EXPONENT_FAST) {
        const double digits = (double)d.digits;
        const double value = e < 0 ? digits / powers[-e] : digits * powers[e];
        *out = d.negative ? -value : value;
        return true;
    }
    double value;
    if (!parse_slowly(&value, text, n)) return false;
    *out = value;
    return true;
}

/* ---- Comparisons -------------------------------------------------------------------- */

static hn_truth truth_of(bool is_true) { return is_true ? HN_TRUE : HN_FALSE; }

static bool same_word(const char *text, size_t n, const char *word) {
    return n == strlen(word) && strncasecmp(text, word, n) == 0;
}

/* A bare column: 1/0, true/false, or a number > 0. */
static hn_truth is_set(const char *text, size_t n) {
    if (n == 1 && (text[0] == '0' || text[0] == '1')) return truth_of(text[0] == '1');
    double number;
    if (hn_cell_number(&number, text, n)) return truth_of(number > 0);
    if (same_word(text, n, "true")) return HN_TRUE;
    return same_word(text, n, "false") ? HN_FALSE : HN_UNREADABLE;
}

static int compare_text(const char *text, size_t n, const char *value) {
    const size_t m = strlen(value);
    const int order = memcmp(text, value, n < m ? n : m);
    return order != 0 ? order : (n > m) - (n < m);
}

static bool equal_to_any(const hn_predicate *p, const char *text, size_t n, double number) {
    for (int32_t i = 0; i < p->values.n; i++) {
        const bool numbers = !isnan(number) && !isnan(p->numbers[i]);
        if (numbers ? number == p->numbers[i] : compare_text(text, n, p->values.items[i]) == 0)
            return true;
    }
    return false;
}

hn_truth hn_predicate_test(const hn_predicate *p, const char *text, size_t n) {
    if (p->op == HN_CMP_TRUE) return is_set(text, n);
    double number;
    const bool is_number = hn_cell_number(&number, text, n);
    if (p->op == HN_CMP_EQ || p->op == HN_CMP_IN) return truth_of(equal_to_any(p, text, n, number));
    if (p->op == HN_CMP_NE) return truth_of(!equal_to_any(p, text, n, number));
    const double value = p->numbers[0];
    /* "n/a" > 3 by spelling would be a positive out of nothing. */
    if (!isnan(value) && !is_number) return HN_UNREADABLE;
    const int order = isnan(value) ? compare_text(text, n, p->values.items[0])
                                   : (number > value) - (number < value);
    switch (p->op) {
    case HN_CMP_LT: return truth_of(order < 0);
    case HN_CMP_LE: return truth_of(order <= 0);
    case HN_CMP_GT: return truth_of(order > 0);
    default: return truth_of(order >= 0);
    }
}
