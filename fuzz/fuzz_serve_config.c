/* Fuzz target: any bytes as SERVE.yaml. What is accepted must print as YAML that is accepted
 * again and prints the same, and give every unit an arm that exists. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/serve_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_fixed_point(const hn_serve_config *config) {
    hn_serve_config *again = NULL;
    hn_text first = {0}, second = {0};
    hn_serve_config_print(&first, config);
    if (hn_serve_config_parse(&again, first.text, first.length, "printed", "/", NULL) != HN_OK)
        abort();
    hn_serve_config_print(&second, again);
    if (strcmp(first.text, second.text) != 0) abort();
    hn_serve_config_free(again);
    hn_text_free(&first);
    hn_text_free(&second);
}

static void ask_layer(const hn_serve_layer *layer) {
    for (int i = 0; i < 100; i++) {
        char unit[16];
        const size_t bytes = (size_t)snprintf(unit, sizeof unit, "%d", i);
        const int32_t arm = hn_serve_layer_arm(layer, unit, bytes);
        if (arm < -1 || arm >= layer->n_arms) abort();
    }
    for (int32_t k = 0; k < layer->n_arms; k++)
        for (int32_t i = 0; i < layer->arms[k].users.n; i++) {
            const char *const user = layer->arms[k].users.items[i];
            if (hn_serve_layer_arm(layer, user, strlen(user)) != k) abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    hn_serve_config *config = NULL;
    hn_error err = {0};
    const hn_status status =
        hn_serve_config_parse(&config, (const char *)bytes, n, "fuzz.yaml", "/", &err);
    if ((status == HN_OK) != (config != NULL) || (status != HN_OK && err.text[0] == '\0')) abort();
    if (config != NULL) {
        check_fixed_point(config);
        for (int32_t k = 0; k < config->n_layers; k++) ask_layer(&config->layers[k]);
    }
    hn_serve_config_free(config);
    return 0;
}
