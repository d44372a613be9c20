/* Keys. The resolved config is text of a fixed form, two blanks a level, so its options are
 * compared with those of a config that has nothing but defaults, path by path. Elements of
 * tables, tasks and features are compared with an element of that kind. */
#include "experiment/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/memory.h"
#include "base/pack.h"

/* One element of every kind, so that each option's default stands somewhere. What must be
 * written is written as nobody writes it. */
#define ANY "'hinet: any'"
static const char plain[] = "log: " ANY "\n"
                            "tables: {table: {files: " ANY ", key: " ANY ", log_key: " ANY "}}\n"
                            "tasks: {task: {label: '\"hinet: label\"'}}\n"
                            "features:\n"
                            "  id: {kind: id, column: " ANY "}\n"
                            "  number: {kind: number, column: " ANY "}\n"
                            "  list: {kind: list, column: " ANY ", delimiter: '~hinet~'}\n"
                            "  rate: {kind: rate, key: " ANY "}\n";

/* ---- Paths of the resolved config ---- */

enum { DEPTH_MAX = 8, PATH_BYTES = 1000 };

typedef struct lines {
    const char *at;              /* the next line */
    const char *keys[DEPTH_MAX]; /* of the levels down to this line */
    int lengths[DEPTH_MAX];
    char kind[40]; /* of the feature that the lines are about */
    const char *value;
    int value_bytes, depth;
} lines;

/* The kind of a feature stands among its lines. */
static void find_kind(lines *l, const char *line) {
    snprintf(l->kind, sizeof l->kind, "id");
    for (const char *next = line + strcspn(line, "\n"); next[0] == '\n';) {
        next++;
        if (strncmp(next, "    ", 4) != 0) return;
        if (strncmp(next, "    kind: ", 10) == 0)
            snprintf(l->kind, sizeof l->kind, "%.*s", (int)strcspn(next + 10, "\n"), next + 10);
        next += strcspn(next, "\n");
    }
}

/* The length of a key, which may be quoted. */
static size_t key_bytes(const char *line) {
    size_t n = 0;
    if (line[0] != '"') return strcspn(line, ":\n");
    for (n = 1; line[n] != '\0' && line[n] != '"' && line[n] != '\n'; n++)
        n += line[n] == '\\' && line[n + 1] != '\0';
    return n + (line[n] == '"');
}

static bool is_key(const lines *l, int level, const char *word) {
    return (size_t)l->lengths[level] == strlen(word) &&
           strncmp(l->keys[level], word, strlen(word)) == 0;
}

/* Takes the next line that has a value; false at the end. */
static bool next_line(lines *l) {
    while (l->at[0] != '\0') {
        const char *const line = l->at;
        const size_t n = strcspn(line, "\n"), blanks = strspn(line, " ");
        l->at = line + n + (line[n] == '\n');
        const size_t level = blanks / 2;
        if (blanks >= n || level >= DEPTH_MAX) continue;
        l->keys[level] = line + blanks;
        l->lengths[level] = (int)key_bytes(line + blanks);
        if (level == 1 && is_key(l, 0, "features")) find_kind(l, line);
        const char *value = line + blanks + l->lengths[level];
        if (value[0] != ':' || value[1] != ' ') continue;
        l->value = value + 2;
        l->value_bytes = (int)(line + n - l->value);
        l->depth = (int)level + 1;
        return true;
    }
    return false;
}

/* "features.user_id.width"; with `generic` the element's name is its kind's. */
static void path_of(char out[PATH_BYTES], const lines *l, bool generic) {
    size_t used = 0;
    out[0] = '\0';
    for (int k = 0; k < l->depth && used < PATH_BYTES - 1; k++) {
        const char *key = l->keys[k];
        int n = l->lengths[k];
        const char *const instead = !generic || k != 1         ? NULL
                                    : is_key(l, 0, "tables")   ? "table"
                                    : is_key(l, 0, "tasks")    ? "task"
                                    : is_key(l, 0, "features") ? l->kind
                                                               : NULL;
        if (instead != NULL) key = instead, n = (int)strlen(instead);
        used += (size_t)snprintf(out + used, PATH_BYTES - used, "%s%.*s", k > 0 ? "." : "", n, key);
    }
}

/* ---- Comparison ---- */

typedef struct defaults {
    char **entries; /* "path=value", sorted */
    size_t n, capacity;
} defaults;

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_defaults(defaults *d) {
    for (size_t k = 0; k < d->n; k++) hn_free(d->entries[k]);
    hn_free(d->entries);
}

static char *entry_of(const char *path, const lines *l) {
    hn_text text = {0};
    hn_text_add(&text, "%s=%.*s", path, l->value_bytes, l->value);
    if (!text.failed) return text.text;
    hn_text_free(&text);
    return NULL;
}

