/* Reading, mapping, atomic writing, spills, folders and patterns. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "support.h"

static char *folder;

static int make_folder(void **state) {
    (void)state;
    folder = support_folder();
    return chdir(folder); /* so that paths in sentences are short */
}

static int remove_folder(void **state) {
    (void)state;
    support_remove(folder);
    free(folder);
    return 0;
}

static char *pattern_bytes(size_t n) {
    char *const bytes = hn_alloc(n, 1);
    for (size_t i = 0; i < n; i++) bytes[i] = (char)(i * 31 + i / 257);
    return bytes;
}

static void assert_content(const char *path, const void *bytes, size_t n) {
    hn_error err = {0};
    char *found;
    size_t found_n;
    assert_ok(hn_file_read(&found, &found_n, path, &err));
    assert_int_equal(found_n, n);
    assert_memory_equal(found, bytes, n);
    assert_int_equal(found[n], 0);
    hn_free(found);
}

static int entries_like(const char *pattern) {
    char command[256];
    snprintf(command, sizeof command, "ls -d %s 2>/dev/null | wc -l", pattern);
    FILE *const pipe = popen(command, "r");
    int n = -1;
    assert_int_equal(fscanf(pipe, "%d", &n), 1);
    pclose(pipe);
    return n;
}

static void files_are_read_whole(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 4095, 4096, 100001};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *const bytes = pattern_bytes(sizes[i]);
        support_write("whole", bytes, sizes[i]);
        assert_content("whole", bytes, sizes[i]);
        hn_free(bytes);
    }
}

static void *feed_fifo(void *bytes) {
    support_write("fifo", bytes, 300000);
    return NULL;
}

static void pipes_are_read_whole(void **state) {
    (void)state;
    char *const bytes = pattern_bytes(300000);
    pthread_t thread;
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(pthread_create(&thread, NULL, feed_fifo, bytes), 0);
    assert_content("fifo", bytes, 300000);
    pthread_join(thread, NULL);
    hn_free(bytes);
}

static void what_cannot_be_read_is_named(void **state) {
    (void)state;
    hn_error err = {0};
    char *bytes = folder;
    size_t n = 1;
    hn_map map = {(const uint8_t *)folder, 3};
    assert_fails(HN_NO_INPUT, "absent: cannot be opened: No such file",
                 hn_file_read(&bytes, &n, "absent", &err));
    assert_null(bytes);
    assert_fails(HN_NO_INPUT, "is a folder", hn_file_read(&bytes, &n, ".", &err));
    assert_fails(HN_NO_INPUT, "absent: cannot be opened", hn_map_open(&map, "absent", &err));
    assert_null(map.bytes);
    assert_fails(HN_NO_INPUT, "is a folder", hn_map_open(&map, ".", &err));
    assert_fails(HN_NO_INPUT, "not a regular file", hn_map_open(&map, "/dev/zero", &err));
}

static void maps_show_the_file(void **state) {
    (void)state;
    hn_error err = {0};
    hn_map map;
    char *const bytes = pattern_bytes(10000);
    support_write("mapped", bytes, 10000);
    assert_ok(hn_map_open(&map, "mapped", &err));
    assert_int_equal(map.n, 10000);
    assert_memory_equal(map.bytes, bytes, 10000);
    hn_map_close(&map);
    support_write("empty", "", 0);
    assert_ok(hn_map_open(&map, "empty", &err));
    assert_null(map.bytes);
    assert_int_equal(map.n, 0);
    hn_map_close(&map);
    hn_free(bytes);
}

static void writers_replace_at_commit_only(void **state) {
    (void)state;
    hn_error err = {0};
    hn_writer *writer = NULL;
    support_write("target", "old", 3);
    assert_ok(hn_writer_open(&writer, "target", &err));
    hn_writer_write(writer, "new content", 11);
    assert_content("target", "old", 3);
    assert_ok(hn_writer_commit(writer, &err));
    assert_content("target", "new content", 11);
    assert_ok(hn_writer_open(&writer, "target", &err));
    hn_writer_write(writer, "never", 5);
    hn_writer_abandon(writer);
    hn_writer_abandon(NULL);
    assert_content("target", "new content", 11);
    assert_int_equal(entries_like("target*"), 1);
}

