/* Comparisons written as text: "rating > 4", "tab in [1, 0, 4]", "is_click"
 * (hn_predicate in config.h). Evaluating them is the data layer's part. */
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_options.h"

typedef struct span {
    const char *begin;
    size_t n;
} span;

static const struct {
    const char *text; /* longer ones first */
    hn_compare_op op;
} operators[] = {{"==", HN_CMP_EQ}, {"!=", HN_CMP_NE}, {"<=", HN_CMP_LE},
                 {">=", HN_CMP_GE}, {"<", HN_CMP_LT},  {">", HN_CMP_GT}};

enum { N_OPERATORS = sizeof operators / sizeof *operators };

bool hn_number_parse(double *out, const char *text) {
    *out = NAN;
    if (text[0] == '\0' || text[strspn(text, "0123456789+-.eE")] != '\0') return false;
    char *end = NULL;
    const locale_t c =
        newlocale(LC_ALL_MASK, "C", (locale_t)0); /* glibc's own object: nothing is allocated */
    if (c == (locale_t)0) return false;
    const double value = strtod_l(text, &end, c);
    freelocale(c);
    if (end == text || *end != '\0' || !isfinite(value)) return false;
    *out = value;
    return true;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static span trim(span s) {
    while (s.n > 0 && is_blank(s.begin[0])) s.begin++, s.n--;
    while (s.n > 0 && is_blank(s.begin[s.n - 1])) s.n--;
    return s;
}

static bool is_quoted(span s) {
    return s.n >= 2 && strchr("\"'`", s.begin[0]) != NULL && s.begin[s.n - 1] == s.begin[0];
}

static span unquote(span s) { return is_quoted(s) ? (span){s.begin + 1, s.n - 2} : s; }

/* The length of "in" when the word stands at `text`, between a blank and a blank or "[". */
static size_t in_at(const char *text, const char *start) {
    if (text == start || !(is_blank(text[-1]) || strchr("\"'`", text[-1]) != NULL)) return 0;
    return strncmp(text, "in", 2) == 0 && (is_blank(text[2]) || text[2] == '[') ? 2 : 0;
}

/* The length of a quoted text that begins the span, quotes included; 0: none does. */
static size_t quoted_bytes(span s) {
    if (s.n < 2 || strchr("\"'`", s.begin[0]) == NULL) return 0;
    const char *end = memchr(s.begin + 1, s.begin[0], s.n - 1);
    return end != NULL ? (size_t)(end - s.begin) + 1 : 0;
}

/* The first operator after the column; HN_CMP_TRUE with n = 0 when there is none. */
static span find_operator(hn_compare_op *op, const char *text) {
    const span whole = trim((span){text, strlen(text)});
    for (const char *p = whole.begin + quoted_bytes(whole); *p != '\0'; p++) {
        *op = HN_CMP_IN;
        if (in_at(p, text) > 0) return (span){p, 2};
        for (int i = 0; i < N_OPERATORS; i++) {
            *op = operators[i].op;
            const size_t n = strlen(operators[i].text);
            if (strncmp(p, operators[i].text, n) == 0) return (span){p, n};
        }
    }
    *op = HN_CMP_TRUE;
    return (span){text + strlen(text), 0};
}

/* The length up to the next comma; a comma inside a quoted item does not count. */
static size_t item_bytes(span s) {
    size_t i = 0;
    while (i < s.n && is_blank(s.begin[i])) i++;
    i += quoted_bytes((span){s.begin + i, s.n - i});
    while (i < s.n && s.begin[i] != ',') i++;
    return i;
}

static hn_status add_value(hn_predicate *p, span value, hn_arena *arena, hn_error *err) {
    char *text = hn_arena_strndup(arena, unquote(value).begin, unquote(value).n);
    if (text == NULL) return hn_no_memory(err, "a comparison");
    hn_number_parse(&p->numbers[p->values.n], text);
    p->values.items[p->values.n++] = text;
    return HN_OK;
}

static hn_status reserve_values(hn_predicate *p, size_t n, hn_arena *arena, hn_error *err) {
    p->values.items = hn_arena_alloc(arena, n, sizeof *p->values.items);
    p->numbers = hn_arena_alloc(arena, n, sizeof *p->numbers);
    return p->values.items != NULL && p->numbers != NULL ? HN_OK
                                                         : hn_no_memory(err, "a comparison");
}

static hn_status parse_set(hn_predicate *p, span s, hn_arena *arena, const char *where,
                           hn_error *err) {
    if (s.n < 2 || s.begin[0] != '[' || s.begin[s.n - 1] != ']')
        return hn_fail(
            err, HN_BAD_CONFIG,
            "%s: found \"%.100s\"; expected values in brackets after `in`: \"tab in [1, 0]\"",
            where, p->text);
    s = (span){s.begin + 1, s.n - 2};
    size_t commas = 0;
    for (size_t i = 0; i < s.n; i++) commas += s.begin[i] == ',';
    HN_TRY(reserve_values(p, commas + 1, arena, err));
    for (bool more = true; more;) {
        const size_t n = item_bytes(s);
        const span item = trim((span){s.begin, n});
        if (item.n == 0)
            return hn_fail(err, HN_BAD_CONFIG,
                           "%s: found an empty place among the values of \"%.100s\"; expected a "
                           "value (write an empty text as '')",
                           where, p->text);
        HN_TRY(add_value(p, item, arena, err));
        more = n < s.n;
        s = (span){s.begin + n + more, s.n - n - more};
    }
    return HN_OK;
}

static hn_status parse_value(hn_predicate *p, span s, hn_arena *arena, const char *where,
                             hn_error *err) {
    if (s.n == 0)
        return hn_fail(
            err, HN_BAD_CONFIG,
            "%s: found no value after the operator of \"%.100s\"; expected one: \"rating > 4\"",
            where, p->text);
    if (!is_quoted(s) && (s.begin[0] == '=' || s.begin[0] == '['))
        return hn_fail(err, HN_BAD_CONFIG,
                       "%s: found \"%.100s\"; expected COLUMN OP VALUE with OP one of == != < <= > "
                       ">=, or COLUMN in [VALUES]",
                       where, p->text);
    HN_TRY(reserve_values(p, 1, arena, err));
    return add_value(p, s, arena, err);
}

/* A single "=" is the usual slip: without this the whole text would be a column's name. */
static bool has_lone_equals(span column) {
    return !is_quoted(column) && memchr(column.begin, '=', column.n) != NULL;
}

static hn_status parse_into(hn_predicate *p, const char *text, hn_arena *arena, const char *where,
                            hn_error *err) {
    const span op = find_operator(&p->op, text);
    const span column = trim((span){text, (size_t)(op.begin - text)});
    const span rest = trim((span){op.begin + op.n, strlen(op.begin + op.n)});
    p->text = hn_arena_strdup(arena, text);
    p->column = hn_arena_strndup(arena, unquote(column).begin, unquote(column).n);
    if (p->text == NULL || p->column == NULL) return hn_no_memory(err, "a comparison");
    if (has_lone_equals(column))
        return hn_fail(err, HN_BAD_CONFIG,
                       "%s: found \"%.100s\" with a single =; expected == to compare", where, text);
    if (p->column[0] == '\0')
        return hn_fail(err, HN_BAD_CONFIG,
                       "%s: found \"%.100s\" without a column; expected COLUMN or COLUMN OP VALUE: "
                       "\"rating > 4\"",
                       where, text);
    if (p->column[0] == '$' && strcmp(p->column, "$file") != 0)
        return hn_fail(err, HN_BAD_CONFIG,
                       "%s: found the column \"%.80s\"; the only one that begins with $ is $file",
                       where, p->column);
    if (p->op == HN_CMP_TRUE) return HN_OK;
    return p->op == HN_CMP_IN ? parse_set(p, rest, arena, where, err)
                              : parse_value(p, rest, arena, where, err);
}

hn_status hn_predicate_parse(hn_predicate *out, const char *text, hn_arena *arena,
                             const char *where, hn_error *err) {
    hn_predicate p = {0};
    const hn_status status = parse_into(&p, text, arena, where, err);
    *out = status == HN_OK ? p : (hn_predicate){0};
    return status;
}
