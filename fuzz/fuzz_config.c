/* Fuzz target: any bytes as a config. Comment lines "#set key=value" are also overrides.
 * What is accepted must print as YAML that is accepted again and prints the same. */
#include <stdlib.h>
#include <string.h>

#include "base/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { OVERRIDES_MAX = 4 };

/* Copies what follows each "#set " at a line's start. */
static size_t take_overrides(char *overrides[OVERRIDES_MAX], const char *text) {
    size_t n = 0;
    for (const char *line = text; line != NULL && n < OVERRIDES_MAX; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, "#set ", 5) == 0)
            overrides[n++] = strndup(line + 5, strcspn(line + 5, "\n"));
    }
    return n;
}

static void check_fixed_point(const hn_config *config) {
    hn_config *again = NULL;
    const char *yaml = hn_config_yaml(config);
    const hn_status status =
        hn_config_parse(&again, yaml, strlen(yaml), "resolved", "", NULL, 0, NULL);
    if (status != HN_OK || strcmp(hn_config_yaml(again), yaml) != 0) abort();
    hn_config_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    char *text = strndup((const char *)bytes, n), *overrides[OVERRIDES_MAX] = {0};
    hn_config *config = NULL;
    hn_error err = {0};
    const size_t n_overrides = take_overrides(overrides, text);
    const char *const *set = (const char *const *)overrides;
    const hn_status status =
        hn_config_parse(&config, (const char *)bytes, n, "fuzz.yaml", "", set, n_overrides, &err);
    if ((status == HN_OK) != (config != NULL) || (status != HN_OK && err.text[0] == '\0')) abort();
    if (config != NULL) check_fixed_point(config);
    hn_config_free(config);
    for (size_t i = 0; i < n_overrides; i++) free(overrides[i]);
    free(text);
    return 0;
}
