/* The served config for GET /admin/config: what an operator wants to see, and no secret (the
 * store's password and the key of users' hashes stay out). */
#include <string.h>

#include "serve/admin.h"

/* A URL without "user:password@". */
static json_t *url_json(const char *url) {
    if (!url) return json_null();
    const char *const scheme = strstr(url, "://"), *const at = strrchr(url, '@');
    if (!scheme || !at || at < scheme) return json_string(url);
    return json_sprintf("%.*s%s", (int)(scheme - url) + 3, url, at + 1);
}

static json_t *model_json(const hn_serve_model *m) {
    return json_pack("{s:s, s:s, s:s?}", "name", m->name, "path", m->path, "pin", m->pin);
}

static json_t *layer_json(const hn_serve_layer *l) {
    json_t *const arms = json_array(), *const scenarios = json_array();
    for (int32_t k = 0; k < l->n_arms; k++)
        json_array_append_new(arms, json_pack("{s:s, s:i}", "name", l->arms[k].name, "buckets",
                                              (int)l->arms[k].buckets));
    for (int32_t k = 0; k < l->scenarios.n; k++)
        json_array_append_new(scenarios, json_string(l->scenarios.items[k]));
    return json_pack("{s:s, s:s, s:i, s:o, s:o}", "name", l->name, "salt", l->salt, "holdout",
                     (int)l->holdout, "scenarios", scenarios, "arms", arms);
}

static json_t *limits_json(const hn_serve_config *c) {
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:i, s:i, s:i, s:i, s:i}", "deadline_ms",
                     c->deadline_ms, "max_deadline_ms", c->max_deadline_ms, "header_seconds",
                     c->header_seconds, "body_seconds", c->body_seconds, "drain_seconds",
                     c->drain_seconds, "max_header_bytes", (json_int_t)c->max_header_bytes,
                     "max_body_bytes", (json_int_t)c->max_body_bytes, "max_depth",
                     (int)c->max_depth, "max_candidates", (int)c->max_candidates, "max_connections",
                     (int)c->max_connections, "workers", (int)c->workers, "queue", (int)c->queue);
}

json_t *hn_serve_config_json(const hn_serve_config *c) {
    json_t *const models = json_array(), *const layers = json_array();
    for (int32_t k = 0; k < c->n_models; k++)
        json_array_append_new(models, model_json(&c->models[k]));
    for (int32_t k = 0; k < c->n_layers; k++)
        json_array_append_new(layers, layer_json(&c->layers[k]));
    return json_pack("{s:s?, s:s?, s:s?, s:o, s:o, s:o, s:{s:o, s:s?, s:f}, s:{s:s?, s:f}}", "path",
                     c->path, "listen", c->listen, "admin_listen", c->admin_listen, "limits",
                     limits_json(c), "models", models, "layers", layers, "store", "url",
                     url_json(c->store.url), "prefix", c->store.prefix, "timeout_ms",
                     c->store.timeout_ms, "exposures", "dir", c->exposures.dir, "features",
                     c->exposures.features);
}
