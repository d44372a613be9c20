/* The spool: what goes in comes out, from memory, from the file, and from both; rows that are
 * dropped stay so; and each allocation, read and write may fail. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/spool.h"

enum { BLOCKS = 7, ROWS_MAX = 4000, SLOTS = 5, TABLES = 2, TASKS = 3, LISTS = 900 };

typedef struct source { /* of blocks; that of number b has rows(b) rows */
    hn_slot slots[ROWS_MAX * SLOTS];
    uint64_t ordinal[ROWS_MAX], user[ROWS_MAX], lists[LISTS];
    int32_t table_rows[ROWS_MAX * TABLES];
    float weights[ROWS_MAX], sampling[ROWS_MAX];
    uint16_t scenario[ROWS_MAX];
    uint8_t labels[ROWS_MAX * TASKS], split[ROWS_MAX];
} source;

static int32_t rows_of(int32_t b) { return b == 3 ? 1 : ROWS_MAX - 31 * b; }

/* Any bytes will do, but splits. */
static void fill(source *s, int32_t b) {
    uint8_t *const bytes = (uint8_t *)s;
    for (size_t i = 0; i + 8 <= sizeof *s; i += 8) {
        const uint64_t r = hn_random(7, HN_STREAM_TEST, (uint64_t)b << 32 | i);
        memcpy(bytes + i, &r, 8);
    }
    for (int32_t i = 0; i < ROWS_MAX; i++) s->split[i] = (uint8_t)(i % HN_SPLITS);
}

static hn_impressions view(const source *s, int32_t b) {
    return (hn_impressions){.rows = rows_of(b),
                            .log_slots = SLOTS,
                            .tables = TABLES,
                            .tasks = TASKS,
                            .slots = s->slots,
                            .table_rows = s->table_rows,
                            .lists = s->lists,
                            .n_lists = b % 2 ? LISTS : 0,
                            .scenario = s->scenario,
                            .labels = s->labels,
                            .weights = s->weights,
                            .user = s->user,
                            .split = s->split,
                            .ordinal = s->ordinal,
                            .sampling = b % 3 ? s->sampling : NULL};
}

static hn_status add_all(hn_spool *spool, hn_pool *pool, source *s, hn_error *err) {
    for (int32_t b = 0; b < BLOCKS; b++) {
        fill(s, b);
        const hn_impressions block = view(s, b);
        HN_TRY(hn_spool_add(spool, &block, pool, err));
    }
    return HN_OK;
}

/* Equal to what was added, but for the splits of dropped rows: every third of all. */
static void check_block(const hn_spool_buffer *got, source *s, int32_t b, uint64_t first,
                        bool dropped) {
    fill(s, b);
    const hn_impressions want = view(s, b), *const block = &got->block;
    const size_t rows = (size_t)want.rows;
    assert_int_equal(got->first_row, first);
    assert_int_equal(block->rows, want.rows);
    assert_int_equal(block->n_lists, want.n_lists);
    assert_memory_equal(block->slots, want.slots, rows * SLOTS * 8);
    assert_memory_equal(block->ordinal, want.ordinal, rows * 8);
    assert_memory_equal(block->user, want.user, rows * 8);
    if (want.n_lists > 0) assert_memory_equal(block->lists, want.lists, want.n_lists * 8);
    assert_memory_equal(block->table_rows, want.table_rows, rows * TABLES * 4);
    assert_memory_equal(block->weights, want.weights, rows * 4);
    assert_int_equal(block->sampling != NULL, want.sampling != NULL);
    if (want.sampling) assert_memory_equal(block->sampling, want.sampling, rows * 4);
    assert_memory_equal(block->scenario, want.scenario, rows * 2);
    assert_memory_equal(block->labels, want.labels, rows * TASKS);
    for (size_t i = 0; i < rows; i++)
        assert_int_equal(block->split[i],
                         dropped && (first + i) % 3 == 0 ? HN_NO_SPLIT : want.split[i]);
}

static void check_all(const hn_spool *spool, source *s, bool dropped) {
    hn_spool_buffer buffer = {0};
    hn_error err = {0};
    uint64_t first = 0;
    assert_int_equal(hn_spool_blocks(spool), BLOCKS);
    for (int32_t b = 0; b < BLOCKS; b++) {
        assert_ok(hn_spool_read(&buffer, spool, b, &err));
        check_block(&buffer, s, b, first, dropped);
        first += (uint64_t)rows_of(b);
    }
    assert_int_equal(hn_spool_rows(spool), first);
    hn_spool_buffer_free(&buffer);
}

