/* Status and sentence: the meaning of each status, the writing of an error's sentence,
 * and the search for the name that was probably meant. No allocation happens here, so
 * that failures of memory can be reported too. */
#include "base/error.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int exit_code;
    const char *meaning;
} statuses[] = {
#define X(symbol, exit_code, meaning) {exit_code, meaning},
    HN_STATUS_MAP(X)
#undef X
};
enum { STATUSES = sizeof statuses / sizeof *statuses };

int hn_status_exit_code(hn_status status) {
    return (size_t)status < STATUSES ? statuses[status].exit_code : 1;
}

const char *hn_status_text(hn_status status) {
    return (size_t)status < STATUSES ? statuses[status].meaning : "an unknown status";
}

/* A cut sentence must not end within a UTF-8 character: drops the last one if it is
 * not whole. */
static size_t whole_characters(const char *text, size_t length) {
    size_t start = length;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80) start--;
    if (start == 0) return length;
    const unsigned char lead = (unsigned char)text[start - 1];
    const size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    return length - (start - 1) < need ? start - 1 : length;
}

void hn_error_write(hn_error *err, hn_status status, const char *format, ...) {
    if (!err) return;
    /* Written aside first: an argument may be err->text itself (to add to a sentence). */
    char text[sizeof err->text];
    va_list args;
    va_start(args, format);
    const int printed = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (printed < 0) text[0] = '\0';
    size_t length = strlen(text);
    if (printed >= (int)sizeof text) length = whole_characters(text, length);
    while (length > 0 && text[length - 1] == '\n') length--;
    text[length] = '\0';
    memcpy(err->text, text, length + 1);
    err->status = status;
}

enum { WORD_MAX = 64 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static bool same_letter(char a, char b) {
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Damerau–Levenshtein distance (insertions, deletions, substitutions and swaps of
 * neighbours), letters compared without case. Lengths are at most WORD_MAX. */
static size_t distance(const char *a, size_t n, const char *b, size_t m) {
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= m; j++) last[j] = before[j] = j;
    for (size_t i = 1; i <= n; i++) {
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const bool same = same_letter(a[i - 1], b[j - 1]);
            now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + !same);
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
                same_letter(a[i - 2], b[j - 1]))
                now[j] = least(now[j], before[j - 2] + 1);
        }
        size_t *const spare = before;
        before = last, last = now, now = spare;
    }
    return last[m];
}

const char *hn_did_you_mean(const char *word, const char *const *names, size_t n) {
    const char *nearest = NULL;
    size_t nearest_distance = WORD_MAX;
    const size_t length = word ? strlen(word) : 0;
    if (length == 0 || length > WORD_MAX) return NULL;
    for (size_t i = 0; i < n; i++) {
        const size_t name_length = names[i] ? strlen(names[i]) : 0;
        if (name_length == 0 || name_length > WORD_MAX) continue;
        const size_t longest = length > name_length ? length : name_length;
        const size_t d = distance(word, length, names[i], name_length);
        if (d <= (longest + 1) / 3 && d < nearest_distance) {
            nearest = names[i];
            nearest_distance = d;
        }
    }
    return nearest;
}
