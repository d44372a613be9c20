/* EXPERIMENT.yaml: text → tree → struct → checks, then the configs' paths as seen from here. */
#include <string.h>

#include "base/file.h"
#include "experiment/config_parts.h"

static hn_status join(char **path, const char *dir, hn_arena *arena, hn_error *err) {
    char *const joined = hn_path_join(dir, *path);
    char *const kept = joined != NULL ? hn_arena_strdup(arena, joined) : NULL;
    hn_free(joined);
    if (kept == NULL) return hn_no_memory(err, "the config's paths");
    *path = kept;
    return HN_OK;
}

static hn_status fill(hn_experiment_config *c, const char *text, size_t n, const char *name,
                      const char *dir, hn_error *err) {
    hn_node *root = NULL;
    hn_config_reader reader = {.arena = &c->arena, .err = err};
    c->path = hn_arena_strdup(&c->arena, name);
    c->dir = hn_arena_strdup(&c->arena, dir);
    if (c->path == NULL || c->dir == NULL) return hn_no_memory(err, "the config's path");
    HN_TRY(hn_tree_parse(&root, text, n, c->path, true, &c->arena, err));
    HN_TRY(hn_section_read(&reader, &hn_experiment_root, root, c));
    for (int32_t k = 0; k < c->n_bases; k++)
        HN_TRY(join(&c->bases[k].config, c->dir, &c->arena, err));
    return HN_OK;
}

hn_status hn_experiment_config_parse(hn_experiment_config **out, const char *text, size_t n,
                                     const char *name, const char *dir, hn_error *err) {
    *out = NULL;
    hn_experiment_config *const c = hn_alloc_zero(1, sizeof *c);
    if (c == NULL) return hn_no_memory(err, "a config");
    const hn_status status = fill(c, text, n, name, dir, err);
    if (status == HN_OK)
        *out = c;
    else
        hn_experiment_config_free(c);
    return status;
}

hn_status hn_experiment_config_load(hn_experiment_config **out, const char *path, hn_error *err) {
    char *text = NULL;
    size_t n = 0;
    *out = NULL;
    HN_TRY(hn_config_text_read(&text, &n, path, err));
    char *const dir = hn_path_dir(path);
    const hn_status status = dir != NULL ? hn_experiment_config_parse(out, text, n, path, dir, err)
                                         : hn_no_memory(err, "the config's path");
    hn_free(dir);
    hn_free(text);
    return status;
}

void hn_experiment_config_free(hn_experiment_config *config) {
    if (config == NULL) return;
    hn_arena_free(&config->arena);
    hn_free(config);
}

void hn_experiment_config_print(hn_text *out, const hn_experiment_config *config) {
    hn_section_print(out, &hn_experiment_root, config, 0);
}
