/* See fixture.h. */
#include "graph/fixture.h"

#include <string.h>

#include "base/rng.h"

static void make_layout(fixture *f, int32_t scenarios, int32_t tasks) {
    static char names[6][12] = {"user", "age", "history", "hour", "item", "price"};
    static char tables[3][12] = {"user", "history", "item"};
    const hn_input inputs[6] = {
        {names[0], HN_INPUT_ID, HN_SIDE_USER, 0, 0, 3, 0, HN_POOL_MEAN},
        {names[1], HN_INPUT_VALUE, HN_SIDE_USER, 0, -1, 1, 3, HN_POOL_MEAN},
        {names[2], HN_INPUT_LIST, HN_SIDE_USER, 0, 1, 2, 4, HN_POOL_MEAN},
        {names[5], HN_INPUT_VALUE, HN_SIDE_ITEM, 1, -1, 1, 6, HN_POOL_MEAN},
        {names[4], HN_INPUT_ID, HN_SIDE_ITEM, 1, 2, 4, 7, HN_POOL_MEAN},
    };
    memcpy(f->inputs, inputs, sizeof inputs);
    f->tables[0] = (hn_embedding){tables[0], 11, 3};
    f->tables[1] = (hn_embedding){tables[1], 7, 2};
    f->tables[2] = (hn_embedding){tables[2], 13, 4};
    f->layout = (hn_layout){.inputs = f->inputs,
                            .n_inputs = 5,
                            .tables = f->tables,
                            .n_tables = 3,
                            .ids = 2,
                            .lists = 1,
                            .values = 2,
                            .width = 11,
                            .shared_width = 6,
                            .scenarios = scenarios,
                            .tasks = tasks};
}

static void point(fixture *f, int32_t n) {
    f->rows = (hn_rows){.rows = n,
                        .scenario = f->scenario,
                        .ids = f->ids,
                        .values = f->values,
                        .list_begin = f->list_begin,
                        .list_ids = f->list_ids,
                        .labels = f->labels,
                        .weights = f->weights,
                        .ordinal = f->ordinal};
}

void fixture_make(fixture *f, int32_t n, int32_t scenarios, int32_t tasks, uint64_t seed) {
    memset(f, 0, sizeof *f);
    make_layout(f, scenarios, tasks);
    uint64_t counter = 0;
#define DRAW(limit) (uint32_t)(hn_random(seed, HN_STREAM_TEST, counter++) % (uint64_t)(limit))
    for (int32_t r = 0; r < n; r++) {
        f->scenario[r] = (uint16_t)((int64_t)r * scenarios / n);
        f->ids[2 * r] = DRAW(11);
        f->ids[2 * r + 1] = DRAW(13);
        f->values[2 * r] = (float)hn_random_normal(seed, HN_STREAM_TEST + 1, counter++);
        f->values[2 * r + 1] = (float)hn_random_normal(seed, HN_STREAM_TEST + 1, counter++);
        const uint32_t length = DRAW(5);
        for (uint32_t i = 0; i < length; i++) f->list_ids[f->list_begin[r] + i] = DRAW(7);
        f->list_begin[r + 1] = f->list_begin[r] + length;
        f->weights[r] = 0.5f + (float)DRAW(100) / 64;
        for (int32_t t = 0; t < tasks; t++)
            f->labels[r * tasks + t] = DRAW(6) == 0 ? HN_LABEL_ABSENT : (uint8_t)DRAW(2);
        f->ordinal[r] = 1000 + (uint64_t)r;
    }
#undef DRAW
    point(f, n);
}

void fixture_pick(fixture *out, const fixture *from, const int32_t *order, int32_t n) {
    const int32_t tasks = from->layout.tasks;
    memset(out, 0, sizeof *out);
    make_layout(out, from->layout.scenarios, tasks);
    for (int32_t i = 0; i < n; i++) {
        const int32_t r = order[i];
        out->scenario[i] = from->scenario[r];
        memcpy(&out->ids[2 * i], &from->ids[2 * r], 2 * sizeof *out->ids);
        memcpy(&out->values[2 * i], &from->values[2 * r], 2 * sizeof *out->values);
        const uint32_t length = from->list_begin[r + 1] - from->list_begin[r];
        memcpy(&out->list_ids[out->list_begin[i]], &from->list_ids[from->list_begin[r]],
               length * sizeof *out->list_ids);
        out->list_begin[i + 1] = out->list_begin[i] + length;
        memcpy(&out->labels[i * tasks], &from->labels[r * tasks], (size_t)tasks);
        out->weights[i] = from->weights[r];
        out->ordinal[i] = from->ordinal[r];
    }
    point(out, n);
}
