/* Replays the corpus of the dataset's fuzz target, then one change of every kind in every
 * section. */
#include <stdio.h>

#include "../../fuzz/fuzz_dataset.c"
#include "base/file.h"
#include "support.h"

static void the_corpus_holds(void **state) {
    (void)state;
    static const char *const pattern = "*";
    hn_error err = {0};
    hn_paths paths = {0};
    assert_ok(hn_paths_glob(&paths, HN_SOURCE_DIR "/fuzz/corpus/dataset", &pattern, 1, &err));
    assert_true(paths.n >= 10);
    for (size_t i = 0; i < paths.n; i++) {
        char *bytes = NULL;
        size_t n = 0;
        assert_ok(hn_file_read(&bytes, &n, paths.paths[i], &err));
        LLVMFuzzerTestOneInput((const uint8_t *)bytes, n);
        hn_free(bytes);
    }
    hn_paths_free(&paths);
}

static void every_section_is_checked(void **state) {
    (void)state;
    static const uint8_t whats[] = {0x01, 0x80, 0xf8, 0xff};
    for (int section = 0; section < (int)hn_pack_sections(base.pack); section++)
        for (size_t w = 0; w < sizeof whats; w++)
            for (int place = 0; place < 6; place++) {
                const uint8_t input[] = {(uint8_t)section, (uint8_t)(place * 37), whats[w]};
                LLVMFuzzerTestOneInput(input, sizeof input);
                if (whats[w] >= 0xf8) break; /* the place does not matter */
            }
}

static int tear_down(void **state) {
    (void)state;
    hn_pack_close(base.pack);
    hn_config_free(base.config);
    support_remove(base.folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_corpus_holds),
        cmocka_unit_test(every_section_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
