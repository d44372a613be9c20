/* What no single option of SERVE.yaml can know: shares that do not fit, models that are not
 * there, users in two arms, experiments that would change the same thing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "online/assign.h"
#include "serve/serve_config_parts.h"

_Static_assert(offsetof(hn_serve_model, name) == 0 && offsetof(hn_serve_layer, name) == 0 &&
                   offsetof(hn_serve_arm, name) == 0,
               "the reader of maps stores the name at the start");

/* ---- Arms ---- */

hn_status hn_serve_arm_check(hn_config_reader *reader, const hn_node *node, void *arm) {
    hn_serve_policy *const policy = &((hn_serve_arm *)arm)->policy;
    (void)reader;
    if (hn_node_is_null(hn_node_find(node, "calibration"))) policy->calibration = -1;
    if (hn_node_is_null(hn_node_find(node, "fallback"))) policy->n_fallback = -1;
    return HN_OK;
}

/* ---- One experiment ---- */

static hn_status check_shares(hn_config_reader *reader, const hn_node *node, hn_serve_layer *l) {
    char share[32], holdout[32];
    int32_t sum = 0;
    l->shares = hn_arena_alloc(reader->arena, (size_t)l->n_arms, sizeof *l->shares);
    if (l->shares == NULL) return hn_no_memory(reader->err, "the config's arms");
    for (int32_t k = 0; k < l->n_arms; k++) sum += l->shares[k] = l->arms[k].buckets;
    if (sum + l->holdout <= HN_BUCKETS) return HN_OK;
    hn_number_text(share, sum / (double)HN_BUCKETS);
    hn_number_text(holdout, l->holdout / (double)HN_BUCKETS);
    return hn_config_fail_key(
        reader, node, "arms",
        "the shares of the arms are %s in all and the hold-out is %s; expected "
        "at most 1 together",
        share, holdout);
}

static int compare_overrides(const void *a, const void *b) {
    return strcmp(((const hn_serve_override *)a)->user, ((const hn_serve_override *)b)->user);
}

static void collect_overrides(hn_serve_layer *l) {
    for (int32_t k = 0; k < l->n_arms; k++)
        for (int32_t i = 0; i < l->arms[k].users.n; i++)
            l->overrides[l->n_overrides++] = (hn_serve_override){l->arms[k].users.items[i], k};
    if (l->n_overrides > 0)
        qsort(l->overrides, (size_t)l->n_overrides, sizeof *l->overrides, compare_overrides);
}

static hn_status check_overrides(hn_config_reader *reader, const hn_node *node, hn_serve_layer *l) {
    size_t n = 0;
    for (int32_t k = 0; k < l->n_arms; k++) n += (size_t)l->arms[k].users.n;
    l->overrides = hn_arena_alloc(reader->arena, n + 1, sizeof *l->overrides);
    if (l->overrides == NULL) return hn_no_memory(reader->err, "the config's users");
    collect_overrides(l);
    for (int32_t i = 1; i < l->n_overrides; i++) {
        const hn_serve_override *const a = &l->overrides[i - 1], *const b = &l->overrides[i];
        if (strcmp(a->user, b->user) == 0)
            return hn_config_fail_key(
                reader, node, "arms",
                "found the user \"%.80s\" in the arms \"%.80s\" and \"%.80s\"; "
                "expected each user in one",
                a->user, l->arms[a->arm].name, l->arms[b->arm].name);
    }
    return HN_OK;
}

hn_status hn_serve_layer_check(hn_config_reader *reader, const hn_node *node, void *layer) {
    hn_serve_layer *const l = layer;
    if (l->salt == NULL) l->salt = l->name;
    HN_TRY(check_shares(reader, node, l));
    return check_overrides(reader, node, l);
}

/* ---- Two experiments ---- */

static bool overlap(const hn_serve_layer *a, const hn_serve_layer *b) {
    if (a->scenarios.n == 0 || b->scenarios.n == 0) return true;
    for (int32_t i = 0; i < a->scenarios.n; i++)
        if (hn_strings_find(&b->scenarios, a->scenarios.items[i]) >= 0) return true;
    return false;
}

/* What an experiment changes, as bits; the names are the options'. */
static const char *const aspects[] = {"model", "fusion", "calibration", "fallback"};
static unsigned changes_of(const hn_serve_layer *l) {
    unsigned bits = 0;
    for (int32_t k = 0; k < l->n_arms; k++) {
        const hn_serve_policy *const p = &l->arms[k].policy;
        bits |= (p->model != NULL ? 1u : 0u) | (p->n_fusion > 0 ? 2u : 0u) |
                (p->calibration >= 0 ? 4u : 0u) | (p->n_fallback >= 0 ? 8u : 0u);
    }
    return bits;
}