static hn_status read_defaults(defaults *d, hn_error *err) {
    hn_config *config;
    char path[PATH_BYTES];
    hn_status status = HN_OK;
    HN_TRY(hn_config_parse(&config, plain, strlen(plain), "defaults", "", NULL, 0, err));
    lines l = {.at = hn_config_yaml(config)};
    while (status == HN_OK && next_line(&l)) {
        path_of(path, &l, true);
        status = hn_grow(&d->entries, &d->capacity, d->n + 1, sizeof *d->entries, err);
        if (status != HN_OK) break;
        d->entries[d->n] = entry_of(path, &l);
        if (d->entries[d->n] == NULL)
            status = hn_no_memory(err, "the defaults");
        else
            d->n++;
    }
    hn_config_free(config);
    if (d->n > 0) qsort(d->entries, d->n, sizeof *d->entries, by_text);
    return status;
}

/* What a feature is, is always said: the other options are compared with those of its kind. */
static bool is_feature_kind(const lines *l) {
    return l->depth == 3 && is_key(l, 0, "features") && is_key(l, 2, "kind");
}

/* Where the files are; what is in them is the data's key. */
static bool is_place(const char *generic_path) {
    return strcmp(generic_path, "log.files") == 0 ||
           strcmp(generic_path, "tables.table.files") == 0;
}

hn_status hn_experiment_changes(hn_text *out, const hn_config *config, hn_error *err) {
    defaults d = {0};
    char path[PATH_BYTES];
    hn_status status = read_defaults(&d, err);
    lines l = {.at = hn_config_yaml(config)};
    while (status == HN_OK && next_line(&l)) {
        path_of(path, &l, true);
        if (is_place(path)) continue;
        char *const entry = entry_of(path, &l);
        if (entry == NULL) status = hn_no_memory(err, "a run's key");
        const bool same = entry != NULL && d.n > 0 && !is_feature_kind(&l) &&
                          bsearch(&entry, d.entries, d.n, sizeof *d.entries, by_text) != NULL;
        path_of(path, &l, false);
        if (!same) hn_text_add(out, "%s=%.*s\n", path, l.value_bytes, l.value);
        hn_free(entry);
    }
    free_defaults(&d);
    if (status == HN_OK && out->failed) status = hn_no_memory(err, "a run's key");
    if (status != HN_OK) hn_text_free(out);
    return status;
}

/* ---- Hashes ---- */

static void hex(char out[HN_KEY_BYTES], XXH128_hash_t hash) {
    snprintf(out, HN_KEY_BYTES, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}

hn_status hn_experiment_key(char out[HN_KEY_BYTES], const hn_config *config, const char *data,
                            hn_error *err) {
    hn_text text = {0};
    out[0] = '\0';
    HN_TRY(hn_experiment_changes(&text, config, err));
    hn_text_add(&text, "hinet %s, run 1, data %s, %s\n", HN_VERSION, data, HN_REAL_NAME);
    const bool failed = text.failed;
    if (!failed) hex(out, XXH3_128bits(text.text, text.length));
    hn_text_free(&text);
    return failed ? hn_no_memory(err, "a run's key") : HN_OK;
}

/* The rows' blocks have checksums of their own in dataset/blocks; the rest is read. */
static bool is_content(const char *name) {
    static const char *const others[] = {"dataset/rows", "dataset/card", "dataset/samples",
                                         "dataset/fingerprint", "dataset/config"};
    for (size_t k = 0; k < sizeof others / sizeof *others; k++)
        if (strcmp(name, others[k]) == 0) return false;
    return true;
}

hn_status hn_experiment_data_key(char out[HN_KEY_BYTES], const char *path, hn_error *err) {
    hn_pack *pack;
    hn_status status = HN_OK;
    out[0] = '\0';
    HN_TRY(hn_pack_open(&pack, path, "DATA", err));
    XXH128_hash_t hash = XXH3_128bits(NULL, 0);
    for (size_t k = 0; k < hn_pack_sections(pack) && status == HN_OK; k++) {
        const hn_section *section = hn_pack_section(pack, k);
        if (!is_content(section->name)) continue;
        status = hn_pack_find(&section, pack, section->name, section->type, err);
        if (status != HN_OK) break;
        const XXH64_hash_t seed = hash.low64 ^ hash.high64;
        hash = XXH3_128bits_withSeed(section->name, strlen(section->name), seed);
        hash = XXH3_128bits_withSeed(section->bytes, section->n_bytes, hash.low64 ^ hash.high64);
    }
    hn_pack_close(pack);
    if (status == HN_OK) hex(out, hash);
    return status;
}