static uint64_t *every_third(uint64_t rows) {
    uint64_t *const bits = hn_alloc_zero(rows / 64 + 1, sizeof *bits);
    assert_non_null(bits);
    for (uint64_t r = 0; r < rows; r += 3) bits[r / 64] |= UINT64_C(1) << (r % 64);
    return bits;
}

/* Nothing, some of the blocks, and all of them in memory; read in passes, too. */
static void blocks_come_back(void **state) {
    (void)state;
    static source s;
    const uint64_t keep[] = {0, 1, 700000, UINT64_MAX};
    char *const dir = support_folder();
    hn_pool *pool;
    hn_error err = {0};
    assert_ok(hn_pool_create(&pool, 2, &err));
    for (size_t k = 0; k < sizeof keep / sizeof *keep; k++) {
        hn_spool *spool;
        assert_ok(hn_spool_create(&spool, dir, &err));
        hn_spool_keep(spool, keep[k]);
        const int64_t before = hn_memory_held();
        hn_fault_arm(HN_FAULT_WRITE, INT64_MAX);
        assert_ok(add_all(spool, pool, &s, &err));
        const bool written = hn_fault_count(HN_FAULT_WRITE) > 0;
        hn_fault_arm(HN_FAULT_WRITE, 0);
        const int64_t held = hn_memory_held() - before;
        assert_int_equal(written, keep[k] < UINT64_MAX);
        assert_int_equal(held > 100000, keep[k] > 1);
        if (keep[k] < UINT64_MAX) assert_true(held < (int64_t)keep[k] + 4096);
        check_all(spool, &s, false);
        check_all(spool, &s, false);
        hn_spool_drop(spool, every_third(hn_spool_rows(spool)));
        check_all(spool, &s, true);
        check_all(spool, &s, true);
        hn_spool_free(spool);
    }
    hn_pool_free(pool);
    support_remove(dir);
    free(dir);
}

typedef struct job {
    const char *dir;
    hn_pool *pool;
    source *s;
} job;

static hn_status read_pass(const hn_spool *spool, hn_pool *pool, hn_error *err) {
    hn_pass pass;
    uint64_t rows = 0;
    HN_TRY(hn_pass_open(&pass, spool, pool, NULL, "test", 0, err));
    hn_status status;
    while ((status = hn_pass_next(&pass, err)) == HN_OK && pass.n > 0)
        for (int32_t i = 0; i < pass.n; i++) rows += (uint64_t)pass.blocks[i].block.rows;
    hn_pass_close(&pass);
    if (status == HN_OK) assert_int_equal(rows, hn_spool_rows(spool));
    return status;
}

static hn_status spool_and_read(void *user, hn_error *err) {
    const job *const j = user;
    hn_spool *spool;
    HN_TRY(hn_spool_create(&spool, j->dir, err));
    hn_spool_keep(spool, 400000);
    hn_status status = add_all(spool, j->pool, j->s, err);
    if (status == HN_OK) status = read_pass(spool, j->pool, err);
    hn_spool_free(spool);
    return status;
}

static void failures_leave_nothing(void **state) {
    (void)state;
    static source s;
    char *const dir = support_folder();
    hn_error err = {0};
    job j = {.dir = dir, .s = &s};
    assert_ok(hn_pool_create(&j.pool, 1, &err));
    for (hn_fault kind = 0; kind < HN_FAULTS; kind++)
        assert_true(support_fail_each(kind, spool_and_read, &j) > 3);
    hn_pool_free(j.pool);
    support_remove(dir);
    free(dir);
}

static void other_shapes_are_refused(void **state) {
    (void)state;
    static source s;
    char *const dir = support_folder();
    hn_pool *pool;
    hn_spool *spool;
    hn_error err = {0};
    assert_ok(hn_pool_create(&pool, 1, &err));
    assert_ok(hn_spool_create(&spool, dir, &err));
    fill(&s, 0);
    hn_impressions block = view(&s, 0);
    assert_ok(hn_spool_add(spool, &block, pool, &err));
    block.tasks--;
    assert_fails(HN_FAILED, "different shapes", hn_spool_add(spool, &block, pool, &err));
    block = view(&s, 0);
    block.rows = 0;
    assert_ok(hn_spool_add(spool, &block, pool, &err));
    assert_int_equal(hn_spool_blocks(spool), 1);
    hn_spool_free(spool);
    hn_pool_free(pool);
    support_remove(dir);
    free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_come_back),
        cmocka_unit_test(failures_leave_nothing),
        cmocka_unit_test(other_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
