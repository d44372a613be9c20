/* Replays the corpus of the packs' fuzz target: each file whole, cut short everywhere,
 * and with every byte changed. */
#include "../../fuzz/fuzz_pack.c"
#include "support.h"

static void replay(uint8_t *bytes, size_t n) {
    support_cut(LLVMFuzzerTestOneInput, bytes, n, 1);
    for (size_t i = 0; i < n; i++) {
        bytes[i] ^= 0x55;
        LLVMFuzzerTestOneInput(bytes, n);
        bytes[i] ^= 0x55;
    }
}

static void the_corpus_holds(void **state) {
    (void)state;
    support_corpus("pack", 7, replay);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_corpus_holds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
