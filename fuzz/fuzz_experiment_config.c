/* Fuzz target: any bytes as EXPERIMENT.yaml. What is accepted must print as YAML that is accepted
 * again and prints the same, and propose values for every range. */
#include <stdlib.h>
#include <string.h>

#include "experiment/experiment.h"
#include "experiment/search.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_fixed_point(const hn_experiment_config *config) {
    hn_experiment_config *again = NULL;
    hn_text first = {0}, second = {0};
    hn_experiment_config_print(&first, config);
    if (hn_experiment_config_parse(&again, first.text, first.length, "printed", "/", NULL) != HN_OK)
        abort();
    hn_experiment_config_print(&second, again);
    if (strcmp(first.text, second.text) != 0) abort();
    hn_experiment_config_free(again);
    hn_text_free(&first);
    hn_text_free(&second);
}

static void propose(const hn_experiment_config *config) {
    const hn_experiment_range *ranges[64];
    hn_arena arena = {0};
    hn_strings out;
    for (int32_t k = 0; k < config->n_ranges; k++) ranges[k] = &config->ranges[k];
    for (int32_t trial = 1; trial < 4; trial++)
        if (hn_search_propose(&out, ranges, config->n_ranges, config->search_seed, trial, &arena,
                              NULL) != HN_OK ||
            out.n != config->n_ranges)
            abort();
    hn_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    hn_experiment_config *config = NULL;
    hn_error err = {0};
    const hn_status status =
        hn_experiment_config_parse(&config, (const char *)bytes, n, "fuzz.yaml", "/", &err);
    if ((status == HN_OK) != (config != NULL) || (status != HN_OK && err.text[0] == '\0')) abort();
    if (config != NULL) {
        check_fixed_point(config);
        propose(config);
    }
    hn_experiment_config_free(config);
    return 0;
}
