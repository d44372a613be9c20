/* What fusion_parse.c makes and fusion.c runs: operations in postfix order over a stack. */
#ifndef HN_SERVE_FUSION_PROGRAM_H
#define HN_SERVE_FUSION_PROGRAM_H

#include "serve/fusion.h"

/* X(symbol, operands) */
#define HN_FUSION_MAP(X) \
    X(CONST, 0)          \
    X(NAME, 0)           \
    X(NEGATE, 1)         \
    X(LOG, 1)            \
    X(EXP, 1)            \
    X(SQRT, 1)           \
    X(ABS, 1)            \
    X(ADD, 2)            \
    X(SUBTRACT, 2)       \
    X(MULTIPLY, 2)       \
    X(DIVIDE, 2)         \
    X(POWER, 2)          \
    X(MIN, 2)            \
    X(MAX, 2)            \
    X(LT, 2)             \
    X(LE, 2)             \
    X(GT, 2)             \
    X(GE, 2)             \
    X(EQ, 2)             \
    X(NE, 2)             \
    X(IF, 3)
typedef enum hn_fusion_kind {
#define X(symbol, operands) HN_FUSION_##symbol,
    HN_FUSION_MAP(X)
#undef X
        HN_FUSION_KINDS
} hn_fusion_kind;

typedef struct hn_fusion_op {
    hn_fusion_kind kind;
    int32_t name;    /* NAME */
    double constant; /* CONST */
} hn_fusion_op;

struct hn_fusion {
    hn_arena arena;
    char *text, *origin;  /* origin: of `where`, without line and column */
    int32_t line, column; /* of the text's first character; line 0: unknown */
    hn_fusion_op ops[HN_EXPRESSION_OPS_MAX];
    int32_t n_ops;
    hn_strings names;
    int32_t name_at[HN_EXPRESSION_OPS_MAX]; /* [names] offset of the first use in `text` */
    char *name_items[HN_EXPRESSION_OPS_MAX];
};

/* Appends an operation; what has only constants is computed at once. False: too many. */
bool hn_fusion_emit(hn_fusion *fusion, hn_fusion_op op);
/* "serve.yaml:12:20: " and the sentence, with HN_BAD_CONFIG; `at` is an offset in the text. */
hn_status hn_fusion_fail_at(const hn_fusion *fusion, size_t at, hn_error *err, const char *format,
                            ...) __attribute__((format(printf, 4, 5)));
hn_status hn_fusion_parse(hn_fusion *fusion, hn_error *err);

#endif
