/* Replays the corpus of the log's fuzz target, each of its files also cut short. */
#include "../../fuzz/fuzz_log.c"
#include "support.h"

static void replay(uint8_t *bytes, size_t n) {
    support_cut(LLVMFuzzerTestOneInput, bytes, n, 1 + n / 50);
    for (int choice = 0; choice < 256 && n > 0;
         choice += 9) { /* other dialects and chunks for the same text */
        bytes[0] = (uint8_t)choice;
        LLVMFuzzerTestOneInput(bytes, n);
    }
}

static void the_corpus_holds(void **state) {
    (void)state;
    support_corpus("log", 8, replay);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_corpus_holds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
