/* Replays the corpus of the fuzz target, and each of its files cut short. */
#include "../../fuzz/fuzz_experiment_config.c"
#include "base/file.h"
#include "support.h"

static void replay(const char *path) {
    char *bytes = NULL;
    size_t n = 0;
    hn_error err = {0};
    assert_ok(hn_file_read(&bytes, &n, path, &err));
    for (size_t cut = 0; cut <= n; cut += 1 + n / 50)
        LLVMFuzzerTestOneInput((const uint8_t *)bytes, cut);
    LLVMFuzzerTestOneInput((const uint8_t *)bytes, n);
    hn_free(bytes);
}

static void the_corpus_holds(void **state) {
    (void)state;
    static const char *const pattern = "*";
    hn_error err = {0};
    hn_paths paths = {0};
    assert_ok(
        hn_paths_glob(&paths, HN_SOURCE_DIR "/fuzz/corpus/experiment_config", &pattern, 1, &err));
    assert_true(paths.n >= 5);
    for (size_t i = 0; i < paths.n; i++) replay(paths.paths[i]);
    hn_paths_free(&paths);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_corpus_holds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
