/* Damaged bundles: every flipped byte and every wrong length is refused as bad data. Bytes
 * damaged *with* right checksums (a hostile file) may open or not, but never do harm: that
 * part runs the fuzz target itself, on mutations made here and on its corpus.
 * HN_CORPUS=DIR writes the seeds of the corpus there. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "bundle/world.h"

#include "../fuzz/fuzz_bundle.c" /* NOLINT(bugprone-suspicious-include): the target itself */

typedef struct seed {
    const char *name, *model;
    bool served; /* with calibration, profile and golden rows */
} seed;
static const seed seeds[] = {
    {"hinet", WORLD_HINET, false},
    {"script",
     "{name: hinet, experts: 1, expert_units: [2], scenario_width: 1, task_shared: 1, "
     "task_own: 1, task_units: [2], tower_units: [], compat: [san_softmax_all, "
     "gate_relu, cgc_sum, cgc_global, all_heads, input_affine]}",
     false},
    {"mixed", "{name: mixed, bottom_units: [2], scenario_width: 1, tower_units: []}", false},
    {"single", "{name: single, bottom_units: [2], tower_units: []}", false},
    {"served", "{name: single, bottom_units: [2], tower_units: []}", true},
};

static uint8_t *bundle_bytes(const seed *of, size_t *n) {
    hn_error err = {0};
    world w;
    char *bytes = NULL;
    world_make(&w, of->model);
    if (of->served) world_write_served(&w);
    assert_ok(hn_file_read(&bytes, n, w.bundle_path, &err));
    world_free(&w);
    return (uint8_t *)bytes;
}

static hn_status open_bytes(const uint8_t *bytes, size_t n, hn_error *err) {
    const int fd = memfd_create("bundle", 0);
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    assert_true(write(fd, bytes, n) == (ssize_t)n);
    hn_bundle *bundle = NULL;
    const hn_status status = hn_bundle_open(&bundle, path, err);
    assert_true((status == HN_OK) == (bundle != NULL));
    hn_bundle_close(bundle);
    close(fd);
    return status;
}

static void find_flipped_bytes(const seed *of) {
    size_t n;
    hn_error err = {0};
    uint8_t *bytes = bundle_bytes(of, &n);
    assert_ok(open_bytes(bytes, n, &err));
    for (size_t i = 0; i < n; i += i < 64 || i + 512 > n ? 1 : 3) {
        const uint8_t bit = (uint8_t)(1u << hn_mix64(i) % 8);
        bytes[i] ^= bit;
        err.text[0] = 0;
        const hn_status status = open_bytes(bytes, n, &err);
        if (status != HN_BAD_DATA || !err.text[0])
            fail_msg("byte %zu of %zu flipped: status %d, \"%s\"", i, n, (int)status, err.text);
        bytes[i] ^= bit;
    }
    hn_free(bytes);
}

static void test_every_flipped_byte_is_found(void **state) {
    (void)state;
    find_flipped_bytes(&seeds[0]);
    find_flipped_bytes(&seeds[sizeof seeds / sizeof *seeds - 1]);
}

static void test_every_wrong_length_is_found(void **state) {
    (void)state;
    size_t n;
    hn_error err = {0};
    uint8_t *bytes = bundle_bytes(&seeds[0], &n), *longer = calloc(n + 64, 1);
    for (size_t i = 0; i < n; i += i < 80 || i + 80 > n ? 1 : 61)
        if (open_bytes(bytes, i, &err) != HN_BAD_DATA)
            fail_msg("cut to %zu of %zu bytes: \"%s\"", i, n, err.text);
    memcpy(longer, bytes, n);
    for (size_t more = 1; more <= 64; more += 7)
        assert_int_equal(open_bytes(longer, n + more, &err), HN_BAD_DATA);
    free(longer);
    hn_free(bytes);
}

/* One byte wrong, checksums right. */
static void test_mended_damage_does_no_harm(void **state) {
    (void)state;
    for (size_t s = 0; s < sizeof seeds / sizeof *seeds; s++) {
        size_t n;
        uint8_t *bytes = bundle_bytes(&seeds[s], &n);
        for (uint64_t trial = 0; trial < 400; trial++) {
            const size_t at = (size_t)(hn_random(s, HN_STREAM_TEST, 2 * trial) % n);
            const uint8_t kept = bytes[at];
            bytes[at] = (uint8_t)hn_random(s, HN_STREAM_TEST, 2 * trial + 1);
            LLVMFuzzerTestOneInput(bytes, n);
            bytes[at] = kept;
        }
        hn_free(bytes);
    }
}

static void replay(uint8_t *bytes, size_t n) { LLVMFuzzerTestOneInput(bytes, n); }

static void test_corpus(void **state) {
    (void)state;
    support_corpus("bundle", 1, replay);
}

static void write_corpus(const char *folder) {
    for (size_t s = 0; s < sizeof seeds / sizeof *seeds; s++) {
        size_t n;
        char path[400];
        uint8_t *bytes = bundle_bytes(&seeds[s], &n);
        snprintf(path, sizeof path, "%s/%s.hn", folder, seeds[s].name);
        support_write(path, bytes, n);
        hn_free(bytes);
    }
}

int main(void) {
    const char *corpus = getenv("HN_CORPUS");
    if (corpus) write_corpus(corpus);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_flipped_byte_is_found),
        cmocka_unit_test(test_every_wrong_length_is_found),
        cmocka_unit_test(test_mended_damage_does_no_harm),
        cmocka_unit_test(test_corpus),
    };
    return cmocka_run_group_tests_name("bundle/damage", tests, NULL, NULL);
}
