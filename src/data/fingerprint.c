/* Fingerprints are XXH3-128 of text: the resolved config without the sections that data
 * doesn't depend on, and a line for each file. */
#include "data/fingerprint.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/report.h"

/* Part of every fingerprint: datasets of another form are stale. */
#define DATASET_FORM "hinet dataset 1\n"

static void hash_text(char out[HN_FINGERPRINT_BYTES], const hn_text *text) {
    const XXH128_hash_t hash = XXH3_128bits(text->text, text->length);
    snprintf(out, HN_FINGERPRINT_BYTES, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}

static bool begins(const char *line, const char *key) {
    return strncmp(line, key, strlen(key)) == 0;
}

/* Sections stand at the left margin of the resolved config, in a fixed order and form. */
static void add_config(hn_text *text, const hn_config *config) {
    bool skip = false;
    for (const char *line = config->yaml ? config->yaml : ""; *line;) {
        const size_t n = strcspn(line, "\n") + (line[strcspn(line, "\n")] == '\n');
        if (line[0] != ' ')
            skip = begins(line, "model:") || begins(line, "train:") || begins(line, "report:");
        if (!skip) hn_text_bytes(text, line, n);
        line += n;
    }
    hn_text_add(text, "block_rows %d\n", config->train.block_rows);
}

static hn_status finish(char out[HN_FINGERPRINT_BYTES], hn_text *text, hn_error *err) {
    out[0] = '\0';
    const bool failed = text->failed;
    if (!failed) hash_text(out, text);
    hn_text_free(text);
    return failed ? hn_no_memory(err, "a fingerprint") : HN_OK;
}

hn_status hn_fingerprint_config(char out[HN_FINGERPRINT_BYTES], const hn_config *config,
                                hn_error *err) {
    hn_text text = {0};
    hn_text_add(&text, DATASET_FORM);
    add_config(&text, config);
    return finish(out, &text, err);
}

static hn_status add_file(hn_text *text, const char *path, hn_error *err) {
    struct stat s;
    if (stat(path, &s) != 0)
        return hn_fail(err, HN_NO_INPUT, "%s: cannot be read; does it exist?", path);
    const char *const slash = strrchr(path, '/');
    hn_text_add(text, "%s %lld %lld.%09ld\n", slash ? slash + 1 : path, (long long)s.st_size,
                (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    return HN_OK;
}

static hn_status add_files(hn_text *text, bool *steady, const hn_config *config,
                           const hn_config_source *source, hn_error *err) {
    hn_paths paths;
    for (int32_t i = 0; i < source->files.n; i++)
        if (strcmp(source->files.items[i], "-") == 0) {
            *steady = false;
            return HN_OK;
        }
    HN_TRY(hn_paths_glob(&paths, config->dir, (const char *const *)source->files.items,
                         (size_t)source->files.n, err));
    hn_status status = HN_OK;
    for (size_t i = 0; i < paths.n && status == HN_OK; i++)
        status = add_file(text, paths.paths[i], err);
    hn_paths_free(&paths);
    return status;
}

hn_status hn_fingerprint_data(char out[HN_FINGERPRINT_BYTES], bool *steady, const hn_config *config,
                              const hn_pack *init, hn_error *err) {
    hn_text text = {0};
    *steady = true;
    hn_text_add(&text, DATASET_FORM);
    add_config(&text, config);
    hn_status status = add_files(&text, steady, config, &config->log, err);
    for (int32_t t = 0; t < config->n_tables && status == HN_OK; t++)
        status = add_files(&text, steady, config, &config->tables[t].source, err);
    if (init && status == HN_OK) status = add_file(&text, hn_pack_path(init), err);
    if (status == HN_OK) return finish(out, &text, err);
    hn_text_free(&text);
    return status;
}
