/* Allocation, arenas, growth and fault injection. */
#include <pthread.h>
#include <string.h>

#include "support.h"

static bool aligned(const void *memory, uintptr_t alignment) {
    return (uintptr_t)memory % alignment == 0;
}

static void blocks_are_aligned_and_counted(void **state) {
    (void)state;
    const int64_t before = hn_memory_held();
    for (size_t n = 0; n < 3000; n = n * 2 + 1) {
        char *const block = hn_alloc(n, 3);
        assert_non_null(block);
        assert_true(aligned(block, HN_ALIGN));
        assert_true(hn_memory_held() >= before + (int64_t)(3 * n));
        memset(block, 1, 3 * n);
        hn_free(block);
        assert_int_equal(hn_memory_held(), before);
    }
    hn_free(NULL);
}

static void impossible_sizes_give_null(void **state) {
    (void)state;
    const volatile size_t huge = SIZE_MAX / 2; /* volatile: not the compiler's to reject */
    assert_null(hn_alloc(huge, 3));
    assert_null(hn_alloc_zero(huge, 3));
    assert_null(hn_alloc(huge, 2));
    void *const block = hn_alloc(10, 1);
    assert_null(hn_realloc(block, huge, 3));
    memset(block, 0, 10); /* still valid */
    hn_free(block);
    hn_arena arena = {0};
    assert_null(hn_arena_alloc(&arena, huge, 3));
    assert_null(hn_arena_alloc(&arena, huge, 1));
    hn_arena_free(&arena);
}

static void zeroed_blocks_are_zero(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        unsigned char *const dirty = hn_alloc(1000, 1);
        memset(dirty, 0xff, 1000);
        hn_free(dirty);
        unsigned char *const block = hn_alloc_zero(10, 100);
        for (int j = 0; j < 1000; j++) assert_int_equal(block[j], 0);
        hn_free(block);
    }
}

static void realloc_keeps_content_and_alignment(void **state) {
    (void)state;
    const int64_t before = hn_memory_held();
    size_t n = 1;
    unsigned char *block = hn_realloc(NULL, n, 1);
    block[0] = 0;
    static const size_t sizes[] = {2, 100, 64, 70, 5000, 300000, 17, 400, 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t kept = n < sizes[i] ? n : sizes[i];
        block = hn_realloc(block, sizes[i], 1);
        assert_non_null(block);
        assert_true(aligned(block, HN_ALIGN));
        for (size_t j = 0; j < kept; j++) assert_int_equal(block[j], j % 251);
        n = sizes[i];
        for (size_t j = 0; j < n; j++) block[j] = (unsigned char)(j % 251);
    }
    hn_free(block);
    assert_int_equal(hn_memory_held(), before);
}

static void texts_are_copied(void **state) {
    (void)state;
    char *const whole = hn_strdup("scenario"), *const part = hn_strndup("scenario", 3);
    assert_string_equal(whole, "scenario");
    assert_string_equal(part, "sce");
    hn_free(whole);
    hn_free(part);
}

static void grow_doubles_and_leaves_the_array_on_failure(void **state) {
    (void)state;
    hn_error err = {0};
    int32_t *array = NULL;
    size_t capacity = 0, moves = 0;
    for (size_t n = 0; n < 100000; n++) {
        const size_t before = capacity;
        assert_ok(hn_grow(&array, &capacity, n + 1, sizeof *array, &err));
        moves += capacity != before;
        array[n] = (int32_t)n;
    }
    assert_true(moves < 20);
    for (size_t n = 0; n < 100000; n++) assert_int_equal(array[n], n);
    const size_t before = capacity;
    const volatile size_t huge = SIZE_MAX / 2;
    assert_fails(HN_NO_MEMORY, "no memory", hn_grow(&array, &capacity, huge, sizeof *array, &err));
    assert_int_equal(capacity, before);
    assert_int_equal(array[99999], 99999);
    hn_free(array);
}

