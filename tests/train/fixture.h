/* What the tests of the trainer share: a small layout with every kind of input, a config
 * of a small model, and random rows for it. */
#ifndef HN_TESTS_TRAIN_FIXTURE_H
#define HN_TESTS_TRAIN_FIXTURE_H

#include "base/pool.h"
#include "support.h"
#include "train/train.h"

enum { FIXTURE_SCENARIOS = 3, FIXTURE_TASKS = 2 };

/* Tables users and items (items read by an id and a mean list) and tags (a sum list). */
const hn_layout *fixture_layout(void);
/* Shared-bottom 8, tower 4, Adam; as a test likes to change it. */
hn_config fixture_config(void);

typedef struct fixture_rows {
    hn_rows rows;
    uint16_t *scenario;
    uint32_t *ids, *list_begin, *list_ids;
    float *values, *weights;
    uint8_t *labels;
    uint64_t *ordinal, *user;
} fixture_rows;
/* Sorted by scenario; a tenth of the labels absent; a pure function of (n, seed). */
fixture_rows fixture_make_rows(int32_t n, uint64_t seed);
void fixture_free_rows(fixture_rows *rows);

#endif
