/* Replays the corpus of the join's fuzz target, each of its files also cut short, with other
 * options, and with single bytes changed. */
#include "../../fuzz/fuzz_join.c"
#include "support.h"

static void replay(uint8_t *bytes, size_t n) {
    support_cut(LLVMFuzzerTestOneInput, bytes, n, 1 + n / 25);
    for (int choice = 0; choice < 64 && n > 0; choice += 3) {
        bytes[0] = (uint8_t)choice;
        LLVMFuzzerTestOneInput(bytes, n);
    }
    for (size_t i = 1; i < n; i += 1 + n / 60) {
        const uint8_t old = bytes[i];
        bytes[0] = (uint8_t)(i % 32); /* no limit of bad lines */
        bytes[i] = (uint8_t) "\"\\{}[],:\n\r\0x|9-\xff"[i % 16];
        LLVMFuzzerTestOneInput(bytes, n);
        bytes[i] = old;
    }
}

static void the_corpus_holds(void **state) {
    (void)state;
    support_corpus("join", 10, replay);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_corpus_holds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
