/* The oracle of the trainer: shared-bottom 8, tower 4 on the fixture's layout, forward,
 * backward and optimizers row by row in double, written from the formulas. */
#ifndef HN_TESTS_TRAIN_REFERENCE_H
#define HN_TESTS_TRAIN_REFERENCE_H

#include "fixture.h"

enum {
    REF_D = 14,
    REF_H = 8,
    REF_U = 4,
    REF_DENSE = 6,
    REF_TABLES = 3,
    REF_PARTS = REF_DENSE + REF_TABLES
};

typedef struct ref_part { /* one tensor, with its gradient and what the optimizer keeps */
    size_t n, width;      /* width: of a table's row; 0: dense */
    double *w, *g, *m, *v;
    uint8_t *touched; /* [n / width] */
} ref_part;

typedef struct reference {
    ref_part parts[REF_PARTS]; /* bottom w b, tower w b, out w b; users, items, tags */
    int64_t step;
    double weight[FIXTURE_TASKS], m[FIXTURE_TASKS], v[FIXTURE_TASKS]; /* s_t or w_t, Adam's */
    double first[FIXTURE_TASKS];                                      /* L_t(0) */
} reference;

/* Copies the trainer's parameters. */
void reference_init(reference *ref, const hn_plan *plan, const hn_params *params);
void reference_free(reference *ref);
/* One step; returns the loss. */
double reference_step(reference *ref, const hn_rows *rows, const hn_config *config,
                      double rate_scale);
/* The largest difference from the trainer's parameters. */
double reference_distance(const reference *ref, const hn_plan *plan, const hn_params *params);

#endif
