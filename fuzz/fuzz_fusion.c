/* Fuzz target: any bytes as an expression. What is accepted is evaluated, twice with the same
 * bits, and each of its names can be refused with a place. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "serve/fusion.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void try_values(const hn_fusion *fusion) {
    static const double some[] = {0.5, 0, -1, 1e300, NAN, INFINITY, 3};
    double values[HN_EXPRESSION_OPS_MAX];
    const int32_t names = hn_fusion_names(fusion)->n;
    for (size_t shift = 0; shift < sizeof some / sizeof *some; shift++) {
        for (int32_t k = 0; k < names; k++)
            values[k] = some[((size_t)k + shift) % (sizeof some / sizeof *some)];
        const double first = hn_fusion_value(fusion, values),
                     again = hn_fusion_value(fusion, values);
        if (memcmp(&first, &again, sizeof first) != 0) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    char *const text = strndup((const char *)bytes, n);
    hn_fusion *fusion = NULL;
    hn_error err = {0};
    const hn_status status = hn_fusion_compile(&fusion, text, "fuzz.yaml:3:7", &err);
    if ((status == HN_OK) != (fusion != NULL) || (status != HN_OK && err.text[0] == '\0')) abort();
    if (fusion != NULL) {
        try_values(fusion);
        for (int32_t k = 0; k < hn_fusion_names(fusion)->n; k++)
            if (hn_fusion_fail(fusion, k, "something else", &err) == HN_OK) abort();
    }
    hn_fusion_free(fusion);
    free(text);
    return 0;
}
