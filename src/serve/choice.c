/* Policies and arms (choice.h). The config has made sure that no two layers of one scenario change
 * the same, so their order does not matter. */
#include "serve/choice.h"

#include <string.h>

static void apply(hn_choice *out, const hn_serve_policy *policy) {
    if (policy->model) out->model = policy->model;
    if (policy->calibration >= 0) out->calibrated = policy->calibration != 0;
    if (policy->n_fallback < 0) return;
    out->fallback = policy->fallback;
    out->n_fallback = policy->n_fallback;
}

static const char *base_model(const hn_serve_config *config) {
    return config->policy.model ? config->policy.model : config->models[0].name;
}

/* "" is no scenario's name. */
static bool concerns(const hn_serve_layer *layer, const char *scenario) {
    return hn_serve_layer_has(layer, scenario ? scenario : "");
}

void hn_choose(hn_choice *out, const hn_serve_config *config, const char *scenario,
               const char *unit, size_t unit_bytes) {
    *out = (hn_choice){.config = config, .model = base_model(config), .calibrated = true};
    apply(out, &config->policy);
    for (int32_t l = 0; l < config->n_layers; l++) {
        const hn_serve_layer *const layer = &config->layers[l];
        out->arm[l] = HN_ARM_NONE;
        if (!unit || !concerns(layer, scenario)) continue;
        out->arm[l] = hn_serve_layer_arm(layer, unit, unit_bytes);
        if (out->arm[l] >= 0) apply(out, &layer->arms[out->arm[l]].policy);
    }
}

/* An arm without an expression for this scenario leaves the config's. */
const hn_serve_expression *hn_choice_fusion(const hn_choice *choice, const char *scenario) {
    const hn_serve_config *const c = choice->config;
    const char *const name = scenario ? scenario : "";
    const hn_serve_expression *found = hn_serve_policy_fusion(&c->policy, name);
    for (int32_t l = 0; l < c->n_layers; l++) {
        if (choice->arm[l] < 0) continue;
        const hn_serve_policy *const policy = &c->layers[l].arms[choice->arm[l]].policy;
        const hn_serve_expression *const own = hn_serve_policy_fusion(policy, name);
        if (own) found = own;
    }
    return found;
}

/* ---- What may come ------------------------------------------------------------------------- */

typedef bool (*changes)(const hn_serve_policy *policy);
static bool changes_model(const hn_serve_policy *policy) { return policy->model != NULL; }
static bool changes_fusion(const hn_serve_policy *policy) { return policy->n_fusion > 0; }

/* The layer of this scenario whose arms change that; -1: none. */
static int32_t layer_that(const hn_serve_config *c, const char *scenario, changes does) {
    for (int32_t l = 0; l < c->n_layers; l++)
        for (int32_t a = 0; a < c->layers[l].n_arms && concerns(&c->layers[l], scenario); a++)
            if (does(&c->layers[l].arms[a].policy)) return l;
    return -1;
}

static int32_t arms_of(const hn_serve_config *c, int32_t layer) {
    return layer < 0 ? 0 : c->layers[layer].n_arms;
}

hn_status hn_choice_each_fusion(const hn_serve_config *c, const char *model, const char *scenario,
                                hn_status (*each)(void *user, const hn_serve_expression *fusion,
                                                  hn_error *err),
                                void *user, hn_error *err) {
    const int32_t of_model = layer_that(c, scenario, changes_model),
                  of_fusion = layer_that(c, scenario, changes_fusion);
    for (int32_t a = -1; a < arms_of(c, of_model); a++)
        for (int32_t b = -1; b < arms_of(c, of_fusion); b++) {
            if (of_model == of_fusion && a != b) continue;
            hn_choice choice;
            hn_choose(&choice, c, scenario, NULL, 0);
            if (of_model >= 0) choice.arm[of_model] = a;
            if (of_fusion >= 0) choice.arm[of_fusion] = b;
            if (a >= 0) apply(&choice, &c->layers[of_model].arms[a].policy);
            const hn_serve_expression *const fusion = hn_choice_fusion(&choice, scenario);
            if (fusion && strcmp(choice.model, model) == 0) HN_TRY(each(user, fusion, err));
        }
    return HN_OK;
}
