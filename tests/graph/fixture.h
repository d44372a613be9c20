/* A small random world for the tests of graphs and models: a layout of every kind of input
 * and rows for it, sorted by scenario, with absent labels and weights. */
#ifndef HN_TESTS_GRAPH_FIXTURE_H
#define HN_TESTS_GRAPH_FIXTURE_H

#include "graph/plan.h"

typedef struct fixture {
    hn_layout layout;
    hn_input inputs[6];
    hn_embedding tables[3];
    hn_rows rows;
    uint16_t scenario[512];
    uint32_t ids[512 * 2], list_begin[512 + 1], list_ids[512 * 4];
    float values[512 * 2], weights[512];
    uint8_t labels[512 * 4];
    uint64_t ordinal[512];
} fixture;

/* n ≤ 512 rows of `scenarios` scenarios and `tasks` ≤ 4 tasks; a pure function of seed. */
void fixture_make(fixture *out, int32_t n, int32_t scenarios, int32_t tasks, uint64_t seed);
/* One row's copy of `from` row `row` at row 0 … in another order: out has rows[order[i]]. */
void fixture_pick(fixture *out, const fixture *from, const int32_t *order, int32_t n);

#endif
