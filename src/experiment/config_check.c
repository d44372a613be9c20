/* What no single option of EXPERIMENT.yaml can know. */
#include <math.h>
#include <string.h>

#include "experiment/config_parts.h"

/* The experiment's own: how long and with which seed each trial trains. */
static hn_status check_key(const hn_config_reader *reader, const hn_node *node) {
    if (strcmp(node->key, "train.seed") == 0)
        return hn_config_fail(reader, node->key_place,
                              "found the seed, which is no option to tune; expected `search_seed` "
                              "for the trials, `seeds` for the runs");
    if (strcmp(node->key, "train.epochs") == 0)
        return hn_config_fail(reader, node->key_place,
                              "found the epochs, which the search deals out to the trials; "
                              "expected them in `set`");
    return HN_OK;
}

hn_status hn_experiment_range_check(hn_config_reader *reader, const hn_node *node, void *range) {
    hn_experiment_range *const r = range;
    HN_TRY(check_key(reader, node));
    const int given = r->linear.given + r->log.given + r->integer.given + (r->choice.n > 0);
    if (given != 1)
        return hn_config_fail(reader, node->place,
                              "found %d ways to draw it; expected one of linear, log, integer, "
                              "choice",
                              given);
    r->kind = r->linear.given    ? HN_RANGE_LINEAR
              : r->log.given     ? HN_RANGE_LOG
              : r->integer.given ? HN_RANGE_INTEGER
                                 : HN_RANGE_CHOICE;
    if (r->log.given && r->log.low <= 0)
        return hn_config_fail_key(reader, node, "log", "found a range from %g; expected above 0",
                                  r->log.low);
    if (r->integer.given &&
        (r->integer.low != floor(r->integer.low) || r->integer.high != floor(r->integer.high)))
        return hn_config_fail_key(reader, node, "integer", "expected whole numbers");
    return HN_OK;
}

static bool is_model(const char *name) {
    for (int kind = 0; kind < HN_MODELS; kind++)
        if (strcmp(hn_model_name((hn_model_kind)kind), name) == 0) return true;
    return false;
}

hn_status hn_experiment_model_check(hn_config_reader *reader, const hn_node *node, void *model) {
    hn_experiment_model *const m = model;
    if (m->like != NULL && m->n_ranges > 0)
        return hn_config_fail_key(reader, node, "search",
                                  "found beside `like`; an entry is searched, or takes over what "
                                  "was found");
    if (m->model != NULL && !is_model(m->model)) {
        const char *names[HN_MODELS];
        char hint[300];
        for (int kind = 0; kind < HN_MODELS; kind++)
            names[kind] = hn_model_name((hn_model_kind)kind);
        hn_hint(hint, sizeof hint, m->model, names, HN_MODELS);
        return hn_config_fail_key(
            reader, node, "model",
            "found \"%.80s\"; expected a model's name%s see `hinet info --models`", m->model,
            hint[0] != '\0' ? hint : ";");
    }
    if (m->model == NULL && m->like == NULL && is_model(m->name)) m->model = m->name;
    return HN_OK;
}

static hn_status find_parent(hn_config_reader *reader, const hn_node *root, hn_experiment_config *c,
                             int32_t at) {
    hn_experiment_model *const model = &c->models[at];
    model->parent = -1;
    if (model->like == NULL) return HN_OK;
    for (int32_t k = 0; k < at; k++)
        if (strcmp(c->models[k].name, model->like) == 0) model->parent = k;
    if (model->parent >= 0) return HN_OK;
    const hn_key_path path = {reader->path, "models"}, below = {&path, model->name};
    hn_config_reader there = *reader;
    there.path = &below;
    const hn_node *const entry = hn_node_find(hn_node_find(root, "models"), model->name);
    const char *names[256];
    char hint[300];
    for (int32_t k = 0; k < at; k++) names[k] = c->models[k].name;
    hn_hint(hint, sizeof hint, model->like, names, (size_t)at);
    return hn_config_fail_key(&there, entry != NULL ? entry : root, "like",
                              "found \"%.80s\"; expected an entry before this one%s", model->like,
                              hint);
}

hn_status hn_experiment_root_check(hn_config_reader *reader, const hn_node *node, void *config) {
    hn_experiment_config *const c = config;
    for (int32_t k = 0; k < c->n_models; k++) HN_TRY(find_parent(reader, node, c, k));
    for (int32_t s = 0; s < c->seeds.n; s++)
        if (c->seeds.items[s] == c->search_seed)
            return hn_config_fail_key(reader, node, "seeds",
                                      "found %llu, the seed of the search; choose another "
                                      "`search_seed`, or another seed",
                                      (unsigned long long)c->search_seed);
    return HN_OK;
}
