/* Reads an expression (fusion.h has the language) by recursive descent and emits its postfix
 * program. One function a level of precedence; the depth of the recursion is bounded. */
#include <stdio.h>
#include <string.h>

#include "base/config_options.h"
#include "serve/fusion_program.h"

typedef struct parser {
    hn_fusion *f;
    hn_error *err;
    const char *p; /* the next character that is no blank */
    int32_t depth;
} parser;

static size_t offset(const parser *s) { return (size_t)(s->p - s->f->text); }

static void skip_blanks(parser *s) { s->p += strspn(s->p, " \t\r\n"); }

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* "the end", or the character, in quotes; a whole one, also of several bytes. */
static const char *found(char buffer[16], const parser *s) {
    size_t n = 1;
    snprintf(buffer, 16, "the end");
    if (*s->p == '\0') return buffer;
    while (((unsigned char)s->p[n] & 0xc0) == 0x80 && n < 4) n++;
    snprintf(buffer, 16, "\"%.*s\"", (int)n, s->p);
    return buffer;
}

static hn_status unexpected(const parser *s, const char *expected) {
    char what[16];
    return hn_fusion_fail_at(s->f, offset(s), s->err, "found %s in the expression; expected %s",
                             found(what, s), expected);
}

static hn_status emit(const parser *s, hn_fusion_op op) {
    if (hn_fusion_emit(s->f, op)) return HN_OK;
    return hn_fusion_fail_at(s->f, offset(s), s->err,
                             "found more than %d operations; expected a shorter expression",
                             HN_EXPRESSION_OPS_MAX);
}
static hn_status emit_kind(const parser *s, hn_fusion_kind kind) {
    return emit(s, (hn_fusion_op){.kind = kind});
}

/* Takes `token` where it comes next. */
static bool take(parser *s, const char *token) {
    const size_t n = strlen(token);
    if (strncmp(s->p, token, n) != 0) return false;
    s->p += n;
    skip_blanks(s);
    return true;
}

static hn_status parse_whole(parser *s);
static hn_status parse_unary(parser *s);

/* Everything that recurses goes through here. */
static hn_status deeper(parser *s, hn_status (*parse)(parser *)) {
    if (++s->depth > HN_EXPRESSION_DEPTH_MAX)
        return hn_fusion_fail_at(
            s->f, offset(s), s->err,
            "found more than %d levels of nesting; expected a simpler expression",
            HN_EXPRESSION_DEPTH_MAX);
    HN_TRY(parse(s));
    s->depth--;
    return HN_OK;
}

/* ---- Numbers and names --------------------------------------------------------------------- */

static size_t number_bytes(const char *p) {
    size_t n = strspn(p, "0123456789"), digits = n;
    if (p[n] == '.') {
        const size_t after = strspn(p + n + 1, "0123456789");
        digits += after;
        n += 1 + after;
    }
    if (digits == 0) return 0;
    if (p[n] == 'e' || p[n] == 'E') {
        const size_t sign = p[n + 1] == '+' || p[n + 1] == '-' ? 1 : 0;
        const size_t exponent = strspn(p + n + 1 + sign, "0123456789");
        if (exponent > 0) n += 1 + sign + exponent;
    }
    return n;
}

static hn_status parse_number(parser *s) {
    char text[64];
    double value = 0;
    const size_t n = number_bytes(s->p);
    snprintf(text, sizeof text, "%.*s", (int)n, s->p);
    if (n >= sizeof text || !hn_number_parse(&value, text))
        return hn_fusion_fail_at(s->f, offset(s), s->err,
                                 "found the number \"%.40s\"; expected one below 1e308", text);
    if (is_letter(s->p[n]) || s->p[n] == '.' || s->p[n] == '`')
        return hn_fusion_fail_at(
            s->f, offset(s), s->err,
            "found \"%.*s\" directly before \"%c\"; expected an operator between a number and "
            "what follows, and names that begin with a digit in `backquotes`",
            (int)n, s->p, s->p[n]);
    s->p += n;
    skip_blanks(s);
    return emit(s, (hn_fusion_op){.kind = HN_FUSION_CONST, .constant = value});
}

