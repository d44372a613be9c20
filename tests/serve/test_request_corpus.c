/* Replays the corpus of the requests' fuzz target, each of its files also cut short, with
 * other kinds and with bytes changed. */
#include "support.h"

#include "../fuzz/fuzz_request.c" /* NOLINT(bugprone-suspicious-include): the target itself */

#include "base/rng.h"

enum { CHANGES = 300 };

static void replay(uint8_t *bytes, size_t n) {
    support_cut(LLVMFuzzerTestOneInput, bytes, n, 1 + n / 40);
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
}

static void the_corpus_holds(void **state) {
    (void)state;
    support_corpus("request", 20, replay);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_corpus_holds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
