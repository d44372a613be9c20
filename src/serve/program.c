/* Expressions, compiled and bound (program.h). */
#include "serve/program.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Programs ------------------------------------------------------------------------------ */

static int32_t count_policy(const hn_serve_config *c) {
    int32_t n = c->policy.n_fusion;
    for (int32_t l = 0; l < c->n_layers; l++)
        for (int32_t a = 0; a < c->layers[l].n_arms; a++) n += c->layers[l].arms[a].policy.n_fusion;
    return n;
}

static hn_status compile_policy(hn_programs *out, const hn_serve_policy *policy, hn_error *err) {
    for (int32_t k = 0; k < policy->n_fusion; k++) {
        const hn_serve_expression *const e = &policy->fusion[k];
        hn_program *const program = &out->items[out->n];
        HN_TRY(hn_fusion_compile(&program->fusion, e->text, e->where, err));
        program->expression = e;
        out->n++;
    }
    return HN_OK;
}

static hn_status compile_all(hn_programs *out, const hn_serve_config *c, hn_error *err) {
    HN_TRY(compile_policy(out, &c->policy, err));
    for (int32_t l = 0; l < c->n_layers; l++)
        for (int32_t a = 0; a < c->layers[l].n_arms; a++)
            HN_TRY(compile_policy(out, &c->layers[l].arms[a].policy, err));
    return HN_OK;
}

hn_status hn_programs_compile(hn_programs *out, const hn_serve_config *config, hn_error *err) {
    *out = (hn_programs){0};
    out->items = hn_alloc_zero((size_t)count_policy(config) + 1, sizeof *out->items);
    if (!out->items) return hn_no_memory(err, "the expressions");
    const hn_status status = compile_all(out, config, err);
    if (status != HN_OK) hn_programs_free(out);
    return status;
}

void hn_programs_free(hn_programs *programs) {
    for (int32_t k = 0; k < programs->n; k++) hn_fusion_free(programs->items[k].fusion);
    hn_free(programs->items);
    *programs = (hn_programs){0};
}

int32_t hn_programs_find(const hn_programs *programs, const hn_serve_expression *expression) {
    for (int32_t k = 0; expression && k < programs->n; k++)
        if (programs->items[k].expression == expression) return k;
    return -1;
}

/* ---- Bindings ------------------------------------------------------------------------------ */

static bool bind_name(hn_binding *out, const char *name, const hn_config *config,
                      const hn_request *request) {
    for (int32_t t = 0; t < config->n_tasks; t++)
        if (strcmp(config->tasks[t].name, name) == 0) {
            *out = (hn_binding){.task = t};
            return true;
        }
    *out = (hn_binding){.task = -1};
    return hn_request_number_find(&out->number, request, name);
}

static hn_status bind(hn_bindings *out, int32_t k, const hn_config *config,
                      const hn_request *request, hn_error *err) {
    const hn_strings *const names = hn_fusion_names(out->programs->items[k].fusion);
    hn_binding *const made = hn_arena_alloc(&out->arena, (size_t)names->n + 1, sizeof *made);
    if (!made) return hn_no_memory(err, "the expressions");
    for (int32_t i = 0; i < names->n; i++)
        if (!bind_name(&made[i], names->items[i], config, request)) {
            out->lacks[k] = i;
            return HN_OK;
        }
    out->of[k] = made;
    return HN_OK;
}

hn_status hn_bindings_make(hn_bindings *out, const hn_programs *programs, const hn_config *config,
                           const hn_request *request, hn_error *err) {
    *out = (hn_bindings){.programs = programs};
    out->of = hn_arena_alloc(&out->arena, (size_t)programs->n + 1, sizeof *out->of);
    out->lacks = hn_arena_alloc(&out->arena, (size_t)programs->n + 1, sizeof *out->lacks);
    hn_status status = out->of && out->lacks ? HN_OK : hn_no_memory(err, "the expressions");
    for (int32_t k = 0; k < programs->n && status == HN_OK; k++)
        status = bind(out, k, config, request, err);
    if (status != HN_OK) hn_bindings_free(out);
    return status;
}

void hn_bindings_free(hn_bindings *bindings) {
    hn_arena_free(&bindings->arena);
    *bindings = (hn_bindings){0};
}

static void list_tasks(char *out, size_t n, const hn_config *config) {
    size_t at = 0;
    for (int32_t t = 0; t < config->n_tasks && at < n - 1; t++) {
        const int wrote =
            snprintf(out + at, n - at, "%s%s", t > 0 ? ", " : "", config->tasks[t].name);
        at += wrote > 0 ? (size_t)wrote : 0;
    }
}

hn_status hn_bindings_check(const hn_bindings *bindings, int32_t program, const hn_config *config,
                            const char *model, hn_error *err) {
    if (program < 0 || bindings->of[program]) return HN_OK;
    char tasks[160] = "", expected[300];
    const hn_fusion *const fusion = bindings->programs->items[program].fusion;
    list_tasks(tasks, sizeof tasks, config);
    snprintf(expected, sizeof expected,
             "a task of the model \"%.60s\" (%s) or a number that it reads", model, tasks);
    return hn_fusion_fail(fusion, bindings->lacks[program], expected, err);
}

double hn_bindings_value(const hn_bindings *bindings, int32_t program, const hn_request *request,
                         int32_t row, const double *p) {
    const hn_binding *const binding = bindings->of[program];
    const hn_fusion *const fusion = bindings->programs->items[program].fusion;
    double values[HN_EXPRESSION_OPS_MAX];
    if (!binding) return NAN;
    for (int32_t i = 0; i < hn_fusion_names(fusion)->n; i++)
        values[i] = binding[i].task >= 0 ? p[binding[i].task]
                    : request            ? hn_request_number_of(request, &binding[i].number, row)
                                         : NAN;
    return hn_fusion_value(fusion, values);
}