/* Pieces below, at and above the buffer's size arrive in order, and the offset is right. */
static void writers_write_pieces_of_any_size(void **state) {
    (void)state;
    hn_error err = {0};
    hn_writer *writer = NULL;
    enum { TOTAL = 7000000 };
    static const size_t pieces[] = {1, 1000000, 0, 48576, 1048576, 3, 1048575, 2000000, 1, 1048577};
    char *const bytes = pattern_bytes(TOTAL);
    size_t at = 0;
    assert_ok(hn_writer_open(&writer, "pieces", &err));
    for (size_t i = 0; at < TOTAL; i = (i + 1) % (sizeof pieces / sizeof *pieces)) {
        const size_t n = pieces[i] < TOTAL - at ? pieces[i] : TOTAL - at;
        hn_writer_write(writer, bytes + at, n);
        at += n;
        assert_int_equal(hn_writer_offset(writer), at);
    }
    hn_writer_write_at(writer, 0, "head", 4);
    memcpy(bytes, "head", 4);
    hn_writer_write_at(writer, TOTAL - 4, "tail", 4);
    memcpy(bytes + TOTAL - 4, "tail", 4);
    assert_int_equal(hn_writer_offset(writer), TOTAL);
    assert_ok(hn_writer_commit(writer, &err));
    assert_content("pieces", bytes, TOTAL);
    hn_free(bytes);
}

static void overwriting_what_is_not_there_fails(void **state) {
    (void)state;
    hn_error err = {0};
    hn_writer *writer = NULL;
    assert_ok(hn_writer_open(&writer, "short", &err));
    hn_writer_write(writer, "12345", 5);
    hn_writer_write_at(writer, 3, "abc", 3);
    hn_writer_write(writer, "more", 4);
    assert_fails(HN_FAILED, "short: bytes 3 to 6", hn_writer_commit(writer, &err));
    assert_int_equal(entries_like("short*"), 0);
}

static void what_cannot_be_made_is_named(void **state) {
    (void)state;
    hn_error err = {0};
    hn_writer *writer = NULL;
    assert_fails(HN_CANNOT_CREATE, "none/x: cannot be made: No such file",
                 hn_writer_open(&writer, "none/x", &err));
    assert_null(writer);
    assert_fails(HN_CANNOT_CREATE, "not a regular file",
                 hn_writer_open(&writer, "/dev/null", &err));
    assert_fails(HN_CANNOT_CREATE, "not a regular file", hn_writer_open(&writer, folder, &err));
    int fd;
    assert_fails(HN_CANNOT_CREATE, "none", hn_temp_open(&fd, "none", &err));
    assert_int_equal(fd, -1);
}

/* A real full disk, as far as a test can have one: the limit of a file's size. */
static void a_full_disk_is_an_error_and_leaves_the_old_file(void **state) {
    (void)state;
    hn_error err = {0};
    hn_writer *writer = NULL;
    struct rlimit saved, small;
    support_write("full", "old", 3);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &saved), 0);
    small = saved;
    small.rlim_cur = 1500000;
    signal(SIGXFSZ, SIG_IGN);
    char *const bytes = pattern_bytes(3000000);
    assert_ok(hn_writer_open(&writer, "full", &err));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    hn_writer_write(writer, bytes, 3000000);
    const hn_status status = hn_writer_commit(writer, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &saved), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_fails(HN_IO_FAILED, "full: cannot be written: File too large", status);
    assert_content("full", "old", 3);
    assert_int_equal(entries_like("full*"), 1);
    hn_free(bytes);
}

static void files_have_the_users_permissions(void **state) {
    (void)state;
    hn_error err = {0};
    hn_writer *writer = NULL;
    struct stat about;
    const mode_t saved = umask(027);
    assert_ok(hn_writer_open(&writer, "mode", &err));
    assert_ok(hn_writer_commit(writer, &err));
    umask(saved);
    assert_int_equal(stat("mode", &about), 0);
    assert_int_equal(about.st_mode & 0777, 0640);
}

