/* Replays the corpus of the dataset's fuzz target, then one change of every kind in every
 * section. */
#include <stdio.h>

#include "../../fuzz/fuzz_dataset.c"
#include "support.h"

static void replay(uint8_t *bytes, size_t n) { LLVMFuzzerTestOneInput(bytes, n); }

static void the_corpus_holds(void **state) {
    (void)state;
    support_corpus("dataset", 10, replay);
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
