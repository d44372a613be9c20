/* Replays the corpus of the join's fuzz target, each of its files also cut short, with other
 * options, and with single bytes changed. */
#include "../../fuzz/fuzz_join.c"
#include "base/file.h"
#include "support.h"

static void replay(const char *path) {
    char *bytes = NULL;
    size_t n = 0;
    hn_error err = {0};
    assert_ok(hn_file_read(&bytes, &n, path, &err));
    for (size_t cut = 0; cut <= n; cut += 1 + n / 25)
        LLVMFuzzerTestOneInput((const uint8_t *)bytes, cut);
    for (int choice = 0; choice < 64 && n > 0; choice += 3) {
        bytes[0] = (char)choice;
        LLVMFuzzerTestOneInput((const uint8_t *)bytes, n);
    }
    for (size_t i = 1; i < n; i += 1 + n / 60) {
        const char old = bytes[i];
        bytes[0] = (char)(i % 32); /* no limit of bad lines */
        bytes[i] = "\"\\{}[],:\n\r\0x|9-\xff"[i % 16];
        LLVMFuzzerTestOneInput((const uint8_t *)bytes, n);
        bytes[i] = old;
    }
    hn_free(bytes);
}

static void the_corpus_holds(void **state) {
    (void)state;
    static const char *const pattern = "*";
    hn_error err = {0};
    hn_paths paths = {0};
    assert_ok(hn_paths_glob(&paths, HN_SOURCE_DIR "/fuzz/corpus/join", &pattern, 1, &err));
    assert_true(paths.n >= 10);
    for (size_t i = 0; i < paths.n; i++) replay(paths.paths[i]);
    hn_paths_free(&paths);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_corpus_holds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
