/* The files that patterns name: glob(3), in an order that does not depend on the
 * locale, each file once. A name that exists is taken as it is, even when it has a
 * pattern's characters in it. */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

/* `dir` is a name, not a pattern: its special characters are escaped. */
static char *escape(const char *dir) {
    char *const escaped = hn_alloc(2 * strlen(dir) + 1, 1);
    if (!escaped) return NULL;
    char *to = escaped;
    for (const char *from = dir; *from; from++) {
        if (strchr("*?[\\", *from)) *to++ = '\\';
        *to++ = *from;
    }
    *to = '\0';
    return escaped;
}

static hn_status add_path(hn_paths *paths, size_t *capacity, const char *path, hn_error *err) {
    HN_TRY(hn_grow(&paths->paths, capacity, paths->n + 1, sizeof *paths->paths, err));
    char *const copy = hn_strdup(path);
    if (!copy) return hn_no_memory(err, "the paths of files");
    paths->paths[paths->n++] = copy;
    return HN_OK;
}

static hn_status add_matches(hn_paths *paths, size_t *capacity, const char *pattern,
                             const char *shown, hn_error *err) {
    glob_t found = {0};
    const int result = glob(pattern, GLOB_NOSORT, NULL, &found);
    hn_status status = HN_OK;
    if (result == GLOB_NOMATCH)
        status =
            hn_fail(err, HN_NO_INPUT, "%s: no file has this name or matches this pattern", shown);
    else if (result == GLOB_NOSPACE)
        status = hn_no_memory(err, "the paths of files");
    else if (result != 0)
        status =
            hn_fail(err, HN_NO_INPUT, "%s: the folders cannot be read: %s", shown, strerror(errno));
    for (size_t i = 0; status == HN_OK && i < found.gl_pathc; i++)
        status = add_path(paths, capacity, found.gl_pathv[i], err);
    globfree(&found);
    return status;
}

static hn_status add_pattern(hn_paths *paths, size_t *capacity, const char *dir,
                             const char *pattern, hn_error *err) {
    hn_status status = HN_OK;
    char *const escaped = escape(dir);
    char *const plain = hn_path_join(dir, pattern);
    char *const joined = escaped ? hn_path_join(escaped, pattern) : NULL;
    if (!plain || !joined)
        status = hn_no_memory(err, "the paths of files");
    else if (hn_file_exists(plain))
        status = add_path(paths, capacity, plain, err);
    else
        status = add_matches(paths, capacity, joined, plain, err);
    hn_free(escaped);
    hn_free(plain);
    hn_free(joined);
    return status;
}

static int compare_paths(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_and_unify(hn_paths *paths) {
    if (paths->n == 0) return;
    qsort(paths->paths, paths->n, sizeof *paths->paths, compare_paths);
    size_t kept = 1;
    for (size_t i = 1; i < paths->n; i++) {
        if (strcmp(paths->paths[i], paths->paths[kept - 1]) == 0)
            hn_free(paths->paths[i]);
        else
            paths->paths[kept++] = paths->paths[i];
    }
    paths->n = kept;
}

hn_status hn_paths_glob(hn_paths *out, const char *dir, const char *const *patterns, size_t n,
                        hn_error *err) {
    hn_paths paths = {0};
    size_t capacity = 0;
    hn_status status = HN_OK;
    *out = (hn_paths){0};
    for (size_t i = 0; i < n && status == HN_OK; i++)
        status = add_pattern(&paths, &capacity, dir, patterns[i], err);
    if (status != HN_OK) {
        hn_paths_free(&paths);
        return status;
    }
    sort_and_unify(&paths);
    *out = paths;
    return HN_OK;
}

void hn_paths_free(hn_paths *paths) {
    for (size_t i = 0; i < paths->n; i++) hn_free(paths->paths[i]);
    hn_free(paths->paths);
    *paths = (hn_paths){0};
}
