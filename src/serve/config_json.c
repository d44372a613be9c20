/* The served config for GET /admin/config, in the names of SERVE.yaml and with every default; no
 * secret (the store's password and the key of users' hashes stay out). */
#include <string.h>

#include "serve/admin.h"

/* A URL without "user:password@". */
static json_t *url_json(const char *url) {
    if (!url) return json_null();
    const char *const scheme = strstr(url, "://"), *const at = strrchr(url, '@');
    const bool a_path = strncmp(url, "redis+unix:", 11) == 0; /* may have an @ of its own */
    if (a_path || !scheme || !at || at < scheme) return json_string(url);
    return json_sprintf("%.*s%s", (int)(scheme - url) + 3, url, at + 1);
}

static json_t *strings_json(const hn_strings *strings) {
    json_t *const list = json_array();
    for (int32_t k = 0; k < strings->n; k++)
        json_array_append_new(list, json_string(strings->items[k]));
    return list;
}

/* ---- Policies -------------------------------------------------------------------------------- */

static json_t *fusion_json(const hn_serve_policy *p) {
    json_t *const all = json_object();
    for (int32_t k = 0; k < p->n_fusion; k++) {
        const char *const scenario = p->fusion[k].scenario;
        json_object_set_new(all, scenario ? scenario : "others", json_string(p->fusion[k].text));
    }
    return all;
}

static json_t *fallback_json(const hn_serve_policy *p) {
    static const char *const names[] = {"previous", "prior", "order"};
    json_t *const list = json_array();
    for (int32_t k = 0; k < p->n_fallback && p->fallback[k] >= 0; k++)
        json_array_append_new(list, json_string(names[p->fallback[k]]));
    return list;
}

/* What the policy itself says: all of the config's, of an arm what it changes. */
static void add_policy(json_t *to, const hn_serve_policy *p) {
    if (p->model) json_object_set_new(to, "model", json_string(p->model));
    if (p->n_fusion > 0) json_object_set_new(to, "fusion", fusion_json(p));
    if (p->calibration >= 0)
        json_object_set_new(to, "calibration", json_boolean(p->calibration > 0));
    if (p->n_fallback >= 0) json_object_set_new(to, "fallback", fallback_json(p));
}

/* ---- Parts ----------------------------------------------------------------------------------- */

static json_t *models_json(const hn_serve_config *c) {
    json_t *const all = json_object();
    for (int32_t k = 0; k < c->n_models; k++)
        json_object_set_new(
            all, c->models[k].name,
            json_pack("{s:s, s:s?}", "path", c->models[k].path, "pin", c->models[k].pin));
    return all;
}

static json_t *arms_json(const hn_serve_layer *l) {
    json_t *const all = json_object();
    for (int32_t k = 0; k < l->n_arms; k++) {
        const hn_serve_arm *const a = &l->arms[k];
        json_t *const arm = json_pack("{s:f, s:o}", "share", a->buckets / 10000.0, "users",
                                      strings_json(&a->users));
        add_policy(arm, &a->policy);
        json_object_set_new(all, a->name, arm);
    }
    return all;
}

static json_t *experiments_json(const hn_serve_config *c) {
    json_t *const all = json_object();
    for (int32_t k = 0; k < c->n_layers; k++) {
        const hn_serve_layer *const l = &c->layers[k];
        json_object_set_new(all, l->name,
                            json_pack("{s:s, s:o, s:f, s:o}", "salt", l->salt, "scenarios",
                                      strings_json(&l->scenarios), "holdout", l->holdout / 10000.0,
                                      "arms", arms_json(l)));
    }
    return all;
}

static json_t *limits_json(const hn_serve_config *c) {
    return json_pack("{s:i, s:I, s:I, s:i, s:i, s:f, s:f}", "candidates", (int)c->max_candidates,
                     "body_bytes", (json_int_t)c->max_body_bytes, "header_bytes",
                     (json_int_t)c->max_header_bytes, "depth", (int)c->max_depth, "connections",
                     (int)c->max_connections, "header_seconds", c->header_seconds, "body_seconds",
                     c->body_seconds);
}

static json_t *store_json(const hn_serve_store *s) {
    return json_pack("{s:o, s:o, s:s, s:f, s:f, s:I}", "url", url_json(s->url), "tables",
                     strings_json(&s->tables), "prefix", s->prefix, "timeout_ms", s->timeout_ms,
                     "cache_seconds", s->cache_seconds, "cache_entries",
                     (json_int_t)s->cache_entries);
}

static json_t *exposures_json(const hn_serve_exposures *e) {
    return json_pack("{s:s?, s:f, s:s?, s:I, s:I, s:f}", "dir", e->dir, "features", e->features,
                     "user_key", e->user_key ? "(not shown)" : NULL, "file_bytes",
                     (json_int_t)e->file_bytes, "queue_bytes", (json_int_t)e->queue_bytes,
                     "flush_seconds", e->flush_seconds);
}

json_t *hn_serve_config_json(const hn_serve_config *c) {
    json_t *const all = json_pack(
        "{s:s?, s:o, s:s?, s:{s:s?, s:s?}, s:i, s:i, s:f, s:f, s:f, s:f, s:o}", "file", c->path,
        "models", models_json(c), "listen", c->listen, "admin", "listen", c->admin_listen,
        "token_file", c->admin_token_file, "workers", (int)c->workers, "queue", (int)c->queue,
        "deadline_ms", c->deadline_ms, "max_deadline_ms", c->max_deadline_ms, "drain_seconds",
        c->drain_seconds, "poll_seconds", c->poll_seconds, "limits", limits_json(c));
    if (!all) return NULL;
    add_policy(all, &c->policy);
    json_object_set_new(all, "experiments", experiments_json(c));
    json_object_set_new(all, "store", store_json(&c->store));
    json_object_set_new(all, "exposures", exposures_json(&c->exposures));
    return all;
}