static hn_status write_a_file(void *user, hn_error *err) {
    static char bytes[1500000];
    hn_writer *writer = NULL;
    HN_TRY(hn_writer_open(&writer, user, err));
    for (int i = 0; i < 2; i++) hn_writer_write(writer, bytes, sizeof bytes);
    hn_writer_write(writer, "tail", 4);
    hn_writer_write_at(writer, 0, "head", 4);
    return hn_writer_commit(writer, err);
}

/* After every failure the old file is whole and nothing lies beside it. */
static hn_status write_and_look(void *user, hn_error *err) {
    char path[] = "atomic";
    (void)user;
    support_write("atomic", "old", 3);
    const hn_status status = write_a_file(path, err);
    struct stat about;
    assert_int_equal(stat("atomic", &about), 0);
    /* A fault of memory after the rename may report failure with the new file in place. */
    assert_true(about.st_size == 3000004 || (status != HN_OK && about.st_size == 3));
    assert_int_equal(entries_like("atomic*"), 1);
    return status;
}

static void writing_survives_every_failure(void **state) {
    (void)state;
    assert_int_equal(support_fail_each(HN_FAULT_ALLOC, write_and_look, NULL), 5);
    assert_true(support_fail_each(HN_FAULT_WRITE, write_and_look, NULL) >= 6);
}

static hn_status read_a_file(void *user, hn_error *err) {
    char *bytes;
    size_t n;
    const hn_status status = hn_file_read(&bytes, &n, user, err);
    if (status != HN_OK) assert_null(bytes);
    hn_free(bytes);
    if (status != HN_OK) return status;
    hn_map map;
    HN_TRY(hn_map_open(&map, user, err));
    hn_map_close(&map);
    return HN_OK;
}

static void reading_survives_every_failure(void **state) {
    (void)state;
    char path[] = "readable";
    support_write(path, "content", 7);
    assert_int_equal(support_fail_each(HN_FAULT_ALLOC, read_a_file, path), 1);
    assert_int_equal(support_fail_each(HN_FAULT_READ, read_a_file, path),
                     4); /* open, 2 reads, map */
}

static void spills_are_nameless(void **state) {
    (void)state;
    hn_error err = {0};
    int fd;
    char back[8] = {0};
    assert_ok(hn_temp_open(&fd, ".", &err));
    assert_int_equal(entries_like(".hinet*"), 0);
    assert_ok(hn_fd_write_at(fd, "abcdefgh", 8, 100000, "spill", &err));
    assert_ok(hn_fd_read_at(fd, back, 4, 100004, "spill", &err));
    assert_string_equal(back, "efgh");
    assert_ok(hn_fd_read_at(fd, back, 4, 0, "spill", &err));
    assert_memory_equal(back, "\0\0\0\0", 4);
    assert_fails(HN_IO_FAILED, "spill: ends at byte 100008; 2 more",
                 hn_fd_read_at(fd, back, 4, 100006, "spill", &err));
    size_t got;
    assert_int_equal(lseek(fd, 100006, SEEK_SET), 100006);
    assert_ok(hn_fd_read(&got, fd, back, 8, "spill", &err));
    assert_int_equal(got, 2);
    assert_ok(hn_fd_read(&got, fd, back, 8, "spill", &err));
    assert_int_equal(got, 0);
    close(fd);
    assert_fails(HN_IO_FAILED, "spill: cannot be read: Bad file",
                 hn_fd_read(&got, fd, back, 8, "spill", &err));
    assert_fails(HN_IO_FAILED, "spill: cannot be read: Bad file",
                 hn_fd_read_at(fd, back, 8, 0, "spill", &err));
    assert_fails(HN_IO_FAILED, "spill: cannot be written: Bad file",
                 hn_fd_write_at(fd, back, 8, 0, "spill", &err));
}

static void folders_are_made_with_parents(void **state) {
    (void)state;
    hn_error err = {0};
    assert_ok(hn_dir_make("a/b//c/", &err));
    assert_true(hn_file_exists("a/b/c"));
    assert_ok(hn_dir_make("a/b/c", &err));
    assert_ok(hn_dir_make(".", &err));
    assert_ok(hn_dir_make("/", &err));
    support_write("a/file", "", 0);
    assert_fails(HN_CANNOT_CREATE, "a/file: exists and is not a folder",
                 hn_dir_make("a/file", &err));
    assert_fails(HN_CANNOT_CREATE, "a/file: exists and is not a folder",
                 hn_dir_make("a/file/x", &err));
    assert_fails(HN_CANNOT_CREATE, "/proc/x: the folder cannot be made",
                 hn_dir_make("/proc/x", &err));
    assert_false(hn_file_exists("a/absent"));
}

