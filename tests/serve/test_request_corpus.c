/* Replays the corpus of the requests' fuzz target, each of its files also cut short, with
 * other kinds and with bytes changed. */
#include "support.h"

#include "../fuzz/fuzz_request.c" /* NOLINT(bugprone-suspicious-include): the target itself */

#include "base/file.h"
#include "base/rng.h"

enum { CHANGES = 300 };

static void replay(const char *path) {
    char *bytes = NULL;
    size_t n = 0;
    hn_error err = {0};
    assert_ok(hn_file_read(&bytes, &n, path, &err));
    /* in memory of its own size, so that a sanitizer sees what is read behind it */
    for (size_t cut = 0; cut <= n; cut += 1 + n / 40) {
        uint8_t *const part = malloc(cut > 0 ? cut : 1);
        memcpy(part, bytes, cut);
        LLVMFuzzerTestOneInput(part, cut);
        free(part);
    }
    uint8_t *const changed = malloc(n);
    for (uint64_t i = 0; i < CHANGES; i++) {
        const uint64_t r = hn_random(n, HN_STREAM_TEST, i);
        static const char often[] = "{}[],:\"0123456789.-e\\ntu";
        memcpy(changed, bytes, n);
        changed[r % n] =
            i % 2 ? (uint8_t)(r >> 40) : (uint8_t)often[(r >> 40) % (sizeof often - 1)];
        if (i % 8 == 0) changed[0] = (uint8_t)(r >> 50);
        LLVMFuzzerTestOneInput(changed, n);
    }
    free(changed);
    hn_free(bytes);
}

static void the_corpus_holds(void **state) {
    (void)state;
    static const char *const pattern = "*";
    hn_error err = {0};
    hn_paths paths = {0};
    assert_ok(hn_paths_glob(&paths, HN_SOURCE_DIR "/fuzz/corpus/request", &pattern, 1, &err));
    assert_true(paths.n >= 20);
    for (size_t i = 0; i < paths.n; i++) replay(paths.paths[i]);
    hn_paths_free(&paths);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_corpus_holds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
