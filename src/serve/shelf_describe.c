/* What the admin surface shows of the shelf. */
#include "serve/shelf_inside.h"

static json_t *describe_version(hn_shelf *shelf, int32_t model, bool previous) {
    const hn_model_version *const v = hn_shelf_acquire(shelf, model, previous);
    if (!v) return json_null();
    json_t *const json = json_pack(
        "{s:s, s:I, s:i, s:b, s:b, s:I}", "version", v->version, "loaded_ms",
        (json_int_t)v->loaded_ms, "scenarios", (int)v->bundle->config->scenario.names.n,
        "calibrated", v->bundle->calibration != NULL, "profile", v->bundle->profile != NULL,
        "golden_rows", (json_int_t)json_array_size(json_object_get(v->bundle->golden, "rows")));
    hn_shelf_release(shelf, v);
    return json;
}

static json_t *describe_refusals(const slot *s) {
    json_t *const list = json_array();
    for (size_t i = 0; i < s->n_refused; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "version", s->refused[i].version,
                                              "reason", s->refused[i].reason));
    return list;
}

json_t *hn_shelf_describe(hn_shelf *models) {
    json_t *const list = json_array();
    for (int32_t i = 0; i < models->n; i++) {
        const slot *const s = &models->slots[i];
        json_t *const current = describe_version(models, i, false), *const previous =
                                                                        describe_version(models, i,
                                                                                         true);
        pthread_mutex_lock(&models->lock);
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s?, s:b, s:o, s:o, s:o}", "name", s->config->name, "path",
                            s->config->path, "pin", s->pin, "unloaded", s->unloaded, "current",
                            current, "previous", previous, "refused", describe_refusals(s)));
        pthread_mutex_unlock(&models->lock);
    }
    return json_pack("{s:o}", "models", list);
}