/* The index of a name, which is added where it is new. */
static hn_status intern(int32_t *out, const parser *s, const char *name, size_t n, size_t at) {
    hn_strings *const names = &s->f->names;
    for (*out = 0; *out < names->n; ++*out) {
        const char *const item = names->items[*out];
        if (strncmp(item, name, n) == 0 && item[n] == '\0') return HN_OK;
    }
    if (names->n == HN_EXPRESSION_OPS_MAX) return emit_kind(s, HN_FUSION_CONST); /* which fails */
    char *const copy = hn_arena_strndup(&s->f->arena, name, n);
    if (copy == NULL) return hn_no_memory(s->err, "an expression's names");
    s->f->name_at[names->n] = (int32_t)at;
    names->items[names->n++] = copy;
    return HN_OK;
}

static hn_status emit_name(const parser *s, const char *name, size_t n, size_t at) {
    int32_t index = 0;
    HN_TRY(intern(&index, s, name, n, at));
    return emit(s, (hn_fusion_op){.kind = HN_FUSION_NAME, .name = index});
}

static hn_status parse_quoted(parser *s) {
    const size_t at = offset(s), n = strcspn(s->p + 1, "`\n");
    const char *const name = s->p + 1;
    if (name[n] != '`' || n == 0)
        return hn_fusion_fail_at(s->f, at, s->err,
                                 "found ` without a name and a second ` on the same line; expected "
                                 "both around a name with other characters: `my-task`");
    s->p += n + 2;
    skip_blanks(s);
    return emit_name(s, name, n, at);
}

/* ---- Functions ------------------------------------------------------------------------------- */