static void assert_text(char *found, const char *expected) {
    assert_string_equal(found, expected);
    hn_free(found);
}

static void paths_are_joined_and_parted(void **state) {
    (void)state;
    assert_text(hn_path_join("a", "b"), "a/b");
    assert_text(hn_path_join("a/", "b"), "a/b");
    assert_text(hn_path_join("", "b"), "b");
    assert_text(hn_path_join("/", "b"), "/b");
    assert_text(hn_path_join("a", "/b"), "/b");
    assert_text(hn_path_dir("a/b/c"), "a/b");
    assert_text(hn_path_dir("a"), ".");
    assert_text(hn_path_dir("/a"), "/");
}

static void assert_globs(const char *dir, const char *const *patterns, size_t n,
                         const char *expected) {
    hn_error err = {0};
    hn_paths paths;
    char joined[500] = "";
    assert_ok(hn_paths_glob(&paths, dir, patterns, n, &err));
    for (size_t i = 0; i < paths.n; i++) strcat(strcat(joined, paths.paths[i]), " ");
    assert_string_equal(joined, expected);
    hn_paths_free(&paths);
}

static hn_status glob_logs(void *user, hn_error *err) {
    hn_paths paths;
    (void)user;
    const hn_status status =
        hn_paths_glob(&paths, "g[1]", (const char *const[]){"*.csv", "b.csv"}, 2, err);
    if (status != HN_OK) assert_null(paths.paths);
    hn_paths_free(&paths);
    return status;
}

static void patterns_name_files(void **state) {
    (void)state;
    hn_error err = {0};
    hn_paths paths;
    assert_ok(hn_dir_make("g[1]", &err));
    static const char *const made[] = {"g[1]/b.csv", "g[1]/a.csv", "g[1]/B.csv", "g[1]/c.tsv",
                                       "g[1]/x[9].csv"};
    for (size_t i = 0; i < 5; i++) support_write(made[i], "", 0);
    assert_globs("g[1]", (const char *const[]){"*.csv"}, 1,
                 "g[1]/B.csv g[1]/a.csv g[1]/b.csv g[1]/x[9].csv ");
    assert_globs("g[1]", (const char *const[]){"c.tsv", "[ab].csv", "a*"}, 3,
                 "g[1]/a.csv g[1]/b.csv g[1]/c.tsv ");
    assert_globs("g[1]", (const char *const[]){"x[9].csv"}, 1, "g[1]/x[9].csv ");
    assert_globs("g[1]", NULL, 0, "");
    assert_globs("elsewhere", (const char *const[]){"/dev/nul[l]"}, 1, "/dev/null ");
    assert_fails(HN_NO_INPUT, "g[1]/*.gz: no file",
                 hn_paths_glob(&paths, "g[1]", (const char *const[]){"*.csv", "*.gz"}, 2, &err));
    assert_null(paths.paths);
    assert_int_equal(paths.n, 0);
    assert_true(support_fail_each(HN_FAULT_ALLOC, glob_logs, NULL) > 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_whole),
        cmocka_unit_test(pipes_are_read_whole),
        cmocka_unit_test(what_cannot_be_read_is_named),
        cmocka_unit_test(maps_show_the_file),
        cmocka_unit_test(writers_replace_at_commit_only),
        cmocka_unit_test(writers_write_pieces_of_any_size),
        cmocka_unit_test(overwriting_what_is_not_there_fails),
        cmocka_unit_test(what_cannot_be_made_is_named),
        cmocka_unit_test(a_full_disk_is_an_error_and_leaves_the_old_file),
        cmocka_unit_test(files_have_the_users_permissions),
        cmocka_unit_test(writing_survives_every_failure),
        cmocka_unit_test(reading_survives_every_failure),
        cmocka_unit_test(spills_are_nameless),
        cmocka_unit_test(folders_are_made_with_parents),
        cmocka_unit_test(paths_are_joined_and_parted),
        cmocka_unit_test(patterns_name_files),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