static hn_status check_pair(hn_config_reader *reader, const hn_node *node, const hn_serve_layer *a,
                            const hn_serve_layer *b) {
    if (!overlap(a, b)) return HN_OK;
    if (strcmp(a->salt, b->salt) == 0)
        return hn_config_fail_key(reader, node, b->name,
                                  "its salt \"%.80s\" is that of \"%.80s\" too, and both concern a "
                                  "scenario: their arms would not be independent; expected another "
                                  "salt",
                                  b->salt, a->name);
    const unsigned both = changes_of(a) & changes_of(b);
    for (size_t k = 0; k < sizeof aspects / sizeof *aspects; k++)
        if ((both >> k & 1) != 0)
            return hn_config_fail_key(
                reader, node, b->name,
                "its arms change `%s`, and so do those of \"%.80s\" in the same "
                "scenario; expected one of them to, or scenarios of their own",
                aspects[k], a->name);
    return HN_OK;
}

static hn_status check_layers(hn_config_reader *reader, const hn_node *root,
                              const hn_serve_config *c) {
    const hn_key_path path = {reader->path, "experiments"};
    const hn_node *const node = hn_node_find(root, "experiments");
    hn_config_reader below = *reader;
    below.path = &path;
    for (int32_t b = 1; b < c->n_layers; b++)
        for (int32_t a = 0; a < b; a++)
            HN_TRY(check_pair(&below, node, &c->layers[a], &c->layers[b]));
    return HN_OK;
}

/* ---- Models ---- */

static hn_status check_model(const hn_config_reader *reader, const hn_node *node,
                             const hn_serve_config *c, const char *model) {
    const char *names[HN_MODELS_MAX];
    char hint[300];
    for (int32_t k = 0; k < c->n_models; k++) {
        if (strcmp(c->models[k].name, model) == 0) return HN_OK;
        names[k] = c->models[k].name;
    }
    hn_hint(hint, sizeof hint, model, names, (size_t)c->n_models);
    return hn_config_fail_key(reader, node, "model", "found \"%.80s\"; expected one of `models`%s",
                              model, hint);
}

static hn_status check_arm_models(const hn_config_reader *reader, const hn_node *root,
                                  const hn_serve_config *c, const hn_serve_layer *l) {
    const hn_key_path experiments = {reader->path, "experiments"}, layer = {&experiments, l->name},
                      arms = {&layer, "arms"};
    const hn_node *const node =
        hn_node_find(hn_node_find(hn_node_find(root, "experiments"), l->name), "arms");
    for (int32_t k = 0; k < l->n_arms; k++) {
        if (l->arms[k].policy.model == NULL) continue;
        const hn_key_path arm = {&arms, l->arms[k].name};
        hn_config_reader below = *reader;
        below.path = &arm;
        HN_TRY(
            check_model(&below, hn_node_find(node, l->arms[k].name), c, l->arms[k].policy.model));
    }
    return HN_OK;
}

static hn_status check_models(hn_config_reader *reader, const hn_node *root, hn_serve_config *c) {
    if (c->policy.model == NULL) c->policy.model = c->models[0].name;
    HN_TRY(check_model(reader, root, c, c->policy.model));
    for (int32_t k = 0; k < c->n_layers; k++)
        HN_TRY(check_arm_models(reader, root, c, &c->layers[k]));
    return HN_OK;
}

/* ---- The rest ---- */

hn_status hn_serve_store_check(hn_config_reader *reader, const hn_node *node, void *store) {
    const char *const url = ((const hn_serve_store *)store)->url;
    if (url == NULL || (strncmp(url, "redis://", 8) == 0 && url[8] != '\0' && url[8] != '/') ||
        (strncmp(url, "redis+unix:///", 14) == 0 && url[14] != '\0'))
        return HN_OK;
    return hn_config_fail_key(
        reader, node, "url",
        "found \"%.20s…\"; expected redis://HOST:PORT[/DB] or redis+unix:///PATH", url);
}

static hn_status check_admin(const hn_config_reader *reader, const hn_node *root,
                             const hn_serve_config *c) {
    const hn_key_path path = {reader->path, "admin"};
    const hn_node *const admin = hn_node_find(root, "admin");
    hn_config_reader below = *reader;
    below.path = &path;
    if (c->admin_token_file != NULL && c->admin_listen == NULL)
        return hn_config_fail_key(
            &below, admin, "token_file",
            "there is no admin surface to guard; expected `listen` beside it");
    if (c->admin_listen == NULL || c->admin_token_file != NULL ||
        strncmp(c->admin_listen, "unix:", 5) == 0)
        return HN_OK;
    return hn_config_fail_key(
        &below, admin, "listen",
        "found \"%.100s\" without `token_file`; expected a file with a token, "
        "or unix:/PATH, whose mode guards it",
        c->admin_listen);
}

hn_status hn_serve_root_check(hn_config_reader *reader, const hn_node *node, void *config) {
    hn_serve_config *const c = config;
    char most[32];
    HN_TRY(check_models(reader, node, c));
    HN_TRY(check_layers(reader, node, c));
    HN_TRY(check_admin(reader, node, c));
    if (c->deadline_ms <= c->max_deadline_ms) return HN_OK;
    hn_number_text(most, c->max_deadline_ms);
    return hn_config_fail_key(
        reader, node, "deadline_ms",
        "found more than `max_deadline_ms`, which is %s; expected at most that", most);
}