static void arenas_give_zeroed_aligned_disjoint_memory(void **state) {
    (void)state;
    const int64_t before = hn_memory_held();
    hn_arena arena = {0};
    enum { N = 3000 };
    static unsigned char *blocks[N];
    static size_t sizes[N];
    for (size_t i = 0; i < N; i++) {
        sizes[i] = i % 500 == 499 ? 100000 : i * 7 % 300;
        blocks[i] = hn_arena_alloc(&arena, sizes[i], 1);
        assert_non_null(blocks[i]);
        assert_true(aligned(blocks[i], sizes[i] >= HN_ALIGN ? HN_ALIGN : 16));
        for (size_t j = 0; j < sizes[i]; j++) assert_int_equal(blocks[i][j], 0);
        memset(blocks[i], (int)(i % 255 + 1), sizes[i]);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < sizes[i]; j++) assert_int_equal(blocks[i][j], i % 255 + 1);
    assert_string_equal(hn_arena_strdup(&arena, "item"), "item");
    assert_string_equal(hn_arena_strndup(&arena, "item_id", 4), "item");
    hn_arena_free(&arena);
    assert_int_equal(hn_memory_held(), before);
    hn_arena_free(&arena); /* again is fine */
}

static void the_armed_event_fails_once(void **state) {
    (void)state;
    hn_fault_arm(HN_FAULT_ALLOC, 3);
    for (int i = 1; i <= 6; i++) {
        void *const block = hn_alloc(1, 1);
        if (i == 3)
            assert_null(block);
        else
            assert_non_null(block);
        hn_free(block);
    }
    assert_int_equal(hn_fault_count(HN_FAULT_ALLOC), 6);
    assert_int_equal(hn_fault_count(HN_FAULT_READ), 0);
    hn_fault_arm(HN_FAULT_ALLOC, 1);
    assert_null(hn_strdup("x"));
    hn_fault_arm(HN_FAULT_ALLOC, 0);
    void *const block = hn_alloc(1, 1);
    assert_non_null(block);
    assert_int_equal(hn_fault_count(HN_FAULT_ALLOC), 0); /* nothing counts while disarmed */
    hn_free(block);
}

enum { HITTERS = 4, HITS = 20000 };
static void *hit_often(void *hits) {
    for (int i = 0; i < HITS; i++) *(int *)hits += hn_fault_hit(HN_FAULT_WRITE);
    return NULL;
}

static void exactly_one_thread_is_hit(void **state) {
    (void)state;
    pthread_t threads[HITTERS];
    int hits[HITTERS] = {0}, total = 0;
    hn_fault_arm(HN_FAULT_WRITE, HITS + 5);
    for (int i = 0; i < HITTERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hit_often, &hits[i]), 0);
    for (int i = 0; i < HITTERS; i++) {
        pthread_join(threads[i], NULL);
        total += hits[i];
    }
    assert_int_equal(total, 1);
    assert_int_equal(hn_fault_count(HN_FAULT_WRITE), HITTERS * HITS);
    hn_fault_arm(HN_FAULT_WRITE, 0);
}

static void the_process_and_the_machine_have_memory(void **state) {
    (void)state;
    const int64_t resident = hn_memory_resident();
    assert_true(resident > 100000);
    assert_true(hn_memory_machine() > resident);
    char *const block = hn_alloc_zero(64 << 20, 1);
    assert_true(hn_memory_resident() > resident + (32 << 20));
    hn_free(block);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_counted),
        cmocka_unit_test(impossible_sizes_give_null),
        cmocka_unit_test(zeroed_blocks_are_zero),
        cmocka_unit_test(realloc_keeps_content_and_alignment),
        cmocka_unit_test(texts_are_copied),
        cmocka_unit_test(grow_doubles_and_leaves_the_array_on_failure),
        cmocka_unit_test(arenas_give_zeroed_aligned_disjoint_memory),
        cmocka_unit_test(the_armed_event_fails_once),
        cmocka_unit_test(exactly_one_thread_is_hit),
        cmocka_unit_test(the_process_and_the_machine_have_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
