/* The config's expressions as programs: compiled once, then bound for each engine: which task, or
 * which of the request's numbers, a name means in its model. */
#ifndef HN_SERVE_PROGRAM_H
#define HN_SERVE_PROGRAM_H

#include "data/request.h"
#include "serve/fusion.h"
#include "serve/serve_config.h"

typedef struct hn_program {
    const hn_serve_expression *expression;
    hn_fusion *fusion;
} hn_program;
typedef struct hn_programs {
    hn_program *items;
    int32_t n;
} hn_programs;

/* Of the config and of all arms. HN_BAD_CONFIG names the place in the file. */
hn_status hn_programs_compile(hn_programs *out, const hn_serve_config *config, hn_error *err);
void hn_programs_free(hn_programs *programs);
/* The expression's number; -1 for NULL, which stands for the product of the tasks. */
int32_t hn_programs_find(const hn_programs *programs, const hn_serve_expression *expression);

typedef struct hn_binding {
    int32_t task; /* -1: it is a number */
    hn_request_number number;
} hn_binding;
typedef struct hn_bindings {
    hn_arena arena;
    const hn_programs *programs;
    const hn_binding **of; /* [programs][names]; NULL: a name has no meaning in this model */
    int32_t *lacks;        /* [programs] the first such name */
} hn_bindings;

hn_status hn_bindings_make(hn_bindings *out, const hn_programs *programs, const hn_config *config,
                           const hn_request *request, hn_error *err);
void hn_bindings_free(hn_bindings *bindings);
/* HN_BAD_CONFIG with the place in the file and what the model has, when it is not bound. */
hn_status hn_bindings_check(const hn_bindings *bindings, int32_t program, const hn_config *config,
                            const char *model, hn_error *err);
/* The score of a row with these probabilities; NaN when the program is not bound. `request` NULL:
 * the rows are not encoded, so no number is known. */
double hn_bindings_value(const hn_bindings *bindings, int32_t program, const hn_request *request,
                         int32_t row, const double *p);

#endif
