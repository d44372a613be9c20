/* Where text comes from: the files of a source and how each begins (byte order mark,
 * dialect, header). Reading on from there is chunk.c's part. */
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "data/bytes.h"
#include "data/chunk.h"
#include "data/digest.h"

/* ---- Paths ---------------------------------------------------------------------------- */

static bool is_standard_input(const char *path) { return strcmp(path, "-") == 0; }

hn_status hn_source_paths(hn_paths *out, const hn_config *config, const hn_config_source *source,
                          hn_error *err) {
    *out = (hn_paths){0};
    for (int32_t i = 0; i < source->files.n; i++) {
        if (!is_standard_input(source->files.items[i])) continue;
        if (source->files.n > 1)
            return hn_fail(
                err, HN_BAD_CONFIG,
                "files: found \"-\" (standard input) beside other files; expected it alone");
        out->paths = hn_alloc_zero(1, sizeof *out->paths);
        if (out->paths) out->paths[0] = hn_strdup("-");
        out->n = out->paths != NULL;
        if (out->paths && out->paths[0]) return HN_OK;
        hn_free(out->paths);
        *out = (hn_paths){0};
        return hn_no_memory(err, "the paths of files");
    }
    return hn_paths_glob(out, config->dir ? config->dir : ".",
                         (const char *const *)source->files.items, (size_t)source->files.n, err);
}

/* ---- One file ---------------------------------------------------------------------------- */

hn_status hn_text_file_create(hn_text_file **out, const char *path, hn_error *err) {
    *out = NULL;
    hn_text_file *const file = hn_alloc_zero(1, sizeof *file);
    if (!file) return hn_no_memory(err, path);
    const char *const slash = strrchr(path, '/');
    file->path = hn_arena_strdup(&file->arena, is_standard_input(path) ? "standard input" : path);
    file->base = hn_arena_strdup(&file->arena, slash ? slash + 1 : path);
    if (!file->path || !file->base) {
        hn_text_file_free(file);
        return hn_no_memory(err, path);
    }
    *out = file;
    return HN_OK;
}

void hn_text_file_free(hn_text_file *file) {
    if (!file) return;
    hn_arena_free(&file->arena);
    hn_free(file);
}

/* The length of the first row, line end included; 0 when the text ends before it does. */
static size_t first_row(uint64_t *lines, bool *no_memory, const hn_dialect *dialect,
                        const char *text, size_t n) {
    hn_walker walker = {0};
    hn_walker_begin(&walker, dialect, text, n);
    while (hn_walker_next(&walker) == HN_FIELD_MORE && !walker.no_memory) continue;
    const bool whole =
        walker.fault != HN_FIELD_UNCLOSED && walker.at > 0 && text[walker.at - 1] == '\n';
    const size_t at = walker.at;
    *lines = walker.line;
    *no_memory = walker.no_memory;
    hn_walker_free(&walker);
    return whole ? at : 0;
}

