/* Loading a config: text → tree → overrides → struct → checks → resolved YAML. */
#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/config_options.h"
#include "base/file.h"

static hn_status keep_names(hn_config *config, const char *name, const char *dir, hn_error *err) {
    config->path = hn_arena_strdup(&config->arena, name);
    config->dir = hn_arena_strdup(&config->arena, dir);
    return config->path != NULL && config->dir != NULL ? HN_OK
                                                       : hn_no_memory(err, "the config's path");
}

static hn_status resolve(hn_config *config, hn_error *err) {
    hn_text text = {0};
    hn_section_print(&text, &hn_config_root, config, 0);
    config->yaml =
        text.failed || text.text == NULL ? NULL : hn_arena_strdup(&config->arena, text.text);
    hn_text_free(&text);
    return config->yaml != NULL ? HN_OK : hn_no_memory(err, "the resolved config");
}

static hn_status fill(hn_config *config, const char *text, size_t n, const char *const *overrides,
                      size_t n_overrides, hn_error *err) {
    hn_node *root = NULL;
    hn_config_reader reader = {.arena = &config->arena, .err = err};
    HN_TRY(hn_tree_parse(&root, text, n, config->path, true, &config->arena, err));
    for (size_t i = 0; i < n_overrides; i++)
        HN_TRY(hn_config_override(&reader, root, overrides[i]));
    HN_TRY(hn_section_read(&reader, &hn_config_root, root, config));
    return resolve(config, err);
}

hn_status hn_config_parse(hn_config **out, const char *text, size_t n, const char *name,
                          const char *dir, const char *const *overrides, size_t n_overrides,
                          hn_error *err) {
    *out = NULL;
    hn_config *config = hn_alloc_zero(1, sizeof *config);
    if (config == NULL) return hn_no_memory(err, "a config");
    hn_status status = keep_names(config, name, dir, err);
    if (status == HN_OK) status = fill(config, text, n, overrides, n_overrides, err);
    if (status == HN_OK)
        *out = config;
    else
        hn_config_free(config);
    return status;
}

/* Reads at most one byte more than a config may have, so that a device or a huge file
 * given by mistake does no harm. */
hn_status hn_config_text_read(char **out, size_t *n, const char *path, hn_error *err) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return hn_fail(err, HN_NO_INPUT,
                       "%s: the config cannot be opened: %s; expected a YAML file", path,
                       strerror(errno));
    size_t got = 1;
    hn_status status = HN_OK;
    *n = 0;
    *out = hn_alloc(HN_CONFIG_BYTES_MAX + 2, 1);
    if (*out == NULL) status = hn_no_memory(err, "reading the config");
    while (status == HN_OK && got > 0 && *n <= HN_CONFIG_BYTES_MAX) {
        status = hn_fd_read(&got, fd, *out + *n, HN_CONFIG_BYTES_MAX + 1 - *n, path, err);
        if (status == HN_OK) *n += got;
    }
    close(fd);
    if (status == HN_OK) return HN_OK;
    hn_free(*out);
    *out = NULL;
    return status;
}

hn_status hn_config_load(hn_config **out, const char *path, const char *const *overrides, size_t n,
                         hn_error *err) {
    char *text = NULL, *dir = NULL;
    size_t bytes = 0;
    *out = NULL;
    HN_TRY(hn_config_text_read(&text, &bytes, path, err));
    hn_status status = HN_OK;
    dir = hn_path_dir(path);
    if (dir == NULL) status = hn_no_memory(err, "the config's path");
    if (status == HN_OK) status = hn_config_parse(out, text, bytes, path, dir, overrides, n, err);
    hn_free(dir);
    hn_free(text);
    return status;
}

const char *hn_config_yaml(const hn_config *config) { return config->yaml; }

void hn_config_free(hn_config *config) {
    if (config == NULL) return;
    hn_arena_free(&config->arena);
    hn_free(config);
}
