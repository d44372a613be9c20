/* SipHash-2-4-128 against OpenSSL's (`openssl mac -macopt hexkey:… -macopt size:16 SIPHASH`), and
 * the names made with it. */
#include "online/pseudonym.h"

#include <stdio.h>
#include <string.h>

#include "support.h"

static void vectors(void **state) {
    (void)state;
    static const struct {
        size_t n;
        const char *hex;
    } all[] = {{0, "a3817f04ba25a8e66df67214c7550293"},
               {1, "da87c1d86b99af44347659119b22fc45"},
               {2, "8177228da4a45dc7fca38bdef60affe4"},
               {63, "5150d1772f50834a503e069a973fbd7c"}};
    uint8_t key[HN_SIPHASH_KEY_BYTES], text[64], out[HN_SIPHASH_BYTES];
    for (size_t i = 0; i < sizeof key; i++) key[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof text; i++) text[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char hex[2 * HN_SIPHASH_BYTES + 1];
        hn_siphash(out, key, text, all[i].n);
        for (int b = 0; b < HN_SIPHASH_BYTES; b++) snprintf(hex + 2 * b, 3, "%02x", out[b]);
        assert_string_equal(hex, all[i].hex);
    }
}

static void names(void **state) {
    (void)state;
    static const char secret[] = "a secret of the tests";
    char a[HN_PSEUDONYM_BYTES + 1], b[HN_PSEUDONYM_BYTES + 1];
    hn_pseudonym(a, secret, strlen(secret), "u1", 2);
    assert_string_equal(a, "d38c8b122e607b4daae0bd36c3f8842c");
    hn_pseudonym(b, secret, strlen(secret), "u2", 2);
    assert_string_not_equal(a, b);
    hn_pseudonym(b, "another secret of the tests", 27, "u1", 2);
    assert_string_not_equal(a, b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(vectors), cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