static size_t mark_bytes(const char *text, size_t n) {
    return n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

static hn_status find_header(size_t *end, bool *more, hn_text_file *file, const hn_dialect *dialect,
                             const char *text, size_t n, bool last, hn_error *err) {
    if (n == 0)
        return hn_fail(err, HN_BAD_DATA,
                       "%s: is empty; expected a header line with the names of the columns "
                       "(or give them as `columns` in the config)",
                       file->path);
    bool no_memory;
    *end = first_row(&file->lines, &no_memory, dialect, text, n);
    if (no_memory) return hn_no_memory(err, "a header");
    *more = *end == 0 && !last;
    if (*end == 0 && last) *end = n;
    return HN_OK;
}

hn_status hn_text_file_begin(hn_text_file *file, bool *more, size_t *rows,
                             const hn_config_source *source, const char *text, size_t n, bool last,
                             hn_error *err) {
    const char *const feed = n > 0 ? memchr(text, '\n', n) : NULL;
    *more = !feed && !last;
    *rows = 0;
    if (*more && n <= HN_ROW_BYTES_MAX) return HN_OK;
    if (*more)
        return hn_fail(
            err, HN_BAD_DATA,
            "%s:1: the first line is longer than %d MiB; expected lines of delimited text",
            file->path, HN_ROW_BYTES_MAX >> 20);
    const size_t mark = mark_bytes(text, n);
    size_t end = 0;
    hn_dialect dialect;
    HN_TRY(hn_dialect_choose(&dialect, source, text + mark,
                             feed ? (size_t)(feed - text) - mark : n - mark, file->path, err));
    if (source->columns.n == 0)
        HN_TRY(find_header(&end, more, file, &dialect, text + mark, n - mark, last, err));
    if (*more && n > HN_ROW_BYTES_MAX)
        return hn_fail(err, HN_BAD_DATA,
                       "%s:1: the header is longer than %d MiB; is a quote never closed in it?",
                       file->path, HN_ROW_BYTES_MAX >> 20);
    if (*more) return HN_OK;
    *rows = mark + end;
    return hn_columns_read(&file->columns, &file->arena, source, &dialect, text + mark, end,
                           file->path, err);
}

/* ---- Columns alone ------------------------------------------------------------------------- */

static hn_status read_start(hn_text_file *file, hn_bytes *bytes, const hn_config_source *source,
                            hn_error *err) {
    char *text = NULL;
    size_t n = 0, capacity = 0, rows;
    bool more = true;
    hn_status status = HN_OK;
    for (size_t ask = 64 << 10; more && status == HN_OK; ask *= 2) {
        size_t got = 0;
        status = hn_grow(&text, &capacity, n + ask, 1, err);
        if (status == HN_OK) status = hn_bytes_read(&got, bytes, text + n, ask, err);
        n += got;
        if (status == HN_OK)
            status = hn_text_file_begin(file, &more, &rows, source, text, n, got < ask, err);
    }
    hn_free(text);
    return status;
}

static hn_status copy_names(hn_strings *out, hn_arena *arena, const hn_strings *names,
                            hn_error *err) {
    out->items = hn_arena_alloc(arena, (size_t)names->n, sizeof *out->items);
    if (!out->items) return hn_no_memory(err, "a header");
    for (; out->n < names->n; out->n++) {
        out->items[out->n] = hn_arena_strdup(arena, names->items[out->n]);
        if (!out->items[out->n]) return hn_no_memory(err, "a header");
    }
    return HN_OK;
}

/* The header is read before the rest is, from a file opened for that alone. */
static hn_status check_twice(const char *path, hn_error *err) {
    struct stat about;
    if (is_standard_input(path) || stat(path, &about) != 0 || S_ISREG(about.st_mode) ||
        S_ISDIR(about.st_mode))
        return HN_OK;
    return hn_fail(err, HN_NO_INPUT,
                   "%s: is no regular file and cannot be read twice; pipe it to standard input and "
                   "name \"-\", or give its `columns`",
                   path);
}

hn_status hn_columns_peek(hn_strings *out, hn_arena *arena, const hn_config *config, int32_t table,
                          hn_error *err) {
    const hn_config_source *const source = table < 0 ? &config->log : &config->tables[table].source;
    hn_strings names = source->columns;
    hn_paths paths = {0};
    hn_text_file *file = NULL;
    hn_bytes *bytes = NULL;
    hn_status status = HN_OK;
    *out = (hn_strings){0};
    if (names.n == 0) status = hn_source_paths(&paths, config, source, err);
    if (status == HN_OK && paths.n > 0) status = check_twice(paths.paths[0], err);
    if (status == HN_OK && paths.n > 0 && !is_standard_input(paths.paths[0])) {
        status = hn_text_file_create(&file, paths.paths[0], err);
        if (status == HN_OK) status = hn_bytes_open(&bytes, paths.paths[0], err);
        if (status == HN_OK) status = read_start(file, bytes, source, err);
        if (status == HN_OK) names = file->columns.names;
    }
    if (status == HN_OK) status = copy_names(out, arena, &names, err);
    if (status != HN_OK) *out = (hn_strings){0};
    hn_bytes_close(bytes);
    hn_text_file_free(file);
    hn_paths_free(&paths);
    return status;
}
