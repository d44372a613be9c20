/* Replays the corpus of the fuzz target, and each of its files cut short. */
#include "../../fuzz/fuzz_experiment_config.c"
#include "support.h"

static void replay(uint8_t *bytes, size_t n) {
    support_cut(LLVMFuzzerTestOneInput, bytes, n, 1 + n / 50);
}

static void the_corpus_holds(void **state) {
    (void)state;
    support_corpus("experiment_config", 5, replay);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_corpus_holds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