typedef struct function {
    const char *name;
    hn_fusion_kind kind;
    int32_t least, most; /* arguments */
} function;
enum { MANY = HN_EXPRESSION_OPS_MAX };
static const function functions[] = {
    {"min", HN_FUSION_MIN, 2, MANY}, {"max", HN_FUSION_MAX, 2, MANY}, {"log", HN_FUSION_LOG, 1, 1},
    {"exp", HN_FUSION_EXP, 1, 1},    {"sqrt", HN_FUSION_SQRT, 1, 1},  {"abs", HN_FUSION_ABS, 1, 1},
    {"if", HN_FUSION_IF, 3, 3},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

static const function *find_function(const char *name, size_t n) {
    for (size_t k = 0; k < FUNCTIONS; k++)
        if (strlen(functions[k].name) == n && strncmp(functions[k].name, name, n) == 0)
            return &functions[k];
    return NULL;
}

static hn_status unknown_function(const parser *s, const char *name, size_t n) {
    char word[64], hint[300];
    const char *names[FUNCTIONS];
    for (size_t k = 0; k < FUNCTIONS; k++) names[k] = functions[k].name;
    snprintf(word, sizeof word, "%.*s", n < 60 ? (int)n : 60, name);
    return hn_fusion_fail_at(s->f, (size_t)(name - s->f->text), s->err,
                             "found the function \"%s\"; expected one of min, max, log, exp, sqrt, "
                             "abs, if%s",
                             word, hn_hint(hint, sizeof hint, word, names, FUNCTIONS));
}

static hn_status wrong_arguments(const parser *s, const function *of, const char *name, int32_t n) {
    return hn_fusion_fail_at(s->f, (size_t)(name - s->f->text), s->err,
                             "found %d argument%s of %s; expected %d%s", n, n == 1 ? "" : "s",
                             of->name, of->least, of->most > of->least ? " or more" : "");
}

/* What follows "name(". min and max of several are folded two by two. */
static hn_status parse_call(parser *s, const char *name, size_t n_name) {
    const function *const of = find_function(name, n_name);
    int32_t n = 0;
    if (of == NULL) return unknown_function(s, name, n_name);
    if (*s->p == ')') return wrong_arguments(s, of, name, 0);
    do {
        HN_TRY(deeper(s, parse_whole));
        if (++n >= 2 && of->most == MANY) HN_TRY(emit_kind(s, of->kind));
    } while (take(s, ","));
    if (!take(s, ")")) return unexpected(s, "an operator, \",\" or \")\"");
    if (n < of->least || n > of->most) return wrong_arguments(s, of, name, n);
    return of->most == MANY ? HN_OK : emit_kind(s, of->kind);
}

static hn_status parse_word(parser *s) {
    const char *const name = s->p;
    while (is_letter(*s->p) || is_digit(*s->p)) s->p++;
    const size_t n = (size_t)(s->p - name);
    skip_blanks(s);
    return take(s, "(") ? parse_call(s, name, n)
                        : emit_name(s, name, n, (size_t)(name - s->f->text));
}

/* ---- Levels of precedence, from the tightest ----------------------------------------------- */

static hn_status parse_primary(parser *s) {
    if (number_bytes(s->p) > 0) return parse_number(s);
    if (is_letter(*s->p)) return parse_word(s);
    if (*s->p == '`') return parse_quoted(s);
    if (!take(s, "(")) return unexpected(s, "a number, a name, a function, \"-\" or \"(\"");
    HN_TRY(deeper(s, parse_whole));
    return take(s, ")") ? HN_OK : unexpected(s, "an operator or \")\"");
}

static hn_status parse_power(parser *s) {
    HN_TRY(parse_primary(s));
    if (!take(s, "^")) return HN_OK;
    HN_TRY(deeper(s, parse_unary)); /* itself a power: from the right */
    return emit_kind(s, HN_FUSION_POWER);
}

static hn_status parse_unary(parser *s) {
    if (!take(s, "-")) return parse_power(s);
    HN_TRY(deeper(s, parse_unary));
    return emit_kind(s, HN_FUSION_NEGATE);
}

static hn_status parse_product(parser *s) {
    HN_TRY(parse_unary(s));
    for (;;) {
        const hn_fusion_kind kind = *s->p == '*' ? HN_FUSION_MULTIPLY : HN_FUSION_DIVIDE;
        if (!take(s, "*") && !take(s, "/")) return HN_OK;
        HN_TRY(parse_unary(s));
        HN_TRY(emit_kind(s, kind));
    }
}

static hn_status parse_sum(parser *s) {
    HN_TRY(parse_product(s));
    for (;;) {
        const hn_fusion_kind kind = *s->p == '+' ? HN_FUSION_ADD : HN_FUSION_SUBTRACT;
        if (!take(s, "+") && !take(s, "-")) return HN_OK;
        HN_TRY(parse_product(s));
        HN_TRY(emit_kind(s, kind));
    }
}

/* The comparison that comes next; longer ones are tried first. */
static bool take_comparison(parser *s, hn_fusion_kind *kind) {
    static const struct {
        const char *token;
        hn_fusion_kind kind;
    } all[] = {{"<=", HN_FUSION_LE}, {">=", HN_FUSION_GE}, {"==", HN_FUSION_EQ},
               {"!=", HN_FUSION_NE}, {"<", HN_FUSION_LT},  {">", HN_FUSION_GT}};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        *kind = all[k].kind;
        if (take(s, all[k].token)) return true;
    }
    return false;
}

static hn_status parse_whole(parser *s) {
    hn_fusion_kind kind, second;
    HN_TRY(parse_sum(s));
    if (!take_comparison(s, &kind)) return HN_OK;
    HN_TRY(parse_sum(s));
    HN_TRY(emit_kind(s, kind));
    const parser before = *s;
    if (!take_comparison(s, &second)) return HN_OK;
    return hn_fusion_fail_at(
        before.f, offset(&before), s->err,
        "found a second comparison in a row; expected one: if(a < b, b < c, 0) "
        "says that both hold");
}

static hn_status parse_text(parser *s) {
    skip_blanks(s);
    if (*s->p == '\0')
        return hn_fusion_fail_at(s->f, 0, s->err,
                                 "found nothing; expected an expression like click^0.8 * order");
    HN_TRY(parse_whole(s));
    return *s->p == '\0' ? HN_OK
                         : unexpected(s, "an operator (+ - * / ^ or a comparison) or the end");
}

hn_status hn_fusion_parse(hn_fusion *fusion, hn_error *err) {
    parser s = {.f = fusion, .err = err, .p = fusion->text};
    if (strlen(fusion->text) > HN_EXPRESSION_BYTES_MAX)
        return hn_fusion_fail_at(
            fusion, 0, err, "found an expression of more than %d bytes; expected a shorter one",
            HN_EXPRESSION_BYTES_MAX);
    return parse_text(&s);
}
