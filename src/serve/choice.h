/* How a request is answered: the config's policy with what the arms of its user change. */
#ifndef HN_SERVE_CHOICE_H
#define HN_SERVE_CHOICE_H

#include "online/assign.h"
#include "serve/serve_config.h"

typedef struct hn_choice {
    const hn_serve_config *config;
    const char *model;
    bool calibrated;
    const int8_t *fallback; /* hn_fallback */
    int32_t n_fallback;
    int32_t arm[HN_LAYERS_MAX]; /* HN_ARM_NONE: none, or the layer does not concern it */
} hn_choice;

/* `scenario`: a name; NULL for an unknown one, which only layers of all scenarios concern. `unit`:
 * the user's id; NULL: none, so no arm. */
void hn_choose(hn_choice *out, const hn_serve_config *config, const char *scenario,
               const char *unit, size_t unit_bytes);
/* The expression for rows of a scenario; NULL: the product of the tasks. */
const hn_serve_expression *hn_choice_fusion(const hn_choice *choice, const char *scenario);
/* Calls `each` for every expression (not NULL) with which this model can come to score rows of
 * this scenario, by whichever arms. */
hn_status hn_choice_each_fusion(const hn_serve_config *config, const char *model,
                                const char *scenario,
                                hn_status (*each)(void *user, const hn_serve_expression *fusion,
                                                  hn_error *err),
                                void *user, hn_error *err);

#endif
