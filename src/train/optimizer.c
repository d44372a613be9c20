/* The optimizer's rule: which rate, decay and bias correction a step has, and what is kept
 * for each parameter. Moments of a table row stay as they are while the row is not touched
 * (Adam's bias correction goes by the global step all the same). Saving and loading is in
 * state.c; which rows were touched is found in embedding.c. */
#include "train/optimizer.h"

#include <math.h>

#include "base/memory.h"

static int32_t moments_of(hn_optimizer kind) {
    switch (kind) {
    case HN_ADAM: return 2;
    case HN_ADAGRAD: return 1;
    case HN_SGD: return 0;
    }
    return 0;
}

/* ---- Life -------------------------------------------------------------------------------- */

static hn_status make_tables(hn_state *state, const hn_params *params, hn_error *err) {
    state->tables = hn_alloc_zero((size_t)params->n_tables, sizeof *state->tables);
    if (!state->tables) return hn_no_memory(err, "the optimizer's state");
    state->n_tables = params->n_tables;
    state->of = params->tables;
    for (int32_t t = 0; t < params->n_tables && state->moments > 0; t++) {
        const hn_table *const table = &params->tables[t];
        const size_t row = (size_t)table->width * (size_t)state->moments * sizeof(hn_real);
        state->tables[t] = hn_alloc_zero((size_t)table->rows, row);
        if (!state->tables[t])
            return hn_fail(err, HN_NO_MEMORY,
                           "out of memory for the optimizer's state of table %s (%llu rows)",
                           table->name, (unsigned long long)table->rows);
    }
    return HN_OK;
}

hn_status hn_state_create(hn_state **out, const hn_plan *plan, const hn_params *params,
                          const hn_config_train *config, hn_error *err) {
    *out = NULL;
    hn_state *const state = hn_alloc_zero(1, sizeof *state);
    if (!state) return hn_no_memory(err, "the optimizer's state");
    *state = (hn_state){.plan = plan,
                        .kind = config->optimizer,
                        .moments = moments_of(config->optimizer),
                        .leaf_count = params->leaf_count};
    state->block = hn_alloc_zero(params->leaf_count * (size_t)state->moments, sizeof(hn_real));
    hn_status status =
        state->block ? make_tables(state, params, err) : hn_no_memory(err, "the optimizer's state");
    if (status == HN_OK)
        status = hn_weighting_create(&state->weighting, config->weighting,
                                     hn_plan_layout(plan)->tasks, err);
    if (status != HN_OK) {
        hn_state_free(state);
        return status;
    }
    *out = state;
    return HN_OK;
}

void hn_state_free(hn_state *state) {
    if (!state) return;
    for (int32_t t = 0; t < state->n_tables; t++) hn_free(state->tables[t]);
    hn_free(state->tables);
    hn_free(state->block);
    hn_weighting_free(&state->weighting);
    hn_free(state);
}

int64_t hn_state_bytes(const hn_plan *plan, size_t leaf_count, const hn_config_train *config) {
    const hn_layout *const layout = hn_plan_layout(plan);
    const int64_t each = moments_of(config->optimizer) * (int64_t)sizeof(hn_real);
    int64_t numbers = (int64_t)leaf_count;
    for (int32_t t = 0; t < layout->n_tables; t++)
        numbers += (int64_t)layout->tables[t].rows * layout->tables[t].width *
                   (hn_plan_per_scenario(plan) ? layout->scenarios : 1);
    return numbers * each;
}

/* ---- The rule ---------------------------------------------------------------------------- */

/* Adam's corrections fold into rate and epsilon:
 *   rate · (m / (1-β₁ᵗ)) / (√(v / (1-β₂ᵗ)) + ε) = rate·c/(1-β₁ᵗ) · m / (√v + ε·c),  c = √(1-β₂ᵗ) */
hn_rule hn_rule_make(const hn_state *state, const hn_config_train *config, double rate_scale,
                     bool embedding) {
    const bool own_rate = embedding && config->embedding_rate > 0;
    const double rate = rate_scale * (own_rate ? config->embedding_rate : config->rate);
    const double decay = embedding ? config->embedding_decay : config->weight_decay;
    double corrected = rate, epsilon = config->epsilon;
    if (state->kind == HN_ADAM) {
        const double t = (double)(state->step + 1);
        const double c = sqrt(-expm1(t * log(config->beta2)));
        corrected = rate * c / -expm1(t * log(config->beta1));
        epsilon *= c;
    }
    return (hn_rule){.kind = state->kind,
                     .p = {.rate = (hn_real)corrected,
                           .beta1 = (hn_real)config->beta1,
                           .beta2 = (hn_real)config->beta2,
                           .epsilon = (hn_real)epsilon,
                           .decay = (hn_real)(config->decoupled ? 0 : decay),
                           .shrink = (hn_real)(config->decoupled ? rate * decay : 0)}};
}

void hn_rule_apply(const hn_rule *rule, int64_t n, const hn_real *g, hn_real *w, hn_real *m,
                   hn_real *v) {
    const hn_adam *const p = &rule->p;
    switch (rule->kind) {
    case HN_ADAM: hn_adam_step(p, n, g, w, m, v); break;
    case HN_ADAGRAD: hn_adagrad_step(p->rate, p->epsilon, p->decay, p->shrink, n, g, w, m); break;
    case HN_SGD: hn_sgd_step(p->rate, p->decay, p->shrink, n, g, w); break;
    }
}

void hn_rule_leaves(const hn_rule *rule, hn_state *state, hn_params *params, size_t offset,
                    size_t n, const hn_real *g) {
    hn_real *const m = state->moments > 0 ? state->block + offset : NULL;
    hn_real *const v = state->moments > 1 ? m + state->leaf_count : NULL;
    hn_rule_apply(rule, (int64_t)n, g, params->block + offset, m, v);
}

void hn_rule_row(const hn_rule *rule, hn_state *state, hn_params *params, int32_t table,
                 uint64_t row, const hn_real *g) {
    const size_t width = (size_t)params->tables[table].width;
    hn_real *const m =
        state->moments > 0 ? state->tables[table] + row * width * (size_t)state->moments : NULL;
    hn_real *const v = state->moments > 1 ? m + width : NULL;
    hn_rule_apply(rule, (int64_t)width, g, params->tables[table].numbers + row * width, m, v);
}
