/* The fixtures of the trainer's tests; see fixture.h. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum { USERS = 40, ITEMS = 60, TAGS = 9, LONGEST = 4 };

static char users[] = "users", items[] = "items", tags[] = "tags";
static char user[] = "user", history[] = "history", price[] = "price", item[] = "item",
            tag[] = "tag", hour[] = "hour";

static hn_input inputs[] = {
    {user, HN_INPUT_ID, HN_SIDE_USER, 0, 0, 4, 0, HN_POOL_MEAN},
    {history, HN_INPUT_LIST, HN_SIDE_USER, 0, 1, 3, 4, HN_POOL_MEAN},
    {hour, HN_INPUT_VALUE, HN_SIDE_CONTEXT, 0, -1, 1, 7, HN_POOL_MEAN},
    {item, HN_INPUT_ID, HN_SIDE_ITEM, 1, 1, 3, 8, HN_POOL_MEAN},
    {price, HN_INPUT_VALUE, HN_SIDE_ITEM, 1, -1, 1, 11, HN_POOL_MEAN},
    {tag, HN_INPUT_LIST, HN_SIDE_ITEM, 1, 2, 2, 12, HN_POOL_SUM},
};
static hn_embedding tables[] = {{users, USERS, 4}, {items, ITEMS, 3}, {tags, TAGS, 2}};
static const hn_layout layout = {.inputs = inputs,
                                 .n_inputs = 6,
                                 .tables = tables,
                                 .n_tables = 3,
                                 .ids = 2,
                                 .lists = 2,
                                 .values = 2,
                                 .width = 14,
                                 .shared_width = 8,
                                 .scenarios = FIXTURE_SCENARIOS,
                                 .tasks = FIXTURE_TASKS};

const hn_layout *fixture_layout(void) { return &layout; }

static hn_config_task tasks[] = {{.weight = 1}, {.weight = 0.5}};

hn_config fixture_config(void) {
    hn_config config = {0};
    config.tasks = tasks;
    config.n_tasks = FIXTURE_TASKS;
    config.model = (hn_config_model){.kind = HN_MODEL_SHARED_BOTTOM,
                                     .experts = 2,
                                     .expert_units = {{6, 4}, 2},
                                     .scenario_levels = 1,
                                     .scenario_width = 3,
                                     .san = true,
                                     .sei = true,
                                     .scenario_layer = true,
                                     .shared_expert = true,
                                     .task_shared = 1,
                                     .task_own = 1,
                                     .task_units = {{5}, 1},
                                     .task_levels = 1,
                                     .bottom_units = {{8}, 1},
                                     .tower_units = {{4}, 1}};
    config.train = (hn_config_train){.optimizer = HN_ADAM,
                                     .rate = 0.01,
                                     .beta1 = 0.9,
                                     .beta2 = 0.99,
                                     .epsilon = 1e-3,
                                     .batch = 1024,
                                     .epochs = 1,
                                     .seed = 5,
                                     .shards = 4,
                                     .window = 4,
                                     .block_rows = 64};
    return config;
}

static uint64_t draw(uint64_t seed, uint64_t *counter) {
    return hn_random(seed, HN_STREAM_TEST, (*counter)++);
}

static void fill_row(fixture_rows *f, int32_t r, uint64_t seed, uint64_t *c, uint32_t *n_list) {
    for (int32_t l = 0; l < 2; l++) {
        f->list_begin[2 * r + l] = *n_list;
        for (uint64_t k = draw(seed, c) % (LONGEST + 1); k > 0; k--)
            f->list_ids[(*n_list)++] = (uint32_t)(draw(seed, c) % (l ? TAGS : ITEMS));
    }
    f->ids[2 * r] = (uint32_t)(draw(seed, c) % USERS);
    f->ids[2 * r + 1] = (uint32_t)(draw(seed, c) % ITEMS);
    for (int32_t v = 0; v < 2; v++) f->values[2 * r + v] = (float)(draw(seed, c) % 1000) / 500 - 1;
    for (int32_t t = 0; t < 2; t++) {
        const uint64_t u = draw(seed, c) % 10;
        f->labels[2 * r + t] = u == 0 ? HN_LABEL_ABSENT : u < 4;
    }
    f->weights[r] = 0.5f + (float)(draw(seed, c) % 4) / 2;
    f->ordinal[r] = draw(seed, c) % 100000;
    f->user[r] = f->ids[2 * r];
}

fixture_rows fixture_make_rows(int32_t n, uint64_t seed) {
    const size_t rows = (size_t)n;
    fixture_rows f = {.scenario = calloc(rows, 2),
                      .ids = calloc(rows, 8),
                      .list_begin = calloc(2 * rows + 1, 4),
                      .list_ids = calloc(2 * rows * LONGEST + 1, 4),
                      .values = calloc(rows, 8),
                      .weights = calloc(rows, 4),
                      .labels = calloc(rows, 2),
                      .ordinal = calloc(rows, 8),
                      .user = calloc(rows, 8)};
    uint64_t counter = 0;
    uint32_t n_list = 0;
    for (int32_t r = 0; r < n; r++) {
        /* Sizes 70, 20, 10 %, in order. */
        f.scenario[r] = (uint16_t)(r < n * 7 / 10 ? 0 : r < n * 9 / 10 ? 1 : 2);
        fill_row(&f, r, seed, &counter, &n_list);
    }
    f.list_begin[2 * rows] = n_list;
    f.rows = (hn_rows){n,          f.scenario, f.ids,     f.values,  f.list_begin,
                       f.list_ids, f.labels,   f.weights, f.ordinal, f.user};
    return f;
}

void fixture_free_rows(fixture_rows *f) {
    free(f->scenario), free(f->ids), free(f->list_begin), free(f->list_ids), free(f->values);
    free(f->weights), free(f->labels), free(f->ordinal), free(f->user);
}
