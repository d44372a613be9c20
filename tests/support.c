/* The helpers of the tests; see support.h. */
#include "support.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

void support_assert_ok(hn_status status, const hn_error *err, const char *file, int line) {
    if (status != HN_OK) print_error("failed: %s\n", err->text);
    _assert_int_equal((uintmax_t)status, HN_OK, file, line);
}

void support_assert_fails(hn_status status, hn_status expected, const char *words,
                          const hn_error *err, const char *file, int line) {
    if (status != expected || (status != HN_OK && !strstr(err->text, words)))
        print_error("status %d, sentence: %s\nexpected status %d with: %s\n", (int)status,
                    err->text, (int)expected, words);
    _assert_int_equal((uintmax_t)status, (uintmax_t)expected, file, line);
    _assert_true(strstr(err->text, words) != NULL, words, file, line);
    _assert_int_equal((uintmax_t)err->status, (uintmax_t)expected, file, line);
}

char *support_folder(void) {
    const char *const root = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    char *const path = malloc(strlen(root) + 32);
    assert_non_null(path);
    sprintf(path, "%s/hinet-test-XXXXXX", root);
    assert_non_null(mkdtemp(path));
    return path;
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *where) {
    (void)about, (void)type, (void)where;
    return remove(path);
}

void support_remove(const char *folder) { nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

void support_write(const char *path, const void *bytes, size_t n) {
    FILE *const file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

int64_t support_fail_each(hn_fault kind, support_work work, void *user) {
    for (int64_t nth = 1;; nth++) {
        const int64_t held = hn_memory_held();
        hn_error err = {0};
        hn_fault_arm(kind, nth);
        const hn_status status = work(user, &err);
        const bool reached = hn_fault_count(kind) >= nth;
        hn_fault_arm(kind, 0);
        if (hn_memory_held() != held) print_error("event %d leaks; %s\n", (int)nth, err.text);
        assert_int_equal(hn_memory_held(), held);
        if (!reached) {
            if (status != HN_OK) print_error("failed without a fault: %s\n", err.text);
            assert_int_equal(status, HN_OK);
            return nth - 1;
        }
        if (status == HN_OK) print_error("event %d failed and nobody noticed\n", (int)nth);
        assert_int_not_equal(status, HN_OK);
        assert_int_equal(err.status, status);
        assert_int_not_equal(err.text[0], 0);
    }
}

void support_corpus(const char *name, size_t least, void (*use)(uint8_t *bytes, size_t n)) {
    static const char *const pattern = "*";
    char folder[400];
    hn_error err = {0};
    hn_paths paths = {0};
    snprintf(folder, sizeof folder, HN_SOURCE_DIR "/fuzz/corpus/%s", name);
    assert_ok(hn_paths_glob(&paths, folder, &pattern, 1, &err));
    assert_true(paths.n >= least);
    for (size_t i = 0; i < paths.n; i++) {
        char *bytes = NULL;
        size_t n = 0;
        assert_ok(hn_file_read(&bytes, &n, paths.paths[i], &err));
        use((uint8_t *)bytes, n);
        hn_free(bytes);
    }
    hn_paths_free(&paths);
}

void support_cut(support_target target, const uint8_t *bytes, size_t n, size_t step) {
    for (size_t cut = 0; cut < n; cut += step) {
        uint8_t *const part = malloc(cut + 1);
        assert_non_null(part);
        memcpy(part + 1, bytes, cut); /* ends where the memory does */
        target(part + 1, cut);
        free(part);
    }
    target(bytes, n);
}
