/* Compiled expressions: their life, the places of their errors, and their evaluation over a
 * stack. fusion.h has the language, fusion_parse.c reads it. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/fusion_program.h"

/* ---- Evaluation -------------------------------------------------------------------------- */

static double choose(double condition, double yes, double no) {
    if (isnan(condition)) return condition;
    return condition != 0 ? yes : no;
}

/* The last value of the stack is x, the others lie below `top`. Every operation finds its
 * operands, for the parser emits them first; the analyzer cannot know that. */
/* NOLINTBEGIN(clang-analyzer-core.*) */
static double run(const hn_fusion_op *ops, int32_t n, const double *values, double *stack) {
#define PUSH(symbol, value)      \
    case HN_FUSION_##symbol:     \
        *top++ = x, x = (value); \
        break
#define ONE(symbol, value)   \
    case HN_FUSION_##symbol: \
        x = (value);         \
        break
#define TWO(symbol, value)              \
    case HN_FUSION_##symbol: {          \
        const double a = *--top, b = x; \
        x = (value);                    \
        break;                          \
    }
    double *top = stack, x = 0;
    for (const hn_fusion_op *op = ops; op < ops + n; op++) {
        switch (op->kind) {
            PUSH(CONST, op->constant);
            PUSH(NAME, values[op->name]);
            ONE(NEGATE, -x);
            ONE(LOG, log(x));
            ONE(EXP, exp(x));
            ONE(SQRT, sqrt(x));
            ONE(ABS, fabs(x));
            TWO(ADD, a + b)
            TWO(SUBTRACT, a - b)
            TWO(MULTIPLY, a * b)
            TWO(DIVIDE, a / b)
            TWO(POWER, pow(a, b))
            TWO(MIN, isnan(a) || a <= b ? a : b) /* b where it is NaN */
            TWO(MAX, isnan(a) || a >= b ? a : b)
            TWO(LT, a < b)
            TWO(LE, a <= b)
            TWO(GT, a > b)
            TWO(GE, a >= b)
            TWO(EQ, a == b)
            TWO(NE, a != b)
        case HN_FUSION_IF:
            top -= 2;
            x = choose(top[0], top[1], x);
            break;
        case HN_FUSION_KINDS: break;
        }
    }
    return x;
#undef PUSH
#undef ONE
#undef TWO
}
/* NOLINTEND(clang-analyzer-core.*) */

double hn_fusion_value(const hn_fusion *fusion, const double *values) {
    double stack[HN_EXPRESSION_OPS_MAX + 1];
    return run(fusion->ops, fusion->n_ops, values, stack);
}

/* ---- Making the program ------------------------------------------------------------------ */

static int32_t operands(hn_fusion_kind kind) {
    static const int8_t n[] = {
#define X(symbol, operands) operands,
        HN_FUSION_MAP(X)
#undef X
    };
    return n[kind];
}

bool hn_fusion_emit(hn_fusion *fusion, hn_fusion_op op) {
    const int32_t n = operands(op.kind);
    hn_fusion_op *const first = fusion->ops + fusion->n_ops - n;
    if (fusion->n_ops == HN_EXPRESSION_OPS_MAX) return false;
    fusion->ops[fusion->n_ops++] = op;
    for (int32_t k = 0; k < n; k++)
        if (first[k].kind != HN_FUSION_CONST) return true;
    if (op.kind == HN_FUSION_NAME || n == 0) return true;
    double stack[4];
    *first = (hn_fusion_op){.kind = HN_FUSION_CONST, .constant = run(first, n + 1, NULL, stack)};
    fusion->n_ops -= n;
    return true;
}

/* ---- Places -------------------------------------------------------------------------------- */

/* Takes ":12:9" off the end of the place, where it is there. */
static void take_place(hn_fusion *f, char *where) {
    char *const column = strrchr(where, ':');
    f->origin = where;
    if (column == NULL || column == where || column[1] == '\0') return;
    char *line = column - 1;
    while (line > where && *line != ':') line--;
    const size_t digits = strspn(line + 1, "0123456789");
    if (*line != ':' || digits == 0 || line + 1 + digits != column || digits > 9 ||
        column[1 + strspn(column + 1, "0123456789")] != '\0' || strlen(column + 1) > 9)
        return;
    f->line = (int32_t)strtol(line + 1, NULL, 10);
    f->column = (int32_t)strtol(column + 1, NULL, 10);
    *line = '\0';
}

/* Columns count characters, as YAML's places do. */
static void place_at(int32_t *line, int32_t *column, const hn_fusion *f, size_t at) {
    *line = f->line > 0 ? f->line : 1;
    *column = f->line > 0 ? f->column : 1;
    for (size_t i = 0; i < at && f->text[i] != '\0'; i++) {
        if (((unsigned char)f->text[i] & 0xc0) == 0x80) continue;
        *column = f->text[i] == '\n' ? 1 : *column + 1;
        *line += f->text[i] == '\n';
    }
}

hn_status hn_fusion_fail_at(const hn_fusion *f, size_t at, hn_error *err, const char *format, ...) {
    char sentence[600];
    int32_t line, column;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    place_at(&line, &column, f, at);
    return hn_fail(err, HN_BAD_CONFIG, "%.300s:%d:%d: %s", f->origin, line, column, sentence);
}

hn_status hn_fusion_fail(const hn_fusion *fusion, int32_t name, const char *expected,
                         hn_error *err) {
    return hn_fusion_fail_at(fusion, (size_t)fusion->name_at[name], err,
                             "found the name \"%.80s\" in the expression; expected %s",
                             fusion->names.items[name], expected);
}

/* ---- Life ---------------------------------------------------------------------------------- */

static hn_status fill(hn_fusion *f, const char *text, const char *where, hn_error *err) {
    char *const place = hn_arena_strdup(&f->arena, where);
    f->text = hn_arena_strndup(&f->arena, text, strnlen(text, HN_EXPRESSION_BYTES_MAX + 1));
    if (place == NULL || f->text == NULL) return hn_no_memory(err, "an expression");
    take_place(f, place);
    f->names.items = f->name_items;
    return hn_fusion_parse(f, err);
}

hn_status hn_fusion_compile(hn_fusion **out, const char *text, const char *where, hn_error *err) {
    *out = NULL;
    hn_fusion *const f = hn_alloc_zero(1, sizeof *f);
    if (f == NULL) return hn_no_memory(err, "an expression");
    const hn_status status = fill(f, text, where, err);
    if (status == HN_OK)
        *out = f;
    else
        hn_fusion_free(f);
    return status;
}

const hn_strings *hn_fusion_names(const hn_fusion *fusion) { return &fusion->names; }

void hn_fusion_free(hn_fusion *fusion) {
    if (fusion == NULL) return;
    hn_arena_free(&fusion->arena);
    hn_free(fusion);
}
