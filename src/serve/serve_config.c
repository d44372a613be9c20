/* SERVE.yaml: text → tree → struct → checks, then absolute paths. And the questions that
 * serving asks of it for each request. */
#include "serve/serve_config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "online/assign.h"
#include "serve/serve_config_parts.h"

/* ---- Paths ---- */

/* `path` as it is seen from `dir`, in the arena. */
static hn_status join(char **path, const char *dir, hn_arena *arena, hn_error *err) {
    if (*path == NULL || (*path)[0] == '/') return HN_OK;
    char *const joined = hn_path_join(dir, *path);
    char *const kept = joined != NULL ? hn_arena_strdup(arena, joined) : NULL;
    hn_free(joined);
    if (kept == NULL) return hn_no_memory(err, "the config's paths");
    *path = kept;
    return HN_OK;
}

/* The folder as an absolute path: the server may change its own later. */
static hn_status keep_names(hn_serve_config *c, const char *name, const char *dir, hn_error *err) {
    char here[4096];
    if (getcwd(here, sizeof here) == NULL)
        return hn_fail(err, HN_NO_INPUT, "%s: the current folder cannot be named", name);
    c->path = hn_arena_strdup(&c->arena, name);
    c->dir = hn_arena_strdup(&c->arena, dir[0] == '\0' || strcmp(dir, ".") == 0 ? here : dir);
    if (c->path == NULL || c->dir == NULL) return hn_no_memory(err, "the config's path");
    return join(&c->dir, here, &c->arena, err);
}

static hn_status join_all(hn_serve_config *c, hn_error *err) {
    for (int32_t k = 0; k < c->n_models; k++)
        HN_TRY(join(&c->models[k].path, c->dir, &c->arena, err));
    HN_TRY(join(&c->admin_token_file, c->dir, &c->arena, err));
    return join(&c->exposures.dir, c->dir, &c->arena, err);
}

/* ---- Loading ---- */

typedef hn_status (*make_root)(hn_node **out, hn_serve_config *c, const void *user, hn_error *err);

static hn_status fill(hn_serve_config *c, make_root make, const void *user, hn_error *err) {
    hn_node *root = NULL;
    hn_config_reader reader = {.arena = &c->arena, .err = err};
    HN_TRY(make(&root, c, user, err));
    HN_TRY(hn_section_read(&reader, &hn_serve_root, root, c));
    return join_all(c, err);
}

static hn_status create(hn_serve_config **out, const char *name, const char *dir, make_root make,
                        const void *user, hn_error *err) {
    *out = NULL;
    hn_serve_config *const c = hn_alloc_zero(1, sizeof *c);
    if (c == NULL) return hn_no_memory(err, "a config");
    hn_status status = keep_names(c, name, dir, err);
    if (status == HN_OK) status = fill(c, make, user, err);
    if (status == HN_OK)
        *out = c;
    else
        hn_serve_config_free(c);
    return status;
}

typedef struct bytes {
    const char *text;
    size_t n;
} bytes;

static hn_status root_of_text(hn_node **out, hn_serve_config *c, const void *user, hn_error *err) {
    const bytes *const b = user;
    return hn_tree_parse(out, b->text, b->n, c->path, true, &c->arena, err);
}

hn_status hn_serve_config_parse(hn_serve_config **out, const char *text, size_t n, const char *name,
                                const char *dir, hn_error *err) {
    const bytes b = {text, n};
    return create(out, name, dir, root_of_text, &b, err);
}

hn_status hn_serve_config_load(hn_serve_config **out, const char *path, hn_error *err) {
    char *text = NULL;
    size_t n = 0;
    *out = NULL;
    HN_TRY(hn_config_text_read(&text, &n, path, err));
    char *const dir = hn_path_dir(path);
    const hn_status status = dir != NULL ? hn_serve_config_parse(out, text, n, path, dir, err)
                                         : hn_no_memory(err, "the config's path");
    hn_free(dir);
    hn_free(text);
    return status;
}

/* {models: PATH}: made as a tree, for a path may have any bytes. */
static hn_status root_of_bundle(hn_node **out, hn_serve_config *c, const void *user,
                                hn_error *err) {
    const hn_place place = {.origin = c->path};
    hn_node *const root = hn_node_create(&c->arena, HN_NODE_MAPPING, NULL, place);
    hn_node *const path = hn_node_create(&c->arena, HN_NODE_SCALAR, user, place);
    if (root == NULL || path == NULL) return hn_no_memory(err, "a config");
    path->key = "models";
    hn_node_append(root, path);
    *out = root;
    return HN_OK;
}

hn_status hn_serve_config_of_bundle(hn_serve_config **out, const char *bundle_path, hn_error *err) {
    return create(out, bundle_path, "", root_of_bundle, bundle_path, err);
}

void hn_serve_config_free(hn_serve_config *config) {
    if (config == NULL) return;
    hn_arena_free(&config->arena);
    hn_free(config);
}

void hn_serve_config_print(hn_text *out, const hn_serve_config *config) {
    hn_section_print(out, &hn_serve_root, config, 0);
}

/* ---- Questions of a request ---- */

typedef struct unit {
    const char *text;
    size_t n;
} unit;

static int compare_unit(const void *key, const void *item) {
    const unit *const u = key;
    const char *const user = ((const hn_serve_override *)item)->user;
    const size_t n = strlen(user);
    const int order = memcmp(u->text, user, u->n < n ? u->n : n);
    return order != 0 ? order : (u->n > n) - (u->n < n);
}

int32_t hn_serve_layer_arm(const hn_serve_layer *layer, const char *unit_text, size_t unit_bytes) {
    const unit key = {unit_text, unit_bytes};
    const hn_serve_override *const mine =
        layer->n_overrides > 0 ? bsearch(&key, layer->overrides, (size_t)layer->n_overrides,
                                         sizeof *layer->overrides, compare_unit)
                               : NULL;
    if (mine != NULL) return mine->arm;
    return hn_assign_arm(hn_assign_bucket(layer->salt, unit_text, unit_bytes), layer->shares,
                         layer->n_arms, layer->holdout);
}

bool hn_serve_layer_has(const hn_serve_layer *layer, const char *scenario) {
    return layer->scenarios.n == 0 || hn_strings_find(&layer->scenarios, scenario) >= 0;
}

const hn_serve_expression *hn_serve_policy_fusion(const hn_serve_policy *policy,
                                                  const char *scenario) {
    const hn_serve_expression *others = NULL;
    for (int32_t k = 0; k < policy->n_fusion; k++) {
        const hn_serve_expression *const e = &policy->fusion[k];
        if (e->scenario == NULL)
            others = e;
        else if (strcmp(e->scenario, scenario) == 0)
            return e;
    }
    return others;
}
